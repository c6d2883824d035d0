"""Choosing the models of the next prompt: searching, comparing prices, asking several at once."""

import asyncio
import threading
from decimal import Decimal

import pytest
from textual.events import Key

from tests.loopback import Head, Stall, WaitFor, chat_chunk, chat_stream, chat_usage, reply, seen
from tui_chat.core.model import Model
from tui_chat.core.pricing import Price
from tui_chat.core.usage import Usage
from tui_chat.ui.screens.help import HelpScreen
from tui_chat.ui.screens.key_box import KeyBox
from tui_chat.ui.screens.model_picker import ModelPicker
from tui_chat.ui.theme import ASCII, UNICODE
from tui_chat.ui.widgets.model_rows import Columns, Models, Row, draw, figure, like_the_last, month, note_of, out_of

SSE = Head(200, {"Content-Type": "text/event-stream"})
MORE = """
[providers.one]
base_url = "SERVER"
models = ["cheap", "dear", "unknown", "漢字モデル", "x[b]y[/]"]
[models."one/cheap"]
input_per_mtok = 0.1
output_per_mtok = 0.25
context_window = 8000
[models."one/dear"]
input_per_mtok = 30
cached_input_per_mtok = 0.125
output_per_mtok = 120
context_window = 1000000
[providers.two]
base_url = "SERVER"
api_key_env = "NO_SUCH_KEY"
models = ["locked"]
"""


@pytest.fixture
def more(program):
    return MORE.replace("SERVER", program.server.base_url)


def priced(name, out, *, missing=None, context=None, currency="USD", rate=Decimal(1), play=False, source="bundled"):
    provider, _, model_id = name.partition("/")
    price = None
    if out is not None:
        price = Price(Decimal(out), Decimal(out), currency=currency, usd_rate=rate, play=play, source=source)
    return Model(provider, model_id, price=price, missing=missing, context_window=context)


def picker(driver):
    screen = driver.app.screen
    assert isinstance(screen, ModelPicker)
    return screen


async def opened(driver, key="ctrl+l"):
    await driver.press(key)
    await driver.until(lambda: isinstance(driver.app.screen, ModelPicker) and driver.app.screen.focused)
    return picker(driver)


def listed(driver):
    """The names in the list, from the top, as far as they are in view."""
    models = picker(driver)._list
    return [models._models.names[place] for place in models._places[: models.size.height]]


def line_with(driver, words):
    return next(line for line in driver.lines() if words in line)


class TestSearching:
    async def test_typing_finds_models_by_a_few_letters_and_enter_uses_the_best(self, program, more):
        async with program.running(more=more) as driver:
            await opened(driver)
            await driver.type("demo rbl")
            await driver.until(lambda: listed(driver)[:1] == ["demo/rambler"])
            assert driver.shows("1 of ")
            await driver.press("enter")
            await driver.until(lambda: driver.app.screen is driver.screen)
            assert driver.screen.pane.session.model.name == "demo/rambler"

    async def test_keys_that_overtake_the_search_wait_for_it(self, program, more):
        async with program.running(more=more) as driver:
            screen = await opened(driver)
            await driver.press("c", "h", "e", "a", "p", "ctrl+o", "enter")
            await driver.until(lambda: driver.app.screen is driver.screen)
            assert [model.name for model in driver.screen.pane.session.asked] == ["one/cheap"]
            assert screen._list.marked[0].name == "one/cheap"

    async def test_keys_of_one_burst_mean_what_they_mean_in_their_order(self, program, more):
        async with program.running(more=more) as driver:
            screen = await opened(driver)
            for key in (
                "d",
                "e",
                "a",
                "r",
                "x",
                "backspace",
                "ctrl+o",
                *["backspace"] * 4,
                "c",
                "h",
                "e",
                "a",
                "ctrl+o",
            ):
                driver.app.post_message(Key(key, key if len(key) == 1 else None))
            await driver.until(lambda: len(screen._list.marked) == 2)
            assert [model.name for model in screen._list.marked] == ["one/dear", "one/cheap"]

    async def test_what_fits_nothing_says_so_and_enter_does_nothing(self, program, more):
        async with program.running(more=more) as driver:
            await opened(driver)
            await driver.type("qqzz")
            await driver.until(lambda: driver.shows("No model matches “qqzz”."))
            await driver.press("enter", "down", "ctrl+o", "ctrl+t", "ctrl+s")
            assert isinstance(driver.app.screen, ModelPicker)
            await driver.press("escape")
            await driver.until(lambda: driver.app.screen is driver.screen)
            assert driver.screen.pane.session.model.name == "work/a"

    async def test_names_of_models_are_text_not_markup(self, program, more):
        async with program.running(more=more) as driver:
            await opened(driver)
            assert driver.shows("one/x[b]y[/]")
            assert driver.shows("one/漢字モデル")

    async def test_the_arrows_and_tab_move_and_the_mouse_uses(self, program, more):
        async with program.running(more=more) as driver:
            screen = await opened(driver)
            first = screen._list.selected
            await driver.press("down", "tab", "up")
            assert screen._list.selected is not first
            await driver.press("pageup", "shift+tab")
            assert screen._list.selected.name == listed(driver)[0]
            await driver.pilot.click("ModelList", offset=(10, 2), times=2)
            await driver.until(lambda: driver.app.screen is driver.screen)
            assert driver.screen.pane.prompt.has_focus

    async def test_while_it_is_open_only_the_search_has_a_caret(self, program, more):
        async with program.running(more=more) as driver:
            await opened(driver)
            assert not driver.screen.pane.prompt.has_focus
            await driver.press("escape")
            await driver.until(lambda: driver.screen.pane.prompt.has_focus)


