"""Corpora in the forms in which they are written."""

import json
from collections import Counter

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.retrieval import ROWS, write_rows

from asyncgen.core.errors import InputError
from asyncgen.embedded.corpus import Columns, Corpus, Passage, choose_columns, open_corpus, split_contents


def passages(corpus: Corpus) -> list[Passage]:
    lost: Counter[str] = Counter()
    found = list(corpus.passages(lost))
    assert not lost
    return found


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        ('"A title"\nand text\nin two lines', ("A title", "and text\nin two lines")),
        ('"The "Blue" one"\r\ntext', ('The "Blue" one', "text")),
        ('"In quotes," she said.\ntext', ("", '"In quotes," she said.\ntext')),
        ("No title\ntext", ("", "No title\ntext")),
        ('"All of it is quoted"', ("", '"All of it is quoted"')),
        ('"\ntext', ("", '"\ntext')),
        ('""\ntext', ("", "text")),
    ],
)
def test_the_title_of_wiki_18_is_the_quoted_first_line(contents, expected):
    assert split_contents(contents) == expected


def test_a_wiki_18_corpus_is_read_and_goes_out_in_the_same_form(tmp_path):
    found = passages(open_corpus(write_rows(tmp_path / "wiki.jsonl")))
    assert found[1] == Passage("1", "Paris", "Paris is the capital of France, on the Seine.")
    assert [one.contents for one in found] == [row["contents"] for row in ROWS]


@pytest.mark.parametrize("text", ["text", "passage", "content", "body", "paragraph"])
def test_title_and_text_in_columns_are_found_by_the_usual_names(tmp_path, text):
    rows = [{"_id": 7, "title": "A\n title ", text: " some text ", "url": "http://x"}]
    assert passages(open_corpus(write_rows(tmp_path / "c.jsonl", rows))) == [Passage("7", "A title", "some text")]


def test_a_title_column_beats_the_one_in_contents(tmp_path):
    rows = [{"id": 1, "title": "Column", "contents": '"Inner"\ntext'}, {"id": 2, "contents": '"Inner"\ntext'}]
    found = passages(open_corpus(write_rows(tmp_path / "c.jsonl", rows)))
    assert [(one.title, one.text) for one in found] == [("Column", "text"), ("Inner", "text")]


def test_the_one_column_of_strings_is_the_text_and_a_row_number_the_id(tmp_path):
    pq.write_table(pa.table({"sentence": ["first", "second"], "length": [5, 6]}), tmp_path / "c.parquet")
    found = passages(open_corpus(tmp_path / "c.parquet"))
    assert found == [Passage("0", "", "first"), Passage("1", "", "second")]
    assert found[0].contents == '""\nfirst'


def test_named_columns_are_taken_whatever_else_is_there(tmp_path):
    rows = [{"text": "not this", "summary": "this", "heading": "H", "pid": "p1"}]
    found = open_corpus(write_rows(tmp_path / "c.jsonl", rows), text="summary", title="heading")
    assert passages(found) == [Passage("p1", "H", "this")]


def test_folders_of_files_json_arrays_and_datasets_are_corpora(tmp_path):
    rows = [{"title": "T", "text": "one"}, {"title": "T", "text": "two"}]
    expected = [Passage("0", "T", "one"), Passage("1", "T", "two")]
    for number, row in enumerate(rows):
        write_rows(tmp_path / "folder" / f"{number}.jsonl", [row])
    (tmp_path / "c.json").write_text(json.dumps(rows))
    datasets.disable_progress_bars()
    datasets.Dataset.from_list(rows).save_to_disk(str(tmp_path / "hf"))
    for path in (tmp_path / "folder", tmp_path / "folder" / "*.jsonl", tmp_path / "c.json", tmp_path / "hf"):
        assert passages(open_corpus(path)) == expected, path


def test_rows_without_text_and_broken_lines_are_left_out_and_counted(tmp_path):
    rows = [{"id": 1, "text": "kept"}, "{broken", {"id": 2, "text": " \n"}, {"id": 3}, {"id": 4, "text": ["a"]}, "[]"]
    lost: Counter[str] = Counter()
    found = list(open_corpus(write_rows(tmp_path / "c.jsonl", rows)).passages(lost))
    assert [one.id for one in found] == ["1"]
    assert lost == {"without text": 3, "that cannot be read": 2}


def test_columns_that_do_not_fit_are_named(tmp_path):
    path = write_rows(tmp_path / "c.jsonl", [{"question": "q", "answer": "a", "level": 1}])
    with pytest.raises(InputError, match=r"none of the columns question, answer, level .* --text COLUMN"):
        open_corpus(path)
    with pytest.raises(InputError, match=r"--text 'anwser': .* did you mean 'answer'\?"):
        open_corpus(path, text="anwser")
    with pytest.raises(InputError, match="--title 'name'"):
        open_corpus(path, text="answer", title="name")


def test_what_is_wrong_with_a_path_is_said_of_the_corpus(tmp_path):
    with pytest.raises(InputError, match=r"^CORPUS '.*gone' does not exist"):
        open_corpus(tmp_path / "gone")


def test_a_column_is_not_taken_twice():
    found = choose_columns("c", ("id", "title"), {"id": "VARCHAR", "title": "VARCHAR"}, text="title")
    assert found == Columns(text="title", title="", id="id")
