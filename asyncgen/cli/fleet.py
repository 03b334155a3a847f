"""`fleet`: one job on many servers.

Knows arguments. Loads what it needs when it is called: `--help` reads this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from asyncgen.cli.look import Json
from asyncgen.config.names import Name
from asyncgen.core.errors import InputError


def fleet(
    action: Annotated[Literal["commands"], Parameter(help="commands: print a shell command for each chunk and model.")],
    job: str,
    /,
    *,
    gpus: Annotated[int, Parameter(help="Servers, one a GPU; chunk k goes to number k mod so many.")] = 8,
    base_url: Annotated[
        str | None,
        Parameter(
            help="A server's address; {gpu} is its number, {port} 8000 more. Default: http://127.0.0.1:{port}/v1."
        ),
    ] = None,
    model: Annotated[
        list[str] | None, Parameter(negative=(), help="The model to ask; repeat it for more: commands for each.")
    ] = None,
    json: Json = False,
    knobs: dict[str, object],
) -> int:
    """Print what starts a job in chunks: `--chunk-size` rows of the dataset each, in a run directory of its own.

    Any knob of run is handed on. Each command ends with its GPU, so that a shell can take those of one.

    Examples:
    `asyncgen fleet commands math --dataset-path deepscaler_train.json --chunk-size 1000 --gpus 8 --model qwen3-4b-base`
    `asyncgen fleet commands math --dataset-path train.json --base-url 'http://node{gpu}:8000/v1' --rollouts 4`
    """
    _ = action
    if gpus < 1:
        raise InputError(f"--gpus {gpus}: give 1 or more")
    return _commands(job, list(dict.fromkeys(model or ())), gpus=gpus, base_url=base_url, knobs=knobs, as_json=json)


def _commands(
    job: str, models: list[str], *, gpus: int, base_url: str | None, knobs: dict[str, object], as_json: bool
) -> int:
    """Raises InputError."""
    from asyncgen.cli.output import line, print_json
    from asyncgen.fleet.commands import ADDRESS, chunk_commands
    from asyncgen.runs.jobs import find_job, load_job
    from asyncgen.source.opening import open_source

    found_job = find_job(job)
    settings = by_path(knobs, found_job.names())
    urls = (base_url,) if base_url else () if "base_url" in settings else (ADDRESS,)
    resolved, _ = load_job(found_job, base_url=urls, model=models[0] if models else None, knobs=knobs)
    base_url = base_url or str(settings.pop("base_url", ADDRESS))
    models = models or ([str(settings.pop("model"))] if "model" in settings else [])
    dataset = resolved.dataset
    if dataset.chunk_id is not None or resolved.schedule.partition:
        raise InputError("--chunk-id and --partition: the commands have them; leave them out")
    rows = open_source(dataset.path, split=dataset.split, image_root=dataset.image_root).rows
    found = chunk_commands(
        job,
        models,
        rows=rows,
        size=dataset.chunk_size,
        gpus=gpus,
        base_url=base_url,
        output_dir=resolved.store.output_dir or f"runs/{resolved.name}",
        settings=_handed_on(settings, dataset.path),
    )
    if as_json:
        members: list[dict[str, Any]] = [
            {"model": one.model, "chunk": one.chunk, "gpu": one.gpu, "command": list(one.words)} for one in found
        ]
        return print_json(members)
    for name in models or [""]:
        mine = [one for one in found if one.model == name]
        line(f"# {name or job}: {rows:,} rows, {dataset.chunk_size:,} a chunk, {len(mine):,} of them")
        for one in mine:
            line(one.text)
    return 0


def by_path(knobs: Mapping[str, object], names: Iterable[Name]) -> dict[str, object]:
    """What was given under a further name of a setting under the setting's own."""
    paths = {one.text: one.path for one in names if one.is_flag}
    return {paths.get(name, name): value for name, value in knobs.items()}


def _handed_on(settings: Mapping[str, object], path: str) -> dict[str, object]:
    """The settings that each command gets as they were given; the dataset always."""
    own = {"dataset.chunk_size", "store.output_dir", "dataset.path"}
    return {"dataset.path": path, **{name: value for name, value in settings.items() if name not in own}}
