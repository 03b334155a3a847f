"""What rules change: settings of rows, and the config_id of those that shape text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from asyncgen.config.load import jobs_folder, resolve
from asyncgen.config.schema import Episode, Job, Rule, Sampling
from asyncgen.runs.rules import RowSettings, most_tokens, rule_notes, selection_of
from asyncgen.runs.shape import shape_of, temperatures_of
from asyncgen.source.base import RowRule, Selected
from asyncgen.store.run_file import digest
from asyncgen.tasks.geo import Geo, GeoTools

RULES = (
    Rule(where="a", max_turns=15, temperature=0.8, limit=2),
    Rule(where="b", max_tokens=99, rollouts=3),
    Rule(where="c", drop=True),
)
JOB = Job(task="geo", rules=RULES, sampling=Sampling(seed=5, top_p=0.9), episode=Episode(max_turns=4, rollouts=2))
SETTINGS = RowSettings(job=JOB, rule_of=np.asarray([0, 1, -1], dtype=np.int8))


def test_a_rule_puts_its_own_in_the_place_of_the_jobs_settings() -> None:
    assert [SETTINGS.max_turns(index) for index in range(3)] == [15, 4, 4]
    assert SETTINGS.sampling(0, 1) == {"temperature": 0.8, "max_tokens": 2048, "top_p": 0.9, "seed": 6}
    assert SETTINGS.sampling(1, 0) == {"temperature": 0.7, "max_tokens": 99, "top_p": 0.9, "seed": 5}
    assert SETTINGS.sampling(2, 0) == {"temperature": 0.7, "max_tokens": 2048, "top_p": 0.9, "seed": 5}


def test_rollouts_are_one_number_where_no_rule_says_otherwise() -> None:
    rollouts = SETTINGS.rollouts(np.asarray([2, 1, 0, 1]))
    assert isinstance(rollouts, np.ndarray)
    assert rollouts.tolist() == [2, 3, 2, 3]
    assert RowSettings(job=Job(task="geo", rules=RULES[:1]), rule_of=np.zeros(3, np.int8)).rollouts(np.arange(3)) == 1
    assert RowSettings(job=JOB).rollouts(np.arange(3)) == 2


def test_every_rollout_that_a_rule_may_ask_for_has_a_temperature() -> None:
    assert JOB.most_rollouts == 3
    assert temperatures_of(JOB) == [0.7] * 3


def test_the_most_that_an_episode_may_generate_is_that_of_the_longest_rule() -> None:
    assert most_tokens(JOB) == (15 + 1) * 2048
    assert most_tokens(Job(task="geo")) == 11 * 2048


def shape(*rules: Rule) -> dict[str, Any]:
    return shape_of(Job(task="geo", rules=rules), Geo(), [], ["m"], "f")


PLAIN = Rule(where="a")


@pytest.mark.parametrize(
    "rules",
    [
        (PLAIN,),
        (Rule(where="a", limit=3),),
        (Rule(where="a", rollouts=3), Rule(where="b", drop=True)),
        (Rule(where="b", drop=True),),
    ],
)
def test_rules_that_choose_and_count_rows_are_no_part_of_the_config(rules: tuple[Rule, ...]) -> None:
    assert shape(*rules) == shape()


def test_what_shapes_text_is_in_the_config_with_the_rows_that_it_holds_for() -> None:
    assert shape(*RULES)["rules"] == {
        "order": ["a", "b"],
        "where": {"a": {"max_turns": 15, "temperature": 0.8}, "b": {"max_tokens": 99}},
    }
    shapes = [
        shape(Rule(where="a", max_turns=1), Rule(where="b", max_turns=1)),
        shape(Rule(where="b", max_turns=1), Rule(where="a", max_turns=1)),
        shape(Rule(where="a", max_turns=1)),
        shape(Rule(where="b", max_turns=1)),
        shape(Rule(where="a", max_turns=2)),
        shape(Rule(where="a", temperature=0.0)),
        shape(PLAIN, Rule(where="b", max_turns=1)),
    ]
    assert len({digest(one) for one in shapes}) == len(shapes)
    same = shape(Rule(where="a", max_turns=1, limit=3, rollouts=9), Rule(where="c", drop=True))
    assert same == shape(Rule(where="a", max_turns=1))
    assert shape(Rule(where="a", max_turns=1), Rule(where="c", limit=5)) == same  # as rows of no rule


def test_the_source_is_told_where_and_limits_alone() -> None:
    assert selection_of(JOB, Geo()).rules == (
        RowRule(where="a", limit=2),
        RowRule(where="b"),
        RowRule(where="c", drop=True),
    )


def test_a_line_for_each_rule_says_how_many_rows_it_took() -> None:
    selected = Selected(indexes=np.arange(3), taken=(5, 1, 4), left_out=(3, 0, 4))
    assert rule_notes(JOB, selected) == [
        "rules[0] (a): 5 rows, 3 of them left out",
        "rules[1] (b): 1 rows",
        "rules[2] (c): 4 rows, 4 of them left out",
    ]
    assert rule_notes(Job(task="geo"), Selected(indexes=np.arange(3))) == []


def test_the_stages_of_the_built_in_job_are_those_of_the_document() -> None:
    job = resolve(jobs_folder() / "geo-stages.yaml", environ={}, flags={"dataset.path": "x"})
    kept = [(one.max_turns, one.temperature, one.limit) for one in job.rules if not one.drop]
    assert kept == [(15, 0.8, 1000), (10, 0.7, 5000), (8, 0.7, 10000)]
    assert (job.task, job.dataset.order, job.dataset.num_samples) == ("geo-tools", "hardest_first", -1)
    assert job.rules[-1] == Rule(where="true", drop=True)
    assert all("locatability_score" in one.where for one in job.rules[:-1])
    assert GeoTools.difficulty == "locatability_score"
