"""What an export reads, and how its files come into being: whole or not at all.

Knows temporary names, renames and what may be overwritten. Does not know where traces lie, nor formats.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from asyncgen.core.errors import InputError
from asyncgen.core.types import Json

TEMPORARY = ".partial"


@dataclass(frozen=True, slots=True)
class Traces:
    """What is exported. Called, it gives the traces, as parsed lines, anew each time."""

    read: Callable[[], Iterable[Mapping[str, Json]]]
    configs: Mapping[str, Mapping[str, Json]] = field(default_factory=dict[str, Mapping[str, Json]])
    """`configs` of the run files: by the traces' `config_id`."""

    def __call__(self) -> Iterable[Mapping[str, Json]]:
        return self.read()


@dataclass(frozen=True, slots=True)
class Counts:
    """What an export wrote."""

    out: Path
    """The file, or the folder of the files."""
    traces: int
    files: int
    leftover: int = 0
    """Files of an earlier export that stand beside the new ones, untouched."""
    notes: tuple[str, ...] = ()
    """What whoever trains on it should know."""


@contextmanager
def whole_file(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """A file that stands under its name only when the block has ended well; an older one is replaced.

    `durable`: on disk before it gets its name. Raises OSError; then nothing is left behind.
    """
    partial = path.with_name(f".{path.name}{TEMPORARY}")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        partial.replace(path)
    except BaseException as error:  # also an interrupt: no partial file stays
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and not error.filename:  # as a full disk gives it
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def prepare_folder(folder: Path, ours: re.Pattern[str]) -> int:
    """Make the folder, or check that it holds only files named as `ours`; the number of those.

    Partial files of an export that was killed are removed. Raises InputError for anything else in it.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file: give -o a folder")
    folder.mkdir(parents=True, exist_ok=True)
    found = 0
    for path in folder.iterdir():
        if ours.fullmatch(path.name):
            found += 1
        elif ours.fullmatch(path.name.removeprefix(".").removesuffix(TEMPORARY)):
            path.unlink()
        else:
            raise InputError(f"{folder} has {path.name!r}, which is no file of this export: give -o another folder")
    return found
