"""The two geo jobs from outside: every field of a trace, pictures, scores, requests."""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest
from PIL import Image, ImageChops, ImageOps
from support.cli_jobs import (
    ANSWER,
    TRACE_KEYS,
    answering,
    asyncgen,
    difficulty,
    ids,
    kilometres,
    looking,
    sent_images,
    traces,
    wanted_ids,
)
from support.deep import deep
from support.server import MODEL, Request, ThreadedServer, text

from asyncgen import restore_images

ROWS = 8
TURN_KEYS = [
    "turn", "messages", "response", "reasoning", "finish_reason", "usage", "endpoint", "model", "request_id",
    "seconds", "attempts",
]  # fmt: skip
IMAGE_KEYS = ["image", "source", "column", "op", "arguments", "width", "height", "sha256"]
METADATA_KEYS = [
    "total_turns", "num_tool_calls", "stop", "tool_mode", "accepted", "prompt_tokens", "completion_tokens",
    "seconds", "resumed_at_turn", "attempts", "parse_success", "distance_km", "score",
]  # fmt: skip
SCORE_KEYS = [
    "score", "distance@km", "geoguessr@point", "parse_success", "acc@1km", "acc@25km", "acc@200km", "acc@750km",
    "acc@2500km",
]  # fmt: skip
HARDEST_FIRST = sorted(range(ROWS), key=lambda row: difficulty(row, ROWS))


class Finished:
    """A run that is over, and what its server saw."""

    def __init__(self, directory: Path, requests: list[Request], url: str) -> None:
        self.directory = directory
        self.requests = requests
        self.url = url
        self.traces = traces(directory)

    def trace(self, row: int) -> dict[str, Any]:
        return next(trace for trace in self.traces if trace["sample_index"] == row)

    def request_of(self, row: int) -> Request:
        """Of a job of one turn."""
        name = self.trace(row)["conversation_history"][0]["request_id"]
        return next(request for request in self.requests if name == f"chatcmpl-{request.number}")


def finish(job: str, script: Any, photos: Path, folder: Path) -> Iterator[Finished]:
    with ThreadedServer(script) as server:
        ended = asyncgen(
            "run", job, "--dataset-path", photos, "--output-dir", folder, "--base-url", server.base_url,
            "--num-samples", -1, "--concurrency", 1,
        )  # fmt: skip
        assert ended.code == 0, ended.err
        yield Finished(folder, server.requests, server.base_url)


