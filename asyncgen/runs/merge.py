"""Several runs as one: a trace an id, sorted by index and rollout; and what is missing.

Knows keys and places: 32 bytes a trace while they are sorted, never the lines. Does not know how a copy is written.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from asyncgen.core.clock import Clock
from asyncgen.core.errors import InputError
from asyncgen.core.types import Json
from asyncgen.runs.derive import open_copy
from asyncgen.runs.lineage import (
    Lineage,
    Source,
    check_output,
    is_file_output,
    refuse_two_datasets,
    refuse_two_jobs,
    sources_of,
)
from asyncgen.runs.places import Place, Places, placed
from asyncgen.runs.reading import status_of
from asyncgen.store.index import DoneIndex
from asyncgen.store.line import line_key, line_reason, parse_line
from asyncgen.store.scan import pack

NAMED = 5
"""Indexes that are named where rollouts are missing."""
_CHUNK = 8192


@dataclass(kw_only=True)
class SourceCount:
    """What one path gave."""

    path: str
    name: str
    traces: int = 0
    """That are in the copy."""
    duplicates: int = 0
    """Whose id came before, in this path or in an earlier one."""
    different: int = 0
    """Duplicates that are not the same line as the one that counts."""
    left: int = 0
    """(index, rollout) that its job asks for and that have neither trace nor failure."""
    partitions_missing: int = 0
    """Of its job, that are not there: nobody knows how many traces they are to have."""


@dataclass(frozen=True, kw_only=True)
class Short:
    """Samples with fewer rollouts than others."""

    rollouts: int = 0
    """The most that a sample has."""
    samples: int = 0
    """That have fewer."""
    first: Sequence[int] = ()
    """Indexes of some of them."""


@dataclass(kw_only=True)
class Merged:
    """What `merge` did."""

    out: str
    traces: int = 0
    duplicates: int = 0
    different: int = 0
    left: int = 0
    failed: int = 0
    """Episodes that failed and have no trace in any source. They are not copied."""
    failed_reasons: dict[str, int] = field(default_factory=dict[str, int])
    short: Short = field(default_factory=Short)
    complete: bool = True
    """No trace gave way to another one, nothing is left, no partition is missing, nothing failed, and all samples have
    as many rollouts, unless a job asks for different ones."""
    sources: list[SourceCount] = field(default_factory=list[SourceCount])

    def json(self) -> dict[str, Json]:
        """All of it."""
        return asdict(self)


def merge(paths: Sequence[Path], out: Path, *, clock: Clock) -> Merged:
    """Copy the traces of all paths. Of two with one id the first counts. Raises InputError, DataError, OSError."""
    sources = sources_of(paths)
    check_output(out, sources)
    refuse_two_datasets(sources)
    if not is_file_output(out):
        refuse_two_jobs(sources)
    report = Merged(out=str(out), sources=[SourceCount(path=str(one.path), name=one.name) for one in sources])
    lineage = Lineage(command="merge", sources=sources)
    index = _PlaceIndex()
    index.read(paths)
    with open_copy(out, lineage, clock) as copy, Places() as places:
        holes = _Holes()
        group: dict[bytes, tuple[int, bytes]] = {}
        """The lines of one (index, rollout) that count, with the numbers of their sources."""
        last = (-1, -1)
        for place in index.sorted():
            line = places.line(place)
            key = line_key(line)
            if key != last:
                group, last = {}, key
            # a run directory has one job, so its key is enough; the ids of several jobs differ in their names too
            name = _id(line) if is_file_output(out) else b""
            if name in group:
                report.sources[place.source].duplicates += 1
                if line != group[name][1]:
                    _refuse_another_row(sources, group[name], (place.source, line))
                    report.sources[place.source].different += 1
                continue
            group[name] = (place.source, line)
            copy.add(line)
            holes.note(*key)
            report.sources[place.source].traces += 1
        _complete(report, sources, index, holes)
        counts = {name: getattr(report, name) for name in ("traces", "duplicates", "different", "failed")}
        copy.finish({**counts, "left": report.left})
    return report


def _refuse_another_row(sources: Sequence[Source], first: tuple[int, bytes], other: tuple[int, bytes]) -> None:
    """Folders of trace_*.json have no fingerprint: what tells that a row number means two rows is the dataset that the
    traces name. Raises InputError."""
    pair = [(sources[number], parse_line(line)) for number, line in (first, other)]
    paths = [str(trace["dataset_path"]) for _, trace in pair]
    if all(source.runs for source, _ in pair) or not all(paths) or paths[0] == paths[1]:
        return
    (one, trace), (two, _) = pair
    raise InputError(
        f"row {trace['sample_index']} is one of {paths[0]} in {one.path} and one of {paths[1]} in {two.path}: "
        "a row number means one row; choose traces of one dataset"
    )


def _id(line: bytes) -> bytes:
    return line[: line.index(b",")]


def _complete(report: Merged, sources: Sequence[Source], index: _PlaceIndex, holes: _Holes) -> None:
    """What is missing."""
    report.traces = sum(one.traces for one in report.sources)
    report.duplicates = sum(one.duplicates for one in report.sources)
    report.different = sum(one.different for one in report.sources)
    for source, count in zip(sources, report.sources, strict=True):
        if source.runs:
            status = status_of(source.path)
            count.left = int(status["left"])
            count.partitions_missing = int(status["partitions"]) - int(status["partitions_started"])
    reasons = _failures([source.path for source in sources], index)
    report.failed, report.failed_reasons = reasons.total(), dict(reasons.most_common())
    if len(sources) == 1 and sources[0].runs:  # which may go on: what came after the copy was made is left
        status, count = status_of(sources[0].path), report.sources[0]
        asked = report.traces - (int(status["stored"]) - int(status["done"]))
        count.left = max(0, int(status["total"]) - int(status["skipped"]) - asked - report.failed)
    report.left = sum(one.left for one in report.sources)
    if len(sources) > 1 and (total := _asked_alike(sources)) is not None:  # what one has not, another may have
        report.left = min(report.left, max(0, total - report.traces - report.failed))
    report.short = holes.short()
    uneven = any(_asks_unevenly(run) for source in sources for run in source.runs)
    parts = sum(one.partitions_missing for one in report.sources)
    report.complete = not (
        report.different or report.left or parts or report.failed or (report.short.samples and not uneven)
    )


def _asked_alike(sources: Sequence[Source]) -> int | None:
    """How many episodes all of these runs ask for, where all ask for the same; None where they do not."""
    asked = [
        (run.get("total"), run.get("selection"), run.get("config", {}).get("dataset"), "derived" in run)
        for source in sources
        for run in source.runs
    ]
    alike = len(sources) == len(asked) > 0 and all(one == asked[0] for one in asked)
    return int(asked[0][0]) if alike and isinstance(asked[0][0], int) else None


def _asks_unevenly(run: Any) -> bool:
    """Whether its job may ask for different numbers of rollouts."""
    config = run.get("config", {})
    stops = config.get("until_accepted") or config.get("stop_when")
    return bool(stops or any(rule.get("rollouts") for rule in config.get("rules") or ()))


def _failures(paths: Sequence[Path], index: _PlaceIndex) -> Counter[str]:
    """The reasons of those without a trace in any path; of two failures with one id the last counts."""
    reasons: dict[int, str] = {}
    for failure in placed(paths, "failed"):
        reasons[pack(*failure.key)] = line_reason(failure.line)
    if reasons:
        done = index.keys()
        reasons = {key: reason for key, reason in reasons.items() if (key >> 16, key & 0xFFFF) not in done}
    return Counter(reasons.values())


class _PlaceIndex:
    """Keys and places of all traces, doubles too: 24 bytes a trace, and 8 while they are sorted."""

    def __init__(self) -> None:
        self._keys = array("Q")
        self._offsets = array("Q")
        self._lengths = array("I")
        self._files = array("I")
        self._paths: list[tuple[int, Path]] = []
        """(source, file) by number."""

    def read(self, paths: Sequence[Path]) -> None:
        """All traces, in the order in which they lie. Raises InputError, DataError."""
        for one in placed(paths, doubles=True):
            place = one.place
            if not self._paths or self._paths[-1] != (place.source, place.path):
                self._paths.append((place.source, place.path))
            self._keys.append(pack(*one.key))
            self._offsets.append(place.offset)
            self._lengths.append(place.length)
            self._files.append(len(self._paths) - 1)

    def sorted(self) -> Iterator[Place]:
        """By index and rollout; of the same, the first that lay there first."""
        import numpy as np

        order = np.frombuffer(self._keys, np.uint64).argsort(kind="stable") if self._keys else np.empty(0, np.int64)
        for start in range(0, len(order), _CHUNK):
            for at in order[start : start + _CHUNK].tolist():
                source, path = self._paths[self._files[at]]
                yield Place(source, path, self._offsets[at], self._lengths[at])

    def keys(self) -> DoneIndex:
        """As a set."""
        return DoneIndex([self._keys])


class _Holes:
    """How many rollouts each sample has, of keys that come sorted."""

    def __init__(self) -> None:
        self._index = -1
        self._rollouts: set[int] = set()
        self._samples: Counter[int] = Counter()
        """How many samples have so many rollouts."""
        self._first: dict[int, list[int]] = {}
        """Some of their indexes."""

    def note(self, index: int, rollout: int) -> None:
        """The next trace."""
        if index != self._index:
            self._close()
            self._index = index
        self._rollouts.add(rollout)

    def _close(self) -> None:
        if self._rollouts:
            count = len(self._rollouts)
            self._samples[count] += 1
            named = self._first.setdefault(count, [])
            if len(named) < NAMED:
                named.append(self._index)
            self._rollouts = set()

    def short(self) -> Short:
        """What came so far."""
        self._close()
        most = max(self._samples, default=0)
        fewer = [count for count in self._samples if count < most]
        first = sorted(index for count in fewer for index in self._first[count])[:NAMED]
        return Short(rollouts=most, samples=sum(self._samples[count] for count in fewer), first=first)
