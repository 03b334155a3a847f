"""What shapes the text of traces, and so makes them alike: the thing that `config_id` is the digest of.

Knows what belongs to it: model, sampling, task and options, prompts, tool schemas, turn limits, image limits, the
dataset's fingerprint. Paths, endpoints, selection, numbers, rollouts and rewards do not.
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
    """Nested, JSON-ready; order and spacing do not matter to the digest."""
    return {
        "model": SEPARATOR.join(sorted(set(models))),
        "sampling": asdict(job.sampling),
        "task": job.task.rsplit("/", 1)[-1],
        "task_options": {one.name: getattr(task, one.name) for one in fields(task) if one.init},
        "tools": list(schemas),
        "episode": {
            "max_turns": job.episode.max_turns,
            "final_turn": job.episode.final_turn,
            "max_pixels": job.episode.max_pixels,
            "max_image_pixels": job.episode.max_image_pixels,
        },
        "dataset": fingerprint,
    }


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
