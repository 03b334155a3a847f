"""One JSON file a trace: shapes, names, and what is not overwritten."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.traces import call, geo_scores, message, trace_line, turn, two_turns

from asyncgen.core.errors import DataError, InputError
from asyncgen.export.files import Counts, whole_file
from asyncgen.export.formats import FORMATS
from asyncgen.export.stats import Stats
from asyncgen.export.trace_folder import read_trace_json
from asyncgen.export.trace_folder import trace_line as trace_line_of
from asyncgen.export.trace_json import document, file_name, geo_document, tools_document, write_trace_json
from asyncgen.view.show import render_block, render_trace


def written(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text("utf-8"))


def test_the_tools_document_has_the_documents_keys_in_order() -> None:
    document = tools_document(two_turns())
    assert list(document) == [
        "dataset_path",
        "sample_index",
        "sample_data",
        "conversation_history",
        "final_response",
        "reward_score",
        "tool_calls",
        "metadata",
    ]
    assert list(document["conversation_history"][0])[:4] == ["turn", "messages", "response", "usage"]
    assert document["metadata"] == {
        "total_turns": 2,
        "num_tool_calls": 1,
        "parse_success": True,
        "distance_km": 157.27,
        "score": 0.9,
    }


def test_arguments_become_objects() -> None:
    (entry,) = tools_document(two_turns())["tool_calls"]
    arguments = {"bbox_2d": [1, 2, 30, 40]}
    assert entry == {
        "turn": 1,
        "tool_call": {"name": "image_zoom_in_tool", "arguments": arguments},
        "success": True,
    }


@pytest.mark.parametrize("arguments", ['{"bbox_2d": [1,', "[1, 2]", "7", '{"angle": NaN}', "[" * 100_000])
def test_arguments_that_are_no_object_become_an_empty_one(arguments: str) -> None:
    (entry,) = tools_document(trace_line(calls=[call(1, "zoom", arguments, error="bad")]))["tool_calls"]
    assert entry["tool_call"]["arguments"] == {}
    assert entry["success"] is False


def test_a_job_without_distances_has_no_distance_in_its_headline() -> None:
    scores = {"score": 1.0, "em": 1.0, "f1": 1.0, "parse_success": True}
    assert list(tools_document(trace_line(scores=scores))["metadata"]) == [
        "total_turns",
        "num_tool_calls",
        "parse_success",
        "score",
    ]


def test_the_geo_document_holds_the_answer_as_the_server_gave_it() -> None:
    turns = [turn(1, r"\boxed{1.5, 2.5}", reasoning="Palms.", tokens=(7, 8))]
    document = geo_document(trace_line(turns=turns, tool_mode="none"))
    assert list(document) == ["sample_data", "api_response", "response_text"]
    assert document["api_response"] == {
        "id": "chatcmpl-1",
        "model": "demo-vl",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": r"\boxed{1.5, 2.5}", "reasoning_content": "Palms."},
            }
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 8, "total_tokens": 15, "cached_tokens": 0},
    }
    assert document["response_text"] == r"\boxed{1.5, 2.5}"


def test_files_are_numbered_by_row_and_named_by_rollout() -> None:
    assert file_name(trace_line(42, 0)) == "trace_00042.json"
    assert file_name(trace_line(42, 3)) == "trace_00042_r3.json"
    assert file_name(trace_line(1_400_000, 0)) == "trace_1400000.json"
    assert file_name(trace_line(42, 0), width=2) == "trace_42.json"


def test_each_trace_gets_a_file_in_the_shape_of_its_job(tmp_path: Path) -> None:
    traces = [two_turns(1), trace_line(2, tool_mode="none", data={"city": "Zürich"})]
    assert FORMATS["trace-json"](lambda: traces, tmp_path / "out") == Counts(out=tmp_path / "out", traces=2, files=2)
    assert written(tmp_path / "out", "trace_00001.json") == tools_document(traces[0])
    assert written(tmp_path / "out", "trace_00002.json") == geo_document(traces[1])
    text = (tmp_path / "out" / "trace_00002.json").read_text("utf-8")
    assert '\n  "sample_data": {\n    "city": "Zürich"\n' in text


def test_several_turns_without_tools_are_all_exported() -> None:
    trace = trace_line(3, tool_mode="none", turns=[turn(1, "one"), turn(2, "two")])
    assert [one["response"] for one in document(trace)["conversation_history"]] == ["one", "two"]


def test_an_export_can_run_again_and_says_what_it_left(tmp_path: Path) -> None:
    write_trace_json(lambda: [two_turns(1), two_turns(2)], tmp_path)
    (tmp_path / ".trace_00003.json.partial").touch()  # of an export that was killed
    assert write_trace_json(lambda: [two_turns(2)], tmp_path) == Counts(out=tmp_path, traces=1, files=1, leftover=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["trace_00001.json", "trace_00002.json"]


def test_a_folder_with_other_files_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InputError, match=r"thesis\.tex"):
        write_trace_json(lambda: [two_turns()], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(InputError, match="is a file"):
        write_trace_json(lambda: [two_turns()], tmp_path / "out")


def test_two_traces_of_one_name_are_refused_before_a_file_is_written(tmp_path: Path) -> None:
    traces = [trace_line(0, job="a"), trace_line(1, job="a"), trace_line(1, job="b")]
    with pytest.raises(InputError, match=r"b/1/0 would be the second trace_00001\.json"):
        write_trace_json(lambda: traces, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def interrupted_write(path: Path) -> None:
    with whole_file(path) as file:
        file.write(b"ne")
        raise KeyboardInterrupt


def test_an_interrupted_file_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        interrupted_write(tmp_path / "x")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("x", b"old")]


def test_what_was_written_reads_back_as_trace_lines(tmp_path: Path) -> None:
    original = two_turns(42, 3)
    write_trace_json(lambda: [original], tmp_path)
    (read,) = read_trace_json(tmp_path)
    assert list(read) == [key for key in original if key != "crc"]
    assert read["id"] == "trace/42/3"
    assert tools_document(read) == tools_document(original)
    assert read["conversation_history"] == original["conversation_history"]


def test_a_folder_can_be_shown_and_counted_like_a_run(tmp_path: Path) -> None:
    write_trace_json(lambda: [two_turns(1), trace_line(2, tool_mode="none")], tmp_path)
    stats = Stats()
    for trace in read_trace_json(tmp_path):
        stats.add(trace)
        assert f"trace/{trace['sample_index']}/0" in render_trace(trace)
        assert "[SUCCESS]" in render_block(1, 1, trace)
    summary = stats.summary()
    assert (summary["traces"], summary["tools"]["calls"]) == (2, 1)
    assert summary["scores"]["score"]["mean"] == 0.9


def test_a_geo_document_reads_back_as_one_turn(tmp_path: Path) -> None:
    write_trace_json(lambda: [trace_line(5, turns=[turn(1, "Here.", reasoning="Palms.")], tool_mode="none")], tmp_path)
    (read,) = read_trace_json(tmp_path)
    (only,) = read["conversation_history"]
    assert (only["response"], only["reasoning"], only["finish_reason"]) == ("Here.", "Palms.", "stop")
    assert (read["final_response"], read["metadata"]["tool_mode"]) == ("Here.", "none")
    assert read["metadata"]["prompt_tokens"] == 100


def test_the_newer_scripts_keys_are_understood(tmp_path: Path) -> None:
    document = {
        "dataset_path": "d",
        "sample_index": 9,
        "initial_prompt": {"system": "S", "user": "U", "tools": [], "tools_mode": "prompt_based"},
        "conversation_log": [{"turn": 1, "response": "R1", "usage": None}, {"turn": 2, "response": "R2"}],
        "tool_calls_log": [{"turn": 1, "tool_name": "zoom", "tool_arguments": {"a": 1}, "success": True}],
        "reward_score": {"score": 0.5, "parse_success": True, "distance@km": None},
    }
    (tmp_path / "trace_00009.json").write_text(json.dumps(document))
    (read,) = read_trace_json(tmp_path)
    assert read["conversation_history"][0]["messages"] == [message("system", "S"), message("user", "U")]
    assert read["conversation_history"][1]["messages"] == []
    assert read["tool_calls"][0]["tool_call"] == {"id": "", "name": "zoom", "arguments": '{"a":1}'}
    assert read["metadata"]["tool_mode"] == "text"
    assert read["reward_score"] == {"score": 0.5, "parse_success": True}
    assert (read["final_response"], read["metadata"]["total_turns"]) == ("R2", 2)


def test_a_conversation_stored_anew_in_each_turn_is_read_once_and_without_pictures_bytes(tmp_path: Path) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,AAAA"}}
    opening = [{"role": "user", "content": [{"type": "text", "text": "Where? "}, picture]}]
    second = [*opening, {"role": "assistant", "content": "R1"}, {"role": "user", "content": [picture]}]
    turns = [
        {"turn": 1, "messages": opening, "response": "R1"},
        {"turn": 2, "messages": second, "response": "R2"},
    ]
    (tmp_path / "trace_00000.json").write_text(json.dumps({"conversation_history": turns}))
    (read,) = read_trace_json(tmp_path)
    assert [entry["messages"] for entry in read["conversation_history"]] == [
        [message("user", "Where? <image:0>")],
        [message("user", "<image:1>")],
    ]


def test_the_same_question_in_two_turns_is_kept_in_both(tmp_path: Path) -> None:
    again = [message("user", "Go on.")]
    original = trace_line(turns=[turn(n, f"R{n}", messages=again) for n in (1, 2, 3)])
    write_trace_json(lambda: [original], tmp_path)
    (read,) = read_trace_json(tmp_path)
    assert [entry["messages"] for entry in read["conversation_history"]] == [again, again, again]


@pytest.mark.parametrize(
    "document",
    [
        {"conversation_history": None},
        {"conversation_history": [{"turn": "x", "messages": "y", "response": 3, "usage": [], "attempts": None}]},
        {"conversation_history": [], "tool_calls": [{"tool_call": "z"}], "metadata": {"total_turns": "many"}},
        {"api_response": {"choices": "none"}},
        {"conversation_log": [7, None], "sample_data": [], "reward_score": 3, "sample_index": "x"},
        {"conversation_history": [{"seconds": 10**400}], "tool_calls": [{"seconds": -(10**400)}]},
    ],
)
def test_values_of_wrong_types_count_as_not_said(tmp_path: Path, document: dict[str, Any]) -> None:
    (tmp_path / "trace_00004.json").write_text(json.dumps(document))
    (read,) = read_trace_json(tmp_path)
    assert read["sample_index"] == 4
    assert type(read["metadata"]["total_turns"]) is int
    assert tools_document(read)["sample_data"] == {}


def test_files_come_in_the_order_of_rows_and_rollouts(tmp_path: Path) -> None:
    write_trace_json(lambda: [trace_line(index, rollout) for index in (100_000, 7) for rollout in (10, 2)], tmp_path)
    assert [trace["id"] for trace in read_trace_json(tmp_path)] == [
        "trace/7/2",
        "trace/7/10",
        "trace/100000/2",
        "trace/100000/10",
    ]


def test_a_folder_without_traces_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"trace_00000\.json"):
        list(read_trace_json(tmp_path))


@pytest.mark.parametrize(
    ("text", "words"), [("{", "is no JSON"), ("[]", "holds no trace"), ('{"a": 1}', "holds no trace")]
)
def test_a_file_that_holds_no_trace_is_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "trace_00001.json").write_text(text)
    with pytest.raises(DataError, match=f"trace_00001.json {words}"):
        list(read_trace_json(tmp_path))


def test_scores_without_an_answer_keep_their_stand_in_distance() -> None:
    document = tools_document(trace_line(scores=geo_scores(parsed=False)))
    assert document["reward_score"]["distance@km"] == document["metadata"]["distance_km"] == 20000.0


@pytest.mark.parametrize(
    ("document", "answer"),
    [
        ({"final_response": r"So \boxed{1.5, 2.5}"}, "1.5, 2.5"),
        ({"final_response": "So <answer> Oslo </answer>."}, "Oslo"),
        ({"final_response": "No idea."}, ""),
        ({"conversation_history": [{"response": r"\boxed{7}"}]}, "7"),
        ({"final_response": r"\boxed{7}", "answer": ""}, ""),
        ({"final_response": r"\boxed{7}", "answer": None}, "7"),
    ],
)
def test_the_answer_of_a_file_that_names_none_is_the_one_in_its_response(document: Any, answer: str) -> None:
    line = {"conversation_history": [], **document}
    assert trace_line_of(line, index=0, rollout=0, name="a file")["answer"] == answer
