"""Prices and costs in exact decimals.

A `Price` is what one model costs; it rides in the request and is stored with the answer, so that a later price change
cannot rewrite history. `cost_of` is the one place where tokens become money. Nothing is rounded before display.
"""

from dataclasses import fields, replace
from datetime import date, datetime, time, timedelta
from decimal import Context, Decimal, localcontext
from typing import Any, Literal

from tui_chat.core.record import record
from tui_chat.core.usage import CountedUsage, Usage

CostQuality = Literal["reported", "estimated", "unknown"]
Record = dict[str, object]

MILLION = Decimal(1_000_000)
EXACT = Context(prec=200)
"""Enough digits for any cost, and any sum of costs, to stay unrounded."""
STALE_DAYS = 180
"""Figures older than this are shown with their month."""
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@record
class Tier:
    """Above `above_tokens` of input the whole request is charged at these prices."""

    above_tokens: int
    input_per_mtok: Decimal
    output_per_mtok: Decimal
    cached_input_per_mtok: Decimal | None = None
    cache_write_per_mtok: Decimal | None = None


@record
class Window:
    """A time of day (UTC) on some weekdays at which every price is multiplied.

    It goes over midnight when it ends before it starts, and lasts a day when both are the same.
    """

    start: time
    end: time
    days: frozenset[int]
    """Weekdays, Monday = 0; the day on which the window starts."""
    factor: Decimal

    @classmethod
    def parse(cls, utc: str, days: str, factor: Decimal) -> "Window":
        """Return the window for `"01:00-04:00"`, `"mon-fri"` or `"sat,sun"`; `""` is every day. Raises ValueError."""
        first, _, last = utc.partition("-")
        return cls(time.fromisoformat(first.strip()), time.fromisoformat(last.strip()), _weekdays(days), factor)

    def holds(self, at: datetime) -> bool:
        """Say whether `at` (an aware UTC time) lies in the window."""
        now = at.time().replace(tzinfo=None)
        if self.start < self.end:
            return at.weekday() in self.days and self.start <= now < self.end
        return (at.weekday() in self.days and now >= self.start) or (
            (at.weekday() - 1) % 7 in self.days and now < self.end
        )


def _weekdays(text: str) -> frozenset[int]:
    chosen: set[int] = set()
    for piece in filter(None, (p.strip() for p in text.split(","))):
        first, dash, last = piece.partition("-")
        a = _weekday(first)
        b = _weekday(last) if dash else a
        chosen.update((a + n) % 7 for n in range((b - a) % 7 + 1))
    return frozenset(chosen or range(7))


def _weekday(text: str) -> int:
    """Return 0 to 6 for `mon`, `Monday` and what lies between. Raises ValueError."""
    word = text.strip().lower()
    for number, name in enumerate(_DAY_NAMES):
        if len(word) >= 3 and name.startswith(word):
            return number
    raise ValueError(f"{text.strip()!r} is no weekday; write mon, tue, wed, thu, fri, sat or sun")


