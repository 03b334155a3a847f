"""What holds for any rows, any layout of a JSON file, and any results of any number of models."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.maths_files import class_by_hand, kept_by_hand

from asyncgen.export.critiques import Candidate, Drawing, drawn
from asyncgen.export.json_array import TornError, read_elements, whole_array
from asyncgen.export.mixed import class_of, is_kept, outcome_of

RESULTS = st.lists(st.sampled_from(["right", "wrong", "truncated", "unknown"]), max_size=8)
TEXTS = st.text(st.sampled_from('ab"\\{}[],:\n\t é\u2028😀'), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
ROWS = st.lists(st.dictionaries(TEXTS, VALUES, max_size=4), max_size=6)


@given(st.lists(RESULTS, min_size=2, max_size=4), st.booleans())
@settings(max_examples=100, deadline=None)
def test_classes_and_what_is_kept_are_as_counted_by_hand(results: list[list[str]], strict: bool):
    classes = [class_of(one) for one in results]
    assert classes == [class_by_hand(one) for one in results]
    assert is_kept(outcome_of(classes), strict=strict) == kept_by_hand([str(one) for one in classes], strict=strict)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("arrays") / "rows.json"


@given(rows=ROWS, indent=st.sampled_from([None, 0, 1, 2, "\t"]), ascii_only=st.booleans())
@settings(max_examples=100, deadline=None)
def test_any_layout_gives_its_rows(path: Path, rows: list, indent: int | str | None, ascii_only: bool):
    path.write_text(json.dumps(rows, indent=indent, ensure_ascii=ascii_only), "utf-8")
    assert [one.value for one in read_elements(path)] == rows


@given(rows=ROWS.filter(bool), indent=st.sampled_from([None, 1]), data=st.data())
@settings(max_examples=100, deadline=None)
def test_a_file_cut_anywhere_gives_its_first_rows_and_is_torn(path: Path, rows: list, indent: int | None, data):
    whole = json.dumps(rows, indent=indent).encode()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    found: list = []
    with pytest.raises(TornError):
        found.extend(one.value for one in read_elements(path))
    assert found == rows[: len(found)]


@given(rows=ROWS)
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_again(path: Path, rows: list):
    with whole_array(path) as file:
        for row in rows:
            file.add(row)
    assert json.loads(path.read_text("utf-8")) == rows
    assert [one.value for one in read_elements(path)] == rows


@given(
    st.lists(st.sampled_from(["right", "wrong"]), max_size=20), st.integers(1, 8), st.integers(0, 10**6), st.booleans()
)
@settings(max_examples=100, deadline=None)
def test_a_draw_has_no_solution_twice_and_as_many_as_there_can_be(
    results: list[str], most: int, index: int, balance: bool
):
    found = [Candidate("a", number, f"t{number}", result) for number, result in enumerate(results)]
    drawing = Drawing(most=most + balance, balance=balance)
    chosen = drawn(found, index, drawing)
    fewest = min(results.count("right"), results.count("wrong"))
    halves = balance and fewest
    assert len(chosen) == (2 * min(fewest, drawing.most // 2) if halves else min(drawing.most, len(found)))
    assert chosen == sorted(set(chosen), key=lambda one: one.number)
    assert chosen == drawn(found, index, drawing)
    if halves:
        assert 2 * sum(one.result == "right" for one in chosen) == len(chosen)
