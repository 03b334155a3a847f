"""Cases that only `make test-deep` tries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def deep(cases: Iterable[Any]) -> list[Any]:
    """For `parametrize`; a tuple is one case of several arguments."""
    return [pytest.param(*(one if isinstance(one, tuple) else (one,)), marks=pytest.mark.deep) for one in cases]
