"""Whether a tool's service is down: from the outcomes of its last calls, what a call is to do.

Knows outcomes and times. No I/O: `live` asks, and carries out.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

WINDOW = 50
"""Calls of a tool that are looked at."""
SHARE = 0.2
"""More than this share of WINDOW failed: the tool is down."""
FIRST_TRY, LONGEST = 1.0, 30.0
"""Seconds until a waiting call is tried again; they double up to the longest."""


@dataclass(slots=True)
class _Tool:
    failed: deque[bool] = field(default_factory=lambda: deque[bool](maxlen=WINDOW))
    down_since: float | None = None
    text: str = ""
    """Of the latest failure."""
    delay: float = FIRST_TRY
    next_try: float = 0.0
    trying: float | None = None
    """Since when one of the waiting calls is out to see."""

    def is_back(self, asked: float) -> None:
        """A call that went out at that time has come back: one from before the tool went down is not the one."""
        if self.trying is not None and asked >= self.trying:
            self.trying = None


class ToolGate:
    """All tools of a run. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._tools: dict[str, _Tool] = {}

    def failed(self, name: str, text: str, now: float, asked: float = math.inf) -> bool:
        """The service of a call that went out at `asked` did not answer. True: tell the model; False: the tool is down,
        the call is to wait."""
        tool = self._tools.setdefault(name, _Tool())
        tool.text = text
        tool.is_back(asked)
        if tool.down_since is not None:
            if now >= tool.next_try:  # not for each of those that were out when it went down
                tool.delay = min(LONGEST, tool.delay * 2)
                tool.next_try = now + tool.delay
            return False
        tool.failed.append(True)
        if sum(tool.failed) <= SHARE * WINDOW:
            return True
        tool.down_since = now
        tool.delay = FIRST_TRY
        tool.next_try = now + FIRST_TRY
        return False

    def passed(self, name: str) -> None:
        """A call came to its end. Where the tool was down, it is up again, and its past is forgotten."""
        tool = self._tools.get(name)
        if tool is None:
            tool = self._tools[name] = _Tool()
        if tool.down_since is not None:
            self._tools[name] = tool = _Tool()
        tool.failed.append(False)

    def may_try(self, name: str, now: float) -> bool:
        """Whether a call may go out now; of those that wait for a tool that is down, one at a time may. Who gets True
        tells `failed`, `passed` or `gave_up`."""
        tool = self._tools.get(name)
        if tool is None or tool.down_since is None:
            return True
        if tool.trying is not None or now < tool.next_try:
            return False
        tool.trying = now
        return True

    def gave_up(self, name: str, asked: float = math.inf) -> None:
        """A call that went out at `asked` says nothing: it was cancelled, or its arguments were at fault."""
        if name in self._tools:
            self._tools[name].is_back(asked)

    def down_since(self) -> float | None:
        """Since when a tool has been down; the longest of several; None where all are up."""
        return min((one.down_since for one in self._tools.values() if one.down_since is not None), default=None)

    def notice(self) -> str:
        """Which tools are down, and why; `""` when none is."""
        return "; ".join(
            f"the tool {name} is down, its calls wait: {tool.text}"
            for name, tool in self._tools.items()
            if tool.down_since is not None
        )
