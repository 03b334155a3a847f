"""`accept` as SQL: names, types, hostile values, and what is said before there is any trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from support.store_fakes import a_trace

from asyncgen.core.errors import InputError
from asyncgen.core.trace import Trace
from asyncgen.core.types import Sample, StopReason, ToolMode
from asyncgen.engine.episode import Finish
from asyncgen.engine.ledger import Account, Origin, build_trace
from asyncgen.runs.acceptance import Condition, kinds_of
from asyncgen.store.card import METADATA
from asyncgen.tasks.geo import Geo

DATA = {
    "country": "VARCHAR",
    "score": "DOUBLE",
    "hard@": "BIGINT",
    'a"b': "VARCHAR",
    "seen": "BOOLEAN",
    "Lat": "DOUBLE",
}


def trace_of(index: int = 0, *, answer: str = "", scores: Any = None, **data: Any) -> Trace:
    made = a_trace(index)
    reward = {**Geo.scores, **(scores or {})}
    headline = {name: reward[key] for name, key in Geo.headline.items()}
    return replace(made, reward_score=reward, sample_data=data, answer=answer, metadata={**made.metadata, **headline})


@contextmanager
def condition(where: str, data: dict[str, str] = DATA) -> Iterator[Condition]:
    made = Condition(where, kinds_of(Geo(), data))
    try:
        yield made
    finally:
        made.close()


def verdicts(where: str, *traces: Trace) -> list[Any]:
    with condition(where) as made:
        return made.judge(traces)


def refused(where: str, data: dict[str, str] = DATA) -> str:
    with pytest.raises(InputError) as caught:
        Condition(where, kinds_of(Geo(), data))
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(f"accept {where!r}: ")
    return text.removeprefix(f"accept {where!r}: ")


def test_the_documented_filter_tells_good_from_bad() -> None:
    good = trace_of(1, scores={"parse_success": True, "distance@km": 10.0, "score": 0.9})
    far = trace_of(2, scores={"parse_success": True, "distance@km": 9000.0, "score": 0.9})
    assert verdicts('parse_success and "distance@km" < 5000 and score > 0.3', good, far, trace_of(3)) == [
        True,
        False,
        False,
    ]


def test_a_bare_name_is_the_first_part_that_has_it() -> None:
    trace = trace_of(7, scores={"score": 0.9}, score=0.1, country="france", seen=True)
    assert verdicts("score > 0.5", trace) == [True]
    assert verdicts("data.score < 0.5 and reward.score > 0.5 and meta.score > 0.5", trace) == [True]
    assert verdicts("country = 'france' and seen and total_turns >= 0", trace) == [True]
    assert verdicts("sample_index = 7 and id like '%/7/0' and rollout = 0", trace) == [True]
    assert verdicts('LAT is null and "Lat" is null', trace) == [True]


def test_names_with_signs_and_quotes_work_in_double_quotes() -> None:
    trace = trace_of(**{"hard@": 2**63, 'a"b': "x"})
    assert verdicts('"hard@" * 4 > 1 and "a""b" = \'x\'', trace) == [True]


@pytest.mark.parametrize("hostile", ["') or true --", "\ud800", "\x00", "a" * 100_000, "?", "$1"])
def test_what_a_model_says_is_a_value_and_never_sql(hostile: str) -> None:
    traces = [trace_of(1, answer=hostile), trace_of(2, answer="42")]
    assert verdicts("answer = '42'", *traces) == [False, True]


@pytest.mark.parametrize("value", [[1], {"a": 1}, "text", True, None, float(2**70)])
def test_a_value_of_another_type_than_its_column_is_null(value: Any) -> None:
    odd, even = trace_of(1, **{"hard@": value}), trace_of(2, **{"hard@": 3})
    assert verdicts('"hard@" is null', odd, even) == [True, False]


def test_a_value_that_cannot_be_computed_with_spoils_no_other_trace() -> None:
    traces = [trace_of(n, answer="x" if n in {3, 9} else str(n)) for n in range(12)]
    found = verdicts("answer::int % 2 = 0", *traces)
    assert [one for n, one in enumerate(found) if n not in {3, 9}] == [n % 2 == 0 for n in range(12) if n not in {3, 9}]
    assert all("Could not convert string 'x'" in found[n] for n in (3, 9))


def test_null_is_not_accepted() -> None:
    assert verdicts("country = 'x'", trace_of(country=None)) == [False]


@pytest.mark.parametrize(
    ("where", "part"),
    [
        ("scor > 1", "no column 'scor': did you mean 'score'?; before a name reward., meta., data. say which is meant"),
        ("score >", "the condition ends too early"),
        ("(score > 1", "a ')' is missing"),
        ("distance@km < 5", 'write "distance@km" in double quotes'),
        ("country = france", "a text needs single quotes: 'france'"),
        ("reward.scor > 1", "no column 'scor' there: did you mean 'score'?"),
        ("data.distance_km > 1", "no column 'distance_km' there"),
        ("count(*) > 1", "cannot contain aggregates"),
        ("score > ?", "Values were not provided"),
        ("true) or (true", "give one condition"),
        ("true; drop table x", 'syntax error at or near ";"'),
        ("exists (select 1 from read_csv('/etc/passwd'))", ""),
        ("exists (select 1 from '/etc/passwd')", ""),
    ],
)
def test_what_is_wrong_is_said_before_there_is_any_trace(where: str, part: str) -> None:
    assert part in refused(where)


def test_names_that_differ_only_in_case_are_refused() -> None:
    assert "differ only in case" in refused("lat > 1", {"Lat": "DOUBLE", "lat": "DOUBLE"})


def test_the_types_of_the_metadata_are_those_that_the_engine_writes() -> None:
    trace = build_trace(
        Origin(job="j", config_id="c", dataset_path="d"),
        Sample(index=0, data={}),
        0,
        turns=(),
        pictures=(),
        finish=Finish(stop=StopReason.ANSWERED, answer="", final_response=""),
        account=Account(mode=ToolMode.NONE, seconds=0.0, attempts=1),
    )
    assert {name: type(value) for name, value in trace.metadata.items()} == dict(METADATA)
