"""What was spent, added up: one row for each day, model, conversation or provider, with exact sums.

The store fills these records; the screen and the command line show them, and both word money here, so that they cannot
say different things. Play money never gets in.
"""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal, localcontext
from typing import Literal

from tui_chat.core.format import amount
from tui_chat.core.record import record
from tui_chat.core.settings import UISettings

By = Literal["day", "model", "conversation", "provider"]
GROUPINGS: tuple[By, ...] = ("day", "model", "conversation", "provider")

EXACT_DIGITS = 200
"""Precision at which no sum of amounts is ever rounded."""


@record
class Foreign:
    """What was charged in a currency that has no rate: shown as it is, never converted."""

    currency: str
    amount: Decimal
    estimated: bool = False
    """Part of it is."""


@record
class UsageRow:
    """All charges with the same key."""

    key: str
    """A local day as `2026-01-31`, `provider/model`, a conversation's id (empty when nothing was kept), a provider."""
    title: str
    """The same for people."""
    answers: int = 0
    """Answers that were asked for; one that took several attempts counts once, though each attempt is charged."""
    stopped: int = 0
    """Those of them that the user or a budget stopped."""
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int | None = None
    """Of those answers whose provider reported it; `None` when none did."""
    reasoning_tokens: int | None = None
    settled_usd: Decimal = Decimal(0)
    estimated_usd: Decimal = Decimal(0)
    """What is not settled: our own counts, and what still runs."""
    charges: int = 0
    priced: int = 0
    """Charges with a known price in USD, zero included."""
    free: int = 0
    """Charges with a known price of zero."""
    unknown: int = 0
    """Charges whose price nobody knows."""
    foreign: tuple[Foreign, ...] = ()
    saved_low: Decimal | None = None
    """USD that stopping saved at least; `None` where nothing can be said."""
    saved_high: Decimal | None = None
    cut: int = 0
    """Those of the stopped that a budget stopped."""
    clamped: int = 0
    """Answers that were asked to be shorter, for a budget had no room for more."""
    waits: int = 0
    """Answers that waited for their turn, for a limit on requests or tokens."""
    waited_s: float = 0.0
    """How long, all together."""

    @property
    def usd(self) -> Decimal:
        """Everything that is known in USD."""
        return exact_sum((self.settled_usd, self.estimated_usd))

    @property
    def cost_known(self) -> bool:
        """All of it is known in USD."""
        return self.priced == self.charges


@record
class UsageTable:
    by: By
    since: date | None
    """The first local day in it; `None` = from the beginning."""
    rows: tuple[UsageRow, ...]
    """Days with the newest first; everything else with the dearest first."""
    total: UsageRow


@record
class OwnCurrency:
    """The currency in which the user thinks, at the user's own rate."""

    code: str
    rate: Decimal
    """Units of it for one USD."""


def own_currency(settings: UISettings) -> OwnCurrency | None:
    """Return the user's own currency; `None` when there is none, or no rate for it."""
    code, rate = settings.currency, settings.currency_rate
    return None if code is None or rate is None else OwnCurrency(code, rate)


def exact_sum(amounts: Iterable[Decimal]) -> Decimal:
    with localcontext() as context:
        context.prec = EXACT_DIGITS
        return sum(amounts, Decimal(0))


def money(row: UsageRow, own: OwnCurrency | None = None, *, signs: bool = True) -> tuple[str, str]:
    """Return what a row cost, and what goes behind it: `("~$41.30", " (€38.00) + ¥3.40 + ?")`.

    The first part is `$?` when nothing is known and `free` for an explicit price of zero. Without `signs` all
    currencies but USD stand with their code.
    """

    def plain(value: Decimal, currency: str) -> str:
        shown = amount(value, currency)
        return shown if signs or shown.isascii() else f"{currency} {amount(value)[1:]}"

    others = [f"{'~' if each.estimated else ''}{plain(each.amount, each.currency)}" for each in row.foreign]
    if row.unknown and row.unknown == row.charges:
        return "$?", ""
    unknown = " + ?" if row.unknown else ""
    usd = row.usd
    if not row.priced and others:
        return others[0], "".join(f" + {each}" for each in others[1:]) + unknown
    if usd == 0 and row.charges and row.free == row.charges:
        return "free", ""
    text = f"{'~' if row.estimated_usd else ''}{amount(usd)}"
    converted = f" ({plain(usd * own.rate, own.code)})" if own is not None and usd else ""
    return text, converted + "".join(f" + {each}" for each in others) + unknown


def saved_text(row: UsageRow, *, dash: str = "–", at_most: str = "≤") -> str:
    """Return what stopping saved: `$0.0012–$0.0061`, `≤ $0.0061`, `~$0.0012`; a dash for nothing."""
    low, high = row.saved_low, row.saved_high
    if low is None or high is None:
        return dash
    if not low:
        return f"{at_most} {amount(high)}"
    first, last = amount(low), amount(high)
    return f"~{first}" if first == last else f"{first}{dash}{last}"


def limits_text(row: UsageRow) -> str:
    """Return what limits did to answers: `2 cut, 5 given less room, 7 waited 3 min`; empty where they did nothing."""
    done = [f"{row.cut:,} cut"] if row.cut else []
    done += [f"{row.clamped:,} given less room"] if row.clamped else []
    done += [f"{row.waits:,} waited {_duration(row.waited_s)}"] if row.waits else []
    return ", ".join(done)


def _duration(value: float) -> str:
    minutes = round(value / 60)
    if value < 90:
        return f"{value:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def tokens_text(count: int) -> str:
    """Return a sum of tokens in at most six characters: `9,999`, `12.3k`, `512k`, `1.41M`, `2.03B`."""
    if count < 10_000:
        return f"{count:,}"
    for size, unit in ((1_000, "k"), (1_000_000, "M"), (1_000_000_000, "B")):
        scaled = count / size
        if scaled < 99.95:
            return f"{scaled:.1f}{unit}" if unit == "k" or scaled >= 9.995 else f"{scaled:.2f}{unit}"
        if scaled < 999.5 or unit == "B":
            return f"{scaled:,.0f}{unit}"
    return ""


def day_title(day: date, today: date) -> str:
    """Return a day as people say it: `today`, `yesterday`, `Thu 19 Nov`, and the year where it is another."""
    ago = (today - day).days
    if ago in (0, 1):
        return ("today", "yesterday")[ago]
    return f"{day:%a} {day.day} {day:%b}" + (f" {day.year}" if day.year != today.year else "")
