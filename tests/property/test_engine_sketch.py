"""Quantiles of a sketch are those of the numbers, within its error."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncgen.engine.sketch import BINS, ERROR, LARGEST, SMALLEST, Sketch

NUMBERS = st.floats(SMALLEST, LARGEST)
SLACK = 1e-9
"""For the rounding at the border of two bins."""


def sketch_of(numbers: list[float]) -> Sketch:
    sketch = Sketch()
    for number in numbers:
        sketch.add(number)
    return sketch


@settings(max_examples=100, deadline=None)
@given(st.lists(NUMBERS, min_size=1, max_size=60), st.floats(0, 1))
def test_every_quantile_is_numpys_within_one_per_cent(numbers: list[float], share: float) -> None:
    found = sketch_of(numbers).quantile(share)
    assert found == pytest.approx(float(np.percentile(numbers, 100 * share)), rel=ERROR + SLACK)


@settings(max_examples=100, deadline=None)
@given(st.lists(NUMBERS, min_size=1, max_size=60))
def test_the_order_of_the_numbers_says_nothing(numbers: list[float]) -> None:
    assert sketch_of(numbers).quantile(0.5) == sketch_of(sorted(numbers)).quantile(0.5)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True) | st.integers(-(10**30), 10**30), max_size=30))
def test_any_number_is_counted_and_no_memory_grows(numbers: list[float]) -> None:
    sketch = sketch_of(numbers)
    assert sketch.count == len(numbers)
    assert len(sketch._bins) == BINS
    median = sketch.quantile(0.5)
    assert median is None if not numbers else 0 <= median <= LARGEST * (1 + ERROR)


def test_a_hundred_thousand_distances_keep_their_median():
    distances = np.random.default_rng(7).lognormal(mean=5, sigma=2, size=100_000)
    assert sketch_of(list(distances)).quantile(0.5) == pytest.approx(float(np.median(distances)), rel=ERROR + SLACK)


def test_nothing_has_no_median_and_what_is_too_small_is_0():
    assert Sketch().quantile(0.5) is None
    assert sketch_of([0.0, -3.0, math.nan, SMALLEST / 2]).quantile(0.5) == 0.0
