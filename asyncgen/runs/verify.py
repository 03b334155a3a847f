"""Is a run directory what it should be? Every byte of every sealed shard, and whether the counts add up.

Knows lines, events and run files. Changes nothing, takes no lock: a run may be going on (`salvaging` mends).
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from asyncgen.core.errors import DataError
from asyncgen.core.types import Json
from asyncgen.export.trace_folder import read_trace_file, trace_files
from asyncgen.runs.reading import counts_of, is_live
from asyncgen.store.audit import Said, audit
from asyncgen.store.catalog import catalog_path, read_catalogs
from asyncgen.store.chains import read_chains
from asyncgen.store.events import read_events
from asyncgen.store.index import DoneIndex
from asyncgen.store.layout import (
    EVENTS_FILE,
    KINDS,
    OPEN,
    QUARANTINE,
    RUN_FILE,
    Kind,
    journal_files,
    parse_part,
    present_names,
)
from asyncgen.store.line import line_key
from asyncgen.store.read import run_directories, shards
from asyncgen.store.run_file import read_run
from asyncgen.store.scan import pack, split_lines

NAMED = 20
"""Places that are named of each kind of problem."""


@dataclass(kw_only=True)
class Finding:
    """One kind of problem."""

    count: int = 0
    first: list[str] = field(default_factory=list[str])
    """`file:line: what`, of some."""

    def add(self, text: str) -> None:
        """One more."""
        self.count += 1
        if len(self.first) < NAMED:
            self.first.append(text)


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Episodes: `expected` = done + failed + filtered + skipped + pending."""

    expected: int
    done: int
    failed: int
    filtered: int
    """Of the rows that `where` or a rule left out."""
    skipped: int
    """Rollouts that were not needed any more."""
    pending: int

    @property
    def adds_up(self) -> bool:
        """Whether it is so."""
        return self.expected == self.done + self.failed + self.filtered + self.skipped + self.pending


@dataclass(kw_only=True)
class Report:
    """What there is to say of one run directory."""

    directory: str
    live: bool = False
    sealed: int = 0
    """Sealed shards."""
    open: int = 0
    """Shards that are being written, or whose writer died."""
    lines: int = 0
    """Whole lines of all shards."""
    bytes: int = 0
    """Of the sealed shards."""
    traces: int = 0
    """Different (index, rollout)."""
    torn: int = 0
    """Bytes at the ends of open shards that are no whole line."""
    stale_catalogs: int = 0
    """That are damaged, or not of the shard beside them."""
    bad: Finding = field(default_factory=Finding)
    """Lines of sealed shards that are not whole."""
    duplicates: Finding = field(default_factory=Finding)
    foreign: Finding = field(default_factory=Finding)
    """Lines that belong to another run or sample, or do not have the schema's keys."""
    unknown_configs: dict[str, int] = field(default_factory=dict[str, int])
    """Lines by a `config_id` that run.json does not know."""
    gone: int = 0
    """Traces that were saved and are not there any more."""
    counts: Counts | None = None
    """None where run.json does not say how many there are to be."""
    faults: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])

    def json(self) -> dict[str, Json]:
        """All of it."""
        return {**asdict(self), "ok": not self.faults}


def verify(path: Path) -> list[Report]:
    """A run directory, or each partition in a folder of them. Raises InputError, DataError for a broken run.json."""
    seen = DoneIndex()
    reports = [_verify(directory, seen) for directory in run_directories(path)]
    numbers = [part for report in reports if (part := parse_part(Path(report.directory).name))]
    if numbers and (missing := numbers[0][1] - len(numbers)) > 0 and Path(reports[0].directory) != path:
        reports[0].notes.append(f"partitions of {numbers[0][1]} that are not there: {missing:,}")
    return reports


