"""One tool call of an episode, from the model's arguments to the result; it waits where the tool's service is down.

Knows what a tool may raise, and what that means. Does not know turns.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from asyncgen.core.clock import Clock
from asyncgen.core.errors import AsyncgenError, EpisodeError, FailReason, ToolDownError, ToolError
from asyncgen.core.types import CallResult, Json, Tool, ToolResult
from asyncgen.engine.requests import LOOK, Budget, OutOfTimeError, StoppedError
from asyncgen.engine.scoring import where
from asyncgen.engine.tool_gate import ToolGate

if TYPE_CHECKING:
    from asyncgen.engine.context import EpisodeContext
    from asyncgen.engine.episode import PlannedCall


@dataclass(slots=True, kw_only=True)
class Calls:
    """Those of one episode."""

    tools: Mapping[str, Tool]
    context: EpisodeContext
    budget: Budget
    gate: ToolGate
    clock: Clock
    stopping: Callable[[], bool]
    """Whether the episode is to stop rather than wait: the run drains, and its turns are journalled."""
    touch: Callable[[], None]

    async def run(self, planned: PlannedCall) -> CallResult:
        """What the call gives; of one that is not to be run its error.

        Raises EpisodeError, OutOfTimeError, StoppedError where it waited for a service that is down, AsyncgenError.
        """
        if planned.error:
            return CallResult(call=planned.call, result=ToolResult(text=""), error=planned.error)
        tool = self.tools[planned.call.name]
        while True:
            await self._turn_of(tool.name)
            started = self.clock.monotonic()
            result, error, told = await self._attempt(tool, planned.arguments)
            seconds = self.clock.monotonic() - started
            self.touch()
            if told:
                self.budget.spent += seconds
                return CallResult(call=planned.call, result=result, error=error, seconds=seconds)

    async def _turn_of(self, name: str) -> None:
        """Returns when the tool is up, or when this is the call that is to see whether it is."""
        while not self.gate.may_try(name, self.clock.monotonic()):
            if self.stopping():
                raise StoppedError
            await self.clock.sleep(LOOK * random.uniform(0.5, 1.5))  # noqa: S311  # or the same call would always be first

    async def _attempt(self, tool: Tool, arguments: Mapping[str, Json]) -> tuple[ToolResult, str, bool]:
        """Result, error text, and whether the model is to see them: not where the tool is down."""
        result, error = ToolResult(text=""), ""
        limit = asyncio.timeout(max(0.0, self.budget.left))
        started = self.clock.monotonic()
        try:
            async with limit:
                result = await tool(self.context, arguments)
            self.gate.passed(tool.name)
            if result.pictures:
                result = replace(result, pictures=tuple(map(self.context.adopt, result.pictures)))
        except ToolDownError as down:
            return result, str(down), self.gate.failed(tool.name, down.why, self.clock.monotonic(), started)
        except ToolError as refused:
            error = str(refused)
        except BaseException as crash:
            self.budget.spent += self.clock.monotonic() - started
            if not isinstance(crash, Exception) or isinstance(crash, EpisodeError | AsyncgenError):
                raise
            if isinstance(crash, TimeoutError) and limit.expired():
                raise OutOfTimeError from crash
            raise EpisodeError(FailReason.TOOL_CRASH, f"{tool.name}: {where(crash)}") from crash
        finally:
            self.gate.gave_up(tool.name, started)
        return result, error, True
