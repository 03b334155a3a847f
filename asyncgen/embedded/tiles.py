"""The demo's dataset: tiles cut from the world map, with the truth of each, saved as a Hugging Face dataset.

Knows how tiles are drawn and what columns they get. Knows nothing of who will look at them.
"""

from __future__ import annotations

import io
import math
import random
import shutil
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from asyncgen.core.types import Json
from asyncgen.embedded.pictures import detail
from asyncgen.embedded.worldmap import Land, WorldMap, cut_tile, land_share, load_world

SIZE = (640, 480)
SPANS = (6.0, 45.0)
"""Degrees along the long side, drawn evenly in their logarithm."""
MAX_LATITUDE = 63.0
LAND_TILES = 0.6
"""The share of tiles that must show land: left to chance, most would be sea."""
MIN_LAND = 0.3
TURNED = 0.5
DETAIL_OF_EASY = 6.0
"""Grey levels a step (see `pictures.detail`) from which a tile counts as easy to place."""


def make_tiles(path: Path, count: int, *, seed: int = 0, world: WorldMap | None = None) -> None:
    """Write `count` tiles to `path`, which must not exist. The same seed gives the same tiles.

    Columns: `image` (JPEG, quality 90), `lat`, `lon` (degrees, of the centre), `locatability_score` (0 hard to 1 easy),
    `land_share` (0-1), `span_degrees`, `turned` (degrees counter-clockwise), `source`.
    """
    import datasets

    world = world or load_world()
    land = world.land()
    rng = random.Random(seed)  # noqa: S311  # a reproducible draw, not a secret
    rows = [draw_tile(world, land, rng) for _ in range(count)]
    columns = {name: [row[name] for row in rows] for name in _features()}
    draft = path.with_name(f".{path.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_dict(columns, features=_features()).save_to_disk(draft)
    draft.rename(path)


def _features() -> Json:
    import datasets

    floats = ("lat", "lon", "locatability_score", "land_share", "span_degrees")
    return datasets.Features(
        image=datasets.Image(),
        **{name: datasets.Value("float64") for name in floats},
        turned=datasets.Value("int64"),
        source=datasets.Value("string"),
    )


def draw_tile(world: WorldMap, land: Land, rng: random.Random) -> Mapping[str, Json]:
    """One row: a random place evenly over the globe between 63° S and 63° N."""
    must_show_land = rng.random() < LAND_TILES
    span = SPANS[0] * (SPANS[1] / SPANS[0]) ** rng.random()
    while True:
        lat = math.degrees(math.asin(rng.uniform(-1, 1) * math.sin(math.radians(MAX_LATITUDE))))
        lon = rng.uniform(-180, 180)
        share = land_share(land, lat, lon, span, span * SIZE[1] / SIZE[0])
        if share >= MIN_LAND or not must_show_land:
            break
    tile = cut_tile(world, lat, lon, span, SIZE)
    turned = rng.choice((90, 180, 270)) if rng.random() < TURNED else 0
    return {
        "image": {"bytes": _jpeg(tile.rotate(turned, expand=True)), "path": None},
        "lat": round(lat, 6),
        "lon": round(lon, 6),
        "locatability_score": round(min(1.0, detail(tile.convert("L")) / DETAIL_OF_EASY), 4),
        "land_share": round(share, 4),
        "span_degrees": round(span, 3),
        "turned": turned,
        "source": "blue marble",
    }


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
