"""What the retrieval server of the search jobs' tests knows: a few passages, as a script for `support.retriever`.

Imports nothing of asyncgen.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

PASSAGES = {
    "Marie Curie": "was born in Warsaw.",
    "Warsaw": "is the capital of Poland: it lies on the Vistula.",
    "Poland": 'has the currency "złoty".',
    "東京": "は日本の首都。",
}


def looked_up(body: dict[str, Any], number: int = 0) -> web.Response:
    """At most `topk` passages for each query, as Search-R1 answers."""
    return web.json_response({"result": [found(query)[: body["topk"]] for query in body["queries"]]})


def found(query: str) -> list[dict[str, Any]]:
    """The passages whose title is in the query, as wiki-18 has them: the title in quotes, a line break, the text."""
    return [
        {"document": {"id": str(number), "contents": f'"{title}"\n{title} {text}'}, "score": 1.0 / (number + 1)}
        for number, (title, text) in enumerate(PASSAGES.items())
        if title.casefold() in query.casefold()
    ]
