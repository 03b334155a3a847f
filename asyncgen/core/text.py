"""Texts of others as they can be written.

Knows Unicode. Does not know whose text it is.
"""

from __future__ import annotations


def repaired(text: str) -> str:
    """The text as it can be written in UTF-8: halves of a surrogate pair are joined, a lone one becomes U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
