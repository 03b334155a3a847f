"""The pictures of episodes: sent as stored where that will do, kept within bytes, made again exactly."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from PIL import Image, ImageChops
from support.context import FakeContext, file_of, photo, ref

from asyncgen.core.errors import DataError, EpisodeError, FailReason
from asyncgen.core.types import ImageRef, Json, Picture
from asyncgen.tools.gallery import Gallery, restore
from asyncgen.tools.pixels import decode


def gallery(max_pixels: int = 1_000_000, cache_bytes: int = 1 << 20) -> Gallery:
    return Gallery(max_pixels=max_pixels, max_image_pixels=10_000_000, cache_bytes=cache_bytes)


def same(one: Image.Image, other: Image.Image) -> bool:
    return one.size == other.size and ImageChops.difference(one, other).getbbox() is None


def _give(data: bytes, column: str) -> list[ImageRef]:
    return [ref(data, column)]


def line(picture: Picture) -> Mapping[str, Json]:
    """The picture as a trace's `images` has it."""
    keys = ("image", "source", "column", "op", "arguments", "width", "height", "sha256")
    return {key: getattr(picture, key) for key in keys}


@pytest.mark.parametrize(("kind", "mime"), [("JPEG", "image/jpeg"), ("PNG", "image/png")])
def test_a_plain_file_within_the_limit_is_sent_byte_for_byte(kind: str, mime: str) -> None:
    stored = ref(file_of(photo(40, 30), kind), "photo")
    picture = gallery().picture(stored, 2)
    assert picture.data == stored.load()
    assert (picture.image, picture.source, picture.column, picture.mime) == (2, "sample", "photo", mime)
    assert (picture.width, picture.height, picture.full_width, picture.full_height) == (40, 30, 40, 30)
    assert picture.sha256 == hashlib.sha256(picture.data).hexdigest()
    assert picture.ref is stored


def test_a_picture_over_the_limit_is_sent_as_a_smaller_jpeg_and_keeps_its_full_size() -> None:
    picture = gallery(max_pixels=300).picture(ref(file_of(photo(40, 30), "PNG")), 0)
    assert (picture.width, picture.height, picture.full_width, picture.full_height) == (20, 15, 40, 30)
    assert picture.mime == "image/jpeg"
    assert Image.open(io.BytesIO(picture.data)).size == (20, 15)
    assert picture.sha256 == hashlib.sha256(picture.data).hexdigest()


def test_a_turned_photo_is_sent_upright_with_its_upright_size() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = gallery().picture(ref(file_of(photo(40, 30), exif=exif)), 0)
    assert (picture.width, picture.height, picture.full_width, picture.full_height) == (30, 40, 30, 40)
    assert Image.open(io.BytesIO(picture.data)).getexif().get(0x0112) is None


def test_a_bad_file_names_its_column() -> None:
    with pytest.raises(EpisodeError, match="image column 'photo'") as caught:
        gallery().picture(ref(file_of(photo(40, 30))[:-100], "photo"), 0)
    assert caught.value.reason is FailReason.BAD_IMAGE


def test_rollouts_of_one_sample_share_one_decode_and_one_encoding() -> None:
    shared = gallery(max_pixels=300)
    stored = ref(file_of(photo(40, 30), "PNG"))
    with ThreadPoolExecutor(8) as pool:
        pictures = list(pool.map(lambda number: shared.picture(stored, number), range(16)))
    assert [picture.image for picture in pictures] == list(range(16))
    assert len({id(picture.data) for picture in pictures}) == 1
    assert shared.open(pictures[:1], 0) is shared.open(pictures[:1], 0)


def test_a_picture_that_two_threads_open_is_read_once() -> None:
    data, reads, entered = file_of(photo(40, 30), "PNG"), [], threading.Event()

    def load() -> bytes:
        reads.append(threading.get_ident())
        entered.wait(0.1)
        return data

    first = gallery()
    pictures = [first.picture(ImageRef(column="image", load=lambda: data), 0)]
    pictures = [dataclasses.replace(pictures[0], ref=ImageRef(column="image", load=load))]
    fresh = gallery()
    with ThreadPoolExecutor(4) as pool:
        images = list(pool.map(lambda _: fresh.open(pictures, 0), range(4)))
    assert len(reads) == 1
    assert len({id(image) for image in images}) == 1


