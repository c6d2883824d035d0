"""Tokens become money here: to the last digit, and never as a figure that claims more than is known."""

import json
from dataclasses import replace
from datetime import UTC, datetime, time
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.doubles import NOON, PRICE
from tui_chat.core.format import cost as shown
from tui_chat.core.pricing import UNKNOWN_COST, Cost, Price, Tier, Window, cost_of, stale_month
from tui_chat.core.usage import CountedUsage, Usage

D = Decimal


def reported(*counts: int | None) -> CountedUsage:
    """Input, output, cached, cache write, reasoning."""
    return CountedUsage(Usage(*counts), "reported")


def dollars(price: Price, *counts: int | None, at: datetime | None = None) -> Decimal | None:
    return cost_of(reported(*counts), price, at).amount


FULL = Price(D("3.00"), D("15.00"), D("0.30"), D("3.75"), source="bundled", as_of="2026-01")

tokens = st.integers(0, 5_000_000)
prices = st.decimals(0, 1000, places=6, allow_nan=False)


@given(tokens, tokens, tokens, tokens, tokens, prices, prices, prices, prices, prices)
def test_a_cost_is_exact_to_the_last_digit(
    plain, cached, written, text, reasoning, p_in, p_out, p_cached, p_write, p_r
):
    price = Price(p_in, p_out, p_cached, p_write, p_r)
    counts = (plain + cached + written, text + reasoning, cached, written, reasoning)
    pairs = ((plain, p_in), (cached, p_cached), (written, p_write), (text, p_out), (reasoning, p_r))
    exact = sum((Fraction(count) * Fraction(each) for count, each in pairs), Fraction(0)) / 1_000_000
    amount = dollars(price, *counts)
    assert amount is not None
    assert Fraction(amount) == exact


def test_cached_and_written_tokens_are_part_of_the_input_and_charged_once():
    assert dollars(FULL, 1000, 100, 600, 300) == D("0.0001") * 3 + D("0.00018") + D("0.001125") + D("0.0015")


def test_reasoning_is_output_unless_it_has_a_price_of_its_own():
    assert dollars(FULL, 0, 100, None, None, 40) == D("0.0015")
    assert dollars(replace(FULL, reasoning_per_mtok=D(1)), 0, 100, None, None, 40) == D("0.0009") + D("0.00004")


def test_a_subset_that_is_larger_than_its_whole_never_makes_a_negative_cost():
    assert dollars(replace(FULL, reasoning_per_mtok=D(0)), 0, 10, None, None, 40) == 0
    assert dollars(FULL, 10, 0, 40) == D("0.000012")


def test_a_missing_cache_price_gives_an_upper_bound_and_says_so():
    price = replace(FULL, cached_input_per_mtok=None, cache_write_per_mtok=None)
    assert cost_of(reported(1000, 0, 600), price) == Cost(
        D("0.003"), "USD", D("0.003"), "estimated", "bundled", "2026-01"
    )
    assert cost_of(reported(1000, 0, 0, 1), price).quality == "estimated"
    assert cost_of(reported(1000, 0, 0, 0), price).quality == "reported"


def test_above_a_tier_the_whole_request_moves_to_its_prices():
    tiers = (Tier(400_000, D(9), D(90)), Tier(200_000, D(6), D("22.5"), D(0)))
    price = replace(FULL, tiers=tiers)
    assert dollars(price, 200_000, 1000) == D("0.6") + D("0.015")
    assert dollars(price, 200_001, 1000) == D("1.200006") + D("0.0225")
    assert dollars(price, 400_001, 1000) == D("3.600009") + D("0.09")
    assert dollars(price, 300_000, 0, 300_000) == 0, "a cached price of zero is a price"


def test_a_tier_may_have_its_own_price_for_writing_to_the_cache():
    price = replace(FULL, tiers=(Tier(200_000, D(6), D("22.5"), None, D("7.5")),))
    assert dollars(price, 200_001, 0, 0, 200_001) == D("1.5000075")
    assert dollars(price, 200_000, 0, 0, 200_000) == D("0.75")
    assert Price.from_record(price.record()) == price
    without = replace(FULL, tiers=(Tier(200_000, D(6), D("22.5")),))
    assert "cache_write_per_mtok" not in str(without.record()["tiers"]), "as rows of before have it"
    assert Price.from_record(without.record()) == without


