"""The demo from end to end, with a small command in the place of asyncgen's."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from asyncgen.core.errors import TemporaryError
from asyncgen.embedded.child import stop
from asyncgen.embedded.demo import Demo, liveliest, main, next_steps, play, vision_server

FAKE = """
import json, os, pathlib, signal, sys, urllib.request
words = sys.argv[1:]
with open({log!r}, "a") as log:
    log.write(json.dumps(words) + chr(10))
if words[0] == "run":
    flags = dict(zip(words[2::2], words[3::2]))
    assert os.path.exists(flags["--dataset-path"] + "/state.json")
    with urllib.request.urlopen(flags["--base-url"] + "/models") as answer:
        assert b"blue-marble-matcher" in answer.read()
    traces = pathlib.Path(flags["--output-dir"], "traces")
    traces.mkdir(parents=True, exist_ok=True)
    line = dict(id="geo-tools/1/0", metadata=dict(total_turns=4, distance_km=9.0))
    (traces / "traces-a-00000.jsonl").write_text(json.dumps(line) + chr(10))
    {ending}
"""


def demo_with(tmp_path: Path, ending: str = "sys.exit(0)") -> tuple[Demo, list[str], Path]:
    script, log = tmp_path / "fake.py", tmp_path / "log"
    script.write_text(FAKE.format(log=str(log), ending=ending))
    said: list[str] = []
    return Demo(tmp_path / "demo", 2, (sys.executable, str(script)), said.append), said, log


def commands(log: Path) -> list[list[str]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_the_demo_makes_tiles_runs_the_job_and_shows_what_came_of_it_twice(tmp_path):
    demo, said, log = demo_with(tmp_path)
    assert play(demo) == 0
    first = (demo.dataset / "state.json").stat().st_mtime_ns
    assert play(demo) == 0
    words = commands(log)
    assert [command[0] for command in words] == ["run", "stats", "show"] * 2
    assert words[0][1] == "geo-tools"
    assert words[2] == ["show", str(demo.output), "geo-tools/1/0"]
    assert (demo.dataset / "state.json").stat().st_mtime_ns == first
    text = "\n".join(said)
    assert "map matcher and not a language model" in text
    assert "is there already" in text
    assert "--base-url http://HOST:8000/v1" in text


@pytest.mark.parametrize(
    ("ending", "code", "shows"),
    [("sys.exit(75)", 75, False), ("sys.exit(4)", 4, True), ("os.kill(os.getpid(), 9)", 137, False)],
)
def test_the_exit_code_of_the_run_is_passed_on(tmp_path, ending, code, shows):
    demo, said, log = demo_with(tmp_path, ending)
    assert play(demo) == code
    assert (["stats", str(demo.output)] in commands(log)) is shows
    assert any("goes on where it stopped" in text for text in said) is not shows


def test_sigterm_is_passed_on_to_the_run(tmp_path):
    demo, _, log = demo_with(tmp_path, "os.kill(os.getppid(), signal.SIGTERM); signal.pause()")
    assert play(demo) == 143
    assert [command[0] for command in commands(log)] == ["run"]


def test_ctrl_c_is_left_to_the_run_which_ends_in_its_own_time(tmp_path):
    demo, _, log = demo_with(tmp_path, "os.kill(os.getppid(), signal.SIGINT); sys.exit(130)")
    assert play(demo) == 130
    assert [command[0] for command in commands(log)] == ["run"]


def test_the_endpoint_is_gone_after_the_demo():
    with vision_server() as base_url:
        port = urlsplit(base_url).port
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with pytest.raises(ConnectionRefusedError):
        connection.request("GET", "/health")
    connection.close()


def test_an_endpoint_that_does_not_start_is_said_so():
    command = (sys.executable, "-c", "raise SystemExit(3)")
    with pytest.raises(TemporaryError, match="exit code 3"), vision_server(command):
        pytest.fail("it cannot be ready")


def test_a_child_that_ignores_sigterm_is_killed():
    code = "import signal, sys; signal.signal(15, signal.SIG_IGN); print('on', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "on\n"
        stop(child, seconds=0.1)
        assert child.returncode == -9


def test_the_liveliest_trace_has_the_most_turns_and_of_those_the_smallest_distance(tmp_path):
    traces = tmp_path / "traces"
    traces.mkdir()
    assert liveliest(tmp_path) == ""
    for number, (turns, km) in enumerate([(3, 1.0), (5, 700.0), (5, 8.0), (2, 0.1)]):
        line = {"id": f"geo-tools/{number}/0", "metadata": {"total_turns": turns, "distance_km": km}}
        (traces / f"traces-a-{number:05}.jsonl").write_text(json.dumps(line) + "\n")
    (traces / "traces-a-00009.jsonl.part").write_text("{half")
    assert liveliest(tmp_path) == "geo-tools/2/0"


def test_the_next_steps_start_the_endpoint_again_at_the_same_port(tmp_path):
    text = next_steps(Demo(Path("demo"), 2), "http://127.0.0.1:4711/v1")
    assert "vision_server --port 4711 &" in text
    assert "run geo-tools --dataset-path demo/tiles --num-samples -1 --base-url http://127.0.0.1:4711/v1" in text
    assert "--output-dir demo/run-real" in text


def test_no_tiles_at_all_is_a_usage_error(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["--tiles", "0", "--dir", str(tmp_path)])
    assert "--tiles is 0" in capsys.readouterr().err
