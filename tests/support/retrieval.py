"""Corpora, and the retrieval server asked as any client of its protocol does: nothing but HTTP and JSON."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROWS = (
    {"id": "0", "contents": '"London"\nLondon is the capital of England; the Thames runs through it.'},
    {"id": "1", "contents": '"Paris"\nParis is the capital of France, on the Seine.'},
    {"id": "2", "contents": '"東京"\n東京は日本の首都である。'},
    {"id": "3", "contents": '"Zürich"\nZürich has 443,037 inhabitants and a university.'},
)
"""In wiki-18's form."""


def write_rows(path: Path, rows: Iterable[object] = ROWS) -> Path:
    """JSONL; a string is a line as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows), "utf-8")
    return path


def ask(url: str, body: Mapping[str, Any] | bytes | None = None, path: str = "") -> tuple[int, Any]:
    """POST the body to the URL, or GET without one; status and JSON."""
    split = urlsplit(url)
    connection = http.client.HTTPConnection(split.hostname or "", split.port, timeout=30)
    try:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.request("GET" if data is None else "POST", path or split.path, data)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def ids(result: list[list[dict[str, Any]]]) -> list[list[str]]:
    """Of an answer with scores or without."""
    return [[hit.get("document", hit)["id"] for hit in hits] for hits in result]
