"""The tags of a reasoned answer, in English or Chinese, and where a trace has its thinking.

Knows `<answer>` and `<答案>`, also with blanks in them (`</ 答案 >`). Does not know what an answer means. The text is a
model's, so every scan is one pass.
"""

from __future__ import annotations

import re
from typing import Final

from asyncgen.core.thinking import split_thinking
from asyncgen.core.trace import Trace

_BLANKS: Final = r"\s{0,8}"
"""Inside a tag. With a bound, so that a long run of blanks after `<` is not gone over again and again."""
_ANSWER: Final = re.compile(rf"<{_BLANKS}(/?){_BLANKS}(answer|答案){_BLANKS}>", re.IGNORECASE)


def tagged_answer(text: str, *, unclosed: bool = False) -> str | None:
    """The content of the last closed answer tag, stripped; None where there is none.

    `unclosed`: a tag that the end of the text left open counts too, where no closed one is there.
    """
    opened: dict[str, int] = {}  # by the tag's name: where the content of the last one begins
    found: str | None = None
    for tag in _ANSWER.finditer(text):
        name = tag[2].lower()
        if not tag[1]:
            opened[name] = tag.end()
        elif name in opened:
            found = text[opened.pop(name) : tag.start()].strip()
    if found is None and unclosed and opened:
        found = text[max(opened.values()) :].strip()
    return found


def last_response(trace: Trace) -> str:
    """What the model said last, exactly as received; the visible text where no turn is stored."""
    turns = trace.conversation_history
    return turns[-1].response if turns else trace.final_response


def thinking_of(trace: Trace) -> str:
    """The thinking of all turns, one after the other: what came in a field of its own, and what stands in the tags."""
    thoughts: list[str] = []
    for turn in trace.conversation_history:
        thoughts += [turn.reasoning.strip(), split_thinking(turn.response)[0]]
    return "\n".join(filter(None, thoughts))
