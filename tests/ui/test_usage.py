"""The usage screen: what the ledger says, at every size, and nothing else."""

import sqlite3
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Event

import pytest
from textual.content import Content

from tests.loopback import Head, WaitFor, chat_chunk, chat_stream, chat_usage
from tests.ui.conftest import Driver, Program
from tui_chat.bootstrap import Ground
from tui_chat.core.budget import Budgets, Caps
from tui_chat.core.caps import Balance, Claim, Reserved, Span
from tui_chat.core.completion import Completion, Log
from tui_chat.core.conversation import Turn
from tui_chat.core.errors import StorageError
from tui_chat.core.ids import new_id
from tui_chat.core.model import Model
from tui_chat.core.usage_report import OwnCurrency, UsageRow, UsageTable
from tui_chat.ui.screens.usage import UsageScreen
from tui_chat.ui.theme import ASCII, UNICODE
from tui_chat.ui.widgets.bars import thin, upright

SSE = Head(200, {"Content-Type": "text/event-stream"})
MODELS = ("anthropic/claude-sonnet-4-5", "openai/gpt-4.1", "deepseek/deepseek-chat", "work/a")
TITLE = "[@click=app.quit]x[/] \x1b[2J"


def fill(program: Program, charges: Sequence[tuple[int, str, str | None]], title: str = "Lisbon") -> None:
    """Put charges into the ledger: days ago, model, USD."""
    Ground.lay({"TUI_CHAT_HOME": str(program.home)}).open_store().close()
    with closing(sqlite3.connect(program.home / "chats.db")) as connection:
        now, chat = datetime.now(UTC), new_id()
        stamp = now.isoformat(timespec="microseconds")
        connection.execute(
            "INSERT INTO conversations (id, title, created_at, updated_at, recency) VALUES (?, ?, ?, ?, 1)",
            (chat, title, stamp, stamp),
        )
        for days, model, usd in charges:
            provider, _, name = model.partition("/")
            at = (now - timedelta(days=days)).isoformat(timespec="microseconds")
            quality = "unknown" if usd is None else "estimated" if usd.endswith("9") else "reported"
            connection.execute(
                "INSERT INTO charges (id, at, completion_id, conversation_id, purpose, provider, model, input_tokens, "
                "output_tokens, cost_usd, cost_amount, cost_currency, cost_quality, cost_source, saved_typical, "
                "saved_ceiling, finish_reason, state) VALUES "
                "(?, ?, ?, ?, 'answer', ?, ?, 1000, 500, ?, ?, 'USD', ?, ?, ?, ?, ?, 'settled')",
                (
                    new_id(), at, new_id(), chat, provider, name, usd, usd, quality, None if usd is None else "bundled",
                    "0.25" if quality == "estimated" else None, "1.5" if quality == "estimated" else None,
                    "cancelled" if quality == "estimated" else "stop",
                ),
            )  # fmt: skip
        connection.commit()


@pytest.fixture
def spent(program):
    fill(program, [(days % 40, MODELS[days % 4], None if days % 4 == 3 else f"0.{days:03}") for days in range(200)])
    return program


async def opened(driver: Driver) -> UsageScreen:
    await driver.press("f3")
    screen = driver.app.screen
    assert isinstance(screen, UsageScreen)
    await driver.until(lambda: screen._report is not None)
    return screen


def table(screen: UsageScreen) -> UsageTable:
    assert screen._report is not None
    return screen._report.table


async def test_it_opens_over_the_chat_and_goes_back_to_the_prompt(spent):
    async with spent.running() as driver:
        await driver.type("half a prompt")
        await opened(driver)
        assert driver.shows("Usage")
        assert driver.shows("/ filter"), "the list of conversations stays in view"
        await driver.press("escape")
        assert driver.app.screen is driver.screen
        await driver.type("!")
        assert driver.prompt == "half a prompt!"
        await opened(driver)
        await driver.press("f3")
        assert driver.app.screen is driver.screen


async def test_tab_and_the_arrows_change_what_it_is_added_up_by(spent):
    async with spent.running() as driver:
        screen = await opened(driver)
        for key, by in (
            ("tab", "model"), ("right", "conversation"), ("tab", "provider"), ("tab", ""), ("tab", "day"), ("left", ""),
            ("left", "provider"), ("shift+tab", "conversation"),
        ):  # fmt: skip
            await driver.press(key)
            await driver.until(lambda by=by: driver.shows("No votes yet") if not by else table(screen).by == by)
        assert driver.shows("chat  ")
        assert any(line.split("Lisbon")[-1].strip() for line in driver.lines() if "  Lisbon  " in line)


