"""The error tree, and what each error means for the process.

Knows the exit code of every error that may end a run, and the reason of every error that may end an episode.
Knows nothing of who raises them.

    AsyncgenError
    ├── InputError            2   what the user gave: flag, YAML, dataset, model name, directory
    │   ├── ConfigChanged     2   the run directory was made with another configuration
    │   └── DirectoryInUse    2   another process holds the run directory
    ├── DataError             3   stored data is not what it should be
    ├── TemporaryError       75   disk full, servers down too long: the same command goes on later
    └── AccountError         77   the server refuses the key, or the account has no quota left
    EpisodeError                  ends one episode with a typed reason, never the run
    ToolError                     a text for the model; the episode goes on
    └── ToolDownError             the same, and so many of them pause the run
"""

from __future__ import annotations

from enum import StrEnum


class FailReason(StrEnum):
    """Why an episode ended without a trace: the `reason` of a line in `failed/`."""

    BAD_SAMPLE = "bad_sample"
    """The row cannot be read, or the prompt needs a column that the row has not."""
    BAD_IMAGE = "bad_image"
    """The picture is missing, truncated, or no picture at all."""
    IMAGE_TOO_LARGE = "image_too_large"
    """The picture has more pixels than `episode.max_image_pixels`, or the server refused it for its size."""
    CONTEXT_OVERFLOW = "context_overflow"
    """The prompt alone is longer than the model's context."""
    BAD_REQUEST = "bad_request"
    """The server refuses this request for good (HTTP 400, 422)."""
    CONTENT_FILTER = "content_filter"
    """The server's content filter refused the prompt or the answer."""
    SERVER_ERROR = "server_error"
    """The same turn failed again and again while others passed."""
    TIMEOUT = "timeout"
    """A turn took longer than `endpoint.turn_timeout`, twice."""
    TOOL_CRASH = "tool_crash"
    """A tool raised something other than ToolError."""
    INTERNAL = "internal"
    """A bug in a task, a reward or asyncgen itself."""


class AsyncgenError(Exception):
    """Base of everything that may end a command; `str()` is the one line that the user sees."""

    exit_code = 1


class InputError(AsyncgenError):
    """Something that the user gave is wrong. The text names the thing, its value and the fix."""

    exit_code = 2


class ConfigChanged(InputError):
    """The run directory holds traces of another configuration."""


class DirectoryInUse(InputError):
    """Another process works in the run directory."""


class DataError(AsyncgenError):
    """Stored data fails a check."""

    exit_code = 3


class TemporaryError(AsyncgenError):
    """Nothing is wrong with the input: the same command can go on later."""

    exit_code = 75


class AccountError(AsyncgenError):
    """The server refuses the key or the account."""

    exit_code = 77


class EpisodeError(Exception):
    """Ends one episode: it becomes a line in `failed/` with this reason."""

    def __init__(self, reason: FailReason, text: str) -> None:
        super().__init__(reason, text)
        self.reason = reason
        self.text = text

    def __str__(self) -> str:
        return f"{self.reason}: {self.text}"


class ToolError(Exception):
    """A tool cannot do what it was asked; `str()` is what the model is told, and what to do about it."""


class ToolDownError(ToolError):
    """The service behind a tool does not answer: no fault of the model's. `str()` is what the model is told while
    such calls are few; when they are many, calls of this tool wait until one passes, and the user is told `why`."""

    def __init__(self, text: str, why: str = "") -> None:
        """`why`: default is the text."""
        super().__init__(text)
        self.why = why or text
