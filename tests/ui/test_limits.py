"""Limits on money as the screen shows them: beside the totals, as full as what runs makes them, loud only when near."""

import time
from datetime import UTC, datetime
from decimal import Decimal
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from textual.app import App

from tests.loopback import DONE, Head, Stall, WaitFor, chat_chunk, chat_stream, chat_usage, seen
from tui_chat.core.caps import Balance, Level, Scope, Span
from tui_chat.core.format import Spent
from tui_chat.ui.accounts import Accounts
from tui_chat.ui.theme import ASCII, UNICODE
from tui_chat.ui.widgets.sidebar import Spending, spending_lines

SSE = Head(200, {"Content-Type": "text/event-stream"})
ENDS = {"day": datetime(2026, 11, 22).astimezone(), "month": datetime(2026, 12, 1).astimezone()}
TODAY, MONTH = Spent(Decimal("0.0412"), answers=1), Spent(Decimal("41.30"), estimated=True, answers=9)


def cap(scope: Scope, limit: str, spent: str, level: Level = "quiet") -> tuple[Balance, Level]:
    begin = datetime(2026, 11, 1, tzinfo=UTC)
    return Balance(Span(scope, "", Decimal(limit), begin, ENDS[scope]), Decimal(spent), Decimal(spent)), level


def drawn(caps, width=38, glyphs=UNICODE, month=MONTH) -> list[str]:
    lines = spending_lines(TODAY, month, caps, width, glyphs)
    assert all(line.cell_length == width for line in lines)
    return [line.plain.rstrip() for line in lines]


def colours(caps) -> str:
    return " ".join(str(span.style) for span in spending_lines(TODAY, MONTH, caps, 38, UNICODE)[-1].spans)


# the foot of the list of conversations


def test_without_limits_there_are_two_totals():
    assert drawn([]) == [" today                        $0.0412", " month                        ~$41.30"]


def test_totals_stand_against_their_limits_and_a_gauge_shows_the_nearest():
    assert drawn([cap("day", "5", "0.0412"), cap("month", "50", "41.3", "warn")]) == [
        " today               $0.0412 /  $5.00",
        " month               ~$41.30 / $50.00",
        " ━━━━━━━━━━━━━━━━━━━━━━━━━╸─────  82%",
    ]


def test_a_total_without_a_limit_keeps_its_column():
    assert drawn([cap("month", "50", "41.3")])[:2] == [
        " today               $0.0412",
        " month               ~$41.30 / $50.00",
    ]


def test_where_there_is_no_room_the_limits_go_and_the_gauge_stays():
    lines = drawn([cap("month", "50", "41.3")], 22, ASCII, Spent(Decimal("41.30"), True, 1, 2))
    assert lines[1] == " month    ~$41.30 + ?"
    assert lines[2].startswith(" ====")


def test_a_gauge_is_quiet_then_amber_then_red_words():
    assert "$bar" in colours([cap("day", "5", "1")])
    assert "$stop" in colours([cap("day", "5", "4", "warn")])
    assert "$fail" in colours([cap("day", "5", "5", "reached")])


@pytest.mark.parametrize(
    ("scope", "words"), [("day", " ◆ nothing left until 00:00"), ("month", " ◆ nothing left until 1 Dec")]
)
def test_a_limit_that_is_reached_says_until_when(scope, words):
    assert drawn([cap(scope, "5", "5.01", "reached")])[2] == words


# what runs


async def test_what_runs_fills_the_gauges_once(program):
    gate = Event()
    answer = [chat_chunk(" the" * 100), WaitFor(gate), chat_chunk(usage=chat_usage(9, 100)), DONE]
    program.server.enqueue([SSE, *answer])
    async with program.running(
        more="[budget]\ndaily_usd = 0.00025\nmonthly_usd = 1\nper_chat_usd = 0.00026\n"
    ) as driver:
        accounts, screen = driver.screen._accounts, driver.screen
        await driver.ask("hi")
        await driver.until(lambda: driver.answers and driver.answers[0].text)
        await driver.until(screen._store.open_charges)
        for _ in range(2):
            running = [each.completion for each in driver.app.streams.all]
            usd = driver.answers[0].cost.usd
            assert usd
            assert accounts.today(running).usd == accounts.month(running).usd == usd
            (day, level), (month, quiet) = accounts.caps(running)
            assert (day.spent_usd, month.spent_usd, quiet) == (usd, usd, "quiet")
            assert level == "warn"
            assert accounts.chat(running).usd == usd
            accounts.read(screen.pane.session)  # now the ledger has it too
        assert accounts.nearest_cap(running, running).plain.endswith("today")
        gate.set()
        await driver.until(lambda: driver.idle)
        assert accounts.caps([])[0][0].spent_usd == driver.answers[0].cost.usd


async def test_play_money_fills_no_gauge(program):
    program.config = program.config.replace("work/a", "demo/quick", 1)
    async with program.running(more="[budget]\ndaily_usd = 0.000001\nper_chat_usd = 0.000001\n") as d:
        await d.ask("hi")
        await d.until(lambda: d.answers and d.idle)
        accounts = d.screen._accounts
        assert d.answers[0].cost.play
        assert accounts.caps(d.answers)[0][0].spent_usd == 0
        assert not accounts.nearest_cap(d.answers, d.answers)


