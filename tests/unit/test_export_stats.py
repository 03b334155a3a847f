"""Counts, means and percentiles of many traces."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.stats_runs import counted, failure, geo_trace, same, sizes, some_world
from support.traces import Line, call, failed_line, geo_scores, trace_line, turn, two_turns

from asyncgen.core.errors import InputError
from asyncgen.export.groups import EDGES, band_names, parse_edges
from asyncgen.export.stats import MAX_NAMES, OTHER_NAMES, Stats
from asyncgen.export.trace_folder import trace_line as trace_line_of
from asyncgen.view.stats import render


def some() -> Stats:
    """Two traces with a zoom and thinking, one unreadable at the second attempt, two failures."""
    stats = Stats()
    stats.add(two_turns(1))
    stats.add(two_turns(2))
    stats.add(trace_line(3, turns=[turn(1, "No idea.", attempts=2)], scores=geo_scores(parsed=False), stop="no_answer"))
    stats.add_failure(failed_line(4))
    stats.add_failure(failed_line(5, reason="timeout"))
    return stats


def test_traces_failures_and_stops_are_counted() -> None:
    summary = some().summary()
    assert (summary["traces"], summary["failed"]) == (3, 2)
    assert summary["failed_by_reason"] == {"bad_image": 1, "timeout": 1}
    assert summary["stop"] == {"answered": 2, "no_answer": 1}
    assert summary["finish_reasons"] == {"stop": 3, "tool_calls": 2}


def test_scores_have_mean_median_and_p95_and_flags_their_share() -> None:
    summary = some().summary()
    assert summary["scores"]["score"] == pytest.approx({"mean": 0.6, "p50": 0.9, "p95": 0.9})
    assert summary["scores"]["parse_success"] == {"share": pytest.approx(2 / 3)}
    assert summary["parse_rate"] == pytest.approx(2 / 3)


def test_the_distance_median_is_given_over_parsed_and_over_all() -> None:
    stats = Stats()
    for scores in (geo_scores(), geo_scores(parsed=False), geo_scores(parsed=False)):
        stats.add(trace_line(scores=scores))
    distance = stats.summary()["distance_km"]
    assert (distance["median_parsed"], distance["median_all"]) == (157.27, 20000.0)
    assert distance["mean_parsed"] == 157.27
    assert distance["mean_all"] == pytest.approx((157.27 + 40000) / 3)


def test_turns_tokens_and_seconds_are_spread() -> None:
    summary = some().summary()
    assert summary["turns"] == pytest.approx({"mean": 5 / 3, "p50": 2, "p95": 2, "max": 2})
    assert summary["tokens_per_turn"]["prompt"] == pytest.approx({"mean": 180, "p50": 100, "p95": 300, "max": 300})
    assert summary["tokens_per_trace"]["completion"]["max"] == 60
    assert summary["seconds_per_trace"]["p50"] == 3.0


def test_tool_calls_are_counted_by_name_with_their_errors() -> None:
    stats = some()
    stats.add(trace_line(6, calls=[call(1, "image_zoom_in_tool", "{", error="no JSON"), call(1, "nope", "{}")]))
    tools = stats.summary()["tools"]
    assert (tools["use_rate"], tools["calls"], tools["modes"]) == (0.75, 4, {"native": 4})
    assert tools["by_name"]["image_zoom_in_tool"] == {"calls": 3, "errors": 1, "error_share": pytest.approx(1 / 3)}
    assert tools["by_name"]["nope"]["error_share"] == 0.0


def test_names_beyond_the_limit_are_counted_together() -> None:
    stats = Stats()
    stats.add(trace_line(calls=[call(1, f"tool{number}", "{}") for number in range(MAX_NAMES + 5)]))
    by_name = stats.summary()["tools"]["by_name"]
    assert len(by_name) == MAX_NAMES + 1
    assert by_name[OTHER_NAMES]["calls"] == 5


def test_repeated_requests_are_compared_with_first_attempts() -> None:
    assert some().summary()["retried"] == {
        "share": pytest.approx(1 / 3),
        "mean_score": 0.0,
        "mean_score_first_attempt": pytest.approx(0.9),
    }


def test_thinking_counts_in_its_field_and_in_the_text() -> None:
    stats = Stats()
    texts = [turn(1, "a", reasoning="r"), turn(2, "t</think>a"), turn(3, "<think>t</think>a"), turn(4, "a > think>")]
    stats.add(trace_line(turns=texts))
    assert stats.summary()["thinking_share"] == 0.75


def test_a_job_without_distances_or_parse_success_has_null_for_them() -> None:
    stats = Stats()
    stats.add(trace_line(scores={"score": 1.0, "verdict": "right"}))
    summary = stats.summary()
    assert (summary["parse_rate"], summary["distance_km"]["median_all"]) == (None, None)
    assert list(summary["scores"]) == ["score"]


def test_nothing_at_all_still_has_a_summary_in_json() -> None:
    summary = Stats().summary()
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert render(summary) == "no traces yet; failed 0"


def test_the_summary_is_ready_for_json() -> None:
    summary = some().summary()
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_the_text_shows_each_figure_and_no_control_codes() -> None:
    stats = some()
    stats.add(trace_line(7, calls=[call(1, "zoom\x1b[2J\u202e", "{}")]))
    text = render(stats.summary())
    assert re.search(r"^failed +2: bad_image 1, timeout 1$", text, re.MULTILINE)
    assert "image_zoom_in_tool: 2 calls, 0.0% errors" in text
    assert re.search(r"^km, parsed +mean 157.3, median 157.3$", text, re.MULTILINE)
    assert all(line.isprintable() for line in text.split("\n"))


def band_of(trace: Line) -> str:
    difficulty = trace["sample_data"]["locatability_score"]
    low, middle, high = band_names(EDGES)
    return low if difficulty < 0.3 else middle if difficulty <= 0.6 else high


@settings(max_examples=25, deadline=None)
@given(count=st.integers(0, 60), seed=st.integers(0, 1000))
def test_every_group_has_the_figures_of_its_own_traces(count: int, seed: int) -> None:
    traces = list(some_world(count, seed))
    summary = counted(*traces).summary()
    for group in summary["by_tools"]["groups"]:
        mine = [trace for trace in traces if bool(trace["tool_calls"]) is (group["group"] == "with tools")]
        assert same(group, mine)
    for group in summary["by_attempt"]["groups"]:
        repeated = group["group"] == "with a repeated request"
        mine = [
            trace for trace in traces if any(one["attempts"] > 1 for one in trace["conversation_history"]) is repeated
        ]
        assert same(group, mine)
    if not count:
        assert summary["by_difficulty"] is None
        return
    for group in summary["by_difficulty"]["groups"]:
        assert same(group, [trace for trace in traces if band_of(trace) == group["group"]])
    for group in summary["by_difficulty_and_tools"]["groups"]:
        band, _, use = group["group"].partition(", ")
        wanted = [one for one in traces if band_of(one) == band and bool(one["tool_calls"]) is (use == "with tools")]
        assert same(group, wanted)


def test_both_edges_of_the_bands_belong_to_the_middle() -> None:
    groups = counted(*(geo_trace(0, difficulty=value) for value in (0.29, 0.3, 0.6, 0.61))).summary()["by_difficulty"]
    assert sizes(groups["groups"]) == {"< 0.3": 1, "0.3 to 0.6": 2, "> 0.6": 1}


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("0.5", {"< 0.5": 1, ">= 0.5": 4}),
        ("0.5,0.75", {"< 0.5": 1, "0.5 to 0.75": 3, "> 0.75": 1}),
        (" 0.25, 0.5,.75", {"< 0.25": 0, "0.25 to 0.5": 1, "0.5 to 0.75": 3, "> 0.75": 1}),
    ],
)
def test_each_difficulty_is_in_one_band(text: str, groups: dict[str, int]) -> None:
    stats = Stats(edges=parse_edges(text))
    for value in (0.4, 0.5, 0.6, 0.75, 0.8, None):
        stats.add(geo_trace(0, difficulty=value))
    assert sizes(stats.summary()["by_difficulty"]["groups"]) == groups


@pytest.mark.parametrize(
    "text",
    ["", "x", "0.5,", "0.5,0.5", "0.6,0.3", "0,0.5", "0.5,1", "nan", "-0.1", ",".join(f"0.{n}" for n in range(10, 20))],
)
def test_edges_of_bands_ascend_between_0_and_1(text: str) -> None:
    with pytest.raises(InputError, match="give 1 to 9 ascending numbers between 0 and 1"):
        parse_edges(text)


@pytest.mark.parametrize("values", [(None, None), (0.5, 1.5), (-0.1, 0.5)])
def test_there_are_no_bands_without_a_difficulty_from_0_to_1(values: tuple[float | None, ...]) -> None:
    summary = counted(*(geo_trace(0, difficulty=value) for value in values)).summary()
    assert summary["by_difficulty"] is summary["by_difficulty_and_tools"] is None


def test_the_difficulty_may_be_another_column() -> None:
    stats = Stats(difficulty="hardness")
    stats.add(geo_trace(0, hardness=0.9))
    section = stats.summary()["by_difficulty"]
    assert (section["column"], sizes(section["groups"])["> 0.6"]) == ("hardness", 1)


def test_accuracy_counts_a_distance_of_exactly_the_threshold_as_within() -> None:
    accuracy = counted(*(geo_trace(0, km=km) for km in (1.0, 25.0, 25.1, 3000.0))).summary()["accuracy"]
    assert accuracy == {"acc@1km": 0.25, "acc@25km": 0.5, "acc@200km": 0.75, "acc@750km": 0.75, "acc@2500km": 0.75}


def test_a_sample_has_the_tokens_and_seconds_of_all_its_rollouts() -> None:
    summary = counted(geo_trace(1, 0, tokens=(100, 10)), geo_trace(2, 0), geo_trace(1, 1, tokens=(200, 20))).summary()
    assert (summary["samples"], summary["traces_per_sample"]) == (2, 1.5)
    assert summary["tokens_per_sample"] == {"mean": (330 + 1000) / 2, "p50": (330 + 1000) / 2}
    assert summary["seconds_per_sample"] == {"mean": 2.25, "p50": 2.25}
    assert re.search(r"^tokens a sample +mean 665, p50 665$", render(summary), re.MULTILINE)


def test_a_sample_of_two_runs_is_two_samples() -> None:
    stats = Stats()
    stats.add(geo_trace(1), 0)
    stats.add(geo_trace(1), 1)
    assert stats.summary()["samples"] == 2


def test_accepted_traces_are_compared_only_where_some_are_not() -> None:
    good, bad = geo_trace(0), geo_trace(1, km=5000.0)
    assert counted(good, bad).summary()["by_accepted"] is None
    bad["metadata"]["accepted"] = False
    assert sizes(counted(good, bad).summary()["by_accepted"]["groups"]) == {"accepted": 1, "not accepted": 1}


def test_what_failed_is_compared_with_what_is_there() -> None:
    stats = counted(*(geo_trace(one, difficulty=0.8, country="peru") for one in range(3)), geo_trace(3, difficulty=0.2))
    for one in (4, 5):
        stats.add_failure(failure(one, difficulty=0.2, country="chile"))
    lost = stats.summary()["lost"]
    assert lost["traces"] == {"n": 4, "mean_difficulty": pytest.approx(0.65), "median_difficulty": 0.8}
    assert lost["failed"] == {"n": 2, "mean_difficulty": pytest.approx(0.2), "median_difficulty": 0.2}
    assert lost["bands"] == [
        {"group": "< 0.3", "traces": 1, "failed": 2, "failed_share": pytest.approx(2 / 3)},
        {"group": "0.3 to 0.6", "traces": 0, "failed": 0, "failed_share": None},
        {"group": "> 0.6", "traces": 3, "failed": 0, "failed_share": 0.0},
    ]
    assert lost["columns"]["country"][0] == {"group": "chile", "traces": 0, "failed": 2, "failed_share": 1.0}
    assert "failed, by country" in render(stats.summary())


def test_a_column_with_a_value_for_each_row_is_no_category() -> None:
    stats = counted(*(geo_trace(one, name=f"photo {one}") for one in range(10)))
    stats.add_failure(failure(10, name="photo 10"))
    assert "name" not in stats.summary()["lost"]["columns"]


def test_nothing_is_said_of_losses_where_nothing_failed() -> None:
    assert counted(geo_trace(0)).summary()["lost"] is None


def runs_of(*runs: list[Line]) -> dict[str, Any]:
    stats = Stats()
    for number, traces in enumerate(runs):
        for trace in traces:
            stats.add(trace, number)
    return stats.compared([f"run {number}" for number, _ in enumerate(runs)], stats.columns())


def test_runs_stand_side_by_side_with_all_of_them_together() -> None:
    one, other = list(some_world(30, 1)), list(some_world(20, 2))
    compared = runs_of(one, other)
    assert [group["group"] for group in compared["runs"]] == ["run 0", "run 1"]
    assert same(compared["runs"][0], one)
    assert same(compared["runs"][1], other)
    assert same(compared["all"], one + other)


def test_runs_are_compared_on_the_samples_that_all_have_a_samples_rollouts_averaged() -> None:
    first = [geo_trace(1, km=1000.0), geo_trace(2, 0, km=0.0), geo_trace(2, 1, km=4000.0), geo_trace(3, km=50.0)]
    second = [geo_trace(1, km=500.0), geo_trace(2, km=2000.0), geo_trace(4, km=1.0)]
    common = runs_of(first, second)["common"]
    assert (common["samples"], common["ties"], common["why"]) == (2, 1, "")
    assert common["runs"] == [
        {"group": "run 0", "mean_score": pytest.approx(0.925), "median_distance_km": 1500.0, "best": 0},
        {"group": "run 1", "mean_score": pytest.approx(0.9375), "median_distance_km": 1250.0, "best": 1},
    ]


def test_runs_without_a_common_sample_say_so() -> None:
    common = runs_of([geo_trace(1)], [geo_trace(2)])["common"]
    assert (common["samples"], common["why"]) == (0, "no sample has a trace in all of them")


def test_runs_over_different_datasets_are_not_compared_sample_by_sample() -> None:
    common = runs_of([geo_trace(1)], [geo_trace(1) | {"dataset_path": "other"}])["common"]
    assert (common["samples"], common["runs"]) == (0, [])
    assert "data/gaea/train, other" in common["why"]


def test_numbers_that_no_float_can_hold_count_as_unknown() -> None:
    trace = geo_trace(0)
    trace["metadata"] |= {"total_turns": 10**400, "prompt_tokens": 10**400}
    trace["reward_score"]["score"] = float("nan")
    summary = counted(trace, geo_trace(1)).summary()
    assert summary["turns"]["max"] == 1
    assert summary["scores"]["score"]["mean"] == pytest.approx(0.995)
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_tokens_that_a_file_counts_in_total_alone_are_counted_and_what_nobody_measured_is_null() -> None:
    old = {"response": "North.", "usage": {"total_tokens": 1234}}
    later = {"response": "South."}
    files = [{"conversation_history": [old, old], "metadata": {"total_turns": 2}}, {"conversation_log": [later]}]
    summary = counted(*(trace_line_of(one, index=row, rollout=0, name="a file") for row, one in enumerate(files)))
    figures = summary.summary()
    assert figures["tokens_per_turn"]["total"]["mean"] == 1234
    assert figures["tokens_per_turn"]["prompt"]["mean"] is None
    assert figures["tokens_per_trace"]["total"] == {"mean": 2468, "p50": 2468, "p95": 2468, "max": 2468}
    assert figures["tokens_per_sample"]["mean"] == 2468
    assert figures["seconds_per_trace"]["mean"] is None
    group = figures["by_tools"]["groups"][1]
    assert (group["n"], group["tokens"], group["tokens_per_turn"], group["seconds"]) == (2, 2468, 1234, None)
    text = render(figures)
    assert re.search(r"^tokens a trace +mean 2,468,", text, re.MULTILINE)
    assert "seconds a trace" not in text
    assert "prompt tokens" not in text


def test_memory_is_a_few_numbers_a_trace() -> None:
    columns = counted(*(geo_trace(one) for one in range(100))).columns()
    assert sum(column.nbytes for column in columns.values()) <= 100 * 14 * 8
