"""What is done: a set of `(index, rollout)` that stays small at millions.

Knows packed 64-bit keys: a sorted numpy array, and a small set of those that came since. Does not know files.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from asyncgen.store.scan import pack

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Keys: TypeAlias = NDArray[np.uint64]

_FRESH = 1 << 14
"""Keys in the set before they move to the array: 8 bytes each there, ten times that here."""
_CHUNK = 8192


class DoneIndex:
    """A set of `(index, rollout)`."""

    def __init__(self, keys: Iterable[Any] = ()) -> None:
        """`keys`: arrays (or buffers) of packed keys, in any order, doubles allowed."""
        self._np: Any = None
        """numpy, when it is needed: a small run is looked at without it."""
        self._keys: Keys = ()  # type: ignore[assignment]  # as long as there is no array
        self._fresh: set[int] = set()
        parts = list(keys)
        if not parts:
            return
        np = self._numpy()
        self._keys = np.concatenate([np.asarray(part, dtype=np.uint64) for part in parts])
        self._keys.sort()
        if (doubles := self._keys[1:] == self._keys[:-1]).any():
            self._keys = np.delete(self._keys, doubles.nonzero()[0])

    def _numpy(self) -> Any:
        if self._np is None:
            import numpy as np

            self._np, self._keys = np, np.empty(0, np.uint64)
        return self._np

    def __len__(self) -> int:
        return len(self._keys) + len(self._fresh)

    def __contains__(self, key: tuple[int, int]) -> bool:
        packed = pack(*key)
        return packed in self._fresh or self._position(packed) is not None

    def _position(self, packed: int) -> int | None:
        if not len(self._keys):
            return None  # a first start: no need to ask numpy, thousands of times a second
        # as numpy's own type: an int would have the whole array compared as floats
        at = int(self._keys.searchsorted(self._np.uint64(packed)))
        return at if at < len(self._keys) and int(self._keys[at]) == packed else None

    def add(self, index: int, rollout: int) -> bool:
        """Whether it is new."""
        if (index, rollout) in self:
            return False
        self._fresh.add(pack(index, rollout))
        if len(self._fresh) >= _FRESH:
            np = self._numpy()
            fresh = np.array(sorted(self._fresh), dtype=np.uint64)
            self._keys = np.insert(self._keys, self._keys.searchsorted(fresh), fresh)
            self._fresh.clear()
        return True

    def discard(self, index: int, rollout: int) -> bool:
        """Take it out; whether it was there."""
        packed = pack(index, rollout)
        if packed in self._fresh:
            self._fresh.remove(packed)
            return True
        at = self._position(packed)
        if at is None:
            return False
        self._keys = self._np.delete(self._keys, at)
        return True

    def among(self, packed: Iterable[int]) -> list[int]:
        """Those of these packed keys that are in it."""
        keys = array("Q", packed)
        if not len(self._keys):
            return [key for key in keys if key in self._fresh]
        there = self._in_array(self._np.frombuffer(keys, self._np.uint64)).tolist() if keys else []
        return [key for key, old in zip(keys, there, strict=True) if old or key in self._fresh]

    def rollouts(self) -> set[int]:
        """Those of which there is any key: 15 ms at a million."""
        np = self._numpy()
        old: list[int] = np.unique(self._keys.astype(np.uint16)).tolist()  # the low 16 bits
        return {*old, *(packed & 0xFFFF for packed in self._fresh)}

    def missing(self, indexes: NDArray[Any], rollouts: int | NDArray[Any]) -> Iterator[tuple[int, int]]:
        """`(index, rollout)` for rollout < `rollouts` that are not in the set, sample by sample in the given order;
        `rollouts` is one number, or one for each of `indexes`.

        Lazy: a sample is looked up when its turn comes, so what is added meanwhile is not given out.
        """
        np = self._numpy()
        counts = np.broadcast_to(np.asarray(rollouts, dtype=np.int64), (len(indexes),))
        for start in range(0, len(indexes), _CHUNK):
            chunk = np.asarray(indexes[start : start + _CHUNK], dtype=np.uint64)
            many = counts[start : start + _CHUNK]
            steps = np.arange(int(many.sum())) - np.repeat(np.cumsum(many) - many, many)
            wanted = np.repeat(chunk << np.uint64(16), many) | steps.astype(np.uint64)
            for packed in wanted[~self._in_array(wanted)].tolist():
                key = (packed >> 16, packed & 0xFFFF)
                if key not in self:
                    yield key

    def samples(self) -> tuple[Keys, Keys]:
        """The row numbers of which there are keys, sorted, and how many of each."""
        np = self._numpy()
        fresh = np.fromiter(self._fresh, dtype=np.uint64, count=len(self._fresh))
        indexes, counts = np.unique(np.concatenate([self._keys, fresh]) >> np.uint64(16), return_counts=True)
        return indexes, counts.astype(np.uint64)

    def _in_array(self, wanted: Keys) -> NDArray[Any]:
        """Booleans, one a key."""
        if not len(self._keys):
            return self._numpy().zeros(len(wanted), dtype=bool)  # type: ignore[no-any-return]  # numpy, loaded late
        np = self._numpy()
        at = np.minimum(self._keys.searchsorted(wanted), len(self._keys) - 1)
        return np.equal(self._keys[at], wanted)  # type: ignore[no-any-return]  # numpy, loaded late
