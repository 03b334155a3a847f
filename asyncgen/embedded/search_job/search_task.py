# ruff: noqa: INP001  # no part of the package: the demo copies it into its folder, where it is a user's task file
"""The built-in search task for a model that is too small to write a tool call unaided: llama.cpp holds its hand.

Knows the form of a search call and of an answer, as grammars (GBNF). The words in them are the model's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asyncgen import Sample, Turn
from asyncgen.tasks.search import Search

CALL = r"""
root  ::= "<think>" text{2,34} end "</think>\n<tool_call>\n" call "\n</tool_call>"
call  ::= "{\"name\": \"search\", \"arguments\": {\"query_list\": [\"" text{2,24} end "\"]}}"
text  ::= [A-Za-z0-9 .'-]
end   ::= [A-Za-z0-9.]
"""
ANSWER = r"""
root ::= "<answer>" [A-Za-z0-9.] [^<>\n]{0,24} "</answer>"
"""


@dataclass(frozen=True)
class DemoSearch(Search):
    """One search, then the answer."""

    def request(self, sample: Sample, turns: Sequence[Turn], final: bool) -> Mapping[str, Any]:
        """A grammar for the next turn: llama.cpp's own field of the request."""
        return {**super().request(sample, turns, final), "grammar": ANSWER if final else CALL}
