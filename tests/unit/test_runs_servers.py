"""Which model each server is asked for, and what is wrong with a server before the first request."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from asyncgen.config.schema import EndpointSpec
from asyncgen.core.errors import AccountError, InputError
from asyncgen.endpoint.faults import Fault, FaultKind
from asyncgen.endpoint.transport import ModelInfo, Target
from asyncgen.runs.servers import resolve_models, targets_of


class Lists:
    """A transport that has lists of models, by address."""

    def __init__(self, **outcomes: list[str] | Fault) -> None:
        self._outcomes = outcomes

    async def models(self, target: Target, *, timeout: float = 10) -> list[ModelInfo] | Fault:  # noqa: ASYNC109  # as in Transport
        outcome = self._outcomes[target.base_url]
        return outcome if isinstance(outcome, Fault) else [ModelInfo(name, None) for name in outcome]


async def resolved(lists: Lists, *specs: EndpointSpec, environ: Mapping[str, str] | None = None) -> list[str]:
    return await resolve_models(targets_of(specs, environ or {}), lists, known="", new=True)  # type: ignore[arg-type]  # its lists are all that is asked for


async def test_servers_of_one_model_need_no_name() -> None:
    assert await resolved(Lists(a=["vlm"], b=["vlm"]), EndpointSpec(base_url="a"), EndpointSpec(base_url="b")) == [
        "vlm",
        "vlm",
    ]


async def test_servers_of_different_models_are_refused_unless_each_is_named() -> None:
    lists = Lists(a=["vlm"], b=["other"])
    with pytest.raises(InputError, match="different models: a serves 'vlm', b serves 'other'; name one with --model"):
        await resolved(lists, EndpointSpec(base_url="a"), EndpointSpec(base_url="b"))
    named = (EndpointSpec(base_url="a", model="vlm"), EndpointSpec(base_url="b", model="other"))
    assert await resolved(lists, *named) == ["vlm", "other"]


async def test_a_key_that_is_missing_and_one_that_is_refused_read_differently() -> None:
    lists = Lists(a=Fault(FaultKind.AUTH, "HTTP 401: no key", 401))
    spec = EndpointSpec(base_url="a", api_key_env="MY_KEY")
    with pytest.raises(AccountError, match=r"a wants a key .*: name the variable that has it in endpoints"):
        await resolved(lists, EndpointSpec(base_url="a", api_key_env=""))
    with pytest.raises(AccountError, match=r"a wants a key, and the variable MY_KEY is not set .*: export MY_KEY="):
        await resolved(lists, spec)
    with pytest.raises(AccountError, match="a refuses the key in MY_KEY: HTTP 401"):
        await resolved(lists, spec, environ={"MY_KEY": "sk-1"})
