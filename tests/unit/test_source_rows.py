"""Values as JSON can hold them."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from asyncgen.core.errors import EpisodeError, FailReason
from asyncgen.source import open_source
from asyncgen.source.rows import MAX_DEPTH, json_ready


@pytest.mark.parametrize(
    ("value", "ready"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.array([[1, 2]]), [[1, 2]]),
        (np.longdouble(1.5), "1.5"),
        (float("nan"), None),
        (float("-inf"), None),
        (np.float64("nan"), None),
        (2**64 - 1, 2**64 - 1),
        (2**64, str(2**64)),
        (-(2**63) - 1, str(-(2**63) - 1)),
        (b"\x00\xff", "AP8="),
        (date(2024, 2, 29), "2024-02-29"),
        (datetime(2024, 2, 29, 1, tzinfo=UTC), "2024-02-29T01:00:00+00:00"),
        (time(1, 2), "01:02:00"),
        (timedelta(seconds=90), "0:01:30"),
        (Decimal("1.10"), "1.10"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ([("key", 1)], [["key", 1]]),
        ({"a": {1: (2.0, None)}}, {"a": {"1": [2.0, None]}}),
        ("a\ud800", "a\ufffd"),
        ("\ud83d\ude00", "\U0001f600"),
        ({"\udfff": 1}, {"\ufffd": 1}),
        ({"bytes": b"\xff\xd8", "path": "a.jpg"}, {"path": "a.jpg"}),
    ],
)
def test_a_value_becomes_what_json_can_hold(value: Any, ready: Any) -> None:
    assert json_ready(value) == ready
    assert orjson.loads(orjson.dumps(json_ready(value))) == ready


def test_a_value_nested_too_deep_is_refused() -> None:
    value: Any = 1
    for _ in range(MAX_DEPTH):
        value = [value]
    assert json_ready(value) == value
    with pytest.raises(ValueError, match="nested deeper than 100 levels"):
        json_ready([value])


def test_every_arrow_type_becomes_json(tmp_path: Path) -> None:
    table = pa.table(
        {
            "half": pa.array([np.float16(0.5)], pa.float16()),
            "map": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int32())),
            "kind": pa.array(["x"]).dictionary_encode(),
            "nano": pa.array([1_000], pa.timestamp("ns", "UTC")),
            "blob": pa.array([b"ab"]),
            "nothing": pa.nulls(1),
            "deep": pa.array([{"a": [{"b": 1}]}]),
            "money": pa.array([Decimal("1.50")]),
            "span": pa.array([1], pa.duration("s")),
        }
    )
    pq.write_table(table, tmp_path / "x.parquet")
    assert open_source(str(tmp_path / "x.parquet")).read(0).data == {
        "half": 0.5,
        "map": [["a", 1]],
        "kind": "x",
        "nano": "1970-01-01T00:00:00.000001+00:00",
        "blob": "YWI=",
        "nothing": None,
        "deep": {"a": [{"b": 1}]},
        "money": "1.50",
        "span": "0:00:01",
    }


def test_a_cell_that_python_cannot_hold_is_one_bad_sample(tmp_path: Path) -> None:
    wrong_utf8 = pa.Array.from_buffers(
        pa.string(), 3, [None, pa.array([0, 1, 2, 3], pa.int32()).buffers()[1], pa.py_buffer(b"a\xffc")]
    )
    far = pa.array([0, 0, 2**62], pa.timestamp("ms"))
    pq.write_table(pa.table({"text": wrong_utf8, "when": far}), tmp_path / "x.parquet")
    source = open_source(str(tmp_path / "x.parquet"))
    assert source.read(0).data == {"text": "a", "when": "1970-01-01T00:00:00"}
    for row in (1, 2):
        with pytest.raises(EpisodeError, match=f"row {row} cannot be read") as caught:
            source.read(row)
        assert caught.value.reason == FailReason.BAD_SAMPLE


def test_an_unknown_time_zone_is_a_bad_sample(tmp_path: Path) -> None:
    pq.write_table(pa.table({"when": pa.array([0], pa.timestamp("s", "Mars/Base"))}), tmp_path / "x.parquet")
    with pytest.raises(EpisodeError, match="row 0 cannot be read"):
        open_source(str(tmp_path / "x.parquet")).read(0)
