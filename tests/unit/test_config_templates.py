"""Prompt templates: what is filled in, and what stays."""

from __future__ import annotations

import pytest

from asyncgen.core.errors import EpisodeError, FailReason
from asyncgen.core.task import Task, fill, fill_parts, join_texts, template_columns
from asyncgen.core.types import ImageRef, Sample

ONE = ImageRef(column="image", load=bytes)
TWO = ImageRef(column="other", load=bytes)


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("{q}?", "why?"),
        ("{q}{n}", "why3"),
        ("{{q}}", "{q}"),
        ("{a.b-c}", "dots"),
        (r"\boxed{q}", r"\boxed{q}"),
        (r"$\boxed{latitude, longitude}$", r"$\boxed{latitude, longitude}$"),
        ('{"name": 1}', '{"name": 1}'),
        ("{}", "{}"),
        ("{ q }", "{ q }"),
        ("{0}", "{0}"),
        ("{", "{"),
        ("x^{n}", "x^{n}"),
        ("x^{{n}}", "x^{n}"),
        ("x_{n}", "x_{n}"),
        (r"\frac{n}{q} of {n}", r"\frac{n}{q} of 3"),
        (r"\text{Q}{q}", r"\text{Q}why"),
        ("问题{q}。第{n}题", "问题why。第3题"),
        ("Q{q} (n={n})", "Qwhy (n=3)"),
        ("[{none}]", "[]"),
        ("{q!r}", "{q!r}"),
    ],
)
def test_only_a_columns_name_in_braces_is_filled_in(template: str, filled: str) -> None:
    assert fill(template, {"q": "why", "n": 3, "a.b-c": "dots", "none": None}) == filled


def test_what_a_row_says_is_not_filled_in_again() -> None:
    assert fill("{a}", {"a": "{b}", "b": "secret"}) == "{b}"


def test_a_missing_column_is_a_bad_sample_that_names_those_there_are() -> None:
    with pytest.raises(EpisodeError, match="needs the column 'x'; the row has a, b") as caught:
        fill("{x}", {"a": 1, "b": 2})
    assert caught.value.reason is FailReason.BAD_SAMPLE


def test_a_templates_columns_are_those_that_are_filled_in() -> None:
    assert template_columns(r"{a} {{b}} \boxed{c} {d.e} x^{f}") == ["a", "d.e"]


def test_image_marks_take_the_images_in_order() -> None:
    sample = Sample(index=0, data={"q": "x"}, images=(ONE, TWO))
    assert fill_parts("<image>\n{q}<image>", sample, iter(sample.images)) == [ONE, "\nx", TWO]


def test_an_image_mark_in_a_rows_text_is_text() -> None:
    sample = Sample(index=0, data={"q": "<image>"}, images=(ONE,))
    assert fill_parts("{q}<image>", sample, iter(sample.images)) == ["<image>", ONE]


def test_more_marks_than_images_is_a_bad_image() -> None:
    sample = Sample(index=0, data={}, images=(ONE,))
    with pytest.raises(EpisodeError, match="more <image> marks") as caught:
        fill_parts("<image><image>", sample, iter(sample.images))
    assert caught.value.reason is FailReason.BAD_IMAGE


def test_neighbouring_texts_are_joined_and_empty_ones_left_out() -> None:
    assert join_texts(["a", "", "b", ONE, "", "c"]) == ["ab", ONE, "c"]


def test_a_prompt_without_a_system_text_has_no_system_message() -> None:
    messages = Task(user="{q}").prompt(Sample(index=0, data={"q": "x"}))
    assert [(message.role, message.text) for message in messages] == [("user", "x")]
