r"""Prompts and responses as trainers send them: texts with a chat template around them, chat lists, JSON of chat lists.

Knows the marks of chat templates, in which forms one prompt may come, and where in a decoded sequence the response is.
Does not know rows or rewards. The work is linear in the text's length, whatever the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from asyncgen.core.text import repaired
from asyncgen.core.types import Json

_HEADER = re.compile(
    r"<\|im_start\|>(?P<chatml>\w{1,20})\n?"
    r"|<\|start_header_id\|>(?P<llama>\w{1,20})<\|end_header_id\|>\n{0,2}"
    r"|<start_of_turn>(?P<gemma>\w{1,20})\n?"
    r"|<\|(?P<bars>system|user|assistant)\|>\n?"
    r"|<｜(?P<deepseek>User|Assistant)｜>"
)
"""What opens a message; the group that matched names the template, its text the role."""
_END = re.compile(
    r"<\|im_end\|>|<\|eot_id\|>|<\|endoftext\|>|<\|end_of_text\|>|<\|end\|>|<end_of_turn>|<｜end▁of▁sentence｜>"
)
"""What closes one."""
_BEGIN = re.compile(
    r"\s|<s>|<bos>|<\|begin_of_text\|>|<｜begin▁of▁sentence｜>|<pad>|<｜▁pad▁｜>|<\|(?:pad|endoftext)\|>"
)
"""What may stand before the first message: blanks, padding, the sequence's begin."""
_TAIL = ("</s>", "<eos>", "<pad>")
"""Marks that a text may rightly have in its middle: they are cut off its end only."""
_MARK = re.compile(r"<\|[^|<>\n]{1,40}\|>|<image>")
"""Special tokens inside a message, such as those around a picture."""
_ASSISTANT = {"assistant", "model"}
MOST_PADDING = 20_000
"""Marks and blanks that are taken for padding at the end of a sequence."""
_TWICE = 3
"""How often a prompt may be JSON in JSON."""


def response_of(query: str, prompt: Json = None) -> str:
    """The assistant's part of a decoded sequence, stripped: without what stands before it and from its end on.

    `query` is prompt, chat template and response, or the response alone. Which header opens the response is counted by
    the assistant's messages in `prompt`, where that is a chat; a header that the model wrote itself opens nothing.
    """
    text = query
    if isinstance(prompt, str) and prompt.strip() and query.startswith(prompt):
        text = _without_header(query[len(prompt) :])
    elif (start := _start(query, prompt)) is not None:
        text = query[start:]
    end = _END.search(text)
    return _without_tail((text[: end.start()] if end else text).strip())


def _without_tail(text: str) -> str:
    """Without the padding at its end, and blanks in it."""
    end = len(text)
    for _ in range(MOST_PADDING):
        mark = next((one for one in _TAIL if text.endswith(one, 0, end)), "")
        if not mark and not text[end - 1 : end].isspace():
            break
        end -= len(mark) or 1
    return text[:end].rstrip()


def _without_header(text: str) -> str:
    """What follows a prompt, without the header that the prompt may lack."""
    end = _END.match(text.lstrip())
    rest = text.lstrip()[end.end() if end else 0 :].lstrip()
    header = _HEADER.match(rest)
    return rest[header.end() :] if header and _role(header) in _ASSISTANT else text


def _start(query: str, prompt: Json) -> int | None:
    """Where the response begins in a whole sequence; None where the query is the response alone."""
    first = _HEADER.search(query)
    if first is None:
        return None
    # DeepSeek's template alone has a text, the system's, before its first header
    preamble = first.lastgroup == "deepseek" and query.startswith("<｜begin")
    if not preamble and _BEGIN.sub("", query[: first.start()]):
        return None
    headers = [one.end() for one in _headers(query) if _role(one) in _ASSISTANT]
    if not headers:
        return None
    chat = chat_of(prompt)
    earlier = sum(one.get("role") in _ASSISTANT for one in chat) if chat else 0
    return headers[min(earlier, len(headers) - 1)]


def _headers(text: str) -> Iterator[re.Match[str]]:
    """Those of the template of the first one."""
    template = None
    for one in _HEADER.finditer(text):
        template = template or one.lastgroup
        if one.lastgroup == template:
            yield one


def _role(header: re.Match[str]) -> str:
    return header[header.lastgroup or 0].lower()


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


def prompt_keys(prompt: Json) -> list[str]:
    """Texts by which a prompt is found, the most exact one first: all of it in one form, then what the user said last.
    None where it is no prompt."""
    chat = chat_of(prompt)
    if chat is not None:
        whole, said = json.dumps(_bare(chat), sort_keys=True, ensure_ascii=False), _last_user(chat)
    elif isinstance(prompt, str):
        whole, said = prompt.strip(), _last_section(prompt)
    else:
        return []
    keys = [f"whole {whole}"] if whole else []
    return [repaired(one) for one in (*keys, *([f"said {said}"] if said else []))]


def _bare(value: Json, depth: int = 0) -> Json:
    """Without nulls, which `datasets` puts wherever another row's message has a key."""
    if depth > 20:
        return str(type(value))
    if isinstance(value, Mapping):
        return {str(key): _bare(one, depth + 1) for key, one in value.items() if one is not None}
    if isinstance(value, list | tuple):
        return [_bare(one, depth + 1) for one in value]
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def _last_user(chat: Sequence[Mapping[str, Json]]) -> str:
    content = next((one.get("content") for one in reversed(chat) if one.get("role") == "user"), "")
    if isinstance(content, list | tuple):
        parts = [part.get("text") if isinstance(part, Mapping) else part for part in content]
        content = "".join(part for part in parts if isinstance(part, str))
    return _said(content) if isinstance(content, str) else ""


def _last_section(text: str) -> str:
    """What the user said last in a text with a template around it; of another text all of it."""
    headers = list(_headers(text))
    for number in range(len(headers) - 1, -1, -1):
        if _role(headers[number]) == "user":
            end = headers[number + 1].start() if number + 1 < len(headers) else len(text)
            section = text[headers[number].end() : end]
            closed = _END.search(section)
            return _said(section[: closed.start()] if closed else section)
    return _said(text)


def _said(text: str) -> str:
    """Without the marks where pictures stand, and with one blank for any: templates differ in those."""
    return " ".join(_MARK.sub(" ", text).split())
