"""The critique set in the structure of the training data: as JSON rows, and as a parquet file that RL trainers read.

Knows both rows, and the columns. Does not know how a critique set came to be.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from asyncgen.core.text import repaired
from asyncgen.core.types import Json
from asyncgen.export.critiques import DATA_SOURCE
from asyncgen.export.files import whole_file
from asyncgen.export.solutions import RIGHT, WRONG

if TYPE_CHECKING:
    import pyarrow as pa

ROWS: Final = 2000
"""Of a row group."""


class NoCritiqueError(ValueError):
    """A row is none of a critique set; `str()` says why."""


def formatted(row: Mapping[str, Any], place: int) -> dict[str, Json]:
    """The row number `place` of a critique set as a row of training data. Raises NoCritiqueError."""
    extra = row.get("extra_info")
    target, level = row.get("target"), row.get("level")
    level = level if _is_plain(level) else _text(level)
    if not isinstance(row.get("prompt"), str) or not isinstance(extra, Mapping):
        raise NoCritiqueError("it has no text 'prompt' or no 'extra_info'")
    if target not in {RIGHT, WRONG}:
        raise NoCritiqueError(f"its 'target' is {target!r}, neither {RIGHT!r} nor {WRONG!r}")
    return {
        "question": _text(row.get("question")),
        "gt_answer": target,
        "answer": target,
        "target": target,
        "subject": _text(row.get("subject")),
        "level": level,
        "data_source": DATA_SOURCE,
        "prompt": [{"content": row["prompt"], "role": "user"}],
        "ability": "critique",
        "reward_model": {"ground_truth": target, "style": "rule"},
        "extra_info": {
            "answer": target,
            "index": place,
            "level": level,
            "split": "train",
            "original_index": _number(extra, "original_index"),
            "solution_index": _number(extra, "solution_index"),
            "model_source": _text(extra.get("model_source")),
            "solution": _text(row.get("solution")),
            "question_gt_answer": _text(row.get("gt_answer")),
        },
    }


def _text(value: Json) -> str:
    """NaN stands for nothing, as null does."""
    return "" if value is None or value != value else str(value)  # noqa: PLR0124  # NaN is not


def _is_plain(value: Json) -> bool:
    """A text, or a number that a column of numbers takes, and JSON has."""
    if type(value) is float:
        return math.isfinite(value)
    return type(value) is str or (type(value) is int and abs(value) < 1 << 63)


def _number(extra: Mapping[str, Json], name: str) -> int:
    """Raises NoCritiqueError where it is none."""
    value = extra.get(name)
    if type(value) is not int or not _is_plain(value):
        raise NoCritiqueError(f"its extra_info.{name} is {value!r}, and no whole number")
    return value


class WiderError(Exception):
    """A value is of another type than the column has so far, which has that of both now."""


class Level:
    """The type of the column `level`, which datasets have as a number or as a text."""

    def __init__(self) -> None:
        self._type: type[str | int | float] | None = None

    def fit(self, value: str | float) -> str | float:
        """As the column takes it. Raises WiderError where the column must change for it."""
        kind: type[str | int | float] = type(value)
        if self._type is None:
            self._type = kind
        elif kind is not self._type and self._type is not str and (self._type, kind) != (float, int):
            self._type = float if (self._type, kind) == (int, float) else str
            raise WiderError
        return self._type(value)

    @property
    def arrow(self) -> pa.DataType:
        """For all that came."""
        import pyarrow as pa

        return pa.int64() if self._type is int else pa.float64() if self._type is float else pa.string()


class ParquetRows:
    """Adds formatted rows to an open file, so many at once; `close` ends it.

    Columns are those of a row: `prompt` is a list of messages, `reward_model` and `extra_info` are structs.
    """

    def __init__(self, file: BinaryIO, level: Level) -> None:
        self._file = file
        self._level = level
        self._rows: list[Mapping[str, Any]] = []
        self._writer: Any = None

    def add(self, row: Mapping[str, Any]) -> None:
        """One row. Raises WiderError, OSError."""
        level = self._level.fit(row["level"])
        if level is not row["level"]:
            row = {**row, "level": level, "extra_info": {**row["extra_info"], "level": level}}
        self._rows.append(row)
        if len(self._rows) == ROWS:
            self._write()

    def close(self) -> None:
        """The last rows, and the footer. Raises OSError."""
        self._write()
        self._writer.close()

    def _write(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = _schema(self._level.arrow)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._file, schema)
        try:
            table = pa.Table.from_pylist(self._rows, schema=schema)
        except UnicodeEncodeError:  # few files have such texts, and looking at each costs
            table = pa.Table.from_pylist([_repaired(row) for row in self._rows], schema=schema)
        self._writer.write_table(table)
        self._rows = []


@contextmanager
def whole_parquet(path: Path, level: Level) -> Iterator[ParquetRows]:
    """A parquet file that stands under its name only when the block has ended well; an older file is replaced.

    Its folder is made. Raises OSError; then nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        rows = ParquetRows(file, level)
        yield rows
        rows.close()


def _repaired(value: Json) -> Json:
    """All texts in it as they can be written; the JSON file has them so too."""
    if isinstance(value, Mapping):
        return {name: _repaired(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_repaired(part) for part in value]
    return repaired(value) if isinstance(value, str) else value


def _schema(level: pa.DataType) -> pa.Schema:
    import pyarrow as pa

    text, number = pa.string(), pa.int64()
    prompt = pa.list_(pa.struct([("content", text), ("role", text)]))
    reward = pa.struct([("ground_truth", text), ("style", text)])
    extra = [
        ("answer", text), ("index", number), ("level", level), ("split", text), ("original_index", number),
        ("solution_index", number), ("model_source", text), ("solution", text), ("question_gt_answer", text),
    ]  # fmt: skip
    columns = [
        ("question", text), ("gt_answer", text), ("answer", text), ("target", text), ("subject", text),
        ("level", level), ("data_source", text), ("prompt", prompt), ("ability", text), ("reward_model", reward),
        ("extra_info", pa.struct(extra)),
    ]  # fmt: skip
    return pa.schema(columns)
