"""`@tool`: a Python function as a tool, its JSON schema read from its signature and docstring.

Knows signatures, docstrings and how results are wrapped. Knows nothing of any tool in particular.
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from asyncgen.core.errors import InputError, ToolError
from asyncgen.core.types import NAME_LENGTH, NAME_LETTERS, Context, Json, Picture, ToolResult
from asyncgen.tools.coerce import SUPPORTED, Mismatch, allows_none, coerce, schema_of
from asyncgen.tools.text import quoted

COORDINATES: Final[Mapping[str, str]] = {
    "pixels": "pixels of the picture as you see it",
    "relative_1000": "0-1000 relative to the picture's width and height",
    "relative_1": "0-1 relative to the picture's width and height",
}
"""What `{coordinates}` in a docstring becomes."""
FRAMES: Final[Mapping[str, str]] = {
    "original": "the original picture",
    "current": "the current picture (the result of the latest tool, or the original)",
}
"""What `{frame}` in a docstring becomes."""


_NAME = re.compile(f"[{NAME_LETTERS}]{{1,{NAME_LENGTH}}}")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument that the model may give."""

    name: str
    hint: Any
    """Its Python type."""
    schema: Mapping[str, Json]
    """Its JSON schema, without the description."""
    description: str
    required: bool
    default: Any

    def __str__(self) -> str:
        kind = str(self.schema.get("type", "value"))
        if "items" in self.schema:
            kind += f" of {self.schema['items'].get('type', 'value')}"
        return f"{self.name}: {kind}" + ("" if self.required else ", optional")


@dataclass(frozen=True, slots=True, eq=False)
class FunctionTool:
    """A core `Tool` around a function. Made by `tool`."""

    function: Callable[..., Any]
    name: str
    description: str
    parameters: tuple[Parameter, ...]

    def schema(self, *, coordinates: str = "pixels", frame: str = "original") -> Mapping[str, Json]:
        """`{"type": "function", "function": {"name", "description", "parameters"}}`."""

        def filled(text: str) -> str:
            return text.replace("{coordinates}", COORDINATES[coordinates]).replace("{frame}", FRAMES[frame])

        properties = {}
        for parameter in self.parameters:
            properties[parameter.name] = dict(parameter.schema)
            if isinstance(by_convention := parameter.schema.get("examples"), Mapping):
                properties[parameter.name]["examples"] = by_convention[coordinates]
            if parameter.description:
                properties[parameter.name]["description"] = filled(parameter.description)
        parameters = {
            "type": "object",
            "properties": properties,
            "required": [parameter.name for parameter in self.parameters if parameter.required],
        }
        function = {"name": self.name, "description": filled(self.description), "parameters": parameters}
        return {"type": "function", "function": function}

    async def __call__(self, context: Context, arguments: Mapping[str, Json]) -> ToolResult:
        """Coerce the arguments, run; a plain function runs in a thread. Arguments that it does not take are ignored.

        Raises ToolError for a missing argument or one that does not fit; whatever else the function raises goes on up.
        """
        values = {parameter.name: self._value(parameter, arguments) for parameter in self.parameters}
        if inspect.iscoroutinefunction(self.function):
            returned = await self.function(context, **values)
        else:
            returned = await context.offload(partial(self.function, context, **values))
        return _result(self.name, returned)

    def _value(self, parameter: Parameter, arguments: Mapping[str, Json]) -> Any:
        value = arguments.get(parameter.name)
        if value is None:  # null is how some models leave an argument out
            if parameter.required:
                raise ToolError(f"{self.name} needs the argument {parameter.name!r}. {self._usage()}")
            return parameter.default
        try:
            return coerce(value, parameter.hint)
        except Mismatch as error:
            found = f"{parameter.name!r} of {self.name} is {quoted(value)}; it must be {error}"
            raise ToolError(f"The argument {found}. {self._usage()}") from None

    def _usage(self) -> str:
        return f"It takes {{{'; '.join(map(str, self.parameters))}}}."


