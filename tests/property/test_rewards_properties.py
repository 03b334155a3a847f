"""What holds for any text and any place."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from asyncgen.rewards.coordinates import parse_coordinates
from asyncgen.rewards.geo import geo_answer, haversine_km
from asyncgen.rewards.text import answer_tag, last_boxed

latitudes = st.floats(-90, 90)
longitudes = st.floats(-180, 180)
BOXES = ["\\boxed{", "\\boxed ", "\\fbox{", "{", "}", "$", "\\", "<answer>", "</answer>", "\n"]
NUMBERS = ["40.7", "74", "-", "−", "1e5", "nan", ", ", " ", "°", "^\\circ", "度", "'", "lat", "lon", "N", "W", "\ud800"]
crumbs = st.sampled_from(BOXES + NUMBERS)
noise = st.lists(crumbs, max_size=60).map("".join) | st.text(max_size=300)


@settings(max_examples=100, deadline=None)
@given(lat=latitudes, lon=longitudes)
def test_an_answer_read_from_its_own_spelling_is_the_same_place(lat: float, lon: float) -> None:
    answer = geo_answer(f"\\boxed{{{lat:.17f}, {lon:.17f}}}")
    again = parse_coordinates(f"\\boxed{{{answer}}}", lenient=False)
    assert again == (float(f"{lat:.17f}"), float(f"{lon:.17f}"))
    assert geo_answer(f"<answer>{answer}</answer>") == answer


@settings(max_examples=100, deadline=None)
@given(lat=latitudes, lon=longitudes)
def test_hemispheres_mean_the_same_as_signs(lat: float, lon: float) -> None:
    lat, lon = round(lat, 6), round(lon, 6)
    text = f"{abs(lat):.6f}° {'S' if lat < 0 else 'N'}, {abs(lon):.6f}° {'W' if lon < 0 else 'E'}"
    assert parse_coordinates(text, lenient=False) == (lat, lon)


@settings(max_examples=100, deadline=None)
@given(text=noise, lenient=st.booleans())
def test_any_text_gives_a_place_on_the_globe_or_none(text: str, lenient: bool) -> None:
    pair = parse_coordinates(text, lenient=lenient)
    assert pair is None or (abs(pair[0]) <= 90 and abs(pair[1]) <= 180)
    strict = parse_coordinates(text, lenient=False)
    assert strict is None or parse_coordinates(text, lenient=True) == strict


@settings(max_examples=100, deadline=None)
@given(text=noise)
def test_a_box_or_tag_is_a_part_of_its_text(text: str) -> None:
    for content in (last_boxed(text), answer_tag(text)):
        assert content is None or content in text


@settings(max_examples=100, deadline=None)
@given(before=noise, content=st.text(st.characters(exclude_characters="{}\\$", exclude_categories=["Cs"]), max_size=50))
def test_a_box_at_the_end_is_found_whatever_stands_before(before: str, content: str) -> None:
    assert last_boxed(f"{before} \\boxed{{{content}}}") == content.strip()


@settings(max_examples=100, deadline=None)
@given(lat1=latitudes, lon1=longitudes, lat2=latitudes, lon2=longitudes)
def test_distance_is_symmetric_and_at_most_half_the_globe(lat1: float, lon1: float, lat2: float, lon2: float) -> None:
    there, back = haversine_km(lat1, lon1, lat2, lon2), haversine_km(lat2, lon2, lat1, lon1)
    assert math.isclose(there, back, abs_tol=1e-9)
    assert 0 <= there <= math.pi * 6371.0 + 1e-9
