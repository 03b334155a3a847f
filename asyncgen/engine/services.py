"""What all episodes of a run share beside the endpoints: clients of other servers, caches.

Knows that each is made once, and that some have a coroutine of their own. Does not know what they do.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Services:
    """One a run."""

    def __init__(self) -> None:
        self._made: dict[tuple[Callable[..., Any], tuple[Hashable, ...]], Any] = {}
        self._start: Callable[[Coroutine[Any, Any, None]], None] | None = None

    def own(self, start: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        """`start` runs a coroutine until the run ends; those that wait for it are started."""
        self._start = start
        for service in self._made.values():
            self._run(service)

    def get(self, make: Callable[..., T], *args: Hashable) -> T:
        """The one `make(*args)`."""
        key = (make, args)
        if key not in self._made:
            self._made[key] = make(*args)
            self._run(self._made[key])
        return self._made[key]  # type: ignore[no-any-return]  # what `make` made

    def _run(self, service: object) -> None:
        run = getattr(service, "run", None)
        if run is not None and self._start is not None:
            self._start(run())
