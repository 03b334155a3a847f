"""The bodies of the reward service's requests.

Knows their JSON: what is wrong with a body is said of the whole, what is wrong with one item costs that item alone.
Does not know tasks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import orjson

from asyncgen.core.text import repaired
from asyncgen.core.types import Json

SHOWN = 120
"""Characters of a wrong value that an error repeats."""
LONGEST = 1 << 18
"""Characters of one response, its prompt included: nobody waits long while one is read."""
LARGEST = 1 << 20
"""Characters, keys and numbers of a prompt, a label or a row."""


class BadBodyError(Exception):
    """A body of which no item can be read; `str()` says what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One response to be scored, and what is said of its truth."""

    response: str
    reasoning: str = ""
    """Thinking that came in a field of its own."""
    prompt: Json = None
    """A text, a chat list, or JSON of one."""
    label: Json = None
    """The truth: a row, or what stands in a row's truth column."""
    row: Mapping[str, Json] | None = None
    decoded: bool = False
    """`response` is a decoded sequence: prompt and chat template may stand before what the model said."""


Read: TypeAlias = Item | str
"""An item, or what is wrong with it."""


def read_get_reward(raw: bytes, most: int) -> list[Read]:
    """`{"query": [str], "prompts"?: [str | chat], "labels"?: [row | text]}`, as OpenRLHF sends. Raises BadBodyError."""
    body = _object(raw)
    queries = _list(body, "query", most)
    if queries is None:
        raise BadBodyError(
            f"query is missing: give a list of strings; the body has {_shown([str(key)[:SHOWN] for key in body])}"
        )
    prompts, labels = _list(body, "prompts", most), _list(body, "labels", most)
    if prompts is None and labels is None:
        raise BadBodyError("prompts and labels are missing: give one of them, a list as long as query")
    for name, values in (("prompts", prompts), ("labels", labels)):
        if values is not None and len(values) != len(queries):
            raise BadBodyError(f"query has {len(queries)} items and {name} has {len(values)}: give as many")
    nothing = [None] * len(queries)
    return [_decoded(*one) for one in zip(queries, prompts or nothing, labels or nothing, strict=True)]


def _decoded(query: Json, prompt: Json, label: Json) -> Read:
    if not isinstance(query, str):
        return f"query is {_shown(query)}: it must be a string"
    wrong = _wrong_prompt(prompt, "prompts") or _too_long(query, "query") or _too_large(label, "the label")
    return wrong or Item(response=repaired(query), prompt=_prompt(prompt), label=label, decoded=True)


def read_score(raw: bytes, most: int) -> list[Read]:
    """`{"items": [{"response": str, "row" | "label" | "prompt": …, "reasoning"?: str}]}`. Raises BadBodyError."""
    body = _object(raw)
    items = _list(body, "items", most)
    if items is None:
        raise BadBodyError(
            f"items is missing: give a list of objects; the body has {_shown([str(key)[:SHOWN] for key in body])}"
        )
    return [_item(one) for one in items]


def _item(one: Json) -> Read:
    if not isinstance(one, dict):
        return f"the item is {_shown(one)}: it must be an object with response, and with row, label or prompt"
    response, reasoning, row = one.get("response"), one.get("reasoning"), one.get("row")
    if not isinstance(response, str):
        return f"response is {_shown(response)}: it must be a string"
    if reasoning is not None and not isinstance(reasoning, str):
        return f"reasoning is {_shown(reasoning)}: it must be a string"
    if row is not None and not isinstance(row, dict):
        return f"row is {_shown(row)}: it must be an object"
    wrong = _wrong_prompt(one.get("prompt"), "prompt") or _too_long(response, "response")
    wrong = wrong or _too_long(reasoning or "", "reasoning") or _too_large(one.get("label"), "the label")
    wrong = wrong or _too_large(row, "row")
    return wrong or Item(
        response=repaired(response),
        reasoning=repaired(reasoning or ""),
        prompt=_prompt(one.get("prompt")),
        label=one.get("label"),
        row=row,
    )


def _wrong_prompt(prompt: Json, name: str) -> str:
    fine = prompt is None or isinstance(prompt, str | list | dict)
    if not fine:
        return f"{name} is {_shown(prompt)}: it must be a string or a list of chat messages"
    return _too_large(prompt, name)


def _too_large(value: Json, name: str) -> str:
    return f"{name} is larger than {LARGEST} characters" if _size(value, LARGEST) > LARGEST else ""


def _size(value: Json, most: int) -> int:
    """Characters, keys and numbers of a value; counted no further than just over `most`."""
    size, pending = 0, [value]
    while pending and size <= most:
        one = pending.pop()
        size += len(one) if isinstance(one, str | list | dict) else 1
        if size <= most and isinstance(one, dict):
            pending += [*one, *one.values()]
        elif size <= most and isinstance(one, list):
            pending += one
    return size


def _too_long(text: str, name: str) -> str:
    return f"{name} has {len(text)} characters: it may have {LONGEST}" if len(text) > LONGEST else ""


def _prompt(prompt: Json) -> Json:
    return repaired(prompt) if isinstance(prompt, str) else prompt


def _object(raw: bytes) -> dict[str, Json]:
    body = _parsed(raw)
    if not isinstance(body, dict):
        raise BadBodyError(f"the body is {_shown(body)}: it must be a JSON object")
    return body


def _parsed(raw: bytes) -> Json:
    """Python's own parser takes half a surrogate pair and NaN, which some clients write."""
    if len(raw) > LARGEST and not raw[:SHOWN].lstrip().startswith(b"{"):
        raise BadBodyError("the body is no JSON object")  # nobody else has a turn while a large one is parsed
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as refused:
        odd = "surrogate" in str(refused) or b"NaN" in raw or b"Infinity" in raw
        if len(raw) > LARGEST and not odd:  # the other parser is slow, and would say the same
            raise BadBodyError(f"the body is not JSON: {refused}") from None
        try:
            return json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise BadBodyError(f"the body is not JSON: {error}") from None


def _list(body: Mapping[str, Json], name: str, most: int) -> Sequence[Json] | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, list):
        raise BadBodyError(f"{name} is {_shown(value)}: it must be a list")
    if len(value) > most:
        raise BadBodyError(f"{name} has {len(value)} items: it may have {most}; send fewer at a time (--max-batch)")
    return value


def _shown(value: Json) -> str:
    """The beginning of a value as JSON in ASCII: half a surrogate pair does no harm in the answer either. Of a large
    one only its size."""
    if isinstance(value, str):
        value = value[:SHOWN]
    elif isinstance(value, list | dict) and (len(value) > 20 or _size(value, SHOWN * 20) > SHOWN * 20):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    try:
        text = json.dumps(value)
    except RecursionError:
        return f"a deep {type(value).__name__}"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
