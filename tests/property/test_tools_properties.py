"""What holds for any box, any angle, any file and any order of calls."""

from __future__ import annotations

import functools
import math
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops
from support.context import FakeContext, file_of, photo, ref

from asyncgen import image_rotate_tool, image_zoom_in_tool
from asyncgen.core.errors import EpisodeError, ToolError
from asyncgen.tools.boxes import zoom_box
from asyncgen.tools.cache import ByteCache
from asyncgen.tools.coerce import Mismatch, coerce
from asyncgen.tools.edits import apply, plan, result_size
from asyncgen.tools.gallery import Gallery, restore
from asyncgen.tools.pixels import decode, fit

quick = settings(max_examples=100, deadline=None)
sides = st.integers(1, 5000)
sizes = st.tuples(sides, sides)
numbers = st.one_of(st.integers(), st.floats(), st.integers(-50, 1100), st.floats(-0.1, 1.1), st.floats(-50, 1100))
values = st.one_of(numbers, st.text(max_size=5), st.booleans(), st.none())
conventions = st.sampled_from(["pixels", "relative_1000", "relative_1"])


@functools.cache
def stored(kind: str) -> bytes:
    return file_of(photo(60, 40), kind)


@quick
@given(
    bbox=st.one_of(st.lists(values, min_size=4, max_size=4), st.lists(values, max_size=6), values),
    coordinates=conventions,
    seen=sizes,
    full=sizes,
)
def test_any_box_is_an_error_text_or_whole_pixels_of_the_picture(
    bbox: Any, coordinates: str, seen: tuple[int, int], full: tuple[int, int]
) -> None:
    try:
        x1, y1, x2, y2 = zoom_box(bbox, coordinates=coordinates, seen=seen, full=full)
    except ToolError:
        return
    assert 0 <= x1 < x2 <= full[0]
    assert 0 <= y1 < y2 <= full[1]
    assert max(x2 - x1, y2 - y1) <= 100 * min(x2 - x1, y2 - y1)


@quick
@given(corners=st.lists(st.floats(-10, 110), min_size=4, max_size=4))
def test_a_crop_has_no_invented_pixels(corners: list[float]) -> None:
    white = Image.new("RGB", (90, 70), "white")
    try:
        box = zoom_box(corners, coordinates="pixels", seen=white.size, full=white.size)
    except ToolError:
        return
    crop = apply("zoom", white, plan("zoom", white.size, {"image": 0, "box": box}, max_pixels=100_000))
    assert crop.getextrema() == ((255, 255),) * 3


@quick
@given(corners=st.lists(st.integers(-200, 1200), min_size=4, max_size=4), seen=sizes, full=sizes)
def test_the_three_conventions_agree(corners: list[int], seen: tuple[int, int], full: tuple[int, int]) -> None:
    outcomes: list[Any] = []
    for coordinates, (unit_x, unit_y) in {"pixels": seen, "relative_1000": (1000, 1000), "relative_1": (1, 1)}.items():
        bbox = [corner * (unit_y if at % 2 else unit_x) / 1000 for at, corner in enumerate(corners)]
        try:
            outcomes.append(zoom_box(bbox, coordinates=coordinates, seen=seen, full=full))
        except ToolError as error:
            outcomes.append(str(error))
    assume("over 100 times" not in "".join(map(str, outcomes)))  # one pixel may decide that
    boxes = [outcome for outcome in outcomes if isinstance(outcome, tuple)]
    assert len(boxes) in {0, 3}
    for column in zip(*boxes, strict=True):
        assert max(column) - min(column) <= 1  # the last bit of a float may carry a corner over a pixel's edge


@quick
@given(
    angle=st.one_of(
        st.floats(allow_nan=False, allow_infinity=False), st.floats(-720, 720), st.integers(-8, 8).map(lambda n: n * 45)
    ),
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    max_pixels=st.integers(800, 5000),
)
def test_any_angle_gives_the_planned_size_within_the_limit(
    angle: float, size: tuple[int, int], max_pixels: int
) -> None:
    planned = plan("rotate", size, {"image": 0, "angle": angle}, max_pixels=max_pixels)
    turned = apply("rotate", Image.new("RGB", size, "white"), planned)
    assert 0 <= planned["angle"] < 360
    assert turned.size == result_size("rotate", size, planned)
    assert turned.width * turned.height <= max_pixels
    assert turned.getextrema() == ((255, 255),) * 3  # corners are white, nothing is black


