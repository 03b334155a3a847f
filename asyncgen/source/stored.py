"""The one Source: a file format's cells made into samples.

Knows what a sample is, and that a bad row is one failed episode. Does not know how cells are stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa

from asyncgen.core.chat import COLUMN, chat_images
from asyncgen.core.errors import EpisodeError, FailReason, InputError, TemporaryError
from asyncgen.core.types import ImageRef, Json, Sample
from asyncgen.source.base import Cells, Selected, Selection
from asyncgen.source.images import ImageColumns, image_bytes, under_root
from asyncgen.source.rows import json_ready, sql_kind
from asyncgen.source.select import select_rows

UNREADABLE = (ValueError, OverflowError, LookupError, NotImplementedError, RecursionError, OSError, pa.ArrowException)
"""What a broken line, wrong UTF-8, a date beyond Python's, an unknown time zone or a corrupt page raises."""


@dataclass(frozen=True, kw_only=True)
class StoredSource:
    """See `asyncgen.source.base.Source`."""

    path: str
    fingerprint: str
    cells: Cells
    images: ImageColumns
    image_root: Path
    """Where image paths start, and what they may not leave."""

    @property
    def rows(self) -> int:
        """How many there are on disk."""
        return self.cells.rows

    @property
    def columns(self) -> tuple[str, ...]:
        """All names."""
        return self.cells.columns

    @property
    def image_columns(self) -> tuple[str, ...]:
        """Those whose images a sample has, and nothing else."""
        return () if self.images.chats else self.images.names

    @property
    def kinds(self) -> Mapping[str, str]:
        """SQL types of the columns that are scalars in a Sample's data."""
        schema = self.cells.schema
        kinds = {name: sql_kind(schema.field(name).type) for name in self.data_columns}
        return {name: kind for name, kind in kinds.items() if kind}

    @property
    def data_columns(self) -> tuple[str, ...]:
        """Those that are no images."""
        return tuple(name for name in self.columns if name not in self.images.hidden)

    def read(self, index: int) -> Sample:
        """One row, its images not read yet. Raises EpisodeError(bad_sample), TemporaryError, IndexError."""
        if not 0 <= index < self.rows:
            raise IndexError(f"row {index} of {self.rows} in {self.path}")
        try:
            row = self.cells.row(index, self.data_columns)
            data = {name: json_ready(row[name]) for name in row if name not in self.images.hidden}
            return Sample(index=index, data=data, images=tuple(self._images(index, data)))
        except UNREADABLE as error:
            raise self._unreadable(error, FailReason.BAD_SAMPLE, f"row {index}") from error

    def select(self, selection: Selection) -> Selected:
        """The row numbers that are wanted, in order. Raises InputError."""
        try:
            return select_rows(self.cells, self.images.hidden, selection)
        except (OSError, pa.ArrowException) as error:
            reason = " ".join(str(error).split())[:300]
            raise InputError(
                f"dataset.path {self.path!r}: a column cannot be read ({reason}); write it anew"
            ) from error

    def _images(self, index: int, data: Mapping[str, Json]) -> Iterator[ImageRef]:
        if self.images.chats:
            for path in chat_images(data.get(COLUMN)):
                yield ImageRef(column=COLUMN, load=partial(self._named, index, path))
            return
        for column in self.images.names:
            count = self.cells.count(index, column)
            if count is None:
                count = int(self.images.declared)
            for position in range(count):
                yield ImageRef(column=column, load=partial(self._load, index, column, position))

    def _named(self, index: int, path: str) -> bytes:
        """An image of a chat."""
        return image_bytes(under_root(path, self.image_root), self.image_root, f"row {index}, column {COLUMN!r}")

    def _load(self, index: int, column: str, position: int) -> bytes:
        """Reads the cell anew: a sample that waits holds no bytes."""
        place = f"row {index}, column {column!r}"
        try:
            value = self.cells.image(index, column, position)
        except UNREADABLE as error:
            raise self._unreadable(error, FailReason.BAD_IMAGE, place) from error
        if value is None or value == {"bytes": None, "path": None}:
            raise EpisodeError(FailReason.BAD_IMAGE, f"row {index} has no image in column {column!r}")
        return image_bytes(value, self.image_root, place)

    def _unreadable(self, error: BaseException, reason: FailReason, place: str) -> EpisodeError | TemporaryError:
        """An errno is the file system's: the dataset is gone, not one row wrong. Arrow's own errors have none."""
        if isinstance(error, OSError) and error.errno is not None:
            return TemporaryError(
                f"dataset.path {self.path!r} cannot be read any more ({error}); run again when it can"
            )
        return EpisodeError(reason, f"{place} cannot be read: {type(error).__name__}: {str(error)[:300]}")
