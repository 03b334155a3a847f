"""Catalogs as an outsider meets them: files beside the shards that may go, or be damaged, and come back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import duckdb
import pytest
from support.cli_jobs import answering, asyncgen, traces
from support.server import ThreadedServer, error


def failing_some(body: dict[str, Any], number: int) -> Any:
    """Every fourth request is refused."""
    return error(400, "no") if number % 4 == 3 else answering(body, number)


@pytest.fixture(scope="module")
def made(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[object]]:
    """A run of eight episodes, some failed, and the words that made it."""
    out = tmp_path_factory.mktemp("made") / "run"
    with ThreadedServer(failing_some) as server:
        words = ["run", "geo", "--dataset-path", photos, "--output-dir", out, "--base-url", server.base_url]
        ended = asyncgen(*words, "--max-failed", 1, "--concurrency", 1)
    assert ended.code == 0, ended.err
    return out, words


def catalogs(directory: Path) -> list[Path]:
    return sorted(directory.glob("*/*.catalog.parquet"))


def status(directory: Path) -> dict[str, Any]:
    """The counts."""
    said = json.loads(asyncgen("status", directory, "--json").out)
    return {name: said[name] for name in ("state", "total", "done", "failed", "left", "stored", "failed_reasons")}


def test_a_run_leaves_a_catalog_beside_each_shard_that_says_what_its_lines_say(made: tuple[Path, list[object]]):
    out, _ = made
    shards = sorted(out.glob("*/*.jsonl"))
    assert [path.name for path in catalogs(out)] == [shard.stem + ".catalog.parquet" for shard in shards]
    columns = 'id, "index", rollout, "offset", length, stop, "reward.score", "meta.total_turns", "data.country"'
    rows = duckdb.sql(f"SELECT {columns} FROM read_parquet('{out}/traces/*.catalog.parquet')").fetchall()
    assert [(one[0], one[1], one[2], *one[5:]) for one in rows] == [
        (
            one["id"],
            one["sample_index"],
            one["rollout"],
            one["metadata"]["stop"],
            one["reward_score"]["score"],
            one["metadata"]["total_turns"],
            one["sample_data"]["country"],
        )
        for one in traces(out)
    ]
    (shard,) = out.glob("traces/*.jsonl")
    text = shard.read_bytes()
    assert [json.loads(text[at : at + length])["id"] for _, _, _, at, length, *_ in rows] == [row[0] for row in rows]
    assert b"catalog_error" not in (out / "events.jsonl").read_bytes()


def deleted(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 4
    path.write_bytes(data)


def garbled(path: Path) -> None:
    path.write_bytes(b"PAR1" + b"\x17" * 500 + b"PAR1")


@pytest.mark.parametrize(
    "harm", [flipped, *(pytest.param(one, marks=pytest.mark.deep) for one in (deleted, cut, garbled))]
)
def test_what_is_done_to_catalogs_changes_nothing_and_the_next_run_makes_them_again(
    made: tuple[Path, list[object]], tmp_path: Path, harm: Callable[[Path], None]
):
    original, words = made
    out = tmp_path / "run"
    shutil.copytree(original, out)  # with its times
    before, whole = status(out), {path.name: path.read_bytes() for path in catalogs(out)}
    for path in catalogs(out):
        harm(path)
    assert status(out) == before
    again = asyncgen(*(out if word == original else word for word in words))  # nobody listens there any more
    assert (again.code, "0 left" in again.err) == (4, True), again.err
    assert {path.name: path.read_bytes() for path in catalogs(out)} == whole
    assert status(out) == before


def test_a_copy_whose_files_have_another_time_is_read_all_the_same(made: tuple[Path, list[object]], tmp_path: Path):
    original, words = made
    out = tmp_path / "run"
    shutil.copytree(original, out, copy_function=shutil.copyfile)
    assert status(out) == status(original)
    verified = asyncgen("verify", out)
    assert verified.code == 0
    assert "catalogs that do not fit their shards (as in a copy), and are made again: 2" in verified.out + verified.err
    assert asyncgen(*(out if word == original else word for word in words)).code == 4
    assert "catalogs" not in asyncgen("verify", out).out


def test_datasets_reads_the_traces_and_not_their_catalogs(made: tuple[Path, list[object]], tmp_path: Path):
    loaded = datasets.load_dataset(str(made[0]), split="train", cache_dir=str(tmp_path / "cache"))
    assert sorted(loaded["id"]) == sorted(one["id"] for one in traces(made[0]))


def test_a_filtered_copy_has_catalogs(made: tuple[Path, list[object]], tmp_path: Path):
    done = asyncgen("filter", made[0], "--where", "parse_success", "-o", tmp_path / "kept")
    assert done.code == 0, done.err
    (shard,) = (tmp_path / "kept").glob("traces/*.jsonl")
    assert [path.name for path in catalogs(tmp_path / "kept")] == [shard.stem + ".catalog.parquet"]
