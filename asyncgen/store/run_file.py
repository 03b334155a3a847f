"""`run.json`: what a run directory was made with. And the digest, the diff and the redaction that belong to it.

Knows JSON trees. Does not know what a config means, nor what of it shapes the text: the caller says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

import orjson

from asyncgen.core.clock import Clock
from asyncgen.core.errors import DataError, InputError
from asyncgen.core.types import Json
from asyncgen.store.files import FileLayer
from asyncgen.store.layout import RUN_FILE
from asyncgen.store.line import dump

HIDDEN = "***"
_KINDS = dict.fromkeys(("config", "configs", "dataset", "scores", "selection", "derived", "reused"), dict)
"""Members that are mappings where they are there."""
PROMPTS = frozenset({"task_options", "tools"})
"""Keys of a config under which texts stand as they are sent."""
_WORD = re.compile("authorization|api[_-]?key|token|password|passwd|secret|cookie|credentials?", re.IGNORECASE)
_SECRET = re.compile(rf"(?:.*[_.-])?(?:{_WORD.pattern})", re.IGNORECASE)
_USERINFO = re.compile(r"(?<=://)[^/?#\s@]*(?:@[^/?#\s@]*)*@")
_PARAMETER = re.compile(r"(?<=[?&])([^=&#\s]+)=([^&#\s]*)")
_SHOWN = 60
_NOTHING = {"{}", "[]", "null"}
"""Characters of a text around its first difference."""


def write_run(directory: Path, run: Mapping[str, Json], *, files: FileLayer, clock: Clock) -> None:
    """Put `run` in `run.json`, atomically, secrets redacted, `asyncgen`, `started` and `updated` filled in.

    Raises OSError.
    """
    from importlib.metadata import version

    now = datetime.fromtimestamp(clock.wall(), UTC).isoformat(timespec="seconds")
    value = {"asyncgen": version("asyncgen"), "started": now, **run, "updated": now}
    plain = orjson.loads(dump(redact(value)))
    files.atomic_write(directory / RUN_FILE, orjson.dumps(plain, option=orjson.OPT_INDENT_2) + b"\n")


def read_run(directory: Path) -> dict[str, Any]:
    """`run.json` as a dict. Raises InputError if there is none, DataError if it is not readable."""
    path = directory / RUN_FILE
    try:
        run = orjson.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{directory} is not a run directory (no {RUN_FILE})") from None
    except orjson.JSONDecodeError as error:
        raise DataError(f"{path} is not JSON ({error}); put a copy in its place or start a new directory") from None
    if not isinstance(run, dict):
        raise DataError(f"{path} holds no JSON object; put a copy in its place or start a new directory")
    if wrong := [key for key, kind in _KINDS.items() if not isinstance(run.get(key, kind()), kind)]:
        raise DataError(f"{path} is damaged: {', '.join(wrong)}; put a copy in its place or start a new directory")
    return run


def digest(shape: Mapping[str, Json]) -> str:
    """12 hex digits: BLAKE2b over JSON with sorted keys and no blanks. The same tree gives the same text anywhere."""
    text = json.dumps(shape, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return blake2b(text.encode("ascii"), digest_size=6).hexdigest()


def config_diff(old: Mapping[str, Json], new: Mapping[str, Json]) -> list[str]:
    """A line for each leaf that differs, `sampling.temperature: 0.7 -> 0.9`; secrets redacted, long texts cut short."""
    before, after = dict(_leaves(redact(old), "")), dict(_leaves(redact(new), ""))
    return [
        f"{name}: {' -> '.join(_shortened(before.get(name, '(none)'), after.get(name, '(none)')))}"
        for name in dict.fromkeys((*before, *after))
        if before.get(name) != after.get(name) and not (_grew(name, before, after) or _grew(name, after, before))
    ]


def _grew(name: str, bare: Mapping[str, str], full: Mapping[str, str]) -> bool:
    """Empty (or null) on one side, and on the other the leaves below it tell the same."""
    below = (f"{name}.", f"{name}[")
    return bare.get(name) in _NOTHING and name not in full and any(one.startswith(below) for one in full)


def _leaves(value: Json, name: str) -> Iterator[tuple[str, str]]:
    """(dotted name, JSON text) of each leaf; an empty list or mapping is a leaf."""
    if isinstance(value, Mapping) and value:
        for key, part in value.items():
            yield from _leaves(part, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple) and value:
        for number, part in enumerate(value):
            yield from _leaves(part, f"{name}[{number}]")
    else:
        yield name, dump(value).decode()


def _shortened(old: str, new: str) -> tuple[str, str]:
    """Both texts from a little before the place where they part."""
    if max(len(old), len(new)) <= _SHOWN:
        return old, new
    pairs = zip(old, new, strict=False)
    parting = next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(old), len(new)))
    start = max(0, parting - _SHOWN // 3)
    return _window(old, start), _window(new, start)


def _window(text: str, start: int) -> str:
    end = start + _SHOWN
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")


def redact(value: Json) -> Json:
    """The tree without its secrets: values of keys such as `authorization` or `api_key`, of flags and URL parameters
    of such names, also in a text that is JSON or YAML, and the user part of URLs become `***`. A key that ends in
    `_env` names a variable and stays; so does what a task says to the model (`PROMPTS`), which every trace has too.
    """
    if isinstance(value, Mapping):
        return {key: _redact_member(str(key), part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [
            HIDDEN if number and _is_secret_flag(value[number - 1]) else redact(part)
            for number, part in enumerate(value)
        ]
    return _redact_text(value) if isinstance(value, str) else value


def _redact_member(key: str, part: Json) -> Json:
    if _is_secret(key) and part:
        return HIDDEN
    return _without_secret_keys(part) if key in PROMPTS else redact(part)


def _without_secret_keys(value: Json) -> Json:
    if isinstance(value, Mapping):
        return {key: _redact_option(str(key), part) for key, part in value.items()}
    return [_without_secret_keys(part) for part in value] if isinstance(value, list | tuple) else value


def _redact_option(key: str, part: Json) -> Json:
    """An option that is an address is no prompt."""
    if _is_secret(key) and part:
        return HIDDEN
    return redact(part) if isinstance(part, str) and key.endswith("url") else _without_secret_keys(part)


def _is_secret(name: str) -> bool:
    return _SECRET.fullmatch(name) is not None


def _is_secret_flag(value: Json) -> bool:
    return isinstance(value, str) and value.startswith("--") and _is_secret(value[2:])


def _redact_text(text: str) -> str:
    flag, equals, value = text.partition("=")
    if equals and flag.startswith("--"):
        return f"{flag}={HIDDEN if _is_secret_flag(flag) else _redact_text(value)}"
    if ":" not in text:
        return text
    text = _redact_yaml(text)
    return _PARAMETER.sub(_redact_parameter, _USERINFO.sub(f"{HIDDEN}@", text))


def _redact_yaml(text: str) -> str:
    """The text of a mapping, or of a list of such, without its secrets; any other text as it is."""
    if not _WORD.search(text):
        return text
    import yaml

    try:
        spans = sorted(_secret_spans(yaml.compose(text, Loader=yaml.SafeLoader)))
    except (yaml.YAMLError, RecursionError):
        return text
    shown, at = "", 0
    for start, end in spans:
        if start >= at:  # a value that is named twice counts once
            shown += text[at:start] + HIDDEN
            at = end
    return shown + text[at:]


def _secret_spans(node: Any) -> Iterator[tuple[int, int]]:
    """Where the secret values of a YAML node begin and end, in characters."""
    for part in node.value if isinstance(getattr(node, "value", None), list) else ():
        key, value = part if isinstance(part, tuple) else (None, part)
        if key is not None and isinstance(key.value, str) and _is_secret(key.value):
            if value.value:
                yield value.start_mark.index, value.end_mark.index
        else:
            yield from _secret_spans(value)


def _redact_parameter(match: re.Match[str]) -> str:
    hidden = _is_secret(match[1]) or match[1].lower() in {"key", "sig", "signature"}
    return f"{match[1]}={HIDDEN}" if hidden else match[0]
