"""Turns read from the tree they make: which ones stand on a path, and all that belongs to them."""

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from tui_chat.core.columns import mates_of
from tui_chat.core.conversation import Turn
from tui_chat.core.message import BlobPart
from tui_chat.store import recovery, rows, votes

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
        SELECT id, n FROM turns WHERE id = :id
            OR batch_id = (SELECT batch_id FROM turns WHERE id = :id)
        UNION
        SELECT t.id, t.n FROM below
            JOIN completions c ON c.turn_id = below.id JOIN turns t ON t.continues = c.id
    )
    SELECT id FROM below ORDER BY n DESC LIMIT 1
"""


_CHOSEN = "IN (SELECT value FROM json_each(?))"


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
    """Return the last turn of the newest branch that goes through a turn, or through one of its batch."""
    row = connection.execute(_NEWEST_BELOW, {"id": rows.stored(turn_id)}).fetchone()
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
    """Return turns in the order of their ids, with their mates, and the instances that some completions run in."""
    found = _prompts(connection, turn_ids)
    batches = _batches(connection, conversation_id, found.values())
    found |= _prompts(connection, [mate for mates in batches.values() for mate in mates if mate not in found])
    owners = _fill(connection, found)
    _note_siblings(connection, conversation_id, found.values())
    for mates in batches.values():
        together = tuple(found[mate] for mate in mates)
        for turn in together:
            turn.mates = together
    won = votes.winners(connection, [turn.id for turn in found.values() if len(turn.completions) > 1 or turn.mates])
    for turn in found.values():
        turn.won_by = won.get(mates_of(turn)[0].id)
    return [found[turn_id] for turn_id in turn_ids], owners


def _prompts(connection: sqlite3.Connection, turn_ids: Sequence[str]) -> dict[str, Turn]:
    """Return turns as they were asked, nothing else of them."""
    if not turn_ids:
        return {}
    return {
        row["id"]: Turn(
            row["id"],
            rows.loaded(row["conversation_id"]),
            rows.loaded(row["prompt"]),
            rows.loaded_moment(row["created_at"]),
            continues=row["continues"],
            batch_id=row["batch_id"],
            chosen_id=row["chosen_id"],
            blind=rows.loaded_flag(row, "blind"),
        )
        for row in connection.execute(f"SELECT * FROM turns WHERE id {_CHOSEN}", (rows.as_json(turn_ids),))
    }


def _batches(connection: sqlite3.Connection, conversation_id: str, turns: Iterable[Turn]) -> dict[str, list[str]]:
    """Return the ids of all turns of the batches that some turns are of, in the order they were asked."""
    wanted = sorted({turn.batch_id for turn in turns if turn.batch_id is not None})
    found: dict[str, list[str]] = {}
    if wanted:
        for row in connection.execute(
            # the plus: by the batches, which are few, not by the conversation, which may be long
            f"SELECT id, batch_id FROM turns WHERE batch_id {_CHOSEN} AND +conversation_id = ? ORDER BY n",
            (rows.as_json(wanted), rows.stored(conversation_id)),
        ):
            found.setdefault(row["batch_id"], []).append(row["id"])
    return {batch: mates for batch, mates in found.items() if len(mates) > 1}


def _fill(connection: sqlite3.Connection, found: dict[str, Turn]) -> set[str]:
    """Put attachments and completions into turns; return the instances that some completions run in."""
    wanted = (rows.as_json(list(found)),)
    for row in connection.execute(
        "SELECT a.turn_id, a.name, a.media_type, b.data FROM attachments a JOIN blobs b ON b.sha256 = a.sha256 "
        f"WHERE a.turn_id {_CHOSEN} ORDER BY a.turn_id, a.seq",
        wanted,
    ):
        part = BlobPart(rows.loaded(row["name"]), rows.loaded(row["media_type"]), row["data"])
        found[row["turn_id"]].attachments += (part,)
    owners: set[str] = set()
    for row in connection.execute(f"SELECT * FROM completions WHERE turn_id {_CHOSEN} ORDER BY turn_id, seq", wanted):
        text, reasoning = rows.loaded(row["text"]), rows.loaded(row["reasoning"])
        if row["owner"] is not None:
            owners.add(row["owner"])
            more_text, more_reasoning = recovery.pieces(connection, row["id"])
            text, reasoning = text + more_text, reasoning + more_reasoning
        found[row["turn_id"]].completions.append(rows.loaded_completion(row, text, reasoning))
    return owners


def _note_siblings(connection: sqlite3.Connection, conversation_id: str, turns: Collection[Turn]) -> None:
    branches: dict[str | None, dict[tuple[str | None, str], str]] = {}
    counts: Counter[str | None] = Counter()
    continued = rows.as_json([turn.continues for turn in turns if turn.continues is not None])
    columns = "SELECT id, continues, batch_id FROM turns"
    queries: list[tuple[str, str | bytes]] = [(f"{columns} WHERE continues {_CHOSEN} ORDER BY continues, n", continued)]
    if any(turn.continues is None for turn in turns):
        first = f"{columns} WHERE conversation_id = ? AND continues IS NULL ORDER BY n"
        queries.append((first, rows.stored(conversation_id)))
    for query, value in queries:
        for row in connection.execute(query, (value,)):
            counts[row["continues"]] += 1
            branch = _branch(row["id"], row["batch_id"])
            branches.setdefault(row["continues"], {}).setdefault(branch, row["id"])
    # shared: a run of prompts has thousands of first turns
    groups = {continues: tuple(ids.values()) for continues, ids in branches.items()}
    for turn in turns:
        turn.siblings = groups.get(turn.continues, ())
        if len(turn.siblings) < counts[turn.continues]:  # it may be another of its batch that stands there
            own = {_branch(turn.id, turn.batch_id): turn.id}
            turn.siblings = tuple((branches[turn.continues] | own).values())


def _branch(turn_id: str, batch_id: str | None) -> tuple[str | None, str]:
    """Return what tells branches apart: turns of one batch stand side by side, as one branch."""
    return (None, turn_id) if batch_id is None else (batch_id, "")
