"""Turns read from the tree they make: which ones stand on a path, and all that belongs to them."""

import sqlite3
from collections.abc import Sequence

from tui_chat.core.conversation import Turn
from tui_chat.core.message import BlobPart
from tui_chat.store import recovery, rows

_PATH = """
    WITH RECURSIVE path (id, continues) AS (
        SELECT id, continues FROM turns WHERE id = :tip AND conversation_id = :conversation
        UNION
        SELECT t.id, t.continues FROM path
            JOIN completions c ON c.id = path.continues JOIN turns t ON t.id = c.turn_id
        LIMIT :limit
    )
    SELECT id FROM path
"""
"""From the tip back; one row leads to one row, so that the order is that of the walk."""
_NEWEST_BELOW = """
    WITH RECURSIVE below (id, n) AS (
        SELECT id, n FROM turns WHERE id = ?
        UNION
        SELECT t.id, t.n FROM below
            JOIN completions c ON c.turn_id = below.id JOIN turns t ON t.continues = c.id
    )
    SELECT id FROM below ORDER BY n DESC LIMIT 1
"""


def walk(
    connection: sqlite3.Connection, conversation_id: str, ends: Sequence[str], limit: int | None
) -> tuple[list[str], bool]:
    """Return the ids of the turns up to the first of some ends that is there, oldest first, at most so many.

    And whether there are others before them.
    """
    most = -1 if limit is None else limit + 1
    for end in ends:
        wanted = {"tip": rows.stored(end), "conversation": rows.stored(conversation_id), "limit": most}
        found = [row["id"] for row in connection.execute(_PATH, wanted)]
        if found:
            earlier = len(found) == most
            return found[-2 if earlier else -1 :: -1], earlier
    return [], False


def newest_below(connection: sqlite3.Connection, turn_id: str) -> str:
    """Return the last turn of the newest branch that goes through a turn."""
    row = connection.execute(_NEWEST_BELOW, (rows.stored(turn_id),)).fetchone()
    return turn_id if row is None else str(row["id"])


def tips(connection: sqlite3.Connection, conversation_id: str, tip_id: str | None) -> list[str]:
    """Return the tip asked for; else that of a conversation, then its newest turn, for a tip that is not on disk."""
    if tip_id is not None:
        return [tip_id]
    found = connection.execute(
        "SELECT tip_id FROM conversations WHERE id = :id AND tip_id IS NOT NULL UNION ALL "
        "SELECT id FROM (SELECT id FROM turns WHERE conversation_id = :id ORDER BY n DESC LIMIT 1)",
        {"id": rows.stored(conversation_id)},
    )
    return [row[0] for row in found]


def parents(connection: sqlite3.Connection, turn: Turn) -> list[str]:
    """Return the turn that one continues; none of a first turn."""
    found = connection.execute("SELECT turn_id FROM completions WHERE id = ?", (turn.continues,))
    return [row["turn_id"] for row in found]


def load_turns(
    connection: sqlite3.Connection, conversation_id: str, turn_ids: Sequence[str]
) -> tuple[list[Turn], set[str]]:
    """Return turns in the order of their ids, and the instances that some of their completions run in."""
    wanted = (rows.as_json(turn_ids),)
    chosen = "IN (SELECT value FROM json_each(?))"
    found = {
        row["id"]: Turn(
            row["id"],
            rows.loaded(row["conversation_id"]),
            rows.loaded(row["prompt"]),
            rows.loaded_moment(row["created_at"]),
            continues=row["continues"],
            batch_id=row["batch_id"],
            chosen_id=row["chosen_id"],
        )
        for row in connection.execute(f"SELECT * FROM turns WHERE id {chosen}", wanted)
    }
    for row in connection.execute(
        "SELECT a.turn_id, a.name, a.media_type, b.data FROM attachments a JOIN blobs b ON b.sha256 = a.sha256 "
        f"WHERE a.turn_id {chosen} ORDER BY a.turn_id, a.seq",
        wanted,
    ):
        part = BlobPart(rows.loaded(row["name"]), rows.loaded(row["media_type"]), row["data"])
        found[row["turn_id"]].attachments += (part,)
    owners: set[str] = set()
    for row in connection.execute(f"SELECT * FROM completions WHERE turn_id {chosen} ORDER BY turn_id, seq", wanted):
        text, reasoning = rows.loaded(row["text"]), rows.loaded(row["reasoning"])
        if row["owner"] is not None:
            owners.add(row["owner"])
            more_text, more_reasoning = recovery.pieces(connection, row["id"])
            text, reasoning = text + more_text, reasoning + more_reasoning
        found[row["turn_id"]].completions.append(rows.loaded_completion(row, text, reasoning))
    turns = [found[turn_id] for turn_id in turn_ids]
    _note_siblings(connection, conversation_id, turns)
    return turns, owners


def _note_siblings(connection: sqlite3.Connection, conversation_id: str, turns: Sequence[Turn]) -> None:
    siblings: dict[str | None, list[str]] = {}
    continued = rows.as_json([turn.continues for turn in turns if turn.continues is not None])
    queries: list[tuple[str, str | bytes]] = [
        (
            "SELECT id, continues FROM turns WHERE continues IN (SELECT value FROM json_each(?)) ORDER BY continues, n",
            continued,
        )
    ]
    if any(turn.continues is None for turn in turns):
        first = "SELECT id, continues FROM turns WHERE conversation_id = ? AND continues IS NULL ORDER BY n"
        queries.append((first, rows.stored(conversation_id)))
    for query, value in queries:
        for row in connection.execute(query, (value,)):
            siblings.setdefault(row["continues"], []).append(row["id"])
    # shared: a run of prompts has thousands of first turns
    groups = {continues: tuple(ids) for continues, ids in siblings.items()}
    for turn in turns:
        turn.siblings = groups.get(turn.continues, ())
