"""What is wrong with a resolved job: values out of range, and values that do not go together.

Knows ranges and what to give instead. Does not know where a value came from, nor whether a path or a server is there.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from asyncgen.config.schema import SSE, Job, McpSpec, Rule
from asyncgen.core.types import NAME_LETTERS

REPEAT_BASE_URL = "repeat the flag: --base-url A --base-url B"

OWN_FIELDS = frozenset({"messages", "model", "n", "stream", "tools"})
"""Fields of a request that are not for `sampling.extra_body`."""
OWN_SAMPLING = ("temperature", "max_tokens", "top_p", "seed")
"""Those that have a setting of their own."""


def problems(job: Job) -> list[str]:
    """What is out of range, one line each; empty when all is well."""
    checks = [
        (bool(job.dataset.path), "dataset.path is missing: give --dataset-path PATH"),
        (bool(job.endpoints), "endpoints is empty: give --base-url URL"),
        (job.dataset.num_samples >= -1, f"dataset.num_samples is {job.dataset.num_samples}: give -1 (all) or a number"),
        (job.dataset.chunk_size >= 1, f"dataset.chunk_size is {job.dataset.chunk_size}: give 1 or more"),
        ((job.dataset.chunk_id or 0) >= 0, f"dataset.chunk_id is {job.dataset.chunk_id}: give 0 or more, or null"),
        (
            job.dataset.chunk_id is None or not job.schedule.partition,
            "dataset.chunk_id and schedule.partition: give one of them",
        ),
        (
            1 <= job.episode.rollouts <= MAX_ROLLOUTS,
            f"episode.rollouts is {job.episode.rollouts}: give 1 to {MAX_ROLLOUTS}",
        ),
        (job.episode.choices >= 1, f"episode.choices is {job.episode.choices}: give 1 or more"),
        (job.episode.max_turns >= 1, f"episode.max_turns is {job.episode.max_turns}: give 1 or more"),
        (
            (job.episode.max_context or 1) >= 1,
            f"episode.max_context is {job.episode.max_context}: give 1 or more tokens, or null",
        ),
        (job.episode.deadline > 0, f"episode.deadline is {job.episode.deadline}: give seconds above 0"),
        (job.episode.max_pixels >= 784, f"episode.max_pixels is {job.episode.max_pixels}: give 784 or more"),
        (
            job.episode.max_image_pixels >= 784,
            f"episode.max_image_pixels is {job.episode.max_image_pixels}: give 784 or more",
        ),
        (job.sampling.max_tokens >= 1, f"sampling.max_tokens is {job.sampling.max_tokens}: give 1 or more"),
        (job.sampling.temperature >= 0, f"sampling.temperature is {job.sampling.temperature}: give 0 or more"),
        (job.endpoint.turn_timeout > 0, f"endpoint.turn_timeout is {job.endpoint.turn_timeout}: give seconds above 0"),
        (
            job.schedule.concurrency == "auto" or job.schedule.concurrency >= 1,
            f"schedule.concurrency is {job.schedule.concurrency}: give 1 or more, or auto",
        ),
        (0 <= job.schedule.max_failed <= 1, f"schedule.max_failed is {job.schedule.max_failed}: give a share, 0 to 1"),
        (job.schedule.grace >= 0, f"schedule.grace is {job.schedule.grace}: give 0 or more seconds"),
        (job.store.disk_wait >= 0, f"store.disk_wait is {job.store.disk_wait}: give 0 or more seconds"),
        (
            (job.endpoint.max_outage or 0) >= 0,
            f"endpoint.max_outage is {job.endpoint.max_outage}: give 0 or more seconds, or null",
        ),
        *(
            (price is None or price >= 0, f"endpoint.{name} is {price}: give 0 or more US dollars, or null")
            for name, price in (
                ("price_input", job.endpoint.price_input),
                ("price_output", job.endpoint.price_output),
            )
        ),
    ]
    found = [text for fine, text in checks if not fine]
    found += [*_endpoint_problems(job), *_sampling_problems(job), *_acceptance_problems(job)]
    for number, rule in enumerate(job.rules):
        found += [f"rules[{number}].{text}" for text in _rule_problems(rule, job)]
    for number, tool in enumerate(job.tools):
        texts = _server_problems(tool) if isinstance(tool, McpSpec) else _import_problems(tool)
        found += [f"tools[{number}]{text}" for text in texts]
    return _unfit_numbers(asdict(job)) or found


def _unfit_numbers(value: Any, path: str = "") -> list[str]:
    """NaN and the infinities: no range holds them, and JSON has no word for them."""
    if isinstance(value, float) and not math.isfinite(value):
        return [f"{path} is {value}: give a finite number"]
    if isinstance(value, Mapping):
        inner = [(f"{path}.{key}" if path else str(key), one) for key, one in value.items()]
    elif isinstance(value, list | tuple):
        inner = [(f"{path}[{number}]", one) for number, one in enumerate(value)]
    else:
        return []
    return [text for name, one in inner for text in _unfit_numbers(one, name)]


def _endpoint_problems(job: Job) -> list[str]:
    found = []
    for number, endpoint in enumerate(job.endpoints):
        if problem := _address_problem(endpoint.base_url):
            found.append(f"base_url {without_user(endpoint.base_url)!r} {problem}")
        variable = endpoint.api_key_env
        if variable and not _VARIABLE.fullmatch(variable):  # it may be the key itself, so it is not repeated
            found.append(
                f"endpoints[{number}].api_key_env must be the NAME of an environment variable (as OPENAI_API_KEY), "
                "not a key"
            )
        if endpoint.max_concurrency is not None and endpoint.max_concurrency < 1:
            found.append(f"endpoints: max_concurrency is {endpoint.max_concurrency}: give 1 or more")
    servers = [(endpoint.base_url.rstrip("/"), endpoint.model, endpoint.api_key_env) for endpoint in job.endpoints]
    for address, *_ in sorted({one for one in servers if servers.count(one) > 1}, key=str):
        found.append(f"base_url {without_user(address)!r} is given twice: leave one away")
    return found


_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PATHS = ("/chat/completions", "/completions")


def _address_problem(address: str) -> str:
    if re.search(r"[,\s]+https?://", address):
        return f"is more than one address: {REPEAT_BASE_URL}"
    if re.search(r"\s", address):
        return "has a blank in it: take it out"
    if not address.startswith(("http://", "https://")):
        return "does not start with http:// or https://"
    if re.match(r"https?://[^/?#]*[/?#].*@", address):
        return "has an @ after a / ? or #: write those of a password as %2F, %3F, %23"
    for path in _PATHS:
        if address.rstrip("/").endswith(path):
            return f"goes too far: leave {path} away"
    return ""


def without_user(text: str) -> str:
    """The text with the user of each address in it as `***`: a password may stand there."""
    return "".join(_masked(piece) for piece in re.split(r"([,\s]+(?=https?:))", text))


def _masked(address: str) -> str:
    head, at, host = address.rpartition("@")
    scheme = re.match(r"(?i)(?:https?:)?/*", head)
    return f"{scheme[0] if scheme else ''}***@{host}" if at else address


MAX_ROLLOUTS = 65_536
MAX_RULES = 100
"""The number of a row's rule is one byte."""


