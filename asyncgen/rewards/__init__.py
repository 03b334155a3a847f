"""What an answer is worth: reading it out of a text, and scoring it against the row.

Knows answers and truths. Does not know how an answer was come by, nor where scores are kept. A public namespace: a
task writes `from asyncgen import rewards`. A name is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncgen.rewards.critique import (
        CritiqueReward,
        conclusion,
        critique_messages,
        critique_scores,
        critique_target,
    )
    from asyncgen.rewards.maths import MathReward, answer_of, judge_answer, math_scores
    from asyncgen.rewards.maths_rows import check_math_columns, math_question, math_truth, raw_prompt

_HOME = {
    "CritiqueReward": "critique",
    "MathReward": "maths",
    "answer_of": "maths",
    "check_math_columns": "maths_rows",
    "conclusion": "critique",
    "critique_messages": "critique",
    "critique_scores": "critique",
    "critique_target": "critique",
    "judge_answer": "maths",
    "math_question": "maths_rows",
    "math_scores": "maths",
    "math_truth": "maths_rows",
    "raw_prompt": "maths_rows",
}

__all__ = [
    "CritiqueReward",
    "MathReward",
    "answer_of",
    "check_math_columns",
    "conclusion",
    "critique_messages",
    "critique_scores",
    "critique_target",
    "judge_answer",
    "math_question",
    "math_scores",
    "math_truth",
    "raw_prompt",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'asyncgen.rewards' has no attribute {name!r}")
    return getattr(importlib.import_module(f"asyncgen.rewards.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