@pytest.mark.parametrize(
    ("as_of", "now", "month"),
    [
        ("2025-12", "2026-06-29", None),  # 180 days behind the month's last
        ("2025-12", "2026-06-30", "2025-12"),
        ("2026-02", "2026-08-27", None),
        ("2026-02", "2026-08-28", "2026-02"),
        ("2025-12-01", "2026-05-30", None),
        ("2025-12-01", "2026-05-31", "2025-12"),
        ("2027-01", "2026-06-29", None),
        ("", "2026-06-29", None),
        (None, "2026-06-29", None),
        ("last month", "2026-06-29", None),
        ("9999-12", "2026-06-29", None),
    ],
)
def test_figures_of_half_a_year_ago_are_shown_with_their_month(as_of, now, month):
    at = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert replace(FULL, as_of=as_of).stale(at) == stale_month(as_of, at) == month


def test_a_fee_per_request_is_added_once():
    assert dollars(replace(PRICE, per_request=D("0.01")), 1, 1) == D("0.010003")


@pytest.mark.parametrize(
    ("at", "holds"),
    [
        ("2026-03-06T21:59", False),  # a Friday
        ("2026-03-06T22:00", True),
        ("2026-03-07T01:59", True),  # Saturday, in the window that began on Friday
        ("2026-03-07T02:00", False),
        ("2026-03-07T23:00", False),
        ("2026-03-08T23:00", False),
        ("2026-03-09T01:00", False),  # Monday, but the window would have begun on Sunday
        ("2026-03-09T22:00", True),
    ],
)
def test_a_window_over_midnight_belongs_to_the_day_on_which_it_starts(at, holds):
    window = Window.parse("22:00-02:00", "mon-fri", D(2))
    assert window.holds(datetime.fromisoformat(at).replace(tzinfo=UTC)) is holds


@given(st.times(), st.times(), st.frozensets(st.integers(0, 6)), st.datetimes())
def test_a_window_and_its_mirror_share_out_every_moment(start, end, days, at):
    """Every day, a window and the one from its end to its start leave no gap and do not overlap."""
    every = frozenset(range(7))
    inside = Window(start, end, every, D(1)).holds(at)
    assert inside is not Window(end, start, every, D(1)).holds(at) or start == end
    assert inside or not Window(start, end, days, D(1)).holds(at)


def test_a_window_multiplies_every_price_but_only_inside():
    price = replace(FULL, windows=(Window.parse("01:00-04:00", "wed", D("0.5")),))
    assert dollars(price, 1000, 0, at=NOON) == D("0.003")
    assert dollars(price, 1000, 0, at=NOON.replace(hour=3)) == D("0.0015")
    assert dollars(price, 1000, 0) == D("0.003"), "without a time there is no window"


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("", range(7)),
        ("mon", [0]),
        ("mon-fri", range(5)),
        ("Monday-Friday", range(5)),
        (" tue - thu , sun ", [1, 2, 3, 6]),
        ("sat,sun", [5, 6]),
        ("fri-mon", [4, 5, 6, 0]),
    ],
)
def test_weekdays_are_read_as_people_write_them(text, days):
    assert Window.parse("00:00-12:00", text, D(1)).days == frozenset(days)


@pytest.mark.parametrize(("utc", "days"), [("01:00", ""), ("1-2", ""), ("01:00-25:00", ""), ("01:00-02:00", "mo"),
                                            ("01:00-02:00", "mon-"), ("01:00-02:00", "mond,funday")])  # fmt: skip
def test_a_window_that_cannot_be_read_is_refused(utc, days):
    with pytest.raises(ValueError, match=r"\w"):
        Window.parse(utc, days, D(1))


def test_from_midnight_to_midnight_is_the_whole_day():
    assert Window(time(0), time(0), frozenset({2}), D(2)).holds(NOON)


