"""What a provider itself says that an answer cost, in the usage objects of OpenAI's dialects.

`usage.cost` counts as billed when it is positive. Zero counts only from OpenRouter, known by its other fields, where
free models are really free; LiteLLM says 0 for every model that its price table does not know. With one's own key at
OpenRouter (`is_byok`) the upstream's bill is added to its fee, or nothing is said when that bill is not known. xAI
bills in `cost_in_usd_ticks`, 10^10 to the dollar.
"""

from decimal import Decimal

from tui_chat.core.usage import Usage
from tui_chat.providers.decoding import Object, count, first, inner

_TICKS = Decimal(10) ** 10
_MOST_USD = Decimal(100_000)


def billed(usage: Object) -> Decimal | None:
    """Return what the provider says it billed, in USD; `None` when it does not say, or cannot mean it."""
    ticks = count(usage, "cost_in_usd_ticks")
    if ticks:
        return _usd(Decimal(ticks) / _TICKS)
    cost = usage.get("cost")
    if isinstance(cost, dict):
        cost = cost.get("usd", cost.get("total_cost"))
    amount = _usd(cost)
    if amount is None:
        return None
    details = inner(usage, "cost_details")
    if usage.get("is_byok") is True:
        upstream = _usd(details.get("upstream_inference_cost"))
        return amount + upstream if upstream is not None else None
    return amount if amount > 0 or "is_byok" in usage else None


def _usd(value: object) -> Decimal | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = Decimal(value)
    return value if isinstance(value, Decimal) and value.is_finite() and 0 <= value < _MOST_USD else None


def generation_bill(answer: object) -> tuple[Usage, Decimal] | None:
    """Return what OpenRouter's account of one answer says (`GET /generation`, openrouter.ai/docs, read 2026-11).

    `None` while it says nothing of money. The native counts are those that the upstream billed; reasoning is a part of
    the completion there.
    """
    account = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(account, dict) or (cost := _usd(account.get("total_cost"))) is None:
        return None
    sent = first(count(account, "native_tokens_prompt"), count(account, "tokens_prompt"))
    answered = first(count(account, "native_tokens_completion"), count(account, "tokens_completion"))
    cached, thought = count(account, "native_tokens_cached"), count(account, "native_tokens_reasoning")
    return Usage(sent, answered, cached, None, thought), cost