def test_open_gives_every_pixel_of_the_stored_file_not_of_the_one_sent() -> None:
    for cache_bytes in (0, 1 << 20):
        small = gallery(max_pixels=300, cache_bytes=cache_bytes)
        pictures = [small.picture(ref(file_of(photo(40, 30), "PNG")), 0)]
        assert same(small.open(pictures, 0), photo(40, 30))


def test_an_edit_is_the_next_picture_and_says_how_it_was_made() -> None:
    shared = gallery()
    pictures = [shared.picture(ref(file_of(photo(200, 100), "PNG")), 0)]
    zoomed = shared.edit(pictures, "zoom", {"image": 0, "box": [10, 20, 60, 70]})
    turned = shared.edit([*pictures, zoomed], "rotate", {"image": 1, "angle": 90})
    assert (zoomed.image, zoomed.source, zoomed.op) == (1, "tool", "zoom")
    assert zoomed.arguments == '{"image":0,"box":[10,20,60,70]}'
    assert (zoomed.width, zoomed.height, zoomed.full_width, zoomed.full_height) == (50, 50, 50, 50)
    assert (turned.image, turned.arguments) == (2, '{"image":1,"angle":90.0}')
    assert same(shared.open([*pictures, zoomed], 1), photo(200, 100).crop((10, 20, 60, 70)))
    assert zoomed.sha256 == hashlib.sha256(zoomed.data).hexdigest()


@pytest.mark.parametrize("number", [-1, 1, True, "0", None])
def test_an_edit_of_a_picture_that_is_not_there_is_refused(number: object) -> None:
    shared = gallery()
    pictures = [shared.picture(ref(file_of(photo(40, 30))), 0)]
    with pytest.raises(ValueError, match="1 pictures"):
        shared.edit(pictures, "zoom", {"image": number, "box": [0, 0, 30, 30]})


def test_a_picture_that_a_tool_brought_along_can_be_opened() -> None:
    shared = gallery()
    made = dataclasses.replace(shared.picture(ref(file_of(photo(40, 30), "PNG")), 0), source="tool", ref=None)
    assert same(gallery().open([made], 0), photo(40, 30))


def test_the_cache_drops_what_was_used_least_recently() -> None:
    shared = gallery(cache_bytes=15_000)  # two pictures of 40 x 30 x 4 bytes, and their files
    pictures = [shared.picture(ref(file_of(photo(40, 30).rotate(90 * n), "PNG")), n) for n in range(4)]
    assert 0 < shared.cache.held <= 15_000
    assert shared.open(pictures, 3) is shared.open(pictures, 3)
    assert [same(shared.open(pictures, n), photo(40, 30).rotate(90 * n)) for n in range(4)] == [True] * 4


async def test_restore_gives_the_runs_own_pixels_for_a_chain_on_shrunk_pictures() -> None:
    stored = file_of(photo(300, 200), "PNG")
    run = FakeContext([stored, file_of(photo(30, 30))], max_pixels=10_000)
    await run.edit("zoom", {"image": 0, "box": [20, 20, 280, 180]})
    await run.edit("rotate", {"image": 2, "angle": 33.3})
    await run.edit("zoom", {"image": 3, "box": [30, 30, 40, 36]})
    restored = restore(
        [line(picture) for picture in run.pictures],
        lambda column: run.sample.images,
        max_image_pixels=10_000_000,
    )
    assert same(
        restored[0], photo(300, 200).resize((run.pictures[0].width, run.pictures[0].height), Image.Resampling.BICUBIC)
    )
    assert [same(restored[n], await run.open(n)) for n in (1, 2, 3, 4)] == [True] * 4


def test_restore_reads_images_by_column_and_occurrence() -> None:
    asked: list[tuple[str, int]] = []
    files = {(column, n): file_of(photo(40 + n, 30), "PNG") for column in "ab" for n in range(2)}

    def load(column: str, occurrence: int) -> bytes:
        asked.append((column, occurrence))
        return files[column, occurrence]

    def stored(column: str) -> list[ImageRef]:
        return [ImageRef(column=column, load=partial(load, column, n)) for n in range(2)]

    seen = [("a", 0), ("b", 0), ("a", 1)]
    pictures = [gallery().picture(ref(files[one], one[0]), n) for n, one in enumerate(seen)]
    restore([line(picture) for picture in pictures], stored, max_image_pixels=10_000_000)
    assert asked == seen


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_restore_finds_the_image_that_was_shown_among_its_columns(kind: str) -> None:
    files = [file_of(photo(40, 30).rotate(angle), kind) for angle in (0, 90, 180)]
    pictures = [gallery().picture(ref(files[shown]), n) for n, shown in enumerate([2, 0])]
    stored = [ref(data) for data in [b"no picture", *files]]
    restored = restore([line(picture) for picture in pictures], lambda column: stored, max_image_pixels=10_000_000)
    assert same(restored[0], decode(files[2], max_image_pixels=10_000_000))
    assert same(restored[1], decode(files[0], max_image_pixels=10_000_000))


