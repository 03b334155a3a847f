"""Error bodies of every server dialect, and Retry-After."""

from __future__ import annotations

import json
from typing import Any

import pytest

from asyncgen.endpoint.faults import FaultKind, classify, retry_after

K = FaultKind
WALL = 1_700_000_000.0
OPENAI_OVERFLOW = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."
VLLM_NEW = (
    "This model's maximum context length is 8192 tokens. However, you requested 2048 output tokens and your prompt "
    "contains at least 6145 input tokens, for a total of at least 8193 tokens."
)
VLLM_OLD = (
    "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens "
    "(3000 in the messages, 2000 in the completion)."
)
VLLM_TOO_LARGE = (
    "'max_tokens' or 'max_completion_tokens' is too large: 4096. This model's maximum context length is 4096 tokens "
    "and your request has 100 input tokens"
)
SGLANG = "The input (40000 tokens) is longer than the model's context length (32768 tokens)."
SGLANG_TOTAL = (
    "Requested token count exceeds the model's maximum context length of 4096 tokens. You requested a total of 5000 "
    "tokens: 3000 tokens from the input messages and 2000 tokens for the completion."
)
TGI = "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000 `inputs` tokens and 200"
DECODER = "The decoder prompt (length 1234) is longer than the maximum model length of 1000."
OLLAMA_TOOLS = "registry.ollama.ai/library/gemma:2b does not support tools"
VLLM_TOOLS = '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'
LLAMA_IMAGE = "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj"


def wrapped(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


def flat(message: str, code: int) -> dict[str, Any]:
    return {"object": "error", "message": message, "type": "BadRequestError", "param": None, "code": code}


@pytest.mark.parametrize(
    ("status", "body", "kind", "limit", "prompt"),
    [
        (400, wrapped(OPENAI_OVERFLOW, code="context_length_exceeded"), K.OVERFLOW, 8192, 9000),
        (400, wrapped(VLLM_NEW, type="BadRequestError", param="input_tokens", code=400), K.OVERFLOW, 8192, 6145),
        (400, flat(VLLM_OLD, 400), K.OVERFLOW, 4096, 3000),
        (400, flat(VLLM_TOO_LARGE, 400), K.OVERFLOW, 4096, 100),
        (400, flat("max_tokens must be at least 1, got -12.", 400), K.OVERFLOW, None, None),
        (400, flat(SGLANG, 400), K.OVERFLOW, 32768, 40000),
        (400, flat(SGLANG_TOTAL, 400), K.OVERFLOW, 4096, 3000),
        (
            400,
            wrapped("request (900 tokens) exceeds the available context size (512 tokens)")
            | {"error": {"code": 400, "type": "exceed_context_size_error", "n_prompt_tokens": 900, "n_ctx": 512}},
            K.OVERFLOW,
            512,
            900,
        ),
        (422, {"error": TGI, "error_type": "validation"}, K.OVERFLOW, 4096, 4000),
        (400, flat(DECODER, 400), K.OVERFLOW, 1000, 1234),
        (400, wrapped("Range of input length should be [1, 30720]", code="InvalidParameter"), K.OVERFLOW, 30720, None),
        (429, wrapped("Please reduce the length of the messages or completion."), K.OVERFLOW, None, None),
        (400, {"detail": json.dumps(wrapped(SGLANG))}, K.OVERFLOW, 32768, 40000),
        (
            400,
            wrapped("Provider returned error", metadata={"raw": json.dumps(wrapped(VLLM_OLD))}),
            K.OVERFLOW,
            4096,
            3000,
        ),
    ],
)
def test_an_overflow_is_known_in_every_dialect_with_its_numbers(
    status: int, body: dict[str, Any], kind: FaultKind, limit: int | None, prompt: int | None
):
    fault = classify(status, {}, json.dumps(body).encode(), wall=WALL)
    assert (fault.kind, fault.context_limit, fault.prompt_tokens) == (kind, limit, prompt)


def test_a_lower_bound_of_the_prompt_is_marked_as_one():
    bound = classify(400, {}, json.dumps(wrapped(VLLM_NEW)).encode(), wall=WALL)
    exact = classify(400, {}, json.dumps(wrapped(VLLM_OLD)).encode(), wall=WALL)
    assert (bound.prompt_at_least, exact.prompt_at_least) == (True, False)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, wrapped("Rate limit reached", code="rate_limit_exceeded"), K.THROTTLED),
        (429, wrapped("You exceeded your current quota", code="insufficient_quota"), K.QUOTA),
        (402, wrapped("Insufficient Balance"), K.QUOTA),
        (400, {"code": "Arrearage", "message": "Access denied", "request_id": "1"}, K.QUOTA),
        (429, {"code": "Throttling.AllocationQuota", "message": "slow down", "request_id": "1"}, K.THROTTLED),
        (400, {"code": "Throttling.RateQuota", "message": "slow down", "request_id": "1"}, K.THROTTLED),
        (400, wrapped("inappropriate content", code="data_inspection_failed"), K.CONTENT_FILTER),
        (400, {"code": "DataInspectionFailed", "message": "x", "request_id": "1"}, K.CONTENT_FILTER),
        (400, wrapped("The response was filtered", code="content_filter"), K.CONTENT_FILTER),
        (400, wrapped(VLLM_TOOLS, code=400), K.TOOLS_REFUSED),
        (400, flat(VLLM_TOOLS, 400), K.TOOLS_REFUSED),
        (400, wrapped(OLLAMA_TOOLS, type="invalid_request_error"), K.TOOLS_REFUSED),
        (500, wrapped("tools param requires --jinja flag", code=500), K.TOOLS_REFUSED),
        (404, wrapped("No endpoints found that support tool use."), K.TOOLS_REFUSED),
        (422, {"detail": [{"msg": "Unknown parameter: 'tools'", "loc": ["body"]}]}, K.TOOLS_REFUSED),
        (500, wrapped(LLAMA_IMAGE, code=500), K.BAD_REQUEST),
        (400, wrapped("Invalid image"), K.BAD_REQUEST),
        (422, {"detail": [{"msg": "Field required"}]}, K.BAD_REQUEST),
        (404, wrapped("The model `Qwen2.5-VL` does not exist."), K.NO_MODEL),
        (400, wrapped("Model not exist."), K.NO_MODEL),
        (404, wrapped('model "qwen:7b" not found, try pulling it first', type="not_found_error"), K.NO_MODEL),
        (404, b"<html><title>404 Not Found</title></html>", K.NO_MODEL),
        (401, wrapped("Incorrect API key"), K.AUTH),
        (403, b"", K.AUTH),
        (413, b"<html><title>413 Request Entity Too Large</title></html>", K.TOO_LARGE),
        (408, b"", K.SERVER),
        (409, b"", K.SERVER),
        (425, b"", K.SERVER),
        (424, {"error": "Request failed during generation", "error_type": "generation"}, K.SERVER),
        (429, {"error": "Model is overloaded", "error_type": "overloaded"}, K.THROTTLED),
        (503, wrapped("Loading model", type="unavailable_error", code=503), K.SERVER),
        (502, b"<html><title>502 Bad Gateway</title></html>", K.SERVER),
        (400, b"<html><title>400 Bad Request</title></html>", K.SERVER),
        (400, b"The plain HTTP request was sent to HTTPS port", K.CONFIG),
        (302, b"", K.CONFIG),
        (405, b"", K.CONFIG),
        (200, wrapped("upstream failed", code=502), K.SERVER),
        (200, wrapped("slow down", code=429), K.THROTTLED),
        (200, wrapped("what?"), K.SERVER),
        (200, wrapped("bad prompt", code=400), K.BAD_REQUEST),
    ],
)
def test_every_error_body_gets_the_kind_that_says_what_to_do(
    status: int, body: dict[str, Any] | bytes, kind: FaultKind
):
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert classify(status, {}, sent, wall=WALL).kind is kind


