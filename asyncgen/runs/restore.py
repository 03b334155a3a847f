"""A trace's pictures, from the dataset it names.

Knows that a trace holds references and operations, never bytes. The pixels are those that the run had.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncgen.core.errors import DataError, EpisodeError, InputError
from asyncgen.core.trace import Trace

if TYPE_CHECKING:
    from PIL.Image import Image

    from asyncgen.core.types import ImageRef
    from asyncgen.source.base import Source
    from asyncgen.tools.gallery import Restored

MAX_IMAGE_PIXELS = 400_000_000
"""The run let the picture through, whatever its limit was; this one only keeps a changed dataset from hurting."""


def restore_images(
    trace: Trace | Mapping[str, Any],
    *,
    dataset_path: str | Path | None = None,
    image_root: str | Path | None = None,
) -> list[Image]:
    """The pictures of a trace (a Trace or the parsed line) as the model saw them: `restored[N]` is `<image:N>`.

    PIL images: a sample's picture at the size sent, a tool's before it was encoded. `dataset_path` says where the
    dataset is now, if it has moved; `image_root` is what the job had. Raises InputError where it is not there,
    DataError where the row has no such picture.
    """
    return [one.seen for one in restore_both(trace, dataset_path=dataset_path, image_root=image_root)]


def restore_both(
    trace: Trace | Mapping[str, Any],
    *,
    dataset_path: str | Path | None = None,
    image_root: str | Path | None = None,
) -> list[Restored]:
    """The same, each also before it was shrunk: the frame of a zoom's box. Raises as `restore_images` does."""
    from asyncgen.tools import gallery

    record = asdict(trace) if isinstance(trace, Trace) else trace
    if "images" not in record:
        raise DataError("this is no whole trace: it has no `images` (the files of --to trace-json leave them out)")
    records = record["images"]
    if not records:
        return []
    columns = ",".join(dict.fromkeys(one["column"] for one in records if one["source"] == "sample"))
    refs = _refs(record, columns, dataset_path, image_root)

    def stored(column: str) -> list[ImageRef]:
        return [ref for ref in refs if ref.column == column]

    return gallery.restore_both(records, stored, max_image_pixels=MAX_IMAGE_PIXELS, name=str(record["id"]))


def sample_images(
    trace: Mapping[str, Any], *, dataset_path: str | Path | None = None, image_root: str | Path | None = None
) -> list[Image]:
    """The pictures of a trace's row, upright and in full, whether or not the trace says that it saw them. Raises as
    `restore_images` does.
    """
    from asyncgen.tools.pixels import decode

    refs = _refs(trace, "", dataset_path, image_root)
    try:
        return [decode(ref.load(), max_image_pixels=MAX_IMAGE_PIXELS) for ref in refs]
    except EpisodeError as error:
        raise DataError(f"{trace['id']}: the row's picture cannot be read: {error.text}") from error


def _refs(
    record: Mapping[str, Any], columns: str, dataset_path: str | Path | None, image_root: str | Path | None
) -> Sequence[ImageRef]:
    """The images of a trace's row."""
    path = str(dataset_path or record["dataset_path"])
    if not path:
        raise InputError(f"{record['id']} does not say which dataset it is of; give dataset_path")
    source = _source(path, columns, str(image_root) if image_root else None)
    index = record["sample_index"]
    if not 0 <= index < source.rows:
        raise DataError(f"{source.path} has {source.rows} rows; trace {record['id']} is of row {index}")
    try:
        return source.read(index).images
    except EpisodeError as error:
        raise DataError(f"{record['id']}: {error.text}") from error


@lru_cache(maxsize=4)
def _source(path: str, columns: str, image_root: str | None) -> Source:
    """Opened once: restoring thousands of traces reads one dataset."""
    from asyncgen.source.opening import open_source

    return open_source(path, image=columns, image_root=image_root)
