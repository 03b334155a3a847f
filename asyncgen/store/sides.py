"""Of which samples of a run there is a right trace, and of which a wrong one.

Right is what is marked as accepted; wrong is what is not, unless it was cut off: that counts neither way. Knows sealed
shards, whose checksums the ledger has computed already. Holds two arrays, and no object a sample.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncgen.core.types import Json, StopReason
from asyncgen.store.layout import sealed_shards
from asyncgen.store.line import line_accepted, line_key, parse_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BUFFER = 1 << 20
"""Bytes read at once."""
_CUT = "length"
"""The finish reason of a turn that was."""


class Sides:
    """What the traces were marked with when they were saved; those that come later are not in it."""

    def __init__(self, directory: Path) -> None:
        """Reads every line, and parses those that may be of a trace that was cut off."""
        import numpy as np

        right, wrong = array("Q"), array("Q")
        for path in sealed_shards(directory, "traces"):
            with path.open("rb", buffering=_BUFFER) as shard:
                for line in shard:
                    if line_accepted(line):
                        right.append(line_key(line)[0])
                    elif not _was_cut_off(line):
                        wrong.append(line_key(line)[0])
        self._right, self._wrong = (np.unique(np.asarray(side, dtype=np.uint64)) for side in (right, wrong))

    def of(self, index: int) -> tuple[bool, bool]:
        """Whether this row has a right trace, and whether it has a wrong one."""
        return _has(self._right, index), _has(self._wrong, index)


def _has(rows: NDArray[Any], index: int) -> bool:
    at = int(rows.searchsorted(rows.dtype.type(index)))  # of numpy's own type: an int is slow
    return at < len(rows) and int(rows[at]) == index


def is_cut_off(scores: Mapping[str, Json], metadata: Mapping[str, Json], finish_reason: str) -> bool:
    """Whether a trace was cut off at its length, by its reward, by how it ended, or by its last turn."""
    return bool(scores.get("truncated")) or metadata.get("stop") == StopReason.LENGTH or finish_reason == _CUT


def _was_cut_off(line: bytes) -> bool:
    if b'"length"' not in line and b'"truncated":true' not in line:
        return False
    trace = parse_line(line)
    turns = trace["conversation_history"]
    return is_cut_off(trace["reward_score"], trace["metadata"], turns[-1]["finish_reason"] if turns else "")
