"""Which plots there are, and the map's geometry."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from PIL import Image
from support.stats_runs import geo_trace, some_world
from support.traces import Line, trace_line

from asyncgen.core.errors import InputError
from asyncgen.export.groups import by_run
from asyncgen.export.pairs import Pairs
from asyncgen.export.stats import Stats
from asyncgen.rewards.geo import THRESHOLDS_KM, haversine_km
from asyncgen.view.plots import Plotted, write_plots
from asyncgen.view.plots_charts import accuracy_curve, distances, score_by_difficulty, series, turns
from asyncgen.view.plots_map import great_circle, land, world_map

BARE = trace_line(0, scores={"score": 1.0}, data={})
"""Neither distance nor place nor difficulty."""
PLOTS = ["accuracy", "difficulty", "distance", "map", "tokens", "turns"]


def plotted(folder: Path, *runs: list[Line], names: tuple[str, ...] = (), suffix: str = "png") -> Plotted:
    stats, pairs = Stats(), Pairs()
    for number, traces in enumerate(runs):
        for trace in traces:
            stats.add(trace, number)
            pairs.add(trace, number)
    columns = stats.columns()
    return write_plots(
        columns, names or [f"run {one}" for one, _ in enumerate(runs)], pairs, folder=folder, suffix=suffix
    )


def drawn(chart: object, *runs: list[Line]) -> Figure:
    """The figure of a chart."""
    stats = Stats()
    for number, traces in enumerate(runs):
        for trace in traces:
            stats.add(trace, number)
    columns = stats.columns()
    assert callable(chart)
    figure = chart(series(columns, by_run(columns, len(runs)), [f"run {one}" for one, _ in enumerate(runs)]))
    assert isinstance(figure, Figure)
    return figure


def test_a_legend_lies_below_its_chart_and_within_the_picture() -> None:
    for names in (["short", "other"], [f"a rather long name of a run, the {one}th" for one in range(12)]):
        stats = Stats()
        for number, _ in enumerate(names):
            stats.add(geo_trace(number), number)
        columns = stats.columns()
        figure = distances(series(columns, by_run(columns, len(names)), names))
        assert isinstance(figure, Figure)
        figure.draw_without_rendering()
        legend, chart = figure.legends[0].get_window_extent(), figure.axes[0].get_tightbbox()
        assert chart is not None
        assert legend.y1 <= chart.y0
        assert (legend.x0 >= 0, legend.x1 <= figure.bbox.x1) == (True, True)


def test_one_run_needs_no_legend() -> None:
    assert drawn(distances, [geo_trace(0)]).legends == []


def test_the_first_bar_of_the_distances_says_that_it_has_all_below() -> None:
    ticks = [label.get_text() for label in drawn(distances, [geo_trace(0)]).axes[0].get_xticklabels()]
    assert ticks == ["≤ 0.1", "1", "10", "100", "1,000", "10,000"]


def test_a_way_over_the_pole_does_not_run_along_the_frame() -> None:
    pairs, stats = Pairs(), Stats()
    pairs.add(geo_trace(0, place=(89.0, -100.0), guess=(89.0, 100.0)))
    columns = stats.columns()
    figure = world_map(pairs, series(columns, by_run(columns, 1), ["geo"]))
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    (ways,) = (one for one in axes.collections if isinstance(one, LineCollection))
    seen = ways.get_clip_box()
    assert seen is not None
    assert seen.transformed(axes.transData.inverted()).intervaly.tolist() == pytest.approx([-85, 85])
    assert len(figure.legends) == 1


def test_of_many_runs_no_two_are_drawn_alike() -> None:
    columns = Stats().columns()
    drawn_as = [(run.colour, run.dash) for run in series(columns, by_run(columns, 30), [""] * 30)]
    assert len(set(drawn_as)) == 30


def names_of(done: Plotted) -> list[str]:
    return sorted(path.stem for path in done.written)


def test_a_geo_run_has_all_six_plots_as_pictures(tmp_path: Path) -> None:
    done = plotted(tmp_path, list(some_world(60)))
    assert (names_of(done), done.left_out) == (PLOTS, [])
    for path in done.written:
        with Image.open(path) as picture:
            assert picture.width >= 1000


def test_svg_is_text_with_what_a_viewer_needs(tmp_path: Path) -> None:
    done = plotted(tmp_path, list(some_world(20)), suffix="svg")
    assert all(b"<svg" in path.read_bytes()[:1000] for path in done.written)
    assert sorted(tmp_path.iterdir()) == sorted(done.written)


def test_a_plot_replaces_the_one_that_was_there(tmp_path: Path) -> None:
    (tmp_path / "turns.png").write_bytes(b"old")
    plotted(tmp_path, [BARE])
    assert (tmp_path / "turns.png").read_bytes().startswith(b"\x89PNG")


def test_plots_without_figures_are_left_out_with_the_reason(tmp_path: Path) -> None:
    done = plotted(tmp_path, [BARE])
    assert names_of(done) == ["tokens", "turns"]
    assert dict(done.left_out) == {
        "distance": "no trace has a distance (distance@km) of an answer that could be read",
        "accuracy": "no trace has a distance (distance@km)",
        "difficulty": "no trace has both a score and a difficulty",
        "map": "no trace has both a truth (lat, lon) and an answer that is a place",
    }


def test_no_trace_at_all_has_no_plot(tmp_path: Path) -> None:
    done = plotted(tmp_path, [])
    assert (done.written, sorted(name for name, _ in done.left_out)) == ([], PLOTS)


def test_a_runs_name_is_only_a_name(tmp_path: Path) -> None:
    names = ("$\\frac{", "_hidden", "法国 🦊", "a\x1b[2Jb\nc", "x" * 500)
    done = plotted(tmp_path, *([geo_trace(one)] for one, _ in enumerate(names)), names=names)
    assert names_of(done) == PLOTS


def test_a_folder_that_takes_no_files_is_the_users_to_change(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be written: .*; give --plots another folder"):
        plotted(tmp_path / "nowhere", [geo_trace(0)])


def test_runs_differ_in_dash_and_marker_as_well_as_in_colour() -> None:
    figure = drawn(accuracy_curve, list(some_world(20, 1)), list(some_world(20, 2)))
    curves = [line for line in figure.axes[0].lines if line.get_label() in {" run 0", " run 1"}]
    looks = [(line.get_color(), line.get_linestyle(), line.get_marker()) for line in curves]
    assert all(one != other for one, other in zip(*looks, strict=True))


def test_the_accuracy_curve_passes_through_the_shares_within_each_threshold() -> None:
    traces = list(some_world(50, 4))
    curve = drawn(accuracy_curve, traces).axes[0].lines[0]
    x, y = np.asarray(curve.get_xdata()), np.asarray(curve.get_ydata())
    for km in THRESHOLDS_KM:
        within = [trace["reward_score"][f"acc@{km}km"] for trace in traces]
        assert y[x == km] == pytest.approx(np.mean(within))
    assert y[-1] == pytest.approx(np.mean([trace["reward_score"]["parse_success"] for trace in traces]))


def test_the_histogram_of_distances_is_of_the_answers_that_could_be_read_and_loses_none() -> None:
    traces = [geo_trace(0, km=0.0), geo_trace(1, km=20_000.0), geo_trace(2, km=5.0), geo_trace(3, parsed=False)]
    (steps,) = drawn(distances, traces).axes[0].patches
    heights = steps.get_data().values  # type: ignore[attr-defined]  # a StepPatch
    assert sorted(heights[heights > 0]) == pytest.approx([1 / 3] * 3)


def test_few_turns_have_a_bar_a_number() -> None:
    (steps,) = drawn(turns, [geo_trace(0), geo_trace(1, tools=1), geo_trace(2, tools=1)]).axes[0].patches
    data = steps.get_data()  # type: ignore[attr-defined]  # a StepPatch
    assert dict(zip(data.edges[:-1] + 0.5, data.values, strict=True)) == pytest.approx({0: 0, 1: 1 / 3, 2: 2 / 3})


def test_score_by_difficulty_has_the_mean_of_each_tenth() -> None:
    traces = [geo_trace(one, difficulty=one / 100, km=one * 10.0) for one in range(100)]
    (curve,) = drawn(score_by_difficulty, traces).axes[0].lines
    means = [np.mean([trace["reward_score"]["score"] for trace in traces[at : at + 10]]) for at in range(0, 100, 10)]
    assert np.asarray(curve.get_ydata()).tolist() == pytest.approx(means)


def test_the_map_says_how_many_of_the_pairs_it_shows() -> None:
    pairs = Pairs(limit=5)
    for trace in some_world(40, 5):
        pairs.add(trace)
    stats = Stats()
    columns = stats.columns()
    figure = world_map(pairs, series(columns, by_run(columns, 1), ["geo"]))
    assert isinstance(figure, Figure)
    assert figure.axes[0].get_title() == f"Truth and guess: 5 of {pairs.seen.total()} traces, drawn by lot"


PLACE = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


@settings(max_examples=100, deadline=None)
@given(PLACE, PLACE)
def test_a_great_circle_is_as_long_as_the_distance_and_never_leaves_the_map(
    start: tuple[float, float], end: tuple[float, float]
) -> None:
    lines = great_circle(start, end)
    length = 0.0
    for line in lines:
        assert (np.abs(line[:, 0]) <= 180 + 1e-9).all()
        assert (np.abs(line[:, 1]) <= 90 + 1e-9).all()
        assert (np.abs(np.diff(line[:, 0])) <= 180 + 1e-9).all()
        length += sum(haversine_km(a[1], a[0], b[1], b[0]) for a, b in pairwise(line))
    distance = haversine_km(*start, *end)
    assert distance - 1 <= length
    if max(abs(start[0]), abs(end[0])) < 60 and distance < 3000:  # near a pole the cut at 180° is no great circle
        assert length <= distance * 1.01 + 1


def test_a_line_over_the_date_line_is_two_lines_that_meet_it_at_one_latitude() -> None:
    west, east = great_circle((50.0, 170.0), (52.0, -165.0))
    assert west[0].tolist() == pytest.approx([170.0, 50.0])
    assert east[-1].tolist() == pytest.approx([-165.0, 52.0])
    assert (west[-1][0], east[0][0]) == (180.0, -180.0)
    assert west[-1][1] == east[0][1] > 51.0


def test_places_on_opposite_sides_of_the_globe_are_joined_by_half_a_circle() -> None:
    lines = great_circle((0.0, 0.0), (0.0, 180.0))
    length = sum(haversine_km(a[1], a[0], b[1], b[0]) for line in lines for a, b in pairwise(line))
    assert length == pytest.approx(np.pi * 6371, rel=0.01)


@pytest.mark.parametrize(
    ("place", "dry"),
    [
        ((15.0, 47.0), True), ((-100.0, 40.0), True), ((135.0, -25.0), True), ((178.0, 68.0), True),
        ((-175.0, 66.5), True), ((0.0, -85.0), True), ((-30.0, 30.0), False), ((-150.0, 0.0), False),
        ((51.0, 42.0), False),
    ],
)  # fmt: skip
def test_the_land_is_where_it_is(place: tuple[float, float], dry: bool) -> None:
    outline = land()
    rings = outline.to_polygons(closed_only=True)
    inside = sum(_winding(np.asarray(ring), place) for ring in rings)
    assert bool(inside) is dry


def _winding(ring: np.ndarray[tuple[int, int], np.dtype[np.float64]], place: tuple[float, float]) -> int:
    """How often the ring goes around the place: a hole takes back what its outline gives."""
    angles = np.unwrap(np.arctan2(ring[:, 1] - place[1], ring[:, 0] - place[0]))
    return round(float(angles[-1] - angles[0]) / (2 * np.pi))


@pytest.mark.deep  # matplotlib looks for all fonts where it has no cache
def test_a_home_that_cannot_be_written_is_not_worth_a_word(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2]);"
        "from support.stats_runs import counted, geo_trace; from asyncgen.export.pairs import Pairs;"
        "from asyncgen.view.plots import write_plots;"
        "write_plots(counted(geo_trace(0)).columns(), ['run'], Pairs(), folder=Path(sys.argv[1]), suffix='png')"
    )
    tests = Path(__file__).parents[1]
    closed = {"HOME": "/nonexistent", "MPLCONFIGDIR": "/proc/none", "XDG_CACHE_HOME": "/proc/none"}
    ended = subprocess.run(
        [sys.executable, "-c", code, tmp_path, tests],
        env=os.environ | closed,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (ended.stdout, ended.stderr) == ("", "")
    assert (tmp_path / "turns.png").exists()
