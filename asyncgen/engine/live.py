"""One live episode: feeds the pure machine with real completions, tools and rewards.

Knows the order of things in an episode. Does not know other episodes, nor where traces go.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from asyncgen.core.clock import Clock
from asyncgen.core.errors import EpisodeError, FailReason, ToolError
from asyncgen.core.task import Task
from asyncgen.core.trace import Failure, Trace
from asyncgen.core.types import CallResult, Json, Message, Sample, StopReason, ToolMode, ToolResult
from asyncgen.engine.context import EpisodeContext
from asyncgen.engine.conversation import Conversation
from asyncgen.engine.episode import (
    Ask,
    EpisodeState,
    Exchange,
    Finish,
    Plan,
    PlannedCall,
    RunCalls,
    begin,
    on_completion,
    on_limit,
    on_results,
)
from asyncgen.engine.kit import Kit, opening
from asyncgen.engine.ledger import Account, Origin, build_trace, failure, with_scores
from asyncgen.engine.requests import Budget, OutOfTimeError, Requests, ToolsRefusedError
from asyncgen.engine.workers import Workers
from asyncgen.tools.gallery import Gallery


@dataclass(slots=True, kw_only=True)
class Setting:
    """What all episodes of a run share."""

    task: Task
    kit: Kit
    origin: Origin
    sampling: Callable[[int], Mapping[str, Json]]
    """The request's sampling fields for a rollout."""
    max_turns: int
    final_turn: bool
    deadline: float
    gallery: Gallery
    workers: Workers
    requests: Requests
    clock: Clock
    tools_refused: bool = False
    """The server has refused `tools`: later episodes of an `auto` task start in text mode."""


