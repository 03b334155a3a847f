"""Where well-known places are: cities on known sides of borders, islands, ±180°, the poles, the sea."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.polygon_files import collection, feature, square

from asyncgen.places.points import Place, Points


@pytest.fixture(scope="module")
def points() -> Points:
    return Points()


@pytest.mark.parametrize(
    ("lat", "lon", "country", "division"),
    [
        pytest.param(48.137, 11.575, "DE", "DE-BY", id="Munich"),
        pytest.param(48.857, 2.352, "FR", "FR-IDF", id="Paris"),
        pytest.param(40.713, -74.006, "US", "US-NY", id="New York"),
        pytest.param(38.5, -98.5, "US", "US-KS", id="Kansas"),
        pytest.param(38.04, 114.51, "CN", "CN-HE", id="Shijiazhuang, Hebei"),
        pytest.param(30.59, 114.31, "CN", "CN-HB", id="Wuhan, Hubei"),
        pytest.param(22.543, 114.058, "CN", "CN-GD", id="Shenzhen, beside Hong Kong"),
        pytest.param(35.68, 139.76, "JP", "JP-13", id="Tokyo"),
        pytest.param(-33.87, 151.21, "AU", "AU-NSW", id="Sydney"),
        pytest.param(-23.55, -46.63, "BR", "BR-SP", id="São Paulo"),
        pytest.param(54.71, 20.45, "RU", "RU-KGD", id="Kaliningrad, apart from Russia"),
        pytest.param(-29.6, 28.2, "LS", "LS-K", id="Lesotho, within South Africa"),
        pytest.param(48.573, 7.752, "FR", "FR-GES", id="Strasbourg, on the Rhine"),
        pytest.param(48.575, 7.815, "DE", "DE-BW", id="Kehl, across the Rhine"),
        pytest.param(47.56, 7.589, "CH", "CH-BS", id="Basel, where three countries meet"),
        pytest.param(42.331, -83.046, "US", "US-MI", id="Detroit"),
        pytest.param(42.3, -83.02, "CA", "CA-ON", id="Windsor, across the river"),
        pytest.param(35.889, -5.32, "ES", "ES-CE", id="Ceuta, in Africa"),
        pytest.param(1.4927, 103.7414, "MY", "MY-01", id="Johor Bahru"),
        pytest.param(35.51, 12.6, "IT", "IT-82", id="Lampedusa, too small for 1:50 m"),
        pytest.param(44.95, 34.1, "UA", "UA-43", id="Crimea, by its ISO 3166-2 code"),
        pytest.param(35.34, 33.32, "CY", "CY-06", id="Kyrenia"),
        pytest.param(71.2, -179.5, "RU", "RU-CHU", id="Wrangel Island, east of 180°"),
        pytest.param(22.62, 120.3, "TW", "TW-KHH", id="Kaohsiung"),
        pytest.param(24.80, 120.97, "TW", "TW-HSZ", id="Hsinchu, the city"),
        pytest.param(44.8, 20.46, "RS", "RS-00", id="Belgrade"),
        pytest.param(42.0, 21.43, "MK", "MK-85", id="Skopje"),
        pytest.param(35.8997, 14.5147, "MT", "MT-60", id="Valletta, 1 km from Floriana"),
        pytest.param(0.336, 6.73, "ST", "ST-01", id="São Tomé"),
        pytest.param(-18.88, 47.5, "MG", "MG-T", id="Antananarivo"),
        pytest.param(31.5, 34.46, "PS", "PS-GZA", id="Gaza"),
        pytest.param(51.9, -8.47, "IE", "IE-CO", id="Cork, a county in a province"),
        pytest.param(10.3, 123.9, "PH", "PH-CEB", id="Cebu, a province in a region"),
    ],
)
def test_a_city_is_in_its_country_and_division(
    points: Points, lat: float, lon: float, country: str, division: str
) -> None:
    place = points.at(lat, lon)
    assert place is not None
    assert (place.country, place.division, place.approximate) == (country, division, True)


def test_a_point_beside_a_city_without_a_division_has_none(points: Points) -> None:
    assert points.at(35.181, 45.985) == Place("IQ", "", approximate=False, near_border=False)  # Halabja, since 2014


@pytest.mark.parametrize(
    ("lat", "lon", "country"),
    [
        pytest.param(22.319, 114.169, "HK", id="Hong Kong"),
        pytest.param(22.19, 113.54, "MO", id="Macao"),
        pytest.param(1.29, 103.85, "SG", id="Singapore"),
        pytest.param(41.902, 12.435, "VA", id="Vatican, which 1:50 m has 1 km too far west"),
        pytest.param(18.067, -63.083, "MF", id="Marigot, on an island of two countries"),
        pytest.param(18.03, -63.05, "SX", id="Philipsburg, on the same island"),
        pytest.param(43.7384, 7.4246, "MC", id="Monaco"),
        pytest.param(43.942, 12.458, "SM", id="San Marino"),
        pytest.param(36.14, -5.353, "GI", id="Gibraltar"),
        pytest.param(42.66, 21.16, "XK", id="Pristina"),
        pytest.param(9.56, 44.06, "SO", id="Hargeisa"),
        pytest.param(78.223, 15.627, "SJ", id="Longyearbyen"),
        pytest.param(79.8, 22.5, "SJ", id="the other large island of Svalbard"),
        pytest.param(4.922, -52.313, "GF", id="Cayenne"),
        pytest.param(-20.879, 55.448, "RE", id="Réunion"),
        pytest.param(12.144, -68.266, "BQ", id="Bonaire"),
        pytest.param(-10.48, 105.63, "CX", id="Christmas Island"),
        pytest.param(-12.15, 96.83, "CC", id="Cocos Islands"),
        pytest.param(-78.46, 106.8, "AQ", id="Antarctica"),
        pytest.param(25.033, 121.565, "TW", id="Taipei"),
        pytest.param(18.42, -66.05, "PR", id="Puerto Rico"),
        pytest.param(-18.14, 178.44, "FJ", id="Suva"),
    ],
)
def test_a_territory_with_an_iso_code_is_a_country_of_its_own(
    points: Points, lat: float, lon: float, country: str
) -> None:
    place = points.at(lat, lon)
    assert place is not None
    assert place.country == country


@pytest.mark.parametrize("lon", [179.99, 180.0, -180.0, -179.98])
def test_vanua_levu_s_neighbour_taveuni_is_fiji_on_both_sides_of_180(points: Points, lon: float) -> None:
    place = points.at(-16.8, lon)
    assert place is not None
    assert (place.country, place.near_border) == ("FJ", False)


def test_a_point_on_180_is_the_same_place_as_on_minus_180(points: Points) -> None:
    assert points.at(67, 180.0) == points.at(67, -180.0) == Place("RU", "RU-CHU", approximate=True, near_border=False)


@pytest.mark.parametrize("lon", [-180.0, -90.0, 0.0, 123.4, 180.0])
def test_the_south_pole_is_antarctica_and_the_north_pole_is_sea(points: Points, lon: float) -> None:
    assert points.at(-90, lon) == Place("AQ", "", approximate=False, near_border=False)
    assert points.at(90, lon) is None


@pytest.mark.parametrize(("lat", "lon"), [(0, 0), (-40, -120), (30, -45), (53.5, 4.0), (43.5, 34)])
def test_the_open_sea_is_no_place(points: Points, lat: float, lon: float) -> None:
    assert points.at(lat, lon) is None


def test_a_point_off_the_coast_belongs_to_the_nearest_land_and_is_approximate(points: Points) -> None:
    off_barcelona = points.at(41.30, 2.30)
    off_bermuda = points.at(32.2, -64.7)
    assert off_barcelona == Place("ES", "ES-CT", approximate=True, near_border=False)
    assert off_bermuda is not None
    assert (off_bermuda.country, off_bermuda.approximate) == ("BM", True)


@pytest.mark.parametrize(
    ("lat", "lon"),
    [
        pytest.param(47.56, 7.589, id="Basel"),
        pytest.param(31.762, -106.485, id="El Paso"),
        pytest.param(31.69, -106.425, id="Ciudad Juárez"),
        pytest.param(51.438, 4.93, id="Baarle: its enclaves are finer than 1:50 m"),
        pytest.param(-29.315, 27.487, id="Maseru, at the edge of a hole in South Africa"),
        pytest.param(22.535, 114.06, id="Shenzhen"),
        pytest.param(41.8902, 12.4722, id="Rome, beside the Vatican"),
        pytest.param(1.44, 103.79, id="the north of Singapore, across a strait"),
        pytest.param(49.0, -100.0, id="the 49th parallel, a straight line on the map"),
    ],
)
def test_a_point_beside_another_country_is_near_a_border(points: Points, lat: float, lon: float) -> None:
    place = points.at(lat, lon)
    assert place is not None
    assert place.near_border


@pytest.mark.parametrize(
    ("lat", "lon"), [(48.137, 11.575), (38.5, -98.5), (54.71, 20.45), (-29.6, 28.2), (41.30, 2.30), (48.9, -100.0)]
)
def test_a_point_far_from_other_countries_is_not(points: Points, lat: float, lon: float) -> None:
    place = points.at(lat, lon)
    assert place is not None
    assert not place.near_border


@pytest.mark.parametrize(
    ("lat", "lon"),
    [(math.nan, 0.0), (0.0, math.nan), (math.inf, 0.0), (0.0, -math.inf), (90.01, 0.0), (0.0, 180.5), (116.4, 39.9)],
)
def test_what_is_no_latitude_or_longitude_is_a_value_error(points: Points, lat: float, lon: float) -> None:
    with pytest.raises(ValueError, match="is no place: latitude must be within ±90°"):
        points.at(lat, lon)


@given(lat=st.floats(-90, 90), lon=st.floats(-180, 180))
@settings(max_examples=100, deadline=None)
def test_every_point_is_sea_or_a_place_whose_division_is_in_its_country(points: Points, lat: float, lon: float) -> None:
    place = points.at(lat, lon)
    assert place is None or (len(place.country) == 2 and place.division[:2] in {place.country, ""})


def test_the_user_s_polygons_count_before_the_cities_and_mark_their_own_borders(tmp_path: Path) -> None:
    left, right = square(-99, 38, -98.5, 39), square(-98.5, 38, -98, 39)
    file = collection(tmp_path / "us.json", feature([left], iso_3166_2="US-NE"), feature([right], iso_3166_2="US-OK"))
    points = Points(file)
    assert points.at(38.5, -98.9) == Place("US", "US-NE", approximate=False, near_border=False)
    assert points.at(38.5, -98.1) == Place("US", "US-OK", approximate=False, near_border=False)
    assert points.at(38.5, -98.48) == Place("US", "US-OK", approximate=False, near_border=True)
    # Outside of the file: 0.02° west of it, the other division begins where the city's ends.
    assert points.at(38.5, -99.02) == Place("US", "US-KS", approximate=True, near_border=True)
    assert points.at(37.5, -100) == Place("US", "US-KS", approximate=True, near_border=False)
    assert points.unknown == ()
