"""The ledger, added up. It reads the charges alone; of the conversations only the titles that are still there.

Amounts are decimal text, which SQLite cannot add without rounding, so they are added here: one pass over plain tuples,
a microsecond or two for each charge.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any

from tui_chat.core.days import midnight
from tui_chat.core.usage_report import EXACT_DIGITS, By, Foreign, UsageRow, UsageTable, day_title
from tui_chat.store import rows
from tui_chat.store.migrations import version_of

_ZERO = Decimal(0)
_STOPPED = frozenset(("cancelled", "budget"))
_ANSWERS = frozenset(("answer", "batch"))
_COUNTS = (
    "answers", "stopped", "charges", "priced", "free", "unknown", "input", "output", "cut", "clamped", "waits",
    "waited_s",
)  # fmt: skip
_TELLING = 5
"""Letters from which on a model's name says something without its provider."""
_KEYS = {
    "day": "at",
    "model": "provider, model",
    "conversation": "conversation_id",
    "provider": "provider",
}
_COLUMNS = (
    "at, completion_id, purpose, finish_reason, input_tokens, output_tokens, cached_input_tokens, reasoning_tokens, "
    "cost_usd, cost_amount, cost_currency, cost_source, cost_quality = 'reported' AND state = 'settled'"
)
_NOTHING = (
    "cost_usd = '0' AND cost_source IS NULL AND input_tokens IS NULL AND output_tokens IS NULL AND state = 'settled'"
)
"""The server refused after all: no answer, and nothing owed."""


def usage(connection: sqlite3.Connection, by: By, since: datetime | None, now: datetime) -> UsageTable:
    """Return what all charges since an aware time come to, play money left out. Days are local."""
    version = version_of(connection)  # of one that is only read it may be an older one
    saved = "saved_typical, saved_ceiling" if version > 2 else "NULL, NULL"
    held = "clamped_to, queued_s" if version > 4 else "NULL, NULL"
    where = "" if since is None else "AND at >= ? "
    cursor = connection.cursor()
    cursor.row_factory = None
    found = cursor.execute(
        f"SELECT {_COLUMNS}, {saved}, {held}, {_KEYS[by]} FROM charges "
        f"WHERE NOT play AND NOT ({_NOTHING}) {where}ORDER BY n",
        () if since is None else (rows.moment(since),),
    )
    sums = _summed(found, by)
    total = _Sum()
    with localcontext() as context:
        context.prec = EXACT_DIGITS
        for each in sums.values():
            total.take(each)
        made = _rows(connection, by, sums, now.astimezone().date())
    first = None if since is None else since.astimezone().date()
    return UsageTable(by, first, tuple(made), total.row("", "total"))


def daily(connection: sqlite3.Connection, days: int, now: datetime) -> tuple[UsageRow, ...]:
    """Return one row for each of the last `days` local days, the oldest first, today last; empty ones too."""
    today = now.astimezone().date()
    wanted = [today - timedelta(days=ago) for ago in reversed(range(days))]
    if not wanted:
        return ()
    table = usage(connection, "day", midnight(wanted[0]), now)
    found = {row.key: row for row in table.rows}
    return tuple(
        found.get(day.isoformat()) or UsageRow(day.isoformat(), day_title(day, today)) for day in wanted
    )  # fmt: skip


