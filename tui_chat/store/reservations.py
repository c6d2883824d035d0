"""Money set aside for answers that run, so that programs which share a ledger cannot all spend the same rest.

A reservation is what its answer may cost at most until it asks again. It is made and grown in the writer's transaction
that looks at the charges, and goes in the one that settles its charge. Until then the answer counts with the larger of
the two. One whose process died lapses: what its answer was charged by then stays.
"""

import sqlite3
from collections.abc import Iterable
from decimal import Decimal, localcontext
from pathlib import Path

from tui_chat.core.caps import Balance, Claim, Reserved, Span
from tui_chat.core.pricing import EXACT
from tui_chat.store import presence, rows
from tui_chat.store.rows import Columns, Value

_ZERO = Decimal(0)


def reserve(connection: sqlite3.Connection, path: Path, owner: str, claim: Claim) -> Reserved:
    """Set aside what a claim gets, in place of what its answer held; refused, nothing changes.

    Runs inside the transaction of the caller, `owner` being this process.
    """
    _let_lapse(connection, path, owner)
    balances = tuple(_balance(connection, span, claim.completion_id) for span in claim.spans)
    found = Reserved(None, balances)
    left = found.tightest.left_usd
    held = claim.share_of(left)
    if held is None:
        return found
    held = max(held, min(_held_by(connection, claim.completion_id), left))  # it was promised already
    row: Columns = {
        "completion_id": claim.completion_id,
        "owner": owner,
        "conversation_id": rows.stored(claim.conversation_id),
        "at": rows.moment(claim.at),
        "usd": str(held),
    }
    connection.execute(
        "INSERT INTO reservations (completion_id, owner, conversation_id, at, usd) "
        "VALUES (:completion_id, :owner, :conversation_id, :at, :usd) "
        "ON CONFLICT (completion_id) DO UPDATE SET usd = excluded.usd",
        row,
    )
    return Reserved(held, balances)


def balances(connection: sqlite3.Connection, path: Path, owner: str, spans: Iterable[Span]) -> tuple[Balance, ...]:
    """Return how limits stand; what dead processes had set aside does not count."""
    if not _is_kept(connection):
        return tuple(_charged(connection, span) for span in spans)
    return tuple(_balance(connection, span, None, dead=_dead(connection, path, owner)) for span in spans)


def drop(connection: sqlite3.Connection, completion_id: str) -> None:
    """Give back what was set aside for an answer: its charge stands in its place."""
    connection.execute("DELETE FROM reservations WHERE completion_id = ?", (completion_id,))


def drop_of(connection: sqlite3.Connection, owner: str) -> None:
    """Give back what a process had set aside that died."""
    connection.execute("DELETE FROM reservations WHERE owner = ?", (owner,))


def _let_lapse(connection: sqlite3.Connection, path: Path, owner: str) -> None:
    for gone in _dead(connection, path, owner):
        drop_of(connection, gone)


def _dead(connection: sqlite3.Connection, path: Path, owner: str) -> set[str]:
    owners = {rows.loaded(row[0]) for row in connection.execute("SELECT DISTINCT owner FROM reservations")}
    return {each for each in owners - {owner} if presence.is_dead(path, each)}


def _balance(connection: sqlite3.Connection, span: Span, besides: str | None, dead: Iterable[str] = ()) -> Balance:
    """Add up a limit, without what the answer `besides` holds and is charged for what runs of it."""
    where, values = _bounds(span)
    gone = set(dead)
    held = {
        name: Decimal(usd)
        for name, usd, owner in connection.execute(
            f"SELECT completion_id, usd, owner FROM reservations WHERE {where}", values
        )
        if rows.loaded(owner) not in gone
    }
    running = dict.fromkeys(held, _ZERO)
    with localcontext(EXACT):
        spent = at_most = _settled(connection, where, values)
        for name, is_open, usd, upper in connection.execute(
            "SELECT completion_id, state = 'open', cost_usd, coalesce(upper_usd, cost_usd) FROM charges "
            f"WHERE {where} AND NOT play AND cost_usd IS NOT NULL AND (state = 'open' OR upper_usd IS NOT NULL)",
            values,
        ):
            if is_open and name == besides:
                continue
            spent += Decimal(usd)
            if is_open and name in running:  # it may yet end in peace
                running[name] += Decimal(usd)
                at_most += Decimal(usd)
            else:
                at_most += Decimal(upper)
        aside = sum((max(_ZERO, usd - running[name]) for name, usd in held.items() if name != besides), _ZERO)
    return Balance(span, spent, at_most, aside)


def _charged(connection: sqlite3.Connection, span: Span) -> Balance:
    """Add up a limit in a ledger that knows charges only."""
    where, values = _bounds(span)
    query = f"SELECT cost_usd FROM charges WHERE {where} AND NOT play AND cost_usd IS NOT NULL"
    with localcontext(EXACT):
        spent = sum((Decimal(row["cost_usd"]) for row in connection.execute(query, values)), _ZERO)
    return Balance(span, spent, spent)


def _settled(connection: sqlite3.Connection, where: str, values: tuple[Value, ...]) -> Decimal:
    """Add up the charges about which nothing is left to know: nearly all, so in the fastest way there is."""
    cursor = connection.cursor()
    cursor.row_factory = None
    found = cursor.execute(
        f"SELECT cost_usd FROM charges WHERE {where} AND NOT play AND cost_usd IS NOT NULL AND state != 'open' "
        "AND upper_usd IS NULL",
        values,
    )
    return sum((Decimal(usd) for (usd,) in found), _ZERO)


def _held_by(connection: sqlite3.Connection, completion_id: str) -> Decimal:
    row = connection.execute("SELECT usd FROM reservations WHERE completion_id = ?", (completion_id,)).fetchone()
    return _ZERO if row is None else Decimal(row[0])


def _bounds(span: Span) -> tuple[str, tuple[Value, ...]]:
    """Return the condition for the charges, and for the reservations, of a limit."""
    if span.conversation_id is not None:
        return "conversation_id = ?", (rows.stored(span.conversation_id),)
    if span.since is None or span.until is None:
        return "1", ()
    return "at >= ? AND at < ?", (rows.moment(span.since), rows.moment(span.until))


def _is_kept(connection: sqlite3.Connection) -> bool:
    """Say whether the ledger knows reservations: one that can only be read may be of an older version."""
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'reservations'").fetchone() is not None
