"""Sealed shards made by hand, and what their catalogs hold, as an outsider reads them: with DuckDB and pyarrow."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from support.runs_on_disk import WRITER

from asyncgen.store.catalog import Catalog, write_catalog
from asyncgen.store.files import DISK
from asyncgen.store.layout import Kind, catalog_path
from asyncgen.store.line import encode_line


def shard_of(directory: Path, *lines: dict[str, Any] | bytes, kind: Kind = "traces", number: int = 0) -> Path:
    """A sealed shard of these traces or lines."""
    folder = directory / kind
    folder.mkdir(parents=True, exist_ok=True)
    shard = folder / f"{kind}-{WRITER}-{number:05d}.jsonl"
    shard.write_bytes(b"".join(one if isinstance(one, bytes) else encode_line(one) for one in lines))
    return shard


def catalog_of(shard: Path) -> Catalog:
    """Its catalog, made now."""
    return write_catalog(shard, "failed" if shard.parent.name == "failed" else "traces", DISK)


def rows_of(shard: Path) -> list[dict[str, Any]]:
    """The rows of its catalog's file."""
    table = pq.ParquetFile(catalog_path(shard)).read()
    return [
        dict(zip(table.column_names, row, strict=True))
        for row in zip(*(c.to_pylist() for c in table.columns), strict=True)
    ]


def column_of(catalog: Catalog, part: str, name: str) -> list[Any]:
    """The values of a column, by its own name."""
    (column,) = [one for one in catalog.parts[part] if one.name == name]
    return [row[column.stored] for row in rows_of(catalog.shard)]


def flipped(path: Path, at: int, bit: int = 1) -> None:
    """One bit of a file is another, its time of change too."""
    data = bytearray(path.read_bytes())
    data[at] ^= bit
    path.write_bytes(data)


def catalogs_in(directory: Path) -> Sequence[str]:
    """The names of those in a run directory."""
    return sorted(path.name for path in directory.glob("*/*.catalog.parquet"))


def without_column(shard: Path, name: str) -> None:
    """Its catalog, made again by a stranger who gets the checksums right and leaves a column out."""
    path = catalog_path(shard)
    table, metadata = pq.ParquetFile(path).read().drop([name]), pq.read_metadata(path).metadata[b"asyncgen"]
    out = io.BytesIO()
    with pq.ParquetWriter(out, table.schema, store_schema=False) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({"asyncgen": metadata})
    data = out.getvalue()
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    marks = b"%08x%08x" % (zlib.crc32(data[:start]), zlib.crc32(data[start:]))
    path.write_bytes(data[:start] + marks + data[start:])
