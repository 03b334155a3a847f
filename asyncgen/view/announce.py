"""What is said before the first request: what there is to do, whom it is asked of, and what it may cost.

Knows how a prepared run is put in words. Prints nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from asyncgen.runs.rules import most_tokens

if TYPE_CHECKING:
    from asyncgen.runs.plan import Plan
    from asyncgen.runs.prepare import Prepared


def announcement(prepared: Prepared) -> Iterator[str]:
    """Lines for the user."""
    job, plan, counts = prepared.job, prepared.plan, prepared.counts
    yield from prepared.notes
    yield (
        f"{job.name}: {len(plan.indexes)} of {prepared.source.rows} samples x {_rollouts(plan)} rollouts "
        f"= {plan.total} episodes: {counts.done} done, {counts.failed} failed, {counts.left} left"
        + (f", {counts.skipped} not needed" if counts.skipped else "")
        + f" -> {prepared.directory}"
    )
    if counts.left:
        models = ", ".join(dict.fromkeys(server.model for server in prepared.servers))
        yield (
            f"model {models} at {', '.join(server.target.name for server in prepared.servers)}; "
            f"config {prepared.config_id}; at most {counts.left * most_tokens(job):,} tokens to generate"
        )


def _rollouts(plan: Plan) -> str:
    """Of every row, or from the fewest to the most of one."""
    if isinstance(plan.rollouts, int):
        return str(plan.rollouts)
    fewest, most = (plan.rollouts.min(), plan.rollouts.max()) if len(plan.rollouts) else (0, 0)
    return str(fewest) if fewest == most else f"{fewest} to {most}"