def tool(function: Callable[..., Any]) -> FunctionTool:
    """Make a tool of a sync or async function `(context, …) → str | ToolResult | Picture | list[str | Picture]`.

    The docstring before `Args:` is the tool's description, the lines under it describe the parameters; `{coordinates}`
    and `{frame}` are filled in by the run. Raises InputError for a signature that no JSON schema can describe, and
    for a name that servers refuse.
    """
    name = getattr(function, "__name__", "")
    if not _NAME.fullmatch(name):
        raise InputError(
            f"tool {name or function!r}: make it from a function with a name of at most {NAME_LENGTH} of the letters "
            "A-Z and a-z, digits and _"
        )
    context, *taken = inspect.signature(function).parameters.values() or (None,)
    if context is None or context.kind not in {context.POSITIONAL_ONLY, context.POSITIONAL_OR_KEYWORD}:
        raise InputError(f"tool {name} has no context: its first parameter must be one, `def {name}(context, …)`")
    description, described = _docstring(inspect.getdoc(function) or "")
    if unknown := described.keys() - {context.name, *(one.name for one in taken)}:
        raise InputError(f"tool {name} describes {', '.join(sorted(unknown))} under Args:, but has no such parameter")
    hints = _hints(function, taken)
    parameters = tuple(_parameter(name, one, hints[one.name], described.get(one.name, "")) for one in taken)
    return FunctionTool(function, name, description, parameters)


def _hints(function: Callable[..., Any], taken: Sequence[inspect.Parameter]) -> dict[str, Any]:
    """The parameters' types, looked up where the function was written; not the context's, which may be imported for
    type checkers only.
    """
    for one in taken:
        if one.kind not in {one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY}:
            raise InputError(f"tool {function.__name__} takes {one}; give every parameter a name of its own")
        if one.annotation is one.empty:
            raise InputError(
                f"parameter {one.name} of tool {function.__name__} has no type; give it one of {SUPPORTED}"
            )
    written = types.SimpleNamespace(__annotations__={one.name: one.annotation for one in taken})
    try:
        return typing.get_type_hints(written, getattr(function, "__globals__", {}), include_extras=True)
    except (NameError, AttributeError, TypeError, SyntaxError) as error:
        raise InputError(
            f"the types of tool {function.__name__} cannot be read ({error}): use names that its module imports "
            "or defines at the top, before the tool"
        ) from error


def _parameter(tool_name: str, one: inspect.Parameter, hint: Any, description: str) -> Parameter:
    try:
        schema = schema_of(hint)
    except TypeError as error:
        raise InputError(f"parameter {one.name} of tool {tool_name}: {error}; use {SUPPORTED}") from error
    required = one.default is one.empty and not allows_none(hint)
    default = None if one.default is one.empty else one.default
    return Parameter(one.name, hint, schema, description, required, default)


def _docstring(text: str) -> tuple[str, dict[str, str]]:
    """The description, and the parameters' own from Google-style `Args:`."""
    description, rest = [*re.split(r"(?m)^Args:[ \t]*$", text, maxsplit=1), ""][:2]
    paragraphs = (" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", description))
    described: dict[str, str] = {}
    section = re.split(r"(?m)^\S", rest, maxsplit=1)[0]  # the next line that is not indented ends it
    lines = [line for line in section.splitlines() if line.strip()]
    indent = len(lines[0]) - len(lines[0].lstrip()) if lines else 0
    name = ""
    for line in lines:
        entry = re.match(r"(\w+)(?: *\([^)]*\))?:(.*)", line[indent:])
        if entry:
            name = entry[1]
            described[name] = entry[2].strip()
        elif name:
            described[name] = f"{described[name]} {line.strip()}".strip()
    return "\n\n".join(filter(None, paragraphs)), described


def _result(name: str, returned: Any) -> ToolResult:
    if isinstance(returned, ToolResult):
        return returned
    parts = returned if isinstance(returned, list | tuple) else [returned]
    if not all(isinstance(part, str | Picture) for part in parts):
        kinds = ", ".join(type(part).__name__ for part in parts)
        raise TypeError(f"tool {name} returned {kinds}; it must return str, Picture, a list of them, or ToolResult")
    text = "\n".join(part for part in parts if isinstance(part, str))
    return ToolResult(text=text, pictures=tuple(part for part in parts if isinstance(part, Picture)))
