"""What a stop saved: a range that can be defended, or nothing."""

from dataclasses import replace
from decimal import Decimal
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.doubles import MODEL, NOON
from tui_chat.core.completion import Completion
from tui_chat.core.pricing import Price, Tier
from tui_chat.core.savings import Saved, billed_in_full, saved_by_stopping
from tui_chat.core.usage import CountedUsage, Usage

PRICE = Price(Decimal(1), Decimal(10), source="config")
STOPPED = CountedUsage(Usage(1000, 200), "partial", ("output_tokens",))


def saved(longest: int | None, usual: int | None, price: Price | None = PRICE) -> Saved | None:
    return saved_by_stopping(STOPPED, price, NOON, longest=longest, usual=usual)


def test_the_range_goes_from_a_usual_answer_to_the_longest_that_was_allowed():
    found = saved(2000, 500)
    assert found == Saved(Decimal("0.003"), Decimal("0.018"))
    assert (found.low, found.high) == (Decimal("0.003"), Decimal("0.018"))


def test_without_a_limit_only_the_usual_answer_counts_and_without_that_only_the_limit():
    assert saved(None, 500) == Saved(Decimal("0.003"), None)
    assert saved(2000, None) == Saved(None, Decimal("0.018"))


@pytest.mark.parametrize(("longest", "usual"), [(None, None), (None, 150), (200, 150), (100, None)])
def test_nothing_is_claimed_where_nothing_can_be_known(longest, usual):
    assert saved(longest, usual) is None


def test_a_usual_answer_is_no_longer_than_the_longest_allowed():
    assert saved(300, 5000) == Saved(Decimal("0.001"), Decimal("0.001"))


@pytest.mark.parametrize("price", [None, Price(None, Decimal(1)), replace(PRICE, currency="CNY", usd_rate=None)])
def test_without_a_price_in_dollars_there_is_none(price):
    assert saved(2000, 500, price) is None


def test_the_price_is_that_of_the_prompts_tier():
    dear = replace(PRICE, tiers=(Tier(500, Decimal(2), Decimal(20)),))
    assert saved(None, 500, dear) == Saved(Decimal("0.006"), None)


def test_what_is_still_to_come_is_billed_at_the_dearer_of_answer_and_reasoning():
    dear = replace(PRICE, reasoning_per_mtok=Decimal(100))
    assert billed_in_full(STOPPED, PRICE, NOON, 300) == Decimal("0.004")
    assert billed_in_full(STOPPED, dear, NOON, 300) == Decimal("0.013")
    assert billed_in_full(STOPPED, dear, NOON, 200) is None


@given(st.integers(0, 10**6) | st.none(), st.integers(0, 10**6) | st.none())
def test_low_is_never_above_high_and_neither_below_zero(longest, usual):
    found = saved(longest, usual)
    assert found is None or 0 <= found.low <= found.high


def stopped_answer(stops_billing: Literal["yes", "no", "unknown"]) -> Completion:
    model = replace(MODEL, price=PRICE, stops_billing=stops_billing)
    answer = Completion("c", "t", model, NOON, params={"max_tokens": 2000})
    answer.final_usage, answer.finish_reason, answer.sent = STOPPED, "cancelled", True
    answer.reckon_savings(500)
    return answer


def test_a_provider_that_bills_to_the_end_saves_nothing():
    assert stopped_answer("yes").saved == Saved(Decimal("0.003"), Decimal("0.018"))
    assert stopped_answer("unknown").saved is not None
    assert stopped_answer("no").saved is None
