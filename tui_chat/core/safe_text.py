"""The border of the screen: no byte from a model, a server, a file or a title reaches the terminal as a control.

Works code point by code point, so that a sequence split over tokens cannot slip by. Stored text stays raw.
"""

_HIDDEN = [
    *range(0x20),
    *range(0x7F, 0xA0),  # DEL and C1
    0x61C,
    0x200B,
    0x200E,
    0x200F,
    0x2028,
    0x2029,
    *range(0x202A, 0x202F),  # bidi embeddings and overrides
    *range(0x2060, 0x2070),  # invisible operators and bidi isolates
    0xFEFF,
    *range(0xFFF9, 0xFFFC),
    *range(0xE0000, 0xE0080),  # tag characters
    *range(0xD800, 0xE000),  # lone surrogates: no terminal can encode them
]
_TABLE: dict[int, str] = dict.fromkeys(_HIDDEN, "\ufffd")
_TABLE |= {code: chr(0x2400 + code) for code in range(0x20)} | {0x7F: "\u2421"}
_LINES = _TABLE | {0x0A: "\n", 0x09: "    ", 0x0D: ""}


def safe(text: str) -> str:
    """Return `text` fit for the screen: controls become visible substitutes; LF stays, TAB is four spaces, CR goes."""
    return text if text.isascii() and text.isprintable() else text.translate(_LINES)


def one_line(text: str, limit: int = 300) -> str:
    """Return `text` as one safe line of at most `limit` characters, ended with `…` when it was cut."""
    line = " ".join(text[: limit * 4].split()).translate(_TABLE)
    return line if len(line) <= limit and len(text) <= limit * 4 else line[: limit - 1].rstrip() + "…"
