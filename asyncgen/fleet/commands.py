"""A run in chunks as shell commands: one for each model and chunk, for servers that each have a GPU of their own.

Knows chunks, GPUs and addresses. Starts nothing, reads nothing.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FIRST_PORT = 8000
"""Of the server on GPU 0, where an address has `{port}`."""
ADDRESS = "http://127.0.0.1:{port}/v1"


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
    """
    more = [word for path, value in settings.items() for word in (f"--{path.replace('_', '-')}", str(value))]
    found = []
    for model in models or ("",):
        out = f"{output_dir}/{_folder(model)}" if len(models) > 1 else output_dir
        for chunk in range(-(-rows // size)):
            gpu = chunk % gpus
            url = base_url.replace("{gpu}", str(gpu)).replace("{port}", str(FIRST_PORT + gpu))
            words = [
                *("asyncgen", "run", job, "--base-url", url, *(("--model", model) if model else ())),
                *("--output-dir", out, "--chunk-size", str(size), "--chunk-id", str(chunk), *more),
            ]
            found.append(ChunkCommand(model=model, chunk=chunk, gpu=gpu, words=words))
    return found


def _folder(model: str) -> str:
    """A model's name as that of a folder."""
    return re.sub(r"[^A-Za-z0-9._+@=-]", "_", model).lstrip(".") or "model"
