"""The demo's vision endpoint: the OpenAI protocol in front of a map matcher. It is not a language model.

Knows HTTP, and keeps matching out of the event loop. Decides nothing (`policy`), keeps nothing of a conversation but
the places of pictures that it has seen, by their hash.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import orjson
from aiohttp import web

from asyncgen.core.clock import Clock, SystemClock
from asyncgen.core.errors import AsyncgenError
from asyncgen.core.types import Json
from asyncgen.embedded.child import announce
from asyncgen.embedded.conversation import BadRequest, read_conversation
from asyncgen.embedded.matcher import Bounded, MapMatcher, Match, Near
from asyncgen.embedded.pictures import BadPicture, Shot, centre, decode_grey, detail
from asyncgen.embedded.policy import Eyes, Reply, arguments_text, decide, token_count
from asyncgen.embedded.worldmap import load_world

MODEL = "blue-marble-matcher"
MAX_BODY = 64 << 20
THREADS = 2
"""numpy's FFT lets go of the GIL; more threads than cores only add memory."""
MAX_CHOICES = 16
SHUTDOWN_SECONDS = 1.0
"""What open requests are given when the endpoint is told to stop."""

_EYES = web.AppKey("eyes", Eyes)
_CLOCK = web.AppKey("clock", Clock)
_POOL = web.AppKey("pool", ThreadPoolExecutor)


class UnknownModel(BadRequest):
    """A model that this endpoint has not."""


class MapEyes:
    """Looks at pictures by the map matcher, and remembers what it found by the picture's hash."""

    def __init__(self, matcher: MapMatcher, *, remember: int = 4096) -> None:
        self._matcher = matcher
        self._found: Bounded[tuple[str, int, Near | None], Match] = Bounded(remember)
        self._details: Bounded[tuple[str, float], float] = Bounded(remember)

    def match(self, shot: Shot, *, turn: int = 0, near: Near | None = None) -> Match:
        def look() -> Match:
            grey = decode_grey(shot.data)
            return self._matcher.match(grey.rotate(turn, expand=True) if turn else grey, near=near)

        return self._found.get((shot.sha256, turn, near), look)

    def centre_detail(self, shot: Shot, share: float) -> float:
        return self._details.get((shot.sha256, share), lambda: detail(centre(decode_grey(shot.data), share)))


def create_app(eyes: Eyes, *, clock: Clock | None = None) -> web.Application:
    """The application: POST /v1/chat/completions, GET /v1/models, GET /health."""
    app = web.Application(client_max_size=MAX_BODY, middlewares=[_errors])
    app[_EYES] = eyes
    app[_CLOCK] = clock or SystemClock()
    app.cleanup_ctx.append(_threads)
    app.router.add_post("/v1/chat/completions", _chat)
    app.router.add_get("/v1/models", _models)
    app.router.add_get("/health", _health)
    return app


async def _threads(app: web.Application) -> AsyncIterator[None]:
    app[_POOL] = ThreadPoolExecutor(THREADS, thread_name_prefix="matcher")
    yield
    app[_POOL].shutdown(cancel_futures=True)


@web.middleware
async def _errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """The boundary: what the client did wrong becomes OpenAI's error JSON."""
    try:
        return await handler(request)
    except UnknownModel as error:
        return _error(404, str(error), "model_not_found")
    except (BadRequest, BadPicture) as error:
        return _error(400, str(error), "invalid_request")
    except web.HTTPClientError as error:
        return _error(error.status, error.reason, "invalid_request")


def _error(status: int, text: str, code: str) -> web.Response:
    error = {"message": text, "type": "invalid_request_error", "param": None, "code": code}
    return _json({"error": error}, status)


def _json(body: Json, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")


async def _health(request: web.Request) -> web.Response:  # noqa: ARG001  # the signature is aiohttp's
    return _json({"status": "ok"})


async def _models(request: web.Request) -> web.Response:
    created = int(request.app[_CLOCK].wall())
    return _json({"object": "list", "data": [{"id": MODEL, "object": "model", "created": created, "owned_by": "demo"}]})


async def _chat(request: web.Request) -> web.Response:
    body = _read_body(await request.read())
    look = asyncio.get_running_loop().run_in_executor(request.app[_POOL], _complete, body, request.app[_EYES])
    answer = await look
    return _json({**answer, "created": int(request.app[_CLOCK].wall())})


def _read_body(raw: bytes) -> Mapping[str, Json]:
    """The request's JSON object. BadRequest for what this endpoint cannot do."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object")
    if body.get("stream"):
        raise BadRequest("stream is not supported: leave it out")
    if body.get("model") not in {None, MODEL}:
        raise UnknownModel(f"the model {body['model']!r} does not exist; this endpoint has {MODEL!r}")
    choices = 1 if body.get("n") is None else body["n"]
    if type(choices) is not int or not 1 <= choices <= MAX_CHOICES:
        raise BadRequest(f"n is {choices!r}: it must be 1 to {MAX_CHOICES}")
    return body


def _complete(body: Mapping[str, Json], eyes: Eyes) -> dict[str, Json]:
    """In a thread: read the pictures, decide, and put the reply in the protocol's form."""
    conversation = read_conversation(body)
    reply = decide(conversation, eyes)
    count = body.get("n") or 1
    written = reply.content + reply.reasoning + (arguments_text(reply.call[1]) if reply.call else "")
    prompt, completion = token_count(conversation), count * max(1, len(written) // 4)
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "model": MODEL,
        "choices": [_choice(index, reply) for index in range(count)],
        "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion},
    }


def _choice(index: int, reply: Reply) -> dict[str, Json]:
    message: dict[str, Json] = {
        "role": "assistant",
        "content": reply.content,
        "reasoning_content": reply.reasoning,
    }
    if reply.call:
        function = {"name": reply.call[0], "arguments": arguments_text(reply.call[1])}
        message["tool_calls"] = [{"id": f"call_{uuid.uuid4().hex[:24]}", "type": "function", "function": function}]
    return {"index": index, "message": message, "finish_reason": "tool_calls" if reply.call else "stop"}


async def serve(port: int, port_file: Path | None, *, watch_stdin: bool) -> None:
    """Serve on 127.0.0.1 until SIGTERM or SIGINT, or until stdin ends if it is watched."""
    runner = web.AppRunner(
        create_app(MapEyes(MapMatcher(load_world()))), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if watch_stdin:
        loop.add_reader(sys.stdin.fileno(), _stop_at_end, sys.stdin.fileno(), stop)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        port = runner.addresses[0][1]
        sys.stdout.write(f"{MODEL} (a map matcher, not a language model) at http://127.0.0.1:{port}/v1\n")
        sys.stdout.flush()
        if port_file:
            announce(port_file, port)
        await stop.wait()
    finally:
        await runner.cleanup()


def _stop_at_end(stdin: int, stop: asyncio.Event) -> None:
    if not os.read(stdin, 4096):
        stop.set()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; the exit code: 0, or 2 when the map is missing or the port is taken."""
    parser = argparse.ArgumentParser(prog="python -m asyncgen.embedded.vision_server", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 (default) = any free one")
    parser.add_argument("--port-file", type=Path, help="write the port here when ready")
    parser.add_argument("--watch-stdin", action="store_true", help="exit when stdin ends, as it does with its parent")
    given = parser.parse_args(arguments)
    if not 0 <= given.port <= 65535:
        parser.error(f"--port is {given.port}: it must be 0 to 65535")
    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(serve(given.port, given.port_file, watch_stdin=given.watch_stdin))
    except AsyncgenError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"error: port {given.port}: {error.strerror}; give another --port\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
