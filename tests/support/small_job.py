"""A small `geo-tools` job: its dataset, its server, its runs, and what they come to.

Knows rows and ids. Does not know how a run is put together (`killed_run`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support import killed_run
from support.asked import Turn, digest, essence
from support.cli_jobs import photo, traces
from support.server import ThreadedServer


@dataclass(frozen=True)
class Small:
    """A small `geo-tools` job and its server."""

    dataset: Path
    server: ThreadedServer
    rows: Mapping[str, int]
    """By the digest of the row's photo."""

    @classmethod
    def make(cls, folder: Path, server: ThreadedServer, rows: int = 6) -> Small:
        """So many rows, the second without its photo."""
        found, lines = {}, []
        for row in range(rows):
            if row != 1:
                (folder / f"{row}.jpg").write_bytes(photo(row))
                found[digest(photo(row))] = row
            lines.append(json.dumps({"image": f"{row}.jpg", "lat": row * 3.0, "lon": row * 5.0}) + "\n")
        (folder / "rows.jsonl").write_text("".join(lines))
        return cls(folder / "rows.jsonl", server, found)

    def place(self, turn: Turn) -> tuple[int, int]:
        """The (row, rollout) that was asked for."""
        return self.rows[turn.photo], 0

    def run(self, out: Path, point: str = "", nth: int = 1) -> int:
        """The exit code of the process; -9 where it has died at the point."""
        return killed_run.run(self.dataset, out, self.server.base_url, point=point, nth=nth)


def outcome(out: Path) -> dict[str, list[dict[str, Any]]]:
    """What every sealed line says, by folder and in order of ids."""
    return {
        kind: sorted((essence(line) for line in traces(out, kind)), key=lambda line: str(line["id"]))
        for kind in ("traces", "failed")
    }
