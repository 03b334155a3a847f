"""Where a row says in which country and division its photo was taken."""

from __future__ import annotations

from typing import Any

import pytest
from support.region_traces import Spot

from asyncgen.core.errors import EpisodeError, InputError
from asyncgen.rewards.region_rows import check_region_columns, region_truth


def at_spot(**spot: Any) -> Any:
    return lambda lat, lon: Spot(**spot)


@pytest.mark.parametrize(
    "data",
    [
        {"answer": "$china,yunnan/yunnan/yun nan$"},
        {"answer": "china,yunnan/ yun nan /"},
        {"answer": " $china, yunnan/yun nan$ ", "country": "france", "region": "corsica", "lat": 0, "lon": 0},
        {"country": "china", "region": "yunnan/yun nan"},
        {"answer": None, "country": " china ", "admin1": "yunnan/yun nan"},
        {"answer": "Lijiang", "country": "china", "region": "", "province": "yunnan/yun nan"},
    ],
)
def test_names_are_taken_from_the_answer_or_from_two_columns(data: dict[str, Any]) -> None:
    truth = region_truth(data)
    assert (truth.country, truth.regions) == ("china", ("yunnan", "yun nan"))
    assert (truth.country_codes, truth.division_codes) == ({"CN"}, {"CN-YN"})
    assert not truth.approximate
    assert not truth.near_border
    assert truth.label == "$china,yunnan/yun nan$"


def test_codes_are_names_too() -> None:
    truth = region_truth({"country": "US", "state": "US-CA"})
    assert (truth.country_codes, truth.division_codes) == ({"US"}, {"US-CA"})
    assert region_truth({"country": "US", "state": "CA"}).division_codes == {"US-CA"}


def test_a_name_that_nobody_knows_is_kept_without_a_code() -> None:
    truth = region_truth({"answer": "$atlantis,high town$"})
    assert (truth.country, truth.regions) == ("atlantis", ("high town",))
    assert (truth.country_codes, truth.division_codes) == (frozenset(), frozenset())


def test_a_country_with_a_comma_in_its_name_is_read() -> None:
    truth = region_truth({"answer": "$korea, republic of,seoul/seoul city$"})
    assert (truth.country, truth.regions) == ("korea, republic of", ("seoul", "seoul city"))
    assert truth.country_codes == {"KR"}


@pytest.mark.parametrize(
    "data",
    [
        {"lat": 41.9, "lon": 12.5},
        {"latitude": "41.9", "lng": "12.5"},
        {"lat": "?", "latitude": 41.9, "lon": 12.5},
        {"answer": "41.9, 12.5"},
        {"answer": " $(41.9，+12.5)$ "},
        {"answer": [41.9, 12.5]},
        {"answer": "0, 0", "lat": 41.9, "lon": 12.5},
    ],
)
def test_coordinates_alone_are_looked_up(data: dict[str, Any]) -> None:
    asked: list[tuple[float, float]] = []

    def at(lat: float, lon: float) -> Any:
        asked.append((lat, lon))
        return Spot("CN", "CN-YN", approximate=True, near_border=True)

    truth = region_truth(data, at)
    assert asked == [(41.9, 12.5)]
    assert (truth.country_codes, truth.division_codes) == ({"CN"}, {"CN-YN"})
    assert truth.country == "China"
    assert truth.regions[0].startswith("Yunnan")
    assert truth.approximate
    assert truth.near_border


def test_where_two_levels_count_a_point_is_in_both() -> None:
    truth = region_truth({"lat": 51.9, "lon": -8.47})
    assert (truth.regions, truth.division_codes) == (("Cork", "Munster"), {"IE-CO", "IE-M"})


def test_a_territory_without_divisions_is_one_itself() -> None:
    hong_kong = region_truth({"lat": 22.3, "lon": 114.2}, at_spot(country="HK"))
    assert (hong_kong.country_codes, hong_kong.division_codes) == ({"HK"}, {"HK", "CN-HK"})
    singapore = region_truth({"lat": 1.3, "lon": 103.8}, at_spot(country="SG"))
    assert (singapore.regions, singapore.division_codes) == (("Singapore",), {"SG"})
    assert region_truth({"answer": "$singapore,singapore$"}).division_codes == {"SG"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "no country and region"),
        ({"answer": "Lijiang"}, "answer is 'Lijiang'"),
        ({"answer": ["china", "yunnan"]}, "answer is"),
        ({"answer": "$china,/$"}, "answer is"),
        ({"country": "china", "region": " "}, "no country and region"),
        ({"lat": 1.0}, "no country and region"),
        ({"lat": True, "lon": 1.0}, "no country and region"),
        ({"lat": float("nan"), "lon": 1.0}, "no country and region"),
        ({"lat": 10**400, "lon": 1.0}, "no country and region"),
    ],
)
def test_a_row_that_does_not_say_it_is_a_bad_sample(data: dict[str, Any], said: str) -> None:
    with pytest.raises(EpisodeError, match=said) as caught:
        region_truth(data, at_spot(country="CN", division="CN-YN"))
    assert caught.value.reason == "bad_sample"


def test_a_point_in_no_country_or_off_the_globe_or_in_no_division_is_a_bad_sample() -> None:
    def off(lat: float, lon: float) -> Any:
        raise ValueError(lat)

    with pytest.raises(EpisodeError, match="in no country"):
        region_truth({"lat": 0, "lon": 0}, lambda lat, lon: None)
    with pytest.raises(EpisodeError, match="no place on the globe"):
        region_truth({"lat": 100, "lon": 0}, off)
    with pytest.raises(EpisodeError, match="first-level division is not known"):
        region_truth({"lat": -18.9, "lon": 47.5}, at_spot(country="MG"))


@pytest.mark.parametrize(
    "columns", [["answer"], ["country", "state"], ["lat", "lng"], ["latitude", "lon", "image"], ["message", "answer"]]
)
def test_a_dataset_that_may_say_it_passes(columns: list[str]) -> None:
    check_region_columns(columns)


@pytest.mark.parametrize("columns", [["image"], ["country"], ["region"], ["lat"], ["lon", "country"]])
def test_a_dataset_that_cannot_say_it_is_refused(columns: list[str]) -> None:
    with pytest.raises(InputError, match=f"the columns are {', '.join(columns)}"):
        check_region_columns(columns)
