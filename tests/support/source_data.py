"""Small datasets on disk in every format that a source reads."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import datasets
import orjson
from PIL import Image

datasets.disable_progress_bars()


def jpeg(seed: int) -> bytes:
    """A small JPEG that differs with its seed."""
    out = io.BytesIO()
    Image.new("RGB", (8 + seed % 5, 8), (seed * 37 % 256, seed * 11 % 256, seed % 256)).save(out, "JPEG")
    return out.getvalue()


def photos(rows: int) -> datasets.Dataset:
    """`image` (Image), `many` (list of Image, `row % 3` of them), `city`, `score` with a null and a NaN."""
    scores = [None if row == 3 else float("nan") if row == 5 else (row * 7 % 10) / 10 for row in range(rows)]
    return datasets.Dataset.from_dict(
        {
            "image": [{"bytes": jpeg(row), "path": None} for row in range(rows)],
            "many": [[{"bytes": jpeg(100 + row * 3 + n), "path": None} for n in range(row % 3)] for row in range(rows)],
            "city": [f"city {row}" for row in range(rows)],
            "score": scores,
        },
        features=datasets.Features(
            {
                "image": datasets.Image(),
                "many": datasets.List(datasets.Image()),
                "city": datasets.Value("string"),
                "score": datasets.Value("float64"),
            }
        ),
    )


def write_jsonl(path: Path, rows: list[Any]) -> Path:
    """One JSON value a line."""
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Every path below a folder with its size and its time of change."""
    return {
        str(one.relative_to(folder)): (one.stat().st_size, one.stat().st_mtime_ns)
        for one in [folder, *sorted(folder.rglob("*"))]
    }
