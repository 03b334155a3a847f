"""The good traces of an older run, taken over by a new one that is made with another config.

Knows what must be the same in both runs, which traces are taken, how each is marked, and what `run.json` says of it.
Does not know what is asked next. No line of the older run changes: it may be over, dead or going on.
"""

from __future__ import annotations

import asyncio
import shlex
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncgen.core.clock import Clock
from asyncgen.core.errors import InputError
from asyncgen.core.task import Task
from asyncgen.core.types import Json
from asyncgen.runs.places import Places
from asyncgen.runs.sheets import OpenSheet, sheet_of
from asyncgen.store.card import METADATA, REUSED_FROM
from asyncgen.store.copy import SealedShards
from asyncgen.store.index import DoneIndex
from asyncgen.store.layout import RUN_FILE, new_writer
from asyncgen.store.line import encode_line, line_key, parse_line
from asyncgen.store.read import run_directories
from asyncgen.store.run_file import config_diff, read_run, redact
from asyncgen.store.scan import pack
from asyncgen.store.store import unusable

if TYPE_CHECKING:
    from os import PathLike

    from asyncgen.config.schema import Job
    from asyncgen.runs.changes import Past
    from asyncgen.runs.plan import Plan

_AT_ONCE = 64
"""Traces that are copied before the loop has its turn: a signal is heard in milliseconds."""


@dataclass(frozen=True, kw_only=True)
class Reuse:
    """What a start was told to take over."""

    path: Path
    """The older run's directory, or the folder of its partitions."""
    redo: str = ""
    """SQL over a trace: those of which it is true are done again."""

    @property
    def source(self) -> str:
        """Absolute, as traces and run file have it: a user looks for it from wherever he stands."""
        return str(self.path.resolve())


def reuse_of(path: str | PathLike[str] | None, redo: str | None) -> Reuse | None:
    """From the flags. Raises InputError."""
    if path is not None:
        return Reuse(path=Path(path), redo=(redo or "").strip())
    if redo:
        raise InputError(f"--redo {redo!r} says which traces of an older run are done again; give --reuse OLD_DIR too")
    return None


def check_reuse(directory: Path, reuse: Reuse | None) -> Reuse | None:
    """What is still to be taken over, before `directory` is opened. Raises InputError, DataError."""
    noted = read_run(directory).get("reused", {}) if (directory / RUN_FILE).exists() else {}
    complete = bool(noted.get("complete"))
    if reuse is None:
        if noted and not complete:
            raise InputError(
                f"{directory} has not taken over all it is to have of {noted['from']}; "
                f"run the same command with {_flags(noted)} again"
            )
        return None
    gone = complete and not reuse.path.exists()
    if not gone:
        run_directories(reuse.path)
        _refuse_nested(directory.resolve(), reuse)
    if noted and (noted.get("from"), noted.get("redo")) != (redact(reuse.source), redact(reuse.redo)):
        raise InputError(
            f"{directory} was begun with {_flags(noted)}, and what it took over stays; give the same, or nothing of "
            "it, or another --output-dir"
        )
    return None if gone else reuse


def _flags(noted: Mapping[str, Any]) -> str:
    redo = str(noted.get("redo", ""))
    return shlex.join(["--reuse", str(noted.get("from", "")), *(["--redo", redo] if redo else [])])


def _refuse_nested(new: Path, reuse: Reuse) -> None:
    old = Path(reuse.source)
    if new == old:
        raise InputError(f"--reuse {reuse.path} is the new run's own directory; give another --output-dir")
    if old in new.parents:
        raise InputError(f"--reuse {reuse.path}: the new run {new} lies in it; give another --output-dir")
    if new in old.parents:
        raise InputError(f"--reuse {reuse.path}: it lies in the new run {new}; give another --output-dir")


