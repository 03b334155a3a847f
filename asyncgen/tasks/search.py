"""The search job: a question that takes several searches to answer, exact match and F1 against the known answers.

Written with the public API only, like any user's task file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

from asyncgen import Message, Sample, Scores, Task, Turn, rewards, tools

SYSTEM = """You are a deep research assistant. You answer a question from what you find with the search tool, not \
from memory.
Think before each step: what do you know by now, what is missing, and which search would bring it?
- Search for one fact at a time. A question of several hops needs several searches: use what one found in the next.
- Several searches that do not depend on each other go into one call.
- Where the results do not help, search again in other words.
When you know the answer, give it between <answer> and </answer>: only the name, date, number, yes or no that was \
asked for, without a sentence around it. For example: <answer>Marie Curie</answer>"""

FINAL_USER = (
    "You cannot search any more. From what you know by now, give the most likely answer between <answer> and </answer>."
)

LEAVES_TEXT: Mapping[str, Any] = {"shapes_text": False}
"""Of options that change where and how fast is searched, or scores: a run goes on with other values of them."""


@dataclass(frozen=True)
class Search(Task):
    """Several turns: the model searches until it can answer.

    A row has its question in `question`, `extra_info.question` or `prompt`, and its answers in `answer`,
    `golden_answers`, `answers`, `extra_info` or `reward_model`. Without any of these there is nothing to compare with:
    `em` and `f1` are 0 for every row.
    """

    system: str = SYSTEM
    user: str = "Question: {question}"
    final_user: str = FINAL_USER
    nudge: str = ""
    """What to say after a turn with neither a search nor an answer; empty: the episode ends there."""
    topk: int = 5
    """Passages of each search."""
    argument: Literal["query_list", "query"] = "query_list"
    """What the tool's list of searches is called; a model that was trained with one writes that one best."""
    layout: Literal["list", "search-r1"] = "list"
    """How results are written: `[i] title: text`, or as Search-R1 has them."""
    retrieval_url: str = field(default="http://127.0.0.1:8000/retrieve", metadata=LEAVES_TEXT)
    """The retrieval server; it speaks Search-R1's protocol, as `asyncgen serve-retrieval` does."""
    retrieval_timeout: float = field(default=30.0, metadata=LEAVES_TEXT)
    """Seconds that one request to it may take."""
    retrieval_concurrency: int = field(default=8, metadata=LEAVES_TEXT)
    """Requests to it at a time."""
    retrieval_batch: int = field(default=64, metadata=LEAVES_TEXT)
    """Searches of all episodes that go in one request."""
    retrieval_cache: int = field(default=10_000, metadata=LEAVES_TEXT)
    """Searches whose results are kept."""
    support: bool | None = field(default=None, metadata=LEAVES_TEXT)
    """Score `support_recall`, the share of the titles in `supporting_facts` that were found; null: where the dataset
    has that column."""
    judge: bool = field(default=False, metadata=LEAVES_TEXT)
    """Score `judge`: ask the model itself whether the answer means the same as an accepted one."""

    flags: ClassVar = {
        "vllm-url": "base_url",
        "retrieval-url": "task.retrieval_url",
        "max-assistant-turns": "episode.max_turns",
        "max-samples": "dataset.num_samples",
        "input-file": "dataset.path",
        "output-file": "store.output_file",
        "batch-size": "schedule.concurrency",
        "temperature": "sampling.temperature",
        "max-tokens": "sampling.max_tokens",
    }

    def __post_init__(self) -> None:
        """Options with which no search could be made are refused before the first request."""
        _ = self.tools

    @property
    def tools(self) -> Sequence[Any]:  # type: ignore[override]  # its options are the task's
        """The search tool."""
        return (
            tools.SearchTool(
                url=self.retrieval_url,
                topk=self.topk,
                argument=self.argument,
                layout=self.layout,
                timeout=self.retrieval_timeout,
                concurrency=self.retrieval_concurrency,
                batch=self.retrieval_batch,
                cache=self.retrieval_cache,
            ),
        )

    @property
    def rewards(self) -> Sequence[Any]:  # type: ignore[override]  # the options say which
        """EM and F1; the others where they are asked for."""
        return (self._qa(), rewards.judge_scores) if self.judge else (self._qa(),)

    @property
    def scores(self) -> Scores:  # type: ignore[override]  # the options say which
        """Those of an episode without an answer."""
        failure: Scores = self._qa().failure
        return {**failure, **rewards.JUDGE_FAILURE} if self.judge else failure

    def _qa(self) -> Any:
        return rewards.QaReward(support=bool(self.support))

    def fitted(self, columns: Sequence[str]) -> Task:
        """Rows without a place for a question are refused; supporting facts count where the dataset has them."""
        rewards.check_question_columns(columns)
        return self if self.support is not None else replace(self, support="supporting_facts" in columns)

    def check(self, sample: Sample) -> None:
        """A row without its question or its answer is no sample."""
        rewards.question(sample.data)
        rewards.check_truth(sample.data)

    def prompt(self, sample: Sample) -> Sequence[Message]:
        """With the question, wherever the row has it."""
        return super().prompt(replace(sample, data={**sample.data, "question": rewards.question(sample.data)}))

    def answer(self, text: str) -> str:
        """What stands in the last closed answer tag."""
        return rewards.answer_tag(text) or ""

    def final_answer(self, text: str) -> str:
        r"""A `\boxed{}` or a last line `Answer: …` counts now, too."""
        return self.answer(text) or rewards.last_boxed(text) or rewards.labelled_line(text) or ""

    def reply(self, sample: Sample, turns: Sequence[Turn]) -> Sequence[Message] | None:  # noqa: ARG002  # the same for all
        """Ask to go on."""
        return [Message("user", self.nudge)] if self.nudge else None
