"""Distance, score and truth of the geo jobs."""

from __future__ import annotations

import math
from typing import Any, cast

import pytest

from asyncgen.core.errors import EpisodeError, FailReason
from asyncgen.core.trace import Trace
from asyncgen.core.types import Context, Sample, Scores
from asyncgen.rewards.geo import GEO_FAILURE, WORLD_MAP_SCALE_KM, GeoReward, haversine_km

KEYS = ["score", "distance@km", "geoguessr@point", "parse_success"]
KEYS += ["acc@1km", "acc@25km", "acc@200km", "acc@750km", "acc@2500km"]
KM_PER_DEGREE = math.pi * 6371.0 / 180


def score(answer: str, data: dict[str, Any], reward: GeoReward | None = None) -> Scores:
    trace = Trace(
        id="geo/0/0", config_id="", rollout=0, dataset_path="", sample_index=0, sample_data=data, answer=answer
    )
    return (reward or GeoReward())(cast("Context", None), Sample(index=0, data=data), trace)


def east_of_origin(km: float) -> str:
    return f"0.0, {km / KM_PER_DEGREE:.12f}"


def test_known_distances_come_out_on_a_sphere_of_6371_km() -> None:
    assert haversine_km(48.8566, 2.3522, 51.5074, -0.1278) == pytest.approx(343.56, abs=0.01)
    assert haversine_km(0, 0, 0, 180) == pytest.approx(math.pi * 6371.0)
    assert haversine_km(12.3, 45.6, 12.3, 45.6) == 0.0
    assert haversine_km(0, 179.9, 0, -179.9) == pytest.approx(0.2 * KM_PER_DEGREE)


@pytest.mark.parametrize(("km", "expected"), [(497.80, 0.7164), (10847.74, 0.0007), (12.5, 0.9917), (245.67, 0.8482)])
def test_the_score_falls_with_distance_as_published(km: float, expected: float) -> None:
    scores = score(east_of_origin(km), {"lat": 0, "lon": 0})
    assert round(float(scores["score"]), 4) == expected
    assert scores["geoguessr@point"] == 5000 * float(scores["score"])


def test_10847_74_km_are_three_points() -> None:
    assert int(float(score(east_of_origin(10847.74), {"lat": 0, "lon": 0})["geoguessr@point"])) == 3


def test_a_perfect_guess_scores_one_and_every_threshold() -> None:
    scores = score("48.8584, 2.2945", {"lat": 48.8584, "lon": 2.2945})
    assert list(scores) == KEYS
    assert list(scores.values()) == [1.0, 0.0, 5000.0, True, 1.0, 1.0, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("answer", ["", "nowhere", "91.0, 0.0"])
def test_an_answer_that_cannot_be_read_gets_the_failure_values(answer: str) -> None:
    scores = score(answer, {"lat": 1.0, "lon": 2.0})
    assert list(scores) == KEYS
    assert scores == GEO_FAILURE
    assert list(scores.values()) == [0.0, 20000.0, 0.0, False, 0.0, 0.0, 0.0, 0.0, 0.0]


def test_every_score_but_parse_success_is_a_float() -> None:
    for scores in (score("1.0, 2.0", {"lat": 1, "lon": 2}), GEO_FAILURE, GeoReward.failure):
        assert {type(value) for name, value in scores.items() if name != "parse_success"} == {float}
        assert type(scores["parse_success"]) is bool


def test_a_threshold_includes_its_own_distance() -> None:
    distance = haversine_km(0, 0, 25 / KM_PER_DEGREE, 0)
    scores = score(f"{25 / KM_PER_DEGREE!r}, 0.0", {"lat": 0.0, "lon": 0.0})
    assert scores["distance@km"] == distance == pytest.approx(25)
    assert scores["acc@25km"] == float(distance <= 25)
    assert (scores["acc@1km"], scores["acc@200km"]) == (0.0, 1.0)


def test_the_scale_is_an_option() -> None:
    scores = score(east_of_origin(1491.6862), {"lat": 0, "lon": 0}, GeoReward(scale_km=WORLD_MAP_SCALE_KM))
    assert scores["score"] == pytest.approx(math.exp(-1))


@pytest.mark.parametrize(
    ("reward", "data"),
    [
        (GeoReward(), {"lat": "1.0", "lon": 2}),
        (GeoReward(lat="y", lon="x"), {"y": 1, "x": 2}),
        (GeoReward(truth="at"), {"at": "1.0,2.0"}),
        (GeoReward(truth="at"), {"at": [1, 2]}),
        (GeoReward(truth="at"), {"at": {"lat": 1.0, "lon": "2.0"}}),
    ],
)
def test_the_truth_may_stand_in_columns_text_list_or_mapping(reward: GeoReward, data: dict[str, Any]) -> None:
    assert score("1.0, 2.0", data, reward)["distance@km"] == 0.0


@pytest.mark.parametrize(
    ("reward", "data"),
    [
        (GeoReward(), {"lat": 1.0}),
        (GeoReward(), {"lat": None, "lon": 2.0}),
        (GeoReward(), {"lat": True, "lon": 2.0}),
        (GeoReward(), {"lat": float("nan"), "lon": 2.0}),
        (GeoReward(), {"lat": 100.0, "lon": 2.0}),
        (GeoReward(), {"lat": 10**400, "lon": 2.0}),
        (GeoReward(), {"lat": "north", "lon": 2.0}),
        (GeoReward(truth="at"), {"at": "1.0"}),
        (GeoReward(truth="at"), {}),
    ],
)
def test_a_row_without_a_truth_is_a_bad_sample_that_names_the_column(reward: GeoReward, data: dict[str, Any]) -> None:
    with pytest.raises(EpisodeError, match=reward.truth or reward.lat) as caught:
        score("1.0, 2.0", data, reward)
    assert caught.value.reason is FailReason.BAD_SAMPLE
