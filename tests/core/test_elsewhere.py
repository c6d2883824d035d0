"""What a conversation would have cost on other models: exact, ordered, and never a claim without a price."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal, localcontext

from hypothesis import given
from hypothesis import strategies as st

from tests.core.doubles import NOON
from tests.core.test_breakdown import figures, usages
from tui_chat.core.elsewhere import (
    Elsewhere,
    Tokens,
    a_month,
    added,
    amount_at,
    brought_up_to_date,
    compared,
    real,
    repriced,
    spent_on,
    together,
    tokens_of,
)
from tui_chat.core.format import Spent
from tui_chat.core.model import Model
from tui_chat.core.pricing import EXACT, UNKNOWN_COST, Charge, Cost, Price, Tier, Window, cost_of
from tui_chat.core.usage import CountedUsage, Usage

D = Decimal


def priced(name, given, out, **more):
    provider, _, model_id = name.partition("/")
    price = None if out is None else Price(D(given), D(out), source=more.pop("source", "bundled"), **more)
    return Model(provider, model_id, price=price)


def call(name="p/a", sent=1000, made=100, *, cached=None, at=NOON, cost=None, number=0, attempt=1):
    usage = Usage(sent, made, cached)
    return Charge(
        f"{name}-{number}", attempt, name, usage, at, cost or Cost(D("0.5"), "USD", D("0.5"), "reported", "x")
    )


def play(number):
    return call("demo/quick", cost=Cost(D(1), "USD", D(1), "reported", "play", play=True), number=number)


@given(st.lists(st.tuples(usages, st.datetimes()), max_size=6), figures)
def test_the_sums_cost_what_the_calls_cost_one_by_one(calls, price):
    """Tiers, fees and times of day included."""
    charges = [Charge(str(n), 1, "p/a", usage, at, UNKNOWN_COST) for n, (usage, at) in enumerate(calls)]
    used = tokens_of(charges)
    assert used.unknown + len(used.calls) == len(charges)
    found = amount_at(price, used)
    if not price.known:
        assert found is None
        return
    each = [cost_of(CountedUsage(usage.checked(), "reported"), price, at).amount for usage, at in calls]
    with localcontext(EXACT):
        assert found == sum((amount for amount in each if amount is not None), D(0))


@given(st.lists(usages, max_size=5), st.lists(usages, max_size=5))
def test_adding_sums_is_summing_all(first, second):
    def calls(some, start):
        return [Charge(f"{start}{n}", 1, "p/a", usage, NOON, UNKNOWN_COST) for n, usage in enumerate(some)]

    whole = tokens_of([*calls(first, "a"), *calls(second, "b")])
    both = added(tokens_of(calls(first, "a")), tokens_of(calls(second, "b")))
    assert (both.total, both.unknown, both.longest_input) == (whole.total, whole.unknown, whole.longest_input)


def test_cached_tokens_cost_the_cached_price_where_there_is_one():
    used = tokens_of([call(sent=1_000_000, made=0, cached=400_000)])
    assert amount_at(Price(D(1), D(2), D("0.5")), used) == D("0.8")
    assert amount_at(Price(D(1), D(2)), used) == D(1)


def test_a_tier_holds_for_the_calls_that_reach_it_not_for_their_sum():
    price = Price(D(1), D(0), tiers=(Tier(200_000, D(10), D(0)),))
    assert amount_at(price, tokens_of([call(sent=150_000, made=0, number=n) for n in range(4)])) == D("0.6")
    assert amount_at(price, tokens_of([call(sent=150_000), call(sent=250_000, number=1)])) == D("2.65")


def test_a_window_holds_for_the_calls_in_it():
    price = Price(D(1), D(0), windows=(Window.parse("11:00-13:00", "", D(2)),))
    used = tokens_of([call(sent=1_000_000), call(sent=1_000_000, at=NOON + timedelta(hours=2), number=1)])
    assert amount_at(price, used) == 3


def test_the_cheapest_is_first_and_every_other_says_how_many_times_as_much():
    models = [
        priced("p/dear", "10", "30"),
        priced("p/unknown", "1", None),
        priced("p/cheap", "0.1", "0.3"),
        priced("p/local", "0", "0", source="local"),
        priced("p/kroner", "1", "1", currency="NOK", usd_rate=None),
        priced("p/yuan", "1", "1", currency="CNY", usd_rate=D("0.14")),
    ]
    rows = Elsewhere(models, tokens_of([call(sent=1_000_000, made=0)])).rows(Tokens())
    assert [(row.model.id, row.amount, row.ratio, row.cheapest) for row in rows] == [
        ("local", D(0), None, False),
        ("cheap", D("0.1"), D(1), True),
        ("yuan", D(1), D("1.4"), False),
        ("dear", D(10), D(100), False),
        ("kroner", D(1), None, False),
        ("unknown", None, None, False),
    ]
    assert [row.free for row in rows] == [True, False, False, False, False, False]


def test_alone_a_model_is_compared_with_nothing():
    (row,) = Elsewhere([priced("p/a", "1", "1")], tokens_of([call()])).rows(Tokens())
    assert (row.ratio, row.cheapest) == (None, False)


def test_what_runs_is_added_at_each_look():
    table = Elsewhere([priced("p/a", "1", "2")], tokens_of([call(sent=1_000_000, made=0)]))
    assert table.rows(Tokens())[0].amount == 1
    assert table.rows(tokens_of([call(sent=0, made=1_000_000)]))[0].amount == 3
    assert table.rows(Tokens())[0].amount == 1


def test_the_table_has_the_users_own_models_then_the_cheapest_and_no_play_money():
    own = [
        priced("p/own", "50", "50"),
        Model("p", "nothing"),
        Model("demo", "quick", price=Price(D(1), D(1), play=True), scripted=True),
    ]
    usable = [
        *(priced(f"many/{n}", "1", f"{n + 1}") for n in range(9)),
        priced("few/a", "1", "5"),
        priced("embedding/a", "0.01", "0"),
        priced("here/a", "0", "0", source="local"),
        priced("nokrone/a", "1", "1", usd_rate=None),
        own[0],
        own[2],
    ]
    names = [model.name for model in compared(own, usable, tokens_of([call()]), most=8)]
    assert names == ["p/own", "p/nothing", "here/a", "many/0", "many/1", "many/2", "many/3", "few/a"]
    assert len(compared(own, usable, tokens_of([call()]), most=3)) == 3
    assert len(compared([priced(f"p/{n}", "1", "1") for n in range(30)], usable, Tokens(), most=20)) == 30


def test_play_money_counts_only_where_there_is_nothing_else():
    assert real([play(1), call()]) == [call()]
    assert real([play(1), play(2)]) == [play(1), play(2)]
    assert spent_on([play(1), play(2)]) == Spent(D(2), answers=2, play=True)
    assert spent_on([]) == Spent()


def test_what_this_process_knows_stands_in_place_of_what_the_disk_has():
    old = call(sent=1, attempt=2)
    new = replace(old, usage=Usage(5, 5))
    first = call(sent=9, attempt=1)
    assert brought_up_to_date([first, old], [new, call("p/b")]) == [first, new, call("p/b")]


def test_calls_without_known_tokens_are_counted_as_such():
    used = tokens_of([call(sent=None), call(number=1)])
    assert (used.unknown, used.total.input_tokens, len(used.calls)) == (1, 1000, 1)


def test_todays_prices_stand_beside_those_of_then():
    unpriced = call("p/b", cost=UNKNOWN_COST)
    now = {"p/a": Price(D(1), D(10)), "p/yuan": Price(D(1), D(0), currency="CNY", usd_rate=D("0.14"))}
    charges = [call(), call(number=1), unpriced, call("p/yuan", sent=1_000_000)]
    found = {each.model: each for each in repriced(charges, now.get)}
    assert list(found) == ["p/a", "p/b", "p/yuan"]
    assert found["p/a"].then == Spent(D(1), answers=2)
    assert found["p/a"].now == Spent(D("0.004"), answers=2)
    assert found["p/b"].then.unknown == found["p/b"].now.unknown == 1
    assert found["p/yuan"].now.usd == D("0.14")
    assert together(each.now for each in found.values()) == Spent(D("0.144"), unknown=1, answers=4)


def test_a_price_that_became_free_costs_nothing_and_is_not_unknown():
    (found,) = repriced([call()], lambda _: Price(D(0), D(0), source="local"))
    assert found.now == Spent(D(0), answers=1)


def test_a_month_is_thirty_days():
    assert a_month(Spent(D(1), answers=3), 10) == Spent(D(3), answers=3)
    assert a_month(Spent(D(1), estimated=True), 30) == Spent(D(1), estimated=True)
    assert a_month(Spent(D(1)), 0).usd == 30
