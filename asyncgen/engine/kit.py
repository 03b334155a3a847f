"""The tools of a task, encoded once a run, and the opening messages of an episode.

Knows how tools reach the model in each mode, and where the tool hint goes. Does not know pictures' bytes or servers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import orjson

from asyncgen.core.errors import InputError
from asyncgen.core.task import Task, fill
from asyncgen.core.types import Json, Message, Sample, Tool, ToolMode
from asyncgen.endpoint.dialects import DIALECTS, SEARCH


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """What a task offers the model."""

    tools: Mapping[str, Tool]
    schemas: tuple[Mapping[str, Json], ...]
    schemas_json: bytes
    """The request's `tools`."""
    prompt: str
    """The same as text, for the system prompt in text mode."""

    def mode(self, wanted: str, *, refused: bool) -> ToolMode:
        """How calls travel, given the task's `tool_calls` and whether the server has refused `tools`."""
        if not self.tools:
            return ToolMode.NONE
        if wanted == "text" or (wanted == "auto" and refused):
            return ToolMode.TEXT
        return ToolMode.NATIVE


def make_kit(task: Task, more: Sequence[Tool] = ()) -> Kit:
    """Ask each tool for its schema: the task's, and those that its job adds. Raises InputError for two of one name."""
    tools = (*task.tools, *more)
    for name, count in Counter(tool.name for tool in tools).items():
        if count > 1:
            raise InputError(f"two tools have the name {name!r}; leave one of them out")
    written = [tool.schema(coordinates=task.coordinates, frame=task.frame) for tool in tools]
    schemas = tuple(_without_examples(schema) for schema in written)
    return Kit(
        tools={tool.name: tool for tool in tools},
        schemas=schemas,
        schemas_json=orjson.dumps(schemas),
        prompt=DIALECTS[task.dialect].prompt(schemas, written[0]) if schemas else "",
    )


def _without_examples(schema: Mapping[str, Json]) -> Mapping[str, Json]:
    """As it is sent: some servers refuse keywords that no grammar needs."""
    function = schema["function"]
    parameters = function.get("parameters")
    if not (isinstance(parameters, Mapping) and isinstance(parameters.get("properties"), Mapping)):
        return schema
    bare = {name: _without_example(one) for name, one in parameters["properties"].items()}
    return {**schema, "function": {**function, "parameters": {**parameters, "properties": bare}}}


def _without_example(schema: Json) -> Json:
    """Of one property; `true` is a schema too."""
    return {key: value for key, value in schema.items() if key != "examples"} if isinstance(schema, Mapping) else schema


def opening(task: Task, sample: Sample, kit: Kit, mode: ToolMode) -> list[Message]:
    """The task's prompt; in text mode the tools are described at the end of the system message, then comes the hint."""
    messages = list(task.prompt(sample))
    extra = [kit.prompt] if mode is ToolMode.TEXT and not _tells(task) else []
    if task.tool_hint and kit.tools:
        extra.append(fill(task.tool_hint, sample.data))
    return _with_system(messages, extra)


def _tells(task: Task) -> bool:
    """The task's own prompt says how to call: models of Search-R1 were trained with it, and without a system prompt."""
    return task.dialect == SEARCH and f"<{SEARCH}>" in task.system + task.user


def _with_system(messages: list[Message], extra: Sequence[str]) -> list[Message]:
    if not extra:
        return messages
    text = "\n\n".join(extra)
    if messages and messages[0].role == "system":
        first = messages[0]
        return [replace(first, content=(*first.parts, f"\n\n{text}")), *messages[1:]]
    return [Message("system", text), *messages]
