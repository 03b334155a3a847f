"""`stats` as its users call it: over runs in every state, in groups, side by side, in every form, with plots."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.cli_jobs import Outcome
from support.stats_runs import failure, geo_trace, same, sizes, some_world, write_run

Run = Callable[..., Outcome]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs `one` (two failures) and `two`, and the empty run `none`."""
    folder = tmp_path_factory.mktemp("runs")
    write_run(folder / "one", some_world(60, 1), [failure(100), failure(101, difficulty=0.9, country="chile")])
    write_run(folder / "two", some_world(40, 2))
    write_run(folder / "none", [])
    return folder


def figures(outcome: Outcome) -> dict[str, Any]:
    assert outcome.code == 0, outcome.err
    found: dict[str, Any] = json.loads(outcome.out)
    return found


def test_json_has_the_figures_of_every_group(run: Run, runs: Path) -> None:
    found = figures(run("stats", runs / "one", "--by", "country", "--json"))
    assert (found["traces"], found["failed"]) == (60, 2)
    for group in found["by_column"]["groups"]:
        mine = [trace for trace in some_world(60, 1) if trace["sample_data"]["country"] == group["group"]]
        assert same(group, mine)
    assert sum(group["n"] for group in found["by_difficulty"]["groups"]) == 60
    assert found["lost"]["failed"]["n"] == 2


def test_one_run_is_not_compared_with_anything(run: Run, runs: Path) -> None:
    assert "runs" not in figures(run("stats", runs / "one", "--json"))
    assert "side by side" not in run("stats", runs / "one").out


def test_several_runs_stand_side_by_side_by_the_names_of_their_folders(run: Run, runs: Path) -> None:
    found = figures(run("stats", runs / "one", runs / "two", "--json"))
    assert [group["group"] for group in found["runs"]] == ["one", "two"]
    assert same(found["runs"][1], list(some_world(40, 2)))
    assert same(found["all"], [*some_world(60, 1), *some_world(40, 2)])
    assert [group["failed"] for group in found["runs"]] == [2, 0]
    assert found["common"]["samples"] == 20
    text = run("stats", runs / "one", runs / "two").out
    assert "the 20 samples that all runs have" in text
    assert text.index("the runs side by side") < text.index("by difficulty")


def test_folders_of_one_name_are_told_apart_by_their_paths(run: Run, tmp_path: Path) -> None:
    for parent in ("a", "b"):
        write_run(tmp_path / parent / "geo", [geo_trace(0)])
    found = figures(run("stats", "a/geo", "b/geo", "--json"))
    assert [group["group"] for group in found["runs"]] == ["a/geo", "b/geo"]


def test_where_counts_only_what_it_is_true_of_failures_too(run: Run, runs: Path) -> None:
    found = figures(run("stats", runs / "one", runs / "two", "--where", "country = 'chile'", "--json"))
    wanted = [
        [one for one in some_world(*made) if one["sample_data"]["country"] == "chile"] for made in ((60, 1), (40, 2))
    ]
    assert same(found["all"], wanted[0] + wanted[1])
    assert same(found["runs"][0], wanted[0])
    assert [group["failed"] for group in found["runs"]] == [1, 0]


def test_failures_without_the_columns_of_where_are_not_counted(run: Run, tmp_path: Path) -> None:
    write_run(tmp_path / "run", [geo_trace(0, city="lima")], [failure(1)])
    outcome = run("stats", "run", "--where", "city = 'lima'", "--json")
    assert (figures(outcome)["traces"], figures(outcome)["failed"]) == (1, 0)
    assert "failures are not counted" in outcome.err


def test_a_where_that_is_true_of_nothing_says_so(run: Run, runs: Path) -> None:
    outcome = run("stats", runs / "one", "--where", "score > 2")
    assert (outcome.code, outcome.out) == (0, "no traces\n")
    assert "--where 'score > 2' is true of no trace" in outcome.err


def test_an_empty_run_has_nothing_yet_in_every_form(run: Run, runs: Path) -> None:
    for words in ((), ("--by", "country"), ("--plots", "plots")):
        outcome = run("stats", runs / "none", *words)
        assert (outcome.code, outcome.out) == (0, "no traces yet; failed 0\n")
    assert run("stats", runs / "none", "--markdown").out == "no traces yet; failed 0\n"
    assert figures(run("stats", runs / "none", "--json"))["traces"] == 0
    assert figures(run("stats", runs / "none", runs / "one", "--json"))["common"]["samples"] == 0


def test_a_run_with_failures_alone_tells_of_them(run: Run, tmp_path: Path) -> None:
    write_run(tmp_path / "run", [], [failure(0), failure(1, difficulty=0.9)])
    text = run("stats", "run").out
    assert "no traces yet; failed 2: bad_image 2" in text
    assert "failed, by difficulty" in text


def test_markdown_is_a_report_of_tables(run: Run, runs: Path) -> None:
    report = run("stats", runs / "one", runs / "two", "--markdown").out
    assert "### the runs side by side\n\n|  | one | two | all |\n| --- | ---: | ---: | ---: |" in report
    assert "### all runs together:\n\n| figure | value |\n| --- | --- |\n| traces | 100 |\n" in report


def test_plots_are_written_and_named(run: Run, runs: Path) -> None:
    outcome = run("stats", runs / "one", "--plots", "new/plots", "--format", "svg")
    assert outcome.code == 0
    assert "6 plots in new/plots: distance.svg" in outcome.err
    assert len(list(Path("new/plots").iterdir())) == 6


