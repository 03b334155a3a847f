"""The row that a response is scored against: given, made of a label, or found by its prompt in a dataset.

Knows in which columns prompts stand, and which column a bare label is for. Does not know how a prompt is asked for over
HTTP, nor what a truth means. Of a dataset it keeps
16 bytes for each form of a row's prompt, four as a rule: a digest and a row number.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from array import array
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from asyncgen.config.load import nearest
from asyncgen.config.schema import Dataset
from asyncgen.core.errors import EpisodeError, FailReason, InputError
from asyncgen.core.task import Task
from asyncgen.core.types import Json, Sample
from asyncgen.rewards.qa import QaReward, qa_scores
from asyncgen.rewards.qa_rows import truths
from asyncgen.runs.reward_prompts import prompt_keys
from asyncgen.runs.reward_requests import Item

if TYPE_CHECKING:
    from asyncgen.source.base import Source

T = TypeVar("T")

PROMPT_COLUMNS = ("message", "messages", "prompt", "question", "problem", "query", "input", "instruction")
"""Where a row's prompt is looked for, beside what the task itself makes of the row."""
TRUTH_COLUMNS = ("answer", "target")
"""Where a bare label is put, for tasks whose truth is no pair of coordinates."""
TELL_SECONDS = 10.0
"""Of reading rows, before a line says how far it is."""
ASKED = ("question", "prompt")
"""Columns that a row of a request may do without."""
KEPT = 4096
"""Rows that are kept in memory: a trainer asks for the same ones several times in a row."""
MOST_DOUBLES = 16
"""Rows with one prompt that are looked at: a set in which easy rows stand twice is fine, if the copies are equal."""
_NUMBERS = re.compile(r"[^\s,;()\[\]]+")
_BAD = FailReason.BAD_SAMPLE


class Rows:
    """A dataset's rows by their prompts. Reading one may block."""

    def __init__(self, source: Source, task: Task, tell: Callable[[str], None]) -> None:
        """Reads every row once; where that takes long, `tell` gets a line now and then. Raises TemporaryError where the
        dataset cannot be read any more."""
        import numpy as np

        digests, numbers = array("Q"), array("q")
        self.unreadable = 0
        """Rows that cannot be read, and those without a prompt."""
        told = time.monotonic()
        for index in range(source.rows):
            if time.monotonic() - told > TELL_SECONDS:
                told = time.monotonic()
                tell(f"{source.path}: read {index:,} of {source.rows:,} rows")
            found = [digest(key) for key in _keys_of(source, task, index)]
            self.unreadable += not found
            digests.extend(found)
            numbers.extend([index] * len(found))
        unsorted = np.frombuffer(digests, dtype=np.uint64)
        order = np.argsort(unsorted, kind="stable")
        self._digests, self._numbers = unsorted[order], np.frombuffer(numbers, dtype=np.int64)[order]
        self._source = source
        self._task = task
        self._kept: OrderedDict[int, Sample] = OrderedDict()

    def __len__(self) -> int:
        return self._source.rows

    async def find(self, prompt: Json, offload: Callable[..., Awaitable[Any]]) -> Sample:
        """The row with this prompt; `offload` reads in a thread. Raises EpisodeError(bad_sample) where there is none,
        where there are several that differ, and where it has no truth."""
        keys = prompt_keys(prompt)
        if not keys:
            raise EpisodeError(_BAD, "no prompt to find the row by: send prompts, labels or a row")
        for key in keys:
            if numbers := self._numbers_of(key):
                return await self._only(numbers, offload)
        raise EpisodeError(_BAD, f"no row of the dataset has this prompt: {keys[0].partition(' ')[2][:80]!r}")

    def _numbers_of(self, key: str) -> list[int]:
        """Row numbers, MOST_DOUBLES + 1 at most."""
        import numpy as np

        wanted = np.uint64(digest(key))
        start = int(np.searchsorted(self._digests, wanted))
        end = start
        while end < len(self._digests) and self._digests[end] == wanted and end - start <= MOST_DOUBLES:
            end += 1
        return [int(one) for one in self._numbers[start:end]]

    async def _only(self, numbers: list[int], offload: Callable[..., Awaitable[Any]]) -> Sample:
        first = await self._row(numbers[0], offload)
        for number in numbers[1:]:
            if len(numbers) > MOST_DOUBLES or (await self._row(number, offload)).data != first.data:
                text = (
                    f"several rows of the dataset have this prompt, {numbers[0]} and {number} among them: send labels"
                )
                raise EpisodeError(_BAD, text)
        check_sample(self._task, first)
        return first

    async def _row(self, number: int, offload: Callable[..., Awaitable[Any]]) -> Sample:
        kept = self._kept.get(number)
        if kept is None:
            sample: Sample = await offload(self._source.read, number)
            kept = self._kept[number] = sample
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return kept


