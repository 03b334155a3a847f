"""HF folders, against `datasets` itself."""

from __future__ import annotations

import json
import random
import threading
from pathlib import Path

import datasets
import numpy as np
import pytest
from support.source_data import jpeg, listing, photos

from asyncgen.core.errors import EpisodeError, FailReason, InputError
from asyncgen.source import Selection, open_source

ROWS = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos in three arrow files."""
    path = tmp_path_factory.mktemp("hf") / "train"
    photos(ROWS).save_to_disk(path, num_shards=3)
    return path


def raw(path: str | Path) -> datasets.Dataset:
    """What `load_from_disk` gives, images not decoded."""
    loaded = datasets.load_from_disk(path)
    assert isinstance(loaded, datasets.Dataset)
    return loaded.cast_column("image", datasets.Image(decode=False)).cast_column(
        "many", datasets.List(datasets.Image(decode=False))
    )


def test_every_row_has_the_images_and_the_data_of_load_from_disk(folder: Path) -> None:
    source = open_source(str(folder))
    golden = raw(source.path)
    for index in random.Random(0).sample(range(ROWS), ROWS):
        sample, row = source.read(index), golden[index]
        stored = [row["image"]["bytes"], *[one["bytes"] for one in row["many"]]]
        assert [ref.load() for ref in sample.images] == stored
        assert [ref.column for ref in sample.images] == ["image", *["many"] * len(row["many"])]
        assert sample.index == index
        assert sample.data["city"] == row["city"]


def test_the_first_selected_row_is_the_photo_that_load_from_disk_gives_at_its_index(folder: Path) -> None:
    source = open_source(str(folder))
    indexes = source.select(Selection(order="hardest_first", difficulty="score", where="city <> 'city 0'")).indexes
    golden = raw(source.path)
    scores = [golden[int(index)]["score"] for index in indexes]
    assert scores[:3] == sorted(scores[:3])
    sample = source.read(int(indexes[0]))
    assert sample.images[0].load() == golden[sample.index]["image"]["bytes"]


def test_the_source_tells_names_images_and_size(folder: Path) -> None:
    source = open_source(str(folder))
    assert source.rows == ROWS
    assert source.columns == ("image", "many", "city", "score")
    assert source.image_columns == ("image", "many")
    assert source.path == str(folder)


def test_data_has_no_image_column_even_when_another_is_chosen(folder: Path) -> None:
    source = open_source(str(folder), image="many")
    assert source.image_columns == ("many",)
    assert set(source.read(4).data) == {"city", "score"}


def test_null_and_nan_are_none_in_data(folder: Path) -> None:
    source = open_source(str(folder))
    assert source.read(3).data["score"] is None
    assert source.read(5).data["score"] is None


def test_nothing_is_written_into_a_read_only_folder(tmp_path: Path) -> None:
    path = tmp_path / "train"
    photos(6).save_to_disk(path)
    for file in path.iterdir():
        file.chmod(0o444)
    path.chmod(0o555)
    before = listing(path)
    source = open_source(str(path))
    source.select(Selection(where="score > 0.1", order="hardest_first", difficulty="score"))
    source.select(Selection(order_by="city desc"))
    assert source.read(2).images[0].load() == jpeg(2)
    assert listing(path) == before
    path.chmod(0o755)


def test_a_dataset_dict_needs_a_split_and_stores_the_split_folder(tmp_path: Path) -> None:
    datasets.DatasetDict(train=photos(4), test=photos(7)).save_to_disk(tmp_path / "both")
    with pytest.raises(InputError, match=r"has the splits train, test; choose one with dataset\.split"):
        open_source(str(tmp_path / "both"))
    with pytest.raises(InputError, match="no such split: did you mean 'train'"):
        open_source(str(tmp_path / "both"), split="trian")
    source = open_source(str(tmp_path / "both"), split="test")
    assert source.path == str(tmp_path / "both" / "test")
    assert raw(source.path)[6]["image"]["bytes"] == source.read(6).images[0].load()


def test_the_only_split_of_a_dataset_dict_is_taken(tmp_path: Path) -> None:
    datasets.DatasetDict(validation=photos(4)).save_to_disk(tmp_path / "one")
    assert open_source(str(tmp_path / "one")).path == str(tmp_path / "one" / "validation")


def test_a_shuffled_dataset_reads_in_the_order_in_which_it_was_saved(tmp_path: Path) -> None:
    photos(20).shuffle(seed=1).select(range(15)).save_to_disk(tmp_path / "mixed")
    source, golden = open_source(str(tmp_path / "mixed")), raw(tmp_path / "mixed")
    assert [source.read(row).data["city"] for row in range(15)] == golden["city"][:]


def test_an_old_indices_mapping_changes_no_row_number(tmp_path: Path) -> None:
    photos(5).save_to_disk(tmp_path / "old")
    state = json.loads((tmp_path / "old" / "state.json").read_text())
    state["_indices_data_files"] = [{"filename": "indices.arrow"}]
    (tmp_path / "old" / "state.json").write_text(json.dumps(state))
    source, golden = open_source(str(tmp_path / "old")), raw(tmp_path / "old")
    assert [source.read(row).data["city"] for row in range(5)] == golden["city"][:]


def test_the_fingerprint_is_that_of_the_dataset_and_its_rows(folder: Path, tmp_path: Path) -> None:
    state = json.loads((folder / "state.json").read_text())
    assert open_source(str(folder)).fingerprint == f"hf:{state['_fingerprint']}:{ROWS}"
    (tmp_path / "elsewhere").symlink_to(folder)
    assert open_source(str(tmp_path / "elsewhere")).fingerprint == open_source(str(folder)).fingerprint


def test_a_null_image_is_an_error_when_it_is_loaded_and_not_before(tmp_path: Path) -> None:
    features = datasets.Features({"image": datasets.Image()})
    images = [{"bytes": jpeg(1), "path": None}, None]
    datasets.Dataset.from_dict({"image": images}, features=features).save_to_disk(tmp_path / "gap")
    sample = open_source(str(tmp_path / "gap")).read(1)
    with pytest.raises(EpisodeError, match="row 1 has no image in column 'image'") as caught:
        sample.images[0].load()
    assert caught.value.reason == FailReason.BAD_IMAGE


def test_features_without_dataset_info_come_from_the_arrow_schema(tmp_path: Path) -> None:
    photos(3).save_to_disk(tmp_path / "bare")
    (tmp_path / "bare" / "dataset_info.json").unlink()
    assert open_source(str(tmp_path / "bare")).image_columns == ("image", "many")


def test_an_old_sequence_of_images_is_found(tmp_path: Path) -> None:
    photos(3).save_to_disk(tmp_path / "old")
    info = json.loads((tmp_path / "old" / "dataset_info.json").read_text())
    info["features"]["many"] = [{"decode": True, "id": None, "_type": "Image"}]
    info["features"]["image"] = {"feature": {"_type": "Image"}, "length": -1, "_type": "Sequence"}
    (tmp_path / "old" / "dataset_info.json").write_text(json.dumps(info))
    assert open_source(str(tmp_path / "old")).image_columns == ("image", "many")


def test_a_picture_inside_a_struct_leaves_only_its_path_in_data(tmp_path: Path) -> None:
    features = datasets.Features({"scene": {"view": datasets.Image(), "name": datasets.Value("string")}})
    rows = {"scene": [{"view": {"bytes": jpeg(1), "path": "a.jpg"}, "name": "x"}]}
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(tmp_path / "deep")
    assert open_source(str(tmp_path / "deep")).read(0).data == {"scene": {"view": {"path": "a.jpg"}, "name": "x"}}


def test_a_broken_arrow_file_is_one_line_to_the_user(tmp_path: Path) -> None:
    photos(3).save_to_disk(tmp_path / "torn")
    file = next((tmp_path / "torn").glob("*.arrow"))
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(InputError, match=r"dataset\.path .*torn.* cannot be read") as caught:
        open_source(str(tmp_path / "torn"))
    assert "\n" not in str(caught.value)


def test_an_empty_dataset_is_an_input_error(tmp_path: Path) -> None:
    photos(0).save_to_disk(tmp_path / "none")
    with pytest.raises(InputError, match="has no rows"):
        open_source(str(tmp_path / "none"))


def test_many_threads_read_the_same_rows_as_one(folder: Path) -> None:
    source = open_source(str(folder))
    wrong: list[int] = []

    def check(seed: int) -> None:
        order = random.Random(seed).sample(range(ROWS), ROWS)
        wrong.extend(index for index in order if source.read(index).images[0].load() != jpeg(index))

    threads = [threading.Thread(target=check, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_row_outside_of_the_dataset_is_an_index_error(folder: Path) -> None:
    with pytest.raises(IndexError, match=f"row {ROWS} of {ROWS}"):
        open_source(str(folder)).read(ROWS)
    with pytest.raises(IndexError, match="row -1"):
        open_source(str(folder)).read(-1)


def test_indexes_are_one_integer_a_row(folder: Path) -> None:
    indexes = open_source(str(folder)).select(Selection()).indexes
    assert indexes.dtype == np.int64
    assert indexes.nbytes == 8 * ROWS
