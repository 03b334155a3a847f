"""From chunk files of two models to the critique set in training form: seconds and peak memory of each command.

Usage: maths.py [QUESTIONS]. Makes 16 KB a question in a temporary folder (40,000 questions: 640 MB of solutions), and as
much again in outputs. Writes its part of bench/RESULTS.md when the number is the default.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import orjson
from results import put
from run import Cost, measured

QUESTIONS, CHUNK, ROLLOUTS = 40_000, 1000, 8
MODELS = {"qwen25": 0.4, "qwen3": 0.7}
JUDGED = 2000
"""Questions whose chunk files say nothing of results."""
_SENTENCE = 'We write $\\frac{a_{%d}}{b}$ as a "sum" and simplify, so that the term\nbecomes %d by the lemma above.  '


def question(index: int) -> dict[str, object]:
    """As in deepscaler_train.json."""
    text, truth = f"Question {index}: what is ${index} + 1$? " + "Give it in lowest terms. " * 8, str(index + 1)
    return {
        "question": text,
        "gt_answer": truth,
        "answer": truth,
        "target": truth,
        "subject": f"subject {index % 7}",
        "level": index % 5,
        "data_source": "deepscaler",
        "prompt": [{"content": text, "role": "user"}],
        "ability": "math",
        "reward_model": {"ground_truth": truth, "style": "rule"},
        "extra_info": {"answer": truth, "index": index, "level": index % 5, "split": "train"},
    }


def solved(index: int, model: str, chance: random.Random, *, results: bool) -> dict[str, object]:
    """Eight solutions of about 1 KB."""
    level = chance.random() ** (1 / MODELS[model] - 1)
    right = [chance.random() < level for _ in range(ROLLOUTS)]
    body = "".join(_SENTENCE % (index, place) for place in range(9))
    found = {
        **question(index),
        "model_solutions": [f"{body}{number}\\boxed{{{index + 1 + (not one)}}}" for number, one in enumerate(right)],
        "model_name": model,
        "chunk_id": index // CHUNK,
        "chunk_index": index % CHUNK,
    }
    return {**found, "model_results": ["right" if one else "wrong" for one in right]} if results else found


def make(folder: Path, questions: int, *, results: bool) -> None:
    """A folder of chunk files for each model."""
    for model in MODELS:
        chance = random.Random(model)
        (folder / model).mkdir(parents=True)
        for chunk in range(0, questions, CHUNK):
            rows = [
                solved(index, model, chance, results=results) for index in range(chunk, min(questions, chunk + CHUNK))
            ]
            (folder / model / f"{model}_chunk_{chunk // CHUNK:03d}.json").write_bytes(orjson.dumps(rows))


def steps(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The commands, in order."""
    for model in MODELS:
        yield f"merge {model}", ["merge", str(folder / model), "-o", str(folder / f"{model}.json")]
    sources = [f"{model}={folder / model}.json" for model in MODELS]
    yield "filter-mixed", ["filter-mixed", *sources, "-o", str(folder / "mixed.json")]
    yield "critique-set", ["critique-set", str(folder / "mixed.json"), "-o", str(folder / "critique.json")]
    parquet = str(folder / "critique.parquet")
    formatted = [str(folder / "critique.json"), "-o", str(folder / "formatted.json"), "--parquet", parquet]
    yield "critique-format, parquet too", ["critique-format", *formatted]


def cost(words: list[str]) -> Cost:
    return measured([sys.executable, "-m", "asyncgen", *words])


def main() -> None:
    questions = int(sys.argv[1]) if sys.argv[1:] else QUESTIONS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, questions, results=True)
        size = sum(path.stat().st_size for path in folder.rglob("*.json"))
        found = [(what, cost(words)) for what, words in steps(folder)]
        counts = orjson.loads((folder / "mixed.counts.json").read_bytes())
        rows = orjson.loads((folder / "critique.report.json").read_bytes())["rows"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, JUDGED, results=False)
        sources = [f"{model}={folder / model}" for model in MODELS]
        cost(["filter-mixed", *sources, "-o", str(folder / "mixed.json")])
        judged = orjson.loads((folder / "mixed.counts.json").read_bytes())
    lines = [
        f"{questions:,} questions, two models, {ROLLOUTS} solutions each: {size / 1e6:,.0f} MB of chunk files to "
        f"{counts['kept']:,} questions and {rows:,} critique rows.",
        "",
        "| command | seconds | CPU-seconds | peak MiB |",
        "|---|---|---|---|",
        *(f"| {what} | {one.wall:.1f} | {one.cpu:.1f} | {one.rss:.0f} |" for what, one in found),
        f"| together | {sum(one.wall for _, one in found):.1f} | {sum(one.cpu for _, one in found):.1f} | "
        f"{max(one.rss for _, one in found):.0f} |",
        "",
        f"Judging solutions whose files have no results, on all cores: {judged['judged']:,} in "
        f"{judged['judge_seconds']:.1f} s, {judged['judged'] / judged['judge_seconds']:,.0f} a second.",
    ]
    if questions == QUESTIONS:
        put("Maths: from chunk files to the critique set", lines)
    else:
        print("\n".join(lines))


if __name__ == "__main__":
    main()
