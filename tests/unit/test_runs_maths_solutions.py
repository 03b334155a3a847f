"""Solutions wherever they lie, and everything that can be wrong with how they lie: by index and file."""

import json
from pathlib import Path

import pytest
from support.maths_files import math_line, math_run, question, rights, solution, solved, write_chunks

from asyncgen.core.errors import InputError
from asyncgen.runs.maths.completeness import Original, check_complete
from asyncgen.runs.maths.faults import Fault, beside, of_kind
from asyncgen.runs.maths.solution_set import paths_of, read_solutions

ROWS = [solved(question(index), 0, "m") for index in range(25)]


def faults(
    *paths: Path, rollouts: int | None = None, original: Path | None = None
) -> list[tuple[str, int | None, str]]:
    """(kind, index, name of the file) of all, in order."""
    with read_solutions(paths) as found:
        check_complete(found, rollouts=rollouts, original=Original(original) if original else None)
        return [(str(one.kind), one.index, Path(one.file).name) for one in found.report.faults]


def indexes(*paths: Path) -> list[int]:
    with read_solutions(paths) as found:
        return [one.index for one in found]


@pytest.fixture
def chunks(tmp_path: Path) -> Path:
    """Three files of 10, 10 and 5."""
    return write_chunks(tmp_path / "chunks", ROWS, "m", 10)


def test_a_folder_a_file_and_a_list_of_files_read_alike(chunks: Path):
    assert faults(chunks) == []
    assert indexes(chunks) == list(range(25))
    files = sorted(chunks.iterdir(), reverse=True)
    assert indexes(*files) == list(range(25))
    assert indexes(files[1]) == list(range(10, 20))
    assert paths_of(f"{chunks}/*_chunk_*.json") == sorted(files)


def test_what_is_read_is_what_was_written(chunks: Path):
    with read_solutions([chunks]) as found:
        for one in found:
            assert list(one.texts) == ROWS[one.index]["model_solutions"]
            assert one.row == question(one.index)
            assert (one.model, one.truth) == ("m", str(one.index + 1))


def test_a_merged_file_in_any_order_is_read_by_index(tmp_path: Path):
    path = tmp_path / "merged.json"
    path.write_text(json.dumps(ROWS[::-1], indent=1))
    assert indexes(path) == list(range(25))


def test_a_torn_chunk_gives_what_stands_before_and_is_named(chunks: Path):
    path = chunks / "m_chunk_001.json"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = faults(chunks)
    assert found[0] == ("torn", None, "m_chunk_001.json")
    missing = [index for kind, index, _ in found if kind == "missing"]
    assert missing == list(range(min(missing), 20))
    assert {kind for kind, _, _ in found} == {"torn", "missing"}
    assert indexes(chunks) == [index for index in range(25) if index not in missing]


def test_an_empty_chunk_file_is_torn(chunks: Path):
    (chunks / "m_chunk_000.json").write_text("")
    found = faults(chunks)
    assert found[0] == ("torn", None, "m_chunk_000.json")
    assert [index for kind, index, _ in found if kind == "missing"] == list(range(10))


def test_two_files_of_one_chunk_are_named_and_the_first_counts(chunks: Path, tmp_path: Path):
    rows = [{**row, "model_solutions": ["other"] * 8} for row in ROWS]
    other = write_chunks(tmp_path / "other", rows, "again", 10) / "again_chunk_001.json"
    found = faults(chunks, other)
    assert found[0] == ("chunk_twice", None, "again_chunk_001.json")
    assert [one for one in found if one[0] == "duplicate"] == [
        ("duplicate", index, "again_chunk_001.json") for index in range(10, 20)
    ]
    with read_solutions([chunks, other]) as solutions:
        assert all(one.texts[0] != "other" for one in solutions)


def test_chunks_of_another_size_are_named(chunks: Path, tmp_path: Path):
    other = write_chunks(tmp_path / "other", ROWS, "m", 5)
    (chunks / "m_chunk_002.json").unlink()
    (other / "m_chunk_004.json").rename(chunks / "m_chunk_004.json")
    found = faults(chunks)
    assert ("chunk_size", None, "m_chunk_004.json") in found
    with read_solutions([chunks]) as solutions:
        texts = [one.text for one in of_kind(solutions.report.faults, Fault.CHUNK_SIZE)]
    assert "chunk 4 has 5 questions from question 20 on; other chunk files have 10" in texts


def test_a_chunk_that_is_short_and_not_the_last_is_named_by_file_and_question(chunks: Path):
    path = chunks / "m_chunk_000.json"
    path.write_text(json.dumps(json.loads(path.read_text())[:8]))
    assert faults(chunks) == [
        ("chunk_size", None, "m_chunk_000.json"),
        ("missing", 8, "m_chunk_000.json"),
        ("missing", 9, "m_chunk_000.json"),
    ]


