"""The `asyncgen` command as an outsider uses it: subprocesses, datasets, run directories read with nothing but json.

Knows the contract of the run directory. Imports nothing of asyncgen.
"""

from __future__ import annotations

import base64
import io
import json
import math
import os
import re
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
from PIL import Image
from support.server import Reply, text, tool_calls

datasets.disable_progress_bars()

ANSWER = (10.5, 20.25)
"""What the scripts below answer."""
TRACE_KEYS = [
    "id", "version", "config_id", "rollout", "dataset_path", "sample_index", "sample_data", "conversation_history",
    "images", "final_response", "answer", "reward_score", "tool_calls", "metadata", "crc",
]  # fmt: skip
_CRC = re.compile(rb',"crc":"([0-9a-f]{8})"\}\Z')


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def complaints(self) -> list[str]:
        """The lines of stderr that are an error."""
        return [line for line in self.err.splitlines() if line.startswith("asyncgen:")]


def command(*words: object) -> list[str]:
    """The command line."""
    return [sys.executable, "-m", "asyncgen", *map(str, words)]


def environment(**extra: str) -> dict[str, str]:
    """The tests' own, without what would change a job."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("ASYNCGEN_") and "API_KEY" not in name and name not in {"COLUMNS", "LINES", "NO_COLOR"}
    }
    return {**kept, "HF_HUB_OFFLINE": "1", **extra}


def asyncgen(*words: object, cwd: Path | None = None, **extra: str) -> Outcome:
    """Run to the end; `extra` are environment variables."""
    ended = subprocess.run(
        command(*words), capture_output=True, text=True, timeout=60, check=False, cwd=cwd, env=environment(**extra)
    )
    return Outcome(ended.returncode, ended.stdout, ended.stderr)


def start(*words: object, **extra: str) -> subprocess.Popen[str]:
    """Start; the caller ends it, with `communicate` or `ended`."""
    return subprocess.Popen(
        command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(**extra)
    )


def ended(process: subprocess.Popen[str]) -> Outcome:
    """Wait for the end."""
    out, err = process.communicate(timeout=60)
    return Outcome(process.returncode, out, err)


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Poll until it holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the condition never held")
        time.sleep(0.01)


def pixels(seed: int, width: int = 320, height: int = 240) -> Image.Image:
    """A picture that no other seed has, and no crop of it looks like another."""
    image = Image.linear_gradient("L").resize((width, height))
    other = Image.radial_gradient("L").resize((width, height)).rotate(seed * 10)
    return Image.merge("RGB", (image, other, image.point(lambda value: (value * 3 + seed * 40) % 256)))


def photo(seed: int, orientation: int = 1) -> bytes:
    """A JPEG file; with an EXIF orientation."""
    out = io.BytesIO()
    exif = Image.Exif()
    if orientation != 1:
        exif[0x0112] = orientation
    pixels(seed).save(out, "JPEG", exif=exif)
    return out.getvalue()


def save_photos(folder: Path, rows: int = 8) -> Path:
    """An HF dataset: `image` (row 2 turned by EXIF), `lat`, `lon`, `locatability_score`, `country`."""
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "lat": datasets.Value("float64"),
            "lon": datasets.Value("float64"),
            "locatability_score": datasets.Value("float64"),
            "country": datasets.Value("string"),
        }
    )
    columns = {
        "image": [{"bytes": photo(row, 6 if row == 2 else 1), "path": None} for row in range(rows)],
        "lat": [row % 20 * 5.0 - 20 for row in range(rows)],
        "lon": [row % 18 * 10.0 for row in range(rows)],
        "locatability_score": [difficulty(row, rows) for row in range(rows)],
        "country": [f"land {row % 3}" for row in range(rows)],
    }
    datasets.Dataset.from_dict(columns, features=features).save_to_disk(str(folder))
    return folder


def difficulty(row: int, rows: int) -> float:
    """Different for each row, and in another order than the rows."""
    return (row * 5 + 3) % rows / rows if math.gcd(5, rows) == 1 else row * 5 % (rows + 1) / rows


def answering(body: dict[str, Any], number: int) -> Reply:
    """One turn with thinking."""
    return text(f"<think>where</think>So \\boxed{{{ANSWER[0]}, {ANSWER[1]}}}")


def looking(body: dict[str, Any], number: int) -> Reply:
    """Zoom with a native call, rotate with one in the text, then the answer."""
    turn = sum(message["role"] == "assistant" for message in body["messages"])
    if turn == 0 and body.get("tools"):
        return tool_calls(("image_zoom_in_tool", {"bbox_2d": [10, 20, 150, 120], "label": "a sign"}))
    if turn == 1 and body.get("tools"):
        return text(
            '<think>hm</think>\n<tool_call>\n{"name": "image_rotate_tool", "arguments": {"angle": 90}}\n</tool_call>'
        )
    return text(f"So \\boxed{{{ANSWER[0]}, {ANSWER[1]}}}", reasoning_content="thinking")


def kilometres(lat: float, lon: float) -> float:
    """From ANSWER, by the haversine formula with R = 6371 km."""
    a, b = math.radians(ANSWER[0]), math.radians(lat)
    step = math.radians(lon - ANSWER[1])
    inner = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(step / 2) ** 2
    return 2 * 6371.0 * math.asin(math.sqrt(inner))


def shard_lines(directory: Path, kind: str = "traces", suffix: str = ".jsonl") -> list[bytes]:
    """The lines of all shards, oldest writer first."""
    found: list[bytes] = []
    for shard in sorted((directory / kind).glob(f"*{suffix}")):
        found += shard.read_bytes().splitlines()
    return found


def checked(line: bytes) -> dict[str, Any]:
    """The parsed line; its checksum is right."""
    mark = _CRC.search(line)
    assert mark is not None, line[-60:]
    assert int(mark[1], 16) == zlib.crc32(line[: mark.start()])
    return dict(json.loads(line))


def traces(directory: Path, kind: str = "traces") -> list[dict[str, Any]]:
    """Every sealed line, in order of saving, its checksum checked."""
    return [checked(line) for line in shard_lines(directory, kind)]


def ids(directory: Path) -> list[str]:
    """Of the sealed traces, sorted, doubles kept."""
    return sorted(trace["id"] for trace in traces(directory))


def wanted_ids(job: str, rows: Sequence[int], rollouts: int = 1) -> list[str]:
    """What a whole run has."""
    return sorted(f"{job}/{row}/{k}" for row in rows for k in range(rollouts))


def sent_images(body: dict[str, Any]) -> list[bytes]:
    """The files of a request, in order."""
    messages = [message["content"] for message in body["messages"] if isinstance(message["content"], list)]
    urls = [part["image_url"]["url"] for content in messages for part in content if part["type"] == "image_url"]
    return [base64.b64decode(url.partition(",")[2]) for url in urls]
