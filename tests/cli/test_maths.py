"""From chunk files and runs of two models to the critique set in training form, on the command line: every count, label
and field against a computation of its own."""

from __future__ import annotations

import json
import random
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
from support.cli_jobs import Outcome, command, environment, wait_until
from support.maths_files import (
    by_index,
    class_by_hand,
    kept_by_hand,
    math_line,
    math_run,
    question,
    read,
    rights,
    solution,
    solved,
    write_chunks,
)

Run = Callable[..., Outcome]
COUNT = 60
NAMES = {"qwen25": "qwen-2.5-math-7b", "qwen3": "qwen3-4b-base"}
FILTER = ("filter-mixed", "qwen25=deepscaler_qwen25_solutions.json", "qwen3=deepscaler_qwen3_solutions.json")
STEPS = {
    "deepscaler_qwen25_solutions.json": ("merge", "solutions_qwen25"),
    "deepscaler_qwen3_solutions.json": ("merge", "solutions_qwen3"),
    "deepscaler_train_filter.json": FILTER,
    "deepscaler_critique.json": ("critique-set", "deepscaler_train_filter.json"),
    "deepscaler_critique_formatted.json": ("critique-format", "deepscaler_critique.json", "--parquet", "rl.parquet"),
}


def results(index: int, model: int) -> list[str]:
    return ["right" if right else "wrong" for right in rights(index, model)]


def make(folder: Path, count: int = COUNT, *, known: bool = False) -> None:
    """Chunk files of both models."""
    rows = [question(index) for index in range(count)]
    (folder / "deepscaler_train.json").write_text(json.dumps(rows))
    for model, (label, name) in enumerate(NAMES.items()):
        mine = [solved(row, model, name, results=known) for row in rows]
        write_chunks(folder / f"solutions_{label}", mine, name, 25, dumps=lambda part: json.dumps(part, indent=2))


def all_steps(run: Run) -> None:
    for out, words in STEPS.items():
        ended = run(*words, "-o", out)
        assert ended.code == 0, (words, ended)


def test_every_step_gives_what_a_plain_computation_gives(run: Run, tmp_path: Path):
    make(tmp_path)
    all_steps(run)
    for model, (label, name) in enumerate(NAMES.items()):
        expected = [solved(question(index), model, name) for index in range(COUNT)]
        assert read(tmp_path / f"deepscaler_{label}_solutions.json") == expected
        report = read(tmp_path / f"deepscaler_{label}_solutions.report.json")
        assert (report["complete"], report["questions"], report["solutions"]) == (True, COUNT, 8 * COUNT)
    kept = [
        index
        for index in range(COUNT)
        if kept_by_hand([class_by_hand(results(index, model)) for model in (0, 1)], strict=False)
    ]
    assert 10 < len(kept) < COUNT
    filtered = read(tmp_path / "deepscaler_train_filter.json")
    assert [row["extra_info"]["index"] for row in filtered] == kept
    for row in filtered:
        index = row["extra_info"]["index"]
        expected = dict(question(index))
        for model, label in enumerate(NAMES):
            kind = class_by_hand(results(index, model))
            expected |= {
                f"{label}_solutions": solved(question(index), model, "")["model_solutions"],
                f"{label}_all_correct": kind == "all_right",
                f"{label}_all_incorrect": kind == "all_wrong",
                f"{label}_results": results(index, model),
            }
        assert row == expected
    check_critiques(read(tmp_path / "deepscaler_critique.json"), kept)
    check_formatted(tmp_path)


