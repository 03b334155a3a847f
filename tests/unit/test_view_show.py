"""A trace as text, and the block a sample."""

from __future__ import annotations

import pytest
from support.traces import call, failed_line, geo_scores, message, trace_line, turn, two_turns

from asyncgen.core.errors import InputError
from asyncgen.export.trace_folder import trace_line as read_line
from asyncgen.view.show import render_block, render_trace
from asyncgen.view.terminal import clean

EXPECTED = """\
geo-tools/42/0
stop: answered   turns: 2   tool calls: 1
answer: 1.5, 2.5   truth: lat=1, lon=2
scores: score 0.9, distance@km 157.27, geoguessr@point 4500, parse_success true, acc@1km 0, acc@25km 0, acc@200km 1, \
acc@750km 1, acc@2500km 1

── turn 1 ──
system:
  You are a geographer.
user:
  [image 0: sample 'image' 640x480]
  Where is this?
thinking:
  A sign.
response:
  Let me look closer.
call image_zoom_in_tool {"bbox_2d": [1, 2, 30, 40]} → ok, 0.02 s
[100 + 20 tokens, 1.50 s, 1 attempt, tool_calls, demo-vl]

── turn 2 ──
tool:
  The crop is in the next message.
user:
  [image 1: zoom {"image":0,"box":[1,2,30,40]} 640x480]
thinking:
  Reads Paris.
response:
  It is \\boxed{1.5, 2.5}
[300 + 40 tokens, 1.50 s, 1 attempt, stop, demo-vl]

scores: score 0.9, distance@km 157.27, geoguessr@point 4500, parse_success true, acc@1km 0, acc@25km 0, acc@200km 1, \
acc@750km 1, acc@2500km 1"""


def test_a_trace_reads_from_header_to_scores() -> None:
    assert render_trace(two_turns()) == EXPECTED


def test_one_turn_can_be_shown_alone() -> None:
    text = render_trace(two_turns(), turn=2)
    assert "── turn 2 ──" in text
    assert "── turn 1 ──" not in text


def test_a_turn_that_is_not_there_is_an_input_error() -> None:
    with pytest.raises(InputError, match=r"--turn 3: geo-tools/42/0 has 2 turns"):
        render_trace(two_turns(), turn=3)


def test_raw_shows_the_response_as_received() -> None:
    assert "response:\n  <think>Reads Paris.</think>It is" in render_trace(two_turns(), raw=True)


@pytest.mark.parametrize(
    "response", ["Hm.</think>Paris.", "<think>Hm.</think>Paris.", "<thinking>Hm.</thinking>Paris."]
)
def test_thinking_in_the_text_is_shown_apart(response: str) -> None:
    assert "thinking:\n  Hm.\nresponse:\n  Paris.\n" in render_trace(trace_line(turns=[turn(1, response)]))


def test_a_call_in_the_text_is_shown_as_a_call_with_its_error() -> None:
    text = 'Look. <tool_call>{"name": "zoom", "arguments": {}}</tool_call>'
    shown = render_trace(trace_line(turns=[turn(1, text)], calls=[call(1, "zoom", "{}", error="bbox_2d is missing")]))
    assert "response:\n  Look.\ncall zoom {} → error: bbox_2d is missing, 0.02 s" in shown


def test_a_picture_that_the_trace_does_not_list_is_still_shown() -> None:
    shown = render_trace(trace_line(turns=[turn(1, "", messages=[message("user", "<image:7>")])]))
    assert "  [image 7]\n" in shown


def test_a_failed_episode_says_why() -> None:
    assert "failed: bad_image: the file is truncated" in render_trace(failed_line())


