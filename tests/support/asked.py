"""Who asked what, and how often: a script whose answers depend on nothing but what is asked, and its account of turns.

Knows chat requests about one photo an episode. Imports nothing of asyncgen.

    with ThreadedServer(by_content) as server:
        ...
        assert asked_again(server, deaths) == []
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from support.cli_jobs import checked
from support.server import Reply, Request, ThreadedServer, text, tool_calls

TURNS = (2, 3, 4)
"""How many turns an episode has, by its photo."""
NEAR = 0.1
"""Seconds before a death within which an answer that went out may not have come in."""


class Turn(NamedTuple):
    """What a request asks for."""

    photo: str
    """Digest of the first picture sent."""
    seed: int
    """Of the rollout; 0 where the job has none."""
    number: int
    """From 1."""


def digest(jpeg: bytes) -> str:
    """What `Turn.photo` is of a file that is sent as it is."""
    url = f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
    return hashlib.sha256(url.encode()).hexdigest()[:12]


def turn_of(body: dict[str, Any]) -> Turn:
    """By the conversation that was sent."""
    messages = body["messages"]
    urls = [
        part["image_url"]["url"]
        for message in messages
        if isinstance(message["content"], list)
        for part in message["content"]
        if part["type"] == "image_url"
    ]
    number = 1 + sum(message["role"] == "assistant" for message in messages)
    return Turn(hashlib.sha256(urls[0].encode()).hexdigest()[:12], body.get("seed", 0), number)


def by_content(body: dict[str, Any], number: int = 0) -> Reply:
    """Zoom, rotate, zoom again, then a place: other words for each photo, seed and turn, and always the same ones."""
    turn = turn_of(body)
    chance = int(turn.photo, 16) + turn.seed
    said = f"<think>photo {turn.photo}, seed {turn.seed}, turn {turn.number}</think>"
    if turn.number >= TURNS[chance % len(TURNS)]:
        return text(f"{said}So \\boxed{{{chance % 89}.5, {chance % 179}.25}}")
    if turn.number % 2:
        box = [chance % 40, chance % 30, 150 + chance % 100, 120 + chance % 90]
        return tool_calls(("image_zoom_in_tool", {"bbox_2d": box, "label": f"a sign {chance % 7}"}), content=said)
    call = {"name": "image_rotate_tool", "arguments": {"angle": 90}}
    return text(f"{said}\n<tool_call>\n{json.dumps(call)}\n</tool_call>")


def at_once(body: dict[str, Any], number: int = 0) -> Reply:
    """The same for a job of one turn."""
    turn = turn_of(body)
    chance = int(turn.photo, 16) + turn.seed
    return text(f"<think>photo {turn.photo}, seed {turn.seed}</think>So \\boxed{{{chance % 89}.5, {chance % 179}.25}}")


def requests_by_turn(server: ThreadedServer) -> dict[Turn, list[Request]]:
    """In order of arrival."""
    found: dict[Turn, list[Request]] = defaultdict(list)
    for request in list(server.requests):
        found[turn_of(request.body)].append(request)
    return found


def asked_again(server: ThreadedServer, deaths: Sequence[float] = ()) -> list[Turn]:
    """The turns that were asked for again although an answer to them was out well before each of the `deaths`
    (monotonic seconds) of the process that asked."""
    return [
        turn
        for turn, requests in requests_by_turn(server).items()
        for before in requests[:-1]
        if not any(_in_flight(server, before, death) for death in deaths)
    ]


def _in_flight(server: ThreadedServer, request: Request, death: float) -> bool:
    answered = server.answered.get(request.number)
    return request.arrived <= death and (answered is None or answered > death - NEAR)


def turns_written(out: Path) -> Counter[tuple[int, int]]:
    """How many turns of each (row, rollout) are written down in a run directory, as a trace or in the journal."""
    entries = {
        (*_place(entry), entry["seq"])  # an entry may stand in two files
        for entry in _lines(out, "journal/*")
        if entry["kind"] == "completion"
    }
    found = Counter((row, rollout) for row, rollout, _ in entries)
    for trace in _lines(out, "traces/*"):
        found[_place(trace)] = trace["metadata"]["total_turns"]
    return found


def _place(line: dict[str, Any]) -> tuple[int, int]:
    _, row, rollout = line["id"].split("/")
    return int(row), int(rollout)


def _lines(out: Path, pattern: str) -> Iterator[dict[str, Any]]:
    """The whole lines of sealed and open files; a line that is not its writer's is an error."""
    for file in sorted(out.glob(pattern)):
        if file.name.endswith((".jsonl", ".part")):
            lines = file.read_bytes().splitlines(keepends=True)
            yield from (checked(line.rstrip(b"\n")) for line in lines if line.endswith(b"\n"))


def essence(trace: dict[str, Any]) -> dict[str, Any]:
    """A stored line without what two runs of the same job may have otherwise: times, attempts, addresses, marks."""
    kept = {key: trace[key] for key in ("id", "config_id", "images", "final_response", "answer", "reward_score")}
    kept["turns"] = [
        {key: turn[key] for key in ("turn", "messages", "response", "reasoning", "finish_reason", "usage")}
        for turn in trace["conversation_history"]
    ]
    kept["calls"] = [
        {key: call[key] for key in ("turn", "tool_call", "success", "error")} for call in trace["tool_calls"]
    ]
    kept["metadata"] = {
        key: value for key, value in trace["metadata"].items() if key not in {"seconds", "attempts", "resumed_at_turn"}
    }
    return kept
