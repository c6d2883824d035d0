"""The terms of a cost: what stands on the lines is what is charged, to the last digit."""

from dataclasses import replace
from datetime import time
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.doubles import NOON
from tui_chat.config.file import parse_config
from tui_chat.core.breakdown import breakdown, plain, price_lines, window_name
from tui_chat.core.pricing import EXACT, Price, Tier, Window, cost_of
from tui_chat.core.usage import CountedUsage, Usage

D = Decimal
FULL = Price(D("3.00"), D("15.00"), D("0.30"), D("3.75"), source="bundled", as_of="2026-01")

counts = st.none() | st.integers(0, 5_000_000)
prices = st.decimals(0, 1000, places=6, allow_nan=False)
maybe = st.none() | prices
usages = st.builds(Usage, counts, counts, counts, counts, counts)
tiers = st.builds(Tier, st.integers(1, 4_000_000), prices, prices, maybe, maybe)
windows = st.builds(
    Window, st.times(), st.times(), st.frozensets(st.integers(0, 6)), st.decimals(0, 9, places=3, allow_nan=False)
)
figures = st.builds(
    Price, maybe, prices, maybe, maybe, maybe, maybe, st.lists(tiers, max_size=3).map(tuple),
    st.lists(windows, max_size=3).map(tuple),
)  # fmt: skip
estimates = st.sampled_from([(), ("input_tokens",), ("output_tokens",), ("input_tokens", "output_tokens")])
counted_usages = st.builds(CountedUsage, usages, st.sampled_from(["reported", "estimated", "partial"]), estimates)


def reported(*figures: int | None) -> CountedUsage:
    """Input, output, cached, cache write, reasoning."""
    return CountedUsage(Usage(*figures), "reported")


@given(counted_usages, figures, st.none() | st.datetimes(), st.none() | prices)
def test_the_lines_add_up_to_the_cost_to_the_last_digit(counted, price, at, billed):
    found = breakdown(counted, price, at, billed)
    assert found.cost == cost_of(counted, price, at, billed)
    assert found.computed == cost_of(counted, price, at)
    with localcontext(EXACT):
        if found.computed.amount is None:
            assert all(line.amount is None for line in found.lines)
        else:
            assert sum((line.amount or D(0) for line in found.lines), D(0)) == found.computed.amount


@given(counted_usages, figures, st.datetimes())
def test_every_line_of_tokens_is_tokens_times_price(counted, price, at):
    with localcontext(EXACT):
        for line in breakdown(counted, price, at).lines:
            if line.amount is not None and line.tokens is not None and line.per_mtok is not None:
                assert line.amount * 1_000_000 == line.tokens * line.per_mtok


@given(counted_usages, figures)
def test_no_token_is_on_two_lines(counted, price):
    usage = counted.usage.checked()
    checked = replace(counted, usage=usage)
    found = breakdown(checked, price)
    if found.computed.amount is None or usage.input_tokens < (usage.cached_input_tokens or 0) + (
        usage.cache_write_tokens or 0
    ):
        return
    sent = [line.tokens or 0 for line in found.lines if line.name in ("input", "cached", "written")]
    made = [line.tokens or 0 for line in found.lines if line.name in ("output", "reasoning")]
    assert (sum(sent), sum(made)) == (usage.input_tokens, usage.output_tokens)


def test_each_part_has_its_own_line_and_reasoning_only_with_a_price_of_its_own():
    used = reported(1000, 400, 600, 100, 150)
    lines = breakdown(used, FULL).lines
    assert [(line.label, line.tokens, line.amount) for line in lines] == [
        ("input, not cached", 300, D("0.0009")),
        ("input from the cache", 600, D("0.00018")),
        ("input into the cache", 100, D("0.000375")),
        ("output", 400, D("0.006")),
    ]
    assert lines[-1].note == "of which reasoning 150"
    own = breakdown(used, replace(FULL, reasoning_per_mtok=D(1))).lines
    assert [(line.label, line.tokens) for line in own[-2:]] == [("output, without reasoning", 250), ("reasoning", 150)]
    assert not any("reasoning" in line.note for line in own)


