"""The catalog of a sealed shard: a Parquet file beside it with a row a line, its scalars and its bytes. A cache.

    Parquet pages · CRC-32 of them · CRC-32 of what follows (8 hex digits each) · Parquet footer

The footer's metadata `asyncgen` is JSON: of which shard it is (size, mtime), the columns, and the key of every line, so
that a start reads footers and no more, and loads neither DuckDB nor pyarrow. Any reader of Parquet takes the file as it
is. Whatever is not as it was written is no catalog. Does not know who asks, nor when it is made (`cataloguer`).
"""

from __future__ import annotations

import io
import sys
import zlib
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import msgspec

from asyncgen.store.cells import BIGINT, BOOLEAN, DOUBLE, NULL, VARCHAR
from asyncgen.store.columns import FAILURE, LONG, MOST, PARTS, PLACE, TOP, Column, Columns, NoCatalog, top_of
from asyncgen.store.files import FileLayer
from asyncgen.store.keys import KeyList, Keys
from asyncgen.store.layout import Kind, catalog_path
from asyncgen.store.scan import keyed_lines
from asyncgen.store.totals import Totals

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "FAILURE", "LONG", "PARTS", "PLACE", "TOP", "Catalog", "Column", "NoCatalog", "catalog_path", "make_catalog",
    "put_catalog", "read_catalog", "read_catalogs", "write_catalog",
]  # fmt: skip

