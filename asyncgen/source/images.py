"""Which columns hold images, and an image cell's bytes.

Knows the forms in which datasets store images. Never decodes a picture, never fetches a URL, and never reads a file
outside of the image root: a row's path is hostile until it is resolved.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from asyncgen.config.load import nearest
from asyncgen.core.chat import COLUMN
from asyncgen.core.errors import EpisodeError, FailReason, InputError

USUAL_NAMES = ("image", "images")
MOST_FOLDERS = 32
"""Of an absolute path, that are looked for below the root."""
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
DATA_URI = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class ImageColumns:
    """The image columns of a dataset."""

    names: tuple[str, ...]
    """Those whose images a sample has, in order."""
    hidden: frozenset[str]
    """Those that are no data: `names`, and other columns of the Image type."""
    declared: bool
    """By name or by type, so that a null is an error; False: only named like one, so that a null is no image."""

    @property
    def chats(self) -> bool:
        """The images are those that the row's own chat names by their paths (`core.chat`)."""
        return self.names == (COLUMN,)


def find_images(columns: Sequence[str], typed: Sequence[str], image: str) -> ImageColumns:
    """`image` names them, comma-separated; empty: the Image-typed ones, else `image` and `images`, else the column with
    a row's own chat, `message`, which is data, too.

    Raises InputError for a name that the dataset has not.
    """
    named = tuple(name.strip() for name in image.split(",") if name.strip())
    for name in named:
        if name not in columns:
            raise InputError(f"image: the dataset has no column {name!r}{nearest(name, columns)}")
    usual = tuple(name for name in USUAL_NAMES if name in columns)
    names = tuple(dict.fromkeys(named or typed or usual))
    if names in {(), (COLUMN,)} and COLUMN in columns and COLUMN not in typed:
        return ImageColumns(names=(COLUMN,), hidden=frozenset(), declared=False)
    return ImageColumns(names=names, hidden=frozenset((*names, *typed)), declared=bool(named or typed))


def typed_images(features: Mapping[str, Any]) -> tuple[str, ...]:
    """The Image columns, and those of lists of Images, in the `features` of a dataset_info.json."""
    return tuple(name for name, feature in features.items() if _is_image(feature))


def _is_image(feature: Any) -> bool:
    if isinstance(feature, list):  # how older versions of `datasets` write a list
        return len(feature) == 1 and _is_image(feature[0])
    if not isinstance(feature, dict):
        return False
    return feature.get("_type") == "Image" or (
        feature.get("_type") in {"Sequence", "List", "LargeList"} and _is_image(feature.get("feature"))
    )


_ROOT = "give --dataset.image-root, the folder that holds"


def image_bytes(value: Any, root: Path, place: str) -> bytes:
    """The file's bytes of an image cell: bytes, `{bytes, path}` (bytes win), a path under `root`, or a data: URI.

    `place` says where the cell stands ("row 12, column 'image'"). Raises EpisodeError(bad_image).
    """
    empty = "is empty"
    if isinstance(value, dict):
        stored = value.get("bytes")
        if isinstance(stored, str) and stored:
            empty = "has its bytes as a text: give a path, or a data: URI (data:image/jpeg;base64,…)"
        value = stored if isinstance(stored, bytes) and stored else value.get("path")
    if isinstance(value, (bytes, bytearray)) and value:
        return bytes(value)
    if not isinstance(value, str) or not value:
        what = f"is {type(value).__name__}, neither bytes nor a path" if value else empty
        raise _bad_image(f"{place}: the image {what}")
    if DATA_URI.match(value):
        return _data_uri(value, place)
    if URL.match(value) or value[:5].lower() == "data:":
        raise _bad_image(
            f"{place}: {value[:100]!r} is a URL, and none is fetched; put the file under dataset.image_root"
        )
    return _file(value, root, place)


def under_root(path: str, root: Path) -> str:
    """A path of a chat as it lies below `root`: one that is absolute on another machine by as much of its end as is
    there. Where nothing is there, the path as it is."""
    parts = PurePath(path).parts
    if not parts or not PurePath(path).is_absolute() or PurePath(path).is_relative_to(root):
        return path
    ends = (root.joinpath(*parts[at:]) for at in range(1, min(len(parts), MOST_FOLDERS)))
    with suppress(OSError, ValueError):  # a name that no file can have: said when it is read
        return next((str(file) for file in ends if file.is_file()), path)
    return path


def _data_uri(value: str, place: str) -> bytes:
    try:
        return base64.b64decode(value[value.index(",") + 1 :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise _bad_image(f"{place}: the data: URI is not base64: {error}") from error


def _file(value: str, root: Path, place: str) -> bytes:
    shown = repr(value[:200])
    try:
        file = (root / value).resolve()
        inside = file.is_relative_to(root.resolve())
        if inside and file.is_file():  # a pipe or a device would hang or never end
            return file.read_bytes()
    except (
        OSError,
        ValueError,
        RuntimeError,
    ) as error:  # NUL in the name, no permission, a loop of links, a name too long
        raise _bad_image(f"{place}: image file {shown} cannot be read: {str(error)[:100]}") from error
    if not inside:
        raise _bad_image(f"{place}: image file {shown} is outside of {root}; {_ROOT} {shown}")
    raise _bad_image(f"{place}: there is no image file {shown} under {root}; {_ROOT} {shown}")


def _bad_image(text: str) -> EpisodeError:
    return EpisodeError(FailReason.BAD_IMAGE, text)
