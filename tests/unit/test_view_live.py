"""Which screen there is, what it writes and when, and the words at the end."""

from __future__ import annotations

import asyncio
import io
import itertools
from collections.abc import Mapping

import pytest
from rich.console import Console
from support.figures import CountedRun, figures

from asyncgen.runs.figures import ScoreFigures
from asyncgen.view.live import FRAME, PlainScreen, RichScreen, make_screen, plain_line
from asyncgen.view.summary import render_status, render_summary


def test_the_plain_line_has_all_that_matters():
    assert plain_line(figures()) == (
        "geo-tools: 4312/12000 done (35.9 %) | 41 failed (timeout 22, context_overflow 11, bad_image 8) | 61.2/min | "
        "8,412 tok/s | 128/128 open | 97.8 % parsed | score 0.5123 | left 2:04:57 ± 0:12:00, hardest first"
    )


def test_the_plain_line_of_a_run_that_has_done_nothing_is_short():
    line = plain_line(
        figures(
            done=0, failed=0, reasons={}, seconds_left=None, seconds_spread=None, order="", parsed=None,
            scores=[ScoreFigures(name="score", kind="mean", value=None)], accepted=0, notice="no server answers",
        )
    )  # fmt: skip
    assert line.startswith("geo-tools: 0/12000 done (0.0 %) | 0 failed | ")
    assert line.endswith("| - parsed | score - | 0 accepted | left - | no server answers")


def test_a_notice_of_a_server_cannot_steer_the_terminal():
    line = plain_line(figures(notice="down: \x1b[2Jboom\nsecond"))
    assert line.endswith(" | down: boom second")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environ", "plain", "rich"),
    [
        ({}, False, True),
        ({"TERM": "xterm", "NO_COLOR": ""}, False, True),
        ({}, True, False),
        ({"TERM": "dumb"}, False, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": "0"}, False, False),
    ],
)
def test_the_live_screen_is_for_terminals_that_can_and_users_who_want_it(
    environ: Mapping[str, str], plain: bool, rich: bool
):
    found = make_screen(plain=plain, environ=environ, stream=Terminal())
    assert isinstance(found, RichScreen if rich else PlainScreen)


def test_without_a_terminal_the_screen_is_plain():
    assert isinstance(make_screen(plain=False, environ={}, stream=io.StringIO()), PlainScreen)