def test_what_is_not_known_is_unknown_and_never_zero():
    assert cost_of(reported(1, 1), None) == UNKNOWN_COST
    assert cost_of(reported(1, 1), Price(input_per_mtok=D(1))) == UNKNOWN_COST
    for usage in (reported(None, 1), reported(1, None), reported()):
        cost = cost_of(usage, FULL)
        assert (cost.amount, cost.usd, cost.quality, cost.price_source) == (None, None, "unknown", "bundled")


@pytest.mark.parametrize(
    ("usage", "quality"),
    [
        (CountedUsage(Usage(1, 1), "reported"), "reported"),
        (CountedUsage(Usage(1, 1), "estimated", ("output_tokens",)), "estimated"),
        (CountedUsage(Usage(1, 1), "partial"), "estimated"),
        (CountedUsage(Usage(1, 1), "reported", ("input_tokens",)), "estimated"),
    ],
)
def test_a_cost_is_no_better_than_the_usage_it_comes_from(usage, quality):
    assert cost_of(usage, FULL).quality == quality


def test_what_the_provider_billed_wins_over_everything():
    for usage, price in ((reported(9, 9), FULL), (reported(), None)):
        cost = cost_of(usage, price, NOON, billed_usd=D("0.000123"))
        assert cost == Cost(D("0.000123"), "USD", D("0.000123"), "reported", "billed", "2026-03-04")


def test_a_foreign_currency_is_converted_only_at_a_given_rate():
    yuan = replace(FULL, currency="CNY", usd_rate=D("0.14"))
    assert (cost_of(reported(1000, 0), yuan).amount, cost_of(reported(1000, 0), yuan).usd) == (D("0.003"), D("0.00042"))
    assert cost_of(reported(1000, 0), replace(yuan, usd_rate=None)).usd is None


def test_only_a_price_of_zero_is_free():
    free = Price(D(0), D(0), source="config")
    assert shown(cost_of(reported(500, 500), free)) == "free"
    assert shown(cost_of(reported(500, 500), free, NOON, billed_usd=D(0))) == "free"
    assert shown(cost_of(reported(0, 0), FULL)) == "–", "no tokens at a real price"
    assert shown(cost_of(reported(500, 500), FULL, NOON, billed_usd=D(0))) == "–", "billed nothing, this time"
    assert not replace(free, cached_input_per_mtok=D(1)).free
    assert not replace(free, per_request=D(1)).free
    assert not Price(D(0)).free
    assert not Price().free


_maybe = st.none() | prices
_times = st.times().map(lambda moment: moment.replace(second=0, microsecond=0))
_days = st.frozensets(st.integers(0, 6), min_size=1)


@given(
    st.builds(
        Price,
        *[_maybe] * 6,
        st.lists(st.builds(Tier, tokens, prices, prices, _maybe), max_size=2).map(tuple),
        st.lists(st.builds(Window, _times, _times, _days, prices), max_size=2).map(tuple),
        st.sampled_from(["USD", "CNY"]),
        _maybe,
        st.sampled_from(["config", "unknown"]),
        st.none() | st.just("2026-01"),
        st.booleans(),
    )
)
def test_a_price_comes_back_from_its_row_as_it_was(price):
    assert Price.from_record(json.loads(json.dumps(price.record()))) == price


def test_a_price_row_is_kept_as_text_with_its_zeros():
    window = Window.parse("22:00-02:00", "mon,wed", D("1.5"))
    price = Price(D(0), D("0.42"), tiers=(Tier(9, D("0.1"), D(0)),), windows=(window,), currency="CNY", usd_rate=None)
    row = json.loads(json.dumps(price.record()))
    assert row["input_per_mtok"] == "0"
    assert row["output_per_mtok"] == "0.42"
    assert row["tiers"] == [{"above_tokens": 9, "input_per_mtok": "0.1", "output_per_mtok": "0",
                             "cached_input_per_mtok": None}]  # fmt: skip
    assert row["windows"] == [{"utc": "22:00-02:00", "days": "mon,wed", "factor": "1.5"}]
    assert row["usd_rate"] is None, "it must not come back as the default of 1"
    assert "cached_input_per_mtok" not in row
