"""One line a trace."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from support.traces import two_turns

from asyncgen.core.errors import InputError
from asyncgen.export.files import Counts
from asyncgen.export.formats import FORMATS
from asyncgen.export.jsonl import write_jsonl


def lines(path: Path) -> list[Any]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


@pytest.mark.parametrize(("out", "file"), [("a/x.jsonl", "a/x.jsonl"), ("out", "out/traces.jsonl")])
def test_lines_go_to_the_named_file_or_into_the_folder_without_checksum(tmp_path: Path, out: str, file: str) -> None:
    traces = [two_turns(1), two_turns(2)]
    assert FORMATS["jsonl"](lambda: traces, tmp_path / out) == Counts(out=tmp_path / file, traces=2, files=1)
    assert lines(tmp_path / file) == [{key: trace[key] for key in trace if key != "crc"} for trace in traces]


def test_keys_keep_their_order(tmp_path: Path) -> None:
    write_jsonl(lambda: [two_turns()], tmp_path / "x.jsonl")
    assert list(lines(tmp_path / "x.jsonl")[0]) == list(two_turns())[:-1]


def test_an_export_that_fails_keeps_the_older_file(tmp_path: Path) -> None:
    def traces() -> Iterator[dict[str, Any]]:
        yield two_turns(1)
        raise InputError("the second shard is gone")

    path = tmp_path / "x.jsonl"
    path.write_text("old")
    with pytest.raises(InputError):
        write_jsonl(traces, path)
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [("x.jsonl", "old")]


def test_a_folder_that_is_there_keeps_its_other_files(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "a.jsonl").mkdir()
    for folder in (tmp_path, tmp_path / "a.jsonl"):
        assert write_jsonl(lambda: [two_turns()], folder).out == folder / "traces.jsonl"
        assert len(lines(folder / "traces.jsonl")) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "notes.txt", "traces.jsonl"]


def test_a_disk_that_is_full_is_named_by_the_file(tmp_path: Path) -> None:
    def full() -> Iterator[Any]:
        yield two_turns(1)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"No space left on device: .*x"):
        write_jsonl(full, tmp_path / "x.jsonl")
    assert list(tmp_path.iterdir()) == []
