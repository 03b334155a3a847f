"""Rows that come in any order, read back by question and rollout: as runs finish them, so they are stored.

Knows keys and places, 24 bytes a row; the rows wait in a temporary file. Does not know what a row is for.
"""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from asyncgen.core.types import Json
from asyncgen.store.line import dump
from asyncgen.store.scan import pack


class InOrder:
    """Add rows, then read them, as often as need be; `with`. The file has no name: of a killed export nothing stays."""

    def __init__(self, folder: Path) -> None:
        """`folder`: where there is room, since the output goes there too; it is made. Raises OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # closed by __exit__
        self._keys = array("Q")
        self._offsets = array("q", [0])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, index: int, rollout: int, row: Mapping[str, Json]) -> None:
        """A row, as JSON has it. Raises OSError."""
        text = dump(row)
        self._file.write(text)
        self._keys.append(pack(index, rollout))
        self._offsets.append(self._offsets[-1] + len(text))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """By index, then by rollout; of one key as they came. Raises OSError."""
        import numpy as np

        keys = np.frombuffer(self._keys, np.uint64) if self._keys else np.empty(0, np.uint64)
        for number in np.argsort(keys, kind="stable"):
            start, end = self._offsets[number], self._offsets[number + 1]
            self._file.seek(start)
            yield orjson.loads(self._file.read(end - start))
