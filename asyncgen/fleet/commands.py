"""A run in chunks as shell commands: one for each model and chunk, for servers that each have a GPU of their own.

Knows chunks, GPUs and addresses. Starts nothing, reads nothing.
"""

from __future__ import annotations

import hashlib
import shlex
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asyncgen.core.errors import InputError
from asyncgen.store.layout import file_name

FIRST_PORT = 8000
"""Of the server on GPU 0, where an address has `{port}`."""
ADDRESS = "http://127.0.0.1:{port}/v1"
_BREAKING = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Control characters, halves of a surrogate pair, and what ends a line."""


@dataclass(frozen=True, kw_only=True)
class ChunkCommand:
    """One."""

    model: str
    """`""`: the only one that the server lists."""
    chunk: int
    gpu: int
    words: Sequence[str]

    @property
    def text(self) -> str:
        """For a shell, with its GPU behind it: `grep '# gpu 0$' | sh` runs those of one GPU."""
        return f"{shlex.join(self.words)}  # gpu {self.gpu}"


def chunk_commands(
    job: str,
    models: Sequence[str],
    *,
    rows: int,
    size: int,
    gpus: int,
    base_url: str,
    output_dir: str,
    settings: Mapping[str, Any],
) -> list[ChunkCommand]:
    """Chunk k goes to GPU k mod `gpus`. `{gpu}` and `{port}` in the address are the GPU's number and 8000 more.

    `output_dir`: of all chunks of a model; of several models each has a folder in it. `settings`: by knob path.
    Raises InputError for a value that no line of a script can have.
    """
    flags = [(f"--{path.replace('_', '-')}", str(value)) for path, value in settings.items()]
    given = [("JOB", job), ("--base-url", base_url), *(("--model", model) for model in models)]
    _refuse_breaking([*given, ("--output-dir", output_dir), *flags])
    more = [word for flag, value in flags for word in _words(flag, value)]
    found, folders = [], _folders(models)
    for model in models or ("",):
        out = f"{output_dir}/{folders[model]}" if len(models) > 1 else output_dir
        for chunk in range(-(-rows // size)):
            gpu = chunk % gpus
            url = base_url.replace("{gpu}", str(gpu)).replace("{port}", str(FIRST_PORT + gpu))
            words = [
                *("asyncgen", "run", job, "--base-url", url, *(_words("--model", model) if model else ())),
                *("--output-dir", out, "--chunk-size", str(size), "--chunk-id", str(chunk), *more),
            ]
            found.append(ChunkCommand(model=model, chunk=chunk, gpu=gpu, words=words))
    return found


def _refuse_breaking(given: Iterable[tuple[str, str]]) -> None:
    """Raises InputError for a text that would end the line, or could not be printed: half a command is another one."""
    for flag, value in given:
        if any(unicodedata.category(one) in _BREAKING for one in value):
            raise InputError(f"{flag} {value!r} has a line break or control character, and each command is one line")


def _words(flag: str, value: str) -> Sequence[str]:
    """A value that looks like a flag stands in one word with its own."""
    return (f"{flag}={value}",) if value.startswith("-") else (flag, value)


def _folders(models: Sequence[str]) -> Mapping[str, str]:
    """Each model's, named as it is. Of several that would have one folder, those whose name changes for it get a digest
    of their name behind it."""
    names = {model: file_name(model) for model in models}
    counts = Counter(names.values())
    return {
        model: name if counts[name] == 1 or name == model else f"{name}-{_digest(model)}"
        for model, name in names.items()
    }


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
