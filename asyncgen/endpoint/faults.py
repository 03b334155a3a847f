"""What went wrong with a request: one kind for each thing that can be done about it.

Knows the error bodies of OpenAI, vLLM, SGLang, llama.cpp, Ollama, TGI, DashScope and of the gateways before them.
Knows nothing of connections (client.py) nor of what follows from a fault (retry.py, pool.py).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum

import orjson

from asyncgen.core.types import Json

TEXT_LIMIT = 300
"""Characters of a fault's text."""
SEARCHED = 20_000
"""Characters of a body that are searched: error bodies may echo a whole prompt."""
RETRY_AFTER_CAP = 600.0
"""Seconds; a server that asks for more is asked again after this."""
RETRY_AFTER_PAST = 0.5
"""Seconds to wait when the date in `Retry-After` is over."""


class FaultKind(StrEnum):
    """Kinds of faults, by what can be done about them."""

    TRANSPORT = "transport"
    """No whole answer: refused, reset, cut, broken HTTP."""
    STALE = "stale"
    """The server had closed a kept connection before the request reached it."""
    TIMEOUT = "timeout"
    """No whole answer within the turn's deadline."""
    SERVER = "server"
    """5xx, 408, 409, 425, or an error page of a proxy."""
    THROTTLED = "throttled"
    """429, or 503 with `Retry-After`: healthy, but busy."""
    BAD_ANSWER = "bad_answer"
    """200, but unparsable or without choices."""
    EMPTY = "empty"
    """200, but neither content nor tool call, and not for a reason that a retry cannot change."""
    OVERFLOW = "overflow"
    """The prompt, or prompt and `max_tokens` together, are longer than the model's context."""
    TOOLS_REFUSED = "tools_refused"
    """The server does not take `tools`."""
    BAD_REQUEST = "bad_request"
    """The server refuses this request for good."""
    TOO_LARGE = "too_large"
    """413: the body is too large, which is its images."""
    CONTENT_FILTER = "content_filter"
    """The prompt was refused for what it says or shows."""
    AUTH = "auth"
    """401, 403: the key."""
    QUOTA = "quota"
    """The account has no money or quota left."""
    NO_MODEL = "no_model"
    """404: the model, or the path."""
    CONFIG = "config"
    """3xx, bad certificate, wrong scheme, invalid URL."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One failed request."""

    kind: FaultKind
    text: str
    """One readable line, at most 300 characters, without control codes."""
    status: int = 0
    """The HTTP status that was read; 0: none was."""
    retry_after: float | None = None
    """Seconds, at most 600, that the server asked to wait."""
    context_limit: int | None = None
    """Tokens of the model's context, where an overflow's text says so."""
    prompt_tokens: int | None = None
    """Tokens of the prompt, where an overflow's text says so."""
    prompt_at_least: bool = False
    """`prompt_tokens` is a lower bound: the server stopped counting."""


@dataclass(frozen=True, slots=True)
class _Body:
    message: str
    """For people."""
    codes: frozenset[str]
    """`code`, `type` and `error_type` values, lower case."""
    text: str
    """All of the body, lower case, for searching."""
    status: int
    """An HTTP status given as `code`; 0: none."""
    html: bool


