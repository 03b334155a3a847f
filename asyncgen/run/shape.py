"""What shapes the text of traces, and so makes them alike: the thing that `config_id` is the digest of.

Knows what belongs to it: model, sampling, task and options, prompts, tool schemas, turn limits, image limits, the
dataset's fingerprint. Paths, endpoints, selection, numbers, rollouts and rewards do not, nor do temperatures that are
added for more rollouts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from asyncgen.config.schema import Job
from asyncgen.core.task import Task
from asyncgen.core.types import Json

SEPARATOR = ", "
"""Between the models of endpoints that do not all serve the same."""


def shape_of(
    job: Job, task: Task, schemas: Sequence[Mapping[str, Json]], models: Sequence[str], fingerprint: str
) -> dict[str, Json]:
    """Nested, JSON-ready; order and spacing do not matter to the digest. Task fields with the metadata
    `{"shapes_text": False}` are not in it.
    """
    return {
        "model": SEPARATOR.join(sorted(set(models))),
        "sampling": asdict(job.sampling),
        "task": job.task.rsplit("/", 1)[-1],
        "task_options": {
            one.name: getattr(task, one.name)
            for one in fields(task)
            if one.init and one.metadata.get("shapes_text", True)
        },
        "tools": list(schemas),
        "episode": {
            "max_turns": job.episode.max_turns,
            "final_turn": job.episode.final_turn,
            "max_pixels": job.episode.max_pixels,
            "max_image_pixels": job.episode.max_image_pixels,
        },
        "dataset": fingerprint,
    }


def given_temperatures(past: Mapping[str, Any]) -> list[float]:
    """The temperature of each rollout by a run file; `[]` where it is the server's own."""
    config = past.get("config", {})
    sampling = config.get("sampling", {})
    if given := sampling.get("temperatures"):
        return list(given)
    one = sampling.get("temperature")
    return [] if one is None else [one] * config.get("episode", {}).get("rollouts", 1)


def keep_temperatures(shape: dict[str, Json], known: Mapping[str, Any], *, given: Sequence[float]) -> dict[str, Json]:
    """`shape` with the temperatures of `known` where its own only go on from those that were `given` last: more
    rollouts change no trace that there is, nor its `config_id`.
    """
    new = shape["sampling"]["temperatures"]
    if not known or not given or not new or list(new[: len(given)]) != list(given):
        return shape
    return {**shape, "sampling": {**shape["sampling"], "temperatures": known["sampling"]["temperatures"]}}


def sampling_of(job: Job, rollout: int) -> dict[str, Any]:
    """The request's sampling fields for rollout k: its own temperature, seed + k."""
    sampling = job.sampling
    body: dict[str, Any] = {
        "temperature": sampling.temperatures[rollout] if sampling.temperatures else sampling.temperature,
        "max_tokens": sampling.max_tokens,
    }
    if sampling.top_p is not None:
        body["top_p"] = sampling.top_p
    if sampling.seed is not None:
        body["seed"] = sampling.seed + rollout
    return {**body, **sampling.extra_body}
