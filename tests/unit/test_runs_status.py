"""What `status` says of copies, and of directories whose files are damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from asyncgen.core.errors import DataError
from asyncgen.runs.reading import status_of
from asyncgen.view.summary import render_status

RUN: dict[str, Any] = {"name": "geo", "config_id": "abc", "total": 9}
START: dict[str, Any] = {"event": "start", "time": "2026-01-01T00:00:00.000+00:00", "done": 0, "failed": 0, "stored": 0}
STOP: dict[str, Any] = {"event": "stop", "time": "2026-01-01T00:00:00.001+00:00", "failed": 9}


def directory(path: Path, run: Any = RUN, events: tuple[dict[str, Any], ...] = (START, STOP)) -> Path:
    (path / "run.json").write_bytes(orjson.dumps(run))
    (path / "events.jsonl").write_bytes(b"".join(orjson.dumps(event) + b"\n" for event in events))
    return path


def test_a_copy_has_no_rate(tmp_path: Path) -> None:
    assert status_of(directory(tmp_path))["rate_per_minute"] == 540_000
    copy = status_of(directory(tmp_path, {**RUN, "derived": {"command": "filter"}}))
    assert copy["rate_per_minute"] == 0.0
    assert "rate -, left -" in render_status(copy)


@pytest.mark.parametrize(
    ("run", "said"),
    [
        ({}, "run.json has no text for 'name'"),
        ({**RUN, "name": 5}, "run.json has no text for 'name'"),
        ({**RUN, "config_id": None}, "run.json has no text for 'config_id'"),
        ({**RUN, "total": "x"}, "run.json is damaged: 'total' is no number"),
    ],
)
def test_a_run_file_with_wrong_values_is_damaged_data(tmp_path: Path, run: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        status_of(directory(tmp_path, run))


@pytest.mark.parametrize(
    "events",
    [
        ({**START, "done": "x"},),
        ({**START, "stored": None},),
        (START, {**STOP, "failed": "q"}),
        (START, {**STOP, "skipped": [1]}),
        ({**START, "time": "zz"}, STOP),
        (START, {"event": "stop"}),
    ],
)
def test_events_with_wrong_values_are_damaged_data(tmp_path: Path, events: tuple[dict[str, Any], ...]) -> None:
    with pytest.raises(DataError, match=r"events\.jsonl is damaged"):
        status_of(directory(tmp_path, events=events))
