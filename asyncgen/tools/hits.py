"""What a retrieval server answers, in any of the nestings seen in the wild, as hits.

Knows JSON shapes, and that each of them may be wrong. Does not know who asked, nor how a hit is shown.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Final

from asyncgen.core.text import repaired
from asyncgen.core.types import Json
from asyncgen.tools.text import quoted

LONGEST: Final = 20_000
"""Characters of a hit's text; a longer one is cut, with CUT at its end."""
LONGEST_TITLE: Final = 500
CUT: Final = " […]"

_LISTS = ("result", "results", "data", "documents", "docs", "passages", "hits", "retrieved")
"""Members that hold what was found: all of it, or one query's."""
_SCORES = ("scores", "similarities")
"""Members that hold the scores beside it."""
_INNER = ("document", "doc", "_source", "payload", "node", "passage")
"""Members of a hit that hold its document."""
_TEXTS = (
    *("text", "contents", "content", "passage", "snippet", "body", "page_content", "paragraph", "chunk"),
    *("sentences", "paragraphs"),
)
_TITLES = ("title", "name", "page_title")
_IDS = ("id", "_id", "docid", "doc_id")
_SCORE = ("score", "_score", "similarity")
_QUOTES = '"“”'
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_WRAPPED = 4
"""Wrappers around the lists: `{"data": {"result": "…"}}` has three, with its JSON string."""


class NoHitsError(ValueError):
    """An answer that is no list of hits a query; `str()` is one line for the user."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One passage."""

    title: str
    """Without its quotes; `""`: it has none."""
    text: str
    """At most LONGEST characters, without control characters but tab and line feed."""
    id: str = ""
    """In its corpus; `""`: the server does not say."""
    score: float | None = None
    """Larger is better, in the server's own unit; None: the server does not say."""


def read_hits(value: Json, count: int) -> list[list[Hit]]:
    """The hits of `count` queries, in the server's order, from a parsed answer.

    Raises NoHitsError, a ValueError.
    """
    found, scores = _unwrapped(value)
    if isinstance(found, str) and count == 1:
        return [_group(found)]
    if not isinstance(found, list):
        raise NoHitsError(f"no list of hits in the answer, but {_shown(found)}")
    if scores is None and _is_scored(found):
        found, scores = found
    if count == 1 and not (len(found) == 1 and _is_group(found[0])):
        return [_group(found, scores)]
    if len(found) != count:
        raise NoHitsError(f"{len(found)} lists of hits for {count} queries")
    each = scores if isinstance(scores, list) and len(scores) == count else [None] * count
    return [_group(group, of) for group, of in zip(found, each, strict=True)]


def _unwrapped(value: Json) -> tuple[Json, Json]:
    """The list of it all, and the scores where they stand beside it."""
    scores: Json = None
    for _ in range(_WRAPPED):
        if isinstance(value, str):
            inner = _parsed(value)
            if inner is None:
                break
            value = inner
        elif isinstance(value, Mapping):
            key = _first(_LISTS, value)
            if key is None:
                raise NoHitsError(f"no {', '.join(_LISTS[:3])} … in the answer, but {_keys(value)}")
            name = _first(_SCORES, value)
            value, scores = value[key], value[name] if name else scores
        else:
            break
    return value, scores


def _group(group: Json, scores: Json = None) -> list[Hit]:
    """One query's hits."""
    if isinstance(group, str | Mapping):
        if isinstance(group, str) and _parsed(group) is None:
            return [_hit(group)] if group.strip() else []
        group, beside = _unwrapped(group)
        scores = beside if scores is None else scores
    if group is None:
        return []
    if not isinstance(group, list):
        raise NoHitsError(f"no list of hits for a query, but {_shown(group)}")
    if scores is None and (_is_scored(group) or group == [[], []]):
        group, scores = group
    each = scores if isinstance(scores, list) and len(scores) == len(group) else [None] * len(group)
    return [_hit(one, score) for one, score in zip(group, each, strict=True) if one is not None]


def _is_group(value: Json) -> bool:
    """Whether it is one query's hits rather than one hit."""
    if isinstance(value, Mapping):
        key = _first(_LISTS, value)
        return key is not None and isinstance(value[key], list)
    return isinstance(value, list) and not _is_pair(value)


