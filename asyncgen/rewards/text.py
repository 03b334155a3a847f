"""Where an answer stands in a text: the last box, the last answer tag, the last line.

Knows the marks that models put around an answer. Knows nothing of what the answer means. The text is a model's, so
every scan is one pass.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"\\(?P<box>boxed|fbox)(?![A-Za-z])(?P<gap>[ \t]*)(?P<brace>\{)?"
    r"|\\\\(?!boxed|fbox)|\\[{}$]"  # a TeX line break, an escaped brace or dollar: no token
    r"|[{}$\n]"
)
_OPEN_TAG, _CLOSE_TAG = "<answer>", "</answer>"
_LABELLED = re.compile(
    r"[*_#>\s]*(?:(?:the\s+)?(?:final\s+)?answer(?:\s+is)?|(?:最终)?答案)[*_\s]*[:：][*_\s]*(.*?)[*_\s]*", re.IGNORECASE
)
_LONGEST_LINE = 2_000
"""Characters: a longer last line is no answer."""


def last_boxed(text: str) -> str | None:
    r"""The content of the last closed `\boxed{…}`, else of the last `\fbox{…}`, without the blanks around it.

    Braces are counted, and of boxes in each other the inner one is last. `\boxed 5$` ends at the dollar, which must
    stand in the same line. A box that is never closed does not count: the closed one before it does.
    """
    found: dict[str, tuple[int, int]] = {}  # by kind: where the last one's content begins and ends
    braces: list[tuple[str, int]] = []  # the open ones: kind of box or "", where the content begins
    bare: tuple[str, int] | None = None  # a box without braces that waits for its dollar
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if token["brace"]:
            braces.append((token["box"], token.end()))
        elif token["box"]:
            bare = (token["box"], token.end()) if token["gap"] else bare
        elif mark == "{":
            braces.append(("", token.end()))
        elif mark == "}" and braces:
            _keep(found, *braces.pop(), token.start())
        elif mark == "$" and bare:
            _keep(found, *bare, token.start())
            bare = None
        elif mark == "\n":
            bare = None
    span = found.get("boxed") or found.get("fbox")
    return None if span is None else text[slice(*span)].strip()


def _keep(found: dict[str, tuple[int, int]], kind: str, start: int, end: int) -> None:
    """The box that opens last wins, though an outer one closes after it."""
    if kind and (kind not in found or start > found[kind][0]):
        found[kind] = (start, end)


def answer_tag(text: str) -> str | None:
    """The content of the last closed `<answer>…</answer>`, without the blanks around it."""
    closing = text.rfind(_CLOSE_TAG)
    opening = text.rfind(_OPEN_TAG, 0, max(closing, 0))
    if opening < 0:
        return None
    start = opening + len(_OPEN_TAG)
    return text[start : text.index(_CLOSE_TAG, start)].strip()


def labelled_line(text: str) -> str | None:
    """What follows `Answer:` or `Final answer:` in the last line that is not blank, without the marks of bold text."""
    line = text.rstrip().rpartition("\n")[2]
    found = _LABELLED.fullmatch(line) if len(line) <= _LONGEST_LINE else None
    return found[1] if found else None
