"""The border between foreign text and the terminal.

Textual hands ESC, C1, DEL, bidi and tag characters to the terminal as they are, so nothing may be drawn that did not
pass through here. Code point by code point: a sequence that arrives split over two tokens cannot slip by.
"""

from __future__ import annotations

import re
from typing import Final

_FORBIDDEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]"
)
_SUBSTITUTE: Final = "\ufffd"
TAB: Final = 4
"""Cells from one tab stop to the next."""


def clean(text: str) -> str:
    """The text as it may be drawn: controls become visible substitutes, line feeds stay, tabs are spaces."""
    if _FORBIDDEN.search(text):
        text = _FORBIDDEN.sub(_visible, text)
    if "\t" in text:
        text = text.expandtabs(TAB)
    return text


def _visible(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 32:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else _SUBSTITUTE
