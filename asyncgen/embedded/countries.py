"""Passages about countries, written from the facts of the `countryinfo` package (MIT).

Knows which of its facts can be told, and how they read as sentences. What the package does not say, no passage says.
Knows nothing of questions or of search.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from asyncgen.core.errors import InputError
from asyncgen.core.types import Json

NO_MORE = {"ANT", "SCG"}
"""Countries that are no more: their capitals would belong to two."""
NOT_THEIR_PROVINCES = {"AGO", "IOT", "SSD"}
"""Angola, British Indian Ocean Territory, South Sudan: the package lists provinces of other countries."""
PROVINCES_A_SENTENCE = 6
PROVINCES_A_PASSAGE = 12

_ARTICLE = re.compile(
    r"(Democratic )?Republic of|Isle of|United (States|Kingdom|Arab)|Federated States|"
    r".*(Islands|Lands|Territory| Republic)$|(Netherlands|Philippines|Maldives|Gambia|Comoros|Seychelles)$"
)


@dataclass(frozen=True, kw_only=True)
class Country:
    """What the package says of one country; `""`, `()` or 0 where it says nothing."""

    code: str
    """ISO 3166-1 alpha-3."""
    name: str
    capital: str
    region: str
    """Its part of a continent, e.g. `Southern Africa`."""
    continent: str
    area: float
    """km²."""
    population: int
    currencies: tuple[str, ...]
    """ISO 4217."""
    languages: tuple[str, ...]
    """ISO 639."""
    borders: tuple[str, ...]
    """Codes of the countries with a common border."""
    provinces: tuple[str, ...]
    demonym: str
    calling_code: str
    """With `+`."""
    domain: str
    """With the dot."""
    spellings: tuple[str, ...]
    """Other names of it."""

    @property
    def called(self) -> str:
        """The name as it stands in a sentence: `the Philippines`."""
        name = self.name.removeprefix("The ")
        return f"the {name}" if name != self.name or _ARTICLE.match(name) else name


@dataclass(frozen=True)
class Sentence:
    """One sentence, and the facts that it states: `capital`, `province/Bavaria`, …"""

    text: str
    facts: tuple[str, ...]


@dataclass(frozen=True)
class Passage:
    """What one title has to say."""

    title: str
    sentences: tuple[Sentence, ...]

    @property
    def text(self) -> str:
        return " ".join(one.text for one in self.sentences)


@dataclass(frozen=True)
class Atlas:
    """All countries and passages, in the order of the countries' codes."""

    countries: tuple[Country, ...]

    @cached_property
    def by_code(self) -> Mapping[str, Country]:
        return {one.code: one for one in self.countries}

    @cached_property
    def _pages(self) -> tuple[tuple[Country, Passage], ...]:
        return tuple(
            (country, Passage(title, tuple(sentence for _, sentence in group)))
            for country in self.countries
            for title, group in groupby(_sentences(country, self.by_code), key=itemgetter(0))
        )

    @cached_property
    def passages(self) -> tuple[Passage, ...]:
        return tuple(passage for _, passage in self._pages)

    @cached_property
    def _places(self) -> Mapping[tuple[str, str], tuple[str, int]]:
        return {
            (country.code, fact): (passage.title, number)
            for country, passage in self._pages
            for number, sentence in enumerate(passage.sentences)
            for fact in sentence.facts
        }

    def where(self, country: Country, fact: str) -> tuple[str, int]:
        """`(title, number of the sentence in it)`. KeyError for a fact that no passage states."""
        return self._places[country.code, fact]


def load_atlas() -> Atlas:
    """The package's countries with an ISO number, each once. Raises InputError when it is not installed."""
    try:
        from countryinfo import all_countries
    except ModuleNotFoundError as error:
        raise InputError(
            "the countries (package countryinfo) are not installed: pip install 'asyncgen[demo]'"
        ) from error
    best: dict[str, Mapping[str, Json]] = {}
    for one in all_countries():
        raw: Mapping[str, Json] = {**one.info()}
        code = raw["ISO"].get("alpha3")
        if not raw["ISO"].get("numeric") or code in NO_MORE:
            continue  # parts of others (Scotland), former names (Burma)
        # Of two entries for one country the one that says more, and in the right types.
        if code not in best or _worth(raw) > _worth(best[code]):
            best[code] = raw
    return Atlas(tuple(_country(code, best) for code in sorted(best)))


def _worth(raw: Mapping[str, Json]) -> tuple[bool, int]:
    return isinstance(raw.get("capital"), str), len(raw)