@pytest.mark.parametrize(
    "change",
    [
        {"op": "sharpen"},
        {"op": ""},
        {"arguments": "{"},
        {"arguments": json.dumps({"image": 1, "box": [0, 0, 40, 30]})},
        {"arguments": json.dumps({"image": 0, "box": [0, 0, 41, 30]})},
        {"arguments": json.dumps({"image": 0})},
        {"arguments": "[]"},
        {"arguments": None},
        {"arguments": "[" * 100_000},
        {"op": "rotate", "arguments": json.dumps({"image": 0, "angle": 10**400})},
        {"width": 39},
        {"image": 2},
    ],
)
def test_a_trace_that_does_not_add_up_is_a_data_error(change: dict[str, object]) -> None:
    shared = gallery()
    pictures = [shared.picture(ref(file_of(photo(40, 30), "PNG")), 0)]
    pictures.append(shared.edit(pictures, "zoom", {"image": 0, "box": [0, 0, 40, 30]}))
    lines = [line(pictures[0]), {**line(pictures[1]), **change}]
    with pytest.raises(DataError, match="picture"):
        restore(lines, lambda column: [ref(file_of(photo(40, 30), "PNG"))], max_image_pixels=10_000_000)


def test_a_dataset_file_that_has_changed_is_a_data_error() -> None:
    picture = gallery().picture(ref(file_of(photo(40, 30))), 0)
    for other in (file_of(photo(20, 30)), file_of(photo(40, 30).rotate(180)), b"<html>"):
        with pytest.raises(DataError, match="picture 0"):
            restore([line(picture)], partial(_give, other), max_image_pixels=10_000_000)


def test_a_shrunk_pictures_file_that_has_changed_is_warned_about() -> None:
    stored = file_of(photo(300, 200))
    picture = gallery(max_pixels=10_000).picture(ref(stored), 0)
    with pytest.warns(UserWarning, match="trace: picture 0: column 'image': the dataset's file"):
        restore([line(picture)], partial(_give, file_of(photo(300, 200).rotate(180))), max_image_pixels=10_000_000)
    assert restore([line(picture)], partial(_give, stored), max_image_pixels=10_000_000)[0].width == picture.width


def test_a_trace_cannot_ask_for_a_picture_over_the_limit() -> None:
    picture = gallery().picture(ref(file_of(photo(40, 30))), 0)
    lines = [line(picture)]
    for number, size in enumerate([(51, 51), (74, 74), (106, 106)], start=1):
        arguments = json.dumps({"image": number - 1, "angle": 45.0})
        lines.append(
            {
                **lines[0],
                "image": number,
                "source": "tool",
                "op": "rotate",
                "arguments": arguments,
                "width": size[0],
                "height": size[1],
            }
        )
    with pytest.raises(DataError, match=r"picture [123]"):
        restore(lines, lambda column: [ref(file_of(photo(40, 30)))], max_image_pixels=2000)


def test_a_file_that_cannot_be_read_is_not_replaced_by_its_neighbour() -> None:
    files = [file_of(photo(300 + n, 200)) for n in range(2)]
    pictures = [gallery(max_pixels=10_000).picture(ref(data), n) for n, data in enumerate(files)]
    stored = [ref(files[0]), ref(b"gone")]
    with pytest.raises(DataError, match="picture 1 cannot be restored"):
        restore([line(picture) for picture in pictures], lambda column: stored, max_image_pixels=10_000_000)


def test_a_picture_that_a_tool_made_by_itself_is_told_to_have_no_source() -> None:
    picture = gallery().picture(ref(file_of(photo(40, 30))), 0)
    own = {**line(picture), "image": 1, "source": "tool", "column": "", "op": "", "arguments": ""}
    with pytest.raises(DataError, match="geo/7/0: picture 1 cannot be restored: a tool made it by itself"):
        restore(
            [line(picture), own], lambda column: [ref(file_of(photo(40, 30)))], max_image_pixels=2000, name="geo/7/0"
        )
