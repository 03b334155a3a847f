"""The country and the region that a text answers: its tags, its marks, its commas."""

from __future__ import annotations

import pytest

from asyncgen.core.thinking import split_thinking
from asyncgen.rewards.region_text import LONGEST, region_answer, split_place
from asyncgen.rewards.tags import tagged_answer


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("<think>Lazio.</think><answer>$italy,lazio$</answer>", ("italy", "lazio")),
        ("<think>\nx\n</think>\n\n<answer>italy, lazio</answer>", ("italy", "lazio")),
        ("<answer>$Italy, Lazio$</answer>", ("Italy", "Lazio")),
        ("<answer> $ Italy , Lazio $ </answer>", ("Italy", "Lazio")),
        ("< answer >Italy,Lazio</ answer >", ("Italy", "Lazio")),
        ("<ANSWER>Italy,Lazio</Answer>", ("Italy", "Lazio")),
        ("<思考>像丽江</思考><答案>$中国,云南$</答案>", ("中国", "云南")),
        ("<思考>\n像丽江。\n</ 思考 >\n< 答案 >\n中国，云南\n</ 答案>", ("中国", "云南")),
        ("<答案>中国、云南省</答案>", ("中国", "云南省")),
        ("<answer>中国，云南。</answer>", ("中国", "云南")),
        ("<answer>日本\n東京都</answer>", ("日本", "東京都")),
        ("<answer>Rome?</answer> no: <answer>Italy, Lazio</answer>", ("Italy", "Lazio")),
        ("<answer>Spain, Madrid</answer> no: <answer>Italy, Lazio", ("Spain", "Madrid")),
        ("<think><answer>Spain, Madrid</answer></think><answer>Italy, Lazio</answer>", ("Italy", "Lazio")),
        ("Spain, Madrid?</think><answer>Italy, Lazio</answer>", ("Italy", "Lazio")),
        ("<answer>**Italy**, *Lazio*</answer>", ("Italy", "Lazio")),
        ("<answer>Country: Italy, Region: Lazio</answer>", ("Italy", "Lazio")),
        ("<answer>**Country:** Italy\n**State:** Lazio</answer>", ("Italy", "Lazio")),
        ("<answer>- Country: Italy;\n- First-level administrative region: Lazio.</answer>", ("Italy", "Lazio")),
        ("<answer>country=italy, administrative_area_level_1=lazio</answer>", ("italy", "lazio")),
        ("<answer>Region: Lazio, Country: Italy</answer>", ("Italy", "Lazio")),
        ("<answer>国家：中国，省份：云南省</answer>", ("中国", "云南省")),
        ("<答案>国家：中国\n一级行政区：云南省</答案>", ("中国", "云南省")),
        ('<answer>{"country": "Italy", "region": "Lazio"}</answer>', ("Italy", "Lazio")),
        ("<answer>Korea, Republic of, Seoul</answer>", ("Korea, Republic of", "Seoul")),
        ("<answer>Iran, Islamic Republic of, Nowhere Land</answer>", ("Iran, Islamic Republic of", "Nowhere Land")),
        ("<answer>United States, Washington, D.C.</answer>", ("United States", "Washington, D.C")),
        ("<answer>Atlantis, High, Low</answer>", ("Atlantis", "High, Low")),
    ],
)
def test_a_place_is_read_in_the_last_closed_answer_outside_of_the_thinking(text: str, wanted: tuple[str, str]) -> None:
    assert region_answer(text) == wanted
    assert region_answer(text, lenient=True) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Italy, Lazio",
        "<answer></answer>",
        "<answer>$$</answer>",
        "<answer>Italy</answer>",
        "<answer>Italy,</answer>",
        "<answer>,Lazio</answer>",
        "<answer>Italy, Lazio",
        "Italy, Lazio</answer>",
        "<answer>Italy, Lazio</答案>",
        "<think><answer>Italy, Lazio</answer></think>",
        "<思考><答案>意大利，拉齐奥</答案></ 思考 >",
        "<think>never closed <answer>Italy, Lazio</answer>",
        f"<answer>Italy, {'x' * LONGEST}</answer>",
        "<answer>a, b, c, d, e, f, g, h, i</answer>",
    ],
)
def test_what_is_no_closed_answer_with_two_names_is_none(text: str) -> None:
    assert region_answer(text) is None


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("<answer>Italy, Lazio", ("Italy", "Lazio")),
        (r"So \boxed{Italy, Lazio}.", ("Italy", "Lazio")),
        ("I think.\nFinal answer: Italy, Lazio.", ("Italy", "Lazio")),
        ("答案：意大利，拉齐奥", ("意大利", "拉齐奥")),
        ("<answer>Italy</answer>", ("Italy", "")),
        ("<answer>Somewhere</answer>", None),
        ("Italy, Lazio", None),
        ("<think>x", None),
    ],
)
def test_at_the_end_a_weaker_form_and_a_known_country_alone_count(text: str, wanted: tuple[str, str] | None) -> None:
    assert region_answer(text, lenient=True) == wanted


def test_an_answer_that_is_read_again_is_the_same() -> None:
    for text in ("korea, republic of, seoul", "Country: Italy; Region: Lazio", "united states, washington, d.c."):
        pair = split_place(text)
        assert pair
        assert split_place(", ".join(pair)) == pair


@pytest.mark.parametrize(
    ("text", "thinking", "visible"),
    [
        ("<think>a</think>b", "a", "b"),
        ("<思考>甲</ 思考 >乙", "甲", "乙"),
        ("a</think>b", "a", "b"),
        ("<think>a<think>b</think>c", "a<think>b", "c"),
        ("<think>a</think>b<thinking>c</thinking>d", "a\nc", "bd"),
        ("<think>a", "a", ""),
        ("b", "", "b"),
        ("＜think＞a", "", "＜think＞a"),
    ],
)
def test_thinking_and_what_is_seen_are_taken_apart(text: str, thinking: str, visible: str) -> None:
    assert split_thinking(text) == (thinking, visible)


def test_blanks_in_a_tag_are_few() -> None:
    assert tagged_answer("<\n answer >x</answer\t>") == "x"
    assert tagged_answer(f"<{' ' * 17}answer>x</answer>") is None
