"""Lines: what is written comes back, what JSON cannot say is repaired, what is altered is noticed."""

from __future__ import annotations

import zlib
from types import MappingProxyType

import orjson
import pytest
from support.store_fakes import a_failure, a_trace

from asyncgen.core.errors import DataError
from asyncgen.store.line import (
    check_line,
    dump,
    encode_failure,
    encode_trace,
    has_mark,
    line_key,
    line_reason,
    parse_line,
)


def test_a_trace_line_has_the_contract_keys_in_order_and_the_checksum_last():
    line = encode_trace(a_trace(42, 3))
    assert list(orjson.loads(line)) == [
        "id",
        "version",
        "config_id",
        "rollout",
        "dataset_path",
        "sample_index",
        "sample_data",
        "conversation_history",
        "images",
        "final_response",
        "answer",
        "reward_score",
        "tool_calls",
        "metadata",
        "crc",
    ]
    assert line.startswith(b'{"id":"geo/42/3",')
    body = line[:-19]
    assert line[-19:] == b',"crc":"%08x"}\n' % zlib.crc32(body)


def test_a_failure_line_has_reason_and_error_before_the_checksum():
    line = encode_failure(a_failure(1, reason="bad_image", error='a ","reason":"x" b'))
    assert list(orjson.loads(line))[-3:] == ["reason", "error", "crc"]
    assert line_reason(line) == "bad_image"
    assert check_line(line)


def test_the_reason_is_the_lines_own_also_when_the_sample_has_one():
    failure = a_failure(1)
    line = encode_failure(type(failure)(trace=a_trace(1, reason="sample's"), reason="timeout", error=""))
    assert line_reason(line) == "timeout"


def test_a_trace_line_has_no_reason():
    assert line_reason(encode_trace(a_trace(1))) == ""


def test_the_key_is_read_from_the_first_bytes_alone():
    assert line_key(b'{"id":"a.b_c-1/123456789012/65535" and then noise') == (123456789012, 65535)


@pytest.mark.parametrize(
    "start",
    [b'{"id":"geo/1"', b'{"id":"a/b/1/2"', b'{"id":"geo/-1/0"', b'{"id": "geo/1/0"', b'{"id":"geo/1/65536"', b"\0\0"],
)
def test_a_start_without_a_proper_id_has_no_key(start):
    with pytest.raises(ValueError, match="id"):
        line_key(start)


def test_a_trace_with_a_malformed_id_is_not_encoded():
    trace = a_trace(1)
    object.__setattr__(trace, "id", 'geo"/1/0')
    with pytest.raises(ValueError, match="id"):
        encode_trace(trace)


def test_lone_surrogates_become_one_replacement_each_and_pairs_are_joined():
    line = encode_trace(a_trace(1, text="a\ud800b \ud83d\ude00 c"))
    assert parse_line(line)["final_response"] == "a\ufffdb \U0001f600 c"
    assert check_line(line)


def test_what_json_cannot_say_is_written_as_text():
    data = {"big": 2**70, "nan": float("nan"), "huge": -(10**6000), 3: {None: "\ud800"}, "ok": [1, 2.5, True, None]}
    found = orjson.loads(dump({"x": data}))["x"]
    assert found == {
        "big": str(2**70),
        "nan": None,
        "huge": hex(-(10**6000)),
        "3": {"None": "\ufffd"},
        "ok": [1, 2.5, True, None],
    }


def test_other_mappings_and_unknown_types_do_not_stop_a_trace():
    found = orjson.loads(dump({"proxy": MappingProxyType({"a": 1}), "bytes": b"x", "complex": 1j}))
    assert found == {"proxy": {"a": 1}, "bytes": "b'x'", "complex": "1j"}


def test_a_deeply_nested_value_is_kept_as_its_own_json():
    deep: object = {"end": [2**70, "é"]}
    for _ in range(5000):
        deep = [deep, "\ud800"]
    value = orjson.loads(dump({"deep": deep}))["deep"]
    while isinstance(value, list):
        value = value[0]
    assert value.startswith("[[[[")
    assert '{"end":["1180591620717411303424","é"]}' in value
    assert value.count("[") == value.count("]")


def test_line_separators_of_unicode_do_not_break_a_line():
    line = encode_trace(a_trace(1, text="a\u2028b\u0085c\0d\r\n"))
    assert line.count(b"\n") == 1
    assert parse_line(line)["answer"] == "a\u2028b\u0085c\0d\r\n"


@pytest.mark.parametrize("bad", [b"", b"\n", b"{}\n", b"\0" * 64, b'{"id":"geo/1/0"}\n'])
def test_what_is_no_committed_line_fails_the_check(bad):
    assert not check_line(bad)
    assert not has_mark(bad)


@pytest.mark.parametrize("bad", [b"{", b"[1]", b"\0\0", b'"x"'])
def test_parsing_something_else_than_an_object_is_a_data_error(bad):
    with pytest.raises(DataError):
        parse_line(bad)
