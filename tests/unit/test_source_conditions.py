"""What is said about a condition that DuckDB refuses."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest

from asyncgen.core.errors import InputError
from asyncgen.source.arrow import ArrowCells
from asyncgen.source.base import Selection
from asyncgen.source.conditions import fault
from asyncgen.source.select import select_rows

CELLS = ArrowCells(
    pa.table({"lat": [1.0], "lon": [2.0], "country": ["france"], "distance@km": [3.0], "order": [1], "photo": [b""]})
)


def said(where: str) -> str:
    with pytest.raises(InputError) as caught:
        select_rows(CELLS, ("photo",), Selection(where=where))
    text = str(caught.value)
    start = f"dataset.where {where!r}: "
    assert text.startswith(start)
    assert "\n" not in text
    return text.removeprefix(start)


@pytest.mark.parametrize(
    "where",
    ["country = france", 'country="france"', "country in (france, italy)", "country LIKE france", "lat <> france"],
)
def test_a_text_without_quotes_is_answered_with_quotes(where: str) -> None:
    assert said(where) == "no column 'france'; a text needs single quotes: 'france'"


def test_an_unknown_name_on_the_left_is_a_name() -> None:
    assert said("latt = 1") == "no column 'latt': did you mean 'lat'?"
    assert "single quotes" not in said("lat = abs(nowhere)")
    assert said("photo is null") == "'photo' is an image column, which SQL does not see"


@pytest.mark.parametrize("where", ["lat <", "lat = 3 and", "country is", "lat between 1 and", "lat\n=\n"])
def test_a_condition_that_breaks_off_says_so(where: str) -> None:
    assert said(where) == "the condition ends too early"


def test_brackets_that_do_not_match_are_counted() -> None:
    assert said("(lat < 3") == said("abs(lat) < abs(lon") == "the condition ends too early: a ')' is missing"
    assert said("lat < 3)") == "it has a ')' too many"
    assert said("country <> '(' and (lat <") == "the condition ends too early: a ')' is missing"


def test_a_slip_of_the_users_own_bracket_stays_duckdbs_to_name() -> None:
    assert "syntax error at or near" in said("lat in (,) and lon = 1")


@pytest.mark.parametrize(
    ("where", "name"),
    [("distance@km < 5", "distance@km"), ("lat = 1 and Distance@km<5", "distance@km"), ("order = 1", "order")],
)
def test_a_name_that_needs_double_quotes_is_given_with_them(where: str, name: str) -> None:
    assert said(where) == f'write "{name}" in double quotes'


def test_other_errors_keep_duckdbs_first_line() -> None:
    assert fault(duckdb.Error("first\nsecond"), "lat = 1", ["lat"]) == "first"


@pytest.mark.parametrize("where", ["1=1) union all select 99 where (1=1", "true) -- ", "lat = 1; select 1"])
def test_a_condition_cannot_end_the_query_it_stands_in(where: str) -> None:
    with pytest.raises(InputError, match=r"dataset\.where"):
        select_rows(CELLS, ("photo",), Selection(where=where))


def test_a_condition_may_have_a_query_of_its_own_and_a_remark() -> None:
    for where in ("lat >= (select avg(lat) from data)", "lat = 1 -- the first"):
        assert select_rows(CELLS, ("photo",), Selection(where=where)).indexes.tolist() == [0]


def test_nan_is_null_to_a_condition_as_it_is_in_a_trace() -> None:
    cells = ArrowCells(pa.table({"score": [0.1, float("nan"), 0.9, None]}))
    assert select_rows(cells, (), Selection(where="score > 0.45")).indexes.tolist() == [2]
    assert select_rows(cells, (), Selection(where="score is null")).indexes.tolist() == [1, 3]


def test_columns_that_differ_only_in_case_are_refused_where_one_is_named() -> None:
    cells = ArrowCells(pa.table({"Lat": [1, 50], "lat": [50, 1], "lon": [1, 2]}))
    with pytest.raises(InputError, match="Lat and lat differ only in case"):
        select_rows(cells, (), Selection(where="lat = 50"))
    for where in ("lon = 2", "lon = 2 and 'lat' <> 'Lat'", "lon = 2 -- and lat"):
        assert select_rows(cells, (), Selection(where=where)).indexes.tolist() == [1]
