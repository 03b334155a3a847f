"""Scoring stored traces again: what changes, what stays, and which task it is done with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from support.cli_jobs import save_photos
from support.runs_on_disk import failed, line, lines_of, make_run
from support.store_fakes import StillClock
from support.traces import geo_scores, turn

from asyncgen.core.errors import AsyncgenError, EpisodeError, FailReason, InputError
from asyncgen.core.task import Task
from asyncgen.core.trace import ImageRecord, Trace
from asyncgen.core.types import Message, Sample
from asyncgen.engine.workers import Workers
from asyncgen.rewards.geo import GeoReward
from asyncgen.runs.objects import trace_of
from asyncgen.runs.rescore import Rescored, rescore
from asyncgen.runs.retask import retask
from asyncgen.runs.stored_context import Datasets, StoredContext
from asyncgen.runs.verify import verify
from asyncgen.tasks.geo import GeoTools
from asyncgen.tasks.region import Region
from asyncgen.tools.gallery import Gallery


def rescored(path: Path, task: Task, out: Path | None = None) -> Rescored:
    said = {"task": "geo-tools", "task_options": {}}
    return rescore(path, out or path.with_name("out"), task, said, clock=StillClock())


def parsed(directory: Path, kind: str = "traces") -> list[dict[str, Any]]:
    return [json.loads(one) for one in lines_of(directory, kind)]


def true_scores(lat: float, lon: float) -> dict[str, Any]:
    """What the geo task gives for an answer, from the truth of the made lines: 1, 2."""
    return dict(GeoReward(scale_km=1492.7).score(f"{lat}, {lon}", {"lat": 1.0, "lon": 2.0}))


@dataclass(frozen=True)
class Length(Task):
    """Scores the answer's length; a long one is a crash."""

    limit: int = 100

    def _length(self, sample: Sample, trace: Trace) -> Mapping[str, Any]:
        if len(trace.answer) > self.limit:
            raise ValueError(f"{trace.id} is too long")
        return {"length": len(trace.answer), "seen": "".join(trace.reward_score) + str(trace.metadata.get("score"))}

    rewards: ClassVar[Any] = (lambda context, sample, trace: context.task._length(sample, trace),)
    scores: ClassVar[Any] = {"length": 0.0, "seen": "", "parse_success": False}
    headline: ClassVar[Any] = {"size": "length"}


def test_the_same_task_gives_the_same_bytes(tmp_path: Path):
    source = make_run(tmp_path / "run", [line(2), line(1, stop="max_turns"), line(3, turns=[])])
    rescored(source, GeoTools(), tmp_path / "once")
    again = rescored(tmp_path / "once", GeoTools(), tmp_path / "twice")
    assert lines_of(tmp_path / "once") == lines_of(tmp_path / "twice")
    assert (again.traces, again.answers_changed) == (3, 0)
    assert [report.faults for report in verify(tmp_path / "twice")] == [[]]


def test_only_answer_scores_and_headline_change(tmp_path: Path):
    stored = line(2, turns=[turn(1, r"\boxed{5.5, 6.5}")], scores=geo_scores(parsed=False))
    report = rescored(make_run(tmp_path / "run", [stored]), Length())
    before, (after,) = json.loads(stored), parsed(tmp_path / "out")
    assert list(after) == list(before)
    changed = {"answer", "reward_score", "metadata", "crc"}
    assert {key: after[key] for key in after if key not in changed} == {
        key: before[key] for key in before if key not in changed
    }
    assert after["answer"] == r"\boxed{5.5, 6.5}"
    assert after["reward_score"] == {"length": 16.0, "seen": "lengthseenparse_successNone", "parse_success": True}
    headline = {"parse_success", "distance_km", "score"}
    assert after["metadata"] == {
        **{key: value for key, value in before["metadata"].items() if key not in headline}, "size": 16.0,
    }  # fmt: skip
    assert report.answers_changed == 1
    assert report.scores["length"].before is None
    assert report.scores["length"].after == 16.0
    run = json.loads((tmp_path / "out" / "run.json").read_bytes())
    assert run["scores"] == {"length": "float", "seen": "str", "parse_success": "bool"}
    assert "name: size" in (tmp_path / "out" / "README.md").read_text()


def test_means_are_over_the_traces_that_were_scored(tmp_path: Path):
    lines = [line(one, turns=[turn(1, r"\boxed{1.0, 2.0}" if one % 2 else "hm")]) for one in range(4)]
    report = rescored(make_run(tmp_path / "run", lines), GeoTools())
    assert report.scores["score"].before == pytest.approx(0.9)
    assert report.scores["score"].after == pytest.approx(0.5)
    assert report.scores["parse_success"].after == 0.5
    assert [one["reward_score"]["score"] for one in parsed(tmp_path / "out")] == [0.0, 1.0, 0.0, 1.0]


def test_order_is_kept_over_many_traces(tmp_path: Path):
    lines = [line(index) for index in range(300, 0, -1)]
    rescored(make_run(tmp_path / "run", lines[:200], lines[200:]), GeoTools())
    assert [one["sample_index"] for one in parsed(tmp_path / "out")] == list(range(300, 0, -1))


