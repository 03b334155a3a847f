"""Stored files → RGB pictures: every class of file that a dataset may hold."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from PIL import Image, PngImagePlugin
from support.context import file_of, photo

from asyncgen.core.errors import EpisodeError, FailReason
from asyncgen.tools.pixels import decode, encode_jpeg, fit, read, shrink

LIMIT = 1_000_000


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *more: tuple[bytes, bytes]) -> bytes:
    """A PNG file by hand: for sizes and depths that Pillow does not write."""
    header = (b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    chunks = (header, *more, (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def refusal(data: bytes, limit: int = LIMIT) -> EpisodeError:
    with pytest.raises(EpisodeError) as caught:
        decode(data, max_image_pixels=limit)
    return caught.value


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_each_allowed_format_decodes_to_rgb(kind: str) -> None:
    image = decode(file_of(photo(30, 20), kind), max_image_pixels=LIMIT)
    assert (image.mode, image.size) == ("RGB", (30, 20))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_comes_out_upright(kind: str, orientation: int) -> None:
    upright = Image.new("RGB", (64, 32), "blue")
    upright.paste("red", (0, 0, 32, 16))  # red is top-left, whatever the file says
    upright.paste("lime", (32, 0, 64, 16))  # and lime is top-right
    moves = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(moves[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = decode(file_of(stored, kind, exif=exif), max_image_pixels=LIMIT)
    bands = [list(image.crop((*place, place[0] + 1, place[1] + 1)).tobytes()) for place in ((8, 4), (56, 4), (8, 28))]
    assert image.size == (64, 32)
    assert [[value > 128 for value in values] for values in bands] == [
        [n == band for band in range(3)] for n in range(3)
    ]


def test_a_broken_exif_block_costs_nothing_but_the_orientation() -> None:
    image = decode(file_of(photo(30, 20), exif=b"Exif\0\0XX\0garbage"), max_image_pixels=LIMIT)
    assert image.size == (30, 20)


def test_cmyk_jpeg_becomes_rgb() -> None:
    image = decode(file_of(Image.new("CMYK", (8, 8), (0, 255, 255, 0))), max_image_pixels=LIMIT)
    red, green, blue = image.getpixel((4, 4))  # type: ignore[misc]  # RGB
    assert red > 200
    assert max(green, blue) < 60


def test_transparency_shows_white_in_every_mode_that_has_it() -> None:
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    files = {
        "RGBA": file_of(Image.new("RGBA", (4, 4), (255, 0, 0, 0)), "PNG"),
        "LA": file_of(Image.new("LA", (4, 4), (0, 0)), "PNG"),
        "P with one transparent index": file_of(palette, "PNG", transparency=1),
        "P with alpha for each index": file_of(palette, "PNG", transparency=b"\xff\x00"),
        "RGB with a transparent colour": file_of(Image.new("RGB", (4, 4), (9, 9, 9)), "PNG", transparency=(9, 9, 9)),
        "L with a transparent grey": file_of(Image.new("L", (4, 4), 7), "PNG", transparency=7),
        "GIF": file_of(palette, "GIF", transparency=1),
        "WEBP": file_of(Image.new("RGBA", (4, 4), (255, 0, 0, 0)), "WEBP", lossless=True),
    }
    seen = {name: decode(data, max_image_pixels=LIMIT).getpixel((1, 1)) for name, data in files.items()}
    assert seen == dict.fromkeys(files, (255, 255, 255))


def test_half_transparent_red_is_pink() -> None:
    image = decode(file_of(Image.new("RGBA", (4, 4), (255, 0, 0, 128)), "PNG"), max_image_pixels=LIMIT)
    assert image.getpixel((0, 0)) == (255, 127, 127)


def test_palette_and_black_and_white_pictures_keep_their_colours() -> None:
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    assert decode(file_of(palette, "PNG"), max_image_pixels=LIMIT).getpixel((0, 0)) == (10, 20, 30)
    assert decode(file_of(Image.new("1", (4, 4), 1), "PNG"), max_image_pixels=LIMIT).getpixel((0, 0)) == (255,) * 3


@pytest.mark.parametrize("mode", ["I;16", "I;16B"])
def test_sixteen_bit_grey_is_scaled_not_clipped(mode: str) -> None:
    image = Image.new("I;16", (2, 1))
    image.putpixel((0, 0), 40_000)
    image.putpixel((1, 0), 1_000)
    stored = image if mode == "I;16" else Image.frombytes("I;16B", (2, 1), struct.pack(">2H", 40_000, 1_000))
    picture = decode(file_of(stored, "TIFF"), max_image_pixels=LIMIT)
    assert [picture.getpixel((x, 0)) for x in (0, 1)] == [(156,) * 3, (3,) * 3]


def test_sixteen_bit_png_is_scaled_whatever_its_colours() -> None:
    grey = png(2, 1, 16, 0, b"\0" + struct.pack(">2H", 40_000, 1_000))
    colour = png(1, 1, 16, 2, b"\0" + struct.pack(">3H", 40_000, 1_000, 65_535))
    assert decode(grey, max_image_pixels=LIMIT).getpixel((0, 0)) == (156, 156, 156)
    assert decode(colour, max_image_pixels=LIMIT).getpixel((0, 0)) == (156, 3, 255)


def test_a_tiff_may_hold_eight_bit_values_in_sixteen_bits() -> None:
    image = Image.new("I;16", (1, 1))
    image.putpixel((0, 0), 200)
    assert decode(file_of(image, "TIFF"), max_image_pixels=LIMIT).getpixel((0, 0)) == (200,) * 3


@pytest.mark.parametrize(("value", "grey"), [(200, 0), (255, 0), (256, 1), (65_535, 255)])
def test_a_sixteen_bit_value_is_the_same_grey_whatever_stands_beside_it(value: int, grey: int) -> None:
    stored = png(1, 1, 16, 0, b"\0" + struct.pack(">H", value))
    assert decode(stored, max_image_pixels=LIMIT).getpixel((0, 0)) == (grey,) * 3


def test_float_and_wide_integer_pictures_use_their_whole_range() -> None:
    for mode, values in {"F": (-1.0, 0.0, 1.0), "I": (-100_000, 0, 100_000)}.items():
        image = Image.new(mode, (3, 1))
        for x, value in enumerate(values):
            image.putpixel((x, 0), value)
        picture = decode(file_of(image, "TIFF"), max_image_pixels=LIMIT)
        dark, middle, light = (picture.getpixel((x, 0))[0] for x in range(3))  # type: ignore[index]  # RGB
        assert (dark, middle) == (0, 127)
        assert light >= 254


def test_a_float_picture_of_one_value_is_a_picture() -> None:
    assert decode(file_of(Image.new("F", (3, 1), 0.5), "TIFF"), max_image_pixels=LIMIT).size == (3, 1)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animation_gives_its_first_frame_and_is_not_sent_as_stored(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    still = read(file_of(frames[0], kind, save_all=True, append_images=frames[1:]), max_image_pixels=LIMIT)
    red, green, _ = still.image.getpixel((4, 4))  # type: ignore[misc]  # RGB
    assert red > 200 > green
    assert not still.mime


def test_only_plain_jpeg_and_png_go_as_stored() -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    files = {
        "image/jpeg": [file_of(photo(8, 8)), file_of(Image.new("L", (8, 8)))],
        "image/png": [file_of(photo(8, 8), "PNG"), file_of(Image.new("L", (8, 8)), "PNG")],
        "": [
            file_of(photo(8, 8), exif=turned),
            file_of(Image.new("CMYK", (8, 8))),
            file_of(photo(8, 8), "WEBP"),
            file_of(Image.new("RGBA", (8, 8)), "PNG"),
            file_of(Image.new("P", (8, 8)), "PNG"),
            file_of(Image.new("1", (8, 8)), "PNG"),
            png(1, 1, 16, 2, b"\0" + bytes(6)),
        ],
    }
    for mime, stored in files.items():
        assert [read(data, max_image_pixels=LIMIT).mime for data in stored] == [mime] * len(stored)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8\xff\xe0 no more",
        b"<!DOCTYPE html><title>404</title>",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n",
        bytes(1000),
        file_of(photo(64, 64))[:-300],
        file_of(photo(64, 64), "PNG")[:-300],
        file_of(photo(64, 64), "WEBP")[:-300],
        file_of(photo(64, 64), "GIF")[:60],
        file_of(photo(64, 64), "TIFF")[:200],
        file_of(photo(64, 64), "PNG")[:20],
    ],
    ids=["empty", "jpeg head", "html", "svg", "eps", "zeros", "jpeg", "png", "webp", "gif", "tiff", "png head"],
)
def test_what_is_no_whole_picture_is_a_bad_image(data: bytes) -> None:
    error = refusal(data)
    assert error.reason is FailReason.BAD_IMAGE
    assert "0x" not in error.text  # no address of a buffer


def test_a_png_text_bomb_is_a_bad_image() -> None:
    bomb = b"note\0\0" + zlib.compress(bytes(PngImagePlugin.MAX_TEXT_CHUNK + 1))
    assert refusal(png(1, 1, 8, 2, bytes(4), (b"zTXt", bomb))).reason is FailReason.BAD_IMAGE


def test_a_hundred_megapixel_bomb_is_refused_before_it_is_decoded() -> None:
    bomb = png(10_001, 10_000, 1, 0, bytes(1252 * 10_000))
    assert len(bomb) < 20_000
    error = refusal(bomb, 100_000_000)
    assert error.reason is FailReason.IMAGE_TOO_LARGE
    assert "10001x10000" in error.text
    assert "100000000" in error.text


def test_a_picture_of_exactly_the_limit_is_decoded() -> None:
    data = file_of(photo(20, 10), "PNG")
    assert decode(data, max_image_pixels=200).size == (20, 10)
    assert refusal(data, 199).reason is FailReason.IMAGE_TOO_LARGE


def test_fit_keeps_what_fits_and_shrinks_the_rest() -> None:
    assert fit(1000, 1000, 1_000_000) == (1000, 1000)
    assert fit(4000, 3000, 3_000_000) == (2000, 1500)
    assert fit(100_000, 1, 1_000_000) == (65_500, 1)
    assert fit(1, 10_000_000, 1000) == (1, 1000)


def test_shrink_gives_back_the_picture_itself_where_it_can() -> None:
    image = photo(40, 30)
    assert shrink(image, 1200) is image
    assert shrink(image, 300).size == (20, 15)


def test_a_jpeg_carries_no_metadata_of_the_stored_file() -> None:
    image = decode(file_of(photo(16, 16), comment=b"secret place"), max_image_pixels=LIMIT)
    data = encode_jpeg(image.crop((0, 0, 8, 8)))
    assert b"secret" not in data
    assert Image.open(io.BytesIO(data)).size == (8, 8)
