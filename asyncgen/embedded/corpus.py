"""The passages of a corpus: which columns have their text, title and id, and how a row becomes a passage.

Knows the forms in which such corpora are written, wiki-18's among them. Does not know how rows are stored (`source`),
nor what passages are for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from asyncgen.config.load import nearest
from asyncgen.core.errors import EpisodeError, InputError
from asyncgen.core.types import Json
from asyncgen.source.base import Source
from asyncgen.source.opening import open_source

WIKI = "contents"
"""A column of this name may have the title in double quotes on the first line, as in wiki-18."""
TEXTS = (WIKI, "text", "passage", "content", "body", "paragraph")
"""Where the text is looked for, the first that is there."""
TITLES = ("title",)
IDS = ("id", "_id", "docid", "pid")
WITHOUT_TEXT = "without text"
UNREADABLE = "that cannot be read"


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of text that can be found."""

    id: str
    title: str
    """One line; `""` = it has none."""
    text: str

    @property
    def contents(self) -> str:
        """As in wiki-18: the title in double quotes on the first line, then the text."""
        return f'"{self.title}"\n{self.text}'


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Where a passage's parts stand in a row; `""` = nowhere."""

    text: str
    title: str = ""
    id: str = ""


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Rows, and where their passages stand."""

    path: Path
    """As it was given."""
    source: Source
    columns: Columns

    def passages(self, lost: Counter[str]) -> Iterator[Passage]:
        """One row after the other; `lost` counts the rows that give none, by what is wrong with them.

        Raises TemporaryError when the file system fails.
        """
        for row in range(self.source.rows):
            try:
                data = self.source.read(row).data
            except EpisodeError:
                lost[UNREADABLE] += 1
                continue
            passage = read_passage(data, self.columns, row)
            if passage is None:
                lost[WITHOUT_TEXT] += 1
            else:
                yield passage


def open_corpus(path: Path, *, text: str = "", title: str = "") -> Corpus:
    """A corpus by its path, as of any dataset; `text` and `title` name columns, `""`: they are found by their names.

    Raises InputError.
    """
    try:
        source = open_source(str(path))
    except InputError as error:
        raise InputError(_of_corpus(str(error))) from error
    return Corpus(path=path, source=source, columns=choose_columns(path, source.columns, source.kinds, text, title))


def _of_corpus(text: str) -> str:
    """The error of a dataset, in the words of a command that has neither `dataset.path` nor `dataset.split`."""
    return text.replace("dataset.path", "CORPUS").replace("choose one with dataset.split", "give the folder of one")


def choose_columns(
    path: Path, columns: tuple[str, ...], kinds: Mapping[str, str], text: str = "", title: str = ""
) -> Columns:
    """What the user named, else the usual names, else the one column of strings. `kinds`: SQL types.

    Raises InputError.
    """
    for flag, name in (("--text", text), ("--title", title)):
        if name and name not in columns:
            raise InputError(f"{flag} {name!r}: {path} has no such column{nearest(name, columns)}")
    id_ = _first(IDS, columns)
    title = title or _first(TITLES, columns)
    text = text or _first(TEXTS, columns) or _only([name for name in _strings(kinds) if name not in {id_, title}])
    if not text:
        raise InputError(
            f"{path}: none of the columns {', '.join(columns)} is known to have the text; name it with --text COLUMN"
        )
    return Columns(text=text, title=title if title != text else "", id=id_ if id_ != text else "")


def _first(names: tuple[str, ...], columns: tuple[str, ...]) -> str:
    return next((name for name in names if name in columns), "")


def _strings(kinds: Mapping[str, str]) -> list[str]:
    return [name for name, kind in kinds.items() if kind == "VARCHAR"]


def _only(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ""


def read_passage(data: Mapping[str, Json], columns: Columns, row: int) -> Passage | None:
    """A row's passage; None where it has no text. Its id is the row's number where it has none."""
    text = data.get(columns.text)
    if not isinstance(text, str):
        return None
    inner = ""
    if columns.text == WIKI:
        inner, text = split_contents(text)
    text = text.strip()
    if not text:
        return None
    title, id_ = data.get(columns.title), data.get(columns.id)
    return Passage(
        id=str(row) if id_ is None or id_ == "" else str(id_),
        title=" ".join((title if isinstance(title, str) and title.strip() else inner).split()),
        text=text,
    )


def split_contents(contents: str) -> tuple[str, str]:
    """Title and text of wiki-18's form; a first line that is not in double quotes, or the only one, is text."""
    first, newline, rest = contents.lstrip().partition("\n")
    first = first.rstrip()
    if newline and len(first) >= 2 and first[0] == first[-1] == '"':
        return first[1:-1], rest
    return "", contents