async def test_the_period_is_this_month_or_everything(spent):
    async with spent.running() as driver:
        screen = await opened(driver)
        now = datetime.now().astimezone()
        assert driver.shows(f"{now:%B}")
        assert table(screen).since == now.date().replace(day=1)
        await driver.press("p")
        await driver.until(lambda: driver.shows("All time"))
        assert table(screen).total.answers == 200
        assert screen._report is not None
        assert screen._report.month.answers < 200


async def test_it_says_what_is_estimated_what_is_unknown_and_what_stopping_saved(program):
    fill(program, [(0, "work/a", "1.25"), (0, "work/b", "0.09"), (0, "work/c", None)])
    async with program.running() as driver:
        await opened(driver)
        await driver.press("tab")
        await driver.until(lambda: driver.shows("work/c"))
        lines = driver.lines()
        today = next(line for line in lines if "of it estimated" in line)
        assert "~$1.34 + ?   ~$0.0900 of it estimated" in today
        assert any("$0.2500–$1.50   by stopping 1 answer" in line for line in lines)
        assert any(line.rstrip().endswith("–") and "$?" in line for line in lines)
        total = next(line for line in lines if " total " in line)
        assert "~$1.34 + ?" in total
        assert total.rstrip().endswith("$0.2500–$1.50")


async def test_nothing_spent_is_said(program):
    async with program.running() as driver:
        await opened(driver)
        assert driver.shows("Nothing was spent yet.")


async def test_what_was_spent_long_ago_is_shown_when_there_is_nothing_else(program):
    fill(program, [(400, "work/a", "1.25")])
    async with program.running() as driver:
        await opened(driver)
        assert driver.shows("All time")
        assert driver.shows("this month")
        await driver.press("tab")
        await driver.until(lambda: driver.shows("work/a"))


async def test_play_money_is_nowhere(program):
    async with program.running(more="") as driver:
        driver.screen.pane.use_models([driver.app._services.catalog.resolve("demo/quick")])
        await driver.ask("hello")
        await driver.until(lambda: driver.answers and driver.idle)
        await opened(driver)
        assert driver.shows("Nothing was spent yet.")


async def test_an_answer_that_ends_meanwhile_is_counted(program):
    gate = Event()
    program.server.enqueue([SSE, chat_chunk("Hi"), WaitFor(gate), chat_stream(["!"], usage=chat_usage())])
    async with program.running() as driver:
        await driver.ask("hello")
        await driver.until(lambda: driver.answers and driver.answers[0].text)
        screen = await opened(driver)
        assert not table(screen).total.settled_usd, "what runs is estimated"
        gate.set()
        await driver.until(lambda: driver.idle)
        await driver.until(lambda: table(screen).total.settled_usd)
        assert table(screen).total.answers == 1
        assert driver.shows("total")


async def test_foreign_text_is_only_text(program):
    fill(program, [(0, "work/[b]x[/b]", "1")], TITLE)
    async with program.running() as driver:
        await opened(driver)
        await driver.press("tab", "tab")
        await driver.until(lambda: any("[@click=app.quit]x[/]" in line[28:] for line in driver.lines()))
        assert not any("\x1b" in line for line in driver.lines())


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (200, 60), (100, 30), (60, 15), (30, 10), (20, 6), (10, 4)])
@pytest.mark.parametrize("more", ["", '[ui]\nglyphs = "ascii"\ncurrency = "EUR"\ncurrency_rate = 0.92\n'])
async def test_it_is_drawn_at_every_size(spent, size, more):
    async with spent.running(size, more=more) as driver:
        screen = await opened(driver)
        for _ in range(5):
            await driver.press("tab", "end", "pageup", "home", "down")
            await driver.pilot.pause()
            lines = driver.lines()
            assert len(lines) == size[1]
            assert lines[-1].strip()
            if size[1] >= 10 and screen._view != "votes":
                assert any("total" in line for line in lines)
        assert screen._report is not None
        await driver.pilot.resize_terminal(70, 20)
        await driver.pilot.pause()
        assert driver.shows("total")


async def test_a_long_table_scrolls_under_a_head_and_a_total_that_stay(program):
    fill(program, [(0, f"provider{n:03}/m", f"{n}") for n in range(300)])
    async with program.running((80, 24)) as driver:
        await opened(driver)
        await driver.press("left", "left")
        await driver.until(lambda: driver.shows("provider299"))
        await driver.press("end")
        await driver.until(lambda: driver.shows("provider000"))
        assert not driver.shows("provider299")
        assert driver.shows("tokens out")
        assert driver.shows("total ")
        await driver.press("home")
        await driver.until(lambda: driver.shows("provider299"))