def check_critiques(rows: list[dict[str, Any]], kept: list[int]) -> None:
    """Four of sixteen solutions a question, each with what it is, and whose."""
    assert Counter(row["extra_info"]["original_index"] for row in rows) == dict.fromkeys(kept, 4)
    for row in rows:
        extra = row["extra_info"]
        index, model = extra["original_index"], list(NAMES).index(extra["model_source"])
        right = rights(index, model)[extra["solution_index"]]
        assert row["target"] == ("right" if right else "wrong")
        assert row["solution"] == solution(index, extra["solution_index"], right=right)
        assert (row["question"], row["gt_answer"]) == (question(index)["question"], str(index + 1))
        assert (row["subject"], row["level"]) == (question(index)["subject"], question(index)["level"])
    assert {row["extra_info"]["model_source"] for row in rows} == set(NAMES)
    places = {}
    for row in rows:
        extra = row["extra_info"]
        place = 8 * list(NAMES).index(extra["model_source"]) + extra["solution_index"]
        places.setdefault(extra["original_index"], []).append(place)
    assert places == {index: sorted(random.Random(42 + index).sample(range(16), 4)) for index in kept}


def check_formatted(folder: Path) -> None:
    """JSON and parquet have the same rows, and `datasets` reads them."""
    rows, made = read(folder / "deepscaler_critique.json"), read(folder / "deepscaler_critique_formatted.json")
    assert [row["extra_info"]["index"] for row in made] == list(range(len(rows)))
    for row, one in zip(rows, made, strict=True):
        assert one["prompt"] == [{"content": row["prompt"], "role": "user"}]
        assert {one[key] for key in ("answer", "gt_answer", "target")} == {row["target"]}
        assert one["reward_model"] == {"ground_truth": row["target"], "style": "rule"}
        assert one["extra_info"]["solution"] == row["solution"]
        assert {key: one["extra_info"][key] for key in row["extra_info"]} == row["extra_info"]
    loaded = datasets.load_dataset(
        "parquet", data_files=str(folder / "rl.parquet"), split="train", cache_dir=str(folder / "cache")
    )
    assert loaded.to_list() == made


def test_counts_are_printed_and_saved(run: Run, tmp_path: Path):
    make(tmp_path)
    ended = run("filter-mixed", "qwen25=solutions_qwen25", "qwen3=solutions_qwen3", "-o", "mixed.json")
    counts = read(tmp_path / "mixed.counts.json")
    pairs = [tuple(class_by_hand(results(index, model)) for model in (0, 1)) for index in range(COUNT)]
    assert counts["questions"] == COUNT
    assert counts["judged"] == 16 * COUNT
    for place, label in enumerate(NAMES):
        kinds = Counter(pair[place] for pair in pairs)
        assert Counter(counts["models"][label]["classes"]) == kinds
        right = sum(rights(index, place).count(True) for index in range(COUNT))
        assert counts["models"][label]["solutions"] == {
            "right": right, "wrong": 8 * COUNT - right, "truncated": 0, "unknown": 0,
        }  # fmt: skip
    assert Counter({(one["qwen25"], one["qwen3"]): one["questions"] for one in counts["together"]}) == Counter(pairs)
    kept = sum(kept_by_hand(pair, strict=False) for pair in pairs)
    assert f"{kept} of {COUNT} questions kept, {COUNT - kept} dropped: mixed.json" in ended.out
    assert "960 solutions had no results and were judged" in ended.out
    again = run(
        "filter-mixed", "qwen25=solutions_qwen25", "qwen3=solutions_qwen3", "-o", "strict.json", "--strict", "--json"
    )
    assert json.loads(again.out)["kept"] == sum(kept_by_hand(pair, strict=True) for pair in pairs)
    assert len(read(tmp_path / "strict.json")) == json.loads(again.out)["kept"]


def test_the_old_scripts_flags_do_the_same(run: Run, tmp_path: Path):
    make(tmp_path, known=True)
    all_steps(run)
    flags = {
        "filter-mixed": ("--qwen25_file", "solutions_qwen25", "--qwen3_file", "solutions_qwen3", "--original_file",
                         "deepscaler_train.json", "--output_file", "a.json"),
        "critique-set": ("--filtered_file", "a.json", "--output_file", "b.json", "--max_samples_per_question", 4,
                         "--analyze"),
        "critique-format": ("--critique_file", "b.json", "--output_file=c.json", "--analyze"),
    }  # fmt: skip
    for name, words in flags.items():
        ended = run(name, *words)
        assert ended.code == 0, ended
    for old, new in (("a", "train_filter"), ("b", "critique"), ("c", "critique_formatted")):
        assert (tmp_path / f"{old}.json").read_bytes() == (tmp_path / f"deepscaler_{new}.json").read_bytes()
    rows = read(tmp_path / "b.json")
    right = sum(row["target"] == "right" for row in rows)
    assert f"{len(rows)} rows: {right} right ({100 * right / len(rows):.1f} %)" in ended.out


