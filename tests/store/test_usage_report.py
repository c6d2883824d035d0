"""The ledger added up: exact sums by day, model, conversation and provider, whatever happens to the chats."""

import os
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.made import MODEL, NOON, HandClock, answer, chat_named, finish, opened, said, stream, turn_in
from tui_chat.core.errors import ProviderError
from tui_chat.core.events import FinishReason, Waiting
from tui_chat.core.pricing import Price
from tui_chat.core.savings import Saved
from tui_chat.core.usage import Usage
from tui_chat.core.usage_report import (
    GROUPINGS,
    Foreign,
    OwnCurrency,
    UsageRow,
    limits_text,
    money,
    saved_text,
    tokens_text,
)
from tui_chat.store.conversations import SQLiteStore

ONE_DOLLAR = replace(MODEL, price=Price(Decimal(1000), Decimal(0), source="config"))
TINY = replace(MODEL, price=Price(Decimal("0.1234567890123456789"), Decimal("0.000000000000000001"), source="config"))
PLAY = replace(MODEL, provider="demo", price=Price(Decimal(1000), Decimal(0), source="play", play=True))
YUAN = replace(MODEL, price=Price(Decimal(1000), Decimal(0), source="config", currency="CNY", usd_rate=None))
FREE = replace(MODEL, provider="ollama", price=Price(Decimal(0), Decimal(0), source="config"))
NO_PRICE = replace(MODEL, price=None)


@pytest.fixture
def in_zone(monkeypatch):
    """Move to a time zone."""

    def move(name):
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield move
    monkeypatch.undo()
    time.tzset()


def charged(store: SQLiteStore, at: datetime, model=ONE_DOLLAR, chat=None) -> None:
    chat = chat or chat_named()
    turn = turn_in(chat, "a", (model,))
    turn.completions[0].created_at = at
    store.start_turn(chat, turn)
    finish(turn.completions[0])
    store.save_completion(chat.id, turn.completions[0]).result()


# sums


def test_an_empty_ledger_has_no_rows(store):
    for by in GROUPINGS:
        table = store.usage(by)
        assert (table.rows, table.total) == ((), UsageRow("", "total"))
        assert table.total.cost_known


def test_sums_are_exact_to_the_last_digit(store):
    chat = chat_named()
    for _ in range(7):
        said(store, chat, "a", model=TINY)
    said(store, chat, "b", model=ONE_DOLLAR)
    total = store.usage("model").total
    assert total.usd == Decimal("1.000864197523086419753")
    assert (total.answers, total.input_tokens, total.output_tokens) == (8, 8000, 800)
    assert (total.cached_input_tokens, total.reasoning_tokens) == (0, 160)
    assert total.cost_known


def test_what_nobody_reported_is_not_nothing(store):
    chat = chat_named()
    turn = turn_in(chat, "a")
    store.start_turn(chat, turn)
    finish(turn.completions[0], usage=Usage(10, 20))
    store.save_completion(chat.id, turn.completions[0]).result()
    total = store.usage("day").total
    assert (total.cached_input_tokens, total.reasoning_tokens) == (None, None)


def test_play_money_is_nowhere(store):
    played = chat_named("play")
    said(store, played, "a", model=PLAY)
    assert all(not store.usage(by).rows for by in GROUPINGS)
    said(store, chat_named("real"), "a", model=ONE_DOLLAR)
    assert [row.title for row in store.usage("conversation").rows] == ["real"]
    assert store.usage("provider").total.usd == 1


def test_deleting_a_chat_changes_no_figure(store):
    kept, gone = chat_named("kept"), chat_named("gone")
    said(store, kept, "a", model=ONE_DOLLAR)
    said(store, gone, "b", model=TINY)
    before = {by: store.usage(by) for by in GROUPINGS}
    store.delete_conversation(gone.id).result()
    for by in ("day", "model", "provider"):
        assert store.usage(by) == before[by]
    after = store.usage("conversation")
    assert after.total == before["conversation"].total
    assert [row.title for row in before["conversation"].rows] == ["kept", "gone"]
    assert [(row.key, row.title) for row in after.rows] == [(kept.id, "kept"), (gone.id, "deleted chat")]
    assert [replace(row, title="") for row in after.rows] == [
        replace(row, title="") for row in before["conversation"].rows
    ]