_QUOTA_CODES = {
    "insufficient_quota",
    "arrearage",
    "billing_hard_limit_reached",
    "billing_not_active",
    "insufficient_balance",
    "allocationquota.freetieronly",
}
_QUOTA = re.compile(
    r"exceeded your current quota|insufficient balance|insufficient credits|account is in good standing"
)
_FILTER_CODES = {
    "content_filter",
    "content_policy_violation",
    "datainspectionfailed",
    "data_inspection_failed",
    "responsibleaipolicyviolation",
}
_OVERFLOW_CODES = {"context_length_exceeded", "exceed_context_size_error"}
_OVERFLOW = re.compile(
    r"maximum context length|context_length_exceeded|context length is only|longer than the model's context length"
    r"|exceed_context_size|exceeds? the available context size|requested token count exceeds|maximum model length"
    r"|max_tokens must be at least 1, got -|prompt is too long|input is too long|range of input length"
    r"|input length range|`max_new_tokens` must be <=|`inputs` must have less than|reduce the length of the"
    r"|request too large for|exceeds? the (?:model's )?context (?:window|length|limit)"
)
_TOOLS = re.compile(
    r"does not support (?:tools|tool use|tool calls|tool calling|function calling|functions)|enable-auto-tool-choice"
    r"|tool-call-parser|support tool use|tool calling is not supported|tools? (?:is|are) not supported"
    r"|function calling is not (?:supported|enabled)|unsupported function calling|tools param requires --jinja"
    r"|unsupported param(?:eter)?: tools|(?:unknown|unrecognized|unexpected|extra) (?:field|parameter|argument|keyword"
    r" argument|request argument supplied)s?:? ['\"`]?(?:tools|tool_choice)"
)
_NO_MODEL = re.compile(
    r"\bmodel:?(?: ['\"`]?[\w./:@-]{1,200}['\"`]?)? (?:is |was )?(?:not found|does not exist|not exist)|no such model"
)
_NO_IMAGES = re.compile(r"image input is not supported|does not support (?:image|vision)|not a multimodal model")
_WRONG_SCHEME = re.compile(r"plain http request was sent to https|client sent an http request to an https server")
_LIMITS = (
    re.compile(r"(?:maximum )?context length (?:is only|is|of) (\d{1,9})"),
    re.compile(r"context length \((\d{1,9}) tokens\)"),
    re.compile(r"maximum model length of (\d{1,9})"),
    re.compile(r"\"n_ctx\":\s*(\d{1,9})"),
    re.compile(r"available context size \((\d{1,9})"),
    re.compile(r"`max_new_tokens` must be <= (\d{1,9})"),
    re.compile(r"input length should be \[\d{1,9},\s*(\d{1,9})\]"),
)
_PROMPTS = (
    re.compile(r"at least (\d{1,9}) input tokens"),
    re.compile(r"\((\d{1,9}) in the messages"),
    re.compile(r"has (\d{1,9}) input tokens"),
    re.compile(r"the input \((\d{1,9}) tokens\)"),
    re.compile(r"(\d{1,9}) tokens from the input"),
    re.compile(r"resulted in (\d{1,9}) tokens"),
    re.compile(r"prompt \(length (\d{1,9})\)"),
    re.compile(r"\"n_prompt_tokens\":\s*(\d{1,9})"),
    re.compile(r"request \((\d{1,9}) tokens\) exceeds"),
    re.compile(r"given: (\d{1,9}) `inputs`"),
)
_AT_LEAST = re.compile(r"at least \d{1,9} input tokens")
_SECRET = re.compile(r"(?i)\b(sk-|bearer\s+)[\w.*+/=-]{4,}")
_SECONDS = re.compile(r"\d{1,12}(?:\.\d{1,12})?", re.ASCII)


def classify(status: int, headers: Mapping[str, str], body: bytes, *, wall: float) -> Fault:
    """The fault behind an HTTP error, by what its text says first, by its status second.

    Status comes second because gateways re-wrap: an overlong prompt may be a 429, a filtered one a 500. `wall` is now
    in seconds since 1970, for a `Retry-After` date in an answer without a `Date`. A status of 2xx means an error body
    that came as a success; its own `code` then stands for the status.
    """
    fields = {name.lower(): value for name, value in headers.items()}
    read = _read(body)
    effective = status if status >= 300 else read.status or 500
    wait = retry_after(fields, wall)
    kind = _kind_by_text(effective, read) or _kind_by_status(effective, read, wait)
    message = fields.get("location", "") if 300 <= effective < 400 else read.message
    text = one_line(f"HTTP {status}: {message}" if message else f"HTTP {status}")
    if kind is not FaultKind.OVERFLOW:
        return Fault(kind, text, status, wait)
    limit, prompt = (_first_number(patterns, read.text) for patterns in (_LIMITS, _PROMPTS))
    return Fault(kind, text, status, None, limit, prompt, prompt is not None and bool(_AT_LEAST.search(read.text)))


def retry_after(headers: Mapping[str, str], wall: float) -> float | None:
    """Seconds that the server asks to wait (`headers` in lower case): at most 600; None for none, or for nonsense.

    A date counts from the answer's own `Date`, so that a wrong clock on either side does no harm; one that is over
    gives 0.5. RFC 9110 section 10.2.3; `retry-after-ms` is OpenAI's.
    """
    millis = headers.get("retry-after-ms", "").strip()
    if _SECONDS.fullmatch(millis):
        return min(float(millis) / 1000, RETRY_AFTER_CAP)
    value = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(value):
        return min(float(value), RETRY_AFTER_CAP)
    moment = _moment(value)
    if moment is None:
        return None
    now = _moment(headers.get("date", "")) or wall
    return min(moment - now, RETRY_AFTER_CAP) if moment > now else RETRY_AFTER_PAST


