"""What `math-verify` says of two expressions, one after the other, within bounds of time and memory.

Knows that it may run for ever, and that its own deadlines need a signal that is another's. Imports sympy: for worker
processes alone. Of its parsers only the LaTeX grammar is used; the other one evaluates what it reads as Python.
"""

from __future__ import annotations

import logging
import multiprocessing
import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

SECONDS = 3.0
"""Of CPU time for one answer."""
ROOM = 1 << 30
"""Bytes that a worker may grow by."""

NEAR_ZERO, RELATIVE = 1e-3, 1e-6


class OutOfBoundsError(BaseException):
    """Over the time for one answer. No `Exception`: nothing between here and there may take it for one of its own."""


def prepare() -> None:
    """Load sympy, so that no deadline has to pay for it."""
    import math_verify  # noqa: F401  # loading it is all that is wanted

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # else it says that it has no deadline of its own


def equivalent(answer: str, truth: str) -> bool:
    """Whether two plain texts are the same expression, equation, inequality or set. May take for ever."""
    from math_verify import verify

    ours, theirs = expression(answer), expression(truth)
    if ours is None or theirs is None or _are_apart(ours, theirs):
        return False
    # The other way around `x + y = 1` would be its right side: of an equation that is no truth, verify takes that.
    return bool(verify(theirs, ours, timeout_seconds=None, allow_set_relation_comp=True))


def _are_apart(ours: Any, theirs: Any) -> bool:
    """Whether both are numbers near zero, and not the same: `verify` compares six digits behind the point."""
    if not getattr(ours, "is_number", False) or not getattr(theirs, "is_number", False):
        return False
    one, other = ours.evalf(20), theirs.evalf(20)
    scale = max(abs(one), abs(other))
    return bool(scale < NEAR_ZERO and abs(one - other) > RELATIVE * scale and not (ours - theirs).equals(0))


@lru_cache(maxsize=512)
def expression(text: str) -> Any:
    """The sympy expression of a LaTeX text as `math_verify.parse` makes it; None where it is none."""
    from latex2sympy2_extended.latex2sympy2 import NormalizationConfig, latex2sympy, normalize_latex
    from math_verify.grader import should_treat_as_complex

    options = NormalizationConfig(basic_latex=True, units=True, malformed_operators=True, nits=True, boxed="none")
    normal = normalize_latex(text, options)
    try:
        return latex2sympy(
            normal, is_real=not should_treat_as_complex(normal), convert_degrees=False, normalization_config=None
        )
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  # the boundary: the grammar raises bare Exception for what it cannot read
        return None


@contextmanager
def bounded_time(seconds: float = SECONDS) -> Iterator[None]:
    """Raise OutOfBoundsError in the block after so many seconds of CPU time: of this process's main thread, elsewhere
    there are no signals. What hangs in C is not reached: that is for whoever can kill the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGVTALRM, _give_up)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _give_up(_number: int, _frame: object) -> None:
    raise OutOfBoundsError


@contextmanager
def bounded_memory(room: int = ROOM) -> Iterator[None]:
    """MemoryError in the block when a worker process has grown by so many bytes; in other processes, and where the
    system does not tell how large a process is, there is no bound."""
    size = _size() if multiprocessing.parent_process() is not None else 0
    if not size:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = size + room if soft == resource.RLIM_INFINITY else min(soft, size + room)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _size() -> int:
    """Bytes of this process's address space; 0: the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    except OSError:
        return 0
