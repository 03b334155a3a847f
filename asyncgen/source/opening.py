"""From a path to a source: which format lies there, its fingerprint, its images.

Knows the shapes of dataset folders and what to say when there is none. Does not know how rows are read.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from asyncgen.config.load import nearest
from asyncgen.core.errors import InputError
from asyncgen.source.base import Source

if TYPE_CHECKING:
    from asyncgen.source.base import Cells

GIVE = (
    "give a folder written by datasets.save_to_disk, a .parquet, .jsonl or .json file, "
    "or a folder or quoted glob of .parquet or .jsonl files"
)
SHARDS = (".parquet", ".jsonl", ".ndjson")
"""The types of files of which a dataset may have several."""
CHUNKS = "*_chunk_[0-9]*.json"
"""The chunk files of the maths job, of which a folder is a dataset too."""
HASHED_BYTES = 64 * 2**10
"""Of each file's head and tail."""
DICT_FILE = "dataset_dict.json"


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What a format's opener gives back."""

    cells: Cells
    fingerprint: str
    typed: tuple[str, ...] = ()
    """Columns of the Image type."""


def open_source(path: str, *, split: str | None = None, image: str = "", image_root: str | None = None) -> Source:
    """A dataset by path: an HF folder, a .parquet, .jsonl, .ndjson or .json file, a folder or glob of all but the last,
    a folder of *_chunk_NNN.json.

    Rows are numbered over several files in sorted order of their paths.

    `split` is for DatasetDict folders; `image` names the image columns, comma-separated (`""` = found by type or name);
    image paths start in `image_root` (default: the dataset's folder) and may not leave it. Raises InputError.
    """
    from asyncgen.source.images import find_images
    from asyncgen.source.stored import UNREADABLE, StoredSource

    place = locate(path, split)
    try:
        opened = _open(place)
    except (TypeError, *UNREADABLE) as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"dataset.path {path!r} cannot be read ({type(error).__name__}: {reason}); write it anew"
        ) from error
    columns = opened.cells.columns
    if not opened.cells.rows:
        raise InputError(f"dataset.path {path!r} has no rows; {GIVE} with at least one")
    if not columns:
        raise InputError(f"dataset.path {path!r}: none of the first rows is a JSON object; {GIVE}")
    if twice := sorted({name for name in columns if columns.count(name) > 1}):
        raise InputError(f"dataset.path {path!r} has two columns named {twice[0]!r}; rename one")
    return StoredSource(
        path=str(place),
        fingerprint=opened.fingerprint,
        cells=opened.cells,
        images=find_images(columns, opened.typed, image),
        image_root=_image_root(image_root, place),
    )


def locate(path: str, split: str | None) -> Path:
    """The absolute path as stored in traces: of a DatasetDict, the split's folder. Raises InputError."""
    if not path:
        raise InputError(f"dataset.path is empty; {GIVE}")
    place = Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100  # resolve() would follow links
    if not place.exists():
        if glob.has_magic(path):
            return _without_split(place, path, split)
        raise InputError(f"dataset.path {path!r} does not exist; {GIVE}")
    if (place / DICT_FILE).is_file():
        return place / _choose_split(place, path, split)
    return _without_split(place, path, split)


