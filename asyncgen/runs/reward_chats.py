"""Chat lists as trainers send them: as they are, or JSON of them.

Knows messages and their parts. Does not know templates or rows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from asyncgen.core.types import Json

_TWICE = 3
"""How often a prompt may be JSON in JSON."""
_PICTURE = re.compile(r"<image>|<\|[^|<>\n]{0,30}(?:image|vision|video)[^|<>\n]{0,30}\|>", re.IGNORECASE)


def chat_of(prompt: Json) -> list[Mapping[str, Json]] | None:
    """The messages of a prompt that is a chat list, or JSON of one (of JSON of one …); None for any other."""
    for _ in range(_TWICE):
        if not isinstance(prompt, str):
            break
        if not prompt.lstrip().startswith(("[", "{", '"')):
            return None
        try:
            prompt = json.loads(prompt)
        except (ValueError, RecursionError):
            return None
    messages = [prompt] if isinstance(prompt, Mapping) else prompt
    if not isinstance(messages, list | tuple) or not messages:
        return None
    found = [one for one in messages if isinstance(one, Mapping) and "role" in one]
    return found if len(found) == len(messages) else None


def text_of(message: Mapping[str, Json]) -> str:
    """What a message says, pictures aside."""
    content = message.get("content")
    if isinstance(content, list | tuple):
        parts = [part.get("text", "") if isinstance(part, Mapping) else part for part in content]
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def has_picture(message: Mapping[str, Json]) -> bool:
    """Whether it has anything but text in it."""
    content = message.get("content")
    if isinstance(content, list | tuple):
        return any(not isinstance(part, str) and not _is_text(part) for part in content) or is_marked(text_of(message))
    return isinstance(content, str) and is_marked(content)


def _is_text(part: Json) -> bool:
    return isinstance(part, Mapping) and part.get("type", "text") == "text" and isinstance(part.get("text"), str)


def is_marked(text: str) -> bool:
    """Whether a text has the mark of a picture in it."""
    return _PICTURE.search(text) is not None
