"""Money and counts as people read them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_chat.core.format import Spent, amount, cost, ratio, seconds, tokens, total, window
from tui_chat.core.pricing import NOTHING, UNKNOWN_COST, Cost

D = Decimal


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0", "$0"),
        ("1234567.891", "$1,234,567.89"),
        ("12.4", "$12.40"),
        ("1", "$1.00"),
        ("0.99994", "$0.9999"),
        ("0.99996", "$1.00"),
        ("0.0412", "$0.0412"),
        ("0.01", "$0.0100"),
        ("0.00996", "$0.010"),
        ("0.0031", "$0.0031"),
        ("0.00017", "$0.00017"),
        ("0.0000123", "$0.000012"),
        ("0.000001", "$0.0000010"),
        ("0.00000099", "<$0.000001"),
        ("1E-30", "<$0.000001"),
        ("-0.25", "-$0.2500"),
    ],
)
def test_money_has_as_many_decimals_as_it_needs(value, text):
    assert amount(D(value)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [("1.005", "$1.00"), ("1.015", "$1.02"), ("0.01005", "$0.0100"), ("0.01015", "$0.0102"), ("0.00125", "$0.0012"),
     ("0.00135", "$0.0014")],
)  # fmt: skip
def test_a_half_goes_to_the_even_digit(value, text):
    assert amount(D(value)) == text


def test_a_currency_without_a_sign_is_named():
    assert amount(D(2), "CNY") == "¥2.00"
    assert amount(D(2), "SEK") == "SEK 2.00"


@given(st.decimals(D("1E-12"), D("1E9"), allow_nan=False))
def test_what_is_not_zero_never_looks_like_zero_and_is_close(value):
    text = amount(value)
    digits = text.lstrip("<$").replace(",", "")
    assert D(digits) > 0
    if text.startswith("<"):
        assert value < D("0.000001")
    else:
        assert abs(D(digits) - value) <= value / 20


@given(*[st.decimals(D("0.000001"), D("1E9"), allow_nan=False)] * 2)
def test_more_money_never_reads_as_less(one, other):
    small, large = (D(amount(value)[1:].replace(",", "")) for value in sorted((one, other)))
    assert small <= large


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Cost(D("0.0029"), quality="reported", price_source="config"), "$0.0029"),
        (Cost(D("0.0031"), quality="estimated", price_source="config"), "~$0.0031"),
        (Cost(D("0.5"), "EUR", quality="reported", price_source="config"), "€0.5000"),
        (UNKNOWN_COST, "$?"),
        (NOTHING, "–"),
        (Cost(D(0), quality="estimated", price_source="config"), "free"),
    ],
)
def test_a_cost_carries_its_quality(value, text):
    assert cost(value) == text


@pytest.mark.parametrize(
    ("spent", "text"),
    [
        (Spent(), "$0"),
        (Spent(D("0.0412"), answers=3), "$0.0412"),
        (Spent(D("0.0412"), estimated=True, answers=3), "~$0.0412"),
        (Spent(D("0.0123"), unknown=1, answers=3), "$0.0123 + ?"),
        (Spent(D("0.0123"), estimated=True, unknown=1, answers=3), "~$0.0123 + ?"),
        (Spent(unknown=2, answers=2), "$?"),
        (Spent(D("0.0412"), estimated=True, answers=1, play=True), "play ~$0.0412"),
    ],
)
def test_a_total_says_what_is_missing_from_it(spent, text):
    assert total(spent) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1", "×1.0"), ("5.4", "×5.4"), ("5.364", "×5.36"), ("9.994", "×9.99"), ("9.999", "×10.0"),
        ("35.7142", "×35.7"), ("99.94", "×99.9"), ("99.96", "×100"), ("120.4", "×120"), ("6148.2", "×6,148"),
    ],
)  # fmt: skip
def test_a_ratio_has_three_digits_at_most_below_a_hundred_and_no_point_above(value, text):
    assert ratio(D(value)) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "?"), (0, "0"), (9_999, "9999"), (10_000, "10.0k"), (12_345, "12.3k"), (999_949, "999.9k"),
     (999_950, "1.00M"), (1_234_567, "1.23M")],
)  # fmt: skip
def test_tokens_are_exact_below_ten_thousand(count, text):
    assert tokens(count) == text


def test_windows_and_seconds_are_short():
    assert [window(size) for size in (512, 8192, 128_000, 1_048_576)] == ["512", "8k", "128k", "1.0M"]
    assert [seconds(value) for value in (0.384, 12.44, 75.2)] == ["0.38 s", "12.4 s", "75 s"]
