"""Domain objects as column values and back.

Text that UTF-8 cannot hold (lone surrogates out of broken JSON) is stored as bytes in the same column, so that every
string comes back as it was and ordinary text stays text. Decimals are text, times ISO 8601 UTC with microseconds.
"""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, cast, get_args

from tui_chat.core.completion import Completion, Log
from tui_chat.core.conversation import Conversation
from tui_chat.core.errors import ChatError, ErrorKind
from tui_chat.core.events import FinishReason
from tui_chat.core.model import Model, Params
from tui_chat.core.pricing import NOTHING, Cost, Price
from tui_chat.core.savings import Saved
from tui_chat.core.usage import CountedUsage, Usage, UsageSource

Value = str | bytes | int | float | None
Columns = dict[str, Value]

_LARGEST = (1 << 63) - 1
_USAGE_FIELDS = tuple(field.name for field in fields(Usage))
_ERROR_KINDS = frozenset(get_args(ErrorKind))


# values


def stored(text: str) -> str | bytes:
    """Return what to bind for `text`."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return encoded(text)
    return text


def stored_or_null(text: str | None) -> str | bytes | None:
    return None if text is None else stored(text)


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def loaded(value: object) -> str:
    """Return the text of a column; empty for NULL."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogatepass")
    return "" if value is None else str(value)


def loaded_or_none(value: object) -> str | None:
    return None if value is None else loaded(value)


def as_json(value: object) -> str:
    return json.dumps(value, default=str, separators=(",", ":"))


def from_json(value: object) -> Any:
    if value in {"[]", "{}"}:  # nearly all of them, ten thousand times in a long conversation
        return [] if value == "[]" else {}
    try:
        return json.loads(loaded(value))
    except ValueError:
        return None


def whole(value: int | None) -> int | None:
    """Return an integer that SQLite can hold; what is larger is no count of anything."""
    return value if value is None or -_LARGEST <= value <= _LARGEST else None


def moment(at: datetime) -> str:
    """Return a time as text that sorts as the times do."""
    aware = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat(timespec="microseconds")


def loaded_moment(value: object) -> datetime:
    return datetime.fromisoformat(loaded(value))


def loaded_flag(row: sqlite3.Row, name: str) -> bool:
    """Return a flag that came later; histories that could not be brought up to date have no such column."""
    return name in row.keys() and bool(row[name])  # noqa: SIM118  a row is not a mapping


def _decimal(value: object) -> Decimal | None:
    return None if value is None else Decimal(loaded(value))


# usage, cost, price


def usage_columns(counted: CountedUsage) -> Columns:
    columns: Columns = {name: whole(getattr(counted.usage, name)) for name in _USAGE_FIELDS}
    return columns | {"usage_source": counted.source, "estimated": as_json(counted.estimated)}


def loaded_usage(row: sqlite3.Row) -> CountedUsage:
    """Return the usage of a completion; that of an answer that never got so far is empty."""
    usage = Usage(*[row[name] for name in _USAGE_FIELDS])
    source = cast("UsageSource", row["usage_source"] or "estimated")
    return CountedUsage(usage, source, tuple(str(name) for name in from_json(row["estimated"]) or ()))


def cost_columns(cost: Cost) -> Columns:
    return {
        "cost_amount": None if cost.amount is None else str(cost.amount),
        "cost_currency": stored(cost.currency),
        "cost_usd": None if cost.usd is None else str(cost.usd),
        "cost_quality": cost.quality,
        "cost_source": stored_or_null(cost.price_source),
        "cost_as_of": stored_or_null(cost.price_as_of),
        "play": cost.play,
    }


def loaded_cost(row: sqlite3.Row) -> Cost:
    if row["cost_quality"] is None:
        return NOTHING
    return Cost(
        _decimal(row["cost_amount"]),
        loaded(row["cost_currency"]),
        _decimal(row["cost_usd"]),
        row["cost_quality"],
        loaded_or_none(row["cost_source"]),
        loaded_or_none(row["cost_as_of"]),
        bool(row["play"]),
    )


def price_text(price: Price | None) -> str | None:
    return None if price is None else as_json(price.record())


def loaded_price(value: object) -> Price | None:
    """Return the price of a row; `None` when there is none, or one that this version cannot read."""
    return None if value is None else _read_price(loaded(value))


@lru_cache(maxsize=64)
def _read_price(text: str) -> Price | None:
    """The answers of a conversation have few prices between them, and a price never changes."""
    plain = from_json(text)
    if not isinstance(plain, dict):
        return None
    try:
        return Price.from_record(plain)
    except ValueError:
        return None


# conversations


def conversation_columns(conversation: Conversation) -> Columns:
    """Everything but the system prompt, which is a blob, and the recency, which the database decides."""
    return {
        "id": stored(conversation.id),
        "title": stored(conversation.title),
        "created_at": moment(conversation.created_at),
        "updated_at": moment(conversation.updated_at),
        "tip_id": conversation.tip_id,
        "model": stored_or_null(conversation.model),
        "params": as_json(conversation.params),
        "tags": as_json(conversation.tags),
        "pinned": conversation.pinned,
        "archived": conversation.archived,
    }