def test_an_answer_whose_text_is_not_kept_is_counted(store):
    completion = answer("no turn", ONE_DOLLAR)
    finish(completion)
    store.save_charge(completion).result()
    (row,) = store.usage("conversation").rows
    assert (row.key, row.title, row.usd) == ("", "not kept", 1)


def test_the_dearest_come_first_and_of_days_the_newest(store):
    for ago, model in enumerate((ONE_DOLLAR, replace(TINY, provider="cheap"), FREE)):
        charged(store, NOON - timedelta(days=ago), model)
    assert [row.key for row in store.usage("provider").rows] == ["work", "cheap", "ollama"]
    days = [row.key for row in store.usage("day").rows]
    assert days == sorted(days, reverse=True)
    assert len(days) == 3


def test_models_are_titled_without_their_provider_where_that_is_enough(store):
    names = [("work", "a"), ("work", "claude-sonnet"), ("one", "gpt-4.1"), ("two", "gpt-4.1"), ("open", "x/deepseek")]
    for provider, name in names:
        said(store, chat_named(), "a", model=replace(ONE_DOLLAR, provider=provider, id=name))
    titles = {row.key: row.title for row in store.usage("model").rows}
    assert titles == {
        "work/a": "work/a", "work/claude-sonnet": "claude-sonnet", "one/gpt-4.1": "one/gpt-4.1",
        "two/gpt-4.1": "two/gpt-4.1", "open/x/deepseek": "open/x/deepseek",
    }  # fmt: skip


# known and unknown, estimated and settled


def test_what_has_no_known_price_is_counted_beside_the_sum(store):
    chat = chat_named()
    said(store, chat, "a", model=NO_PRICE)
    assert money(store.usage("day").total) == ("$?", "")
    said(store, chat, "b", model=YUAN)
    said(store, chat, "c", model=YUAN)
    said(store, chat, "d", model=ONE_DOLLAR)
    total = store.usage("day").total
    assert (total.usd, total.unknown, total.foreign, total.cost_known) == (1, 1, (Foreign("CNY", Decimal(2)),), False)
    assert "".join(money(total)) == "$1.00 + ¥2.00 + ?"


def test_estimated_and_settled_are_kept_apart(store):
    chat = chat_named()
    said(store, chat, "a", model=ONE_DOLLAR)
    turn = turn_in(chat, "a", (ONE_DOLLAR,))
    store.start_turn(chat, turn)
    finish(turn.completions[0], usage=None)
    store.save_completion(chat.id, turn.completions[0]).result()
    total = store.usage("day").total
    assert (total.settled_usd, total.estimated_usd) == (1, Decimal("0.01"))
    assert money(total)[0] == "~$1.01"


def test_a_running_answer_is_estimated_until_it_is_settled(store):
    chat = chat_named()
    turn = turn_in(chat, "a", (ONE_DOLLAR,))
    store.start_turn(chat, turn)
    stream(turn.completions[0], "some")
    store.save_partial(turn.completions[0], "some", "").result()
    running = store.usage("model").total
    assert (running.answers, running.settled_usd, running.estimated_usd) == (1, 0, Decimal("0.01"))
    finish(turn.completions[0])
    store.save_completion(chat.id, turn.completions[0]).result()
    ended = store.usage("model").total
    assert (ended.answers, ended.settled_usd, ended.estimated_usd) == (1, 1, 0)


def test_an_answer_of_two_attempts_is_one_answer_and_two_charges(store):
    chat = chat_named()
    turn = turn_in(chat, "a", (ONE_DOLLAR,))
    (completion,) = turn.completions
    store.start_turn(chat, turn)
    stream(completion, "")
    store.save_partial(completion, "", "")
    store.settle_attempt(completion, chat.id, owed=True)
    completion.apply(Waiting("connection", "reset", 0.0, 2, 3, request_sent=True), 0.3)
    finish(completion)
    store.save_completion(chat.id, completion).result()
    for by in GROUPINGS:
        total = store.usage(by).total
        assert (total.answers, total.charges, total.settled_usd) == (1, 2, 1)
        assert total.estimated_usd == Decimal("0.01")