def _is_pair(value: Json) -> bool:
    """`[document, score]`."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str | Mapping) and _is_number(value[1])


def _is_scored(value: Sequence[Json]) -> bool:
    """`[documents, scores]`, of one query or of all of them."""
    return len(value) == 2 and (_fits(*value) or (_all_lists(value) and _each_fits(*value)))


def _all_lists(value: Sequence[Json]) -> bool:
    return all(isinstance(one, list) and one and all(isinstance(part, list) for part in one) for one in value)


def _each_fits(documents: Sequence[Json], scores: Sequence[Json]) -> bool:
    if len(documents) != len(scores) or not any(scores):
        return False
    return all(_fits(*pair) or pair == ([], []) for pair in zip(documents, scores, strict=True))


def _fits(documents: Json, scores: Json) -> bool:
    """Whether it is a list of documents and a list of numbers, of one length and not empty."""
    return (
        isinstance(documents, list)
        and isinstance(scores, list)
        and len(documents) == len(scores) > 0
        and all(map(_is_number, scores))
        and not any(map(_is_number, documents))
    )


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _hit(value: Json, score: Json = None) -> Hit:
    if _is_pair(value):
        value, score = value
    if isinstance(value, str):
        title, text = _headed(value)
        return Hit(_title(title), _text(text), score=_number(score))
    if not isinstance(value, Mapping):
        raise NoHitsError(f"no document in the place of a hit, but {_shown(value)}")
    fields = _flat(value)
    title = _member(_TITLES, fields, str) or ""
    headed, text = _headed(fields.get("contents"))
    own = _member(_TEXTS, fields, str)
    if own is None and not title:
        raise NoHitsError(f"a document without a text, but {_keys(value)}")
    if own is not None and own is not fields.get("contents"):
        text = own
    rank = _member(_SCORE, fields, int | float | str)
    name = _member(_IDS, fields, str | int)
    return Hit(
        title=_title(title or headed),
        text=_text(text),
        id="" if name is None else _title(str(name)),
        score=_number(score if rank is None else rank),
    )


def _member(names: Sequence[str], fields: Mapping[str, Json], kind: type | UnionType) -> Json:
    """The first that has a value of this kind; None: none has."""
    for name in names:
        value = fields.get(name)
        if isinstance(value, kind):
            return value
        if kind is str and isinstance(value, list) and value and all(isinstance(one, str) for one in value):
            return " ".join(value)  # sentence by sentence
    return None


def _flat(value: Mapping[str, Json]) -> Mapping[str, Json]:
    """A hit's members with those of its document over them: the score may stand with either."""
    fields = dict(value)
    for key in _INNER:
        inner = fields.get(key)
        if isinstance(inner, Mapping):
            fields.update(inner)
        elif isinstance(inner, str):
            fields.setdefault("contents", inner)
    metadata = fields.get("metadata")
    return {**metadata, **fields} if isinstance(metadata, Mapping) else fields


def _headed(contents: Json) -> tuple[str, str]:
    """Title and text of a document whose first line is its title in double quotes (wiki-18)."""
    if not isinstance(contents, str):
        return "", ""
    first, _, rest = contents.partition("\n")
    first = first.strip()
    quoted_line = len(first) > 2 and first[0] in _QUOTES and first[-1] in _QUOTES
    return (first, rest) if quoted_line else ("", contents)


def _title(text: str) -> str:
    line = " ".join(_clean(text[: 2 * LONGEST_TITLE]).split())
    if len(line) > 2 and line[0] in _QUOTES and line[-1] in _QUOTES:
        line = line[1:-1].strip()
    return line if len(line) <= LONGEST_TITLE else line[:LONGEST_TITLE] + CUT


def _text(text: str) -> str:
    cut = CUT if len(text) > LONGEST else ""
    return _clean(text[:LONGEST]).strip() + cut


def _clean(text: str) -> str:
    return text if text.isprintable() else _CONTROL.sub(" ", repaired(text))


def _number(value: Json) -> float | None:
    try:
        number = float(value) if _is_number(value) or isinstance(value, str) else math.nan
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _parsed(text: str) -> Json:
    """The list or object that a text holds; None: it holds none."""
    if text.lstrip()[:1] not in {"[", "{"}:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _first(names: Sequence[str], value: Mapping[str, Json]) -> str | None:
    return next((name for name in names if name in value), None)


def _keys(value: Mapping[str, Json]) -> str:
    return f"the members {quoted(list(value)[:8])}"


def _shown(value: Json) -> str:
    """For an error text; a list may be megabytes."""
    if isinstance(value, list):
        return "a list"
    return _keys(value) if isinstance(value, Mapping) else quoted(value[:80] if isinstance(value, str) else value)
