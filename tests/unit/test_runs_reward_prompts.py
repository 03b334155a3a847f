"""Prompts in their many forms, and the response in a decoded sequence."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncgen.runs.reward_prompts import chat_of, prompt_keys, response_of

CHATML = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhere?<|im_end|>\n<|im_start|>assistant\n"
LLAMA = (
    "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nWhere?<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n"
)
GEMMA = "<bos><start_of_turn>user\nWhere?<end_of_turn>\n<start_of_turn>model\n"
DEEPSEEK = "<｜begin▁of▁sentence｜>Be brief.<｜User｜>Where?<｜Assistant｜>"
SAID = "<think>a sign</think>\n<answer>$italy,lazio$</answer>"
CHAT: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "image", "image": "photos/7.jpg"}, {"type": "text", "text": "Where?"}]},
]


@pytest.mark.parametrize("before", [CHATML, LLAMA, GEMMA, DEEPSEEK, "<|endoftext|><|endoftext|>" + CHATML, ""])
@pytest.mark.parametrize(
    "after", ["", "<|im_end|>", "<|im_end|>\n<|endoftext|>", "<|eot_id|>", "</s></s>", "<end_of_turn>"]
)
def test_the_response_stands_after_the_assistants_header_and_before_the_end(before, after):
    assert response_of(before + SAID + after) == SAID


def test_a_prompt_is_taken_off_the_front_whatever_its_template():
    prompt = "[INST] Where? [/INST]"
    assert response_of(f"{prompt} {SAID}</s>", prompt) == SAID
    assert response_of(CHATML + SAID, CHATML) == SAID
    bare = CHATML.removesuffix("<|im_start|>assistant\n")
    assert response_of(CHATML + SAID + "<|im_end|>", bare) == SAID


def test_a_header_that_the_model_wrote_opens_nothing():
    wrong = f"I do not know.\n<|im_start|>assistant\n{SAID}"
    assert response_of(CHATML + wrong) == wrong
    assert response_of(wrong) == wrong
    assert response_of(f"{CHATML}no<|im_end|>\n<|im_start|>assistant\n{SAID}<|im_end|>") == "no"


def test_turns_that_the_prompt_has_of_the_assistant_are_no_response():
    chat = [*CHAT, {"role": "assistant", "content": "Rome"}, {"role": "user", "content": "Sure?"}]
    query = f"{CHATML}Rome<|im_end|>\n<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\n{SAID}<|im_end|>"
    assert response_of(query, json.dumps(chat)) == SAID
    assert response_of(query, chat) == SAID


def test_a_mark_of_html_inside_the_response_stays():
    assert response_of("<s>old</s> new</s>\n</s>") == "<s>old</s> new"


@pytest.mark.parametrize("wrap", [lambda one: one, json.dumps, lambda one: json.dumps(json.dumps(one))])
def test_a_chat_is_one_in_any_wrapping(wrap):
    assert chat_of(wrap(CHAT)) == CHAT
    assert prompt_keys(wrap(CHAT)) == prompt_keys(CHAT)


@pytest.mark.parametrize("other", ["[1, 2]", "Where?", '"Where?"', "{}", [], None, 7, ["Where?"], [{"content": "x"}]])
def test_what_is_no_chat_is_none(other):
    assert chat_of(other) is None


def test_the_order_of_keys_blanks_and_nulls_of_another_row_make_no_difference():
    other = [
        {"content": "Be brief.", "role": "system"},
        {
            "role": "user",
            "content": [
                {"image": "photos/7.jpg", "text": None, "type": "image"},
                {"text": "Where?", "image": None, "type": "text"},
            ],
        },
    ]
    assert prompt_keys(json.dumps(other, indent=2)) == prompt_keys(json.dumps(CHAT))


def test_what_the_user_said_last_is_the_same_in_a_chat_and_in_its_template():
    templated = CHATML.replace("Where?", "<|vision_start|><|image_pad|><|vision_end|>Where?")
    said = {prompt_keys(one)[-1] for one in (CHAT, templated, LLAMA, GEMMA, DEEPSEEK, "Where?\n", "<image>Where?")}
    assert said == {"said Where?"}


def test_another_picture_is_another_prompt():
    other = json.dumps(CHAT).replace("7.jpg", "8.jpg")
    assert prompt_keys(other)[0] != prompt_keys(CHAT)[0]


@settings(max_examples=100, deadline=None)
@given(st.text(), st.text() | st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=5))))
def test_no_text_makes_it_fail(query, prompt):
    assert response_of(query, prompt) in query
    assert all(key.encode() for key in prompt_keys(prompt))


@pytest.mark.parametrize(
    "piece", ["</s>", "<|im_start|>assistant\n", "<|im_end|>", " ", "<|", "[", '"', '{"a":', "<｜User｜>", "<image>"]
)
def test_the_work_is_linear(piece):
    text = piece * (1_000_000 // len(piece))
    began = time.process_time()
    response_of(text, text)
    response_of("x" + text, "y")
    prompt_keys(text)
    assert time.process_time() - began < 8  # quadratic work on a megabyte takes minutes