def loaded_conversation(row: sqlite3.Row) -> Conversation:
    return Conversation(
        loaded(row["id"]),
        loaded(row["title"]),
        loaded_moment(row["created_at"]),
        loaded_moment(row["updated_at"]),
        system_prompt=loaded_or_none(row["system_prompt_data"]),
        tip_id=row["tip_id"],
        model=loaded_or_none(row["model"]),
        params=_params(row["params"]),
        tags=tuple(str(tag) for tag in from_json(row["tags"]) or ()),
        pinned=bool(row["pinned"]),
        archived=bool(row["archived"]),
        stored=True,
    )


def _params(value: object) -> Params:
    plain = from_json(value)
    return plain if isinstance(plain, dict) else {}


def saved_columns(saved: Saved | None) -> Columns:
    figures = (saved.typical, saved.ceiling) if saved is not None else (None, None)
    typical, ceiling = (None if figure is None else str(figure) for figure in figures)
    return {"saved_typical": typical, "saved_ceiling": ceiling}


def loaded_saved(row: sqlite3.Row) -> Saved | None:
    """Return what a stop saved; histories that could not be brought up to date have no such columns."""
    names = row.keys()
    if "saved_typical" not in names:
        return None
    typical, ceiling = row["saved_typical"], row["saved_ceiling"]
    if typical is None and ceiling is None:
        return None
    return Saved(None if typical is None else Decimal(typical), None if ceiling is None else Decimal(ceiling))


# completions


def identity_columns(completion: Completion) -> Columns:
    """What is known of a completion when it is asked for, but the system prompt."""
    return {
        "id": completion.id,
        "turn_id": completion.turn_id,
        "provider": stored(completion.model.provider),
        "model": stored(completion.model.id),
        "kind": stored(completion.model.kind),
        "params": as_json(completion.params),
        "price": price_text(completion.model.price),
        "resumes_id": completion.resumes_id,
        "discarded": completion.discarded,
        "hidden": completion.hidden,
        "created_at": moment(completion.created_at),
    }


def progress_columns(completion: Completion) -> Columns:
    """What changes while it runs, but the text."""
    return {
        **usage_columns(completion.usage),
        **cost_columns(completion.cost),
        "model_served": stored_or_null(completion.model_served),
        "request_id": stored_or_null(completion.request_id),
        "ttft_s": completion.ttft_s,
        "attempts": completion.attempts,
    }


def outcome_columns(completion: Completion) -> Columns:
    """What is known of a completion once it ended."""
    error = completion.error
    return {
        **progress_columns(completion),
        "text": stored(completion.text),
        "reasoning": stored(completion.reasoning),
        "finish_reason": completion.finish_reason,
        "error_kind": error.kind if error else None,
        "error_message": stored(error.message) if error else None,
        **saved_columns(completion.saved),
        "total_s": completion.total_s,
        "reasoning_s": completion.reasoning_s,
        "unreadable": whole(completion.unreadable),
        "warnings": as_json(completion.warnings),
    }


def loaded_completion(row: sqlite3.Row, text: str, reasoning: str) -> Completion:
    """Return a completion from the history; `text` and `reasoning` include what is still in pieces."""
    model = Model(loaded(row["provider"]), loaded(row["model"]), loaded(row["kind"]), price=loaded_price(row["price"]))
    return Completion(
        row["id"],
        row["turn_id"],
        model,
        loaded_moment(row["created_at"]),
        params=_params(row["params"]),
        resumes_id=row["resumes_id"],
        discarded=bool(row["discarded"]),
        hidden=loaded_flag(row, "hidden"),
        warnings=[str(line) for line in from_json(row["warnings"]) or ()],
        text_log=Log(text),
        reasoning_log=Log(reasoning),
        final_usage=loaded_usage(row),
        final_cost=loaded_cost(row),
        saved=loaded_saved(row),
        finish_reason=cast("FinishReason | None", row["finish_reason"]),
        error=_error(row),
        model_served=loaded_or_none(row["model_served"]),
        request_id=loaded_or_none(row["request_id"]),
        ttft_s=row["ttft_s"],
        total_s=row["total_s"],
        reasoning_s=row["reasoning_s"],
        attempts=row["attempts"],
        unreadable=row["unreadable"] or 0,
    )


def _error(row: sqlite3.Row) -> ChatError | None:
    kind = row["error_kind"]
    if kind is None:
        return None
    known = cast("ErrorKind", kind) if kind in _ERROR_KINDS else "internal"
    return ChatError(known, loaded(row["error_message"]))


# statements


def insert(connection: sqlite3.Connection, table: str, columns: Mapping[str, Value]) -> None:
    names = ", ".join(columns)
    places = ", ".join(f":{name}" for name in columns)
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", columns)


def update(connection: sqlite3.Connection, table: str, row_id: str, columns: Mapping[str, Value]) -> bool:
    """Update the row with this id; False when there is none."""
    changes = ", ".join(f"{name} = :{name}" for name in columns)
    cursor = connection.execute(f"UPDATE {table} SET {changes} WHERE id = :_id", {**columns, "_id": row_id})
    return cursor.rowcount > 0
