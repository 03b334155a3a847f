"""One score out of those that stand before it.

Knows weights. Does not know what is weighed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal, TypeAlias

from asyncgen.core.errors import InputError
from asyncgen.core.trace import Trace
from asyncgen.core.types import Context, Sample, Scores

Variant: TypeAlias = Literal["accuracy", "length", "judge"]
VARIANTS: Final[Mapping[str, Mapping[str, float]]] = {
    "accuracy": {"accuracy": 1.0},
    "length": {"format": 1.0, "accuracy": 1.0, "length": 1.0},
    "judge": {"format": 1.0, "accuracy": 2.0, "judge": 1.0},
}
"""`length` (at most 2.5) and `judge` (at most 3.5) are SeekWorld's two totals; its 0.5 is in `format` already."""


@dataclass(frozen=True)
class TotalReward:
    """`score`: the weighted sum of scores that earlier rewards of the list gave (`trace.reward_score`)."""

    variant: Variant = "accuracy"
    weights: Mapping[str, float] = field(default_factory=dict[str, float])
    """Score → weight; beats `variant`."""

    failure: ClassVar[Scores] = {"score": 0.0}
    """A task's `scores`."""
    without_answer: ClassVar[bool] = True
    """Without an answer, too, there may be something to add."""

    def __post_init__(self) -> None:
        """Raises InputError for a variant that there is not, or a weight that is no number."""
        if self.variant not in VARIANTS:
            raise InputError(f"total: variant {self.variant!r}: give {', '.join(VARIANTS)}, or weights")
        for name, weight in self.weights.items():
            if not math.isfinite(weight):
                raise InputError(f"total: the weight of {name} is {weight!r}: give a number")

    @property
    def parts(self) -> Mapping[str, float]:
        """Score → weight."""
        return self.weights or VARIANTS[self.variant]

    def __call__(self, context: Context, sample: Sample, trace: Trace) -> Scores:  # noqa: ARG002  # a reward's signature
        """`score`. A part that nobody has given is 0, and so is one that is a text."""
        given = trace.reward_score
        amounts = ((given.get(name, 0.0), weight) for name, weight in self.parts.items())
        return {"score": sum(weight * float(amount) for amount, weight in amounts if not isinstance(amount, str))}
