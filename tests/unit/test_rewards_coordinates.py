"""Coordinates in the ways that models write them."""

from __future__ import annotations

import pytest

from asyncgen.rewards.coordinates import first_pair, parse_coordinates
from asyncgen.rewards.geo import geo_answer

NEW_YORK = (40.7, -74.0)

SPELLINGS = [
    r"40.7, -74.0",
    r"40.7 -74.0",
    r"+40.7, -74.0",
    r"(40.7, -74.0)",
    r"[40.7; -74.0]",
    r"40.7，-74.0",
    r"40.7、-74.0",
    r"40.7, −74.0",
    r"40.7, –74.0",
    r"40.7, - 74.0",
    r"\text{40.7, -74.0}",
    r"\textbf{40.7}, \textbf{-74.0}",
    r"40.7\,,\ -74.0~",
    r"40{.}7, -74{.}0",
    "4.07e1, -7.4E+01",
    r"$40.7$, $-74.0$",
    r"40.7°, -74.0°",
    r"40.7º N, 74.0º W",
    r"40.7^\circ N, 74^\circ W",
    r"40.7^{\circ} \text{N}, 74.0^{\circ} \text{W}",
    r"40.7{}^\circ\mathrm{N},\ 74.0{}^\circ\mathrm{W}",
    r"40.7\degree N, 74.0\degree W",
    r"40.7N, 74.0W",
    r"N40.7, W74.0",
    r"N 40.7 W 74.0",
    r"40.7 N 74.0 W",
    r"40.7 degrees North, 74.0 degrees West",
    r"40.7 N, -74.0 W",
    r"74.0 W, 40.7 N",
    r"W 74.0, N 40.7",
    r"lat=40.7, lon=-74.0",
    r"lon: -74.0, lat: 40.7",
    r"Lat. 40.7, Lon. -74.0",
    r"latitude is about 40.7 and longitude is about -74.0",
    r"lat, lon: 40.7, -74.0",
    r"lat, lon: 40.7, 74.0 W",
    r"(lon, lat) = (-74.0, 40.7)",
    r"40.7 latitude, -74.0 longitude",
    r"40.7 latitude -74.0 longitude",
    r'{"lat": 40.7, "lon": -74.0}',
    r"纬度：40.7，经度：-74.0",
    r"北纬40.7度, 西经74.0度",
    """40°42'N, 74°0'0"W""",
    r"""40°42'0\"N, 74°0'0\"W""",
    r"40^{\circ}42^{\prime}0^{\prime\prime}\text{N}, 74^{\circ}0^{\prime}W",
    "４０.７, -７４.０",
    "４０．７，－７４．０",
    "北纬４０．７度，西经７４度",
    "40.7±0.1, -74.0±0.25",
    "40.7 ± 0.1° N, 74.0 ± .5° W",
    r"40.7^\circ \pm 0.1^\circ, -74.0^\circ \pm 0.1^\circ",
    r"(40.7 \pm{1}, -74.0 +/- 2)",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_spelling_is_read_in_a_box_and_in_an_answer_tag(spelling: str) -> None:
    for text in (rf"so \boxed{{{spelling}}}.", f"so <answer>{spelling}</answer>."):
        assert parse_coordinates(text, lenient=False) == pytest.approx(NEW_YORK)


@pytest.mark.parametrize(
    "content",
    [
        "latitude, longitude",
        "91, 5",
        "5, 180.5",
        "nan, 5",
        "inf, 5",
        "1e2, 50",
        "40.7-74.0",
        "40.7 - 74.0",
        "40,7, -74,0",
        "40,7; -74,0",
        "40,7° N, 74,0° W",
        "lat 40,7, lon -74,0",
        "±40.7, ±74.0",
        "40.7 N, 74.0 S",
        "40°61'N, 74°W",
        "1.2.3, 4",
        "9" * 400 + ", 5",
        "40.7",
        "",
    ],
)
def test_what_is_no_place_on_the_globe_is_none(content: str) -> None:
    assert parse_coordinates(rf"\boxed{{{content}}}", lenient=False) is None


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        (r"<answer>\boxed{1, 2}</answer> or \boxed{3, 4}", (1.0, 2.0)),
        (r"<answer>1, 2</answer> or \boxed{3, 4}", (3.0, 4.0)),
        (r"\boxed{3, 4}, finally \boxed{5, 6}", (5.0, 6.0)),
        (r"\boxed{unsure} <answer>1, 2</answer>", (1.0, 2.0)),
        ("latitude 1, longitude 2", (1.0, 2.0)),
        ("first 10°N, 20°E, rather 1°N, 2°E", (1.0, 2.0)),
        (r"\boxed{\text{Paris}} Latitude: 48.8, Longitude: 2.3", (48.8, 2.3)),
        ("<answer>Nan, Thailand (18.8, 100.8)</answer>", (18.8, 100.8)),
        ("<answer>Building 7, Zone 3</answer>", None),
        ("It is 48.8, 2.3.", None),
    ],
)
def test_the_places_of_an_answer_are_tried_in_order(text: str, pair: tuple[float, float] | None) -> None:
    assert parse_coordinates(text, lenient=False) == pair


def test_a_last_box_out_of_range_is_not_replaced_by_other_text() -> None:
    text = r"\boxed{1.5, 2.5} \boxed{91.5, 2.5} latitude 1.5, longitude 2.5"
    assert parse_coordinates(text, lenient=True) is None


