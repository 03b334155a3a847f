"""The plots of `stats --plots`: which there are, and how each gets into its file.

Knows charts by name and files. What a chart shows is `plots_charts`' and `plots_map`'s; matplotlib is loaded with them.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from asyncgen.core.errors import InputError
from asyncgen.export.files import whole_file
from asyncgen.export.groups import by_run
from asyncgen.export.pairs import Pairs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from asyncgen.export.measures import Columns

_DPI = 150


@dataclass(frozen=True, slots=True)
class Plotted:
    """What became of each plot."""

    written: Sequence[Path]
    left_out: Sequence[tuple[str, str]]
    """Name and why."""


def write_plots(columns: Columns, names: Sequence[str], pairs: Pairs, *, folder: Path, suffix: str) -> Plotted:
    """All plots for which there are figures, as `folder`/NAME.`suffix` (png or svg); older ones are replaced. Raises
    InputError where the folder takes no files."""
    # Says that its folder for caches is not writable, or that it looks for fonts: no news for anybody.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    from matplotlib import rc_context

    from asyncgen.view.plots_charts import CHARTS, series
    from asyncgen.view.plots_map import world_map

    runs = series(columns, by_run(columns, len(names)), names)
    drawings: dict[str, Callable[[], Figure | str]] = {
        name: lambda chart=chart: chart(runs)  # type: ignore[misc]  # mypy infers no default argument
        for name, chart in CHARTS.items()
    }
    drawings["map"] = lambda: world_map(pairs, runs)
    written, left_out = [], []
    for name, draw in drawings.items():
        # A run's name with dollar signs is no formula.
        with rc_context({"text.parse_math": False, "text.usetex": False, "svg.hashsalt": "asyncgen"}):
            figure = draw()
            if isinstance(figure, str):
                left_out.append((name, figure))
            else:
                written.append(_save(figure, folder / f"{name}.{suffix}"))
    return Plotted(written, left_out)


def _save(figure: Figure, path: Path) -> Path:
    kind = path.suffix.removeprefix(".")
    try:
        with whole_file(path, durable=False) as file, warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph ", category=UserWarning)  # the font has no Chinese
            figure.savefig(file, format=kind, dpi=_DPI, metadata={"Date": None} if kind == "svg" else None)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}; give --plots another folder") from None
    return path
