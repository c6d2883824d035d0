"""Small things that are remembered, in the table of loose values: models used last or marked, answers once given."""

import json
import sqlite3
from collections.abc import Sequence

from tui_chat.store import rows

_RECENT = 10
_CHOICE = "choice_"
_USED, _LAST, _FAVOURITE = "recent_models", "last_model", "favourite_models"


def note_model(connection: sqlite3.Connection, name: str | None) -> None:
    """Put a model that was just used at the head of the recent ones."""
    if name is None:
        return
    used = [name, *(each for each in _names(connection, _USED) if each != name)]
    connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (_LAST, rows.stored(name)))
    _keep(connection, _USED, used[:_RECENT])


def last_model(connection: sqlite3.Connection) -> str | None:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (_LAST,)).fetchone()
    return None if row is None else rows.loaded(row[0])


def recent_models(connection: sqlite3.Connection) -> list[str]:
    """Return them, the newest first; histories of earlier versions know only one."""
    last = last_model(connection)
    return _names(connection, _USED) or ([last] if last else [])


def favourite_models(connection: sqlite3.Connection) -> list[str]:
    return _names(connection, _FAVOURITE)


def save_favourites(connection: sqlite3.Connection, names: Sequence[str]) -> None:
    _keep(connection, _FAVOURITE, list(dict.fromkeys(names)))


def choice(connection: sqlite3.Connection, name: str) -> str | None:
    """Return what the user answered once to a question that is not asked again."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (_CHOICE + name,)).fetchone()
    return None if row is None else rows.loaded(row[0])


def save_choice(connection: sqlite3.Connection, name: str, value: str) -> None:
    connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (_CHOICE + name, rows.stored(value)))


def _names(connection: sqlite3.Connection, key: str) -> list[str]:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    try:
        names = json.loads(row[0]) if row is not None else []
    except ValueError:
        return []
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def _keep(connection: sqlite3.Connection, key: str, names: list[str]) -> None:
    connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, json.dumps(names)))
