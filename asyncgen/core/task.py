"""The task: the recipe that a user writes. A frozen dataclass whose fields are its config.

Knows the prompt, the tools, the follow-up and the rewards of a job.
Knows nothing of servers, files or concurrency.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal

from asyncgen.core.errors import EpisodeError, FailReason
from asyncgen.core.types import ImageRef, Json, Message, Part, Reward, Sample, Tool, Turn

IMAGE_MARKER = "<image>"


@dataclass(frozen=True)
class Task:
    """Subclass as a frozen dataclass: each field is a YAML `task_options` key and a `--task.FIELD` flag.

    A field that changes no text of a trace, only its scores, is `field(default=…, metadata={"shapes_text": False})`: a
    run goes on with another value of it.
    """

    system: str = ""
    """System prompt; `{column}` is filled in; the path of a text file works too."""
    user: str = ""
    """User prompt; `{column}` is filled in, each `<image>` is the sample's next image; a path works too."""
    tool_hint: str = ""
    """A paragraph after the system prompt that says when to use the tools; `{column}` and a path work too."""
    image: str = ""
    """Column(s) with images, comma-separated; empty: the Image-typed ones, else `image` or `images`."""
    tool_calls: Literal["auto", "native", "text"] = "auto"
    """`native` sends `tools`, `text` describes them in the prompt, `auto` is native until the server refuses it."""
    coordinates: Literal["pixels", "relative_1000", "relative_1"] = "pixels"
    """What the model's coordinates mean: pixels of the picture as it saw it, 0-1000, or 0-1."""
    frame: Literal["original", "current"] = "original"
    """Which picture a tool works on: the sample's own, or the latest one."""
    final_user: str = "You have no turns left for tools. Give your final answer now, in the format asked for."
    """What the final turn asks, after `episode.max_turns` turns without an answer."""
    answer_first: bool = False
    """With an answer and a tool call in one turn, end with the answer instead of running the call."""
    prompt_style: Literal["chat", "raw"] = "chat"
    """`chat` sends messages; `raw` the texts alone, to be continued (`/v1/completions`), as base models want it."""
    dialect: Literal["tool_call", "search"] = "tool_call"
    """How calls are written in text: `<tool_call>` with JSON, or `<search>` with the query alone (Search-R1)."""
    stop: tuple[str, ...] = ()
    """Strings at which a turn ends: sent as `stop`, and cut off where a server does not stop there."""

    tools: ClassVar[Sequence[Tool]] = ()
    rewards: ClassVar[Sequence[Reward]] = ()
    scores: ClassVar[Mapping[str, float | bool | str]] = {"score": 0.0, "parse_success": False}
    """The fixed score keys, and their values when there is no answer."""
    headline: ClassVar[Mapping[str, str]] = {"parse_success": "parse_success", "score": "score"}
    """`metadata` key → score key: what a table of traces shows first."""
    columns: ClassVar[Sequence[str]] = ()
    """Dataset columns that must be there before the run starts."""
    difficulty: ClassVar[str] = ""
    """The column for `order: hardest_first`, low = hard."""
    flags: ClassVar[Mapping[str, str]] = {}
    """Further names of settings: `{"max-samples": "dataset.num_samples"}` gives jobs of this task the flag
    `--max-samples` and the variable `MAX_SAMPLES`. `base_url` and `model` are settings too."""

    def fitted(self, columns: Sequence[str]) -> Task:  # noqa: ARG002  # an override uses them
        """This task for rows with these columns: itself, or a copy with other options. Called once, before the run.

        Raises InputError where it can do nothing with such rows.
        """
        return self

    def prompt(self, sample: Sample) -> Sequence[Message]:
        """The messages that open the conversation: by default system + user, filled in, with the images."""
        images = iter(sample.images)
        messages = []
        if system := fill(self.system, sample.data):
            messages.append(Message("system", system))
        parts = fill_parts(self.user, sample, images)
        messages.append(Message("user", parts))
        return messages

    def check(self, sample: Sample) -> None:
        """Look at a row before anything is sent. Raise EpisodeError for one that could not be scored afterwards."""

    def answer(self, text: str) -> str:
        """The answer in this visible text; `""` = there is none, the episode goes on."""
        return text.strip()

    def final_answer(self, text: str) -> str:
        """A last, lenient reading of the last visible text when the episode ends without an answer."""
        return self.answer(text)

    def reply(self, sample: Sample, turns: Sequence[Turn]) -> Sequence[Message] | None:  # noqa: ARG002  # an override uses them
        """What to say after a turn with neither call nor answer; None ends the episode."""
        return None

    def request(self, sample: Sample, turns: Sequence[Turn], final: bool) -> Mapping[str, Json]:  # noqa: ARG002  # same
        """Fields of the next turn's request over the job's sampling, e.g. a grammar. `turns`: those so far; `final`:
        it is the one without tools that asks for the answer."""
        return {}


