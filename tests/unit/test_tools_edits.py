"""Zoom and rotate on pixels."""

from __future__ import annotations

import pytest
from PIL import Image, ImageChops
from support.context import photo

from asyncgen.tools.edits import apply, plan, result_size


def done(op: str, image: Image.Image, max_pixels: int = 1_000_000, **arguments: object) -> Image.Image:
    return apply(op, image, plan(op, image.size, {"image": 0, **arguments}, max_pixels=max_pixels))


def same(one: Image.Image, other: Image.Image) -> bool:
    return one.size == other.size and ImageChops.difference(one, other).getbbox() is None


def test_a_zoom_keeps_the_crops_own_pixels() -> None:
    image = photo(200, 150)
    assert same(done("zoom", image, box=[10, 20, 110, 90]), image.crop((10, 20, 110, 90)))


def test_a_small_crop_is_enlarged_until_its_shorter_side_is_28() -> None:
    assert done("zoom", photo(200, 150), box=[10, 20, 20, 60]).size == (28, 112)
    assert done("zoom", photo(200, 150), box=[5, 5, 6, 6]).size == (28, 28)
    assert done("zoom", photo(200, 150), box=[0, 0, 27, 150]).size == (28, 156)


def test_a_crop_over_the_pixel_limit_is_shrunk_and_its_plan_says_to_what() -> None:
    planned = plan("zoom", (200, 150), {"image": 0, "box": [0, 0, 200, 100]}, max_pixels=5000)
    assert planned == {"image": 0, "box": [0, 0, 200, 100], "size": [100, 50]}
    assert apply("zoom", photo(200, 150), planned).size == (100, 50)


def test_a_plan_within_the_limit_holds_no_more_than_box_or_angle() -> None:
    assert plan("zoom", (50, 50), {"image": 3, "box": (0, 0, 9, 9)}, max_pixels=5000) == {
        "image": 3,
        "box": [0, 0, 9, 9],
    }
    assert plan("rotate", (50, 50), {"image": 3, "angle": -90}, max_pixels=5000) == {"image": 3, "angle": 270.0}
    assert plan("rotate", (50, 50), {"image": 3, "angle": -1e-20}, max_pixels=5000)["angle"] == 0.0


def test_a_positive_angle_turns_counter_clockwise() -> None:
    image = photo(40, 20)
    image.putpixel((39, 0), (255, 0, 0))
    turned = done("rotate", image, angle=90)
    assert turned.size == (20, 40)
    assert turned.getpixel((0, 0)) == (255, 0, 0)  # top right has gone to top left


@pytest.mark.parametrize("angle", [90, 180, 270, 450, -90])
def test_full_turns_and_quarter_turns_lose_no_pixel(angle: int) -> None:
    image = photo(40, 20)
    turned = done("rotate", image, angle=angle)
    assert same(done("rotate", turned, angle=-angle), image)


def test_other_angles_grow_the_canvas_and_fill_the_corners_with_white() -> None:
    turned = done("rotate", Image.new("RGB", (100, 60)), angle=30)
    assert turned.size == result_size("rotate", (100, 60), {"angle": 30.0})
    assert [turned.getpixel((x, y)) for x in (0, turned.width - 1) for y in (0, turned.height - 1)] == [(255,) * 3] * 4
    assert turned.getpixel((turned.width // 2, turned.height // 2)) == (0, 0, 0)


def test_a_rotation_over_the_limit_shrinks_its_base_first() -> None:
    planned = plan("rotate", (200, 150), {"image": 0, "angle": 45}, max_pixels=10_000)
    turned = apply("rotate", photo(200, 150), planned)
    assert planned["size"][0] < 200
    assert 9000 < turned.width * turned.height <= 10_000


@pytest.mark.parametrize(
    ("op", "arguments"),
    [
        ("zoom", {}),
        ("zoom", {"box": [0, 0, 51, 10]}),
        ("zoom", {"box": [-1, 0, 5, 5]}),
        ("zoom", {"box": [5, 5, 5, 9]}),
        ("zoom", {"box": [0, 0, 5.5, 9]}),
        ("zoom", {"box": [0, 0, 40, 40], "size": [100_000, 100_000]}),
        ("rotate", {"angle": float("nan")}),
        ("rotate", {"angle": float("inf")}),
        ("rotate", {"angle": "90"}),
        ("rotate", {"angle": True}),
        ("rotate", {"angle": 45.0, "size": [0, 10]}),
        ("sharpen", {}),
    ],
)
def test_arguments_that_no_plan_makes_are_refused(op: str, arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"is .*; (it must be|known are)"):
        apply(op, photo(50, 50), arguments)


def test_planning_an_unknown_operation_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="zoom and rotate"):
        plan("sharpen", (5, 5), {"image": 0}, max_pixels=100)