def _acceptance_problems(job: Job) -> list[str]:
    found = [
        f"{name} is {value}: give 1 or more, or null"
        for name, value in (
            ("until_accepted", job.until_accepted),
            ("stop_after_accepted", job.stop_after_accepted),
        )
        if value is not None and value < 1
    ]
    if job.until_accepted is not None and job.condition is None:
        found.append("until_accepted needs accept, the condition that says which traces are: give --accept SQL")
    if (job.until_accepted or 0) > job.most_rollouts:
        found.append(
            f"until_accepted is {job.until_accepted}, and rollouts is {job.most_rollouts}: "
            "give a smaller number, or more --rollouts"
        )
    if job.stop_when:
        found += _stopping_problems(job)
    if len(job.rules) > MAX_RULES:
        found.append(f"rules has {len(job.rules)}: give {MAX_RULES} at most")
    return found


def _stopping_problems(job: Job) -> list[str]:
    others = {"until_accepted": job.until_accepted, "stop_after_accepted": job.stop_after_accepted}
    found = [
        f"stop_when and {name}: each says when a job has enough; give one of them"
        for name, value in others.items()
        if value is not None
    ]
    if job.most_rollouts > MAX_ROLLOUTS:
        found.append(
            f"stop_when may ask for {job.most_rollouts} rollouts of a row, twice its number: give {MAX_ROLLOUTS // 2} "
            "rollouts at most"
        )
    return found


