"""A trace in a notebook: readable, and harmless whatever its texts are."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st
from support.store_fakes import a_failure, a_trace
from support.traces import two_turns

from asyncgen.core.markup import LONGEST, table_html
from asyncgen.runs.objects import trace_of

OURS = {"div", "b", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "pre", "code"}


class Reader(HTMLParser):
    """The tags, and what stands between them."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_trace_shows_header_scores_pictures_turns_and_calls() -> None:
    text = Reader(trace_of(two_turns())._repr_html_()).text
    for piece in (
        "geo-tools/42/0",
        "stop answered",
        "2 turns",
        "1.5, 2.5",
        "157.27",
        "turn 1",
        "You are a geographer.",
    ):
        assert piece in text
    assert 'call image_zoom_in_tool {"bbox_2d": [1, 2, 30, 40]} → ok' in text
    assert 'image 1: zoom {"image":0,"box":[1,2,30,40]}, 640x480' in text


def test_thinking_is_folded_wherever_the_model_put_it() -> None:
    markup = trace_of(two_turns())._repr_html_()
    folded = [part.partition("</details>")[0] for part in markup.split("<details>")[1:]]
    assert len(folded) == 2
    assert "A sign." in folded[0]
    assert "Reads Paris." in folded[1]
    assert "boxed" not in folded[1]


def test_a_failure_says_why_before_the_trace() -> None:
    text = Reader(a_failure(3, reason="timeout", error="too <b>slow</b>")._repr_html_()).text
    assert text.startswith("failed: timeout too <b>slow</b>")


def test_a_call_that_failed_shows_its_error() -> None:
    trace = a_trace(1, calls=1)
    broken = replace(trace, tool_calls=(replace(trace.tool_calls[0], success=False, error="no such box"),))
    assert "→ error: no such box" in Reader(broken._repr_html_()).text


def test_control_codes_go_and_hidden_characters_show() -> None:
    text = Reader(a_trace(1, text="a\x1b[31mb\x00c\u202ed\ud800e\nf")._repr_html_()).text
    assert "a[31mbc<U+202E>d<U+D800>e\nf" in text


def test_a_very_long_text_is_cut_and_says_so() -> None:
    markup = a_trace(1, text="x" * (LONGEST + 5))._repr_html_()
    assert "… and 5 characters more" in markup
    assert len(markup) < 4 * LONGEST


def test_a_table_takes_any_value() -> None:
    assert Reader(table_html(["a"], [[None], [0.1234567], [True], ["x\ny"]])).text == "a0.123457Truex y"


@settings(max_examples=100, deadline=None)
@given(st.text(), st.text())
def test_no_text_becomes_markup(one: str, other: str) -> None:
    hostile = f"<script src=//x>{one}</pre></script><img src=x onerror=a()>\"'&<!--{other}</think>{one}"
    trace = a_trace(1, calls=1, column=hostile)
    turn = replace(trace.conversation_history[0], response=hostile, reasoning=hostile, model=hostile)
    call = replace(trace.tool_calls[0], error=hostile, success=False)
    image = replace(trace.images[0], column=hostile, op=hostile, arguments=hostile)
    shown = replace(
        trace,
        id=hostile,
        answer=hostile,
        reward_score={hostile: hostile},
        conversation_history=(turn,),
        tool_calls=(call,),
        images=(image,),
        metadata={"stop": hostile},
    )._repr_html_()
    tags = Reader(shown).tags
    assert {tag for tag, _ in tags} <= OURS
    assert {name for _, attributes in tags for name in attributes} <= {"style", "open"}
    assert shown.encode("utf-8")
