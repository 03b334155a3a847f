"""How calls are written in a model's text, and how their results go back: one dialect for each family of models.

Knows tags. Knows nothing of which tools there are, nor whether a call is run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Protocol

from asyncgen.core.types import Json, Part, ToolCall
from asyncgen.endpoint.text_calls import scan_calls, without_calls
from asyncgen.endpoint.wire import tools_prompt

SEARCH = "search"
"""The tool that a `<search>` block calls."""
_BLOCK = re.compile(r"<(/?)search>")
_SEARCH_PROMPT = """To search, write your query between <search> and </search>, and stop there: the results come back
between <information> and </information>. Search as often as you need to."""


class Dialect(Protocol):
    """One form."""

    def scan(self, visible: str, *, turn: int, first: int = 1) -> tuple[ToolCall, ...]:
        """The calls in a visible text, in order, with ids `call_<turn>_<n>`, n from `first`."""

    def without(self, visible: str) -> str:
        """The text without its calls, stripped."""

    def results(self, text: str, pictures: Sequence[Part]) -> list[Part]:
        """One call's result as a part of a user message; ends with a line break."""

    def prompt(self, schemas: Sequence[Mapping[str, Json]], exemplar: Mapping[str, Json]) -> str:
        """What the system prompt says of the tools. `exemplar`: the first of them with examples in it."""


class ToolCallDialect:
    """`<tool_call>` with JSON, `<tool_response>`: Hermes, Qwen, Tongyi-DeepResearch."""

    def scan(self, visible: str, *, turn: int, first: int = 1) -> tuple[ToolCall, ...]:
        """See `text_calls.scan_calls`."""
        return scan_calls(visible, turn=turn, first=first)

    def without(self, visible: str) -> str:
        """See `text_calls.without_calls`."""
        return without_calls(visible)

    def results(self, text: str, pictures: Sequence[Part]) -> list[Part]:
        """Each part on lines of its own between the tags."""
        return _block("tool_response", text, pictures)

    def prompt(self, schemas: Sequence[Mapping[str, Json]], exemplar: Mapping[str, Json]) -> str:
        """Schemas in `<tools>`, the form of a call, an example."""
        return tools_prompt(schemas, exemplar)


class SearchDialect:
    """`<search>` with the query alone, `<information>`: Search-R1."""

    def scan(self, visible: str, *, turn: int, first: int = 1) -> tuple[ToolCall, ...]:
        """A block that the end of the text cuts off is a call too: servers cut stop strings."""
        return tuple(
            ToolCall(
                id=f"call_{turn}_{number}",
                name=SEARCH,
                arguments=json.dumps({"query_list": [query]}, ensure_ascii=False),
                native=False,
            )
            for number, (_, _, query) in enumerate(_blocks(visible), first)
        )

    def without(self, visible: str) -> str:
        """Without any block."""
        kept, at = [], 0
        for start, end, _ in _blocks(visible):
            kept.append(visible[at:start])
            at = end
        return "".join([*kept, visible[at:]]).strip()

    def results(self, text: str, pictures: Sequence[Part]) -> list[Part]:
        """The text between the tags."""
        return _block("information", text, pictures)

    def prompt(self, schemas: Sequence[Mapping[str, Json]], exemplar: Mapping[str, Json]) -> str:  # noqa: ARG002  # has none
        """The tags; these models know no schemas."""
        return _SEARCH_PROMPT


DIALECTS: Final[Mapping[str, Dialect]] = {"tool_call": ToolCallDialect(), "search": SearchDialect()}
"""By the task's `dialect`."""


def _block(tag: str, text: str, pictures: Sequence[Part]) -> list[Part]:
    block: list[Part] = [f"<{tag}>"]
    for line in [text, *pictures] if text else pictures:
        block += ["\n", line]
    return [*block, f"\n</{tag}>\n"]


def _blocks(text: str) -> Iterator[tuple[int, int, str]]:
    """`(start, end, query)` of each `<search>` block that is not empty; of nested opening tags the innermost counts."""
    outer = inner = -1
    for tag in _BLOCK.finditer(text):
        if not tag[1]:
            outer = tag.start() if outer < 0 else outer
            inner = tag.end()
        elif outer >= 0:
            if query := text[inner : tag.start()].strip():
                yield outer, tag.end(), query
            outer = -1
    if outer >= 0 and (query := text[inner:].strip()):
        yield outer, len(text), query