class TestTheOrder:
    def test_favourites_come_first_then_recent_ones_then_as_found_and_last_what_lacks_a_key(self):
        found = [priced(f"p/{name}", "1") for name in "abcd"] + [priced("p/x", "1", missing="set X")]
        models = Models(found, ["p/d", "p/x", "p/gone"], ["p/c", "p/d"])
        assert models.names == ["p/d", "p/c", "p/a", "p/b", "p/x"]

    def test_by_price_unknown_ones_come_behind_and_play_last(self):
        found = [
            priced("p/play", "0.1", play=True),
            priced("p/unknown", None),
            priced("p/dear", "9"),
            priced("p/yuan", "1", currency="CNY", rate=Decimal("0.14")),
            priced("p/free", "0"),
            priced("p/locked", "0.001", missing="set X"),
            priced("p/kroner", "1", currency="NOK", rate=None),
        ]
        models = Models(found, [], [])
        names = [models.names[place].removeprefix("p/") for place in models.found([], "price")]
        assert names == ["free", "yuan", "dear", "kroner", "unknown", "play", "locked"]

    async def test_one_key_goes_through_the_orders_and_the_heading_shows_which(self, program, more):
        async with program.running(more=more) as driver:
            await opened(driver)
            await driver.press("ctrl+s")
            await driver.until(lambda: driver.shows("▾ out"))
            assert listed(driver)[:3] == ["one/cheap", "work/a", "one/dear"]
            await driver.press("ctrl+s")
            await driver.until(lambda: driver.shows("▾ context"))
            assert listed(driver)[:3] == ["one/dear", "work/a", "demo/quick"]
            await driver.press("ctrl+s")
            await driver.until(lambda: driver.shows("▾ model"))
            assert listed(driver)[0].startswith("demo/")
            await driver.press("ctrl+s")
            await driver.until(lambda: not driver.shows("▾"))

    async def test_a_favourite_is_marked_kept_and_first_the_next_time(self, program, more):
        async with program.running(more=more) as driver:
            await opened(driver)
            await driver.type("dear")
            await driver.press("ctrl+t")
            await driver.until(lambda: driver.shows("one/dear ●"))
            await driver.press("escape")
            await opened(driver)
            assert listed(driver)[0] == "one/dear"
            assert not line_with(driver, "one/dear").lstrip().startswith("▌"), "the cursor is on the model in use"
            await driver.press("up", "up", "ctrl+t")
            await driver.until(lambda: not driver.shows("one/dear ●"))
        async with program.running(more=more) as driver:
            assert driver.screen._store.favourite_models() == []


