"""What the endpoint says next: turn the picture, look closer, or answer. Pure: the same conversation, the same reply.

Knows when a match is weak, and how to say what it found.
Knows nothing of HTTP, nor how a picture is matched: it asks `Eyes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import orjson

from asyncgen.core.types import Json
from asyncgen.embedded.conversation import ROTATE, ZOOM, Call, Conversation, Seen, rotation
from asyncgen.embedded.matcher import Match, Near
from asyncgen.embedded.pictures import Shot, centre_box

WEAK = 0.94
"""NCC below which another orientation is tried: 75 % of the right ones score higher, 95 % of the wrong ones lower."""
CLOSE_ENOUGH = 0.85
"""NCC from which the place of a closer look replaces the first one."""
WIDE = 12.0
"""Degrees from which a closer look is worth a turn: a narrower crop is below the map's resolution."""
VERY_WIDE = 18.0
"""Degrees from which the middle third is looked at; below, the middle half."""
DETAIL = 0.6
"""Grey levels a step (see `pictures.detail`) below which the middle shows nothing more."""
RADIUS = 0.12
"""How far the first place may be off, as a share of its span."""


class Eyes(Protocol):
    """How the policy looks at a picture."""

    def match(self, shot: Shot, *, turn: int = 0, near: Near | None = None) -> Match:
        """The place of a picture, once turned by `turn` degrees counter-clockwise."""

    def centre_detail(self, shot: Shot, share: float) -> float:
        """How much the middle of a picture shows."""


@dataclass(frozen=True)
class Reply:
    """What the assistant says."""

    content: str
    reasoning: str
    call: Call | None = None
    """A native call."""


def decide(conversation: Conversation, eyes: Eyes) -> Reply:
    """The next reply. BadPicture when a picture turns out to be damaged."""
    if not conversation.seen:
        return Reply(
            "I see no picture. This endpoint matches pictures against a world map; it is not a language model.",
            "There is no image_url in the user messages.",
        )
    tried = [(one, eyes.match(one.shot)) for one in conversation.seen if one.share == 1]
    upright, first = max(tried, key=lambda pair: pair[1].score)
    notes = [f"Turned by {one.angle}°: {_place(match)}, score {match.score:.3f}." for one, match in tried]
    if first.score < WEAK and (angle := _untried(conversation)) is not None:
        return _turn(conversation, angle, first, notes)
    closer = [one for one in conversation.seen if one.share < 1]
    if not closer and (share := _zoom_share(conversation, first, eyes)):
        return _zoom(conversation, share, first, notes)
    if closer:
        return _answer_closer(closer[-1], upright, first, eyes, notes)
    return _answer(first, upright, notes)


def _untried(conversation: Conversation) -> int | None:
    """The next angle of the first picture that was neither seen nor asked for."""
    if ROTATE not in conversation.tools:
        return None
    known = {one.angle for one in conversation.seen}
    calls = [rotation(arguments) for name, arguments in conversation.asked if name == ROTATE]
    if conversation.current:
        # What is left to ask follows from what was seen, but a tool that keeps failing is not asked for ever.
        known |= {0, 90, 180, 270} if len(calls) >= 3 else set()
    else:
        known |= {angle for angle in calls if angle is not None}
    return next((angle for angle in (90, 180, 270) if angle not in known), None)


def _zoom_share(conversation: Conversation, first: Match, eyes: Eyes) -> float:
    """How much of the middle to look at more closely; 0 = a closer look would not help, or was asked for already."""
    if ZOOM not in conversation.tools or any(name == ZOOM for name, _ in conversation.asked) or first.span < WIDE:
        return 0.0
    share = 1 / 3 if first.span >= VERY_WIDE else 1 / 2
    return share if eyes.centre_detail(conversation.base.shot, share) >= DETAIL else 0.0


def _turn(conversation: Conversation, angle: int, first: Match, notes: list[str]) -> Reply:
    notes.append(f"The best score is below {WEAK}: the picture may be turned. Try {angle}°.")
    said = f"The best match so far is weak (score {first.score:.3f}), so I look at the picture turned by {angle}°."
    return _ask(conversation, said, notes, (ROTATE, {"angle": (angle - conversation.base.angle) % 360}))


def _zoom(conversation: Conversation, share: float, first: Match, notes: list[str]) -> Reply:
    base = conversation.base.shot
    size = conversation.frame_size
    box = centre_box(size or base.width, size or base.height, share)
    corners = [round(corner, 4) if size == 1 else round(corner) for corner in box]
    notes.append(f"The picture is about {first.span:.0f}° wide: look closer at {share:.2f} of it around the centre.")
    said = f"The {_terrain(first)} fits around {_place(first)}; a closer look at the centre will tell more exactly."
    return _ask(conversation, said, notes, (ZOOM, {"bbox_2d": corners, "label": "centre"}))


def _ask(conversation: Conversation, said: str, notes: list[str], call: Call) -> Reply:
    if conversation.native:
        return Reply(said, " ".join(notes), call)
    written = orjson.dumps({"name": call[0], "arguments": call[1]}).decode()
    return Reply(f"{said}\n<tool_call>\n{written}\n</tool_call>", " ".join(notes))


def _answer_closer(closer: Seen, upright: Seen, first: Match, eyes: Eyes, notes: list[str]) -> Reply:
    """Answer with the place of the closer look, if it fits where the first one was."""
    near = Near(first.lat, first.lon, first.span * closer.share, first.span * RADIUS)
    match = eyes.match(closer.shot, turn=(upright.angle - closer.angle) % 360, near=near)
    notes.append(f"The closer look: {_place(match)}, score {match.score:.3f}.")
    if match.score < CLOSE_ENOUGH:
        notes.append("That is no better, so the first place stays.")
        return _answer(first, upright, notes)
    return _answer(match, upright, notes, closer=True)


def _answer(match: Match, upright: Seen, notes: list[str], *, closer: bool = False) -> Reply:
    turned = f", with the picture turned by {upright.angle}°" if upright.angle else ""
    look = " on a closer look" if closer else ""
    sure = "" if match.score >= WEAK or closer else " That is a weak match: take it as a guess."
    notes.append(f"The centre is at {_place(match)}.")
    return Reply(
        f"The {_terrain(match)} matches the map best at {_place(match)}{look} (score {match.score:.3f}, "
        f"about {match.span:.0f}° wide{turned}).{sure}\n\n\\boxed{{{match.lat:.4f}, {match.lon:.4f}}}",
        " ".join(notes),
    )


def _terrain(match: Match) -> str:
    """What the map shows there, in a word."""
    if match.land > 0.9:
        return "land"
    if match.land < 0.03:
        return "sea floor"
    return "coastline" if match.land > 0.25 else "sea with some land"


def _place(match: Match) -> str:
    north = f"{abs(match.lat):.2f}° {'N' if match.lat >= 0 else 'S'}"
    return f"{north}, {abs(match.lon):.2f}° {'E' if match.lon >= 0 else 'W'}"


def token_count(conversation: Conversation) -> int:
    """An estimate of the prompt's tokens: four characters or 28 x 28 pixels each."""
    pixels = sum(one.shot.width * one.shot.height for one in conversation.seen)
    return conversation.characters // 4 + pixels // 784


def arguments_text(arguments: Mapping[str, Json]) -> str:
    """A call's arguments as the JSON string of the protocol."""
    return orjson.dumps(arguments).decode()
