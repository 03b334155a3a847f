"""`jobs` and `init`.

Knows the built-in job files as texts, and how one becomes a file of the user's own. Does not know what they say.
"""

from __future__ import annotations

import shlex
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
    """Copy a built-in YAML, its comments about the copy. Raises InputError where a file would be overwritten."""
    if job not in job_names():
        job_file(job)
        raise InputError(f"init takes the name of a built-in job ({', '.join(job_names())}), not a file")
    path = output or Path(f"{job}.yaml")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(own_text(job_file(job).read_text("utf-8"), job, path))
    except FileExistsError as error:
        raise InputError(f"{path} exists already; name another file with -o") from error
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from error
    line(f"wrote {path}; edit it, then: asyncgen run {_shell_word(path)}")
    return 0


def own_text(text: str, job: str, path: Path) -> str:
    """A built-in job's text whose comments name the file at `path`, and the run directory that its stem gives."""
    return text.replace(f"asyncgen run {job} ", f"asyncgen run {_shell_word(path)} ").replace(
        f"# default: runs/{job}\n", f"# default: runs/{path.stem}\n"
    )


def _shell_word(path: Path) -> str:
    """As a shell takes it; with a slash, so that it is no job's name."""
    return shlex.quote(str(path) if path.parent != Path() else f"./{path}")