def test_no_text_of_others_can_look_like_a_line_of_ours_or_steer_the_terminal() -> None:
    evil = "x\n── turn 9 ──\nscores: \x1b[2J\x1b]0;title\x07\u202e\x9b31m"
    line = trace_line(
        data={"lat": evil, "lon": [evil], "answer": {evil: 1}},
        turns=[turn(1, evil, reasoning=evil, messages=[message(evil, evil)], finish_reason=evil)],
        calls=[call(1, evil, evil, error=evil)],
    )
    shown = render_trace(line | {"answer": evil, "id": evil})
    assert [row for row in shown.split("\n") if row.startswith("── ")] == ["── turn 1 ──"]
    assert sum(row.startswith("scores: ") for row in shown.split("\n")) == 2
    assert all(row.isprintable() for row in shown.split("\n"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\r\nc\n", "a\tb\nc\n"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x9b2Jclear", "clear"),
        ("\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]52;c;AAAA\x07clipboard", "clipboard"),
        ("\x1b]never ends, so it hides nothing", "]never ends, so it hides nothing"),
        ("\x1bPq#0\x1b\\sixel", "sixel"),
        ("\x1bcreset\x1b(B", "reset"),
        ("\x1b\x1b[0m[31mnested", "[31mnested"),
        ("bell\x07 back\x08 null\x00 delete\x7f next\x85", "bell back null delete next"),
        ("a\u202eb\u2066c\u200bd\ufeff", "a<U+202E>b<U+2066>c<U+200B>d<U+FEFF>"),
        ("lone \ud800", "lone \N{REPLACEMENT CHARACTER}"),
        ("Zürich 北京 👩‍🚀", "Zürich 北京 👩‍🚀"),
    ],
)
def test_clean_text_has_no_control_codes_and_shows_what_is_invisible(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_the_block_is_the_documents() -> None:
    scores = geo_scores() | {"distance@km": 245.674, "score": 0.78211}
    data = {"locatability_score": 1.0, "lat": 51.4535, "lon": 0.0051, "country": "united kingdom"}
    line = trace_line(
        data=data, scores=scores, turns=[turn(number, "R") for number in (1, 2, 3)], calls=[call(2, "zoom", "{}")]
    )
    assert render_block(1, 2, line, saved_to="out/trace_00000.json") == (
        "[Sample 1/2]\n"
        "  Locatability score: 1.0000\n"
        "  Ground truth: lat=51.4535, lon=0.0051\n"
        "  Country: united kingdom\n"
        "  [SUCCESS] Generated trace\n"
        "    Turns: 3\n"
        "    Tool calls: 1\n"
        "    Parse success: True\n"
        "    Distance: 245.67 km\n"
        "    Score: 0.7821\n"
        "    Saved to: out/trace_00000.json\n"
        "    Id: geo-tools/42/0"
    )


def test_a_block_leaves_out_what_the_job_does_not_have() -> None:
    line = trace_line(data={"question": "?"}, scores={"score": 1.0})
    assert render_block(1, 1, line).split("\n") == [
        "[Sample 1/1]",
        "  [SUCCESS] Generated trace",
        "    Turns: 1",
        "    Tool calls: 0",
        "    Score: 1.0000",
    ]


def test_an_unreadable_answer_is_no_success_and_has_no_distance() -> None:
    block = render_block(1, 1, trace_line(scores=geo_scores(parsed=False)))
    assert "  [PARSE FAILED] Generated trace" in block
    assert "    Parse success: False" in block
    assert "SUCCESS" not in block
    assert "20000" not in block


def test_a_failed_sample_says_why_and_nothing_more() -> None:
    block = render_block(3, 9, failed_line(error="truncated\nfile\x1b[0m"))
    assert block.split("\n")[-1] == "  [FAILED] geo-tools/7/0: bad_image: truncated file"
    assert "Turns" not in block


def test_what_is_not_known_of_a_turn_is_not_said() -> None:
    document = {
        "conversation_history": [{"response": "a"}, {"response": "b", "attempts": 2, "usage": {"total_tokens": 7}}],
        "tool_calls": [{"turn": 1, "tool_call": {"name": "zoom", "arguments": {}}, "success": True}],
    }
    shown = render_trace(read_line(document, index=0, rollout=0, name="a file"))
    assert shown.split("\n")[1] == "turns: 2   tool calls: 1"
    assert "response:\n  a\ncall zoom {} → ok\n\n── turn 2 ──\nresponse:\n  b\n[7 tokens, 2 attempts]\n" in shown
