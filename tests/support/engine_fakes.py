"""Fakes at the engine's seams: a task, tools, a scripted transport, a store in memory, a clock that only sleeps move.

Knows what the seams promise. No socket, no file, no real waiting.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self, TypeAlias

from asyncgen.core.task import Task
from asyncgen.core.trace import Failure, Trace
from asyncgen.core.types import (
    Completion,
    Context,
    Json,
    Message,
    Picture,
    Sample,
    Tool,
    ToolCall,
    ToolMode,
    ToolResult,
    Turn,
    Usage,
)
from asyncgen.endpoint.faults import Fault, FaultKind
from asyncgen.endpoint.limiter import FixedLimiter
from asyncgen.endpoint.pool import EndpointSpec, Pool
from asyncgen.endpoint.transport import CHAT, ModelInfo, Target
from asyncgen.engine.driver import TICK, Driver, TraceStore
from asyncgen.engine.episode import Plan, begin
from asyncgen.engine.feeder import Chain
from asyncgen.engine.kit import make_kit
from asyncgen.engine.ledger import Origin
from asyncgen.engine.live import Setting
from asyncgen.engine.progress import Progress
from asyncgen.engine.quota import Quota
from asyncgen.engine.requests import Requests, Server
from asyncgen.engine.scheduler import Scheduler
from asyncgen.engine.workers import Workers
from asyncgen.tools.gallery import Gallery

SAMPLE = Sample(index=7, data={"question": "Where?"})


@dataclass(frozen=True)
class FakeTool:
    """A tool whose work is a function of its arguments."""

    name: str = "look"
    work: Callable[[Context, Mapping[str, Json]], Awaitable[ToolResult]] | None = None

    def schema(self, *, coordinates: str = "pixels", frame: str = "original") -> Mapping[str, Json]:
        parameters = {"type": "object", "properties": {"at": {"type": "string"}}, "required": []}
        return {"type": "function", "function": {"name": self.name, "description": "Look.", "parameters": parameters}}

    async def __call__(self, context: Context, arguments: Mapping[str, Json]) -> ToolResult:
        if self.work is None:
            return ToolResult(text=f"seen {json.dumps(arguments)}")
        return await self.work(context, arguments)


@dataclass(frozen=True)
class PlainTask(Task):
    """No tools. An answer is what follows `ANSWER:`; `maybe:` counts at the end only."""

    system: str = "Be brief."
    user: str = "{question}"
    final_user: str = "Answer now."
    nudge: str = ""

    def answer(self, text: str) -> str:
        return text.partition("ANSWER:")[2].strip()

    def final_answer(self, text: str) -> str:
        return self.answer(text) or text.partition("maybe:")[2].strip()

    def reply(self, sample: Sample, turns: Sequence[Turn]) -> Sequence[Message] | None:
        return [Message("user", self.nudge)] if self.nudge else None


@dataclass(frozen=True)
class ToolTask(PlainTask):
    """The same with two tools."""

    tools: ClassVar[Sequence[Tool]] = (FakeTool("look"), FakeTool("turn"))


def plan_of(
    task: Task, *, mode: ToolMode | None = None, max_turns: int = 5, final_turn: bool = True, sample: Sample = SAMPLE
) -> Plan:
    """A plan as live.py makes it."""
    tools = {tool.name: tool for tool in task.tools}
    return Plan(
        task=task,
        sample=sample,
        opening=tuple(task.prompt(sample)),
        mode=mode or (ToolMode.NATIVE if tools else ToolMode.NONE),
        tools=tools,
        max_turns=max_turns,
        final_turn=final_turn,
    )


def started(plan: Plan) -> Any:
    """The state after `begin`."""
    return begin(plan)[0]


def call(name: str = "look", arguments: str = '{"at": "a"}', call_id: str = "c1") -> ToolCall:
    return ToolCall(id=call_id, name=name, arguments=arguments)


def written(name: str = "look", arguments: str = '{"at": "a"}') -> str:
    """A call as models write it in their text."""
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


def said(content: str = "", *calls: ToolCall, finish: str = "stop", reasoning: str = "") -> Completion:
    return Completion(
        content=content,
        tool_calls=calls,
        finish_reason=finish,
        reasoning=reasoning,
        usage=Usage(prompt_tokens=10, completion_tokens=5, total_tokens=15),
        model="m",
    )


def picture(number: int = 0, *, data: bytes = b"jpeg") -> Picture:
    return Picture(
        image=number,
        source="tool",
        op="zoom",
        arguments='{"image":0}',
        width=2,
        height=2,
        full_width=2,
        full_height=2,
        sha256=f"{number}",
        data=data,
    )


class FakeClock:
    """Time passes with the driver's ticks, one each turn of the loop; all others sleep until it is late enough."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        wake = self.now + seconds
        await asyncio.sleep(0)
        if seconds == TICK:
            self.now += TICK
        while self.now < wake:  # noqa: ASYNC110  # an event for each moment would say no more
            await asyncio.sleep(0)


Reply: TypeAlias = Completion | list[Completion] | Fault | Callable[[], Awaitable[Completion | Fault]]


@dataclass
class Sent:
    """One request as it was sent."""

    server: str
    body: dict[str, Any]
    timeout: float
    path: str = CHAT

    @property
    def question(self) -> str:
        """The first user message."""
        text: str = next(one["content"] for one in self.body["messages"] if one["role"] == "user")
        return text


