"""The task of the benchmark: a question, one tool, an answer tag."""

from dataclasses import dataclass
from typing import ClassVar

from asyncgen import Context, Sample, Scores, Task, Trace, answer_tag, tool


@tool
async def look(context: Context, what: str = "") -> str:
    """Look."""
    return "nothing there"


def right(context: Context, sample: Sample, trace: Trace) -> Scores:
    return {"score": float(trace.answer == "42")}


@dataclass(frozen=True)
class Plain(Task):
    system: str = "You are terse."
    user: str = "{question}"
    tools: ClassVar = (look,)
    rewards: ClassVar = (right,)

    def answer(self, text: str) -> str:
        return answer_tag(text) or ""


@dataclass(frozen=True)
class Bare(Plain):
    """Without the tool: one turn."""

    tools: ClassVar = ()