def test_a_wrong_path_leaves_no_folder_for_plots(run: Run, runs: Path) -> None:
    assert run("stats", runs / "absent", "--plots", "never").code == 2
    assert not Path("never").exists()


def test_plots_without_data_are_left_out_with_the_reason_in_json_too(run: Run, tmp_path: Path) -> None:
    trace = geo_trace(0) | {"reward_score": {"score": 1.0}, "sample_data": {}}
    write_run(tmp_path / "run", [trace])
    outcome = run("stats", "run", "--plots", "plots", "--json")
    plots = figures(outcome)["plots"]
    assert sorted(plots["written"]) == ["plots/tokens.png", "plots/turns.png"]
    assert set(plots["left_out"]) == {"distance", "accuracy", "difficulty", "map"}
    assert "no plot distance: no trace has a distance" in outcome.err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--by", "contry"), "--by contry: no trace has such a column: did you mean 'country'?"),
        (("--where", "contry = 1"), "contry"),
        (("--where", "score >"), "--where 'score >'"),
        (("--json", "--markdown"), "--json and --markdown are two forms of one result"),
        (("--plots", "plots", "--format", "gif"), "there is no picture format 'gif'"),
        (("--plots", "{run}/plots"), "lies in a run directory"),
        (("--plots", "/proc/plots"), "/proc/plots cannot be made a folder for plots"),
        (("{run}/../absent",), "does not exist"),
        (("{run}/../one",), "is given twice"),
        (("--bands", "0.5,0.2"), "--bands '0.5,0.2': give 1 to 9 ascending numbers between 0 and 1"),
    ],
)
def test_a_slip_is_one_line_and_exit_2(run: Run, runs: Path, words: tuple[str, ...], complaint: str) -> None:
    outcome = run("stats", runs / "one", *(word.format(run=runs / "one") for word in words))
    assert (outcome.code, outcome.out) == (2, "")
    (line,) = outcome.complaints
    assert complaint in line


def test_a_damaged_shard_is_exit_3(run: Run, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", [geo_trace(0), geo_trace(1)])
    (shard,) = (folder / "traces").iterdir()
    shard.write_bytes(shard.read_bytes().replace(b"atlantis", b"atlantas", 1))
    outcome = run("stats", "run")
    assert (outcome.code, len(outcome.complaints)) == (3, 1)


def test_folders_of_trace_files_and_partitions_have_figures_too(run: Run, runs: Path, tmp_path: Path) -> None:
    assert run("export", runs / "one", "--to", "trace-json", "-o", "files").code == 0
    found = figures(run("stats", "files", "--by", "country", "--json"))
    assert (found["traces"], sizes(found["by_column"]["groups"])) == (
        60, sizes(figures(run("stats", runs / "one", "--by", "country", "--json"))["by_column"]["groups"]),
    )  # fmt: skip
    for part in range(2):
        write_run(tmp_path / "parts" / f"part-{part:03d}-of-002", [geo_trace(part)])
    assert figures(run("stats", "parts", "--json"))["traces"] == 2


def test_where_is_true_or_not_of_trace_files_too(run: Run, runs: Path) -> None:
    run("export", runs / "one", "--to", "trace-json", "-o", "files")
    found = figures(run("stats", "files", "--where", "parse_success", "--json"))
    assert found["traces"] == sum(trace["reward_score"]["parse_success"] for trace in some_world(60, 1))


def test_hostile_words_do_not_steer_the_terminal(run: Run, tmp_path: Path) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\u202egnp\r\nfake"
    trace = geo_trace(0, country=evil)
    trace["metadata"]["stop"] = trace["conversation_history"][0]["finish_reason"] = evil
    trace["reward_score"][evil] = 1.0
    write_run(tmp_path / "run", [trace, geo_trace(1, tools=1, attempts=2)], [failure(2, country=evil)])
    for form in ((), ("--markdown",)):
        out = run("stats", "run", "--by", "country", *form).out
        assert all(line.isprintable() for line in out.split("\n"))
        assert "\nfake" not in out


def test_figures_load_no_library_that_they_do_not_need(runs: Path) -> None:
    code = (
        "import sys; from asyncgen.cli import call; call(['stats', sys.argv[1]]);"
        "print(sorted({'matplotlib', 'duckdb', 'pyarrow', 'PIL', 'datasets', 'aiohttp'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code, runs / "one"], capture_output=True, text=True, check=True)
    assert ended.stdout.endswith("\n[]\n")


def test_bands_have_the_edges_that_are_asked_for(run: Run, runs: Path) -> None:
    found = figures(run("stats", runs / "one", "--bands", "0.2,0.4,0.6", "--json"))
    assert list(sizes(found["by_difficulty"]["groups"])) == ["< 0.2", "0.2 to 0.4", "0.4 to 0.6", "> 0.6"]
    assert [band["group"] for band in found["lost"]["bands"]] == ["< 0.2", "0.2 to 0.4", "0.4 to 0.6", "> 0.6"]


def test_a_difficulty_without_bands_is_worth_a_word(run: Run, runs: Path) -> None:
    refused = run("stats", runs / "one", "--difficulty", "nosuch")
    assert refused.code == 2
    assert "--difficulty nosuch: no bands" in refused.err
    assert "in some traces it is not between 0 and 1" in run("stats", runs / "one", "--difficulty", "lat").err
    assert run("stats", runs / "one").err == ""


def test_the_json_says_which_condition_was_counted(run: Run, runs: Path) -> None:
    assert figures(run("stats", runs / "one", "--where", "score > 0.5", "--json"))["where"] == "score > 0.5"
    assert "where" not in figures(run("stats", runs / "one", "--json"))
