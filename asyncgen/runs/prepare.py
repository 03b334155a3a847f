"""Everything before the first request, in the promised order: task, LOCK, dataset, config diff, `GET /v1/models`.

Knows what must be true before a run may start; what fails here leaves no new directory behind.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from asyncgen.config.load import nearest
from asyncgen.config.schema import EndpointSpec, Job, condition_of
from asyncgen.core.clock import Clock
from asyncgen.core.errors import FailReason, InputError
from asyncgen.core.task import IMAGE_MARKER, Task
from asyncgen.core.types import Json
from asyncgen.endpoint.transport import Transport
from asyncgen.engine.kit import Kit, make_kit
from asyncgen.engine.requests import Server
from asyncgen.runs.changes import Config, Past, another_dataset, settle
from asyncgen.runs.output_file import check_output_file, output_note
from asyncgen.runs.place import output_directory
from asyncgen.runs.plan import Counts, Plan
from asyncgen.runs.reuse import Reuse, Takeover, check_reuse, taking_over
from asyncgen.runs.rules import RowSettings, rule_notes, selection_of
from asyncgen.runs.servers import Asked, targets_of
from asyncgen.runs.services import clashes
from asyncgen.runs.tasks import check_columns
from asyncgen.runs.toolset import NO_TOOLS, Toolset, shown_tools
from asyncgen.runs.verify import ledger
from asyncgen.store.card import REUSED_FROM, write_card
from asyncgen.store.events import read_events
from asyncgen.store.files import DISK, FileLayer
from asyncgen.store.journal import Adopted
from asyncgen.store.layout import RUN_FILE
from asyncgen.store.marks import Marks
from asyncgen.store.run_file import read_run, redact, write_run
from asyncgen.store.sides import Sides
from asyncgen.store.sink import FULL
from asyncgen.store.store import Store, unusable

if TYPE_CHECKING:
    from asyncgen.runs.acceptance import Condition
    from asyncgen.source.base import Selected, Source


@dataclass(frozen=True, kw_only=True)
class Options:
    """The flags of `run` that are no knobs."""

    accept_config_change: bool = False
    retry_failed: frozenset[str] = frozenset()
    """The reasons of failed episodes that are tried again."""
    reuse: Reuse | None = None
    """An older run whose good traces are taken over first."""

    def retry(self, reason: str) -> bool:
        """Whether an episode that failed for this reason is tried again."""
        return reason in self.retry_failed


def parse_reasons(text: str) -> frozenset[str]:
    """The value of `--retry-failed`: `""` for none, `all`, or reasons with commas between. Raises InputError."""
    if text == "all":
        return frozenset(FailReason)
    reasons = frozenset(part.strip() for part in text.split(",") if part.strip())
    for reason in sorted(reasons - frozenset(FailReason)):
        raise InputError(
            f"--retry-failed {reason!r}: no episode fails for that{nearest(reason, ['all', *map(str, FailReason)])}"
        )
    return reasons


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A run that may start."""

    job: Job
    task: Task
    kit: Kit
    directory: Path
    store: Store
    source: Source
    plan: Plan
    counts: Counts
    """Before the first request."""
    servers: Sequence[Server]
    config_id: str
    notes: Sequence[str]
    """Lines for the user: order, dropped rows, recovered shards."""
    settings: RowSettings
    """Of each row."""
    condition: Condition | None
    """`accept`; whoever executes the run closes it."""
    reuses: bool
    """The run took over traces of an older one."""


async def prepare(
    job: Job,
    task: Task,
    options: Options,
    *,
    transport: Transport,
    environ: Mapping[str, str],
    clock: Clock,
    files: FileLayer = DISK,
    toolset: Toolset = NO_TOOLS,
) -> Prepared:
    """Check all there is to check. `toolset`: what the job adds to the task's tools.

    Raises InputError, AccountError, DataError, TemporaryError.
    """
    directory = output_directory(job)
    _refuse_copy(directory)
    check_output_file(job, task, directory)
    reuse = check_reuse(directory, options.reuse)
    store = Store.open(
        directory,
        argv=redact(sys.argv),
        clock=clock,
        durability=job.store.durability,
        disk_wait=job.store.disk_wait,
        files=files,
    )
    try:
        return await _prepare(
            job, task, options, store, reuse, toolset, transport=transport, environ=environ, clock=clock
        )
    except BaseException as error:
        await store.discard()
        if isinstance(error, OSError) and error.errno in FULL:  # it can only be of the run directory
            raise unusable(directory, error) from error
        raise


def _refuse_copy(directory: Path) -> None:
    """What `filter`, `merge` or `rescore` wrote is complete as it is: no run goes on in it."""
    if (directory / RUN_FILE).exists() and (derived := read_run(directory).get("derived")):
        raise InputError(
            f"{directory} is a copy that asyncgen {derived['command']} made, and no run goes on in it; "
            "give another --output-dir"
        )


