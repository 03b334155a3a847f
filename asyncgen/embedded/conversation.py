"""What the endpoint knows of a conversation: read anew from the messages of each request, for it keeps nothing.

Knows the OpenAI chat form, native and text tool calls, and which turn or zoom each later picture is.
Knows nothing of the map, nor of what to say next.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

import orjson

from asyncgen.core.types import Json
from asyncgen.embedded.pictures import BadPicture, Shot, centre_box, read_shot

ROTATE = "image_rotate_tool"
ZOOM = "image_zoom_in_tool"

Call = tuple[str, Mapping[str, Json]]
"""A tool's name and its arguments."""

_TEXT_CALL = re.compile(r"<tool_call>\s*(\{.*?\})\s*</tool_call>", re.DOTALL)
_TEXT_RESULT = re.compile(r"<tool_response>.*?</tool_response>", re.DOTALL)
_SCHEMAS = re.compile(r"<tools>(.*?)</tools>", re.DOTALL)


class BadRequest(ValueError):
    """The request cannot be answered as it is; `str()` is for the one who sent it."""


@dataclass(frozen=True)
class Seen:
    """A picture of the conversation."""

    shot: Shot
    angle: int = 0
    """How far it is turned from the first picture: 0, 90, 180, 270 degrees counter-clockwise."""
    share: float = 1.0
    """The share of the first picture's sides that it shows, around the same centre; 1 = all of it."""


@dataclass(frozen=True)
class Conversation:
    """All that the policy decides by."""

    seen: tuple[Seen, ...] = ()
    """The first picture, then each tool result whose place is known."""
    asked: tuple[Call, ...] = ()
    """The calls made so far, also those that failed."""
    tools: frozenset[str] = frozenset()
    """The tools that may be called now."""
    native: bool = True
    """Calls go in `tool_calls`; False: as `<tool_call>` in the text."""
    frame_size: float = 0.0
    """Coordinates are 0 to this (1 or 1000); 0 = pixels."""
    current: bool = False
    """Tools work on the latest picture; False: on the first."""
    characters: int = 0
    """Of all texts, for the token count."""

    @property
    def base(self) -> Seen:
        """The picture that a tool would work on."""
        return self.seen[-1 if self.current else 0]


def read_conversation(body: Mapping[str, Json]) -> Conversation:
    """Read a chat request. BadRequest for one that is malformed or has a picture that cannot be read."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
        raise BadRequest("messages must be a non-empty list of objects")
    native = bool(body.get("tools"))
    schemas = orjson.dumps(body.get("tools")).decode() if native else _tools_shown(messages)
    frame_size = _frame_size(schemas)
    current = "current picture" in schemas
    seen, asked = _follow(messages, frame_size, current=current)
    may_call = body.get("tool_choice") != "none" and (native or not _must_answer(messages))
    return Conversation(
        seen=tuple(seen),
        asked=tuple(asked),
        tools=frozenset(name for name in (ROTATE, ZOOM) if may_call and f'"{name}"' in schemas),
        native=native,
        frame_size=frame_size,
        current=current,
        characters=len(schemas) * native + sum(len(_text(message)) for message in messages),
    )


def _tools_shown(messages: Sequence[Mapping[str, Json]]) -> str:
    """The schemas in the system prompt, if it teaches tool calls in the text."""
    system = "\n".join(_text(message) for message in messages if message.get("role") == "system")
    if "<tool_call>" not in system:
        return ""
    shown = _SCHEMAS.search(system)
    return shown[1] if shown else system


def _frame_size(schemas: str) -> float:
    """The unit of coordinates, from the words of the schemas."""
    if re.search(r"\b0\s*(?:-|–|to)\s*1000\b", schemas):
        return 1000.0
    return 1.0 if re.search(r"\b0\s*(?:-|–|to)\s*1(?:\.0)?\b(?!\.)", schemas) else 0.0


def _follow(
    messages: Sequence[Mapping[str, Json]], frame_size: float, *, current: bool
) -> tuple[list[Seen], list[Call]]:
    """The pictures with their places, and the calls. A call that failed has brought no picture."""
    seen: list[Seen] = []
    asked: list[Call] = []
    pending: list[Call] = []
    for message in messages:
        if message.get("role") == "assistant":
            pending = list(_calls(message))
            asked += pending
        elif message.get("role") == "user":
            for shot in _shots(message):
                if not seen:
                    seen.append(Seen(shot))
                elif pending:
                    base = seen[-1 if current else 0]
                    seen += _result(base, pending.pop(0), shot, frame_size)
    return seen, asked


def _result(base: Seen, call: Call, shot: Shot, frame_size: float) -> list[Seen]:
    """The picture that a call brought; nothing when its place cannot be told."""
    name, arguments = call
    if name == ROTATE:
        angle = rotation(arguments)
        return [] if angle is None else [Seen(shot, (base.angle + angle) % 360, base.share)]
    corners = arguments.get("bbox_2d")
    if name != ZOOM or not isinstance(corners, list) or len(corners) != 4 or not all(map(_is_finite, corners)):
        return []
    width, height = (frame_size, frame_size) if frame_size else (base.shot.width, base.shot.height)
    share = (corners[2] - corners[0]) / width
    middle = centre_box(width, height, share)
    central = all(abs(a - b) <= 0.02 * max(width, height) for a, b in zip(corners, middle, strict=True))
    return [Seen(shot, base.angle, base.share * share)] if central and 0 < share <= 1 else []


def rotation(arguments: Mapping[str, Json]) -> int | None:
    """The angle of a rotate call as 0, 90, 180 or 270; None for any other."""
    angle = arguments.get("angle")
    return int(angle) % 360 if _is_finite(angle) and angle % 90 == 0 else None


def _is_finite(value: Json) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _calls(message: Mapping[str, Json]) -> Iterator[Call]:
    """The calls of an assistant message, native ones first; what does not parse is left out."""
    native = message.get("tool_calls")
    for call in native if isinstance(native, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            yield str(function.get("name")), _object(function.get("arguments"))
    for written in _TEXT_CALL.findall(_text(message)):
        call = _object(written)
        arguments = call.get("arguments")
        yield str(call.get("name")), arguments if isinstance(arguments, dict) else {}


def _object(text: Json) -> Mapping[str, Json]:
    try:
        value = orjson.loads(text) if isinstance(text, str) else text
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _must_answer(messages: Sequence[Mapping[str, Json]]) -> bool:
    """After a reply, the user says more than a tool's result: that asks for the answer.

    Only the text form needs to tell: the native one leaves `tools` out of the request when no call is wanted.
    """
    last = messages[-1]
    replied = any(message.get("role") == "assistant" for message in messages)
    return replied and last.get("role") == "user" and bool(_TEXT_RESULT.sub("", _text(last)).strip())


def _parts(message: Mapping[str, Json]) -> Sequence[Mapping[str, Json]]:
    """The content as parts. BadRequest when it is neither a text nor a list of objects."""
    content = message.get("content")
    if content is None:
        return ()
    if isinstance(content, str):
        return ({"type": "text", "text": content},)
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        return content
    raise BadRequest("content must be a string or a list of parts")


def _text(message: Mapping[str, Json]) -> str:
    return "\n".join(str(part.get("text", "")) for part in _parts(message) if part.get("type") == "text")


def _shots(message: Mapping[str, Json]) -> Iterator[Shot]:
    for part in _parts(message):
        if part.get("type") == "image_url":
            source = part.get("image_url")
            url = source.get("url") if isinstance(source, dict) else source
            try:
                yield read_shot(str(url))
            except BadPicture as error:
                raise BadRequest(str(error)) from None