class TestTheColumns:
    def test_figures_align_on_their_points(self):
        models = [priced("p/a", "15"), priced("p/b", "0.0375"), priced("p/c", None), priced("p/d", "0")]
        shapes = Models(models, [], []).shapes()
        columns = Columns.within(100, shapes)
        rows = [draw(Row(model, model.name), columns, 100, UNICODE).plain for model in models]
        assert rows[0].rindex(".") == rows[1].rindex(".")
        assert {len(row) for row in rows} == {100}
        assert rows[2][: rows[2].index("$?") + 2].__len__() == rows[3][: rows[3].index("free") + 4].__len__()

    @pytest.mark.parametrize(
        ("width", "shown"),
        [
            (110, ["context", "in", "cached", "out", "as of"]),
            (72, ["context", "in", "cached", "out"]),
            (62, ["context", "in", "out"]),
            (56, ["in", "out"]),
            (38, ["out"]),
            (10, ["out"]),
        ],
    )
    def test_a_narrow_terminal_drops_as_of_then_cached_then_context(self, width, shown):
        columns = Columns.within(width, ((1, 2), (1, 2), (2, 2)))
        cells = {"context": columns.context, "in": columns.given, "cached": columns.cached, "out": columns.out}
        assert [name for name, size in {**cells, "as of": columns.note}.items() if size] == shown

    @pytest.mark.parametrize("width", [5, 20, 40, 61, 80, 131])
    @pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
    def test_every_row_is_as_wide_as_the_list_whatever_its_name(self, width, glyphs):
        for name in ("p/short", "p/" + "漢字" * 40, "p/e\u0301\x1b[31m\u202e", "p/🙂" * 9):
            model = priced(name, "3", missing="set KEY, or something")
            columns = Columns.within(width - 1, ((1, 2), (1, 2), (2, 2)))
            for row in (Row(model, model.name), Row(model, model.name, (2, 3), here=True, marked=True, favourite=True)):
                drawn = draw(row, columns, width, glyphs)
                assert drawn.cell_length == width
                assert "\x1b" not in drawn.plain
                assert "\u202e" not in drawn.plain

    def test_a_price_is_shown_in_usd_where_a_rate_is_known(self):
        yuan = Price(currency="CNY", usd_rate=Decimal("0.14"))
        assert figure(Decimal(2), yuan) == "0.28"
        assert figure(Decimal(2), Price(currency="CNY", usd_rate=None)) == "¥2.00"
        assert figure(Decimal("0.0375"), Price()) == "0.0375"
        assert figure(Decimal("0.00001"), Price()) == "<0.0001"
        assert figure(None, Price()) == ""

    @pytest.mark.parametrize(
        ("model", "out", "note"),
        [
            (priced("ollama/q", "0", source="local"), "free", "here"),
            (priced("work/a", None), "$?", "no price"),
            (priced("work/a", "2", source="config"), "2.00", "config.toml"),
            (priced("openrouter/a", "2", source="provider"), "2.00", "its own list"),
            (Model("demo", "quick", price=Price(Decimal(1), Decimal(1), play=True), scripted=True), "play", "scripted"),
            (Model("xai", "grok", missing="set XAI_API_KEY, or …", needs="XAI_API_KEY"), "$?", "needs XAI_API_KEY"),
            (Model("azure", "x", missing="name its deployment, please"), "$?", "name its deployment"),
        ],
    )
    def test_what_has_no_figure_has_words(self, model, out, note):
        assert (out_of(model), note_of(model)) == (out, note)

    def test_the_age_of_a_price_is_a_month(self):
        assert [month(text) for text in ("2025-12", "2026-01-31", "soon", "2025-99", "")] == [
            "Dec 25", "Jan 26", "soon", "2025-99", "",
        ]  # fmt: skip

    async def test_the_cheapest_of_those_shown_is_green_and_only_that(self, program, more):
        async with program.running(more=more) as driver:
            screen = await opened(driver)
            models = screen._list
            cheapest = [name for row, name in enumerate(listed(driver)) if models._row(row).cheapest]
            assert cheapest == ["one/cheap"]
            await driver.type("dear")
            await driver.until(lambda: listed(driver)[0] == "one/dear")
            assert not models._row(0).cheapest, "alone it is compared with nothing"

    @pytest.mark.parametrize("size", [(10, 4), (40, 10), (60, 15), (80, 24), (200, 60)])
    async def test_it_works_at_every_size(self, program, more, size):
        async with program.running(size=size, more=more) as driver:
            await opened(driver)
            await driver.type("one/dear")
            await driver.pilot.pause()
            if size[0] >= 40:
                assert driver.shows("one/dear")
                assert driver.shows("120.00")
                assert listed(driver)[0] == "one/dear"
            await driver.pilot.resize_terminal(120, 40)
            await driver.until(lambda: driver.shows("config.toml") and driver.shows("as of"))
            await driver.pilot.resize_terminal(*size)
            await driver.press("backspace", "down", "up", "ctrl+o", "enter")
            await driver.until(lambda: driver.app.screen is driver.screen)


