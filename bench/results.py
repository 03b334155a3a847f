"""The sections of RESULTS.md: each benchmark replaces its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

FILE = Path(__file__).parent / "RESULTS.md"
_INTRODUCTION = (
    "# Benchmarks\n\nMade by `make bench`. The machines are shared and noisy: only ratios and sizes count.\n"
)


def put(heading: str, lines: Sequence[str]) -> None:
    """Write a section in the place of the one that has this heading, or at the end; and print it."""
    text = FILE.read_text() if FILE.exists() else _INTRODUCTION
    introduction, *sections = text.split("\n## ")
    found = {section.partition("\n")[0]: section.partition("\n")[2].strip() for section in sections}
    found[heading] = "\n".join(lines)
    FILE.write_text(
        "\n\n".join([introduction.strip(), *(f"## {name}\n\n{body}" for name, body in found.items())]) + "\n"
    )
    print(f"{heading}\n\n{found[heading]}\n")