async def test_it_is_in_the_palette(spent):
    async with spent.running() as driver:
        commands = [each.title for each in driver.app.get_system_commands(driver.screen)]
        assert "What was spent, by day, model, chat and provider" in commands


class Ledger:
    """A report that says what it is told."""

    def __init__(self, rows: Sequence[UsageRow], *, broken: bool = False) -> None:
        self.rows, self.broken = tuple(rows), broken

    def usage(self, by, since=None):
        if self.broken:
            raise StorageError("the history is damaged")
        return UsageTable(by, since.date() if since else None, self.rows, self.rows[0])

    def votes(self):
        return []

    def daily(self, days):
        return (*(UsageRow(str(n), f"Sat {n} Oct") for n in range(days - 1)), self.rows[0])


async def shown(program: Program, ledger: Ledger, **options) -> list[str]:
    async with program.running() as driver:
        screen = UsageScreen(ledger, driver.app._services.clock, UNICODE, **options)
        await driver.app.push_screen(screen)
        await driver.until(lambda: screen._report is not None or screen._wrong)
        return driver.lines()


class Purse:
    """A ledger in which so much is spent, whatever the limit."""

    def __init__(self, spent: str) -> None:
        self.spent = Decimal(spent)

    def balances(self, spans: Sequence[Span]) -> tuple[Balance, ...]:
        return tuple(Balance(span, self.spent, self.spent) for span in spans)

    def reserve(self, claim: Claim) -> Future[Reserved]:
        raise NotImplementedError


def budgets(day: str, month: str, spent: str) -> Budgets:
    return Budgets(Caps(daily_usd=Decimal(day), monthly_usd=Decimal(month)), Purse(spent))


async def test_limits_have_gauges_and_say_what_is_left_and_until_when(program):
    row = UsageRow("x/y", "model-y", 3, settled_usd=Decimal("4.50"), charges=3, priced=3)
    lines = await shown(program, Ledger([row]), budgets=budgets("5", "50", "4.50"))
    left = next(line for line in lines if " left  " in line)
    assert "$0.5000 today, until 00:00   $45.50 this month, until 1 " in left
    today = next(line for line in lines if "today    " in line and "of" in line)
    month = next(line for line in lines if "month    " in line and "of" in line)
    assert "$4.50 of  $5.00" in today
    assert today.rstrip().endswith("90%")
    assert month.rstrip().endswith("9%")
    assert today.count("━") > 5 * month.count("━")


async def test_a_limit_that_is_reached_says_so_in_words(program):
    row = UsageRow("x/y", "model-y", 3, settled_usd=Decimal("5.01"), charges=3, priced=3)
    lines = await shown(program, Ledger([row]), budgets=budgets("5", "50", "5.01"))
    assert any("◆ nothing today, until 00:00" in line for line in lines)
    assert any("$5.01 of  $5.00" in line and line.endswith("100%") for line in lines)


async def test_what_limits_did_to_answers_is_counted(program):
    row = UsageRow("x/y", "y", 9, charges=9, priced=9, cut=2, clamped=5, waits=7, waited_s=125.0)
    lines = await shown(program, Ledger([row]))
    assert any("limits  2 cut, 5 given less room, 7 waited 2 min" in line for line in lines)


async def test_the_users_currency_stands_beside_totals(program):
    row = UsageRow("x/y", "model-y", 3, settled_usd=Decimal("41.30"), charges=3, priced=3)
    lines = await shown(program, Ledger([row]), own=OwnCurrency("EUR", Decimal("0.92")))
    assert sum("$41.30 (€38.00)" in line for line in lines) == 3, "today, month and the total"
    assert any("model-y" in line and "€" not in line for line in lines)


async def test_a_ledger_that_cannot_be_read_says_why(program):
    lines = await shown(program, Ledger([UsageRow("", "")], broken=True))
    assert any("the history is damaged" in line for line in lines)


# votes


def cast(program: Program, votes: Sequence[tuple[str | None, tuple[str, ...]]]) -> None:
    """Put votes into the history: which model won (`None` = a tie), and which took part."""
    store = Ground.lay({"TUI_CHAT_HOME": str(program.home)}).open_store()
    at = datetime.now(UTC)
    for winner, names in votes:
        turn = Turn(new_id(), new_id(), "hi", at)
        for name in names:
            provider, _, model_id = name.partition("/")
            model = Model(provider, model_id)
            turn.completions.append(Completion(new_id(), turn.id, model, at, text_log=Log("Hello.")))
        best = next((each for each in turn.completions if each.model.name == winner), None)
        store.save_vote(turn, best).result()
    assert store.close()


