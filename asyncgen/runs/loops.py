"""What a process needs to run a job: a fast event loop, and enough file descriptors.

Knows the process. Does not know runs.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable
from contextlib import suppress


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's where it can be had; nothing depends on it."""
    with suppress(ImportError):
        import uvloop

        return uvloop.new_event_loop
    return None


def raise_file_limit() -> None:
    """Sockets need file descriptors: take all that the hard limit allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, 1 << 20) if hard != resource.RLIM_INFINITY else 1 << 20
    if soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
