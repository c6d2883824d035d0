"""Bindings made from the one table of keys, so that help, footer, palette and keys cannot disagree."""

from textual.binding import Binding

from tui_chat.core.keymap import KEYMAP

_TABLE = {key.id: key for key in KEYMAP}


def binding(binding_id: str, action: str, keys: str | None = None, *, priority: bool = False) -> Binding:
    """Return the binding of an id; `keys` when only some of its keys work in this place."""
    key = _TABLE[binding_id]
    return Binding(
        keys or key.keys,
        action,
        key.label.capitalize(),
        id=binding_id,
        tooltip=key.description,
        show=False,
        priority=priority,
    )
