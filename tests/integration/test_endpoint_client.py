"""HttpTransport against real sockets: what the server receives, and every way in which it may fail to answer."""

from __future__ import annotations

import asyncio
import gzip
import json
import shutil
import socket
import ssl
import struct
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from support.server import Reply, ScriptedServer, disconnect, error, hang, raw, text, tool_calls

from asyncgen.core.types import Completion, Message
from asyncgen.endpoint.client import BODY_CAP, PACKET, HttpTransport
from asyncgen.endpoint.faults import Fault, FaultKind
from asyncgen.endpoint.transport import ModelInfo, Target
from asyncgen.endpoint.wire import encode_message, request_chunks

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
CHUNKS = [b'{"messages":[', b'{"role":"user","content":"hi"}', b'],"model":"m"}']
ANSWER = json.dumps({"choices": [{"message": {"content": "hello"}, "finish_reason": "stop"}]}).encode()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    made = HttpTransport()
    yield made
    await made.close()


@pytest.fixture
def self_signed(tmp_path: Path) -> ssl.SSLContext:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-days", "2"]
    subprocess.run([*made, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


@asynccontextmanager
async def raw_server(talk: Talk, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server that does to each connection what `talk` says; gives its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def read_request(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    await reader.readexactly(length)


def answering(*parts: bytes) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"".join(parts))
        await writer.drain()

    return talk


async def ask(transport: HttpTransport, port: int, seconds: float = 5.0, scheme: str = "http") -> Fault:
    answer = await transport.complete(Target(f"{scheme}://127.0.0.1:{port}/v1"), CHUNKS, timeout=seconds)
    assert isinstance(answer, Fault), answer
    return answer


async def ask_scripted(transport: HttpTransport, reply: Reply, seconds: float = 5.0) -> list[Completion] | Fault:
    async with ScriptedServer(lambda _body, _number: reply) as server:
        return await transport.complete(Target(server.base_url + "/"), CHUNKS, timeout=seconds)


async def test_the_server_receives_the_chunks_in_a_row_with_their_length(transport: HttpTransport):
    large = b"x" * (3 * PACKET)
    messages = [encode_message(Message("user", "small"))] * 50 + [[b'{"role":"user","content":"', large, b'"}']]
    chunks = request_chunks(messages, model="m", sampling={}, tools_json=None)
    async with ScriptedServer(lambda _body, _number: text("hello")) as server:
        answer = await transport.complete(Target(server.base_url, api_key=" key\n"), chunks, timeout=5)
    assert isinstance(answer, list)
    assert answer[0].content == "hello"
    (request,) = server.requests
    assert request.raw == b"".join(chunks)
    assert request.headers["Content-Length"] == str(len(request.raw))
    assert "Transfer-Encoding" not in request.headers
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Authorization"] == "Bearer key"


async def test_tool_calls_come_back_with_the_arguments_as_written(transport: HttpTransport):
    answer = await ask_scripted(transport, tool_calls(("zoom", '{"a": 1,')))
    assert isinstance(answer, list)
    assert [(call.name, call.arguments) for call in answer[0].tool_calls] == [("zoom", '{"a": 1,')]


async def test_the_models_are_listed_with_their_context_length(transport: HttpTransport):
    async with ScriptedServer(lambda _body, _number: text("x"), models=("a", "b"), max_model_len=99) as server:
        assert await transport.models(Target(server.base_url)) == [ModelInfo("a", 99), ModelInfo("b", 99)]
    async with ScriptedServer(lambda _body, _number: text("x"), pages={"/v1/models": error(405)}) as server:
        listed = await transport.models(Target(server.base_url))
    assert isinstance(listed, Fault)
    assert listed.status == 405


async def test_gzip_is_unpacked(transport: HttpTransport):
    answer = await ask_scripted(transport, raw(gzip.compress(ANSWER), headers={"Content-Encoding": "gzip"}))
    assert isinstance(answer, list)
    assert answer[0].content == "hello"


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (error(500), FaultKind.SERVER),
        (error(429, headers={"Retry-After": "3"}), FaultKind.THROTTLED),
        (raw(b"", status=307, headers={"Location": "http://127.0.0.1:1/v1/chat/completions"}), FaultKind.CONFIG),
        (raw(b"<html>welcome</html>", headers={"Content-Type": "text/html"}), FaultKind.BAD_ANSWER),
        (raw(b"[" * 100_000), FaultKind.BAD_ANSWER),
        (raw(ANSWER + b" " * BODY_CAP), FaultKind.BAD_ANSWER),
        (raw(gzip.compress(b" " * (BODY_CAP + 1)), headers={"Content-Encoding": "gzip"}), FaultKind.BAD_ANSWER),
        (raw(b"no gzip at all", headers={"Content-Encoding": "gzip"}), FaultKind.TRANSPORT),
        (raw(gzip.compress(ANSWER)[:-12], headers={"Content-Encoding": "gzip"}), FaultKind.BAD_ANSWER),
        (text(""), FaultKind.EMPTY),
        (disconnect(), FaultKind.TRANSPORT),
    ],
)
async def test_a_reply_that_is_no_answer_is_the_fault_that_it_is(
    transport: HttpTransport, reply: Reply, kind: FaultKind
):
    answer = await ask_scripted(transport, reply)
    assert isinstance(answer, Fault)
    assert answer.kind is kind


async def test_json_with_nan_bom_and_surrogates_is_an_answer(transport: HttpTransport):
    body = b'\xef\xbb\xbf{"p": NaN, "choices": [{"message": {"content": "a\\ud800"}}]}'
    answer = await ask_scripted(transport, raw(body))
    assert isinstance(answer, list)
    assert answer[0].content == "a\ufffd"


async def test_retry_after_and_status_are_read_from_the_answer(transport: HttpTransport):
    answer = await ask_scripted(transport, error(429, "slow down", headers={"Retry-After": "3"}))
    assert isinstance(answer, Fault)
    assert (answer.status, answer.retry_after, answer.text) == (429, 3.0, "HTTP 429: slow down")


async def test_a_key_that_the_server_repeats_is_not_repeated_by_us(transport: HttpTransport):
    for status in (401, 200):
        reply = replace(error(401, "wrong key: topsecret"), status=status)
        async with ScriptedServer(lambda _body, _number, reply=reply: reply) as server:
            answer = await transport.complete(Target(server.base_url, api_key="topsecret"), CHUNKS, timeout=5)
        assert isinstance(answer, Fault)
        assert (answer.kind, answer.text) == (FaultKind.AUTH, f"HTTP {status}: wrong key: [key]")


async def test_silence_ends_at_the_deadline(transport: HttpTransport):
    answer = await ask_scripted(transport, hang(), seconds=0.1)
    assert isinstance(answer, Fault)
    assert answer.kind is FaultKind.TIMEOUT
    assert "within 0.1 s" in answer.text


async def test_a_byte_now_and_then_does_not_put_the_deadline_off(transport: HttpTransport):
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(HEAD + b"Content-Length: 1000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with raw_server(drip) as port:
        assert (await ask(transport, port, 0.2)).kind is FaultKind.TIMEOUT


async def test_a_large_request_to_a_server_that_does_not_read_leaves_nothing_behind(transport: HttpTransport):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        target = Target(f"http://127.0.0.1:{deaf.getsockname()[1]}/v1")
        answer = await transport.complete(target, [*CHUNKS, b" " * 2**25], timeout=0.1)
        accepted, _ = deaf.accept()
        received = 0
        with accepted:
            accepted.settimeout(5)
            while chunk := accepted.recv(2**20):  # a TimeoutError here: the connection is still open
                received += len(chunk)
                await asyncio.sleep(0)
    assert received < 2**24
    assert isinstance(answer, Fault)
    assert answer.kind is FaultKind.TIMEOUT


async def test_a_refused_connection_is_no_answer(transport: HttpTransport):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: nobody else can get it
        fault = await ask(transport, taken.getsockname()[1])
    assert (fault.kind, fault.status) == (FaultKind.TRANSPORT, 0)
    assert "no connection" in fault.text


async def test_a_reset_before_the_head_is_no_answer(transport: HttpTransport):
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        made = writer.get_extra_info("socket")
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async with raw_server(reset) as port:
        assert (await ask(transport, port)).kind is FaultKind.TRANSPORT


@pytest.mark.parametrize(
    "sent",
    [
        HEAD + b"Content-Length: 1000\r\n\r\n" + ANSWER,
        HEAD + b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"cho',
        HEAD + b"X-Long: " + b"x" * 20_000 + b"\r\nContent-Length: 2\r\n\r\n{}",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    ],
    ids=["short body", "cut chunk", "header too large", "no HTTP", "two lengths"],
)  # fmt: skip
async def test_a_broken_answer_is_the_transports_fault_and_has_no_status(transport: HttpTransport, sent: bytes):
    async with raw_server(answering(sent)) as port:
        fault = await ask(transport, port)
    assert (fault.kind, fault.status) == (FaultKind.TRANSPORT, 0)


async def test_a_body_cut_where_only_the_close_ends_it_is_a_bad_answer(transport: HttpTransport):
    async with raw_server(answering(HEAD, b"Connection: close\r\n\r\n", ANSWER[:-5])) as port:
        assert (await ask(transport, port)).kind is FaultKind.BAD_ANSWER


async def test_a_kept_connection_that_the_server_closes_on_the_next_request_is_stale(transport: HttpTransport):
    connections = 0

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_request(reader)
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(ANSWER) + ANSWER)
        await writer.drain()
        await reader.read(1)  # closes when the second request begins

    async with raw_server(once) as port:
        target = Target(f"http://127.0.0.1:{port}/v1")
        first = await transport.complete(target, CHUNKS, timeout=5)
        assert isinstance(first, list)
        assert (await ask(transport, port)).kind is FaultKind.STALE
        again = await transport.complete(target, CHUNKS, timeout=5)
    assert isinstance(again, list)
    assert connections == 2


@pytest.mark.parametrize("url", ["127.0.0.1:8000/v1", "ftp://127.0.0.1/v1", "http://127.0.0.1:99999/v1", "", "http://"])
async def test_a_url_that_is_none_is_a_fault_of_the_config(transport: HttpTransport, url: str):
    answer = await transport.complete(Target(url), CHUNKS, timeout=5)
    assert isinstance(answer, Fault)
    assert answer.kind is FaultKind.CONFIG


async def test_a_key_of_two_lines_is_a_fault_of_the_config_and_is_not_shown(transport: HttpTransport):
    async with ScriptedServer(lambda _body, _number: text("hello")) as server:
        answer = await transport.complete(Target(server.base_url, api_key="top\nsecret"), CHUNKS, timeout=5)
    assert isinstance(answer, Fault)
    assert server.requests == []
    assert answer.kind is FaultKind.CONFIG
    assert "secret" not in answer.text


async def test_credentials_in_a_url_are_not_shown(transport: HttpTransport):
    answer = await transport.complete(Target("http://me:secret@127.0.0.1:1/v1"), CHUNKS, timeout=5)
    assert isinstance(answer, Fault)
    assert "secret" not in answer.text


async def test_tls_towards_a_plain_server_is_a_fault_of_the_config(transport: HttpTransport):
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with raw_server(refuse) as port:
        assert (await ask(transport, port, scheme="https")).kind is FaultKind.CONFIG


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificate with the openssl command")
async def test_a_certificate_that_nobody_signed_is_a_fault_of_the_config(
    transport: HttpTransport, self_signed: ssl.SSLContext
):
    async with raw_server(answering(ANSWER), tls=self_signed) as port:
        fault = await ask(transport, port, scheme="https")
    assert fault.kind is FaultKind.CONFIG
    assert "certificate" in fault.text


async def test_cancellation_passes_through_and_the_transport_goes_on(transport: HttpTransport):
    async with ScriptedServer(lambda _body, number: text("hello") if number else hang()) as server:
        target = Target(server.base_url)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await transport.complete(target, CHUNKS, timeout=60)
        answer = await transport.complete(target, CHUNKS, timeout=5)
    assert isinstance(answer, list)


async def test_two_hundred_requests_are_open_at_once(transport: HttpTransport):
    count, arrived, all_here = 200, 0, asyncio.Event()

    async def wait_for_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal arrived
        await read_request(reader)
        arrived += 1
        if arrived == count:
            all_here.set()
        await all_here.wait()
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(ANSWER) + ANSWER)
        await writer.drain()

    async with raw_server(wait_for_all) as port, asyncio.TaskGroup() as group:
        target = Target(f"http://127.0.0.1:{port}/v1")
        asked = [group.create_task(transport.complete(target, CHUNKS, timeout=60)) for _ in range(count)]
    assert all(isinstance(each.result(), list) for each in asked)
