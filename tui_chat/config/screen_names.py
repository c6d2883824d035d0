"""What Textual calls keys and themes, as plain data: the configuration is checked without loading the screen.

Read from textual 8.2.8 (`keys.py`, `_keyboard_protocol.py`, `theme.py`) on 2026-01-20; a test compares.
"""

import unicodedata
from collections.abc import Iterator

THEMES = (
    "textual-dark",
    "textual-light",
    "ansi-dark",
    "ansi-light",
    "atom-one-dark",
    "atom-one-light",
    "catppuccin-frappe",
    "catppuccin-latte",
    "catppuccin-macchiato",
    "catppuccin-mocha",
    "dracula",
    "flexoki",
    "gruvbox",
    "monokai",
    "nord",
    "rose-pine",
    "rose-pine-dawn",
    "rose-pine-moon",
    "solarized-dark",
    "solarized-light",
    "tokyo-night",
)
OWN_THEMES = ("tui-chat-dark", "tui-chat-light")
"""Ours, which the first two stand for; the palette shows them by these names."""

MODIFIERS = ("alt", "ctrl", "hyper", "meta", "shift", "super")
"""In the order in which Textual writes them before a key."""

_RENAMED = {
    "solidus": "slash",
    "reverse_solidus": "backslash",
    "commercial_at": "at",
    "hyphen_minus": "minus",
    "plus_sign": "plus",
    "low_line": "underscore",
}


def _signs() -> Iterator[str]:
    """Yield the names of the printable ASCII characters that are no letters or digits: `question_mark`."""
    for character in map(chr, range(0x21, 0x7F)):
        if not character.isalnum():
            name = unicodedata.name(character).lower().replace("-", "_").replace(" ", "_")
            yield _RENAMED.get(name, name)


KEYS = frozenset(
    [
        *("escape", "enter", "return", "tab", "space", "backspace", "insert", "delete", "home", "end"),
        *("left", "right", "up", "down", "pageup", "pagedown"),
        *(f"f{number}" for number in range(1, 36)),
        *_signs(),
    ]
)
"""The names that stand for a key; besides them every single character stands for itself."""


def key_named(name: str) -> str | None:
    """Return a key as Textual spells it, `shift+ctrl+left` as `ctrl+shift+left`; `None` when there is none."""
    name = name.strip(" ")
    *modifiers, last = name.split("+") if name != "+" else [name]
    # some terminals send shift+enter as a shifted carriage return, which Textual has no name for
    known = last in KEYS or last == "\r" or (len(last) == 1 and last.isprintable() and last != " ")
    if not known or not set(modifiers) <= set(MODIFIERS) or len(set(modifiers)) != len(modifiers):
        return None
    return "+".join([*sorted(modifiers), last])


def nearest_key(name: str) -> str:
    """Return the key that a name that is none comes nearest to; empty when nothing is near."""
    import difflib

    *modifiers, last = name.strip().lower().replace("-", "+").split("+")
    spelled = [{"control": "ctrl", "option": "alt", "cmd": "super", "esc": "escape"}.get(m, m) for m in modifiers]
    names = {"esc": "escape", "return": "enter", "del": "delete", "pgup": "pageup", "pgdn": "pagedown"}
    candidates = [names[last]] if last in names else [last] if key_named(last) else []
    candidates = candidates or difflib.get_close_matches(last, sorted(KEYS), 1, 0.5)
    return next((key for each in candidates if (key := key_named("+".join([*spelled, each])))), "")
