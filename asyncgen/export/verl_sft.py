"""One parquet file for supervised finetuning with verl's `MultiTurnSFTDataset`: a row a trace.

Knows the columns, and what of a trace goes into which. Does not know how a conversation becomes messages
(`sft_messages`). Reads the traces twice, and holds `ROWS` of them at most.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from asyncgen.core.errors import InputError, TemporaryError
from asyncgen.core.types import Json
from asyncgen.export.arrow_kinds import Kind, UnfitError
from asyncgen.export.files import Counts, Traces, whole_file
from asyncgen.export.sft_messages import Form, form_of, messages_of, schemas_of

SUFFIX = ".parquet"
FILE_NAME = "train.parquet"
ROWS = 1000
"""Of a row group, at most."""
NAMED = 5
"""Places that are named in a note."""
CHARACTERS = 32 << 20
"""Of the messages of a row group, about."""


def write_verl_sft(traces: Traces, out: Path) -> Counts:
    """Write the accepted traces to `out` if that is named `*.parquet` and no folder, else to `out/train.parquet`; whole
    or not at all, an older one is replaced. Columns: `messages`, `tools`, `question`, `extra_info`, `assistant_turns`.

    Raises InputError for a trace with pictures, TemporaryError where traces come in meanwhile that fit in no column.
    """
    import pyarrow.parquet as pq

    path = out if out.suffix == SUFFIX and not out.is_dir() else out / FILE_NAME
    layout = _Layout(traces.configs)
    for trace in traces():
        layout.note(trace)
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = layout.schema()
    written = 0
    with whole_file(path) as file, pq.ParquetWriter(file, schema) as writer:
        for group in _groups(layout.row(trace) for trace in traces() if is_accepted(trace)):
            writer.write_table(_table(group, schema), row_group_size=ROWS)
            written += len(group)
    return Counts(out=path, traces=written, files=1, notes=tuple(layout.notes()))


def is_accepted(trace: Mapping[str, Json]) -> bool:
    """Whether a student is to learn from it."""
    return trace["metadata"].get("accepted") is True


def question_of(trace: Mapping[str, Json]) -> str:
    """The row's `question`, or the one in its `extra_info`, or the last thing that the user says in its `prompt`; else
    what the user was made to say."""
    data = trace["sample_data"]
    extra = data.get("extra_info")
    first = trace["conversation_history"][0]["messages"] if trace["conversation_history"] else []
    found = (
        data.get("question"),
        extra.get("question") if isinstance(extra, dict) else None,
        _last_user(data.get("prompt")),
        _last_user(first),
    )
    return next((text for text in found if isinstance(text, str) and text.strip()), "")


def _last_user(messages: Json) -> Json:
    """The content; None where these are no messages."""
    listed = messages if isinstance(messages, list) else []
    said = [one.get("content") for one in listed if isinstance(one, dict) and one.get("role") == "user"]
    return said[-1] if said else None


def _extra_info(trace: Mapping[str, Json]) -> Json:
    """The dataset's own, or what else it has of the row."""
    data = trace["sample_data"]
    return data["extra_info"] if "extra_info" in data else {name: data[name] for name in data if name != "question"}


def _has_pictures(trace: Mapping[str, Json]) -> bool:
    """A folder of trace_*.json lists none: there the marks in the text tell."""
    if trace["images"] or trace["config_id"]:
        return bool(trace["images"])
    return any("<image:0>" in one["content"] for turn in trace["conversation_history"] for one in turn["messages"])


_Held: TypeAlias = tuple[str, str]
"""Config and tool mode: they say how a conversation was held."""


def _held(trace: Mapping[str, Json]) -> _Held:
    return trace["config_id"], str(trace["metadata"].get("tool_mode"))


