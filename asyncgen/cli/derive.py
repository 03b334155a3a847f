"""The commands that make runs of runs, and the one that checks them: `filter`, `merge`, `rescore`, `verify`.

Knows arguments. Each loads what it needs when it is called: `--help` reads this module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from asyncgen.cli.flags import find_job
from asyncgen.cli.look import FILES, Files, Json
from asyncgen.config.knobs import Knob
from asyncgen.core.errors import InputError

OUTPUT = Parameter(name=["--output", "-o"], help="A new folder, for a sealed run; or a file *.jsonl or *.json.")
Output = Annotated[Path, OUTPUT]
Strict = Annotated[
    bool, Parameter(negative=(), help="Exit 3 where anything is missing; the output is written all the same.")
]


def filter_(
    directories: Files,
    /,
    *,
    where: Annotated[str, Parameter(help="SQL over a trace: those of which it is true are kept.")],
    output: Output,
    json: Json = False,
) -> int:
    """Copy the traces of which a condition is true, and count what each part of it dropped.

    Examples:
    `asyncgen filter runs/geo-tools --where 'parse_success and "distance@km" < 5000 and score > 0.3' -o runs/good`
    `asyncgen filter runs/geo --where "stop = 'answered'" -o answered.jsonl`
    """
    from asyncgen.cli.derived import filter_traces

    return filter_traces(directories, where=where, output=output, as_json=json)


def merge(
    directories: Annotated[list[Path] | None, FILES] = None,
    /,
    *,
    output: Annotated[Path | None, OUTPUT] = None,
    strict: Strict = False,
    allow_missing: Annotated[
        bool, Parameter(negative=(), help="Solutions: exit 0 though questions are missing, short or there twice.")
    ] = False,
    rollouts: Annotated[
        int | None, Parameter(help="Solutions: how many a question is to have; default: as the run asks, or most have.")
    ] = None,
    original: Annotated[Path | None, Parameter(help="Solutions: the dataset whose rows all are to be there.")] = None,
    model_name: Annotated[str, Parameter(help="Solutions: the model's name, where sources call it differently.")] = "",
    qwen25_dir: Annotated[
        Path | None, Parameter(help="Chunk files that become OUTPUT_DIR/deepscaler_qwen25_solutions.json.")
    ] = None,
    qwen3_dir: Annotated[Path | None, Parameter(help="The same for qwen3.")] = None,
    output_dir: Annotated[Path, Parameter(help="Of the former two.")] = Path(),
    json: Json = False,
) -> int:
    """Several runs as one: a trace an id, sorted by index and rollout, and what is missing.

    Of solutions (runs of the math job, chunk files, folders of those) one file *.json has a row a question, with
    model_solutions; exit code 3 where a question is missing, short or there twice, unless --allow-missing. So it is for
    a run directory of such runs; X.report.json, beside X, names each question.

    Examples:
    `asyncgen merge runs/monday runs/tuesday -o runs/both`
    `asyncgen merge runs/geo -o geo.jsonl --strict`
    `asyncgen merge solutions_qwen25 -o deepscaler_qwen25_solutions.json`
    """
    from asyncgen.runs.maths.merge import is_of_solutions

    named = _named({"qwen25": qwen25_dir, "qwen3": qwen3_dir}, output_dir)
    if named and (directories or output):
        raise InputError("--qwen25-dir and --qwen3-dir have their own output files: leave out -o and DIRECTORIES")
    if named:
        return max(merge([path], output=out, allow_missing=allow_missing, json=json) for path, out in named)
    if not directories or output is None:
        raise InputError("merge: give what is to be merged, and -o")
    if is_of_solutions(directories, output):
        from asyncgen.cli.maths_said import merge_solved

        return merge_solved(
            directories,
            output,
            rollouts=rollouts,
            original=original,
            model=model_name,
            allow_missing=allow_missing,
            strict=strict,
            as_json=json,
        )
    if allow_missing or rollouts is not None or original or model_name:
        flags = "--allow-missing, --rollouts, --original and --model-name"
        raise InputError(f"{flags} are for solutions (runs of the math job, chunk files) that become *.json or one run")
    from asyncgen.cli.derived import merge_runs

    return merge_runs(directories, output=output, strict=strict, as_json=json)


def _named(folders: Mapping[str, Path | None], out: Path) -> list[tuple[Path, Path]]:
    """The folders that are given, and the file that each becomes."""
    return [(path, out / f"deepscaler_{label}_solutions.json") for label, path in folders.items() if path]


def rescore(
    directory: Path,
    /,
    *,
    output: Output,
    task: Annotated[
        str | None, Parameter(help="A built-in task, module:Class or file.py:Class; default: the run's own.")
    ] = None,
    json: Json = False,
    knobs: dict[str, object],
) -> int:
    """Read the answers of stored traces again and score them, without a model.

    The task's options are the run's, but for those that are given as `--task.FIELD VALUE`.

    Examples:
    `asyncgen rescore runs/geo --task.scale-km 1491.6862 -o runs/geo-other-scale`
    `asyncgen rescore runs/geo --task my_task.py:StrictGeo -o runs/strict`
    """
    from asyncgen.cli.derived import rescore_run

    return rescore_run(directory, output=output, spec=task, knobs=knobs, as_json=json)


def rescore_knobs(tokens: Sequence[str]) -> list[Knob]:
    """The options of the task that the command line names. Raises InputError, unless help is wanted."""
    place = find_job(tokens)
    if place is None:
        return []
    from asyncgen.runs.retask import retask

    try:
        return retask(Path(place), _value(tokens, "--task")).knobs()
    except InputError:
        if {"--help", "-h"} & set(tokens):
            return []
        raise


def _value(tokens: Sequence[str], flag: str) -> str | None:
    """What follows the flag, or its `=`."""
    for at, token in enumerate(tokens):
        name, equals, value = token.partition("=")
        if name == flag:
            return value if equals else next(iter(tokens[at + 1 :]), None)
    return None


def verify(
    directory: Path,
    /,
    *,
    salvage: Annotated[
        bool,
        Parameter(negative=(), help="Set bad lines of sealed shards aside in quarantine/, so that a run can go on."),
    ] = False,
    json: Json = False,
) -> int:
    """Checksums, ids, duplicates, and whether the counts add up. Exit code 3 where something is wrong.

    Examples:
    `asyncgen verify runs/geo`
    `asyncgen verify runs/geo --salvage`
    """
    from asyncgen.cli.derived import verify_run

    return verify_run(directory, salvage=salvage, as_json=json)
