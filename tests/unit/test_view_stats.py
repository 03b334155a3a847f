"""The figures of `stats` as text and as Markdown."""

from __future__ import annotations

from support.stats_runs import counted, geo_trace
from support.traces import trace_line

from asyncgen.export.by_column import ByColumn
from asyncgen.export.stats import Stats
from asyncgen.export.trace_folder import trace_line as read_line
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


def test_a_group_whose_name_is_blank_is_said_to_be_empty() -> None:
    trace = geo_trace(0)
    trace["sample_data"]["country"] = " \x1b[31m"
    stats, by = Stats(), ByColumn("country")
    stats.add(trace)
    by.add(trace)
    report = {**stats.summary(), "by_column": by.section(stats.columns())}
    assert "  (empty)  1" in render(report)


def test_many_runs_stand_one_below_the_other() -> None:
    stats, names = Stats(), [f"run {number}" for number in range(8)]
    for number, _ in enumerate(names):
        stats.add(geo_trace(1), number)
    columns = stats.columns()
    text = render(stats.summary(columns) | stats.compared(names, columns))
    assert text.count("\n  run ") == 2 * len(names)
    assert "\n  ties: 1\n" in text


def test_a_run_where_no_trace_calls_tools_has_no_table_of_them() -> None:
    assert "without tools" not in render(counted(geo_trace(0), geo_trace(1)).summary())


def lines_of(text: str) -> dict[str, str]:
    """The figures above the tables, by name."""
    block = text.split("\n\n", maxsplit=1)[0]
    return {name: value for name, value in (line.split("  ", 1) for line in block.split("\n")) if name}


def test_each_fact_is_said_once() -> None:
    text = render(counted(geo_trace(0, attempts=2), geo_trace(1), geo_trace(2, parsed=False)).summary())
    figures = {name: value.strip() for name, value in lines_of(text).items()}
    assert not {"parse_success", "acc@25km", "distance@km", "traces with a repeated request"} & figures.keys()
    assert figures["parsed"] == "66.7%"
    assert figures["km, parsed"] == "mean 100, median 100"
    assert figures["km, all"] == "mean 6,733, median 100, p95 18,010"
    assert text.count("20,000 km") == 1
    assert "first attempts and repeated requests" in text


def test_where_every_answer_could_be_read_there_is_one_line_of_distances() -> None:
    assert [name for name in lines_of(render(counted(geo_trace(0)).summary())) if "km" in name] == ["km, parsed"]


def test_a_score_of_zeros_and_ones_is_a_share() -> None:
    stats = Stats()
    for score in (1.0, 0.0, 0):
        stats.add(trace_line(scores={"score": score, "points": score + 1, "right": bool(score)}))
    figures = lines_of(render(stats.summary()))
    assert figures["score"].strip() == figures["right"].strip() == "33.3%"
    assert figures["points"].strip().startswith("mean 1.333, p50 1")


def test_a_band_without_a_trace_has_no_row() -> None:
    for form in (render, render_report):
        text = form(counted(geo_trace(0, difficulty=0.1), geo_trace(1, difficulty=0.5)).summary())
        assert "0.3 to 0.6" in text
        assert "0.6 " not in text.replace("0.3 to 0.6", "")


def test_what_was_asked_for_is_the_first_table() -> None:
    stats, by = Stats(), ByColumn("country")
    trace = geo_trace(0)
    stats.add(trace)
    by.add(trace)
    text = render(stats.summary() | {"by_column": by.section(stats.columns())})
    assert text.split("\n\n")[1].startswith("by country\n")


def test_runs_side_by_side_come_before_all_of_them_together() -> None:
    stats = Stats()
    for run in range(2):
        stats.add(geo_trace(1), run)
    columns = stats.columns()
    text = render(stats.summary(columns) | stats.compared(["a", "b"], columns))
    titles = [part.split("\n")[0] for part in text.split("\n\n")]
    assert titles[:3] == ["the runs side by side", "the 1 samples that all runs have", "all runs together:"]


def test_runs_over_different_datasets_have_one_line_and_no_empty_table() -> None:
    stats = Stats()
    stats.add(geo_trace(1), 0)
    stats.add(geo_trace(1) | {"dataset_path": "other"}, 1)
    columns = stats.columns()
    text = render(stats.summary(columns) | stats.compared(["a", "b"], columns))
    assert "not compared sample by sample: the runs are not all over one dataset: data/gaea/train, other" in text
    assert "samples that all runs have" not in text


def test_the_figures_of_a_report_are_a_table_and_scores_keep_their_at() -> None:
    stats = Stats()
    stats.add(trace_line(scores={"hit@3": 0.5, "@all": 0.5}))
    report = render_report(stats.summary())
    assert report.startswith("| figure | value |\n| --- | --- |\n| traces | 1 |\n| failed | 0 |\n")
    assert "\n| hit@3 | mean 0.5, p50 0.5, p95 0.5 |\n" in report
    assert "\n| \\@all |" in report


def test_what_old_files_do_not_say_has_no_line() -> None:
    document = {"conversation_history": [{"response": "North."}]}
    figures = lines_of(render(counted(read_line(document, index=0, rollout=0, name="a file")).summary()))
    assert not {"stop", "finish reasons", "parsed", "seconds a trace"} & figures.keys()
    assert figures["traces with tool calls"].strip() == "0.0%"


def test_traces_that_are_in_no_band_are_counted() -> None:
    bare = geo_trace(1)
    bare["sample_data"]["locatability_score"] = None
    assert "1 traces have no locatability_score" in render(counted(geo_trace(0), bare).summary())
    assert "have no locatability_score" not in render(counted(geo_trace(0)).summary())