class _Sum:
    """What the charges with one key come to, while they are added."""

    __slots__ = (
        "answers", "cached", "charges", "clamped", "cut", "estimated", "foreign", "foreign_estimated", "free", "input",
        "output", "priced", "reasoning", "saved_high", "saved_low", "settled", "stopped", "unknown", "waited_s",
        "waits",
    )  # fmt: skip

    def __init__(self) -> None:
        self.answers = self.stopped = self.charges = self.priced = self.free = self.unknown = 0
        self.input = self.output = self.cut = self.clamped = self.waits = 0
        self.waited_s = 0.0
        self.cached: int | None = None
        self.reasoning: int | None = None
        self.settled = self.estimated = _ZERO
        self.foreign: dict[str, Decimal] = {}
        self.foreign_estimated: set[str] = set()
        self.saved_low: Decimal | None = None
        self.saved_high: Decimal | None = None

    def save(self, low: Decimal, high: Decimal) -> None:
        self.saved_low = low if self.saved_low is None else self.saved_low + low
        self.saved_high = high if self.saved_high is None else self.saved_high + high

    def take(self, other: "_Sum") -> None:
        """Add another."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        if other.cached is not None:
            self.cached = (self.cached or 0) + other.cached
        if other.reasoning is not None:
            self.reasoning = (self.reasoning or 0) + other.reasoning
        self.settled += other.settled
        self.estimated += other.estimated
        for currency, amount in other.foreign.items():
            self.foreign[currency] = self.foreign.get(currency, _ZERO) + amount
        self.foreign_estimated |= other.foreign_estimated
        if other.saved_low is not None and other.saved_high is not None:
            self.save(other.saved_low, other.saved_high)

    def row(self, key: str, title: str) -> UsageRow:
        foreign = (Foreign(name, self.foreign[name], name in self.foreign_estimated) for name in sorted(self.foreign))
        return UsageRow(
            key, title, self.answers, self.stopped, self.input, self.output, self.cached, self.reasoning,
            self.settled, self.estimated, self.charges, self.priced, self.free, self.unknown, tuple(foreign),
            self.saved_low, self.saved_high, self.cut, self.clamped, self.waits, self.waited_s,
        )  # fmt: skip


def _summed(found: Iterator[tuple[Any, ...]], by: By) -> dict[Any, _Sum]:
    """Add the charges up by key: local days as text, models as pairs, the rest as stored."""
    sums: dict[Any, _Sum] = {}
    seen: set[Any] = set()
    days = _Days()
    with localcontext() as context:
        context.prec = EXACT_DIGITS
        for (
            at, completion, purpose, ending, tokens_in, tokens_out, cached, reasoning,
            usd, amount, currency, source, settled, typical, ceiling, clamped, queued_s, *key,
        ) in found:  # fmt: skip
            name: Any = days.of(at) if by == "day" else key[0] if len(key) == 1 else tuple(key)
            try:
                into = sums[name]
            except KeyError:
                into = sums[name] = _Sum()
            into.charges += 1
            if purpose in _ANSWERS and (completion is None or completion not in seen):
                seen.add(completion)
                into.answers += 1
                into.clamped += clamped is not None  # all attempts were asked for as much
            if ending in _STOPPED:
                into.stopped += 1
                into.cut += ending == "budget"
            into.waits += bool(queued_s)
            into.waited_s += queued_s or 0
            into.input += tokens_in or 0
            into.output += tokens_out or 0
            if cached is not None:
                into.cached = (into.cached or 0) + cached
            if reasoning is not None:
                into.reasoning = (into.reasoning or 0) + reasoning
            if usd is not None:
                value = Decimal(usd)
                into.priced += 1
                if settled:
                    into.settled += value
                else:
                    into.estimated += value
                if not value and source not in (None, "billed"):
                    into.free += 1
            elif amount is not None and currency is not None:
                unit = rows.loaded(currency)
                into.foreign[unit] = into.foreign.get(unit, _ZERO) + Decimal(amount)
                if not settled:
                    into.foreign_estimated.add(unit)
            else:
                into.unknown += 1
            if typical is not None or ceiling is not None:
                low = _ZERO if typical is None else Decimal(typical)
                into.save(low, low if ceiling is None else max(low, Decimal(ceiling)))
    return sums


class _Days:
    """Local days of moments as they are stored. Charges come nearly in order, so the last day is mostly right."""

    def __init__(self) -> None:
        self._start = self._end = self._day = ""

    def of(self, at: str) -> str:
        if not self._start <= at < self._end:
            day = datetime.fromisoformat(at).astimezone().date()
            self._start, self._end = rows.moment(midnight(day)), rows.moment(midnight(day + timedelta(days=1)))
            self._day = day.isoformat()
        return self._day


def _rows(connection: sqlite3.Connection, by: By, sums: dict[Any, _Sum], today: date) -> list[UsageRow]:
    names = _names(connection, by, list(sums), today)
    made = [each.row(*name) for each, name in zip(sums.values(), names, strict=True)]
    made.sort(key=lambda row: row.key, reverse=by == "day")
    if by != "day":
        made.sort(key=lambda row: (row.usd, row.output_tokens), reverse=True)
    return made


def _names(connection: sqlite3.Connection, by: By, keys: list[Any], today: date) -> Iterator[tuple[str, str]]:
    """Yield the key for scripts and the title for people of each."""
    if by == "model":
        pairs = [(rows.loaded(provider), rows.loaded(model)) for provider, model in keys]
        times = Counter(model for _, model in pairs)
        for provider, model in pairs:
            full = f"{provider}/{model}"
            alone = times[model] == 1 and "/" not in model and len(model) >= _TELLING
            yield full, model if alone else full
        return
    titles = _titles(connection) if by == "conversation" else {}
    for key in keys:
        name = rows.loaded(key)
        match by:
            case "day":
                yield name, day_title(date.fromisoformat(name), today)
            case "conversation":
                gone = "deleted chat" if name else "not kept"
                yield name, (titles[name].strip() or "untitled") if name in titles else gone
            case _:
                yield name, name


def _titles(connection: sqlite3.Connection) -> dict[str, str]:
    cursor = connection.cursor()
    cursor.row_factory = None
    found = cursor.execute(
        "SELECT id, title FROM conversations WHERE id IN (SELECT DISTINCT conversation_id FROM charges WHERE NOT play)"
    )
    return {rows.loaded(name): rows.loaded(title) for name, title in found}