def test_what_is_missing_is_exit_3_unless_it_may_be(run: Run, tmp_path: Path):
    make(tmp_path, known=True)
    path = tmp_path / "solutions_qwen3" / "qwen3-4b-base_chunk_001.json"
    rows = read(path)
    rows[3]["model_solutions"].pop()
    rows[3]["model_results"].pop()
    rows[4]["model_solutions"][2] = " "
    del rows[7]
    path.write_text(json.dumps(rows))
    ended = run("merge", "solutions_qwen3", "-o", "out.json")
    assert ended.code == 3
    assert "question 32" in ended.out
    assert run("merge", "solutions_qwen3", "-o", "out.json", "--allow-missing").code == 0
    report = read(tmp_path / "out.report.json")
    assert (report["complete"], report["missing"], report["short"], report["empty"]) == (False, [32], [28], [29])
    assert len(read(tmp_path / "out.json")) == COUNT - 1
    words = ("filter-mixed", "qwen25=solutions_qwen25", "qwen3=out.json", "-o", "mixed.json")
    ended = run(*words)
    assert ended.code == 3
    assert "qwen3 has no solutions of these questions, which are left out: 1: 32" in ended.out
    assert run(*words, "--allow-missing").code == 0
    counts = read(tmp_path / "mixed.counts.json")
    assert (counts["missing"], counts["outcomes"]["missing"]) == ({"qwen25": [], "qwen3": [32]}, 1)
    assert 32 not in by_index(read(tmp_path / "mixed.json"))


def test_a_question_without_an_answer_is_named_and_not_kept(run: Run, tmp_path: Path):
    rows = [question(0, truth=""), question(2)]
    for model, label in enumerate(NAMES):
        write_chunks(tmp_path / f"solutions_{label}", [solved(row, model, label) for row in rows], label, 10)
    ended = run("filter-mixed", "qwen25=solutions_qwen25", "qwen3=solutions_qwen3", "-o", "mixed.json")
    assert ended.code == 0
    assert "question 0: the row has no answer" in ended.out
    assert read(tmp_path / "mixed.counts.json")["outcomes"]["no_truth"] == 1
    assert [row["extra_info"]["index"] for row in read(tmp_path / "mixed.json")] == [2]


def test_solutions_of_two_datasets_are_refused(run: Run, tmp_path: Path):
    make(tmp_path)
    other = {**question(0), "question": "another one"}
    write_chunks(tmp_path / "other", [solved(other, 0, "x")], "x", 10)
    ended = run("filter-mixed", "a=solutions_qwen25", "b=other", "-o", "mixed.json")
    assert ended.code == 2
    assert "question 0 is one in" in ended.err
    assert not (tmp_path / "mixed.json").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("filter-mixed", "a=b", "-o", "x.json"), "two or more"),
        (("filter-mixed", "solutions", "b=c", "-o", "x.json"), "'solutions' is not LABEL=PATH"),
        (("filter-mixed", "a=solutions_qwen25", "b=none.json", "-o", "x.json"), "none.json does not exist"),
        (("filter-mixed", "a=solutions_qwen25", "b=solutions_qwen3", "-o", "x"), "one file named *.json"),
        (("critique-set", "-o", "x.json"), "FILE is missing"),
        (("critique-set", "deepscaler_train.json", "-o", "x.json"), "no LABEL_solutions"),
        (("critique-set", "none.json", "-o", "x.json"), "is no file"),
        (("critique-set", "deepscaler_train.json", "-o", "deepscaler_train.json"), "which is read"),
        (("merge", "solutions_qwen25", "-o", "solutions_qwen25/all.json"), "which is read"),
        (("merge", "solutions_qwen25", "-o", "out"), "is not a run directory"),
    ],
)
def test_a_wrong_command_says_what_is_wrong(run: Run, tmp_path: Path, words: tuple[str, ...], said: str):
    make(tmp_path, 3)
    ended = run(*words)
    assert ended.code == 2
    assert len(ended.complaints) == 1
    assert said in ended.complaints[0]
    assert not (tmp_path / "x.json").exists()


