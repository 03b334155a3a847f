"""`--by COL`: which column a name means, and which traces belong together."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.stats_runs import geo_trace, same, sizes, some_world
from support.traces import Line

from asyncgen.core.errors import InputError
from asyncgen.export.by_column import MAX_EXACT, MAX_GROUPS, NO_VALUE, OTHER, ByColumn
from asyncgen.export.stats import Stats


def grouped(name: str, *traces: Line) -> list[dict[str, Any]]:
    """The groups of `--by name`."""
    stats, by = Stats(), ByColumn(name)
    for trace in traces:
        stats.add(trace)
        by.add(trace)
    groups: list[dict[str, Any]] = by.section(stats.columns())["groups"]
    return groups


@settings(max_examples=25, deadline=None)
@given(count=st.integers(1, 60), seed=st.integers(0, 1000))
def test_grouping_by_a_text_column_gives_the_figures_of_each_value_largest_first(count: int, seed: int) -> None:
    traces = list(some_world(count, seed))
    groups = grouped("country", *traces)
    assert [group["n"] for group in groups] == sorted((group["n"] for group in groups), reverse=True)
    assert sum(group["n"] for group in groups) == count
    for group in groups:
        assert same(group, [trace for trace in traces if trace["sample_data"]["country"] == group["group"]])


def test_few_numbers_stand_for_themselves_in_their_order() -> None:
    groups = grouped("total_turns", *(geo_trace(one, tools=one % 3) for one in range(7)))
    assert list(sizes(groups).items()) == [("1", 3), ("2", 2), ("3", 2)]


def test_ids_that_no_float_can_tell_apart_are_told_apart() -> None:
    ids = [2**53 + one for one in range(4)]
    traces = [geo_trace(row) for row, _ in enumerate(ids)]
    for trace, number in zip(traces, ids, strict=True):
        trace["sample_data"]["photo"] = number
    assert sizes(grouped("photo", *traces)) == {str(number): 1 for number in ids}


def test_a_bin_of_one_value_has_its_name() -> None:
    traces = [geo_trace(one, hardness=0.0 if one < 80 else one / 1000) for one in range(200)]
    assert grouped("hardness", *traces)[0]["group"] == "0"


def test_many_numbers_go_into_ten_bins_of_as_many_traces() -> None:
    groups = grouped("hardness", *(geo_trace(one, hardness=one / 1000) for one in range(1000)))
    assert [group["n"] for group in groups] == [100] * 10
    assert (groups[0]["group"], groups[9]["group"]) == ("0 to 0.099", "0.9 to 0.999")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(st.floats(), st.integers(), st.booleans(), st.none(), st.text(), st.lists(st.integers()))))
def test_whatever_a_column_has_each_trace_is_in_one_group(values: list[Any]) -> None:
    groups = grouped("data.thing", *(geo_trace(one, thing=value) for one, value in enumerate(values)))
    assert sum(group["n"] for group in groups) == len(values)
    assert all(group["n"] for group in groups)


def test_more_different_numbers_than_the_limit_are_binned() -> None:
    exact = grouped("year", *(geo_trace(one, year=one) for one in range(MAX_EXACT)))
    binned = grouped("year", *(geo_trace(one, year=one) for one in range(MAX_EXACT + 1)))
    assert (len(exact), len(binned)) == (MAX_EXACT, 10)


def test_values_of_several_kinds_and_none_are_told_apart() -> None:
    values = ["peru", True, None, "(none)", 7, 7]
    groups = grouped("thing", *(geo_trace(one, thing=value) for one, value in enumerate(values)))
    assert sorted((group["group"], group["n"]) for group in groups) == [
        ("(none)", 1), ("(none)", 1), ("7", 2), ("peru", 1), ("true", 1),
    ]  # fmt: skip


def test_the_smallest_groups_beyond_the_limit_are_one() -> None:
    many = [geo_trace(one, city=f"city {one}") for one in range(MAX_GROUPS + 3)]
    groups = grouped("city", geo_trace(0, city="city 5"), *many)
    assert len(groups) == MAX_GROUPS + 1
    assert (groups[0]["group"], groups[0]["n"]) == ("city 5", 2)
    assert (groups[-1]["group"], groups[-1]["n"]) == (OTHER, 3)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("stop", {"answered": 1}),
        ("meta.stop", {"answered": 1}),
        ("data.stop", {"the row's": 1}),
        ("reward.score", {"0.995": 1}),
        ('"distance@km"', {"100": 1}),
        ('reward."distance@km"', {"100": 1}),
        ("COUNTRY", {"atlantis": 1}),
        ("config_id", {"0123456789ab": 1}),
    ],
)
def test_a_name_finds_its_column_as_in_any_condition_over_traces(name: str, wanted: dict[str, int]) -> None:
    assert sizes(grouped(name, geo_trace(0, stop="the row's"))) == wanted


@pytest.mark.parametrize("name", ["contry", "data.contry"])
def test_a_column_that_no_trace_has_is_refused_with_the_nearest(name: str) -> None:
    with pytest.raises(InputError, match=f"--by {name}: no trace has such a column: did you mean 'country'"):
        grouped(name, geo_trace(0))


def test_a_trace_without_the_column_is_in_a_group_of_its_own() -> None:
    assert sizes(grouped("city", geo_trace(0, city="lima"), geo_trace(1))) == {"lima": 1, NO_VALUE: 1}


def test_no_column_is_unknown_where_there_is_no_trace() -> None:
    assert grouped("whatever") == []
