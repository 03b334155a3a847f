"""A question has one answer, whether it is read from catalogs or line by line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.runs_on_disk import WRITER
from support.traces import failed_line, trace_line

from asyncgen.core.types import Json
from asyncgen.runs.places import Seen
from asyncgen.runs.sheets import sheet_of
from asyncgen.store.layout import CATALOG
from asyncgen.store.line import encode_line

BY_LINE = "final_response"
"""No catalog has it: where a question names it, every line is read."""
TEXTS = st.sampled_from(["", "a", "1", "0.5", "null", "é\0", "x" * 40_000])
VALUES: Sequence[st.SearchStrategy[Json]] = (
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXTS,
    st.lists(st.integers(0, 3), max_size=2),
)
NAMES = ("k", "K", "b", "", "k\0b", 'q"u', "score", "index")
ROW = st.tuples(
    st.integers(0, 20),
    st.integers(0, 1),
    st.dictionaries(st.sampled_from(NAMES), st.integers(0, 5), max_size=3),
    st.sampled_from(["job", "other"]),
)
"""Index, rollout, kind of value by name, job."""
SHARD = st.tuples(st.lists(ROW, min_size=1, max_size=4), st.sampled_from([False, False, False, True]))
"""Rows, and whether it is open."""
DIRECTORY = st.tuples(st.lists(SHARD, min_size=1, max_size=4), st.lists(SHARD, max_size=2))
"""Shards of traces, and of failures."""


def write(directory: Path, shards: tuple[Any, Any], draw: Any) -> None:
    for kind, some in zip(("traces", "failed"), shards, strict=True):
        (directory / kind).mkdir(parents=True)
        for number, (rows, is_open) in enumerate(some):
            lines = [line(kind, row, draw) for row in rows]
            name = f"{kind}-{WRITER}-{number:05d}.jsonl{'.part' if is_open else ''}"
            (directory / kind / name).write_bytes(b"".join(lines))
    (directory / "run.json").write_text('{"name": "job"}')


def line(kind: str, row: tuple[int, int, Mapping[str, int], str], draw: Any) -> bytes:
    index, rollout, kinds, job = row
    data = {name: draw(VALUES[at]) for name, at in kinds.items()}
    if kind == "failed":
        return encode_line({**failed_line(index), "sample_data": data, "id": f"{job}/{index}/{rollout}"})
    return encode_line(trace_line(index, rollout, job=job, data=data, scores={"score": draw(VALUES[3])}))


def answers(paths: Sequence[Path], sql: str, *, failed: bool, seen: Seen | None) -> Any:
    """All that is known of the traces: columns with types and values, places, keys, doubles."""
    with sheet_of(paths, sql=sql, failed=failed, seen=seen) as opened:
        table = opened.arrow()
        kept = opened.kept("rollout = 0 AND sample_index > 1") if opened.traces else None
        columns = {
            name: (str(table.column(name).type), table.column(name).to_pylist())
            for name in table.column_names
            if name != BY_LINE
        }
        found = (list(kept.places()), list(kept.keys()), kept.clauses) if kept else None
        rest = [[(one.name, one.kind) for one in columns] for columns in opened.sheet.parts.values()]
        return columns, found, rest, opened.traces, seen and seen.doubles


@settings(max_examples=20, deadline=None)
@given(
    runs=st.lists(st.lists(DIRECTORY, min_size=1, max_size=2), min_size=1, max_size=2),
    failed=st.booleans(),
    by_job=st.sampled_from([None, False, True]),
    data=st.data(),
)
def test_catalogs_answer_as_lines_do(runs: list[list[Any]], failed: bool, by_job: bool | None, data: st.DataObject):
    def seen() -> Seen | None:
        return None if by_job is None or failed else Seen(by_job=by_job)

    with TemporaryDirectory() as name:
        paths = [Path(name) / f"run-{number}" for number in range(len(runs))]
        for path, parts in zip(paths, runs, strict=True):
            for number, shards in enumerate(parts):
                write(path / f"part-{number:03d}-of-{len(parts):03d}" if len(parts) > 1 else path, shards, data.draw)
        by_line = answers(paths, BY_LINE, failed=failed, seen=seen())
        assert not list(Path(name).rglob(f"*{CATALOG}"))
        assert answers(paths, "", failed=failed, seen=seen()) == by_line
        assert answers(paths, "", failed=failed, seen=seen()) == by_line  # now the catalogs are there
