"""The row behind an item: given, of a label, or found by its prompt."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from asyncgen.config.schema import Dataset
from asyncgen.core.errors import EpisodeError, InputError
from asyncgen.core.task import Task
from asyncgen.core.types import Sample
from asyncgen.runs.reward_requests import Item
from asyncgen.runs.reward_rows import MOST_DOUBLES, Rows, open_rows, row_of, sample_of
from asyncgen.tasks.geo import Geo
from asyncgen.tasks.maths import Math
from asyncgen.tasks.region import Region
from asyncgen.tasks.search import Search


async def offload(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)


def rows_of(folder: Path, rows: list[Any], task: Task) -> Rows:
    path = folder / "rows.jsonl"
    path.write_text("".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in rows))
    found, _ = open_rows(Dataset(path=str(path)), task)
    assert found is not None
    return found


async def found(rows: Rows, prompt: Any) -> int:
    return (await rows.find(prompt, offload)).index


def chat(picture: str) -> list[dict[str, Any]]:
    content = [{"type": "image", "image": picture}, {"type": "text", "text": "Which country?"}]
    return [{"role": "system", "content": "Reason."}, {"role": "user", "content": content}]


MATHS = [{"problem": f"What is {n} + 1?", "answer": str(n + 1)} for n in range(50)]


async def test_a_row_is_found_by_its_column_by_the_tasks_prompt_and_by_a_template(tmp_path):
    rows = rows_of(tmp_path, MATHS, Math())
    asked = Math().prompt(Sample(index=7, data=MATHS[7]))[-1].text
    assert asked != MATHS[7]["problem"]
    for prompt in (
        MATHS[7]["problem"],
        f"  {MATHS[7]['problem']}\n",
        asked,
        [{"role": "user", "content": asked}],
        f"<|im_start|>user\n{asked}<|im_end|>\n<|im_start|>assistant\n",
    ):
        assert await found(rows, prompt) == 7
    assert (len(rows), rows.unreadable) == (50, 0)


async def test_chats_that_differ_in_their_picture_alone_are_different_rows(tmp_path):
    @dataclass(frozen=True)
    class Chat(Task):
        def prompt(self, sample: Sample) -> Any:
            return super().prompt(sample)

    rows = rows_of(tmp_path, [{"message": json.dumps(chat(f"{n}.jpg")), "answer": "$a,b$"} for n in range(9)], Chat())
    assert await found(rows, json.dumps(chat("4.jpg"))) == 4
    assert await found(rows, json.dumps(json.dumps(chat("5.jpg")))) == 5
    assert await found(rows, chat("6.jpg")) == 6
    for other in ("Which country?", [{"role": "user", "content": "Which country?"}], chat("no.jpg")):
        with pytest.raises(EpisodeError, match="no row of the dataset has this prompt"):
            await found(rows, other)


@pytest.mark.parametrize("before", [{"role": "system", "content": "Mind."}, {"role": "assistant", "content": "Hm."}])
async def test_another_chat_that_ends_with_the_same_question_is_no_rows(tmp_path, before):
    rows = rows_of(tmp_path, MATHS, Math())
    asked = {"role": "user", "content": MATHS[7]["problem"]}
    assert await found(rows, [asked]) == 7
    with pytest.raises(EpisodeError, match="no row of the dataset has this prompt"):
        await found(rows, [before, asked])


@pytest.mark.parametrize(
    ("task", "item"),
    [
        (Region(), Item(response="", label="nonsense")),
        (Region(), Item(response="", label={})),
        (Region(), Item(response="", label=5)),
        (Region(), Item(response="", label=["a"])),
        (Math(), Item(response="", row={})),
        (Geo(), Item(response="", label={"x": 1})),
        (Search(), Item(response="", row={"question": "Who?"})),
    ],
)
async def test_a_truth_that_is_none_is_the_items_error_whatever_the_response(task, item):
    with pytest.raises(EpisodeError):
        await sample_of(item, task, None, offload)


async def test_a_reward_that_loads_something_does_so_before_the_first_request():
    loaded: list[bool] = []

    @dataclass(frozen=True)
    class Loading(Task):
        rewards: ClassVar[Any] = (type("Slow", (), {"prepare": lambda _self: loaded.append(True)})(),)

    open_rows(Dataset(), Loading())
    assert loaded == [True]


@pytest.mark.parametrize("prompt", ["What is 99 + 1?", "", None, [], [{"role": "user", "content": "?"}], {"a": 1}])
async def test_a_prompt_that_no_row_has_is_that_items_error(tmp_path, prompt):
    rows = rows_of(tmp_path, MATHS, Math())
    with pytest.raises(EpisodeError, match=r"no row of the dataset has this prompt|no prompt to find the row by"):
        await found(rows, prompt)


async def test_a_row_that_stands_there_twice_is_found_unless_the_copies_differ(tmp_path):
    rows = rows_of(tmp_path, [*MATHS, MATHS[3], {**MATHS[4], "answer": "77"}], Math())
    assert await found(rows, MATHS[3]["problem"]) == 3
    with pytest.raises(EpisodeError, match=r"several rows .*, 4 and 51 among them"):
        await found(rows, MATHS[4]["problem"])


async def test_more_copies_than_are_looked_at_are_several_rows(tmp_path):
    rows = rows_of(tmp_path, [MATHS[0]] * MOST_DOUBLES + [MATHS[1]] * (MOST_DOUBLES + 1), Math())
    assert await found(rows, MATHS[0]["problem"]) == 0
    with pytest.raises(EpisodeError, match="several rows"):
        await found(rows, MATHS[1]["problem"])


async def test_a_row_that_cannot_be_read_or_has_no_truth_is_no_crash(tmp_path):
    rows = rows_of(tmp_path, [MATHS[0], "{broken", {"problem": "What?", "answer": ""}], Math())
    assert rows.unreadable == 1
    assert await found(rows, MATHS[0]["problem"]) == 0
    with pytest.raises(EpisodeError, match="no answer"):
        await found(rows, "What?")


async def test_a_row_is_read_from_disk_once(tmp_path):
    rows = rows_of(tmp_path, MATHS, Math())
    reads: list[int] = []

    async def counting(function: Callable[..., Any], number: int) -> Any:
        reads.append(number)
        return function(number)

    for _ in range(16):
        await rows.find(MATHS[9]["problem"], counting)
    assert reads == [9]


def test_a_dataset_of_another_job_is_refused(tmp_path):
    with pytest.raises(InputError, match="has no column 'lat', which Geo needs"):
        rows_of(tmp_path, MATHS, Geo())


def test_without_a_dataset_there_are_no_rows():
    task = Geo()
    assert open_rows(Dataset(), task) == (None, task)


@dataclass(frozen=True)
class Own(Task):
    """A user's: its truth is in a column of its own."""

    columns: ClassVar[Any] = ("colour",)