def test_a_fee_a_tier_and_a_window_are_named():
    price = replace(
        FULL,
        per_request=D("0.01"),
        tiers=(Tier(200_000, D(6), D("22.5")),),
        windows=(Window(time(11), time(13), frozenset(range(5)), D(2)),),
    )
    lines = breakdown(reported(300_000, 1000), price, NOON).lines
    assert lines[0].note == "above 200k input all of it has these prices"
    assert [(line.label, line.amount) for line in lines[2:]] == [
        ("×2, weekdays 11:00–13:00 UTC", D("1.8") + D("0.0225")),
        ("fee per request", D("0.01")),
    ]


def test_a_cheaper_time_of_day_is_a_line_that_takes_off():
    price = replace(FULL, windows=(Window(time(0), time(0), frozenset(range(7)), D("0.25")),))
    (*_, line) = breakdown(reported(1_000_000, 0), price, NOON).lines
    assert (line.label, line.amount) == ("×0.25, every day all day UTC", D("-2.25"))


@pytest.mark.parametrize(
    ("days", "name"),
    [({5, 6}, "weekends"), ({0, 2}, "mon, wed"), (set(range(7)), "every day"), (set(range(5)), "weekdays")],
)
def test_the_days_of_a_window_have_names(days, name):
    window = Window(time(1), time(4), frozenset(days), D("2.0"))
    assert window_name(window) == f"×2, {name} 01:00–04:00 UTC"


def test_what_is_our_count_is_marked_and_what_the_provider_said_is_not():
    cut = CountedUsage(Usage(1000, 200, 500), "partial", ("output_tokens",))
    assert [line.estimated for line in breakdown(cut, FULL).lines] == [False, False, True]
    ours = CountedUsage(Usage(1000, 200), "estimated", ("input_tokens", "output_tokens"))
    assert [line.estimated for line in breakdown(ours, FULL).lines] == [True, True]


def test_a_price_that_stands_in_is_said():
    lines = breakdown(reported(1000, 0, 600), replace(FULL, cached_input_per_mtok=None)).lines
    assert lines[1].stands_in
    assert lines[1].note == "no price of its own: that of the input"
    assert not lines[0].stands_in


@pytest.mark.parametrize("price", [None, Price(input_per_mtok=D(1))])
def test_without_a_price_the_tokens_stand_alone(price):
    found = breakdown(reported(1000, 400, 600, None, 150), price)
    assert [(line.label, line.tokens, line.amount) for line in found.lines] == [
        ("input", 1000, None),
        ("input from the cache", 600, None),
        ("output", 400, None),
    ]
    assert found.cost.amount is None


def test_a_bill_stands_beside_what_our_prices_say():
    found = breakdown(reported(1000, 0), FULL, NOON, D("0.0042"))
    assert (found.cost.amount, found.cost.price_source) == (D("0.0042"), "billed")
    assert found.computed.amount == D("0.003") == found.lines[0].amount


@given(st.decimals(allow_nan=False, allow_infinity=False, places=12, min_value=-10, max_value=10))
def test_a_plain_decimal_is_the_same_number_without_an_exponent(value):
    assert D(plain(value)) == value
    assert "E" not in plain(value, 2)


def test_lines_for_the_configuration_are_read_and_set_nothing_until_a_figure_is_written(tmp_path):
    name = 'one/odd"name\\'
    text = price_lines(name, None)
    file = tmp_path / "config.toml"
    assert parse_config(text, file).models[name].price is None
    filled = text.replace("# ", "").replace("PRICE", "1.5")
    assert parse_config(filled, file).models[name].price == Price(D("1.5"), D("1.5"), source="config")
    assert "input_per_mtok" not in price_lines("a/b", Price(input_per_mtok=D(1))).replace("output_per_mtok", "")
