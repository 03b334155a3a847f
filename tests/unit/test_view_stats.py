"""The figures of `stats` as text and as Markdown."""

from __future__ import annotations

from support.stats_runs import counted, geo_trace

from asyncgen.export.by_column import ByColumn
from asyncgen.export.stats import Stats
from asyncgen.view.stats import MAX_GROUPS, render, render_report


def test_text_shows_fifty_groups_and_how_many_more_there_are() -> None:
    many = [geo_trace(one, city=f"city {one}") for one in range(MAX_GROUPS + 7)]
    stats, by = counted(*many), ByColumn("city")
    for trace in many:
        by.add(trace)
    text = render(stats.summary() | {"by_column": by.section(stats.columns())})
    assert text.count("\n  city ") == MAX_GROUPS
    assert "7 more groups: --json has them" in text


def test_markdown_is_tables_and_no_word_of_others_is_markup() -> None:
    evil = "a|b](http://x) <img src=x> `x` @all\n# h \x1b[2J"
    traces = [geo_trace(0, country=evil), geo_trace(1, country="法国", tools=1)]
    stats, by = counted(*traces), ByColumn("country")
    for trace in traces:
        by.add(trace)
    report = render_report(stats.summary() | {"by_column": by.section(stats.columns())})
    assert "| 法国 | 1 | 100.0% | 100.0% | 0.995 |" in report
    assert "| a\\|b\\](http://x) \\<img src=x\\> \\`x\\` \\@all \\# h | 1 |" in report
    assert "\x1b" not in report


def test_text_tables_are_aligned_whatever_the_width_of_their_letters() -> None:
    traces = [geo_trace(0, country="法国"), geo_trace(1, country="peru")]
    stats, by = counted(*traces), ByColumn("country")
    for trace in traces:
        by.add(trace)
    text = render(stats.summary() | {"by_column": by.section(stats.columns())})
    wide, narrow = (next(line for line in text.split("\n") if name in line) for name in ("  法国", "  peru"))
    assert wide.replace("法国", "xxxx") == narrow.replace("peru", "xxxx")


def test_many_runs_stand_one_below_the_other() -> None:
    stats, names = Stats(), [f"run {number}" for number in range(8)]
    for number, _ in enumerate(names):
        stats.add(geo_trace(1), number)
    columns = stats.columns()
    text = render(stats.summary(columns) | stats.compared(names, columns))
    assert text.count("\n  run ") == 2 * len(names)
    assert "no run alone is the best on 1 of them" in text


def test_a_run_where_no_trace_calls_tools_has_no_table_of_them() -> None:
    assert "without tools" not in render(counted(geo_trace(0), geo_trace(1)).summary())
