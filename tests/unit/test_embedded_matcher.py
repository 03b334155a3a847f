"""The map matcher finds pictures that it never saw."""

from __future__ import annotations

import random

import numpy as np
import pytest
from PIL import Image
from support.embedded_world import jpeg, kilometres, matcher, tile

from asyncgen.embedded.matcher import Bounded, Near, Plane, box_sums, fast_length, wrap
from asyncgen.embedded.pictures import centre, decode_grey, detail


def crops(count: int) -> list[tuple[float, float, float]]:
    """Places with something to see: 10 to 40 degrees wide."""
    rng = random.Random(11)
    found: list[tuple[float, float, float]] = []
    while len(found) < count:
        lat, lon, span = rng.uniform(-60, 60), rng.uniform(-180, 180), rng.uniform(10, 40)
        if detail(tile(lat, lon, span).convert("L")) > 1.5:
            found.append((lat, lon, span))
    return found


def test_random_crops_at_jpeg_quality_60_are_found_within_200_km_and_their_span_within_a_tenth():
    misses = 0
    for lat, lon, span in crops(12):
        match = matcher().match(decode_grey(jpeg(tile(lat, lon, span), quality=60)))
        misses += kilometres((lat, lon), (match.lat, match.lon)) > 200 or not 0.9 < match.span / span < 1.1
    assert misses <= 1


def test_the_right_orientation_scores_higher_than_the_others():
    grey = decode_grey(jpeg(tile(38, 24, 20)))
    scores = [matcher().match(grey.rotate(angle, expand=True)).score for angle in (0, 90, 180, 270)]
    assert scores[0] == max(scores)
    assert scores[0] > 0.94 > max(scores[1:])


def test_a_crop_over_the_date_line_is_found():
    match = matcher().match(decode_grey(jpeg(tile(-17, 179.5, 25))))
    assert kilometres((-17, 179.5), (match.lat, match.lon)) < 50


def test_a_closer_look_brings_the_place_nearer():
    lat, lon, span = 12.0, 43.0, 30.0
    grey = decode_grey(jpeg(tile(lat, lon, span)))
    near = Near(lat + 0.9, lon - 0.9, span / 3, span * 0.12)
    match = matcher().match(centre(grey, 1 / 3), near=near)
    assert kilometres((lat, lon), (match.lat, match.lon)) < 10


def test_a_closer_look_works_at_the_edge_of_the_map():
    match = matcher().match(decode_grey(jpeg(tile(77, 180, 8))), near=Near(77.2, -179.7, 8, 3))
    assert kilometres((77, 180), (match.lat, match.lon)) < 10


def test_a_coast_has_some_land_and_a_desert_has_nothing_else():
    coast = matcher().match(tile(36, -5.6, 12).convert("L"))
    desert = matcher().match(tile(22, 12, 12).convert("L"))
    assert 0.1 < coast.land < 0.9
    assert desert.land > 0.95


@pytest.mark.parametrize("size", [(1, 1), (640, 480), (3, 900), (900, 3)])
def test_a_picture_that_shows_nothing_scores_nothing(size):
    assert matcher().match(Image.new("L", size, 128)).score == 0


def test_noise_matches_nothing_well():
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (480, 640), dtype=np.uint8))
    assert matcher().match(noise).score < 0.8


def test_scores_are_the_normalised_cross_correlation_written_out():
    rng = np.random.default_rng(2)
    pixels, picture = (rng.uniform(0, 255, shape).astype(np.float32) for shape in ((20, 31), (6, 8)))
    plane = Plane.of(pixels)
    found = plane.scores(picture, plane.spreads((6, 8)))
    for row, column in ((0, 0), (14, 23), (7, 11)):
        window = pixels[row : row + 6, column : column + 8]
        assert found[row, column] == pytest.approx(np.corrcoef(window.ravel(), picture.ravel())[0, 1], abs=1e-4)
    assert found.shape == (15, 24)


def test_box_sums_are_the_sums_of_all_windows():
    values = np.arange(20, dtype=np.float32).reshape(4, 5)
    assert box_sums(values, (2, 3))[1, 2] == values[1:3, 2:5].sum()
    assert box_sums(values, (4, 5)).tolist() == [[190.0]]


def test_lengths_and_longitudes():
    assert [fast_length(least) for least in (1, 7, 31, 721)] == [1, 8, 32, 729]
    assert [wrap(lon) for lon in (-181, 180, 540, 12.5)] == [179, -180, -180, 12.5]


def test_only_the_latest_results_are_remembered():
    kept: Bounded[int, int] = Bounded(2)
    made: list[int] = []

    def ask(key: int) -> int:
        return kept.get(key, lambda: made.append(key) or key * 10)

    assert [ask(key) for key in (1, 2, 1, 3, 1, 2)] == [10, 20, 10, 30, 10, 20]
    assert made == [1, 2, 3, 2]
    assert len(kept) == 2