def one_line(text: str) -> str:
    """`text` without control codes and keys, on one line, at most 300 characters."""
    # Twice the limit is enough to see a key whole that the limit would cut in two.
    shown = "".join(letter if letter.isprintable() else " " for letter in text[: 2 * TEXT_LIMIT])
    shown = _SECRET.sub(r"\1…", " ".join(shown.split()))
    return shown if len(shown) <= TEXT_LIMIT else shown[: TEXT_LIMIT - 1] + "…"


def _kind_by_text(status: int, body: _Body) -> FaultKind | None:
    if status < 400:
        return None
    for kind, codes, pattern, statuses in (
        (FaultKind.QUOTA, _QUOTA_CODES, _QUOTA, {402, 403, 429}),
        (FaultKind.OVERFLOW, _OVERFLOW_CODES, _OVERFLOW, {400, 413, 422, 429, 500}),
        (FaultKind.CONTENT_FILTER, _FILTER_CODES, None, set[int]()),
        (FaultKind.TOOLS_REFUSED, set[str](), _TOOLS, {400, 404, 422, 500, 501}),
        (FaultKind.NO_MODEL, {"model_not_found", "modelnotfound"}, _NO_MODEL, {400, 404}),
        (FaultKind.BAD_REQUEST, set[str](), _NO_IMAGES, {400, 404, 422, 500}),
        (FaultKind.CONFIG, set[str](), _WRONG_SCHEME, {400}),
    ):
        if codes & body.codes or (pattern and status in statuses and pattern.search(body.text)):
            return kind
    return FaultKind.THROTTLED if any(code.startswith("throttling") for code in body.codes) else None


_BY_STATUS = {
    401: FaultKind.AUTH,
    402: FaultKind.QUOTA,
    403: FaultKind.AUTH,
    404: FaultKind.NO_MODEL,
    405: FaultKind.CONFIG,
    408: FaultKind.SERVER,
    409: FaultKind.SERVER,
    413: FaultKind.TOO_LARGE,
    424: FaultKind.SERVER,  # TGI: generation failed
    425: FaultKind.SERVER,
    429: FaultKind.THROTTLED,
    499: FaultKind.SERVER,  # Ollama: the request was cancelled
}


def _kind_by_status(status: int, body: _Body, wait: float | None) -> FaultKind:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status < 400:
        return FaultKind.CONFIG
    if status == 503 and wait is not None:
        return FaultKind.THROTTLED
    return FaultKind.SERVER if status >= 500 or body.html else FaultKind.BAD_REQUEST


def _read(body: bytes) -> _Body:
    text = body[: 4 * SEARCHED].decode("utf-8", "replace")[:SEARCHED]
    html = text.lstrip("\ufeff \t\r\n")[:1] == "<"
    layers = list(_layers(_loads(body)))
    messages = [found for layer in layers for found in _messages(layer)]
    codes = [str(layer[key]).lower() for layer in layers for key in ("code", "type", "error_type") if layer.get(key)]
    numbers = [int(code) for code in codes if code.isascii() and code.isdigit() and len(code) == 3]
    status = next((number for number in numbers if 400 <= number <= 599), 0)
    message = max(messages, key=len, default="") or (_title(text) if html else text)
    return _Body(message, frozenset(codes), "\n".join([*messages, text]).lower(), status, html)


def _layers(value: Json, depth: int = 0) -> Iterator[Mapping[str, Json]]:
    """The objects of an error body that may carry a message, outermost first; texts that are JSON are opened."""
    if isinstance(value, str) and value.lstrip()[:1] == "{":
        value = _loads(value.encode("utf-8", "replace"))
    if isinstance(value, list):
        value = next(iter(value), None)
    if not isinstance(value, dict) or depth > 4:
        return
    yield value
    for key in ("error", "detail", "metadata", "raw", "message"):
        yield from _layers(value.get(key), depth + 1)


def _messages(layer: Mapping[str, Json]) -> Iterator[str]:
    for key in ("message", "error", "detail", "raw", "msg"):
        if isinstance(layer.get(key), str) and layer[key].lstrip()[:1] != "{":
            yield layer[key]


def _title(html: str) -> str:
    found = re.search(r"<title>([^<]{1,200})", html, re.IGNORECASE)
    return found[1] if found else "an HTML page"


def _loads(body: bytes) -> Json:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _first_number(patterns: tuple[re.Pattern[str], ...], text: str) -> int | None:
    return next((int(found[1]) for pattern in patterns if (found := pattern.search(text))), None)


def _moment(value: str) -> float | None:
    try:
        date = parsedate_to_datetime(value)
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return seconds if math.isfinite(seconds) else None