VOTES = [
    *[(MODELS[2], MODELS[:3])] * 9,
    *[(MODELS[0], MODELS[:2])] * 4,
    (None, (MODELS[0], MODELS[3])),
    ("demo/quick", ("demo/quick", MODELS[1])),
]


@pytest.fixture
def voted(spent):
    cast(spent, VOTES)
    return spent


async def test_votes_stand_beside_what_an_answer_costs(program):
    fill(program, [(0, MODELS[2], "0.003"), (0, MODELS[2], "0.001"), (0, MODELS[0], "0.09"), (400, MODELS[1], None)])
    cast(program, VOTES)
    async with program.running((120, 40)) as driver:
        await opened(driver)
        await driver.press("left")
        await driver.until(lambda: driver.shows("win rate"))
        lines = [line[28:].split() for line in driver.lines()]
        names = ["deepseek-chat", "claude-sonnet-4-5", "gpt-4.1", "demo/quick", "work/a"]
        shown = {line[0]: line for line in lines if line and line[0] in names}
        assert list(shown) == names, "the strongest first, those with few votes last"
        assert shown["deepseek-chat"][1:4] == ["9", "9", "100%"]
        assert shown["deepseek-chat"][-1] == "$0.0020", "the mean of two answers"
        assert shown["claude-sonnet-4-5"][1:4] == ["4", "14", "29%"]
        assert shown["claude-sonnet-4-5"][-1] == "~$0.0900", "our own count"
        assert shown["gpt-4.1"][-1] == "$?"
        assert (shown["work/a"][-2:], shown["demo/quick"][-2:]) == (["few", "–"], ["few", "play"])
        assert driver.shows("15 votes")
        assert driver.shows("few: under 5 votes")


async def test_without_votes_one_sentence_says_so(spent):
    async with spent.running((80, 24)) as driver:
        await opened(driver)
        await driver.press("left")
        await driver.until(
            lambda: driver.shows("No votes yet: ask several models at once and say which answer is best.")
        )
        await driver.press("tab")
        await driver.until(lambda: driver.shows("tokens out"))


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (200, 60), (100, 30), (60, 15), (30, 10), (20, 6), (10, 4)])
@pytest.mark.parametrize("more", ["", '[ui]\nglyphs = "ascii"\n'])
async def test_votes_are_drawn_at_every_size(voted, size, more):
    async with voted.running(size, more=more) as driver:
        screen = await opened(driver)
        await driver.press("left")
        await driver.until(lambda: screen._votes is not None)
        await driver.press("end", "home", "p")
        await driver.pilot.pause()
        lines = driver.lines()
        assert len(lines) == size[1]
        if size[0] >= 30:
            assert "$" in next(line for line in lines if "deepseek" in line), "money stays to the last"
        await driver.pilot.resize_terminal(90, 20)
        await driver.pilot.pause()
        assert driver.shows("demo/quick")
        await driver.press("tab")
        await driver.until(lambda: driver.shows("total"))


# bars


def drawn(lines: Sequence[Content]) -> list[str]:
    return [line.plain for line in lines]


def test_bars_end_with_today_and_nothing_is_empty():
    lines = drawn(upright([Decimal(n) for n in (0, 1, 8, 4)], 2, 20, UNICODE, edge=6, highest="$8", first="1 Oct"))
    assert lines == [
        "   $8       ███   ",
        "         ▂▂▂██████",
        "      1 Oct  today",
    ]


def test_what_is_more_than_nothing_is_seen():
    lines = drawn(upright([Decimal("0.0001"), Decimal(1000)], 3, 2, UNICODE))
    assert [line[0] for line in lines[:3]] == [" ", " ", "▁"]
    assert [line[1] for line in lines[:3]] == ["█", "█", "█"]


def test_the_last_days_are_drawn_where_not_all_fit():
    lines = drawn(upright([Decimal(9), Decimal(1), Decimal(1)], 1, 2, ASCII))
    assert lines[0] == "##"


def test_bars_of_nothing_are_empty():
    assert drawn(upright([Decimal(0)] * 3, 1, 3, UNICODE))[0] == "   "
    assert upright([], 1, 3, UNICODE) == []


@pytest.mark.parametrize(
    ("share", "line"),
    [(0, "────"), (0.001, "╸───"), (0.5, "━━──"), (0.6, "━━╸─"), (1, "━━━━"), (7, "━━━━")],
)
def test_a_thin_bar_is_as_long_as_its_share(share, line):
    assert thin(share, 4, UNICODE).plain == line
    assert len(thin(share, 4, ASCII).plain) == 4
