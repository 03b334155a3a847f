"""Pictures are read with distrust."""

from __future__ import annotations

import base64
import io

import pytest
from PIL import Image
from support.embedded_world import jpeg

from asyncgen.embedded.pictures import BadPicture, centre, decode_grey, detail, read_shot


def uri(data: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(data).decode()


def saved(image: Image.Image, form: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form)
    return buffer.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_the_size_is_read_from_the_header(form):
    shot = read_shot(uri(saved(Image.new("RGB", (64, 48)), form)))
    assert (shot.width, shot.height) == (64, 48)
    assert decode_grey(shot.data).mode == "L"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1/cat.jpg", "no URL is fetched"),
        ("file:///etc/passwd", "no URL is fetched"),
        ("data:text/html;base64,PGI+", "is not a data:image"),
        ("data:image/png;base64,*", "base64"),
        (uri(b""), "cannot be read"),
        (uri(b"<html>"), "cannot be read"),
        (uri(saved(Image.new("RGB", (9, 9)), "BMP")), "JPEG, PNG, WEBP"),
        (uri(saved(Image.new("1", (10000, 6000)), "PNG")), "has not 1 to"),
    ],
)
def test_what_is_no_picture_is_refused_in_words(url, says):
    with pytest.raises(BadPicture, match=says):
        read_shot(url)


def test_a_truncated_picture_is_refused_when_it_is_looked_at():
    whole = jpeg(Image.effect_noise((200, 200), 80), quality=90)
    shot = read_shot(uri(whole[: len(whole) // 2]))
    with pytest.raises(BadPicture, match="damaged"):
        decode_grey(shot.data)


def test_detail_is_the_mean_step_between_neighbours():
    assert detail(Image.new("L", (64, 48), 9)) == 0
    assert detail(Image.new("L", (1, 1))) == 0
    assert detail(Image.effect_noise((64, 48), 60)) > 10


def test_the_centre_is_the_middle_share_of_both_sides():
    picture = Image.new("L", (90, 60))
    picture.paste(255, (30, 20, 60, 40))
    middle = centre(picture, 1 / 3)
    assert middle.size == (30, 20)
    assert middle.getextrema() == (255, 255)
