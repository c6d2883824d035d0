"""What one answer cost, factor by factor, as the user sees it over the chat."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.loopback import Head, Stall, chat_chunk, chat_stream, chat_usage, reply, seen
from tui_chat.core.completion import Completion
from tui_chat.core.model import Model
from tui_chat.core.pricing import Price, cost_of
from tui_chat.core.savings import Saved
from tui_chat.core.usage import CountedUsage, Usage
from tui_chat.ui.screens.cost_box import CostBox, content, exact, facts, look, markdown
from tui_chat.ui.theme import ASCII, UNICODE

SSE = Head(200, {"Content-Type": "text/event-stream"})
CACHED = chat_usage(
    1204, 412, prompt_tokens_details={"cached_tokens": 812}, completion_tokens_details={"reasoning_tokens": 120}
)
MORE = """
[providers.one]
base_url = "SERVER"
models = ["unknown"]
[models."one/full"]
input_per_mtok = 3
cached_input_per_mtok = 0.3
output_per_mtok = 15
reasoning_per_mtok = 7.5
per_request = 0.01
tiers = [{ above_tokens = 1000, input_per_mtok = 6, output_per_mtok = 22.5 }]
windows = [{ utc = "00:00-00:00", factor = 2.0 }]
"""
PRICE = Price(Decimal(1), Decimal(2), source="bundled", as_of="2025-12")


@pytest.fixture
def more(program):
    return MORE.replace("SERVER", program.server.base_url)


def use(program, model):
    program.config = program.config.replace('default_model = "work/a"', f'default_model = "{model}"')


async def asked(driver):
    await driver.ask("hello")
    await driver.until(lambda: driver.answers and driver.idle)
    await driver.press("ctrl+t")


async def opened(driver):
    await driver.press("i")
    await driver.until(lambda: isinstance(driver.app.screen, CostBox) and driver.shows("esc close"))


def row_with(driver, words):
    return " ".join(next(line for line in driver.lines() if words in line).split())


USED = Usage(1000, 100)


def ended(usage=USED, *, price=PRICE, model=None, reason="stop", **known):
    answer = Completion("c", "t", model or Model("work", "a", price=price), datetime(2026, 11, 4, tzinfo=UTC))
    answer.final_usage = CountedUsage(usage, "reported")
    answer.final_cost = cost_of(answer.final_usage, price, answer.created_at)
    answer.finish_reason = reason
    for name, value in known.items():
        setattr(answer, name, value)
    return answer


def said(answer, model=None, tries=()):
    return {fact.label: fact.words for fact in facts(look(answer, model or answer.model, tries), UNICODE)}


class TestTheSum:
    async def test_each_factor_stands_on_a_line_and_the_total_is_their_sum(self, program, more):
        program.server.enqueue([SSE, chat_stream(["fine"], usage=CACHED)])
        use(program, "one/full")
        async with program.running(more=more) as driver:
            await asked(driver)
            await opened(driver)
            assert "reported 392 × 6.00 = $0.002352" in row_with(driver, "input, not cached")
            assert "reported 812 × 0.30 = $0.0002436" in row_with(driver, "input from the cache")
            assert "reported 292 × 22.50 = $0.00657" in row_with(driver, "output, without reasoning")
            assert "reported 120 × 7.50 = $0.0009" in row_with(driver, "   reasoning  ")
            assert driver.shows("above 1k input all of it has these prices")
            assert row_with(driver, "×2, every day all day UTC").endswith("$0.0100656")
            assert row_with(driver, "fee per request").endswith("$0.01")
            total = driver.answers[0].cost.amount
            assert total == Decimal("0.0301312")
            assert row_with(driver, "total").endswith(f"${total}")
            assert driver.shows("config.toml")

    async def test_amounts_align_on_their_points(self, program, more):
        program.server.enqueue([SSE, chat_stream(["fine"], usage=CACHED)])
        use(program, "one/full")
        async with program.running(more=more) as driver:
            await asked(driver)
            await opened(driver)
            amounts = [line for line in driver.lines() if " = " in line or "fee per" in line or " total " in line]
            assert len(amounts) == 6
            assert len({line.rindex(".") for line in amounts}) == 1

    async def test_without_reported_figures_every_one_is_marked_and_said_to_be_estimated(self, program):
        program.server.enqueue([SSE, chat_stream(["fine"])])
        async with program.running() as driver:
            await asked(driver)
            await opened(driver)
            assert " estimated ~" in row_with(driver, " input ")
            assert " = ~$" in row_with(driver, " output ")
            assert "~$" in row_with(driver, " total ")
            assert driver.shows("the provider reported no usage")

    async def test_it_follows_the_answer_while_that_runs_and_to_its_end(self, program):
        exchange = program.server.enqueue([SSE, chat_chunk("Half"), Stall()])
        async with program.running() as driver:
            await driver.ask("hello")
            await driver.until(lambda: driver.shows("Half"))
            await driver.press("ctrl+t")
            await opened(driver)
            assert driver.shows("● streaming")
            answer = driver.answers[0]
            driver.app.streams.cancel(answer)
            assert await seen(exchange.hung_up)
            await driver.until(lambda: driver.shows("cancelled: you stopped it"))
            assert "■ stopped" in row_with(driver, "What this answer cost")
            assert driver.shows("stopping    may still be billed in full")

    async def test_a_bill_stands_beside_what_our_prices_say(self, program):
        program.server.enqueue([SSE, chat_stream(["fine"], usage=chat_usage(1204, 412, cost=0.0042))])
        async with program.running() as driver:
            await asked(driver)
            await opened(driver)
            assert driver.shows("billed by the provider: $0.0042, by our prices $0.0020")
            assert row_with(driver, "total by our prices").endswith("$0.002028")
            assert row_with(driver, "What this answer cost").endswith("$0.0042")

    async def test_an_unknown_price_says_so_and_how_to_set_it(self, program, more, monkeypatch):
        program.server.enqueue([SSE, chat_stream(["fine"], usage=CACHED)])
        use(program, "one/unknown")
        async with program.running(more=more) as driver:
            copied: list[str] = []
            monkeypatch.setattr(driver.screen.pane, "copy", copied.append)
            await asked(driver)
            await opened(driver)
            assert driver.shows("not known: nobody says what this model costs here")
            assert driver.shows('[models."one/unknown"]')
            assert row_with(driver, "total").endswith("$?")
            assert "1,204" in row_with(driver, " input ")
            await driver.press("c")
            assert copied == ['[models."one/unknown"]\n# input_per_mtok = PRICE\n# output_per_mtok = PRICE\n']

    async def test_play_money_says_play(self, program):
        use(program, "demo/quick")
        async with program.running() as driver:
            await asked(driver)
            await opened(driver)
            assert "play $" in row_with(driver, "What this answer cost")
            assert driver.shows("total, play money")
            assert driver.shows("play money: nothing is charged")

    async def test_a_request_that_was_refused_cost_nothing_and_has_no_sum(self, program):
        program.server.enqueue(reply(400, {"error": {"message": "no"}}))
        async with program.running() as driver:
            await asked(driver)
            await opened(driver)
            assert driver.shows("nothing was charged: the request was not taken")
            assert not driver.shows("total")


class TestTheKeys:
    async def test_y_copies_it_as_markdown_and_the_key_that_opens_closes(self, program, monkeypatch):
        program.server.enqueue([SSE, chat_stream(["fine"], usage=chat_usage(1000, 500))])
        async with program.running() as driver:
            copied: list[str] = []
            monkeypatch.setattr(driver.screen.pane, "copy", copied.append)
            await asked(driver)
            await opened(driver)
            await driver.press("y")
            (text,) = copied
            assert "| input | 1,000 | 1.00 | $0.001 | reported |" in text
            assert "| **total** | | | **$0.002** |  |" in text
            assert "- asked for: a at work" in text
            await driver.press("j", "k", "c", "i")
            await driver.until(lambda: driver.app.screen is driver.screen)
            assert len(copied) == 1, "a known price has no lines to copy"
            assert driver.screen.pane.transcript.has_focus

    async def test_where_nothing_was_asked_it_says_so(self, program):
        async with program.running() as driver:
            await driver.app.run_action("show_cost", driver.screen.pane)
            await driver.until(lambda: driver.shows("No answer here yet."))
            assert driver.app.screen is driver.screen

    async def test_it_is_in_the_palette(self, program):
        async with program.running() as driver:
            hints = {command.help for command in driver.app.get_system_commands(driver.screen)}
            assert {"i   answer.cost", "f8   chat.elsewhere"} <= hints

    async def test_the_history_has_it_too(self, program):
        program.server.enqueue([SSE, chat_stream(["fine"], usage=chat_usage(1000, 500, cost=0.5))])
        async with program.running() as driver:
            await asked(driver)
            conversation_id = driver.screen.pane.session.conversation.id
        async with program.running(conversation_id=conversation_id) as driver:
            await driver.press("ctrl+t")
            await opened(driver)
            assert driver.shows("billed by the provider: $0.5000, by our prices $0.0020")
            assert driver.shows("served-1")

    @pytest.mark.parametrize("size", [(10, 4), (40, 10), (60, 15), (80, 24), (200, 60)])
    async def test_it_works_at_every_size_and_the_keys_stay_in_view(self, program, more, size):
        program.server.enqueue([SSE, chat_stream(["fine"], usage=CACHED)])
        use(program, "one/full")
        async with program.running(size=size, more=more) as driver:
            await asked(driver)
            await driver.press("i")
            await driver.until(lambda: isinstance(driver.app.screen, CostBox))
            await driver.pilot.pause()
            if size[0] >= 40:
                assert driver.shows("y copy")
            await driver.pilot.resize_terminal(120, 40)
            await driver.until(lambda: driver.shows("esc close") and driver.shows("$0.0301312"))
            await driver.pilot.resize_terminal(*size)
            await driver.press("down", "escape")
            await driver.until(lambda: driver.app.screen is driver.screen)


class TestWhatElseIsKnown:
    def test_the_age_of_a_price_is_said_when_it_is_old(self):
        assert said(ended())["price"] == "the built-in table, 2025-12: older than half a year"
        fresh = replace(PRICE, as_of="2026-10")
        assert said(ended(price=fresh))["price"] == "the built-in table, 2026-10"
        assert said(ended(price=replace(PRICE, source="provider", as_of=None)))["price"] == "the provider's own list"

    def test_half_a_price_is_none_and_says_which_half(self):
        half = ended(price=Price(output_per_mtok=Decimal(15), source="guide"))
        assert said(half)["price"] == "not known for input tokens"
        shown = content(look(half, half.model), 70, UNICODE).plain
        assert "input_per_mtok = PRICE" in shown
        assert "output_per_mtok" not in shown

    def test_a_foreign_currency_has_its_rate_or_says_that_it_has_none(self):
        yuan = replace(PRICE, currency="CNY", usd_rate=Decimal("0.14"))
        assert said(ended(price=yuan))["currency"] == "CNY at 0.14 USD = $0.00017"
        assert said(ended(price=replace(yuan, usd_rate=None)))["currency"].endswith("so it is in no total")
        assert "currency" not in said(ended())
        assert "¥0.0012" in content(look(ended(price=yuan), ended().model), 70, UNICODE).plain

    def test_a_stop_says_what_was_saved_and_who_says_whether_the_bill_ends(self):
        stopped = ended(reason="cancelled", saved=Saved(Decimal("0.0012"), Decimal("0.0061")))
        now = replace(stopped.model, stops_billing="yes", stops_source="their manual, 2026-11")
        words = said(stopped, now)
        assert words["saved"] == "$0.0012–$0.0061 by stopping"
        assert words["stopping"] == "stopping ends the bill (their manual, 2026-11)"
        assert said(stopped)["stopping"] == "may still be billed in full"
        assert "the whole answer is charged" in said(stopped, replace(now, stops_billing="no"))["stopping"]
        assert "stopping" not in said(ended())

    def test_names_of_others_are_text_in_one_line(self):
        odd = ended(model=Model("p", "x[b]y[/]\x1b[31m", price=PRICE), model_served="s\n| [@click=quit]")
        shown = content(look(odd, odd.model), 70, UNICODE).plain
        assert "x[b]y[/]" in shown
        assert "[@click=quit]" in shown
        assert "\x1b" not in shown + markdown(look(odd, odd.model), UNICODE)

    def test_a_free_answer_is_free_and_not_zero_dollars(self):
        free = ended(price=Price(Decimal(0), Decimal(0), source="local"))
        assert "free" in content(look(free, free.model), 70, UNICODE).plain.splitlines()[4]
        assert said(free)["price"] == "a server on this machine charges nothing"

    @pytest.mark.parametrize("width", [12, 30, 50, 61, 78])
    @pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
    def test_no_row_is_wider_than_the_box(self, width, glyphs):
        answer = ended(Usage(123_456, 9_999, 1000, None, 40), reason="cancelled", total_s=3.0, ttft_s=0.5)
        lines = content(look(answer, answer.model), width, glyphs).split("\n")
        if width >= 30:
            assert max(line.cell_length for line in lines) <= width

    @pytest.mark.parametrize(
        ("value", "currency", "text"),
        [
            ("0.00033712", "USD", "$0.00033712"), ("1234.5", "USD", "$1,234.50"), ("0", "EUR", "€0.00"),
            ("-0.25", "USD", "-$0.25"), ("0.0000000000001", "USD", "$0.00"), ("2", "NOK", "NOK 2.00"),
        ],
    )  # fmt: skip
    def test_an_amount_has_all_its_digits(self, value, currency, text):
        assert exact(Decimal(value), currency) == text


async def test_every_try_that_may_have_cost_is_named_with_its_own_charge(program):
    program.config = program.config.replace("max_retries = 0", "max_retries = 1")
    program.server.enqueue(reply(503, {"error": {"message": "busy"}}, {"Retry-After": "0"}))
    program.server.enqueue([SSE, chat_stream(["fine"], usage=chat_usage(1000, 500))])
    async with program.running() as driver:
        await asked(driver)
        await opened(driver)
        assert driver.shows("2; those before the last cost nothing")
        answer = driver.answers[0]
        tries = driver.screen._store.charges_of(answer.id)
        assert [each.attempt for each in tries] == [2]
        paid = replace(tries[0], attempt=1)
        assert said(answer, tries=[paid, *tries])["tries"] == (
            "2; charged by themselves, not in the sum: try 1: $0.0020"
        )
        assert said(answer)["tries"] == "2; what those before the last cost is not known here"