def test_a_trace_on_which_a_reward_crashes_is_a_failure_of_the_copy(tmp_path: Path):
    long = line(2, turns=[turn(1, "x" * 50)])
    source = make_run(tmp_path / "run", [line(1), long, line(3)], failures=[failed(4)])
    report = rescored(source, Length(limit=40))
    assert (report.traces, report.failed, report.failed_reasons) == (2, 1, {"internal": 1})
    assert report.not_rescored == 1
    (failure,) = parsed(tmp_path / "out", "failed")
    assert (failure["reason"], failure["metadata"]["stop"], failure["metadata"]["accepted"]) == (
        "internal", "failed", False,
    )  # fmt: skip
    assert "ValueError: geo-tools/2/0 is too long" in failure["error"]
    assert [report.faults for report in verify(tmp_path / "out")] == [[]]


def test_many_crashes_in_a_row_are_the_tasks_fault(tmp_path: Path):
    lines = [line(index, turns=[turn(1, "x" * 50)]) for index in range(30)]
    with pytest.raises(AsyncgenError, match="20 traces in a row failed: ValueError") as caught:
        rescored(make_run(tmp_path / "run", lines), Length(limit=1))
    assert caught.value.exit_code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_an_empty_run_gives_an_empty_copy(tmp_path: Path):
    report = rescored(make_run(tmp_path / "run", total=3), GeoTools())
    assert (report.traces, report.scores) == (0, {})
    assert lines_of(tmp_path / "out") == []


@dataclass(frozen=True)
class Asking(Task):
    """Its reward asks a judge."""

    async def _ask(self, context: Any) -> Mapping[str, Any]:
        await context.complete([Message("user", "well?")])
        return {"score": 1.0}

    rewards: ClassVar[Any] = (lambda context, sample, trace: context.task._ask(context),)


def test_a_judge_has_no_model(tmp_path: Path):
    with pytest.raises(InputError, match="Asking asks a model, and rescore has none"):
        rescored(make_run(tmp_path / "run", [line(1)]), Asking())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "flags"),
    [
        ({"judge": True}, "--task.judge false"),
        ({"total": "judge"}, "--task.total accuracy"),
        ({"rule": "judge"}, "--task.rule strict"),
        ({"judge": True, "total": "judge"}, "--task.total accuracy --task.judge false"),
    ],
)
async def test_options_that_make_a_judge_are_named_with_what_to_give(
    workers: Workers, options: dict[str, Any], flags: str
):
    gallery = Gallery(max_pixels=1, max_image_pixels=1)
    context = StoredContext(Region(**options), Sample(index=0, data={}), (), gallery, workers)
    with pytest.raises(InputError, match=f"rescore is no run; give {flags} or --task FILE:CLASS with rewards"):
        context.shared(dict)
    with pytest.raises(InputError, match=f"rescore has none; give {flags} or --task FILE:CLASS with rewards"):
        await context.complete([])


def test_the_options_are_those_of_the_run(tmp_path: Path):
    found = retask(make_run(tmp_path / "run", [line(1)]), None)
    task = found.make({})
    assert isinstance(task, GeoTools)
    assert (task.scale_km, task.nudge) == (1000.0, "Go on.")
    assert {knob.path: knob.default for knob in found.knobs()}["task.scale_km"] == 1000.0
    given = found.make({"task.scale_km": "5"})
    assert isinstance(given, GeoTools)
    assert (given.scale_km, given.nudge) == (5.0, "Go on.")


def test_options_that_the_other_class_does_not_have_are_left_out(tmp_path: Path):
    found = retask(make_run(tmp_path / "run", [line(1)]), "geo")
    assert dict(found.options) == {"scale_km": 1000.0}


def test_options_of_a_copy_are_those_that_it_was_scored_with(tmp_path: Path):
    source = make_run(tmp_path / "run", [line(1)])
    said = {"task": "geo", "task_options": {"scale_km": 77.0}}
    rescore(source, tmp_path / "out", GeoTools(), said, clock=StillClock())
    found = retask(tmp_path / "out", None)
    assert (found.spec, found.options["scale_km"]) == ("geo", 77.0)


TASK = """
from dataclasses import dataclass, replace
from asyncgen import Task

@dataclass(frozen=True)
class Mine(Task):
    extra: int = 1
"""


@pytest.mark.parametrize(
    ("run", "spec", "text"),
    [
        ({"task": ""}, None, "does not say which task"),
        ({"task": "gone.py:Mine"}, None, "'gone.py' does not exist.*give --task"),
        ({"task": "no.such.module:X"}, None, "no module.*give --task"),
        ({"task": "geo"}, "geos", "did you mean 'geo'"),
    ],
)
def test_a_task_that_cannot_be_had_is_one_line(tmp_path: Path, run: dict[str, Any], spec: str | None, text: str):
    with pytest.raises(InputError, match=text) as caught:
        retask(make_run(tmp_path / "run", [line(1)], run=run), spec)
    assert "\n" not in str(caught.value)


