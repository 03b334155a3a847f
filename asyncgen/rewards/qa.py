"""What an answer to a question is worth: exact match and F1 against the accepted ones, and whether the passages that
support it were found.

Knows the normalisation of the question answering field and the forms in which search results stand in a trace. Does
not know where a row has its answers (`qa_rows`), nor how passages are searched.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from asyncgen.core.trace import Trace
from asyncgen.core.types import Context, Sample, Scores
from asyncgen.rewards.qa_rows import TRUTH_PLACES, support_titles, truths

LONGEST = 10_000
"""Characters of an answer that are looked at."""
MOST_MARKS = 20
"""In a title, of what may end one."""
LONGEST_TITLE = 600
"""Characters of a result's line in which its title is looked for."""
CLOSED: Final = frozenset({"yes", "no", "noanswer"})
"""Answers of which a part is worth nothing (HotpotQA)."""

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_ALONE = re.compile(
    "[\u3005-\u3007\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Characters of scripts that put no blank between words, or put it elsewhere than others do: Han, Kana, Hangul."""
_ASCII_MARKS = str.maketrans("", "", string.punctuation)
_QUOTES = str.maketrans(dict.fromkeys('"“”', " "))
_HIT = re.compile(r"\[\d{1,3}\] (?P<plain>.*)|Doc \d{1,3}\(Title: \"(?P<quoted>.*)")
"""The line of a hit, as `SearchTool` writes it in its two layouts."""
TITLE_END, QUOTED_TITLE_END = ": ", '")'


def normalised(text: str) -> str:
    """As SQuAD's and HotpotQA's scorers do it: lower case, no punctuation, no articles (a, an, the), blanks squeezed.

    Beyond them, for other scripts: Unicode's compatibility form (NFKC, full-width letters among it), all of Unicode's
    punctuation (as MLQA), and Han, Kana and Hangul characters as words of their own, so that blanks between them do
    not count. A text of which nothing would be left keeps its articles (`The The`), or its punctuation too (`!!!`).
    """
    lower = unicodedata.normalize("NFKC", text[:LONGEST]).lower()
    bare = lower.translate(_ASCII_MARKS)
    if not bare.isascii():
        bare = "".join(one for one in bare if not unicodedata.category(one).startswith("P"))
    return _squeezed(_ARTICLES.sub(" ", bare)) or _squeezed(bare) or _squeezed(lower)


def _squeezed(text: str) -> str:
    return " ".join(_ALONE.sub(r" \g<0> ", text).split())


def exact_match(answer: str, accepted: Sequence[str]) -> float:
    """1.0 where the normalised answer is one of the accepted ones, else 0.0."""
    given = normalised(answer)
    return float(bool(given) and any(given == normalised(one) for one in accepted))


def f1(answer: str, accepted: Sequence[str]) -> float:
    """The best F1, 0 to 1, of the answer's words (Han, Kana, Hangul: characters) against an accepted answer's.

    Where either is `yes`, `no` or `noanswer`, only equality counts (HotpotQA).
    """
    return max((_f1(normalised(answer), normalised(one)) for one in accepted), default=0.0)


def _f1(given: str, truth: str) -> float:
    if given in CLOSED or truth in CLOSED:
        return float(given == truth)
    words, wanted = given.split(), truth.split()
    common = (Counter(words) & Counter(wanted)).total()
    return 2 * common / (len(words) + len(wanted)) if common else 0.0


def support_recall(titles: Sequence[str], trace: Trace) -> float:
    """The share of distinct `titles`, 0 to 1, that a search result in the trace has; 0 where there are none.

    Titles are compared without case and double quotes, and with blanks squeezed. Since a result's line does not say
    where its title ends, every beginning of it that may be one counts.
    """
    wanted = set(filter(None, map(_folded, titles)))
    return len(wanted.intersection(_found_titles(trace))) / len(wanted) if wanted else 0.0


def _folded(title: str) -> str:
    return " ".join(unicodedata.normalize("NFC", title).translate(_QUOTES).casefold().split())


def _found_titles(trace: Trace) -> Iterator[str]:
    """What may be a title in a search result, folded. Results come after turn 1."""
    for turn in trace.conversation_history[1:]:
        for message in turn.messages:
            if message.role in {"tool", "user"}:
                for line in message.content.split("\n"):
                    yield from _beginnings(line[:LONGEST_TITLE])


def _beginnings(line: str) -> Iterator[str]:
    """Of one hit's line what stands before any mark that may end its title."""
    match = _HIT.match(line)
    if match is None:
        return
    mark = TITLE_END if match["quoted"] is None else QUOTED_TITLE_END
    pieces = (match["quoted"] or match["plain"] or "").split(mark, MOST_MARKS)
    for count in range(1, len(pieces)):
        yield _folded(mark.join(pieces[:count]))


@dataclass(frozen=True)
class QaReward:
    """Scores a trace's answer against all the answers that its row accepts (`qa_rows.truths`): the best one counts.

    `score` = `em`. A row without accepted answers scores 0.
    """

    support: bool = False
    """Add `support_recall`, for rows with `supporting_facts`."""

    @property
    def failure(self) -> Scores:
        """A task's `scores`."""
        scores = {"score": 0.0, "em": 0.0, "f1": 0.0, "parse_success": False}
        return scores | ({"support_recall": 0.0} if self.support else {})

    def remark(self, columns: Sequence[str]) -> str:
        """What is to be said before a run over rows with these columns; `""`: nothing."""
        if {place.partition(".")[0] for place in TRUTH_PLACES}.intersection(columns):
            return ""
        return f"no column has an accepted answer, so em and f1 stay 0 (looked for in {', '.join(TRUTH_PLACES)})"

    def __call__(self, context: Context, sample: Sample, trace: Trace) -> Scores:  # noqa: ARG002  # a reward's signature
        """`score`, `em`, `f1`, each 0 to 1."""
        accepted = truths(sample.data)
        em = exact_match(trace.answer, accepted)
        scores = {"score": em, "em": em, "f1": f1(trace.answer, accepted)}
        return scores | ({"support_recall": support_recall(support_titles(sample.data), trace)} if self.support else {})


qa_scores: Final = QaReward()
"""`score`, `em`, `f1`: a task's reward as it is."""