VERSION = 1
_KEY = "asyncgen"
_MARKS = 16
"""Bytes of the two checksums."""
_TAIL = 8
"""Bytes of the footer's length and of Parquet's last word."""
_PARQUET = b"PAR1"
_FOOTER_MOST = 256 << 20
_SLICE = 48 << 10
"""Bytes of lines between two pauses: 0.2 ms of work."""
_LINE = 4 << 10
"""What a line costs besides, as bytes."""
_CHUNK = 1 << 20
_PAGE = 32 << 10
"""Bytes of a page: as the writer holds some of every column, this is what it takes."""
_KINDS = {BOOLEAN, BIGINT, DOUBLE, VARCHAR}
_TEXTS = ["config_id", "dataset_path", "stop", "meta.stop", "meta.tool_mode"]
"""Columns of few different texts."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """What a catalog says of its shard; row i is line i."""

    path: Path
    shard: Path
    rows: int
    top: Mapping[str, str]
    """The kinds of the columns that every trace has, stored under their names; `PLACE` is stored besides, as BIGINT."""
    parts: Mapping[str, Sequence[Column]]
    """In order of appearance, by prefix."""
    keys: Keys


class _Metadata(msgspec.Struct):
    """The JSON in the footer."""

    version: int
    byteorder: str
    """Of the numbers in `keys` and `codes`."""
    kind: Kind
    size: int
    mtime_ns: int
    rows: int
    totals: list[int]
    """The members of Totals."""
    top: dict[str, str]
    columns: list[_ColumnText]
    marks: list[str]
    codes: bytes
    keys: bytes


class _ColumnText(NamedTuple):
    part: str
    name: str
    stored: str
    kind: str
    long: bool


def _nothing() -> None:
    pass


def make_catalog(shard: Path, kind: Kind, *, pause: Callable[[], None] = _nothing) -> bytes:
    """The file, from every line of a sealed shard, whose checksums are computed. `pause` is called after every 0.2 ms
    of work or so; what it raises ends the work.

    Raises DataError with file:line for a line that is not whole, NoCatalog, OSError.
    """
    stat = shard.stat()  # before the first byte is read
    columns, keys = Columns(kind), KeyList(kind)
    work = 0
    for key, line in keyed_lines(shard):
        columns.add(key, line)
        keys.add(key, line)
        work += len(line) + _LINE
        if work >= _SLICE:
            work = 0
            pause()
    packed, codes, marks, totals = keys.keys()
    parts = columns.parts(pause)
    metadata = _Metadata(
        version=VERSION,
        byteorder=sys.byteorder,
        kind=kind,
        size=stat.st_size,
        mtime_ns=stat.st_mtime_ns,
        rows=len(packed),
        totals=list(astuple(totals)),
        top=dict(columns.top),
        columns=[
            _ColumnText(part, one.name, one.stored, one.kind, one.long) for part, some in parts.items() for one in some
        ],
        marks=list(marks),
        codes=codes.tobytes(),
        keys=packed.tobytes(),
    )
    return _checked(_parquet(lambda: columns.table(parts, pause), metadata))


def _parquet(make_table: Callable[[], pa.Table], metadata: _Metadata) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    try:
        table = make_table()
        texts = [name for name in _TEXTS if name in table.column_names]
        how = {"compression": "zstd", "use_dictionary": texts, "data_page_size": _PAGE, "store_schema": False}
        with pq.ParquetWriter(out, table.schema, **how) as writer:
            writer.write_table(table, row_group_size=max(1, table.num_rows))
            writer.add_key_value_metadata({_KEY: msgspec.json.encode(metadata)})
    except (pa.ArrowException, MemoryError) as error:
        raise NoCatalog(f"pyarrow cannot write it: {error}") from error
    return out.getvalue()


def _checked(parquet: bytes) -> bytes:
    """The file with its checksums between the pages and the footer, where no reader looks."""
    start = len(parquet) - _TAIL - int.from_bytes(parquet[-_TAIL:-4], "little")
    pages, footer = parquet[:start], parquet[start:]
    return b"%s%08x%08x%s" % (pages, zlib.crc32(pages), zlib.crc32(footer), footer)


def write_catalog(shard: Path, kind: Kind, files: FileLayer, *, pause: Callable[[], None] = _nothing) -> Catalog:
    """Make it and put it in its place, in one step. Raises what `make_catalog` does; OSError also where the folder
    takes no file, and then nothing is left of it."""
    data = make_catalog(shard, kind, pause=pause)
    put_catalog(shard, data, files)
    found = read_catalog(shard, io.BytesIO(data))
    if found is None:
        raise OSError(f"{shard} changed while its catalog was made")
    return found


def put_catalog(shard: Path, data: bytes, files: FileLayer) -> None:
    """Put what `make_catalog` gave beside its shard, in one step. Raises OSError, and then nothing is left of it."""
    path = catalog_path(shard)
    try:
        files.atomic_write(path, data)
    except OSError:
        with suppress(OSError):
            files.unlink(path.with_name(f".{path.name}.tmp"))  # what it had written may be what the disk lacks
        raise


def read_catalogs(shards: Iterable[Path], *, keys_only: bool = False) -> dict[Path, Catalog]:
    """Those that are valid: of this version, of the shard that lies there, whole. With `keys_only` the footer alone is
    checked, which the catalog and its keys are made of, and not what the columns hold."""
    found: dict[Path, Catalog] = {}
    for shard in shards:
        try:
            with catalog_path(shard).open("rb") as file:
                catalog = read_catalog(shard, file, keys_only=keys_only)
        except OSError:
            continue
        if catalog is not None:
            found[shard] = catalog
    return found


def read_catalog(shard: Path, file: BinaryIO, *, keys_only: bool = False) -> Catalog | None:
    """What this file says of the shard; None where it is no valid catalog of it. Raises OSError."""
    footer = _footer(file, keys_only=keys_only)
    if footer is None or (metadata := _metadata(footer)) is None:
        return None
    stat = shard.stat()
    if (metadata.size, metadata.mtime_ns) != (stat.st_size, stat.st_mtime_ns):
        return None
    return _catalog(shard, metadata)


def _footer(file: BinaryIO, *, keys_only: bool) -> bytes | None:
    """The footer with what is after it; None where the file is not as it was written."""
    size = file.seek(0, io.SEEK_END)
    if size < _MARKS + _TAIL:
        return None
    file.seek(size - _TAIL)
    tail = file.read(_TAIL)
    length = int.from_bytes(tail[:4], "little")
    pages = size - _TAIL - length - _MARKS
    if tail[4:] != _PARQUET or length > _FOOTER_MOST or pages < 0:
        return None
    file.seek(pages)
    end = file.read()
    marks, footer = end[:_MARKS], end[_MARKS:]
    if marks[8:] != b"%08x" % zlib.crc32(footer):
        return None
    return footer if keys_only or marks[:8] == b"%08x" % _crc(file, pages) else None


def _crc(file: BinaryIO, size: int) -> int:
    """Of the first `size` bytes."""
    file.seek(0)
    crc = 0
    while size > 0 and (chunk := file.read(min(size, _CHUNK))):
        crc = zlib.crc32(chunk, crc)
        size -= len(chunk)
    return crc


def _metadata(footer: bytes) -> _Metadata | None:
    """The JSON, from the footer as Thrift's compact protocol writes it: the key, the type of the next field (a text),
    its length in groups of seven bits, and the text."""
    key = b"%c%s\x18" % (len(_KEY), _KEY.encode())
    at = footer.rfind(key) + len(key)
    if at < len(key):
        return None
    length = shift = 0
    for byte in footer[at : at + 5]:
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    at += shift // 7
    try:
        return msgspec.json.decode(footer[at : at + length], type=_Metadata)
    except msgspec.MsgspecError:
        return None


def _catalog(shard: Path, metadata: _Metadata) -> Catalog | None:
    """None for what no catalog of ours says, whoever wrote it."""
    keys = Keys(array("Q"), array("I"), metadata.marks)
    top, columns = top_of(metadata.kind), metadata.columns
    stored = [one.stored.lower() for one in columns if one.stored]
    sound = (
        metadata.version == VERSION
        and metadata.byteorder == sys.byteorder
        and metadata.kind == shard.parent.name
        and len(metadata.keys) == 8 * metadata.rows
        and len(metadata.codes) == 4 * metadata.rows
        and len(metadata.totals) == len(fields(Totals))
        and all(0 <= total < 1 << 63 for total in metadata.totals)
        and len(columns) <= MOST
        and metadata.top == top
        and all(one.part in PARTS and one.kind in _KINDS | {NULL} for one in columns)
        and all(bool(one.stored) != (one.long or one.kind == NULL) for one in columns)
        and len({*stored, *PLACE, *top, "stop"}) == len(stored) + len(PLACE) + len(top) + 1
    )
    if not sound:
        return None
    keys.packed.frombytes(metadata.keys)
    keys.codes.frombytes(metadata.codes)
    if max(keys.codes, default=-1) >= len(keys.marks):
        return None
    parts: dict[str, list[Column]] = {prefix: [] for prefix in PARTS}
    for one in columns:
        parts[one.part].append(Column(one.name, one.stored, one.kind, one.long))
    keys = keys._replace(totals=Totals(*metadata.totals))
    return Catalog(catalog_path(shard), shard, metadata.rows, metadata.top, parts, keys)
