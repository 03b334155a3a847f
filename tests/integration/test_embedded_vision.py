"""The vision endpoint as a process, over real HTTP."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

import pytest
from PIL import Image
from support.embedded_world import TEXT_TOOLS, TOOLS, applied, boxed, image_part, jpeg, kilometres, tile, user

from asyncgen.core.types import Json
from asyncgen.embedded.conversation import ROTATE
from asyncgen.embedded.demo import vision_server
from asyncgen.embedded.vision_server import MODEL


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with vision_server() as url:
        yield url


def ask(base_url: str, path: str, body: bytes | Mapping[str, Json] | None = None) -> tuple[int, Json]:
    split = urlsplit(base_url)
    connection = http.client.HTTPConnection(split.hostname, split.port, timeout=30)
    try:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.request("GET" if data is None else "POST", path, data)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def chat(base_url: str, **body: Json) -> tuple[int, Json]:
    return ask(base_url, "/v1/chat/completions", {"model": MODEL, **body})


def test_models_and_health(base_url):
    assert ask(base_url, "/health") == (200, {"status": "ok"})
    status, models = ask(base_url, "/v1/models")
    assert status == 200
    assert [model["id"] for model in models["data"]] == [MODEL]


def test_a_turned_tile_is_found_with_native_tool_calls(base_url):
    lat, lon = -25.0, 134.0
    original = tile(lat, lon, 35).rotate(270, expand=True)
    messages = [user("Where?", original)]
    called = []
    for _ in range(6):
        status, answer = chat(base_url, messages=messages, tools=TOOLS)
        assert status == 200
        choice = answer["choices"][0]
        message = choice["message"]
        if choice["finish_reason"] == "stop":
            break
        call = message["tool_calls"][0]
        arguments = json.loads(call["function"]["arguments"])
        called.append(call["function"]["name"])
        result = {"role": "tool", "tool_call_id": call["id"], "content": "Done."}
        messages += [message, result, user(applied(call["function"]["name"], arguments, original))]
    assert kilometres((lat, lon), boxed(message["content"])) < 50
    assert ROTATE in called
    assert message["reasoning_content"].count("Turned by") == called.count(ROTATE) + 1


def test_a_turned_tile_is_found_with_calls_in_the_text(base_url):
    lat, lon = 38.0, 24.0
    original = tile(lat, lon, 24).rotate(180, expand=True)
    messages = [{"role": "system", "content": TEXT_TOOLS}, user("Where?", original)]
    turns = 0
    content = ""
    for _ in range(6):
        content = chat(base_url, messages=messages)[1]["choices"][0]["message"]["content"]
        if "<tool_call>" not in content:
            break
        turns += 1
        call = json.loads(content.split("<tool_call>")[1].split("</tool_call>")[0])
        shown = applied(call["name"], call["arguments"], original)
        messages += [
            {"role": "assistant", "content": content},
            user("<tool_response>\n", shown, "\n</tool_response>"),
        ]
    assert kilometres((lat, lon), boxed(content)) < 50
    assert turns >= 2


def test_choices_and_usage_are_counted(base_url):
    status, answer = chat(base_url, messages=[user("Where?", tile(38, 24, 24))], n=2)
    assert status == 200
    assert [choice["index"] for choice in answer["choices"]] == [0, 1]
    usage = answer["usage"]
    assert usage["prompt_tokens"] == 1 + 640 * 480 // 784
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_what_is_wrong_with_a_request_is_said_in_openai_errors(base_url):
    noise = jpeg(Image.effect_noise((300, 300), 80))
    half = {"role": "user", "content": [image_part(noise[: len(noise) // 2])]}
    refused = [
        (400, "not JSON", ask(base_url, "/v1/chat/completions", b"{")),
        (400, "JSON object", ask(base_url, "/v1/chat/completions", b"[]")),
        (400, "messages", chat(base_url)),
        (400, "stream", chat(base_url, messages=[user("a")], stream=True)),
        (400, "n is 0", chat(base_url, messages=[user("a")], n=0)),
        (400, "damaged", chat(base_url, messages=[half])),
        (404, "does not exist", chat(base_url, messages=[user("a")], model="gpt")),
        (404, "Not Found", ask(base_url, "/v1/nothing")),
    ]
    for status, says, (got, answer) in refused:
        assert got == status
        assert says in answer["error"]["message"]
        assert answer["error"]["type"] == "invalid_request_error"


def test_the_endpoint_prints_its_address_and_ends_on_sigterm():
    with _server("--port", "0") as server:
        assert server.stdout is not None
        said = server.stdout.readline()
        assert "not a language model" in said
        assert ask(said.split(" at ")[1].strip(), "/health")[0] == 200
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=20) == 0


def test_the_endpoint_ends_with_its_parent():
    with _server("--watch-stdin", stdin=subprocess.PIPE) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdout.readline()
        server.stdin.close()
        assert server.wait(timeout=20) == 0


def test_a_port_that_is_taken_is_a_usage_error():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with _server("--port", port, stderr=subprocess.PIPE) as server:
            assert server.wait(timeout=20) == 2
            assert server.stderr is not None
            assert server.stderr.read().startswith("error: ")


def _server(*arguments: str, stdin: int | None = None, stderr: int | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "asyncgen.embedded.vision_server", *arguments]
    return subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, text=True)
