"""A thread-safe cache with a limit in bytes, and a gate that lets one thread make what several want.

Knows keys, values and weights. Knows nothing of what the values are.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

V = TypeVar("V")


class ByteCache(Generic[V]):
    """Drops what was used least recently as soon as the weights add up to more than `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, tuple[V, int]] = OrderedDict()
        self._held = 0
        self._making: dict[Hashable, threading.Event] = {}

    @property
    def held(self) -> int:
        """Bytes held now, never over `limit`."""
        with self._lock:
            return self._held

    def get(self, key: Hashable) -> V | None:
        with self._lock:
            found = self._values.get(key)
            if found is None:
                return None
            self._values.move_to_end(key)
            return found[0]

    def put(self, key: Hashable, value: V, weight: int) -> None:
        """Keep a value; one that is heavier than the whole cache is not kept."""
        with self._lock:
            if key in self._values:
                self._held -= self._values.pop(key)[1]
            if weight > self.limit:
                return
            while self._held + weight > self.limit:
                self._held -= self._values.popitem(last=False)[1][1]
            self._values[key] = value, weight
            self._held += weight

    @contextmanager
    def alone(self, key: Hashable) -> Iterator[None]:
        """One thread at a time for each key: look again inside, then make what is missing. Never nest two."""
        done = threading.Event()
        while (earlier := self._enter(key, done)) is not done:
            earlier.wait()
        try:
            yield
        finally:
            with self._lock:
                del self._making[key]
            done.set()

    def _enter(self, key: Hashable, done: threading.Event) -> threading.Event:
        """`done` if this thread may enter, else the event of the thread that is inside."""
        with self._lock:
            return self._making.setdefault(key, done)
