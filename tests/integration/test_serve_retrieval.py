"""`asyncgen serve-retrieval` as a process, asked over real HTTP."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.cli_jobs import command, environment, wait_until
from support.retrieval import ROWS, ask, ids, write_rows


@contextmanager
def served(corpus: Path, *flags: object, stdin: int | None = None) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, and its URL from the line that it prints."""
    with _start(corpus, "--port", 0, *flags, stdin=stdin) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("retrieval server at http://"), process.communicate()[1]
            yield process, line.split(" at ")[1].split(": ")[0]
        finally:
            process.kill()


def _start(*words: object, stdin: int | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command("serve-retrieval", *words),
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )


@pytest.fixture(scope="module")
def url(tmp_path_factory) -> Iterator[str]:
    with served(write_rows(tmp_path_factory.mktemp("wiki") / "wiki.jsonl")) as (_, found):
        yield found


def test_a_port_file_that_cannot_be_written_is_a_usage_error(tmp_path):
    place = tmp_path / "nowhere" / "port"
    with served(write_rows(tmp_path / "wiki.jsonl"), "--port-file", place) as (process, _):
        _, err = process.communicate(timeout=20)
    assert process.returncode == 2
    assert err.splitlines()[-1] == (
        f"asyncgen: --port-file {place} cannot be written (No such file or directory); "
        "give a file in a folder that is there"
    )


def test_it_says_where_it_is_and_what_it_has(tmp_path):
    corpus = write_rows(tmp_path / "wiki.jsonl", [*ROWS, "broken"])
    with served(corpus, "--port-file", tmp_path / "port") as (process, url):
        wait_until((tmp_path / "port").exists)
        assert url == f"http://127.0.0.1:{(tmp_path / 'port').read_text().strip()}/retrieve"
        assert ask(url, path="/health") == (200, {"status": "ok", "passages": 4, "queries": 0})
        process.terminate()
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out) == (0, "")
        assert err.splitlines() == [
            f"indexing {corpus}: 5 rows, text from column 'contents'",
            "left out of 5 rows: 1 that cannot be read",
        ]
    assert (tmp_path / "wiki.jsonl.index").is_dir()


def test_the_second_start_uses_the_index_of_the_first(tmp_path):
    corpus = write_rows(tmp_path / "wiki.jsonl")
    for err in (f"indexing {corpus}: 4 rows, text from column 'contents'\n", ""):
        with served(corpus, "--index", tmp_path / "elsewhere") as (process, url):
            assert ask(url, {"queries": ["Seine"]})[0] == 200
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=20)[1] == err
            assert process.returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "wiki.jsonl"]


def test_the_protocol_of_search_r1_is_spoken(url):
    body = {"queries": ["capital of France", "日本の首都"], "topk": 1, "return_scores": True}
    status, answer = ask(url, body)
    assert status == 200
    assert ids(answer["result"]) == [["1"], ["2"]]
    assert answer["result"][0][0]["document"]["contents"] == ROWS[1]["contents"]
    assert ids(ask(url, {**body, "return_scores": False})[1]["result"]) == [["1"], ["2"]]


def test_a_query_with_quotes_newlines_and_cjk_goes_through(url):
    status, answer = ask(url, {"queries": ['"Zürich"\n(AND [東京]: "x', "capital\r\n\tEngland\x00"], "topk": 2})
    assert status == 200
    assert [set(hits) for hits in ids(answer["result"])] == [{"2", "3"}, {"0", "1"}]


def test_errors_are_json_with_a_detail(url):
    status, answer = ask(url, {"query_list": ["a"]})
    assert status == 422
    assert "queries is missing" in answer["detail"][0]["msg"]
    assert ask(url, b"{")[0] == 422
    assert ask(url, path="/")[0] == 404


def test_two_hundred_clients_at_once_are_answered(url):
    def one(number: int) -> list[list[str]]:
        status, answer = ask(url, {"queries": [ROWS[number % 4]["contents"]] * 3, "topk": 1})
        assert status == 200
        return ids(answer["result"])

    with ThreadPoolExecutor(200) as clients:
        found = list(clients.map(one, range(200)))
    assert found == [[[str(number % 4)]] * 3 for number in range(200)]


