"""The commands of the maths job, and their help: `filter-mixed`, `critique-set`, `critique-format`.

Knows arguments, also those of the scripts that these commands replace. Each loads what it needs when it is called:
`--help` reads this module.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from asyncgen.cli.look import Json
from asyncgen.core.errors import InputError

Rule = Annotated[
    Literal["verify", "original"],
    Parameter(
        help="For solutions whose results no file has: verify compares the last box as mathematics; original the first "
        "box as a text, as the scripts did."
    ),
]
Output = Annotated[Path, Parameter(name=["--output", "-o", "--output-file"], help="A file *.json; a report beside it.")]
Analyze = Annotated[bool, Parameter(negative=(), help="Show how the rows are made up.")]


def filter_mixed(
    sources: Annotated[
        list[str] | None,
        Parameter(help="LABEL=PATH, two or more: run directories, merged files, chunk files, or folders of those."),
    ] = None,
    /,
    *,
    output: Output,
    strict: Annotated[
        bool, Parameter(negative=(), help="Also drop questions that are mixed for no model, though models differ.")
    ] = False,
    original: Annotated[
        Path | None,
        Parameter(name=["--original", "--original-file"], help="The dataset: rows come from it, and all are expected."),
    ] = None,
    rule: Rule = "verify",
    allow_missing: Annotated[
        bool, Parameter(negative=(), help="Exit 0 though questions are missing, short or there twice.")
    ] = False,
    qwen25_file: Annotated[str | None, Parameter(help="As qwen25=PATH.")] = None,
    qwen3_file: Annotated[str | None, Parameter(help="As qwen3=PATH.")] = None,
    json: Json = False,
) -> int:
    """Keep the questions that models solve differently: drop what all get right, or all get wrong.

    A row keeps its fields and gets LABEL_solutions, LABEL_all_correct, LABEL_all_incorrect and LABEL_results of each
    label. Exit code 3 where a question is missing, short or there twice, or a file torn; not for want of an answer.

    Examples:
    `asyncgen filter-mixed qwen25=runs/qwen25 qwen3=runs/qwen3 -o deepscaler_train_filter.json`
    `asyncgen filter-mixed a=solutions_a b=b.json -o mixed.json --strict --original deepscaler_train.json`
    """
    from asyncgen.cli.maths_said import filter_solutions
    from asyncgen.runs.maths.mix import Filtering, parse_sources

    named = {"qwen25": qwen25_file, "qwen3": qwen3_file}
    words = [*(sources or ()), *(f"{label}={path}" for label, path in named.items() if path)]
    wanted = Filtering(sources=parse_sources(words), strict=strict, original=original, rule=rule)
    return filter_solutions(wanted, output, allow_missing=allow_missing, as_json=json)


def critique_set(
    file: Annotated[Path | None, Parameter(help="What filter-mixed wrote.")] = None,
    /,
    *,
    output: Output,
    max_samples_per_question: Annotated[int, Parameter(help="Solutions of a question, from all models together.")] = 4,
    seed: Annotated[int, Parameter(help="A question's own is this plus its index.")] = 42,
    balance: Annotated[
        bool,
        Parameter(
            negative=(),
            help="As many right solutions as wrong ones, where a question has both: of an odd number one fewer.",
        ),
    ] = False,
    dedup: Annotated[bool, Parameter(negative=(), help="Of equal texts of a question only the first counts.")] = False,
    rule: Rule = "verify",
    analyze: Analyze = False,
    filtered_file: Annotated[Path | None, Parameter(help="As FILE.")] = None,
    json: Json = False,
) -> int:
    """Solutions with the question whether they are right: the set that critiques are asked for.

    Truncated solutions are in it neither as right nor as wrong.

    Examples:
    `asyncgen critique-set deepscaler_train_filter.json -o deepscaler_critique.json --analyze`
    `asyncgen critique-set mixed.json -o critique.json --balance --dedup --max-samples-per-question 8`
    """
    from asyncgen.cli.maths_said import make_critique_set
    from asyncgen.export.critiques import Drawing

    drawing = Drawing(most=max_samples_per_question, seed=seed, balance=balance, dedup=dedup)
    source = _one(file, filtered_file, "what filter-mixed wrote")
    return make_critique_set(source, output, drawing, rule, analyze=analyze, as_json=json)


def critique_format(
    file: Annotated[Path | None, Parameter(help="What critique-set wrote.")] = None,
    /,
    *,
    output: Output,
    parquet: Annotated[Path | None, Parameter(help="The same rows as a file *.parquet, for RL trainers.")] = None,
    analyze: Analyze = False,
    critique_file: Annotated[Path | None, Parameter(help="As FILE.")] = None,
    json: Json = False,
) -> int:
    """The critique set in the structure of the training data: prompt with roles, reward_model, ability, extra_info.

    Examples:
    `asyncgen critique-format deepscaler_critique.json -o deepscaler_critique_formatted.json --analyze`
    `asyncgen critique-format critique.json -o formatted.json --parquet train.parquet`
    """
    from asyncgen.cli.maths_said import make_formatted

    source = _one(file, critique_file, "what critique-set wrote")
    return make_formatted(source, output, parquet, analyze=analyze, as_json=json)


def pipeline(
    name: Annotated[Literal["math-critique"], Parameter(help="math-critique: solutions to the critique set.")],
    config: Annotated[Path, Parameter(help="A YAML file: input, folder, models, rollouts, job, filter, critique.")],
    /,
    *,
    yes: Annotated[
        bool,
        Parameter(negative=(), help="Overwrite, unasked, files that this pipeline with these options did not make."),
    ] = False,
    json: Json = False,
) -> int:
    """All steps in order: a run of each model, chunk files, merge, filter-mixed, critique-set, critique-format.

    What is there and whole is left as it is; interrupted anywhere, the same command goes on.

    Example:
    `asyncgen pipeline math-critique pipeline.yaml`
    """
    from asyncgen.cli.maths_pipeline import carry_out

    _ = name
    return carry_out(config, yes=yes, as_json=json)


def _one(file: Path | None, named: Path | None, what: str) -> Path:
    """The file, by place or by name. Raises InputError."""
    if file is None and named is None:
        raise InputError(f"FILE is missing: give {what}, a .json file")
    if file is not None and named is not None:
        raise InputError(f"{file} and {named}: give one file")
    return file or named or Path()
