"""JSON arrays read and written element by element."""

import json
from pathlib import Path

import pytest

from asyncgen.export import json_array
from asyncgen.export.json_array import TornError, read_elements, whole_array

ROWS = [
    {"q": f'a "{number}" }}, {{', "n": [{"q": number}, {"q": "\\"}], "t": '\\\\"\n[é\u2028'} for number in range(50)
]
FORMS = {
    "compact": json.dumps,
    "indented": lambda rows: json.dumps(rows, indent=2),
    "tabs": lambda rows: json.dumps(rows, indent="\t", ensure_ascii=False),
    "a line each": lambda rows: "[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n",
    "lines": lambda rows: "\n".join(map(json.dumps, rows)),
    "byte order mark": lambda rows: "\ufeff \n" + json.dumps(rows),
}


def written(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], ROWS[:2]], ids=len)
def test_every_form_gives_its_rows_and_their_places(tmp_path: Path, form: str, rows: list):
    path = written(tmp_path / "rows.json", FORMS[form](rows))
    found = list(read_elements(path))
    assert [one.value for one in found] == rows
    data = path.read_bytes()
    assert [json.loads(data[one.offset : one.offset + one.length]) for one in found] == rows


def test_rows_whose_keys_come_in_another_order_each_are_found(tmp_path: Path):
    rows = [{"a": 1, "b": [{"a": 2}, {"b": 3}]}, {"b": 1, "a": 2}, {"a": 1}, {}, {"a": {"b": {"a": 5}}}]
    assert [one.value for one in read_elements(written(tmp_path / "x.json", json.dumps(rows)))] == rows


def test_a_row_longer_than_a_block_is_one_row(tmp_path: Path):
    rows = [{"a": "x"}, {"a": "[" * (3 * json_array.BLOCK) + '"'}, {"a": "y"}]
    assert [one.value for one in read_elements(written(tmp_path / "x.json", json.dumps(rows)))] == rows


def test_rows_over_many_blocks_are_found(tmp_path: Path):
    rows = [{"a": number, "text": '\\"}{' * 5000} for number in range(1200)]
    assert [one.value for one in read_elements(written(tmp_path / "x.json", json.dumps(rows)))] == rows


def test_what_only_pythons_parser_takes_is_read(tmp_path: Path):
    path = written(tmp_path / "x.json", '[{"a": NaN}, {"a": "\\ud835"}, {"a": 1}]')
    values = [one.value["a"] for one in read_elements(path)]
    assert values[0] != values[0]
    assert values[1:] == ["\ud835", 1]


@pytest.mark.parametrize(
    ("text", "whole", "words"),
    [
        ('[{"a": 1}, {"a": 2', 1, "within an object"),
        ('[{"a": 1}, {"a": "2', 1, "within an object"),
        ('[{"a": 1},', 1, "the file ends"),
        ('[{"a": 1}', 1, "the file ends"),
        ("[", 0, "the file ends"),
        ("", 0, "empty"),
        ('[{"a": 1} {"a": 2}]', 1, "no comma"),
        ('[{"a": 1}, 7]', 1, "no comma or object"),
        ('[{"a": 1}, {"a": }]', 1, "element 1"),
        ('[{"a": 1}] x', 1, "there is more"),
        ('{"a": 1}\n{"a": ', 1, "line 2"),
        ("7", 0, "not an object"),
    ],
)
def test_a_torn_file_gives_what_is_whole_and_then_says_where_it_ends(tmp_path: Path, text: str, whole: int, words: str):
    found: list = []
    with pytest.raises(TornError, match=words):
        found.extend(one.value for one in read_elements(written(tmp_path / "x.json", text)))
    assert found == [{"a": 1}] * whole


def test_an_empty_array_has_no_rows(tmp_path: Path):
    assert list(read_elements(written(tmp_path / "x.json", " [ ] \n"))) == []


def test_nesting_without_end_is_a_torn_file_and_no_crash(tmp_path: Path):
    path = written(tmp_path / "x.json", '[{"a": ' + "[" * 100_000 + "]" * 100_000 + "}]")
    with pytest.raises(TornError, match="too deep"):
        list(read_elements(path))


def test_what_is_written_is_read_again_a_row_a_line(tmp_path: Path):
    path = tmp_path / "new" / "out.json"
    with whole_array(path) as file:
        for row in ROWS:
            file.add(row)
    assert json.loads(path.read_text()) == ROWS
    assert len(path.read_bytes().splitlines()) == len(ROWS) + 2
    with whole_array(path):
        pass
    assert json.loads(path.read_text()) == []


def test_integers_of_any_size_keep_their_digits(tmp_path: Path):
    rows = [
        {"a": [{"n": number, "t": "x"}]} for number in (2**63 - 1, 2**63, 2**64, -(2**63), -(2**63) - 1, 10**40, 1e30)
    ]
    path = tmp_path / "out.json"
    with whole_array(path) as file:
        for row in rows:
            file.add(row)
        file.add({"a": 10**30, "b": "\ud835"})
    rows.append({"a": 10**30, "b": "\ufffd"})
    assert json.loads(path.read_text()) == rows
    assert [one.value for one in read_elements(path)] == rows
    assert [type(one.value["a"][0]["n"]) for one in read_elements(path) if one.value != rows[-1]] == [int] * 6 + [float]


def test_a_failure_leaves_the_older_file(tmp_path: Path):
    path = written(tmp_path / "out.json", "old")
    with pytest.raises(ZeroDivisionError), whole_array(path) as file:
        file.add({"a": 1 // 0})
    assert [one.name for one in tmp_path.iterdir()] == ["out.json"]
    assert path.read_text() == "old"
