"""The list of conversations, which may be long: read whole as plainly as SQLite gives it, then followed by its changes.

Triggers note every change (see migrations.py), whoever makes it, so that nobody has to read a hundred thousand rows to
learn that one moved.
"""

import sqlite3
from collections.abc import Iterable

from tui_chat.core.conversation import Listed, Listing, ListingChanges
from tui_chat.store import rows
from tui_chat.store.migrations import version_of

_LISTED = "SELECT id, title, updated_at FROM conversations WHERE archived = 0 "
_MOST_CHANGES = 50
"""More than so many changes are read faster as a whole list."""


def whole(connection: sqlite3.Connection, limit: int | None) -> Listing:
    """Return all conversations that are not archived, pinned first, then the most recently updated."""
    version, pinned = _listing_version(connection), _count_pinned(connection)
    found = _plain(connection).execute(
        f"{_LISTED} ORDER BY pinned DESC, recency DESC, n DESC LIMIT ?", (-1 if limit is None else limit,)
    )
    return Listing(_all_text(found.fetchall()), pinned, version)


def changes(connection: sqlite3.Connection, version: int) -> ListingChanges | None:
    """Return what changed since a listing of that version; `None` when it must be read anew."""
    now = _listing_version(connection)
    if 0 <= now == version:
        return ListingChanges(now, _count_pinned(connection))
    changed = _changed_since(connection, version, now)
    if changed is None:
        return None
    placed = sorted(place for each in changed for place in _placed(connection, each))
    return ListingChanges(
        now, _count_pinned(connection), frozenset(rows.loaded(each) for each in changed), tuple(placed)
    )


def _plain(connection: sqlite3.Connection) -> sqlite3.Cursor:
    """Return a cursor whose rows are plain tuples, which of a hundred thousand rows saves a third."""
    cursor = connection.cursor()
    cursor.row_factory = None
    return cursor


def _all_text(found: list[Listed]) -> list[Listed]:
    """Return rows with the few texts decoded that are stored as bytes."""
    if all(type(name) is str and type(title) is str for name, title, _ in found):
        return found
    return [(rows.loaded(name), rows.loaded(title), updated) for name, title, updated in found]


def _notes_changes(connection: sqlite3.Connection) -> bool:
    """Say whether changes are noted: not in an older history that could not be brought up to date, only read."""
    return version_of(connection) > 1


def _listing_version(connection: sqlite3.Connection) -> int:
    if not _notes_changes(connection):
        return -1
    return int(connection.execute("SELECT coalesce(max(n), 0) FROM conversation_changes").fetchone()[0])


def _count_pinned(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM conversations WHERE archived = 0 AND pinned > 0").fetchone()[0])


def _changed_since(connection: sqlite3.Connection, version: int, now: int) -> list[str | bytes] | None:
    """Return the ids of what changed; `None` when that is not known any more, or too much."""
    if not 0 <= version <= now:
        return None
    if connection.execute("SELECT min(n) FROM conversation_changes").fetchone()[0] > version + 1:
        return None
    found = connection.execute(
        "SELECT DISTINCT id FROM conversation_changes WHERE n > ? LIMIT ?", (version, _MOST_CHANGES + 1)
    ).fetchall()
    return None if len(found) > _MOST_CHANGES else [row["id"] for row in found]


def _placed(connection: sqlite3.Connection, conversation_id: str | bytes) -> Iterable[tuple[int, Listed]]:
    """Yield a conversation with its place in the listing; nothing when it is not listed."""
    row = connection.execute(
        "SELECT id, title, updated_at, pinned, recency, n FROM conversations WHERE id = ? AND archived = 0",
        (conversation_id,),
    ).fetchone()
    if row is not None:
        above = connection.execute(
            "SELECT count(*) FROM conversations "
            "WHERE archived = 0 AND (pinned, recency, n) > (:pinned, :recency, :n) AND pinned >= :pinned",
            dict(row),
        ).fetchone()[0]
        yield above, (rows.loaded(row["id"]), rows.loaded(row["title"]), row["updated_at"])
