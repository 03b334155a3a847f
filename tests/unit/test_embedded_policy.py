"""What the endpoint says next, with eyes that see what the test says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest
from PIL import Image
from support.embedded_world import TEXT_TOOLS, TOOLS, applied, boxed, eyes, kilometres, tile, user

from asyncgen.core.types import Json
from asyncgen.embedded.conversation import ROTATE, ZOOM, BadRequest, read_conversation
from asyncgen.embedded.matcher import Match, Near
from asyncgen.embedded.pictures import Shot
from asyncgen.embedded.policy import Reply, decide, token_count

WEAK = Match(0.5, 10, 20, 30, 0.5)
STRONG = Match(0.97, 11, 21, 30, 0.5)
LANDSCAPE = Image.new("RGB", (60, 48), "green")
PORTRAIT = Image.new("RGB", (48, 60), "green")
CROP = Image.new("RGB", (20, 16), "red")


@dataclass
class SeenBySize:
    """Matches by the picture's size; remembers how it was asked."""

    by_size: Mapping[tuple[int, int], Match]
    detail: float = 5.0
    asked: list[tuple[int, Near | None]] = field(default_factory=list)

    def match(self, shot: Shot, *, turn: int = 0, near: Near | None = None) -> Match:
        self.asked.append((turn, near))
        return self.by_size[shot.width, shot.height]

    def centre_detail(self, shot: Shot, share: float) -> float:
        return self.detail


def native_call(name: str, arguments: Mapping[str, Json]) -> dict[str, Json]:
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"role": "assistant", "content": "", "tool_calls": [{"id": "c", "type": "function", "function": function}]}


def reply(messages: list[Json], sees: Mapping[tuple[int, int], Match], **body: Json) -> Reply:
    return decide(read_conversation({"messages": messages, "tools": TOOLS, **body}), SeenBySize(sees))


def turned(angle: float, picture: Image.Image | None) -> list[Json]:
    """A rotate call and its result; without a picture, the call failed."""
    result = {"role": "tool", "tool_call_id": "c", "content": "Error: no" if picture is None else "Rotated."}
    shown = [] if picture is None else [user("<tool_response>\n", picture, "\n</tool_response>")]
    return [native_call(ROTATE, {"angle": angle}), result, *shown]


def test_a_weak_match_asks_for_the_next_orientation():
    said = reply([user("Where?", LANDSCAPE)], {(60, 48): WEAK})
    assert said.call == (ROTATE, {"angle": 90})
    assert "weak" in said.content
    assert "0.500" in said.reasoning


def test_an_orientation_is_asked_for_once_even_if_the_tool_failed():
    messages = [user(LANDSCAPE), *turned(90, None), *turned(180, LANDSCAPE)]
    assert reply(messages, {(60, 48): WEAK}).call == (ROTATE, {"angle": 270})
    narrow = replace(WEAK, span=8)
    assert reply([*messages, *turned(270, None)], {(60, 48): narrow}).call is None


def test_a_strong_wide_match_asks_for_the_middle_third_in_pixels():
    said = reply([user(LANDSCAPE)], {(60, 48): STRONG})
    assert said.call == (ZOOM, {"bbox_2d": [20, 16, 40, 32], "label": "centre"})


def test_a_less_wide_match_asks_for_the_middle_half():
    said = reply([user(LANDSCAPE)], {(60, 48): replace(STRONG, span=15)})
    assert said.call == (ZOOM, {"bbox_2d": [15, 12, 45, 36], "label": "centre"})


@pytest.mark.parametrize(
    ("words", "box"),
    [
        ("in coordinates of 0-1000", [333, 333, 667, 667]),
        ("0-1 of the picture", [0.3333, 0.3333, 0.6667, 0.6667]),
        ("in pixels", [20, 16, 40, 32]),
    ],
)
def test_corners_are_in_the_unit_that_the_schema_asks_for(words, box):
    tools = [{"type": "function", "function": {"name": ZOOM, "description": words}}]
    said = reply([user(LANDSCAPE)], {(60, 48): STRONG}, tools=tools)
    assert said.call == (ZOOM, {"bbox_2d": box, "label": "centre"})
    again = [user(LANDSCAPE), native_call(*said.call), user(CROP)]
    seen = read_conversation({"messages": again, "tools": tools}).seen
    assert seen[1].share == pytest.approx(1 / 3, abs=1e-3)


def test_a_closer_look_is_matched_upright_near_the_first_place_and_decides():
    zoom = native_call(ZOOM, {"bbox_2d": [20, 16, 40, 32]})
    messages = [user(LANDSCAPE), *turned(90, PORTRAIT), zoom, user(CROP)]
    sight = SeenBySize({(60, 48): WEAK, (48, 60): STRONG, (20, 16): Match(0.95, 11.5, 21.5, 10, 0.5)})
    said = decide(read_conversation({"messages": messages, "tools": TOOLS}), sight)
    assert boxed(said.content) == (11.5, 21.5)
    turn, near = sight.asked[-1]
    assert turn == 90
    assert near == Near(11, 21, pytest.approx(10), pytest.approx(3.6))


def test_a_closer_look_that_does_not_fit_leaves_the_first_place():
    messages = [user(LANDSCAPE), native_call(ZOOM, {"bbox_2d": [20, 16, 40, 32]}), user(CROP)]
    assert boxed(reply(messages, {(60, 48): STRONG, (20, 16): WEAK}).content) == (11, 21)


