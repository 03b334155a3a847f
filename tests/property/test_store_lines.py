"""Whatever a trace holds, its line gives it back; whatever befalls the line is noticed."""

from __future__ import annotations

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from support.store_fakes import a_failure, a_trace

from asyncgen.store.line import (
    MAX_INDEX,
    MAX_ROLLOUT,
    check_line,
    encode_failure,
    encode_trace,
    line_key,
    line_reason,
    parse_line,
)
from asyncgen.store.run_file import config_diff, redact

texts = st.text(st.characters())  # surrogates too
plain = st.text()
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
trees = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=20)
faithful = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | plain,
    lambda inner: st.lists(inner) | st.dictionaries(plain, inner),
    max_leaves=20,
)


@settings(max_examples=100, deadline=None)
@given(plain, st.dictionaries(plain, faithful))
def test_what_json_can_say_comes_back_as_it_was(text, data):
    trace = a_trace(5, text=text)
    object.__setattr__(trace, "sample_data", data)
    found = parse_line(encode_trace(trace))
    assert found["final_response"] == text
    assert found["conversation_history"][0]["response"] == text
    assert found["sample_data"] == data


@settings(max_examples=100, deadline=None)
@given(texts, trees, texts)
def test_anything_at_all_becomes_one_whole_line(text, data, error):
    trace = a_trace(5, text=text, data=data)
    failure = type(a_failure(5))(trace=trace, reason="internal", error=error)
    for line in (encode_trace(trace), encode_failure(failure)):
        assert line.count(b"\n") == 1
        assert check_line(line)
        assert line_key(line) == (5, 0)
        assert "crc" in orjson.loads(line)
    assert line_reason(encode_failure(failure)) == "internal"


@settings(max_examples=100, deadline=None)
@given(st.integers(0, MAX_INDEX), st.integers(0, MAX_ROLLOUT))
def test_every_key_is_sliced_as_it_was_written(index, rollout):
    assert line_key(encode_trace(a_trace(index, rollout))) == (index, rollout)


@settings(max_examples=100, deadline=None)
@given(plain, st.data())
def test_a_flipped_byte_is_always_noticed(text, data):
    line = bytearray(encode_trace(a_trace(5, text=text)))
    at = data.draw(st.integers(0, len(line) - 1))
    line[at] ^= data.draw(st.integers(1, 255))
    assert not check_line(bytes(line))


@settings(max_examples=100, deadline=None)
@given(plain, st.data())
def test_a_cut_or_zeroed_tail_is_always_noticed(text, data):
    line = encode_trace(a_trace(5, text=text))
    at = data.draw(st.integers(0, len(line) - 2))
    assert not check_line(line[:at])
    assert not check_line(line[:at] + bytes(len(line) - at))


@settings(max_examples=100, deadline=None)
@given(trees)
def test_nothing_differs_from_itself_and_redacting_twice_is_redacting_once(tree):
    assert config_diff({"x": tree}, {"x": tree}) == []
    once = redact(tree)
    assert repr(redact(once)) == repr(once)