class _Layout:
    """Columns and their types. Show it every trace with `note`; then it has a schema, and a `row` for each of them."""

    def __init__(self, configs: Mapping[str, Mapping[str, Json]]) -> None:
        self._configs = configs
        self._forms: dict[str, Form] = {}
        self._tools = Kind()
        self._extra = Kind()
        self._shown: dict[_Held, list[Json]] = {}
        """Tools."""
        self._cells: dict[_Held, Json] = {}
        """The same, as the column has them."""
        self._left_out = 0

    def note(self, trace: Mapping[str, Json]) -> None:
        """Raises InputError for one with pictures."""
        if not is_accepted(trace):
            self._left_out += 1
            return
        if _has_pictures(trace):
            raise InputError(f"{trace['id']} has pictures, and verl-sft has no place for them; give --to trace-json")
        self._extra.note(_extra_info(trace))
        held = _held(trace)
        if held not in self._shown:
            self._shown[held] = self._schemas(trace)
            self._tools.note(self._shown[held])

    def schema(self) -> Any:
        """The columns in their order."""
        import pyarrow as pa

        text = pa.string()
        call = pa.struct([("type", text), ("function", pa.struct([("name", text), ("arguments", text)]))])
        message = pa.struct([("role", text), ("content", text), ("tool_calls", pa.list_(call))])
        tools = self._tools.arrow() if self._shown else pa.list_(pa.null())
        return pa.schema(
            [
                ("messages", pa.list_(message)),
                ("tools", tools),
                ("question", text),
                ("extra_info", self._extra.arrow()),
                ("assistant_turns", pa.int64()),
            ]
        )

    def row(self, trace: Mapping[str, Json]) -> dict[str, Json]:
        """Raises TemporaryError for a trace that was not noted and has no place in the columns."""
        try:
            return {
                "messages": messages_of(trace, self._form(trace)),
                "tools": self._tools_cell(trace),
                "question": question_of(trace),
                "extra_info": self._extra.fit(_extra_info(trace)),
                "assistant_turns": trace["metadata"]["total_turns"],
            }
        except UnfitError:
            raise TemporaryError(
                f"{trace['id']} came while the file was being written, and fits in none of its columns; "
                "run the command again"
            ) from None

    def notes(self) -> Iterator[str]:
        """What is otherwise than one would think."""
        import pyarrow as pa

        if self._left_out:
            yield f"{self._left_out:,} traces are not accepted: they are left out"
        if texts := [*self._extra.texts("extra_info"), *self._tools.texts("tools")]:
            more = [] if len(texts) <= NAMED else [f"and {len(texts) - NAMED} more"]
            yield f"JSON text, since no one type holds all values: {', '.join([*texts[:NAMED], *more])}"
        shown = list(self._shown.values())
        if pa.array([self._tools.fit(tools) for tools in shown], self._tools.arrow()).to_pylist() != shown:
            yield (
                "the tools' schemas differ from each other: in a column, which has one type, each also has the keys of "
                "the others, as null; a chat template shows the student those too"
            )

    def _form(self, trace: Mapping[str, Json]) -> Form:
        config_id = trace["config_id"]
        if config_id not in self._forms:
            self._forms[config_id] = form_of(self._configs.get(config_id, {}))
        return self._forms[config_id]

    def _tools_cell(self, trace: Mapping[str, Json]) -> Json:
        held = _held(trace)
        if held not in self._cells:
            self._cells[held] = self._tools.fit(self._schemas(trace))
        return self._cells[held]

    def _schemas(self, trace: Mapping[str, Json]) -> list[Json]:
        return list(schemas_of(trace, self._form(trace)))


def _groups(rows: Iterable[dict[str, Json]]) -> Iterator[list[dict[str, Json]]]:
    """Rows that are written together."""
    group: list[dict[str, Json]] = []
    size = 0
    for row in rows:
        group.append(row)
        size += sum(len(message["content"]) for message in row["messages"])
        if len(group) >= ROWS or size >= CHARACTERS:
            yield group
            group, size = [], 0
    if group:
        yield group


def _table(rows: list[dict[str, Json]], schema: Any) -> Any:
    import pyarrow as pa

    return pa.Table.from_pylist(rows, schema=schema)
