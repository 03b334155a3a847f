"""The many spellings of one mathematical text as one: LaTeX's variants, Unicode's signs, words around an answer.

Knows how answers are written. Knows no values: what two texts are worth is for `maths_value` and `maths_forms`. The
text is a model's; every expression here is linear in it, or its length is bounded by the caller (`LONGEST`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Final

LONGEST = 2_000
"""Characters of an answer that are looked into; longer ones are only compared as they are."""
DEEPEST = 30
"""Brackets in each other; deeper ones are only compared as they are."""

_SIGNS: Final = str.maketrans(
    {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}  # full-width ASCII
    | {
        "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ",
        "∙": r"\cdot ", "÷": r"\div ", "°": r"^\circ ", "∞": r"\infty ", "√": r"\sqrt ", "≤": r"\le ",
        "≥": r"\ge ", "⩽": r"\le ", "⩾": r"\ge ", "≠": r"\ne ", "∪": r"\cup ", "∩": r"\cap ", "±": r"\pm ",
        "∓": r"\mp ", "∅": r"\emptyset ",
        "∈": r"\in ", "ℝ": r"\mathbb{R}", "π": r"\pi ", "α": r"\alpha ", "β": r"\beta ", "γ": r"\gamma ",
        "θ": r"\theta ", "λ": r"\lambda ", "φ": r"\phi ", "ω": r"\omega ", "½": r"\frac{1}{2}", "⅓": r"\frac{1}{3}",
        "⅔": r"\frac{2}{3}", "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}", "⅕": r"\frac{1}{5}", "⅛": r"\frac{1}{8}",
        "⁰": "^0", "¹": "^1", "²": "^2", "³": "^3", "⁴": "^4", "⁵": "^5", "⁶": "^6", "⁷": "^7", "⁸": "^8", "⁹": "^9",
        "₀": "_0", "₁": "_1", "₂": "_2", "₃": "_3", "₄": "_4", "₅": "_5", "₆": "_6", "₇": "_7", "₈": "_8", "₉": "_9",
        "，": ",", "、": ",", "；": ";", "。": ".", "：": ":", "“": "", "”": "", '"': "", "‘": "'", "’": "'", "′": "'",
        "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\u3000": " ", "\u200b": "", "…": r"\ldots ", "⟨": "(",
        "⟩": ")", "€": r"\euro ", "£": r"\pound ", "¥": r"\yen ", "₹": r"\rupee ", "¢": r" \text{ cents}",
        "ℤ": r"\mathbb{Z}", "≡": r"\equiv ", "µ": "μ",
    }
)  # fmt: skip

_MODULO = re.compile(
    r"\(?\s*(?:\\[pb]?mod(?![A-Za-z])|\\text\s*\{\s*mod(?:ulo)?\s*\}|(?<![A-Za-z\\])mod(?:ulo)?(?![A-Za-z]))"
    r"\s*(?:\{\s*(\w+)\s*\}|(\w+))(?:\s*\))?"
)


_SCIENTIFIC = re.compile(r"(?<![\w.\\^])(\d+\.\d+[eE][-+]?\d{1,2}|\d+(?:[eE]\+?\d{1,2}|[eE]-\d\d|E-\d))(?![\w.])")
"""Not `2e-3`, which may be 2e less 3."""


def _digits(found: re.Match[str]) -> str:
    """`1.5e3` without its exponent."""
    return format(Decimal(found[0]), "f")


def _joined(found: re.Match[str]) -> str:
    """`1 000` without its blank."""
    return found[1].replace(" ", "")


_FUNCTION = "((?:arc)?(?:sin|cos|tan)h?|cot|csc|log|ln|exp|sqrt|infty|pi)"
_REPLACED: Final[tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...]] = (
    (re.compile(r"(?<!\\)\\!"), ""),
    (re.compile(r"\\\$|(?<![^\s=(+-])\$(?=\d[^$]*\Z)"), r"\\dollar "),
    (re.compile(r"(?<=[\w)}])\*\*(-?\d+|[A-Za-z](?!\w))(?!\*)"), r"^{\1}"),
    (re.compile(r"(?<=[\w)}])\*\*(?=\()"), "^"),
    (re.compile(r"(?<=\d)(?:\{,\}|\\[,!;: ]|~)(?=\d{3}(?!\d))"), ""),  # thousands
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"(?<!\\)\\[()\[\]]|\\?\$|`|\*\*"), ""),
    (re.compile(r"\\(?:left|right|[bB]igg?[lrm]?|middle)(?![A-Za-z])\s*\.?"), ""),
    (re.compile(r"\\(?:displaystyle|textstyle|limits|nolimits|phantom\{[^{}]*\}|hspace\*?\{[^{}]*\})(?![A-Za-z])"), ""),
    (re.compile(r"(?<!\\)\\[,;:> ]|~|\\q?quad(?![A-Za-z])|\\(?:thin|med|thick)space(?![A-Za-z])"), " "),
    (re.compile(r"\{([^{}]*)\\choose(?![A-Za-z])\s*([^{}]*)\}"), r"\\binom{\1}{\2}"),
    (re.compile(r"\\(?:l|c)?dots[bcio]?(?![A-Za-z])|(?<=,)\s*\.\.\.(?=\s*,)"), r"\\ldots "),
    (re.compile(r"\\[dtc]frac(?![A-Za-z])"), r"\\frac"),
    (re.compile(r"\\[dt]binom(?![A-Za-z])"), r"\\binom"),
    (re.compile(r"\\leq(?:slant)?(?![A-Za-z])|<=|=<"), r"\\le "),
    (re.compile(r"\\geq(?:slant)?(?![A-Za-z])|>="), r"\\ge "),
    (re.compile(r"\\neq(?![A-Za-z])|\\not\s*=|!="), r"\\ne "),
    (re.compile(r"\\mid(?![A-Za-z])"), "|"),
    (re.compile(r"\\lt(?![A-Za-z])"), "<"),
    (re.compile(r"\\gt(?![A-Za-z])"), ">"),
    (re.compile(r"\\varnothing(?![A-Za-z])|\\\{\s*\\\}"), r"\\emptyset"),
    (re.compile(r"\\langle(?![A-Za-z])"), "("),
    (re.compile(r"\\rangle(?![A-Za-z])"), ")"),
    (re.compile(r"\\lbrace(?![A-Za-z])"), r"\\{"),
    (re.compile(r"\\rbrace(?![A-Za-z])"), r"\\}"),
    (re.compile(r"\\[lr][vV]ert(?![A-Za-z])|\\[vV]ert(?![A-Za-z])"), "|"),
    (re.compile(r"\\var(?=phi|theta|epsilon|rho|sigma)"), r"\\"),
    (re.compile(r"\\(?:mathrm|mathbf|mathit|mathsf|mathnormal|boldsymbol|bm|operatorname\*?)\s*\{([A-Za-z])\}"), r"\1"),
    (re.compile(rf"\\(?:mathrm|operatorname\*?|text)\s*\{{\s*{_FUNCTION}\s*\}}"), r"\\\1 "),
    (re.compile(r"\\(?:text(?:bf|it|rm|sf|tt|up)|math(?:rm|bf|it|sf|tt)|[mh]box|operatorname\*?)\s*\{"), r"\\text{"),
    (re.compile(r"\{\\(?:rm|bf|it|sf|tt)\s+([^{}]*)\}"), r"\\text{\1}"),
    (re.compile(r"\\text\s*\{\s*\}"), ""),
    (re.compile(r"(?<![\w^}])\\text\s*\{\s*([-+]?\d[^{}]*)\}"), r" \1 "),  # `\text{5 apples}`
    (re.compile(r"(?<![\w.,}/])([1-9]\d{0,2}(?: \d{3})+)(?!\d|[,.]\d|\s*[/\\^])"), _joined),  # `1 000`
    (re.compile(r"(?<=\d)\s*[xX]\s*(?=10\s*\^)"), r"\\times "),
    (_SCIENTIFIC, _digits),
    (re.compile(r"(?<=\d)\s*\^\s*\{\s*(?:\\text\s*\{\s*(?:st|nd|rd|th)\s*\}|st|nd|rd|th)\s*\}"), ""),  # `7^{th}`
    (re.compile(r"(?<=\d)(?:\s*(?:\^\s*)?\\text\s*\{\s*(?:st|nd|rd|th)\s*\}|(?:st|nd|rd|th)(?![A-Za-z]))"), ""),
    (_MODULO, r" \\pmod{\1\2}"),
    (re.compile(r"\\text\s*\{\s*(?:percent|percentage|%|\\%)\s*\}|\\%|(?<![A-Za-z])(?:percent|pct)(?![A-Za-z])"), "%"),
    (re.compile(r"\^\s*(?:\{\s*\\(?:circ|degree)\s*\}|\\(?:circ|degree)(?![A-Za-z]))|\\degree(?![a-z])"), r"^\\circ "),
    (re.compile(rf"(?<![\\A-Za-z]){_FUNCTION}(?![A-Za-z])"), r"\\\1"),
    (re.compile(r"(?<![\\A-Za-z])(?:infinity|inf|oo)(?![A-Za-z])"), r"\\infty"),
    (re.compile(r"\\frac\s*(\d)\s*(\d)"), r"\\frac{\1}{\2}"),
    (re.compile(r"\\frac\s*(\d)\s*\{"), r"\\frac{\1}{"),
    (re.compile(r"(\\frac\s*\{[^{}]*\})\s*(\w)"), r"\1{\2}"),
    (re.compile(r"\\sqrt\s*(\d+|[A-Za-z])"), r"\\sqrt{\1}"),
    (re.compile(r"([\^_])\s*\{\s*(\w)\s*\}"), r"\1\2"),
    (re.compile(r"\+(?=\s*\\infty)"), ""),
    (re.compile(r"\bU\b(?=\s*[\[(])"), r"\\cup"),
    (re.compile(r"(?<=[ap])\.\s?m\b\.?", re.IGNORECASE), "m"),
    (re.compile(r"\s+"), " "),
)  # fmt: skip
"""In this order."""

_TEXT = re.compile(r"\\text\s*\{([^{}]*)\}")
_COMMAND = re.compile(r"\\(?:begin|end)\s*\{[a-z*]+\}|\\[A-Za-z]+")
_WORD = re.compile(r"[^\W\d_]{4,}|(?<![A-Za-z])(?:no|yes|odd|all|any)(?![A-Za-z])", re.IGNORECASE)
_BLANKS = re.compile(r"(?<![A-Za-z0-9]) | (?![A-Za-z0-9])")
_FOLDED = re.compile(r"[^\w+\-/=<>]+")


def plain(text: str) -> str:
    """The text in one spelling, blanks squeezed, without the marks that stand around an answer."""
    text = text.translate(_SIGNS)
    for pattern, new in _REPLACED:
        text = pattern.sub(new, text)
    text = text.strip()
    return text if text.endswith("..") else text.rstrip(".,;: ")


def compact(text: str) -> str:
    """A plain text without the blanks that mean nothing, to be compared as it is."""
    return _BLANKS.sub("", text)


def bare(text: str) -> str:
    r"""A plain text without `\text{}` around its words."""
    return " ".join(_TEXT.sub(r" \1 ", text).split())


def is_wordy(text: str) -> bool:
    """Whether it says something in words: four letters in a row that are no command, a few shorter ones (`no`), or
    letters of no alphabet of mathematics (`是`)."""
    words = _COMMAND.sub(" ", bare(text))
    return bool(_WORD.search(words)) or any(ord(one) > 0x2E7F for one in words)


def folded(text: str) -> str:
    """The words and numbers of a text alone, without case: what counts of an answer in words."""
    return _FOLDED.sub(" ", bare(text.replace(r"\dollar ", "")).replace("'", "").casefold()).strip()


def depth(text: str) -> int:
    """How deep brackets stand in each other, at the most."""
    deepest = level = 0
    for one in text:
        if one in "{([":
            level += 1
            deepest = max(deepest, level)
        elif one in "})]":
            level -= 1
    return deepest
