"""What one turn does about its faults.

Knows how often, how long to wait, and what ends an episode or the run. Knows nothing of connections; health is the
pool's.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TypeAlias

from asyncgen.core.errors import AccountError, AsyncgenError, FailReason, InputError
from asyncgen.endpoint.faults import Fault, FaultKind

BASE = 0.5
"""Seconds: the longest first wait."""
CAP = 30.0
"""Seconds: the longest wait, where the server does not ask for another."""
MAX_FAULTS = 12
"""Faults of the server's that one turn may have while others pass."""
MAX_TIMEOUTS = 2
"""Times that one turn may reach `endpoint.turn_timeout`."""
MAX_STALE = 2
"""Stale connections in one turn that count for nothing."""
MAX_REFITS = 3
"""Refits while the server gives only a lower bound of the prompt's tokens."""
MARGIN = 64
"""Tokens left free by a refit: servers count a template's tokens differently."""
MIN_TOKENS = 16
"""An answer with less room than this is not worth asking for."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Send again after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Free:
    """Send again at once; it counts for nothing."""


@dataclass(frozen=True, slots=True)
class Refit:
    """Send again with this `max_tokens`."""

    max_tokens: int


@dataclass(frozen=True, slots=True)
class TextMode:
    """Send again without `tools`: schemas in the prompt, calls in the text."""


@dataclass(frozen=True, slots=True)
class Fail:
    """End the episode."""

    reason: FailReason
    text: str


@dataclass(frozen=True, slots=True)
class Abort:
    """End the run."""

    error: AsyncgenError


Decision: TypeAlias = Wait | Free | Refit | TextMode | Fail | Abort

_ROW = {
    FaultKind.BAD_REQUEST: FailReason.BAD_REQUEST,
    FaultKind.TOO_LARGE: FailReason.IMAGE_TOO_LARGE,
    FaultKind.CONTENT_FILTER: FailReason.CONTENT_FILTER,
}
"""Faults of the request itself: the same request would get the same answer."""


@dataclass(slots=True)
class TurnRetries:
    """The faults of one turn so far."""

    attempts: int = 1
    """Requests of this turn that count: the first, and one more for each that was sent again. Being throttled, and a
    stale connection, are no attempts."""
    faults: int = 0
    """Faults of the server's while others passed."""
    timeouts: int = 0
    stale: int = 0
    refits: int = 0
    max_tokens: int | None = None
    """Of the last refit."""
    refused_key: bool = False
    refused_tools: bool = False
    waits: int = 0
    """Waits so far: the exponent of the next."""

    def on_fault(self, fault: Fault, *, others_passed: bool, rng: random.Random) -> Decision:
        """What to do now. `others_passed`: some other request succeeded since this turn's last fault (or its start).

        Waits have full jitter, rand(0, min(CAP, BASE · 2^n)), on top of what the server asked for.
        """
        if fault.kind in _ROW:
            return Fail(_ROW[fault.kind], fault.text)
        match fault.kind:
            case FaultKind.THROTTLED:
                return self._wait(fault, rng)
            case FaultKind.STALE if self.stale < MAX_STALE:
                self.stale += 1
                return Free()
            case FaultKind.TIMEOUT:
                return self._on_timeout(fault, rng)
            case FaultKind.OVERFLOW:
                return self._on_overflow(fault)
            case FaultKind.TOOLS_REFUSED:
                return self._on_tools_refused(fault)
            case FaultKind.AUTH | FaultKind.QUOTA | FaultKind.NO_MODEL | FaultKind.CONFIG:
                return self._on_setup(fault, rng)
        return self._on_server(fault, rng, others_passed=others_passed)

    def _on_server(self, fault: Fault, rng: random.Random, *, others_passed: bool) -> Decision:
        # While nothing passes, the server is down: that is waited for, whatever the count.
        self.faults += others_passed
        if self.faults >= MAX_FAULTS:
            return Fail(
                FailReason.SERVER_ERROR, f"failed {self.faults} times while other requests passed; last: {fault.text}"
            )
        self.attempts += 1
        return self._wait(fault, rng)

    def _on_timeout(self, fault: Fault, rng: random.Random) -> Decision:
        self.timeouts += 1
        if self.timeouts >= MAX_TIMEOUTS:
            return Fail(FailReason.TIMEOUT, f"{fault.text}, {self.timeouts} times: raise endpoint.turn_timeout")
        self.attempts += 1
        return self._wait(fault, rng)

    def _on_overflow(self, fault: Fault) -> Decision:
        """One refit by an exact count. A lower bound of the prompt says too little: each refit asks for a quarter more
        modestly, and they end all the same."""
        allowed = MAX_REFITS if fault.prompt_at_least else 1
        if fault.context_limit is None or fault.prompt_tokens is None or self.refits >= allowed:
            return Fail(FailReason.CONTEXT_OVERFLOW, fault.text)
        room = fault.context_limit - fault.prompt_tokens - MARGIN
        if self.max_tokens is not None:
            room = min(room, self.max_tokens // 4)
        if room < MIN_TOKENS:
            return Fail(FailReason.CONTEXT_OVERFLOW, fault.text)
        self.refits += 1
        self.max_tokens = room
        self.attempts += 1
        return Refit(room)

    def _on_tools_refused(self, fault: Fault) -> Decision:
        if self.refused_tools:
            return Fail(FailReason.BAD_REQUEST, fault.text)
        self.refused_tools = True
        self.attempts += 1
        return TextMode()

    def _on_setup(self, fault: Fault, rng: random.Random) -> Decision:
        """What no waiting repairs. A refused key is tried once more: gateways refuse good keys while they restart."""
        if fault.kind is FaultKind.NO_MODEL:
            return Abort(InputError(f"{fault.text}: check endpoints[].model, and that base_url ends in /v1"))
        if fault.kind is FaultKind.CONFIG:
            return Abort(InputError(f"{fault.text}: check endpoints[].base_url"))
        if fault.kind is FaultKind.QUOTA:
            return Abort(AccountError(f"{fault.text}: the account has no quota left; top it up and run again"))
        if self.refused_key:
            return Abort(
                AccountError(f"{fault.text}: check the key in the variable that endpoints[].api_key_env names")
            )
        self.refused_key = True
        self.attempts += 1
        return self._wait(fault, rng)

    def _wait(self, fault: Fault, rng: random.Random) -> Wait:
        asked = fault.retry_after
        # Where the server names a time, the jitter only keeps the waiting ones from coming back all at once.
        longest = min(CAP, BASE * 2 ** min(self.waits, 16)) if asked is None else max(BASE, asked / 10)
        self.waits += 1
        return Wait((asked or 0.0) + rng.uniform(0, longest))