def test_a_damaged_file_is_exit_3(run: Run, tmp_path: Path):
    (tmp_path / "torn.json").write_text('[{"a_solutions": ["x"], "a_all_correct": true, "answer": "1", "problem": "p"}')
    assert run("critique-set", "torn.json", "-o", "x.json").code == 3
    (tmp_path / "other.json").write_text('[{"prompt": "p", "target": "maybe", "extra_info": {}}]')
    ended = run("critique-format", "other.json", "-o", "y.json")
    assert ended.code == 3
    assert "row 0: its 'target' is 'maybe'" in ended.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.json", "torn.json"]


def test_solutions_that_are_no_texts_are_named_and_cost_the_model_nothing_else(run: Run, tmp_path: Path):
    rows = [
        {**question(index), **{f"{label}_all_correct": False for label in "ab"}, "b_solutions": ["\\boxed{9}"]}
        for index in range(3)
    ]
    rows[0]["a_solutions"], rows[1]["a_solutions"] = ["\\boxed{1}", None], None
    del rows[2]["b_all_correct"], rows[2]["b_solutions"]
    rows[2]["a_solutions"] = ["\\boxed{3}"]
    (tmp_path / "mixed.json").write_text(json.dumps(rows))
    ended = run("critique-set", "mixed.json", "-o", "critique.json")
    assert "question 0, a: no text: 1" in ended.out
    assert [
        (row["extra_info"]["original_index"], row["extra_info"]["model_source"], row["target"])
        for row in read(tmp_path / "critique.json")
    ] == [(0, "b", "wrong"), (0, "a", "right"), (1, "b", "wrong"), (2, "a", "right")]
    report = read(tmp_path / "critique.report.json")
    assert report["left_out"] == {"no_text": 1}
    assert report["no_text"] == [
        {"index": 0, "label": "a", "solutions": [1]},
        {"index": 1, "label": "a", "solutions": []},
        {"index": 2, "label": "b", "solutions": []},
    ]


def lines(model: int, count: int) -> list[bytes]:
    """Of a run: rollout 5 of each question is cut off."""
    return [
        math_line(
            question(index), index, k, solution(index, k, right=right), score=float(right),
            finish="length" if k == 5 else "stop",
        )
        for index in range(count)
        for k, right in enumerate(rights(index, model))
    ]  # fmt: skip


def test_runs_go_through_all_steps_without_a_judge(run: Run, tmp_path: Path):
    for model, label in enumerate(NAMES):
        math_run(tmp_path / label, lines(model, 30), rows=30)
    ended = run("filter-mixed", "qwen25=qwen25", "qwen3=qwen3", "-o", "mixed.json")
    assert ended.code == 0, ended
    counts = read(tmp_path / "mixed.counts.json")
    assert counts["judged"] == 0
    assert counts["models"]["qwen3"]["solutions"]["truncated"] == 30
    known = {
        index: [[*results(index, model)[:5], "truncated", *results(index, model)[6:]] for model in (0, 1)]
        for index in range(30)
    }
    kept = [index for index in known if kept_by_hand([class_by_hand(one) for one in known[index]], strict=False)]
    rows = read(tmp_path / "mixed.json")
    assert [row["extra_info"]["index"] for row in rows] == kept
    assert all(row["qwen3_results"] == known[row["extra_info"]["index"]][1] for row in rows)
    run("critique-set", "mixed.json", "-o", "critique.json", "--max-samples-per-question", "16")
    critiques = read(tmp_path / "critique.json")
    assert Counter(row["extra_info"]["original_index"] for row in critiques) == dict.fromkeys(kept, 14)
    assert read(tmp_path / "critique.report.json")["left_out"] == {"truncated": 2 * len(kept)}


