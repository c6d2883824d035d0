"""`tui-chat usage`: what was spent, as the ledger has it; deleting conversations changes nothing in it."""

import csv
import io
import json
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal

from tui_chat.bootstrap import Ground
from tui_chat.commands.history import open_history
from tui_chat.commands.output import say, write_text
from tui_chat.commands.text_tables import cells, draws, exact, fitted, formula_safe, terminal_width
from tui_chat.core.budget_words import standing as standing_of
from tui_chat.core.caps import Balance
from tui_chat.core.days import midnight
from tui_chat.core.format import amount
from tui_chat.core.safe_text import one_line
from tui_chat.core.standing import Standing, standing
from tui_chat.core.usage_report import (
    By,
    OwnCurrency,
    UsageRow,
    UsageTable,
    limits_text,
    money,
    own_currency,
    saved_text,
    tokens_text,
)

Form = Literal["table", "json", "csv"]

_WHOLE_TITLE, _TITLE = 28, 14
"""Cells of a title for which less is shown beside it, and for which whole columns go."""
_BAR = 16
_CSV_COLUMNS = (
    "key", "title", "answers", "stopped", "input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens",
    "cost_usd", "estimated_usd", "cost_known", "other_currencies", "saved_low_usd", "saved_high_usd",
)  # fmt: skip


def usage(by: By, form: Form, *, since: date | None = None, days: int | None = None) -> int:
    """Print what was spent; return the exit code. A history that is not there is not made."""
    ground = Ground.lay()
    for note in ground.notes:
        say(f"warning: {note}")
    if days is not None:
        since = _day_before(ground.clock.now().astimezone().date(), days - 1)
    table = UsageTable(by, since, (), UsageRow("", "total"))
    stands: list[Standing] = []
    now = ground.clock.now()
    caps = ground.budgets(None).balances(None, now)
    if ground.home.database.exists():
        begin = None if since is None else midnight(since)
        with open_history(ground) as history:
            table = history.store.usage(by, begin)
            caps = ground.budgets(history.store).balances(None, now)
            if by == "model" and form == "json":
                stands = standing(history.store.votes())
    match form:
        case "json":
            return write_text(json.dumps(_document(table, stands, caps), ensure_ascii=True, indent=1) + "\n")
        case "csv":
            return write_text(csv_text(table))
        case "table":
            text = table_text(table, own_currency(ground.config.ui), terminal_width(), plain=not draws())
            return write_text(text + _caps_text(caps))


def _day_before(day: date, days: int) -> date:
    try:
        return day - timedelta(days=days)
    except OverflowError:
        return date(1970, 1, 2)


# for programs


def _document(table: UsageTable, stands: Sequence[Standing] = (), caps: Sequence[Balance] = ()) -> dict[str, object]:
    """Return the document; of models it says too how they stand by all votes, whatever the time."""
    rows = [{"key": row.key, **_record(row), "title": row.title} for row in table.rows]
    if table.by == "model":
        known = {each.model: each for each in stands}
        rows = [row | _votes(known.get(str(row["key"]))) for row in rows]
    since = None if table.since is None else table.since.isoformat()
    total = {**_record(table.total), **_limited(table.total)}
    return {"by": table.by, "rows": rows, "total": total, "since": since, "caps": [_cap(each) for each in caps]}


def _cap(balance: Balance) -> dict[str, object]:
    span = balance.span
    return {
        "name": span.name,
        "cap_usd": float(span.cap_usd),
        "spent_usd": float(balance.spent_usd),
        "spent_at_most_usd": float(balance.at_most_usd),
        "held_usd": float(balance.held_usd),
        "left_usd": float(balance.left_usd),
        "resets_at": None if span.until is None else span.until.astimezone().isoformat(),
    }


def _limited(row: UsageRow) -> dict[str, object]:
    return {"cut": row.cut, "clamped": row.clamped, "waits": row.waits, "waited_s": round(row.waited_s, 3)}


def _votes(stands: Standing | None) -> dict[str, object]:
    return {"votes": stands.n if stands else 0, "wins": stands.wins if stands else 0}


def _record(row: UsageRow) -> dict[str, object]:
    low, high = row.saved_low, row.saved_high
    return {
        "answers": row.answers,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "cost_usd": float(row.usd),
        "cost_known": row.cost_known,
        "saved_by_stopping_usd": None if low is None or high is None else [float(low), float(high)],
        "stopped": row.stopped,
        "cached_input_tokens": row.cached_input_tokens,
        "reasoning_tokens": row.reasoning_tokens,
        "settled_usd": float(row.settled_usd),
        "estimated_usd": float(row.estimated_usd),
        "unknown_costs": row.unknown,
        "other_currencies": {each.currency: float(each.amount) for each in row.foreign},
    }


