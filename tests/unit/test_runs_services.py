"""Tools with a server of their own, and whether it can be another one than the model's."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from support.engine_fakes import FakeTool

from asyncgen.runs.checks import _retrieval
from asyncgen.runs.services import clashes, is_served
from asyncgen.tools.search import SearchTool

MODEL = "http://127.0.0.1:8000/v1"


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        (MODEL, "http://127.0.0.1:8000/retrieve"),
        ("http://localhost:8000/v1", "http://127.0.0.1:8000/retrieve"),
        ("http://[::1]:8000/v1", "http://LOCALHOST:8000/retrieve"),
        ("http://0.0.0.0:8000/v1", "http://127.0.0.2:8000/retrieve"),
        ("http://gpu7/v1", "http://gpu7:80/retrieve"),
        ("https://GPU7/v1", "https://gpu7:443/retrieve"),
    ],
)
def test_one_host_and_port_for_the_model_and_a_tool_is_told(base_url: str, url: str) -> None:
    (line,) = clashes([base_url], [FakeTool("look"), SearchTool(url)])
    assert line == (
        f"the model and the tool search are asked at one host and port ({base_url} and {url}): start one of the "
        "servers on another port, and give the job its address"
    )


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8001/retrieve", "http://gpu7:8000/retrieve", "https://127.0.0.1/v1", "http://10.0.0.1:8000/x"]
)  # fmt: skip
def test_another_host_or_port_is_nothing_to_tell(url: str) -> None:
    assert clashes([MODEL], [SearchTool(url)]) == []


def test_passwords_are_not_told() -> None:
    (line,) = clashes(["http://me:secret@gpu7/v1"], [SearchTool("http://you:hidden@gpu7/retrieve")])
    assert "secret" not in line
    assert "hidden" not in line


def test_a_tool_without_a_server_has_none() -> None:
    assert not is_served(FakeTool("look"))
    assert is_served(SearchTool(f"{MODEL}/retrieve"))


@dataclass(frozen=True)
class Gateway(FakeTool):
    """Asked where the model is, and there."""

    service_url: str = "http://127.0.0.1:8000/retrieve"

    async def probe(self) -> str:
        return "answered, 5 hits"


async def test_a_gateway_that_answers_as_both_is_a_warning() -> None:
    finding = await _retrieval(Gateway(), [MODEL])
    assert finding.state == "warn"
    assert finding.text.startswith(
        f"look at {Gateway().service_url}: answered, 5 hits; the model and the tool look are"
    )
    assert (await _retrieval(Gateway(), ["http://gpu7/v1"])).state == "ok"