class Timed(CountedRun):
    """Finishes an episode a second, and ends the watch after so many sleeps."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.sleeps = itertools.count(1)
        self.clock.sleep = self.sleep  # type: ignore[method-assign]  # a clock of its own

    async def sleep(self, seconds: float) -> None:
        self.clock.now += seconds
        self.finish(1)
        if next(self.sleeps) > 25:
            raise asyncio.CancelledError


class Lines(PlainScreen):
    """Keeps what it would print."""

    def __init__(self) -> None:
        super().__init__(io.StringIO())
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


async def test_there_is_a_plain_line_every_ten_seconds():
    screen = Lines()
    with pytest.raises(asyncio.CancelledError):
        await screen.watch(Timed(total=1000))
    assert [line.split(" done")[0] for line in screen.lines] == ["job: 10/1000", "job: 20/1000"]
    assert all("60.0/min" in line for line in screen.lines)


async def test_the_live_screen_draws_a_frame_each_quarter_of_a_second():
    run, out = Timed(total=1000), io.StringIO()
    console = Console(file=out, force_terminal=True, width=100, height=30)
    with pytest.raises(asyncio.CancelledError):
        await RichScreen(console, "utf-8").watch(run)
    assert run.clock.now - run.started == pytest.approx(26 * FRAME)
    assert out.getvalue().count("Ctrl-C ends") == 26 + 1  # the last one when it ends
    assert "25/1,000" in out.getvalue()


class Gone(Terminal):
    """A terminal whose window was closed."""

    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")


async def test_a_terminal_that_is_gone_ends_the_screen_and_not_the_run():
    console = Console(file=Gone(), force_terminal=True)
    screen = RichScreen(console, "utf-8")
    await screen.watch(Timed())
    screen.say("draining")
    assert console.file.getvalue() == ""


def test_a_line_above_the_live_ones_is_cleaned_and_not_taken_for_markup():
    out = io.StringIO()
    RichScreen(Console(file=out, width=100), "ascii").say("[red]down\x1b[2J ± é")
    assert out.getvalue() == "[red]down +- ?\n"


SPENT = {
    "turns": 4, "tool_calls": 0, "prompt_tokens": 80, "completion_tokens": 40, "retries": 2, "seconds": 3.0,
    "cost": None,
}  # fmt: skip


def test_the_summary_says_to_go_on_only_when_something_is_left():
    summary = {
        "done": 3, "total": 5, "failed": 1, "left": 1, "skipped": 0, "failed_reasons": {"timeout": 1}, "new_traces": 3,
        "parsed": 3, "stored": 3, "unfinished": 0, "lost_turns": 0,
        "new_failures": 1, "starts": 1, **SPENT, "this_start": SPENT, "directory": "runs/geo", "tool_errors": 0,
        "last_failure": "geo/1/0: timeout: slow\x1b[2J", "exit_code": 0, "accepted": None,
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
        "done": 3, "total": 3, "failed": 0, "left": 0, "skipped": 0, "failed_reasons": {}, "new_traces": 3, "parsed": 0,
        "stored": 9, "new_failures": 0, "starts": 1, **SPENT, "this_start": {**SPENT, "cost": 3.4123},
        "directory": "runs/geo", "last_failure": "", "exit_code": 0, "accepted": 1, "tool_errors": 0,
    }  # fmt: skip
    text = render_summary(summary)
    assert "this start: 3 traces (0 with an answer that could be read), 0 failures" in text
    assert "9 traces are stored in all" in text
    assert "0 left, 7 not needed" in render_summary({**summary, "skipped": 7})
    assert "2 retries, 0:00:03, $3.41\n1 of the 9 stored traces are accepted (11.1 %)\n" in text
    assert "$" not in render_summary({**summary, "this_start": SPENT})
    assert "accepted" not in render_summary({**summary, "accepted": None})
    assert "could be read" not in render_summary({**summary, "parsed": 3})
    assert "brought no result" not in text
    called = render_summary({**summary, "this_start": {**SPENT, "tool_calls": 1200}, "tool_errors": 1100})
    assert "\n1,100 of this start's 1,200 tool calls brought no result\n" in called


def test_the_summary_of_a_resume_says_what_all_starts_have_cost():
    whole = {"turns": 40, "tool_calls": 3, "prompt_tokens": 8000, "completion_tokens": 4000, "retries": 5}
    summary = {
        "done": 3, "total": 3, "failed": 0, "left": 0, "skipped": 0, "failed_reasons": {}, "new_traces": 3, "parsed": 3,
        "stored": 3, "new_failures": 0, "starts": 3, **whole, "seconds": 3661.0, "cost": 1.5, "this_start": SPENT,
        "directory": "runs/geo", "last_failure": "", "exit_code": 0, "accepted": None, "tool_errors": 0,
    }  # fmt: skip
    assert render_summary(summary).splitlines()[1:3] == [
        "this start: 3 traces, 0 failures, 4 turns, 0 tool calls, 80 + 40 tokens, 2 retries, 0:00:03",
        "all 3 starts: 40 turns, 3 tool calls, 8,000 + 4,000 tokens, 5 retries, 1:01:01, $1.50",
    ]


STATUS = {
    "name": "geo", "state": "running", "holder": {"pid": 7, "host": "box"}, "total": 2, "done": 1, "failed": 0,
    "left": 1, "skipped": 0, "accepted": None, "paused": "", "failed_reasons": {}, "rate_per_minute": 60.0,
    "seconds_left": 1.0, "partitions": 0, "partitions_started": 0, "stored": 1, "servers_down": [], "starts": 2,
    **SPENT,
}  # fmt: skip


def test_status_names_the_process_that_runs():
    assert render_status(STATUS).splitlines() == [
        "geo: running (pid 7 on box)",
        "1 of 2 done, 0 failed, 1 left",
        "spent on episodes that ended, in all starts (2): 4 turns, 0 tool calls, 80 + 40 tokens, 2 retries, 0:00:03",
        "rate 60.0/min, left 0:00:01",
    ]


def test_status_says_what_a_run_waits_for_on_one_line():
    shown = render_status({**STATUS, "paused": "no server answers:\n\x1b[2Jrefused"}).splitlines()
    assert shown[:2] == ["geo: running (pid 7 on box)", "paused: no server answers: refused"]


def test_status_of_a_strangers_directory_steers_no_terminal():
    shown = render_status({**STATUS, "name": "\x1b]0;title\x07geo\u202e", "failed_reasons": {"time\x1b[2J": 1}})
    assert shown.splitlines()[0] == "geo<U+202E>: running (pid 7 on box)"
    assert "(time 1)" in shown


def test_status_has_no_rate_where_nothing_runs_and_nobody_knows_one():
    assert "2 of the 3 stored traces are accepted (66.7 %)" in render_status(STATUS | {"accepted": 2, "stored": 3})
    assert "rate -, left -" in render_status(
        {**STATUS, "state": "complete", "holder": None, "rate_per_minute": 0.0, "seconds_left": None}
    )
    assert "rate 0.0/min" in render_status({**STATUS, "rate_per_minute": 0.0})


def test_status_counts_the_partitions_that_have_been_started():
    shown = render_status({**STATUS, "partitions": 4, "partitions_started": 3})
    assert "3 of 4 partitions have been started; the samples of the other 1 are not counted here" in shown
    assert "not counted" not in render_status({**STATUS, "partitions": 4, "partitions_started": 4})
