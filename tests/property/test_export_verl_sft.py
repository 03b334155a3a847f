"""Whatever was said and whatever a row holds: it comes back from the file as it went in."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st
from support.traces import call, message, trace_line, turn

from asyncgen.core.thinking import split_thinking
from asyncgen.endpoint.dialects import DIALECTS
from asyncgen.endpoint.text_calls import scan_calls
from asyncgen.export.arrow_kinds import Kind
from asyncgen.export.files import Traces
from asyncgen.export.sft_messages import Form, messages_of
from asyncgen.export.verl_sft import write_verl_sft

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    ['„東京“ "x"\n\n', "\n</tool_response>\n<tool_response>\n", "<tool_call>", "</think>", "\n</tool_response>\n\nnow"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)
WORDS = st.text("abc ", min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(said=st.lists(TEXTS, min_size=2, max_size=5), results=st.lists(TEXTS, min_size=1, max_size=3))
def test_every_text_of_a_native_conversation_comes_back(said: list[str], results: list[str]):
    turns = [turn(number, text) for number, text in enumerate(said, 1)]
    turns[0]["messages"] = [message("user", said[-1])]
    turns[1]["messages"] = [message("tool", text, call_id=str(k)) for k, text in enumerate(results)]
    arguments = json.dumps({"query_list": results}, ensure_ascii=False)
    calls = [call(1, "search", arguments) for _ in results]
    trace = trace_line(data={"question": "q"}, turns=turns, calls=calls)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.parquet")
        write_verl_sft(Traces(lambda: [trace]), path)
        (stored,) = pq.read_table(path)["messages"].to_pylist()
        (framed,) = pd.read_parquet(path, dtype_backend="pyarrow")["messages"].to_list()
    kept = [{key: value for key, value in one.items() if value is not None} for one in stored]
    assert kept == messages_of(trace, Form())
    assert list(framed) == stored
    assert all(isinstance(one["content"], str) for one in stored)
    if not scan_calls(split_thinking(said[0])[1], turn=1):
        assert [one["content"] for one in stored] == [said[-1], said[0], *results, *said[1:]]
        assert [one["function"]["arguments"] for one in kept[1]["tool_calls"]] == [arguments] * len(results)


@settings(max_examples=100, deadline=None)
@given(
    thought=WORDS,
    before=st.sampled_from(["", "<think>{}</think>\n\n", "{}</think>", "said <think>{}</think> "]),
    results=st.lists(TEXTS, min_size=1, max_size=3),
    ask=st.sampled_from(["", "Answer now."]),
)
def test_a_conversation_in_text_gives_the_messages_of_the_native_one_or_stays_as_it_was(
    thought: str, before: str, results: list[str], ask: str
):
    prefix = before.format(thought)
    blocks = "".join(
        f'<tool_call>\n{{"name": "search", "arguments": {{"q": {k}}}}}\n</tool_call>\n' for k in range(len(results))
    )
    sent = [part for text in results for part in DIALECTS["tool_call"].results(text, ())]
    asked = "".join(map(str, sent)).rstrip() + (f"\n\n{ask}" if ask else "")
    turns = [turn(1, prefix + blocks, messages=[message("user", "q")]), turn(2, "x", messages=[message("user", asked)])]
    calls = [call(1, "search", f'{{"q": {k}}}') for k in range(len(results))]
    found = messages_of(trace_line(turns=turns, calls=calls, tool_mode="text"), Form())
    if "tool_calls" in found[1]:
        assert found[1]["content"] == prefix.strip()
        assert [one["function"]["arguments"] for one in found[1]["tool_calls"]] == [
            f'{{"q": {k}}}' for k in range(len(results))
        ]
        assert [one["content"] for one in found[2:-1]] == [*results, *([ask] if ask else [])]
        assert [one["role"] for one in found[2:-1]] == ["tool"] * len(results) + ["user"] * bool(ask)
    else:
        assert [one["content"] for one in found] == ["q", prefix + blocks, asked, "x"]
        assert any("</tool_response>" in text for text in results)


@settings(max_examples=100, deadline=None)
@given(values=st.lists(JSON, max_size=5))
def test_values_have_a_type_that_parquet_takes_and_come_back(values: list[Any]):
    kind = Kind()
    for value in values:
        kind.note(value)
    fitted = [kind.fit(value) for value in values]
    table = pa.table({"a": pa.array(fitted, kind.arrow())})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.parquet")
        pq.write_table(table, path)
        assert pq.read_table(path).equals(table)
    if not list(kind.texts("a")):
        assert [_bare(value) for value in table["a"].to_pylist()] == [_bare(value) for value in values]


def _bare(value: Any) -> Any:
    """Without what a column cannot tell from a null: keys that are not there, mappings without any."""
    if isinstance(value, dict):
        kept = {key: one for key, inner in value.items() if (one := _bare(inner)) is not None}
        return kept or None
    return [_bare(one) for one in value] if isinstance(value, list) else value