@pytest.mark.parametrize(
    ("task", "label", "row"),
    [
        (Geo(), "48.85, 2.29", {"lat": "48.85", "lon": "2.29"}),
        (Geo(), "(48.85; 2.29)", {"lat": "48.85", "lon": "2.29"}),
        (Geo(), [48.85, 2.29], {"lat": 48.85, "lon": 2.29}),
        (Geo(), {"lat": 1, "lon": 2}, {"lat": 1, "lon": 2}),
        (Geo(), '{"lat": 1, "lon": 2}', {"lat": 1, "lon": 2}),
        (Math(), "{1, 2}", {"answer": "{1, 2}", "target": "{1, 2}"}),
        (Math(), "{}", {"answer": "{}", "target": "{}"}),
        (Math(), 7, {"answer": 7, "target": 7}),
        (Search(), ["Paris", "paree"], {"answer": ["Paris", "paree"], "target": ["Paris", "paree"]}),
        (Own(), "red", {"colour": "red", "answer": "red", "target": "red"}),
    ],
)
def test_a_label_becomes_a_row(task, label, row):
    assert row_of(task, label) == row
    assert row_of(task, label, "asked") == {**row, "prompt": "asked"}


def test_the_prompt_of_a_row_stays_its_own():
    assert row_of(Math(), {"prompt": "mine", "answer": "1"}, "asked") == {"prompt": "mine", "answer": "1"}


@pytest.mark.parametrize("label", ["here", "1", "1, 2, 3", [1], 5, None, [[1, 2]]])
def test_a_label_that_is_no_place_is_refused_for_geo(label):
    with pytest.raises(EpisodeError, match="is no place: give 'lat, lon'"):
        row_of(Geo(), label)


async def test_a_given_row_beats_a_label_and_a_label_the_dataset(tmp_path):
    rows = rows_of(tmp_path, MATHS, Math())
    prompt = MATHS[2]["problem"]
    for item, answer in [
        (Item(response="", row={"answer": "r"}, label="l", prompt=prompt), "r"),
        (Item(response="", label="l", prompt=prompt), "l"),
        (Item(response="", label="", prompt=prompt), "3"),
        (Item(response="", prompt=prompt), "3"),
    ]:
        assert (await sample_of(item, Math(), rows, offload)).data["answer"] == answer


async def test_without_label_and_dataset_there_is_no_truth():
    with pytest.raises(EpisodeError, match="no truth: send labels or a row, or start with --dataset-path"):
        await sample_of(Item(response="a", prompt="p"), Math(), None, offload)
