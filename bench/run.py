"""The engine beside a lean loop, as ratios in one run. Writes its part of bench/RESULTS.md.

The machines are shared and noisy: figures are medians over rounds in which both take turns, and only ratios count.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import orjson
from results import put

HERE = Path(__file__).parent
ROUNDS = 3


@dataclass(frozen=True)
class Cost:
    """Of one child process."""

    cpu: float
    wall: float
    rss: float
    """MiB."""


def measured(command: list[str]) -> Cost:
    """Run it; CPU and wall seconds, peak memory."""
    read, write = os.pipe()
    started = os.times().elapsed
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=write)
    os.close(write)
    with os.fdopen(read, "rb") as errors:
        text = errors.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{command}: exit {child.returncode}\n{text.decode()}")
    return Cost(usage.ru_utime + usage.ru_stime, os.times().elapsed - started, usage.ru_maxrss / 1024)


def rows(path: Path, count: int) -> Path:
    """A JSONL of questions of about 1.2 KB."""
    with path.open("wb") as file:
        for number in range(count):
            file.write(orjson.dumps({"question": f"Question {number}: " + "what is it? " * 100}) + b"\n")
    return path


def marginal(command: object, small: int, large: int, folder: Path) -> tuple[float, Cost]:
    """CPU-ms an episode as the slope between two sizes, which leaves start-up out; and the larger run's cost."""
    costs = [measured(command(rows(folder / f"rows{count}.jsonl", count), folder)) for count in (small, large)]  # type: ignore[operator]
    return 1000 * (costs[1].cpu - costs[0].cpu) / (large - small), costs[1]


def compare(turns: int, small: int, large: int, latency: float, concurrency: int) -> list[str]:
    server = subprocess.Popen(
        [sys.executable, str(HERE / "server.py"), str(latency), str(turns)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout
        url = server.stdout.readline().strip()

        def lean(data: Path, folder: Path) -> list[str]:
            return [sys.executable, str(HERE / "lean.py"), url, str(data), str(concurrency), str(folder / "lean.jsonl")]

        def ours(data: Path, folder: Path) -> list[str]:
            out = tempfile.mkdtemp(dir=folder)
            return [
                *(sys.executable, "-m", "asyncgen", "run", str(HERE / "plain.yaml"), "--base-url", url),
                *("--dataset-path", str(data), "--output-dir", out, "--concurrency", str(concurrency)),
            ]

        found = {"lean": [], "asyncgen": []}
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory() as name:
                found["lean"].append(marginal(lean, small, large, Path(name)))
                found["asyncgen"].append(marginal(ours, small, large, Path(name)))
    finally:
        server.terminate()
        server.wait()
    cpu = {who: statistics.median(one for one, _ in costs) for who, costs in found.items()}
    ratio = statistics.median(b[0] / a[0] for a, b in zip(found["lean"], found["asyncgen"], strict=True))
    rss = {who: statistics.median(cost.rss for _, cost in costs) for who, costs in found.items()}
    return [
        f"| {turns} turns, {latency:g} s latency, {concurrency} in flight | {cpu['lean']:.3f} | {cpu['asyncgen']:.3f} | "
        f"{ratio:.2f} | {rss['lean']:.0f} / {rss['asyncgen']:.0f} |"
    ]


def main() -> None:
    lines = [
        "Client CPU an episode, durability on, beside a lean aiohttp + orjson loop (`bench/lean.py`) that does the same requests",
        f"and writes one JSON line an episode. Medians of {ROUNDS} rounds in turns.",
        "",
        "| work | lean CPU-ms | asyncgen CPU-ms | ratio | peak MiB lean / asyncgen |",
        "|---|---|---|---|---|",
        *compare(1, 2000, 8000, 0.02, 64),
        *compare(3, 1000, 4000, 0.02, 64),
    ]
    put("CPU an episode", lines)


if __name__ == "__main__":
    main()
