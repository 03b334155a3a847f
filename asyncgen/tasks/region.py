"""The region job: in which country, and in which first-level division of it, was this photo taken?

Written with the public API only, like any user's task file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

from asyncgen import Message, Sample, Scores, Task, Turn, image_rotate_tool, image_zoom_in_tool, rewards

SYSTEM: Mapping[str, str] = {
    "en": "You work out where photos were taken. First weigh what can be seen, step by step, between <think> and "
    "</think>: landscape, buildings, signs and scripts, vehicles, plants, people. Then give your answer between "
    "<answer> and </answer>. Write nothing outside of these tags.",
    "zh": "你的工作是判断照片的拍摄地点。请先在 <思考> 和 </思考> 之间逐步分析画面中的线索：地貌、建筑、招牌与文字、"
    "车辆、植被、人物。然后在 <答案> 和 </答案> 之间给出答案。标签之外不要写任何内容。",
}

USER: Mapping[str, str] = {
    "en": "<image>\nWhich country is this, and which of its first-level administrative divisions (state, province, "
    "region or the like)? Answer with both names, in this form: <answer>$country,administrative_area_level_1$</answer>",
    "zh": "<image>\n这张照片是在哪个国家、该国的哪个一级行政区（省、州、大区等）拍摄的？请写出两者的名称，格式为："
    "<答案>$国家,一级行政区$</答案>",
}

CLUES: Mapping[str, str] = {
    "en": "You can look closer: zoom in on what is too small to read or to recognise, and rotate a picture that is not "
    "upright. Do so whenever it may bring a clue, and answer when you have followed the clues up.",
    "zh": "你可以看得更仔细：放大看不清的文字和细节，把没有摆正的图片旋转过来。只要可能带来线索就这样做，"
    "把线索查清之后再作答。",
}

SCORED: Mapping[str, Any] = {"shapes_text": False}
"""Of options that change scores alone: a run goes on with other values of them."""


@dataclass(frozen=True)
class Region(Task):
    """A photo in, a country and a first-level division out; with `clue_tracking` over several turns.

    A row says where it was taken in `answer` ($country,region/another name$), in `country` and `region`, or in `lat`
    and `lon`. Its own `message`, a chat with the paths of its images, is the prompt as it is: `system` and `user`, each
    by itself, take the place of its system text and of its last user message, whose images stay.
    """

    system: str = ""
    """System prompt; empty: the row's own, or where it has no `message` the built-in one of the language."""
    user: str = ""
    """User prompt, with an `<image>`; empty: the row's own, or where it has no `message` the built-in one."""
    language: Literal["en", "zh"] = "en"
    """Of the built-in prompts; an answer may be in either."""
    clue_tracking: bool = False
    """Give the model tools to zoom into the photo and to rotate it."""
    nudge: str = ""
    """What to say after a turn with neither a call nor an answer; empty: the episode ends there."""
    rule: Literal["strict", "seekworld", "judge"] = field(default="strict", metadata=SCORED)
    """When an answer is right. `strict`: the names have the same ISO codes; `seekworld`: by edit distance, as the
    project's own figures were made; `judge`: the model itself says so."""
    total: Literal["accuracy", "length", "judge"] = field(default="accuracy", metadata=SCORED)
    """What `score` is: the accuracy; format + accuracy + length; or format + 2 accuracy + judge."""
    judge: bool = field(default=False, metadata=SCORED)
    """Score `judge`: ask the model whether the thinking leads to the answer by clues. `total: judge` does so too."""
    polygons: str = field(default="", metadata=SCORED)
    """For rows with lat and lon alone: a GeoJSON file with the first-level divisions; empty: nearest known city."""

    marks: bool | None = field(default=None, metadata=SCORED)
    """Score `approximate` and `near_border` of truths that come from coordinates; null: where the dataset has no
    others."""

    flags: ClassVar = {"input-file": "dataset.path"}
    headline: ClassVar = {"parse_success": "parse_success", "accuracy": "accuracy", "score": "score"}

    @property
    def tools(self) -> Sequence[Any]:  # type: ignore[override]  # the options say which
        """Zoom and rotate, or none."""
        return (image_zoom_in_tool, image_rotate_tool) if self.clue_tracking else ()

    @property
    def rewards(self) -> Sequence[Any]:  # type: ignore[override]  # the options say which
        """One part each; a total adds what stands before it."""
        region = rewards.RegionReward(rule=self.rule, polygons=self.polygons, marks=bool(self.marks))
        judge = (rewards.ProcessJudge(),) if self.judge or self.total == "judge" else ()
        total = (rewards.TotalReward(variant=self.total),) if self.total != "accuracy" else ()
        return (rewards.FormatReward(), region, rewards.LengthReward(), *judge, *total)

    @property
    def scores(self) -> Scores:  # type: ignore[override]  # the options say which
        """Those of an episode without an answer."""
        return rewards.failure_scores(self.rewards)

    def fitted(self, columns: Sequence[str]) -> Task:
        """A dataset that does not say where a photo was taken is refused, and a polygon file that cannot be read. The
        tables of names and borders are read now, since the episodes would all wait for them."""
        rewards.RegionReward(polygons=self.polygons).prepare(columns)
        return self if self.marks is not None else replace(self, marks=rewards.only_located(columns))

    def check(self, sample: Sample) -> None:
        """A row without its place is no sample, nor is one whose chat cannot be read."""
        rewards.region_truth(sample.data, rewards.place_at(self.polygons))
        rewards.message_parts(sample.data)

    def prompt(self, sample: Sample) -> Sequence[Message]:
        """The row's own chat, with the options' prompts in it, or these alone."""
        if rewards.message_of(sample.data):
            return rewards.chat_prompt(sample, system=self.system, user=self.user)
        clues = f"\n{CLUES[self.language]}" if self.clue_tracking else ""
        system = self.system or SYSTEM[self.language] + clues
        return Task.prompt(replace(self, system=system, user=self.user or USER[self.language]), sample)

    def answer(self, text: str) -> str:
        """What stands in the last closed answer tag, as `country, region`."""
        return ", ".join(rewards.region_answer(text) or ())

    def final_answer(self, text: str) -> str:
        r"""A tag left open, a `\boxed{}`, a last line `Answer: …` or a country alone counts now, too."""
        return ", ".join(filter(None, rewards.region_answer(text, lenient=True) or ()))

    def reply(self, sample: Sample, turns: Sequence[Turn]) -> Sequence[Message] | None:  # noqa: ARG002  # the same for all
        """Ask to go on."""
        return [Message("user", self.nudge)] if self.nudge else None
