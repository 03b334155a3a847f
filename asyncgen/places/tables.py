"""The project's own tables in `data/`: names of countries, English names of divisions, reviewed aliases.

Knows the files. Knows nothing of ISO's own.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import NamedTuple


class CountryNames(NamedTuple):
    english: str
    names: tuple[str, ...]
    """Folded, in all languages of the table."""


@functools.cache
def country_names() -> Mapping[str, CountryNames]:
    return {code: CountryNames(english, tuple(names.split("|"))) for code, english, names in _rows("names.tsv")}


@functools.cache
def division_names() -> Mapping[str, str]:
    """Code → English name, of all levels."""
    return {code: name for code, name in _rows("divisions.tsv")}  # noqa: C416  # the type checker sees two columns


@functools.cache
def aliases() -> Mapping[str, tuple[str, ...]]:
    """Code of a country or a division → the names that are its own whatever the other tables say; the first is for
    display where they have none. A name in two rows means both."""
    return {code: tuple(names.split("|")) for code, names in _rows("aliases.tsv")}


def _rows(name: str) -> Iterator[list[str]]:
    text = resources.files("asyncgen.places").joinpath("data", name).read_text("utf-8")
    return (line.split("\t") for line in text.splitlines() if line and not line.startswith("#"))