@record
class Price:
    """What one model costs, per million tokens. `None` = not known."""

    input_per_mtok: Decimal | None = None
    output_per_mtok: Decimal | None = None
    cached_input_per_mtok: Decimal | None = None
    cache_write_per_mtok: Decimal | None = None
    reasoning_per_mtok: Decimal | None = None
    """Only where reasoning has a price of its own; else it is charged as output."""
    per_request: Decimal | None = None
    tiers: tuple[Tier, ...] = ()
    windows: tuple[Window, ...] = ()
    currency: str = "USD"
    usd_rate: Decimal | None = Decimal(1)
    """USD for one unit of `currency`; `None` = amounts are shown in the currency only."""
    source: str = "unknown"
    """Where the figures come from: `config`, `bundled`, `play`, …"""
    as_of: str | None = None
    """The month or day for which the figures were read, as text."""
    play: bool = False
    """Play money of the built-in demo models: never enters a total."""

    @property
    def known(self) -> bool:
        return self.input_per_mtok is not None and self.output_per_mtok is not None

    @property
    def free(self) -> bool:
        """Explicitly zero: only then may the screen say `free`."""
        charged = (self.input_per_mtok, self.output_per_mtok, self.cached_input_per_mtok, self.cache_write_per_mtok)
        return self.known and not any((*charged, self.reasoning_per_mtok, self.per_request, self.tiers))

    def stale(self, now: datetime) -> str | None:
        """Return the month of the figures, as `2025-12`, when they are too old at `now` to stand without it."""
        return stale_month(self.as_of, now)

    def record(self) -> Record:
        """Return the price as plain JSON values, decimals as text."""
        plain: Record = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value is False or value == () or (value is None and field.name != "usd_rate"):
                continue  # not the zeros: a price of zero is a price
            if field.name == "tiers":
                plain["tiers"] = [_tier_record(tier) for tier in self.tiers]
            elif field.name == "windows":
                plain["windows"] = [
                    {
                        "utc": f"{w.start:%H:%M}-{w.end:%H:%M}",
                        "days": ",".join(_DAYS[d] for d in sorted(w.days)),
                        "factor": str(w.factor),
                    }
                    for w in self.windows
                ]
            else:
                plain[field.name] = _text(value)
        return plain

    @classmethod
    def from_record(cls, plain: Record) -> "Price":
        """Return the price that `record` was made of; what it leaves out has its default.

        Raises ValueError when a part of it cannot be read.
        """
        known: dict[str, Any] = {}
        try:
            for field in fields(cls):
                if field.name not in plain:
                    continue
                value: Any = plain[field.name]
                if field.name == "tiers":
                    value = tuple(
                        Tier(
                            int(tier["above_tokens"]),
                            Decimal(tier["input_per_mtok"]),
                            Decimal(tier["output_per_mtok"]),
                            None if (cached := tier["cached_input_per_mtok"]) is None else Decimal(cached),
                            None if (write := tier.get("cache_write_per_mtok")) is None else Decimal(write),
                        )
                        for tier in value
                    )
                elif field.name == "windows":
                    value = tuple(Window.parse(w["utc"], w["days"], Decimal(w["factor"])) for w in value)
                elif field.name not in ("currency", "source", "as_of", "play") and value is not None:
                    value = Decimal(value)
                known[field.name] = value
            return cls(**known)
        except (ArithmeticError, AttributeError, KeyError, TypeError) as failed:
            raise ValueError(f"not a price: {failed!r}") from failed


