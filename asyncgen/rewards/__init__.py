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
    from asyncgen.rewards.format import FormatReward, in_format
    from asyncgen.rewards.geo import GEO_FAILURE, GeoReward, geo_answer, haversine_km, parse_coordinates
    from asyncgen.rewards.judge import JUDGE_FAILURE, judge_scores
    from asyncgen.rewards.length import LengthReward
    from asyncgen.rewards.maths import MathReward, answer_of, judge_answer, math_scores
    from asyncgen.rewards.maths_rows import check_math_columns, math_question, math_truth, raw_prompt
    from asyncgen.rewards.named import failure_scores, named_rewards
    from asyncgen.rewards.process_judge import ProcessJudge
    from asyncgen.rewards.qa import QaReward, exact_match, f1, normalised, qa_scores, support_recall
    from asyncgen.rewards.qa_rows import check_question_columns, check_truth, question, support_titles, truths
    from asyncgen.rewards.region import RegionReward
    from asyncgen.rewards.region_rows import (
        Truth,
        check_region_columns,
        load_places,
        only_located,
        place_at,
        region_truth,
    )
    from asyncgen.rewards.region_text import region_answer
    from asyncgen.rewards.row_chat import chat_prompt, image_paths, message_of, message_parts
    from asyncgen.rewards.seekworld import seekworld_accuracy
    from asyncgen.rewards.text import answer_tag, labelled_line, last_boxed
    from asyncgen.rewards.total import TotalReward

_HOME = {
    "CritiqueReward": "critique",
    "FormatReward": "format",
    "GEO_FAILURE": "geo",
    "GeoReward": "geo",
    "JUDGE_FAILURE": "judge",
    "LengthReward": "length",
    "MathReward": "maths",
    "ProcessJudge": "process_judge",
    "QaReward": "qa",
    "RegionReward": "region",
    "TotalReward": "total",
    "Truth": "region_rows",
    "answer_of": "maths",
    "answer_tag": "text",
    "chat_prompt": "row_chat",
    "check_math_columns": "maths_rows",
    "check_question_columns": "qa_rows",
    "check_region_columns": "region_rows",
    "check_truth": "qa_rows",
    "conclusion": "critique",
    "critique_messages": "critique",
    "critique_scores": "critique",
    "critique_target": "critique",
    "exact_match": "qa",
    "f1": "qa",
    "failure_scores": "named",
    "geo_answer": "geo",
    "haversine_km": "geo",
    "image_paths": "row_chat",
    "in_format": "format",
    "judge_answer": "maths",
    "judge_scores": "judge",
    "load_places": "region_rows",
    "only_located": "region_rows",
    "labelled_line": "text",
    "last_boxed": "text",
    "math_question": "maths_rows",
    "math_scores": "maths",
    "math_truth": "maths_rows",
    "message_of": "row_chat",
    "message_parts": "row_chat",
    "named_rewards": "named",
    "normalised": "qa",
    "parse_coordinates": "geo",
    "place_at": "region_rows",
    "qa_scores": "qa",
    "question": "qa_rows",
    "raw_prompt": "maths_rows",
    "region_answer": "region_text",
    "region_truth": "region_rows",
    "seekworld_accuracy": "seekworld",
    "support_recall": "qa",
    "support_titles": "qa_rows",
    "truths": "qa_rows",
}

__all__ = [
    "GEO_FAILURE",
    "JUDGE_FAILURE",
    "CritiqueReward",
    "FormatReward",
    "GeoReward",
    "LengthReward",
    "MathReward",
    "ProcessJudge",
    "QaReward",
    "RegionReward",
    "TotalReward",
    "Truth",
    "answer_of",
    "answer_tag",
    "chat_prompt",
    "check_math_columns",
    "check_question_columns",
    "check_region_columns",
    "check_truth",
    "conclusion",
    "critique_messages",
    "critique_scores",
    "critique_target",
    "exact_match",
    "f1",
    "failure_scores",
    "geo_answer",
    "haversine_km",
    "image_paths",
    "in_format",
    "judge_answer",
    "judge_scores",
    "labelled_line",
    "last_boxed",
    "load_places",
    "math_question",
    "math_scores",
    "math_truth",
    "message_of",
    "message_parts",
    "named_rewards",
    "normalised",
    "only_located",
    "parse_coordinates",
    "place_at",
    "qa_scores",
    "question",
    "raw_prompt",
    "region_answer",
    "region_truth",
    "seekworld_accuracy",
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