class TestAnAnswerLikeTheLast:
    async def test_it_is_priced_here_and_on_the_dearest_of_those_used_lately(self, program, more):
        program.server.enqueue([SSE, chat_stream(["fine"], usage=chat_usage(1_000, 500))])
        async with program.running(more=more) as driver:
            driver.screen._store.save_favourites(["one/dear", "one/unknown"]).result(5)
            await driver.ask("hello")
            await driver.until(lambda: driver.answers and driver.idle)
            await opened(driver)
            await driver.until(lambda: driver.shows("An answer like your last one: ~$0.0020 here, ~$0.0900 on dear."))
            await driver.type("unknown")
            await driver.until(lambda: not driver.shows("like your last one"))

    def test_nothing_is_said_without_an_answer_a_price_or_real_money(self):
        used = Usage(1000, 500)
        assert not like_the_last(priced("p/a", "1"), None, [])
        assert not like_the_last(priced("p/a", None), used, [])
        assert not like_the_last(priced("p/a", "1", play=True), used, [])
        assert like_the_last(priced("p/a", "0", source="local"), used, []).plain.endswith("free here.")


class TestAskingSeveral:
    async def test_marked_models_are_asked_together_in_the_order_of_their_marks(self, program, more):
        for words in ("from dear", "from cheap"):
            program.server.enqueue([SSE, chat_stream([words])])
        async with program.running(more=more) as driver:
            await opened(driver)
            await driver.type("dear")
            await driver.press("ctrl+o")
            await driver.press(*["backspace"] * 4)
            await driver.type("cheap")
            await driver.press("ctrl+o")
            await driver.until(lambda: driver.shows("enter ask 2 models"))
            await driver.press("enter")
            await driver.until(lambda: driver.app.screen is driver.screen)
            await driver.until(lambda: driver.shows("dear, cheap"))
            await driver.ask("hello")
            await driver.until(lambda: driver.screen.pane.session.path and driver.idle)
            turn = driver.screen.pane.session.path[0]
            assert [answer.model.name for answer in turn.completions] == ["one/dear", "one/cheap"]
            assert sorted(request.json["model"] for request in program.server.requests) == ["cheap", "dear"]
            assert {answer.text for answer in turn.completions} == {"from dear", "from cheap"}
            await driver.type("next")
            await driver.until(lambda: driver.shows("to send to 2"))
            await driver.press("ctrl+l")
            await driver.until(lambda: isinstance(driver.app.screen, ModelPicker))
            await driver.until(lambda: driver.shows("ask 2 models"))

    async def test_one_model_alone_takes_the_place_of_several(self, program, more):
        async with program.running(more=more) as driver:
            pane, catalog = driver.screen.pane, driver.screen._services.catalog
            pane.use_models([catalog.resolve("one/dear"), catalog.resolve("one/cheap")])
            await opened(driver)
            await driver.type("dear")
            await driver.press("ctrl+o")
            await driver.press(*["backspace"] * 4)
            await driver.type("cheap")
            await driver.until(lambda: driver.shows("ask 1 model "))
            await driver.press("enter")
            await driver.until(lambda: driver.app.screen is driver.screen)
            assert [model.name for model in pane.session.asked] == ["one/cheap"]
            pane.use_models([catalog.resolve("one/dear"), catalog.resolve("one/cheap")])
            pane.use_model(catalog.resolve("work/a"))
            assert pane.session.others == ()

    async def test_a_model_without_its_key_cannot_be_marked_and_six_are_the_most(self, program, more):
        many = more + f'[providers.many]\nbase_url = "{program.server.base_url}"\nmodels = {list("abcdefgh")}\n'
        async with program.running(more=many) as driver:
            screen = await opened(driver)
            await driver.type("locked")
            await driver.press("ctrl+o")
            await driver.until(lambda: driver.shows("two/locked cannot be asked: set NO_SUCH_KEY"))
            assert not screen._list.marked
            await driver.press(*["backspace"] * 6)
            await driver.type("many")
            for _ in range(7):
                await driver.press("ctrl+o", "down")
            assert len(screen._list.marked) == 6
            await driver.press("up", "ctrl+o")
            await driver.until(lambda: driver.shows("6 models at once are the most."))

    async def test_the_key_of_compare_opens_the_list_with_the_configured_ones_marked(self, program, more):
        program.config = 'compare_models = ["one/cheap", "work/a"]\n' + program.config
        async with program.running(more=more) as driver:
            screen = await opened(driver, "ctrl+o")
            assert [model.name for model in screen._list.marked] == ["one/cheap", "work/a"]
            await driver.press("enter")
            await driver.until(lambda: driver.shows("cheap, a"))

    async def test_where_the_names_do_not_fit_their_number_stands(self, program, more):
        async with program.running(size=(64, 16), more=more) as driver:
            pane, catalog = driver.screen.pane, driver.screen._services.catalog
            pane.use_models([catalog.resolve(f"one/{name}") for name in ("漢字モデル", "dear", "cheap", "unknown")])
            await driver.type("hello there")
            await driver.until(lambda: any("+3" in line and "to send to 4" in line for line in driver.lines()))

    async def test_play_money_says_so_beside_each_name_too(self, program):
        async with program.running(size=(150, 30)) as driver:
            pane, catalog = driver.screen.pane, driver.screen._services.catalog
            pane.use_models([catalog.resolve("demo/quick"), catalog.resolve("demo/thinker")])
            await driver.type("hello")
            await driver.until(lambda: driver.shows("quick play ~") and driver.shows("thinker play ~$0.0"))

    async def test_a_queued_prompt_goes_when_the_last_of_several_has_ended(self, program, more):
        first, second = threading.Event(), threading.Event()
        program.server.enqueue([SSE, chat_chunk("one"), WaitFor(first), chat_stream([" end"])])
        program.server.enqueue([SSE, chat_chunk("two"), WaitFor(second), chat_stream([" end"])])
        for _ in range(2):
            program.server.enqueue([SSE, chat_stream(["later"])])
        async with program.running(more=more) as driver:
            pane, catalog = driver.screen.pane, driver.screen._services.catalog
            pane.use_models([catalog.resolve("one/dear"), catalog.resolve("one/cheap")])
            await driver.ask("hello")
            await driver.until(lambda: len(program.server.requests) == 2)
            await driver.ask("and then")
            first.set()
            await driver.until(lambda: len(driver.app.streams.all) == 1)
            assert pane.session.queued == "and then"
            second.set()
            await driver.until(lambda: len(program.server.requests) == 4 and driver.idle)
            assert pane.session.queued is None
            assert len(pane.session.path[-1].mates) == 2, "each goes on from its own answer"

    async def test_a_stop_of_one_of_several_holds_the_queued_prompt_back(self, program, more):
        go_on = threading.Event()
        exchanges = [
            program.server.enqueue([SSE, chat_chunk("part"), WaitFor(go_on), chat_stream(["."])]) for _ in "ab"
        ]
        async with program.running(more=more) as driver:
            pane, catalog = driver.screen.pane, driver.screen._services.catalog
            pane.use_models([catalog.resolve("one/dear"), catalog.resolve("one/cheap")])
            await driver.ask("hello")
            await driver.until(lambda: all(c.text for c in pane.session.path[0].completions))
            await driver.ask("and then")
            await driver.press("escape")
            await driver.until(lambda: len(driver.app.streams.all) == 1)
            assert any([await seen(exchange.hung_up, 1) for exchange in exchanges])
            go_on.set()
            await driver.until(lambda: driver.idle)
            await driver.until(lambda: driver.shows("held"))
            assert len(program.server.requests) == 2
            assert pane.session.queued == "and then"

    async def test_esc_stops_one_after_the_other(self, program, more):
        for _ in range(2):
            program.server.enqueue([SSE, chat_chunk("part"), Stall()])
        async with program.running(more=more) as driver:
            pane, catalog = driver.screen.pane, driver.screen._services.catalog
            pane.use_models([catalog.resolve("one/dear"), catalog.resolve("one/cheap")])
            await driver.ask("hello")
            await driver.until(lambda: all(c.text for c in pane.session.path[0].completions))
            assert driver.shows("2 running")
            under_the_cursor = pane.cursor
            await driver.press("escape")
            await driver.until(lambda: len(driver.app.streams.all) == 1)
            assert under_the_cursor.finish_reason == "cancelled"
            await driver.press("escape")
            await driver.until(lambda: driver.idle)
            assert {c.finish_reason for c in pane.session.path[0].completions} == {"cancelled"}

    async def test_a_failure_of_one_does_not_hold_back_what_goes_on_from_the_other(self, program, more):
        end = threading.Event()
        program.server.enqueue([SSE, chat_chunk("good"), WaitFor(end), chat_stream(["."])])
        program.server.enqueue([WaitFor(end), *reply(500, {"error": {"message": "broken"}})])
        for _ in range(2):
            program.server.enqueue([SSE, chat_stream(["later"])])
        async with program.running(more=more) as driver:
            pane, catalog = driver.screen.pane, driver.screen._services.catalog
            pane.use_models([catalog.resolve("one/dear"), catalog.resolve("one/cheap")])
            await driver.ask("hello")
            await driver.until(lambda: len(program.server.requests) == 2)
            await driver.ask("and then")
            end.set()
            await driver.until(lambda: len(program.server.requests) == 4 and driver.idle)