async def _prepare(
    job: Job,
    task: Task,
    options: Options,
    store: Store,
    reuse: Reuse | None,
    toolset: Toolset,
    *,
    transport: Transport,
    environ: Mapping[str, str],
    clock: Clock,
) -> Prepared:
    source, selected, task = _select(job, task)
    condition = _condition(job, task, source)
    kit = make_kit(task, toolset.tools)
    past, asked = _past(store), targets_of(job.endpoints, environ)
    plan = _plan(job, selected, store, options)
    counts = plan.counts()
    with ExitStack() as stack:
        takeover = stack.enter_context(taking_over(reuse, job, task, source.fingerprint, plan, past)) if reuse else None
        config = await settle(
            job,
            task,
            past,
            asked,
            schemas=kit.schemas,
            fingerprint=source.fingerprint,
            left=counts.left - (takeover.pending if takeover else 0),
            other_model=takeover.model if takeover else "",
            accept=options.accept_config_change,
            transport=transport,
        )
        write = partial(_write_run, job, task, store, source, config, past, takeover, clock)
        if takeover:
            write(_totals(job, source, selected, plan.total, counts), complete=False)
            await takeover.carry_out(clock)
            plan = _plan(job, selected, store, options)  # it reads which of the stored traces are accepted
            counts = plan.counts()
    reuses = write(_totals(job, source, selected, plan.total, counts), complete=True)
    begun = _begun(store.adopt_turns(config.config_id), plan)
    notes = [*_notes(job, store, selected), *_slips(job, task, source), *_changes(config), *begun, *_gone(store)]
    notes += another_dataset(past, config.shape, counts.done + counts.failed)
    notes += takeover.notes(config.shape) if takeover else ()
    notes += [*_other_marks(job, past, takeover), *output_note(job), *toolset.notes]
    return Prepared(
        job=replace(job, endpoints=tuple(map(_with_model, asked, config.models))),
        task=task,
        kit=kit,
        directory=store.directory,
        store=store,
        source=source,
        plan=plan,
        counts=counts,
        servers=[Server(target=one.target, model=model) for one, model in zip(asked, config.models, strict=True)],
        config_id=config.config_id,
        notes=notes,
        settings=RowSettings(job=job, rule_of=selected.rules),
        condition=condition,
        reuses=reuses,
    )


def _with_model(asked: Asked, model: str) -> EndpointSpec:
    return replace(asked.spec, model=model)


def _past(store: Store) -> Past:
    run = read_run(store.directory) if (store.directory / RUN_FILE).exists() else {}
    return Past(directory=store.directory, run=run, used=store.done.rollouts() | store.failed.rollouts())


def _select(job: Job, task: Task) -> tuple[Source, Selected, Task]:
    """The dataset, its rows that are wanted, and the task as such rows want it. Raises InputError."""
    from asyncgen.source.opening import open_source

    dataset = job.dataset
    source = open_source(dataset.path, split=dataset.split, image=task.image, image_root=dataset.image_root)
    task = task.fitted(source.columns)
    check_columns(task, source.columns, source.image_columns, source.path)
    selected = source.select(selection_of(job, task))
    if not source.rows:
        raise InputError(f"the dataset {source.path} has no rows; give one that has")
    if selected.filtered == source.rows:
        raise InputError(
            f"dataset.where {dataset.where!r} is true for none of the {source.rows} rows of {source.path}; "
            "give another condition"
        )
    if selected.filtered + sum(selected.left_out) == source.rows:
        raise InputError(f"the rules leave out every row of {source.path}; give another condition, or drop fewer")
    return source, selected, task


def _condition(job: Job, task: Task, source: Source) -> Condition | None:
    """What traces are marked by, checked. Raises InputError."""
    if job.condition is None:
        return None
    if job.condition != job.accept and "score" not in task.scores:
        raise InputError(f"stop_when: {job.stop_when} and no score named 'score': say with --accept SQL what is right")
    from asyncgen.runs.acceptance import Condition, kinds_of

    return Condition(job.condition, kinds_of(task, source.kinds))


def _plan(job: Job, selected: Selected, store: Store, options: Options) -> Plan:
    counting = job.condition is not None or job.stop_after_accepted is not None
    sides = Sides(store.directory) if job.stop_when else None
    return Plan(
        indexes=selected.indexes,
        rollouts=RowSettings(job=job, rule_of=selected.rules).rollouts(selected.indexes),
        store=store,
        retry=options.retry,
        until_accepted=job.until_accepted,
        stop_after_accepted=job.stop_after_accepted,
        choices=job.episode.choices,
        marks=Marks(store.directory) if counting else None,
        sides=sides,
    )


def _totals(job: Job, source: Source, selected: Selected, total: int, counts: Counts) -> dict[str, Json]:
    """What the job asks for: episodes, and what it takes of the dataset, in rows (`skipped` are episodes, `rollouts`
    is the job's own)."""
    selection = {
        "rows": source.rows,
        "filtered": selected.filtered + sum(selected.left_out),
        "selected": len(selected.indexes),
        "rollouts": job.episode.rollouts,
        "skipped": counts.skipped,
    }
    return {"total": total, "selection": selection}


