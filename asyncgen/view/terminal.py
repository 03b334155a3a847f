"""Text that may be printed: what models, tools and rows wrote, without what steers a terminal or hides from the reader.

Knows control codes, escape sequences and invisible characters. Knows nothing of traces.
"""

from __future__ import annotations

import os
import re
import sys
from typing import IO

# A sequence that never ends is not taken for one: only its introducer goes, so that no text can hide behind it.
_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor, erase
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x90\x98\x9c-\x9f]*(?:\x07|\x1b\\|\x9c)"  # title, link
    r"|\x1b[ -/]+[0-~]"  # character sets
    r"|\x1b[0-Z\\^-~]"  # two-byte codes; not [ and ], whose sequences are above
)
_INVISIBLE = re.compile("[\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    """`text` without escape sequences and control codes (newline and tab stay); bidi and other invisible controls are
    shown as `<U+202E>`, a lone surrogate as U+FFFD."""
    text = _SEQUENCE.sub("", text.replace("\r\n", "\n"))
    text = _CONTROL.sub("", text)
    text = _INVISIBLE.sub(lambda found: f"<U+{ord(found[0]):04X}>", text)
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


def note(text: str) -> None:
    """A line, or several, on stderr, and nothing in it steers the terminal. Where stderr is gone or full it goes
    nowhere: no run ends for want of a reader."""
    try:
        sys.stderr.write(f"{clean(text)}\n")
        sys.stderr.flush()
    except OSError:
        drop(sys.stderr)


def drop(stream: IO[str]) -> None:
    """Nobody takes it: this and all that comes, the interpreter's last flush too, goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def one_line(text: str) -> str:
    """The same on one line: every run of blanks is one blank."""
    return " ".join(clean(text).split())
