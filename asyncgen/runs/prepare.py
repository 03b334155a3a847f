"""Everything before the first request, in the promised order: task, LOCK, dataset, config diff, `GET /v1/models`.

Knows what must be true before a run may start; what fails here leaves no new directory behind.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncgen.config.load import nearest
from asyncgen.config.schema import Job
from asyncgen.core.clock import Clock
from asyncgen.core.errors import ConfigChanged, FailReason, InputError
from asyncgen.core.task import IMAGE_MARKER, Task
from asyncgen.core.types import Json
from asyncgen.endpoint.transport import Transport
from asyncgen.engine.kit import Kit, make_kit
from asyncgen.engine.requests import Server
from asyncgen.runs.place import output_directory
from asyncgen.runs.plan import Counts, Plan
from asyncgen.runs.rules import RowSettings, rule_notes, selection_of
from asyncgen.runs.servers import resolve_models, targets_of
from asyncgen.runs.shape import SEPARATOR, aligned, merged_temperatures, shape_of, stored_temperatures, temperatures_of
from asyncgen.runs.tasks import check_columns
from asyncgen.store.card import write_card
from asyncgen.store.files import DISK
from asyncgen.store.layout import RUN_FILE
from asyncgen.store.marks import Marks
from asyncgen.store.run_file import config_diff, digest, read_run, redact, write_run
from asyncgen.store.store import Store

if TYPE_CHECKING:
    from asyncgen.runs.acceptance import Condition
    from asyncgen.source.base import Selected, Source


@dataclass(frozen=True, kw_only=True)
class Options:
    """The flags of `run` that are no knobs."""

    accept_config_change: bool = False
    retry_failed: frozenset[str] = frozenset()
    """The reasons of failed episodes that are tried again."""

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


async def prepare(
    job: Job, task: Task, options: Options, *, transport: Transport, environ: Mapping[str, str], clock: Clock
) -> Prepared:
    """Check all there is to check. Raises InputError, AccountError, DataError, TemporaryError."""
    directory = output_directory(job)
    _refuse_copy(directory)
    store = Store.open(
        directory,
        argv=redact(sys.argv),
        clock=clock,
        durability=job.store.durability,
        disk_wait=job.store.disk_wait,
    )
    try:
        return await _prepare(job, task, options, store, transport=transport, environ=environ, clock=clock)
    except BaseException:
        await store.discard()
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
    *,
    transport: Transport,
    environ: Mapping[str, str],
    clock: Clock,
) -> Prepared:
    source, selected = _select(job, task)
    condition = _condition(job, task, source)
    kit = make_kit(task)
    past = read_run(store.directory) if (store.directory / RUN_FILE).exists() else {}
    latest = past.get("configs", {}).get(past.get("config_id"), {})
    known = latest if _has_traces(store) else {}
    if known and not options.accept_config_change:
        _refuse_another_name(past, job, store.directory)
    known_model = str(latest.get("model", ""))
    asked = targets_of(job.endpoints, environ)
    models = [one.spec.model or known_model for one in asked]
    shape: Mapping[str, Any] = shape_of(job, task, kit.schemas, models, source.fingerprint)
    before, now = stored_temperatures(past) if known else [], temperatures_of(job)
    if known and before:
        used = store.done.rollouts() | store.failed.rollouts()
        known, shape = aligned(known, shape, before=before, now=now, used=used)
    _accepted_changes(known, shape if all(models) else {**shape, "model": known_model}, past, options, store.directory)
    plan = _plan(job, selected, store, options)
    counts = plan.counts()
    if counts.left:
        single = "" if SEPARATOR in known_model else known_model
        models = await resolve_models(asked, transport, known=single, new=not known)
        shape = {**shape, "model": shape_of(job, task, (), models, "")["model"]}
        changes = _accepted_changes(known, shape, past, options, store.directory)
    else:  # nothing is left to do, so nothing changes: whatever was accepted, no trace is made with it
        changes, shape, now = [], latest if known else shape, before or now
    config_id = past["config_id"] if shape is latest else digest(shape)
    totals = {"total": plan.total, "selection": _selection(job, source, selected, counts)}
    _write_run(job, task, store, source, totals, (config_id, shape), merged_temperatures(before, now), past, clock)
    if changes:
        store.events.write("config_change", config_id=config_id, changes=changes)
    notes = [*_notes(job, store, selected), *_slips(job, task, source), *_another_dataset(known, shape, counts)]
    notes += _other_marks(job, past) if known else ()
    specs = [replace(one.spec, model=model) for one, model in zip(asked, models, strict=True)]
    return Prepared(
        job=replace(job, endpoints=tuple(specs)),
        task=task,
        kit=kit,
        directory=store.directory,
        store=store,
        source=source,
        plan=plan,
        counts=counts,
        servers=[Server(target=one.target, model=model) for one, model in zip(asked, models, strict=True)],
        config_id=config_id,
        notes=notes,
        settings=RowSettings(job=job, rule_of=selected.rules),
        condition=condition,
    )


def _select(job: Job, task: Task) -> tuple[Source, Selected]:
    from asyncgen.source.opening import open_source

    dataset = job.dataset
    source = open_source(dataset.path, split=dataset.split, image=task.image, image_root=dataset.image_root)
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
    return source, selected


def _condition(job: Job, task: Task, source: Source) -> Condition | None:
    """`accept`, checked. Raises InputError."""
    if job.condition is None:
        return None
    from asyncgen.runs.acceptance import Condition, kinds_of

    return Condition(job.condition, kinds_of(task, source.kinds))


def _plan(job: Job, selected: Selected, store: Store, options: Options) -> Plan:
    counting = job.condition is not None or job.stop_after_accepted is not None
    return Plan(
        indexes=selected.indexes,
        rollouts=RowSettings(job=job, rule_of=selected.rules).rollouts(selected.indexes),
        store=store,
        retry=options.retry,
        until_accepted=job.until_accepted,
        stop_after_accepted=job.stop_after_accepted,
        marks=Marks(store.directory) if counting else None,
    )


def _selection(job: Job, source: Source, selected: Selected, counts: Counts) -> dict[str, int]:
    """What the job takes of the dataset, in rows; `skipped` are episodes. `rollouts` is the job's own."""
    return {
        "rows": source.rows,
        "filtered": selected.filtered + sum(selected.left_out),
        "selected": len(selected.indexes),
        "rollouts": job.episode.rollouts,
        "skipped": counts.skipped,
    }


