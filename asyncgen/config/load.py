"""YAML, environment and flags to one resolved Job: flag > environment > YAML > default, field by field.

Knows precedence and how to say what is wrong: every error names where the value stands and the nearest known name.
Does not know tasks: their options are checked by whoever loads the task class.
"""

from __future__ import annotations

import difflib
import importlib.resources
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import msgspec
import yaml

from asyncgen.config.convert import convert
from asyncgen.config.knobs import PREFIX, Knob, section_knobs, variable_of
from asyncgen.config.names import SERVERS, Name, flag_of
from asyncgen.config.problems import problems
from asyncgen.config.schema import SECTIONS, EndpointSpec, Job, McpSpec, Rule, parse_partition
from asyncgen.core.errors import InputError

TOP_KEYS = tuple(one.name for one in fields(Job))
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


_MOST_NAMES = 16
"""Known names that are listed where none is near."""


def jobs_folder() -> Path:
    """Where the built-in YAMLs lie: in the package when installed, beside it in a checkout."""
    package = Path(str(importlib.resources.files("asyncgen")))
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def job_names() -> list[str]:
    """The built-in jobs."""
    return sorted(path.stem for path in jobs_folder().glob("*.yaml"))


def job_file(job: str) -> Path:
    """The YAML of a built-in name or of a path. A name is never looked up in the working directory."""
    if job.endswith((".yaml", ".yml")) or "/" in job:
        path = Path(job)
        if not path.is_file():
            raise InputError(f"the job file {job!r} does not exist; 'asyncgen init JOB' writes one")
        return path
    if job not in job_names():
        if Path(f"{job}.yaml").is_file():
            raise InputError(f"there is no built-in job {job!r}; for the file beside you write ./{job}.yaml")
        raise InputError(
            f"there is no built-in job {job!r}{nearest(job, job_names())} (of a file give the path, ./{job}.yaml)"
        )
    return jobs_folder() / f"{job}.yaml"


