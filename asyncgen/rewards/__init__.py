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
    from asyncgen.rewards.geo import GEO_FAILURE, GeoReward, geo_answer, haversine_km, parse_coordinates
    from asyncgen.rewards.judge import JUDGE_FAILURE, judge_scores
    from asyncgen.rewards.maths import MathReward, answer_of, judge_answer, math_scores
    from asyncgen.rewards.maths_rows import check_math_columns, math_question, math_truth, raw_prompt
    from asyncgen.rewards.qa import QaReward, exact_match, f1, normalised, qa_scores, support_recall
    from asyncgen.rewards.qa_rows import check_question_columns, check_truth, question, support_titles, truths
    from asyncgen.rewards.text import answer_tag, labelled_line, last_boxed

_HOME = {
    "CritiqueReward": "critique",
    "GEO_FAILURE": "geo",
    "GeoReward": "geo",
    "JUDGE_FAILURE": "judge",
    "MathReward": "maths",
    "QaReward": "qa",
    "answer_of": "maths",
    "answer_tag": "text",
    "check_math_columns": "maths_rows",
    "check_question_columns": "qa_rows",
    "check_truth": "qa_rows",
    "conclusion": "critique",
    "critique_messages": "critique",
    "critique_scores": "critique",
    "critique_target": "critique",
    "exact_match": "qa",
    "f1": "qa",
    "geo_answer": "geo",
    "haversine_km": "geo",
    "judge_answer": "maths",
    "judge_scores": "judge",
    "labelled_line": "text",
    "last_boxed": "text",
    "math_question": "maths_rows",
    "math_scores": "maths",
    "math_truth": "maths_rows",
    "normalised": "qa",
    "parse_coordinates": "geo",
    "qa_scores": "qa",
    "question": "qa_rows",
    "raw_prompt": "maths_rows",
    "support_recall": "qa",
    "support_titles": "qa_rows",
    "truths": "qa_rows",
}

__all__ = [
    "GEO_FAILURE",
    "JUDGE_FAILURE",
    "CritiqueReward",
    "GeoReward",
    "MathReward",
    "QaReward",
    "answer_of",
    "answer_tag",
    "check_math_columns",
    "check_question_columns",
    "check_truth",
    "conclusion",
    "critique_messages",
    "critique_scores",
    "critique_target",
    "exact_match",
    "f1",
    "geo_answer",
    "haversine_km",
    "judge_answer",
    "judge_scores",
    "labelled_line",
    "last_boxed",
    "math_question",
    "math_scores",
    "math_truth",
    "normalised",
    "parse_coordinates",
    "qa_scores",
    "question",
    "raw_prompt",
    "support_recall",
    "support_titles",
    "truths",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'asyncgen.rewards' has no attribute {name!r}")
    return getattr(importlib.import_module(f"asyncgen.rewards.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