def test_a_chunk_without_a_file_is_named(chunks: Path):
    (chunks / "m_chunk_001.json").unlink()
    found = faults(chunks)
    assert found[0][0] == "chunk_missing"
    assert found[1:] == [("missing", index, "") for index in range(10, 20)]


def test_rows_without_an_index_get_it_from_their_chunk(tmp_path: Path):
    plain = [
        {"problem": f"p{index}", "answer": "1", "model_solutions": ["x"], "model_name": "m"} for index in range(25)
    ]
    folder = write_chunks(tmp_path / "plain", plain, "m", 10)
    assert faults(folder) == []
    with read_solutions([folder]) as found:
        assert [(one.index, one.row["problem"]) for one in found] == [(index, f"p{index}") for index in range(25)]


def test_indexes_that_are_no_places_are_taken_as_they_are(tmp_path: Path):
    rows = [solved(question(index), 0, "m") for index in (90, 5, 33, 7, 12)]
    folder = write_chunks(tmp_path / "c", rows, "m", 2)
    assert faults(folder) == []
    assert indexes(folder) == [5, 7, 12, 33, 90]


def test_a_question_with_fewer_solutions_is_short(tmp_path: Path):
    rows = [*ROWS[:3], {**ROWS[3], "model_solutions": ["a"]}, {**ROWS[4], "model_solutions": []}]
    folder = write_chunks(tmp_path / "c", rows, "m", 10)
    assert faults(folder) == [("short", 3, "m_chunk_000.json"), ("short", 4, "m_chunk_000.json")]
    assert [kind for kind, _, _ in faults(folder, rollouts=9)] == ["short"] * 5
    assert faults(folder, rollouts=1) == [("short", 4, "m_chunk_000.json")]


def test_the_original_says_which_questions_are_missing(chunks: Path, tmp_path: Path):
    original = tmp_path / "train.json"
    original.write_text(json.dumps([question(index) for index in range(27)]))
    assert faults(chunks, original=original) == [("missing", 25, ""), ("missing", 26, "")]


def test_two_rows_of_the_original_with_one_index_are_refused(chunks: Path, tmp_path: Path):
    original = tmp_path / "train.json"
    original.write_text(json.dumps([question(1), question(1)]))
    with pytest.raises(InputError, match="rows 0 and 1 have the index 1"):
        faults(chunks, original=original)


def test_a_row_without_solutions_is_named(tmp_path: Path):
    path = tmp_path / "merged.json"
    path.write_text(json.dumps([*ROWS[:2], question(2), ROWS[3]]))
    assert faults(path) == [("torn", 2, "merged.json")]
    assert indexes(path) == [0, 1, 3]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "has no solutions yet"),
        ('[{"a": 1}]', "no list of texts 'model_solutions'"),
        ("x", "no file of solutions"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str, words: str):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        read_solutions([path])


def test_what_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="does not exist"):
        read_solutions([tmp_path / "none.json"])
    with pytest.raises(InputError, match=r"has no \*_chunk_NNN\.json"):
        read_solutions([tmp_path])
    with pytest.raises(InputError, match="names no file"):
        paths_of(str(tmp_path / "*.json"))


def test_two_models_in_one_folder_are_refused_unless_named(chunks: Path, tmp_path: Path):
    write_chunks(chunks, [solved(question(index), 0, "other") for index in range(25, 30)], "other", 10)
    with pytest.raises(InputError, match=r"'m' and .* of 'other'"):
        read_solutions([chunks])
    with read_solutions([chunks], model="mine") as found:
        assert found.model == "mine"


def run_lines(count: int = 4, rollouts: int = 3):
    """Later rollouts first."""
    return [
        math_line(
            question(index), index, k, solution(index, k, right=rights(index, 0)[k]), score=float(rights(index, 0)[k])
        )
        for k in reversed(range(rollouts))
        for index in range(count)
    ]


def test_a_runs_traces_are_solutions_in_rollout_order(tmp_path: Path):
    run = math_run(tmp_path / "run", run_lines(), rows=4, rollouts=3)
    with read_solutions([run]) as found:
        check_complete(found, rollouts=None, original=None)
        assert found.report.is_complete
        assert (found.model, found.report.rollouts) == ("lab/solver-7b", 3)
        for index, one in enumerate(found):
            pattern = rights(index, 0, 3)
            assert one.index == one.position == index
            assert list(one.texts) == [solution(index, k, right=pattern[k]) for k in range(3)]
            assert list(one.results) == ["right" if right else "wrong" for right in pattern]
            assert one.row == question(index)