def nearest(name: str, known: Iterable[str]) -> str:
    """`: did you mean 'x'?`, or the known names when none is near."""
    names = list(known)
    if close := difflib.get_close_matches(name, names, n=1, cutoff=0.6):
        return f": did you mean {close[0]!r}?"
    return f" (known: {', '.join(names[:_MOST_NAMES])}{', …' if len(names) > _MOST_NAMES else ''})"


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice: YAML would let the last one win, and drop the others in silence."""

    def get_single_node(self) -> yaml.Node | None:
        """The document as it is written: merged keys (`<<`) and aliases are not followed yet."""
        root: yaml.Node | None = super().get_single_node()
        waiting, seen = [root], set[int]()
        while waiting:
            node = waiting.pop()
            if node is None or id(node) in seen or not isinstance(node.value, list):
                continue
            seen.add(id(node))
            if not isinstance(node, yaml.MappingNode):
                waiting += node.value
                continue
            counts = Counter((key.tag, key.value) for key, _ in node.value if isinstance(key, yaml.ScalarNode))
            for (_, key), count in counts.items():
                if count > 1:
                    raise yaml.constructor.ConstructorError(problem=f"the key {key!r} stands {count} times")
            waiting += [value for _, value in node.value]
        return root


def read_yaml(path: Path) -> dict[str, Any]:
    """The file as nested dicts, its keys checked. Raises InputError."""
    try:
        raw = yaml.load(path.read_text("utf-8"), _Loader)  # noqa: S506  # a safe one that is stricter
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that is none
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    return check_raw(raw, str(path))


def check_raw(raw: Any, where: str) -> dict[str, Any]:
    """A job as its YAML has it, the keys checked; `where` is for texts. Raises InputError."""
    if not isinstance(raw, dict):
        raise InputError(f"{where}: a job file is a YAML mapping with at least 'task: NAME'")
    _check_keys(raw, TOP_KEYS, where, "")
    for section in ("task_options", *SECTIONS):
        value = raw.get(section)
        if value is None:
            raw.pop(section, None)
            continue
        if not isinstance(value, dict):
            raise InputError(f"{where}: {section} must be a mapping, it is {value!r}")
        if section in SECTIONS:
            _check_keys(value, [one.name for one in fields(SECTIONS[section])], where, f"{section}.")
    _check_endpoints(raw, where)
    _check_rules(raw, where)
    _check_tools(raw, where)
    if raw.get("rewards") is None:
        raw.pop("rewards", None)
    elif raw["rewards"] == []:
        raise InputError(f"{where}: rewards is an empty list; name one, as [format, region], or leave it out")
    if not raw.get("task"):
        raise InputError(f"{where}: 'task' is missing: give a built-in name, module:Class or file.py:Class")
    return raw


def _check_endpoints(raw: dict[str, Any], where: str) -> None:
    endpoints = raw.get("endpoints")
    if endpoints is None:
        raw.pop("endpoints", None)
        return
    if not isinstance(endpoints, list) or not all(isinstance(one, dict) for one in endpoints):
        raise InputError(
            f"{where}: endpoints must be a list of mappings, e.g. [{{base_url: http://127.0.0.1:8000/v1}}]"
        )
    for one in endpoints:
        _check_keys(one, [entry.name for entry in fields(EndpointSpec)], where, "endpoints[].")


def _check_rules(raw: dict[str, Any], where: str) -> None:
    rules = raw.get("rules")
    if rules is None:
        raw.pop("rules", None)
        return
    if not isinstance(rules, list) or not all(isinstance(one, dict) for one in rules):
        raise InputError(f'{where}: rules must be a list of mappings, e.g. [{{where: "score < 0.2", max_turns: 15}}]')
    for number, one in enumerate(rules):
        _check_keys(one, [entry.name for entry in fields(Rule)], where, f"rules[{number}].")
        if one.get("where") is None:
            raise InputError(
                f'{where}: rules[{number}] has no where: give a condition, or "true" in quotes for all other rows'
            )


def _check_tools(raw: dict[str, Any], where: str) -> None:
    tools = raw.get("tools")
    if tools is None:
        raw.pop("tools", None)
        return
    if not isinstance(tools, list) or not all(isinstance(one, dict | str) for one in tools):
        raise InputError(
            f'{where}: tools must be a list of module:name, file.py:name and {{mcp: …}}, e.g. ["my_tools.py:lookup", '
            '{mcp: "python my_server.py"}]'
        )
    for number, one in enumerate(tools):
        if isinstance(one, dict):
            _check_keys(one, [entry.name for entry in fields(McpSpec)], where, f"tools[{number}].")
            if not one.get("mcp"):
                raise InputError(f"{where}: tools[{number}] has no mcp: give a command or a URL")


def _check_keys(mapping: Mapping[Any, Any], known: Sequence[str], where: str, prefix: str) -> None:
    for key in mapping:
        if key not in known:
            raise InputError(f"{where}: unknown key {prefix + str(key)!r}{meant(str(key), known)}")


def meant(name: str, known: Iterable[str]) -> str:
    """`nearest`, but for the name of a secret what to do with that."""
    return f": {NO_KEYS}" if is_secret(name) else nearest(name, known)


def is_secret(name: str) -> bool:
    """Whether a key, variable or flag of this name would hold an API key."""
    return _SECRET.fullmatch(name) is not None


_SECRET = re.compile(r"(?i)(?!task\.)(.*[._-])?((api[_-]?)?key|(api|auth|access)[_-]?token)|.*api[_-]?key")
NO_KEYS = "keys are never written in files or flags: export OPENAI_API_KEY=…, or name another variable in api_key_env"


def read_environment(environ: Mapping[str, str], knobs: Sequence[Knob]) -> dict[str, str]:
    """`ASYNCGEN_*` as path → text; `base_url` and `model` too. An empty variable is no variable."""
    known = {one.variable: one.path for one in knobs}
    known |= {f"{PREFIX}BASE_URL": "base_url", f"{PREFIX}MODEL": "model"}
    found = {}
    for name, value in environ.items():
        if not name.startswith(PREFIX) or not value:
            continue
        if name not in known:
            raise InputError(f"unknown environment variable {name}{meant(name, known)}")
        found[known[name]] = value
    return found


def parse_text(knob: Knob, text: str, where: str) -> Any:
    """A flag's or a variable's text as a value: plain for strings, YAML for everything else."""
    if knob.is_text:
        return text
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        why = getattr(error, "problem", None) or error
        raise InputError(f"{where}: {text!r} cannot be read as YAML: {' '.join(str(why).split())}") from error


def resolve(
    path: Path,
    *,
    environ: Mapping[str, str],
    flags: Mapping[str, Any],
    task_knobs: Sequence[Knob] = (),
    names: Sequence[Name] = (),
    raw: Mapping[str, Any] | None = None,
) -> Job:
    """One Job from a YAML, the environment and flags (`{"sampling.temperature": "0.1", "base_url": [...]}`).

    `names`: the task's own for settings; their variables count, and as a key of `flags` stands the path or such a
    name. `raw` is the job where it stands in no file; `path` names it then. Raises InputError. The task's options are
    merged, not checked.
    """
    raw = read_yaml(path) if raw is None else dict(raw)
    by_path = {one.path: one for one in (*section_knobs(), *task_knobs)}
    named: dict[str, str] = {}
    for layer in (_from_environment(environ, by_path, names), _from_flags(flags, by_path, names)):
        for key, one in layer.items():
            if key in by_path:
                _put(raw, by_path[key], _typed(by_path[key], one.value, one.where))
        _put_endpoints(raw, {key: one.value for key, one in layer.items()})
        named |= {key: one.where if one.named else "" for key, one in layer.items()}
    raw["name"] = raw.get("name") or path.stem
    job = _beside(convert(raw, Job, str(path)), path.parent)
    _check(job, named)
    return job


@dataclass(frozen=True, slots=True)
class _Given:
    """A value, and the flag or variable that has it."""

    where: str
    value: Any
    named: bool
    """`where` is a name of the task's, which need not be like the setting's."""


def _from_environment(
    environ: Mapping[str, str], by_path: Mapping[str, Knob], names: Sequence[Name]
) -> Mapping[str, _Given]:
    """By path. An `ASYNCGEN_` variable beats one of the task's names."""
    found: dict[str, _Given] = {}
    for one in names:
        if value := environ.get(one.variable):
            _add(found, one.path, _Given(one.variable, value, named=True))
    own = read_environment(environ, list(by_path.values()))
    return found | {path: _Given(variable_of(path), text, named=False) for path, text in own.items()}


