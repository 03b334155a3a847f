"""What a tool or a reward may touch: the sample, its pictures, threads, processes, a judge's own calls.

Knows the episode that it belongs to. Does not know turns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from asyncgen.core.errors import EpisodeError, FailReason
from asyncgen.core.task import Task
from asyncgen.core.types import Completion, Json, Message, Picture, Sample
from asyncgen.engine.conversation import Conversation
from asyncgen.engine.events import BEGUN
from asyncgen.engine.requests import Budget, OutOfTimeError, Requests
from asyncgen.engine.services import Services
from asyncgen.engine.workers import Workers
from asyncgen.tools.gallery import Gallery

T = TypeVar("T")


class TaskContext:
    """What a context has whether a model answers now or answered long ago: the task, the row, threads and processes."""

    def __init__(self, task: Task, sample: Sample, workers: Workers) -> None:
        self._task = task
        self._sample = sample
        self._workers = workers

    @property
    def task(self) -> Task:
        """The task, with its options."""
        return self._task

    @property
    def sample(self) -> Sample:
        """The row."""
        return self._sample

    @property
    def coordinates(self) -> str:
        """The task's."""
        return self._task.coordinates

    @property
    def frame(self) -> str:
        """The task's."""
        return self._task.frame

    async def offload(self, function: Callable[..., T], *args: Any) -> T:
        """Run in a thread."""
        return await self._workers.offload(function, *args)

    async def in_process(self, function: Callable[..., T], *args: Any, seconds: float = 30.0) -> T:
        """Run in another process, which is killed after `seconds`."""
        return await self._workers.in_process(function, *args, seconds=seconds)


class EpisodeContext(TaskContext):
    """Implements `core.types.Context`."""

    def __init__(
        self,
        *,
        task: Task,
        sample: Sample,
        gallery: Gallery,
        workers: Workers,
        requests: Requests,
        services: Services,
        sampling: Mapping[str, Json],
        deadline: float,
    ) -> None:
        super().__init__(task, sample, workers)
        self._gallery = gallery
        self._requests = requests
        self._services = services
        self._sampling = sampling
        self._deadline = deadline
        self._pictures: list[Picture] = []
        self._numbering = asyncio.Lock()
        """A tool may ask for several pictures at once; each gets a number of its own."""

    @property
    def pictures(self) -> Sequence[Picture]:
        """Those so far."""
        return self._pictures

    def clear(self) -> None:
        """Forget the pictures: the episode starts over."""
        self._pictures.clear()

    def adopt(self, picture: Picture) -> Picture:
        """A picture that a tool gives back, as one of the episode's: one that it made itself gets the next number."""
        if any(known is picture for known in self._pictures):
            return picture
        adopted = replace(picture, image=len(self._pictures), source="tool")
        self._pictures.append(adopted)
        return adopted

    async def show(self, message: Message) -> Message:
        """The message with its image references read and numbered. Raises EpisodeError(bad_image, image_too_large)."""
        if isinstance(message.content, str):
            return message
        parts = [part if isinstance(part, str | Picture) else await self._picture(part) for part in message.parts]
        return Message(
            message.role, parts, tool_calls=message.tool_calls, tool_call_id=message.tool_call_id, name=message.name
        )

    async def _picture(self, ref: Any) -> Picture:
        async with self._numbering:
            for known in self._pictures:
                if known.ref is ref:
                    return known
            picture = await self.offload(self._gallery.picture, ref, len(self._pictures))
            self._pictures.append(picture)
            return picture

    async def open(self, image: int) -> Any:
        """Picture N as a PIL image; do not change it in place."""
        return await self.offload(self._gallery.open, tuple(self._pictures), image)

    async def edit(self, op: str, arguments: Mapping[str, Json]) -> Picture:
        """Apply `zoom` or `rotate`; the result is the next picture."""
        async with self._numbering:
            picture = await self.offload(self._gallery.edit, tuple(self._pictures), op, arguments)
            self._pictures.append(picture)
            return picture

    async def complete(self, messages: Sequence[Message], **sampling: Json) -> Completion:
        """Ask through the run's own endpoints, under the same limits.

        It has the seconds of an episode for itself: a reward may still ask when the episode's own are over.
        Raises EpisodeError, AsyncgenError.
        """
        return await ask(
            self._requests,
            [await self.show(message) for message in messages],
            {**self._sampling, **sampling},
            deadline=self._deadline,
            late=f"context.complete: no answer within {self._deadline:g} s; raise episode.deadline",
        )

    def shared(self, make: Callable[..., T], *args: Hashable) -> T:
        """The run's one `make(*args)`."""
        return self._services.get(make, *args)


async def ask(
    requests: Requests, messages: Sequence[Message], sampling: Mapping[str, Json], *, deadline: float, late: str
) -> Completion:
    """One answer to these messages, which is no turn of an episode. Raises EpisodeError, with `late` where it has not
    come within `deadline` seconds, and AsyncgenError."""
    conversation = Conversation()
    conversation.extend(messages)
    try:
        answer = await requests.complete(
            conversation.messages, sampling=sampling, tools_json=None, budget=Budget(deadline=deadline), order=BEGUN
        )
    except OutOfTimeError as error:
        raise EpisodeError(FailReason.TIMEOUT, late) from error
    return answer.completion
