"""Tables as text: what the commands that print one share."""

import os
import sys
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from typing import TextIO

_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
"""What a spreadsheet takes a cell for a formula by."""
_NARROWEST, _WIDEST = 40, 120


def formula_safe(text: str) -> str:
    """Return a cell of CSV that no spreadsheet takes for a formula."""
    return f"'{text}" if text.lstrip(' "').startswith(_FORMULA) else text


def exact(value: Decimal | None) -> str:
    """Return every digit of an amount; nothing where it is not known."""
    return "" if value is None else f"{value:f}"


def fitted(text: str, width: int, *, plain: bool) -> str:
    """Return a text as wide as its column: cut, or filled up with spaces."""
    if plain:
        text = text.encode("ascii", "replace").decode()
    if cells(text) > width:
        mark = "..." if plain else "…"
        while text and cells(text) > width - len(mark):
            text = text[:-1]
        text = (text + mark)[: max(1, width)] if plain else text + mark
    return text + " " * (width - cells(text))


def cells(text: str) -> int:
    """Return how many cells a terminal takes for it."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def terminal_width() -> int:
    """Return the cells of a line: those of the terminal, 80 elsewhere."""
    with suppress(OSError, ValueError, AttributeError):
        return max(_NARROWEST, min(_WIDEST, os.get_terminal_size(sys.stdout.fileno()).columns))
    return 80


def draws(text: Sequence[str] = "█▏─–≤…€", stream: TextIO | None = None) -> bool:
    """Say whether a stream, stdout unless another is named, can carry more than ASCII."""
    stream = stream or sys.stdout
    encoding = (stream.encoding if stream is not None else None) or "utf-8"
    try:
        "".join(text).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
