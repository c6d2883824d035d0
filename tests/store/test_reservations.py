"""Money that is set aside: nobody spends what another was promised, whoever runs, stops, settles or dies."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from tests.store.made import MODEL, NOON, HandClock, answer, chat_named, finish, opened, stream, turn_in
from tui_chat.core.caps import Balance, Claim, Span
from tui_chat.core.completion import Completion
from tui_chat.core.conversation import Conversation
from tui_chat.core.events import Waiting
from tui_chat.core.pricing import Price
from tui_chat.core.usage import Usage
from tui_chat.store import database, recovery, reservations
from tui_chat.store.conversations import SQLiteStore
from tui_chat.store.migrations import MIGRATIONS, migrate

CENTS = Price(Decimal(0), Decimal(10_000), source="config")
CENT = replace(MODEL, price=CENTS, stops_billing="yes")
"""A cent for each token of output, and a letter is a token here."""
DAY = timedelta(days=1)
ZERO = Decimal(0)


def span(cap: str | Decimal = "1", chat: Conversation | None = None, start: datetime = NOON) -> Span:
    if chat is not None:
        return Span("chat", "budget.per_chat_usd", Decimal(cap), conversation_id=chat.id)
    return Span("day", "budget.daily_usd", Decimal(cap), start, start + DAY)


def claim(
    completion: Completion, chat: Conversation, *spans: Span, used: str | Decimal = "0", least="0.16", part="5.12"
) -> Claim:
    at = completion.created_at
    return Claim(completion.id, chat.id, at, spans, Decimal(used), Decimal(least), Decimal(part))


def running(store: SQLiteStore, chat: Conversation, model=CENT) -> Completion:
    turn = turn_in(chat, "Hi", (model,))
    store.start_turn(chat, turn).result()
    return turn.completions[0]


def spend(store: SQLiteStore, completion: Completion, cents: int) -> None:
    stream(completion, "x" * cents)
    store.save_partial(completion, "x" * cents, "").result()


def end(
    store: SQLiteStore, chat: Conversation, completion: Completion, cents: int | None = None, reason="stop"
) -> None:
    """End it; `cents` is what the server says in the end."""
    finish(completion, "", reason, usage=None if cents is None else Usage(10, cents))
    store.save_completion(chat.id, completion).result()


def reserved(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM reservations").fetchone()[0])


def only(balances: tuple[Balance, ...]) -> Balance:
    (balance,) = balances
    return balance


def test_two_answers_share_what_is_left(store):
    chat, day = chat_named(), span("1")
    first, second = running(store, chat), running(store, chat)
    got = store.reserve(claim(first, chat, day, used="0.5")).result()
    assert got.held_usd == Decimal("0.66"), "what it uses, and the least on top: an eighth of the rest is less"
    other = store.reserve(claim(second, chat, day, used="0.1")).result()
    assert (other.held_usd, other.tightest.held_usd) == (Decimal("0.26"), Decimal("0.66"))
    third = store.reserve(claim(running(store, chat), chat, day)).result()
    assert (third.held_usd, third.tightest.left_usd) == (None, Decimal("0.08"))


def test_the_limit_with_the_least_left_decides(store):
    chat, other = chat_named(), chat_named()
    store.reserve(claim(running(store, chat), chat, span("9"), used="0.3", part="0")).result()
    store.reserve(claim(running(store, other), other, span("9"), used="0.5", part="0")).result()
    got = store.reserve(claim(running(store, chat), chat, span("9"), span("0.5", chat))).result()
    assert (got.held_usd, got.tightest.span.scope, got.tightest.left_usd) == (None, "chat", Decimal("0.04"))
    assert got.balances[0].held_usd == Decimal("1.12")


def test_a_running_answer_counts_with_the_larger_of_what_it_holds_and_what_it_was_charged(store):
    chat, day = chat_named(), span("1")
    completion = running(store, chat)
    store.reserve(claim(completion, chat, day, used="0.1")).result()
    spend(store, completion, 5)
    (balance,) = store.balances((day,))
    assert (balance.spent_usd, balance.held_usd, balance.left_usd) == (
        Decimal("0.05"),
        Decimal("0.21"),
        Decimal("0.74"),
    )
    spend(store, completion, 35)
    (balance,) = store.balances((day,))
    assert (balance.spent_usd, balance.held_usd, balance.left_usd) == (Decimal("0.4"), ZERO, Decimal("0.6"))
    more = store.reserve(claim(completion, chat, day, used="0.4")).result()
    assert more.tightest.left_usd == 1, "its own hold and charge do not stand in its way"


def test_the_charge_takes_the_place_of_the_reservation(store, path):
    chat, day = chat_named(), span("1")
    completion = running(store, chat)
    store.reserve(claim(completion, chat, day)).result()
    spend(store, completion, 3)
    end(store, chat, completion, 4)
    assert reserved(path) == 0
    assert only(store.balances((day,))) == Balance(day, Decimal("0.04"), Decimal("0.04"), ZERO)


def test_so_it_does_where_no_text_is_kept(store, path):
    chat, day = chat_named(), span("1")
    completion = answer("no turn", CENT)
    store.reserve(claim(completion, chat, day)).result()
    stream(completion, "xx")
    store.save_charge(completion).result()
    assert reserved(path) == 1
    finish(completion, "", usage=None)
    store.save_charge(completion).result()
    assert reserved(path) == 0


def test_an_attempt_that_failed_stays_charged_beside_the_hold_of_the_next(store):
    chat, day = chat_named(), span("1")
    completion = running(store, chat)
    store.reserve(claim(completion, chat, day)).result()
    spend(store, completion, 10)
    store.settle_attempt(completion, chat.id, owed=True)
    completion.apply(Waiting("connection", "reset", 0.0, 2, 3, request_sent=True), 0.3)
    (balance,) = store.balances((day,))
    assert (balance.spent_usd, balance.held_usd) == (Decimal("0.1"), Decimal("0.16"))
    assert store.reserve(claim(completion, chat, day)).result().tightest.left_usd == Decimal("0.9")


def test_days_and_play_money_are_told_apart(store):
    chat = chat_named()
    play = replace(CENT, price=replace(CENTS, play=True))
    for model, at in ((CENT, NOON - DAY), (CENT, NOON), (CENT, NOON + DAY), (play, NOON)):
        completion = running(store, chat, model)
        completion.created_at = at
        end(store, chat, completion, 7)
    assert only(store.balances((span(),))).spent_usd == Decimal("0.07")
    assert only(store.balances((span(chat=chat),))).spent_usd == Decimal("0.21")


def test_what_may_be_billed_in_full_counts_in_full_once_it_was_stopped(store):
    chat, day = chat_named(), span("10")
    completion = running(store, chat, replace(CENT, stops_billing="no"))
    completion.clamped_to = 50
    store.reserve(claim(completion, chat, day)).result()
    spend(store, completion, 10)
    assert only(store.balances((day,))).at_most_usd == Decimal("0.1"), "it may yet end in peace"
    end(store, chat, completion, reason="cancelled")
    (balance,) = store.balances((day,))
    assert (balance.spent_usd, balance.at_most_usd, balance.left_usd) == (
        Decimal("0.1"),
        Decimal("0.5"),
        Decimal("9.5"),
    )
    assert store.spent_since(NOON).usd == Decimal("0.1"), "the charge stays what it is"
    completion.settle(Usage(10, 12), Decimal("0.12"))
    store.save_completion(chat.id, completion).result()
    assert only(store.balances((day,))).at_most_usd == Decimal("0.12"), "the bill ends the doubt"


def test_a_history_of_version_4_is_brought_up_to_date(path):
    path.parent.mkdir()
    path.touch()
    with closing(database.connect(path, "mode=rw")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        migrate(connection, path, MIGRATIONS[:4])
        connection.execute(
            "INSERT INTO charges (id, at, completion_id, purpose, provider, model, cost_usd, cost_quality, state) "
            "VALUES ('x', ?, 'c', 'answer', 'work', 'a', '0.25', 'reported', 'settled')",
            (NOON.isoformat(timespec="microseconds"),),
        )
        connection.row_factory = sqlite3.Row
        day = span("1")
        assert reservations.balances(connection, path, "", (day,)) == (Balance(day, Decimal("0.25"), Decimal("0.25")),)
    history, chat = opened(path), chat_named()
    assert only(history.balances((day,))) == Balance(day, Decimal("0.25"), Decimal("0.25"))
    assert history.reserve(claim(running(history, chat), chat, day)).result().tightest.left_usd == Decimal("0.75")
    history.close()


PROGRAM = """
import sys
from pathlib import Path
from tests.store.test_reservations import *
store, chat, day = opened(Path(sys.argv[1])), chat_named(), span(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
spent = 0
for _ in range(int(sys.argv[3])):
    completion = running(store, chat)
    completion.created_at = NOON
    held = store.reserve(claim(completion, chat, day, part="0.2")).result().held_usd
    if held is None:
        end(store, chat, completion)
        break
    while held is not None:  # to the last cent that it holds, then for more
        spend(store, completion, int(held * 100) - len(completion.text))
        held = store.reserve(claim(completion, chat, day, used=held, least="0", part="0.1")).result().held_usd
        if len(completion.text) > 60:
            break
    if sys.argv[4] == "hangs":
        print("hangs", flush=True)
        sys.stdin.readline()
    spent += len(completion.text)
    end(store, chat, completion)
store.close()
print(spent, flush=True)
"""


def program(path: Path, cap: str, answers: int, mode: str = "ends") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(path), cap, str(answers), mode],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def told(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.write("go\n")
    process.stdin.flush()


def test_two_programs_cannot_both_spend_the_rest_of_a_day(path):
    opened(path).close()
    with program(path, "7.77", 100) as one, program(path, "7.77", 100) as two:
        for process in (one, two):
            assert told(process) == "ready"
        for process in (one, two):
            tell(process)
        cents = int(told(one)) + int(told(two))
    history = opened(path)
    (balance,) = history.balances((span("7.77"),))
    history.close()
    assert balance.spent_usd == Decimal(cents) / 100
    assert Decimal("7.77") - Decimal("0.16") < balance.spent_usd <= Decimal("7.77")
    assert balance.held_usd == 0


def test_what_a_killed_program_held_comes_back_and_what_it_spent_does_not(path):
    opened(path).close()
    with program(path, "2", 1, "hangs") as killed:
        assert told(killed) == "ready"
        tell(killed)
        assert told(killed) == "hangs"
        history, day = opened(path), span("2")
        (before,) = history.balances((day,))
        assert (reserved(path), before.spent_usd > 0, before.held_usd > 0) == (1, True, True)
        killed.kill()
        killed.wait(10)
        (after,) = history.balances((day,))
        assert (after.held_usd, after.spent_usd) == (ZERO, before.spent_usd), "seen at once by those that live"
        history.close()
    again = opened(path)
    assert reserved(path) == 0
    assert only(again.balances((day,))).spent_usd == before.spent_usd
    again.close()


def test_one_that_lives_takes_what_a_dead_one_held(path):
    opened(path).close()
    with program(path, "1", 1, "hangs") as killed:
        assert told(killed) == "ready"
        history, chat = opened(path), chat_named()
        tell(killed)
        assert told(killed) == "hangs"
        killed.kill()
        killed.wait(10)
        assert history.reserve(claim(running(history, chat), chat, span("1"), least="0.01")).result().held_usd
        assert reserved(path) == 1
        history.close()


def test_the_death_of_another_does_not_settle_an_answer_without_text_that_money_is_set_aside_for(store, path):
    chat, day = chat_named(), span("1")
    completion = answer("no turn", CENT)
    store.reserve(claim(completion, chat, day)).result()
    stream(completion, "xx")
    store.save_charge(completion).result()
    with closing(database.connect(path, "mode=rw")) as connection:
        recovery.end_answers_of(connection, "another")
    assert list(store.open_charges()) == [completion.id]
    assert only(store.balances((day,))).held_usd == Decimal("0.14")


def test_what_was_granted_once_is_not_taken_back_by_asking_for_more(store):
    chat, day = chat_named(), span("1")
    completion = running(store, chat)
    first = store.reserve(claim(completion, chat, day, part="0.5")).result()
    got = store.reserve(claim(completion, chat, day, used="0.01", least="0", part="0.01")).result()
    assert first.held_usd == got.held_usd == Decimal("0.16")


def test_answers_that_may_be_billed_to_their_end_share_what_is_left_evenly(store):
    chat, day = chat_named(), span("1")
    held = []
    for among in (4, 3, 2, 1):
        whole = replace(claim(running(store, chat), chat, day, least="0.01"), whole=True, among=among)
        held.append(store.reserve(whole).result().held_usd)
    assert held == [Decimal("0.25")] * 4


CAP, SLICE, LEAST = Decimal(2), Decimal("0.3"), Decimal("0.05")


class Ledger(RuleBasedStateMachine):
    """Any interleaving of reserving, extending, spending, settling, stopping and dying, over one real ledger."""

    answers = Bundle("answers")

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name) / "chats.db"
        self.clock = HandClock()
        self.stores = [opened(self.path, self.clock) for _ in range(2)]
        self.chat = chat_named()
        self.day = span(CAP)
        self.held: dict[str, Decimal] = {}
        self.ended: list[Completion] = []
        self.lost = ZERO
        """What answers of dead programs had spent."""
        self.late = ZERO
        """By how much servers reported more than was held."""

    def teardown(self) -> None:
        for store in self.stores:
            store.close()
        self.folder.cleanup()

    @rule(target=answers, at=st.integers(0, 1), used=st.integers(0, 30))
    def reserve(self, at, used):
        completion = running(self.stores[at], self.chat)
        wanted = claim(completion, self.chat, self.day, used=Decimal(used) / 100, least=LEAST, part=SLICE)
        held = self.stores[at].reserve(wanted).result().held_usd
        if held is None:
            end(self.stores[at], self.chat, completion)
        else:
            self.held[completion.id] = held
        return at, self.stores[at], completion

    def runs(self, known) -> bool:
        at, store, completion = known
        return self.stores[at] is store and completion.id in self.held

    @rule(known=answers, cents=st.integers(1, 40))
    def stream(self, known, cents):
        """It never streams beyond what it holds without asking."""
        _, store, completion = known
        if not self.runs(known):
            return
        spent = Decimal(len(completion.text)) / 100
        if spent + Decimal(cents) / 100 > self.held[completion.id]:
            wanted = claim(completion, self.chat, self.day, used=spent, least="0", part=SLICE)
            held = store.reserve(wanted).result().held_usd
            self.held[completion.id] = held or self.held[completion.id]
        room = int((self.held[completion.id] - spent) * 100)
        spend(store, completion, min(cents, room))

    @rule(known=consumes(answers), more=st.integers(0, 3))
    def settle(self, known, more):
        _, store, completion = known
        if self.runs(known):
            self.late += Decimal(more) / 100
            end(store, self.chat, completion, len(completion.text) + more)
            del self.held[completion.id]
            self.ended.append(completion)

    @rule(known=consumes(answers))
    def cancel(self, known):
        _, store, completion = known
        if self.runs(known):
            end(store, self.chat, completion, reason="cancelled")
            del self.held[completion.id]
            self.ended.append(completion)

    @rule(at=st.integers(0, 1), known=st.lists(answers, max_size=5))
    def crash(self, at, known):
        """The process is gone with its lock; what it had written stays. Another starts in its place."""
        dying = self.stores[at]
        dying._presence.release()
        self.stores[at] = opened(self.path, self.clock)
        dying.close()
        for _, store, completion in known:
            if store is dying and self.held.pop(completion.id, None) is not None:
                self.lost += Decimal(len(completion.text)) / 100
        gone = [name for name in self.held if name not in self.reservations()]
        for name in gone:
            del self.held[name]
            self.lost += self.charged(name)

    def reservations(self) -> dict[str, Decimal]:
        with closing(sqlite3.connect(self.path)) as connection:
            return {
                name: Decimal(usd) for name, usd in connection.execute("SELECT completion_id, usd FROM reservations")
            }

    def charged(self, completion_id: str) -> Decimal:
        with closing(sqlite3.connect(self.path)) as connection:
            found = connection.execute("SELECT cost_usd FROM charges WHERE completion_id = ?", (completion_id,))
            return sum((Decimal(usd) for (usd,) in found), ZERO)

    @invariant()
    def nobody_spends_what_another_was_promised(self):
        (balance,) = self.stores[0].balances((self.day,))
        assert balance.spent_usd + balance.held_usd <= CAP + self.late
        assert balance.left_usd == CAP - balance.spent_usd - balance.held_usd

    @invariant()
    def the_reservations_are_those_of_the_living(self):
        assert self.reservations() == self.held

    @invariant()
    def sums_are_the_charges(self):
        (balance,) = self.stores[0].balances((self.day,))
        ended = sum((completion.cost.usd or ZERO for completion in self.ended), ZERO)
        live = sum((self.charged(name) for name in self.held), ZERO)
        assert balance.spent_usd == ended + live + self.lost == self.stores[0].spent_since(NOON).usd


TestLedger = pytest.mark.usefixtures("_patient_reads")(Ledger.TestCase)
TestLedger.settings = settings(
    max_examples=25, stateful_step_count=25, suppress_health_check=list(HealthCheck), deadline=None
)
