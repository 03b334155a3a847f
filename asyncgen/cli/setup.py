"""`jobs` and `init`."""

from __future__ import annotations

from pathlib import Path

from asyncgen.cli.output import line, print_json
from asyncgen.config.load import job_file, job_names
from asyncgen.core.errors import InputError


def print_jobs(*, as_json: bool) -> int:
    """Name and first comment line of each built-in job."""
    found = [{"job": name, "about": _about(job_file(name))} for name in job_names()]
    if as_json:
        return print_json(found)
    width = max(len(one["job"]) for one in found)
    for one in found:
        line(f"{one['job']:{width}}  {one['about']}")
    line("")
    line("asyncgen run JOB --dataset-path PATH --base-url URL     start it, or go on with it")
    line("asyncgen init JOB                                       write its job file, to be edited")
    return 0


def _about(path: Path) -> str:
    return path.read_text("utf-8").split("\n", 1)[0].lstrip("# ")


def write_job(job: str, output: Path | None) -> int:
    """Copy a built-in YAML. Raises InputError where a file would be overwritten."""
    if job not in job_names():
        job_file(job)
        raise InputError(f"init takes the name of a built-in job ({', '.join(job_names())}), not a file")
    path = output or Path(f"{job}.yaml")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(job_file(job).read_text("utf-8"))
    except FileExistsError as error:
        raise InputError(f"{path} exists already; name another file with -o") from error
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from error
    line(f"wrote {path}; edit it, then: asyncgen run {path if path.parent != Path() else f'./{path}'}")
    return 0