def test_in_the_current_frame_each_turn_counts_from_the_latest_picture():
    tools = json.loads(json.dumps(TOOLS).replace("the original picture", "the current picture"))
    messages = [user(LANDSCAPE), *turned(90, PORTRAIT)]
    sees = {(60, 48): WEAK, (48, 60): WEAK}
    said = reply(messages, sees, tools=tools)
    assert said.call == (ROTATE, {"angle": 90})
    further = [*messages, *turned(90, LANDSCAPE)]
    assert [one.angle for one in read_conversation({"messages": further, "tools": tools}).seen] == [0, 90, 180]
    failing = [user(LANDSCAPE), *turned(90, None), *turned(90, None), *turned(90, None)]
    narrow = {(60, 48): replace(WEAK, span=8)}
    assert reply(failing, narrow, tools=tools).call is None


def test_without_tools_the_best_guess_is_the_answer():
    said = reply([user(LANDSCAPE), *turned(90, PORTRAIT)], {(60, 48): WEAK, (48, 60): WEAK}, tools=None)
    assert said.call is None
    assert boxed(said.content) == (10, 20)
    assert "guess" in said.content


def test_tool_choice_none_is_an_answer():
    assert reply([user(LANDSCAPE)], {(60, 48): WEAK}, tool_choice="none").call is None


def test_tools_of_another_name_are_not_called():
    tools = [{"type": "function", "function": {"name": "search"}}]
    assert reply([user(LANDSCAPE)], {(60, 48): WEAK}, tools=tools).call is None


def test_text_calls_are_written_when_the_system_prompt_teaches_them():
    system = {"role": "system", "content": TEXT_TOOLS}
    first = reply([system, user(LANDSCAPE)], {(60, 48): WEAK}, tools=None)
    assert first.call is None
    assert '<tool_call>\n{"name":"image_rotate_tool","arguments":{"angle":90}}\n</tool_call>' in first.content
    messages = [
        system,
        user(LANDSCAPE),
        {"role": "assistant", "content": first.content},
        user("<tool_response>\nRotated.\n", PORTRAIT, "\n</tool_response>"),
    ]
    second = reply(messages, {(60, 48): WEAK, (48, 60): STRONG}, tools=None)
    assert ZOOM in second.content
    assert "\\boxed" not in second.content


@pytest.mark.parametrize("joined", [True, False])
def test_text_calls_stop_when_the_user_asks_for_the_answer(joined):
    asks = "Give your best estimate now."
    result = ("<tool_response>\n", PORTRAIT, "\n</tool_response>")
    ends = [user(*result, asks)] if joined else [user(*result), user(asks)]
    called = '<tool_call>\n{"name": "image_rotate_tool", "arguments": {"angle": 90}}\n</tool_call>'
    messages = [
        {"role": "system", "content": TEXT_TOOLS},
        user(LANDSCAPE),
        {"role": "assistant", "content": called},
        *ends,
    ]
    said = reply(messages, {(60, 48): WEAK, (48, 60): WEAK}, tools=None)
    assert "<tool_call>" not in said.content
    assert boxed(said.content) == (10, 20)


def test_a_conversation_without_a_picture_gets_the_plain_truth():
    said = reply([{"role": "user", "content": "Hello"}], {})
    assert "not a language model" in said.content
    assert said.call is None


def test_the_words_follow_what_is_seen():
    narrow = replace(STRONG, span=8)
    coast = reply([user(LANDSCAPE)], {(60, 48): narrow}).content
    sea = reply([user(LANDSCAPE)], {(60, 48): replace(narrow, land=0.0)}).content
    assert "coastline" in coast
    assert "sea floor" in sea


def test_pictures_whose_place_cannot_be_told_are_left_out():
    messages = [
        user(LANDSCAPE),
        *turned(45, PORTRAIT),
        native_call(ZOOM, {"bbox_2d": [0, 0, 20, 16]}),
        user(CROP),
        native_call("search", {}),
        user(CROP),
        {"role": "assistant", "tool_calls": [{"function": {"name": ROTATE, "arguments": "{broken"}}, 7]},
        user(CROP),
    ]
    assert len(read_conversation({"messages": messages, "tools": TOOLS}).seen) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": []},
        {"messages": "hi"},
        {"messages": ["hi"]},
        {"messages": [{"role": "user", "content": 7}]},
        {"messages": [{"role": "user", "content": ["text"]}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x/y.jpg"}}]}]},
    ],
)
def test_a_malformed_request_is_refused(body):
    with pytest.raises(BadRequest):
        read_conversation(body)


def test_tokens_are_counted_from_texts_and_pixels():
    conversation = read_conversation({"messages": [user("x" * 400, LANDSCAPE)]})
    assert token_count(conversation) == 100 + 60 * 48 // 784


def test_the_same_messages_give_the_same_reply_and_a_turned_tile_is_found_in_the_end():
    lat, lon = 38.0, 24.0
    original = tile(lat, lon, 24).rotate(90, expand=True)
    messages = [user("Where?", original)]
    angles = []
    for _ in range(6):
        body = {"messages": messages, "tools": TOOLS}
        said = decide(read_conversation(body), eyes())
        assert said == decide(read_conversation(json.loads(json.dumps(body))), eyes())
        if said.call is None:
            break
        angles.append(said.call[1].get("angle"))
        messages += [native_call(*said.call), user(applied(*said.call, original))]
    assert kilometres((lat, lon), boxed(said.content)) < 25
    assert angles == [90, 180, 270, None]
