"""Rollouts side by side, at any width, whatever the models wrote."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from rich.cells import cell_len
from support.traces import failed_line, geo_scores, trace_line, two_turns

from asyncgen.runs.drawing import INK, Mark, drawn, marks_on
from asyncgen.view.compare import LONGEST, NARROWEST, render_rollouts


def rollouts(count: int, **change: Any) -> list[dict[str, Any]]:
    return [two_turns(42, number) | change for number in range(count)]


def row(text: str, name: str) -> list[str]:
    """The cells of a row, of all blocks."""
    return [cell for line in text.splitlines() if line.startswith(f"{name} ") for cell in line.split()[1:]]


def test_each_rollout_has_a_column_with_what_came_of_it() -> None:
    text = render_rollouts(rollouts(2), width=100)
    assert text.splitlines() == [
        "geo-tools/42: 2 rollouts   truth: lat=1, lon=2",
        "",
        "rollout   0                                            1",
        "answer    1.5, 2.5                                     1.5, 2.5",
        "score     0.9                                          0.9",
        "distance  157.27 km                                    157.27 km",
        "turns     2                                            2",
        "calls     1                                            1",
        "tokens    400 + 60                                     400 + 60",
        "stop      answered                                     answered",
        "",
        "response  <think>Reads Paris.</think>It is             <think>Reads Paris.</think>It is",
        r"          \boxed{1.5, 2.5}                             \boxed{1.5, 2.5}",
    ]


@pytest.mark.parametrize(("width", "blocks"), [(60, 5), (90, 3), (130, 2), (160, 1)])
def test_as_many_stand_side_by_side_as_have_room_and_the_others_below(width: int, blocks: int) -> None:
    text = render_rollouts(rollouts(5), width=width)
    assert row(text, "rollout") == list("01234")
    heads = [line for line in text.splitlines() if line.startswith("rollout")]
    assert len(heads) == blocks
    assert all(line.index("1") - line.index("0") >= NARROWEST for line in heads if "0" in line and "1" in line)


def test_a_failure_stands_beside_the_traces_and_says_why() -> None:
    text = render_rollouts([two_turns(42), failed_line(42) | {"rollout": 1}], width=100)
    assert "failed" in text
    assert "bad_image: the file is truncated" in text
    assert row(text, "accepted") == []


def test_who_was_accepted_is_said_where_not_all_are() -> None:
    refused = two_turns(42, 1)
    refused["metadata"]["accepted"] = False
    text = render_rollouts([two_turns(42), refused, failed_line(42) | {"rollout": 2}], width=60)
    assert row(text, "accepted") == ["yes", "no"]


def test_four_rollouts_stand_side_by_side_in_130_columns() -> None:
    heads = [line.split() for line in render_rollouts(rollouts(4), width=130).splitlines() if "rollout " in line]
    assert heads == [["rollout", "0", "1", "2", "3"]]


def test_tokens_that_nobody_counted_have_no_row() -> None:
    trace = two_turns()
    trace["metadata"] |= {"prompt_tokens": 0, "completion_tokens": 0, "stop": ""}
    names = [line.split()[0] for line in render_rollouts([trace], width=100).splitlines() if line[:1].isalpha()]
    assert not {"tokens", "stop"} & set(names)


@pytest.mark.parametrize("box", [(90, 70, 99, 79), (0, 76, 4, 80), (96, 0, 100, 4), (99, 79, 100, 80)])
def test_the_label_of_a_box_at_the_edge_lies_within_the_picture(box: tuple[float, float, float, float]) -> None:
    inked = drawn(Image.new("RGB", (100, 80), "white"), [Mark("12", box)])
    middle = drawn(Image.new("RGB", (100, 80), "white"), [Mark("12", (40, 30, 41, 31))])

    def label(picture: Image.Image) -> int:
        return sum(picture.getpixel((x, y)) == INK[0] for x in range(100) for y in range(80))

    assert label(inked) >= 0.9 * label(middle)


def test_the_distance_of_an_answer_that_could_not_be_read_is_no_distance() -> None:
    text = render_rollouts([trace_line(scores=geo_scores(parsed=False))], width=100)
    assert "20000" not in text
    assert row(text, "answer") == ["none"]


def test_the_columns_of_the_truth_may_be_named() -> None:
    text = render_rollouts([trace_line(data={"city": "Oslo", "lat": 1})], width=100, truth=["city"])
    assert text.splitlines()[0] == "geo-tools/42: 1 rollout   truth: city=Oslo"


def test_a_very_long_response_is_cut() -> None:
    text = render_rollouts(rollouts(1, final_response="x" * (LONGEST + 7)), width=200)
    assert "… and 7 characters more" in text.replace("\n          ", "")


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300), st.integers(48, 200), st.integers(1, 4))
def test_no_line_is_wider_than_the_terminal_and_nothing_steers_it(response: str, width: int, count: int) -> None:
    hostile = f"\x1b[2J[red]{response}东京\u202e"
    lines = rollouts(count, final_response=hostile, answer=hostile, sample_data={})
    text = render_rollouts(lines, width=width)
    assert all(cell_len(line) <= width for line in text.splitlines())
    assert not {"\x1b", "\u202e", "\r", "\x07"} & set(text)


def test_a_box_is_scaled_from_the_full_picture_to_the_one_that_was_sent() -> None:
    images = two_turns()["images"]
    assert marks_on(images, 0, (1280, 960), (640, 480)) == [Mark("1", (0.5, 1.0, 15.0, 20.0))]
    assert marks_on(images, 1, (640, 480), (640, 480)) == []
