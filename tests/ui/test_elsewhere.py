"""What this chat would have cost on other models, as the user sees it over the chat."""

import threading
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.loopback import Head, Stall, WaitFor, chat_chunk, chat_stream, chat_usage, reply, seen
from tui_chat.core.pricing import Charge, Cost
from tui_chat.core.usage import Usage
from tui_chat.ui.screens.elsewhere_box import ElsewhereBox, account
from tui_chat.ui.theme import ASCII

SSE = Head(200, {"Content-Type": "text/event-stream"})
MORE = """
[providers.one]
base_url = "SERVER"
models = ["cheap", "dear", "unknown"]
[models."one/cheap"]
input_per_mtok = 0.1
output_per_mtok = 0.1
[models."one/dear"]
input_per_mtok = 30
cached_input_per_mtok = 0
output_per_mtok = 120
[providers.here]
base_url = "SERVER"
models = ["free"]
[models."here/free"]
input_per_mtok = 0
output_per_mtok = 0
"""


@pytest.fixture
def more(program):
    program.config = 'compare_models = ["here/free", "one/unknown", "demo/quick"]\n' + program.config
    return MORE.replace("SERVER", program.server.base_url)


def fine(sent=1000, made=500, **extra):
    return [SSE, chat_stream(["fine"], usage=chat_usage(sent, made, **extra))]


async def asked(driver, words="hello"):
    before = len(driver.screen.pane.session.path)
    await driver.ask(words)
    await driver.until(lambda: len(driver.screen.pane.session.path) > before and driver.idle)


async def opened(driver):
    await driver.press("f8")
    await driver.until(lambda: isinstance(driver.app.screen, ElsewhereBox) and driver.shows("esc close"))


def row_with(driver, words):
    return " ".join(next(line for line in driver.lines() if words in line).split())


def rows(driver):
    """What the table says, a line each."""
    return [" ".join(line.split()) for line in driver.app.screen._rows.content.plain.splitlines()]