def test_a_run_becomes_chunk_files_that_merge_to_the_same_rows(run: Run, tmp_path: Path):
    math_run(tmp_path / "math", lines(0, 30), rows=30)
    assert run("merge", "math", "-o", "one.json").code == 0
    ended = run("export", "math", "--to", "chunks", "--chunk-size", 12, "-o", "chunks")
    assert "30 questions in 3 chunk files: chunks" in ended.out
    names = [f"lab_solver-7b_chunk_{number:03d}.json" for number in range(3)]
    assert sorted(path.name for path in (tmp_path / "chunks").iterdir()) == names
    for number, name in enumerate(names):
        rows = read(tmp_path / "chunks" / name)
        assert [(row["chunk_id"], row["chunk_index"]) for row in rows] == [
            (number, place) for place in range(len(rows))
        ]
        assert {row["model_name"] for row in rows} == {"lab/solver-7b"}
    assert run("merge", "chunks", "-o", "two.json").code == 0
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


def test_a_chunk_that_lacks_solutions_is_left_out_unless_it_is_asked_for(run: Run, tmp_path: Path):
    math_run(tmp_path / "math", lines(0, 30)[:-3], rows=30)
    ended = run("export", "math", "--to", "chunks", "--chunk-size", 10, "-o", "chunks", "--json")
    found = json.loads(ended.out)
    assert (found["files"], found["left_out_chunks"], found["left_out"]) == (2, [2], list(range(20, 30)))
    ended = run("export", "math", "--to", "chunks", "--chunk-size", 10, "-o", "chunks", "--partial", "--json")
    assert (json.loads(ended.out)["files"], json.loads(ended.out)["partial"]) == (3, [2])
    assert len(read(tmp_path / "chunks" / "lab_solver-7b_chunk_002.json")[-1]["model_solutions"]) == 5


def test_runs_of_other_jobs_are_merged_as_ever(run: Run, tmp_path: Path):
    from support.runs_on_disk import line, make_run

    make_run(tmp_path / "geo", [line(0), line(1)])
    assert run("merge", "geo", "-o", "geo.json").code == 0
    assert [trace["sample_index"] for trace in read(tmp_path / "geo.json")] == [0, 1]
    assert run("merge", "geo", "-o", "geo2.json", "--rollouts", 3).code == 2


@pytest.mark.parametrize("step", range(5))
def test_a_kill_in_any_step_leaves_nothing_half_made_and_the_same_command_goes_on(run: Run, tmp_path: Path, step: int):
    make(tmp_path, 800, known=True)
    steps = list(STEPS.items())
    for out, words in steps[:step]:
        assert run(*words, "-o", out).code == 0
    out, words = steps[step]
    partial = tmp_path / f".{out}.partial"
    process = subprocess.Popen(
        command(*words, "-o", out),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: partial.exists() or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    process.wait()
    if process.returncode == -signal.SIGKILL and partial.exists():
        assert not (tmp_path / out).exists()
    assert run(*words, "-o", out).code == 0
    assert not partial.exists()
    once = (tmp_path / out).read_bytes()
    assert run(*words, "-o", out).code == 0
    assert (tmp_path / out).read_bytes() == once
    json.loads(once)


def test_merge_knows_the_flags_of_the_script_that_it_replaces(run: Run, tmp_path: Path):
    make(tmp_path)
    ended = run("merge", "--qwen25_dir", "solutions_qwen25", "--qwen3_dir", "solutions_qwen3", "--output_dir", "out")
    assert ended.code == 0, ended.err
    for label in ("qwen25", "qwen3"):
        name = f"deepscaler_{label}_solutions.json"
        assert run("merge", f"solutions_{label}", "-o", name).code == 0
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / name).read_bytes()
    assert run("merge", "solutions_qwen25").code == 2
    assert "leave out -o" in run("merge", "solutions_qwen25", "--qwen3-dir", "solutions_qwen3").err