def fill(template: str, data: Mapping[str, Any]) -> str:
    """Fill `{column}` fields. `{{column}}` is a literal `{column}`; braces around anything else stay as they are,
    and so do LaTeX's: those after a command, `^` or `_` (`\\boxed{x}`, `x^{n}`). A null fills in as nothing.

    Raises EpisodeError(bad_sample) for a column that the row does not have.
    """
    return "".join(_value(piece, data) if is_field else piece for piece, is_field in _pieces(template))


def template_columns(template: str) -> list[str]:
    """The columns that a template names."""
    return [piece for piece, is_field in _pieces(template) if is_field]


_FIELD = re.compile(
    r"\{(?P<literal>\{[A-Za-z_][\w.-]*\})\}"
    r"|(?P<latex>\\(?:[dtc]?frac|[dt]?binom|(?:over|under)set)\{[A-Za-z_][\w.-]*\}\{[A-Za-z_][\w.-]*\}"
    r"|(?:\\[A-Za-z]+\*?|[\^_])\{[A-Za-z_][\w.-]*\})"
    r"|\{(?P<column>[A-Za-z_][\w.-]*)\}"
)


@lru_cache(maxsize=64)
def _pieces(template: str) -> Sequence[tuple[str, bool]]:
    """Literal texts and (True) column names, in order."""
    pieces: list[tuple[str, bool]] = []
    at = 0
    for match in _FIELD.finditer(template):
        pieces.append((template[at : match.start()], False))
        column = match["column"]
        pieces.append((column, True) if column else (match["literal"] or match["latex"], False))
        at = match.end()
    return (*pieces, (template[at:], False))


def _value(column: str, data: Mapping[str, Any]) -> str:
    if column not in data:
        raise EpisodeError(
            FailReason.BAD_SAMPLE, f"the prompt needs the column {column!r}; the row has {', '.join(data)}"
        )
    value = data[column]
    return "" if value is None else str(value)


def fill_parts(template: str, sample: Sample, images: Iterator[ImageRef]) -> list[Part]:
    """Fill a template to parts. An `<image>` counts only in the template itself, never in a row's text."""
    parts: list[Part] = []
    for piece, is_field in _pieces(template):
        if is_field:
            parts.append(_value(piece, sample.data))
            continue
        for number, text in enumerate(piece.split(IMAGE_MARKER)):
            if number:
                parts.append(_next_image(images))
            parts.append(text)
    return join_texts(parts)


def _next_image(images: Iterator[ImageRef]) -> ImageRef:
    ref = next(images, None)
    if ref is None:
        raise EpisodeError(FailReason.BAD_IMAGE, "the prompt has more <image> marks than the row has images")
    return ref


def join_texts(parts: Sequence[Part]) -> list[Part]:
    """Neighbouring texts as one."""
    joined: list[Part] = []
    for part in parts:
        if part == "":
            continue
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        else:
            joined.append(part)
    return joined