def test_a_connection_that_is_kept_alive_does_not_hold_the_end(tmp_path):
    with served(write_rows(tmp_path / "wiki.jsonl")) as (process, url):
        split = urlsplit(url)
        connection = http.client.HTTPConnection(split.hostname or "", split.port)
        connection.request("POST", split.path, json.dumps({"queries": ["Paris"]}))
        assert connection.getresponse().read()
        process.terminate()
        assert process.wait(timeout=4) == 0
        connection.close()


def test_two_that_start_at_once_share_one_index(tmp_path):
    corpus = write_rows(tmp_path / "c.jsonl", [{"text": f"word{row} and more"} for row in range(3000)])
    with served(corpus) as (first, url), served(corpus) as (second, other):
        for address in (url, other):
            assert ids(ask(address, {"queries": ["word2999"]})[1]["result"]) == [["2999"]]
        for process in (first, second):
            process.terminate()
        said = [process.communicate(timeout=20)[1] for process in (first, second)]
    assert sum("indexing" in text for text in said) == 1
    assert len(list((tmp_path / "c.jsonl.index").glob("bm25-*"))) == 1


def test_a_kill_while_it_builds_leaves_no_half_index(tmp_path):
    corpus = write_rows(tmp_path / "c.jsonl", [{"text": f"word{row} and more text"} for row in range(30_000)])
    folder = tmp_path / "c.jsonl.index"
    with _start(corpus, "--port", 0) as process:
        wait_until(lambda: bool(list(folder.glob("bm25-*.part-*/meta.json"))))
        process.kill()
    left = [path.name for path in folder.glob("bm25-*")]
    assert left
    assert all(".part-" in name for name in left)
    with served(corpus) as (_, url):
        assert ids(ask(url, {"queries": ["word29999"]})[1]["result"]) == [["29999"]]
        assert all(".part-" not in path.name for path in folder.glob("bm25-*"))


def test_sigterm_while_it_builds_ends_it_and_cleans_up(tmp_path):
    corpus = write_rows(tmp_path / "c.jsonl", [{"text": f"word{row} and more text"} for row in range(30_000)])
    folder = tmp_path / "c.jsonl.index"
    with _start(corpus, "--port", 0) as process:
        wait_until(lambda: bool(list(folder.glob("bm25-*.part-*/meta.json"))))
        process.terminate()
        assert process.wait(timeout=20) == 128 + signal.SIGTERM
    assert [path.name for path in folder.iterdir()] == ["LOCK"]


def test_it_ends_with_its_parent(tmp_path):
    with served(write_rows(tmp_path / "wiki.jsonl"), "--watch-stdin", stdin=subprocess.PIPE) as (process, _):
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=20) == 0


@pytest.mark.parametrize(
    ("rows", "flags", "says"),
    [
        (ROWS, ("--text", "body"), "--text 'body': "),
        ([{"a": "x", "b": "y"}], (), "none of the columns a, b is known to have the text"),
        ([{"text": " "}], (), "no row has text in column 'text'"),
        (None, (), "CORPUS '"),
        (ROWS, ("--port", "70000"), "70000"),
        (ROWS, ("--topk", "0"), "topk"),
        (ROWS, ("--index", "/dev/null/x"), "give another with --index DIR"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(tmp_path, rows, flags, says):
    corpus = tmp_path / "c.jsonl"
    if rows is not None:
        write_rows(corpus, rows)
    port = () if "--port" in flags else ("--port", 0)
    with _start(corpus, *port, *flags) as process:
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (2, "")
    (complaint,) = [line for line in err.splitlines() if line.startswith("asyncgen: ")]
    assert says in complaint
    assert "Traceback" not in err


def test_a_port_that_is_taken_is_said_before_anything_is_indexed(tmp_path):
    corpus = write_rows(tmp_path / "wiki.jsonl")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with _start(corpus, "--port", port) as process:
            _, err = process.communicate(timeout=20)
    assert process.returncode == 2
    assert err.startswith(f"asyncgen: port {port} on 127.0.0.1: ")
    assert [path.name for path in tmp_path.iterdir()] == ["wiki.jsonl"]
