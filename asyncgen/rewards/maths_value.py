r"""What a mathematical text is worth: exact where it is a fraction, else a complex number, for given letters.

Knows numbers, mixed numbers, + − · / ^, `\frac`, `\sqrt`, factorials, binomials, logarithms, trigonometry, π, e, i.
What it does not know, or cannot know exactly enough, it leaves undecided. No eval: one pass over the tokens, with
bounds on their number, on depth and on the size of every intermediate result.
"""

from __future__ import annotations

import cmath
import math
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Final

from asyncgen.rewards.maths_numbers import (
    UndecidedError,
    Value,
    agree,
    as_float,
    binomial,
    factorial,
    of_function,
    over,
    plus,
    power,
    times,
)

MOST_TOKENS = 300
DEEPEST = 25

_TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d+)?|\.\d+)|(\\[A-Za-z]+)|([A-Za-z](?:_(?:\w|\{\w+\}))?'*)|(\S))")
_THOUSANDS = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:,\d{3})+(?![\d,])")
_REPEATING = re.compile(r"(\d+)\.(\d*)\s*\\(?:overline|bar|dot)\s*\{(\d+)\}")
_DECIMAL = re.compile(r"\d\.\d|(?<!\d)\.\d")
_EXPONENT = re.compile(r"(?<![\w.\\^])(\d+)e(-\d{1,3})(?![\w.])")
_GREEK: Final = frozenset({
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "kappa", "lambda", "mu", "xi", "rho", "sigma",
    "tau", "phi", "psi", "omega",
})  # fmt: skip
_FUNCTIONS: Final = {
    "sin": cmath.sin, "cos": cmath.cos, "tan": cmath.tan, "sinh": cmath.sinh, "cosh": cmath.cosh, "tanh": cmath.tanh,
    "cot": lambda x: 1 / cmath.tan(x), "sec": lambda x: 1 / cmath.cos(x), "csc": lambda x: 1 / cmath.sin(x),
    "arcsin": cmath.asin, "arccos": cmath.acos, "arctan": cmath.atan, "exp": cmath.exp, "ln": cmath.log,
}  # fmt: skip
_OPENING: Final = {"(": ")", "{": "}", "[": "]"}
_POINTS: Final = (0.73, 1.37, -1.19)
"""Around these the letters get their values; at the last one they are negative."""


def same_value(one: str, other: str) -> bool | None:
    """Whether two plain texts are one number, or one function of their letters; None: it cannot be told here."""
    try:
        return _same_value(one, other)
    except (UndecidedError, ArithmeticError, ValueError, RecursionError):
        return None


def real_value(text: str) -> float | None:
    """The real number that a plain text without letters is; None where it is none, or not known here."""
    if text.replace(" ", "") in {r"\infty", r"-\infty"}:
        return -math.inf if "-" in text else math.inf
    try:
        reading = _Reading(text)
        value = None if reading.letters else as_float(reading.value({}))
    except (UndecidedError, ArithmeticError, ValueError, RecursionError):
        return None
    return value.real if value is not None and not value.imag else None


def _same_value(one: str, other: str) -> bool | None:
    """`2e-3` is a number with an exponent, or twice e less three: either may be meant."""
    spellings = [(one, other)]
    if _EXPONENT.search(one + " " + other):
        spellings.append((_EXPONENT.sub(r"(\1*10^{\2})", one), _EXPONENT.sub(r"(\1*10^{\2})", other)))
    verdicts = [_same_reading(*pair) for pair in spellings]
    return True if any(verdicts) else None if None in verdicts else False


def _same_reading(one: str, other: str) -> bool | None:
    readings = _Reading(one), _Reading(other)
    rounded = bool(_DECIMAL.search(one)), bool(_DECIMAL.search(other))
    letters = sorted(readings[0].letters | readings[1].letters)
    if not letters:
        return agree(readings[0].value({}), readings[1].value({}), rounded)
    verdicts = []
    for point in _POINTS:
        values = {letter: point * (1 + 0.61803 * number) for number, letter in enumerate(letters)}
        try:
            verdict = agree(readings[0].value(values), readings[1].value(values), rounded)
        except (UndecidedError, ArithmeticError, ValueError):
            verdict = None
        if verdict is False and point > 0:
            return False
        verdicts.append(verdict)
    return True if all(verdicts) else None