def test_what_was_refused_and_cost_nothing_is_no_row(store):
    chat = chat_named()
    turn = turn_in(chat, "a")
    (completion,) = turn.completions
    store.start_turn(chat, turn)
    stream(completion, "")
    store.save_partial(completion, "", "").result()
    completion.sent = False
    completion.end(1.0, "error", ProviderError("overloaded", "busy"))
    store.save_completion(chat.id, completion).result()
    assert store.usage("day").rows == ()


def test_an_explicit_price_of_zero_is_free(store):
    said(store, chat_named(), "a", model=FREE)
    (row,) = store.usage("provider").rows
    assert money(row) == ("free", "")
    assert row.cost_known
    said(store, chat_named(), "a", model=ONE_DOLLAR)
    assert money(store.usage("provider").total) == ("$1.00", "")


def test_what_stopping_saved_is_added_up(store):
    for saved in (Saved(Decimal("0.25"), Decimal(2)), Saved(Decimal("0.5"), None), Saved(None, Decimal(1)), None):
        chat = chat_named()
        turn = turn_in(chat, "a", (ONE_DOLLAR,))
        store.start_turn(chat, turn)
        finish(turn.completions[0], reason="cancelled")
        turn.completions[0].saved = saved
        store.save_completion(chat.id, turn.completions[0]).result()
    total = store.usage("model").total
    assert (total.stopped, total.saved_low, total.saved_high) == (4, Decimal("0.75"), Decimal("3.5"))
    assert saved_text(total) == "$0.7500–$3.50"


def test_what_limits_did_to_answers_is_counted(store):
    chat = chat_named()
    endings: list[tuple[FinishReason, int | None, float]] = [
        ("budget", 50, 0.0),
        ("stop", 50, 2.5),
        ("cancelled", None, 4.0),
    ]
    for ending, clamped_to, queued_s in endings:
        turn = turn_in(chat, "a", (ONE_DOLLAR,))
        (completion,) = turn.completions
        completion.clamped_to, completion.queued_s = clamped_to, queued_s
        store.start_turn(chat, turn)
        finish(completion, reason=ending)
        store.save_completion(chat.id, completion).result()
    total = store.usage("day").total
    assert (total.answers, total.stopped, total.cut, total.clamped) == (3, 2, 1, 2)
    assert (total.waits, total.waited_s) == (2, 6.5)
    assert limits_text(total) == "1 cut, 2 given less room, 2 waited 6 s"


def test_a_history_of_before_anything_was_saved_by_stopping_can_be_read(tmp_path):
    from tui_chat.store import usage_report
    from tui_chat.store.migrations import MIGRATIONS

    with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        connection.row_factory = sqlite3.Row
        for version, migrate in enumerate(MIGRATIONS[:2], start=1):
            migrate(connection)
            connection.execute(f"PRAGMA user_version = {version}")
        connection.execute(
            "INSERT INTO charges (id, at, purpose, provider, model, cost_usd, cost_quality, state) "
            "VALUES ('x', '2026-01-02T12:00:00.000000+00:00', 'answer', 'work', 'a', '0.5', 'reported', 'settled')"
        )
        table = usage_report.usage(connection, "model", None, NOON)
    assert (table.total.usd, table.total.saved_low) == (Decimal("0.5"), None)


# days


