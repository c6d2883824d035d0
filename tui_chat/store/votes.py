"""Which model was found best, vote by vote: like the ledger without any text, and it outlives the chats."""

import sqlite3
from collections.abc import Collection

from tui_chat.core.standing import Vote
from tui_chat.store import rows
from tui_chat.store.migrations import version_of
from tui_chat.store.rows import Columns


def save_vote(connection: sqlite3.Connection, vote: Vote) -> None:
    """Insert a vote in place of an earlier one on the same turn."""
    connection.execute("DELETE FROM votes WHERE turn_id = ?", (rows.stored(vote.turn_id),))
    columns: Columns = {"id": vote.id, "at": rows.moment(vote.at), "turn_id": rows.stored(vote.turn_id)}
    rows.insert(connection, "votes", columns)
    for seq, name in enumerate(vote.models):
        provider, _, model = name.partition("/")
        of_model: Columns = {"provider": rows.stored(provider), "model": rows.stored(model)}
        rows.insert(connection, "vote_models", of_model | {"vote_id": vote.id, "seq": seq, "won": name == vote.winner})


def winners(connection: sqlite3.Connection, turn_ids: Collection[str]) -> dict[str, str]:
    """Return the model that each of some turns was won by; nothing for a tie, or where nobody voted."""
    if not turn_ids or version_of(connection) < 4:
        return {}
    found = connection.execute(
        "SELECT v.turn_id, m.provider, m.model FROM votes v JOIN vote_models m ON m.vote_id = v.id AND m.won "
        "WHERE v.turn_id IN (SELECT value FROM json_each(?))",
        (rows.as_json(list(turn_ids)),),
    )
    return {rows.loaded(row["turn_id"]): f"{rows.loaded(row['provider'])}/{rows.loaded(row['model'])}" for row in found}


def votes(connection: sqlite3.Connection) -> list[Vote]:
    """Return every vote in the order in which they were cast; histories of earlier versions have none."""
    if version_of(connection) < 4:
        return []
    models: dict[str, list[tuple[str, bool]]] = {}
    for row in connection.execute("SELECT * FROM vote_models ORDER BY vote_id, seq"):
        name = f"{rows.loaded(row['provider'])}/{rows.loaded(row['model'])}"
        models.setdefault(row["vote_id"], []).append((name, bool(row["won"])))
    made = []
    for row in connection.execute("SELECT * FROM votes ORDER BY n"):
        of_vote = models.get(row["id"], [])
        winner = next((name for name, won in of_vote if won), None)
        names = tuple(name for name, _ in of_vote)
        made.append(Vote(row["id"], rows.loaded(row["turn_id"]), rows.loaded_moment(row["at"]), names, winner))
    return made
