"""The ledger of charges: one row per call of an API, without text, never deleted.

A charge is open from just before its request is sent and while its answer runs, so that a crash loses no money from the
totals, and settled at its end. Only one of a call that turned out to cost nothing goes again.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal, localcontext

from tui_chat.core.completion import Completion
from tui_chat.core.format import Spent
from tui_chat.core.ids import new_id
from tui_chat.core.pricing import NOTHING, Charge
from tui_chat.store import rows
from tui_chat.store.rows import Columns

_EXACT_DIGITS = 200
"""Enough for any sum of amounts to stay unrounded."""
_KEPT_ON_UPDATE = ("id", "at", "conversation_id")


def charge_columns(completion: Completion, conversation_id: str | None) -> Columns | None:
    """Return the charge of a completion, running or ended; `None` when nothing was sent and nothing is owed."""
    cost = completion.cost
    if cost == NOTHING and not completion.sent:
        return None
    return {
        "id": new_id(),
        "at": rows.moment(completion.created_at),
        "completion_id": completion.id,
        "conversation_id": conversation_id,
        "purpose": "answer",
        "attempt": completion.attempts,
        "provider": rows.stored(completion.model.provider),
        "model": rows.stored(completion.model.id),
        **rows.usage_columns(completion.usage),
        **rows.cost_columns(cost),
        **rows.saved_columns(completion.saved),
        "price": rows.price_text(completion.model.price),
        "upper_usd": None if (upper := completion.billed_at_most) is None else str(upper),
        "clamped_to": completion.clamped_to,
        "queued_s": completion.queued_s or None,
        "finish_reason": completion.finish_reason,
        "state": "open" if completion.finish_reason is None or completion.running else "settled",
    }


def failed_charge(charge: Columns) -> Columns:
    """Return the charge of an attempt that broke off and is not the last: settled, with what was known by then.

    It costs no more than that: only where the server broke off is a request that it took sent again.
    """
    guessed = charge["cost_quality"] == "reported" and charge["cost_source"] != "billed"
    return charge | {
        "state": "settled",
        "finish_reason": "error",
        "usage_source": "partial",
        "upper_usd": None,
        "cost_quality": "estimated" if guessed else charge["cost_quality"],
    }


def write_charge(connection: sqlite3.Connection, charge: Columns | None) -> None:
    """Insert a charge, or bring the one of the same call up to date."""
    if charge is None:
        return
    names = ", ".join(charge)
    places = ", ".join(f":{name}" for name in charge)
    changes = ", ".join(f"{name} = excluded.{name}" for name in charge if name not in _KEPT_ON_UPDATE)
    connection.execute(
        f"INSERT INTO charges ({names}) VALUES ({places}) ON CONFLICT (completion_id, purpose, attempt) DO UPDATE SET "
        f"{changes}, conversation_id = coalesce(excluded.conversation_id, conversation_id)",
        charge,
    )


def drop_unowed(connection: sqlite3.Connection, completion_id: str) -> None:
    """Take back the charge of a call that turned out to cost nothing: it never left, or the server refused it.

    One without text may have been taken for that of a dead process (`recovery.py`) while it ran.
    """
    connection.execute(
        "DELETE FROM charges WHERE completion_id = ? AND (state = 'open' OR finish_reason = 'interrupted')",
        (completion_id,),
    )


def settle_interrupted(connection: sqlite3.Connection, completion_id: str) -> None:
    """Settle the open charge of a completion whose process died, with what was known last."""
    connection.execute(
        "UPDATE charges SET state = 'settled', finish_reason = 'interrupted', usage_source = 'partial', "
        "cost_quality = CASE WHEN cost_quality = 'reported' AND cost_source IS NOT 'billed' THEN 'estimated' "
        "ELSE cost_quality END WHERE completion_id = ? AND state = 'open'",
        (completion_id,),
    )


def finished_lengths(connection: sqlite3.Connection, provider: str, model_id: str) -> list[int]:
    """Return the output tokens of the last answers of a model that came to their end."""
    found = connection.execute(
        "SELECT output_tokens FROM charges WHERE provider = ? AND model = ? AND state = 'settled' AND"
        " finish_reason IN ('stop', 'length') AND output_tokens > 0 ORDER BY n DESC LIMIT 50",
        (rows.stored(provider), rows.stored(model_id)),
    )
    return [row["output_tokens"] for row in found]


def open_charges(connection: sqlite3.Connection) -> dict[str, Decimal]:
    """Return what answers that run were charged so far in USD, by their id; 0 where nobody knows."""
    found = connection.execute("SELECT completion_id, cost_usd FROM charges WHERE state = 'open'")
    return {row["completion_id"]: Decimal(row["cost_usd"] or 0) for row in found}


def spent_since(connection: sqlite3.Connection, since: datetime) -> Spent:
    return _sum(
        connection.execute(
            "SELECT cost_usd, cost_quality FROM charges WHERE at >= ? AND NOT play ORDER BY n", (rows.moment(since),)
        )
    )


def spent_in(connection: sqlite3.Connection, conversation_id: str) -> Spent:
    charges = connection.execute(
        "SELECT cost_usd, cost_quality, play FROM charges WHERE conversation_id = ? ORDER BY n", (conversation_id,)
    ).fetchall()
    real = [charge for charge in charges if not charge["play"]]
    return _sum(real) if real or not charges else replace(_sum(charges), play=True)


def charges_in(connection: sqlite3.Connection, conversation_id: str) -> list[Charge]:
    """Return every charge of a conversation in the order in which they were made, play money too."""
    return _charges(connection, "conversation_id = ?", rows.stored(conversation_id))


def charges_of(connection: sqlite3.Connection, completion_id: str) -> list[Charge]:
    """Return the charges of one answer, one for each try that may have cost something."""
    return _charges(connection, "completion_id = ?", completion_id)


def _charges(connection: sqlite3.Connection, where: str, value: rows.Value) -> list[Charge]:
    return [
        Charge(
            row["completion_id"] or row["id"],
            row["attempt"],
            f"{rows.loaded(row['provider'])}/{rows.loaded(row['model'])}",
            rows.loaded_usage(row).usage,
            rows.loaded_moment(row["at"]),
            rows.loaded_cost(row),
        )
        for row in connection.execute(f"SELECT * FROM charges WHERE {where} ORDER BY n", (value,))
    ]


def _sum(charges: Iterable[sqlite3.Row]) -> Spent:
    usd, estimated, unknown, answers = Decimal(0), False, 0, 0
    with localcontext() as context:
        context.prec = _EXACT_DIGITS
        for charge in charges:
            answers += 1
            if charge["cost_usd"] is None:
                unknown += 1
                continue
            usd += Decimal(charge["cost_usd"])
            estimated = estimated or charge["cost_quality"] != "reported"
    return Spent(usd, estimated, unknown, answers)
