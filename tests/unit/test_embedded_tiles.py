"""The demo's dataset: tiles with the truth of each."""

from __future__ import annotations

import io
import random

import datasets
import pytest
from PIL import Image
from support.embedded_world import kilometres, matcher, world

from asyncgen.embedded.tiles import draw_tile, make_tiles


@pytest.fixture(scope="module")
def rows():
    rng, land = random.Random(4), world().land()
    return [draw_tile(world(), land, rng) for _ in range(60)]


def test_a_saved_dataset_loads_with_its_pictures_and_truth(tmp_path):
    make_tiles(tmp_path / "demo" / "tiles", 3, seed=1, world=world())
    loaded = datasets.load_from_disk(tmp_path / "demo" / "tiles")
    assert len(loaded) == 3
    assert set(loaded[0]["image"].size) == {640, 480}
    assert isinstance(loaded.features["image"], datasets.Image)
    assert all(-63 <= row["lat"] <= 63 and -180 <= row["lon"] <= 180 for row in loaded)
    assert [path.name for path in (tmp_path / "demo").iterdir()] == ["tiles"]


def test_a_draft_left_by_a_killed_run_is_replaced(tmp_path):
    draft = tmp_path / ".tiles.draft"
    draft.mkdir()
    (draft / "junk").write_text("half")
    make_tiles(tmp_path / "tiles", 1, world=world())
    assert not draft.exists()
    assert not (tmp_path / "tiles" / "junk").exists()


def test_the_same_seed_gives_the_same_tiles_and_another_seed_others():
    land = world().land()
    drawn = [draw_tile(world(), land, random.Random(seed)) for seed in (7, 7, 8)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_tiles_are_mostly_land_half_turned_and_of_all_difficulties(rows):
    assert 0.5 < sum(row["land_share"] >= 0.3 for row in rows) / len(rows) < 0.95
    assert 0.3 < sum(row["turned"] != 0 for row in rows) / len(rows) < 0.7
    scores = [row["locatability_score"] for row in rows]
    assert min(scores) < 0.4
    assert 0.8 < max(scores) <= 1
    assert all(6 <= row["span_degrees"] <= 45 for row in rows)


def test_a_tile_turned_back_is_found_where_its_columns_say(rows):
    easy = [row for row in rows if row["locatability_score"] > 0.5 and row["turned"]][:4]
    for row in easy:
        with Image.open(io.BytesIO(row["image"]["bytes"])) as picture:
            upright = picture.convert("L").rotate(-row["turned"], expand=True)
        match = matcher().match(upright)
        assert kilometres((row["lat"], row["lon"]), (match.lat, match.lon)) < 100
        assert match.span == pytest.approx(row["span_degrees"], rel=0.1)
    assert len(easy) == 4
