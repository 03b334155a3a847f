"""Multi-hop questions about countries, with exact answers, made from the facts that the passages state.

Knows which facts point to one country alone, and how several of them make a question. Draws with a seed.
Knows nothing of how the passages read, nor who will search them.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from asyncgen.core.errors import InputError
from asyncgen.core.types import Json
from asyncgen.embedded.countries import Atlas, Country

CLEARLY = 1.05
"""A country has more people than another from this factor on: counts differ from year to year."""
SHORTEST_NAME = 4
"""Letters of a province that a question is about."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """One question, its answer and the sentences that give it."""

    kind: str
    text: str
    answers: tuple[str, ...]
    """The answer first, then other accepted spellings."""
    facts: tuple[tuple[Country, str], ...]
    """Whose which fact is needed, in the order of the steps."""


def make_questions(atlas: Atlas, count: int, *, seed: int = 0) -> list[Question]:
    """`count` questions, the kinds in turn, no two of a kind about the same country. Raises InputError for more than
    there are."""
    rng = random.Random(seed)  # noqa: S311  # a reproducible draw, not a secret
    facts = _Facts(atlas)
    piles = [list(make(facts, rng)) for make in KINDS]
    for pile in piles:
        rng.shuffle(pile)
    found = [pile[turn] for turn in range(max(map(len, piles))) for pile in piles if turn < len(pile)]
    if count > len(found):
        raise InputError(f"{count} questions are asked for: the countries give {len(found)}")
    return found[:count]


def row(question: Question, atlas: Atlas) -> dict[str, Json]:
    """As datasets of multi-hop questions have it: `supporting_facts` names passages by title, and their sentences."""
    places = [atlas.where(country, fact) for country, fact in question.facts]
    return {
        "question": question.text,
        "answer": question.answers[0],
        "golden_answers": list(question.answers),
        "supporting_facts": {"title": [title for title, _ in places], "sent_id": [number for _, number in places]},
        "hops": len(question.facts),
        "kind": question.kind,
    }


def write_questions(path: Path, count: int, *, seed: int, atlas: Atlas) -> None:
    """JSONL, a row a question. Raises InputError for more than there are."""
    rows = [row(question, atlas) for question in make_questions(atlas, count, seed=seed)]
    path.write_text("".join(f"{json.dumps(one, ensure_ascii=False)}\n" for one in rows), "utf-8")


@dataclass(frozen=True)
class _Facts:
    """The facts of an atlas as questions need them."""

    atlas: Atlas

    def _alone(self, value: Callable[[Country], str]) -> list[Country]:
        """The countries whose value nobody else has."""
        counts = Counter(value(one).casefold() for one in self.atlas.countries)
        return [one for one in self.atlas.countries if value(one) and counts[value(one).casefold()] == 1]

    @cached_property
    def by_capital(self) -> list[Country]:
        """Those that their capital points to, and does not name: of Singapore it would ask for Singapore."""
        names = {one.name.casefold() for one in self.atlas.countries}
        alone = self._alone(lambda one: one.capital)
        return [one for one in alone if not any(name in one.capital.casefold() for name in names)]

    @cached_property
    def by_domain(self) -> list[Country]:
        """Those that their Internet domain points to."""
        return self._alone(lambda one: one.domain)

    @cached_property
    def with_provinces(self) -> list[tuple[Country, list[str]]]:
        """Countries with the provinces that only they have, and that are no country, capital or number."""
        everywhere = Counter(name.casefold() for one in self.atlas.countries for name in one.provinces)
        taken = {name.casefold() for one in self.atlas.countries for name in (one.name, one.capital, *one.spellings)}
        found = []
        for one in self.atlas.countries:
            names = [name for name in one.provinces if everywhere[name.casefold()] == 1 and _is_name(name)]
            if names := [name for name in names if name.casefold() not in taken]:
                found.append((one, names))
        return found

    def neighbours(self, one: Country, count: int) -> list[Country]:
        """The countries that border it, when there are `count` of them and each of both sides says so."""
        known = self.atlas.by_code
        says_so = {other.code for other in self.atlas.countries if one.code in other.borders}
        if len(one.borders) != count or says_so != set(one.borders):
            return []
        return [known[code] for code in one.borders]

    @cached_property
    def spellings(self) -> Counter[str]:
        """How many countries go by a name."""
        each = ({text.casefold() for text in (one.name, *one.spellings)} for one in self.atlas.countries)
        return Counter(name for names in each for name in names)

    def names_of(self, one: Country) -> tuple[str, ...]:
        """The country as an answer: its name, and other spellings that are nobody else's."""
        return (one.name, *(text for text in one.spellings if self.spellings[text.casefold()] == 1))


