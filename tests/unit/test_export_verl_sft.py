"""The parquet file for finetuning with verl: columns, types, and what three readers make of it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.disks import small_disk
from support.traces import call, image, message, trace_line, turn

from asyncgen.core.errors import InputError, TemporaryError
from asyncgen.export.files import Counts, Traces
from asyncgen.export.formats import FORMATS
from asyncgen.export.verl_sft import ROWS, question_of, write_verl_sft

COLUMNS = ["messages", "tools", "question", "extra_info", "assistant_turns"]
MESSAGES = pa.list_(
    pa.struct(
        [
            ("role", pa.string()),
            ("content", pa.string()),
            (
                "tool_calls",
                pa.list_(
                    pa.struct(
                        [
                            ("type", pa.string()),
                            ("function", pa.struct([("name", pa.string()), ("arguments", pa.string())])),
                        ]
                    )
                ),
            ),
        ]
    )
)
ARGUMENTS = '{"query_list": ["„Paris“", "東京\\n\\"x\\""]}'


def tool(name: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    parameters = {"type": "object", "properties": dict(properties), "required": list(properties)}
    return {"type": "function", "function": {"name": name, "description": "Does.", "parameters": parameters}}


SEARCH = tool("search", {"query_list": {"type": "array", "items": {"type": "string"}, "description": "Queries."}})
CONFIG = {"0123456789ab": {"tools": [SEARCH], "task_options": {"dialect": "tool_call"}}}


def searched(index: int = 0, *, data: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A trace with one search."""
    turns = [
        turn(1, "", messages=[message("system", "S"), message("user", "Question: q")], reasoning="hm"),
        turn(2, "<answer>Paris</answer>", messages=[message("tool", "Query: 東京\n[1] a: b", call_id="call_1_1")]),
    ]
    calls = [call(1, "search", ARGUMENTS)]
    row = {"question": f"q{index}", "answer": "Paris", "level": "hard"} if data is None else data
    return trace_line(index, job="search", data=row, turns=turns, calls=calls, **more)


