"""The servers of a job: who they are, and which model they are asked for.

Knows `GET /v1/models` and what its answers mean before the first request. Sends nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asyncgen.config.load import nearest
from asyncgen.config.schema import EndpointSpec
from asyncgen.core.errors import AccountError, InputError
from asyncgen.endpoint.faults import Fault, FaultKind
from asyncgen.endpoint.transport import ModelInfo, Target, Transport
from asyncgen.store.run_file import redact

MODELS_TIMEOUT = 10.0
"""Seconds for the list of models."""
_USER = re.compile("https?://[^/?#]*@")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """An endpoint of the job before its model is known."""

    spec: EndpointSpec
    target: Target


def targets_of(endpoints: Sequence[EndpointSpec], environ: Mapping[str, str]) -> list[Asked]:
    """Addresses with keys. A variable that is not set, or empty, means no key.

    Raises InputError for a key beside a user in the address: a request has room for one of the two.
    """
    return [_target(spec, environ.get(spec.api_key_env) or None) for spec in endpoints]


def _target(spec: EndpointSpec, key: str | None) -> Asked:
    name = str(redact(spec.base_url))
    if key and _USER.match(spec.base_url):
        raise InputError(
            f"base_url {name} has a user in it, and the variable {spec.api_key_env} has a key: take the user out of "
            f"the address, or unset {spec.api_key_env}"
        )
    return Asked(spec=spec, target=Target(spec.base_url, key, name=name))


async def resolve_models(asked: Sequence[Asked], transport: Transport, *, known: str, new: bool) -> list[str]:
    """The model to ask each endpoint for.

    `known`: the model that the run asked before, where no other is named (`""`: none, or not the same one everywhere).
    `new`: the run has no trace yet, so a server that is not there is the user's mistake; a resume waits for it.
    Raises InputError, AccountError.
    """
    models = [await _resolve(one, transport, known=known, new=new) for one in asked]
    refuse_mixture(asked, models)
    return models


def refuse_mixture(asked: Sequence[Asked], models: Sequence[str]) -> None:
    """Servers may differ in their model only where each is named. Raises InputError."""
    if len(set(models)) > 1 and not all(one.spec.model for one in asked):
        served = ", ".join(f"{one.target.name} serves {model!r}" for one, model in zip(asked, models, strict=True))
        raise InputError(
            f"the servers have different models: {served}; name one with --model, or each server's under endpoints"
        )


async def _resolve(one: Asked, transport: Transport, *, known: str, new: bool) -> str:
    outcome = await transport.models(one.target, timeout=MODELS_TIMEOUT)
    wanted = one.spec.model or ""
    if not isinstance(outcome, Fault):
        return _choose(one, wanted, outcome)
    if outcome.status in {404, 405}:
        if not (wanted or known):
            slash = (
                "" if one.spec.base_url.rstrip("/").endswith("/v1") else "does base_url lack /v1 at its end? if not, "
            )
            raise InputError(f"{one.target.name} has no list of models ({outcome.text}); {slash}give --model NAME")
        return wanted or known
    if outcome.kind is FaultKind.AUTH and one.target.api_key is None:
        variable = one.spec.api_key_env
        if not variable:
            raise AccountError(
                f"{one.target.name} wants a key ({outcome.text}): name the variable that has it in "
                "endpoints[].api_key_env"
            )
        if _USER.match(one.spec.base_url):
            raise AccountError(f"{one.target.name} refuses the user in its address: {outcome.text}")
        raise AccountError(
            f"{one.target.name} wants a key, and the variable {variable} is not set ({outcome.text}): "
            f"export {variable}=…"
        )
    if outcome.kind is FaultKind.AUTH:
        raise AccountError(f"{one.target.name} refuses the key in {one.spec.api_key_env}: {outcome.text}")
    if outcome.kind is FaultKind.QUOTA:
        raise AccountError(f"{one.target.name}: {outcome.text}")
    if outcome.kind is FaultKind.CONFIG:
        raise InputError(f"{one.target.name}: {_said(one, outcome)}")
    if new or not (wanted or known):
        raise InputError(
            f"no server answers at {one.target.name}: {_said(one, outcome)}; start it, or give another --base-url"
        )
    return wanted or known


def _said(one: Asked, fault: Fault) -> str:
    """The fault's text, whose address may stand before it already."""
    return fault.text.removeprefix(f"{one.target.name}: ")


def _choose(one: Asked, wanted: str, listed: Sequence[ModelInfo]) -> str:
    names = [model.id for model in listed]
    if wanted:
        if wanted not in names:
            raise InputError(f"{one.target.name} does not serve the model {wanted!r}{nearest(wanted, names)}")
        return wanted
    if len(names) != 1:
        raise InputError(f"{one.target.name} lists {len(names)} models ({', '.join(names)}); name one with --model")
    return names[0]