def stale_month(as_of: str | None, now: datetime) -> str | None:
    """Return the month in `as_of` (`2025-12`, `2025-12-31`) when more than 180 days lie between it and `now`, in UTC.

    A month counts from its last day. `None` when that is not so, or when it is no date.
    """
    as_of = as_of or ""
    try:
        day = date.fromisoformat(f"{as_of}-01" if len(as_of) == 7 else as_of)
        if len(as_of) == 7:
            day = (day + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    except (ValueError, OverflowError):
        return None
    return f"{day:%Y-%m}" if (now.date() - day).days > STALE_DAYS else None


def _tier_record(tier: Tier) -> Record:
    plain = {field.name: _text(getattr(tier, field.name)) for field in fields(tier)}
    if tier.cache_write_per_mtok is None:
        del plain["cache_write_per_mtok"]  # which the rows of before do not have
    return plain


def _text(value: object) -> object:
    return str(value) if isinstance(value, Decimal) else value


PartName = Literal["input", "cached", "written", "output", "reasoning"]


@record
class Part:
    """Tokens of an answer that are charged at one price."""

    name: PartName
    """`input` is what neither came from a cache nor went into one; `output` is without `reasoning` where that is."""
    tokens: int
    per_mtok: Decimal
    stands_in: bool = False
    """It has no price of its own: that of the input stands in, which is an upper bound."""


@record
class Cost:
    """What one answer cost. `amount` is `None` when no price is known."""

    amount: Decimal | None
    currency: str = "USD"
    usd: Decimal | None = None
    """The same in USD; `None` when unknown or without a rate."""
    quality: CostQuality = "unknown"
    price_source: str | None = None
    """Where the price came from; `None` when there is none or nothing was charged: only a zero price is `free`."""
    price_as_of: str | None = None
    play: bool = False


@record
class Charge:
    """One call of an API that cost something, as the ledger has it."""

    completion_id: str
    attempt: int
    model: str
    """As `provider/model`."""
    usage: Usage
    at: datetime
    """When the request was made, aware UTC."""
    cost: Cost


UNKNOWN_COST = Cost(None)
NOTHING = Cost(Decimal(0), "USD", Decimal(0), "reported")
"""Nothing was charged: the request failed before the provider took it."""


def cost_of(
    counted: CountedUsage, price: Price | None, at: datetime | None = None, billed_usd: Decimal | None = None
) -> Cost:
    """Return the cost of `counted` at `price`.

    `at` is the aware UTC time of the request, for prices by time of day. `billed_usd` is what the provider itself said
    it billed: it wins over everything. Unknown price or unknown tokens give `quality="unknown"`, never 0.
    """
    if billed_usd is not None:
        play = bool(price and price.play)
        source = price.source if price and price.free and not billed_usd else "billed"
        return Cost(billed_usd, "USD", billed_usd, "reported", source, at.date().isoformat() if at else None, play)
    if price is None or not price.known:
        return UNKNOWN_COST
    amount, exact = _amount(counted, price, at)
    if amount is None:
        return replace(UNKNOWN_COST, price_source=price.source, price_as_of=price.as_of, play=price.play)
    reported = exact and not counted.estimated and counted.source == "reported"
    return Cost(
        amount,
        price.currency,
        amount * price.usd_rate if price.usd_rate is not None else None,
        "reported" if reported else "estimated",
        price.source if amount or price.free else None,
        price.as_of,
        price.play,
    )


def parts_of(usage: Usage, price: Price) -> tuple[Part, ...]:
    """Return the tokens of an answer, each with the price it is charged at; no token is in two of them.

    Both token counts and both main prices must be known.
    """
    price_in, price_out, price_cached = price.input_per_mtok, price.output_per_mtok, price.cached_input_per_mtok
    price_write = price.cache_write_per_mtok
    assert price_in is not None  # noqa: S101  `known` was asked before
    assert price_out is not None  # noqa: S101
    assert usage.input_tokens is not None  # noqa: S101  so was this
    assert usage.output_tokens is not None  # noqa: S101
    for tier in sorted(price.tiers, key=lambda t: t.above_tokens):
        if usage.input_tokens > tier.above_tokens:
            price_in, price_out = tier.input_per_mtok, tier.output_per_mtok
            price_cached = price_cached if tier.cached_input_per_mtok is None else tier.cached_input_per_mtok
            price_write = price_write if tier.cache_write_per_mtok is None else tier.cache_write_per_mtok
    cached, written = usage.cached_input_tokens or 0, usage.cache_write_tokens or 0
    parts = [
        Part("input", max(0, usage.input_tokens - cached - written), price_in),
        Part("cached", cached, price_in if price_cached is None else price_cached, stands_in=price_cached is None),
        Part("written", written, price_in if price_write is None else price_write, stands_in=price_write is None),
    ]
    if price.reasoning_per_mtok is None:
        return (*parts, Part("output", usage.output_tokens, price_out))
    reasoning = usage.reasoning_tokens or 0
    parts.append(Part("output", max(0, usage.output_tokens - reasoning), price_out))
    return (*parts, Part("reasoning", reasoning, price.reasoning_per_mtok))


def windows_at(price: Price, at: datetime | None) -> tuple[Window, ...]:
    """Return the windows in which a request at `at` lies, an aware UTC time; none without a time."""
    return tuple(window for window in price.windows if window.holds(at)) if at is not None else ()


def _amount(counted: CountedUsage, price: Price, at: datetime | None) -> tuple[Decimal | None, bool]:
    """Return the amount, and False when a missing cache price made it an upper bound."""
    if counted.usage.input_tokens is None or counted.usage.output_tokens is None:
        return None, False
    parts = parts_of(counted.usage, price)
    with localcontext(EXACT):
        total = sum((part.tokens * part.per_mtok for part in parts), Decimal(0))
        for window in windows_at(price, at):
            total *= window.factor
        amount = total / MILLION + (price.per_request or 0)
    return amount, not any(part.tokens and part.stands_in for part in parts)
