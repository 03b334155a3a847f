from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from asyncgen.view.listing import LOOK_AT, NARROWEST, WIDEST, Table, csv_line, fitted, json_lines, plain, short_text


def lines(names: list[str], rows: list[list[Any]], width: int | None = None, **options: Any) -> list[str]:
    return list(Table(names, rows, width=width, **options).lines())


def test_columns_are_aligned_and_numbers_stand_to_the_right():
    assert lines(["id", "n", "score"], [["a", 1, 0.5], ["bcd", 20, None]]) == [
        "id    n  score",
        "a     1    0.5",
        "bcd  20",
    ]


def test_wide_characters_count_as_two_cells():
    found = lines(["city", "n"], [["東京", 1], ["Rome", 2]])
    assert found == ["city  n", "東京  1", "Rome  2"]


def test_a_value_can_neither_steer_the_terminal_nor_begin_a_line():
    found = lines(["a\x1b[31m"], [["x\x1b[2J\ny\x07\u202e"]])
    assert found == ["a", "x y<U+202E>"]


def test_the_widest_column_gives_way_first():
    found = lines(["id", "text"], [["geo/1/0", "x" * 300]], width=40)
    assert found[1] == "geo/1/0  " + "x" * 30 + "…"


def test_columns_without_room_are_named():
    table = Table([f"column {n:02}" for n in range(30)], [["x" * 20] * 30], width=60)
    assert all(cell_len(line) <= 60 for line in table.lines())
    assert table.left_out == [f"column {n:02}" for n in range(6, 30)]


def test_rows_that_come_later_are_fitted_to_the_first():
    rows = [["short", 1]] * LOOK_AT + [["y" * 50, 2]]
    assert cell_len(lines(["a", "n"], rows, width=20)[-1]) <= 20
    assert lines(["a", "n"], rows)[-1] == "y" * 50 + "  2"


def test_rows_are_taken_as_they_come():
    taken = []

    def rows() -> Any:
        for number in range(10 * LOOK_AT):
            taken.append(number)
            yield [number]

    found = Table(["n"], rows(), width=80).lines()
    assert [next(found).strip(), next(found).strip()] == ["n", "0"]
    assert len(taken) == LOOK_AT


def test_a_table_without_rows_or_columns_is_a_header():
    assert lines(["a", "b"], [], width=80) == ["a  b"]
    assert lines([], [], width=80) == [""]


@settings(max_examples=100, deadline=None)
@given(needed=st.lists(st.integers(1, 200), min_size=1, max_size=20), width=st.integers(20, 200))
def test_a_fitted_table_fits_and_takes_nothing_that_it_need_not(needed: list[int], width: int):
    found = fitted(needed, width)
    assert sum(found) + 2 * (len(found) - 1) <= width
    assert all(given == one or given >= min(one, NARROWEST) for given, one in zip(found, needed, strict=False))
    if sum(needed) + 2 * (len(needed) - 1) <= width:
        assert found == needed


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=300))
def test_no_text_is_wider_than_the_widest(text: str):
    assert cell_len(short_text(text)) <= WIDEST
    assert "\n" not in short_text(text)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (Decimal("1.50"), 1.5),
        (Decimal(3), 3),
        (dt.date(2020, 1, 2), "2020-01-02"),
        (dt.datetime(2020, 1, 2, 3, 4, 5, tzinfo=dt.UTC), "2020-01-02T03:04:05+00:00"),
        (dt.timedelta(days=3), "3 days, 0:00:00"),
        (b"\x00\xff", "00ff"),
        ({"a": [Decimal(1), None], 2: (b"x",)}, {"a": [1, None], "2": ["78"]}),
        (True, True),
        (None, None),
    ],
)
def test_what_a_query_gives_has_a_place_in_json(value: Any, found: Any):
    assert plain(value) == found
    assert type(plain(value)) is type(found)


@pytest.mark.parametrize("objects", [[], [{"a": 1}], [{"a": 2**100}, {"a": float("nan")}, {"a": "\x1b\n"}]])
def test_json_comes_an_object_a_line(objects: list[Any]):
    found = list(json_lines(objects))
    assert len(found) == (len(objects) + 2 if objects else 1)
    assert len(json.loads("\n".join(found))) == len(objects)


def test_csv_has_full_values_and_json_for_what_has_parts():
    assert csv_line([1, None, "a,b", "x\ny", True, [1, {"a": 2}]]) == '1,,"a,b","x\ny",true,"[1,{""a"":2}]"'


@settings(max_examples=100, deadline=None)
@given(needed=st.lists(st.integers(1, 60), min_size=1, max_size=9), width=st.integers(10, 200))
def test_an_uncut_column_keeps_its_width_unless_it_takes_half_of_all(needed: list[int], width: int):
    found = fitted(needed, width, {0})
    assert sum(found) + 2 * (len(found) - 1) <= width
    if 2 * needed[0] <= width:
        assert found[0] == needed[0]


def test_ids_are_whole_where_others_are_cut():
    rows = [["geo-tools/12345/0", "24.31341, -109.1043", "24.5, -109.5"]] * 3
    shown = lines(["id", "answer", "truth"], rows, width=40, uncut=("id",))
    assert all(line.startswith("geo-tools/12345/0  24.") for line in shown[1:])
