r"""Keys by which a row is found: one prompt in the many forms that trainers send it in.

Knows when two forms are the same prompt: nothing that a model would see may differ, but for a template's own words.
Does not know rows or rewards.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from asyncgen.core.text import repaired
from asyncgen.core.types import Json
from asyncgen.runs.reward_chats import chat_of, has_picture, is_marked, text_of
from asyncgen.runs.reward_templates import closed_text, turns_in

_DEFAULT_SYSTEM = re.compile(
    r"You are a helpful assistant\.?"
    r"|You are Qwen, created by Alibaba Cloud\. You are a helpful assistant\."
    r"|Cutting Knowledge Date: \w+ \d{4} Today Date: \d+ \w+ \d{4}"
    r"|A chat between a curious user and an artificial intelligence assistant\. The assistant gives helpful, detailed, "
    r"and polite answers to the user's questions\."
)
"""What templates put in where a chat has no system prompt."""


def prompt_keys(prompt: Json) -> list[str]:
    """Texts by which a prompt is found, the most exact one first: all of it as it is, then what is said in each turn.
    A chat with a picture has no other form than its own. None where it is no prompt."""
    chat = chat_of(prompt)
    if chat is not None:
        keys = [f"chat {json.dumps(_bare(chat), sort_keys=True, ensure_ascii=False)}"]
        if not any(map(has_picture, chat)):
            keys += _turns([(str(one["role"]), text_of(one)) for one in chat])
    elif isinstance(prompt, str) and prompt.strip():
        keys = [f"text {prompt.strip()}"]
        if not is_marked(prompt):
            found = turns_in(prompt)
            keys += _turns([(one.role, closed_text(prompt, one)) for one in found] or [("user", prompt)])
    else:
        return []
    return [repaired(one) for one in keys]


def _turns(said: Sequence[tuple[str, str]]) -> list[str]:
    """As they are, and without the system prompt that a template has put in."""
    turns = [(role.lower(), " ".join(text.split())) for role, text in said]
    if turns[-1][0] == "assistant" and turns[-1][1] in ("", "<think>"):  # the header that is to be gone on with
        turns.pop()
    if not any(text for _, text in turns):
        return []
    keys = [f"turns {json.dumps(turns, ensure_ascii=False)}"]
    if len(turns) > 1 and turns[0][0] == "system" and _DEFAULT_SYSTEM.fullmatch(turns[0][1]):
        keys.append(f"turns {json.dumps(turns[1:], ensure_ascii=False)}")
    return keys


def _bare(value: Json, depth: int = 0) -> Json:
    """Without nulls, which `datasets` puts wherever another row's message has a key."""
    if depth > 20:
        return str(type(value))
    if isinstance(value, Mapping):
        return {str(key): _bare(one, depth + 1) for key, one in value.items() if one is not None}
    if isinstance(value, list | tuple):
        return [_bare(one, depth + 1) for one in value]
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
