"""A run opened from Python, on run directories made by hand."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest
from support.store_fakes import StillClock, a_failure, a_trace, open_store, save, writing
from support.traces import failed_line, trace_line, two_turns

import asyncgen
from asyncgen.core.errors import DataError, InputError
from asyncgen.core.trace import Trace
from asyncgen.runs.objects import failure_of, trace_of
from asyncgen.store.files import DISK
from asyncgen.store.line import encode_failure, encode_trace, parse_line
from asyncgen.store.run_file import write_run


def run_file(directory: Path) -> None:
    write_run(directory, {"name": "geo", "config_id": "c", "config": {"task": "geo"}}, files=DISK, clock=StillClock())


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Rows 0 to 4, row 2 twice."""
    folder = tmp_path / "run"
    save(folder, *(a_trace(index, text=f"answer {index}") for index in range(5)), a_trace(2, 1, text="again"))
    run_file(folder)
    return folder


def test_a_stored_line_becomes_the_trace_that_it_was_written_from() -> None:
    trace = a_trace(7, 3, calls=2, lat=1.5, names=["a", None])
    assert trace_of(parse_line(encode_trace(trace))) == trace


def test_a_stored_failure_becomes_the_failure_that_it_was_written_from() -> None:
    failure = a_failure(7, reason="bad_image", error="truncated")
    assert failure_of(parse_line(encode_failure(failure))) == failure


def test_what_is_no_id_is_no_key(directory: Path) -> None:
    opened = asyncgen.Run.open(directory)
    for which in ("", (1, 2, 3), None, 1.5):
        assert which not in opened
    assert np.int64(3) in opened  # as in a DataFrame
    assert opened[np.int64(3)].id == "geo/3/0"


@pytest.mark.parametrize("config", [[1], None, "geo"])
def test_a_run_file_without_a_mapping_of_settings_is_a_data_error(directory: Path, config: object) -> None:
    (directory / "run.json").write_bytes(orjson.dumps({"name": "geo", "config_id": "c", "config": config}))
    with pytest.raises(DataError, match=r"run.json.*config"):
        _ = asyncgen.Run.open(directory).image_root


def test_a_score_that_is_null_stays_none_and_other_keys_are_left_out() -> None:
    line = trace_line(scores={"score": None}) | {"later": 1}
    assert trace_of(line).reward_score == {"score": None}


@pytest.mark.parametrize("change", [{"images": 3}, {"conversation_history": [1]}, {"tool_calls": [{}]}])
def test_a_line_of_another_shape_is_a_data_error_that_names_it(change: dict[str, object]) -> None:
    with pytest.raises(DataError, match="'geo-tools/42/0' is no whole trace"):
        trace_of(trace_line() | change)


def test_a_line_without_a_key_is_a_data_error() -> None:
    line = trace_line()
    del line["answer"]
    with pytest.raises(DataError, match="KeyError: 'answer'"):
        trace_of(line)


def test_traces_come_in_the_order_in_which_they_were_saved(directory: Path) -> None:
    run = asyncgen.Run.open(directory)
    assert [trace.id for trace in run] == ["geo/0/0", "geo/1/0", "geo/2/0", "geo/3/0", "geo/4/0", "geo/2/1"]
    assert len(run) == 6
    assert isinstance(next(iter(run)), Trace)


def test_a_trace_is_found_by_id_by_row_and_by_rollout(directory: Path) -> None:
    run = asyncgen.Run.open(str(directory))
    assert run["geo/3/0"].answer == run[3].answer == "answer 3"
    assert run[2, 1].answer == "again"
    assert "geo/3/0" in run
    assert 9 not in run
    assert None not in run


@pytest.mark.parametrize("which", [99, -1, "geo/99/0", (0, 1)])
def test_a_trace_that_is_not_there_is_a_key_error(directory: Path, which: str | int | tuple[int, int]) -> None:
    with pytest.raises(KeyError, match="has no trace"):
        asyncgen.Run.open(directory)[which]


def test_what_failed_is_read_anew_each_time_and_has_no_trace(tmp_path: Path) -> None:
    async def main() -> None:
        async with writing(open_store(folder)) as store:
            await store.append(a_trace(0))
            await store.fail(a_failure(1, reason="timeout", error="too slow"))
            await store.fail(a_failure(2))

    folder = tmp_path / "run"
    asyncio.run(main())
    run_file(folder)
    run = asyncgen.Run.open(folder)
    assert len(run) == 1
    assert [one.trace.id for one in run.failed] == [one.trace.id for one in run.failed] == ["geo/1/0", "geo/2/0"]
    assert len(run.failed) == 2
    assert (run.failed[0].reason, run.failed[0].error) == ("timeout", "too slow")
    assert run.failed[-1].trace.sample_index == 2
    for number in (2, -3):
        with pytest.raises(IndexError):
            run.failed[number]
    with pytest.raises(KeyError, match=r"geo/1/0 has no trace, it failed \(timeout\)"):
        run[1]


