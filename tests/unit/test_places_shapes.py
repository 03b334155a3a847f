"""Distances to outlines, and the tables that `make_points` made."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from asyncgen.places import borders, cities
from asyncgen.places.names import divisions
from asyncgen.places.rings import polygons_of
from asyncgen.places.shapes import Shapes

EARTH_KM = 6371.0


def haversine(lat: float, lon: float, other_lat: float, other_lon: float) -> float:
    north, other = math.radians(lat), math.radians(other_lat)
    half = math.sin((other - north) / 2) ** 2
    half += math.cos(north) * math.cos(other) * math.sin(math.radians(other_lon - lon) / 2) ** 2
    return 2 * EARTH_KM * math.asin(math.sqrt(half))


@given(lat=st.floats(-75, 75), lon=st.floats(-180, 180), away=st.floats(0.5, 30), bearing=st.floats(0, 2 * math.pi))
@settings(max_examples=100, deadline=None)
def test_the_distance_to_a_tiny_square_is_the_haversine_distance_within_one_percent(
    lat: float, lon: float, away: float, bearing: float
) -> None:
    other_lat = lat + math.degrees(away / EARTH_KM) * math.cos(bearing)
    other_lon = lon + math.degrees(away / EARTH_KM) * math.sin(bearing) / math.cos(math.radians(lat))
    other_lon = (other_lon + 180) % 360 - 180
    assume(abs(other_lon) < 179.999)
    size = 1e-7
    shapes = Shapes(["A"], np.array([shapely.box(other_lon, other_lat, other_lon + size, other_lat + size)]))
    distance = haversine(lat, lon, other_lat, other_lon)
    assert shapes.nearest(lat, lon, within=distance * 1.01) == "A"
    assert shapes.nearest(lat, lon, within=distance * 0.99) is None


def test_the_nearest_outline_is_found_on_every_segment_of_a_long_ring() -> None:
    circle = shapely.Point(0, 0).buffer(1, quad_segs=25)
    shapes = Shapes(["A"], np.array([circle]))
    for degrees in range(360):
        angle = math.radians(degrees)
        lat, lon = 1.01 * math.sin(angle), 1.01 * math.cos(angle)
        assert shapes.nearest(lat, lon, within=1.25) == "A"
        assert shapes.nearest(lat, lon, within=1.05) is None


def test_the_nearest_of_two_counts_and_one_may_be_left_out() -> None:
    shapes = Shapes(["A", "B"], np.array([shapely.box(0, 0, 1, 1), shapely.box(1.1, 0, 2, 1)]))
    assert shapes.nearest(0.5, 1.02, within=20) == "A"
    assert shapes.nearest(0.5, 1.02, within=20, but="A") == "B"
    assert shapes.nearest(0.5, 1.02, within=5, but="A") is None


def test_an_edge_belongs_to_its_polygon() -> None:
    shapes = Shapes(["A"], np.array([shapely.box(0, 0, 1, 1)]))
    assert [shapes.inside(*point) for point in ((0, 0.5), (1, 1), (0.5, 0))] == ["A", "A", "A"]
    assert shapes.inside(1.001, 0.5) is None


def test_a_ring_around_the_south_pole_has_the_pole_inside() -> None:
    ring = np.array([(lon, -80.0) for lon in range(-180, 180, 10)] + [(-180.0, -80.0)])
    shapes = Shapes(["A"] * len(found := polygons_of([ring])), np.array(found))
    assert [shapes.inside(-90, 0), shapes.inside(-85, 179), shapes.inside(-85, -179)] == ["A", "A", "A"]
    assert shapes.inside(-79, 0) is None


def test_rings_without_an_area_are_no_polygon() -> None:
    assert polygons_of([]) == []
    assert polygons_of([np.array([(0.0, 0.0), (1.0, 1.0), (0.0, 0.0)])]) == []
    assert polygons_of([np.array([(0.0, 0.0), (1.0, 1.0), (2.0, 2.0), (0.0, 0.0)])]) == []


_DEGREES = st.floats(-360, 360) | st.sampled_from([-360.0, -180.0, 180.0, 360.0, 1e-300])


@given(rings=st.lists(st.lists(st.tuples(_DEGREES, _DEGREES.map(lambda lat: lat / 4)), min_size=1), max_size=3))
@settings(max_examples=100, deadline=None)
def test_of_any_rings_only_valid_polygons_within_180_are_left(rings: list[list[tuple[float, float]]]) -> None:
    found = polygons_of([np.array(ring) for ring in rings])
    assert all(polygon.is_valid and abs(polygon.bounds[0]) <= 180 >= polygon.bounds[2] for polygon in found)


def test_borders_are_read_as_they_were_written(tmp_path: Path) -> None:
    polygons = np.array([shapely.box(0, 0, 1, 1), shapely.box(2, 0, 3, 1) - shapely.box(2.25, 0.25, 2.75, 0.75)])
    borders.save_borders(tmp_path / "b.npz", ["AA", "BB"], polygons)
    shapes = borders.load_borders(tmp_path / "b.npz")
    assert [shapes.inside(0.5, 0.5), shapes.inside(0.1, 2.1), shapes.inside(0.5, 2.5)] == ["AA", "BB", None]


def test_cities_are_read_as_they_were_written_and_asked_by_country(tmp_path: Path) -> None:
    made = [("BB-2", 10000, 179900), ("AA-1", 0, 0), ("BB-1", 10000, 170000), ("AA-2", 1000, 0)] * 2
    assert cities.save_cities(tmp_path / "c.npz", made) == 4
    known = cities.load_cities(tmp_path / "c.npz")
    assert [known.nearest("AA", lat, 0.1) for lat in (0.4, 0.6, 80)] == ["AA-1", "AA-2", "AA-2"]
    assert [known.nearest("BB", 10, lon) for lon in (-179, 171)] == ["BB-2", "BB-1"]
    assert known.nearest("CC", 10, 0) == ""


def test_a_city_without_a_division_hides_the_next_one_but_none_at_the_same_place(tmp_path: Path) -> None:
    made = [("AA-1", 0, 0), (cities.unknown("AA"), 0, 0), (cities.unknown("AA"), 1000, 0)]
    assert cities.save_cities(tmp_path / "c.npz", made) == 2
    known = cities.load_cities(tmp_path / "c.npz")
    assert [known.nearest("AA", lat, 0) for lat in (0, 1)] == ["AA-1", ""]


def test_the_table_of_borders_has_every_country_but_one_uninhabited_island() -> None:
    with np.load(borders.FILE) as file:
        codes = set(file["countries"].tolist())
    assert len(codes) == 249
    assert {"XK", "HK", "MO", "TW", "PR", "GF", "SJ", "GI", "TV"} <= codes
    assert "BV" not in codes
    assert borders.FILE.stat().st_size < 400_000


def test_every_division_in_the_table_of_cities_is_a_first_level_one_by_its_code() -> None:
    with np.load(cities.FILE) as file:
        codes, places = file["divisions"].tolist(), len(file["lat"])
    assert places > 150_000
    assert cities.FILE.stat().st_size < 1_000_000
    assert [code for code in codes if code not in {cities.unknown(code[:2]), *divisions(code, code[:2])}] == []


@pytest.mark.parametrize("country", ["US", "CN", "DE", "FR", "IT", "ES", "GB", "IN", "BR", "RU", "UA", "CZ", "PL"])
def test_the_cities_of_a_large_country_are_in_nearly_all_of_its_divisions(country: str) -> None:
    from asyncgen.places.iso import first_level

    with np.load(cities.FILE) as file:
        codes = set(file["divisions"].tolist())
    known = [division.code for division in first_level()[country]]
    assert sum(code in codes for code in known) >= 0.5 * len(known)  # FR has twelve overseas