def _choose_split(place: Path, path: str, split: str | None) -> str:
    try:
        splits = [str(name) for name in json.loads((place / DICT_FILE).read_bytes())["splits"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"dataset.path {path!r}: {DICT_FILE} cannot be read; give one split's folder") from error
    if split is None and len(splits) == 1:
        return splits[0]
    if split is None:
        raise InputError(f"dataset.path {path!r} has the splits {', '.join(splits)}; choose one with dataset.split")
    if split not in splits:
        raise InputError(f"dataset.split {split!r}: dataset.path {path!r} has no such split{nearest(split, splits)}")
    return split


def _without_split(place: Path, path: str, split: str | None) -> Path:
    """A folder of one split may still be asked for by that split's name."""
    if split is None or place.name == split:
        return place
    raise InputError(f"dataset.split {split!r}: {path!r} is no DatasetDict folder and has no splits; leave it out")


def _open(place: Path) -> Opened:
    """By what lies there. Raises InputError and what `open_source` turns into one."""
    if (place / "state.json").is_file():
        return _open_hf(place)
    if place.is_dir() and (chunks := _matches(place, CHUNKS)):
        return _open_json(place, chunks)
    if place.is_dir():
        return _open_files(place, [file for file in _matches(place, "*") if file.suffix in SHARDS])
    if not place.exists():
        base = _fixed_part(place)
        return _open_files(base, _matches(base, str(place.relative_to(base))), place)
    if place.suffix == ".json":
        return _open_json(place.parent, [place])
    if place.suffix not in SHARDS:
        raise InputError(
            f"dataset.path {str(place)!r}: files of type {place.suffix or 'unknown'!r} are not read; {GIVE}"
        )
    return _open_files(place.parent, [place])


def _open_hf(folder: Path) -> Opened:
    from asyncgen.source.arrow import ArrowCells, open_table, read_features, read_state
    from asyncgen.source.images import typed_images

    state = read_state(folder)
    if not state["_data_files"]:
        raise InputError(f"dataset.path '{folder}' has no rows; {GIVE} with at least one")
    table = open_table(folder, state)
    typed = typed_images(read_features(folder, table.schema))
    return Opened(
        cells=ArrowCells(table),
        fingerprint=f"hf:{state['_fingerprint']}:{table.num_rows}",
        typed=tuple(name for name in typed if name in table.column_names),
    )


def _open_files(base: Path, files: Sequence[Path], place: Path | None = None) -> Opened:
    """Files of one type below `base`, in the order given. `place`: the pattern that they were found by."""
    wrong = [file for file in files if file.suffix not in SHARDS or not file.is_file()]
    if wrong or not files:
        found = f"{str(wrong[0])!r} is no .parquet or .jsonl file" if wrong else "there is no .parquet or .jsonl file"
        raise InputError(f"dataset.path {str(place or base)!r}: {found}{_folders_within(base)}; {GIVE}")
    is_parquet = [file.suffix == ".parquet" for file in files]
    if all(is_parquet):
        return _open_parquet(base, files)
    if any(is_parquet):
        raise InputError(
            f"dataset.path {str(base)!r} has .parquet and .jsonl files: name those of one type, as '{base}/*.jsonl'"
        )
    from asyncgen.source.jsonl import open_jsonl

    return Opened(cells=open_jsonl(files), fingerprint=files_fingerprint(base, files))


def _open_parquet(base: Path, files: Sequence[Path]) -> Opened:
    from asyncgen.source.arrow import schema_features
    from asyncgen.source.images import typed_images
    from asyncgen.source.parquet import ParquetCells

    cells = ParquetCells(files)
    typed = typed_images(schema_features(cells.schema))
    return Opened(
        cells=cells,
        fingerprint=files_fingerprint(base, files),
        typed=tuple(name for name in typed if name in cells.columns),
    )


def _open_json(base: Path, files: Sequence[Path]) -> Opened:
    from asyncgen.source.jsonl import open_json

    return Opened(cells=open_json(files), fingerprint=files_fingerprint(base, files))


def _folders_within(base: Path) -> str:
    """A word on what the user may have meant: the parent of a dataset's folder is the usual mistake."""
    inner = sorted(state.parent.name for state in base.glob("*/state.json"))
    return f", but {', '.join(inner[:5])} in it are dataset folders" if inner else ""


def _matches(base: Path, pattern: str) -> list[Path]:
    """Sorted; without what is hidden, such as another system's `._x.parquet`."""
    return sorted(
        file for file in base.glob(pattern) if not any(part.startswith(".") for part in file.relative_to(base).parts)
    )


def _fixed_part(pattern: Path) -> Path:
    """The folder down to the first wildcard."""
    return next(parent for parent in pattern.parents if not glob.has_magic(str(parent)))


def _image_root(image_root: str | None, place: Path) -> Path:
    if image_root is None:
        if place.is_dir():
            return place
        return place.parent if place.exists() else _fixed_part(place)
    root = Path(os.path.abspath(Path(image_root).expanduser()))  # noqa: PTH100  # resolve() would follow links
    if not root.is_dir():
        raise InputError(f"dataset.image_root {image_root!r} is no folder; give the one in which image paths start")
    return root


def files_fingerprint(base: Path, files: Sequence[Path]) -> str:
    """BLAKE2b over each file's name below `base`, its size, its head and its tail: 1,000 files are 128 MB to read."""
    digest = hashlib.blake2b(digest_size=16)
    for file in files:
        with file.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            digest.update(f"{file.relative_to(base).as_posix()}\0{size}\0".encode(errors="surrogateescape"))
            stream.seek(0)
            digest.update(stream.read(HASHED_BYTES))
            stream.seek(max(0, size - HASHED_BYTES))
            digest.update(stream.read(HASHED_BYTES))
    return f"files:{digest.hexdigest()}"
