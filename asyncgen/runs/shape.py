"""What shapes the text of traces, and so makes them alike: the thing that `config_id` is the digest of.

Knows what belongs to it: model, sampling, task and options, prompts, tool schemas, turn limits, image limits, the
dataset's fingerprint, and what of the rules sets those. Paths, endpoints, selection, numbers, rollouts and rewards do
not, nor do temperatures of rollouts that have no traces yet.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from asyncgen.config.schema import Job, Rule
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
            **({"max_context": job.episode.max_context} if job.episode.max_context is not None else {}),
        },
        "dataset": fingerprint,
        **_rules_shape(job.rules),
    }


SHAPING = ("max_turns", "temperature", "max_tokens")
"""Members of a rule that shape the text of a trace."""


def _rules_shape(rules: Sequence[Rule]) -> dict[str, Json]:
    """What of the rules shapes text, nothing where they do not: which rows are done, and how often, does not. Nor do
    rules after the last one that does: their rows have the job's own settings, as those that no rule takes. By
    condition, so that a diff names the rule whatever its number is; and the conditions in their order."""
    kept: dict[str, dict[str, Json]] = {}
    for rule in rules:
        if not rule.drop and rule.where not in kept:  # of two with one condition the second takes nothing
            kept[rule.where] = {name: value for name in SHAPING if (value := getattr(rule, name)) is not None}
    while kept and not kept[last := next(reversed(kept))]:
        del kept[last]
    return {"rules": {"order": list(kept), "where": kept}} if kept else {}


def temperatures_of(job: Job) -> list[float]:
    """The temperature of each rollout."""
    return [sampling_of(job, rollout)["temperature"] for rollout in range(job.most_rollouts)]


def stored_temperatures(past: Mapping[str, Any]) -> list[float]:
    """The temperature of each rollout by a run file, also of one that does not list them."""
    if listed := past.get("temperatures"):
        return list(listed)
    config = past.get("config", {})
    sampling = config.get("sampling", {})
    one = sampling.get("temperature")
    given = sampling.get("temperatures") or ([] if one is None else [one])
    return given if len(given) > 1 else given * config.get("episode", {}).get("rollouts", 1)


def merged_temperatures(before: Sequence[float], now: Sequence[float]) -> list[float]:
    """Those of `now`, and of the rollouts that this start leaves out those of `before`."""
    return [*now, *before[len(now) :]]


def same_temperatures(before: Sequence[float], now: Sequence[float], used: Collection[int]) -> bool:
    """Whether the rollouts that have traces (`used`) keep the temperatures they were made with. More rollouts, or
    fewer, change no trace that there is.
    """
    return all(one == other for k, (one, other) in enumerate(zip(before, now, strict=False)) if k in used)


def spelled_out(shape: Mapping[str, Json], temperatures: Sequence[float], *, one_by_one: bool) -> dict[str, Json]:
    """`shape` with a temperature for each rollout, or with the one that all have."""
    each = list(temperatures) if one_by_one else None
    return _with_temperatures(shape, {"temperature": temperatures[0], "temperatures": each})


def aligned(
    known: Mapping[str, Json],
    shape: Mapping[str, Json],
    *,
    before: Sequence[float],
    now: Sequence[float],
    used: Collection[int],
) -> tuple[Mapping[str, Json], Mapping[str, Json]]:
    """Both shapes, with temperatures that differ only where a rollout that has traces would get another one."""
    if same_temperatures(before, now, used):
        kept = {name: known["sampling"][name] for name in ("temperature", "temperatures")}
        return known, _with_temperatures(shape, kept)
    merged = merged_temperatures(before, now)
    one_by_one = len({*before}) > 1 or len({*merged}) > 1
    return spelled_out(known, before, one_by_one=one_by_one), spelled_out(shape, merged, one_by_one=one_by_one)


def _with_temperatures(shape: Mapping[str, Json], given: Mapping[str, Json]) -> dict[str, Json]:
    return {**shape, "sampling": {**shape["sampling"], **given}}


def sampling_of(job: Job, rollout: int, rule: Rule | None = None) -> dict[str, Any]:
    """The request's sampling fields for rollout k of a row that `rule` takes: its own temperature, seed + k."""
    sampling = job.sampling
    body: dict[str, Any] = {
        "temperature": sampling.temperatures[rollout] if sampling.temperatures else sampling.temperature,
        "max_tokens": sampling.max_tokens,
    }
    if rule is not None:
        body |= {name: value for name in body if (value := getattr(rule, name)) is not None}
    if sampling.top_p is not None:
        body["top_p"] = sampling.top_p
    if sampling.seed is not None:
        body["seed"] = sampling.seed + rollout
    return {**body, **sampling.extra_body}
