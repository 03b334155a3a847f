"""The config of a start, against that of the traces that its directory has: what may differ, and the refusal's words.

Knows shapes of configs (`shape`) and run files. Writes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asyncgen.config.schema import Job
from asyncgen.core.errors import ConfigChanged
from asyncgen.core.task import Task
from asyncgen.core.types import Json
from asyncgen.endpoint.transport import Transport
from asyncgen.runs.servers import Asked, resolve_models
from asyncgen.runs.shape import SEPARATOR, aligned, merged_temperatures, shape_of, stored_temperatures, temperatures_of
from asyncgen.store.run_file import config_diff, digest


@dataclass(frozen=True, kw_only=True)
class Past:
    """What a directory says of the starts before."""

    directory: Path
    run: Mapping[str, Any]
    """Its run file; empty where there is none."""
    used: Collection[int]
    """Rollouts of which there is a trace or a failure."""

    @property
    def latest(self) -> Mapping[str, Any]:
        """The shape of the latest start; empty where there was none."""
        return dict(self.run.get("configs", {}).get(self.run.get("config_id"), {}))

    @property
    def known(self) -> Mapping[str, Any]:
        """The same where there are traces or failures: what must not change."""
        return self.latest if self.used else {}


@dataclass(frozen=True, kw_only=True)
class Config:
    """Of one start."""

    models: Sequence[str]
    """By endpoint; `""` where nobody needed to know."""
    shape: Mapping[str, Json]
    config_id: str
    """The shape's digest."""
    temperatures: Sequence[float]
    """By rollout, those of rollouts that earlier starts asked for too."""
    changes: Sequence[str]
    """What is otherwise than before, and accepted."""


async def settle(
    job: Job,
    task: Task,
    past: Past,
    asked: Sequence[Asked],
    *,
    schemas: Sequence[Mapping[str, Json]],
    fingerprint: str,
    left: int,
    other_model: str,
    accept: bool,
    transport: Transport,
) -> Config:
    """The config; servers are asked for their models where anything is `left` to do. `fingerprint`: the dataset's.
    `other_model`: for the shape of a start without anything to do that nobody told the model.

    Raises ConfigChanged where there is another one in the directory and the user did not `accept` that; InputError,
    AccountError.
    """
    known: Mapping[str, Any] = past.known
    if known and not accept:
        _refuse_another_name(past, job.name)
        _refuse_other_scores(past, task)
    known_model = str(past.latest.get("model", ""))
    models = [one.spec.model or known_model for one in asked]
    shape: Mapping[str, Any] = shape_of(job, task, schemas, models, fingerprint)
    before, now = stored_temperatures(past.run) if known else [], temperatures_of(job)
    if known and before:
        known, shape = aligned(known, shape, before=before, now=now, used=past.used)
    if not all(models):
        shape = {**shape, "model": known_model or other_model}
    changes = _accepted(known, shape, past, accept=accept)
    if left:
        single = "" if SEPARATOR in known_model else known_model
        models = await resolve_models(asked, transport, known=single, new=not known)
        shape = {**shape, "model": shape_of(job, task, (), models, "")["model"]}
        changes = _accepted(known, shape, past, accept=accept)
    elif known:  # nothing changes: whatever was accepted, no trace is made with it
        return Config(
            models=models,
            shape=past.latest,
            config_id=past.run["config_id"],
            temperatures=merged_temperatures(before, before or now),
            changes=[],
        )
    return Config(
        models=models,
        shape=shape,
        config_id=digest(shape),
        temperatures=merged_temperatures(before, now),
        changes=changes,
    )


def _accepted(known: Mapping[str, Any], shape: Mapping[str, Any], past: Past, *, accept: bool) -> list[str]:
    """What differs from the traces that there are, one line each. Raises ConfigChanged where that is not accepted."""
    changes = _differences(known, shape, past)
    if changes and not accept:
        if known["task"] != shape["task"]:
            raise ConfigChanged(
                f"the traces in {past.directory} are of the task {known['task']}, and this job's task is "
                f"{shape['task']}: give another --output-dir"
            )
        if known["dataset"] != shape["dataset"] and (was := past.run.get("dataset")):
            changes.append(f"(the dataset was {was['path']} with {was['rows']} rows; it is another, or has changed)")
        lines = "\n  ".join(changes)
        raise ConfigChanged(
            f"the configuration has changed since the traces in {past.directory} were made:\n  {lines}\n"
            "give another --output-dir (--reuse takes good traces along), or --accept-config-change (traces keep their "
            "own config_id)"
        )
    return changes


def _differences(known: Mapping[str, Any], shape: Mapping[str, Any], past: Past) -> list[str]:
    """What is written as *** still has its digest."""
    if not known or digest(shape) == past.run["config_id"]:
        return []
    changes = config_diff(known, shape)
    if not changes:
        return ["a value whose key sounds like that of a secret (it is not stored, so it cannot be shown)"]
    return changes


def _refuse_another_name(past: Past, name: str) -> None:
    if past.run["name"] != name:
        raise ConfigChanged(
            f"the traces in {past.directory} are named {past.run['name']}/…, and this job's name is {name}: "
            "give another --output-dir, or --accept-config-change"
        )


def _refuse_other_scores(past: Past, task: Task) -> None:
    """An option that adds a score changes no text, and yet the traces of a run have the same keys."""
    its = past.run.get("scores", {})
    if its and its.keys() != task.scores.keys():
        raise ConfigChanged(
            f"the traces in {past.directory} have the scores {', '.join(its)}, and this start's would have "
            f"{', '.join(task.scores)}: give another --output-dir, or --accept-config-change"
        )


def another_dataset(past: Past, shape: Mapping[str, Any], finished: int) -> list[str]:
    """A line where rows of another dataset count; `finished`: episodes that are done or failed."""
    if not past.known or past.known["dataset"] == shape["dataset"]:
        return []
    text = (
        f"the dataset is another one: the {finished} episodes that count as done or failed were "
        "rows of the one before; give another --output-dir to do them again"
    )
    return [text]
