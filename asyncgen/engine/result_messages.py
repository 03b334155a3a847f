"""The results of a turn's calls as the messages that go back to the model.

Knows the two forms, native and text. Does not know what a result says.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from asyncgen.core.task import join_texts
from asyncgen.core.types import CallResult, Message, Part
from asyncgen.endpoint.dialects import Dialect

_MARKS = re.compile(r"<(?=/?(?:tool_call|tool_response|search|information)>|[|｜][^<>|｜\s]{1,40}[|｜]>)")
"""The beginnings of marks that a result may not bring: it would end its own block, or a template's turn, and go on in
somebody else's name."""


def result_messages(results: Sequence[CallResult], dialect: Dialect) -> tuple[Message, ...]:
    """Results in the form in which their calls came.

    Native: one short `tool` message a call; pictures follow in one `user` message, since several servers refuse
    images in `tool` messages. It starts and ends with the tags, so that templates do not take it for a new question
    and drop the thinking so far. Text: one `user` message with a block of the dialect's a call.
    """
    native = [result for result in results if result.call.native]
    messages = [Message("tool", _text(result), tool_call_id=result.call.id, name=result.call.name) for result in native]
    parts: list[Part] = []
    if pictures := [picture for result in native for picture in result.result.pictures]:
        parts += dialect.results("", pictures)
    for result in results:
        if not result.call.native:
            parts += dialect.results(_text(result), result.result.pictures)
    if parts:
        messages.append(Message("user", _trimmed(parts)))
    return tuple(messages)


def _text(result: CallResult) -> str:
    return _MARKS.sub("< ", f"Error: {result.error}" if result.error else result.result.text)


def _trimmed(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Neighbouring texts as one, no blank at the end."""
    *head, last = join_texts(parts)
    return (*head, last.rstrip() if isinstance(last, str) else last)
