"""Where the output file may lie, and what becomes of it when nobody waits for it."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest
from support.runs_on_disk import line, make_run

from asyncgen.config.schema import Dataset, Job, Schedule, Store
from asyncgen.core.errors import AccountError, InputError
from asyncgen.core.task import Task
from asyncgen.runs.output_file import check_output_file, output_file, output_note, write_output
from asyncgen.runs.place import output_directory


def job_of(file: object, *, dataset: object = "rows.parquet", partition: str | None = None) -> Job:
    return Job(
        task="t",
        name="job",
        dataset=Dataset(path=str(dataset)),
        schedule=Schedule(partition=partition),
        store=Store(output_file=str(file) if file else None),
    )


def test_a_job_without_one_has_none(tmp_path: Path):
    assert output_file(job_of(None)) is None
    assert list(output_note(job_of(None, partition="0/2"))) == []
    check_output_file(job_of(None), Task(), tmp_path)
    assert output_directory(job_of(None)) == Path("runs/job")


def test_the_run_lies_beside_it_unless_its_directory_is_given():
    job = job_of("out/train.v1.parquet")
    assert output_directory(job) == Path("out/train.v1.run")
    assert output_directory(replace(job, store=replace(job.store, output_dir="runs/x"))) == Path("runs/x")


def test_a_partition_has_a_file_of_its_own_and_says_so():
    job = job_of("out/train.parquet", partition="1/12")
    assert output_file(job) == Path("out/train-part-001-of-012.parquet")
    (said,) = output_note(job)
    assert said.endswith("train-part-001-of-012.parquet")


@pytest.mark.parametrize("dataset", ["data", "data/x.parquet", "data/*.parquet", "link"])
def test_a_file_of_the_dataset_is_never_written_over(tmp_path: Path, dataset: str):
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data" / "x.parquet")
    (tmp_path / "data" / "x.parquet").touch()
    with pytest.raises(InputError, match="lies in the dataset"):
        check_output_file(job_of(tmp_path / "data" / "x.parquet", dataset=tmp_path / dataset), Task(), tmp_path / "run")


@pytest.mark.parametrize("file", ["run", "run/failed/x", "run/journal/x", "run/quarantine/x"])
def test_the_runs_own_places_are_refused(tmp_path: Path, file: str):
    directory = (tmp_path / "run").with_suffix(".jsonl") if file == "run" else tmp_path / "run"
    with pytest.raises(InputError, match="the run's own"):
        check_output_file(job_of(tmp_path / f"{file}.jsonl"), Task(), directory)


def test_a_file_in_the_run_directory_itself_is_allowed(tmp_path: Path):
    check_output_file(job_of(tmp_path / "run" / "train.parquet"), Task(), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("task", [Task(user="<image>Where?"), Task(image="photo")])
def test_a_task_with_pictures_is_refused_for_parquet_alone(tmp_path: Path, task: Task):
    with pytest.raises(InputError, match="the job has pictures"):
        check_output_file(job_of(tmp_path / "x.parquet"), task, tmp_path / "run")
    check_output_file(job_of(tmp_path / "x.jsonl"), task, tmp_path / "run")


def test_a_cancelled_start_leaves_the_older_file_and_no_other(tmp_path: Path):
    directory = make_run(tmp_path / "run", [line(k) for k in range(2000)])
    file = tmp_path / "x.jsonl"
    file.write_text("old")
    os.utime(file, (1, 1))

    async def cancelled() -> None:
        me = asyncio.current_task()
        assert me is not None
        await write_output(job_of(file), directory, lambda _: asyncio.get_running_loop().call_soon(me.cancel))

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())  # which waits for the thread
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "x.jsonl"]
    assert file.read_text() == "old"


async def test_what_ended_the_start_is_told_before_what_the_file_lacks(tmp_path: Path):
    directory = make_run(tmp_path / "run", [line(0)])
    (tmp_path / "file").touch()
    job, said, error = job_of(tmp_path / "file" / "x.jsonl"), [], AccountError("no quota left")
    assert await write_output(job, directory, said.append, error) is error
    assert len(said) == 2
    assert "the traces are safe in" in said[1]
    alone = await write_output(job, directory, said.append)
    assert isinstance(alone, InputError)
    assert str(alone) == said[1]
