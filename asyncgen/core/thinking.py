"""Thinking in a model's text: what stands in `<think>`, and what is left without it.

Knows the tags, in English and Chinese, also with blanks in them (`</ 思考 >`). Does not know what is thought. One pass,
whatever the text.
"""

from __future__ import annotations

import re

TAG = re.compile(r"<\s{0,8}(/?)\s{0,8}(?:think|thinking|思考)\s{0,8}>", re.IGNORECASE)
"""An opening or (group 1) a closing one. Blanks have a bound, so that a long run of them is not gone over again."""


def split_thinking(content: str) -> tuple[str, str]:
    """`(thinking, visible)`, both stripped.

    Thinking is what stands in `<think>`, `<thinking>` or `<思考>`, several times if need be; all that stands before a
    closing tag without an opening one (templates may open it in the prompt); and all after an opening tag that is never
    closed.
    """
    thinking: list[str] = []
    visible: list[str] = []
    inside, at = False, 0
    for tag in TAG.finditer(content):
        if tag[1]:
            if not inside:
                thinking.extend(visible)
                visible.clear()
            thinking.append(content[at : tag.start()])
        elif inside:
            continue  # an opening tag in the middle of a thought is part of it
        else:
            visible.append(content[at : tag.start()])
        inside, at = not tag[1], tag.end()
    (thinking if inside else visible).append(content[at:])
    return "\n".join(part.strip() for part in thinking if part.strip()), "".join(visible).strip()
