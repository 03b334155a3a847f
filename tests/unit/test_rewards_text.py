"""Boxes and answer tags in a model's text."""

from __future__ import annotations

import pytest

from asyncgen.rewards.text import answer_tag, labelled_line, last_boxed


@pytest.mark.parametrize(
    ("text", "content"),
    [
        (r"first \boxed{1}, then \boxed{2}", "2"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"$$\boxed{ 40.7, -74.0 }$$", "40.7, -74.0"),
        (r"\boxed {5}", "5"),
        (r"\boxed{a \boxed{b} c}", "b"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{\left\{ x \right.}", r"\left\{ x \right."),
        (r"\\boxed{escaped twice}", "escaped twice"),
        (r"so $\boxed 5$ it is", "5"),
        (r"\fbox{3}", "3"),
        (r"\boxed{4} and \fbox{3}", "4"),
        (r"\boxed{}", ""),
    ],
)
def test_the_last_closed_box_counts_with_its_braces_matched(text: str, content: str) -> None:
    assert last_boxed(text) == content


@pytest.mark.parametrize(
    "text", ["", "no box", r"\boxed{never closed", r"\boxed 5", "\\boxed 5\n$3", r"\boxedx{5}", "}"]
)
def test_a_box_that_is_not_closed_is_none(text: str) -> None:
    assert last_boxed(text) is None


def test_an_unclosed_box_leaves_the_earlier_closed_one() -> None:
    assert last_boxed(r"\boxed{1} but rather \boxed{2") == "1"


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("<answer> Paris </answer>", "Paris"),
        ("<answer>a</answer> no, <answer>b</answer>", "b"),
        ("<answer>a</answer> and <answer>b", "a"),
        ("<answer>a</answer> stray </answer>", "a"),
        ("use <answer> tags: <answer>c</answer>", "c"),
        ("<answer></answer>", ""),
        ("</answer><answer>", None),
        ("nothing", None),
    ],
)
def test_the_last_closed_answer_tag_counts(text: str, content: str | None) -> None:
    assert answer_tag(text) == content


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("So.\nAnswer: Paris", "Paris"),
        ("Final answer: 42.\n\n", "42."),
        ("**Final Answer:** Paris", "Paris"),
        ("### The final answer is: **yes**", "yes"),
        ("最终答案：北京", "北京"),
        ("Answer: Paris\nI am sure.", None),
        ("My answer: Paris", None),
        ("Answer Paris", None),
        ("answer:", ""),
        ("answer: " + "x" * 3000, None),
        ("", None),
    ],
)
def test_the_last_line_may_name_the_answer(text: str, wanted: str | None):
    assert labelled_line(text) == wanted
