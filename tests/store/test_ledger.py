import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta, timezone
from decimal import Decimal

from tests.store.made import MODEL, NOON, Letters, answer, chat_named, finish, opened, said, stream, turn_in
from tui_chat.core.calibration import KEPT, Sample
from tui_chat.core.completion import Completion
from tui_chat.core.errors import ProviderError
from tui_chat.core.events import Waiting
from tui_chat.core.format import Spent, total
from tui_chat.core.pricing import Price
from tui_chat.core.savings import Saved
from tui_chat.core.usage import Usage

ONE_DOLLAR = replace(MODEL, price=Price(Decimal(1000), Decimal(0), source="config"))
PLAY = replace(MODEL, provider="demo", price=Price(Decimal(1000), Decimal(0), source="play", play=True))
YUAN = replace(MODEL, price=Price(Decimal(1000), Decimal(0), source="config", currency="CNY", usd_rate=None))
NO_PRICE = replace(MODEL, price=None)


def charges(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute("SELECT * FROM charges ORDER BY n")]


def test_play_money_enters_no_total_but_a_chats_own(store):
    chat, played = chat_named(), chat_named()
    said(store, chat, "a", model=ONE_DOLLAR)
    said(store, chat, "b", model=PLAY)
    said(store, played, "c", model=PLAY)
    said(store, played, "d", model=PLAY)
    assert store.spent_since(NOON) == Spent(Decimal(1), answers=1)
    assert store.spent_in(chat.id) == Spent(Decimal(1), answers=1)
    assert store.spent_in(played.id) == Spent(Decimal(2), answers=2, play=True)
    assert store.spent_in("unknown") == Spent()


def test_what_has_no_price_in_dollars_is_counted_as_unknown(store):
    chat = chat_named()
    said(store, chat, "a", model=NO_PRICE)
    assert total(store.spent_in(chat.id)) == "$?"
    said(store, chat, "b", model=YUAN)
    said(store, chat, "c", model=ONE_DOLLAR)
    spent = store.spent_in(chat.id)
    assert (spent.usd, spent.unknown, spent.answers, spent.estimated) == (Decimal(1), 2, 3, False)


def test_an_estimate_marks_the_total(store):
    chat = chat_named()
    turn = turn_in(chat, "a", (ONE_DOLLAR,))
    store.start_turn(chat, turn)
    finish(turn.completions[0], usage=None)
    store.save_completion(chat.id, turn.completions[0])
    assert store.spent_in(chat.id).estimated


def test_what_runs_is_in_the_sums_and_can_be_told_from_them(store):
    chat = chat_named()
    said(store, chat, "a", model=ONE_DOLLAR)
    turn = turn_in(chat, "b", (ONE_DOLLAR,))
    store.start_turn(chat, turn)
    stream(turn.completions[0], "Hello")
    store.save_partial(turn.completions[0], "Hello", "").result()
    running = store.open_charges()
    assert running == {turn.completions[0].id: turn.completions[0].cost.usd}
    assert store.spent_since(NOON).usd == 1 + sum(running.values())
    finish(turn.completions[0], "")
    store.save_completion(chat.id, turn.completions[0]).result()
    assert store.open_charges() == {}


def test_spending_counts_from_an_aware_time(store):
    chat = chat_named()
    for hours in (0, 1, 2):
        turn = turn_in(chat, "a", (ONE_DOLLAR,))
        turn.completions[0].created_at = NOON + timedelta(hours=hours)
        store.start_turn(chat, turn)
        finish(turn.completions[0])
        store.save_completion(chat.id, turn.completions[0])
    elsewhere = timezone(timedelta(hours=-5))
    assert store.spent_since((NOON + timedelta(hours=1)).astimezone(elsewhere)).answers == 2
    assert store.spent_since(NOON + timedelta(hours=1, microseconds=1)).answers == 1
    assert store.spent_since(NOON.replace(microsecond=0)).answers == 3


def test_a_running_answer_is_an_open_charge_that_is_settled_once(store, path):
    chat = chat_named()
    turn = turn_in(chat, "a")
    (completion,) = turn.completions
    store.start_turn(chat, turn).result()
    assert charges(path) == []
    for _ in range(3):
        stream(completion, "some")
        store.save_partial(completion, "some", "").result()
    (charge,) = charges(path)
    assert (charge["state"], charge["conversation_id"], charge["cost_quality"]) == ("open", chat.id, "estimated")
    assert store.spent_in(chat.id).answers == 1
    finish(completion)
    store.save_completion(chat.id, completion).result()
    (charge,) = charges(path)
    assert (charge["state"], charge["cost_quality"], charge["finish_reason"]) == ("settled", "reported", "stop")
    assert charge["id"] != completion.id
    assert Decimal(charge["cost_amount"]) == completion.cost.amount
    assert (charge["provider"], charge["model"], charge["purpose"]) == ("work", "vendor/a", "answer")


def test_the_ledger_holds_no_text(store, path):
    chat = chat_named("secret title")
    said(store, chat, "secret prompt", "secret answer")
    assert "secret" not in repr(charges(path))