class TestOnOtherModels:
    async def test_the_same_tokens_at_each_price_the_cheapest_first_and_the_unknown_last(self, program, more):
        program.server.enqueue(fine())
        async with program.running(more=more) as driver:
            await asked(driver)
            await opened(driver)
            assert "as it was ✓ settled 1000 in, 500 out $0.0020" in row_with(driver, "as it was")
            assert rows(driver) == [
                "here/free free",
                "one/cheap 0.10 0.10 ~$0.00015 ×1.0",
                "work/a 1.00 2.00 $0.0020 ×13.3",
                "one/dear 30.00 120.00 ~$0.0900 ×600",
                "one/unknown $?",
            ]
            assert not any("demo/" in line for line in rows(driver)), "play money is left out"
            assert driver.shows("other models count them a little differently")
            assert not driver.shows("Cached tokens")

    async def test_cached_tokens_cost_the_cached_price_and_that_is_said(self, program, more):
        program.server.enqueue(fine(prompt_tokens_details={"cached_tokens": 1000}))
        async with program.running(more=more) as driver:
            await asked(driver)
            await opened(driver)
            assert any(line.startswith("one/dear") and "~$0.0600" in line for line in rows(driver))
            assert driver.shows("Cached tokens cost the cached price where a model has one")
            assert driver.shows("(1000 cached)")

    async def test_it_counts_while_an_answer_streams_and_settles_with_it(self, program, more):
        go = threading.Event()
        program.server.enqueue([SSE, chat_chunk("Half an answer "), WaitFor(go), chat_chunk("and more of it. " * 40),
                                Stall()])  # fmt: skip
        async with program.running(more=more) as driver:
            await driver.ask("hello")
            await driver.until(lambda: driver.shows("Half"))
            await opened(driver)
            assert driver.shows("● 1 running")
            cheap = rows(driver)[1]
            go.set()
            await driver.until(lambda: rows(driver)[1] != cheap)
            driver.app.streams.cancel(driver.answers[0])
            await driver.until(lambda: driver.shows("~ estimated"))
            await driver.until(lambda: not driver.app.screen._account.running)
            cost = driver.answers[0].cost.usd
            assert driver.app.screen._was.usd == cost

    async def test_the_whole_conversation_counts_not_only_what_is_in_view(self, program, more):
        for _ in range(21):
            program.server.enqueue(fine(1000, 0))
        async with program.running(more=more) as driver:
            for n in range(21):
                await asked(driver, f"q{n}")
            conversation = driver.screen.pane.session.conversation
        async with program.running(more=more, conversation_id=conversation.id) as driver:
            assert driver.screen.pane.session.earlier
            await opened(driver)
            assert "21.0k in, 0 out $0.0210" in row_with(driver, "as it was")

    async def test_a_failed_try_and_another_answer_to_the_same_prompt_are_in_the_sum(self, program, more):
        program.server.enqueue(reply(400, {"error": {"message": "no"}}))
        program.server.enqueue(fine())
        program.server.enqueue(fine())
        async with program.running(more=more) as driver:
            await asked(driver)
            (turn,) = driver.screen.pane.session.path
            for count in (2, 3):
                await driver.press("ctrl+r")
                await driver.until(lambda count=count: len(turn.completions) == count and driver.idle)
            await opened(driver)
            assert "2000 in, 1000 out $0.0040" in row_with(driver, "as it was")

    async def test_a_chat_of_play_money_says_play_and_is_priced_elsewhere(self, program, more):
        program.config = program.config.replace('default_model = "work/a"', 'default_model = "demo/quick"')
        async with program.running(more=more) as driver:
            await asked(driver)
            await opened(driver)
            assert "play $" in row_with(driver, "as it was")
            assert rows(driver)[1].startswith("one/cheap")
            assert not driver.shows("a month"), "play money is no spending"

    async def test_the_rate_of_the_last_thirty_days_says_how_many_there_were(self, program, more):
        program.server.enqueue(fine())
        async with program.running(more=more) as driver:
            await asked(driver)
            await opened(driver)
            assert driver.shows("All chats, at this rate: $0.0600 a month, from one day of use")
            await driver.press("escape")
            services = driver.screen._services
            now = services.clock.now()

            class Later:
                def now(self):
                    return now + timedelta(days=9, hours=1)

                monotonic = services.clock.monotonic

            driver.screen.pane._services = replace(services, clock=Later())
            await opened(driver)
            assert driver.shows("$0.0060 a month, from the 10 days since the first charge")

    async def test_where_nothing_was_asked_it_says_so(self, program, more):
        async with program.running(more=more) as driver:
            await driver.press("f8")
            await driver.until(lambda: driver.shows("Nothing was asked here yet."))


class TestThenAndToday:
    async def test_tab_shows_the_chats_own_models_at_the_prices_of_then_and_of_today(self, program, more):
        program.server.enqueue(fine())
        program.server.enqueue(fine(2000, 0))
        async with program.running(more=more) as driver:
            await asked(driver)
            driver.screen.pane.use_models([driver.screen._services.catalog.resolve("one/cheap")])
            await asked(driver, "again")
            conversation = driver.screen.pane.session.conversation
        program.config = program.config.replace("output_per_mtok = 2.0", "output_per_mtok = 20.0")
        async with program.running(more=more, conversation_id=conversation.id) as driver:
            await opened(driver)
            await driver.press("tab")
            await driver.until(lambda: driver.shows("then") and driver.shows("today") and driver.shows("total"))
            found = rows(driver)
            assert found[2] == "work/a 1 1000 500 $0.0020 $0.0110"
            assert found[3] == "one/cheap 1 2000 0 $0.00020 $0.00020"
            assert found[-1] == "total 2 3000 500 $0.0022 $0.0112"
            await driver.press("tab")
            await driver.until(lambda: driver.shows("as it was"))

    async def test_what_had_no_price_then_has_one_today(self, program, more):
        program.server.enqueue(fine())
        program.config = program.config.replace('default_model = "work/a"', 'default_model = "one/unknown"')
        async with program.running(more=more) as driver:
            await asked(driver)
            conversation = driver.screen.pane.session.conversation
            await opened(driver)
            assert row_with(driver, "as it was").endswith("$?")
            assert not driver.shows("a month")
        more += '[models."one/unknown"]\ninput_per_mtok = 1\noutput_per_mtok = 2\n'
        async with program.running(more=more, conversation_id=conversation.id) as driver:
            await opened(driver)
            await driver.press("tab")
            await driver.until(lambda: rows(driver)[-1] == "one/unknown 1 1000 500 $? $0.0020")


