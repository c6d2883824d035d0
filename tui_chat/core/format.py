"""Figures as people read them. Rounding happens here and nowhere else (half to even).

Quality marks: `~` estimated, `$?` unknown, `free` an explicit zero price, `–` nothing was charged, `play` demo money.
"""

from decimal import ROUND_HALF_EVEN, Decimal

from tui_chat.core.pricing import Cost
from tui_chat.core.record import record

_SMALLEST = Decimal("0.000001")
_CENT = Decimal("0.01")
_SIGNS = {"USD": "$", "EUR": "€", "GBP": "£", "CNY": "¥", "JPY": "¥"}


def amount(value: Decimal, currency: str = "USD") -> str:
    """Return money with as many decimals as it needs: `$12.40`, `$0.0412`, `$0.00017`, `<$0.000001`."""
    sign = _SIGNS.get(currency, f"{currency} ")
    if value < 0:
        return f"-{amount(-value, currency)}"
    if value == 0:
        return f"{sign}0"
    if value < _SMALLEST:
        return f"<{sign}{_SMALLEST:f}"
    if value < _CENT:
        rounded = _rounded(value, 1 - value.adjusted())
        return f"{sign}{_rounded(value, 1 - rounded.adjusted()):f}"  # 0.00996 became 0.0100: one digit less
    rounded = _rounded(value, 4) if value < 1 else value
    return f"{sign}{rounded:f}" if rounded < 1 else f"{sign}{_rounded(value, 2):,f}"


def _rounded(value: Decimal, places: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN)


def cost(value: Cost) -> str:
    """Return the cost of one answer with its quality: `~$0.0031`, `$0.0029`, `$?`, `free`, `–`."""
    if value.amount is None:
        return "$?"
    mark = "~" if value.quality == "estimated" else ""
    if value.amount == 0:
        return "free" if value.price_source not in (None, "billed") else "–"
    return f"{mark}{amount(value.amount, value.currency)}"


@record
class Spent:
    """A total of costs; play money is never part of it."""

    usd: Decimal = Decimal(0)
    estimated: bool = False
    unknown: int = 0
    """How many answers in it have no known cost."""
    answers: int = 0
    play: bool = False
    """All of it is play money; only a conversation's own total may be."""


def total(spent: Spent) -> str:
    """Return a total: `$0.0412`, `~$0.0412`, `$0.0123 + ?`, `$?` when nothing in it is known, `$0` when empty."""
    if spent.unknown and spent.unknown == spent.answers:
        return "$?"
    text = ("play " if spent.play else "") + ("~" if spent.estimated and spent.usd else "") + amount(spent.usd)
    return f"{text} + ?" if spent.unknown else text


def ratio(value: Decimal) -> str:
    """Return how many times as much: three digits at most below 100, none behind the point above.

    `×1.0`, `×5.4`, `×5.36`, `×35.7`, `×120`, `×6,148`.
    """
    for places, below in ((2, 10), (1, 100)):
        rounded = _rounded(value, places)
        if rounded < below:
            text = f"{rounded:f}"
            return f"×{text[:-1] if places == 2 and text.endswith('0') else text}"
    return f"×{_rounded(value, 0):,f}"


def tokens(count: int | None) -> str:
    """Return a token count: exact below 10,000, then `12.3k`, `1.23M`; `?` when unknown."""
    if count is None:
        return "?"
    if count < 10_000:
        return str(count)
    if count < 999_950:
        return f"{count / 1000:.1f}k"
    return f"{count / 1_000_000:.2f}M"


def window(count: int) -> str:
    """Return the size of a context window: `128k`, `1.0M`."""
    if count >= 1_000_000:
        return f"{count / 1_000_000:.1f}M"
    return f"{count // 1000}k" if count >= 1000 else str(count)


def seconds(value: float) -> str:
    """Return a duration for the meter: `0.38 s`, `12.4 s`, `75 s`."""
    if value < 10:
        return f"{value:.2f} s"
    return f"{value:.1f} s" if value < 60 else f"{value:.0f} s"
