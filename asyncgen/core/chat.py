"""A row's own chat, in its column `message`: texts, and images by the path of a file.

Knows the forms in which datasets write such a chat. Does not read an image, and fetches nothing that a row names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from asyncgen.core.errors import EpisodeError, FailReason
from asyncgen.core.types import Json

COLUMN: Final = "message"
ROLES: Final = frozenset({"system", "user", "assistant"})
LONGEST: Final = 4_000_000
"""Characters of a chat that is written as a text."""
_FILE: Final = "file://"
_URL: Final = re.compile(r"data:|[A-Za-z][A-Za-z0-9+.-]*://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ImagePath:
    """Where an image stands in a message."""

    path: str


ChatPart: TypeAlias = str | ImagePath


def message_of(data: Mapping[str, Json]) -> list[Json] | None:
    """The chat as a list; None where the row has none. It may be a JSON text, encoded once or twice.

    Raises EpisodeError(bad_sample) for what is no list.
    """
    value = data.get(COLUMN)
    if value is None or value == "":
        return None
    for _ in range(2):
        if isinstance(value, str):
            value = _decoded(value)
    if not isinstance(value, list | tuple) or not value:
        raise _bad(f"it is {type(value).__name__}; give a list of messages, or its JSON text")
    return list(value)


def message_parts(data: Mapping[str, Json]) -> tuple[tuple[str, tuple[ChatPart, ...]], ...]:
    """Role and parts of each message of the chat, in order; none where the row has no chat.

    Raises EpisodeError(bad_sample) for another role, or a part that is neither a text nor the path of an image.
    """
    chat = message_of(data) or []
    return tuple(_message(one, f"message {number}") for number, one in enumerate(chat))


def image_paths(data: Mapping[str, Json]) -> tuple[str, ...]:
    """The paths of the chat's images, in order, as the row has them. Raises as `message_parts`."""
    return tuple(part.path for _, parts in message_parts(data) for part in parts if isinstance(part, ImagePath))


def chat_images(value: Json) -> tuple[str, ...]:
    """The same of a cell, whatever it holds: none where it is no chat."""
    if isinstance(value, str) and value.lstrip(' "')[:1] != "[":
        return ()
    try:
        return image_paths({COLUMN: value})
    except EpisodeError:
        return ()


def _decoded(text: str) -> Json:
    if len(text) > LONGEST:
        raise _bad(f"it has {len(text)} characters; at most {LONGEST} are read")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _bad(f"it is no JSON ({type(error).__name__}: {error!s:.100}); give a list of messages") from error


def _message(one: Json, place: str) -> tuple[str, tuple[ChatPart, ...]]:
    role = one.get("role") if isinstance(one, Mapping) else None
    if not isinstance(role, str) or role not in ROLES:
        raise _bad(f"{place} has the role {role!r:.40}; give system, user or assistant")
    content = one.get("content")
    if isinstance(content, str):
        return role, (content,)
    if not isinstance(content, list | tuple):
        raise _bad(f"the content of {place} is {type(content).__name__}; give a text or a list of parts")
    return role, tuple(_part(part, place) for part in content)


def _part(part: Json, place: str) -> ChatPart:
    if isinstance(part, str):
        return part
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind == "text" and isinstance(part.get("text"), str):
        return str(part["text"])
    if kind == "image":
        return _image(part.get("image"), place)
    if kind == "image_url":
        url = part.get("image_url")
        return _image(url.get("url") if isinstance(url, Mapping) else url, place)
    raise _bad(f"{place} has a part of type {kind!r:.40}; give text or image")


def _image(value: Json, place: str) -> ImagePath:
    """Of an image's path, also written as `file://`."""
    path = value.removeprefix(_FILE) if isinstance(value, str) else ""
    if not path or "\0" in path or _URL.match(path):
        raise _bad(f"{place} has the image {value!r:.80}; give the path of a file")
    return ImagePath(path)


def _bad(text: str) -> EpisodeError:
    return EpisodeError(FailReason.BAD_SAMPLE, f"the column {COLUMN!r}: {text}")