def test_a_run_whose_dataset_is_gone_says_how_many_are_missing(tmp_path: Path):
    run = math_run(tmp_path / "run", run_lines(3)[:-1], rows=7, rollouts=3)
    assert faults(run) == [
        ("short", 2, next((run / "traces").glob("*.jsonl")).name),
        ("missing", None, "run"),
    ]


def test_a_run_that_samples_unevenly_is_not_short(tmp_path: Path):
    run = math_run(tmp_path / "run", run_lines()[:-1], rows=4, rollouts=3, config={"until_accepted": 1})
    assert faults(run) == []


def test_two_rows_of_a_run_with_one_index_are_not_mixed(tmp_path: Path):
    lines = [
        math_line(question(5), 0, 0, "first", score=1.0),
        math_line(question(5), 1, 0, "second", score=1.0),
        math_line(question(5), 1, 1, "second", score=1.0),
    ]
    run = math_run(tmp_path / "run", lines, rows=2, rollouts=1)
    with read_solutions([run]) as found:
        (one,) = found
        assert one.texts == ("first",)
        (fault,) = found.report.faults
    assert (fault.kind, fault.index) == ("duplicate", 5)
    assert "2 of its solutions" in fault.text


def test_two_runs_with_the_same_solution_count_the_first(tmp_path: Path):
    one = math_run(tmp_path / "one", [math_line(question(0), 0, 0, "first", score=1.0)], rows=1, rollouts=2)
    two = [math_line(question(0), 0, k, f"later {k}", score=0.0) for k in (0, 1)]
    other = math_run(tmp_path / "two", two, rows=1, rollouts=2)
    with read_solutions([one, other]) as found:
        assert [solutions.texts for solutions in found] == [("first", "later 1")]
        assert found.report.indexes(Fault.DUPLICATE) == [0]


def test_runs_of_two_datasets_are_refused(tmp_path: Path):
    lines = [math_line(question(0), 0, 0, "x", score=1.0)]
    one = math_run(tmp_path / "one", lines, rows=1, fingerprint="a")
    two = math_run(tmp_path / "two", lines, rows=1, fingerprint="b")
    with pytest.raises(InputError, match="fingerprints"):
        read_solutions([one, two])


def test_the_original_tells_each_missing_question_once(chunks: Path, tmp_path: Path):
    (chunks / "m_chunk_000.json").write_text("[")
    original = tmp_path / "train.json"
    original.write_text(json.dumps([question(index) for index in range(30)]))
    found = [index for kind, index, _ in faults(chunks, original=original) if kind == "missing"]
    assert found == [*range(10), *range(25, 30)]


def test_the_size_that_most_chunks_have_is_the_size(tmp_path: Path):
    rows = [solved(question(index), 0, "m") for index in range(30)]
    folder = write_chunks(tmp_path / "c", rows, "m", 10)
    other = write_chunks(tmp_path / "other", rows, "m", 15)
    (other / "m_chunk_001.json").rename(folder / "m_chunk_001.json")
    found = faults(folder)
    assert found[0] == ("chunk_size", None, "m_chunk_001.json")
    assert [one for one in found if one[0] == "missing"] == [
        ("missing", index, "m_chunk_001.json") for index in range(10, 15)
    ]


@pytest.mark.parametrize("chunk", [1, 2])
def test_a_chunk_file_without_a_row_is_named(chunks: Path, chunk: int):
    (chunks / f"m_chunk_{chunk:03d}.json").write_text("[]")
    found = faults(chunks)
    assert found[0] == ("torn", None, f"m_chunk_{chunk:03d}.json")
    assert [index for kind, index, _ in found if kind == "missing"] == (list(range(10, 20)) if chunk == 1 else [])


def test_one_question_with_more_solutions_makes_no_other_short(tmp_path: Path):
    rows = [*ROWS[:3], {**ROWS[3], "model_solutions": ["a"] * 9}, {**ROWS[4], "model_solutions": ["a"]}]
    folder = write_chunks(tmp_path / "c", rows, "m", 10)
    assert faults(folder) == [("long", 3, "m_chunk_000.json"), ("short", 4, "m_chunk_000.json")]
    assert [kind for kind, _, _ in faults(folder, rollouts=8)] == ["short"]


def test_the_report_of_a_folder_has_its_whole_name():
    assert beside(Path("x/solutions_qwen2.5"), "done") == Path("x/solutions_qwen2.5.done.json")
    assert beside(Path("x/all.v2.json"), "report") == Path("x/all.v2.report.json")