class TestWhatComesInMeanwhile:
    async def test_new_models_come_in_without_moving_the_cursor_or_losing_words_and_marks(self, program, more):
        answered = asyncio.Event()

        class Lists:
            async def refresh(self):
                await answered.wait()
                return True

            async def find_local(self):
                return False

        async with program.running(more=more) as driver:
            services = driver.screen._services
            object.__setattr__(services, "lists", Lists())
            screen = await opened(driver)
            await driver.type("one")
            await driver.press("down", "down", "ctrl+o", "down")
            before, count = screen._list.selected.name, screen._list.count
            catalog, known = services.catalog, services.catalog.known()
            catalog._known = (priced("one/aaa-new", "1"), *known)
            answered.set()
            await driver.until(lambda: screen._list.count == count + 1)
            assert screen._list.selected.name == before
            assert len(screen._list.marked) == 1
            assert screen._input.value == "one"
            assert "one/aaa-new" in listed(driver)

    async def test_answers_of_providers_are_waited_for_also_when_the_box_was_closed(self, program, more):
        answered, taken = asyncio.Event(), asyncio.Event()

        class Lists:
            async def refresh(self):
                await answered.wait()
                taken.set()
                return True

            async def find_local(self):
                return False

        async with program.running(more=more) as driver:
            object.__setattr__(driver.screen._services, "lists", Lists())
            await opened(driver)
            await driver.press("escape")
            await driver.until(lambda: driver.app.screen is driver.screen)
            answered.set()
            await driver.until(taken.is_set)


