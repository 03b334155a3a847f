"""Image cells: forms, and paths that must stay inside."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from support.source_data import write_jsonl

from asyncgen.core.errors import EpisodeError, FailReason, InputError
from asyncgen.source import open_source
from asyncgen.source.images import find_images, image_bytes


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An image root with a picture, a link out of it, a loop and a pipe; and a secret beside it."""
    inside = tmp_path / "root"
    (inside / "sub").mkdir(parents=True)
    (inside / "sub" / "a.jpg").write_bytes(b"picture")
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (inside / "out.jpg").symlink_to(tmp_path / "secret.jpg")
    (inside / "up").symlink_to(tmp_path)
    (inside / "loop").symlink_to("loop")
    os.mkfifo(inside / "pipe.jpg")
    return inside


def test_bytes_win_over_the_path(root: Path) -> None:
    assert image_bytes({"bytes": b"own", "path": "sub/a.jpg"}, root, "row 0") == b"own"
    assert image_bytes({"bytes": None, "path": "sub/a.jpg"}, root, "row 0") == b"picture"
    assert image_bytes(b"bare", root, "row 0") == b"bare"
    assert image_bytes(str(root / "sub" / "a.jpg"), root, "row 0") == b"picture"
    assert image_bytes("sub/../sub/a.jpg", root, "row 0") == b"picture"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("../secret.jpg", "is outside of"),
        ("/etc/hostname", "is outside of"),
        ("out.jpg", "is outside of"),
        ("up/secret.jpg", "is outside of"),
        ("pipe.jpg", "there is no image file"),
        ("sub", "there is no image file"),
        ("gone.jpg", "there is no image file"),
        ("loop", ""),
        ("nul\0.jpg", "cannot be read"),
        ("x" * 5000, "cannot be read"),
        ("http://127.0.0.1/a.jpg", "is a URL, and none is fetched"),
        ("file:///etc/hostname", "is a URL"),
        ("DATA:text/plain,hello", "is a URL"),
        ("data:image/png;base64,@@", "is not base64"),
        ("data:image/png;base64,é", "is not base64"),
        ("", "is empty"),
        (None, "is empty"),
        ({"bytes": None, "path": None}, "is empty"),
        ({"bytes": "QUJD", "path": None}, "has its bytes as a text"),
        (b"", "is empty"),
        (7, "is int, neither bytes nor a path"),
        ({"path": ["a"]}, "is list, neither"),
    ],
)
def test_what_is_no_image_inside_the_root_is_a_bad_image(root: Path, value: Any, text: str) -> None:
    with pytest.raises(EpisodeError) as caught:
        image_bytes(value, root, "row 9, column 'image'")
    assert caught.value.reason == FailReason.BAD_IMAGE
    assert text in caught.value.text
    assert caught.value.text.startswith("row 9, column 'image': ")
    assert len(caught.value.text) < 600


def test_the_image_root_may_lie_elsewhere(root: Path, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "x.jsonl", [{"image": "sub/a.jpg"}, {"image": "../secret.jpg"}])
    source = open_source(str(path), image_root=str(root))
    assert source.read(0).images[0].load() == b"picture"
    with pytest.raises(EpisodeError, match=r"give --dataset\.image-root, the folder that holds '\.\./secret\.jpg'"):
        source.read(1).images[0].load()
    with pytest.raises(InputError, match=r"dataset\.image_root .* is no folder"):
        open_source(str(path), image_root=str(tmp_path / "gone"))


def test_image_columns_are_the_named_ones_then_the_typed_ones_then_the_usual_names() -> None:
    columns = ("images", "photo", "image", "text")
    assert find_images(columns, ("photo",), " text , image").names == ("text", "image")
    assert find_images(columns, ("photo",), "").names == ("photo",)
    assert find_images(columns, (), "").names == ("image", "images")
    assert find_images(("text",), (), "").names == ()
    assert find_images(columns, ("photo",), "text").hidden == {"photo", "text"}


def test_an_unknown_image_column_names_the_nearest() -> None:
    with pytest.raises(InputError, match="no column 'phto': did you mean 'photo'"):
        find_images(("photo", "text"), (), "phto")
