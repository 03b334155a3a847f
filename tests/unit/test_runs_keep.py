"""Copying the traces of which a condition is true."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.runs_on_disk import files_of, line, lines_of, make_run
from support.store_fakes import StillClock
from support.traces import geo_scores

from asyncgen.core.errors import InputError
from asyncgen.runs.keep import Kept, keep
from asyncgen.runs.reading import status_of
from asyncgen.runs.verify import verify

QUALITY = 'parse_success and "distance@km" < 5000 and score > 0.3'


def kept(out: Path, where: str, *paths: Path) -> Kept:
    return keep(paths, where, out, clock=StillClock())


def scored(index: int, *, parsed: bool = True, **scores: float) -> bytes:
    return line(index, scores={**geo_scores(parsed=parsed), **scores})


def test_the_documented_quality_filter_keeps_byte_for_byte_and_counts_by_clause(tmp_path: Path):
    good = [scored(1), scored(7, score=0.31)]
    bad = [
        scored(2, parsed=False), scored(3, **{"distance@km": 6000.0}), scored(4, score=0.3),
        scored(5, **{"distance@km": 6000.0, "score": 0.1}),
    ]  # fmt: skip
    source = make_run(tmp_path / "run", [good[0], *bad], [good[1]])
    found = kept(tmp_path / "out", QUALITY, source)
    assert lines_of(tmp_path / "out") == good
    assert (found.total, found.kept, found.dropped, found.duplicates) == (6, 2, 4, 0)
    assert [(one.text, one.dropped, one.false) for one in found.clauses] == [
        ("parse_success", 1, 1), ('"distance@km" < 5000', 2, 3), ("score > 0.3", 1, 3),
    ]  # fmt: skip


def test_the_copy_is_a_run_that_says_how_it_was_made(tmp_path: Path):
    kept(tmp_path / "out", "score > 0.5", make_run(tmp_path / "run", [scored(1), scored(2, score=0.1)]))
    status = status_of(tmp_path / "out")
    assert (status["state"], status["total"], status["done"]) == ("complete", 1, 1)
    assert [report.faults for report in verify(tmp_path / "out")] == [[]]
    derived = json.loads((tmp_path / "out" / "run.json").read_bytes())["derived"]
    assert (derived["command"], derived["where"], derived["counts"]["kept"]) == ("filter", "score > 0.5", 1)


def test_of_two_traces_with_one_id_only_the_first_is_looked_at(tmp_path: Path):
    first = make_run(tmp_path / "a", [scored(1, score=0.1), scored(2)])
    second = make_run(tmp_path / "b", [scored(1, score=0.9), scored(3)])
    found = kept(tmp_path / "out", "score > 0.5", first, second)
    assert lines_of(tmp_path / "out") == [scored(2), scored(3)]
    assert (found.total, found.kept, found.dropped, found.duplicates) == (3, 2, 1, 1)


def test_nothing_kept_is_an_empty_copy(tmp_path: Path):
    found = kept(tmp_path / "out", "score > 2", make_run(tmp_path / "run", [scored(1)]))
    assert (found.kept, found.dropped) == (0, 1)
    assert status_of(tmp_path / "out")["total"] == 0


def test_a_run_without_traces_is_filtered_to_nothing(tmp_path: Path):
    found = kept(tmp_path / "out", QUALITY, make_run(tmp_path / "run", total=4))
    assert (found.total, found.kept) == (0, 0)
    assert [report.faults for report in verify(tmp_path / "out")] == [[]]


def test_two_jobs_and_two_datasets_go_into_one_file(tmp_path: Path):
    first = make_run(tmp_path / "a", [line(1, job="geo")], name="geo", fingerprint="hf:9")
    second = make_run(tmp_path / "b", [scored(1)])
    with pytest.raises(InputError, match="'geo' and 'geo-tools'"):
        kept(tmp_path / "out", "true", first, second)
    kept(tmp_path / "out.jsonl", "true", first, second)
    ids = [json.loads(one)["id"] for one in (tmp_path / "out.jsonl").read_bytes().splitlines()]
    assert ids == ["geo/1/0", "geo-tools/1/0"]


@pytest.mark.parametrize("where", ["scoore > 1", "score >", "score; drop table traces", "1 + "])
def test_wrong_sql_is_one_line_and_leaves_nothing(tmp_path: Path, where: str):
    source = make_run(tmp_path / "run", [scored(1)])
    before = files_of(tmp_path)
    with pytest.raises(InputError) as caught:
        kept(tmp_path / "out", where, source)
    assert "\n" not in str(caught.value)
    assert files_of(tmp_path) == before
