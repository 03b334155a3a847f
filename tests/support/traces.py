"""Trace lines as a reader of a run directory gets them, for tests of what reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Line = dict[str, Any]

FAR = {"score": 0.0, "distance@km": 20000.0, "geoguessr@point": 0.0, "parse_success": False}
NEAR = {"score": 0.9, "distance@km": 157.27, "geoguessr@point": 4500.0, "parse_success": True}
LEVELS = (1, 25, 200, 750, 2500)


def geo_scores(*, parsed: bool = True) -> dict[str, Any]:
    """A geo job's scores, all keys."""
    scores = NEAR if parsed else FAR
    return scores | {f"acc@{km}km": float(scores["distance@km"] <= km) for km in LEVELS}


def message(role: str, content: str, *, call_id: str = "") -> Line:
    return {"role": role, "content": content, "tool_call_id": call_id, "name": ""}


def turn(
    number: int,
    response: str,
    *,
    messages: Sequence[Line] = (),
    reasoning: str = "",
    finish_reason: str = "stop",
    tokens: tuple[int, int] = (100, 20),
    attempts: int = 1,
) -> Line:
    prompt, completion = tokens
    return {
        "turn": number,
        "messages": list(messages),
        "response": response,
        "reasoning": reasoning,
        "finish_reason": finish_reason,
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "cached_tokens": 0,
        },
        "endpoint": "http://127.0.0.1:8000/v1",
        "model": "demo-vl",
        "request_id": f"chatcmpl-{number}",
        "seconds": 1.5,
        "attempts": attempts,
    }


def call(number: int, name: str, arguments: str, *, error: str = "") -> Line:
    """A `tool_calls` entry of turn `number`."""
    return {
        "turn": number,
        "tool_call": {"id": f"call_{number}_1", "name": name, "arguments": arguments},
        "success": not error,
        "error": error,
        "seconds": 0.02,
    }


def image(number: int, *, op: str = "", arguments: str = "") -> Line:
    return {
        "image": number,
        "source": "tool" if op else "sample",
        "column": "" if op else "image",
        "op": op,
        "arguments": arguments,
        "width": 640,
        "height": 480,
        "sha256": "0" * 64,
    }


def trace_line(
    index: int = 42,
    rollout: int = 0,
    *,
    job: str = "geo-tools",
    data: Mapping[str, Any] | None = None,
    turns: Sequence[Line] | None = None,
    calls: Sequence[Line] = (),
    images: Sequence[Line] = (),
    scores: Mapping[str, Any] | None = None,
    stop: str = "answered",
    tool_mode: str = "native",
) -> Line:
    """One line of a shard, every key in its place; `turns` default to one answer."""
    history = [turn(1, r"It is \boxed{1.5, 2.5}")] if turns is None else list(turns)
    given = geo_scores() if scores is None else dict(scores)
    headline = {"parse_success": "parse_success", "distance_km": "distance@km", "score": "score"}
    return {
        "id": f"{job}/{index}/{rollout}",
        "version": 1,
        "config_id": "0123456789ab",
        "rollout": rollout,
        "dataset_path": "data/gaea/train",
        "sample_index": index,
        "sample_data": {"lat": 1.0, "lon": 2.0, "country": "atlantis"} if data is None else dict(data),
        "conversation_history": history,
        "images": list(images),
        "final_response": history[-1]["response"] if history else "",
        "answer": "1.5, 2.5" if given.get("parse_success") else "",
        "reward_score": given,
        "tool_calls": list(calls),
        "metadata": {
            "total_turns": len(history),
            "num_tool_calls": len(calls),
            "stop": stop,
            "tool_mode": tool_mode,
            "accepted": True,
            "prompt_tokens": sum(entry["usage"]["prompt_tokens"] for entry in history),
            "completion_tokens": sum(entry["usage"]["completion_tokens"] for entry in history),
            "seconds": sum((entry["seconds"] for entry in history), 0.0),
            "resumed_at_turn": 0,
            "attempts": sum(entry["attempts"] for entry in history),
        }
        | {name: given[key] for name, key in headline.items() if key in given},
        "crc": "9f3a12c0",
    }


def failed_line(index: int = 7, *, reason: str = "bad_image", error: str = "the file is truncated") -> Line:
    """One line of a `failed/` shard."""
    line = trace_line(index, turns=[], scores=geo_scores(parsed=False), stop="failed")
    crc = line.pop("crc")
    return line | {"reason": reason, "error": error, "crc": crc}


def two_turns(index: int = 42, rollout: int = 0) -> Line:
    """A zoom and an answer, in native mode, with thinking in both places."""
    asked = [message("system", "You are a geographer."), message("user", "<image:0>\nWhere is this?")]
    seen = [message("tool", "The crop is in the next message.", call_id="call_1_1"), message("user", "<image:1>")]
    return trace_line(
        index,
        rollout,
        turns=[
            turn(1, "Let me look closer.", messages=asked, reasoning="A sign.", finish_reason="tool_calls"),
            turn(2, "<think>Reads Paris.</think>It is \\boxed{1.5, 2.5}", messages=seen, tokens=(300, 40)),
        ],
        calls=[call(1, "image_zoom_in_tool", '{"bbox_2d": [1, 2, 30, 40]}')],
        images=[image(0), image(1, op="zoom", arguments='{"image":0,"box":[1,2,30,40]}')],
    )
