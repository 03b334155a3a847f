"""Where is this point: CPU time to load the tables, and a point, on land and anywhere. Usage: places.py [POINTS]."""

from __future__ import annotations

import math
import random
import sys
import time

POINTS = 10_000


def somewhere(chance: random.Random) -> tuple[float, float]:
    """Area-uniform on the globe."""
    return math.degrees(math.asin(chance.uniform(-1, 1))), chance.uniform(-180, 180)


def main(count: int = POINTS) -> None:
    start = time.process_time()
    import numpy as np  # noqa: F401  # most of the load; other parts of a run need it too

    imported = time.process_time()
    from asyncgen.places.points import Points

    points = Points()
    loaded = time.process_time()
    print(f"load: {imported - start:.3f} s numpy, {loaded - imported:.3f} s the rest")
    chance = random.Random(1)
    anywhere = [somewhere(chance) for _ in range(count)]
    land = [point for point in anywhere if points.at(*point)]
    for name, asked in (("anywhere", anywhere), ("on land", land)):
        start = time.process_time()
        for point in asked:
            points.at(*point)
        print(f"{name}: {(time.process_time() - start) / len(asked) * 1e6:.0f} µs a point ({len(asked)} points)")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