def _country(code: str, known: Mapping[str, Mapping[str, Json]]) -> Country:
    raw = known[code]
    return Country(
        code=code,
        name=raw["name"].strip(),
        capital=_text(raw.get("capital")),
        region=raw.get("intermediateregion") or raw.get("subregion") or "",
        continent=raw.get("region") or "",
        area=raw.get("area") or 0.0,
        population=raw.get("population") or 0,
        currencies=_texts(raw.get("currencies")),
        languages=tuple(one for one in _texts(raw.get("languages")) if len(one) == 2),
        borders=_borders(raw.get("borders"), known),
        provinces=_provinces(code, raw),
        demonym=_single(_text(raw.get("demonym")).split(",")),
        calling_code=next((f"+{one}" for one in (_single(raw.get("callingCodes")),) if one.isdigit()), ""),
        domain=_single(raw.get("tld")),
        spellings=tuple(one for one in _texts(raw.get("altSpellings")) if len(one) > 3 and one != raw["name"]),
    )


def _text(value: Json) -> str:
    return value.strip() if isinstance(value, str) else ""


def _texts(value: Json) -> tuple[str, ...]:
    """Each text of a list once, in its order."""
    return tuple(dict.fromkeys(text for one in value or () if (text := _text(one))))


def _single(value: Json) -> str:
    """The only one of a list; `""` where there are several."""
    texts = _texts(value)
    return texts[0] if len(texts) == 1 else ""


def _provinces(code: str, raw: Mapping[str, Json]) -> tuple[str, ...]:
    """None at all where there is only one: that is the country itself."""
    names = _texts(raw.get("provinces"))
    return () if len(names) == 1 or code in NOT_THEIR_PROVINCES else names


def _borders(value: Json, known: Mapping[str, Json]) -> tuple[str, ...]:
    """None at all where one of them is nobody's code: a part of the truth would be a lie (`only`, `two`)."""
    codes = _texts(value)
    return codes if all(code in known for code in codes) else ()


def _sentences(one: Country, by_code: Mapping[str, Country]) -> Iterator[tuple[str, Sentence]]:
    """`(title, sentence)`, those of a title together. Each sentence names its subject: it may be read alone."""
    who = one.called
    if one.region:
        yield one.name, Sentence(f"The region of {who} is {one.region}, its continent is {one.continent}.", ("region",))
    if one.capital:
        yield one.name, Sentence(_ended(f"The capital of {who} is {one.capital}"), ("capital",))
    if one.area:
        yield one.name, Sentence(f"The area of {who} is {one.area:,} km².", ("area",))
    if one.currencies:
        text = f"The currency of {who} has the ISO 4217 {_codes(one.currencies)}."
        yield f"Currency of {who}", Sentence(text, ("currency",))
    if one.calling_code:
        text = f"The telephone calling code of {who} is {one.calling_code}."
        yield f"Telephone and Internet of {who}", Sentence(text, ("calling_code",))
    if one.domain:
        text = f"The Internet domain of {who} is {one.domain}."
        yield f"Telephone and Internet of {who}", Sentence(text, ("domain",))
    if one.population:
        text = f"The population of {who} is {one.population:,}."
        yield f"People of {who}", Sentence(text, ("population",))
    if one.demonym:
        text = f"A person or thing from {who} is called {one.demonym}."
        yield f"People of {who}", Sentence(text, ("demonym",))
    if one.languages:
        text = f"What is spoken in {who} has the ISO 639-1 {_codes(one.languages)}."
        yield f"People of {who}", Sentence(text, ("language",))
    if one.borders:
        names = listed([by_code[code].called for code in one.borders])
        verb = f"The {len(one.borders)} countries that border {who} are"
        text = f"{verb} {names}." if len(one.borders) > 1 else f"The only country that borders {who} is {names}."
        yield f"Borders of {who}", Sentence(text, ("borders",))
    yield from _province_sentences(one)


def _ended(text: str) -> str:
    """With its full stop, and one alone after `Washington D.C.`."""
    return text if text.endswith(".") else f"{text}."


def _codes(codes: Sequence[str]) -> str:
    return f"code{'s' if len(codes) > 1 else ''} {listed(codes)}"


def _province_sentences(one: Country) -> Iterator[tuple[str, Sentence]]:
    who = one.called
    for start in range(0, len(one.provinces), PROVINCES_A_SENTENCE):
        names = one.provinces[start : start + PROVINCES_A_SENTENCE]
        page = start // PROVINCES_A_PASSAGE + 1
        title = f"Provinces of {who}" if page == 1 else f"Provinces of {who} ({page})"
        verb = "is a province" if len(names) == 1 else "are provinces"
        yield title, Sentence(f"{listed(names)} {verb} of {who}.", tuple(f"province/{name}" for name in names))


def listed(names: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join([*([", ".join(names[:-1])] if len(names) > 1 else []), *names[-1:]])


def write_corpus(path: Path, atlas: Atlas) -> int:
    """JSONL with `id`, `title`, `text`; the number of passages."""
    lines = [
        json.dumps({"id": str(number), "title": one.title, "text": one.text}, ensure_ascii=False)
        for number, one in enumerate(atlas.passages)
    ]
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return len(lines)
