"""What pycountry's files say: ISO 3166 codes, their levels, their names and the translations of these.

Knows the files and which divisions count as first level. Knows no alias of ours. The files are read as they are: to
import pycountry and to build its objects takes 140 ms, to read its two tables 10.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

BOTH_LEVELS = frozenset("CV DO GQ GW ID IE IQ KN MH PH RS UG".split())  # noqa: SIM905  # a list of codes
"""Here ISO's top level is seldom meant: regions, islands over the provinces or counties that maps show. Both count."""

_CITY_TYPES = re.compile(
    "city|municipality|town|capital|federal district|metropolitan admin|borough|urban", re.IGNORECASE
)
_CITY_STATES = frozenset(
    "AR-C AT-9 AU-ACT BE-BRU BG-22 DE-BE DE-HB DE-HH IN-DL JP-13 KE-28 KE-30 MX-CMX MY-14 NO-03 US-DC".split()  # noqa: SIM905  # same
)
"""Cities by another type: Land, county, district."""
_MOVED = {"PH-BAS": "PH-14", "PH-LAN": "PH-10", "PH-SAR": "PH-12", "PH-SCO": "PH-12"}
"""Provinces that pycountry 26.2 still has in the region of before."""


class Division(NamedTuple):
    code: str
    name: str
    city: bool
    """Its name may be followed by `City`."""
    parent: str = ""
    """The code of the division that it lies in, where both levels count."""
    kind: str = ""
    """ISO's type: province, county."""


def translations(domain: str, languages: Iterable[str], names: Iterable[str]) -> dict[str, list[str]]:
    """English name → its translations. `domain`: `iso3166-1` or `iso3166-2`. A language without a file is left out."""
    found: dict[bytes, list[str]] = {name.encode(): [] for name in names}
    for language in languages:
        path = _folder() / "locales" / language / "LC_MESSAGES" / f"{domain}.mo"
        if path.exists():
            for text, translation in _messages(path.read_bytes()):
                if text in found:
                    found[text].append(translation.decode())
    return {name.decode(): texts for name, texts in found.items()}


def _messages(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Every text of a gettext `.mo` file with its translation: two tables of lengths and offsets. The `gettext` module
    takes five times as long, for plurals and contexts that these files do not have."""
    order = "<" if data[:4] == b"\xde\x12\x04\x95" else ">"
    count, texts, translated = struct.unpack_from(f"{order}3I", data, 8)
    first = struct.iter_unpack(f"{order}2I", data[texts : texts + 8 * count])
    second = struct.iter_unpack(f"{order}2I", data[translated : translated + 8 * count])
    for (size, start), (long, begin) in zip(first, second, strict=True):
        yield data[start : start + size], data[begin : begin + long]


@functools.cache
def iso_countries() -> Mapping[str, tuple[str, ...]]:
    """alpha-2 → its English names, the alpha-3 code last."""
    return {
        row["alpha_2"]: (*(row[key] for key in ("name", "common_name", "official_name") if key in row), row["alpha_3"])
        for row in _rows("3166-1")
    }


@functools.cache
def first_level() -> Mapping[str, tuple[Division, ...]]:
    """alpha-2 → its divisions without a parent, and their children where both levels count."""
    rows = list(_rows("3166-2"))
    found: dict[str, list[Division]] = {}
    for row in rows:
        code, kind = row["code"], row["type"]
        if "parent" not in row or code[:2] in BOTH_LEVELS:
            city = code in _CITY_STATES or bool(_CITY_TYPES.search(kind))
            parent = _MOVED.get(code, row.get("parent", ""))
            found.setdefault(code[:2], []).append(Division(code, row["name"], city, parent, kind))
    return {country: tuple(divisions) for country, divisions in found.items()}


def parent_of(code: str) -> str:
    """The division that this one lies in, where both levels count; `""`: none."""
    return next((one.parent for one in first_level().get(code[:2], ()) if one.code == code), "")


def spellings(name: str) -> Iterator[str]:
    """The names in an ISO name: `Komi, Respublika` → Respublika Komi, Komi; `Catalunya [Cataluña]` → both;
    `Guyane (française)` → Guyane française, Guyane; `A / B`, `A; B` → both. And the whole."""
    yield name
    for part in re.split(r"\s*[;/\[]\s*", name):
        plain = part.rstrip("] ")
        if plain == "city":
            continue  # Amānat al ‘Āşimah [city] says what it is
        yield plain
        if "(" in plain:
            yield plain.partition("(")[0]
        first, comma, last = plain.partition(",")
        if comma:
            yield f"{last} {first}"
            yield first


def _rows(standard: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((_folder() / "databases" / f"iso{standard}.json").read_bytes())[standard]
    return rows


@functools.cache
def _folder() -> Path:
    spec = importlib.util.find_spec("pycountry")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(
            "No module named 'pycountry': install asyncgen with its dependencies", name="pycountry"
        )
    return Path(spec.origin).parent
