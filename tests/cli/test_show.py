"""`show --rollouts` and `show --images`, from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import datasets
import pytest
from PIL import Image
from support.cli_jobs import Outcome, answering, looking, pixels, traces
from support.server import ThreadedServer, text

from asyncgen.runs.drawing import INK

Run = Callable[..., Outcome]


@pytest.fixture(scope="module")
def done(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`geo`: rows 0 and 1 three times each; `tools`: four rows, pictures sent at a quarter of their area."""
    from asyncgen.cli import call

    folder = tmp_path_factory.mktemp("runs")
    with ThreadedServer(answering) as server:
        words = ["--dataset-path", photos, "--base-url", server.base_url, "--dataset.order", "dataset", "--plain"]
        assert (
            call(
                [
                    str(w)
                    for w in ("run", "geo", *words, "--num-samples", 2, "--rollouts", 3, "--output-dir", folder / "geo")
                ]
            )
            == 0
        )
    with ThreadedServer(looking) as server:
        words = ["--dataset-path", photos, "--base-url", server.base_url, "--dataset.order", "dataset", "--plain"]
        small = ("--num-samples", 4, "--episode.max-pixels", 160 * 120)
        assert call([str(w) for w in ("run", "geo-tools", *words, *small, "--output-dir", folder / "tools")]) == 0
    return folder


def test_rollouts_stand_side_by_side(run: Run, done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "130")
    lines = run("show", done / "geo", 1, "--rollouts").out.splitlines()
    assert lines[0] == "geo/1: 3 rollouts   truth: lat=-15, lon=10"
    assert lines[2].split() == ["rollout", "0", "1", "2"]
    assert [line.split()[0] for line in lines[3:9]] == ["answer", "score", "distance", "turns", "tokens", "stop"]
    assert all(len(line) <= 130 for line in lines)


def test_a_narrow_terminal_gets_one_rollout_below_the_other(
    run: Run, done: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    lines = run("show", done / "geo", "geo/1/2", "--rollouts").out.splitlines()
    assert [line.split()[1:] for line in lines if line.startswith("rollout")] == [["0"], ["1"], ["2"]]
    assert all(len(line) <= 60 for line in lines)


def test_rollouts_as_json_are_whole_lines(run: Run, done: Path) -> None:
    found = json.loads(run("show", done / "geo", "--rollouts", "--json").out)
    first = traces(done / "geo")[0]["sample_index"]
    assert [one["id"] for one in found] == [f"geo/{first}/{k}" for k in range(3)]


def test_rollouts_of_a_folder_of_files_are_shown_too(run: Run, done: Path) -> None:
    run("export", done / "geo", "--to", "trace-json", "-o", "files")
    outcome = run("show", "files", 0, "--rollouts")
    assert outcome.out.startswith("trace/0: 3 rollouts")


@pytest.mark.parametrize("which", ["", "trace/0/0", "42"])
def test_rollouts_of_a_file_that_is_not_numbered_by_its_row_are_found(run: Run, tmp_path: Path, which: str) -> None:
    trace = {"sample_index": 42, "conversation_history": [{"response": "North."}]}
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "trace_00000.json").write_text(json.dumps(trace))
    outcome = run("show", "old", *filter(None, (which,)), "--rollouts")
    assert (outcome.code, "North." in outcome.out) == (0, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((9, "--rollouts"), "has no trace 9; the first that it has: geo/"),
        ((9, "--rollouts"), " (row"),
        (("--rollout", 7), "has no trace of rollout 7; the first that it has: geo/"),
        ((0, "--rollouts", "--rollout", 0), "leave --rollout, --turn, --raw and --images away"),
        (("x/y/z", "--rollouts"), "is no trace id"),
        ((0, "--rollouts", "--turn", 1), "leave --rollout, --turn, --raw and --images away"),
        ((0, "--images", "out", "--raw"), "leave --turn and --raw away"),
        ((0, "--dataset-path", "out"), "give it with --images DIR"),
        ((0, "--images", "out", "--dataset-path", "gone"), "dataset.path 'gone' does not exist"),
    ],
)
def test_what_cannot_be_shown_is_one_line_and_exit_code_2(
    run: Run, done: Path, words: tuple[object, ...], said: str
) -> None:
    outcome = run("show", done / "geo", *words)
    assert (outcome.code, outcome.out, len(outcome.err.splitlines())) == (2, "", 1)
    assert said in outcome.err


def test_the_pictures_of_a_trace_become_files_as_the_model_saw_them(run: Run, done: Path, tmp_path: Path) -> None:
    outcome = run("show", done / "tools", 3, "--images", "pictures")
    names = [f"geo-tools-3-0-{name}.png" for name in ("0", "0-boxes", "1", "2")]
    assert outcome.out.split() == [f"pictures/{name}" for name in names]
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == sorted(names)
    trace = next(one for one in traces(done / "tools") if one["sample_index"] == 3)
    for image in trace["images"]:
        with Image.open(tmp_path / "pictures" / f"geo-tools-3-0-{image['image']}.png") as picture:
            assert (picture.format, picture.size) == ("PNG", (image["width"], image["height"]))


