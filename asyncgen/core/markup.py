"""A trace as HTML, for notebooks.

Knows the shape of a trace and the standard library alone. Every text in it is a model's, a tool's or a row's: it is
escaped and without control codes, and the page loads nothing and runs nothing.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncgen.core.trace import Failure, Trace, TurnRecord

LONGEST = 20_000
"""Characters of one text that are shown: a page with megabytes in it stops a browser."""
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_INVISIBLE = re.compile("[\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e007f]")
_THOUGHT_ENDS = re.compile("</(?:think|thinking|思考)>")
_PRE = '<pre style="white-space:pre-wrap;overflow-wrap:anywhere;margin:0.2em 0 0.6em 1em">'


def trace_html(trace: Trace) -> str:
    """Header, scores, pictures by their description, turns; thinking is folded."""
    metadata = trace.metadata
    about = " · ".join(f"{key} {_short(metadata[key])}" for key in ("stop", "seconds") if metadata.get(key))
    counts = f"{len(trace.conversation_history)} turns · {len(trace.tool_calls)} tool calls"
    facts = [("answer", trace.answer or "none"), *((name, value) for name, value in trace.reward_score.items())]
    parts = [
        f"<div><b>{_short(trace.id)}</b> {counts} · {about}</div>",
        table_html([name for name, _ in facts], [[value for _, value in facts]]),
        *(f"<div>{line}</div>" for line in _images(trace)),
        *(_turn(trace, turn) for turn in trace.conversation_history),
    ]
    return f"<div>{''.join(parts)}</div>"


def failure_html(failure: Failure) -> str:
    """Why it failed, and what there is of the trace."""
    return f"<div><b>failed: {_short(failure.reason)}</b> {_short(failure.error)}</div>{trace_html(failure.trace)}"


def table_html(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of values, each on one line."""
    head = "".join(f"<th>{_short(name)}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(f'<td>{_short(value)}</td>' for value in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _images(trace: Trace) -> Iterator[str]:
    for one in trace.images:
        origin = f"column {one.column}" if one.source == "sample" else f"{one.op} {one.arguments}"
        yield f"image {one.image}: {_short(origin)}, {_short(one.width)}x{_short(one.height)}"


def _turn(trace: Trace, turn: TurnRecord) -> str:
    parts = [f"<div><b>{_short(one.role)}</b>{_block(one.content)}</div>" for one in turn.messages]
    thinking, visible = _folded(turn.response)
    if thought := "\n".join(filter(None, (turn.reasoning, thinking))):
        parts.append(f"<details><summary>thinking, {len(thought):,} characters</summary>{_block(thought)}</details>")
    parts.append(f"<div><b>response</b>{_block(visible)}</div>")
    for entry in trace.tool_calls:
        if entry.turn == turn.turn:
            said = f"{entry.tool_call.name} {entry.tool_call.arguments}"
            result = "ok" if entry.success else f"error: {entry.error}"
            parts.append(f"<div><b>call</b> <code>{_short(said)}</code> → {_short(result)}</div>")
    return f"<details open><summary>turn {_short(turn.turn)}</summary>{''.join(parts)}</details>"


def _folded(response: str) -> tuple[str, str]:
    """What stands before the last closing tag of a thought, and what comes after it: to be looked at, not to be read
    by a program."""
    end = 0
    for tag in _THOUGHT_ENDS.finditer(response):
        end = tag.end()
    return response[:end].strip(), response[end:].strip()


def _block(text: str) -> str:
    return f"{_PRE}{_escaped(text)}</pre>"


def _short(value: object) -> str:
    """On one line."""
    text = f"{value:.6g}" if isinstance(value, float) else "" if value is None else str(value)
    return " ".join(_escaped(text).split())


def _escaped(text: str) -> str:
    """Without control codes, invisible characters as `<U+202E>`, and nothing in it is markup."""
    shown = _CONTROL.sub("", text[:LONGEST])
    shown = _INVISIBLE.sub(lambda found: f"<U+{ord(found[0]):04X}>", shown)
    more = f"… and {len(text) - LONGEST:,} characters more" if len(text) > LONGEST else ""
    return html.escape(shown) + more
