"""A model's corners → whole pixels, or a text that tells it what to send."""

from __future__ import annotations

from typing import Any

import pytest

from asyncgen.core.errors import ToolError
from asyncgen.tools.boxes import zoom_box

SEEN, FULL = (1024, 768), (4096, 3072)


def refusal(bbox: object, coordinates: str = "pixels") -> str:
    with pytest.raises(ToolError) as caught:
        zoom_box(bbox, coordinates=coordinates, seen=SEEN, full=FULL)
    return str(caught.value)


def test_the_three_conventions_name_the_same_box() -> None:
    boxes: dict[str, list[float]] = {
        "pixels": [256, 192, 512, 384],
        "relative_1000": [250, 250, 500, 500],
        "relative_1": [0.25, 0.25, 0.5, 0.5],
    }
    for coordinates, bbox in boxes.items():
        assert zoom_box(bbox, coordinates=coordinates, seen=SEEN, full=FULL) == (1024, 768, 2048, 1536)


def test_corners_outside_are_clamped() -> None:
    assert zoom_box([-50, -1e9, 1e9, 384], coordinates="pixels", seen=SEEN, full=FULL) == (0, 0, 4096, 1536)


def test_fractions_are_widened_to_whole_pixels() -> None:
    assert zoom_box([10.2, 10.9, 50.1, 60.0], coordinates="pixels", seen=(100, 100), full=(100, 100)) == (
        10,
        10,
        51,
        60,
    )


def test_rounding_errors_of_a_conversion_add_no_pixel() -> None:
    assert zoom_box([0.29, 0.07, 0.57, 0.58], coordinates="relative_1", seen=(9, 9), full=(100, 100)) == (29, 7, 57, 58)


def test_a_sliver_at_the_very_edge_is_one_pixel() -> None:
    box = zoom_box([99.9999999, 99.9999999, 200, 200], coordinates="pixels", seen=(100, 100), full=(100, 100))
    assert box == (99, 99, 100, 100)


@pytest.mark.parametrize(
    ("bbox", "what"),
    [
        ([500, 500, 100, 100], "inverted or empty"),
        ([100, 100, 100, 200], "inverted or empty"),
        ([2000, 100, 3000, 200], "outside"),
        ([-200, -200, 0, 0], "outside"),
        ([0, 100, 1000, 100.1], "over 100 times"),
        ([1, 2, 3], "not four finite numbers"),
        ([1, 2, 3, 4, 5], "not four finite numbers"),
        ([1, 2, 3, float("nan")], "not four finite numbers"),
        ([1, 2, 3, float("inf")], "not four finite numbers"),
        ([1, 2, 3, 10**400], "not four finite numbers"),
        ([1, 2, 3, "4"], "not four finite numbers"),
        ([0, 0, 1, True], "not four finite numbers"),
        ("1234", "not four finite numbers"),
        (None, "not four finite numbers"),
    ],
)
def test_a_bad_box_is_refused_with_its_values_the_extent_and_the_fix(bbox: Any, what: str) -> None:
    text = refusal(bbox)
    assert what in text
    assert "[x1, y1, x2, y2]" in text
    assert "x goes from 0 to 1024, y from 0 to 768" in text


def test_the_extent_is_told_in_the_models_own_coordinates() -> None:
    assert "x goes from 0 to 1000, y from 0 to 1000" in refusal([9, 9, 1, 1], "relative_1000")
    assert "x goes from 0 to 1, y from 0 to 1" in refusal([9, 9, 1, 1], "relative_1")


def test_pixels_are_those_of_the_picture_as_seen_not_of_the_stored_one() -> None:
    assert "outside" in refusal([1500, 1000, 1600, 1100])


def test_an_unknown_convention_is_a_bug_not_the_models_fault() -> None:
    with pytest.raises(ValueError, match="relative_100"):
        zoom_box([1, 2, 3, 4], coordinates="relative_100", seen=SEEN, full=FULL)