def _write_run(
    job: Job,
    task: Task,
    store: Store,
    source: Source,
    config: Config,
    past: Past,
    takeover: Takeover | None,
    clock: Clock,
    totals: Mapping[str, Json],
    *,
    complete: bool,
) -> bool:
    """Whether the run takes over traces of another one. `complete`: it has all of them, and may begin."""
    from importlib.metadata import version

    from asyncgen.runs.acceptance import score_type

    configs = {**(takeover.configs if takeover else {}), **past.run.get("configs", {})}
    reused = takeover.noted(complete=complete) if takeover else past.run.get("reused")
    run = {
        "name": job.name,
        "task": job.task,
        "argv": sys.argv,
        "config": {**asdict(job), "tools": shown_tools(job.tools)},
        "config_id": config.config_id,
        "configs": {**configs, config.config_id: config.shape},
        "temperatures": list(config.temperatures),
        **totals,
        "dataset": {"path": source.path, "fingerprint": source.fingerprint, "rows": source.rows},
        "columns": list(task.columns),
        "scores": {key: type(value).__name__ for key, value in task.scores.items()},
        "versions": {name: version(name) for name in ("aiohttp", "numpy", "orjson", "pillow", "pyarrow")}
        | {"python": sys.version.split()[0]},
        **({"started": past.run["started"]} if "started" in past.run else {}),
        **({"reused": reused} if reused else {}),
    }
    write_run(store.directory, run, files=store.files, clock=clock)
    if complete and config.changes:
        store.events.write("config_change", config_id=config.config_id, changes=config.changes)
    types = {key: score_type(value) for key, value in task.scores.items()}
    headline = {name: types[key] for name, key in task.headline.items() if key in types}
    card = partial(write_card, name=job.name, score_types=types, files=store.files)
    more = {REUSED_FROM: str} if reused else {}
    card(store.directory, headline_types={**more, **headline})
    if job.schedule.partition or job.dataset.chunk_id is not None:
        pattern = "part-*" if job.schedule.partition else "chunk-*"
        card(store.directory.parent, headline_types={**more, **headline}, parts=pattern)
    return bool(reused)


def _changes(config: Config) -> list[str]:
    """What was accepted."""
    return [f"the configuration has changed: {'; '.join(config.changes)}"] if config.changes else []


def _gone(store: Store) -> list[str]:
    """Traces that earlier starts saved, and nobody took out."""
    gone, _ = ledger(read_events(store.directory), len(store.done))
    return [f"{gone:,} traces that were saved are gone: they are done again (asyncgen verify)"] if gone else []


def _begun(found: Adopted, plan: Plan) -> Iterator[str]:
    """What became of the episodes that earlier starts had under way."""
    if wanted := plan.wants(found.keys):
        yield f"{wanted:,} episodes were interrupted in their middle: they go on from there"
    if found.foreign:
        yield f"{found.foreign:,} episodes were interrupted under another configuration: they start over"
    if found.broken or found.bad_lines:
        yield (
            f"the journal is damaged ({found.bad_lines:,} lines, set aside in quarantine/): {found.broken:,} episodes "
            "start over, and turns may be asked for again"
        )


def _slips(job: Job, task: Task, source: Source) -> list[str]:
    """What is allowed, and yet seldom meant."""
    found = []
    given, rollouts = len(job.sampling.temperatures or ()), job.most_rollouts
    if given > rollouts:
        found.append(f"sampling.temperatures has {given} values, and rollouts is {rollouts}: the others are not used")
    if source.image_columns and type(task).prompt is Task.prompt and IMAGE_MARKER not in task.user:
        found.append(f"no picture is sent: the prompt has no <image> (image column: {', '.join(source.image_columns)})")
    found += clashes([one.base_url for one in job.endpoints], task.tools)
    remarks = [remark(source.columns) for one in task.rewards if (remark := getattr(one, "remark", None))]
    return found + [text for text in remarks if text]


def _other_marks(job: Job, past: Past, takeover: Takeover | None) -> Iterator[str]:
    """Traces keep the mark that they got: worth a line where it is by another condition."""
    if not past.known and takeover is None:
        return
    config = takeover.config if takeover else past.run.get("config", {})
    before = condition_of(config.get("accept"), config.get("stop_when"))
    if job.condition and before != job.condition:
        by = f"by accept {before!r}" if before else "without accept: all as accepted"
        yield (
            f"accept is another one now: the traces that there are keep their marks ({by}), and count by them; "
            "asyncgen filter DIR --where SQL -o OUT selects by any condition"
        )


def _notes(job: Job, store: Store, selected: Selected) -> list[str]:
    notes = [selected.note] if selected.note else []
    if selected.filtered:
        notes.append(f"{selected.filtered} rows left out by dataset.where")
    notes += rule_notes(job, selected)
    if store.recovered:
        kept = sum(one.lines for one in store.recovered)
        torn = sum(one.torn > 0 for one in store.recovered)
        notes.append(
            f"recovered {kept} lines of an interrupted start" + (f", {torn} torn ends in quarantine/" if torn else "")
        )
    return notes
