"""The nouns of the room: a source, what is asked of it, what it gives back, and what a file format must offer.

Knows shapes only: no file format, no SQL, no sorting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from asyncgen.core.types import Sample

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class RowRule:
    """Which rows a rule takes, and how many of them are kept."""

    where: str
    """SQL over the columns that are no images."""
    limit: int | None = None
    """The first so many in the selection's order; None = all."""
    drop: bool = False
    """None of them."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which rows, in which order: where, then order, then rules, then number, then partition or chunk."""

    where: str | None = None
    """SQL over the columns that are no images; rows for which it is null are dropped too."""
    order: Literal["hardest_first", "easiest_first", "dataset"] = "dataset"
    """`hardest_first` is the difficulty ascending, `easiest_first` descending; both stable, null and NaN last."""
    order_by: str | None = None
    """`COL`, `COL asc` or `COL desc`; beats `order`."""
    difficulty: str = ""
    """The task's difficulty column, low = hard; `""` = it has none."""
    rules: tuple[RowRule, ...] = ()
    """The first whose `where` is true of a row takes it."""
    num_samples: int = -1
    """How many at most; -1 = all."""
    partition: tuple[int, int] | None = None
    """`(k, K)`, k from 0: of what is left, every K-th from the k-th on."""
    chunk: tuple[int, int] | None = None
    """`(k, size)`, k from 0: of what is left, the rows k · size to (k + 1) · size - 1 on disk."""


@dataclass(frozen=True, kw_only=True)
class Selected:
    """The rows of a Selection."""

    indexes: NDArray[np.int64]
    """Row numbers on disk, in the order in which they are wanted."""
    note: str = ""
    """One line for the user, or `""`."""
    filtered: int = 0
    """How many rows `where` dropped."""
    taken: tuple[int, ...] = ()
    """How many of the others each rule took; those that it dropped or that are over its limit too."""
    left_out: tuple[int, ...] = ()
    """How many of those each rule left out."""
    rules: NDArray[np.int8] | None = None
    """For each row on disk the number of the rule that took it, -1 = none; None where there are no rules."""


class Source(Protocol):
    """A dataset as numbered rows. Safe to use from many threads."""

    @property
    def path(self) -> str:
        """Absolute; as stored in traces. `datasets.load_from_disk(path)[index]` is the row, for an HF folder."""

    @property
    def fingerprint(self) -> str:
        """Changes when the rows do; not with the place where they lie."""

    @property
    def rows(self) -> int:
        """How many there are on disk."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns, images among them."""

    @property
    def image_columns(self) -> tuple[str, ...]:
        """Names of the columns whose images a Sample has; a chat that names images is data, and none of them."""

    @property
    def kinds(self) -> Mapping[str, str]:
        """SQL types (BOOLEAN, BIGINT, DOUBLE, VARCHAR) of the columns that are scalars in a Sample's data."""

    def read(self, index: int) -> Sample:
        """Row number `index` on disk; its images are not read yet. May block.

        Raises EpisodeError(bad_sample) for a row that cannot be read, TemporaryError when the file system fails.
        """

    def select(self, selection: Selection) -> Selected:
        """The row numbers that are wanted, in order. Raises InputError."""


class Cells(Protocol):
    """One file format: cells by row number and column name. Safe to use from many threads; may block.

    A cell that cannot be read raises one of `stored.UNREADABLE`.
    """

    @property
    def rows(self) -> int:
        """How many there are."""

    @property
    def columns(self) -> tuple[str, ...]:
        """All names."""

    def row(self, index: int, columns: Sequence[str]) -> dict[str, Any]:
        """Those columns of one row as Python values; a column that the row has not is left out."""

    def count(self, index: int, column: str) -> int | None:
        """How many images a cell holds: a list its length, anything else 1, null None."""

    def image(self, index: int, column: str, position: int) -> Any:
        """The `position`-th image of a cell as stored: bytes, a path, `{bytes, path}` or None."""

    def table(self, columns: Sequence[str]) -> pa.Table:
        """Those columns over all rows; a cell that cannot be read is null."""

    @property
    def schema(self) -> pa.Schema:
        """The columns' types, as far as the format knows them without reading all rows."""
