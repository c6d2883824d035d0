"""Answers whose process died while it wrote them become `interrupted`, with all the text that reached the disk.

A process is dead when its lock is free; what a living one writes is never touched.
"""

import sqlite3
from pathlib import Path

from tui_chat.store import ledger, presence, reservations, rows


def recover(connection: sqlite3.Connection, path: Path, own: str) -> None:
    """End the answers of every dead process but `own`, each process in its own transaction. Raises sqlite3.Error."""
    running = connection.execute("SELECT DISTINCT owner FROM completions WHERE owner IS NOT NULL").fetchall()
    owners = {rows.loaded(row[0]) for row in running} | set(presence.instances(path))
    for owner in sorted(owners - {own}):
        with presence.claimed(path, owner) as dead:
            if dead:
                _recover_from(connection, owner)


def _recover_from(connection: sqlite3.Connection, owner: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        end_answers_of(connection, owner)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def end_answers_of(connection: sqlite3.Connection, owner: str) -> None:
    """End what `owner` left running, inside the transaction of the caller."""
    for completion_id, text, reasoning in connection.execute(
        "SELECT id, text, reasoning FROM completions WHERE owner = ? ORDER BY n", (owner,)
    ).fetchall():
        more_text, more_reasoning = pieces(connection, completion_id)
        connection.execute(
            "UPDATE completions SET owner = NULL, finish_reason = 'interrupted', text = ?, reasoning = ?, "
            "usage_source = CASE WHEN usage_source IS NULL THEN NULL ELSE 'partial' END, "
            "cost_quality = CASE WHEN cost_quality = 'reported' AND cost_source IS NOT 'billed' THEN 'estimated' "
            "ELSE cost_quality END WHERE id = ?",
            (
                rows.stored(rows.loaded(text) + more_text),
                rows.stored(rows.loaded(reasoning) + more_reasoning),
                completion_id,
            ),
        )
        connection.execute("DELETE FROM deltas WHERE completion_id = ?", (completion_id,))
        ledger.settle_interrupted(connection, completion_id)
    reservations.drop_of(connection, owner)
    # a chat that was deleted while its answer ran leaves a charge that nobody else would settle, and so does an answer
    # whose text is not kept; for what still has money set aside somebody lives
    orphans = connection.execute(
        "SELECT completion_id FROM charges WHERE state = 'open' AND completion_id NOT IN (SELECT id FROM completions) "
        "AND completion_id NOT IN (SELECT completion_id FROM reservations)"
    ).fetchall()
    for (completion_id,) in orphans:
        ledger.settle_interrupted(connection, completion_id)


def pieces(connection: sqlite3.Connection, completion_id: str) -> tuple[str, str]:
    """Return text and reasoning of a completion that are not in its row yet."""
    found = connection.execute(
        "SELECT text, reasoning FROM deltas WHERE completion_id = ? ORDER BY n", (completion_id,)
    ).fetchall()
    return "".join(rows.loaded(piece[0]) for piece in found), "".join(rows.loaded(piece[1]) for piece in found)