class TestTheBox:
    @pytest.mark.parametrize("size", [(10, 4), (40, 10), (60, 15), (80, 24), (200, 60)])
    async def test_it_works_at_every_size_and_the_keys_stay_in_view(self, program, more, size):
        program.server.enqueue(fine(prompt_tokens_details={"cached_tokens": 800}))
        async with program.running(size=size, more=more) as driver:
            await asked(driver)
            await driver.press("f8")
            await driver.until(lambda: isinstance(driver.app.screen, ElsewhereBox))
            await driver.pilot.pause()
            if size[0] >= 60:
                assert driver.shows("tab then and today")
                assert driver.shows("~$0.00015")
            await driver.press("tab", "j", "k", "tab")
            await driver.pilot.resize_terminal(120, 40)
            await driver.until(lambda: driver.shows("esc close") and driver.shows("×1.0"))
            await driver.pilot.resize_terminal(*size)
            await driver.press("f8")
            await driver.until(lambda: driver.app.screen is driver.screen)

    async def test_figures_align_on_their_points(self, program, more):
        program.server.enqueue(fine())
        async with program.running(more=more) as driver:
            await asked(driver)
            await opened(driver)
            lines = [line for line in driver.app.screen._rows.content.plain.splitlines() if "$0" in line]
            assert len({line.index("$0.") for line in lines}) == 1
            assert len({line.index(".") for line in lines}) == 1

    async def test_without_unicode_there_is_none(self, program, more):
        program.server.enqueue(fine())
        async with program.running(more=more + '[ui]\nglyphs = "ascii"\n') as driver:
            await asked(driver)
            await opened(driver)
            assert driver.app.screen._glyphs is ASCII
            assert all(line.isascii() for line in rows(driver))

    async def test_the_ledger_and_what_runs_are_told_apart(self, program, more):
        exchange = program.server.enqueue([SSE, chat_chunk("Half"), Stall()])
        async with program.running(more=more) as driver:
            await driver.ask("hello")
            await driver.until(lambda: driver.shows("Half"))
            pane = driver.screen.pane
            found = account(driver.screen._services, pane.session)
            assert (len(found.ended), len(found.running)) == (0, 1)
            driver.app.streams.cancel(driver.answers[0])
            assert await seen(exchange.hung_up)
            await driver.until(lambda: driver.idle)
            found = account(driver.screen._services, pane.session)
            assert (len(found.ended), len(found.running)) == (1, 0)

    async def test_the_store_knows_every_charge_of_a_chat_and_of_an_answer(self, program, more):
        program.server.enqueue(fine(prompt_tokens_details={"cached_tokens": 800}))
        async with program.running(more=more) as driver:
            await asked(driver)
            store, (answer,) = driver.screen._store, driver.answers
            (charge,) = store.charges_in(driver.screen.pane.session.conversation.id)
            assert charge == Charge(answer.id, 1, "work/a", Usage(1000, 500, 800), answer.created_at, answer.cost)
            assert isinstance(charge.cost, Cost)
            assert charge.cost.usd == Decimal("0.002")
            assert store.charges_of(answer.id) == [charge]
            assert store.charges_of("none") == store.charges_in("none") == []
