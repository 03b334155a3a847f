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


def test_a_file_name_is_taken_as_it_is(tmp_path: Path):
    assert write_critique_sft(list, tmp_path / "x.json").out == tmp_path / "x.json"
    assert json.loads((tmp_path / "x.json").read_text()) == []


def test_no_row_at_all_is_an_empty_table(tmp_path: Path):
    write_verl_rl(list, tmp_path / "x.parquet")
    assert pq.read_table(tmp_path / "x.parquet").num_rows == 0
    assert candidates({}, {}, Counter()) == []
