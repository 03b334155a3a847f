"""Traces in groups, and the main figures of each: by difficulty, with and without tools, by attempt, accepted or not,
by run, and on the samples that several runs have in common.

Knows columns of numbers (`asyncgen.export.measures`). Does not know traces.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

from asyncgen.core.errors import InputError
from asyncgen.core.types import Json
from asyncgen.export.measures import figures, mean, measured, median

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from asyncgen.export.measures import Column, Columns, Rows

EDGES = (0.3, 0.6)
"""Of the bands of a difficulty from 0 (hardest) to 1."""
_MOST_EDGES = 9

Section = dict[str, Any]
"""`column`: what it goes by; `groups`: `group`, its name, and the main figures of each."""


def parse_edges(text: str) -> tuple[float, ...]:
    """`0.3,0.6`: the edges of bands. Raises InputError."""
    try:
        edges = tuple(float(part) for part in text.split(","))
    except ValueError:
        edges = ()
    inside = all(0 < edge < 1 for edge in edges)
    if not (1 <= len(edges) <= _MOST_EDGES and inside and all(low < high for low, high in pairwise(edges))):
        raise InputError(
            f"--bands {text!r}: give 1 to {_MOST_EDGES} ascending numbers between 0 and 1, e.g. --bands 0.2,0.4,0.6"
        )
    return edges


def band_names(edges: Sequence[float]) -> list[str]:
    """One more than there are edges, from hard to easy."""
    low, high = edges[0], edges[-1]
    between = [f"{one:g} to {other:g}" for one, other in pairwise(edges)]
    return [f"< {low:g}", *between, f"> {high:g}" if between else f">= {high:g}"]


def sections(columns: Columns, difficulty: str, edges: Sequence[float] = EDGES) -> dict[str, Section | None]:
    """Null where there is nothing to compare: no such column or one that is not between 0 and 1, or all accepted."""
    bands = by_band(columns["difficulty"], edges)
    tools = by_flag(columns["tools"], "with tools", "without tools")
    accepted = by_flag(columns["accepted"], "accepted", "not accepted")
    attempts = by_flag(columns["retried"], "with a repeated request", "first attempts only")
    both = [(f"{band}, {use}", _both(bands[band], tools[use])) for band, use in product(bands, tools)]
    return {
        "by_difficulty": section(columns, difficulty, bands.items()) if bands else None,
        "by_tools": section(columns, "tools", tools.items()),
        "by_difficulty_and_tools": section(columns, difficulty, both) if bands else None,
        "by_attempt": section(columns, "attempts", attempts.items()),
        "by_accepted": section(columns, "accepted", accepted.items()) if len(accepted["not accepted"]) else None,
    }


def section(columns: Columns, column: str, groups: Iterable[tuple[str, Rows]]) -> Section:
    """The main figures of each group."""
    return {"column": column, "groups": [{"group": name, **figures(columns, rows)} for name, rows in groups]}


def by_band(difficulty: Column, edges: Sequence[float] = EDGES) -> dict[str, Rows]:
    """The rows of each band; empty where nobody measured it, or not from 0 to 1. An edge belongs to the band that it
    begins, the last one, if there are several, to the band that it ends."""
    import numpy as np

    known = measured(difficulty)
    if not len(known) or known.min() < 0 or known.max() > 1:
        return {}
    place = np.searchsorted(edges, difficulty, side="right")
    if len(edges) > 1:
        place[difficulty == edges[-1]] -= 1
    place[np.isnan(difficulty)] = -1
    return {band: np.flatnonzero(place == number) for number, band in enumerate(band_names(edges))}


def by_flag(flag: Column, yes: str, no: str) -> dict[str, Rows]:
    """The rows where it is 1, and where it is 0."""
    import numpy as np

    return {yes: np.flatnonzero(flag == 1), no: np.flatnonzero(flag == 0)}


def by_run(columns: Columns, runs: int) -> list[Rows]:
    """The rows of each path."""
    import numpy as np

    return [np.flatnonzero(columns["run"] == run) for run in range(runs)]


def _both(one: Rows, other: Rows) -> Rows:
    import numpy as np

    return np.intersect1d(one, other, assume_unique=True)


def sample_figures(columns: Columns) -> dict[str, Json]:
    """A sample's tokens and seconds: the sum over its rollouts in one run. Of both the mean and the median."""
    import numpy as np

    known = np.flatnonzero(~np.isnan(columns["index"]))
    run, index = columns["run"][known], columns["index"][known]
    order = np.lexsort((index, run))
    first = np.append(True, (np.diff(run[order]) != 0) | (np.diff(index[order]) != 0))[: len(order)]
    starts = np.flatnonzero(first)
    sums = {
        name: np.add.reduceat(values[known][order], starts) if len(starts) else values[:0]
        for name, values in (("tokens", columns["tokens"]), ("seconds", columns["seconds"]))
    }
    samples = len(starts)
    return {
        "samples": samples,
        "traces_per_sample": len(order) / samples if samples else None,
        "tokens_per_sample": {"mean": mean(sums["tokens"]), "p50": median(sums["tokens"])},
        "seconds_per_sample": {"mean": mean(sums["seconds"]), "p50": median(sums["seconds"])},
    }


def common_samples(columns: Columns, runs: Sequence[Rows]) -> dict[str, Json]:
    """What each run has on the samples of which all have a trace, a sample's rollouts averaged first: mean score,
    median distance, how often it alone has the best score (`best`), and how often no run alone has it (`ties`)."""
    import numpy as np

    index = columns["index"]
    shared = _shared(measured(index[rows]) for rows in runs)
    scores = np.stack([_of_samples(shared, index[rows], columns["score"][rows]) for rows in runs])
    distances = [_of_samples(shared, index[rows], columns["distance"][rows]) for rows in runs]
    best = scores == scores.max(axis=0, initial=-np.inf)
    alone = best.sum(axis=0) == 1
    compared = ~np.isnan(scores).any(axis=0)
    return {
        "samples": len(shared),
        "ties": int((compared & ~alone).sum()),
        "runs": [
            {"mean_score": mean(scores[run]), "median_distance_km": median(distances[run]), "best": int(wins)}
            for run, wins in enumerate((best & alone & compared).sum(axis=1))
        ],
    }


def _shared(indexes: Iterable[Column]) -> npt.NDArray[np.float64]:
    """Sorted, each once."""
    import numpy as np

    first, *others = indexes
    shared = np.unique(first)
    for other in others:
        shared = np.intersect1d(shared, other)
    return shared


def _of_samples(shared: Column, index: Column, values: Column) -> Column:
    """The mean of each shared sample over its rollouts; NaN where none was measured."""
    import numpy as np

    chosen = np.isin(index, shared) & ~np.isnan(values)
    places = np.searchsorted(shared, index[chosen])
    counts = np.bincount(places, minlength=len(shared)).astype(np.float64)
    sums = np.bincount(places, weights=values[chosen], minlength=len(shared))
    means = np.full(len(shared), np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means
