"""Prompts in their many forms, and the response in a decoded sequence."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncgen.runs.reward_chats import chat_of
from asyncgen.runs.reward_prompts import prompt_keys
from asyncgen.runs.reward_templates import response_of

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


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<unk><s>[INST] Where? [/INST] ", "</s>"),
        ("A chat between a user and an assistant. USER: Where? ASSISTANT: ", "</s>"),
        ("[gMASK]<sop><|user|>\nWhere?<|assistant|>\n", "<|user|>"),
        ("<|header_start|>user<|header_end|>\n\nWhere?<|eot|><|header_start|>assistant<|header_end|>\n\n", "<|eot|>"),
        (("<BOS_TOKEN><|START_OF_TURN_TOKEN|><|USER_TOKEN|>Where?<|END_OF_TURN_TOKEN|>"
         "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>"), "<|END_OF_TURN_TOKEN|>"),
        (("<|start|>user<|message|>Where?<|end|><|start|>assistant<|channel|>analysis<|message|>hm<|end|>"
         "<|start|>assistant<|channel|>final<|message|>"), "<|return|>"),
        ("<|im_start|>user<|im_sep|>Where?<|im_end|><|im_start|>assistant<|im_sep|>", "<|im_end|>"),
        ("<|start_of_role|>user<|end_of_role|>Where?<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>",
         "<|end_of_text|>[PAD]<|finetune_right_pad_id|>"),
        ("<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>", "<|return|>"),
    ],
)  # fmt: skip
def test_the_response_is_found_in_other_templates(before, after):
    assert response_of(before + SAID + after, "Where?") == SAID


def test_the_last_turn_of_several_is_the_response():
    middle = "a call<|im_end|>\n<|im_start|>user\n<tool_response>x</tool_response><|im_end|>\n"
    query = f"{CHATML}{middle}<|im_start|>assistant\n{SAID}<|im_end|>\n"
    for prompt in (None, CHATML, CHAT):
        assert response_of(query, prompt) == SAID


def test_a_response_that_cannot_be_told_from_the_prompt_is_none():
    asked = "In which country was this?"
    for query in (f"### Human: {asked}\n### Bot: {SAID}", f"{{user}} {asked} {{bot}} {SAID}"):
        assert response_of(query, asked + "\n") is None
        assert response_of(query, [{"role": "user", "content": asked}]) is None
    answered = [{"role": "user", "content": asked}, {"role": "assistant", "content": "Rome"}, *CHAT]
    assert response_of(f"{LLAMA}{SAID}", answered) is None
    assert response_of(SAID + asked, asked) == SAID + asked


def test_a_mark_inside_a_response_alone_cuts_nothing():
    assert response_of(f"the mark <|end|> closes. {SAID}<|end|>") == f"the mark <|end|> closes. {SAID}"


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


def test_a_chat_in_words_is_the_same_as_in_its_template():
    asked = [{"role": "user", "content": "Where?"}]
    brief = [{"role": "system", "content": [{"type": "text", "text": "Be brief."}]}, *asked]
    for forms in ([asked, "Where?\n", LLAMA, GEMMA, "<s>[INST] Where? [/INST]"], [brief, CHATML, DEEPSEEK]):
        assert len({prompt_keys(one)[-1] for one in forms}) == 1
    default = CHATML.replace("Be brief.", "You are a helpful assistant.")
    assert prompt_keys(default)[-1] == prompt_keys(asked)[-1] != prompt_keys(CHATML)[-1]


def test_history_system_and_pictures_make_another_prompt():
    asked = {"role": "user", "content": "Where?"}
    others = [CHAT, [*CHAT, asked], [asked, {"role": "assistant", "content": "Rome"}, asked], CHATML, "<image>Where?"]
    assert not any(set(prompt_keys(one)) & set(prompt_keys([asked])) for one in others)


def test_another_picture_is_another_prompt():
    other = json.dumps(CHAT).replace("7.jpg", "8.jpg")
    assert prompt_keys(other)[0] != prompt_keys(CHAT)[0]


@settings(max_examples=100, deadline=None)
@given(st.text(), st.text() | st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=5))))
def test_no_text_makes_it_fail(query, prompt):
    assert (response_of(query, prompt) or "") in query
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
