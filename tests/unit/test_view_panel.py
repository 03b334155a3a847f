"""What the live screen says, and that it fits."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from support.figures import a_server, figures

import asyncgen
from asyncgen.engine.driver import Living
from asyncgen.runs.figures import Figures, ScoreFigures
from asyncgen.view.live import RichScreen
from asyncgen.view.panel import cut, duration, encodable, score, screen

README = (Path(asyncgen.__file__).parent.parent / "README.md").read_text("utf-8")
FULL = figures(
    cost=3.4123, cost_at_end=9.52, accepted=1203, skipped=120, notice="disk full: 17 bytes needed, 3 free",
    oldest=[Living(id=f"geo-tools/{row}/0", turn=4, seconds=723.0, idle=250.0) for row in range(3)],
    endpoints=[a_server(f"http://10.0.0.{row}:8000/v1", "down" if row == 7 else "ok") for row in range(20)],
)  # fmt: skip


def texts(one: Figures, *, width: int = 160, height: int = 50, encoding: str = "utf-8") -> list[str]:
    return [text.rstrip() for text, _style in screen(one, width=width, height=height, encoding=encoding)]


def line_of(one: Figures, start: str, **size: int) -> str:
    (found,) = [text for text in texts(one, **size) if text.startswith(start)]
    return found


def test_the_picture_in_the_readme_is_the_screens_own():
    picture = README.partition("## What it looks like\n\n```\n")[2].partition("\n```")[0]
    assert picture.splitlines() == texts(figures(), width=120)


def test_durations_have_hours_minutes_and_seconds():
    assert [duration(seconds) for seconds in (None, 0.9, 61, 90061)] == ["-", "0:00:00", "0:01:01", "25:01:01"]


@pytest.mark.parametrize("width", [20, 60, 80, 120, 200])
@pytest.mark.parametrize("one", [figures(), FULL, replace(FULL, total=1_400_000, done=999_999)])
def test_no_line_is_wider_than_the_terminal(one: Figures, width: int):
    console = Console(width=width, file=io.StringIO(), height=60)
    console.print(RichScreen(console, "utf-8")._frame(one))
    lines = console.file.getvalue().splitlines()
    assert max(map(cell_len, lines)) <= width
    assert len(lines) == len(texts(one, width=width, height=59))


@pytest.mark.parametrize("width", [60, 80, 120])
def test_what_matters_most_is_there_at_every_width(width: int):
    shown = "\n".join(texts(FULL, width=width))
    for words in (
        "4,312/12,000  35.9 %",
        "left 2:04:57 ± 0:12:00",
        "rate 64.0/min (10 min 61.2)",
        "out 8,412 tok/s",
        "durable 4,301   failed 41 (0.9 %)",
        "open 128/128",
        "parsed 97.8 %   score 0.5123",
        "accepted 1,203 (27.9 %)",
        "oldest geo-tools/0/0   turn 4   for 0:12:03",
        "disk full: 17 bytes needed, 3 free",
    ):
        assert words in shown, words


def test_at_80_columns_it_says_that_the_order_skews_the_time_left():
    assert "ordered by difficulty" in line_of(figures(), "rate", width=80)
    assert "ordered" not in line_of(figures(order=""), "rate", width=80)


def test_a_part_that_does_not_fit_is_left_out_whole():
    assert cut(["open 128/128", "waiting 12", "alive 256"], 30) == "open 128/128   waiting 12 …"
    assert cut(["open 128/128", "waiting 12", "alive 256"], 34) == "open 128/128   waiting 12 …"
    assert cut(["open 128/128", "waiting 12", "alive 256"], 37) == "open 128/128   waiting 12   alive 256"
    assert cut(["open 128/128", "waiting 12"], 8) == "open 12…"


def test_letters_of_two_columns_count_as_two():
    assert cell_len(cut(["地理" * 40, "x"], 61)) <= 61


def test_without_a_spread_or_a_time_left_the_head_says_so():
    assert "left 2:04:57   elapsed" in texts(figures(seconds_spread=None))[0]
    assert "left -   elapsed" in texts(figures(seconds_left=None, seconds_spread=None))[0]


def test_the_bar_is_full_at_the_end_and_empty_at_the_beginning():
    assert "━" * 32 in texts(figures(done=11_990, failed=10))[0]
    assert "─" * 32 in texts(figures(done=0, failed=0))[0]
    assert "0/0" in texts(figures(total=0, done=0, failed=0))[0]


@pytest.mark.parametrize("height", [1, 2, 5, 8, 12, 20, 23])
def test_a_low_terminal_loses_the_least_important_lines(height: int):
    shown = texts(FULL, height=height)
    assert len(shown) <= height
    kept = ("geo-tools", "disk full", "rate", "durable")[:height]
    assert [start for start in kept if not any(text.startswith(start) for text in shown)] == []


def test_at_24_rows_a_pool_of_many_servers_shows_the_unwell_first_and_counts_the_others():
    shown = [text for text in texts(FULL, height=24) if "http" in text or "servers" in text]
    assert shown[0] == ("http://10.0.0.7:8000/v1  down      1.6/s   open 43   p50 11.9 s   p95 31.0 s   HTTP 503")
    assert len(shown) == 9
    assert shown[-1] == "… 12 more servers, all ok"


def test_unwell_servers_among_those_not_shown_are_told():
    servers = [a_server(f"e{number}", "down") for number in range(11)]
    assert "… 3 more servers, 3 of them not ok" in texts(figures(endpoints=servers))


def test_a_slow_server_has_a_rate_a_minute():
    shown = line_of(figures(endpoints=[a_server("e0", rate=12.5)]), "e0")
    assert shown.split()[:4] == ["e0", "ok", "12.5/min", "open"]


def test_scores_are_shares_means_and_medians():
    assert score(ScoreFigures(name="acc@25km", kind="share", value=0.312)) == "acc@25km 31.2 %"
    assert score(ScoreFigures(name="points", kind="mean", value=2345.6)) == "points 2,346"
    assert score(ScoreFigures(name="huge", kind="mean", value=-1.5e300)) == "huge -1.5e+300"
    assert score(ScoreFigures(name="distance@km", kind="median", value=112.04)) == "distance@km 112 (median)"
    assert score(ScoreFigures(name="score", kind="mean", value=None)) == "score -"


def test_at_most_nine_scores_are_shown():
    scores = [ScoreFigures(name=f"s{number}", kind="mean", value=1.0) for number in range(12)]
    shown = line_of(figures(scores=scores), "parsed", width=200)
    assert ("s8 1" in shown, "s9" in shown) == (True, False)


def test_one_server_more_is_one():
    servers = [a_server(f"e{number}", "ok") for number in range(9)]
    assert "… 1 more server, all ok" in texts(figures(endpoints=servers))


def test_cost_and_accepted_and_skipped_are_shown_where_there_are_any():
    assert line_of(figures(cost=3.4123, cost_at_end=9.52), "tokens").endswith("cost $3.41 → ~$9.52")
    assert line_of(figures(cost=0.5), "tokens").endswith("cost $0.50")
    assert "accepted 0 (-)" in line_of(figures(accepted=0, stored=0), "accepted")
    assert "accepted 9 (90.0 %)" in line_of(figures(accepted=9, stored=10, done=3), "accepted")
    assert "not needed 120" in line_of(FULL, "open")
    plain = "\n".join(texts(figures()))
    assert not {"accepted", "cost", "needed"} & set(plain.split())


def test_a_task_without_tools_says_nothing_of_tools():
    assert line_of(figures(tools={}), "turns") == "turns 3.1   retries 2.1 %"


def test_many_names_of_tools_are_counted():
    tools = {f"t{number}": 1 for number in range(51)}
    assert line_of(figures(tools=tools), "turns").endswith("t4 1   and 46 more names")


def test_a_drain_says_what_it_waits_for_and_what_ctrl_c_does_now():
    shown = texts(figures(draining=True))
    assert "draining: 140 episodes are finishing their turn" in shown
    assert "Ctrl-C again stops now   the same command goes on later" in shown
    assert not any("ctl" in text for text in shown)


def test_a_pause_is_told():
    assert "paused" in texts(figures(paused=True))
    assert "paused by ctl" in texts(figures(paused=True, notice="paused by ctl"))


def test_a_directory_with_blanks_is_quoted_for_the_shell():
    assert "asyncgen ctl 'my runs/geo' set concurrency=N" in texts(figures(directory="my runs/geo"))


HOSTILE = "\x1b[2J\x1b]0;title\x07zoom\r\nCtrl-C\u202e\u200b[bold red]" + "x" * 5000


def test_no_word_of_a_model_a_server_or_a_row_steers_the_terminal_or_passes_for_a_line():
    one = figures(
        name=HOSTILE, tools={HOSTILE: 3}, reasons={HOSTILE: 1}, notice=HOSTILE, directory=HOSTILE,
        endpoints=[a_server(HOSTILE, "down", last_fault=HOSTILE)],
        oldest=[Living(id=HOSTILE, turn=1, seconds=1.0, idle=1.0)],
        scores=[ScoreFigures(name=HOSTILE, kind="mean", value=1.0)],
    )  # fmt: skip
    console = Console(width=80, file=io.StringIO(), height=60, force_terminal=True, color_system=None)
    console.print(RichScreen(console, "utf-8")._frame(one))
    shown = console.file.getvalue()
    assert not set(shown) & set("\x1b\x07\r\u202e\u200b")
    assert len(shown.splitlines()) == len(texts(one, width=80))
    assert "[bold red]" in "".join(texts(one, width=200))


def test_a_terminal_without_unicode_gets_ascii():
    shown = texts(replace(FULL, name="地理"), encoding="ascii")
    assert all(text.isascii() for text in shown)
    assert "left 2:04:57 +- 0:12:00" in shown[0]
    assert shown[0].startswith("??  ####")
    assert "... 12 more servers, all ok" in shown
    assert encodable("± é", "latin-1") == "± é"


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 220),
    height=st.integers(-1, 60),
    name=st.text(max_size=80),
    number=st.integers(0, 10**12),
    rate=st.floats(0, 1e9),
    encoding=st.sampled_from(["utf-8", "ascii", "cp437", "gbk"]),
)
def test_whatever_the_figures_are_the_screen_fits(
    width: int, height: int, name: str, number: int, rate: float, encoding: str
) -> None:
    one = replace(
        FULL, name=name, done=number, total=number * 2, open=number, tools={name: number}, rate=rate, rate_now=rate,
        seconds_left=rate, seconds_spread=rate, notice=name, endpoints=[a_server(name, rate=rate)], cost=rate,
    )  # fmt: skip
    lines = screen(one, width=width, height=height, encoding=encoding)
    assert 1 <= len(lines) <= max(1, height)
    for text, _style in lines:
        assert cell_len(text) <= width
        assert "\n" not in text
        text.encode(encoding)
