"""`pipeline math-critique`: every step in order, those that are done left as they are.

Knows which step needs which files, and what is not replaced unasked: a file that was not made here, and one that was
made with other options. Does not know what becomes of a row, nor how a run goes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

import orjson

from asyncgen.core.clock import Clock
from asyncgen.core.errors import AsyncgenError, DataError, InputError
from asyncgen.core.types import Json
from asyncgen.export.files import whole_file
from asyncgen.rewards.maths_judge import JudgeMany
from asyncgen.runs.maths.chunks import write_chunks
from asyncgen.runs.maths.critiques import write_critique_set, write_formatted
from asyncgen.runs.maths.done import Marks, State
from asyncgen.runs.maths.faults import COUNTS, REPORT, Report, beside
from asyncgen.runs.maths.merge import merge_solutions
from asyncgen.runs.maths.mix import Filtered, Filtering, filter_mixed
from asyncgen.runs.maths.pipeline_config import Model, Names, Pipeline, job_of
from asyncgen.runs.maths.solution_set import chunk_files
from asyncgen.runs.reading import status_of
from asyncgen.store.layout import RUN_FILE
from asyncgen.store.line import dump

ALLOW = "allow_missing"
MEND = f"mend it, or set {ALLOW}: true"


class StepError(AsyncgenError):
    """A run of the pipeline ended with a code of its own."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.exit_code = code


@dataclass(frozen=True, kw_only=True)
class Step:
    """One output."""

    name: str
    out: Path
    inputs: Sequence[Path]
    options: Mapping[str, Json]
    make: Callable[[], int]
    """The rows that it wrote. Raises AsyncgenError, OSError."""
    also: Path | None = None
    """A second file that it writes."""


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """A line of the summary."""

    name: str
    out: str
    state: str
    """`made`, or `there` where it was done before."""
    rows: int
    seconds: float

    def json(self) -> dict[str, Json]:
        """All of it."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a pipeline needs of whoever starts it."""

    start_run: Callable[[Path], int]
    """Run a job file; the exit code."""
    ask: Callable[[str], bool]
    """A question to the user. Raises InputError where there is nobody to ask."""
    say: Callable[[str], None]
    judge: JudgeMany
    clock: Clock


def run_pipeline(pipeline: Pipeline, around: Surroundings) -> list[StepResult]:
    """All steps. Raises AsyncgenError, OSError; what is whole by then stays, and is not made again."""
    if not Path(pipeline.input).exists():
        raise InputError(f"input {pipeline.input} does not exist; give the dataset, as deepscaler_train.json")
    names, marks = Names(pipeline), Marks()
    runs = [_solutions(pipeline, model, names, around) for model in pipeline.models if model.solutions is None]
    return [*runs, *(_carried_out(step, marks, around) for step in _steps(pipeline, names, around))]


def _solutions(pipeline: Pipeline, model: Model, names: Names, around: Surroundings) -> StepResult:
    """A run, unless its job file is the same as before and nothing is left."""
    file, run = names.job(model.label), names.run(model.label)
    text = orjson.dumps(orjson.loads(dump(job_of(pipeline, model, run))), option=orjson.OPT_INDENT_2)  # YAML too
    started = around.clock.monotonic()
    is_done = file.exists() and file.read_bytes() == text and _nothing_left(run)
    if not is_done:
        around.say(f"solutions of {model.label}: {run}")
        file.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(file) as stream:
            stream.write(text)
        if code := around.start_run(file):
            raise StepError(f"the run of {model.label} ended with exit code {code}; the same command goes on", code)
    return StepResult(
        name=f"solutions {model.label}",
        out=str(run),
        state="there" if is_done else "made",
        rows=int(status_of(run)["done"]),
        seconds=around.clock.monotonic() - started,
    )


def _nothing_left(run: Path) -> bool:
    if not (run / RUN_FILE).exists():
        return False
    status = status_of(run)
    return status["state"] == "complete" and not status["left"]


def _carried_out(step: Step, marks: Marks, around: Surroundings) -> StepResult:
    started = around.clock.monotonic()
    state = _state(step, marks)
    if state is State.DONE:
        rows = marks.rows(step.out)
    else:
        if state in {State.FOREIGN, State.OTHER}:
            _ask(step, state, around)
        around.say(f"{step.name}: {step.out}")
        marks.begin(step.out, step.inputs, step.options)
        rows = step.make()
        marks.finish(step.out, rows)
    return StepResult(
        name=step.name,
        out=str(step.out),
        state="there" if state is State.DONE else "made",
        rows=rows,
        seconds=around.clock.monotonic() - started,
    )


