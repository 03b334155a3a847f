"""Traces, contexts and a raw completion server for tests of the maths rewards and jobs."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Hashable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from asyncgen.core.errors import InputError
from asyncgen.core.trace import Trace, TurnRecord
from asyncgen.core.types import Context, Usage

T = TypeVar("T")
MODEL = "test-model"


class JudgingContext:
    """A context whose process is this one. `shared` gives what `services` has, as a run; else refuses, as `rescore`."""

    def __init__(self, services: Mapping[Callable[..., Any], Any] | None = None) -> None:
        self._services = services or {}
        self.hops = 0
        """Calls in another process."""

    async def in_process(self, function: Callable[..., T], *args: Any, seconds: float = 30.0) -> T:
        self.hops += 1
        return function(*args)

    def shared(self, make: Callable[..., T], *args: Hashable) -> T:
        if make not in self._services:
            raise InputError("there is no run")
        return cast("T", self._services[make])

    @property
    def context(self) -> Context:
        """As a reward gets it."""
        return cast("Context", self)


def solution(text: str, answer: str = "", *, finish_reason: str = "stop", stop: str = "answered") -> Trace:
    """A trace of one turn."""
    turn = TurnRecord(
        turn=1, messages=(), response=text, reasoning="", finish_reason=finish_reason, usage=Usage(), endpoint="",
        model=MODEL, request_id="", seconds=1.0, attempts=1,
    )  # fmt: skip
    return Trace(
        id="math/0/0", config_id="", rollout=0, dataset_path="", sample_index=0, sample_data={},
        conversation_history=(turn,), final_response=text, answer=answer, metadata={"stop": stop},
    )  # fmt: skip


class CompletionServer:
    """`/v1/completions` in a thread: `script(body)` gives the choices' texts and why each ended; `with`."""

    def __init__(self, script: Callable[[dict[str, Any]], list[tuple[str, str]]]) -> None:
        self.requests: list[dict[str, Any]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, script))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(
    server: CompletionServer, script: Callable[[dict[str, Any]], list[tuple[str, str]]]
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send({"object": "list", "data": [{"id": MODEL, "object": "model", "max_model_len": 32768}]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path != "/v1/completions":
                self.send_error(404)
                return
            server.requests.append(body)
            listed = [
                {"index": index, "text": text, "finish_reason": reason}
                for index, (text, reason) in enumerate(script(body))
            ]
            usage = {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30}
            self._send({"id": "cmpl-0", "object": "text_completion", "model": MODEL, "choices": listed, "usage": usage})

        def _send(self, payload: dict[str, Any]) -> None:
            data = json.dumps(payload).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the library's name
            """Nothing: a test's output is its own."""

    return Handler
