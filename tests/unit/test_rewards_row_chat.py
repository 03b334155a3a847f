"""A row's own chat: its forms, its images, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.context import ref

from asyncgen.core.chat import LONGEST, chat_images, image_paths, message_of, message_parts
from asyncgen.core.errors import EpisodeError
from asyncgen.core.types import Sample
from asyncgen.rewards.row_chat import chat_prompt

CHAT = [
    {"role": "system", "content": "Think first."},
    {
        "role": "user",
        "content": [
            {"type": "image", "image": "photos/a.jpg"},
            {"type": "text", "text": "Where?"},
            {"type": "image_url", "image_url": {"url": "file:///data/b.jpg"}},
        ],
    },
]


@pytest.mark.parametrize("message", [CHAT, tuple(CHAT), json.dumps(CHAT), json.dumps(json.dumps(CHAT))])
def test_a_chat_is_a_list_or_its_json_once_or_twice(message: Any) -> None:
    assert message_of({"message": message}) == CHAT
    assert image_paths({"message": message}) == ("photos/a.jpg", "/data/b.jpg")


@pytest.mark.parametrize("data", [{}, {"message": None}, {"message": ""}])
def test_a_row_without_a_chat_has_none(data: dict[str, Any]) -> None:
    assert message_of(data) is None
    assert message_parts(data) == ()
    assert image_paths(data) == ()
    assert chat_prompt(Sample(index=0, data=data)) == []


def test_the_prompt_is_the_chat_with_the_images_in_their_places() -> None:
    first, second = ref(b"1"), ref(b"2")
    system, user = chat_prompt(Sample(index=0, data={"message": CHAT}, images=(first, second)))
    assert (system.role, system.content) == ("system", "Think first.")
    assert (user.role, user.parts) == ("user", (first, "Where?", second))


def test_an_image_mark_in_a_rows_text_is_text() -> None:
    (user,) = chat_prompt(
        Sample(index=0, data={"message": [{"role": "user", "content": "<image> {x}"}]}, images=(ref(b"1"),))
    )
    assert user.content == "<image> {x}"


def test_images_that_are_not_there_are_a_bad_image() -> None:
    with pytest.raises(EpisodeError, match="names 2 images, and 1 are there") as caught:
        chat_prompt(Sample(index=0, data={"message": CHAT}, images=(ref(b"1"),)))
    assert caught.value.reason == "bad_image"


def said(*content: Any) -> dict[str, Any]:
    return {"message": [{"role": "user", "content": list(content)}]}


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"message": "{"}, "it is no JSON"),
        ({"message": "[" * 100_000}, "it is no JSON"),
        ({"message": "x" * (LONGEST + 1)}, "characters"),
        ({"message": json.dumps(json.dumps(json.dumps(CHAT)))}, "it is str"),
        ({"message": {"role": "user"}}, "it is dict"),
        ({"message": []}, "it is list"),
        ({"message": ["Where?"]}, "message 0 has the role None"),
        ({"message": [{"role": "tool", "content": "x"}]}, "the role 'tool'"),
        ({"message": [{"role": ["user"], "content": "x"}]}, "the role"),
        ({"message": [{"role": "user"}]}, "content of message 0 is NoneType"),
        (said({"type": "video", "video": "a.mp4"}), "type 'video'"),
        (said({"type": "text"}), "type 'text'"),
        (said(7), "type None"),
        (said({"type": "image", "image": ""}), "give the path of a file"),
        (said({"type": "image", "image": {"bytes": "x"}}), "give the path of a file"),
        (said({"type": "image", "image": "a\0.jpg"}), "give the path of a file"),
        (said({"type": "image", "image": "https://example.com/a.jpg"}), "give the path of a file"),
        (said({"type": "image_url", "image_url": {"url": "HTTP://example.com/a.jpg"}}), "give the path of a file"),
        (said({"type": "image_url", "image_url": "data:image/png;base64,AAAA"}), "give the path of a file"),
        (said({"type": "image", "image": "file://http://example.com"}), "give the path of a file"),
    ],
)
def test_what_is_no_chat_of_texts_and_files_is_a_bad_sample(data: dict[str, Any], text: str) -> None:
    with pytest.raises(EpisodeError, match=text) as caught:
        message_parts(data)
    assert caught.value.reason == "bad_sample"


@pytest.mark.parametrize(
    "value", [None, "", "just a text", "[broken", '"[]"', 7, [], [{"role": "robot", "content": ""}]]
)
def test_a_cell_that_is_no_chat_names_no_images(value: Any) -> None:
    assert chat_images(value) == ()
    assert chat_images(CHAT) == ("photos/a.jpg", "/data/b.jpg")
