"""A server that costs as little as Python can: raw asyncio, one fixed answer after a fixed latency.

`python bench/server.py SECONDS TURNS` prints its base URL. With TURNS > 1 it asks for the tool until TURNS - 1 results came.
"""

from __future__ import annotations

import asyncio
import sys

import orjson

TEXT = "The answer follows from the clues. " * 40 + "<answer>42</answer>"


def answer(message: dict[str, object], reason: str) -> bytes:
    body = orjson.dumps(
        {
            "id": "chatcmpl-bench",
            "object": "chat.completion",
            "model": "bench",
            "choices": [{"index": 0, "message": message, "finish_reason": reason}],
            "usage": {"prompt_tokens": 300, "completion_tokens": 350, "total_tokens": 650},
        }
    )
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


FINAL = answer({"role": "assistant", "content": TEXT}, "stop")
CALL = answer(
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"what": "left"}'}}],
    },
    "tool_calls",
)
MODELS = b'{"object": "list", "data": [{"id": "bench"}]}'


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, latency: float, turns: int) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = 0
            for line in head.split(b"\r\n"):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            body = await reader.readexactly(length)
            if head.startswith(b"GET"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(MODELS), MODELS))
                continue
            if latency:
                await asyncio.sleep(latency)
            writer.write(CALL if body.count(b'"role":"tool"') < turns - 1 else FINAL)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main() -> None:
    latency, turns = float(sys.argv[1]), int(sys.argv[2])
    server = await asyncio.start_server(lambda r, w: serve(r, w, latency, turns), "127.0.0.1", 0, backlog=8192)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
