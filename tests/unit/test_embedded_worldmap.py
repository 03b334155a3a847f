"""The world map: what is where, and what a tile shows."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from support.embedded_world import tile, world

from asyncgen.embedded.worldmap import WorldMap, cut_tile, land_share


def gradient_world() -> WorldMap:
    """1 pixel a degree; a pixel's value is its column, by halves."""
    row = (np.arange(360) // 2).astype(np.uint8)
    return WorldMap(Image.fromarray(np.tile(row, (180, 1))))


@pytest.mark.parametrize(
    ("place", "lat", "lon", "is_land"),
    [
        ("Sahara", 23, 10, True),
        ("Kansas", 38, -98, True),
        ("Amazonia", -5, -60, True),
        ("Greenland's ice", 72, -40, True),
        ("Pacific", 0, -150, False),
        ("Mediterranean", 35, 18, False),
        ("Indian Ocean", -30, 80, False),
    ],
)
def test_land_and_sea_are_told_apart_at_known_places(place, lat, lon, is_land):
    assert (land_share(world().land(), lat, lon, 2, 2) > 0.5) is is_land


def test_the_strait_of_gibraltar_has_europe_above_and_africa_below():
    strait = np.asarray(tile(36.0, -5.6, 6), dtype=int)
    blueness = strait[..., 2] - strait[..., 0]
    assert blueness[:60, 300:400].mean() < 0 < blueness[:, :40].mean()
    assert blueness[-60:, 300:400].mean() < 0


def test_a_tile_has_its_centre_at_the_place_asked_for():
    cut = np.asarray(cut_tile(gradient_world(), 10, 20, 40, (80, 60)), dtype=float)
    assert cut[30, 39:41].mean() == pytest.approx((20 + 180) / 2, abs=0.6)
    assert cut[30, -1] - cut[30, 0] == pytest.approx(40 / 2, abs=1.1)


def test_a_tile_over_the_date_line_joins_both_edges_of_the_map():
    cut = np.asarray(cut_tile(gradient_world(), 0, 180, 40, (80, 60)), dtype=int)
    assert cut[30, 10] > 160
    assert cut[30, 70] < 20


def test_longitudes_one_turn_apart_give_the_same_tile():
    assert tile(10, -170, 20).tobytes() == tile(10, 190, 20).tobytes()


def test_a_portrait_tile_has_its_span_along_its_height():
    cut = np.asarray(cut_tile(gradient_world(), 0, 0, 40, (60, 80)), dtype=float)
    assert cut[40, -1] - cut[40, 0] == pytest.approx(30 / 2, abs=1.1)


@pytest.mark.parametrize(("lat", "span"), [(80, 20), (-84, 6), (89, 1), (0, 0), (0, -3), (0, 121)])
def test_a_tile_beyond_the_poles_or_of_no_size_is_refused(lat, span):
    with pytest.raises(ValueError, match=r"reaches beyond|cannot be cut"):
        cut_tile(gradient_world(), lat, 0, span)
