"""Answers read out of solutions, and judged; the scores of a trace."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any, cast

import pytest
from support.maths_goldens import RIGHT
from support.maths_goldens_wrong import WRONG
from support.maths_world import JudgingContext, solution

from asyncgen.core.errors import EpisodeError, FailReason, InputError
from asyncgen.core.trace import Trace
from asyncgen.core.types import Sample, Scores
from asyncgen.rewards.maths import (
    MathReward,
    Rule,
    answer_of,
    is_truncated,
    judge_answer,
    judge_answers,
    judge_many,
)
from asyncgen.rewards.maths_forms import same_answer
from asyncgen.rewards.maths_original import original_answer, original_same
from asyncgen.rewards.maths_rows import check_math_columns, math_question, math_truth, raw_prompt
from asyncgen.rewards.maths_verify import expression


@pytest.mark.parametrize(("answer", "truth"), RIGHT)
def test_an_answer_that_says_the_same_is_right(answer: str, truth: str) -> None:
    assert judge_answer(answer, truth)


@pytest.mark.parametrize(("answer", "truth"), WRONG)
def test_an_answer_that_says_something_else_is_wrong(answer: str, truth: str) -> None:
    assert not judge_answer(answer, truth)


def test_there_are_enough_goldens() -> None:
    assert len(set(RIGHT)) >= 120
    assert len(set(WRONG)) >= 80


def test_most_answers_are_judged_without_math_verify() -> None:
    undecided = [pair for pair in RIGHT + WRONG if same_answer(*pair) is None]
    assert len(undecided) <= len(RIGHT + WRONG) / 10


def test_where_math_verify_finds_two_answers_equal_so_do_we() -> None:
    """The right goldens that it reads at all: none of them is lost by what is told without it."""
    from math_verify import parse, verify

    found = 0
    for answer, truth in RIGHT:
        theirs, ours = (parse(f"${text.strip('$')}$", parsing_timeout=None) for text in (truth, answer))
        if verify(theirs, ours, timeout_seconds=None):
            found += 1
            assert judge_answer(answer, truth)
    assert found > len(RIGHT) / 2


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"So \boxed{5}.", "5"),
        (r"First \boxed{3}, no: \boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{\sqrt{1+\frac{1}{4}}}", r"\sqrt{1+\frac{1}{4}}"),
        (r"<think>\boxed{1}</think> It is \boxed{2}", "2"),
        (r"half a thought \boxed{1}</think> It is 7", "7"),
        (r"<think>\boxed{1}", ""),
        (r"\boxed{}", ""),
        (r"\boxed{12", "12"),
        ("The answer is 42.", "42"),
        ("The final answer is: $x = 3$. Done.", "x = 3"),
        ("Answer: \\(\\frac{1}{2}\\)", r"\frac{1}{2}"),
        ("**Answer:** 17", "17"),
        ("Answer: yes.", "yes"),
        ("We get $a=1$ and then $b=2$.", "b=2"),
        ("Thus\n\\[ x^2 + 1 \\]", "x^2 + 1"),
        ("It costs 3 and then 1,250 dollars", "1,250"),
        ("It is -3/4", "-3/4"),
        ("I do not know.", ""),
        ("", ""),
    ],
)
def test_the_answer_is_the_last_box_else_what_is_called_so_else_the_last_formula_or_number(
    text: str, answer: str
) -> None:
    assert answer_of(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"\boxed{\frac{1}{2}}", r"\frac{1"),
        (r"\boxed{1} then \boxed{2}", "1"),
        (r"\boxed{ 7 }", "7"),
        (r"\boxed{}", ""),
        ("The answer is 3.5", "3"),
        ("the answer is 12, I think", "12"),
        ("Therefore, x is 4; done", "x is 4"),
        ("So 5\nThe answer is 6", "6"),
        ("Also so, hence 9", "so"),
        ("Hence 9", "9"),
        ("thus\n8 apples.", "8 apples"),
        ("Answer: 17", "17"),
        ("Result 3", "3"),
        ("We compute.\n\n42\n", "42"),
        ("We compute.\n42\n\\end{align}", "42"),
        (r"<think>\boxed{-999}</think> \boxed{52}", "-999"),
        (r"\boxed{5", r""),
        (r"\boxed{" * 200_000, ""),
        (r"\boxed{" * 3 + "7}", r"\boxed{\boxed{7"),
        ("x" * 50, ""),
        ("x" * 49, "x" * 49),
        ("", ""),
    ],
)
def test_the_original_rule_reads_as_the_scripts_did(text: str, answer: str) -> None:
    assert original_answer(text) == answer


@pytest.mark.parametrize(
    ("answer", "truth", "same"),
    [
        ("42", "42", True),
        ("42.0", "42", True),
        ("42.0000005", "42", True),
        ("42.00001", "42", False),
        ("$42$", "42", True),
        ("X = 5", "x=5", True),
        ("x5", "x=5", True),
        (r"\frac{1", r"\frac{1}{2}", False),
        (r"\frac{1}{2}", r"\frac{1}{2}", True),
        ("1/2", "0.5", False),
        ("(1, 2)", "(1,2)", True),
        ("nan", "nan", True),
        ("nan", "5", False),
        ("", "", False),
        ("5", "", False),
    ],
)
def test_the_original_rule_compares_as_the_scripts_did(answer: str, truth: str, same: bool) -> None:
    assert original_same(answer, truth) is same
    assert judge_answer(answer, truth, "original") is same


def test_a_nested_box_is_right_by_the_one_rule_and_wrong_by_the_other() -> None:
    pairs = [(r"So \boxed{\frac{1}{2}}", r"\frac{1}{2}"), (r"So \boxed{7}", "7"), ("nothing", "7")]
    assert judge_many(pairs) == ["right", "right", "wrong"]
    assert judge_many(pairs, "original") == ["wrong", "right", "wrong"]


HOSTILE = [
    "(" * 100_000,
    "\\frac{" * 20_000,
    "9" * 100_000,
    "\\text{" * 500,
    "{" * 25 + "x" + "}" * 25,
    "a_" * 900,
    "1," * 1000,
    "\x00\ud800",
    "__import__('os').system('true')",
    "\\begin{pmatrix}" * 100,
    "$" * 2000,
    "\\pm" * 60,
    "=" * 100,
    "(10^9)!",
    "10^{10^{10}}",
    "-" * 2000 + "1",
    "5" + "/m" * 900,
    "5 " + "million " * 240,
    "1e99999999",
]


@pytest.mark.parametrize("answer", HOSTILE, ids=lambda text: text[:12].encode("unicode_escape").decode())
def test_hostile_answers_are_told_from_the_truth_in_no_time_before_math_verify_is_asked(answer: str) -> None:
    assert not same_answer(answer, "5")
    assert not same_answer("5", answer)
    assert answer_of(answer) is not None
    assert isinstance(original_answer(answer), str)


def test_an_answer_over_the_bounds_is_still_itself() -> None:
    assert judge_answer("9" * 100_000, "9" * 100_000)


def test_a_hanging_answer_is_given_up_by_its_own_clock_and_the_next_one_is_judged() -> None:
    assert judge_answers([("10^{10^{10}}+x", "2x"), ("5", "5"), ("2 < x", "x > 2")]) == ["unknown", "right", "right"]


def test_what_is_no_expression_is_none() -> None:
    assert expression("}{") is None
    assert expression("x+1") is not None


def test_judging_simple_answers_loads_no_sympy() -> None:
    import subprocess

    code = (
        "from asyncgen.rewards.maths import judge_answers; import sys; "
        "print(judge_answers([('1/2', '0.5'), ('7', '8')]), 'sympy' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "['right', 'wrong'] False\n"


# rows


def test_a_question_is_looked_for_in_its_places_in_order() -> None:
    rows: list[dict[str, Any]] = [
        {"question": "q", "problem": "p"},
        {"question": " ", "problem": "p"},
        {"prompt": [{"role": "user", "content": "first"}, {"role": "user", "content": "second"}]},
        {"prompt": "text", "extra_info": {"question": "e"}},
        {"prompt": [], "extra_info": {"question": "e"}},
    ]
    assert [math_question(row) for row in rows] == ["q", "p", "first", "text", "e"]


def test_a_truth_is_looked_for_in_its_places_in_order() -> None:
    rows: list[dict[str, Any]] = [
        {"extra_info": {"answer": "1"}, "answer": "2"},
        {"extra_info": {"answer": ""}, "answer": "2", "gt_answer": "3"},
        {"answer": None, "gt_answer": 3},
        {"answer": True, "reward_model": {"ground_truth": "4"}},
        {"target": 0.5},
        {"target": 0.00001},
        {"target": 1e16},
    ]
    assert [math_truth(row) for row in rows] == ["1", "2", "3", "4", "0.5", "0.00001", "10000000000000000"]


def test_a_row_without_question_or_truth_is_a_bad_sample_that_says_where_was_looked() -> None:
    with pytest.raises(EpisodeError, match=r"no question.*question, problem, prompt, extra_info.question") as caught:
        math_question({"prompt": [None], "extra_info": 3})
    assert caught.value.reason is FailReason.BAD_SAMPLE
    with pytest.raises(
        EpisodeError, match=r"no answer.*extra_info.answer, answer, gt_answer, reward_model.ground_truth"
    ):
        math_truth({"answer": "  ", "target": True})


def test_a_dataset_without_a_place_for_either_is_refused() -> None:
    check_math_columns(["problem", "extra_info"])
    with pytest.raises(InputError, match="no answer: it is looked for in"):
        check_math_columns(["problem", "solution"])
    with pytest.raises(InputError, match="no question"):
        check_math_columns(["answer"])


def test_a_raw_prompt_keeps_its_blanks() -> None:
    assert raw_prompt({"prompt": [{"role": "user", "content": " q\n"}]}) == " q\n"
    assert raw_prompt({"prompt": 3}) == ""


# the reward


async def scores(trace: Trace, truth: str = r"\frac{1}{2}", rule: Rule = "verify") -> Scores:
    sample = Sample(index=0, data={"answer": truth})
    return await MathReward(rule=rule)(JudgingContext().context, sample, trace)


@pytest.mark.parametrize(
    ("trace", "expected"),
    [
        (solution(r"\boxed{0.5}", "0.5"), (1.0, True, False)),
        (solution(r"\boxed{0.6}", "0.6"), (0.0, True, False)),
        (solution("hm", stop="no_answer"), (0.0, False, False)),
        (solution("so far", finish_reason="length", stop="length"), (0.0, False, True)),
        (solution(r"\boxed{0.5} and then", "0.5", finish_reason="length", stop="length"), (0.0, True, True)),
        (solution(r"\boxed{10^{10^{10}}+x}", "10^{10^{10}}+x"), (0.0, False, False)),
    ],
    ids=["right", "wrong", "no answer", "truncated", "truncated after its answer", "cannot be told"],
)
async def test_the_scores_of_a_solution(trace: Trace, expected: tuple[float, bool, bool]) -> None:
    found = await scores(trace)
    assert list(found) == ["score", "parse_success", "truncated"]
    assert tuple(found.values()) == expected
    assert [type(value) for value in found.values()] == [float, bool, bool]


async def test_the_original_rule_reads_the_whole_text() -> None:
    trace = solution(r"\boxed{\frac{1}{2}}", r"\frac{1}{2}")
    assert (await scores(trace))["score"] == 1.0
    assert (await scores(trace, rule="original"))["score"] == 0.0


async def test_the_original_rule_reads_the_thinking_too() -> None:
    text = r"<think>maybe \boxed{-999}</think> So \boxed{52}"
    assert judge_many([(text, "52")], "original") == ["wrong"]
    assert judge_many([(text, "52")]) == ["right"]
    trace = replace(solution(text, "52"), final_response=r"So \boxed{52}")
    assert (await scores(trace, "52", "original"))["score"] == 0.0
    assert (await scores(trace, "52"))["score"] == 1.0


async def test_a_row_without_a_truth_is_a_bad_sample() -> None:
    with pytest.raises(EpisodeError, match="no answer"):
        await scores(solution("5", "5"), truth="")


def test_a_rule_that_there_is_not_is_refused() -> None:
    with pytest.raises(InputError, match="give verify or original"):
        MathReward(rule=cast("Rule", "fuzzy"))


def test_a_solution_is_truncated_when_its_last_turn_was_cut_off() -> None:
    assert is_truncated(solution("", finish_reason="length"))
    assert is_truncated(solution("", stop="length"))
    assert not is_truncated(solution(""))
