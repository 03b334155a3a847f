"""Distances, accuracy, tokens, turns and scores of runs as charts.

Knows columns of numbers and matplotlib's figures, never its global state. Each chart is a figure, or a text that says
what it would need. A run has a colour (Okabe and Ito's, which the colour-blind can tell apart), a dash and a marker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from asyncgen.export.measures import measured
from asyncgen.rewards.geo import THRESHOLDS_KM
from asyncgen.view.terminal import one_line

if TYPE_CHECKING:
    from asyncgen.export.measures import Column, Columns, Rows

COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
_DASHES: Final = ("-", "--", "-.", ":")
_MARKERS: Final = "osD^vP*X"
_LONGEST_NAME = 40
_NEAREST_KM, _FARTHEST_KM = 0.1, 20_038.0
"""A distance of 0 has no place on a logarithmic axis; no two places are farther apart than half the globe."""
_TICKS_KM: Final = (0.1, 1, 10, 100, 1000, 10_000)
_INCHES_KEY, _INCHES_LETTER, _INCHES_LINE = 0.7, 0.09, 0.2
"""What an entry of the legend takes."""
_BINS = 40
_DECILES = 10


@dataclass(frozen=True)
class Series:
    """A run's rows, and how it is drawn."""

    name: str
    columns: Columns
    colour: str
    dash: str
    marker: str


