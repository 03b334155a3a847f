"""What a reward may touch when its trace was stored long ago: the row as stored, its pictures from the dataset.

Knows that most rewards want no picture: datasets are opened, and files read, when one is asked for. There is no model.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, overload

from asyncgen.core.errors import EpisodeError, FailReason, InputError
from asyncgen.core.task import Task
from asyncgen.core.trace import ImageRecord, Trace
from asyncgen.core.types import Completion, ImageRef, Json, Message, Picture, Sample
from asyncgen.engine.context import TaskContext
from asyncgen.engine.workers import Workers

if TYPE_CHECKING:
    from asyncgen.source.base import Source
    from asyncgen.tools.gallery import Gallery

T = TypeVar("T")


class Datasets:
    """The datasets that traces name, each opened once. Its methods block and may be called from several threads."""

    def __init__(self, run: Mapping[str, Any]) -> None:
        """`run`: the run file; empty where there is none."""
        dataset = run.get("config", {}).get("dataset", {})
        self._image_root: str | None = dataset.get("image_root")
        self._latest = str(run.get("dataset", {}).get("fingerprint", ""))
        self._configs: Mapping[str, Any] = run.get("configs", {})
        self._open: dict[tuple[str, str], Source] = {}
        self._lock = threading.Lock()

    def sample(self, trace: Trace) -> Sample:
        """The row as the trace has it; of its images those that the episode showed."""
        images: list[ImageRef] = []
        columns: Counter[str] = Counter()
        for record in trace.images:
            if record.source == "sample":
                load = partial(self._load, trace, record.column, columns[record.column])
                images.append(ImageRef(column=record.column, load=load))
                columns[record.column] += 1
        return Sample(index=trace.sample_index, data=trace.sample_data, images=tuple(images))

    def _load(self, trace: Trace, column: str, position: int) -> bytes:
        """Raises InputError where the dataset is another one or gone, EpisodeError where the row is."""
        source = self._source(trace, column)
        place = f"row {trace.sample_index} of {source.path}"
        if not 0 <= trace.sample_index < source.rows:
            raise EpisodeError(FailReason.BAD_IMAGE, f"{place}: there are {source.rows} rows")
        refs = [ref for ref in source.read(trace.sample_index).images if ref.column == column]
        if position >= len(refs):
            raise EpisodeError(FailReason.BAD_IMAGE, f"{place} has {len(refs)} images in column {column!r}")
        return refs[position].load()

    def _source(self, trace: Trace, column: str) -> Source:
        from asyncgen.source.opening import open_source

        with self._lock:
            key = (trace.dataset_path, column)
            if key not in self._open:
                self._open[key] = open_source(trace.dataset_path, image=column, image_root=self._image_root)
            source = self._open[key]
        known = str(self._configs.get(trace.config_id, {}).get("dataset", self._latest))
        if known not in {"", source.fingerprint}:
            raise InputError(
                f"the dataset {source.path} is another one than {trace.id} was made with (fingerprint {known}, now "
                f"{source.fingerprint}); put that one back, or rescore with a task that needs no pictures"
            )
        return source


class StoredContext(TaskContext):
    """Implements `core.types.Context`."""

    def __init__(
        self, task: Task, sample: Sample, records: Sequence[ImageRecord], gallery: Gallery, workers: Workers
    ) -> None:
        """`records`: the trace's `images`."""
        super().__init__(task, sample, workers)
        self._pictures = _Pictures(sample, records, gallery)
        self._gallery = gallery

    @property
    def pictures(self) -> Sequence[Picture]:
        """Those of the episode; they are read when one is looked at."""
        return self._pictures

    async def open(self, image: int) -> Any:
        """Picture N as a PIL image; do not change it in place."""
        return await self.offload(lambda: self._gallery.open(self._pictures, image))

    async def edit(self, op: str, arguments: Mapping[str, Json]) -> Picture:
        """Apply `zoom` or `rotate`; the result is the next picture, for this reward and those after it."""
        return await self.offload(self._pictures.edit, op, arguments)

    async def complete(self, messages: Sequence[Message], **sampling: Json) -> Completion:  # noqa: ARG002  # as in Context
        """Raises InputError."""
        raise InputError(
            f"a reward of {type(self._task).__name__} asks a model, and rescore has none; "
            f"give {_without_judge(self._task)} with rewards that ask none"
        )

    def shared(self, make: Callable[..., T], *args: Hashable) -> T:  # noqa: ARG002  # as in Context
        """Raises InputError: there is no run that it could live in."""
        name = getattr(make, "__name__", str(make))
        raise InputError(
            f"a reward of {type(self._task).__name__} uses the run's {name}, and rescore is no run; "
            f"give {_without_judge(self._task)} with rewards that use none"
        )


def _without_judge(task: Task) -> str:
    """The flags with which the task's own rewards ask no model, if it is options of it that make them, and what does
    for any task."""
    flags = [
        f"--task.{one.name} {str(one.default).lower() if isinstance(one.default, bool) else one.default}"
        for one in fields(task)
        if (value := getattr(task, one.name)) == "judge" or (one.name == "judge" and value is True)
    ]
    return " or ".join(filter(None, [" ".join(flags), "--task FILE:CLASS"]))


class _Pictures(Sequence[Picture]):
    """The episode's pictures, made again when the first one is looked at."""

    def __init__(self, sample: Sample, records: Sequence[ImageRecord], gallery: Gallery) -> None:
        self._sample = sample
        self._records = records
        self._gallery = gallery
        self._made: list[Picture] = []
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return max(len(self._records), len(self._made))

    @overload
    def __getitem__(self, index: int) -> Picture: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Picture]: ...
    def __getitem__(self, index: int | slice) -> Picture | Sequence[Picture]:
        """Raises EpisodeError(bad_image) where one cannot be made again."""
        return self._all()[index]

    def __iter__(self) -> Iterator[Picture]:
        return iter(tuple(self._all()))

    def edit(self, op: str, arguments: Mapping[str, Json]) -> Picture:
        """One more."""
        with self._lock:
            pictures = self._all()
            pictures.append(self._gallery.edit(tuple(pictures), op, arguments))
            return pictures[-1]

    def _all(self) -> list[Picture]:
        with self._lock:
            if len(self._made) < len(self._records):
                made: list[Picture] = []
                refs = iter(self._sample.images)
                for record in self._records:
                    made.append(_checked(self._make(record, made, refs), record))
                self._made = made
            return self._made

    def _make(self, record: ImageRecord, made: Sequence[Picture], refs: Iterator[ImageRef]) -> Picture:
        if record.source == "sample":
            return self._gallery.picture(next(refs), len(made))
        if not record.op:
            raise _lost(record, "a tool made it by itself, so there is nothing to make it from again")
        try:
            return self._gallery.edit(made, record.op, json.loads(record.arguments))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise _lost(record, str(error)) from error


def _checked(picture: Picture, record: ImageRecord) -> Picture:
    """Another size is another picture. Other bytes need not be: another release of Pillow encodes otherwise."""
    if (picture.width, picture.height) == (record.width, record.height):
        return picture
    sizes = f"{record.width}x{record.height}, and now it is {picture.width}x{picture.height}"
    raise _lost(record, f"the trace saw {sizes}")


def _lost(record: ImageRecord, why: str) -> EpisodeError:
    return EpisodeError(FailReason.BAD_IMAGE, f"picture {record.image} cannot be made again: {why}")