class TestWhatLacksAKey:
    async def test_choosing_it_asks_for_the_key(self, program):
        async with program.running() as driver:
            await opened(driver)
            await driver.type("mistral/")
            await driver.until(lambda: driver.shows("needs MISTRAL_API_KEY") and driver.shows("set its key"))
            await driver.press("enter")
            await driver.until(lambda: isinstance(driver.app.screen, KeyBox))
            await driver.press("escape")
            await driver.until(lambda: driver.app.screen is driver.screen)
            assert driver.screen.pane.session.model.name == "work/a"


async def test_the_users_own_keys_work_in_the_list_and_help_names_them(program, more):
    own = '[keys]\n"model.sort" = "f6"\n"compare.open" = "f7"\n'
    async with program.running(size=(120, 70), more=own + more) as driver:
        screen = await opened(driver, "f7")
        await driver.press("f6")
        assert screen._list.order == "price"
        await driver.press("f7")
        await driver.until(lambda: driver.shows("f7 ") and driver.shows("f6 by price"))
        await driver.press("escape", "f1")
        await driver.until(lambda: isinstance(driver.app.screen, HelpScreen))
        assert driver.shows("In the list of models")


class TestNamesTypedOut:
    async def test_an_exact_name_goes_before_one_that_only_begins_with_it(self, program, more):
        config = more.replace('models = ["locked"]', 'models = ["fail-429-once", "fail-429"]').replace(
            "NO_SUCH_KEY", ""
        )
        config = config.replace('api_key_env = ""\n', "")
        async with program.running(more=config) as driver:
            await opened(driver)
            await driver.type("two/fail-429")
            await driver.press("enter")
            await driver.until(lambda: driver.screen.pane.session.model.name == "two/fail-429")

    async def test_a_model_that_no_list_has_can_be_typed_out(self, program, more):
        async with program.running(more=more) as driver:
            await opened(driver)
            await driver.type("work/quite-new")
            await driver.until(lambda: driver.shows("work is asked for it as it is"))
            await driver.press("enter")
            await driver.until(lambda: driver.screen.pane.session.model.name == "work/quite-new")
