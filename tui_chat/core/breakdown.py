"""What one answer cost, factor by factor, so that the sum can be checked by hand.

The lines are made of the very parts that `cost_of` adds up: their sum is its amount, to the last digit.
"""

from datetime import datetime
from decimal import Decimal, localcontext
from typing import Literal

from tui_chat.core.pricing import EXACT, MILLION, Cost, PartName, Price, Window, cost_of, parts_of, windows_at
from tui_chat.core.record import record
from tui_chat.core.usage import CountedUsage, Usage

LineName = Literal[PartName, "fee", "window"]

_LABELS: dict[LineName, str] = {
    "input": "input",
    "cached": "input from the cache",
    "written": "input into the cache",
    "output": "output",
    "reasoning": "reasoning",
    "fee": "fee per request",
}
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@record
class Line:
    """One term of the sum."""

    name: LineName
    label: str
    tokens: int | None = None
    """`None` where they are not known; for what is not counted in tokens too."""
    per_mtok: Decimal | None = None
    amount: Decimal | None = None
    """In the currency of the price, exact; `None` when it is not known."""
    estimated: bool = False
    """The tokens are our count, not the provider's."""
    stands_in: bool = False
    """The price is that of the input, for want of one of its own: an upper bound."""
    note: str = ""
    """A few words on how it comes about."""


@record
class Breakdown:
    """One answer's cost and its terms."""

    lines: tuple[Line, ...]
    cost: Cost
    """What it cost: billed where the provider said so, else `computed`."""
    computed: Cost
    """What it costs by our prices: the sum of the lines."""


def breakdown(
    counted: CountedUsage, price: Price | None, at: datetime | None = None, billed_usd: Decimal | None = None
) -> Breakdown:
    """Return the terms of what `cost_of` returns for the same."""
    computed = cost_of(counted, price, at)
    cost = cost_of(counted, price, at, billed_usd) if billed_usd is not None else computed
    if price is None or not price.known or computed.amount is None:
        return Breakdown(_unknown(counted), cost, computed)
    with localcontext(EXACT):
        lines = _parts(counted, price)
        subtotal = sum((line.amount for line in lines if line.amount is not None), Decimal(0))
        for window in windows_at(price, at):
            more = subtotal * (window.factor - 1)
            lines.append(Line("window", window_name(window), amount=more, note="on all tokens above"))
            subtotal += more
    if price.per_request:
        lines.append(Line("fee", _LABELS["fee"], amount=price.per_request))
    return Breakdown(tuple(lines), cost, computed)


def _parts(counted: CountedUsage, price: Price) -> list[Line]:
    usage = counted.usage
    above = max((t.above_tokens for t in price.tiers if (usage.input_tokens or 0) > t.above_tokens), default=None)
    tier = f"above {_thousands(above)} input all of it has these prices" if above is not None else ""
    lines: list[Line] = []
    for part in parts_of(usage, price):
        if not part.tokens and part.name not in ("input", "output"):
            continue
        notes = [tier] if not lines else []
        if part.name == "output":
            notes.append(_reasoning(usage, price))
        if part.stands_in:
            notes.append("no price of its own: that of the input")
        label = _LABELS[part.name]
        if part.name == "input" and (usage.cached_input_tokens or usage.cache_write_tokens):
            label = "input, not cached"
        if part.name == "output" and price.reasoning_per_mtok is not None and usage.reasoning_tokens:
            label = "output, without reasoning"
        lines.append(
            Line(
                part.name,
                label,
                part.tokens,
                part.per_mtok,
                part.tokens * part.per_mtok / MILLION,
                _is_estimated(counted, part.name),
                part.stands_in,
                ", ".join(filter(None, notes)),
            )
        )
    return lines


def _unknown(counted: CountedUsage) -> tuple[Line, ...]:
    """Return the tokens alone: there is no price, or not all of them are known."""
    usage = counted.usage
    lines = [Line("input", "input", usage.input_tokens, estimated=_is_estimated(counted, "input"))]
    if usage.cached_input_tokens:
        lines.append(Line("cached", _LABELS["cached"], usage.cached_input_tokens, note="part of the input"))
    if usage.cache_write_tokens:
        lines.append(Line("written", _LABELS["written"], usage.cache_write_tokens, note="part of the input"))
    note = _reasoning(usage, None)
    lines.append(Line("output", "output", usage.output_tokens, estimated=_is_estimated(counted, "output"), note=note))
    return tuple(lines)


def _reasoning(usage: Usage, price: Price | None) -> str:
    own = price is not None and price.reasoning_per_mtok is not None
    return f"of which reasoning {usage.reasoning_tokens:,}" if usage.reasoning_tokens and not own else ""


def _is_estimated(counted: CountedUsage, name: PartName) -> bool:
    """Say whether the tokens of a part are our count. Subsets are never estimated, but what they are taken from is."""
    whole = "output_tokens" if name in ("output", "reasoning") else "input_tokens"
    if name in ("cached", "written", "reasoning"):
        return False
    return whole in counted.estimated or (counted.source == "estimated" and not counted.estimated)


def window_name(window: Window) -> str:
    """Return a window as people say it: `×2, weekdays 01:00–04:00 UTC`."""
    days = sorted(window.days)
    if len(days) == 7:
        when = "every day"
    elif days == [0, 1, 2, 3, 4]:
        when = "weekdays"
    elif days == [5, 6]:
        when = "weekends"
    else:
        when = ", ".join(_DAYS[day] for day in days)
    hours = "all day" if window.start == window.end else f"{window.start:%H:%M}–{window.end:%H:%M}"
    return f"×{plain(window.factor)}, {when} {hours} UTC"


def plain(value: Decimal, least: int = 0) -> str:
    """Return a decimal with all its digits and without an exponent, at least so many behind the point."""
    whole, _, behind = f"{value:f}".partition(".")
    behind = behind.rstrip("0").ljust(least, "0")
    return f"{whole}.{behind}" if behind else whole


def _thousands(count: int) -> str:
    return f"{count // 1000}k" if count % 1000 == 0 else f"{count:,}"


def price_lines(name: str, price: Price | None) -> str:
    """Return what config.toml needs for a model without a price.

    They stand behind a `#` without a figure: pasted as they are they set nothing; an example would be wrong money.
    """
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    wanted = [key for key in ("input_per_mtok", "output_per_mtok") if price is None or getattr(price, key) is None]
    return "\n".join([f'[models."{quoted}"]', *(f"# {key} = PRICE" for key in wanted)])
