"""Which country, which first-level division a name means: folded text → ISO codes, exactly.

Knows the order in which the tables are believed. Never guesses: a name that no table has means nothing. The names of
countries are read once, when first asked; the divisions of a country when it is first asked for.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from asyncgen.places.division_words import strip_word, suffixless
from asyncgen.places.folding import folded
from asyncgen.places.iso import Division, first_level, iso_countries, spellings, translations
from asyncgen.places.level_words import lower_words
from asyncgen.places.tables import aliases, country_names, division_names
from asyncgen.places.twins import EXTRA, same_divisions

__all__ = ["countries", "country_name", "division_name", "divisions", "same_divisions", "suffixless"]

Codes = frozenset[str]
_NONE: Codes = frozenset()
_Names = Mapping[str, Codes]

_BRACKETS = re.compile(r"([^(（]+)[(（]([^()（）]+)[)）]\s*")

# What pycountry's translations add to CLDR's names of countries: the official ones, in the languages most asked for.
_COUNTRY_LANGUAGES = "zh_CN zh_TW ja ko de fr es it pt ru ar tr pl nl vi id hi"
_LANGUAGES = (
    "zh_CN zh_TW ja ko de fr es it pt pt_BR ru uk bg sr he hi th vi id tr pl nl sv da nb_NO fi hu ro cs el hr lt lv et "
    "ca eu is"
)


@dataclass(frozen=True, slots=True)
class _Divisions:
    """One country's names, folded."""

    names: _Names
    """Our own aliases stand as they are; ISO's names and the translations also without their division words."""
    stripped: _Names
    """Without a word such as province, of those names that had one: where Minsk is the city, this is Minsk Region."""
    cities: Codes


def countries(text: str) -> Codes:
    """ISO 3166-1 alpha-2 codes of the countries of this name, in any of some sixty languages; XK is Kosovo. Empty: not
    known. More than one: the name is of each (Saint Martin). Another name in brackets must mean the same: `Turkey
    (Türkiye)`."""
    index = _country_index()
    known = index.get(folded(text))
    if known is None and (two := _BRACKETS.fullmatch(text)):
        first, second = (index.get(folded(part), _NONE) for part in two.groups())
        return first if first == second else _NONE
    return known or _NONE


def divisions(text: str, country: str) -> Codes:
    """ISO 3166-2 codes of the first-level divisions of this name in the country (alpha-2). Empty: not known.

    The full name counts first, then the code (`CN-HE`, `HE`), and only then the name without a word such as province; a
    word for a city is left out for cities alone, one for a lower level there (a county of the US) never.
    """
    country = country.upper()
    index = _division_index(country)
    name = folded(text)
    known = index.names.get(name)
    if known is not None:
        return known
    stripped = strip_word(name, lower_words(country))
    if stripped is None:
        return _NONE
    if stripped.city:
        return index.names.get(stripped.base, _NONE) & index.cities
    return index.stripped.get(stripped.base) or index.names.get(stripped.base, _NONE)


def country_name(code: str) -> str:
    """The English name; the code itself where there is none."""
    known = country_names().get(code)
    return known.english if known else code


def division_name(code: str) -> str:
    """The English name where there is one, else ISO's; the code itself where it is not known."""
    english = division_names().get(code) or next(iter(aliases().get(code, ())), None)
    if english:
        return english
    iso = (division.name for division in first_level().get(code[:2], ()) if division.code == code)
    return next(iso, code)


def load_names() -> None:
    """Read all tables now: about 1.5 s of CPU, of which each country's share would fall to who first asks for it."""
    countries("")
    for country in first_level():
        divisions("", country)
        lower_words(country)


@functools.cache
def _country_index() -> _Names:
    own = {code: names for code, names in aliases().items() if len(code) == 2}
    english = {code: [*names, code] for code, names in iso_countries().items()}
    table = {code: known.names for code, known in country_names().items()}
    return _believed(
        _index(own),
        _index(english),
        _index(table, is_folded=True),
        _unambiguous(_index(_translated(iso_countries(), _country_translations()))),
    )


@functools.cache
def _division_index(country: str) -> _Divisions:
    known = (*first_level().get(country, ()), *EXTRA.get(country, ()))
    layers = (
        _index({division.code: aliases().get(division.code, ()) for division in known}),
        _index({division.code: _official(division) for division in known}),
        _unambiguous(_index(_in_other_languages(known))),
        _index({division.code: (division.code, division.code[3:]) for division in known}),
    )
    cities = frozenset(division.code for division in known if division.city)
    own, official, foreign, _ = layers
    short = [_without_words(layer, cities) for layer in (official, foreign)]
    stripped = [_without_words(layer, _NONE) for layer in (own, official, foreign)]
    return _Divisions(_believed(*layers, *short), _believed(*stripped), cities)


def _official(division: Division) -> Iterator[str]:
    yield from spellings(division.name)
    english = division_names().get(division.code)
    if english:
        yield english


def _in_other_languages(known: Iterable[Division]) -> dict[str, list[str]]:
    names = {division.code: (division.name,) for division in known}
    found = _translated(names, _division_translations())
    for code, others in found.items():
        for twin in same_divisions(code):
            others.extend(country_names()[twin].names if twin in country_names() else ())
    return found


def _translated(
    names: Mapping[str, Iterable[str]], translations_of: Mapping[str, Iterable[str]]
) -> dict[str, list[str]]:
    return {
        code: [spelling for text in texts for other in translations_of.get(text, ()) for spelling in spellings(other)]
        for code, texts in names.items()
    }


@functools.cache
def _division_translations() -> Mapping[str, list[str]]:
    names = {division.name for known in first_level().values() for division in known}
    return translations("iso3166-2", _LANGUAGES.split(), names)


@functools.cache
def _country_translations() -> Mapping[str, list[str]]:
    return translations(
        "iso3166-1", _COUNTRY_LANGUAGES.split(), (name for names in iso_countries().values() for name in names)
    )


def _without_words(names: _Names, cities: Codes) -> _Names:
    """Those names that have a word such as province, without it; a word for a city only of the `cities`."""
    found: dict[str, Codes] = {}
    for name, codes in names.items():
        stripped = strip_word(name)
        if stripped:
            named = codes & cities if stripped.city else codes
            if named:
                found[stripped.base] = found.get(stripped.base, _NONE) | named
    return found


def _believed(*layers: _Names) -> _Names:
    """The first layer that has a name says what it means."""
    found: dict[str, Codes] = {}
    for layer in reversed(layers):
        found.update(layer)
    found.pop("", None)
    return found


def _unambiguous(names: _Names) -> _Names:
    """Nobody reviewed the translations: one that means two places means none."""
    return {name: codes for name, codes in names.items() if len(codes) == 1}


def _index(names: Mapping[str, Iterable[str]], *, is_folded: bool = False) -> dict[str, Codes]:
    """Code → names, turned round."""
    found: dict[str, Codes] = {}
    for code, texts in names.items():
        only = frozenset((code,))
        for text in texts:
            name = text if is_folded else folded(text)
            found[name] = found[name] | only if name in found else only
    return found
