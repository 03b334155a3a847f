"""`asyncgen serve-reward` as a process, asked over real HTTP."""

from __future__ import annotations

import asyncio
import io
import json
import math
import random
import signal
import socket
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from support.cli_jobs import kilometres, save_photos, wait_until
from support.reward_client import children, post, runs, served, start_service
from support.server import ThreadedServer, text

from asyncgen.cli.serve_reward import is_local

ANSWER = r"<think>hm</think>So \boxed{10.5, 20.25}"
"""The place from which `kilometres` counts."""
HEAD = "<|im_start|>user\nWhere?<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture(scope="module")
def geo() -> Iterator[str]:
    with served("geo") as (_, url):
        yield url


@pytest.fixture(scope="module")
def maths(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("maths") / "train.jsonl"
    rows = [{"problem": f"What is {n} / 7?", "answer": rf"\frac{{{n}}}{{7}}"} for n in range(100)]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    with served("math", "--dataset-path", path) as (_, url):
        yield url


def worth(lat: float, lon: float) -> float:
    return math.exp(-kilometres(lat, lon) / 1492.7)


def item(chance: random.Random) -> tuple[Any, Any, float, str | None]:
    """Query, label, reward, and how the error begins."""
    lat, lon = round(chance.uniform(-89, 89), 3), round(chance.uniform(-179, 179), 3)
    place = f"{lat}, {lon}"
    return chance.choice(
        [
            (ANSWER, place, worth(lat, lon), None),
            (f"{HEAD}{ANSWER}<|im_end|>\n<|endoftext|>", [lat, lon], worth(lat, lon), None),
            (f"{HEAD}{ANSWER}", {"lat": lat, "lon": lon}, worth(lat, lon), None),
            (ANSWER, json.dumps({"lat": str(lat), "lon": lon}), worth(lat, lon), None),
            ("I cannot tell.", place, 0.0, None),
            ("", place, 0.0, None),
            (7, place, 0.0, "query is 7"),
            (None, place, 0.0, "query is null"),
            ({"a": [1]}, place, 0.0, "query is"),
            (ANSWER, "nowhere", 0.0, "the label 'nowhere' is no place"),
            (ANSWER, {"lat": 99, "lon": lon}, 0.0, "the truth is no place on the globe"),
            (ANSWER, None, 0.0, "there is no truth"),
        ]
    )


async def test_two_hundred_batches_at_once_with_bad_items_among_them_get_what_each_is_worth(geo):
    chance = random.Random(8)
    batches = [[item(chance) for _ in range(chance.randrange(1, 40))] for _ in range(200)]

    async def ask(batch: list[tuple[Any, Any, float, str | None]]) -> None:
        queries, labels, rewards, errors = map(list, zip(*batch, strict=True))
        body = {"query": queries, "prompts": ["Where?"] * len(batch), "labels": labels}
        status, answer = await post(session, f"{geo}/get_reward", body)
        assert status == 200
        assert answer["rewards"] == pytest.approx(rewards, rel=1e-9)
        assert answer["scores"] == answer["rewards"]
        for said, wanted in zip(answer["errors"], errors, strict=True):
            assert (said is None) == (wanted is None)
            assert said is None or said.startswith(wanted)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        async with asyncio.TaskGroup() as group:
            for batch in batches:
                group.create_task(ask(batch))
        async with session.get(f"{geo}/health") as answer:
            assert (await answer.json())["scored"] == sum(map(len, batches))


async def test_the_truth_is_looked_up_by_the_prompt_in_whatever_form_it_comes(maths):
    prompts: list[Any] = [
        "What is 3 / 7?",
        [{"role": "user", "content": "What is 4 / 7?"}],
        json.dumps([{"role": "user", "content": "What is 5 / 7?"}]),
        "<|im_start|>user\nWhat is 6 / 7?<|im_end|>\n<|im_start|>assistant\n",
        "What is 999 / 7?",
        None,
    ]
    said = [r"\boxed{3/7}", r"\boxed{0.571}", r"\boxed{\dfrac{10}{14}}", r"\boxed{6/7}", r"\boxed{1}", r"\boxed{1}"]
    async with aiohttp.ClientSession() as session:
        status, answer = await post(session, f"{maths}/get_reward", {"query": said, "prompts": prompts})
    assert status == 200
    assert answer["rewards"] == [1.0, 0.0, 1.0, 1.0, 0.0, 0.0]
    assert [one is None for one in answer["errors"]] == [True] * 4 + [False] * 2
    assert answer["errors"][4].startswith("no row of the dataset has this prompt")


async def test_score_gives_all_scores_of_each_item(maths):
    items = [
        {"response": r"\boxed{x+1}", "row": {"answer": "1+x"}},
        {"response": r"\boxed{2}", "label": "3", "reasoning": "two"},
        {"response": r"\boxed{2/7}", "prompt": "What is 2 / 7?"},
        {"response": "none at all", "label": "3"},
        {"response": r"\boxed{2}"},
        "x",
    ]
    async with aiohttp.ClientSession() as session:
        status, answer = await post(session, f"{maths}/score", {"items": items})
    assert status == 200
    right, wrong = (
        {"score": 1.0, "parse_success": True, "truncated": False},
        {"score": 0.0, "parse_success": True, "truncated": False},
    )
    unread = {"score": 0.0, "parse_success": False, "truncated": False}
    assert answer["scores"] == [right, wrong, right, unread, None, None]
    assert [one is None for one in answer["errors"]] == [True] * 4 + [False] * 2


async def test_what_is_wrong_with_a_request_is_said_in_one_line(geo):
    async with aiohttp.ClientSession() as session:
        for path, body, status, says in [
            ("get_reward", b"{", 400, "the body is not JSON"),
            ("get_reward", {"query": ["a"], "prompts": []}, 400, "query has 1 items and prompts has 0"),
            ("get_reward", {"query": ["a"] * 5000, "prompts": ["p"] * 5000}, 400, "it may have 4096"),
            ("score", {"items": {}}, 400, "items is {}"),
            ("reward", {}, 404, "POST /get_reward"),
            ("health", {}, 405, "GET /health"),
        ]:
            found, answer = await post(session, f"{geo}/{path}", body)
            assert (found, list(answer)) == (status, ["error"])
            assert says in answer["error"]
            assert "\n" not in answer["error"]


async def test_a_body_that_cannot_be_decoded_is_400_in_json(geo):
    for coding in ("gzip", "br"):
        headers = {"Content-Encoding": coding}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{geo}/get_reward", data=io.BytesIO(b"no such"), headers=headers) as answer,
        ):
            assert answer.status == 400
            assert list(await answer.json()) == ["error"]


