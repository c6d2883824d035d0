"""When to send again, and after how long: a pure function of what went wrong.

Numbers and rules from `_base_client.py` of OpenAI's and Anthropic's SDKs (read 2026-11), with two differences: a spend
cap is not retried in vain, and a wait that is too long is told instead of slept or ignored.
"""

import math
from collections.abc import Mapping
from dataclasses import field
from email.utils import parsedate_to_datetime

from tui_chat.core.record import record

LONGEST_BACKOFF_S = 8.0
LONGEST_HINT_S = 60.0
"""A server that asks for a longer wait is not retried."""


@record
class Outcome:
    """What the policy has to know of a failed attempt. The default is a failure that is never retried."""

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of the answer, names in lower case."""
    transient: bool = False
    """A failure without a status that another try may cure: no connection, a reset."""
    capped: bool = False
    """A quota or spend cap: trying again is in vain."""


def waiting_hint_s(headers: Mapping[str, str], now: float) -> float | None:
    """Return how long the server asks to wait, `None` when it does not say or what it says makes no sense.

    `now` is Unix time; `headers` have names in lower case.
    """
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        text = headers.get(name, "").strip()
        if not text:
            continue
        try:
            seconds = float(text) / unit
        except ValueError:
            if name == "retry-after-ms":
                continue
            seconds = _until(text, now)
        if math.isfinite(seconds) and seconds > 0:
            return seconds
    return None


def _until(date: str, now: float) -> float:
    try:
        return parsedate_to_datetime(date).timestamp() - now
    except (ValueError, TypeError, OverflowError, IndexError):
        return math.nan


def wait_s(
    outcome: Outcome, attempt: int, max_retries: int, backoff_s: float, chance: float, now: float
) -> float | None:
    """Return the wait before the next attempt, `None` = give up.

    `attempt` is the one that failed, counted from 1; `chance` in [0, 1) shortens the backoff by up to a quarter.
    """
    if attempt > max_retries or not _worth_it(outcome):
        return None
    hint_s = waiting_hint_s(outcome.headers, now)
    if hint_s is not None:
        return hint_s if hint_s <= LONGEST_HINT_S else None
    return min(backoff_s * 2.0 ** (attempt - 1), LONGEST_BACKOFF_S) * (1 - 0.25 * chance)


def _worth_it(outcome: Outcome) -> bool:
    asked = outcome.headers.get("x-should-retry", "").strip().lower()
    if asked in ("true", "false"):
        return asked == "true"
    if outcome.capped:
        return False
    if outcome.status is None:
        return outcome.transient
    return outcome.status in (408, 409, 429) or outcome.status >= 500
