"""Counts, means and percentiles of many traces."""

from __future__ import annotations

import json

import pytest
from support.traces import call, failed_line, geo_scores, trace_line, turn, two_turns

from asyncgen.export.stats import MAX_NAMES, OTHER_NAMES, Stats, render


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
    assert stats.summary()["distance_km"] == {"median_parsed": 157.27, "median_all": 20000.0}


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
    assert "failed   2: bad_image 1, timeout 1" in text
    assert "image_zoom_in_tool: 2 calls, 0.0% errors" in text
    assert "median distance: 157.3 km of the parsed, 157.3 km of all" in text
    assert all(line.isprintable() for line in text.split("\n"))