class _Reading:
    """A text's tokens, read once for each set of values."""

    def __init__(self, text: str) -> None:
        text = _REPEATING.sub(_repeating, _THOUSANDS.sub(lambda match: match[0].replace(",", ""), text))
        self._tokens = [match.groups("") for match in _TOKEN.finditer(text)]
        if not 0 < len(self._tokens) <= MOST_TOKENS or len(text) > 20 * MOST_TOKENS:
            raise UndecidedError
        names = {name for _, command, letter, _ in self._tokens if (name := letter or command[1:])}
        self.letters = {name for name in names if (name in _GREEK or len(name.partition("_")[0]) == 1)} - {"e", "i"}
        self._values: Mapping[str, float] = {}
        self._at = self._depth = 0

    def value(self, values: Mapping[str, float]) -> Value:
        """With these values of the letters. Raises UndecidedError, ArithmeticError, ValueError."""
        self._values, self._at, self._depth = values, 0, 0
        found = self._sum()
        if self._at < len(self._tokens):
            raise UndecidedError
        return found

    @property
    def _next(self) -> str:
        return "".join(self._tokens[self._at]) if self._at < len(self._tokens) else ""

    def _take(self, *tokens: str) -> str:
        """The next token where it is one of these, else `""`."""
        found = self._next if self._next in tokens else ""
        self._at += bool(found)
        return found

    def _sum(self) -> Value:
        total = self._product()
        while sign := self._take("+", "-"):
            term = self._product()
            total = plus(total, term if sign == "+" else times(term, Fraction(-1)))
        return total

    def _product(self) -> Value:
        if sign := self._take("-", "+"):
            return times(self._product(), Fraction(-1 if sign == "-" else 1))
        total = self._power()
        divided = False
        while True:
            if self._take("*", r"\cdot", r"\times"):
                total = times(total, self._signed())
            elif self._take("/", r"\div"):
                total, divided = over(total, self._signed()), True
            elif self._starts_factor():
                if divided:
                    raise UndecidedError  # 1/2x is one of two things
                total = times(total, self._power())
            else:
                return total

    def _signed(self) -> Value:
        sign = self._take("-", "+")
        value = self._power()
        return times(value, Fraction(-1)) if sign == "-" else value

    def _starts_factor(self) -> bool:
        if self._at >= len(self._tokens):
            return False
        number, command, letter, mark = self._tokens[self._at]
        if number:
            previous = self._tokens[self._at - 1]
            if previous[0] or previous[2]:
                raise UndecidedError  # `1 2`, `x 2`
            return True
        known = (
            command[1:] in _FUNCTIONS
            or command[1:] in _GREEK
            or command in {r"\frac", r"\sqrt", r"\pi", r"\log", r"\binom"}
        )
        return bool(letter) or known or mark in {"(", "{"}

    def _power(self) -> Value:
        base = self._base()
        while self._take("!"):
            base = factorial(base)
        if self._take("^"):
            if self._take(r"\circ"):
                return times(base, math.pi / 180)
            base = power(base, self._exponent())
        if self._next in {"^", "!"}:
            raise UndecidedError
        return base

    def _exponent(self) -> Value:
        if self._next in _OPENING:
            return self._group()
        sign = self._take("-")
        value = self._base()
        return times(value, Fraction(-1)) if sign else value

    def _group(self) -> Value:
        """What stands between brackets."""
        closing = _OPENING.get(self._next, "")
        self._at += 1
        self._depth += 1
        if not closing or self._depth > DEEPEST:
            raise UndecidedError
        found = self._sum()
        if not self._take(closing):
            raise UndecidedError
        self._depth -= 1
        return found

    def _base(self) -> Value:
        if self._at >= len(self._tokens):
            raise UndecidedError
        number, command, letter, mark = self._tokens[self._at]
        if number:
            self._at += 1
            return self._mixed(Fraction(number))
        if mark in {"(", "{"}:
            return self._group()
        if mark == "|":
            return self._absolute()
        self._at += 1
        if letter:
            return self._letter(letter)
        if command:
            return self._command(command[1:])
        raise UndecidedError

    def _mixed(self, whole: Fraction) -> Value:
        """`1\\frac{1}{2}` and `1 1/2` are one and a half."""
        following = ["".join(token) for token in self._tokens[self._at : self._at + 7]]
        if following[:1] == [r"\frac"] and whole.denominator == 1:
            numbers = [int(one) for one in following if one.isdecimal()]
            if (
                len(numbers) == 2
                and "".join(following) == rf"\frac{{{numbers[0]}}}{{{numbers[1]}}}"
                and numbers[0] < numbers[1]
            ):
                self._at += 7
                return whole + Fraction(*numbers)
        if len(following) >= 3 and following[1] == "/" and following[0].isdecimal() and following[2].isdecimal():
            top, bottom = int(following[0]), int(following[2])
            if whole.denominator == 1 and top < bottom:
                self._at += 3
                return whole + Fraction(top, bottom)
        return whole

    def _absolute(self) -> Value:
        self._at += 1
        self._depth += 1
        if self._depth > DEEPEST:
            raise UndecidedError
        found = self._sum()
        if not self._take("|"):
            raise UndecidedError
        self._depth -= 1
        return abs(found) if isinstance(found, Fraction) else complex(abs(found))

    def _letter(self, letter: str) -> Value:
        if letter == "e":
            return complex(math.e)
        if letter == "i":
            return 1j
        if letter in {"f", "g", "h"} and self._next == "(":
            raise UndecidedError  # a function of which nothing is known
        return complex(self._values[letter])

    def _command(self, name: str) -> Value:
        if name == "pi":
            return complex(math.pi)
        if name in _GREEK:
            return complex(self._values[name])
        if name == "frac":
            top = self._group()
            return over(top, self._group())
        if name == "binom":
            top = self._group()
            return binomial(top, self._group())
        if name == "sqrt":
            return self._root()
        if name == "log":
            return self._logarithm()
        if name in _FUNCTIONS:
            return self._function(name)
        raise UndecidedError

    def _root(self) -> Value:
        index = self._group() if self._next == "[" else Fraction(2)
        if self._next not in {"(", "{"}:
            raise UndecidedError
        return power(self._group(), over(Fraction(1), index))

    def _logarithm(self) -> Value:
        base: Value | None = None
        if self._take("_"):
            base = self._group() if self._next == "{" else self._base()
        argument = as_float(self._argument())
        if base is None:
            raise UndecidedError  # of 10 or of e
        return cmath.log(argument) / cmath.log(as_float(base))

    def _function(self, name: str) -> Value:
        exponent: Value | None = None
        if self._take("^"):
            exponent = self._exponent()
            if not isinstance(exponent, Fraction) or exponent < 0:
                raise UndecidedError  # sin^{-1}
        found = of_function(_FUNCTIONS[name], self._argument())
        return found if exponent is None else power(found, exponent)

    def _argument(self) -> Value:
        """Of a function: a group, or the factors up to the next sign."""
        if self._next in {"(", "{"}:
            found = self._group()
            if self._next in {"^", "!"}:
                raise UndecidedError
            return found
        found = self._power()
        while self._starts_factor() and self._tokens[self._at][1][1:] not in {*_FUNCTIONS, "log"}:
            found = times(found, self._power())
        return found


def _repeating(match: re.Match[str]) -> str:
    """A decimal that repeats its last digits, as a fraction."""
    whole, once, again = match.groups()
    difference = int(whole + once + again) - int(whole + once)
    return f"({difference}/{10 ** len(once) * (10 ** len(again) - 1)})"