class LiveEpisode:
    """One attempt, owned by one coroutine."""

    def __init__(self, setting: Setting, sample: Sample, rollout: int, *, hold: Callable[[int], None]) -> None:
        self._setting = setting
        self._sample = sample
        self._rollout = rollout
        self._hold = hold
        self._sampling = setting.sampling(rollout)
        self._budget = Budget(deadline=setting.deadline)
        self._context = EpisodeContext(
            task=setting.task,
            sample=sample,
            gallery=setting.gallery,
            workers=setting.workers,
            requests=setting.requests,
            sampling=self._sampling,
            budget=self._budget,
        )
        self._state = EpisodeState()
        self._conversation = Conversation()
        self._mode = ToolMode.NONE

    async def run(self) -> Trace:
        """Drive to the end and score. Raises EpisodeError, and AsyncgenError where the run cannot go on."""
        setting = self._setting
        mode = setting.kit.mode(setting.task.tool_calls, refused=setting.tools_refused)
        try:
            finish = await self._drive(mode)
        except ToolsRefusedError:
            setting.tools_refused = True
            self._context.clear()
            finish = await self._drive(ToolMode.TEXT)
        return await self._score(self._trace(finish))

    def failed(self, error: EpisodeError) -> Failure:
        """What is to be stored when `run` raised."""
        finish = Finish(stop=StopReason.FAILED, answer="", final_response="")
        return failure(self._trace(finish), self._setting.task, error)

    def _trace(self, finish: Finish) -> Trace:
        account = Account(mode=self._mode, seconds=self._budget.spent, attempts=self._budget.attempts)
        return build_trace(
            self._setting.origin,
            self._sample,
            self._rollout,
            turns=self._state.turns,
            pictures=self._context.pictures,
            finish=finish,
            account=account,
        )

    async def _drive(self, mode: ToolMode) -> Finish:
        setting = self._setting
        self._mode = mode
        self._hold(-self._conversation.bytes)
        self._conversation = Conversation()
        prompt = opening(setting.task, self._sample, setting.kit, mode)
        plan = Plan(
            task=setting.task,
            sample=self._sample,
            opening=tuple([await self._context.show(message) for message in prompt]),
            mode=mode,
            tools=setting.kit.tools,
            max_turns=setting.max_turns,
            final_turn=setting.final_turn,
        )
        self._state, action = begin(plan)
        while not isinstance(action, Finish):
            try:
                if isinstance(action, RunCalls):
                    self._state, action = on_results(plan, self._state, await self._run_calls(action))
                else:
                    self._state, action = await self._ask(plan, action)
            except OutOfTimeError:
                return self._out_of_time(plan)
            except EpisodeError as error:
                if error.reason is not FailReason.CONTEXT_OVERFLOW or not self._state.turns:
                    raise
                return on_limit(plan, self._state, StopReason.CONTEXT)
        return action

    def _out_of_time(self, plan: Plan) -> Finish:
        if not self._state.turns:
            seconds = self._setting.deadline
            raise EpisodeError(
                FailReason.TIMEOUT, f"no turn within the episode's deadline of {seconds:g} s; raise episode.deadline"
            )
        return on_limit(plan, self._state, StopReason.DEADLINE)

    async def _ask(self, plan: Plan, ask: Ask) -> tuple[EpisodeState, Ask | RunCalls | Finish]:
        messages = [await self._shown(message) for message in ask.messages]
        self._hold(self._conversation.extend(messages))
        answer = await self._setting.requests.complete(
            self._conversation.messages,
            sampling=self._sampling,
            tools_json=self._setting.kit.schemas_json if ask.tools else None,
            budget=self._budget,
            begun=bool(self._state.turns),
        )
        name = self._setting.requests.servers[answer.endpoint].target.name
        exchange = Exchange(endpoint=name, seconds=answer.seconds, attempts=answer.attempts)
        return on_completion(plan, self._state, answer.completion, exchange)

    async def _shown(self, message: Message) -> Message:
        """A reply of the task may have image references too."""
        return await self._context.show(message)

    async def _run_calls(self, action: RunCalls) -> list[CallResult]:
        results = []
        for planned in action.calls:
            if planned.error:
                results.append(CallResult(call=planned.call, result=ToolResult(text=""), error=planned.error))
            else:
                results.append(await self._run_call(planned))
        return results

    async def _run_call(self, planned: PlannedCall) -> CallResult:
        clock = self._setting.clock
        tool = self._setting.kit.tools[planned.call.name]
        started = clock.monotonic()
        result, error = ToolResult(text=""), ""
        limit = asyncio.timeout(max(0.0, self._budget.left))
        try:
            async with limit:
                result = await tool(self._context, planned.arguments)
        except ToolError as refused:
            error = str(refused)
        except EpisodeError:
            raise
        except Exception as crash:
            if isinstance(crash, TimeoutError) and limit.expired():
                raise OutOfTimeError from crash
            raise EpisodeError(FailReason.TOOL_CRASH, f"{tool.name}: {_where(crash)}") from crash
        finally:
            self._budget.spent += clock.monotonic() - started
        return CallResult(call=planned.call, result=result, error=error, seconds=clock.monotonic() - started)

    async def _score(self, trace: Trace) -> Trace:
        task = self._setting.task
        scores = dict(task.scores)
        if trace.answer:
            if "parse_success" in scores:
                scores["parse_success"] = True
            for reward in task.rewards:
                given = reward(self._context, self._sample, trace)
                given = await given if inspect.isawaitable(given) else given
                _check_scores(task, reward, given)
                scores.update(given)
        return with_scores(trace, task, scores)


def _check_scores(task: Task, reward: object, given: Mapping[str, float | bool | str]) -> None:
    name = getattr(reward, "__name__", type(reward).__name__)
    for key, value in given.items():
        if key not in task.scores:
            known = ", ".join(task.scores)
            raise EpisodeError(FailReason.INTERNAL, f"reward {name} gave {key!r}; the task's scores are {known}")
        if isinstance(value, float) and not math.isfinite(value):
            raise EpisodeError(FailReason.INTERNAL, f"reward {name} gave {value} for {key!r}")


def _where(error: BaseException) -> str:
    """The error and the last line that it came from: enough to find it, and no dump of anybody's data."""
    frames = traceback.extract_tb(error.__traceback__)
    last = f" ({frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {str(error)[:500]}{last}"


def internal_error(error: Exception) -> EpisodeError:
    """Whatever a task or a reward raised, as the episode's failure."""
    return EpisodeError(FailReason.INTERNAL, _where(error))
