"""`check`: is everything there before hours are spent?

Knows what can be asked of a dataset, a disk and a server with a few small requests. Writes nothing.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asyncgen.config.schema import Job
from asyncgen.core.errors import AccountError, AsyncgenError, EpisodeError, InputError, ToolDownError
from asyncgen.core.task import Task
from asyncgen.core.types import Completion, Message, Part, Picture, Tool
from asyncgen.endpoint.faults import Fault, FaultKind
from asyncgen.endpoint.transport import Transport
from asyncgen.endpoint.wire import encode_message, request_chunks
from asyncgen.engine.kit import make_kit, opening
from asyncgen.runs.output_file import check_output_file
from asyncgen.runs.place import output_directory
from asyncgen.runs.rules import RowSettings, rule_notes, selection_of
from asyncgen.runs.servers import Asked, refuse_mixture, resolve_models, targets_of
from asyncgen.runs.services import ServedTool, clashes, is_served
from asyncgen.runs.tasks import check_columns
from asyncgen.store.run_file import redact

PROBE_TIMEOUT = 60.0
"""Seconds for each small request."""
BYTES_A_TRACE = 12_000
"""A guess until there are traces, for the disk."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    state: str
    """`ok`, `warn` or `fail`."""
    text: str


async def check(
    job: Job, task: Task, tools: Sequence[Tool] = (), *, transport: Transport, environ: Mapping[str, str]
) -> AsyncIterator[Finding]:
    """Findings one by one, as they come. `tools`: what the job adds to the task's."""
    for finding in _dataset(job, task, tools):
        yield finding
    asked = targets_of(job.endpoints, environ)
    models: list[str] = []
    for one in asked:
        async for finding in _server(job, task, tools, one, transport, models):
            yield finding
    if len(models) == len(asked):
        try:
            refuse_mixture(asked, models)
        except InputError as error:
            yield Finding("models", "fail", str(error))
    for tool in filter(is_served, (*task.tools, *tools)):
        yield await _retrieval(tool, [one.target.base_url for one in asked])


async def _retrieval(tool: ServedTool, base_urls: Sequence[str]) -> Finding:
    """Whether a tool's server answers, and whether it can be another one than the model's: a gateway may be both."""
    name = f"{tool.name} at {redact(tool.service_url)}"
    clash = clashes(base_urls, [tool])
    try:
        text = f"{name}: {await tool.probe()}"
    except ToolDownError as error:
        return Finding("retrieval", "fail", "; ".join([f"{name}: {error}", *clash]))
    return Finding("retrieval", "warn" if clash else "ok", "; ".join([text, *clash]))


def _dataset(job: Job, task: Task, tools: Sequence[Tool]) -> Iterator[Finding]:
    from asyncgen.source.opening import open_source

    try:
        dataset = job.dataset
        source = open_source(dataset.path, split=dataset.split, image=task.image, image_root=dataset.image_root)
        yield Finding("dataset", "ok", f"{source.path}: {source.rows} rows, columns {', '.join(source.columns)}")
        task = task.fitted(source.columns)
        check_columns(task, source.columns, source.image_columns, source.path)
        selected = source.select(selection_of(job, task))
        count = len(selected.indexes)
        rollouts = RowSettings(job=job, rule_of=selected.rules).rollouts(selected.indexes)
        many = f"x {rollouts} rollouts" if isinstance(rollouts, int) else f"with {rollouts.sum()} rollouts"
        text = "; ".join(filter(None, [f"{count} samples {many}", selected.note, *rule_notes(job, selected)]))
        yield Finding("selection", "ok" if count else "fail", text)
        if job.condition:
            yield _accept(job.condition, task, source)
        if count:
            yield _first_row(job, task, tools, source, int(selected.indexes[0]))
        yield _disk(job, count * rollouts if isinstance(rollouts, int) else int(rollouts.sum()))
        check_output_file(job, task, output_directory(job))
    except AsyncgenError as error:
        yield Finding("dataset", "fail", str(error))


def _accept(where: str, task: Task, source: Any) -> Finding:
    from asyncgen.runs.acceptance import Condition, kinds_of

    try:
        Condition(where, kinds_of(task, source.kinds)).close()
    except InputError as error:
        return Finding("accept", "fail", str(error))
    return Finding("accept", "ok", where)


