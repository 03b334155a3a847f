"""How many answers are judged in a second: ordinary ones, in a worker process, and each alone by `math-verify`.

python bench/maths_answers.py
"""

from __future__ import annotations

import asyncio
import random
import resource
import time

from results import put

from asyncgen.engine.workers import Workers
from asyncgen.rewards.maths import judge_answers
from asyncgen.rewards.maths_judge import Judge
from asyncgen.rewards.maths_verify import equivalent, prepare

ANSWERS = 20_000
QUESTIONS = ANSWERS // 16
ALONE = 300
"""Answers that `math-verify` judges."""


def question(rng: random.Random) -> tuple[str, list[str]]:
    """A truth in the shares that DeepScaleR has of each form, and answers to it: right ones in other spellings, wrong
    ones of the same form."""
    a, b, c = rng.randint(2, 99), rng.randint(2, 30), rng.randint(2, 12)
    match rng.choices(range(8), (55, 15, 8, 6, 5, 5, 4, 2))[0]:
        case 0:
            return f"{a * b}", [
                f"{a * b}",
                f"{a * b}.",
                rf"{a * b} \text{{ cm}}",
                f"x = {a * b}",
                f"{a * b + 1}",
                f"{a}",
            ]
        case 1:
            return rf"\frac{{{a}}}{{{b}}}", [
                f"{a}/{b}",
                rf"\dfrac{{{2 * a}}}{{{2 * b}}}",
                rf"\frac{{{b}}}{{{a}}}",
                f"{a}",
            ]
        case 2:
            return rf"{c}\sqrt{{{b}}}", [rf"\sqrt{{{c * c * b}}}", rf"{c} \sqrt {{{b}}}", rf"{b}\sqrt{{{c}}}", f"{a}"]
        case 3:
            return f"{a}, {b}", [f"{b}, {a}", rf"x={a} \text{{ or }} x={b}", rf"\{{{a}, {b}\}}", f"{a}", f"{a}, {a}"]
        case 4:
            return f"({a}, {b})", [rf"\left({a}, {b}\right)", f"({b}, {a})", f"({a}, -{b})"]
        case 5:
            return f"x^2 + {a}x + {b}", [f"{b} + {a}x + x^2", f"x^2+{b}x+{a}", f"x(x+{a})+{b}"]
        case 6:
            return rf"(-\infty, {a}]", [rf"(-\infty,{a}]", rf"(-\infty,{a})", rf"x \le {a}"]
        case _:
            return r"\text{Monday}", ["Monday", r"\text{Tuesday}", "Friday"]


def pairs(rng: random.Random) -> list[tuple[str, str]]:
    """Sixteen answers a question."""
    listed = []
    for _ in range(QUESTIONS):
        truth, answers = question(rng)
        listed += [(rng.choice(answers), truth) for _ in range(16)]
    return listed


async def together(judge: Judge, workers: Workers, asked: list[tuple[str, str]]) -> int:
    """All of them through a run's judge, 512 episodes at a time; how many are right."""
    slots = asyncio.Semaphore(512)

    async def one(answer: str, truth: str) -> bool:
        async with slots:
            return await judge.verdict(workers.in_process, answer, truth) == "right"

    async with asyncio.TaskGroup() as group:
        run = group.create_task(judge.run())
        async with asyncio.TaskGroup() as episodes:
            verdicts = [episodes.create_task(one(*pair)) for pair in asked]
        run.cancel()
    return sum(verdict.result() for verdict in verdicts)


async def main() -> None:
    asked = pairs(random.Random(1))
    distinct = sorted(set(asked))
    workers, judge = Workers(processes=1), Judge()
    await workers.in_process(judge_answers, [("x^2=y", "y=x^2+0")], seconds=60)  # sympy is loaded
    cpu, started = time.process_time(), time.perf_counter()
    right = await together(judge, workers, asked)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    workers.close()
    child = resource.getrusage(resource.RUSAGE_CHILDREN)

    started = time.process_time()
    judge_answers(distinct)
    judging = time.process_time() - started
    prepare()
    started = time.process_time()
    for answer, truth in random.Random(2).sample(distinct, ALONE):
        equivalent(answer, truth)
    alone = (time.process_time() - started) / ALONE
    put(
        "Maths answers",
        [
            f"{ANSWERS:,} answers to {QUESTIONS:,} questions ({len(distinct):,} different pairs, {right:,} right), of which 55% are whole",
            "numbers and 15% fractions; one worker process, batches of up to 64 of all episodes together.",
            "",
            "| | answers |",
            "|---|---|",
            f"| a run's judge, process hop and all, equal answers judged once, a second | {ANSWERS / seconds:,.0f} |",
            f"| different answers, a CPU-second of the worker | {len(distinct) / judging:,.0f} |",
            f"| of these by `math-verify` alone, a CPU-second | {1 / alone:,.0f} |",
            "",
            f"CPU of the loop's process {1e6 * cpu / ANSWERS:.0f} µs an answer; the worker had {child.ru_maxrss / 1024:.0f} MB.",
        ],
    )


if __name__ == "__main__":
    asyncio.run(main())
