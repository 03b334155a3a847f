"""The region task: its rows, its prompts, its answers, its options and what they change."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from inspect import isawaitable
from pathlib import Path
from typing import Any

import pytest
from support.context import ref
from support.region_traces import SharingJudge, answered

from asyncgen.config.schema import Job
from asyncgen.core.errors import EpisodeError, InputError
from asyncgen.core.types import ImageRef, Sample
from asyncgen.engine.kit import make_kit
from asyncgen.runs.jobs import find_job, load_job
from asyncgen.runs.shape import shape_of
from asyncgen.runs.tasks import make_task
from asyncgen.tasks.region import CLUES, SYSTEM, USER, Region

TRUTH = {"answer": "$italy,lazio$"}
CHAT = [
    {"role": "system", "content": "Think."},
    {"role": "user", "content": [{"type": "image", "image": "a.jpg"}, {"type": "text", "text": "Where?"}]},
]


def sample(*images: ImageRef, **data: Any) -> Sample:
    return Sample(index=0, data=TRUTH | data, images=images)


def preset(name: str) -> tuple[Job, Region]:
    job, task = load_job(find_job(name), base_url=(), model=None, knobs={"dataset.path": "x"})
    assert isinstance(task, Region)
    return job, task


# prompts


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_row_without_a_chat_is_asked_in_the_language(language: Any) -> None:
    photo = ref(b"1")
    system, user = Region(language=language).prompt(sample(photo))
    assert (system.role, system.text) == ("system", SYSTEM[language])
    assert user.parts[0] is photo
    assert f"<image>{user.parts[1]}" == USER[language]


@pytest.mark.parametrize(("language", "form"), [("en", "<answer>$"), ("zh", "<答案>$")])
def test_the_built_in_prompts_show_the_form_that_the_task_reads(language: Any, form: str) -> None:
    text = USER[language]
    assert Region().answer(text[text.index(form) :]).count(", ") == 1


@pytest.mark.parametrize("message", [CHAT, json.dumps(CHAT)])
def test_a_rows_own_chat_is_the_prompt_as_it_is(message: Any) -> None:
    photo = ref(b"1")
    system, user = Region(clue_tracking=True, language="zh").prompt(sample(photo, message=message))
    assert (system.text, user.parts) == ("Think.", (photo, "Where?"))


def test_an_option_takes_the_place_of_its_part_of_the_rows_chat_alone() -> None:
    photo = ref(b"1")
    system, user = Region(user="Where is {country}?<image>").prompt(sample(photo, message=CHAT, country="it"))
    assert (system.text, user.parts) == ("Think.", ("Where is it?", photo))
    system, user = Region(system="Mine.").prompt(sample(photo, message=CHAT))
    assert (system.text, user.parts) == ("Mine.", (photo, "Where?"))
    system, user = Region(system="Mine.", user="Where?!").prompt(sample(photo, message=CHAT[1:]))
    assert (system.text, user.parts) == ("Mine.", (photo, "Where?!"))
    first, second = ref(b"1"), ref(b"2")
    chat = [CHAT[1], {"role": "assistant", "content": "Italy"}, CHAT[1]]
    asked, _, again = Region(user="Here?").prompt(sample(first, second, message=chat))
    assert (asked.parts, again.parts) == ((first, "Where?"), (second, "Here?"))
    (text,) = Region(user="Look: <image>").prompt(sample(photo, message=[{"role": "user", "content": "Where?"}]))
    assert text.parts == ("Look: ", photo)
    with pytest.raises(EpisodeError, match="more <image> marks"):
        Region(user="<image><image>").prompt(sample(photo, message=CHAT))


def test_with_tools_the_built_in_prompt_says_so() -> None:
    system, _ = Region(clue_tracking=True).prompt(sample(ref(b"1")))
    assert system.text == f"{SYSTEM['en']}\n{CLUES['en']}"
    assert [one.name for one in Region(clue_tracking=True).tools] == ["image_zoom_in_tool", "image_rotate_tool"]
    assert Region().tools == ()


# rows


def test_a_row_without_a_place_or_with_a_broken_chat_is_a_bad_sample() -> None:
    Region().check(sample(message=CHAT))
    with pytest.raises(EpisodeError, match="no country and region"):
        Region().check(Sample(index=0, data={"message": CHAT}))
    with pytest.raises(EpisodeError, match="it is no JSON"):
        Region().check(sample(message="["))


def test_a_dataset_or_a_polygon_file_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    assert Region().fitted(["message", "answer"]) == Region(marks=False)
    assert Region().fitted(["lat", "lon"]) == Region(marks=True)
    assert Region(marks=False).fitted(["lat", "lon"]) == Region(marks=False)
    with pytest.raises(InputError, match="the columns are image"):
        Region().fitted(["image"])
    with pytest.raises(InputError, match=r"none\.json"):
        Region(polygons=str(tmp_path / "none.json")).fitted(["lat", "lon"])


# answers


@pytest.mark.parametrize(
    ("text", "answer", "final"),
    [
        ("<think>x</think><answer>$italy,lazio$</answer>", "italy, lazio", "italy, lazio"),
        ("< 答案 >\n中国，云南\n</ 答案>", "中国, 云南", "中国, 云南"),
        ("<answer>Korea, Republic of, Seoul</answer>", "Korea, Republic of, Seoul", "Korea, Republic of, Seoul"),
        ("<answer>Italy</answer>", "", "Italy"),
        ("Final answer: Italy, Lazio", "", "Italy, Lazio"),
        ("", "", ""),
    ],
)
def test_an_answer_is_the_two_names(text: str, answer: str, final: str) -> None:
    assert (Region().answer(text), Region().final_answer(text)) == (answer, final)


def test_without_a_nudge_a_turn_that_says_nothing_ends_the_episode() -> None:
    assert Region().reply(sample(), ()) is None
    assert [one.text for one in Region(nudge="go on").reply(sample(), ()) or ()] == ["go on"]


# scores and options


def names(task: Region) -> list[str]:
    return [type(one).__name__ for one in task.rewards]


def test_the_options_say_which_rewards_there_are_and_a_total_comes_last() -> None:
    parts = ["FormatReward", "RegionReward", "LengthReward"]
    assert names(Region()) == parts
    assert names(Region(judge=True)) == [*parts, "ProcessJudge"]
    assert names(Region(total="length")) == [*parts, "TotalReward"]
    assert names(Region(total="judge")) == [*parts, "ProcessJudge", "TotalReward"]
    assert Region(rule="seekworld", polygons="x").rewards[1].rule == "seekworld"


def test_the_scores_are_the_parts() -> None:
    plain = {"score", "accuracy", "country_match", "region_match", "format", "length", "parse_success"}
    assert set(Region().scores) == set(Region(total="length").scores) == plain
    assert set(Region(judge=True).scores) == set(Region(total="judge").scores) == plain | {"judge"}
    assert not any(Region(judge=True).scores.values())


RESPONSE = "<think>" + "Signs, in Italian. " * 20 + "</think>\n<answer>$italy,lazio$</answer>"


@pytest.mark.parametrize(
    ("options", "response", "score"),
    [
        ({}, RESPONSE, 1.0),
        ({"total": "length"}, RESPONSE, 0.5 + 1.0 + 0.001 * 14 * 20),
        ({"total": "judge"}, RESPONSE, 0.5 + 2.0 + 1.0),
        ({"total": "judge"}, RESPONSE.replace("lazio", "lombardy"), 0.5 + 0.0 + 1.0),
        ({"total": "judge"}, f"{RESPONSE}.", 0.0 + 2.0 + 1.0),
        ({"total": "length", "rule": "seekworld"}, RESPONSE.replace("lazio", "Latio city"), 0.5 + 1.0 + 0.28),
        ({"total": "judge", "rule": "judge"}, RESPONSE.replace("lazio", "Rome's region"), 0.5 + 2.0 + 1.0),
    ],
)
async def test_the_score_is_the_total_that_the_options_ask_for(
    options: dict[str, Any], response: str, score: float
) -> None:
    task = Region(**options)
    given: dict[str, Any] = {}
    for reward in task.rewards:
        scores = reward(SharingJudge("[1]"), sample(), answered(response, scores=given))
        given |= await scores if isawaitable(scores) else scores
    assert given["score"] == pytest.approx(score)
    assert given.keys() | {"parse_success"} == task.scores.keys()


@pytest.mark.parametrize("options", [{"rule": "fuzzy"}, {"total": "all"}, {"language": "fr"}, {"clue_traking": True}])
def test_an_option_that_there_is_not_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        make_task(Region, options, Path(), "job.yaml")


def test_a_run_goes_on_with_other_scores_and_not_with_another_text() -> None:
    job, task = preset("region")

    def shape(**options: Any) -> Any:
        other = replace(task, **options)
        return shape_of(job, other, make_kit(other).schemas, ["m"], "f")

    free = {"rule": "seekworld", "total": "judge", "judge": True, "polygons": "x", "marks": True}
    assert shape(**free) == shape()
    for name, value in {"language": "zh", "clue_tracking": True, "nudge": "x", "user": "x"}.items():
        assert shape(**{name: value}) != shape()
    assert {one.name for one in fields(Region) if not one.metadata.get("shapes_text", True)} == set(free)


# the two jobs


def test_the_job_region_has_the_defaults_of_its_document() -> None:
    job, task = preset("region")
    assert task == Region()
    assert (job.sampling.temperature, job.sampling.top_p, job.sampling.max_tokens) == (0.7, 0.8, 2048)
    assert job.sampling.extra_body == {"repetition_penalty": 1.05}
    assert (job.episode.max_turns, job.episode.final_turn, job.dataset.num_samples) == (1, False, -1)


def test_the_job_region_tools_gives_the_tools_over_several_turns() -> None:
    job, task = preset("region-tools")
    assert task == Region(clue_tracking=True, nudge=task.nudge)
    assert Region().answer(task.nudge) == "country, administrative_area_level_1"
    assert (job.episode.max_turns, job.episode.final_turn) == (10, True)
    assert job.sampling == preset("region")[0].sampling