def _has_traces(store: Store) -> bool:
    return len(store.done) + len(store.failed) > 0


def _changes(known: Mapping[str, Any], shape: Mapping[str, Any], past: Mapping[str, Any]) -> list[str]:
    """What differs from the traces that there are, one line each. What is written as *** still has its digest."""
    if not known or digest(shape) == past["config_id"]:
        return []
    changes = config_diff(known, shape)
    if not changes:
        return ["a value whose key sounds like that of a secret (it is not stored, so it cannot be shown)"]
    return changes


def _refuse_another_name(past: Mapping[str, Any], job: Job, directory: Path) -> None:
    if past["name"] != job.name:
        raise ConfigChanged(
            f"the traces in {directory} are named {past['name']}/…, and this job's name is {job.name}: "
            "give another --output-dir, or --accept-config-change"
        )


def _another_dataset(known: Mapping[str, Any], shape: Mapping[str, Any], counts: Counts) -> list[str]:
    if not known or known["dataset"] == shape["dataset"]:
        return []
    text = (
        f"the dataset is another one: the {counts.done + counts.failed} episodes that count as done or failed were "
        "rows of the one before; give another --output-dir to do them again"
    )
    return [text]


def _accepted_changes(
    known: Mapping[str, Any],
    shape: Mapping[str, Any],
    past: Mapping[str, Any],
    options: Options,
    directory: Path,
) -> list[str]:
    """What `_changes` finds. Raises ConfigChanged where the user has not accepted that."""
    changes = _changes(known, shape, past)
    if changes and not options.accept_config_change:
        if known["task"] != shape["task"]:
            raise ConfigChanged(
                f"the traces in {directory} are of the task {known['task']}, and this job's task is {shape['task']}: "
                "give another --output-dir"
            )
        if known["dataset"] != shape["dataset"] and (was := past.get("dataset")):
            changes.append(f"(the dataset was {was['path']} with {was['rows']} rows; it is another, or has changed)")
        lines = "\n  ".join(changes)
        raise ConfigChanged(
            f"the configuration has changed since the traces in {directory} were made:\n  {lines}\n"
            "give another --output-dir, or --accept-config-change (traces keep their own config_id)"
        )
    return changes


def _write_run(
    job: Job,
    task: Task,
    store: Store,
    source: Source,
    totals: Mapping[str, Json],
    named_shape: tuple[str, Mapping[str, Any]],
    temperatures: Sequence[float],
    past: Mapping[str, Any],
    clock: Clock,
) -> None:
    from importlib.metadata import version

    from asyncgen.runs.acceptance import score_type

    config_id, shape = named_shape
    run = {
        "name": job.name,
        "task": job.task,
        "argv": sys.argv,
        "config": asdict(job),
        "config_id": config_id,
        "configs": {**past.get("configs", {}), config_id: shape},
        "temperatures": list(temperatures),
        **totals,
        "dataset": {"path": source.path, "fingerprint": source.fingerprint, "rows": source.rows},
        "columns": list(task.columns),
        "scores": {key: type(value).__name__ for key, value in task.scores.items()},
        "versions": {name: version(name) for name in ("aiohttp", "numpy", "orjson", "pillow", "pyarrow")}
        | {"python": sys.version.split()[0]},
    }
    if "started" in past:
        run["started"] = past["started"]
    write_run(store.directory, run, files=DISK, clock=clock)
    types = {key: score_type(value) for key, value in task.scores.items()}
    headline = {name: types[key] for name, key in task.headline.items() if key in types}
    write_card(store.directory, name=job.name, score_types=types, headline_types=headline, files=DISK)
    if job.schedule.partition:
        write_card(
            store.directory.parent, name=job.name, score_types=types, headline_types=headline, files=DISK, parts=True
        )


def _slips(job: Job, task: Task, source: Source) -> list[str]:
    """What is allowed, and yet seldom meant."""
    found = []
    given, rollouts = len(job.sampling.temperatures or ()), job.most_rollouts
    if given > rollouts:
        found.append(f"sampling.temperatures has {given} values, and rollouts is {rollouts}: the others are not used")
    if source.image_columns and type(task).prompt is Task.prompt and IMAGE_MARKER not in task.user:
        found.append(f"no picture is sent: the prompt has no <image> (image column: {', '.join(source.image_columns)})")
    return found


def _other_marks(job: Job, past: Mapping[str, Any]) -> Iterator[str]:
    """Traces keep the mark that they got: worth a line where it is by another condition."""
    before = past.get("config", {}).get("accept")
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
