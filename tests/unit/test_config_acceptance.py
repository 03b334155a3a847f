"""accept, until_accepted, stop_after_accepted, stop_when, rules: where they may stand, and what is wrong with one."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncgen.config.knobs import section_knobs
from asyncgen.config.load import resolve
from asyncgen.config.schema import Job, Rule
from asyncgen.core.errors import InputError

BASE = "task: geo\ndataset: {path: x}\n"


def load(tmp_path: Path, text: str, **flags: str) -> Job:
    path = tmp_path / "job.yaml"
    path.write_text(BASE + text)
    return resolve(path, environ={}, flags=flags)


def test_the_four_are_knobs_and_rules_are_not() -> None:
    top = {one.name: (one.flags, one.variable) for one in section_knobs() if not one.section}
    assert top == {
        "name": (("--name",), "ASYNCGEN_NAME"),
        "accept": (("--accept",), "ASYNCGEN_ACCEPT"),
        "until_accepted": (("--until-accepted",), "ASYNCGEN_UNTIL_ACCEPTED"),
        "stop_after_accepted": (("--stop-after-accepted",), "ASYNCGEN_STOP_AFTER_ACCEPTED"),
        "stop_when": (("--stop-when",), "ASYNCGEN_STOP_WHEN"),
    }
    assert all(one.docstring for one in section_knobs() if not one.section)


def test_flags_beat_variables_and_those_the_file(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(BASE + "accept: a\nuntil_accepted: 1\nstop_after_accepted: 5\nepisode: {rollouts: 9}\n")
    environ = {"ASYNCGEN_ACCEPT": "b: c", "ASYNCGEN_UNTIL_ACCEPTED": "2"}
    job = resolve(path, environ=environ, flags={"until_accepted": "3"})
    assert (job.accept, job.until_accepted, job.stop_after_accepted) == ("b: c", 3, 5)


@pytest.mark.parametrize("text", ["accept: null\nrules: null\n", "rules: []\n", "accept: ' '\n", ""])
def test_nothing_and_null_are_the_same(tmp_path: Path, text: str) -> None:
    job = load(tmp_path, text)
    assert (job.condition, job.rules, job.until_accepted) == (None, (), None)


def test_rules_are_read_in_their_order(tmp_path: Path) -> None:
    job = load(tmp_path, "rules: [{where: 'a < 1', max_turns: 3, temperature: 1}, {where: 'true', drop: true}]\n")
    assert job.rules == (Rule(where="a < 1", max_turns=3, temperature=1.0), Rule(where="true", drop=True))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("until_accepted: 1\n", "until_accepted needs accept"),
        ("accept: x\nuntil_accepted: 2\n", "until_accepted is 2, and rollouts is 1"),
        ("accept: x\nuntil_accepted: 0\n", "until_accepted is 0: give 1 or more, or null"),
        ("stop_after_accepted: -1\n", "stop_after_accepted is -1: give 1 or more, or null"),
        ("stop_after_accepted: many\n", "stop_after_accepted: it is a text; give a whole number"),
        ("stop_when: mixd\n", "stop_when: 'mixd' is no choice: did you mean 'mixed'?"),
        ("stop_when: mixed\nstop_after_accepted: 5\n", "stop_when and stop_after_accepted: each says when"),
        ("accept: x\nuntil_accepted: 1\nstop_when: mixed\n", "stop_when and until_accepted: each says when"),
        ("stop_when: mixed\nepisode: {rollouts: 32769}\n", "stop_when may ask for 65538 rollouts of a row"),
        (
            "stop_when: mixed\nepisode: {rollouts: 2}\nsampling: {temperatures: [0.1, 0.2]}\n",
            "sampling.temperatures has 2 values for 4 rollouts",
        ),
        ("rules: {where: x}\n", "rules must be a list of mappings"),
        ("rules: [x]\n", "rules must be a list of mappings"),
        ("rules: [{where: x}, {max_turns: 3}]\n", "rules[1] has no where: give a condition"),
        ("rules: [{where: x, max_turn: 3}]\n", "unknown key 'rules[0].max_turn': did you mean 'max_turns'?"),
        ("rules: [{where: true}]\n", "rules[0].where: it is a truth value; give a text"),
        ("rules: [{where: ''}]\n", "rules[0].where is empty"),
        ("rules: [{where: x, max_turns: [3]}]\n", "rules[0].max_turns: it is a list; give a whole number"),
        ("rules: [{where: x, limit: 0}]\n", "rules[0].limit is 0: give 1 or more"),
        ("rules: [{where: x, max_turns: 0}]\n", "rules[0].max_turns is 0: give 1 or more"),
        ("rules: [{where: x, max_tokens: 0}]\n", "rules[0].max_tokens is 0: give 1 or more"),
        ("rules: [{where: x, rollouts: 0}]\n", "rules[0].rollouts is 0: give 1 or more"),
        ("rules: [{where: x, rollouts: 70000}]\n", "rules[0].rollouts is 70000: give 1 to 65536"),
        ("rules: [{where: x, temperature: -0.1}]\n", "rules[0].temperature is -0.1: give 0 or more"),
        ("rules: [{where: x, temperature: .nan}]\n", "rules[0].temperature is nan: give a finite number"),
        ("rules: [{where: x, drop: true, limit: 3}]\n", "rules[0].drop stands beside limit"),
        (
            "sampling: {temperatures: [0.1]}\nrules: [{where: x, temperature: 1}]\n",
            "rules[0].temperature: sampling.temperatures has one for each rollout already",
        ),
        (
            "sampling: {temperatures: [0.1]}\nrules: [{where: x, rollouts: 2}]\n",
            "sampling.temperatures has 1 values for 2 rollouts",
        ),
        (f"rules: [{', '.join(['{where: x}'] * 101)}]\n", "rules has 101: give 100 at most"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("accept", "condition"), [("null", "score = 1"), ("' '", "score = 1"), ("a > 2", "a > 2")])
def test_with_stop_when_right_is_what_is_accepted_and_by_default_a_score_of_one(
    tmp_path: Path, accept: str, condition: str
) -> None:
    job = load(tmp_path, f"stop_when: mixed\naccept: {accept}\n")
    assert (job.stop_when, job.condition) == ("mixed", condition)
    assert load(tmp_path, "stop_when: null\n").condition is None


def test_a_rule_with_more_rollouts_may_be_sampled_until_more_are_accepted(tmp_path: Path) -> None:
    job = load(tmp_path, "accept: x\nuntil_accepted: 3\nrules: [{where: y, rollouts: 4}]\n")
    assert job.most_rollouts == 4
