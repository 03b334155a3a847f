"""Tools that a model may call: `@tool`, the picture tools, search.

Knows arguments, pixels, and the servers that tools ask. Does not know how a call travels, nor when one is made.
The names below are the public ones (`from asyncgen import tools`); each loads its module when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncgen.core.errors import ToolDownError, ToolError
    from asyncgen.tools.hits import Hit
    from asyncgen.tools.image import image_rotate_tool, image_zoom_in_tool
    from asyncgen.tools.retrieval import Retrieval, RetrievalClient
    from asyncgen.tools.schema import tool
    from asyncgen.tools.search import SearchTool

_HOME = {
    "Hit": "tools.hits",
    "Retrieval": "tools.retrieval",
    "RetrievalClient": "tools.retrieval",
    "SearchTool": "tools.search",
    "ToolDownError": "core.errors",
    "ToolError": "core.errors",
    "image_rotate_tool": "tools.image",
    "image_zoom_in_tool": "tools.image",
    "tool": "tools.schema",
}

__all__ = [
    "Hit",
    "Retrieval",
    "RetrievalClient",
    "SearchTool",
    "ToolDownError",
    "ToolError",
    "image_rotate_tool",
    "image_zoom_in_tool",
    "tool",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'asyncgen.tools' has no attribute {name!r}")
    return getattr(importlib.import_module(f"asyncgen.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