def _from_flags(flags: Mapping[str, Any], by_path: Mapping[str, Knob], names: Sequence[Name]) -> Mapping[str, _Given]:
    """By path."""
    by_text = {one.text: one for one in names if one.is_flag}
    own = {path: knob.flags[-1] for path, knob in by_path.items()} | {path: flag_of(path) for path in SERVERS}
    found: dict[str, _Given] = {}
    for key, value in flags.items():
        name = by_text.get(key)
        path, where = (name.path, name.flag) if name else (key, own.get(key, key))
        _add(found, path, _Given(where, value, named=name is not None))
    return found


def _add(found: dict[str, _Given], path: str, given: _Given) -> None:
    if path in found:
        raise InputError(f"{found[path].where} and {given.where} are two names of {path}; leave one of them away")
    found[path] = given


def _beside(job: Job, folder: Path) -> Job:
    """A relative dataset path that is not in the working directory may lie beside the job file; files of tools are
    looked for there first."""
    place = folder / job.dataset.path
    if job.tools:
        job = replace(job, tools=tuple(_tool_beside(one, folder) for one in job.tools))
    if not job.dataset.path or Path(job.dataset.path).exists() or not place.exists():
        return job
    return replace(job, dataset=replace(job.dataset, path=str(place)))


def _tool_beside(tool: str | McpSpec, folder: Path) -> str | McpSpec:
    if isinstance(tool, McpSpec):
        return replace(tool, cwd=str(folder / tool.cwd)) if tool.cwd and (folder / tool.cwd).is_dir() else tool
    home, colon, name = tool.rpartition(":")
    return f"{folder / home}{colon}{name}" if home.endswith(".py") and (folder / home).is_file() else tool


def _typed(knob: Knob, value: Any, where: str) -> Any:
    """Read and check a flag's or variable's value by itself, so that the error names the flag and not the file."""
    parsed = parse_text(knob, value, where) if isinstance(value, str) else value
    single = msgspec.defstruct("Value", [(knob.name, knob.type)])
    convert({knob.name: parsed}, single, f"{where} {value!r}")
    return parsed


def _put(raw: dict[str, Any], knob: Knob, value: Any) -> None:
    if not knob.section:
        raw[knob.name] = value
        return
    section = "task_options" if knob.section == "task" else knob.section
    raw[section] = {**(raw.get(section) or {}), knob.name: value}


def _put_endpoints(raw: dict[str, Any], layer: Mapping[str, Any]) -> None:
    """`base_url` replaces the list (the first one's model and key variable stay); `model` goes to all."""
    urls = layer.get("base_url") or []
    if isinstance(urls, str):
        urls = urls.replace(",", " ").split()
    endpoints = raw.get("endpoints") or [{}]
    if urls:
        first = {key: value for key, value in endpoints[0].items() if key in {"model", "api_key_env"}}
        endpoints = [{**first, "base_url": url} for url in urls]
    if model := layer.get("model"):
        endpoints = [{**one, "model": model} for one in endpoints]
    if urls or model:
        raw["endpoints"] = endpoints


def _check(job: Job, named: Mapping[str, str]) -> None:
    """`named`: the name of the task's that a setting's value came under, if any."""
    if not _NAME.fullmatch(job.name):
        raise InputError(
            f"name {job.name!r}: a job's name has letters, digits, '.', '_' and '-' only, and no '.' at its start; "
            "give --name, or name: in the job file"
        )
    if found := problems(job):
        raise InputError("; ".join(_with_name(text, named) for text in found))
    try:
        parse_partition(job.schedule.partition)
    except ValueError as error:
        raise InputError(str(error)) from error


def _with_name(problem: str, named: Mapping[str, str]) -> str:
    """A problem begins with the path of its setting: whoever wrote `BATCH_SIZE=0` wants to read of that."""
    name = named.get(problem.partition(" ")[0])
    return f"{name}: {problem}" if name else problem