# raising one


async def test_a_cut_answer_goes_on_when_its_limit_is_raised(program):
    part = program.server.enqueue([SSE, *(chat_chunk(" word") for _ in range(400)), Stall()])
    program.server.enqueue([SSE, chat_stream([" and the end."], usage=chat_usage(90, 4))])
    async with program.running(more="[budget]\nper_answer_usd = 0.0002\n") as driver:
        await driver.ask("hi")
        await driver.until(lambda: driver.answers and driver.answers[0].finish_reason == "budget")
        assert await seen(part.hung_up)
        cut = driver.answers[0]
        assert cut.text
        assert cut.cost.usd <= Decimal("0.000202"), "no more than the delta that reached it"
        await driver.until(lambda: driver.shows("stopped by budget.per_answer_usd = $0.00020"))
        assert driver.shows("^t then"), "letters go into the prompt yet"
        await driver.press("ctrl+t")
        await driver.until(lambda: not driver.shows("^t then"))
        await driver.press("B")
        await driver.until(lambda: driver.shows("budget.per_answer_usd = $0.0") and driver.shows("until you quit."))
        await driver.until(lambda: driver.idle and driver.shows("and the end."))
        assert driver.screen.pane.cursor.resumes_id == cut.id
        assert program.server.requests[1].json["messages"][-1]["content"]


async def test_a_prompt_that_a_spent_day_refuses_is_sent_when_the_limit_is_raised(program):
    program.server.enqueue([SSE, chat_stream(["x " * 50], usage=chat_usage(10, 60))])
    program.server.enqueue([SSE, chat_stream(["second"], usage=chat_usage(10, 1))])
    async with program.running(more="[budget]\ndaily_usd = 0.00014\n") as driver:
        await driver.ask("hi")
        await driver.until(lambda: driver.answers and driver.idle)
        await driver.ask("more")
        await driver.until(lambda: len(driver.answers) == 2 and driver.idle)
        assert len(program.server.requests) == 1, "refused before it is sent"
        await driver.until(lambda: driver.shows("not sent:") and driver.shows("raise it and send"))
        assert driver.shows("today"), "the composer says which limit is near"
        await driver.press("ctrl+t", "B")
        await driver.until(lambda: driver.idle and driver.shows("second"))
        assert len(program.server.requests) == 2


# days


class Ledger:
    """Accounts at a time that the test sets, over a ledger that says what it is asked."""

    def __init__(self, now: datetime) -> None:
        self.at = now
        self.asked: list[datetime] = []
        self.reads = 0
        services: Any = SimpleNamespace(clock=self, store=self, chat=SimpleNamespace(budgets=self))
        session: Any = SimpleNamespace(conversation=SimpleNamespace(id="c", stored=False))
        self.accounts = Accounts(services, UNICODE)
        self.accounts.read(session)

    def now(self) -> datetime:
        return self.at

    def open_charges(self) -> dict[str, Decimal]:
        return {}

    def spent_since(self, since: datetime) -> Spent:
        self.asked.append(since)
        return Spent()

    def balances(self, _conversation_id: str, now: datetime) -> tuple[Balance, ...]:
        self.reads += 1
        assert now == self.at
        return ()


@pytest.fixture
def berlin(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("noon", "day"),
    [
        (datetime(2026, 3, 29, 10, tzinfo=UTC), datetime(2026, 3, 28, 23, tzinfo=UTC)),
        (datetime(2026, 10, 25, 11, tzinfo=UTC), datetime(2026, 10, 24, 22, tzinfo=UTC)),
    ],
)
def test_today_begins_at_midnight_on_the_days_when_clocks_change_too(berlin, noon, day):
    ledger = Ledger(noon)
    assert ledger.asked[0] == day
    assert ledger.asked[1].astimezone().strftime("%d %H:%M") == "01 00:00"


def test_after_midnight_the_totals_of_the_new_day_are_read_once(berlin):
    ledger = Ledger(datetime(2026, 11, 21, 22, 59, tzinfo=UTC))
    assert ledger.accounts.day_ends_in_s == 60
    for _ in range(3):
        ledger.accounts.today([]), ledger.accounts.caps([])
    assert ledger.reads == 1, "nothing is read while the day lasts"
    ledger.at = datetime(2026, 11, 21, 23, 0, tzinfo=UTC)
    for _ in range(3):
        ledger.accounts.caps([]), ledger.accounts.today([]), ledger.accounts.nearest_cap([], [])
    assert ledger.reads == 2
    assert ledger.asked[-2:] == [datetime(2026, 11, 21, 23, tzinfo=UTC), datetime(2026, 10, 31, 23, tzinfo=UTC)]


class Foot(App[None]):
    def compose(self):
        yield Spending(UNICODE)


async def test_the_foot_is_as_high_as_it_needs_to_be():
    async with Foot().run_test() as pilot:
        foot = pilot.app.query_one(Spending)
        limits = [cap("day", "5", "4.5", "warn")]
        for empty, caps, height in ((True, limits, 2), (False, limits, 3), (False, [], 2)):
            foot.show(TODAY, MONTH, empty=empty, caps=caps)
            await pilot.pause()
            assert foot.size.height == height