def test_what_is_no_http_and_no_gzip_writes_nothing_to_the_error_output():
    with served("geo") as (process, url):
        host, _, port = url.removeprefix("http://").partition(":")
        for sent in (
            b"\x16\x03\x01 nothing\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost\r\n\r\n",
            b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        ):
            with socket.create_connection((host, int(port)), timeout=10) as connection:
                connection.sendall(sent)
                assert b" 400 " in connection.recv(1000)
        process.terminate()
        assert process.communicate(timeout=20) == ("", "")


@pytest.mark.parametrize(
    ("host", "local"), [("127.0.0.2", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("x", False)]
)
def test_an_address_is_local_if_it_is_a_loopback(host, local):
    assert is_local(host) == local


async def test_a_body_that_is_too_large_is_413(geo):
    async def zeros() -> Any:
        for _ in range(66):
            yield b"0" * (1 << 20)

    async with aiohttp.ClientSession() as session:
        async with session.post(f"{geo}/score", data=io.BytesIO(b"0" * ((64 << 20) + 1))) as whole:
            assert whole.status == 413
            assert await whole.json() == {"error": "the body is larger than 64 MiB: send fewer items at a time"}
        async with session.post(f"{geo}/score", data=zeros()) as chunked:
            assert chunked.status == 413


async def test_it_says_what_it_is(maths, geo):
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{maths}/health") as answer:
            about = await answer.json()
        assert {key: about[key] for key in ("status", "task", "rows", "rewards")} == {
            "status": "ok", "task": "math", "rows": 100, "rewards": ["MathReward"],
        }  # fmt: skip
        async with session.get(f"{geo}/health") as answer:
            assert (await answer.json())["rows"] is None
        async with session.get(geo) as answer:
            assert (await answer.text()).startswith("POST /get_reward (query, prompts, labels)")


OWN = """
import asyncio
from dataclasses import dataclass
from typing import ClassVar
from pathlib import Path
from asyncgen import Task

async def slow(context, sample, trace):
    if sample.data["colour"] == "hang":
        Path("begun").touch()
        try:
            await asyncio.sleep(60)
        finally:
            Path("ended").touch()
    words = dict.fromkeys(("judge", "accuracy", "length"), "words")
    return {"score": float(trace.answer == sample.data["colour"]) * context.task.factor, **words}

@dataclass(frozen=True)
class Colour(Task):
    factor: float = 1.0
    columns: ClassVar = ("colour",)
    scores: ClassVar = {"score": 0.0, "judge": "", "accuracy": "", "length": ""}
    rewards: ClassVar = (slow,)
"""


async def test_a_users_task_is_served_and_an_item_that_hangs_costs_itself_alone(tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    with served("own.py:Colour", "--task.factor", 3, "--deadline", 0.2, cwd=tmp_path) as (_, url):
        async with aiohttp.ClientSession() as session:
            status, answer = await post(
                session, f"{url}/get_reward", {"query": ["red", "x", "red"], "labels": ["red", "hang", "blue"]}
            )
    assert (status, answer["rewards"], answer["scores"]) == (200, [3.0, 0.0, 0.0], [3.0, 0.0, 0.0])
    assert not {"think_rewards", "think_length_rewards"} & answer.keys()
    assert answer["errors"] == [None, "scoring took longer than 0.2 s; raise --deadline", None]


async def test_a_client_that_hangs_up_has_its_items_cancelled(tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    with served("own.py:Colour", cwd=tmp_path) as (_, url):
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
            asking = group.create_task(post(session, f"{url}/get_reward", {"query": ["x"], "labels": ["hang"]}))
            await asyncio.to_thread(wait_until, (tmp_path / "begun").exists)
            assert not (tmp_path / "ended").exists()
            asking.cancel()
        await asyncio.to_thread(wait_until, (tmp_path / "ended").exists)
    assert (tmp_path / "ended").exists()


async def test_a_judge_is_asked_at_its_own_server(tmp_path):
    def script(body: dict[str, Any], number: int) -> Any:
        return text("[1]" if "Roma" in body["messages"][-1]["content"] else "[0]")

    with (
        ThreadedServer(script) as judge,
        served("search", "--task.judge", "true", "--base-url", judge.base_url) as (_, url),
    ):
        async with aiohttp.ClientSession() as session:
            items = [
                {"response": f"<answer>{one}</answer>", "label": "Rome", "prompt": "Where?"} for one in ("Roma", "Bonn")
            ]
            status, answer = await post(session, f"{url}/score", {"items": items})
        assert status == 200
        assert [one["judge"] for one in answer["scores"]] == [1.0, 0.0]
        assert len(judge.requests) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_ends_at_a_signal_and_leaves_no_worker_behind(number):
    with served("math") as (process, url):
        async with aiohttp.ClientSession() as session:
            body = {"query": [r"\boxed{\frac{2}{4}x}"], "labels": [r"\frac{x}{2}"]}
            assert (await post(session, f"{url}/get_reward", body))[1]["rewards"] == [1.0]
            workers = children(process.pid)
            assert workers
            process.send_signal(number)
            out, err = await asyncio.to_thread(process.communicate, timeout=20)
    assert (process.returncode, out, err) == (0, "", "")
    await asyncio.to_thread(wait_until, lambda: not any(map(runs, workers)))


def test_another_address_is_remarked_on():
    with served("geo", "--host", "0.0.0.0") as (process, url):
        assert url.startswith("http://0.0.0.0:")
        process.terminate()
        _, err = process.communicate(timeout=20)
    assert err == "--host 0.0.0.0: whoever reaches this address can ask; there is no key\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("geos",), "there is no built-in job 'geos': did you mean 'geo'?"),
        (("none.yaml",), "the job file 'none.yaml' does not exist"),
        (("none.py:Task",), "the task file 'none.py' does not exist"),
        (("geo", "--dataset-path", "nowhere"), "dataset.path 'nowhere' does not exist"),
        (("geo", "--task.scale-km", "-1"), "scale_km is -1.0"),
        (("geo", "--port", "70000"), "70000"),
        (("geo", "--max-batch", "0"), "max-batch"),
        (("search", "--base-url", "http://127.0.0.1:9/v1"), "no server answers at http://127.0.0.1:9/v1"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(tmp_path, words, says):
    port = () if "--port" in words else ("--port", 0)
    with start_service(*words, *port, cwd=tmp_path) as process:
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (2, "")
    assert says in err
    assert len(err.splitlines()) == 1


def test_a_port_that_is_taken_is_said_before_a_dataset_is_read(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with start_service("geo", "--dataset-path", tmp_path / "none", "--port", port) as process:
            _, err = process.communicate(timeout=20)
    assert process.returncode == 2
    assert err.startswith(f"asyncgen: port {port} on 127.0.0.1: ")


async def test_a_dataset_whose_rows_share_a_prompt_needs_labels(tmp_path):
    photos = save_photos(tmp_path / "photos", rows=3)
    with served("geo", "--dataset-path", photos) as (_, url):
        async with aiohttp.ClientSession() as session:
            body = {"query": [ANSWER, ANSWER], "prompts": ["Where?", "Where was this photo taken?"]}
            _, answer = await post(session, f"{url}/get_reward", body)
            _, labelled = await post(session, f"{url}/get_reward", {**body, "labels": ["10.5, 20.25", None]})
    assert answer["rewards"] == [0.0, 0.0]
    assert answer["errors"][0].startswith("no row of the dataset has this prompt")
    assert labelled["rewards"] == [1.0, 0.0]


PLACES = ["italy,lazio/latium", "china,hebei", "germany,bavaria/bayern"]


async def test_seekworlds_rows_are_served_under_its_names_with_its_total(tmp_path):
    def message(number: int) -> str:
        picture = {"type": "image", "image": f"/data/{number}.jpg"}
        question = {"type": "text", "text": "Which country, and which region?"}
        return json.dumps([{"role": "system", "content": "Reason."}, {"role": "user", "content": [picture, question]}])

    rows = [{"message": message(number), "answer": f"${place}$"} for number, place in enumerate(PLACES)]
    (tmp_path / "train.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    said = [
        ("<think>Roma, 00184</think><answer>$italy,lazio$</answer>", 1, 0.5, 9),
        ("<think>a sign</think><answer>$china,hubei$</answer>", 0, 0.5, 5),
        ("<think>x</think>so <answer>$germany,bayern$</answer>", 1, 0.0, 1),
    ]
    with served("region", "--dataset-path", tmp_path / "train.jsonl", "--task.total", "length") as (_, url):
        async with aiohttp.ClientSession() as session:
            body = {"query": [f"{HEAD}{one[0]}<|im_end|>" for one in said], "prompts": [row["message"] for row in rows]}
            status, answer = await post(session, f"{url}/get_reward", body)
    assert (status, answer["errors"]) == (200, [None] * 3)
    assert answer["acc_rewards"] == answer["scores"] == [1.0, 0.0, 1.0]
    assert answer["format_rewards"] == [0.5, 0.5, 0.0]
    assert answer["think_length_rewards"] == pytest.approx([0.009, 0.005, 0.001])
    assert answer["rewards"] == pytest.approx([one[1] + one[2] + one[3] / 1000 for one in said])
    assert "think_rewards" not in answer
