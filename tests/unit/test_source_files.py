"""Parquet, JSONL and JSON."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.source_data import jpeg, listing, photos, write_jsonl

from asyncgen.core.errors import EpisodeError, FailReason, InputError, TemporaryError
from asyncgen.source import Selection, open_source
from asyncgen.source.jsonl import SCAN_BYTES, open_jsonl
from asyncgen.source.parquet import GroupCache, GroupKey


def test_a_parquet_folder_counts_rows_over_its_files_in_sorted_order(tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": [3, 4]}), tmp_path / "b.parquet")
    pq.write_table(pa.table({"n": [0, 1, 2]}), tmp_path / "a.parquet", row_group_size=2)
    (tmp_path / "._a.parquet").write_bytes(b"another system's shadow")
    source = open_source(str(tmp_path))
    assert [source.read(row).data["n"] for row in (4, 0, 2, 3, 1)] == [4, 0, 2, 3, 1]
    assert source.path == str(tmp_path)


def test_a_glob_takes_the_files_that_match(tmp_path: Path) -> None:
    for name in ("train-1", "train-0", "test-0"):
        pq.write_table(pa.table({"name": [name]}), tmp_path / f"{name}.parquet")
    source = open_source(str(tmp_path / "train-*.parquet"))
    assert [source.read(row).data["name"] for row in range(source.rows)] == ["train-0", "train-1"]
    with pytest.raises(InputError, match=r"there is no \.parquet or \.jsonl file"):
        open_source(str(tmp_path / "valid-*.parquet"))


def test_parquet_images_are_found_by_the_stored_features(tmp_path: Path) -> None:
    photos(9).to_parquet(tmp_path / "x.parquet", batch_size=4)
    source = open_source(str(tmp_path / "x.parquet"))
    assert source.image_columns == ("image", "many")
    assert source.read(7).images[0].load() == jpeg(7)
    assert [ref.load() for ref in source.read(8).images[1:]] == [jpeg(124), jpeg(125)]


def test_parquet_files_may_differ_in_columns_and_widths(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": pa.array([1], pa.int32())}), tmp_path / "0.parquet")
    pq.write_table(pa.table({"a": [2.5], "b": ["x"], "image": [jpeg(1)]}), tmp_path / "1.parquet")
    source = open_source(str(tmp_path))
    assert source.columns == ("a", "b", "image")
    assert source.read(0).data == {"a": 1}
    assert source.read(0).images == ()
    assert source.read(1).data == {"a": 2.5, "b": "x"}
    assert source.select(Selection(where="b is null")).indexes.tolist() == [0]
    assert source.select(Selection(order_by="a desc")).indexes.tolist() == [1, 0]


def test_the_group_cache_forgets_the_oldest_but_keeps_all_columns_of_the_latest_group() -> None:
    table = pa.table({"x": pa.array(range(100), pa.int64())})
    cache, decoded = GroupCache(limit=2 * table.nbytes), []

    def decode(key: GroupKey) -> pa.Table:
        decoded.append(key)
        return table

    keys: list[GroupKey] = [(0, 0, ("x",)), (0, 1, ("x",)), (0, 2, ("x",)), (0, 2, ("y",)), (0, 2, ("z",))]
    for key in [*keys, *keys[2:]]:
        assert cache.get(key, decode) is table
    assert decoded == keys
    cache.get(keys[0], decode)
    assert decoded == [*keys, keys[0]]


def test_a_jsonl_row_is_its_line_and_blank_lines_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"n": 0}\r\n\n  \t\r\n {"n": 1}\n\n{"n": 2}')
    source = open_source(str(path))
    assert source.rows == 3
    assert [source.read(row).data for row in range(3)] == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_only_json_s_white_space_is_blank_and_a_mark_at_the_start_is_no_row(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'\xef\xbb\xbf\n{"n": 0}\n\x0c\n{"n": 2}\n')
    source = open_source(str(path))
    assert source.rows == 3
    assert [source.read(row).data for row in (0, 2)] == [{"n": 0}, {"n": 2}]
    with pytest.raises(EpisodeError, match="row 1 cannot be read"):
        source.read(1)
    (tmp_path / "y.jsonl").write_bytes(b"\xef\xbb\xbf")
    assert open_source(str(tmp_path)).rows == 3


def test_lines_are_found_across_the_blocks_of_the_scan(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    first = json.dumps({"n": 0, "pad": "x" * SCAN_BYTES})[: SCAN_BYTES - 3]
    path.write_text(first + "\n\n\n\n" + json.dumps({"n": 1}) + "\n" + json.dumps({"n": 2, "pad": "y" * SCAN_BYTES}))
    cells = open_jsonl([path])
    assert cells.rows == 3
    assert cells.row(1, ()) == {"n": 1}
    assert cells.row(2, ())["n"] == 2


@pytest.mark.parametrize(
    "line",
    [b'{"n": 1', b'{"n": "\xff"}', b"[1, 2]", b'"text"', b"[" * 100_000, b'{"n":' * 500 + b"1" + b"}" * 500, b"\x00"],
    ids=["cut off", "not UTF-8", "a list", "a string", "endless", "too deep", "a NUL"],
)
def test_a_broken_line_is_one_bad_sample(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"n": 0}\n' + line + b'\n{"n": 2}\n')
    source = open_source(str(path))
    assert source.rows == 3
    with pytest.raises(EpisodeError, match="row 1 cannot be read") as caught:
        source.read(1)
    assert caught.value.reason == FailReason.BAD_SAMPLE
    assert source.read(2).data == {"n": 2}
    assert source.select(Selection(order_by="n desc")).indexes.tolist() == [2, 0, 1]


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Seven rows in three files with a fourth and a fifth that have none, and something else beside them."""
    folder = tmp_path / "shards"
    folder.mkdir()
    (folder / "a.jsonl").write_bytes(b'{"n": 0}\n\n{"n": 1, "s": "\xc3\xa9"}\n  \n')
    (folder / "b.jsonl").write_bytes(b"")
    (folder / "c.jsonl").write_bytes(b'\xef\xbb\xbf{"n": 2}\n{"n": 3}')
    (folder / "d.jsonl").write_bytes(b"\n \n")
    (folder / "e.ndjson").write_bytes(b'\xef\xbb\xbf \t{"n": 4}\n[]\n{"n": 6}')
    (folder / "notes.txt").write_text("no rows")
    (folder / ".hidden.jsonl").write_text('{"n": 9}')
    return folder