def test_a_task_file_is_found_beside_the_job_file(tmp_path: Path):
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "my_rescored_task.py").write_text(TASK)
    argv = ["asyncgen", "run", str(tmp_path / "jobs" / "job.yaml")]
    source = make_run(tmp_path / "run", [line(1)], run={"task": "my_rescored_task.py:Mine", "argv": argv})
    assert retask(source, None).task_class.__name__ == "Mine"


def test_code_that_lies_in_a_run_is_not_run_unasked(tmp_path: Path):
    task = str(tmp_path / "run" / "code_in_a_run.py") + ":Mine"
    source = make_run(tmp_path / "run", [line(1)], run={"task": task})
    (source / "code_in_a_run.py").write_text("raise SystemExit(5)")
    with pytest.raises(InputError, match="not loaded unasked"):
        retask(source, None)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_photos(tmp_path_factory.mktemp("data") / "photos", rows=3)


def seen(photos: Path, index: int, *, shrunk: bool = False) -> tuple[Trace, Gallery]:
    """A trace that saw row `index` and a crop of it, and the gallery that it was made with."""
    gallery = Gallery(max_pixels=10_000 if shrunk else 1_000_000, max_image_pixels=10_000_000)
    bare = trace_of({**json.loads(line(index)), "dataset_path": str(photos), "config_id": ""})
    sample = Datasets({}).sample(_with_images(bare, [_record(0)]))
    first = gallery.picture(sample.images[0], 0)
    second = gallery.edit([first], "zoom", {"image": 0, "box": [10, 20, 150, 120]})
    records = [
        ImageRecord(
            image=one.image, source=one.source, column=one.column, op=one.op, arguments=one.arguments,
            width=one.width, height=one.height, sha256=one.sha256,
        )
        for one in (first, second)
    ]  # fmt: skip
    return _with_images(bare, records), Gallery(max_pixels=gallery.max_pixels, max_image_pixels=10_000_000)


def _with_images(trace: Trace, records: list[ImageRecord]) -> Trace:
    return replace(trace, images=tuple(records))


def _record(number: int) -> ImageRecord:
    return ImageRecord(image=number, source="sample", column="image", op="", arguments="", width=1, height=1, sha256="")


@pytest.fixture
def workers():
    made = Workers(threads=2, processes=1)
    yield made
    made.close()


@pytest.mark.parametrize("shrunk", [False, True])
async def test_pictures_are_made_again_when_one_is_wanted(photos: Path, workers: Workers, shrunk: bool):
    trace, gallery = seen(photos, 1, shrunk=shrunk)
    context = StoredContext(GeoTools(), Datasets({}).sample(trace), trace.images, gallery, workers)
    assert len(context.pictures) == 2
    assert [one.sha256 for one in context.pictures] == [one.sha256 for one in trace.images]
    assert (await context.open(0)).size == (320, 240)
    assert (await context.open(1)).size == (trace.images[1].width, trace.images[1].height)
    turned = await context.edit("rotate", {"image": 1, "angle": 90})
    assert (turned.image, len(context.pictures), context.pictures[2]) == (2, 3, turned)
    assert await context.in_process(abs, -3) == 3
    assert (context.coordinates, context.frame) == ("pixels", "original")


def test_another_dataset_is_told_and_not_used(photos: Path):
    trace, _ = seen(photos, 1)
    run = {"dataset": {"fingerprint": "hf:other"}}
    with pytest.raises(InputError, match="is another one than geo-tools/1/0 was made with"):
        Datasets(run).sample(trace).images[0].load()


def test_a_dataset_that_is_gone_is_told_when_a_picture_is_wanted(tmp_path: Path):
    trace = trace_of(json.loads(line(1)) | {"dataset_path": str(tmp_path / "gone")})
    sample = Datasets({}).sample(_with_images(trace, [_record(0)]))
    assert sample.data == {"lat": 1.0, "lon": 2.0, "country": "atlantis"}
    with pytest.raises(InputError, match="does not exist"):
        sample.images[0].load()


@pytest.mark.parametrize(
    ("record", "text"),
    [
        ({"width": 999}, "the trace saw 999x240, and now it is 320x240"),
        ({"source": "tool", "op": ""}, "a tool made it by itself"),
        ({"source": "tool", "op": "zoom", "arguments": "{"}, "cannot be made again"),
        ({"source": "tool", "op": "zoom", "arguments": '{"image":0,"box":[1,2,99999,4]}'}, "cannot be made again"),
    ],
)
def test_a_picture_that_is_another_fails_its_trace(photos: Path, workers: Workers, record: dict[str, Any], text: str):
    trace, gallery = seen(photos, 1)
    wrong = _with_images(trace, [replace(trace.images[0], **record)])
    context = StoredContext(GeoTools(), Datasets({}).sample(wrong), wrong.images, gallery, workers)
    with pytest.raises(EpisodeError, match=text) as caught:
        context.pictures[0]
    assert caught.value.reason is FailReason.BAD_IMAGE