def series(columns: Columns, rows: Sequence[Rows], names: Sequence[str]) -> list[Series]:
    """One a run. Where the colours begin again, dashes and markers are others."""
    return [
        Series(
            # A label that begins with an underscore would be left out of the legend.
            " " + one_line(name)[:_LONGEST_NAME],
            {key: column[chosen] for key, column in columns.items()},
            COLOURS[number % len(COLOURS)],
            _DASHES[(number + again) % len(_DASHES)],
            _MARKERS[(number + again) % len(_MARKERS)],
        )
        for number, (chosen, name) in enumerate(zip(rows, names, strict=True))
        for again in (number // len(COLOURS),)
    ]


def distances(runs: Sequence[Series]) -> Figure | str:
    """Histogram over a logarithmic axis, of the answers that could be read."""
    read = [(run, measured(run.columns["distance"][run.columns["parsed"] != 0])) for run in runs]
    read = [(run, km) for run, km in read if len(km)]
    if not read:
        return "no trace has a distance (distance@km) of an answer that could be read"
    figure, axes = _axes("Distance of guess and truth", "km", "share of the answers that could be read")
    bins = np.geomspace(_NEAREST_KM, _FARTHEST_KM, _BINS + 1)
    for run, km in read:
        _histogram(axes, run, np.clip(km, _NEAREST_KM, _FARTHEST_KM), bins)
    _logarithmic(axes, _TICKS_KM, [f"≤ {_NEAREST_KM:g}", *(f"{tick:,g}" for tick in _TICKS_KM[1:])])
    return with_legend(figure)


def accuracy_curve(runs: Sequence[Series]) -> Figure | str:
    """The share of all traces within a distance, with marks at 1, 25, 200, 750 and 2500 km. An answer that could not be
    read is within none."""
    known = [(run, run.columns["distance"], run.columns["parsed"] != 0) for run in runs]
    known = [(run, km, read) for run, km, read in known if len(measured(km))]
    if not known:
        return "no trace has a distance (distance@km)"
    figure, axes = _axes("Accuracy at a distance", "km", "share of the traces within it")
    grid = np.union1d(np.geomspace(_NEAREST_KM, _FARTHEST_KM, 400), THRESHOLDS_KM)
    marks = np.flatnonzero(np.isin(grid, THRESHOLDS_KM)).tolist()
    for run, km, read in known:
        share = np.searchsorted(np.sort(measured(km[read])), grid, side="right") / len(measured(km))
        axes.plot(grid, share, color=run.colour, linestyle=run.dash, marker=run.marker, markevery=marks, label=run.name)
    for mark in THRESHOLDS_KM:
        axes.axvline(mark, color="0.8", linewidth=0.8, zorder=0)
    _logarithmic(axes, THRESHOLDS_KM, [f"{mark:g}" for mark in THRESHOLDS_KM])
    axes.set_ylim(0, 1.02)
    return with_legend(figure)


def tokens(runs: Sequence[Series]) -> Figure | str:
    """Histogram of prompt and completion tokens together."""
    counted = [(run, run.columns["tokens"]) for run in runs]
    return _counts(counted, "Tokens of a trace, prompt and completion", "tokens")


def turns(runs: Sequence[Series]) -> Figure | str:
    """Histogram, a bar a number where there are few."""
    return _counts([(run, run.columns["turns"]) for run in runs], "Turns of a trace", "turns")


def score_by_difficulty(runs: Sequence[Series]) -> Figure | str:
    """The mean score of each tenth of the traces by difficulty, with a line from the lower to the upper quartile."""
    known = [(run, ~np.isnan(run.columns["difficulty"]) & ~np.isnan(run.columns["score"])) for run in runs]
    known = [(run, rows) for run, rows in known if rows.any()]
    if not known:
        return "no trace has both a score and a difficulty"
    every = np.concatenate([run.columns["difficulty"][rows] for run, rows in known])
    edges = np.unique(np.quantile(every, np.arange(1, _DECILES) / _DECILES))
    x, y = "difficulty (low is hard), a point a tenth of the traces", "mean score, with the middle half as a bar"
    figure, axes = _axes("Score by difficulty", x, y)
    for run, rows in known:
        difficulty, score = run.columns["difficulty"][rows], run.columns["score"][rows]
        place = np.searchsorted(edges, difficulty, side="right")
        parts = [(difficulty[place == one], score[place == one]) for one in np.unique(place)]
        at = [float(np.mean(part)) for part, _ in parts]
        axes.vlines(
            at,
            [float(np.percentile(part, 25)) for _, part in parts],
            [float(np.percentile(part, 75)) for _, part in parts],
            color=run.colour,
            alpha=0.4,
            linewidth=3,
        )
        means = [float(np.mean(part)) for _, part in parts]
        axes.plot(at, means, color=run.colour, linestyle=run.dash, marker=run.marker, label=run.name)
    return with_legend(figure)


CHARTS: Final[Mapping[str, Callable[[Sequence[Series]], Figure | str]]] = {
    "distance": distances,
    "accuracy": accuracy_curve,
    "tokens": tokens,
    "turns": turns,
    "difficulty": score_by_difficulty,
}
"""By the name of the file."""


def _counts(counted: Sequence[tuple[Series, Column]], title: str, unit: str) -> Figure | str:
    known = [(run, measured(values)) for run, values in counted]
    known = [(run, values) for run, values in known if len(values)]
    most = max((float(values.max()) for _, values in known), default=0.0)
    if most <= 0:
        return f"no trace has any {unit}"
    figure, axes = _axes(title, unit, "share of the traces")
    edges = np.linspace(0, most, _BINS + 1) if most > _BINS else np.arange(int(most) + 2, dtype=np.float64) - 0.5
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    for run, values in known:
        _histogram(axes, run, values, edges)
    return with_legend(figure)


def _histogram(axes: Axes, run: Series, values: Column, bins: Column) -> None:
    """Shares, so that runs of different sizes can be compared."""
    heights, edges = np.histogram(values, bins=bins)
    axes.stairs(heights / len(values), edges, color=run.colour, linestyle=run.dash, linewidth=1.6, label=run.name)


def _logarithmic(axes: Axes, ticks: Sequence[float], labels: Sequence[str]) -> None:
    """Ticks in plain figures: exponents would be formulas."""
    axes.set_xscale("log")
    axes.set_xticks(ticks, labels=labels)
    axes.set_xticks([], minor=True)


def _axes(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def with_legend(figure: Figure) -> Figure:
    """Below the chart, in as many columns as its width takes: within, it would lie on what it explains. None where
    there is nothing to tell apart."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    if len(labels) == 1:
        return figure
    longest = max(len(label) for label in labels)
    columns = max(1, min(len(labels), int(figure.get_figwidth() / (_INCHES_KEY + _INCHES_LETTER * longest))))
    rows = -(-len(labels) // columns)
    figure.set_figheight(figure.get_figheight() + _INCHES_LINE * rows)
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)
    return figure
