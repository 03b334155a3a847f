"""A trace's pictures, from the dataset it names.

Knows that a trace holds references and operations, never bytes. The pixels are those that the run had.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncgen.core.errors import DataError
from asyncgen.core.trace import Trace

if TYPE_CHECKING:
    from PIL.Image import Image

    from asyncgen.core.types import ImageRef
    from asyncgen.source.base import Source

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
    from asyncgen.tools.gallery import restore

    record = asdict(trace) if isinstance(trace, Trace) else trace
    if "images" not in record:
        raise DataError("this is no whole trace: it has no `images` (the files of --to trace-json leave them out)")
    records = record["images"]
    if not records:
        return []
    columns = ",".join(dict.fromkeys(one["column"] for one in records if one["source"] == "sample"))
    root = str(image_root) if image_root else None
    source = _source(str(dataset_path or record["dataset_path"]), columns, root)
    index = record["sample_index"]
    if not 0 <= index < source.rows:
        raise DataError(f"{source.path} has {source.rows} rows; trace {record['id']} is of row {index}")
    refs = source.read(index).images

    def stored(column: str) -> list[ImageRef]:
        return [ref for ref in refs if ref.column == column]

    return restore(records, stored, max_image_pixels=MAX_IMAGE_PIXELS, name=str(record["id"]))


@lru_cache(maxsize=4)
def _source(path: str, columns: str, image_root: str | None) -> Source:
    """Opened once: restoring thousands of traces reads one dataset."""
    from asyncgen.source.opening import open_source

    return open_source(path, image=columns, image_root=image_root)
