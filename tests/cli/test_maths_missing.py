"""What solutions lack, on the command line: questions without an answer, holes, reports of another file."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.cli_jobs import Outcome
from support.maths_files import math_line, math_run, question, read, rights, solution, solved, write_chunks
from support.runs_on_disk import make_run
from support.traces import failed_line

from asyncgen.store.line import encode_line

Run = Callable[..., Outcome]
ROWS = [question(index, truth="" if index == 3 else None) for index in range(8)]
"""Question 3 has no answer."""


def run_of(folder: Path, rows: Sequence[dict[str, Any]] = ROWS, *, model: int = 0, count: int = 4, **more: Any) -> Path:
    """A run of the rows, whose dataset is gone: those without an answer are failures."""
    lines = [
        math_line(row, place, k, solution(place, k, right=right), score=float(right))
        for place, row in enumerate(rows)
        if row["answer"]
        for k, right in enumerate(rights(place, model, count))
    ]
    failures = [
        encode_line({**failed_line(place, reason="bad_sample"), "sample_data": row})
        for place, row in enumerate(rows)
        if not row["answer"]
    ]
    return math_run(folder, lines, rows=len(rows), rollouts=count, failures=failures, **more)


def chunks_of(folder: Path, rows: Sequence[dict[str, Any]] = ROWS, size: int = 4) -> Path:
    return write_chunks(folder, [solved(row, 1, "old", count=4) for row in rows], "old", size)


def test_a_question_that_one_model_was_never_asked_for_want_of_an_answer_is_a_note(run: Run, tmp_path: Path):
    run_of(tmp_path / "new")
    chunks_of(tmp_path / "old")
    for new in ("new", "new.json"):
        ended = run("filter-mixed", f"a={new}", "b=old", "-o", "mixed.json")
        assert ended.code == 0, ended
        counts = read(tmp_path / "mixed.counts.json")
        assert (counts["outcomes"]["no_truth"], counts["outcomes"]["missing"], counts["complete"]) == (1, 0, True)
        assert counts["missing"] == {"a": [], "b": []}
        assert run("merge", "new", "-o", "new.json").code == 0


def test_two_runs_count_the_question_that_neither_was_asked(run: Run, tmp_path: Path):
    for model, name in enumerate(("a", "b")):
        run_of(tmp_path / name, model=model)
        assert run("merge", name, "-o", f"{name}.json").code == 0
    for words in (("a=a", "b=b"), ("a=a.json", "b=b.json")):
        assert run("filter-mixed", *words, "-o", "mixed.json").code == 0
        counts = read(tmp_path / "mixed.counts.json")
        assert (counts["questions"], counts["outcomes"]["no_truth"]) == (8, 1)


@pytest.mark.parametrize("order", [range(8), (5, 2, 7, 3, 0, 6, 1, 4)])
def test_chunk_files_of_a_run_lose_no_question_without_an_answer(run: Run, tmp_path: Path, order: Sequence[int]):
    run_of(tmp_path / "run", [ROWS[index] for index in order])
    ended = run("export", "run", "--to", "chunks", "--chunk-size", 4, "-o", "chunks", "--json")
    found = json.loads(ended.out)
    assert (found["questions"], found["left_out"], found["partial"]) == (8, [], [])
    for source in ("run", "chunks"):
        ended = run("merge", source, "-o", f"of_{source}.json")
        assert ended.code == 0, ended
        assert read(tmp_path / f"of_{source}.report.json")["no_truth"] == [3]
    assert (tmp_path / "of_run.json").read_bytes() == (tmp_path / "of_chunks.json").read_bytes()
    assert read(tmp_path / "of_run.json")[3] == {
        **ROWS[3], "model_name": "lab/solver-7b", "model_solutions": [], "model_results": [],
    }  # fmt: skip


def test_rows_that_chunk_files_lack_are_named_by_index(run: Run, tmp_path: Path):
    rows = [question(index) for index in range(8)]
    lines = [math_line(row, place, 0, "x", score=1.0) for place, row in enumerate(rows) if place != 5]
    failures = [encode_line({**failed_line(5, reason="timeout"), "sample_data": rows[5]})]
    math_run(tmp_path / "run", lines, rows=8, rollouts=1, failures=failures)
    words = ("export", "run", "--to", "chunks", "--chunk-size", 4, "-o", "chunks", "--json")
    assert json.loads(run(*words).out)["left_out"] == [4, 5, 6, 7]
    found = json.loads(run(*words, "--partial").out)
    assert (found["left_out"], found["partial"], found["left_out_chunks"]) == ([5], [1], [])


def test_a_permuted_index_hides_no_hole(run: Run, tmp_path: Path):
    rows = [question((7 * place + 3) % 25) for place in range(25)]
    chunks_of(tmp_path / "c", rows, 10)
    path = tmp_path / "c" / "old_chunk_001.json"
    path.write_text(json.dumps([row for row in read(path) if row["chunk_index"] not in {2, 5}]))
    ended = run("merge", "c", "-o", "out.json")
    assert ended.code == 3
    assert "chunk 1 has no row with the chunk_index 2" in ended.out
    assert read(tmp_path / "out.report.json")["counts"]["chunk_hole"] == 2
    (tmp_path / "train.json").write_text(json.dumps(rows))
    assert run("merge", "c", "-o", "out.json", "--original", "train.json").code == 3
    lost = sorted(rows[10 + place]["extra_info"]["index"] for place in (2, 5))
    assert read(tmp_path / "out.report.json")["missing"] == lost


def test_short_questions_are_exit_3_and_one_without_solutions_is_not_kept(run: Run, tmp_path: Path):
    rows = [question(index) for index in range(6)]
    for model, label in enumerate("ab"):
        mine = [solved(row, model, label, results=True) for row in rows]
        if label == "b":
            mine[1] = {**mine[1], "model_solutions": [], "model_results": []}
            mine[4]["model_solutions"].pop()
            mine[4]["model_results"].pop()
        (tmp_path / f"{label}.json").write_text(json.dumps(mine))
    words = ("filter-mixed", "a=a.json", "b=b.json", "-o", "mixed.json")
    assert run(*words).code == 3
    assert run(*words, "--allow-missing").code == 0
    counts = read(tmp_path / "mixed.counts.json")
    assert (counts["complete"], counts["missing"]["b"], counts["sources"][1]["short"]) == (False, [1], [1, 4])
    assert 1 not in [row["extra_info"]["index"] for row in read(tmp_path / "mixed.json")]


def test_a_run_that_samples_unevenly_is_complete_as_a_merged_file_too(run: Run, tmp_path: Path):
    rows = [question(index) for index in range(4)]
    for label in ("a", "b"):
        lines = [
            math_line(row, place, k, f"{k}", score=k % 2) for place, row in enumerate(rows) for k in range(2 + place)
        ]
        math_run(tmp_path / label, lines, rows=4, config={"stop_when": "mixed"})
        assert run("merge", label, "-o", f"{label}.json").code == 0
    assert run("filter-mixed", "a=a.json", "b=b.json", "-o", "mixed.json").code == 0


def test_a_run_directory_of_incomplete_runs_has_a_report_and_exit_3(run: Run, tmp_path: Path):
    lines = [math_line(question(index), index, k, "x", score=1.0) for index in range(4) for k in range(2)]
    math_run(tmp_path / "run", lines[:-1], rows=5, rollouts=2)
    ended = run("merge", "run", "-o", "v1.5")
    assert ended.code == 3
    assert "question 3: 1 of 2 solutions" in ended.out
    report = read(tmp_path / "v1.5.report.json")
    assert (report["complete"], report["short"], report["counts"]["missing"]) == (False, [3], 1)
    assert run("verify", "v1.5").code == 0
    ended = run("merge", "run", "-o", "again", "--allow-missing", "--json")
    assert ended.code == 0
    assert json.loads(ended.out)["solutions"]["short"] == [3]


@pytest.mark.parametrize(
    ("words", "report"),
    [
        (("merge", "b.json"), "out.report.json"),
        (("filter-mixed", "a=a.json", "b=b.json"), "out.counts.json"),
        (("critique-set", "mixed.json"), "out.report.json"),
    ],
)
def test_a_report_is_never_of_another_file(run: Run, tmp_path: Path, words: tuple[str, ...], report: str):
    for model, label in enumerate("ab"):
        rows = [solved(question(index), model, label, results=True) for index in range(9)]
        (tmp_path / f"{label}.json").write_text(json.dumps(rows))
    assert run("filter-mixed", "a=a.json", "b=b.json", "-o", "mixed.json").code == 0
    assert run(*words, "-o", "out.json").code == 0
    before = (tmp_path / "out.json").stat().st_ino
    (tmp_path / f".{report}.partial").mkdir()  # the report cannot be written
    assert run(*words, "-o", "out.json").code != 0
    assert (tmp_path / "out.json").stat().st_ino != before
    assert not (tmp_path / report).exists()


def test_a_run_of_another_job_has_no_solutions(run: Run, tmp_path: Path):
    lines = [math_line(question(0), 0, 0, "x", score=1.0)]
    math_run(tmp_path / "critique", lines, rows=1, run={"task": "critique"})
    chunks_of(tmp_path / "old")
    for words in (("export", "critique", "--to", "chunks"), ("filter-mixed", "a=critique", "b=old")):
        ended = run(*words, "-o", "out.json" if words[0] == "filter-mixed" else "out")
        assert ended.code == 2
        assert "which has no solutions" in ended.err
    make_run(tmp_path / "geo", lines)
    assert run("export", "geo", "--to", "chunks", "-o", "out").code == 2


def test_a_chunk_that_is_a_run_is_there(run: Run, tmp_path: Path):
    rows = [question(index) for index in range(8)]
    for chunk in (0, 2):
        lines = [
            math_line(question(index), index, k, "x", score=1.0)
            for index in range(3 * chunk, min(8, 3 * chunk + 3))
            for k in range(4)
        ]
        config = {"dataset": {"path": "gone.json", "chunk_id": chunk, "chunk_size": 3}}
        math_run(tmp_path / "c" / f"chunk-{chunk:03d}", lines, rows=len(lines) // 4, rollouts=4, config=config)
    write_chunks(tmp_path / "s", [solved(row, 0, "lab/solver-7b", count=4) for row in rows], "m", 3)
    ended = run("merge", "c/chunk-002", "c/chunk-000", "s/m_chunk_001.json", "-o", "out.json")
    assert ended.code == 0, ended
    assert [row["extra_info"]["index"] for row in read(tmp_path / "out.json")] == list(range(8))


def test_what_all_get_wrong_or_nobody_knows_is_told_apart_from_what_one_gets_right(run: Run, tmp_path: Path):
    results = {"a": ["wrong", "right", "right"], "b": ["truncated", "truncated", "wrong"]}
    for label, found in results.items():
        rows = [
            {**question(place), "model_solutions": ["x"], "model_results": [one], "model_name": label}
            for place, one in enumerate(found)
        ]
        (tmp_path / f"{label}.json").write_text(json.dumps(rows))
    ended = run("filter-mixed", "a=a.json", "b=b.json", "-o", "mixed.json")
    outcomes = read(tmp_path / "mixed.counts.json")["outcomes"]
    assert (outcomes["differ"], outcomes["wrong_or_unknown"]) == (2, 1)
    assert len(read(tmp_path / "mixed.json")) == 3
    assert "all wrong by one, unknown by another" in ended.out
