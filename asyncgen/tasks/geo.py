"""The geo jobs: where was this photo taken? With and without tools to look closer.

Written with the public API only, like any user's task file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from asyncgen import (
    Context,
    GeoReward,
    Message,
    Sample,
    Scores,
    Task,
    Trace,
    Turn,
    geo_answer,
    image_rotate_tool,
    image_zoom_in_tool,
)

SYSTEM = r"""You are an expert in geography who finds out where photos were taken.
Look for clues and weigh them, for example:
- landscape, terrain, vegetation, climate, the position of the sun
- buildings, roofs, materials, street furniture, utility poles
- road markings, signs, licence plates, the side of the road that cars drive on
- languages and scripts, shop names, flags, clothing
Reason step by step from the clues to a continent, a country, a region, a place.
Then give your best estimate in decimal degrees as \boxed{latitude, longitude}.
For example: \boxed{-33.8568, 151.2153}"""

USER = "Where was this photo taken? Work out its latitude and longitude.\n<image>"

TOOLS_SYSTEM = (
    "You are a helpful assistant who finds out where photos were taken, and who looks closely before answering."
)

TOOLS_USER = r"""<image>
Where was this photo taken? Consider landscape and vegetation, buildings and streets, signs and languages, vehicles
and road markings. Look closer where it helps. When you are sure enough, give your answer in decimal degrees as
$\boxed{latitude, longitude}$."""

TOOL_HINT = (
    "Use the tools actively: zoom in on signs, text, plates and other details that are too small to read, and rotate a "
    "picture that is not upright, before you answer."
)

NUDGE = r"Go on: call a tool if you need a closer look, or give your answer as $\boxed{latitude, longitude}$."


def geo_scores(context: Context, sample: Sample, trace: Trace) -> Scores:
    """Distance and what follows from it, on the task's scale."""
    return GeoReward(scale_km=context.task.scale_km)(context, sample, trace)


@dataclass(frozen=True)
class Geo(Task):
    """One turn: a photo in, coordinates out."""

    system: str = SYSTEM
    user: str = USER
    final_user: str = r"Give your best estimate now, as \boxed{latitude, longitude} in decimal degrees."
    scale_km: float = field(default=1492.7, metadata={"shapes_text": False})
    """Of the score exp(-distance / scale); 1491.6862 is the other public constant."""

    rewards: ClassVar = (geo_scores,)
    scores: ClassVar = GeoReward.failure
    headline: ClassVar = {"parse_success": "parse_success", "distance_km": "distance@km", "score": "score"}
    columns: ClassVar = ("lat", "lon")
    difficulty: ClassVar = "locatability_score"

    def __post_init__(self) -> None:
        """A scale that gives no score is refused before the first request."""
        GeoReward(scale_km=self.scale_km)

    def check(self, sample: Sample) -> None:
        """A photo without a place cannot be scored."""
        GeoReward().place(sample.data)

    def answer(self, text: str) -> str:
        """The last box, or another explicit form, as `lat, lon`."""
        return geo_answer(text)

    def final_answer(self, text: str) -> str:
        """Any two decimal numbers near the end count now."""
        return geo_answer(text, lenient=True)


@dataclass(frozen=True)
class GeoTools(Geo):
    """Several turns: the model may zoom into the photo and rotate it."""

    system: str = TOOLS_SYSTEM
    user: str = TOOLS_USER
    tool_hint: str = TOOL_HINT
    nudge: str = NUDGE
    """What to say after a turn with neither a call nor an answer; empty: the episode ends there."""

    tools: ClassVar = (image_zoom_in_tool, image_rotate_tool)

    def reply(self, sample: Sample, turns: Sequence[Turn]) -> Sequence[Message] | None:  # noqa: ARG002  # the same for all
        """Ask to go on."""
        return [Message("user", self.nudge)] if self.nudge else None
