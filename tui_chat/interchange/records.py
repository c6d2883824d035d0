"""The parts that every JSON of the program shares: usage, cost, timings, error. Their shapes are the contract's."""

import math
from decimal import Decimal

from tui_chat.core.completion import Completion
from tui_chat.core.errors import ChatError
from tui_chat.core.pricing import Cost
from tui_chat.core.usage import CountedUsage, Usage

Json = dict[str, object]

NO_USAGE = CountedUsage(Usage(), "estimated")


def usage_record(counted: CountedUsage) -> Json:
    usage = counted.usage
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_input_tokens": usage.cached_input_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "source": counted.source,
        "estimated": list(counted.estimated),
    }


def usd_record(cost: Cost) -> float | None:
    usd = None if cost.usd is None else float(cost.usd)
    return usd if usd is not None and math.isfinite(usd) else None  # JSON has no word for infinity


def cost_record(cost: Cost) -> Json:
    return {
        "amount": None if cost.amount is None else plain(cost.amount),
        "currency": cost.currency,
        "quality": cost.quality,
        "price_source": cost.price_source,
        "price_as_of": cost.price_as_of,
        "play": cost.play,
    }


def timings_record(completion: Completion) -> Json:
    return {"first_token_s": _rounded(completion.ttft_s), "total_s": _rounded(completion.total_s)}


def error_record(error: ChatError | None) -> Json | None:
    return None if error is None else {"kind": error.kind, "message": error.message}


def plain(amount: Decimal) -> str:
    """Return a decimal without exponent."""
    return f"{amount:f}"


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
