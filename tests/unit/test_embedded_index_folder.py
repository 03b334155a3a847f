"""The folder of an index: made once, made anew when it must be, never half."""

import fcntl
import json
import threading
from pathlib import Path

import pytest
from support.retrieval import ROWS, write_rows

from asyncgen.core.errors import InputError
from asyncgen.embedded.corpus import Corpus, open_corpus
from asyncgen.embedded.index_folder import CARD, LOCK, PREFIX, default_folder, open_index


@pytest.fixture
def corpus(tmp_path) -> Corpus:
    return open_corpus(write_rows(tmp_path / "wiki.jsonl"))


def folders(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob(f"{PREFIX}*"))


def test_an_index_is_built_once_and_then_used(corpus, tmp_path):
    notes: list[str] = []
    folder = tmp_path / "index"
    assert open_index(corpus, folder, notes.append).passages == len(ROWS)
    assert notes == [f"indexing {corpus.path}: 4 rows, text from column 'contents'"]
    assert open_index(corpus, folder, notes.append).search("Paris", 1)
    assert len(notes) == 1
    assert len(folders(folder)) == 1


def test_its_card_says_what_it_is_of(corpus, tmp_path):
    open_index(corpus, tmp_path / "index", lambda _: None)
    (name,) = folders(tmp_path / "index")
    assert json.loads((tmp_path / "index" / name / CARD).read_text()) == {
        "format": 1,
        "fingerprint": corpus.source.fingerprint,
        "columns": {"text": "contents", "title": "", "id": "id"},
        "passages": 4,
        "left_out": {},
    }


def test_another_corpus_in_its_place_is_indexed_anew_and_the_old_index_goes(corpus, tmp_path):
    notes: list[str] = []
    folder = tmp_path / "index"
    old = open_index(corpus, folder, notes.append)
    (before,) = folders(folder)
    changed = open_corpus(write_rows(corpus.path, [*ROWS, {"id": "4", "contents": '"Rome"\nOn the Tiber.'}]))
    assert open_index(changed, folder, notes.append).passages == 5
    assert "built anew" in notes[1]
    assert folders(folder) != [before]
    assert len(folders(folder)) == 1
    assert old.search("Paris", 1), "a server that has it open goes on"


def test_other_columns_are_another_index(tmp_path):
    path = write_rows(tmp_path / "c.jsonl", [{"text": "a fox", "summary": "a hen"}])
    for column, word in (("text", "fox"), ("summary", "hen")):
        index = open_index(open_corpus(path, text=column), tmp_path / "index", lambda _: None)
        assert index.search(word, 1)


def test_a_build_that_was_killed_is_never_taken_for_whole_and_goes(corpus, tmp_path):
    folder = tmp_path / "index"
    open_index(corpus, folder, lambda _: None)
    (name,) = folders(folder)
    torn = (folder / name).rename(folder / f"{name}.part-abc")
    (torn / CARD).unlink()
    assert open_index(corpus, folder, lambda _: None).passages == 4
    assert folders(folder) == [name]


@pytest.mark.parametrize("lost", [CARD, "meta.json", "*.store", "*.term"])
def test_an_index_that_lost_a_file_is_built_anew(corpus, tmp_path, lost):
    folder = tmp_path / "index"
    open_index(corpus, folder, lambda _: None)
    for file in folder.glob(f"{PREFIX}*/{lost}"):
        file.unlink()
    notes: list[str] = []
    assert open_index(corpus, folder, notes.append).search("Paris", 1)
    assert notes[0] == f"the index in {folder} is damaged: it is built anew"
    assert len(folders(folder)) == 1
    assert open_index(corpus, folder, notes.append).search("Paris", 1)
    assert len(notes) == 2


def test_an_interrupted_build_leaves_nothing_that_looks_like_an_index(corpus, tmp_path):
    class Interrupted:
        path, fingerprint, rows = corpus.source.path, corpus.source.fingerprint, corpus.source.rows

        def read(self, index):
            if index == 2:
                raise KeyboardInterrupt
            return corpus.source.read(index)

    folder = tmp_path / "index"
    with pytest.raises(KeyboardInterrupt):
        open_index(Corpus(path=corpus.path, source=Interrupted(), columns=corpus.columns), folder, lambda _: None)
    assert [path.name for path in folder.iterdir()] == [LOCK]


def test_one_that_builds_at_the_same_time_is_waited_for(corpus, tmp_path):
    folder = tmp_path / "index"
    folder.mkdir()
    waiting = threading.Event()
    notes: list[str] = []

    def note(text: str) -> None:
        notes.append(text)
        waiting.set()

    with (folder / LOCK).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        second = threading.Thread(target=open_index, args=(corpus, folder, note))
        second.start()
        assert waiting.wait(10)
        assert folders(folder) == []
    second.join(30)
    assert not second.is_alive()
    assert "waiting" in notes[0]
    assert len(folders(folder)) == 1


def test_rows_that_give_no_passage_are_told_in_one_line(tmp_path):
    notes: list[str] = []
    path = write_rows(tmp_path / "c.jsonl", [*ROWS, "broken", {"id": "5", "contents": " "}])
    open_index(open_corpus(path), tmp_path / "index", notes.append)
    assert notes[1:] == ["left out of 6 rows: 1 that cannot be read, 1 without text"]


def test_a_corpus_without_any_text_is_refused_and_leaves_no_index(tmp_path):
    path = write_rows(tmp_path / "c.jsonl", [{"text": ""}])
    with pytest.raises(InputError, match=r"no row has text in column 'text'; name another with --text"):
        open_index(open_corpus(path), tmp_path / "index", lambda _: None)
    assert folders(tmp_path / "index") == []


def test_a_folder_that_cannot_be_written_is_a_mistake_with_a_way_out(corpus, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="give another with --index DIR"):
        open_index(corpus, tmp_path / "file" / "index", lambda _: None)


def test_what_else_lies_in_the_folder_stays(corpus, tmp_path):
    folder = tmp_path / "index"
    folder.mkdir()
    mine = [folder / "notes.txt", folder / f"{PREFIX}wiki" / "data", folder / f"{PREFIX}wiki.part-1" / "data"]
    for file in mine:
        file.parent.mkdir(exist_ok=True)
        file.write_text("mine")
    open_index(corpus, folder, lambda _: None)
    assert [file.read_text() for file in mine] == ["mine"] * 3


def test_the_index_lies_beside_the_corpus(tmp_path):
    (tmp_path / "data").mkdir()
    assert default_folder(tmp_path / "data" / "wiki.jsonl") == tmp_path / "data" / "wiki.jsonl.index"
    assert default_folder(tmp_path / "data") == tmp_path / "data.index"
    assert default_folder(tmp_path / "data" / "*.jsonl") == tmp_path / "data.index"
