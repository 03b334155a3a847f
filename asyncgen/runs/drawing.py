"""The pictures of a trace as PNG files, and where each zoom looked drawn into the picture that it worked on.

Knows the frames of a zoom's box: its arguments are pixels of the picture in full, and it is drawn into the picture as
the model saw it. Does not know which trace is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from asyncgen.core.errors import InputError
from asyncgen.core.types import Json
from asyncgen.export.files import whole_file
from asyncgen.runs.reading import in_a_run
from asyncgen.runs.restore import restore_both, sample_images

if TYPE_CHECKING:
    from PIL.Image import Image

    from asyncgen.tools.gallery import Restored

INK = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (213, 94, 0), (204, 121, 167))
"""Colours that colour-blind readers tell apart (Okabe and Ito)."""
_EDGE = (0, 0, 0)


class Mark(NamedTuple):
    """A box in a picture as the model saw it."""

    label: str
    box: tuple[float, float, float, float]
    """x1, y1, x2, y2 in pixels, the far corner outside."""


def write_pictures(
    trace: Mapping[str, Json],
    folder: Path,
    *,
    of_row: bool = False,
    dataset_path: Path | None = None,
    image_root: str | None = None,
) -> list[Path]:
    """`<job>-<index>-<rollout>-<N>.png` for picture N as the model saw it, and `…-<N>-boxes.png` where a zoom looked at
    a part of it, each box with the number of the picture that it gave. `of_row`: instead those of the trace's row, for
    a trace that does not name its pictures. Returns the files; those of the same names are replaced.

    Raises InputError for a folder that will not do and for a dataset that is not there, DataError for pictures that
    the trace did not see.
    """
    if in_a_run(folder):
        raise InputError(f"--images {folder} lies in a run directory, which holds only what the run itself wrote")
    if of_row:
        alone = sample_images(trace, dataset_path=dataset_path, image_root=image_root)
        pictures = [(str(number), picture) for number, picture in enumerate(alone)]
    else:
        pictures = _seen(trace, restore_both(trace, dataset_path=dataset_path, image_root=image_root))
    return _write(pictures, folder, str(trace["id"]).replace("/", "-"))


def _write(pictures: Sequence[tuple[str, Image]], folder: Path, stem: str) -> list[Path]:
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, picture in pictures:
            path = folder / f"{stem}-{name}.png"
            with whole_file(path, durable=False) as file:
                picture.save(file, "PNG")
            written.append(path)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"--images {folder}: there is a file of that name; give a folder") from error
    return written


def _seen(trace: Mapping[str, Json], restored: Sequence[Restored]) -> list[tuple[str, Image]]:
    """Each with what its file is called."""
    pictures: list[tuple[str, Image]] = []
    for number, picture in enumerate(restored):
        pictures.append((str(number), picture.seen))
        if marks := marks_on(trace["images"], number, picture.full.size, picture.seen.size):
            pictures.append((f"{number}-boxes", drawn(picture.seen, marks)))
    return pictures


def marks_on(
    records: Sequence[Mapping[str, Json]], number: int, full: tuple[int, int], seen: tuple[int, int]
) -> list[Mark]:
    """The zooms into picture `number`, whose size is `full` before and `seen` after it was shrunk."""
    across, down = seen[0] / full[0], seen[1] / full[1]
    marks = []
    for record in records:
        arguments = json.loads(record["arguments"]) if record["op"] == "zoom" else {}
        if arguments.get("image") == number:
            x1, y1, x2, y2 = arguments["box"]
            marks.append(Mark(str(record["image"]), (x1 * across, y1 * down, x2 * across, y2 * down)))
    return marks


def drawn(picture: Image, marks: Sequence[Mark]) -> Image:
    """A copy with the boxes and their labels."""
    from PIL import ImageDraw, ImageFont

    copy = picture.copy()
    draw = ImageDraw.Draw(copy)
    width = max(2, min(picture.size) // 200)
    font = ImageFont.load_default(size=max(12, min(picture.size) // 25))
    for number, mark in enumerate(marks):
        ink = INK[number % len(INK)]
        x1, y1, x2, y2 = (round(value) for value in mark.box)
        corners = (x1, y1, max(x1, x2 - 1), max(y1, y2 - 1))
        draw.rectangle(corners, outline=_EDGE, width=width + 2)  # so that it shows on its own colour too
        draw.rectangle(corners, outline=ink, width=width)
        place = draw.textbbox((0, 0), mark.label, font=font)
        across, down = place[2] + 2 * width, place[3] + 2 * width
        left = max(0, min(x1, copy.width - 1 - across))  # within the picture, also where the box is at its edge
        top = max(0, min(y1, copy.height - 1 - down))
        draw.rectangle((left, top, left + across, top + down), fill=ink)
        draw.text((left + width, top + width), mark.label, fill=_EDGE, font=font)
    return copy