def test_days_are_those_of_the_users_clock(store, in_zone):
    at = datetime(2026, 1, 2, 3, 30, tzinfo=UTC)
    charged(store, at)
    for zone, day in (("UTC", "2026-01-02"), ("America/New_York", "2026-01-01"), ("Asia/Kathmandu", "2026-01-02")):
        in_zone(zone)
        assert [row.key for row in store.usage("day").rows] == [day]


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("Africa/Cairo", date(2026, 4, 24), 23),  # its midnight does not exist
        ("America/Havana", date(2026, 11, 1), 25),  # its midnight comes twice
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
    ],
)
def test_days_on_which_the_clocks_change_have_all_their_hours(store, clock, in_zone, zone, day, hours):
    in_zone(zone)
    end = datetime.fromtimestamp(datetime(day.year, day.month, day.day, 23, 59, 59).timestamp() + 1, UTC)
    begin = end - timedelta(hours=hours)
    second = timedelta(seconds=1)
    for at in (begin - second, begin, begin + timedelta(hours=hours / 2), end - second, end):
        charged(store, at)
    counts = {row.key: row.answers for row in store.usage("day").rows}
    before, after = day - timedelta(days=1), day + timedelta(days=1)
    assert counts == {str(before): 1, str(day): 3, str(after): 1}
    clock.at = end
    assert [row.answers for row in store.daily(3)] == [1, 3, 1]


def test_charges_that_are_not_in_order_find_their_days(store):
    for days in (3, 1, 2, 1, 3):
        charged(store, NOON - timedelta(days=days))
    assert [(row.key, row.answers) for row in store.usage("day").rows] == [
        ("2026-01-01", 2), ("2025-12-31", 1), ("2025-12-30", 2),
    ]  # fmt: skip


def test_the_last_days_are_there_without_a_charge_too(store, in_zone):
    in_zone("UTC")
    charged(store, NOON)
    charged(store, NOON - timedelta(days=2))
    charged(store, NOON - timedelta(days=9))
    charged(store, NOON + timedelta(days=1))  # the clock was set back since
    assert [(row.title, row.answers) for row in store.daily(4)] == [
        ("Tue 30 Dec 2025", 0), ("Wed 31 Dec 2025", 1), ("yesterday", 0), ("today", 1),
    ]  # fmt: skip
    assert store.daily(0) == ()


def test_a_report_begins_at_an_aware_time(store):
    charged(store, NOON)
    charged(store, NOON - timedelta(hours=1))
    assert store.usage("day", NOON).total.answers == 1
    assert store.usage("day", NOON - timedelta(hours=1)).total.answers == 2
    assert store.usage("day", NOON + timedelta(hours=1)).rows == ()


# one sum, whatever it is added up by

AMOUNTS = st.none() | st.decimals(min_value=0, max_value=10**6, allow_nan=False, allow_infinity=False, places=30)
CHARGES = st.lists(
    st.fixed_dictionaries(
        {
            "at": st.datetimes(datetime(2020, 1, 1), datetime(2027, 1, 1)),
            "provider": st.sampled_from(["a", "b", "a/b"]),
            "model": st.sampled_from(["x", "b/x", "y"]),
            "conversation_id": st.sampled_from([None, "c1", "c2"]),
            "completion_id": st.sampled_from([None, "k1", "k2", "k3"]),
            "purpose": st.sampled_from(["answer", "title"]),
            "tokens": st.none() | st.integers(0, 10**9),
            "usd": AMOUNTS,
            "amount": AMOUNTS,
            "currency": st.sampled_from(["CNY", "EUR"]),
            "quality": st.sampled_from(["reported", "estimated", "unknown"]),
            "saved": AMOUNTS,
            "state": st.sampled_from(["open", "settled"]),
            "play": st.booleans(),
        }
    ),
    max_size=12,
)


