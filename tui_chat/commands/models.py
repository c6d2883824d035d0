"""`tui-chat models`: what can be asked, and what it costs."""

import asyncio
import json
import re
from contextlib import aclosing
from decimal import Decimal

from tui_chat.bootstrap import Ground
from tui_chat.commands.output import say, write_text
from tui_chat.core import format as fmt
from tui_chat.core.model import Model
from tui_chat.core.safe_text import one_line

_MILLION = Decimal(1_000_000)
_MOST_TOKENS = 10**15
_UNITS = {"": 1, "k": 1_000, "m": 1_000_000, "b": 1_000_000_000, "g": 1_000_000_000}


def count_of(text: str) -> int:
    """Return the number of tokens that `10M`, `250k` or `1_000` means. Raises ValueError."""
    found = re.fullmatch(r"(\d[\d_,]*(?:\.\d+)?) ?([kmbg]?)", text.strip().lower(), re.ASCII)
    if not found:
        raise ValueError(f"{one_line(text, 40)!r} is no number of tokens, such as 10M or 250k")
    count = Decimal(found[1].replace("_", "").replace(",", "")) * _UNITS[found[2]]
    if count > _MOST_TOKENS:
        raise ValueError(f"{one_line(text, 40)!r} is more than {_MOST_TOKENS:,} tokens")
    return int(count)


def models(*, known: bool, as_json: bool, project: int | None, refresh: bool = False) -> int:
    """Print the models; return the exit code. With `project` the cheapest come first."""
    ground = Ground.lay()
    for note in ground.notes:
        say(f"warning: {note}")
    if refresh:
        for failure in asyncio.run(_refresh(ground)):
            say(f"warning: {failure}")
    shown = list(ground.catalog.known() if known else ground.catalog.usable())
    if not refresh and (silent := [name for name in ground.config.providers if not ground.catalog.names_at(name)]):
        say(f"note: no model of {', '.join(silent)} is known yet; tui-chat models --refresh asks for their lists")
    if project is not None:
        shown.sort(key=lambda model: _rank(model, project))
    if as_json:
        return write_text(json.dumps([_record(model, project) for model in shown], ensure_ascii=True, indent=1) + "\n")
    return write_text(_table(shown, project))


async def _refresh(ground: Ground) -> list[str]:
    """Fetch the prices, and ask every provider that can be used for its list; return what went wrong, a line each.

    A server on this machine that nobody configured is no failure when it is not there.
    """
    async with aclosing(ground.providers()) as providers:
        lists = ground.model_lists(providers)
        prices, *_ = await asyncio.gather(ground.renew_prices(), lists.refresh(everything=True), lists.find_local())
    configured = ground.config.providers
    entries = ground.catalog
    failed = [
        words
        for name, words in lists.failures.items()
        if name in configured or ((entry := entries.entry(name)) is not None and not entry.local)
    ]
    return [prices, *failed] if prices else failed


def _projected(model: Model, tokens: int) -> tuple[Decimal | None, Decimal | None]:
    """Return what so many output tokens cost: in the price's currency, and in USD."""
    price = model.price
    if price is None or price.output_per_mtok is None:
        return None, None
    amount = price.output_per_mtok * tokens / _MILLION
    return amount, None if price.usd_rate is None else amount * price.usd_rate


def _rank(model: Model, project: int) -> tuple[bool, bool, Decimal]:
    """Cheapest first, then what costs nobody knows how much, play money last."""
    usd = _projected(model, project)[1]
    return model.scripted, usd is None, usd or Decimal(0)


def _record(model: Model, project: int | None) -> dict[str, object]:
    price = model.price
    record: dict[str, object] = {
        "model": model.name,
        "context_window": model.context_window,
        "input_per_mtok": _number(price.input_per_mtok if price else None),
        "cached_input_per_mtok": _number(price.cached_input_per_mtok if price else None),
        "cache_write_per_mtok": _number(price.cache_write_per_mtok if price else None),
        "output_per_mtok": _number(price.output_per_mtok if price else None),
        "currency": price.currency if price else None,
        "price_source": price.source if price else None,
        "price_as_of": price.as_of if price else None,
        "available": model.missing is None,
    }
    if project is not None:
        record["projected"] = _number(_projected(model, project)[0])
    return record


def _number(figure: Decimal | None) -> float | None:
    return None if figure is None else float(figure)


def _table(shown: list[Model], project: int | None) -> str:
    head = ["model", "context", "in / Mtok", "cached", "out / Mtok", "as of"]
    if project is not None:
        head += [f"{_short(project)} out", "times"]
    head.append("found")
    cheapest = min(
        (usd for model in shown if not model.scripted and (usd := _projected(model, project or 0)[1])), default=None
    )
    rows = [head, *(_row(model, project, cheapest) for model in shown)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    left = {0, len(head) - 1}
    lines = [
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def _row(model: Model, project: int | None, cheapest: Decimal | None) -> list[str]:
    price = model.price
    currency = price.currency if price else "USD"
    figures = (price.input_per_mtok, price.cached_input_per_mtok, price.output_per_mtok) if price else (None,) * 3
    free = price is not None and price.free
    row = [
        one_line(model.name, 80),
        fmt.window(model.context_window) if model.context_window else "?",
        *("?" if figure is None else "free" if free else _figure(figure, currency) for figure in figures),
        "play money" if model.scripted else (price.as_of if price and price.as_of else "–"),
    ]
    if project is not None:
        amount, usd = _projected(model, project)
        row.append("?" if amount is None else fmt.amount(amount, currency))
        row.append(fmt.ratio(usd / cheapest) if usd and cheapest and not model.scripted else "")
    row.append(one_line(model.missing or model.found, 100))
    return row


def _figure(figure: Decimal, currency: str) -> str:
    """Return a price as vendors write it, with cents and as many decimals more as it has: `$2.00`, `$0.028`."""
    sign = fmt.amount(Decimal(0), currency).removesuffix("0")
    plain = figure.normalize()
    return f"{sign}{plain.quantize(Decimal('0.01')) if plain == plain.quantize(Decimal('0.01')) else plain:f}"


def _short(count: int) -> str:
    """Return `10M` for ten million."""
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if count >= size and count % (size // 10) == 0:
            return f"{Decimal(count) / size:f}{unit}"
    return str(count)
