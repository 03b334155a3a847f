"""The nouns: sample, message, picture, tool call, completion, turn.

Knows their shapes. Knows nothing of how they are read, sent, drawn or stored.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, TypeAlias, TypeVar

Json: TypeAlias = Any
"""Whatever `json` can hold; a recursive alias says no more and checks slower."""

Scores: TypeAlias = Mapping[str, float | bool | str]
"""Named results of a reward, e.g. `{"score": 0.71, "parse_success": True}`."""

T = TypeVar("T")


class StopReason(StrEnum):
    """Why an episode ended: `metadata.stop` of a trace."""

    ANSWERED = "answered"
    """The model gave an answer that the task can read."""
    NO_ANSWER = "no_answer"
    """The model gave neither a tool call nor an answer, and the task had nothing more to say."""
    MAX_TURNS = "max_turns"
    """`episode.max_turns` was reached (and the final turn, if there is one, brought no answer)."""
    LENGTH = "length"
    """A turn was cut off at `sampling.max_tokens`."""
    DEADLINE = "deadline"
    """The episode took longer than `episode.deadline`."""
    CONTEXT = "context"
    """The conversation outgrew the model's context after at least one turn."""
    FAILED = "failed"
    """The episode has no trace; its line in `failed/` has the reason."""


class ToolMode(StrEnum):
    """How tool calls travel: `metadata.tool_mode`."""

    NATIVE = "native"
    """`tools` in the request, `tool_calls` in the answer, `tool` messages for the results."""
    TEXT = "text"
    """Schemas in the system prompt, `<tool_call>` in the text, `<tool_response>` in a user message."""
    NONE = "none"
    """The task has no tools."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRef:
    """A dataset image by reference: nothing is read until its episode starts."""

    column: str
    """The dataset column it stands in."""
    load: Callable[[], bytes]
    """The file's bytes as stored (JPEG, PNG, …). May block: called in a thread. Raises EpisodeError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One immutable dataset row."""

    index: int
    """Row number in the dataset as it lies on disk, before any sort or filter."""
    data: Mapping[str, Json]
    """The columns without images, ready for JSON."""
    images: tuple[ImageRef, ...] = ()
    """The row's images, in column order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An image as the model saw it, the N-th of its episode."""

    image: int
    """N, from 0."""
    source: str
    """`sample` or `tool`."""
    column: str = ""
    """The dataset column, for a sample's picture."""
    op: str = ""
    """`""`, `zoom` or `rotate`."""
    arguments: str = ""
    """JSON: the operation's resolved pixel arguments, and as `image` the N it worked on."""
    width: int
    """Pixels, as sent."""
    height: int
    """Pixels, as sent."""
    full_width: int
    """Pixels before shrinking to `episode.max_pixels`: the frame in which tools work."""
    full_height: int
    """See `full_width`."""
    sha256: str
    """Of `data`."""
    data: bytes = field(repr=False)
    """The encoded file as sent."""
    mime: str = "image/jpeg"
    """Media type of `data`."""
    ref: ImageRef | None = field(default=None, repr=False)
    """Where a sample's picture came from, for what needs the stored file again."""


Part: TypeAlias = str | ImageRef | Picture


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """The request for a tool, exactly as the model wrote it."""

    id: str
    """The server's id, or `call_<turn>_<n>` where it gave none."""
    name: str
    arguments: str
    """The JSON string as emitted; may be malformed."""
    native: bool = True
    """Came in `tool_calls`; False: written as `<tool_call>` in the text."""


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message. `content` is a text, or parts in order: texts and images."""

    role: str
    content: str | Sequence[Part] = ""
    tool_calls: Sequence[ToolCall] = ()
    """Of an assistant message, native form only, with `arguments` that parse."""
    tool_call_id: str = ""
    name: str = ""

    @property
    def parts(self) -> tuple[Part, ...]:
        """The content as parts; no empty text among them."""
        if isinstance(self.content, str):
            return (self.content,) if self.content else ()
        return tuple(part for part in self.content if part != "")

    @property
    def text(self) -> str:
        """The content as stored in a trace: `<image:N>` where picture N stands."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part if isinstance(part, str) else _marker(part) for part in self.content)