def _state(step: Step, marks: Marks) -> State:
    state = marks.state(step.out, step.inputs, step.options)
    if step.also is not None and state is State.DONE and not step.also.exists():
        return State.BEGUN
    if state is State.OTHER and ALLOW in step.options:  # it says what is refused, not what is written
        otherwise = marks.state(step.out, step.inputs, {**step.options, ALLOW: not step.options[ALLOW]})
        return state if otherwise is State.OTHER else State.OLD
    if step.also is not None and state is State.ABSENT and step.also.exists() and not marks.are_there(step.out):
        return State.FOREIGN
    return state


def _ask(step: Step, state: State, around: Surroundings) -> None:
    """Raises InputError where the answer is no."""
    why = "made of other inputs or with other options" if state is State.OTHER else "not made by this pipeline"
    if not around.ask(f"{step.out} is there, and was {why}. Overwrite it?"):
        raise InputError(f"{step.out} stays as it is; move it away, or give another folder")


def _steps(pipeline: Pipeline, names: Names, around: Surroundings) -> list[Step]:
    """Those after the runs."""
    found = []
    for model in pipeline.models:
        source = Path(model.solutions) if model.solutions else names.run(model.label)
        if model.solutions is None and pipeline.chunk_size:
            out = names.chunks(model.label)
            found.append(
                Step(
                    name=f"chunks {model.label}",
                    out=out,
                    inputs=[source],
                    options={"chunk_size": pipeline.chunk_size},
                    make=partial(_make_chunks, source, out, pipeline.chunk_size),
                )
            )
        out = names.merged(model.label)
        found.append(
            Step(
                name=f"merge {model.label}",
                out=out,
                inputs=[source, *([Path(pipeline.input)] if model.solutions else [])],
                options={"rollouts": pipeline.rollouts, ALLOW: pipeline.allow_missing},
                make=partial(_merge, pipeline, model, source, out),
            )
        )
    return [*found, *_critique_steps(pipeline, names, around)]


def _critique_steps(pipeline: Pipeline, names: Names, around: Surroundings) -> list[Step]:
    merged = {label: names.merged(label) for label in names.labels()}
    drawing = pipeline.critique.drawing
    parquet = names.parquet if pipeline.critique.parquet else None
    mixing = asdict(pipeline.filter) | {"labels": names.labels(), ALLOW: pipeline.allow_missing}
    return [
        Step(
            name="filter-mixed",
            out=names.filtered,
            inputs=list(merged.values()),
            options=mixing,
            make=partial(_filter, pipeline, merged, names.filtered, around),
        ),
        Step(
            name="critique-set",
            out=names.critiques,
            inputs=[names.filtered],
            options={**asdict(drawing), "rule": pipeline.filter.rule},
            make=lambda: (
                write_critique_set(
                    names.filtered, names.critiques, drawing, around.judge, pipeline.filter.rule, clock=around.clock
                ).rows
            ),
        ),
        Step(
            name="critique-format",
            out=names.formatted,
            inputs=[names.critiques],
            options={"parquet": bool(parquet)},
            also=parquet,
            make=lambda: write_formatted(names.critiques, names.formatted, parquet).rows,
        ),
    ]


def _make_chunks(source: Path, out: Path, size: int) -> int:
    for path in chunk_files(out):  # of an earlier start, or of other inputs: whoever was asked said yes
        path.unlink()
    return write_chunks([source], out, size=size, partial=False).questions


def _merge(pipeline: Pipeline, model: Model, source: Path, out: Path) -> int:
    """Raises DataError where something is missing that may not be. A run knows itself what it asks for."""
    if model.solutions is None:
        found = merge_solutions([source], out)
    else:
        found = merge_solutions(
            [source], out, rollouts=pipeline.rollouts, original=Path(pipeline.input), model=model.model or ""
        )
    if not found.is_complete and not pipeline.allow_missing:
        _refuse(out, _lacks(found), REPORT)
    return found.questions


def _filter(pipeline: Pipeline, merged: Mapping[str, Path], out: Path, around: Surroundings) -> int:
    wanted = Filtering(
        sources={label: [path] for label, path in merged.items()},
        strict=pipeline.filter.strict,
        rule=pipeline.filter.rule,
    )
    found: Filtered = filter_mixed(wanted, out, around.judge, clock=around.clock)
    if not found.is_complete and not pipeline.allow_missing:
        lacks = [text for one in found.reports for text in _lacks(one)]
        absent = [f"{label}: no row of {len(indexes):,}" for label, indexes in found.missing.items() if indexes]
        _refuse(out, [*lacks, *absent], COUNTS)
    return found.tally.kept


def _lacks(report: Report) -> list[str]:
    """How many faults there are of each kind that it is refused for."""
    label = f"{report.label}: " if report.label else ""
    return [f"{label}{kind.replace('_', ' ')} {count:,}" for kind, count in report.lacking.items()]


def _refuse(out: Path, lacks: Sequence[str], report: str) -> NoReturn:
    """Raises DataError."""
    raise DataError(f"{out} is incomplete ({', '.join(lacks)}), and {beside(out, report)} names each; {MEND}")
