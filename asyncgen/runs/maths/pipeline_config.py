"""What `pipeline math-critique` is told: one YAML file, and the names of all files that come of it.

Knows keys, defaults and names. Does not know how a step is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from asyncgen.config.convert import convert
from asyncgen.config.load import check_raw, job_file, nearest, read_yaml
from asyncgen.core.errors import InputError
from asyncgen.export.critiques import Drawing
from asyncgen.runs.maths.mix import LABEL


@dataclass(frozen=True, kw_only=True)
class Model:
    """One model whose solutions are compared."""

    label: str
    """In names of files and fields."""
    model: str | None = None
    """As its server calls it; may be left out when the server lists just one."""
    base_url: tuple[str, ...] = ("http://127.0.0.1:8000/v1",)
    """Its servers, up to /v1."""
    job: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Keys of a job file, over those of the pipeline's `job`."""
    solutions: str | None = None
    """A run, a merged file or a folder of chunk files that is there already: the model is not asked."""


@dataclass(frozen=True, kw_only=True)
class Mixing:
    """Of `filter-mixed`."""

    strict: bool = False
    rule: Literal["verify", "original"] = "verify"


@dataclass(frozen=True, kw_only=True)
class Critiques:
    """Of `critique-set` and `critique-format`."""

    max_samples_per_question: int = 4
    seed: int = 42
    balance: bool = False
    dedup: bool = False
    parquet: bool = True
    """The training rows as parquet too."""

    @property
    def drawing(self) -> Drawing:
        """How solutions are drawn. Raises InputError."""
        return Drawing(most=self.max_samples_per_question, seed=self.seed, balance=self.balance, dedup=self.dedup)


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """All of it. Relative paths start at the folder of the file."""

    input: str
    """The dataset: deepscaler_train.json."""
    folder: str = "."
    """Where all files go."""
    models: tuple[Model, ...] = ()
    """Two or more."""
    rollouts: int = 8
    """Solutions of each question."""
    job: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Keys of a job file over those of the math job, e.g. `sampling: {max_tokens: 8192}`."""
    chunk_size: int = 1000
    """Rows of a chunk file; 0: no chunk files."""
    allow_missing: bool = False
    """Go on though questions are missing, short or there twice."""
    filter: Mixing = Mixing()
    critique: Critiques = Critiques()


def read_pipeline(path: Path) -> Pipeline:
    """The file, checked; its paths absolute. Raises InputError."""
    import yaml

    try:
        raw = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
    found = convert(_checked(raw, Pipeline, str(path)), Pipeline, str(path))
    labels = [model.label for model in found.models]
    wrong = [label for label in labels if not LABEL.fullmatch(label)]
    if len(labels) < 2 or len(set(labels)) < len(labels) or wrong:
        raise InputError(
            f"{path}: models have the labels {labels}; give two or more, each another, of letters, digits, . _ -"
        )
    if found.chunk_size < 0 or found.rollouts < 1:
        raise InputError(f"{path}: chunk_size is {found.chunk_size} and rollouts {found.rollouts}: too small")
    try:
        _ = found.critique.drawing
    except InputError as error:
        raise InputError(f"{path}: critique: {error}") from error
    return _placed(found, path.absolute().parent)


def _placed(found: Pipeline, home: Path) -> Pipeline:
    """Its paths start in `home`."""

    def place(text: str) -> str:
        return str(home / Path(text).expanduser())

    models = tuple(replace(one, solutions=place(one.solutions)) if one.solutions else one for one in found.models)
    return replace(found, input=place(found.input), folder=place(found.folder), models=models)


def _checked(raw: Any, wanted: type, where: str) -> dict[str, Any]:
    """The keys are those of the dataclass. Raises InputError."""
    if not isinstance(raw, dict):
        raise InputError(f"{where}: it is {type(raw).__name__}, not a mapping")
    known = [one.name for one in fields(wanted)]
    for key in raw:
        if key not in known:
            raise InputError(f"{where}: there is no key {key!r}{nearest(str(key), known)}")
    found = dict(raw)
    for key, kind in (("filter", Mixing), ("critique", Critiques)):
        if wanted is Pipeline and key in found:
            found[key] = _checked(found[key], kind, f"{where}: {key}")
    if wanted is Pipeline and isinstance(found.get("models"), list):
        models = [_checked(one, Model, f"{where}: models") for one in found["models"]]
        found["models"] = [_with_urls(one) for one in models]
    return found


def _with_urls(raw: dict[str, Any]) -> dict[str, Any]:
    """One address may stand without brackets."""
    return {**raw, "base_url": [raw["base_url"]]} if isinstance(raw.get("base_url"), str) else raw


def job_of(pipeline: Pipeline, model: Model, output_dir: Path) -> dict[str, Any]:
    """The job file of a model's solutions. Raises InputError."""
    raw = read_yaml(job_file("math"))
    for more in (pipeline.job, model.job):
        for key, value in check_raw({"task": "math", **more}, f"the job of {model.label}").items():
            raw[key] = {**raw[key], **value} if isinstance(value, dict) and isinstance(raw.get(key), dict) else value
    key = (raw.get("endpoints") or [{}])[0].get("api_key_env", "OPENAI_API_KEY")
    return {
        **raw,
        "name": "math",
        "dataset": {**(raw.get("dataset") or {}), "path": pipeline.input},
        "endpoints": [{"base_url": url, "model": model.model, "api_key_env": key} for url in model.base_url],
        "episode": {**(raw.get("episode") or {}), "rollouts": pipeline.rollouts},
        "store": {**(raw.get("store") or {}), "output_dir": str(output_dir)},
    }


@dataclass(frozen=True)
class Names:
    """The files of a pipeline, as the document has them: `deepscaler_train.json` gives `deepscaler_critique.json`."""

    pipeline: Pipeline

    @property
    def _folder(self) -> Path:
        return Path(self.pipeline.folder)

    @property
    def _stem(self) -> str:
        return Path(self.pipeline.input).stem

    @property
    def _set(self) -> str:
        return self._stem.removesuffix("_train")

    def job(self, label: str) -> Path:
        """The job file of a model."""
        return self._folder / "runs" / f"{label}.yaml"

    def run(self, label: str) -> Path:
        """Its run directory."""
        return self._folder / "runs" / label

    def chunks(self, label: str) -> Path:
        """Its chunk files."""
        return self._folder / f"solutions_{label}"

    def merged(self, label: str) -> Path:
        """Its solutions in one file."""
        return self._folder / f"{self._set}_{label}_solutions.json"

    @property
    def filtered(self) -> Path:
        return self._folder / f"{self._stem}_filter.json"

    @property
    def critiques(self) -> Path:
        return self._folder / f"{self._set}_critique.json"

    @property
    def formatted(self) -> Path:
        return self._folder / f"{self._set}_critique_formatted.json"

    @property
    def parquet(self) -> Path:
        return self.formatted.with_suffix(".parquet")

    def labels(self) -> Sequence[str]:
        """Of all models."""
        return [model.label for model in self.pipeline.models]
