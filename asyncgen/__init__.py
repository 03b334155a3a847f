"""asyncgen: turn a dataset and a strong model into finished training traces.

These names are the public API: what a custom task file imports, and what runs a job from Python. Each loads its module
when it is first used, so that `import asyncgen` costs nothing and tasks inside the package may import it like any
user's file.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncgen.api import run, stream
    from asyncgen.core.errors import AsyncgenError, EpisodeError, ToolError
    from asyncgen.core.task import Task
    from asyncgen.core.trace import Trace
    from asyncgen.core.types import Completion, Context, Message, Sample, Scores, StopReason, ToolCall, ToolResult, Turn
    from asyncgen.rewards.geo import GeoReward, geo_answer
    from asyncgen.rewards.text import answer_tag, last_boxed
    from asyncgen.runs.opened import Run
    from asyncgen.runs.restore import restore_images
    from asyncgen.tools.image import image_rotate_tool, image_zoom_in_tool
    from asyncgen.tools.schema import tool

_HOME = {
    "AsyncgenError": "core.errors",
    "Completion": "core.types",
    "Context": "core.types",
    "EpisodeError": "core.errors",
    "GeoReward": "rewards.geo",
    "Message": "core.types",
    "Run": "runs.opened",
    "Sample": "core.types",
    "Scores": "core.types",
    "StopReason": "core.types",
    "Task": "core.task",
    "ToolCall": "core.types",
    "ToolError": "core.errors",
    "ToolResult": "core.types",
    "Trace": "core.trace",
    "Turn": "core.types",
    "answer_tag": "rewards.text",
    "geo_answer": "rewards.geo",
    "image_rotate_tool": "tools.image",
    "image_zoom_in_tool": "tools.image",
    "last_boxed": "rewards.text",
    "restore_images": "runs.restore",
    "run": "api",
    "stream": "api",
    "tool": "tools.schema",
}

__all__ = [
    "AsyncgenError",
    "Completion",
    "Context",
    "EpisodeError",
    "GeoReward",
    "Message",
    "Run",
    "Sample",
    "Scores",
    "StopReason",
    "Task",
    "ToolCall",
    "ToolError",
    "ToolResult",
    "Trace",
    "Turn",
    "answer_tag",
    "geo_answer",
    "image_rotate_tool",
    "image_zoom_in_tool",
    "last_boxed",
    "restore_images",
    "run",
    "stream",
    "tool",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'asyncgen' has no attribute {name!r}")
    return getattr(importlib.import_module(f"asyncgen.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