def test_a_503_that_names_a_time_is_busy_not_broken():
    fault = classify(503, {"Retry-After": "7"}, b"The request queue is full.", wall=WALL)
    assert (fault.kind, fault.retry_after) == (K.THROTTLED, 7.0)


def test_a_prompt_echoed_in_a_server_error_does_not_look_like_an_empty_account():
    body = json.dumps({"detail": [{"msg": "bad input", "input": "You exceeded your current quota"}]}).encode()
    assert classify(400, {}, body, wall=WALL).kind is K.BAD_REQUEST


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "12"}, 12.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "99999"}, 600.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Fri, 31 Dec 99999999999 00:00:00 GMT"}, None),
        ({}, None),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:50 GMT"}, 30.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:10 GMT"}, 0.5),
        ({"retry-after": "Wed, 15 Nov 2023 22:13:10 GMT"}, 600.0),
        ({"retry-after": "Tue, 14 Nov 2000 00:00:45 GMT", "date": "Tue, 14 Nov 2000 00:00:00 GMT"}, 45.0),
    ],
)
def test_retry_after_is_read_in_all_its_forms_and_nonsense_is_ignored(headers: dict[str, str], seconds: float | None):
    assert retry_after(headers, WALL) == seconds


def test_a_text_is_one_short_line_without_control_codes_and_keys():
    message = "bad\x1b[31m\nkey: sk-abcdef1234567890 \u202e Bearer abcdefgh " + "x" * 1000
    text = classify(401, {}, json.dumps(wrapped(message)).encode(), wall=WALL).text
    assert text.isprintable()
    assert len(text) <= 300
    assert "abcdef" not in text
    assert text.startswith("HTTP 401: bad [31m key: sk-…")


def test_a_redirect_names_where_it_leads():
    assert "https://other/v1" in classify(307, {"Location": "https://other/v1"}, b"", wall=WALL).text
