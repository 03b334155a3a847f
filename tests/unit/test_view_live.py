from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from asyncgen.view.live import Figures, _panel, duration, plain_line
from asyncgen.view.summary import render_status, render_summary

FIGURES = Figures(
    name="geo", total=200, done=50, failed=2, left=148, durable=49, reasons="timeout 2", rate=12.34, seconds_left=725.0,
    tokens_a_second=1234.5, open=7, limit=32, alive=14, elapsed=250.0, parsed=0.9, notice="", draining=False,
)  # fmt: skip


def test_the_plain_line_has_done_failed_rate_open_and_time_left():
    assert plain_line(FIGURES) == (
        "geo: 50/200 done (25.0 %) | 2 failed (timeout 2) | 12.3/min | 1,234 tok/s | 7/32 open | 90.0 % parsed | "
        "left 0:12:05"
    )


def test_a_notice_of_a_server_cannot_steer_the_terminal():
    line = plain_line(replace(FIGURES, notice="down: \x1b[2Jboom"))
    assert line.endswith(" | down: boom")


def test_durations_have_hours_minutes_and_seconds():
    assert [duration(seconds) for seconds in (None, 0.9, 61, 90061)] == ["-", "0:00:00", "0:01:01", "25:01:01"]


def test_the_summary_says_to_go_on_only_when_something_is_left():
    summary = {
        "done": 3, "total": 5, "failed": 1, "left": 1, "failed_reasons": {"timeout": 1}, "new_traces": 3,
        "parsed": 3, "stored": 3,
        "new_failures": 1, "turns": 4, "tool_calls": 0, "prompt_tokens": 80, "completion_tokens": 40, "retries": 2,
        "seconds": 3.0, "directory": "runs/geo", "last_failure": "geo/1/0: timeout: slow\x1b[2J", "exit_code": 0,
    }  # fmt: skip
    text = render_summary(summary)
    assert text.startswith("3 of 5 done, 1 failed, 1 left (timeout 1)\n")
    assert "run the same command again" in text
    assert "last failure: geo/1/0: timeout: slow" in text
    assert "\x1b" not in text
    assert "--retry-failed tries the 1 failed again" in text
    assert "run the same command again" not in render_summary({**summary, "left": 0})
    assert "--retry-failed" not in render_summary({**summary, "failed": 0})
    for code, mend in ((1, True), (2, True), (77, True), (75, False), (130, False)):
        shown = render_summary({**summary, "exit_code": code})
        assert ("mend that, then run the same command again" in shown) == mend


def test_the_summary_tells_answers_that_could_not_be_read_and_traces_beyond_the_job():
    summary = {
        "done": 3, "total": 3, "failed": 0, "left": 0, "failed_reasons": {}, "new_traces": 3, "parsed": 0, "stored": 9,
        "new_failures": 0, "turns": 4, "tool_calls": 0, "prompt_tokens": 80, "completion_tokens": 40, "retries": 2,
        "seconds": 3.0, "directory": "runs/geo", "last_failure": "", "exit_code": 0,
    }  # fmt: skip
    text = render_summary(summary)
    assert "this start: 3 traces (0 with an answer that could be read), 0 failures" in text
    assert "9 traces are stored in all" in text
    assert "could be read" not in render_summary({**summary, "parsed": 3})


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_the_live_screen_fits_a_terminal_of_80_columns(width: int):
    console = Console(width=width, file=io.StringIO())
    console.print(_panel(replace(FIGURES, total=12_000, done=4312, durable=4301), width))
    lines = console.file.getvalue().splitlines()
    assert len(lines) == (4 if width >= 80 else len(lines))
    assert max(map(len, lines)) <= width


STATUS = {
    "name": "geo", "state": "running", "holder": {"pid": 7, "host": "box"}, "total": 2, "done": 1, "failed": 0,
    "left": 1, "paused": "", "failed_reasons": {}, "rate_per_minute": 60.0, "seconds_left": 1.0, "partitions": 0,
    "partitions_started": 0, "stored": 1, "servers_down": [],
}  # fmt: skip


def test_status_names_the_process_that_runs():
    assert render_status(STATUS).splitlines() == [
        "geo: running (pid 7 on box)",
        "1 of 2 done, 0 failed, 1 left",
        "rate 60.0/min, left 0:00:01",
    ]


def test_status_says_what_a_run_waits_for_on_one_line():
    shown = render_status({**STATUS, "paused": "no server answers:\n\x1b[2Jrefused"}).splitlines()
    assert shown[:2] == ["geo: running (pid 7 on box)", "paused: no server answers: refused"]


def test_status_counts_the_partitions_that_have_been_started():
    shown = render_status({**STATUS, "partitions": 4, "partitions_started": 3})
    assert "3 of 4 partitions have been started; the samples of the other 1 are not counted here" in shown
    assert "not counted" not in render_status({**STATUS, "partitions": 4, "partitions_started": 4})
