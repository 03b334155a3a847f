"""One live episode: feeds the pure machine with real completions, tools and rewards.

Knows the order of things in an episode. Does not know other episodes, nor where traces go.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from asyncgen.core.clock import Clock
from asyncgen.core.errors import EpisodeError, FailReason
from asyncgen.core.task import Task
from asyncgen.core.trace import Failure, Trace
from asyncgen.core.types import CallResult, Completion, Json, Message, Sample, StopReason, ToolMode
from asyncgen.engine.calls import Calls
from asyncgen.engine.choices import Choices
from asyncgen.engine.context import EpisodeContext
from asyncgen.engine.conversation import Conversation
from asyncgen.engine.episode import (
    Ask,
    EpisodeState,
    Exchange,
    Finish,
    Plan,
    RunCalls,
    begin,
    decide,
    last_visible,
    on_break,
    on_completion,
    on_limit,
    on_results,
)
from asyncgen.engine.events import BEGUN
from asyncgen.engine.kit import Kit, opening
from asyncgen.engine.ledger import Account, Origin, build_trace, failure
from asyncgen.engine.requests import Budget, OutOfTimeError, Requests, ToolsRefusedError
from asyncgen.engine.scoring import scored
from asyncgen.engine.services import Services
from asyncgen.engine.tool_gate import ToolGate
from asyncgen.engine.turn_log import DivergedError, PastTurn, Spent, TurnJournal, TurnLog
from asyncgen.engine.workers import Workers
from asyncgen.tools.gallery import Gallery


@dataclass(slots=True, kw_only=True)
class Setting:
    """What all episodes of a run share."""

    task: Task
    kit: Kit
    origin: Origin
    sampling: Callable[[int, int], Mapping[str, Json]]
    """The request's sampling fields for (row number, rollout)."""
    max_turns: Callable[[int], int]
    """For a row number."""
    final_turn: bool
    deadline: float
    gallery: Gallery
    workers: Workers
    requests: Requests
    clock: Clock
    journal: TurnJournal | None = None
    """None: an episode of this run has one turn."""
    max_context: int | None = None
    """Tokens from which on the next turn is the final one."""
    choices: int = 1
    """Rollouts of a sample that one request may ask for."""
    services: Services = field(default_factory=Services)
    gate: ToolGate = field(default_factory=ToolGate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Living:
    """An episode under way, for those who look."""

    id: str
    turn: int
    """The turn that it is in, from 1."""
    seconds: float
    """Since its start."""
    idle: float
    """Seconds since a turn or a tool of its own last came to an end."""


class _ContextFullError(Exception):
    """The conversation has outgrown the model's context after at least one turn."""


class LiveEpisode:
    """One attempt, owned by one coroutine."""

    def __init__(
        self,
        setting: Setting,
        sample: Sample,
        rollout: int,
        *,
        order: int,
        hold: Callable[[int], None],
        choices: Choices | None = None,
    ) -> None:
        """`choices`: of its chain, where one request may bring the first turns of several of its rollouts."""
        self._setting = setting
        self._sample = sample
        self._rollout = rollout
        self._order = order
        self._hold = hold
        self._choices = choices
        self._sampling = self._sampling_of(rollout)
        self._budget = Budget(deadline=setting.deadline)
        self._context = EpisodeContext(
            task=setting.task,
            sample=sample,
            gallery=setting.gallery,
            workers=setting.workers,
            requests=setting.requests,
            services=setting.services,
            sampling=setting.sampling(sample.index, rollout),
            deadline=setting.deadline,
        )
        self._state = EpisodeState()
        self._conversation = Conversation(raw=setting.task.prompt_style == "raw")
        self._mode = ToolMode.NONE
        self._resumed_at = 0
        self.id = self._id_of(rollout)
        self._log = choices.log(rollout, self._log_of) if choices else self._log_of(rollout)
        self.started = self.touched = setting.clock.monotonic()
        """`touched`: when a turn or a tool last came to an end, or the first turn was asked for."""
        self.begun = False
        """Its first turn has been asked for."""

    def _id_of(self, rollout: int) -> str:
        return f"{self._setting.origin.job}/{self._sample.index}/{rollout}"

    def _sampling_of(self, rollout: int) -> Mapping[str, Json]:
        stop = {"stop": list(self._setting.task.stop)} if self._setting.task.stop else {}
        return {**stop, **self._setting.sampling(self._sample.index, rollout)}

    def _log_of(self, rollout: int) -> TurnLog:
        setting, key = self._setting, (self._sample.index, rollout)
        sampling = self._sampling_of(rollout)
        return TurnLog(setting.journal, self._id_of(rollout), key, setting.origin.config_id, sampling)

    @property
    def turn(self) -> int:
        """The one that it is in, from 1."""
        return len(self._state.turns) + 1

    async def run(self) -> Trace:
        """Drive to the end and score.

        Raises EpisodeError, StoppedError, and AsyncgenError where the run cannot go on.
        """
        setting = self._setting
        mode = self._log.mode or self._fresh_mode()
        while True:
            try:
                trace = self._trace(await self._drive(mode))
                return await scored(setting.task, self._context, self._sample, trace)
            except DivergedError:
                self._budget = Budget(deadline=setting.deadline)  # what those turns took is no time of its own
                mode = self._fresh_mode()
            except ToolsRefusedError as refused:
                if setting.task.tool_calls == "native":
                    text = f"{refused}; with task.tool_calls: auto or text, calls travel as text"
                    raise EpisodeError(FailReason.BAD_REQUEST, text) from refused
                setting.requests.tools_refused = True
                mode = ToolMode.TEXT
            await self._log.start_over()
            self._context.clear()
            self._resumed_at = 0

    def _fresh_mode(self) -> ToolMode:
        wanted = "text" if self._conversation.raw else self._setting.task.tool_calls
        return self._setting.kit.mode(wanted, refused=self._setting.requests.tools_refused)

    def failed(self, error: EpisodeError) -> Failure:
        """What is to be stored when `run` raised."""
        turns = self._state.turns
        finish = Finish(stop=StopReason.FAILED, answer="", final_response=last_visible(turns))
        return failure(self._trace(finish), self._setting.task, error)

    def _trace(self, finish: Finish) -> Trace:
        resumed_at = self._resumed_at or (len(self._state.turns) if self._log.resumed else 0)
        account = Account(
            mode=self._mode, seconds=self._budget.spent, attempts=self._budget.attempts, resumed_at_turn=resumed_at
        )
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
        self._conversation = Conversation(raw=setting.task.prompt_style == "raw")
        setting.task.check(self._sample)
        prompt = opening(setting.task, self._sample, setting.kit, mode)
        plan = Plan(
            task=setting.task,
            sample=self._sample,
            opening=tuple([await self._context.show(message) for message in prompt]),
            mode=mode,
            tools=setting.kit.tools,
            max_turns=setting.max_turns(self._sample.index),
            final_turn=setting.final_turn,
            max_context=setting.max_context,
        )
        self._state, action = begin(plan)
        while not isinstance(action, Finish):
            try:
                if isinstance(action, RunCalls):
                    self._state, action = on_results(plan, self._state, await self._results(action))
                else:
                    self._state = await self._ask(action)
                    self._state, action = decide(plan, self._state)
            except OutOfTimeError:
                return self._out_of_time(plan)
            except _ContextFullError:
                return on_limit(plan, self._state, StopReason.CONTEXT)
        return action

    def _out_of_time(self, plan: Plan) -> Finish:
        if not self._state.turns:
            seconds = self._setting.deadline
            raise EpisodeError(
                FailReason.TIMEOUT, f"no turn within the episode's deadline of {seconds:g} s; raise episode.deadline"
            )
        return on_limit(plan, self._state, StopReason.DEADLINE)

    async def _ask(self, ask: Ask) -> EpisodeState:
        """The state with the turn's completion in it: the journal's, or the server's."""
        own = len(ask.messages) - len(self._state.asked)
        shown = [await self._context.show(message) for message in ask.messages]  # a task's reply may have images too
        asked = tuple(shown[own:])
        if asked != self._state.asked:
            self._state = replace(self._state, asked=asked)
        self._hold(self._conversation.extend(shown))
        self._touch()
        turn = self._log.next_turn(asked, self._context.pictures)
        if turn is not None:
            self._take_back(turn.spent)
            if not self._state.turns:
                self._setting.requests.resume(self._order)
        else:
            self._note_resumed(len(self._state.turns) + 1)
            turn = await self._first_of_several(ask, asked) or await self._request(ask)
        return on_completion(self._state, turn.completion, turn.exchange)

    async def _first_of_several(self, ask: Ask, asked: Sequence[Message]) -> PastTurn | None:
        """A first turn that brings those of other rollouts with it; None where it is to be asked for alone."""
        requests, begun = self._setting.requests, bool(self._state.turns)
        if self._choices is None or begun or requests.choices.refused:
            return None
        sharers = self._choices.sharers(self._shares, self._log_of)
        if not sharers:
            return None
        try:
            turn, *more = await self._turns(ask, choices=1 + len(sharers))
        except EpisodeError as error:
            if error.reason is not FailReason.BAD_REQUEST:
                raise
            turn = await self._request(ask)  # it is not the prompt, then: this server does not take `n`
            requests.choices.refused = True
            return turn
        requests.choices.note(1 + len(sharers), max(turn.completion.choices, 1 + len(more)))
        pictures = self._context.pictures
        for log, other in zip(sharers, more, strict=False):  # first: then all of them are paid for, and kept
            await log.deal(asked, pictures, other, self._mode)
        await self._log.add_turn(asked, pictures, turn, self._mode)
        return turn

    def _shares(self, rollout: int) -> bool:
        """Whether another rollout asks for the same, but for its seed."""
        mine, other = self._sampling, self._sampling_of(rollout)
        return {**mine, "seed": None} == {**other, "seed": None}

    async def _request(self, ask: Ask) -> PastTurn:
        (turn,) = await self._turns(ask)
        await self._log.add_turn(self._state.asked, self._context.pictures, turn, self._mode)
        return turn

    async def _turns(self, ask: Ask, choices: int = 1) -> list[PastTurn]:
        begun = bool(self._state.turns)
        requests, task = self._setting.requests, self._setting.task
        fields = dict(task.request(self._sample, self._state.turns, self._state.final))
        fields |= {"n": choices} if choices > 1 else {}
        try:
            answer = await requests.complete(
                self._conversation.messages,
                sampling={**self._sampling, **fields} if fields else self._sampling,
                tools_json=self._setting.kit.schemas_json if ask.tools else None,
                budget=self._budget,
                order=BEGUN if begun else self._order,
                kept=self._log.keeps,
                raw=self._conversation.raw,
            )
        except EpisodeError as error:
            if error.reason is FailReason.CONTEXT_OVERFLOW and begun:
                raise _ContextFullError from error
            raise
        self._touch()
        server = requests.servers[answer.endpoint]
        turns = []
        for number, given in enumerate((answer.completion, *answer.more[: choices - 1])):
            completion = _stopped(given, task.stop)
            if not completion.model:  # some servers do not say: then it is the one that was asked
                completion = replace(completion, model=server.model)
            attempts = 1 if number else answer.attempts
            exchange = Exchange(endpoint=server.target.name, seconds=answer.seconds, attempts=attempts)
            turns.append(PastTurn(completion, exchange, Spent(answer.seconds, 1) if number else self._spent))
        return turns

    @property
    def _spent(self) -> Spent:
        return Spent(self._budget.spent, self._budget.attempts)

    def _take_back(self, spent: Spent) -> None:
        self._budget.spent, self._budget.attempts = spent.seconds, spent.attempts

    def _note_resumed(self, turn: int) -> None:
        """The first thing that is not the journal's."""
        if self._log.resumed and not self._resumed_at:
            self._resumed_at = turn

    async def _results(self, action: RunCalls) -> list[CallResult]:
        """What the turn's calls give: the journal's word, or theirs. Their pictures are made again, and compared."""
        past = self._log.next_results()
        if past is None:
            self._note_resumed(len(self._state.turns))
            results = await self._run_calls(action)
            await self._log.add_results(results, self._context.pictures, self._spent)
            return results
        if past.can_be_made:
            for picture in past.pictures:
                await self._make_again(picture)
        else:
            await self._run_calls(action)
        self._log.check_pictures(past, self._context.pictures)
        self._take_back(past.spent)
        return past.call_results(action.calls, self._context.pictures)

    async def _make_again(self, picture: Mapping[str, Json]) -> None:
        try:
            await self._context.edit(picture["op"], json.loads(picture["arguments"]))
        except (LookupError, TypeError, ValueError, EpisodeError) as error:  # the row's picture is another one, or gone
            raise DivergedError from error

    def _touch(self) -> None:
        self.begun, self.touched = True, self._setting.clock.monotonic()

    async def _run_calls(self, action: RunCalls) -> list[CallResult]:
        results: list[CallResult] = []
        setting = self._setting
        calls = Calls(
            tools=setting.kit.tools,
            context=self._context,
            budget=self._budget,
            gate=setting.gate,
            clock=setting.clock,
            stopping=lambda: self._log.keeps and setting.requests.draining,
            touch=self._touch,
        )
        try:
            for planned in action.calls:
                results.append(await calls.run(planned))  # noqa: PERF401  # those so far count when one raises
        except OutOfTimeError:
            error = f"broken off: the episode's deadline of {self._setting.deadline:g} s was over"
            self._state = on_break(self._state, action.calls, results, error)
            raise
        except EpisodeError as failed:
            self._state = on_break(self._state, action.calls, results, failed.text)
            raise
        return results


def _stopped(completion: Completion, stop: Sequence[str]) -> Completion:
    """The completion as a server gives it that knows `stop`: without the first such string and what follows it."""
    ends = [at for one in stop if one and (at := completion.content.find(one)) >= 0]
    return replace(completion, content=completion.content[: min(ends)]) if ends else completion
