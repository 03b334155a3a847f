"""One byte of a run directory is another one: `verify` names it, `--salvage` sets it aside, `run` asks again.

Catalogs are caches, and journals hold what can be asked for again: damage to them never makes an answer wrong.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.asked import at_once, by_content, essence, turn_of
from support.cli_jobs import Outcome, asyncgen, ended, ids, photo, start, traces, wait_until, wanted_ids
from support.deep import deep
from support.server import Reply, ThreadedServer, hang

Run = Callable[..., Outcome]
ROWS = 6


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    for row in range(ROWS):
        (folder / f"{row}.jpg").write_bytes(photo(row))
    found = [{"image": f"{row}.jpg", "lat": row * 5.0, "lon": row * 10.0} for row in range(ROWS)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in found))
    return folder / "rows.jsonl"


def command(job: str, rows: Path, out: Path, server: ThreadedServer) -> list[object]:
    given = ["run", job, "--dataset-path", rows, "--output-dir", out, "--base-url", server.base_url]
    return [*given, "--num-samples", -1, "--concurrency", 2]


def flip(file: Path, offset: int, value: int, *, secretly: bool = False) -> None:
    """Put another byte there. `secretly`: the file looks as old as before."""
    before = file.stat()
    data = bytearray(file.read_bytes())
    assert data[offset] != value
    data[offset] = value
    file.write_bytes(data)
    if secretly:
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.fixture(scope="module")
def finished(rows: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that is complete."""
    out = tmp_path_factory.mktemp("finished") / "run"
    with ThreadedServer(at_once) as server:
        done = asyncgen(*command("geo", rows, out, server))
    assert done.code == 0, done.err
    return out


def only_shard(out: Path) -> Path:
    (shard,) = (out / "traces").glob("*.jsonl")
    return shard


@pytest.mark.parametrize(
    "place",
    ["a letter", *deep(("a digit of the checksum", "the end of the line"))],
)
def test_a_flipped_byte_costs_its_own_trace_and_no_other(
    run: Run, rows: Path, finished: Path, tmp_path: Path, place: str
):
    out = Path(shutil.copytree(finished, tmp_path / "run"))
    shard = only_shard(out)
    lines = shard.read_bytes().splitlines(keepends=True)
    end = sum(map(len, lines[:3]))
    lost = json.loads(lines[2])["id"]
    offset, value = {
        "a letter": (end - len(lines[2]) // 2, 0x01),
        "a digit of the checksum": (end - 5, ord("x")),
        "the end of the line": (end - 1, ord(" ")),
    }[place]
    flip(shard, offset, value)
    found = run("verify", out, "--json")
    report = json.loads(found.out)["directories"][0]
    assert found.code == 3
    assert [text.rpartition(": ")[0] for text in report["bad"]["first"]] == [f"{shard}:3"]
    with ThreadedServer(at_once) as server:
        refused = asyncgen(*command("geo", rows, out, server))
        assert refused.code == 3
        assert f"{shard}:3: " in refused.complaints[0]
        assert run("verify", out, "--salvage").code == 0
        assert sorted(ids(out)) == sorted(set(ids(finished)) - {lost})
        assert len(list((out / "quarantine").iterdir())) == 1
        done = asyncgen(*command("geo", rows, out, server))
        assert len(server.requests) == 1
    assert done.code == 0, done.err
    assert sorted(map(essence_text, traces(out))) == sorted(map(essence_text, traces(finished)))
    assert run("verify", out).code == 0


def essence_text(trace: dict[str, Any]) -> str:
    return json.dumps(essence(trace), sort_keys=True)


def questions(run: Run, out: Path) -> list[str]:
    """What the commands that read catalogs say of the traces."""
    status = json.loads(run("status", out, "--json").out)
    asked: list[list[object]] = [
        ["ls", out, "--where", "score >= 0 and lat < 20", "--json"],
        ["stats", out, "--json"],
        ["sql", out, "select * from traces order by id", "--json"],
    ]
    counts = [str(status[key]) for key in ("done", "failed", "left", "stored", "completion_tokens")]
    return [*counts, *(run(*words).out for words in asked)]


def test_a_flipped_byte_of_a_catalog_never_makes_an_answer_wrong(run: Run, finished: Path, tmp_path: Path):
    out = Path(shutil.copytree(finished, tmp_path / "run"))
    (catalog,) = (out / "traces").glob("*.catalog.parquet")
    wanted, whole = questions(run, out), catalog.read_bytes()
    assert all(wanted)
    chance = random.Random(11)
    for _ in range(12):
        offset = chance.randrange(len(whole))
        flip(catalog, offset, whole[offset] ^ 1 << chance.randrange(8), secretly=True)
        assert questions(run, out) == wanted, offset
        catalog.write_bytes(whole)


def test_a_flipped_byte_of_a_catalog_asks_no_server_and_the_catalog_is_made_again(
    run: Run, rows: Path, finished: Path, tmp_path: Path
):
    out = Path(shutil.copytree(finished, tmp_path / "run"))
    (catalog,) = (out / "traces").glob("*.catalog.parquet")
    wanted, whole = questions(run, out), catalog.read_bytes()
    for offset in (len(whole) // 3, len(whole) - 20):
        flip(catalog, offset, whole[offset] ^ 0x10)
        with ThreadedServer(at_once) as server:
            assert asyncgen(*command("geo", rows, out, server)).code == 0
            assert server.requests == []
        assert questions(run, out) == wanted
    assert run("verify", out).code == 0


def test_a_flipped_byte_of_a_journal_costs_a_few_turns_and_changes_no_trace(run: Run, rows: Path, tmp_path: Path):
    def stuck(body: dict[str, Any], number: int) -> Reply:
        return by_content(body) if number < 8 else hang()

    with ThreadedServer(stuck) as server:
        process = start(*command("geo-tools", rows, tmp_path / "killed", server))
        wait_until(lambda: len(server.requests) >= 10)
        process.kill()
        ended(process)
    (journal,) = (tmp_path / "killed" / "journal").iterdir()
    size = journal.stat().st_size
    texts = set()
    for number, offset in enumerate((size // 2, journal.read_bytes().index(b"\n"))):
        out = Path(shutil.copytree(tmp_path / "killed", tmp_path / str(number)))
        flip(out / "journal" / journal.name, offset, 0x07)
        with ThreadedServer(by_content, port=server.port) as back:
            assert asyncgen(*command("geo-tools", rows, out, back)).code == 0
            asked = [turn_of(one.body) for one in back.requests]
        assert len(asked) == len(set(asked))
        assert ids(out) == wanted_ids("geo-tools", range(ROWS))
        assert run("verify", out).code == 0
        texts.add(json.dumps(sorted(map(essence_text, traces(out)))))
    assert len(texts) == 1
