"""What stopping an answer kept from being generated, as a range that can be defended; and what it may cost yet.

Nobody knows how long the answer would have become. Two figures are honest: it could not have gone beyond the longest
answer that was asked for, and it would probably have been as long as this user's finished answers by this model are.
Where neither is known, nothing is claimed; nor where the provider bills a stopped answer to its end.
"""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal, localcontext

from tui_chat.core.pricing import EXACT, Price, cost_of
from tui_chat.core.record import record
from tui_chat.core.usage import CountedUsage

LEAST_ANSWERS = 5
"""Finished answers that make a median."""


@record
class Saved:
    """Money that was not spent, in USD."""

    typical: Decimal | None = None
    """As against a usual answer; `None` while there are too few of them."""
    ceiling: Decimal | None = None
    """As against the longest one that was allowed; `None` where there was no limit."""

    @property
    def low(self) -> Decimal:
        return Decimal(0) if self.typical is None else self.typical

    @property
    def high(self) -> Decimal:
        return self.low if self.ceiling is None else max(self.ceiling, self.low)


def saved_by_stopping(
    used: CountedUsage, price: Price | None, at: datetime, *, longest: int | None, usual: int | None
) -> Saved | None:
    """Return what was not spent on an answer that was stopped with `used` tokens; `None` when nobody can say.

    `longest` is the limit of tokens that was asked for, `usual` the median of finished answers.
    """
    output = used.usage.output_tokens
    if output is None or (longest is None and usual is None):
        return None
    spent = cost_of(used, price, at)
    if spent.usd is None:
        return None

    def rest(tokens: int | None) -> Decimal | None:
        if tokens is None:
            return None
        whole = replace(used, usage=replace(used.usage, output_tokens=max(tokens, output)))
        cost = cost_of(whole, price, at)
        return None if cost.usd is None or spent.usd is None else cost.usd - spent.usd

    found = Saved(rest(usual if longest is None or usual is None else min(usual, longest)), rest(longest))
    return found if found.high > 0 else None


def billed_in_full(used: CountedUsage, price: Price | None, at: datetime, longest: int) -> Decimal | None:
    """Return the USD that an answer of `used` tokens costs when it is billed as one of `longest` tokens.

    What is still to come counts as reasoning where that is dearer. `None` when nobody can say, or when it is not more.
    """
    rest, spent = saved_by_stopping(used, price, at, longest=longest, usual=None), cost_of(used, price, at).usd
    more = longest - (used.usage.output_tokens or 0)
    thought = replace(used.usage, output_tokens=longest, reasoning_tokens=(used.usage.reasoning_tokens or 0) + more)
    if rest is None or spent is None:
        return None
    with localcontext(EXACT):
        return max(spent + rest.high, cost_of(replace(used, usage=thought), price, at).usd or Decimal(0))