class Takeover:
    """One older run and what of it a plan wants."""

    def __init__(
        self,
        reuse: Reuse,
        runs: Sequence[Mapping[str, Any]],
        sheet: OpenSheet,
        plan: Plan,
        scores: Mapping[str, Json],
        noted: Mapping[str, Any],
    ) -> None:
        """`runs`: its run files; `scores`: of the new run's task; `noted`: by its run file, of earlier starts. Use
        `taking_over`. Raises InputError."""
        store = plan.store
        self._reuse = reuse
        self._runs = runs
        self._store = store
        self._scores = scores
        self._complete = bool(noted.get("complete"))
        self._before = noted.get("traces", 0) if self._complete else len(store.done)  # until then it has no others
        self._every = sheet.kept("true")
        self._wanted = DoneIndex([_packed(store.done.missing(plan.indexes, plan.rollouts))])
        again = DoneIndex([_packed(sheet.kept(reuse.redo).keys())]) if reuse.redo else DoneIndex()
        self.taken = 0
        """Traces that are taken over by this start."""
        self.again = 0
        """Episodes that have a trace there and are done again."""
        self.pending = 0
        """Of `taken`, those that would be done by this start otherwise; the others have failed here."""
        taken = array("Q")
        for key in self._every.keys():  # noqa: SIM118  # of a query, not of a mapping
            if key not in self._wanted:
                continue
            if key in again:
                self.again += 1
                continue
            self.taken += 1
            self.pending += key not in store.failed
            taken.append(pack(*key))
        self._wanted = DoneIndex([taken])

    @property
    def shape(self) -> Mapping[str, Any]:
        """What shapes the text of the older run's latest traces; empty where its run file does not say."""
        run = self._runs[0]
        return dict(run.get("configs", {}).get(run.get("config_id"), {}))

    @property
    def model(self) -> str:
        """Of those traces."""
        return str(self.shape.get("model", ""))

    @property
    def config(self) -> Mapping[str, Any]:
        """The older job, as its latest start resolved it."""
        return dict(self._runs[0].get("config", {}))

    @property
    def configs(self) -> dict[str, Any]:
        """The shapes of all its traces by `config_id`."""
        return dict(one for run in reversed(self._runs) for one in run.get("configs", {}).items())

    def noted(self, *, complete: bool) -> dict[str, Json]:
        """For the run file."""
        return {
            "from": self._reuse.source,
            "redo": self._reuse.redo,
            "complete": complete,
            "traces": self._before + self.taken,
        }

    def notes(self, shape: Mapping[str, Any]) -> Iterator[str]:
        """A line for the user, where there is any news; `shape` is that of the new traces."""
        if self._complete and not self.taken:
            return
        again = f", {self.again:,} are done again" if self._reuse.redo else ""
        changes = config_diff(self.shape, shape) if self.shape else ["(the older one is not known)"]
        yield (
            f"taking over {self.taken:,} traces of {self._reuse.path}{again}; "
            f"config old -> new: {'; '.join(changes) or 'the same'}"
        )

    async def carry_out(self, clock: Clock) -> None:
        """Copy the traces into sealed shards of a writer of their own. Raises InputError, DataError, TemporaryError."""
        if not self.taken:
            return
        directory = self._store.directory
        shards = SealedShards(directory, "traces", new_writer(directory, clock), self._store.files)
        try:
            with Places() as places:
                for number, place in enumerate(self._every.places()):
                    line = places.line(place)
                    if line_key(line) in self._wanted:
                        line = self._marked(line)
                        shards.add(line)
                        self._store.adopt(line)
                    if number % _AT_ONCE == 0:
                        await asyncio.sleep(0)
            shards.seal()
        except OSError as error:
            raise unusable(directory, error) from error
        finally:
            shards.abandon()
        self._store.events.write("reuse", path=self._reuse.source, redo=self._reuse.redo, traces=self.taken)

    def _marked(self, line: bytes) -> bytes:
        """The line with REUSED_FROM where every trace of the new run has it. Raises InputError."""
        trace = parse_line(line)
        if trace["reward_score"].keys() != self._scores.keys():
            raise InputError(
                f"--reuse {self._reuse.path}: the scores of {trace['id']} are {', '.join(trace['reward_score'])}, and "
                f"this job's are {', '.join(self._scores)}; bring them in line with asyncgen rescore"
            )
        return encode_line({**trace, "metadata": marked(trace["metadata"], self._reuse.source)})


def _packed(keys: Iterator[tuple[int, int]]) -> array[int]:
    return array("Q", (pack(*key) for key in keys))


def marked(metadata: Mapping[str, Json], source: str) -> dict[str, Json]:
    """With REUSED_FROM after what every trace has, as new traces of such a run have it."""
    usual = {key: metadata[key] for key in METADATA if key in metadata}
    return {
        **usual,
        REUSED_FROM: source,
        **{key: metadata[key] for key in metadata if key not in {*usual, REUSED_FROM}},
    }


@contextmanager
def taking_over(reuse: Reuse, job: Job, task: Task, fingerprint: str, plan: Plan, past: Past) -> Iterator[Takeover]:
    """Look at the older run, before anything is written. `fingerprint`: of the new run's dataset.

    Raises InputError where its traces are not those of this job, for wrong SQL, and where there are none; DataError.
    """
    noted = past.run.get("reused", {})
    if past.used and not noted:
        raise InputError(f"{past.directory} has traces of its own, and --reuse begins a run; give a new --output-dir")
    runs = [read_run(directory) for directory in run_directories(reuse.path)]
    for run in runs:
        _refuse_stranger(reuse, run, job, task, fingerprint)
    with sheet_of([reuse.path], sql=reuse.redo) as sheet:
        if not sheet.traces:
            raise InputError(f"--reuse {reuse.path}: it has no traces")
        try:
            takeover = Takeover(reuse, runs, sheet, plan, task.scores, noted)
        except InputError as error:  # the SQL is checked as that of --where is
            raise InputError(f"--redo{str(error).removeprefix('--where')}") from error
        yield takeover


def _refuse_stranger(reuse: Reuse, run: Mapping[str, Any], job: Job, task: Task, fingerprint: str) -> None:
    """Raises InputError where an id of the older run means something else here."""
    dataset = run.get("dataset", {})
    if dataset.get("fingerprint") != fingerprint:
        raise InputError(
            f"--reuse {reuse.path}: its traces are of another dataset ({dataset.get('path') or 'not known'}, "
            f"{dataset.get('rows', 0)} rows), or the dataset has changed; a row number means one row"
        )
    if (name := run.get("name")) != job.name:
        raise InputError(
            f"--reuse {reuse.path}: its traces are named {name}/…, this job's {job.name}/…; give --name {name}"
        )
    its, ours = (str(one).rsplit("/", 1)[-1] for one in (run.get("task"), job.task))
    if its != ours:
        raise InputError(f"--reuse {reuse.path}: its traces are of the task {its}, and this job's task is {ours}")
    if run.get("scores", {}).keys() != task.scores.keys():
        raise InputError(
            f"--reuse {reuse.path}: its scores are {', '.join(run.get('scores', {}))}, and this job's are "
            f"{', '.join(task.scores)}; bring them in line with asyncgen rescore"
        )
