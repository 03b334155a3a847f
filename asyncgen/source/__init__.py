"""Datasets as numbered rows: HF folders, parquet, JSONL, JSON; where, order, number, partition.

Knows how rows lie on disk and which are wanted. Does not know tasks, models or traces. Nothing here writes a file.
"""

from asyncgen.source.base import Selected, Selection, Source
from asyncgen.source.opening import open_source

__all__ = ["Selected", "Selection", "Source", "open_source"]