def _rule_problems(rule: Rule, job: Job) -> list[str]:
    """Each begins with the name of a field of the rule."""
    members = {name: getattr(rule, name) for name in ("max_turns", "max_tokens", "temperature", "rollouts", "limit")}
    given = {name: value for name, value in members.items() if value is not None}
    found = [
        f"{name} is {value}: give {'0' if name == 'temperature' else '1'} or more"
        for name, value in given.items()
        if value < (0 if name == "temperature" else 1)
    ]
    if given.get("rollouts", 1) > MAX_ROLLOUTS:
        found.append(f"rollouts is {rule.rollouts}: give 1 to {MAX_ROLLOUTS}")
    if not rule.where.strip():
        found.append('where is empty: give a condition, or "true" for all other rows')
    if rule.drop and given:
        found.append(f"drop stands beside {', '.join(given)}: a row that is left out needs none; take one of them out")
    if rule.temperature is not None and job.sampling.temperatures is not None:
        found.append("temperature: sampling.temperatures has one for each rollout already; take one of them out")
    return found


def _import_problems(tool: str) -> list[str]:
    home, colon, name = tool.rpartition(":")
    if colon and home and name.isidentifier():
        return []
    return [f" is {tool!r}: give module:name or file.py:name, or {{mcp: COMMAND}} for an MCP server"]


def _server_problems(tool: McpSpec) -> list[str]:
    """Each begins with the name of a field."""
    found = []
    if tool.is_url:
        address = tool.mcp.removeprefix(SSE)
        problem = _address_problem(address)
        found += [f".mcp {without_user(address)!r} {problem}"] if problem else []
        given = [name for name in ("env", "cwd") if getattr(tool, name)]
        found += [f".{name} is for a server that is a command, and this one is a URL: take it out" for name in given]
    else:
        try:
            blank = not shlex.split(tool.mcp)
        except ValueError as error:  # the text may hold a secret, so it is not repeated
            found.append(f".mcp is no command: {error}; there is no shell, only its quotes")
        else:
            found += [".mcp is empty: give a command or a URL"] if blank else []
    if tool.timeout <= 0:
        found.append(f".timeout is {tool.timeout}: give seconds above 0")
    if tool.only is not None and not tool.only:
        found.append(".only is empty: give names of tools, or null for all")
    if not re.fullmatch(f"[{NAME_LETTERS}]{{0,{MAX_PREFIX}}}", tool.prefix):
        found.append(f".prefix is {tool.prefix!r}: give at most {MAX_PREFIX} letters, digits, _ and -")
    if any(not _VARIABLE.fullmatch(one) for one in tool.env):
        found.append(".env must have NAMES of environment variables, their values are not written in files")
    return found


MAX_PREFIX = 32
"""Letters, so that there is room for a name."""


def _sampling_problems(job: Job) -> list[str]:
    sampling, rollouts = job.sampling, job.most_rollouts
    temperatures = sampling.temperatures
    found = []
    if temperatures is not None and len(temperatures) < rollouts:
        found.append(f"sampling.temperatures has {len(temperatures)} values for {rollouts} rollouts: give one for each")
    if any(one < 0 for one in temperatures or ()):
        found.append(f"sampling.temperatures is {list(temperatures or ())}: give 0 or more")
    if sampling.top_p is not None and not 0 < sampling.top_p <= 1:
        found.append(f"sampling.top_p is {sampling.top_p}: give more than 0, at most 1")
    if sampling.seed is not None and not -(2**63) <= sampling.seed < 2**63 - rollouts:
        found.append(f"sampling.seed is {sampling.seed}: give a number of 64 bits")
    if taken := sorted(OWN_FIELDS.intersection(sampling.extra_body)):
        found.append(f"sampling.extra_body has {', '.join(taken)}: each request has that already; take it out")
    found += [
        f"sampling.extra_body has {name}: give sampling.{name} instead"
        for name in OWN_SAMPLING
        if sampling.extra_body.get(name) is not None  # a null takes it out of the request
    ]
    return found
