"""Answers of any text, and numbers in any spelling."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from asyncgen.rewards.critique import conclusion
from asyncgen.rewards.maths import answer_of, judge_answer
from asyncgen.rewards.maths_forms import same_answer
from asyncgen.rewards.maths_original import original_answer
from asyncgen.rewards.text import last_boxed

PIECES = [
    "\\frac", "{", "}", "(", ")", "[", "]", "\\{", "\\}", ",", "1", "2", "x", "\\pi", "^", "_", "\\sqrt", "\\text{",
    " or ", "\\pm", "=", "<", "\\le", "\\infty", "\\cup", "%", "^\\circ", "\\begin{pmatrix}", "\\end{pmatrix}", "&",
    "\\\\", " cm", ".", "/", "!", "-", "+", "|", "\\log_", "\\sin", "i", "e",
    "A", "(B)", "$", "\\boxed{", " ", "é", "是",
]  # fmt: skip
SHARDS = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)
ANSWERS = st.one_of(st.text(max_size=60), SHARDS)
NUMBERS = st.fractions(min_value=-1000, max_value=1000, max_denominator=60)


@settings(max_examples=100, deadline=None)
@given(ANSWERS, ANSWERS)
def test_what_is_told_without_math_verify_never_raises_and_an_answer_is_itself(answer: str, truth: str) -> None:
    assert same_answer(answer, truth) in {True, False, None}
    assert same_answer(answer, answer) is bool(answer.strip())


@settings(max_examples=40, deadline=None)
@given(SHARDS, SHARDS)
def test_judging_never_raises(answer: str, truth: str) -> None:
    assert judge_answer(answer, truth) in {True, False}
    assert judge_answer(answer, truth, "original") in {True, False}


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=300))
def test_reading_never_raises_and_finds_what_is_there(text: str) -> None:
    assert conclusion(text) in {"", "right", "wrong"}
    assert isinstance(answer_of(text), str)
    assert original_answer(text).strip() in text or original_answer(text) == ""


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="abx12 ,.^_\\+-", min_size=1, max_size=40), st.text(alphabet="abc \n", max_size=40))
def test_the_last_box_is_the_answer(answer: str, before: str) -> None:
    text = f"{before}\\boxed{{7}} {before} \\boxed{{{answer}}}"
    assert answer_of(text) == (last_boxed(text) or "")


def spellings(number: Fraction) -> list[str]:
    sign = "-" if number < 0 else ""
    top, bottom = abs(number.numerator), number.denominator
    written = [f"{number}", rf"{sign}\frac{{{top}}}{{{bottom}}}", rf"$\dfrac{{{number.numerator}}}{{{bottom}}}$"]
    whole, rest = divmod(top, bottom)
    if whole and rest:
        written.append(rf"{sign}{whole}\frac{{{rest}}}{{{bottom}}}")
    if bottom in {1, 2, 4, 5, 8, 10, 20, 25, 40, 50}:
        written += [f"{float(number):.6f}", rf"x = {float(number):.6f} \text{{ cm}}", f"{float(number * 100):.6f}%"]
    return written


@settings(max_examples=100, deadline=None)
@given(NUMBERS, NUMBERS)
def test_a_number_is_itself_in_every_spelling_and_no_other(one: Fraction, other: Fraction) -> None:
    for answer in spellings(one):
        for truth in spellings(one):
            if "%" in answer + truth and "cm" in answer + truth:
                continue  # a part of a hundred and a length are not one
            assert same_answer(answer, truth) is True, (answer, truth)
        if other not in {one, one * 100, one / 100}:
            for truth in spellings(other):
                assert same_answer(answer, truth) is False, (answer, truth)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-99, 99), min_size=2, max_size=6), st.randoms(use_true_random=False))
def test_order_counts_in_tuples_and_not_in_lists_and_sets(parts: list[int], rng: object) -> None:
    shuffled = list(parts)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]  # a Random
    one, other = (", ".join(map(str, some)) for some in (parts, shuffled))
    assert same_answer(other, one) is True
    assert same_answer(rf"\{{{other}\}}", rf"\{{{one}\}}") is True
    assert same_answer(f"({other})", f"({one})") is (shuffled == parts)
