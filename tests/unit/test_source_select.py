"""Where, order, number and partition."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from support.source_data import photos

from asyncgen.core.errors import InputError
from asyncgen.source import Selection, open_source
from asyncgen.source.arrow import ArrowCells
from asyncgen.source.select import named_columns, parse_order_by, select_rows


class WatchedCells(ArrowCells):
    """Cells that note which columns were taken as a whole, and that no row was read."""

    def __init__(self, table: pa.Table) -> None:
        super().__init__(table)
        self.taken: list[list[str]] = []

    def table(self, columns: Sequence[str]) -> pa.Table:
        self.taken.append(list(columns))
        return super().table(columns)

    def row(self, index: int, columns: Sequence[str]) -> dict[str, Any]:
        raise AssertionError("selecting reads no row")


def table(**columns: Any) -> WatchedCells:
    return WatchedCells(pa.table(columns))


def indexes(cells: ArrowCells, **selection: Any) -> list[int]:
    found: list[int] = select_rows(cells, (), Selection(**selection)).indexes.tolist()
    return found


def test_where_then_order_then_number_then_partition() -> None:
    cells = table(score=[0.5, 0.1, None, 0.3, 0.2, 0.4], keep=[True, True, True, False, True, True])
    chosen = {"where": "keep", "order": "hardest_first", "difficulty": "score"}
    assert indexes(cells, **chosen) == [1, 4, 5, 0, 2]
    assert indexes(cells, **chosen, num_samples=4) == [1, 4, 5, 0]
    assert indexes(cells, **chosen, num_samples=4, partition=(1, 3)) == [4]
    assert indexes(cells, **chosen, num_samples=0) == []


def test_null_and_nan_are_last_in_both_directions_and_ties_keep_their_order() -> None:
    cells = table(score=[float("nan"), 1.0, None, 0.0, 1.0, float("nan")])
    assert indexes(cells, order="hardest_first", difficulty="score") == [3, 1, 4, 0, 2, 5]
    assert indexes(cells, order="easiest_first", difficulty="score") == [1, 4, 3, 0, 2, 5]


def test_without_the_difficulty_column_rows_stay_in_dataset_order_and_a_line_says_so() -> None:
    cells = table(n=[2, 1])
    selected = select_rows(cells, (), Selection(order="hardest_first", difficulty="locatability_score"))
    assert selected.indexes.tolist() == [0, 1]
    assert selected.note == (
        "order hardest_first: the dataset has no column 'locatability_score'; rows stay in dataset order"
    )
    assert "names no difficulty column" in select_rows(cells, (), Selection(order="easiest_first")).note
    assert select_rows(cells, (), Selection()).note == ""


def test_order_by_beats_order() -> None:
    cells = table(score=[1, 2, 3], name=["b", "c", "a"])
    assert indexes(cells, order="hardest_first", difficulty="score", order_by="name") == [2, 0, 1]
    assert indexes(cells, order_by="name DESC") == [1, 0, 2]


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("score", ("score", False)),
        (" score  desc ", ("score", True)),
        ("score ASC", ("score", False)),
        ("two words", ("two words", False)),
        ("two words desc", ("two words", True)),
        ('"two words" desc', ("two words", True)),
        ("up desc", ("up desc", False)),
        ("up desc desc", ("up desc", True)),
    ],
)
def test_order_by_is_a_column_and_a_direction(text: str, parsed: tuple[str, bool]) -> None:
    assert parse_order_by(text, ["score", "two words", "up desc"]) == parsed


def test_an_unknown_order_column_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"dataset\.order_by 'scroe desc': .*did you mean 'score'"):
        parse_order_by("scroe desc", ["score", "city"])


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array(["b", None, "a"]).dictionary_encode(), [2, 0, 1]),
        (pa.array([True, None, False]), [2, 0, 1]),
        (pa.array([2, 1, 0], pa.float16()), [2, 1, 0]),
        (pa.array([b"b", None, b"a"]), [2, 0, 1]),
        (pa.array([2, None, 1], pa.timestamp("s")), [2, 0, 1]),
        (pa.array([2**63, None, 2**64 - 1], pa.uint64()), [0, 2, 1]),
        (pa.array([2**62 + 1, None, 2**62]), [2, 0, 1]),
        (pa.array(["b", None, "a"], pa.string_view()), [2, 0, 1]),
        (pa.nulls(3), [0, 1, 2]),
    ],
    ids=["dictionary", "bool", "half", "binary", "timestamp", "uint64", "beyond double", "view", "null"],
)
def test_any_orderable_type_is_ordered(column: pa.Array, expected: list[int]) -> None:
    assert indexes(table(x=column), order_by="x") == expected


def test_a_column_without_an_order_is_an_input_error() -> None:
    with pytest.raises(InputError, match=r"a column of type list<.*> has no order"):
        indexes(table(x=[[1], [2]]), order_by="x")


def test_where_takes_only_the_columns_that_it_names_and_reads_no_row() -> None:
    cells = table(Score=[1, 2], text=["a", "b"], extra=[{"k": 1}, {"k": 2}])
    assert indexes(cells, where="score > 1") == [1]
    assert indexes(cells, where="extra.k = 1 or extra['k'] = 7") == [0]
    assert indexes(cells, where="true") == [0, 1]
    assert cells.taken == [["Score"], ["extra"]]


def test_all_columns_are_there_for_columns_expressions_and_quoted_names() -> None:
    assert named_columns("COLUMNS(*) is not null", ["a", "b"]) == ["a", "b"]
    assert named_columns('"a""b" > 1', ['a"b', "c"]) == ['a"b']
    assert indexes(table(**{'a"b': [1, 2], "c": [0, 0]}), where='"a""b" > 1') == [1]


def test_rows_for_which_where_is_null_are_dropped_and_counted() -> None:
    selected = select_rows(table(a=[1, None, 3]), (), Selection(where="a > 1"))
    assert selected.indexes.tolist() == [2]
    assert selected.filtered == 2


def test_a_column_named_row_or_data_is_like_any_other() -> None:
    assert indexes(table(row=[5, 6], data=[1, 2], row_=[0, 0]), where="row = 6 and data = 2 and row_ = 0") == [1]


def test_a_where_that_leaves_nothing_says_so() -> None:
    selected = select_rows(table(a=[1]), (), Selection(where="a > 1"))
    assert selected.note == "dataset.where 'a > 1' is true for none of the 1 rows"


def test_a_blank_where_is_no_where() -> None:
    assert indexes(table(a=[1, 2]), where="  ") == [0, 1]


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ("scroe > 1", "no column 'scroe': did you mean 'score'"),
        ("score >", "the condition ends too early"),
        ("score > 1); drop table data; --", "it has a ')' too many"),
        ("score > > 1", "Parser Error"),
        ("true); select (1", "give one condition"),
        ("name > 3", "Binder Error"),
        ("sum(score) > 1", "aggregates"),
        ("name::int > 0", "Conversion Error"),
        ("score > ?", "parameters"),
        ("photo is null", "'photo' is an image column"),
        ("name in (select name from other)", "does not exist"),
    ],
)
def test_wrong_sql_is_one_line_that_names_it(where: str, text: str) -> None:
    with pytest.raises(InputError) as caught:
        select_rows(table(score=[1], name=["x"], photo=[b""]), ("photo",), Selection(where=where))
    assert str(caught.value).startswith(f"dataset.where {where!r}: ")
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "where",
    [
        "name in (select content from read_text('{file}'))",
        "exists (select * from '{file}')",
        "exists (select * from read_csv('{file}'))",
        "exists (select * from glob('{file}'))",
        "exists (select * from rows)",
    ],
)
def test_sql_reaches_no_file_and_no_variable(tmp_path: Path, where: str) -> None:
    (tmp_path / "secret.csv").write_text("x\n")
    with pytest.raises(InputError):
        indexes(table(name=["x"]), where=where.format(file=tmp_path / "secret.csv"))


def test_a_comment_at_the_end_of_where_is_only_a_comment() -> None:
    assert indexes(table(a=[1, 2]), where="a > 1 -- big ones") == [1]


def test_a_partition_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="partition 3/3: the first number is from 0 to 2"):
        indexes(table(a=[1]), partition=(3, 3))


def test_ordering_1_400_000_rows_takes_one_column_and_keeps_one_integer_a_row() -> None:
    rows = 1_400_000
    scores = np.random.default_rng(0).random(rows).round(3)
    cells = table(score=scores, text=pa.nulls(rows, pa.string()))
    selected = select_rows(
        cells, (), Selection(where="score < 0.5", order="hardest_first", difficulty="score", num_samples=10)
    )
    expected = np.argsort(scores, kind="stable")[:10]
    assert selected.indexes.tolist() == expected.tolist()
    assert selected.filtered == int((scores >= 0.5).sum())
    assert cells.taken == [["score"], ["score"]]
    assert cells._table.column("score").num_chunks == 1


def test_image_columns_are_neither_sorted_nor_queried(tmp_path: Path) -> None:
    photos(4).save_to_disk(tmp_path / "x")
    source = open_source(str(tmp_path / "x"))
    with pytest.raises(InputError, match="'image' is an image column"):
        source.select(Selection(where="image is null"))
    with pytest.raises(InputError, match="no column 'image' to order by"):
        source.select(Selection(order_by="image"))
