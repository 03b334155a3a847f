"""Catalogs: what is in one, and that whatever is not as it was written is none."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.catalogs import catalog_of, column_of, flipped, rows_of, shard_of
from support.runs_on_disk import failed, line
from support.store_fakes import FaultyFiles
from support.traces import failed_line, trace_line

from asyncgen.core.errors import DataError
from asyncgen.store import catalog as catalogs
from asyncgen.store.catalog import NoCatalog, make_catalog, read_catalog, read_catalogs, write_catalog
from asyncgen.store.columns import LONG, MOST, TOP
from asyncgen.store.files import DISK, FileLayer
from asyncgen.store.keys import ACCEPTED
from asyncgen.store.layout import catalog_path
from asyncgen.store.line import encode_line
from asyncgen.store.scan import pack


def trace(index: int = 0, rollout: int = 0, **data: Any) -> dict[str, Any]:
    return trace_line(index, rollout, data=data)


def test_a_row_says_where_its_line_is_and_whose(tmp_path: Path):
    lines = [line(7, 2), line(3)]
    shard = shard_of(tmp_path, *lines)
    catalog_of(shard)
    found = rows_of(shard)
    places = [(one["id"], one["index"], one["attempt"], one["offset"], one["length"]) for one in found]
    assert places == [("geo-tools/7/2", 7, 2, 0, len(lines[0])), ("geo-tools/3/0", 3, 0, len(lines[0]), len(lines[1]))]
    for row, text in zip(found, lines, strict=True):
        assert shard.read_bytes()[row["offset"] :][: row["length"]] == text
    top = ["stop", "sample_index", "rollout", "answer", "config_id", "dataset_path"]
    assert [found[0][name] for name in top] == ["answered", 7, 2, "1.5, 2.5", "0123456789ab", "data/gaea/train"]


def test_every_scalar_of_scores_metadata_and_sample_is_a_column_in_order(tmp_path: Path):
    shard = shard_of(tmp_path, trace(lat=1.5, country="fr"), trace(1, lat=2.5, town="x"))
    catalog = catalog_of(shard)
    assert list(catalog.parts) == ["reward", "meta", "data"]
    assert [one.name for one in catalog.parts["data"]] == ["lat", "country", "town"]
    assert [one.stored for one in catalog.parts["data"]] == ["data.lat", "data.country", "data.town"]
    assert rows_of(shard)[1]["reward.distance@km"] == 157.27
    assert rows_of(shard)[1]["meta.stop"] == "answered"
    assert column_of(catalog, "data", "town") == [None, "x"]


def test_a_failure_has_its_reason_and_error_too(tmp_path: Path):
    shard = shard_of(tmp_path, failed_line(7, reason="timeout", error="späť"), failed_line(8), kind="failed")
    catalog = catalog_of(shard)
    assert [(row["reason"], row["error"]) for row in rows_of(shard)] == [
        ("timeout", "späť"),
        ("bad_image", "the file is truncated"),
    ]
    assert {"reason", "error"} <= catalog.top.keys()
    assert list(catalog.keys.each()) == [(pack(7, 0), "timeout"), (pack(8, 0), "bad_image")]


def test_the_keys_of_traces_are_marked_where_they_are_accepted(tmp_path: Path):
    refused = trace_line(5)
    refused["metadata"]["accepted"] = False
    catalog = catalog_of(shard_of(tmp_path, line(4, 1), refused, line(6)))
    assert list(catalog.keys.packed) == [pack(4, 1), pack(5, 0), pack(6, 0)]
    assert list(catalog.keys.marked(ACCEPTED)) == [pack(4, 1), pack(6, 0)]
    assert list(catalog.keys.marked("no such mark")) == []


@pytest.mark.parametrize(
    ("values", "kind", "stored"),
    [
        ([1, 2], "BIGINT", [1, 2]),
        ([1, 2.5], "DOUBLE", [1.0, 2.5]),
        ([1, None], "BIGINT", [1, None]),
        ([None, 0.0, -0.0], "DOUBLE", [None, 0.0, 0.0]),
        ([True, None, False], "BOOLEAN", [True, None, False]),
        ([True, 1], "VARCHAR", ["true", "1"]),
        (["", "a", None], "VARCHAR", ["", "a", None]),
        (["a", 1, 2.0, 2.5, None], "VARCHAR", ["a", "1", "2", "2.5", None]),
        ([[1, "b"], {"k": None}], "VARCHAR", ['[1,"b"]', '{"k":null}']),
        ([2**63 - 1, -(2**63)], "BIGINT", [2**63 - 1, -(2**63)]),
        ([2**63, 1], "DOUBLE", [float(2**63), 1.0]),
        ([2**53 + 1, 0.5], "DOUBLE", [float(2**53 + 1), 0.5]),
        ([2**70, "x"], "VARCHAR", [str(2**70), "x"]),
        ([float("nan"), 1.5], "DOUBLE", [None, 1.5]),
        (["a\0b", "日本", "🎈"], "VARCHAR", ["a\0b", "日本", "🎈"]),
    ],
)
def test_values_have_the_type_of_their_column(tmp_path: Path, values: list[Any], kind: str, stored: list[Any]):
    catalog = catalog_of(shard_of(tmp_path, *(trace(n, value=value) for n, value in enumerate(values))))
    (column,) = catalog.parts["data"]
    assert (column.kind, column.long) == (kind, False)
    assert column_of(catalog, "data", "value") == stored
    query = f"SELECT \"data.value\" FROM read_parquet('{catalog.path}')"  # as DuckDB has it too
    assert [one for (one,) in duckdb.sql(query).fetchall()] == stored


def test_a_column_without_a_value_is_named_and_not_stored(tmp_path: Path):
    catalog = catalog_of(shard_of(tmp_path, trace(empty=None), trace(1)))
    (column,) = catalog.parts["data"]
    assert (column.name, column.stored, column.kind) == ("empty", "", "NULL")


@pytest.mark.parametrize("long", ["x" * (LONG + 1), [0] * (LONG + 1)])
def test_a_long_text_of_the_sample_leaves_its_column_out_and_says_so(tmp_path: Path, long: Any):
    catalog = catalog_of(shard_of(tmp_path, trace(a="x" * LONG, b=1), trace(1, a=long, b=2), trace(2, a="", b=3)))
    assert [(one.name, one.stored, one.long) for one in catalog.parts["data"]] == [
        ("a", "", True),
        ("b", "data.b", False),
    ]
    assert column_of(catalog, "data", "b") == [1, 2, 3]


def test_a_long_text_among_scores_is_kept(tmp_path: Path):
    judged = trace_line(0, scores={"score": 1.0, "said": "y" * (LONG + 1)})
    catalog = catalog_of(shard_of(tmp_path, judged))
    assert column_of(catalog, "reward", "said") == ["y" * (LONG + 1)]


def test_names_that_sql_takes_for_one_are_stored_under_two(tmp_path: Path):
    data = {"Lat": 1, "lat": 2, "LAT": 3, "lat~2": 4, "": 5, "a\0b": 6, "ab": 7, 'q"': 8, "STRASSE": 9, "straße": 10}
    catalog = catalog_of(shard_of(tmp_path, trace_line(0, data=data)))
    stored = [one.stored for one in catalog.parts["data"]]
    assert len({name.lower() for name in stored}) == len(data)
    assert [column_of(catalog, "data", name) for name in data] == [[number] for number in data.values()]
    described = duckdb.sql(f"DESCRIBE SELECT * FROM read_parquet('{catalog.path}')").fetchall()
    assert [name for name, *_ in described][-len(stored) :] == stored


def test_a_trace_whose_row_number_is_not_that_of_its_id_keeps_both(tmp_path: Path):
    foreign = {**trace_line(42, 3), "sample_index": 7, "rollout": 0}
    shard = shard_of(tmp_path, foreign)
    catalog_of(shard)
    (row,) = rows_of(shard)
    assert [row[name] for name in ("index", "attempt", "sample_index", "rollout")] == [42, 3, 7, 0]


def test_a_line_without_some_parts_has_nulls_there(tmp_path: Path):
    shard = shard_of(tmp_path, b"", encode_line({"id": "geo/1/0"}), trace(2, a=1))
    catalog = catalog_of(shard)
    assert column_of(catalog, "data", "a") == [None, 1]
    assert [row["config_id"] for row in rows_of(shard)] == [None, "0123456789ab"]


def test_an_empty_shard_has_an_empty_catalog(tmp_path: Path):
    shard = shard_of(tmp_path)
    catalog_of(shard)
    assert read_catalogs([shard])[shard].rows == 0


def test_a_shard_of_thousands_of_names_has_no_catalog(tmp_path: Path):
    shard = shard_of(tmp_path, *(trace(n, **{f"key {n} {k}": k for k in range(MOST // 4)}) for n in range(5)))
    with pytest.raises(NoCatalog, match="over 1000 different names"):
        make_catalog(shard, "traces")


def test_a_bad_line_is_named_and_no_catalog_is_made_over_it(tmp_path: Path):
    shard = shard_of(tmp_path, line(0), line(1))
    flipped(shard, len(line(0)) + 40)
    with pytest.raises(DataError, match=r"00000\.jsonl:2: the checksum is wrong"):
        write_catalog(shard, "traces", DISK)
    assert not catalog_path(shard).exists()


def test_work_is_done_in_slices_and_a_pause_may_end_it(tmp_path: Path):
    shard = shard_of(tmp_path, *(line(n) for n in range(100)))
    pauses = 0

    def pause() -> None:
        nonlocal pauses
        pauses += 1
        if pauses > 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_catalog(shard, "traces", pause=pause)
    assert pauses == 4


@pytest.mark.parametrize("call", ["write", "sync", "rename"])
def test_a_disk_that_takes_no_catalog_keeps_nothing_of_it(tmp_path: Path, call: str):
    shard = shard_of(tmp_path, line(0))
    with pytest.raises(OSError, match="Input/output"):
        write_catalog(shard, "traces", FaultyFiles(1, only=call, short=100))
    assert [path.name for path in shard.parent.iterdir()] == [shard.name]


class Touching(FileLayer):
    """Somebody changes the shard as its catalog comes into being."""

    def __init__(self, shard: Path) -> None:
        self._shard = shard

    def rename(self, old: Path, new: Path) -> None:
        super().rename(old, new)
        self._shard.write_bytes(line(9))


def test_a_shard_that_changes_meanwhile_is_an_error_of_the_disk(tmp_path: Path):
    shard = shard_of(tmp_path, line(0))
    with pytest.raises(OSError, match="changed while its catalog was made"):
        write_catalog(shard, "traces", Touching(shard))
    assert read_catalogs([shard]) == {}


def test_any_reader_of_parquet_takes_the_file(tmp_path: Path):
    catalog = catalog_of(shard_of(tmp_path, *(line(n) for n in range(20))))
    assert pq.read_table(catalog.path, columns=["index"]).num_rows == 20
    metadata = pq.read_metadata(catalog.path).metadata
    assert msgspec.json.decode(metadata[b"asyncgen"])["rows"] == 20
    query = f"SELECT file_row_number, \"index\" FROM read_parquet('{catalog.path}', file_row_number = true)"
    assert duckdb.sql(query).fetchall() == [(n, n) for n in range(20)]


# What is none.


def written(shard: Path, data: bytes) -> None:
    catalog_path(shard).write_bytes(data)


def forged(shard: Path, **changes: Any) -> None:
    """A catalog with right checksums that says something else."""
    footer = catalogs._footer(io.BytesIO(catalog_path(shard).read_bytes()), keys_only=False)
    assert footer is not None
    metadata = catalogs._metadata(footer)
    assert metadata is not None
    text = msgspec.json.encode({**msgspec.to_builtins(metadata), **changes})
    out = io.BytesIO()
    table = pa.table({"index": pa.array([0])})
    with pq.ParquetWriter(out, table.schema) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({"asyncgen": text})
    written(shard, catalogs._checked(out.getvalue()))


def other_parquet(shard: Path) -> None:
    pq.write_table(pa.table({"id": ["a"]}), catalog_path(shard))


def of_another_shard(shard: Path) -> None:
    other = catalog_of(shard_of(shard.parent.parent / "other", line(5), line(6)))
    written(shard, other.path.read_bytes())


def without_metadata(shard: Path) -> None:
    out = io.BytesIO()
    pq.write_table(pa.table({"id": ["a"]}), out)
    written(shard, catalogs._checked(out.getvalue()))


COLUMN = ["data", "a", "data.a", "BIGINT", False]
BROKEN: dict[str, Callable[[Path], object]] = {
    "missing": lambda shard: catalog_path(shard).unlink(),
    "empty": lambda shard: written(shard, b""),
    "cut short": lambda shard: written(shard, catalog_path(shard).read_bytes()[:-5]),
    "random bytes": lambda shard: written(shard, os.urandom(5000)),
    "random bytes that end as Parquet does": lambda shard: written(shard, os.urandom(5000) + b"\xff\x01\0\0PAR1"),
    "zeroes": lambda shard: written(shard, bytes(5000)),
    "a folder": lambda shard: (catalog_path(shard).unlink(), catalog_path(shard).mkdir()),
    "another Parquet file": other_parquet,
    "Parquet without metadata": without_metadata,
    "of another shard": of_another_shard,
    "of another version": lambda shard: forged(shard, version=99),
    "of another machine": lambda shard: forged(shard, byteorder="middle"),
    "wrong JSON": lambda shard: forged(shard, rows="two"),
    "of failures": lambda shard: forged(shard, kind="failed"),
    "another number of rows": lambda shard: forged(shard, rows=3),
    "another number of codes": lambda shard: forged(shard, codes=b""),
    "a code without a mark": lambda shard: forged(shard, marks=[]),
    "other totals": lambda shard: forged(shard, totals=[1]),
    "other columns for all": lambda shard: forged(shard, top={"id": "VARCHAR"}),
    "another type for all": lambda shard: forged(shard, top=dict.fromkeys(TOP, "BLOB")),
    "a type that is none": lambda shard: forged(shard, columns=[[*COLUMN[:3], "INT); DROP TABLE x", False]]),
    "a part that is none": lambda shard: forged(shard, columns=[["own", *COLUMN[1:]]]),
    "a name twice": lambda shard: forged(shard, columns=[COLUMN, [*COLUMN[:2], "DATA.A", "DOUBLE", False]]),
    "the name of another column": lambda shard: forged(shard, columns=[[*COLUMN[:2], "Offset", "BIGINT", False]]),
    "a long column that is stored": lambda shard: forged(shard, columns=[[*COLUMN[:4], True]]),
    "a stored column without a name": lambda shard: forged(shard, columns=[[*COLUMN[:2], "", "BIGINT", False]]),
}


@pytest.mark.parametrize("keys_only", [True, False])
@pytest.mark.parametrize("how", BROKEN)
def test_what_is_broken_is_no_catalog(tmp_path: Path, how: str, keys_only: bool):
    shard, other = shard_of(tmp_path, line(0), line(1)), shard_of(tmp_path, line(2), number=1)
    sound = catalog_of(other)
    catalog_of(shard)
    BROKEN[how](shard)
    assert read_catalogs([shard, other], keys_only=keys_only) == {other: sound}


def test_what_was_forged_would_be_a_catalog_without_the_forgery(tmp_path: Path):
    shard = shard_of(tmp_path, line(0), line(1))
    catalog = catalog_of(shard)
    forged(shard)
    assert read_catalogs([shard]) == {shard: catalog}


def test_a_flipped_bit_anywhere_is_found(tmp_path: Path):
    shard = shard_of(tmp_path, line(0))
    data = catalog_of(shard).path.read_bytes()
    for at in range(0, len(data), 7):
        damaged = bytearray(data)
        damaged[at] ^= 1 << at % 8
        assert read_catalog(shard, io.BytesIO(damaged)) is None, at


def test_the_pages_are_not_read_for_the_keys(tmp_path: Path):
    shard = shard_of(tmp_path, line(0), line(1))
    whole = catalog_of(shard).path.read_bytes()
    for damaged in (whole[40:], bytes(40) + whole[40:]):
        written(shard, damaged)
        assert read_catalogs([shard]) == {}
        assert list(read_catalogs([shard], keys_only=True)[shard].keys.packed) == [pack(0, 0), pack(1, 0)]


@pytest.mark.parametrize("change", ["time", "size"])
def test_a_shard_that_was_changed_makes_its_catalog_stale(tmp_path: Path, change: str):
    shard = shard_of(tmp_path, line(0), line(1))
    catalog_of(shard)
    before = shard.stat()
    if change == "time":
        os.utime(shard, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    else:
        shard.write_bytes(shard.read_bytes() + line(2))
        os.utime(shard, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert read_catalogs([shard]) == {}


def test_a_catalog_of_a_shard_that_is_gone_is_none(tmp_path: Path):
    shard = shard_of(tmp_path, failed(3), kind="failed")
    catalog_of(shard)
    shard.unlink()
    assert read_catalogs([shard]) == {}


def test_catalogs_are_read_without_numpy_duckdb_and_pyarrow_and_made_without_pandas(tmp_path: Path):
    shard = shard_of(tmp_path, line(0))
    code = (
        "import sys; from pathlib import Path; from asyncgen.store.catalog import read_catalogs, write_catalog\n"
        "from asyncgen.store.files import DISK\n"
        "shard = Path(sys.argv[1]); made = write_catalog(shard, 'traces', DISK)\n"
        "print({'pandas', 'duckdb'} & sys.modules.keys())\n"
    )
    reading = code.replace("made = write_catalog(shard, 'traces', DISK)", "print(len(read_catalogs([shard])))").replace(
        "{'pandas', 'duckdb'}", "{'numpy', 'pandas', 'duckdb', 'pyarrow'}"
    )
    outputs = [
        subprocess.run([sys.executable, "-c", one, str(shard)], capture_output=True, text=True, check=True).stdout
        for one in (code, reading)
    ]
    assert outputs == ["set()\n", "1\nset()\n"]
