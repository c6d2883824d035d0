"""All keys, made from the table that makes the bindings."""

from textwrap import wrap
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui_chat.core.keymap import KEYMAP, Place, shown
from tui_chat.ui.widgets.row import hints, joined, styled

_TITLES: dict[Place, str] = {
    "anywhere": "Anywhere",
    "prompt": "In the prompt",
    "transcript": "In the transcript",
    "conversations": "In the list of conversations",
    "models": "In the list of models",
}


_KEYS = 22
"""Cells for the keys."""


def help_text(overrides: dict[str, str], width: int = 84) -> Content:
    """Return every key with its meaning, grouped by where it works; what is too long goes on below itself."""
    lines: list[Content] = []
    for place, title in _TITLES.items():
        lines += [Content(""), styled(title, "b $fg")] if lines else [styled(title, "b $fg")]
        for key in KEYMAP:
            keys = overrides.get(key.id, key.keys)
            if key.place == place and keys and not key.later:
                names = ", ".join(dict.fromkeys(shown(k) for k in keys.split(",") if "\r" not in k))
                first, *more = wrap(key.description, max(20, width - _KEYS)) or [""]
                lines.append(joined(styled(f"  {names:<{_KEYS - 2}}", "b $fg"), styled(first, "$fg2")))
                lines += [styled(" " * _KEYS + rest, "$fg2") for rest in more]
    return Content("\n").join(lines)


class HelpScreen(ModalScreen[None]):
    """A box with all keys."""

    CSS_PATH = "boxes.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,f1,question_mark,enter", "dismiss", "Close", show=False),
    ]

    def __init__(self, overrides: dict[str, str]) -> None:
        super().__init__()
        self._overrides = overrides

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="box"):
            yield Static(help_text(self._overrides), markup=False, id="keys")
            yield Static(joined("\n", hints([("esc", "close"), ("↑↓", "scroll")])), markup=False)

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()
        self.call_after_refresh(self._fit)

    def on_resize(self) -> None:
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        keys = self.query_one("#keys", Static)
        if keys.size.width:
            keys.update(help_text(self._overrides, keys.size.width))