def _verify(directory: Path, seen: DoneIndex) -> Report:
    """`seen`: the ids of the sealed traces of the partitions before."""
    run = read_run(directory)
    events = list(read_events(directory))
    report = Report(directory=str(directory), live=is_live(directory, events))
    known = _Known.of(run, events)
    stored, failed = DoneIndex(), set[int]()
    configs: Counter[str] = Counter()
    for kind in KINDS:
        for line in _good_lines(directory, kind, report):
            if kind == "failed":
                failed.add(pack(*line.key))
            else:
                stored.add(*line.key)
                if line.sealed and not seen.add(*line.key):
                    report.duplicates.add(f"{line.place}: the id {_id(line.data)} was there before")
            said = audit(line.data, line.key, kind)
            if said.config_id not in known.configs and not said.problem:
                configs[said.config_id] += 1
            if problem := said.problem or known.stranger(said):
                report.foreign.add(f"{line.place}: {problem}")
    report.traces = len(stored)
    report.unknown_configs = dict(configs)
    report.gone, lost = ledger(events, len(stored))
    report.notes += lost
    missing = sum((key >> 16, key & 0xFFFF) not in stored for key in failed)
    report.counts = count(run, events, stored=len(stored), failures=missing)
    _conclude(report, directory)
    return report


@dataclass(frozen=True, slots=True)
class _Line:
    place: str
    sealed: bool
    key: tuple[int, int]
    data: bytes


def _good_lines(directory: Path, kind: Kind, report: Report) -> Iterator[_Line]:
    """The whole lines; what is not whole is told to the report."""
    for listed in shards(directory, kind):
        for path in present_names(listed):  # or none of them: deleted, being empty
            try:
                yield from _lines_of(path, report)
                break
            except FileNotFoundError:
                continue


def _lines_of(path: Path, report: Report) -> Iterator[_Line]:
    """Of one shard; of an open one up to the first that is not whole."""
    sealed = not path.name.endswith(OPEN)
    size = torn = 0
    keys, bad = array("Q"), report.bad.count
    for number, (line, problem) in enumerate(split_lines(path), 1):
        size += len(line)
        if problem and sealed:
            report.bad.add(f"{path}:{number}: {problem}")
        elif problem or torn:
            torn += len(line)
        else:
            report.lines += 1
            key = line_key(line)
            keys.append(pack(*key))
            yield _Line(f"{path}:{number}", sealed, key, line)
    report.torn += torn
    if not sealed:
        report.open += 1
        return
    report.sealed += 1
    report.bytes += size
    _look_at_catalog(path, keys if report.bad.count == bad else None, report)


def _look_at_catalog(shard: Path, keys: array[int] | None, report: Report) -> None:
    """What is wrong with it is no fault: it is a cache. `keys`: of the shard's lines; None where some are bad."""
    if not catalog_path(shard).exists():
        return
    catalog = read_catalogs([shard]).get(shard)
    if catalog is None:
        report.stale_catalogs += 1
    elif keys is not None and catalog.keys.packed != keys:
        report.notes.append(f"remove {catalog.path}: its ids are not those of its shard")


def _id(line: bytes) -> str:
    return line[len(b'{"id":"') : line.index(b'",')].decode()


@dataclass(frozen=True, slots=True)
class _Known:
    """What the lines of a run may say of themselves."""

    names: frozenset[str]
    """The job's; empty where a start of an earlier version did not say its own."""
    configs: frozenset[str]

    @classmethod
    def of(cls, run: Mapping[str, Any], events: Iterable[Mapping[str, Any]]) -> _Known:
        starts = [event for event in events if event.get("event") == "start"]
        names = {str(run.get("name", "")), *(str(start.get("name", "")) for start in starts)}
        told = all("name" in start for start in starts)
        configs = {str(run.get("config_id", "")), *run.get("configs", {})}
        return cls(frozenset(names) if told else frozenset(), frozenset(configs))

    def stranger(self, said: Said) -> str:
        """Why the line is another job's; `""` if it is not."""
        if not self.names or said.name in self.names:
            return ""
        return f"the id is of the job {said.name!r}, the run of {', '.join(sorted(self.names))}"


