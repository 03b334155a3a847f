"""What holds of exact match and F1 for any texts."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from asyncgen.rewards.qa import exact_match, f1, normalised
from asyncgen.rewards.text import labelled_line

TEXT = st.text(max_size=60) | st.text(alphabet="aA the.,-yesno 東京\"'\n", max_size=30)


@settings(max_examples=100, deadline=None)
@given(TEXT, st.lists(TEXT, max_size=4))
def test_scores_are_shares_and_an_exact_match_is_a_full_f1(answer: str, accepted: list[str]) -> None:
    em, share = exact_match(answer, accepted), f1(answer, accepted)
    assert em in {0.0, 1.0}
    assert 0.0 <= share <= 1.0
    assert share == 1.0 or em == 0.0


@settings(max_examples=100, deadline=None)
@given(TEXT)
def test_every_answer_matches_itself_unless_it_is_blank(text: str) -> None:
    assert exact_match(text, ["other", text]) == float(bool(normalised(text)))


@settings(max_examples=100, deadline=None)
@given(TEXT)
def test_any_text_has_a_last_line_or_none(text: str) -> None:
    found = labelled_line(text)
    assert found is None or found in text