def test_a_request_that_was_never_taken_is_no_charge(store, path):
    chat = chat_named()
    turn = turn_in(chat, "a")
    store.start_turn(chat, turn)
    turn.completions[0].end(1.0, "error", ProviderError("connection", "no route"))
    store.save_completion(chat.id, turn.completions[0]).result()
    assert charges(path) == []
    (found,) = store.path(chat.id)[0].completions
    assert found.cost == turn.completions[0].cost
    assert found.error is not None


def test_a_sent_request_without_tokens_is_a_charge(store, path):
    chat = chat_named()
    turn = turn_in(chat, "a")
    store.start_turn(chat, turn)
    stream(turn.completions[0], "")
    turn.completions[0].end(1.0, "error", ProviderError("timeout", "silence"))
    store.save_completion(chat.id, turn.completions[0]).result()
    (charge,) = charges(path)
    assert charge["input_tokens"] == 10
    assert charge["usage_source"] == "partial"


def test_an_answer_that_is_not_kept_is_still_charged(path):
    history = opened(path)
    completion: Completion = answer("no turn")
    finish(completion, usage=Usage(1000, 1))
    history.save_charge(completion)
    history.close()
    again = opened(path)
    assert again.spent_since(NOON).answers == 1
    assert not again.conversations()
    assert again.last_model() == "work/vendor/a"
    again.close()


def test_a_failed_attempt_keeps_a_charge_of_its_own(store, path):
    chat = chat_named()
    turn = turn_in(chat, "a")
    (completion,) = turn.completions
    store.start_turn(chat, turn)
    stream(completion, "")
    completion.clamped_to = 50
    store.save_partial(completion, "", "")
    store.settle_attempt(completion, chat.id, owed=True)
    completion.apply(Waiting("connection", "reset", 0.0, 2, 3, request_sent=True), 0.3)
    finish(completion)
    store.save_completion(chat.id, completion).result()
    found = [(c["attempt"], c["state"], c["finish_reason"], c["usage_source"]) for c in charges(path)]
    assert found == [(1, "settled", "error", "partial"), (2, "settled", "stop", "reported")]
    assert charges(path)[0]["upper_usd"] is None, "the server broke off"
    assert store.spent_in(chat.id).answers == 2


def test_an_attempt_that_was_answered_and_then_refused_costs_nothing(store, path):
    chat = chat_named()
    turn = turn_in(chat, "a", (MODEL, MODEL))
    store.start_turn(chat, turn)
    retried, refused = turn.completions
    for completion in turn.completions:
        stream(completion, "")
        store.save_partial(completion, "", "").result()
    assert store.spent_in(chat.id).usd
    store.settle_attempt(retried, chat.id, owed=False)
    refused.sent = False
    refused.end(1.0, "error", ProviderError("overloaded", "busy"))
    store.save_completion(chat.id, refused).result()
    assert charges(path) == []
    assert store.spent_in(chat.id).usd == 0


def test_a_request_that_leaves_is_charged_and_one_that_does_not_leave_after_all_is_not(store, path):
    completion = answer("no turn")
    completion.start(0.0, Letters(), 1_000_000)
    completion.sent = True
    store.open_charge(completion, "chat").result()
    (charge,) = charges(path)
    assert (charge["state"], charge["cost_usd"], charge["conversation_id"]) == ("open", "0.27", "chat")
    completion.sent = False
    store.open_charge(completion, "chat").result()
    assert charges(path) == []


def test_samples_of_each_model_are_kept_the_last_ones_of_each_kind(store, path):
    for n in range(KEPT + 5):
        store.save_sample("work", "a", Sample("output", 100 + n, 120))
        store.save_sample("work", "b", Sample("first", 50, 60 + n))
    store.save_sample("work", "a", Sample("first", 10, 20))
    kept = store.samples("work", "a")
    assert kept == [*(Sample("output", 100 + n, 120) for n in range(5, KEPT + 5)), Sample("first", 10, 20)]
    assert len(store.samples("work", "b")) == KEPT
    assert store.samples("other", "a") == []
    store.close()
    assert opened(path).samples("work", "a") == kept


def test_what_a_stop_saved_is_kept_with_the_answer_and_the_charge(store, path):
    chat = chat_named()
    turn = turn_in(chat, "a", (ONE_DOLLAR,))
    store.start_turn(chat, turn)
    stopped = turn.completions[0]
    finish(stopped, reason="cancelled")
    stopped.saved = Saved(Decimal("0.0012"), None)
    store.save_completion(chat.id, stopped).result()
    (loaded,) = store.path(chat.id)[0].completions
    assert loaded.saved == stopped.saved
    assert (charges(path)[0]["saved_typical"], charges(path)[0]["saved_ceiling"]) == ("0.0012", None)


def test_the_lengths_of_finished_answers_are_those_of_this_model(store):
    chat = chat_named()
    for n in range(3):
        said(store, chat, str(n), model=ONE_DOLLAR)
    said(store, chat, "other", model=replace(ONE_DOLLAR, id="b"))
    lengths = store.finished_lengths(ONE_DOLLAR.provider, ONE_DOLLAR.id)
    assert len(lengths) == 3
    assert all(length > 0 for length in lengths)
    assert store.finished_lengths("other", ONE_DOLLAR.id) == []