@pytest.fixture(scope="module")
def geo(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    yield from finish("geo", answering, photos, tmp_path_factory.mktemp("geo") / "run")


@pytest.fixture(scope="module")
def tools(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    yield from finish("geo-tools", looking, photos, tmp_path_factory.mktemp("tools") / "run")


def stored_photo(photos: Path, row: int) -> Image.Image:
    image = datasets.load_from_disk(str(photos))[row]["image"]
    return ImageOps.exif_transpose(image).convert("RGB")


def same(one: Image.Image, other: Image.Image) -> bool:
    return one.size == other.size and ImageChops.difference(one, other).getbbox() is None


def has_null(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(has_null, value.values()))
    return any(map(has_null, value)) if isinstance(value, list) else value is None


@pytest.mark.parametrize("job", ["geo", "geo-tools"])
def test_every_trace_has_every_key_in_order_at_every_level_and_no_null(job: str, request: pytest.FixtureRequest):
    run = request.getfixturevalue(job.removeprefix("geo-"))
    assert ids(run.directory) == wanted_ids(job, range(ROWS))
    for trace in run.traces:
        assert list(trace) == TRACE_KEYS
        assert not has_null(trace)
        assert list(trace["reward_score"]) == SCORE_KEYS
        assert list(trace["metadata"]) == METADATA_KEYS
        for turn in trace["conversation_history"]:
            assert list(turn) == TURN_KEYS
            assert list(turn["usage"]) == ["prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens"]
            assert all(list(one) == ["role", "content", "tool_call_id", "name"] for one in turn["messages"])
            assert all(isinstance(value, str) for one in turn["messages"] for value in one.values())
            assert isinstance(turn["seconds"], float)
        assert all(list(image) == IMAGE_KEYS for image in trace["images"])
        for call in trace["tool_calls"]:
            assert list(call) == ["turn", "tool_call", "success", "error", "seconds"]
            assert list(call["tool_call"]) == ["id", "name", "arguments"]
        for name, value in trace["reward_score"].items():
            assert isinstance(value, bool if name == "parse_success" else float), name
        assert isinstance(trace["metadata"]["seconds"], float)
        assert isinstance(trace["metadata"]["distance_km"], float)


def test_a_geo_trace_says_what_was_asked_and_answered(geo: Finished, photos: Path):
    run = json.loads((geo.directory / "run.json").read_bytes())
    for row in range(ROWS):
        trace = geo.trace(row)
        (turn,) = trace["conversation_history"]
        assert trace["id"] == f"geo/{row}/0"
        assert (trace["version"], trace["rollout"], trace["config_id"]) == (1, 0, run["config_id"])
        assert trace["dataset_path"] == str(photos)
        assert trace["sample_data"] == {
            "lat": row * 5.0 - 20,
            "lon": row * 10.0,
            "locatability_score": difficulty(row, ROWS),
            "country": f"land {row % 3}",
        }
        assert [message["role"] for message in turn["messages"]] == ["system", "user"]
        assert turn["messages"][1]["content"].endswith("<image:0>")
        assert turn["response"] == "<think>where</think>So \\boxed{10.5, 20.25}"
        assert trace["final_response"] == "So \\boxed{10.5, 20.25}"
        assert trace["answer"] == "10.5, 20.25"
        assert turn["usage"] == {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30, "cached_tokens": 0}
        assert (turn["endpoint"], turn["model"], turn["attempts"], turn["finish_reason"]) == (geo.url, MODEL, 1, "stop")
        assert turn["request_id"] in {f"chatcmpl-{number}" for number in range(ROWS)}
        assert trace["tool_calls"] == []
        metadata = trace["metadata"]
        assert (metadata["total_turns"], metadata["num_tool_calls"], metadata["stop"]) == (1, 0, "answered")
        assert (metadata["tool_mode"], metadata["accepted"], metadata["resumed_at_turn"]) == ("none", True, 0)


@pytest.mark.parametrize("job", ["geo", "tools"])
def test_scores_follow_the_haversine_formula(job: str, request: pytest.FixtureRequest):
    run = request.getfixturevalue(job)
    for trace in run.traces:
        distance = kilometres(trace["sample_data"]["lat"], trace["sample_data"]["lon"])
        score = math.exp(-distance / 1492.7)
        scores = trace["reward_score"]
        assert scores["distance@km"] == pytest.approx(distance, rel=1e-9)
        assert scores["score"] == pytest.approx(score, rel=1e-9)
        assert scores["geoguessr@point"] == pytest.approx(5000 * score, rel=1e-9)
        assert scores["parse_success"] is True
        for limit in (1, 25, 200, 750, 2500):
            assert scores[f"acc@{limit}km"] == float(distance <= limit)
        assert trace["metadata"]["score"] == scores["score"]
        assert trace["metadata"]["distance_km"] == scores["distance@km"]


def test_the_hardest_rows_are_asked_first(geo: Finished):
    asked = sorted(range(ROWS), key=lambda row: geo.request_of(row).number)
    # two episodes are alive for one slot, and whichever has its picture first goes first
    assert len(set(asked[: ROWS // 2]) & set(HARDEST_FIRST[: ROWS // 2])) >= ROWS // 2 - 1
    assert set(asked[:2]) <= set(HARDEST_FIRST[:3])


def test_each_photo_goes_as_it_lies_on_disk_with_the_sampling_asked_for(geo: Finished, photos: Path):
    raw = datasets.load_from_disk(str(photos)).cast_column("image", datasets.Image(decode=False))
    assert len(geo.requests) == ROWS
    for row in range(ROWS):
        request = geo.request_of(row)
        (sent,) = sent_images(request.body)
        assert hashlib.sha256(sent).hexdigest() == geo.trace(row)["images"][0]["sha256"]
        if row != 2:  # that one is turned by its EXIF and so encoded anew
            assert sent == raw[row]["image"]["bytes"]
        assert request.body["model"] == MODEL
        assert request.body["temperature"] == 0.7
        assert request.body["max_tokens"] == 4096
        assert "tools" not in request.body
        assert "seed" not in request.body


def test_a_geo_tools_trace_has_each_turn_its_calls_and_its_pictures(tools: Finished):
    for trace in tools.traces:
        first, second, third = trace["conversation_history"]
        assert [message["role"] for message in second["messages"]] == ["tool", "user"]
        assert second["messages"][0]["tool_call_id"] == "chatcmpl-tool-0"
        assert second["messages"][1]["content"] == "<tool_response>\n<image:1>\n</tool_response>"
        assert [message["role"] for message in third["messages"]] == ["user"]
        assert "<image:2>" in third["messages"][0]["content"]
        assert (first["response"], third["reasoning"]) == ("", "thinking")
        assert second["response"].startswith("<think>hm</think>")
        zoom, rotate = trace["tool_calls"]
        assert zoom["tool_call"] == {
            "id": "chatcmpl-tool-0",
            "name": "image_zoom_in_tool",
            "arguments": '{"bbox_2d": [10, 20, 150, 120], "label": "a sign"}',
        }
        assert (zoom["turn"], zoom["success"], zoom["error"]) == (1, True, "")
        assert (rotate["turn"], rotate["tool_call"]["name"]) == (2, "image_rotate_tool")
        assert json.loads(rotate["tool_call"]["arguments"]) == {"angle": 90}
        assert [image["op"] for image in trace["images"]] == ["", "zoom", "rotate"]
        assert [image["source"] for image in trace["images"]] == ["sample", "tool", "tool"]
        assert [image["column"] for image in trace["images"]] == ["image", "", ""]
        assert json.loads(trace["images"][1]["arguments"]) == {"image": 0, "box": [10, 20, 150, 120]}
        metadata = trace["metadata"]
        assert (metadata["total_turns"], metadata["num_tool_calls"], metadata["tool_mode"]) == (3, 2, "native")
        assert (metadata["prompt_tokens"], metadata["completion_tokens"], metadata["attempts"]) == (60, 30, 3)


def test_restored_pictures_are_those_of_the_dataset_cropped_and_turned(tools: Finished, photos: Path):
    for trace in tools.traces:
        whole = stored_photo(photos, trace["sample_index"])
        restored = restore_images(trace)
        assert len(restored) == 3
        assert same(restored[0], whole)
        assert same(restored[1], whole.crop((10, 20, 150, 120)))
        assert same(restored[2], whole.rotate(90, expand=True))
        assert [(one["width"], one["height"]) for one in trace["images"]] == [picture.size for picture in restored]


def test_the_server_got_the_very_bytes_whose_sha256_the_trace_has(tools: Finished):
    sent = {hashlib.sha256(data).hexdigest(): data for request in tools.requests for data in sent_images(request.body)}
    for trace in tools.traces:
        for record, picture in zip(trace["images"], restore_images(trace), strict=True):
            seen = Image.open(io.BytesIO(sent[record["sha256"]])).convert("RGB")
            assert seen.size == picture.size
            error = ImageChops.difference(seen, picture).resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
            assert max(error) < 6  # JPEG 90


def test_restore_images_finds_the_dataset_where_it_has_been_moved(tools: Finished, photos: Path, tmp_path: Path):
    moved = {**tools.traces[0], "dataset_path": str(tmp_path / "gone")}
    assert same(restore_images(moved, dataset_path=photos)[0], stored_photo(photos, moved["sample_index"]))


@pytest.mark.parametrize("job", ["geo", "tools"])
def test_load_dataset_reads_the_run_directory_offline(job: str, request: pytest.FixtureRequest, tmp_path: Path):
    run = request.getfixturevalue(job)
    loaded = datasets.load_dataset(str(run.directory), split="train", cache_dir=str(tmp_path))
    assert loaded.column_names == TRACE_KEYS
    assert [one["id"] for one in loaded] == [trace["id"] for trace in run.traces]
    for one, trace in zip(loaded, run.traces, strict=True):
        assert one["reward_score"] == pytest.approx(trace["reward_score"])  # `datasets` keeps ten decimals
    assert loaded[0]["sample_data"] == run.traces[0]["sample_data"]
    assert [one["tool_calls"] for one in loaded] == [trace["tool_calls"] for trace in run.traces]


def test_rollouts_have_their_own_temperature_and_seed(photos: Path, tmp_path: Path):
    with ThreadedServer(answering) as server:
        ended = asyncgen(
            "run", "geo", "--dataset_path", photos, "--output_dir", tmp_path / "run", "--base_url", server.base_url,
            "--num_samples=2", "--rollouts", 3, "--seed", 40, "--sampling.temperatures", "[0.1, 0.5, 0.9]",
            "--max-tokens", 99, "--sampling.top-p", 0.8, "--sampling.extra-body", "{top_k: 20}", "--concurrency", 1,
        )  # fmt: skip
        bodies = [request.body for request in server.requests]
    assert ended.code == 0, ended.err
    assert ids(tmp_path / "run") == wanted_ids("geo", HARDEST_FIRST[:2], 3)
    asked = sorted((body["temperature"], body["seed"]) for body in bodies)
    assert asked == [(0.1, 40), (0.1, 40), (0.5, 41), (0.5, 41), (0.9, 42), (0.9, 42)]
    assert all((body["max_tokens"], body["top_p"], body["top_k"]) == (99, 0.8, 20) for body in bodies)


@pytest.mark.parametrize(
    ("flags", "rows"),
    [
        (("--where", "country = 'land 1'"), [row for row in HARDEST_FIRST if row % 3 == 1]),
        (("--order-by", "lat desc", "--num-samples", 3), [7, 6, 5]),
        (("--dataset.order", "dataset", "--num-samples", 2), [0, 1]),
        (("--dataset.order", "easiest_first", "--num-samples", 2), HARDEST_FIRST[::-1][:2]),
        (("--num-samples", 5, "--partition", "1/2"), HARDEST_FIRST[:5][1::2]),
    ],
)
def test_the_selection_says_which_rows_are_asked(photos: Path, tmp_path: Path, flags: tuple[str, ...], rows: list[int]):
    with ThreadedServer(answering) as server:
        ended = asyncgen(
            "run", "geo", "--dataset-path", photos, "--output-dir", tmp_path / "run", "--base-url", server.base_url,
            "--concurrency", 1, *flags,
        )  # fmt: skip
    assert ended.code == 0, ended.err
    directory = tmp_path / "run"
    saved = traces(directory / "part-001-of-002" if "--partition" in flags else directory)
    assert sorted(trace["sample_index"] for trace in saved) == sorted(rows)


def test_max_turns_ends_with_one_turn_without_tools(photos: Path, tmp_path: Path):
    def script(body: dict[str, Any], number: int) -> Any:
        return looking(body, number) if body.get("tools") else text("I think \\boxed{10.5, 20.25}")

    with ThreadedServer(script) as server:
        ended = asyncgen(
            "run", "geo-tools", "--dataset-path", photos, "--output-dir", tmp_path / "run",
            "--base-url", server.base_url, "--num-samples", 1, "--max-turns", 1, "--temperature", 0.2,
        )  # fmt: skip
        first, last = [request.body for request in server.requests]
    assert ended.code == 0, ended.err
    (trace,) = traces(tmp_path / "run")
    assert "tools" in first
    assert "tools" not in last
    assert first["temperature"] == 0.2
    assert trace["metadata"]["total_turns"] == 2
    assert trace["answer"] == f"{ANSWER[0]}, {ANSWER[1]}"


def test_an_answer_that_cannot_be_read_is_a_trace_with_the_failure_values(photos: Path, tmp_path: Path):
    with ThreadedServer(lambda body, number: text("No idea, maybe \\boxed{99, 200}")) as server:
        ended = asyncgen(
            "run", "geo", "--dataset-path", photos, "--output-dir", tmp_path / "run", "--base-url", server.base_url,
            "--num-samples", 1,
        )  # fmt: skip
    assert ended.code == 0, ended.err
    (trace,) = traces(tmp_path / "run")
    assert trace["answer"] == ""
    assert trace["metadata"]["stop"] == "no_answer"
    assert trace["reward_score"] == dict.fromkeys(SCORE_KEYS, 0.0) | {"distance@km": 20000.0, "parse_success": False}


@pytest.mark.parametrize("kind", ["jsonl", *deep(("json", "parquet"))])
def test_other_dataset_formats_give_the_same_traces(photos: Path, tmp_path: Path, kind: str):
    rows = datasets.load_from_disk(str(photos)).cast_column("image", datasets.Image(decode=False))
    path = tmp_path / "data" / f"rows.{kind}"
    path.parent.mkdir()
    if kind == "parquet":
        rows.to_parquet(str(path))
    else:
        plain = []
        for row in rows:
            (path.parent / f"{row['lon']}.jpg").write_bytes(row["image"]["bytes"])
            plain.append({**row, "image": f"{row['lon']}.jpg"})
        path.write_text("\n".join(map(json.dumps, plain)) if kind == "jsonl" else json.dumps(plain))
    with ThreadedServer(looking) as server:
        ended = asyncgen(
            "run", "geo-tools", "--dataset-path", path, "--output-dir", tmp_path / "run",
            "--base-url", server.base_url, "--num-samples", 2, "--concurrency", 1,
        )  # fmt: skip
    assert ended.code == 0, ended.err
    saved = traces(tmp_path / "run")
    assert {trace["sample_index"] for trace in saved} == set(HARDEST_FIRST[:2])
    for trace in saved:
        assert same(restore_images(trace)[1], stored_photo(photos, trace["sample_index"]).crop((10, 20, 150, 120)))