def _silent(_words: str) -> None:
    pass


def open_rows(dataset: Dataset, task: Task, tell: Callable[[str], None] = _silent) -> tuple[Rows | None, Task]:
    """The job's dataset, if it names one, and the task as it is for such rows. What rewards need is loaded: else the
    first request would wait for it. Raises InputError."""
    if not dataset.path:
        for reward in task.rewards:
            if (prepare := getattr(reward, "prepare", None)) is not None:
                prepare()
        return None, task
    from asyncgen.source.opening import open_source

    source = open_source(dataset.path, split=dataset.split, image=task.image, image_root=dataset.image_root)
    task = task.fitted(source.columns)
    for name in task.columns:
        if name not in source.columns:
            raise InputError(
                f"the dataset {source.path} has no column {name!r}, which {type(task).__name__} needs"
                f"{nearest(name, source.columns)}"
            )
    return Rows(source, task, tell), task


def digest(key: str) -> int:
    """64 bits of BLAKE2b: among the 5.6 million keys of 1.4 million rows two share one with a chance of 1 in a million,
    and a prompt that is not there is taken for one that is with 1 in 3 * 10^12."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "little")


def _keys_of(source: Source, task: Task, index: int) -> set[str]:
    """All forms of the row's prompt; none where the row cannot be read."""
    try:
        sample = source.read(index)
        return set(_keys(sample, task))
    except EpisodeError:
        return set()


def _keys(sample: Sample, task: Task) -> Iterator[str]:
    for column in PROMPT_COLUMNS:
        yield from prompt_keys(sample.data.get(column))
    try:
        messages = task.prompt(sample)
    except EpisodeError:  # no image, say: its own columns are enough to find it by
        return
    if all(isinstance(part, str) for one in messages for part in one.parts):  # a picture says no name of its own
        yield from prompt_keys([{"role": one.role, "content": one.text} for one in messages])


async def sample_of(item: Item, task: Task, rows: Rows | None, offload: Callable[..., Awaitable[Any]]) -> Sample:
    """The row that an item is scored against: its own, else its label's, else its prompt's.

    Raises EpisodeError(bad_sample) where it has none of them, and where that is no truth for the task.
    """
    if item.row is not None:
        data = item.row
    elif item.label is not None and item.label != "":
        data = row_of(task, item.label, item.prompt)
    elif rows is None:
        raise EpisodeError(_BAD, "there is no truth: send labels or a row, or start with --dataset-path")
    else:
        return await rows.find(item.prompt, offload)
    sample = Sample(index=0, data=data)
    check_sample(task, sample)
    return sample


def check_sample(task: Task, sample: Sample) -> None:
    """Raises EpisodeError(bad_sample) where a response could not be scored against the row. That it does not say
    what was asked is fine, unless a reward wants to know."""
    asked = dict.fromkeys(ASKED, "?")
    task.check(replace(sample, data={**asked, **sample.data}))
    if any(one is qa_scores or isinstance(one, QaReward) for one in task.rewards) and not truths(sample.data):
        raise EpisodeError(_BAD, "the row has no accepted answer; give it in answer")


def row_of(task: Task, label: Json, prompt: Json = None) -> Mapping[str, Json]:
    """The row that a label stands for: an object (or JSON of one that is not empty) is one already; of a task that
    needs latitude and longitude a text or list has both; any other is the truth, wherever the task looks for it."""
    data = label if isinstance(label, Mapping) else _object_in(label)
    if data is None:
        data = _coordinates(task, label) or _truth(task, label)
    return data if prompt is None or "prompt" in data else {**data, "prompt": prompt}


def _object_in(label: Json) -> Mapping[str, Json] | None:
    if not isinstance(label, str) or not label.lstrip().startswith("{"):
        return None
    try:
        found = json.loads(label)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and found else None


def _coordinates(task: Task, label: Json) -> Mapping[str, Json] | None:
    if (
        len(task.columns) != 2
        or not task.columns[0].startswith("lat")
        or not task.columns[1].startswith(("lon", "lng"))
    ):
        return None
    pair = _NUMBERS.findall(label[:200]) if isinstance(label, str) else label
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        raise EpisodeError(_BAD, f"the label {label!r:.80} is no place: give 'lat, lon', [lat, lon] or an object")
    return dict(zip(task.columns, pair, strict=True))


def _truth(task: Task, label: Json) -> Mapping[str, Json]:
    """A task that declares one column, as tasks of users do, has its truth there."""
    own = task.columns if len(task.columns) == 1 else ()
    return dict.fromkeys((*own, *TRUTH_COLUMNS), label)