def _first_row(job: Job, task: Task, tools: Sequence[Tool], source: Any, index: int) -> Finding:
    from asyncgen.tools.gallery import Gallery

    try:
        sample = source.read(index)
        kit = make_kit(task, tools)
        messages = opening(task, sample, kit, kit.mode(task.tool_calls, refused=False))
        gallery = Gallery(max_pixels=job.episode.max_pixels, max_image_pixels=job.episode.max_image_pixels)
        pictures = [gallery.picture(ref, number) for number, ref in enumerate(sample.images)]
    except EpisodeError as error:
        return Finding("first row", "fail", f"row {index}: {error}")
    sizes = ", ".join(f"{one.width}x{one.height}" for one in pictures) or "no picture"
    return Finding("first row", "ok", f"row {index}: {len(messages)} messages, {sizes}")


def _disk(job: Job, episodes: int) -> Finding:
    out = output_directory(job).absolute()
    folder = next(path for path in (out, *out.parents) if path.is_dir())
    free = shutil.disk_usage(folder).free
    need = episodes * BYTES_A_TRACE
    text = f"{free / 1e9:.1f} GB free at {folder}, about {need / 1e9:.2f} GB needed"
    return Finding("disk", "ok" if free > need else "warn", text)


async def _server(
    job: Job, task: Task, tools: Sequence[Tool], asked: Asked, transport: Transport, models: list[str]
) -> AsyncIterator[Finding]:
    """Adds the server's model to `models`."""
    name = asked.target.name
    try:
        (model,) = await resolve_models([asked], transport, known="", new=True)
    except (InputError, AccountError) as error:
        yield Finding("endpoint", "fail", str(error))
        return
    models.append(model)
    yield Finding("endpoint", "ok", f"{name} serves {model}")
    listed = await transport.models(asked.target, timeout=10)
    lengths = {one.id: one.max_model_len for one in listed} if not isinstance(listed, Fault) else {}
    yield _context(job, lengths.get(model))
    probe = _Probe(transport, asked, model)
    plain = await probe.ask("Say hello.")
    yield _said("completion", plain)
    if isinstance(plain, Fault):
        return
    if "<image>" in task.user or task.image:
        yield _said("vision", await probe.ask("What colour is this?", picture=True))
    if (task.tools or tools) and task.tool_calls != "text":
        yield _tools(task, await probe.ask("Say hello.", tools=make_kit(task, tools).schemas_json))


def _context(job: Job, length: int | None) -> Finding:
    if length is None:
        return Finding("context", "ok", "the server does not say how long its context is")
    wanted = max([job.sampling.max_tokens, *(rule.max_tokens or 0 for rule in job.rules)])
    if wanted >= length:
        limits = f"the model's context is {length} tokens, sampling.max_tokens is {wanted}"
        return Finding("context", "fail", f"{limits}: lower it")
    return Finding("context", "ok", f"{length} tokens; {wanted} for each turn's answer")


def _said(what: str, outcome: Completion | Fault) -> Finding:
    if not isinstance(outcome, Fault):
        thinking = "; thinking comes in a field of its own" if outcome.reasoning else ""
        return Finding(what, "ok", f"answered, {outcome.usage.completion_tokens} tokens{thinking}")
    if outcome.kind is FaultKind.EMPTY:
        return Finding(what, "warn", "the answer was empty")
    return Finding(what, "fail", outcome.text)


def _tools(task: Task, outcome: Completion | Fault) -> Finding:
    if not isinstance(outcome, Fault) or outcome.kind is FaultKind.EMPTY:
        return Finding("tool calls", "ok", "the server takes tools")
    if outcome.kind is FaultKind.TOOLS_REFUSED:
        if task.tool_calls == "auto":
            return Finding("tool calls", "warn", f"refused, calls will be written as text: {outcome.text}")
        return Finding("tool calls", "fail", f"refused: {outcome.text}; set --task.tool-calls text or auto")
    return Finding("tool calls", "fail", outcome.text)


class _Probe:
    """Small requests to one server."""

    def __init__(self, transport: Transport, asked: Asked, model: str) -> None:
        self._transport = transport
        self._asked = asked
        self._model = model

    async def ask(self, text: str, *, picture: bool = False, tools: bytes | None = None) -> Completion | Fault:
        """One short completion."""
        parts: list[Part] = [_red_square(), text] if picture else [text]
        message = encode_message(Message("user", parts), {})
        chunks = request_chunks([message], model=self._model, sampling={"max_tokens": 16}, tools_json=tools)
        outcome = await self._transport.complete(self._asked.target, chunks, timeout=PROBE_TIMEOUT)
        return outcome if isinstance(outcome, Fault) else outcome[0]


def _red_square() -> Picture:
    """64 x 64 pixels, the smallest that every vision model takes."""
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), (200, 30, 30)).save(buffer, "PNG")
    data = buffer.getvalue()
    return Picture(
        image=0, source="sample", width=64, height=64, full_width=64, full_height=64,
        sha256=hashlib.sha256(data).hexdigest(), data=data, mime="image/png",
    )  # fmt: skip
