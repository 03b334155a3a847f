"""The region job from outside: SeekWorld's rows with their own chat, columns with names, coordinates alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.cli_jobs import asyncgen, traces
from support.server import Reply, ThreadedServer, text
from support.source_data import jpeg

import asyncgen as package

SAID = {
    "Where is a.jpg?": "<think>Arches, a scooter.</think>\n<answer>$Italy,Latium$</answer>",
    "Where is b.jpg?": "<思考>\n红灯笼。\n</ 思考 >\n< 答案 >\n中国，云南\n</ 答案 >",
    "Where is c.jpg?": "<think>Fields.</think><answer>$china,hubei$</answer>",
}
TRUTHS = ["italy,lazio/lazio/latium/latium", "$china,yunnan$", "china,hebei"]


PHOTOS = "photos"


def message(path: str, name: str) -> str:
    chat = [
        {"role": "system", "content": "Think, then answer."},
        {
            "role": "user",
            "content": [{"type": "image", "image": path}, {"type": "text", "text": f"Where is {name}?"}],
        },
    ]
    return json.dumps(chat)


def answering(body: dict[str, Any], _: int) -> Reply:
    parts = body["messages"][-1]["content"]
    return text(SAID[parts[-1]["text"]])


@pytest.fixture
def seekworld(tmp_path: Path) -> Path:
    (tmp_path / "elsewhere" / "photos").mkdir(parents=True)
    rows = []
    for number, (name, truth) in enumerate(zip(("a.jpg", "b.jpg", "c.jpg"), TRUTHS, strict=True)):
        (tmp_path / "elsewhere" / "photos" / name).write_bytes(jpeg(number))
        written = message(f"/data/of/others/{PHOTOS}/{name}" if number else f"{PHOTOS}/{name}", name)
        rows.append({"message": written, "answer": truth})
    rows.append({"message": message("../../secret.jpg", "a.jpg"), "answer": "italy,lazio"})
    rows.append({"message": "[no json", "answer": "italy,lazio"})
    path = tmp_path / "train.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def scores(out: Path) -> dict[int, dict[str, Any]]:
    return {one["sample_index"]: one["reward_score"] for one in traces(out)}


def test_a_row_s_own_chat_is_sent_with_its_image_and_scored(seekworld: Path, tmp_path: Path) -> None:
    with ThreadedServer(answering) as server:
        ended = asyncgen(
            "run", "region", "--input-file", seekworld, "--dataset.image-root", tmp_path / "elsewhere",
            "--base-url", server.base_url, "--output-dir", tmp_path / "run", "--num-samples", -1, "--max-failed", 1,
        )  # fmt: skip
        assert ended.code == 0, ended.err
        bodies = [request.body for request in server.requests]
    assert [one["content"] for one in bodies[0]["messages"] if one["role"] == "system"] == ["Think, then answer."]
    assert {body["messages"][-1]["content"][0]["type"] for body in bodies} == {"image_url"}
    found = scores(tmp_path / "run")
    assert list(found[0]) == [
        "score", "parse_success", "format", "accuracy", "country_match", "region_match", "length",
    ]  # fmt: skip
    assert [found[row]["accuracy"] for row in range(3)] == [1.0, 1.0, 0.0]
    assert [found[row]["country_match"] for row in range(3)] == [1.0, 1.0, 1.0]
    assert [found[row]["format"] for row in range(3)] == [0.5, 0.0, 0.5]
    assert [found[row]["length"] for row in range(3)] == pytest.approx([0.014, 0.003, 0.006])
    failed = {one["sample_index"]: one["reason"] for one in traces(tmp_path / "run", "failed")}
    assert failed == {3: "bad_image", 4: "bad_sample"}
    (first,) = [one for one in traces(tmp_path / "run") if one["sample_index"] == 0]
    assert first["sample_data"]["message"] == message("photos/a.jpg", "a.jpg")
    (picture,) = package.restore_images(first, image_root=tmp_path / "elsewhere")
    assert picture.size == (first["images"][0]["width"], first["images"][0]["height"])


def test_the_totals_and_the_other_rule_score_a_finished_run_again(seekworld: Path, tmp_path: Path) -> None:
    with ThreadedServer(answering) as server:
        words = ("--dataset.image-root", tmp_path / "elsewhere", "--base-url", server.base_url, "--num-samples", 3)
        assert asyncgen("run", "region", "--input-file", seekworld, *words, "--output-dir", tmp_path / "run").code == 0
    for rule, total, wanted in (
        ("strict", "length", [1.514, 1.003, 0.506]),
        ("seekworld", "accuracy", [1.0, 0.0, 1.0]),
    ):
        out = tmp_path / rule
        options = ("--task.rule", rule, "--task.total", total)
        ended = asyncgen("rescore", tmp_path / "run", "-o", out, *options)
        assert ended.code == 0, ended.err
        assert [scores(out)[row]["score"] for row in range(3)] == pytest.approx(wanted)


def test_coordinates_alone_give_the_truth(tmp_path: Path) -> None:
    (tmp_path / "p.jpg").write_bytes(jpeg(1))
    rows = [{"image": "p.jpg", "lat": 48.1374, "lon": 11.5755}, {"image": "p.jpg", "lat": 0.0, "lon": -30.0}]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with ThreadedServer(lambda _body, _number: text("<answer>Germany, Bavaria</answer>")) as server:
        words = ("--input-file", tmp_path / "rows.jsonl", "--base-url", server.base_url, "--num-samples", -1)
        ended = asyncgen("run", "region", *words, "--output-dir", tmp_path / "run", "--max-failed", 1)
    assert ended.code == 0, ended.err
    score = scores(tmp_path / "run")[0]
    assert (score["accuracy"], score["approximate"], score["near_border"]) == (1.0, True, False)
    (failed,) = traces(tmp_path / "run", "failed")
    assert failed["reason"] == "bad_sample"
