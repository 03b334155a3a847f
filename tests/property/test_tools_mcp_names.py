"""Names and texts of any server whatever."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from asyncgen.core.types import NAME_LENGTH, NAME_LETTERS
from asyncgen.tools.mcp_text import bounded, last_lines, name_for

ANY = st.text(st.characters(), max_size=200)


@given(st.from_regex(f"[{NAME_LETTERS}]{{0,32}}", fullmatch=True), ANY.filter(bool))
@settings(max_examples=100, deadline=None)
def test_every_name_is_one_that_servers_take_and_good_ones_stay(prefix: str, name: str):
    made = name_for(prefix, name)
    assert re.fullmatch(f"[{NAME_LETTERS}]{{1,{NAME_LENGTH}}}", made)
    if re.fullmatch(f"[{NAME_LETTERS}]+", name) and len(prefix + name) <= NAME_LENGTH:
        assert made == prefix + name


@given(ANY, st.integers(0, 100))
@settings(max_examples=100, deadline=None)
def test_a_text_is_whole_or_says_how_much_is_missing(text: str, limit: int):
    cut = bounded(text, limit)
    if len(text) <= limit:
        assert cut == text
    else:
        assert cut == f"{text[:limit]}\n[cut off here: {len(text) - limit} more characters]"


@given(ANY)
@settings(max_examples=100, deadline=None)
def test_last_words_are_one_printable_line(text: str):
    shown = last_lines(text)
    assert "\n" not in shown
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", shown)
    shown.encode()