@quick
@given(size=st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)), max_pixels=st.integers(1, 10**8))
def test_fit_is_within_the_limits_keeps_the_shape_and_never_grows(size: tuple[int, int], max_pixels: int) -> None:
    width, height = fit(*size, max_pixels)
    assert 1 <= width <= size[0]
    assert 1 <= height <= size[1]
    assert width * height <= max_pixels
    assert max(width, height) <= 65_500
    if min(width, height) > 1:
        assert math.isclose(width / size[0], height / size[1], rel_tol=1 / (min(width, height) - 1) + 1e-9)


@quick
@given(kind=st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"]), data=st.data())
def test_any_damage_to_a_file_gives_a_picture_or_a_typed_error(kind: str, data: st.DataObject) -> None:
    damaged = bytearray(stored(kind))
    for at in data.draw(st.lists(st.integers(0, len(damaged) - 1), max_size=8)):
        damaged[at] = data.draw(st.integers(0, 255))
    damaged = damaged[: data.draw(st.integers(0, len(damaged)))] if data.draw(st.booleans()) else damaged
    try:
        image = decode(bytes(damaged), max_image_pixels=100_000)
    except EpisodeError:
        return
    assert image.mode == "RGB"
    assert image.width * image.height <= 100_000


@quick
@given(steps=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 60)), max_size=60), limit=st.integers(0, 100))
def test_the_cache_is_never_over_its_bytes_and_never_gives_a_wrong_value(
    steps: list[tuple[int, int]], limit: int
) -> None:
    cache: ByteCache[str] = ByteCache(limit)
    latest: dict[int, str] = {}
    for at, (key, weight) in enumerate(steps):
        assert cache.get(key) in {None, latest.get(key)}
        latest[key] = f"value {at}"
        cache.put(key, latest[key], weight)
        assert cache.held <= limit
        assert cache.get(key) == (latest[key] if weight <= limit else None)


@settings(max_examples=25, deadline=None)
@given(limit=st.integers(0, 60_000), data=st.data())
def test_a_gallery_of_any_cache_size_gives_the_same_pixels(limit: int, data: st.DataObject) -> None:
    small = Gallery(max_pixels=1500, max_image_pixels=100_000, cache_bytes=limit)
    large = Gallery(max_pixels=1500, max_image_pixels=100_000)
    pictures = [large.picture(ref(stored("PNG")), 0)]
    for _ in range(data.draw(st.integers(0, 3))):
        base = data.draw(st.integers(0, len(pictures) - 1))
        pictures.append(large.edit(pictures, "rotate", {"image": base, "angle": data.draw(st.integers(-180, 180))}))
    for number in data.draw(st.lists(st.integers(0, len(pictures) - 1), max_size=6)):
        assert ImageChops.difference(small.open(pictures, number), large.open(pictures, number)).getbbox() is None
        assert small.cache.held <= limit


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(["PNG", "JPEG", "WEBP"]),
    max_pixels=st.integers(800, 4000),
    angle=st.one_of(st.sampled_from([90, -90, 180, 45]), st.floats(-360, 360)),
    corners=st.lists(
        st.tuples(st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0.55, 1), st.floats(0.55, 1)), min_size=2, max_size=2
    ),
)
async def test_a_chain_of_edits_is_restored_pixel_by_pixel(
    kind: str, max_pixels: int, angle: float, corners: list[tuple[float, float, float, float]]
) -> None:
    run = FakeContext([stored(kind)], frame="current", coordinates="relative_1", max_pixels=max_pixels)
    await image_zoom_in_tool(run, {"bbox_2d": list(corners[0])})
    await image_rotate_tool(run, {"angle": angle})
    await image_zoom_in_tool(run, {"bbox_2d": list(corners[1])})
    keys = ("image", "source", "column", "op", "arguments", "width", "height", "sha256")
    lines = [{key: getattr(picture, key) for key in keys} for picture in run.pictures]
    restored = restore(lines, lambda column: [ref(stored(kind))], max_image_pixels=100_000)
    seen = [(picture.width, picture.height) for picture in run.pictures]
    assert [image.size for image in restored] == seen
    for number in (1, 2, 3):
        assert ImageChops.difference(restored[number], await run.open(number)).getbbox() is None


@quick
@given(value=st.recursive(values, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8))
def test_any_json_value_is_coerced_to_the_type_or_refused(value: Any) -> None:
    hints: dict[Any, type] = {str: str, int: int, float: float, bool: bool, list[int]: list, dict[str, float]: dict}
    for hint, kind in hints.items():
        try:
            fitted = coerce(value, hint)
        except Mismatch:
            continue
        assert not isinstance(fitted, float) or math.isfinite(fitted)
        assert type(fitted) is kind