def _marker(part: ImageRef | Picture) -> str:
    return f"<image:{part.image}>" if isinstance(part, Picture) else "<image>"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one completion, as the server counted them; 0 where it did not say."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """One choice of a server's answer."""

    content: str
    """The content exactly as received; `""` for null."""
    reasoning: str = ""
    """What came in `reasoning` or `reasoning_content`."""
    tool_calls: tuple[ToolCall, ...] = ()
    """Native calls."""
    finish_reason: str = "stop"
    usage: Usage = Usage()
    model: str = ""
    """The model name that the server echoed."""
    request_id: str = ""
    """The answer's `id`."""
    choices: int = 1
    """How many the answer had, empty ones among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What a tool gives back: a text for the model, and pictures."""

    text: str
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallResult:
    """One tool call of a turn, and what came of it."""

    call: ToolCall
    result: ToolResult
    error: str = ""
    """`""`, or what the model was told."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One completion, the messages that led to it, and the tool results that it caused."""

    number: int
    """From 1."""
    messages: tuple[Message, ...]
    """Those new in this turn, as sent."""
    completion: Completion
    visible: str
    """The content without thinking."""
    results: tuple[CallResult, ...] = ()
    endpoint: str = ""
    seconds: float = 0.0
    """Of the request that succeeded."""
    attempts: int = 1


class Context(Protocol):
    """All that a tool or a reward may touch; one an episode."""

    @property
    def task(self) -> Any:
        """The task, with its options."""

    @property
    def sample(self) -> Sample:
        """The row."""

    @property
    def pictures(self) -> Sequence[Picture]:
        """The episode's pictures so far; `pictures[N].image == N`."""

    @property
    def coordinates(self) -> str:
        """The task's `coordinates`: `pixels`, `relative_1000` or `relative_1`."""

    @property
    def frame(self) -> str:
        """The task's `frame`: `original` or `current`."""

    async def open(self, image: int) -> Any:
        """Picture N as a PIL image (RGB, upright, before shrinking); shared: do not change it in place."""

    async def edit(self, op: str, arguments: Mapping[str, Json]) -> Picture:
        """Apply `zoom` or `rotate` with resolved arguments (`{"image": N, …}`); the result is the next picture."""

    async def offload(self, function: Callable[..., T], *args: Any) -> T:
        """Run something that blocks or computes in a thread."""

    async def in_process(self, function: Callable[..., T], *args: Any, seconds: float = 30.0) -> T:
        """Run something that holds the GIL or may hang in another process; TimeoutError after `seconds`."""

    async def complete(self, messages: Sequence[Message], **sampling: Json) -> Completion:
        """Ask a model (a judge, say) through the run's own endpoints, under the same limits."""

    def shared(self, make: Callable[..., T], *args: Hashable) -> T:
        """The run's one `make(*args)`, made when it is first asked for: a client with its connections, a cache. If it
        has `async run()`, that is started in the background, and cancelled when the run ends."""


NAME_LETTERS = "A-Za-z0-9_-"
NAME_LENGTH = 64
"""A tool's name: such letters, at most so many. OpenAI's rule; stricter servers refuse others."""


class Tool(Protocol):
    """A named function with a JSON schema. `@tool` makes one."""

    @property
    def name(self) -> str:
        """The name that the model calls."""

    def schema(self, *, coordinates: str = "pixels", frame: str = "original") -> Mapping[str, Json]:
        """`{"type": "function", "function": {"name", "description", "parameters"}}`."""

    async def __call__(self, context: Context, arguments: Mapping[str, Json]) -> ToolResult:
        """Check and coerce the arguments, run. Raises ToolError with a text that the model can act on."""


Reward: TypeAlias = Callable[..., Scores | Awaitable[Scores]]
"""`(Context, Sample, Trace) → scores`, sync or async."""
