"""Arithmetic on values, exact where both are fractions, and whether two values are one.

Knows how many digits of a result are left. A result that has too few for a comparison is none: UndecidedError.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from fractions import Fraction
from typing import TypeAlias

Value: TypeAlias = Fraction | complex

MOST_BITS = 8_192
"""Of a number that is kept exactly."""
LARGEST = 1e9
"""Intermediate results beyond it have too few digits behind the point for a comparison."""
SMALLEST = 1e-290
"""Nearer to zero a float has fewer digits than elsewhere, or is zero."""
CANCELLED = 1e-6
"""A sum that is so small a part of what is added has lost its digits."""
ZERO = 1e-13
"""Of a sine or a cosine of something that is not small itself: it is zero."""
EQUAL, APPROXIMATE, APART = 1e-10, 1e-6, 1e-7
"""Relative differences: up to the first two texts are one value, up to the second where one is a rounded decimal, from
the third on they are two."""


class UndecidedError(Exception):
    """The text has no value that is known here."""


def agree(one: Value, other: Value, rounded: tuple[bool, bool]) -> bool | None:
    """Whether two values are one. A rounded decimal is compared to six digits with what is none, but whole numbers."""
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        exact = other if rounded[0] else one
        if one == other or rounded[0] == rounded[1] or exact.denominator == 1:
            return one == other
        return abs(one - other) <= abs(exact) * Fraction(1, 10**6)
    one, other = as_float(one), as_float(other)
    difference, scale = abs(one - other), max(abs(one), abs(other))
    if difference <= EQUAL * scale:
        return True
    if rounded[0] != rounded[1] and difference <= APPROXIMATE * scale:
        return True
    return False if difference > APART * scale else None


def as_float(value: Value) -> complex:
    """Raises UndecidedError for what has too few digits as one."""
    number = complex(value)
    if not abs(number) <= LARGEST or (value and abs(number) < SMALLEST):  # NaN too
        raise UndecidedError
    return number


def plus(one: Value, other: Value) -> Value:
    """The sum. Raises UndecidedError where hardly a digit of it is left."""
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return _bounded(one + other)
    one, other = as_float(one), as_float(other)
    total = one + other
    if one and other and abs(total) < CANCELLED * abs(one):
        raise UndecidedError
    return total


def times(one: Value, other: Value) -> Value:
    """The product."""
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return _bounded(one * other)
    return _exact_zero(as_float(one) * as_float(other), is_zero=not one or not other)


def over(one: Value, other: Value) -> Value:
    """The quotient. Raises ZeroDivisionError."""
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return _bounded(one / other)
    return _exact_zero(as_float(one) / as_float(other), is_zero=not one)


def _exact_zero(value: complex, *, is_zero: bool) -> complex:
    """A float that is zero, or nearly so, only because it is too small for one is undecided."""
    if not is_zero and abs(value) < SMALLEST:
        raise UndecidedError
    return value


def _bounded(value: Fraction) -> Fraction:
    if value.numerator.bit_length() + value.denominator.bit_length() > MOST_BITS:
        raise UndecidedError
    return value


def of_function(function: Callable[[complex], complex], argument: Value) -> complex:
    """Its value there: of a sine at a multiple of π zero, not what the digits of π leave."""
    at = as_float(argument)
    found = complex(function(at))
    if function in {cmath.sin, cmath.cos, cmath.tan} and abs(found) < ZERO and abs(at) > CANCELLED:
        return 0j
    return _exact_zero(found, is_zero=function is not cmath.exp)


def power(base: Value, exponent: Value) -> Value:
    """Roots of negative numbers are real where there is a real one."""
    if isinstance(base, Fraction) and isinstance(exponent, Fraction):
        if exponent.denominator == 1:
            bits = max(base.numerator.bit_length(), base.denominator.bit_length())
            if bits * abs(exponent) > MOST_BITS:
                raise UndecidedError
            return base ** int(exponent)
        if exponent.denominator == 2 and base >= 0:
            tops, bottoms = math.isqrt(base.numerator), math.isqrt(base.denominator)
            if tops * tops == base.numerator and bottoms * bottoms == base.denominator:
                return power(Fraction(tops, bottoms), Fraction(exponent.numerator))
        if base < 0 and exponent.denominator % 2:
            sign = -1 if exponent.numerator % 2 else 1
            return times(power(-base, exponent), Fraction(sign))
    if abs(as_float(exponent)) * max(1.0, abs(cmath.log(as_float(base))) if base else 0.0) > 500:
        raise UndecidedError
    return complex(as_float(base) ** as_float(exponent))


def factorial(value: Value) -> Fraction:
    """Raises UndecidedError where it is not defined, or large."""
    if not isinstance(value, Fraction) or value.denominator != 1 or not 0 <= value <= 300:
        raise UndecidedError
    return Fraction(math.factorial(int(value)))


def binomial(top: Value, bottom: Value) -> Fraction:
    """Raises UndecidedError where it is not defined, or large."""
    if not isinstance(top, Fraction) or not isinstance(bottom, Fraction):
        raise UndecidedError
    if top.denominator != 1 or bottom.denominator != 1 or not 0 <= bottom <= top <= 1000:
        raise UndecidedError
    return Fraction(math.comb(int(top), int(bottom)))
