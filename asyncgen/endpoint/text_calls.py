"""Tool calls inside a model's text.

Knows the tags that models write. Knows nothing of which tools there are. The work is linear in the text's length,
whatever the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from asyncgen.core.thinking import TAG
from asyncgen.core.types import ToolCall

_CALL = re.compile(r"<(/?)tool_call>")


class _Function(msgspec.Struct):
    # Raw keeps the arguments exactly as the model wrote them.
    name: Any = None
    arguments: msgspec.Raw = msgspec.Raw()
    parameters: msgspec.Raw = msgspec.Raw()


class _Call(_Function):
    function: msgspec.Raw = msgspec.Raw()


@dataclass(frozen=True, slots=True)
class _Block:
    start: int
    end: int
    inner: str


def scan_calls(visible: str, *, turn: int, first: int = 1) -> tuple[ToolCall, ...]:
    """The `<tool_call>` blocks in order, with ids `call_<turn>_<n>`, n from `first`.

    A block that cannot be read gives a call without a name whose arguments are the block's text, for the engine to
    answer with an error text. So does one that the end of the text cut off, unless its JSON is whole: servers cut stop
    strings.
    """
    return tuple(
        ToolCall(id=f"call_{turn}_{number}", name=name, arguments=arguments, native=False)
        for number, (name, arguments) in enumerate((_read(block.inner) for block in _blocks(visible)), first)
    )


def without_calls(visible: str) -> str:
    """The text without its call blocks, stripped."""
    kept: list[str] = []
    at = 0
    for block in _blocks(visible):
        kept.append(visible[at : block.start])
        at = block.end
    return "".join([*kept, visible[at:]]).strip()


def content_without_calls(content: str) -> str:
    """A content as received, thinking and all, without the call blocks in its visible text; stripped."""
    masked = list(content)
    for start, end in _thinking_spans(content):
        masked[start:end] = " " * (end - start)
    kept: list[str] = []
    at = 0
    for block in _blocks("".join(masked)):
        kept.append(content[at : block.start])
        at = block.end
    return "".join([*kept, content[at:]]).strip()


def _thinking_spans(content: str) -> list[tuple[int, int]]:
    """Where thinking stands, tags included: what `split_thinking` takes out of the visible text."""
    spans: list[tuple[int, int]] = []
    opened = -1
    for tag in TAG.finditer(content):
        if not tag[1]:
            opened = tag.start() if opened < 0 else opened
        elif opened < 0:
            spans = [(0, tag.end())]
        else:
            spans.append((opened, tag.end()))
            opened = -1
    return spans if opened < 0 else [*spans, (opened, len(content))]


def _blocks(text: str) -> Iterator[_Block]:
    """Blocks in order; of nested opening tags the innermost counts. A closing tag alone is text."""
    outer = inner = -1
    for tag in _CALL.finditer(text):
        if not tag[1]:
            outer = tag.start() if outer < 0 else outer
            inner = tag.end()
        elif outer >= 0:
            yield _Block(outer, tag.end(), text[inner : tag.start()].strip())
            outer = -1
    if outer >= 0:
        yield _Block(outer, len(text), text[inner:].strip())


def _read(inner: str) -> tuple[str, str]:
    """`(name, arguments)` of a block's text; `("", inner)` where it is no call."""
    bare = inner[3:-3].removeprefix("json") if inner.startswith("```") and inner.endswith("```") else inner
    try:
        call: _Function = msgspec.json.decode(bare.encode("utf-8", "replace"), type=_Call)
        if isinstance(call, _Call) and bytes(call.function)[:1] == b"{":
            call = msgspec.json.decode(call.function, type=_Function)
        written = bytes(call.arguments) or bytes(call.parameters)
        arguments = msgspec.json.decode(written, type=str) if written[:1] == b'"' else written.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "", inner
    if not isinstance(call.name, str) or not call.name.strip():
        return "", inner
    return call.name.strip(), arguments or "{}"