def test_a_run_that_goes_on_shows_what_is_saved_so_far(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    seen: list[int] = []

    def look() -> None:
        run_file(folder)
        seen.append(len(asyncgen.Run.open(folder)))

    save(folder, a_trace(0), a_trace(1), then=look)
    assert seen == [2]


def test_a_run_without_traces_has_length_zero_and_still_shows_itself(tmp_path: Path) -> None:
    save(tmp_path / "run")
    run_file(tmp_path / "run")
    run = asyncgen.Run.open(tmp_path / "run")
    assert (len(run), list(run), len(run.failed)) == (0, [], 0)
    assert "<table>" in run._repr_html_()
    with pytest.raises(KeyError, match="no traces yet"):
        run[0]


def test_a_folder_of_partitions_is_one_run(tmp_path: Path) -> None:
    for number in range(2):
        part = tmp_path / f"part-{number:03d}-of-002"
        save(part, a_trace(number))
        run_file(part)
    run = asyncgen.Run.open(tmp_path)
    assert ([trace.sample_index for trace in run], len(run), run.name) == ([0, 1], 2, "geo")


def test_a_folder_of_trace_files_is_a_run_without_config(tmp_path: Path) -> None:
    line = two_turns(5)
    files = tmp_path / "files"
    files.mkdir()
    (files / "trace_00005.json").write_bytes(orjson.dumps(line))
    run = asyncgen.Run.open(files)
    assert ([trace.id for trace in run], len(run), run.name, run.config) == (["trace/5/0"], 1, "trace", {})
    assert run[5].conversation_history[0].reasoning == "A sign."
    assert len(run.failed) == 0


def test_name_and_config_are_those_of_the_run(directory: Path) -> None:
    run = asyncgen.Run.open(directory)
    assert (run.name, run.config, run.summary) == ("geo", {"task": "geo"}, None)
    assert repr(run) == f"Run({str(directory)!r})"
    assert run.status()["stored"] == 6


@pytest.mark.parametrize("name", ["nothing", "empty"])
def test_a_place_without_a_run_is_an_input_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"does not exist|is not a run directory"):
        asyncgen.Run.open(tmp_path / name)


def test_the_table_of_a_run_escapes_what_models_wrote(tmp_path: Path) -> None:
    save(tmp_path / "run", a_trace(0, text="<script>alert(1)</script>"))
    run_file(tmp_path / "run")
    shown = asyncgen.Run.open(tmp_path / "run")._repr_html_()
    assert "<script" not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown


def test_a_failed_lines_trace_is_whole() -> None:
    assert failure_of(failed_line()).trace.metadata["stop"] == "failed"


@pytest.fixture
def scored(tmp_path: Path) -> Path:
    """Six rows with a score of a tenth of their number."""
    folder = tmp_path / "scored"
    lines = (a_trace(index, text=f"answer {index}", country="x" if index % 2 else "y") for index in range(6))
    save(folder, *(replace(one, reward_score={"score": one.sample_index / 10}) for one in lines))
    run_file(folder)
    return folder


def test_where_gives_the_traces_for_which_it_is_true_each_time_that_it_is_asked(scored: Path) -> None:
    kept = asyncgen.Run.open(scored).where("score > 0.15 and country = 'x'")
    assert [trace.sample_index for trace in kept] == [trace.sample_index for trace in kept] == [3, 5]
    assert (len(kept), kept[1].answer) == (2, "answer 5")


def test_wrong_sql_in_where_is_an_input_error_when_it_is_looked_through(scored: Path) -> None:
    kept = asyncgen.Run.open(scored).where("scroe > 1")
    with pytest.raises(InputError, match="did you mean 'score'"):
        list(kept)
    with pytest.raises(InputError, match="did you mean 'score'"):
        len(kept)


def test_scalars_become_a_data_frame(scored: Path) -> None:
    run = asyncgen.Run.open(scored)
    frame = run.to_pandas()
    assert frame["score"].tolist() == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert frame["id"].tolist() == [trace.id for trace in run]
    assert frame["country"].tolist() == ["y", "x"] * 3
    assert "final_response" not in frame
    assert run.to_pandas("score >= 0.4", texts=True)["final_response"].tolist() == ["answer 4", "answer 5"]


def test_a_run_without_traces_is_an_empty_data_frame(tmp_path: Path) -> None:
    save(tmp_path / "run")
    run_file(tmp_path / "run")
    frame = asyncgen.Run.open(tmp_path / "run").to_pandas()
    assert (len(frame), "id" in frame) == (0, True)


def test_what_is_lazy_says_what_it_holds(directory: Path) -> None:
    run = asyncgen.Run.open(directory)
    assert repr(run.where("nonsense (")) == "<Lazy: traces where nonsense (>"  # nothing is read for it
    assert repr(run.failed) == f"<Lazy: failed episodes of {directory}>"


def test_a_slice_of_a_run_is_a_type_error_that_says_what_to_give(directory: Path) -> None:
    run = asyncgen.Run.open(directory)
    with pytest.raises(TypeError, match=r"give an id, a row number or \(row, rollout\)"):
        run[0:3]  # type: ignore[index]  # what is tested
    assert slice(0, 3) not in run


def test_a_row_number_below_zero_is_told_where_they_begin(directory: Path) -> None:
    with pytest.raises(KeyError, match="row numbers are from 0"):
        asyncgen.Run.open(directory)[-1]