def test_the_box_is_drawn_where_the_zoom_looked_in_the_picture_as_it_was_sent(
    run: Run, done: Path, tmp_path: Path
) -> None:
    run("show", done / "tools", 3, "--images", "pictures")
    trace = next(one for one in traces(done / "tools") if one["sample_index"] == 3)
    x1, y1, x2, y2 = json.loads(trace["images"][1]["arguments"])["box"]
    stem = tmp_path / "pictures" / "geo-tools-3-0-0"
    with Image.open(f"{stem}.png") as plain, Image.open(f"{stem}-boxes.png") as boxes:
        assert plain.size == boxes.size == (160, 120)
        inked = [(x, y) for x in range(160) for y in range(120) if boxes.getpixel((x, y)) == INK[0]]
        inside = boxes.crop((60, 40, 70, 50))
        assert inside.tobytes() == plain.crop((60, 40, 70, 50)).tobytes()
    left, top = min(x for x, _ in inked), min(y for _, y in inked)
    right, bottom = max(x for x, _ in inked), max(y for _, y in inked)
    assert (left, top) == (round(x1 / 2), round(y1 / 2))  # the stored picture is 320 x 240
    assert (right, bottom) == (round(x2 / 2) - 1, round(y2 / 2) - 1)


def test_files_are_named_in_the_json_too(run: Run, done: Path) -> None:
    shown = json.loads(run("show", done / "geo", 0, "--images", "pictures", "--json").out)
    assert (shown["id"], shown["files"]) == ("geo/0/0", ["pictures/geo-0-0-0.png"])


def test_of_a_folder_of_files_the_rows_own_picture_is_written(run: Run, done: Path) -> None:
    run("export", done / "tools", "--to", "trace-json", "-o", "files")
    outcome = run("show", "files", 1, "--images", "pictures")
    assert outcome.out == "pictures/trace-1-0-0.png\n"
    assert "does not name its pictures" in outcome.err
    with Image.open("pictures/trace-1-0-0.png") as picture:
        assert picture.size == (320, 240)


def test_a_file_that_names_no_dataset_needs_its_path(run: Run, done: Path, photos: Path) -> None:
    run("export", done / "geo", "--to", "trace-json", "-o", "files")
    outcome = run("show", "files", 1, "--images", "pictures")
    assert (outcome.code, len(outcome.complaints)) == (2, 1)
    assert "does not say which dataset it is of" in outcome.err
    assert run("show", "files", 1, "--images", "pictures", "--dataset-path", photos).code == 0


def test_pictures_of_another_dataset_are_refused_or_where_they_were_encoded_anew_doubted(
    run: Run, done: Path, tmp_path: Path
) -> None:
    columns = {"image": [pixels(50 + row, 320, 240) for row in range(8)]}
    datasets.Dataset.from_dict(columns, features=datasets.Features({"image": datasets.Image()})).save_to_disk(
        str(tmp_path / "other")
    )
    as_stored = run("show", done / "geo", 1, "--images", "pictures", "--dataset-path", tmp_path / "other")
    assert (as_stored.code, len(as_stored.complaints)) == (3, 1)
    assert "picture 0 cannot be restored" in as_stored.err
    assert not (tmp_path / "pictures").exists()
    shrunk = run("show", done / "tools", 1, "--images", "pictures", "--dataset-path", tmp_path / "other")
    assert (shrunk.code, len(shrunk.err.splitlines())) == (0, 1)
    assert "is not the one that the trace saw" in shrunk.err


def test_pictures_are_not_written_into_a_run_nor_over_a_file(run: Run, done: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    for folder in (done / "geo" / "pictures", "taken", "taken/deeper"):
        outcome = run("show", done / "geo", 0, "--images", folder)
        assert (outcome.code, len(outcome.complaints)) == (2, 1)
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_trace_without_pictures_says_so(run: Run, tmp_path: Path) -> None:
    (tmp_path / "words.jsonl").write_text('{"word": "a"}\n')
    (tmp_path / "echo.py").write_text(
        "from dataclasses import dataclass\nfrom asyncgen import Task\n\n"
        "@dataclass(frozen=True)\nclass Echo(Task):\n    user: str = 'Say {word}'\n"
    )
    (tmp_path / "echo.yaml").write_text("task: echo.py:Echo\ndataset: {path: words.jsonl}\n")
    with ThreadedServer(lambda body, number: text("a \x1b[31mred\x1b[0m word")) as server:
        assert run("run", "./echo.yaml", "--base-url", server.base_url, "--plain").code == 0
    outcome = run("show", "runs/echo", "--images", "pictures")
    assert (outcome.code, outcome.out) == (0, "")
    assert "echo/0/0 has no pictures" in outcome.err
    side = run("show", "runs/echo", "--rollouts").out
    assert side.startswith("echo/0: 1 rollout\n")
    assert "a red word" in side
    assert "\x1b" not in side


def test_a_rollout_without_an_id_is_the_first_of_that_number(run: Run, done: Path) -> None:
    wanted = next(one["id"] for one in traces(done / "geo") if one["rollout"] == 2)
    assert run("show", done / "geo", "--rollout", 2).out.startswith(f"{wanted}\n")
    run("export", done / "geo", "--to", "trace-json", "-o", "files")
    assert run("show", "files", "--rollout", 1).out.startswith("trace/0/1\n")
