"""The folder of a corpus's index: made at the first start, used at the next, made anew when the corpus has changed.

    FOLDER/
      LOCK                          held while an index is built, and while an old one is removed
      bm25-<digest>/                an index; <digest> is of the format, the corpus and its columns
        index.json                  format, fingerprint, columns, count of passages and of rows without
        …                           tantivy's files
      bm25-<digest>.part-<random>/  one that is being built, or whose process was killed: never taken for whole

Knows names, locks and renames. Does not know how an index is searched (`bm25`). What else is in the folder is not
touched.
"""

from __future__ import annotations

import errno
import fcntl
import glob
import hashlib
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import orjson

from asyncgen.core.errors import DataError, InputError
from asyncgen.embedded.bm25 import Index, build_index
from asyncgen.embedded.corpus import Corpus
from asyncgen.store.files import DISK

FORMAT = 1
"""Of what is indexed and how; raised whenever an index of before would answer differently."""
CARD = "index.json"
LOCK = "LOCK"
PREFIX, PART = "bm25-", ".part-"
OWN = f"{PREFIX}{'[0-9a-f]' * 16}"
"""The names that are given here, as a pattern; a user's own `bm25-wiki` is not among them."""
NO_LOCKS = frozenset({errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS})
"""From a file system without flock. Two that build at once there do the work twice, and the first's is used."""


def default_folder(corpus: Path) -> Path:
    """Beside the corpus: `data/wiki.jsonl.index` for `data/wiki.jsonl`, `data.index` for `data/*.jsonl`."""
    place = Path(os.path.abspath(corpus.expanduser()))  # noqa: PTH100  # resolve() would follow links
    if glob.has_magic(str(corpus)) and not place.exists():
        place = next(parent for parent in place.parents if not glob.has_magic(str(parent)))
    return place.with_name(f"{place.name}.index")


def open_index(corpus: Corpus, folder: Path, note: Callable[[str], None]) -> Index:
    """The corpus's index in `folder`, built there if need be; `note` is told what takes long, and which rows are lost.

    Raises InputError where the folder cannot be written or no row has a passage, TemporaryError for a full disk.
    """
    place = folder / f"{PREFIX}{_digest(corpus)}"
    if index := _opened(place):
        return index
    with _locked(folder, note) as alone:
        if index := _opened(place):  # another process was faster
            return index
        old = [found for found in folder.glob(OWN) if found != place]
        if old or place.exists():
            what = "of a corpus that has changed, other columns or another version" if old else "damaged"
            note(f"the index in {folder} is {what}: it is built anew")
        _build(corpus, place, note)
        parts = folder.glob(f"{OWN}{PART}*") if alone else ()
        for found in (*old, *parts):
            shutil.rmtree(found, ignore_errors=True)
        return Index(place)


def _digest(corpus: Corpus) -> str:
    about = orjson.dumps([FORMAT, corpus.source.fingerprint, asdict(corpus.columns)])
    return hashlib.blake2b(about, digest_size=8).hexdigest()


def _opened(place: Path) -> Index | None:
    """None where there is none, or what is there is not what its card says."""
    try:
        card = orjson.loads((place / CARD).read_bytes())
        index = Index(place)
    except (OSError, ValueError, DataError):
        return None
    return index if isinstance(card, dict) and card.get("passages") == index.passages else None


@contextmanager
def _locked(folder: Path, note: Callable[[str], None]) -> Iterator[bool]:
    """One process at a time; False where that cannot be had. Raises InputError where the folder cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = DISK.open(folder / LOCK, create=True)
    except OSError as error:
        raise InputError(
            f"the index folder {folder} cannot be written ({error.strerror}); give another with --index DIR"
        ) from error
    try:
        yield _lock(descriptor, folder, note)
    finally:
        DISK.close(descriptor)


def _lock(descriptor: int, folder: Path, note: Callable[[str], None]) -> bool:
    try:
        DISK.lock(descriptor)
    except BlockingIOError:
        note(f"another process builds an index in {folder}: waiting for it")
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return False
    return True


def _build(corpus: Corpus, place: Path, note: Callable[[str], None]) -> None:
    """Under a name of its own, then renamed: `place` is a whole index or not there."""
    rows = corpus.source.rows
    note(f"indexing {corpus.path}: {rows:,} rows, text from column {corpus.columns.text!r}")
    part = Path(tempfile.mkdtemp(prefix=f"{place.name}{PART}", dir=place.parent))
    try:
        lost: Counter[str] = Counter()
        passages = build_index(corpus.passages(lost), part).passages
        if lost:
            note(f"left out of {rows:,} rows: {', '.join(f'{count:,} {why}' for why, count in sorted(lost.items()))}")
        if not passages:
            raise InputError(
                f"{corpus.path}: no row has text in column {corpus.columns.text!r}; name another with --text COLUMN"
            )
        card = {
            "format": FORMAT,
            "fingerprint": corpus.source.fingerprint,
            "columns": asdict(corpus.columns),
            "passages": passages,
            "left_out": dict(lost),
        }
        DISK.atomic_write(part / CARD, orjson.dumps(card, option=orjson.OPT_INDENT_2) + b"\n")
        _put(part, place)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _put(part: Path, place: Path) -> None:
    """What stands there and cannot be used gives way; what another process has just made is used instead of ours."""
    if _opened(place) is None:
        shutil.rmtree(place, ignore_errors=True)
        DISK.rename(part, place)
        DISK.sync_directory(place.parent)