def csv_text(table: UsageTable) -> str:
    """Return the rows with a header, decimals exact; what is not known is empty, and no cell is a formula."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_CSV_COLUMNS)
    for row in table.rows:
        others = "; ".join(f"{each.currency} {each.amount:f}" for each in row.foreign)
        writer.writerow(
            [
                formula_safe(row.key),
                formula_safe(one_line(row.title, 500)),
                row.answers,
                row.stopped,
                row.input_tokens,
                row.output_tokens,
                row.cached_input_tokens,
                row.reasoning_tokens,
                exact(row.usd if row.priced else None),
                exact(row.estimated_usd if row.priced else None),
                "true" if row.cost_known else "false",
                formula_safe(others),
                exact(row.saved_low),
                exact(row.saved_high),
            ]
        )
    return out.getvalue()


# for people


def table_text(table: UsageTable, own: OwnCurrency | None, width: int, *, plain: bool = False) -> str:
    """Return the table for a terminal of `width` cells; `plain` where only ASCII can be drawn."""
    if not table.rows:
        since = f" since {table.since:%Y-%m-%d}" if table.since is not None else ""
        return f"nothing was spent{since or ' yet'}\n"
    rows = [*table.rows, table.total]
    costs = [money(row, own if row is table.total else None, signs=not plain) for row in rows]
    whole = max(len(main.partition(".")[0]) for main, _ in costs)
    digits = max(len("".join(main.partition(".")[1:])) for main, _ in costs)
    figures: list[list[str]] = []
    for row, (main, rest) in zip(rows, costs, strict=True):
        before, point, after = main.partition(".")
        saved = saved_text(row, dash="-" if plain else "–", at_most="<=" if plain else "≤")
        figures.append(
            [
                f"{row.answers:,}",
                tokens_text(row.input_tokens),
                tokens_text(row.output_tokens),
                f"{before:>{whole}}{point + after:<{0 if row is table.total else digits}}{rest}",
                saved if row.saved_low is not None else "",
            ]
        )
    heads = ["answers", "in", "out", "cost".rjust(whole + digits), "saved by stopping"]
    titles = [_title(table.by, row) for row in table.rows] + ["total"]
    return _laid_out(table, [table.by, *titles], [heads, *figures], width, plain=plain)


def _laid_out(table: UsageTable, titles: list[str], figures: list[list[str]], width: int, *, plain: bool) -> str:
    """Return the lines: titles at the left, figures right-aligned, a bar behind the cost; what has no room goes."""
    stopped = any(row.saved_low is not None for row in table.rows)
    columns = [0, 1, 2, 3, 4] if stopped else [0, 1, 2, 3]
    widths = [max(cells(row[column]) for row in figures) for column in range(5)]

    def taken() -> int:
        return sum(widths[column] + 2 for column in columns)

    longest = max(cells(title) for title in titles)
    if min(longest, _WHOLE_TITLE) + taken() > width:
        columns.remove(1)
    if min(longest, _WHOLE_TITLE) + taken() > width:
        figures[0][4] = "saved"
        widths[4] = max(cells(row[4]) for row in figures)
    for droppable in (4, 2):
        if droppable in columns and min(longest, _TITLE) + taken() > width:
            columns.remove(droppable)
    title_width = max(1, min(longest, width - taken()))
    bar_width = min(_BAR, width - title_width - taken() - 2)
    if bar_width < 4 or not table.total.usd:
        bar_width = 0
    most = max((row.usd for row in table.rows), default=Decimal(0))
    shares = [row.usd / most if most else Decimal(0) for row in table.rows]
    bars = ["", *(_bar(share, bar_width, plain=plain) for share in shares), ""]
    lines = []
    for title, shown, bar in zip(titles, figures, bars, strict=True):
        parts = [fitted(title, title_width, plain=plain)]
        for column in columns:
            cell = shown[column]
            parts.append(cell.ljust(widths[column]) if column == 3 else " " * (widths[column] - cells(cell)) + cell)
            if column == 3 and bar_width:
                parts.append(bar.ljust(bar_width))
        lines.append("  ".join(parts).rstrip())
    rule = ("-" if plain else "─") * max(cells(line) for line in lines)
    lines = [lines[0], rule, *lines[1:-1], rule, lines[-1]]
    return "\n".join([*lines, *_remarks(table.total, plain=plain)]) + "\n"


def _remarks(total: UsageRow, *, plain: bool) -> list[str]:
    """Return what the total does not say by itself."""
    said = []
    if total.estimated_usd:
        said.append(f"~{amount(total.estimated_usd)} of it is estimated, {amount(total.settled_usd)} settled.")
    if total.saved_low is not None:
        saved = saved_text(total, dash="-" if plain else "–", at_most="<=" if plain else "≤")
        said.append(f"Saved by stopping {_count(total.stopped, 'answer')}: {saved}.")
    if total.unknown:
        said.append(f"The price of {_count(total.unknown, 'answer')} is not known.")
    if total.foreign:
        units = ", ".join(each.currency for each in total.foreign)
        said.append(f"No rate for {units}: set usd_rate in the pricing of its provider in config.toml.")
    if limits := limits_text(total):
        said.append(f"Answers that met a limit: {limits}.")
    return ["", *said] if said else []


def _caps_text(caps: Sequence[Balance]) -> str:
    """Return how limits stand, a line each."""
    lines = [f"{each.span.name}: {standing_of(each)}.\n" for each in caps]
    return "".join(["\n", *lines]) if lines else ""


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _title(by: By, row: UsageRow) -> str:
    """Days stay as they sort; of conversations people know the title."""
    return one_line(row.title if by == "conversation" else row.key, 200)


def _bar(share: Decimal, width: int, *, plain: bool) -> str:
    """Return a bar of at most `width` cells; what is more than nothing is drawn."""
    if plain:
        return "#" * (max(1, round(share * width)) if share else 0)
    eighths = max(1, round(share * width * 8)) if share else 0
    full, rest = divmod(eighths, 8)
    return "█" * full + ("▏▎▍▌▋▊▉"[rest - 1] if rest else "")
