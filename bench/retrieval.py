"""The retrieval server on 100,000 passages, beside a plain loop over its index. Writes its part of bench/RESULTS.md.

Passages are made up: 40 to 120 words, as frequent as Zipf has them. Queries are 3 to 8 words of a passage in a row.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

import aiohttp
import orjson
from results import put

from asyncgen.embedded.bm25 import Index
from asyncgen.embedded.index_folder import PREFIX

PASSAGES = 100_000
QUERIES = 6400
BATCH = 64
POSTS = 4
"""At a time."""
ROUNDS = 3
TOPK = 3


def write_corpus(path: Path, count: int) -> Iterator[str]:
    """A JSONL of passages; some of their words in a row, as queries."""
    dice = random.Random(0)
    words = [f"{dice.choice('bcdfghklmnprstvz')}{number:x}" for number in range(50_000)]
    weights = list(accumulate(1 / (1 + number) for number in range(len(words))))
    with path.open("wb") as file:
        for number in range(count):
            text = dice.choices(words, cum_weights=weights, k=dice.randint(40, 120))
            row = {"id": number, "title": " ".join(text[:3]), "text": " ".join(text)}
            file.write(orjson.dumps(row) + b"\n")
            begin, length = dice.randrange(30), dice.randint(3, 8)
            yield " ".join(text[begin : begin + length])


def peak(pid: int) -> float:
    """MiB that the process has had in memory at most."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def cpu(pid: int) -> float:
    """Seconds of processor time that the process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def size(folder: Path) -> float:
    """MB on disk."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


async def ask(url: str, queries: Sequence[str]) -> float:
    """Seconds until all are answered, in batches, POSTS at a time."""
    batches = iter([queries[at : at + BATCH] for at in range(0, len(queries), BATCH)])

    async def client() -> None:
        for batch in batches:
            body = {"queries": batch, "topk": TOPK, "return_scores": True}
            async with session.post(url, data=orjson.dumps(body)) as response:
                found = orjson.loads(await response.read())["result"]
                assert len(found) == len(batch)
                assert all(found)

    async with aiohttp.ClientSession() as session:
        started = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(POSTS):
                group.create_task(client())
        return time.perf_counter() - started


def plain(index: Index, queries: Sequence[str]) -> float:
    """Seconds of a loop in one thread."""
    started = time.perf_counter()
    for query in queries:
        assert index.search(query, TOPK)
    return time.perf_counter() - started


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        corpus = Path(name) / "corpus.jsonl"
        queries = list(write_corpus(corpus, PASSAGES))
        random.Random(1).shuffle(queries)
        queries = queries[:QUERIES]
        started = time.perf_counter()
        command = [sys.executable, "-m", "asyncgen", "serve-retrieval", str(corpus), "--port", "0"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            assert server.stdout
            url = server.stdout.readline().split(" at ")[1].split(": ")[0]
            built, building = time.perf_counter() - started, peak(server.pid)
            folder = next(corpus.with_name("corpus.jsonl.index").glob(f"{PREFIX}*"))
            index = Index(folder)
            rounds = []
            costs = []
            for _ in range(ROUNDS):
                loop = plain(index, queries)
                before = cpu(server.pid), time.process_time()
                rounds.append((loop, asyncio.run(ask(url, queries))))
                costs.append((cpu(server.pid) - before[0], time.process_time() - before[1]))
            serving = peak(server.pid)
        finally:
            server.terminate()
            server.wait()
        megabytes, text = size(folder), corpus.stat().st_size / 1e6
    looped, served = (QUERIES / statistics.median(one[side] for one in rounds) for side in (0, 1))
    searching, asking = (1e6 * statistics.median(one[side] for one in costs) / QUERIES for side in (0, 1))
    ratio = statistics.median(one[0] / one[1] for one in rounds)
    put(
        "The retrieval server",
        [
            f"{PASSAGES:,} made-up passages of 40 to 120 words ({text:.0f} MB); queries of 3 to 8 words in batches of {BATCH}, {POSTS} at a time,",
            f"top {TOPK}, the client on the same {os.cpu_count()} processors. Medians of {ROUNDS} rounds in turns with a loop over the index in",
            "one thread.",
            "",
            "| queries/s | of the loop | ratio | CPU-µs a query, server + client | built in s | index MB | peak MiB building | serving |",
            "|---|---|---|---|---|---|---|---|",
            f"| {served:,.0f} | {looped:,.0f} | {ratio:.2f} | {searching:.0f} + {asking:.0f} | {built:.1f} | {megabytes:.0f} | "
            f"{building:.0f} | {serving:.0f} |",
        ],
    )


if __name__ == "__main__":
    main()