def _is_name(text: str) -> bool:
    return len(text) >= SHORTEST_NAME and all(letter.isalpha() or letter in " -'" for letter in text)


def _currency_of_capital(facts: _Facts, _: random.Random) -> Iterator[Question]:
    for one in facts.by_capital:
        if len(one.currencies) == 1:
            yield Question(
                kind="currency_of_capital",
                text=f"Which currency (ISO 4217 code) is used in the country whose capital is {one.capital}?",
                answers=one.currencies,
                facts=((one, "capital"), (one, "currency")),
            )


def _language_of_province(facts: _Facts, rng: random.Random) -> Iterator[Question]:
    for one, names in facts.with_provinces:
        if len(one.languages) == 1:
            name = rng.choice(names)
            yield Question(
                kind="language_of_province",
                text=f"Which language (ISO 639-1 code) is spoken in the country that has the province {name}?",
                answers=one.languages,
                facts=((one, f"province/{name}"), (one, "language")),
            )


def _capital_of_province(facts: _Facts, rng: random.Random) -> Iterator[Question]:
    for one, names in facts.with_provinces:
        if one.capital:
            name = rng.choice(names)
            yield Question(
                kind="capital_of_province",
                text=f"What is the capital of the country that has the province {name}?",
                answers=(one.capital,),
                facts=((one, f"province/{name}"), (one, "capital")),
            )


def _capital_of_domain(facts: _Facts, _: random.Random) -> Iterator[Question]:
    for one in facts.by_domain:
        if one.capital:
            yield Question(
                kind="capital_of_domain",
                text=f"What is the capital of the country whose Internet domain is {one.domain}?",
                answers=(one.capital,),
                facts=((one, "domain"), (one, "capital")),
            )


def _demonym_of_capital(facts: _Facts, _: random.Random) -> Iterator[Question]:
    for one in facts.by_capital:
        if one.demonym:
            yield Question(
                kind="demonym_of_capital",
                text=f"What is a person called who is from the country whose capital is {one.capital}?",
                answers=(one.demonym,),
                facts=((one, "capital"), (one, "demonym")),
            )


def _capital_of_only_neighbour(facts: _Facts, _: random.Random) -> Iterator[Question]:
    for one in facts.atlas.countries:
        for other in facts.neighbours(one, 1):
            if other.capital:
                yield Question(
                    kind="capital_of_only_neighbour",
                    text=f"What is the capital of the only country that borders {one.called}?",
                    answers=(other.capital,),
                    facts=((one, "borders"), (other, "capital")),
                )


def _currency_of_only_neighbour(facts: _Facts, _: random.Random) -> Iterator[Question]:
    for one in facts.by_capital:
        for other in facts.neighbours(one, 1):
            if len(other.currencies) == 1:
                start = f"the country whose capital is {one.capital}"
                yield Question(
                    kind="currency_of_only_neighbour",
                    text=f"Which currency (ISO 4217 code) is used in the only country that borders {start}?",
                    answers=other.currencies,
                    facts=((one, "capital"), (one, "borders"), (other, "currency")),
                )


def _larger_neighbour(facts: _Facts, _: random.Random) -> Iterator[Question]:
    for one in facts.atlas.countries:
        pair = sorted(facts.neighbours(one, 2), key=lambda other: other.population)
        if len(pair) == 2 and 0 < pair[0].population * CLEARLY < pair[1].population:
            yield Question(
                kind="larger_neighbour",
                text=f"Which of the two countries that border {one.called} has more people?",
                answers=facts.names_of(pair[1]),
                facts=((one, "borders"), (pair[0], "population"), (pair[1], "population")),
            )


def _more_people(facts: _Facts, rng: random.Random) -> Iterator[Question]:
    known = [one for one in facts.by_capital if one.population]
    rng.shuffle(known)
    for one, other in zip(known[::2], known[1::2], strict=False):
        more, fewer = sorted((one, other), key=lambda each: -each.population)
        if more.population > fewer.population * CLEARLY:
            yield Question(
                kind="more_people",
                text=f"Which has more people: the country whose capital is {one.capital}, "
                f"or the one whose capital is {other.capital}?",
                answers=facts.names_of(more),
                facts=tuple((each, fact) for each in (one, other) for fact in ("capital", "population")),
            )


KINDS: Sequence[Callable[[_Facts, random.Random], Iterator[Question]]] = (
    _currency_of_capital,
    _capital_of_province,
    _capital_of_only_neighbour,
    _larger_neighbour,
    _capital_of_domain,
    _demonym_of_capital,
    _language_of_province,
    _currency_of_only_neighbour,
    _more_people,
)
