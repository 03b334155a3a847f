"""The commands and their help.

Knows which command there is and which module has it; each is loaded when it is called.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from asyncgen.cli.control import ctl
from asyncgen.cli.derive import filter_, merge, rescore, rescore_knobs, verify
from asyncgen.cli.flags import command, dashed, find_job, normalise
from asyncgen.cli.fleet import fleet
from asyncgen.cli.look import Json, export, ls, show, sql, stats, status
from asyncgen.cli.maths import critique_format, critique_set, filter_mixed, pipeline
from asyncgen.cli.serve_model import serve_model
from asyncgen.cli.serve_retrieval import serve_retrieval
from asyncgen.cli.serve_reward import serve_reward, serve_reward_knobs
from asyncgen.config.knobs import Knob, section_knobs, task_knobs, with_default
from asyncgen.config.names import Name, task_names
from asyncgen.core.errors import FailReason

OVERVIEW = """Turn a dataset and a strong model into finished training traces.

Start with `asyncgen jobs`, or `asyncgen init geo` for an editable job file."""

MATHS: Sequence[Callable[..., int]] = (filter_mixed, critique_set, critique_format, pipeline)

RETRY_HELP = f"Try failed episodes again: all, or =REASON[,REASON], of {', '.join(FailReason)}."


def build(knobs: Sequence[Knob] = (), names: Sequence[Name] = ()) -> App:
    """The app; `run`, `check`, `fleet` (or `rescore`, `serve-reward`) have a flag for each knob, and the first
    three for each name."""
    app = App(
        name="asyncgen",
        help=OVERVIEW,
        version=_version,
        help_format="plaintext",
        result_action="return_value",
        exit_on_error=False,
        print_error=False,
        suppress_keyboard_interrupt=False,  # whoever calls has the exit codes of signals
    )
    own = [one for one in knobs if one.section == "task"]
    jobs_own = (command(run, knobs, names), command(check, knobs, names), command(fleet, knobs, names))
    for made in (*jobs_own, command(rescore, own), command(serve_reward, own)):
        _add(app, made)
    looks = (status, ls, show, sql, stats, verify)
    for function in (*looks, ctl, export, filter_, merge, jobs, init, serve_model, serve_retrieval):
        _add(app, function)
    for function in MATHS:
        _add(app, function)
    return app


def _add(app: App, function: Callable[..., int]) -> None:
    """With its examples at the end of its help: the parser of docstrings would leave them out."""
    text, found, examples = inspect.cleandoc(function.__doc__ or "").partition("\nExample")
    lines = [line.strip("`") for line in examples.splitlines()[1:]]
    app.command(
        function,
        name=_command_name(function),
        help=text,
        help_epilogue="\n".join(["Examples:", *(f"  {line}" for line in lines)]) if found else None,
    )


def _command_name(function: Callable[..., int]) -> str:
    return function.__name__.rstrip("_").replace("_", "-")


def dispatch(tokens: Sequence[str]) -> int:
    """Parse and call."""
    if tokens and tokens[0] in {"run", "check"}:
        knobs, names = _settings(tokens[1:])
        return _result(build(knobs, names)([tokens[0], *normalise(tokens[1:], knobs, names)]))
    if tokens and tokens[0] == "rescore":
        knobs = rescore_knobs(tokens[1:])
        return _result(build(knobs)([tokens[0], *normalise(tokens[1:], knobs)]))
    if tokens and tokens[0] == "serve-reward":
        knobs = serve_reward_knobs(tokens[1:])
        return _result(build(knobs)([tokens[0], *normalise(tokens[1:], knobs)]))
    if tokens and tokens[0] == "fleet":
        knobs, names = _settings(tokens[2:])
        return _result(build(knobs, names)([*tokens[:2], *normalise(tokens[2:], knobs, names)]))
    if tokens and tokens[0] in map(_command_name, (*MATHS, merge)):
        return _result(build()([tokens[0], *map(dashed, tokens[1:])]))
    return _result(build()(list(tokens)))


def _result(value: object) -> int:
    """Help and version give None."""
    return value if isinstance(value, int) else 0


def _settings(tokens: Sequence[str]) -> tuple[list[Knob], list[Name]]:
    """Those of every job, and the options and names of the task that JOB names."""
    knobs = section_knobs()
    job = find_job(tokens)
    if job is None:
        return knobs, []
    from asyncgen.config.load import job_file, read_yaml
    from asyncgen.runs.tasks import load_task_class

    path = job_file(job)
    raw = read_yaml(path)
    task_class = load_task_class(str(raw["task"]), path.parent)
    knobs = [with_default(one, raw) for one in (*knobs, *task_knobs(task_class))]
    return knobs, task_names(task_class.__name__, task_class.flags, knobs)


def _version() -> str:
    from importlib.metadata import version

    return version("asyncgen")


def run(
    job: str,
    /,
    *,
    base_url: Annotated[
        list[str] | None, Parameter(negative=(), help="A server, up to /v1; repeat it for more.")
    ] = None,
    model: Annotated[str | None, Parameter(help="The model to ask; not needed when the server lists just one.")] = None,
    retry_failed: Annotated[str | None, Parameter(help=RETRY_HELP)] = None,
    accept_config_change: Annotated[
        bool, Parameter(negative=(), help="Go on although model, prompt, sampling, tools or dataset have changed.")
    ] = False,
    reuse: Annotated[
        Path | None,
        Parameter(help="A run of this job with another config: its traces are taken over, the rest is asked for."),
    ] = None,
    redo: Annotated[
        str | None, Parameter(help="With --reuse: SQL over a trace; those for which it is true are done again.")
    ] = None,
    log_samples: Annotated[bool, Parameter(negative=(), help="Print a block for each finished sample.")] = False,
    json: Json = False,
    plain: Annotated[bool, Parameter(negative=(), help="One line every 10 s instead of a live screen.")] = False,
    knobs: dict[str, object],
) -> int:
    """Start a job, or resume it: the same command.

    JOB is a built-in name (`asyncgen jobs`) or the path of a job file.

    Examples:
    `asyncgen run geo --dataset-path data/train --base-url http://127.0.0.1:8000/v1 --num-samples 100`
    `asyncgen run my_job.yaml --concurrency 256 --output-dir runs/first`
    `asyncgen run my_job.yaml --output-dir runs/longer --max-tokens 8192 --reuse runs/first --redo "stop = 'length'"`
    """
    from asyncgen.cli.run import Flags, run_job

    flags = Flags(
        base_url=tuple(base_url or ()),
        model=model,
        retry_failed=retry_failed or "",
        accept_config_change=accept_config_change,
        reuse=reuse,
        redo=redo,
        log_samples=log_samples,
        json=json,
        plain=plain,
    )
    return run_job(job, flags, knobs)


def check(
    job: str,
    /,
    *,
    base_url: Annotated[
        list[str] | None, Parameter(negative=(), help="A server, up to /v1; repeat it for more.")
    ] = None,
    model: Annotated[str | None, Parameter(help="The model to ask; not needed when the server lists just one.")] = None,
    json: Json = False,
    knobs: dict[str, object],
) -> int:
    """Is everything there? Servers, model, vision, tool calls, context length, dataset, disk.

    Sends a few small requests. Exit code 0 when a run can start, 2 when not.

    Example:
    `asyncgen check geo-tools --dataset-path data/train --base-url http://127.0.0.1:8000/v1`
    """
    from asyncgen.cli.check import check_job

    return check_job(job, base_url=tuple(base_url or ()), model=model, knobs=knobs, as_json=json)


def jobs(*, json: Json = False) -> int:
    """The built-in jobs.

    Example:
    `asyncgen jobs --json`
    """
    from asyncgen.cli.setup import print_jobs

    return print_jobs(as_json=json)


def init(
    job: str,
    /,
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"], help="The file; default: JOB.yaml here.")] = None,
) -> int:
    """Write the job file of a built-in job, to be edited and run.

    Example:
    `asyncgen init geo-tools -o my_job.yaml`
    """
    from asyncgen.cli.setup import write_job

    return write_job(job, output)
