"""What a job that stops when right and wrong are both there has to ask for, reckoned plainly.

A question is a text, a letter for each of its rollouts, its own first and then as many that it may draw: r(ight),
w(rong), t(runcated), f(ailed). Imports nothing of asyncgen.
"""

from __future__ import annotations

from collections.abc import Iterable

WAVE = 2


def is_mixed(letters: str) -> bool:
    return "r" in letters and "w" in letters


def own(question: str, rollouts: int) -> int:
    """How many of its own are asked for: whole waves, until one ends with both sides there."""
    for end in range(WAVE, rollouts, WAVE):
        if is_mixed(question[:end]):
            return end
    return rollouts


def drawn(question: str, rollouts: int) -> int:
    """How many others it asks for, where there are enough of them."""
    first = question[:rollouts]
    if is_mixed(first) or set(first) <= {"f"}:
        return 0
    most = rollouts // WAVE * WAVE
    return next((more for more in range(WAVE, most, WAVE) if is_mixed(question[: rollouts + more])), most)


def saved(question: str, rollouts: int) -> int:
    """What it leaves to others: whole waves."""
    used = own(question, rollouts)
    return (rollouts - used) // WAVE * WAVE if is_mixed(question[:used]) else 0


def check_asked(asked: Iterable[tuple[int, int]], questions: list[str], rollouts: int) -> None:
    """Whether these (index, rollout), each once, are what such a job asks for: the own ones exactly; of the others no
    more than were left, no more than a question needs, and as many as there were."""
    listed = list(asked)
    assert len(set(listed)) == len(listed)
    by_question: dict[int, list[int]] = {index: [] for index in range(len(questions))}
    for index, rollout in sorted(listed):
        by_question[index].append(rollout)
    bank = sum(saved(question, rollouts) for question in questions)
    needed = 0
    for index, question in enumerate(questions):
        mine, first = by_question[index], own(question, rollouts)
        more = len(mine) - first
        assert mine == [*range(first), *range(rollouts, rollouts + more)], (index, question, mine)
        assert more % WAVE == 0
        assert 0 <= more <= drawn(question, rollouts) <= rollouts
        needed += drawn(question, rollouts)
        bank -= more
    assert bank == max(0, sum(saved(question, rollouts) for question in questions) - needed)
    assert len(listed) <= len(questions) * rollouts
