"""A critique run as rows for finetuning and for reinforcement learning."""

import json
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.maths_files import question
from support.traces import trace_line, turn

from asyncgen.core.errors import InputError
from asyncgen.export.critique_format import formatted
from asyncgen.export.critique_runs import write_critique_sft, write_verl_rl
from asyncgen.export.critiques import INSTRUCTION, Candidate, candidates, critique_rows


def row(index: int, *, level: object = 2) -> dict:
    (found,) = critique_rows({**question(index), "level": level}, index, [Candidate("a", 1, "It is 8", "right")])
    return found


def critique(index: int, rollout: int = 0, *, data: dict, accepted: bool = True) -> dict:
    text = f"critique {index}/{rollout}. Conclusion: right [END]"
    line = trace_line(index, rollout, job="critique", data=data, turns=[turn(1, f"<think>hm</think>{text}")])
    return {**line, "final_response": text, "metadata": {**line["metadata"], "accepted": accepted}}


@pytest.mark.parametrize("form", [lambda one: one, lambda one: formatted(one, 5)], ids=["set", "formatted"])
def test_accepted_critiques_become_instructions(tmp_path: Path, form):
    traces = [critique(7, k, data=form(row(7)), accepted=k != 1) for k in range(3)]
    counts = write_critique_sft(lambda: traces, tmp_path / "out")
    assert (counts.out, counts.traces) == (tmp_path / "out" / "critique_sft.json", 2)
    assert json.loads(counts.out.read_text()) == [
        {
            "instruction": INSTRUCTION,
            "input": "Question:\nWhat is $7 + 1$?\n\nSolution:\nIt is 8",
            "output": f"critique 7/{k}. Conclusion: right [END]",
        }
        for k in (0, 2)
    ]


def test_traces_of_another_job_are_refused(tmp_path: Path):
    for write in (write_critique_sft, write_verl_rl):
        with pytest.raises(InputError, match=r"geo-tools/42/0: .* of the critique job"):
            write(lambda: [trace_line()], tmp_path / "out")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("form", [lambda one, _: one, formatted], ids=["set", "formatted"])
def test_each_row_of_a_run_is_one_row_for_reinforcement(tmp_path: Path, form):
    levels = [1, 2, "hard"]
    traces = [
        critique(index, k, data=form(row(index, level=levels[index]), index)) for k in (1, 0) for index in range(3)
    ]
    counts = write_verl_rl(lambda: traces, tmp_path / "rl.parquet")
    assert counts.traces == 3
    found = pq.read_table(tmp_path / "rl.parquet").to_pylist()
    expected = [formatted(row(index, level=str(levels[index])), index) for index in range(3)]
    assert found == expected


@pytest.mark.parametrize("name", ["x.json", "x.jsonl"])
def test_a_file_name_is_taken_as_it_is(tmp_path: Path, name: str):
    traces = [critique(7, k, data=row(7)) for k in range(2)]
    for count in (0, 2):
        counts = write_critique_sft(lambda: traces[:count], tmp_path / name)  # noqa: B023  # called at once
        assert (counts.out, counts.traces) == (tmp_path / name, count)
        text = counts.out.read_text()
        found = json.loads(text) if name == "x.json" else [json.loads(line) for line in text.splitlines()]
        assert [one["output"][:12] for one in found] == [f"critique 7/{k}" for k in range(count)]


@pytest.mark.parametrize(
    ("write", "name"), [(write_critique_sft, "x.parquet"), (write_verl_rl, "x.jsonl"), (write_verl_rl, "x.json")]
)
def test_a_file_of_another_kind_is_refused_and_becomes_no_folder(tmp_path: Path, write, name: str):
    with pytest.raises(InputError, match="this export writes"):
        write(list, tmp_path / name)
    assert not (tmp_path / name).exists()
    (tmp_path / name).mkdir()
    assert write(list, tmp_path / name).out.parent == tmp_path / name


def test_rows_come_in_the_order_of_the_dataset_however_the_run_ended_them(tmp_path: Path):
    traces = [critique(index, k, data=row(index)) for k in (2, 0, 1) for index in (11, 2, 300, 7)]
    write_critique_sft(lambda: iter(traces), tmp_path / "x.json")
    ordered = sorted((trace["sample_index"], trace["rollout"]) for trace in traces)
    expected = [f"critique {index}/{k}. Conclusion: right [END]" for index, k in ordered]
    assert [one["output"] for one in json.loads((tmp_path / "x.json").read_text())] == expected
    write_verl_rl(lambda: iter(traces), tmp_path / "x.parquet")
    found = pq.read_table(tmp_path / "x.parquet").to_pylist()
    assert [one["extra_info"]["index"] for one in found] == [2, 7, 11, 300]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.json", "x.parquet"]


def test_halves_of_surrogate_pairs_do_not_stop_an_export(tmp_path: Path):
    traces = [critique(7, data={**row(7), "question": "is it \ud800?"})]
    write_critique_sft(lambda: traces, tmp_path / "x.jsonl")
    write_verl_rl(lambda: traces, tmp_path / "x.parquet")
    assert "is it \ufffd?" in json.loads((tmp_path / "x.jsonl").read_text())["input"]
    assert pq.read_table(tmp_path / "x.parquet").to_pylist()[0]["question"] == "is it \ufffd?"


def test_no_row_at_all_is_an_empty_table(tmp_path: Path):
    write_verl_rl(list, tmp_path / "x.parquet")
    assert pq.read_table(tmp_path / "x.parquet").num_rows == 0
    assert candidates({}, {}, Counter()) == []
