"""How limits are worded: why an answer was cut or not sent, and how a limit stands."""

from datetime import datetime
from decimal import Decimal

from tui_chat.core.budget import named
from tui_chat.core.caps import LEAST_TOKENS, Balance, Claim, Scope, Span
from tui_chat.core.errors import BudgetError
from tui_chat.core.format import amount

RAISE = "raise it in config.toml"


def stopped(scope: Scope, words: str, span: Span | None = None) -> BudgetError:
    wait = "" if span is None or span.until is None else f", or wait until {_moment(span.until)},"
    return BudgetError(f"stopped by {words}; {RAISE}{wait} to hear more", scope)


def _moment(at: datetime) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M}"


def standing(balance: Balance) -> str:
    """Return how a limit stands: `$41.30 of $50.00 is spent, $8.70 is left until 2026-12-01 00:00`."""
    span = balance.span
    until = "" if span.until is None else f" until {_moment(span.until)}"
    left = amount(balance.left_usd) if balance.left_usd > 0 else "nothing"
    return f"{_spent(balance, f' of {amount(span.cap_usd)}')}, {left} is left{until}"


def _spent(balance: Balance, limit: str = "") -> str:
    """Return what is spent, as a range where the bill of a stopped answer may grow, and what is set aside."""
    spent = amount(balance.spent_usd)
    if balance.at_most_usd > balance.spent_usd:
        spent += f" to {amount(balance.at_most_usd)}"
    held = f", {amount(balance.held_usd)} set aside for running answers" if balance.held_usd else ""
    return f"{spent}{limit} is spent{held}"


def refusal(balance: Balance, claim: Claim) -> str:
    """Return why an answer is not sent: what is spent, what is left, when that changes, and what can be done."""
    span = balance.span
    left = (
        f"{amount(max(Decimal(0), balance.left_usd))} is left of {named(span.scope, span.cap_usd)} ({_spent(balance)})"
    )
    need = f"the prompt and {LEAST_TOKENS} tokens cost {amount(claim.used_usd + claim.least_usd)}"
    anew = "a new chat begins anew" if span.until is None else f"it begins anew on {_moment(span.until)}"
    return f"not sent: {left}, {need}; {anew}, or {RAISE} to ask now"