@dataclass
class FakeTransport:
    """Answers from a script: a list in order, then `default`; or a function of the request."""

    script: deque[Reply] = field(default_factory=deque)
    default: Reply | None = None
    answer: Callable[[Sent], Reply] | None = None
    alive: Callable[[str], bool] = field(default=lambda _server: True)
    """What a probe finds."""
    before_probe: Callable[[], Awaitable[None]] | None = None
    seconds: float = 0.0
    """That a request takes by the clock."""
    clock: FakeClock | None = None
    sent: list[Sent] = field(default_factory=list)
    probes: list[str] = field(default_factory=list)
    open: int = 0
    most_open: int = 0

    async def complete(
        self,
        target: Target,
        chunks: Sequence[bytes],
        *,
        timeout: float,  # noqa: ASYNC109  # as in Transport
        path: str = CHAT,
    ) -> list[Completion] | Fault:
        request = Sent(target.name, json.loads(b"".join(chunks)), timeout, path)
        self.sent.append(request)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            await asyncio.sleep(0)
            if self.clock is not None:
                self.clock.now += self.seconds
            reply = self._next(request)
            if not isinstance(reply, Completion | Fault | list):
                reply = await reply()
        finally:
            self.open -= 1
        if isinstance(reply, list):
            return reply
        return reply if isinstance(reply, Fault) else [reply]

    def _next(self, request: Sent) -> Reply:
        if self.answer is not None:
            return self.answer(request)
        if self.script:
            return self.script.popleft()
        assert self.default is not None, "the script is over"
        return self.default

    async def models(self, target: Target, *, timeout: float = 10) -> list[ModelInfo] | Fault:  # noqa: ASYNC109  # as in Transport
        self.probes.append(target.name)
        await asyncio.sleep(0)
        if self.before_probe is not None:
            await self.before_probe()
        return [ModelInfo("m")] if self.alive(target.name) else Fault(FaultKind.TRANSPORT, "still down")

    async def close(self) -> None:
        """Nothing is open."""


class FakeStore:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.notice = ""
        self.traces: list[Trace] = []
        self.failures: list[Failure] = []

    async def append(self, trace: Trace) -> None:
        await asyncio.sleep(0)
        self.traces.append(trace)

    async def fail(self, failure: Failure) -> None:
        await asyncio.sleep(0)
        self.failures.append(failure)


class Rig:
    """A whole engine over fakes. `async with` ends its workers."""

    def __init__(
        self,
        task: Task,
        transport: FakeTransport,
        *,
        samples: int = 1,
        servers: int = 1,
        concurrency: int = 4,
        read: Callable[[int], Sample] | None = None,
        chains: Iterator[Chain] | None = None,
        store: TraceStore | None = None,
        max_turns: int = 5,
        deadline: float = 1000.0,
        turn_timeout: float = 100.0,
        grace: float = 30.0,
        max_outage: float | None = None,
        mark: Callable[[Trace], Awaitable[Trace]] | None = None,
        goal: int | None = None,
        on_goal: Callable[[], None] | None = None,
        choices: int = 1,
        due: Callable[[], Chain | None] = lambda: None,
    ) -> None:
        self.task = task
        self.transport = transport
        self.clock = FakeClock()
        transport.clock = self.clock
        self.store = FakeStore()
        self.progress = Progress(total=samples)
        names = [f"e{number}" for number in range(servers)]
        self.scheduler = Scheduler(Pool([EndpointSpec(name) for name in names]), FixedLimiter(concurrency))
        self.requests = Requests(
            scheduler=self.scheduler,
            tell=lambda event: self.driver.tell(event),  # noqa: PLW0108  # the driver comes below
            transport=transport,
            servers=[Server(target=Target(f"http://{name}/v1", name=name), model="m") for name in names],
            turn_timeout=turn_timeout,
            clock=self.clock,
            rng=random.Random(0),
        )
        self.workers = Workers(threads=1, processes=1)
        self.setting = Setting(
            task=task,
            kit=make_kit(task),
            origin=Origin(job="job", config_id="cfg", dataset_path="data"),
            sampling=lambda _index, rollout: {"temperature": 0.5, "seed": rollout},
            max_turns=lambda _index: max_turns,
            final_turn=True,
            deadline=deadline,
            gallery=Gallery(max_pixels=1_000_000, max_image_pixels=10_000_000),
            workers=self.workers,
            requests=self.requests,
            clock=self.clock,
            choices=choices,
        )
        self.driver = Driver(
            setting=self.setting,
            scheduler=self.scheduler,
            transport=transport,
            store=store or self.store,
            read=read or (lambda index: Sample(index=index, data={"question": f"q{index}"})),
            chains=chains if chains is not None else iter([(index, Quota([0])) for index in range(samples)]),
            progress=self.progress,
            clock=self.clock,
            grace=grace,
            max_outage=max_outage,
            mark=mark,
            goal=goal,
            on_goal=on_goal,
            due=due,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        self.workers.close()

    async def run(self) -> FakeStore:
        """To the end, and every counter back where it was."""
        try:
            await self.driver.run()
        finally:
            self.scheduler.validate()
        assert (self.scheduler.open, self.scheduler.alive, self.scheduler.held_bytes) == (0, 0, 0)
        return self.store


def questions(transport: FakeTransport) -> dict[str, int]:
    """How often each sample was asked about."""
    return Counter(request.question for request in transport.sent)