def ledger(events: Iterable[Mapping[str, Any]], now: int) -> tuple[int, list[str]]:
    """How many traces are gone: what each start found and saved, against what the next one found, or is there `now`.

    What was gone once and is there again is only told about. A salvage says itself what it left.
    """
    most = base = 0
    notes: list[str] = []
    for event in events:
        match event.get("event"):
            case "start":
                base = _whole(event, "stored")
                if base < most:
                    notes.append(f"traces that were gone at the start of {event.get('time', '?')}: {most - base:,}")
                most = max(most, base)
            case "stop":
                most = max(most, base + _whole(event, "saved"))
            case "salvage":
                most = _whole(event, "stored")
    return max(0, most - now), notes


def _whole(said: Mapping[str, Any], key: str, file: str = EVENTS_FILE, *, otherwise: int = 0) -> int:
    """Raises DataError."""
    if not isinstance(value := said.get(key, otherwise), int):
        raise DataError(f"{file} is damaged: {key!r} is no number; put a copy in its place")
    return value


def count(run: Mapping[str, Any], events: Sequence[dict[str, Any]], *, stored: int, failures: int) -> Counts | None:
    """The counts of `status`, and what was left out. None where run.json has no total."""
    if "total" not in run:
        return None
    found = counts_of(run, events, stored=stored, failures=failures)
    selection = run.get("selection", {})
    filtered = _whole(selection, "filtered", RUN_FILE) * _whole(selection, "rollouts", RUN_FILE, otherwise=1)
    return Counts(
        expected=found.total + filtered,
        done=found.done,
        failed=found.failed,
        filtered=filtered,
        skipped=found.skipped,
        pending=found.left,
    )


def _conclude(report: Report, directory: Path) -> None:
    """What of it is a fault, and what only worth a word."""
    faults = [
        ("bad lines in sealed shards (--salvage sets them aside)", report.bad.count),
        ("ids that stand twice in sealed shards (the first counts)", report.duplicates.count),
        ("lines that belong elsewhere or have other keys", report.foreign.count),
        ("lines with a config_id that run.json does not know", sum(report.unknown_configs.values())),
        ("traces that were saved and are gone", report.gone),
    ]
    report.faults = [f"{text}: {number:,}" for text, number in faults if number]
    if report.counts and not report.counts.adds_up:
        report.faults.append("the counts do not add up")
    if report.torn and not report.live:
        report.notes.append(f"torn ends of open shards, which the next start sets aside: {report.torn:,} bytes")
    if report.open and not report.live:
        report.notes.append(f"shards of a writer that died, which the next start seals: {report.open:,}")
    if report.stale_catalogs:
        report.notes.append(
            f"catalogs that do not fit their shards (as in a copy), and are made again: {report.stale_catalogs:,}"
        )
    report.notes += _of_journal(directory)
    aside = list((directory / QUARANTINE).glob("*"))
    if aside:
        report.notes.append(f"files in quarantine/, set aside before: {len(aside):,}")


def _of_journal(directory: Path) -> list[str]:
    """No trace hangs on it, so damage is no fault: turns are asked for again."""
    try:
        found = read_chains(journal_files(directory))
    except FileNotFoundError:  # written anew since it was listed
        return []
    damaged = found.bad_lines or found.broken
    text = f"damaged lines in the journal: {found.bad_lines:,}, and episodes that start over: {found.broken:,}"
    return [text] if damaged else []


@dataclass(kw_only=True)
class FolderReport:
    """What there is to say of a folder of trace_*.json."""

    directory: str
    files: int = 0
    good: int = 0
    bad: Finding = field(default_factory=Finding)

    @property
    def faults(self) -> Sequence[str]:
        """In words."""
        return [f"files that hold no trace: {self.bad.count:,}"] if self.bad.count else []

    def json(self) -> dict[str, Json]:
        """All of it."""
        return {**asdict(self), "faults": list(self.faults), "ok": not self.faults}


def verify_folder(folder: Path) -> FolderReport:
    """Whether each file can be read. Raises InputError where there is none."""
    report = FolderReport(directory=str(folder))
    for index, rollout, path in trace_files(folder):
        report.files += 1
        try:
            read_trace_file(path, index, rollout)
        except DataError as error:
            report.bad.add(str(error))
        else:
            report.good += 1
    return report
