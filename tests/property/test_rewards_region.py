"""What holds of the region job's rewards for any text, and of the original's rule by a second computation of it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.region_traces import answered, row

from asyncgen.core.thinking import split_thinking
from asyncgen.rewards.format import in_format
from asyncgen.rewards.length import LengthReward
from asyncgen.rewards.process_judge import verdict_of
from asyncgen.rewards.region import region_matches
from asyncgen.rewards.region_rows import region_truth
from asyncgen.rewards.region_text import region_answer, split_place
from asyncgen.rewards.seekworld import edit_distance, seekworld_accuracy

PIECES = (
    "<think>", "</think>", "<answer>", "</answer>", "<思考>", "</思考>", "<答案>", "</ 答案 >", "<answer>$",
    "$</answer>", "$", ",", "，", "/", " ", "\n", "italy", "Lazio", "latium", "korea", "republic of", "province",
    " city", "Country: ", "[1]", "hebei", "hubei", "*",
)  # fmt: skip
TEXT = st.text(max_size=80) | st.lists(st.sampled_from(PIECES), max_size=14).map("".join)
TAGS = st.lists(st.sampled_from(["<think>", "</think>", "<answer>", "</answer>", " ", "x"]), max_size=9).map("".join)
WORD = st.sampled_from(["hebei", "hubei", "shanxi", "shaanxi", "new", "news", "a", "city", "province", "län", "oblast"])
REGION = st.lists(WORD, max_size=3).map(" ".join)


@cache
def distance(one: str, other: str) -> int:
    """Levenshtein's, from its definition."""
    if not one or not other:
        return len(one) + len(other)
    replaced = distance(one[1:], other[1:]) + (one[0] != other[0])
    return min(replaced, distance(one[1:], other) + 1, distance(one, other[1:]) + 1)


def plain(region: str) -> list[str]:
    text = region.lower().strip()
    endings = ("province", "sheng", "län", "oblast", "governorate", "city", "province", "state", "territory", "region")
    for ending in (*endings, "district"):
        text = re.sub(rf" {ending}\Z", "", text)
    return text.strip().split()


def paired(given: list[str], true: list[str]) -> bool:
    taken: set[int] = set()
    for word in given:
        free = [at for at in range(len(true)) if at not in taken and distance(word, true[at]) < 3]
        if not free:
            return False
        taken.add(free[0])
    return bool(given) and len(taken) == len(true)


def naive_accuracy(response: str, truth: str) -> float:
    found = re.search(r"<answer>\$(.*?)\$</answer>", response)
    given = found[1].strip().split(",") if found else []
    true = truth.strip().strip("$").strip().split(",")
    if len(given) != 2 or len(true) != 2 or given[0].strip().lower() != true[0].strip().lower():
        return 0.0
    return float(any(paired(plain(given[1]), plain(name)) for name in true[1].split("/")))


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["china", "China ", "korea"]), REGION, st.lists(REGION, min_size=1, max_size=3), TEXT)
def test_the_originals_rule_is_what_its_words_say(country: str, region: str, true: list[str], before: str) -> None:
    truth = f"$china,{'/'.join(true)}$"
    response = f"{before}<answer>${country},{region}$</answer>"
    assert seekworld_accuracy(response, truth) == naive_accuracy(response, truth)


@settings(max_examples=100, deadline=None)
@given(TEXT)
def test_the_originals_rule_finds_what_its_expression_finds(text: str) -> None:
    for truth in ("$italy,lazio/latium$", text):
        assert seekworld_accuracy(text, truth) == naive_accuracy(text, truth)


@settings(max_examples=100, deadline=None)
@given(st.text("abc", max_size=7), st.text("abc", max_size=7), st.integers(1, 5))
def test_the_edit_distance_is_the_defined_one_up_to_its_limit(one: str, other: str, limit: int) -> None:
    assert edit_distance(one, other, limit) == min(distance(one, other), limit)


@settings(max_examples=100, deadline=None)
@given(TEXT | TAGS)
def test_the_format_is_what_the_originals_expression_says(text: str) -> None:
    pattern = r"^<think>(?:(?!</think>).)*</think>\s*<answer>(?:(?!</answer>).)*</answer>$"
    stripped = text.strip()
    kept = re.match(pattern, stripped, re.DOTALL) and stripped.count("<think>") == stripped.count("<answer>") == 1
    assert in_format(text, "en") == bool(kept)


@settings(max_examples=100, deadline=None)
@given(TEXT)
def test_no_text_is_too_strange_to_be_read(text: str) -> None:
    truth = region_truth({"answer": "$italy,lazio/latium$"})
    for lenient in (False, True):
        pair = region_answer(text, lenient=lenient)
        if pair:
            country, region = region_matches(pair, truth)
            assert country or not region
    thinking, visible = split_thinking(text)
    assert len(thinking) + len(visible) <= len(text)
    assert 0.0 <= float(LengthReward()(None, row(), answered(text))["length"]) <= 1.0  # type: ignore[arg-type]  # unused
    assert verdict_of(text) in {0.0, 1.0}


@settings(max_examples=100, deadline=None)
@given(TEXT)
def test_a_place_that_was_read_is_read_again(text: str) -> None:
    pair = split_place(text)
    assert pair is None or all(pair)


HOSTILE = (
    "<", "< ", "</", "<answer>", "<answer>$", "<answer>a,", "<think>", "</think>", "<think></think>", "[1", "国家",
    ", ", "$", "\\boxed{", "*", "\n", " ",
)  # fmt: skip
READERS: dict[str, Callable[[str], Any]] = {
    "answer": lambda text: region_answer(text, lenient=True),
    "accuracy": lambda text: seekworld_accuracy(text, "$a,b$"),
    "format": in_format,
    "length": lambda text: LengthReward()(None, row(), answered(text)),  # type: ignore[arg-type]  # the context is unused
    "verdict": verdict_of,
}


@pytest.mark.parametrize("reader", READERS)
def test_much_of_anything_is_read_in_linear_time(reader: str) -> None:
    for piece in HOSTILE:
        text = piece * (400_000 // len(piece))
        begun = time.process_time()
        READERS[reader](text)
        READERS[reader](f"<answer>{text}</answer>")
        # Linear takes well under a second; quadratic takes minutes.
        assert time.process_time() - begun < 20, (reader, piece)