@pytest.fixture(scope="module")
def ledger():
    """A history that the property test fills again and again."""
    with TemporaryDirectory() as folder:
        store = opened(Path(folder) / "chats.db", HandClock())
        yield Path(folder) / "chats.db", store
        store.close()


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(charges=CHARGES)
def test_every_way_of_adding_up_comes_to_the_same(ledger, charges):
    path, store = ledger
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM charges")
        for n, each in enumerate(charges):
            # the attempts of one answer are of one model, one chat and one day
            attempts = [c for c in charges[:n] if c["completion_id"] == each["completion_id"] is not None]
            same = attempts[0] if attempts else each
            connection.execute(
                "INSERT INTO charges (id, at, completion_id, conversation_id, purpose, attempt, provider, model, "
                "input_tokens, output_tokens, cost_usd, cost_amount, cost_currency, cost_quality, saved_typical, "
                "state, play) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    f"i{n}", same["at"].replace(tzinfo=UTC).isoformat(timespec="microseconds"), each["completion_id"],
                    same["conversation_id"], same["purpose"], n, same["provider"], same["model"], each["tokens"],
                    each["tokens"], each["usd"] if each["usd"] is None else str(each["usd"]),
                    each["amount"] if each["amount"] is None else str(each["amount"]), each["currency"],
                    each["quality"], None if each["saved"] is None else str(each["saved"]), each["state"], each["play"],
                ),
            )  # fmt: skip
        connection.commit()
    totals = [store.usage(by).total for by in GROUPINGS]
    assert all(total == totals[0] for total in totals)
    for by in GROUPINGS:
        rows = store.usage(by).rows
        assert sum(row.answers for row in rows) == totals[0].answers
        assert sum(row.charges for row in rows) == totals[0].charges
    exact = sum(Fraction(each["usd"]) for each in charges if not each["play"] and each["usd"] is not None)
    assert Fraction(totals[0].usd) == exact


# words


def row(**fields) -> UsageRow:
    return replace(UsageRow("k", "k"), **fields)


EURO = OwnCurrency("EUR", Decimal("0.92"))


@pytest.mark.parametrize(
    ("usage", "words"),
    [
        (row(), "$0"),
        (row(charges=2, priced=2, settled_usd=Decimal("41.30")), "$41.30 (€38.00)"),
        (row(charges=2, priced=1, unknown=1, estimated_usd=Decimal("41.30")), "~$41.30 (€38.00) + ?"),
        (row(charges=1, unknown=1), "$?"),
        (row(charges=1, foreign=(Foreign("CNY", Decimal("3.4"), estimated=True),)), "~¥3.40"),
        (row(charges=2, unknown=1, foreign=(Foreign("CNY", Decimal("3.4")),)), "¥3.40 + ?"),
        (row(charges=2, foreign=(Foreign("CNY", Decimal(3)), Foreign("XAF", Decimal(2)))), "¥3.00 + XAF 2.00"),
    ],
)
def test_money_says_what_is_known_in_the_users_currency_too(usage, words):
    assert "".join(money(usage, EURO)) == words


def test_money_without_signs_names_its_currencies():
    usage = row(charges=2, priced=1, settled_usd=Decimal(1), foreign=(Foreign("CNY", Decimal("3.4")),))
    assert "".join(money(usage, EURO, signs=False)) == "$1.00 (EUR 0.9200) + CNY 3.40"


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0"), (9_999, "9,999"), (10_000, "10.0k"), (99_949, "99.9k"), (99_950, "100k"), (999_499, "999k"),
     (999_500, "1.00M"), (1_410_000, "1.41M"), (25_585_284, "25.6M"), (512_000_000, "512M"), (2_030_000_000, "2.03B"),
     (10**13, "10,000B")],
)  # fmt: skip
def test_sums_of_tokens_are_short(count, words):
    assert tokens_text(count) == words


@pytest.mark.skipif("TUI_CHAT_SLOW" not in os.environ, reason="measures")
def test_a_hundred_thousand_charges_are_added_up_within_a_second(store, path):
    with closing(sqlite3.connect(path)) as connection:
        connection.executemany(
            "INSERT INTO charges (id, at, completion_id, purpose, provider, model, input_tokens, output_tokens, "
            "cost_usd, cost_quality, state) VALUES (?, ?, ?, 'answer', 'work', 'a', 1, 1, ?, 'reported', 'settled')",
            (
                (str(n), (NOON - timedelta(minutes=n)).isoformat(timespec="microseconds"), str(n), f"0.{n:07}")
                for n in range(100_000)
            ),
        )
        connection.commit()
    started = time.perf_counter()
    assert store.usage("day").total.answers == 100_000
    assert time.perf_counter() - started < 1
