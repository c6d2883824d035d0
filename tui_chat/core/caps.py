"""Limits over many answers as values: what a limit adds up, how it stands, what an answer asks for and gets.

The budgets (`budget.py`) ask with these and the ledger of the store answers with them, inside one transaction; so the
arithmetic of a grant stands here, where both can see it, and neither room knows the other.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from decimal import ROUND_UP, Decimal, localcontext
from typing import Literal

from tui_chat.core.pricing import EXACT
from tui_chat.core.record import record

Scope = Literal["answer", "tokens", "price", "run", "chat", "day", "month"]
"""What a limit adds up: one answer, all of one run of a command, a conversation, a local calendar day or month.

`tokens` is the length of an answer whose price nobody knows, `price` that such a one is not sent at all.
"""

LEAST_TOKENS = 16
"""Output for which there must be room; some servers refuse to be asked for less."""

Level = Literal["quiet", "warn", "reached"]
"""How loud a gauge of a limit has to be."""

_SHARE = 8
"""An answer takes at most this part of what is left at once, so that several can begin near a limit."""

_STEPS = 32
"""But not less than this part of a slice: near the limit the ledger must not be asked for every token."""

_GRAIN = Decimal("1e-9")
"""Shares are whole multiples of it: each is a part of what others left, and would have more digits than the last."""


@record
class Span:
    """The charges that a limit adds up."""

    scope: Scope
    name: str
    """What the user calls the limit: `budget.daily_usd`."""
    cap_usd: Decimal
    since: datetime | None = None
    """Aware; with `until` for a day or a month."""
    until: datetime | None = None
    """When it begins anew."""
    conversation_id: str | None = None
    """For a limit of one conversation."""


@record
class Balance:
    """How a limit stands."""

    span: Span
    spent_usd: Decimal = Decimal(0)
    """The sum of the charges."""
    at_most_usd: Decimal = Decimal(0)
    """The same with stopped answers at what they may be billed in full: this is what counts."""
    held_usd: Decimal = Decimal(0)
    """What running answers have set aside beyond what they were charged so far."""

    @property
    def left_usd(self) -> Decimal:
        """What can still be set aside; below 0 when the limit was passed."""
        with localcontext(EXACT):
            return self.span.cap_usd - self.at_most_usd - self.held_usd

    @property
    def share(self) -> float:
        """The part of the limit that is spent: 0 to 1, and above when it was passed."""
        return float(self.at_most_usd / self.span.cap_usd) if self.span.cap_usd else 1.0

    def grown(self, usd: Decimal, cap_usd: Decimal | None = None) -> "Balance":
        """Return it with so much more spent, and the limit as it is now where that is another."""
        span = self.span if cap_usd in (None, self.span.cap_usd) else replace(self.span, cap_usd=cap_usd)
        if not usd and span is self.span:
            return self
        with localcontext(EXACT):
            return replace(self, span=span, spent_usd=self.spent_usd + usd, at_most_usd=self.at_most_usd + usd)


@record
class Claim:
    """What an answer asks for before it is sent, and again while it runs."""

    completion_id: str
    conversation_id: str
    at: datetime
    """When its request was made, aware UTC: that day and that month pay."""
    spans: tuple[Span, ...]
    used_usd: Decimal
    """What it has cost so far; before sending, what its input will cost."""
    least_usd: Decimal
    """What must be there on top, else it is refused."""
    slice_usd: Decimal
    """What it takes on top where there is plenty."""
    whole: bool = False
    """The slice is all it may ever be billed: whoever may be billed on after a stop cannot come back for more."""
    among: int = 1
    """How many answers, this one included, are about to ask: a whole one leaves the others theirs."""

    def share_of(self, left_usd: Decimal) -> Decimal | None:
        """Return what it gets of what is left, its own hold included; `None` when that is too little."""
        with localcontext(EXACT):
            free = left_usd - self.used_usd
            if free <= 0 or free < self.least_usd:
                return None
            share = free / (self.among if self.whole else _SHARE)
            part = max(self.least_usd, self.slice_usd / _STEPS, min(self.slice_usd, share))
            return self.used_usd + min(free, part.quantize(_GRAIN, ROUND_UP))


@record
class Reserved:
    """What the ledger said to a claim."""

    held_usd: Decimal | None
    """What is set aside for the answer now; `None` = refused, and what it held before stays."""
    balances: tuple[Balance, ...]
    """The limits without this answer, in the order of the claim's spans."""

    @property
    def tightest(self) -> Balance:
        """The limit with the least left."""
        return tightest(self.balances)


def tightest(balances: Iterable[Balance]) -> Balance:
    return min(balances, key=lambda balance: balance.left_usd)
