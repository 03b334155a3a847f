"""A retrieval server on 127.0.0.1 that speaks Search-R1's protocol over a few passages.

Knows HTTP and that protocol. Imports nothing of asyncgen.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

PASSAGES = {
    "Marie Curie": "was born in Warsaw.",
    "Warsaw": "is the capital of Poland: it lies on the Vistula.",
    "Poland": 'has the currency "złoty".',
    "東京": "は日本の首都。",
}


class SearchR1Server:
    """A passage is found by a query that has its title in it; `with`."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        """Bodies of the POSTs."""
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.asked.append(body)
                result = [found(query)[: body["topk"]] for query in body["queries"]]
                answer = json.dumps({"result": result}).encode()
                self.send_response(200 if self.path == "/retrieve" else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/retrieve"

    @property
    def queries(self) -> list[str]:
        """All of them, in order."""
        return [query for body in self.asked for query in body["queries"]]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


def found(query: str) -> list[dict[str, Any]]:
    """As wiki-18 has passages: the title in quotes, a line break, the text."""
    return [
        {"document": {"id": str(number), "contents": f'"{title}"\n{title} {text}'}, "score": 1.0 / (number + 1)}
        for number, (title, text) in enumerate(PASSAGES.items())
        if title.casefold() in query.casefold()
    ]