def test_only_the_lenient_reading_takes_the_last_two_decimal_numbers() -> None:
    text = "Between 10.5 and 20.5, say 48.8 and 2.3, with 3 doubts."
    assert parse_coordinates(text, lenient=False) is None
    assert parse_coordinates(text, lenient=True) == (48.8, 2.3)


def test_text_before_the_last_200_characters_does_not_count() -> None:
    assert parse_coordinates("48.8°N, 2.3°E" + "." * 200, lenient=True) is None


@pytest.mark.parametrize("filler", ["x", "1, ", "{}", "± ", "1° 1' "])
def test_a_box_or_tag_of_more_than_2000_characters_is_no_answer(filler: str) -> None:
    longer = f"40.7, -74.0{filler * 2000}"[:2000] + "."
    assert parse_coordinates(rf"\boxed{{{longer}}}{'.' * 200}", lenient=True) is None
    assert parse_coordinates(f"<answer>{longer}</answer>{'.' * 200}", lenient=True) is None
    assert first_pair(longer) is None


def test_a_box_in_a_long_tag_still_counts() -> None:
    assert parse_coordinates(rf"<answer>{'so ' * 1000}\boxed{{1, 2}}</answer>", lenient=False) == (1.0, 2.0)


def test_a_box_counts_only_in_the_last_10000_characters() -> None:
    box = r"\boxed{1, 2}"
    assert parse_coordinates(box + "." * (10_000 - len(box)), lenient=True) == (1.0, 2.0)
    assert parse_coordinates(box + "." * 10_000, lenient=True) is None
    assert parse_coordinates("{" * 100_000 + box, lenient=False) == (1.0, 2.0)


def test_four_numbers_of_which_one_has_a_decimal_point_may_hold_a_pair() -> None:
    assert parse_coordinates(r"\boxed{40.7, -74, 3, 5}", lenient=False) == NEW_YORK


def test_full_width_digits_count_in_the_tail_and_are_not_cut_in_half() -> None:
    assert parse_coordinates("maybe ４８．８, ２．３", lenient=True) == (48.8, 2.3)
    tail = "８．８°N, ２．３°E"
    assert parse_coordinates("-４" + tail + " " * (200 - len(tail)), lenient=True) is None


def test_a_number_that_the_cut_goes_through_is_not_read_in_half() -> None:
    tail = "8.8°N, 2.3°E"
    assert parse_coordinates("-4" + tail + " " * (200 - len(tail)), lenient=True) is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"\boxed{48.8584, 2.2945}", "48.8584, 2.2945"),
        (r"\boxed{0.00001, -0.0}", "0.00001, 0.0"),
        ("I cannot tell", ""),
    ],
)
def test_the_answer_is_plain_decimals_or_empty(text: str, answer: str) -> None:
    assert geo_answer(text) == answer


def test_a_lenient_answer_is_asked_for_by_name() -> None:
    assert (geo_answer("maybe 48.8, 2.3"), geo_answer("maybe 48.8, 2.3", lenient=True)) == ("", "48.8, 2.3")


@pytest.mark.parametrize(
    ("answer", "pair"),
    [
        ("48.85, \u20112.35", (48.85, -2.35)),
        ("\u201033.85, \u201470.6", (-33.85, -70.6)),
        ("40.7^{o} N, 74.1^{o} W", (40.7, -74.1)),
        ("40.7^0 N, 74^0 W", (40.7, -74.0)),
        ("40.7&deg;N, 74.1&#176;W", (40.7, -74.1)),
        ("33.8° s, 70.6° w", (-33.8, -70.6)),
        ("33°48's, 70°36'w", (-33.8, -70.6)),
        ("40.7128_{N}, 74.006_{W}", (40.7128, -74.006)),
        ("33 48 0 S, 70 36 0 W", None),
    ],
)
def test_no_sign_of_a_hemisphere_is_passed_over(answer: str, pair: tuple[float, float] | None) -> None:
    assert parse_coordinates(rf"It is \boxed{{{answer}}}", lenient=True) == pytest.approx(pair) if pair else True
    assert (parse_coordinates(rf"\boxed{{{answer}}}", lenient=False) is None) == (pair is None)


def test_a_names_possessive_is_no_hemisphere() -> None:
    assert parse_coordinates("Paris's latitude 48.85, longitude 2.35", lenient=False) == (48.85, 2.35)


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("Latitude—48.8566, Longitude—2.3522", (48.8566, 2.3522)),
        ("Paris, France—48.8566° N, 2.3522° E", (48.8566, 2.3522)),
        ("**Coordinates**—48.8566, 2.3522", (48.8566, 2.3522)),
        (r"\boxed{41.9° e 12.5°}", (41.9, 12.5)),
        ("lat -23.55° e lon -46.63°", (-23.55, -46.63)),
        ("photos of the 1970's 48.85 N, 2.35 E", (48.85, 2.35)),
        ("the 1990's 40.7, -74.0", (40.7, -74.0)),
        (r"\boxed{48.8566, 2.3522 or 48 51 24 N, 2 21 08 E}", (48.8566, 2.3522)),
        (r"\boxed{48.8566, 2.3522; N 48 51 24, E 2 21 08}", (48.8566, 2.3522)),
    ],
)
def test_a_word_or_a_dash_beside_a_number_is_no_sign(text: str, pair: tuple[float, float]) -> None:
    assert parse_coordinates(text, lenient=True) == pair


def test_of_numbers_with_and_without_a_hemisphere_no_pair_is_made() -> None:
    assert parse_coordinates(r"\boxed{48.8566° N (48.85), 2.3522° E (2.35)}", lenient=True) is None
