"""The entries of journals as chains: which episodes have a whole one, and what is damaged.

Knows numbers and checksums of entries. Does not know what an entry says. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from asyncgen.store.line import line_crc, line_key
from asyncgen.store.scan import pack, split_lines


@dataclass(frozen=True, slots=True)
class Chains:
    """What journals hold."""

    whole: dict[int, list[Link]]
    """The entries of an episode in order, by packed key."""
    foreign: int
    """Chains of another config."""
    broken: int
    """Chains with a gap."""
    bad_lines: int
    """Lines that are no entry, torn ends aside."""


@dataclass(frozen=True, slots=True)
class Link:
    """An entry, as far as chains go."""

    seq: int
    prev: str
    config_id: str
    kind: str
    line: bytes


class _Head(msgspec.Struct):
    seq: int
    prev: str
    config_id: str
    kind: str


def read_chains(paths: list[Path], config_id: str = "", *, skip: Callable[[int], bool] = lambda _: False) -> Chains:
    """The chains in these files. Keys to `skip` are passed over: most of a long journal is of episodes that are done.

    A chain with a gap, a wrong `prev`, or two entries of one number is broken; with `config_id`, one with an entry of
    another config is foreign.
    """
    found: dict[int, dict[int, Link]] = {}
    twice: set[int] = set()
    bad_lines = 0
    for path in paths:
        for key, link in _links(path):
            if link is None:
                bad_lines += 1
            elif (key in found or not skip(key)) and found.setdefault(key, {}).setdefault(link.seq, link) != link:
                twice.add(key)
    whole: dict[int, list[Link]] = {}
    broken = foreign = 0
    for key, links in found.items():
        chain = [links[seq] for seq in sorted(links)]
        if key in twice or not _is_whole(chain):
            broken += 1
        elif config_id and any(link.config_id != config_id for link in chain):
            foreign += 1
        else:
            whole[key] = chain
    return Chains(whole, foreign, broken, bad_lines)


def _links(path: Path) -> Iterator[tuple[int, Link | None]]:
    """None for a line that is no entry; what stands after the last line's end is a torn one, and none."""
    for line, problem in split_lines(path):
        if not problem:
            with suppress(msgspec.MsgspecError):
                head = msgspec.json.decode(line, type=_Head)
                yield pack(*line_key(line)), Link(head.seq, head.prev, head.config_id, head.kind, line)
                continue
        if line.endswith(b"\n"):
            yield 0, None


def _is_whole(chain: list[Link]) -> bool:
    prev = ""
    for number, link in enumerate(chain):
        if link.seq != number or link.prev != prev:
            return False
        prev = line_crc(link.line)
    return True