def plain(index: int = 0, data: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A trace without a call."""
    turns = [turn(1, "Paris", messages=[message("user", "Which city?")])]
    return trace_line(index, job="search", data={"question": "q"} if data is None else data, turns=turns)


def write(out: Path, traces: Sequence[Any], configs: Mapping[str, Any] | None = None) -> Counts:
    return write_verl_sft(Traces(lambda: traces, CONFIG if configs is None else configs), out)


def rows(path: Path) -> list[dict[str, Any]]:
    return list(pq.read_table(path).to_pylist())


def loaded(path: Path, cache: Path) -> datasets.Dataset:
    datasets.disable_progress_bars()
    return datasets.load_dataset("parquet", data_files=str(path), split="train", cache_dir=str(cache))


def test_a_row_has_exactly_these_columns_in_this_order_field_by_field(tmp_path: Path):
    path = tmp_path / "x.parquet"
    assert FORMATS["verl-sft"](Traces(lambda: [searched()], CONFIG), path) == Counts(out=path, traces=1, files=1)
    table = pq.read_table(path)
    assert table.column_names == COLUMNS
    assert table.schema.field("messages").type == MESSAGES
    assert table.schema.field("assistant_turns").type == pa.int64()
    assert table.to_pylist() == [
        {
            "messages": [
                {"role": "system", "content": "S", "tool_calls": None},
                {"role": "user", "content": "Question: q", "tool_calls": None},
                {
                    "role": "assistant",
                    "content": "<think>\nhm\n</think>\n\n",
                    "tool_calls": [{"type": "function", "function": {"name": "search", "arguments": ARGUMENTS}}],
                },
                {"role": "tool", "content": "Query: 東京\n[1] a: b", "tool_calls": None},
                {"role": "assistant", "content": "<answer>Paris</answer>", "tool_calls": None},
            ],
            "tools": [SEARCH],
            "question": "q0",
            "extra_info": {"answer": "Paris", "level": "hard"},
            "assistant_turns": 2,
        }
    ]


def test_pandas_and_datasets_read_what_pyarrow_reads(tmp_path: Path):
    path = tmp_path / "x.parquet"
    write(path, [searched(0), searched(1), plain(2, {"question": "q2", "answer": None, "level": "easy"})])
    expected = rows(path)
    frame = pd.read_parquet(path, dtype_backend="pyarrow")
    assert list(frame.columns) == COLUMNS
    assert frame.to_dict("records") == expected
    dataset = loaded(path, tmp_path / "cache")
    assert dataset.column_names == COLUMNS
    assert [dict(row) for row in dataset] == expected


def test_messages_have_their_type_also_where_no_row_has_a_call(tmp_path: Path):
    write(tmp_path / "x.parquet", [plain()], configs={})
    assert pq.read_schema(tmp_path / "x.parquet").field("messages").type == MESSAGES
    (row,) = rows(tmp_path / "x.parquet")
    assert row["tools"] == []
    assert row["extra_info"] is None
    assert pd.read_parquet(tmp_path / "x.parquet", dtype_backend="pyarrow").to_dict("records") == [row]
    assert [dict(one) for one in loaded(tmp_path / "x.parquet", tmp_path / "cache")] == [row]


def test_only_accepted_traces_are_written_and_the_others_are_counted(tmp_path: Path):
    others = [searched(1), searched(2)]
    for one, mark in zip(others, (False, None), strict=True):
        one["metadata"]["accepted"] = mark
    counts = write(tmp_path / "x.parquet", [searched(0), *others])
    assert [row["question"] for row in rows(tmp_path / "x.parquet")] == ["q0"]
    assert counts.traces == 1
    assert counts.notes == ("2 traces are not accepted: they are left out",)


def test_no_trace_at_all_is_a_file_without_rows(tmp_path: Path):
    assert write(tmp_path / "x.parquet", []).traces == 0
    table = pq.read_table(tmp_path / "x.parquet")
    assert (table.column_names, table.num_rows) == (COLUMNS, 0)
    assert pd.read_parquet(tmp_path / "x.parquet", dtype_backend="pyarrow").empty


@pytest.mark.parametrize(("out", "file"), [("a/x.parquet", "a/x.parquet"), ("out", "out/train.parquet")])
def test_the_file_is_the_one_named_or_train_parquet_in_the_folder(tmp_path: Path, out: str, file: str):
    assert write(tmp_path / out, [plain()]).out == tmp_path / file
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.parquet")] == [file]


def test_a_trace_with_pictures_is_refused_by_name_and_the_older_file_stays(tmp_path: Path):
    path = tmp_path / "x.parquet"
    write(path, [plain()])
    before = path.read_bytes()
    seen = trace_line(7, images=[image(0)])
    with pytest.raises(InputError, match=r"^geo-tools/7/0 has pictures, .*; give --to trace-json$"):
        write(path, [plain(), seen])
    stranger = {**trace_line(8, turns=[turn(1, "x", messages=[message("user", "<image:0>Where?")])]), "config_id": ""}
    with pytest.raises(InputError, match="geo-tools/8/0 has pictures"):
        write(path, [stranger])
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("x.parquet", before)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"question": "a", "extra_info": {"question": "b"}}, "a"),
        ({"question": " ", "extra_info": {"question": "b"}, "prompt": [{"role": "user", "content": "c"}]}, "b"),
        ({"question": 7, "extra_info": "x", "prompt": [{"role": "user", "content": "c"}, {"role": "assistant"}]}, "c"),
        ({"prompt": [{"role": "user", "content": "c"}, {"role": "user", "content": "d"}, "e"]}, "d"),
        ({"prompt": "free text"}, "Which city?"),
        ({"prompt": [{"role": "user", "content": [{"type": "text"}]}]}, "Which city?"),
        ({}, "Which city?"),
    ],
)
def test_the_question_is_looked_for_where_datasets_have_it(data: dict[str, Any], expected: str):
    assert question_of(plain(data=data)) == expected


def test_extra_info_is_the_datasets_own_unchanged(tmp_path: Path):
    own = [
        {
            "split": "train",
            "index": 1,
            "question": "q",
            "tools_kwargs": {"search": {"create_kwargs": {"truth": ["a"]}}},
        },
        {"split": "train", "index": 2, "question": "r", "tools_kwargs": {"search": {"create_kwargs": {"truth": []}}}},
        None,
    ]
    write(tmp_path / "x.parquet", [searched(k, data={"id": k, "extra_info": one}) for k, one in enumerate(own)])
    assert [row["extra_info"] for row in rows(tmp_path / "x.parquet")] == own
    assert [row["question"] for row in rows(tmp_path / "x.parquet")] == ["q", "r", "Question: q"]


def test_values_of_two_types_become_json_text_and_that_is_told(tmp_path: Path):
    found = [{"answer": "Paris", "size": 1, "meta": {}}, {"answer": 7, "size": 2.5, "meta": {"a": [1]}}]
    counts = write(tmp_path / "x.parquet", [plain(k, {"question": "q", **row}) for k, row in enumerate(found)])
    assert [row["extra_info"] for row in rows(tmp_path / "x.parquet")] == [
        {"answer": '"Paris"', "size": 1.0, "meta": {"a": None}},
        {"answer": "7", "size": 2.5, "meta": {"a": [1]}},
    ]
    assert counts.notes == ("JSON text, since no one type holds all values: extra_info.answer",)


def test_tools_whose_schemas_differ_are_told_of(tmp_path: Path):
    other = tool("visit", {"url": {"type": "string"}})
    counts = write(tmp_path / "x.parquet", [searched()], {"0123456789ab": {"tools": [SEARCH, other]}})
    ((first, second),) = (row["tools"] for row in rows(tmp_path / "x.parquet"))
    assert first["function"]["parameters"]["properties"].keys() == {"query_list", "url"}
    assert first["function"]["parameters"]["properties"]["url"] is None
    assert second["function"]["name"] == "visit"
    assert len(counts.notes) == 1
    assert "as null" in counts.notes[0]


def test_a_tool_without_parameters_is_a_tool(tmp_path: Path):
    counts = write(tmp_path / "x.parquet", [searched()], {"0123456789ab": {"tools": [tool("now", {})]}})
    (row,) = rows(tmp_path / "x.parquet")
    assert row["tools"][0]["function"]["parameters"] == {"type": "object", "properties": None, "required": []}
    assert len(counts.notes) == 1


def test_traces_of_several_configs_show_the_tools_of_their_own(tmp_path: Path):
    other = {**plain(1), "config_id": "other"}
    write(tmp_path / "x.parquet", [searched(0), other])
    assert [row["tools"] for row in rows(tmp_path / "x.parquet")] == [[SEARCH], []]


def test_rows_are_written_in_groups_in_the_order_of_the_traces(tmp_path: Path):
    count = ROWS + 3
    assert write(tmp_path / "x.parquet", [plain(k, {"question": str(k)}) for k in range(count)]).traces == count
    file = pq.ParquetFile(tmp_path / "x.parquet")
    assert [file.metadata.row_group(k).num_rows for k in range(file.num_row_groups)] == [ROWS, 3]
    assert file.read(["question"]).to_pydict() == {"question": [str(k) for k in range(count)]}


def test_a_trace_that_came_in_between_and_fits_in_no_column_is_told_and_the_older_file_stays(tmp_path: Path):
    path = tmp_path / "x.parquet"
    write(path, [plain()])
    before = path.read_bytes()
    looks = iter([[searched(0)], [searched(0), searched(1, data={"question": "q", "answer": 7})]])
    with pytest.raises(TemporaryError, match=r"search/1/0 came while .* run the command again"):
        write_verl_sft(Traces(lambda: next(looks), CONFIG), path)
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("x.parquet", before)]


def test_a_read_that_fails_in_the_middle_leaves_nothing(tmp_path: Path):
    looks: list[int] = []

    def read() -> Iterator[Any]:
        looks.append(1)
        yield plain()
        if len(looks) == 2:
            raise InputError("the second shard is gone")

    with pytest.raises(InputError, match="second shard"):
        write_verl_sft(Traces(read), tmp_path / "x.parquet")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named_by_the_file_and_nothing_is_left_on_it(tmp_path: Path):
    long = [plain(k, {"question": os.urandom(30_000).hex()}) for k in range(40)]
    with small_disk(tmp_path / "disk") as disk:
        if disk is None:
            pytest.skip("nothing can be mounted here")
        with pytest.raises(OSError, match=r"No space left on device: .*x\.parquet") as caught:
            write(disk.root / "x.parquet", long)
        assert caught.value.errno == errno.ENOSPC
        assert list(disk.root.iterdir()) == []