def test_a_folder_of_jsonl_files_counts_rows_over_them_in_sorted_order(shards: Path) -> None:
    source = open_source(str(shards))
    assert source.rows == 7
    assert [source.read(row).data["n"] for row in (6, 0, 4, 3, 2, 1)] == [6, 0, 4, 3, 2, 1]
    assert source.read(1).data == {"n": 1, "s": "é"}
    assert (source.path, source.columns) == (str(shards), ("n", "s"))
    with pytest.raises(EpisodeError, match="row 5 cannot be read"):
        source.read(5)
    assert source.select(Selection(where="n % 2 = 0", order_by="n desc")).indexes.tolist() == [6, 4, 2, 0]


def test_a_glob_takes_the_jsonl_files_that_match(shards: Path) -> None:
    source = open_source(str(shards / "[ac].jsonl"))
    assert [source.read(row).data["n"] for row in range(source.rows)] == [0, 1, 2, 3]
    with pytest.raises(InputError, match=r"notes\.txt' is no \.parquet or \.jsonl file"):
        open_source(str(shards / "*"))
    with pytest.raises(InputError, match="has no rows"):
        open_source(str(shards / "[bd].jsonl"))


def test_images_of_jsonl_shards_start_in_their_folder(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(jpeg(1))
    write_jsonl(tmp_path / "a.jsonl", [{"image": "none.jpg"}])
    write_jsonl(tmp_path / "b.jsonl", [{"image": "1.jpg"}])
    assert open_source(str(tmp_path)).read(1).images[0].load() == jpeg(1)


def test_the_fingerprint_of_shards_changes_with_each_of_them(shards: Path) -> None:
    before = open_source(str(shards)).fingerprint
    assert open_source(str(shards)).fingerprint == before
    (shards / "e.ndjson").write_bytes(b'{"n": 5}\n')
    assert open_source(str(shards)).fingerprint != before


def test_nan_and_lone_surrogates_in_json_are_mended(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"a": NaN, "b": "x\\ud800y", "c": "\\ud83d\\ude00"}\n')
    assert open_source(str(path)).read(0).data == {"a": None, "b": "x\ufffdy", "c": "\U0001f600"}


def test_jsonl_columns_come_from_the_first_rows_and_data_has_all_keys(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "x.jsonl", [{"a": 1}, {"b": 2}, *[{"a": 0}] * 200, {"late": 1}])
    source = open_source(str(path))
    assert source.columns == ("a", "b")
    assert source.read(202).data == {"late": 1}


def test_where_and_order_work_on_jsonl_columns_of_mixed_types(tmp_path: Path) -> None:
    rows = [{"a": 1, "m": "x"}, {"a": 2.5, "m": 3}, {"a": None}, {"a": -1, "m": {"k": 1}}, {"a": 7, "m": True}] * 700
    source = open_source(str(write_jsonl(tmp_path / "x.jsonl", rows)))
    assert source.select(Selection(where="a > 2 and m = '3'")).indexes.tolist() == list(range(1, 3500, 5))
    selected = source.select(Selection(where="a is not null", order_by="a"))
    assert selected.filtered == 700
    assert selected.indexes[:700].tolist() == list(range(3, 3500, 5))


def test_a_json_array_is_read_by_position(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('\n[{"n": 0}, 5, {"n": NaN, "s": "\\ud800"},\n {"n": 3}]')
    source = open_source(str(path))
    assert source.rows == 4
    assert source.read(3).data == {"n": 3}
    assert source.read(2).data == {"n": None, "s": "\ufffd"}
    with pytest.raises(EpisodeError, match="a JSON int, not an object"):
        source.read(1)


def test_json_lines_in_a_json_file_are_read_as_lines(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "x.json", [{"n": 0}, {"n": 1}])
    assert open_source(str(path)).read(1).data == {"n": 1}


def test_a_broken_json_array_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('[{"n": 1}, ')
    with pytest.raises(InputError, match=r"x\.json.* cannot be read"):
        open_source(str(tmp_path / "x.json"))


def test_a_pretty_printed_object_is_no_dataset(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{\n "n": 1\n}')
    with pytest.raises(InputError, match="none of the first rows is a JSON object"):
        open_source(str(tmp_path / "x.json"))


def test_images_of_a_jsonl_are_paths_lists_or_data_uris(tmp_path: Path) -> None:
    (tmp_path / "pics").mkdir()
    (tmp_path / "pics" / "1.jpg").write_bytes(jpeg(1))
    uri = "data:image/jpeg;base64," + base64.b64encode(jpeg(2)).decode()
    rows = [{"image": "pics/1.jpg"}, {"image": uri}, {"image": ["pics/1.jpg", uri]}, {"image": None}, {"q": "none"}]
    source = open_source(str(write_jsonl(tmp_path / "x.jsonl", rows)))
    loaded = [[ref.load() for ref in source.read(row).images] for row in range(5)]
    assert loaded == [[jpeg(1)], [jpeg(2)], [jpeg(1), jpeg(2)], [], []]
    assert source.read(2).data == {}


def test_a_null_in_a_named_image_column_is_an_error_when_loaded(tmp_path: Path) -> None:
    source = open_source(str(write_jsonl(tmp_path / "x.jsonl", [{"photo": "a"}, {"photo": None}])), image="photo")
    with pytest.raises(EpisodeError, match="row 1 has no image in column 'photo'"):
        source.read(1).images[0].load()


def test_a_vanished_file_stops_the_run_and_burns_no_sample(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "x.jsonl", [{"n": 0}])
    source = open_source(str(path))
    path.unlink()
    with pytest.raises(TemporaryError, match="cannot be read any more"):
        source.read(0)


def test_a_corrupt_page_is_one_bad_sample_and_an_input_error_when_its_column_is_sorted(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"n": list(range(1000))}), path, row_group_size=500, use_dictionary=False)
    content = bytearray(path.read_bytes())
    content[10:40] = b"\xff" * 30
    path.write_bytes(content)
    source = open_source(str(path))
    with pytest.raises(EpisodeError, match="row 3 cannot be read") as caught:
        source.read(3)
    assert caught.value.reason == FailReason.BAD_SAMPLE
    assert source.read(700).data == {"n": 700}
    with pytest.raises(InputError, match="a column cannot be read"):
        source.select(Selection(order_by="n"))


def test_no_file_is_written_beside_the_data(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "x.jsonl", [{"n": 0}, {"n": 1}])
    photos(3).to_parquet(tmp_path / "x.parquet")
    before = listing(tmp_path)
    for name in ("x.jsonl", "x.parquet"):
        source = open_source(str(tmp_path / name))
        source.select(Selection(where=f"{source.columns[-1]} > 0", order_by=source.columns[-1]))
        source.read(1)
    assert listing(tmp_path) == before


def test_the_fingerprint_of_files_changes_with_names_and_bytes_but_not_with_the_folder(tmp_path: Path) -> None:
    prints = []
    for folder, name, last in [("a", "x", 1), ("b", "x", 1), ("a", "y", 1), ("a", "x2", 2)]:
        (tmp_path / folder).mkdir(exist_ok=True)
        path = write_jsonl(tmp_path / folder / f"{name}.jsonl", [{"n": 0}] * 50_000 + [{"n": last}])
        prints.append(open_source(str(path)).fingerprint)
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3
    assert prints[0].startswith("files:")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("gone", "does not exist; give a folder written by datasets.save_to_disk"),
        ("", "dataset.path is empty"),
        ("x.csv", "files of type '.csv' are not read"),
        ("folder", "there is no .parquet or .jsonl file; give"),
        ("folder", "or a folder or quoted glob of .parquet or .jsonl files"),
        ("mixed", "has .parquet and .jsonl files: name those of one type"),
        ("parent", "but train in it are dataset folders"),
        ("empty.jsonl", "has no rows"),
        ("blank.jsonl", "has no rows"),
        ("bad.parquet", "cannot be read"),
        ("*.csv", "is no .parquet or .jsonl file"),
    ],
)
def test_a_wrong_path_is_named_with_the_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.csv").write_text("a,b")
    Path("folder").mkdir()
    Path("mixed").mkdir()
    photos(1).to_parquet("mixed/a.parquet")
    write_jsonl(Path("mixed/b.jsonl"), [{"n": 1}])
    photos(1).save_to_disk("parent/train")
    Path("empty.jsonl").touch()
    Path("blank.jsonl").write_text("\n \n")
    Path("bad.parquet").write_text("no")
    with pytest.raises(InputError) as caught:
        open_source(path)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_split_of_something_without_splits_is_refused(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "x.jsonl", [{"n": 0}])
    with pytest.raises(InputError, match=r"dataset\.split 'train'.*leave it out"):
        open_source(str(path), split="train")
