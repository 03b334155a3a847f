"""What of an MCP server reaches the model: names, schemas, the text of a result; and the user: the server's own name.

Knows that all of it is hostile. Knows nothing of connections, and does not import `mcp`.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from asyncgen.config.schema import McpSpec
from asyncgen.core.text import repaired
from asyncgen.core.types import NAME_LENGTH, NAME_LETTERS, Json
from asyncgen.store.run_file import redact
from asyncgen.tools.text import cleaned

MAX_RESULT = 200_000
"""Characters of a result; the rest is cut off, and the model is told."""
MAX_DESCRIPTION = 8_000
"""Characters of a tool's description."""
_NO_NAME = re.compile(f"[^{NAME_LETTERS}]")


def shown_server(spec: McpSpec) -> str:
    """Its command or URL, without passwords and keys."""
    if spec.is_url:
        return str(redact(spec.mcp))
    words = redact(shlex.split(spec.mcp))
    return shlex.join(_shown_word(word) for word in words)


def _shown_word(word: str) -> str:
    """`TOKEN=abc` as `TOKEN=***`, an address without its user."""
    name, equals, value = word.partition("=")
    return f"{name}={redact({name: value})[name]}" if equals else word


def name_for(prefix: str, name: str) -> str:
    """A name that servers of models take: their letters, their length."""
    return _NO_NAME.sub("_", prefix + name)[:NAME_LENGTH]


def description_of(text: str | None) -> str:
    """As given, bounded."""
    return bounded(repaired(text or ""), MAX_DESCRIPTION)


def bounded(text: str, limit: int = MAX_RESULT) -> str:
    """At most so many characters, and a mark where there were more."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}\n[cut off here: {len(text) - limit:,} more characters]"


def result_text(content: Iterable[Any], structured: Json) -> str:
    """The parts of a `CallToolResult` as one text, or its structured content where it has no parts.

    Pictures and sounds are named, not shown: only pictures that can be made again belong in a trace. Links are named,
    and fetched by nobody.
    """
    parts = [_part_text(part) for part in content]
    if not parts and structured is not None:
        parts = [json.dumps(structured, ensure_ascii=False)]
    return bounded(repaired("\n".join(parts)))


def _part_text(part: Any) -> str:
    match part.type:
        case "text":
            return str(part.text)
        case "image" | "audio":
            return f"[{cleaned(part.mime_type)} left out: only text is shown]"
        case "resource_link":
            return f"[{cleaned(part.name)}: {cleaned(str(part.uri), 2_000)}]"
        case "resource":
            text = getattr(part.resource, "text", None)
            return text if isinstance(text, str) else f"[{cleaned(str(part.resource.uri), 2_000)}: not a text]"
    return f"[{cleaned(str(part.type))} left out: only text is shown]"


def last_lines(text: str, count: int = 3) -> str:
    """The last lines that say something, on one line."""
    lines: Sequence[str] = [line for line in text.splitlines() if line.strip()]
    return " / ".join(cleaned(_PRINTED.sub("", line), 300) for line in lines[-count:])


_PRINTED = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What would move a terminal's cursor or change its colours."""


def unfit_schema(schema: Mapping[str, Json]) -> str:
    """Why a tool's parameters cannot be offered to a model; `""` when they can."""
    from jsonschema import SchemaError  # type: ignore[import-untyped]  # it has no stubs
    from jsonschema.validators import validator_for  # type: ignore[import-untyped]  # same

    if schema.get("type") != "object":
        return f"its parameters are of the type {cleaned(str(schema.get('type')))}, not object"
    try:
        validator_for(schema).check_schema(schema)
    except SchemaError as error:
        return f"its parameters are no JSON schema: {cleaned(error.message, 200)}"
    return ""
