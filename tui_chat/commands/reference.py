"""`tui-chat keys` and `tui-chat config`: what there is to look up."""

from tui_chat.bootstrap import Ground, config_reference, user_files
from tui_chat.core.keymap import KEYMAP, keys_of


def keys_table() -> str:
    """Return every key of the app, the user's own where there are any, by place."""
    own = Ground.lay().config.ui.keys
    rows = [
        (_spelled(keys_of(key.id, own)), key.id, "" if key.place == "anywhere" else key.place, key.description)
        for key in KEYMAP
        if not key.later
    ]
    head = ("keys", "binding id", "only in", "does")
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(3)]
    lines = [
        "  ".join((*(cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True)), row[3]))
        for row in (head, *rows)
    ]
    return "\n".join([*lines, "", 'Change them in [keys] of config.toml, such as "chat.cancel" = "escape".']) + "\n"


def _spelled(keys: str) -> str:
    """Return keys as a person types them: `Ctrl+J, Shift+Enter`."""
    names = []
    for key in keys.split(","):
        *modifiers, last = key.split("+")
        if modifiers and len(last) == 1:
            last = last.upper()
        parts = [_NAMES.get(part, part if len(part) == 1 else part.capitalize()) for part in (*modifiers, last)]
        if all(parts) and (name := "+".join(parts)).isprintable() and name not in names:
            names.append(name)
    return ", ".join(names) or "none"


_NAMES = {
    "escape": "Esc",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "left_curly_bracket": "{",
    "right_curly_bracket": "}",
    "question_mark": "?",
}


def config_text(*, defaults: bool) -> str:
    """Return the paths of this user, or a config.toml with every default."""
    if defaults:
        return config_reference()
    home = user_files()
    rows = {"configuration": home.config, "history": home.database, "log": home.log, "caches": home.cache}
    lines = [f"{name:14} {path}{'' if path.exists() else '   (not there yet)'}" for name, path in rows.items()]
    return "\n".join([*lines, "", "tui-chat config --defaults prints every key that can stand in it."]) + "\n"
