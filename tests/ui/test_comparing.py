"""Several models asked at once: columns, the right stop, what goes on and from where. A real server for each model."""

import asyncio
import threading
from contextlib import ExitStack
from decimal import Decimal

import pytest

from tests.loopback import Drop, Head, LoopbackServer, Stall, WaitFor, chat_chunk, chat_stream, chat_usage, reply, seen
from tui_chat.core.columns import columns_of
from tui_chat.core.completion import State

SSE = Head(200, {"Content-Type": "text/event-stream"})
NAMES = ("north/one", "south/two", "east/three", "west/four")
PRICES = {"north/one": (1, 2), "south/two": (3, 15), "east/three": ("0.15", "0.6"), "west/four": (2, 8)}


class Servers:
    """One server for each model."""

    def __init__(self, stack):
        self.of = {name: stack.enter_context(LoopbackServer()) for name in NAMES}
        self.config = "compare_models = [" + ", ".join(f'"{name}"' for name in NAMES) + "]\n"
        self.more = ""
        for name, server in self.of.items():
            provider, _, model = name.partition("/")
            self.more += f'[providers.{provider}]\nbase_url = "{server.base_url}"\nmodels = ["{model}"]\n'
            into, out = PRICES[name]
            self.more += f'[models."{name}"]\ninput_per_mtok = {into}\noutput_per_mtok = {out}\n'

    def answer(self, name, *steps):
        return self.of[name].enqueue(SSE, *steps)

    def answer_all(self, names, words="answer", usage=True):
        """Every one of them answers with its own name."""
        for name in names:
            told = chat_usage(20, 5) if usage else None
            self.answer(name, chat_stream([f"{words} ", f"of {name}"], usage=told))

    def asked(self, name):
        """What its requests said, each as the texts of its messages."""
        return [[message["content"] for message in request.json["messages"]] for request in self.of[name].requests]


@pytest.fixture
def servers(program):
    with ExitStack() as stack:
        found = Servers(stack)
        program.config = found.config + program.config
        yield found


def choose(driver, *names):
    pane = driver.screen.pane
    pane.use_models([pane._services.catalog.resolve(name) for name in names])


async def ask(driver, words, *names):
    if names:
        choose(driver, *names)
    await driver.ask(words)
    await driver.until(lambda: not driver.idle)


async def ask_to_the_end(driver, words, *names):
    await driver.until(lambda: driver.idle)
    before = driver.screen.pane.session.path[-1:]
    if names:
        choose(driver, *names)
    await driver.ask(words)
    await driver.until(lambda: driver.screen.pane.session.path[-1:] != before and driver.idle)


async def ask_twice(driver, servers, names):
    """Every one of them answers `hi` with its own name, and `more` on its own path."""
    servers.answer_all(names, "first")
    await ask_to_the_end(driver, "hi", *names)
    servers.answer_all(names, "second")
    await ask_to_the_end(driver, "more")


def columns(driver):
    """Names of the answers that stand side by side around the cursor."""
    return [column.completion.model.name for column in driver.screen.pane.comparing.here]


def last(driver):
    """Every answer to the last prompt by model."""
    found = columns_of(driver.screen.pane.session.path[-1], everything=True)
    return {column.completion.model.name: column.completion for column in found}


class TestStopping:
    async def test_esc_stops_the_column_under_the_cursor_and_no_other(self, program, servers):
        exchanges = {name: servers.answer(name, chat_chunk("part"), Stall()) for name in NAMES[:3]}
        async with program.running(size=(150, 40), more=servers.more) as driver:
            await ask(driver, "hi", *NAMES[:3])
            await driver.until(lambda: all(answer.text for answer in last(driver).values()))
            await driver.type("half")  # the cursor moves while somebody types
            await driver.press("alt+right", "escape")
            assert await seen(exchanges[NAMES[1]].hung_up)
            await driver.until(lambda: last(driver)[NAMES[1]].state is State.STOPPED)
            assert [exchanges[name].hung_up.is_set() for name in NAMES[:3]] == [False, True, False]
            assert driver.prompt == "half"

    async def test_esc_again_within_a_second_stops_all(self, program, servers):
        exchanges = [servers.answer(name, chat_chunk("part"), Stall()) for name in NAMES]
        async with program.running(size=(150, 40), more=servers.more) as driver:
            await ask(driver, "hi", *NAMES)
            await driver.until(lambda: all(answer.text for answer in last(driver).values()))
            await driver.press("escape", "escape")
            assert all([await seen(exchange.hung_up) for exchange in exchanges])
            await driver.until(lambda: driver.idle)
            assert {answer.finish_reason for answer in last(driver).values()} == {"cancelled"}

    async def test_a_stall_a_death_and_a_limit_of_others_touch_nobody(self, program, servers):
        program.config = program.config.replace("max_retries = 0", "max_retries = 1")
        one, two, three, four = NAMES
        servers.answer(one, chat_chunk("part"), Stall())
        servers.answer(two, chat_chunk("begun"), Drop())
        servers.of[three].enqueue(*reply(429, {"error": {"message": "slow down"}}, {"Retry-After": "0.01"}))
        servers.answer_all([three, four])
        async with program.running(size=(200, 60), more=servers.more) as driver:
            await ask(driver, "hi", *NAMES)
            await driver.until(lambda: len(driver.app.streams.all) == 1)
            answers = last(driver)
            assert [answers[name].state for name in NAMES] == [
                State.STREAMING,
                State.FAILED,
                State.SETTLED,
                State.SETTLED,
            ]
            assert answers[two].text == "begun"
            assert answers[three].attempts == 2
            for name in (three, four):
                into, out = map(Decimal, map(str, PRICES[name]))
                assert answers[name].cost.usd == (20 * into + 5 * out) / 1_000_000, "to the last digit"
            await driver.until(lambda: driver.shows("✗ failed") and driver.shows("streaming"))


class TestGoingOn:
    async def test_the_next_prompt_goes_to_every_model_from_its_own_answer(self, program, servers):
        three = NAMES[:3]
        async with program.running(size=(150, 40), more=servers.more) as driver:
            await ask_twice(driver, servers, three)
            for name in three:
                assert servers.asked(name) == [["hi"], ["hi", f"first of {name}", "more"]]
            assert columns(driver) == list(three)
            assert len({turn.batch_id for turn in driver.screen.pane.session.path[-1].mates}) == 1

    async def test_what_is_kept_goes_on_alone_and_undo_brings_all_back(self, program, servers):
        three = NAMES[:3]
        async with program.running(size=(150, 40), more=servers.more) as driver:
            servers.answer_all(three, "first")
            await ask_to_the_end(driver, "hi", *three)
            await driver.press("alt+right", "ctrl+t", "enter")
            await driver.until(lambda: driver.shows("The chat goes on with two"))
            assert columns(driver) == []
            servers.answer_all(["south/two"], "second")
            await ask_to_the_end(driver, "more")
            assert [len(servers.asked(name)) for name in three] == [1, 2, 1]
            assert servers.asked("south/two")[1] == ["hi", "first of south/two", "more"]

    async def test_undo_after_keeping_asks_all_of_them_again(self, program, servers):
        two = NAMES[:2]
        async with program.running(size=(150, 40), more=servers.more) as driver:
            servers.answer_all(two, "first")
            await ask_to_the_end(driver, "hi", *two)
            await driver.press("ctrl+t", "enter")
            await driver.until(lambda: columns(driver) == [])
            await driver.press("ctrl+t", "u")
            await driver.until(lambda: columns(driver) == list(two))
            await driver.press("ctrl+t")
            servers.answer_all(two, "second")
            await ask_to_the_end(driver, "more")
            assert [len(servers.asked(name)) for name in two] == [2, 2]

    async def test_a_branch_and_the_way_back_send_exactly_the_path_in_view(self, program, servers):
        two = NAMES[:2]
        async with program.running(size=(150, 40), more=servers.more) as driver:
            await ask_twice(driver, servers, two)
            await driver.press("ctrl+t", "e")
            await driver.until(lambda: driver.prompt == "more")
            servers.answer_all(two, "other")
            await ask_to_the_end(driver, " please")
            assert servers.asked(two[1])[2] == ["hi", "first of south/two", "more please"]
            await driver.press("ctrl+t", "[")
            await driver.until(lambda: driver.screen.pane.session.path[-1].prompt == "more")
            assert columns(driver) == list(two)
            await driver.press("ctrl+t")
            servers.answer_all(two, "third")
            await ask_to_the_end(driver, "and then")
            for name in two:
                assert servers.asked(name)[3] == ["hi", f"first of {name}", "more", f"second of {name}", "and then"]

    async def test_one_that_is_hidden_is_asked_no_more_and_comes_back(self, program, servers):
        three = NAMES[:3]
        async with program.running(size=(150, 40), more=servers.more) as driver:
            servers.answer_all(three)
            await ask_to_the_end(driver, "hi", *three)
            await driver.press("ctrl+t", "x")
            await driver.until(lambda: columns(driver) == list(three[1:]))
            servers.answer_all(three[1:])
            await ask_to_the_end(driver, "more")
            assert [len(servers.asked(name)) for name in three] == [1, 2, 2]
            await driver.press("alt+up", "ctrl+t", "u")
            await driver.until(lambda: not driver.shows("Nothing is hidden here."))

    async def test_keeping_one_asks_once_whether_the_others_stop(self, program, servers):
        running = [servers.answer(name, chat_chunk("part"), Stall()) for name in NAMES[:3]]
        async with program.running(size=(150, 40), more=servers.more) as driver:
            await ask(driver, "hi", *NAMES[:3])
            await driver.until(lambda: all(answer.text for answer in last(driver).values()))
            await driver.press("ctrl+t", "enter")
            await driver.until(lambda: driver.shows("The other 2 answers run on"))
            await driver.press("enter")
            assert all([await seen(exchange.hung_up) for exchange in running[1:]])
            assert not running[0].hung_up.is_set()
            assert driver.screen._store.choice("keep_stops") == "stop"
            await driver.press("escape")
            await driver.until(lambda: driver.idle)
            again = [servers.answer(name, chat_chunk("part"), Stall()) for name in NAMES[:2]]
            await ask(driver, "again", *NAMES[:2])
            await driver.until(lambda: all(answer.text for answer in last(driver).values()))
            await driver.press("ctrl+t", "enter")
            assert await seen(again[1].hung_up), "the setting remembers"


class TestLooking:
    async def test_a_restart_shows_the_same_columns(self, program, servers):
        three = NAMES[:3]
        servers.answer_all(three)
        async with program.running(size=(150, 40), more=servers.more) as driver:
            await ask_to_the_end(driver, "hi", *three)
            await driver.press("alt+right", "alt+right", "ctrl+t", "x")
            await driver.until(lambda: columns(driver) == list(three[:2]))
            chat = driver.screen.pane.session.conversation.id
        async with program.running(size=(150, 40), more=servers.more, conversation_id=chat) as driver:
            await driver.until(lambda: columns(driver) == list(three[:2]))
            assert [model.name for model in driver.screen.pane.session.asked] == list(three[:2])
            await driver.press("ctrl+t", "u")
            await driver.until(lambda: columns(driver) == list(three))

    async def test_where_columns_would_be_too_narrow_there_are_tabs_and_only_one_is_painted(self, program, servers):
        gate = threading.Event()
        for name in NAMES:
            servers.answer(name, chat_chunk(f"begun by {name}"), WaitFor(gate), chat_stream([" and ended"]))
        async with program.running(size=(70, 24), more=servers.more) as driver:
            await ask(driver, "hi", *NAMES)
            await driver.until(lambda: all(answer.text for answer in last(driver).values()))
            await driver.until(lambda: driver.shows("begun by north/one"))
            assert not driver.shows("begun by south/two")
            row = driver.screen.pane.transcript.row
            assert [rows.completion.model.name for rows in row.answers] == [NAMES[0]], "no rows for those behind tabs"
            gate.set()
            await driver.until(lambda: driver.idle)
            await driver.press("alt+right")
            await driver.until(lambda: driver.shows("begun by south/two and ended"))

    async def test_one_column_takes_all_the_room_and_gives_it_back(self, program, servers):
        servers.answer_all(NAMES[:3])
        async with program.running(size=(150, 40), more=servers.more) as driver:
            await ask_to_the_end(driver, "hi", *NAMES[:3])
            assert driver.shows("answer of south/two")
            await driver.press("ctrl+t", "z")
            await driver.until(lambda: not driver.shows("answer of south/two"))
            await driver.press("alt+right")
            await driver.until(lambda: driver.shows("answer of south/two"))
            await driver.press("escape")
            await driver.until(lambda: driver.shows("answer of north/one"))
            assert columns(driver) == list(NAMES[:3])

    async def test_the_sidebar_makes_room_and_comes_back(self, program, servers):
        servers.answer_all(NAMES)
        async with program.running(size=(130, 40), more=servers.more) as driver:
            assert driver.screen.query_one("#sidebar").display
            await ask_to_the_end(driver, "hi", *NAMES)
            await driver.until(lambda: not driver.screen.query_one("#sidebar").display)
            await driver.press("ctrl+n")
            await driver.until(lambda: driver.screen.query_one("#sidebar").display)

    async def test_a_selection_stays_within_its_column(self, program, servers):
        for name in NAMES[:2]:
            servers.answer(name, chat_stream([f"{name} says\n\nsomething long enough\n\nto be selected"]))
        async with program.running(size=(120, 40), more=servers.more) as driver:
            await ask_to_the_end(driver, "hi", *NAMES[:2])
            await driver.until(lambda: driver.shows("south/two says"))
            rows = driver.lines()
            top = next(y for y, line in enumerate(rows) if "south/two says" in line)
            left = rows[top].index("south/two says")
            await driver.pilot.mouse_down(offset=(left, top))
            await driver.pilot.hover(offset=(left + 6, top + 4))
            await driver.pilot.mouse_up(offset=(left + 6, top + 4))
            await driver.pilot.pause()
            selected = driver.screen.get_selected_text() or ""
            assert "something long enough" in selected
            assert "north" not in selected

    async def test_a_click_on_a_head_chooses_its_column(self, program, servers):
        servers.answer_all(NAMES[:3])
        async with program.running(size=(150, 40), more=servers.more) as driver:
            await ask_to_the_end(driver, "hi", *NAMES[:3])
            rows = driver.lines()
            top = next(y for y, line in enumerate(rows) if "answer of south/two" in line)
            await driver.pilot.click(offset=(rows[top].index("answer of south/two") + 1, top))
            await driver.until(lambda: driver.screen.pane.cursor.model.name == "south/two")
            assert driver.screen.pane.session.path[-1].chosen_id == driver.screen.pane.cursor.id


class TestMore:
    async def test_another_model_answers_a_finished_prompt_beside_the_others(self, program, servers):
        servers.answer_all(NAMES[:2])
        async with program.running(size=(150, 40), more=servers.more) as driver:
            await ask_to_the_end(driver, "hi", NAMES[0])
            await driver.press("ctrl+t", "+")
            await driver.type("two")
            await driver.press("ctrl+o", "enter")
            await driver.until(lambda: driver.idle and columns(driver) == list(NAMES[:2]))
            assert servers.asked(NAMES[1]) == [["hi"]]
            assert len(servers.asked(NAMES[0])) == 1

    async def test_one_runs_again_beside_the_others_which_stay(self, program, servers):
        servers.answer_all(NAMES[:2])
        async with program.running(size=(150, 40), more=servers.more) as driver:
            await ask_to_the_end(driver, "hi", *NAMES[:2])
            servers.answer_all(NAMES[1:2], "better")
            await driver.press("alt+right", "ctrl+t", "r")
            await driver.until(lambda: driver.shows("better of south/two") and driver.idle)
            assert driver.shows("answer of north/one")
            assert columns(driver) == list(NAMES[:2])
            assert len(servers.asked(NAMES[0])) == 1

    async def test_blind_answers_show_neither_names_nor_prices_until_the_vote(self, program, servers):
        gate = threading.Event()
        for name in NAMES[:2]:
            servers.answer(name, chat_chunk("words"), WaitFor(gate), chat_stream([" and more"], usage=chat_usage(9, 5)))
        async with program.running(size=(150, 40), more=servers.more) as driver:
            choose(driver, *NAMES[:2])
            await driver.app.run_action("compare('toggle_blind')", driver.screen.pane)  # from the palette
            await ask(driver, "hi")
            await driver.until(lambda: all(answer.text for answer in last(driver).values()))
            gate.set()
            await driver.until(lambda: driver.idle)
            shown = "\n".join(line for line in driver.lines() if "blind" not in line)
            assert not any(word in shown for word in ("north", "south", "one", "two")), shown
            await driver.press("ctrl+t", "v")
            await driver.until(lambda: driver.shows("A vote for"))
            winner = driver.screen.pane.cursor.model.name
            (vote,) = driver.screen._services.usage.votes()
            assert vote.winner == winner
            await driver.until(lambda: driver.shows("two") and driver.shows("$0.000"))
            await driver.until(lambda: driver.shows("your vote"))
            chat = driver.screen.pane.session.conversation.id
        async with program.running(size=(150, 40), more=servers.more, conversation_id=chat) as driver:
            await driver.until(lambda: any("your vote" in line and winner[6:] in line for line in driver.lines()))

    async def test_two_columns_are_held_against_each_other(self, program, servers):
        servers.answer(NAMES[0], chat_stream(["the quick brown fox"]))
        servers.answer(NAMES[1], chat_stream(["the quick red fox"]))
        async with program.running(size=(150, 40), more=servers.more) as driver:
            await ask_to_the_end(driver, "hi", *NAMES[:2])
            await driver.press("ctrl+t", "=")
            await driver.until(lambda: driver.shows("red") and driver.shows("brown") and driver.app.screen.is_modal)

    async def test_four_prompts_in_a_row_keep_the_order_of_the_columns(self, program, servers):
        async with program.running(size=(150, 40), more=servers.more) as driver:
            for number in range(4):
                servers.answer_all(NAMES[:3], f"n{number}")
                await ask_to_the_end(driver, f"q{number}", *(NAMES[:3] if number == 0 else ()))
                assert columns(driver) == list(NAMES[:3])
                await driver.press("alt+right")
            for name in NAMES[:3]:
                expected = [f"n{i} of {name}" for i in range(3)]
                assert servers.asked(name)[3][1::2] == expected


async def test_columns_take_turns_though_one_of_them_floods(program, servers):
    """A flood in one column does not keep the others from the screen."""
    gate = threading.Event()
    servers.answer(NAMES[0], *[chat_chunk("word " * 50) for _ in range(300)], WaitFor(gate), chat_stream(["."]))
    servers.answer(NAMES[1], chat_chunk("small"), WaitFor(gate), chat_stream([" end"]))
    async with program.running(size=(120, 40), more=servers.more) as driver:
        await ask(driver, "hi", *NAMES[:2])
        await driver.until(lambda: driver.shows("small"))
        gate.set()
        await driver.until(lambda: driver.idle)
        await asyncio.sleep(0)
        assert last(driver)[NAMES[1]].text == "small end"


class TestOnItsOwnPath:
    """Whatever is asked, the model is sent the path in view."""

    async def test_asked_again_in_a_second_prompt_it_gets_its_own_first_answer(self, program, servers):
        two = NAMES[:2]
        async with program.running(size=(150, 40), more=servers.more) as driver:
            await ask_twice(driver, servers, two)
            servers.answer_all(two[1:], "third")
            await driver.press("alt+right", "ctrl+t", "r")
            await driver.until(lambda: driver.shows("third of south/two") and driver.idle)
            assert servers.asked(two[1])[2] == ["hi", "first of south/two", "more"]

    async def test_zoomed_it_is_the_one_that_is_asked_again(self, program, servers):
        servers.answer_all(NAMES[:3])
        async with program.running(size=(150, 40), more=servers.more) as driver:
            await ask_to_the_end(driver, "hi", *NAMES[:3])
            servers.answer_all(NAMES[1:2], "again")
            await driver.press("alt+right", "ctrl+t", "z", "r")
            await driver.until(lambda: driver.shows("again of south/two") and driver.idle)
            await driver.press("escape")
            await driver.until(lambda: columns(driver) == list(NAMES[:3]))
            assert [len(servers.asked(name)) for name in NAMES[:3]] == [1, 2, 1]

    async def test_a_branch_for_one_model_goes_on_from_the_column_in_view(self, program, servers):
        two = NAMES[:2]
        async with program.running(size=(150, 40), more=servers.more) as driver:
            await ask_twice(driver, servers, two)
            await driver.press("alt+right", "ctrl+t", "e")
            await driver.until(lambda: driver.prompt == "more")
            servers.answer_all(two[1:], "branch")
            await ask_to_the_end(driver, " x", two[1])
            assert servers.asked(two[1])[2] == ["hi", "first of south/two", "more x"]

    async def test_when_a_second_try_fails_the_first_one_goes_on(self, program, servers):
        two = NAMES[:2]
        async with program.running(size=(150, 40), more=servers.more) as driver:
            servers.answer_all(two, "first")
            await ask_to_the_end(driver, "hi", *two)
            servers.of[two[1]].enqueue(*reply(400, {"error": {"message": "no"}}))
            await driver.press("alt+right", "ctrl+t", "r")
            await driver.until(lambda: len(servers.asked(two[1])) == 2 and driver.idle)
            await driver.press("ctrl+t")
            servers.answer_all(two, "second")
            await ask_to_the_end(driver, "more")
            assert servers.asked(two[1])[2] == ["hi", "first of south/two", "more"]

    async def test_the_way_back_from_a_branch_leads_to_the_column_that_was_kept(self, program, servers):
        two = NAMES[:2]
        async with program.running(size=(150, 40), more=servers.more) as driver:
            await ask_twice(driver, servers, two)
            await driver.press("alt+right", "ctrl+t", "enter")
            servers.answer_all(two[1:], "third")
            await ask_to_the_end(driver, "three")
            await driver.press("alt+up", "ctrl+t", "e")
            await driver.until(lambda: driver.prompt == "more")
            servers.answer_all(two[1:], "branch")
            await ask_to_the_end(driver, " x")
            await driver.press("ctrl+t", "[")
            await driver.until(lambda: driver.screen.pane.session.path[-1].prompt == "three")
            path = driver.screen.pane.session.path
            assert path[-1].completions[0].text == "third of south/two"
            assert path[1].completion(path[2].continues).model.name == two[1]


class TestWaiting:
    async def test_what_was_left_to_run_out_of_view_holds_nothing_up(self, program, servers):
        program.config = program.config.replace("[network]", '[ui]\nkeep_stops = "leave"\n[network]', 1)
        left = servers.answer(NAMES[1], chat_chunk("on and on"), Stall())
        servers.answer_all(NAMES[:1], "first")
        async with program.running(size=(150, 40), more=servers.more) as driver:
            await ask(driver, "hi", *NAMES[:2])
            await driver.until(lambda: len(driver.app.streams.all) == 1)
            await driver.press("ctrl+t", "enter")
            servers.answer_all(NAMES[:1], "second")
            await driver.ask("more")
            await driver.until(lambda: driver.shows("second of north/one"))
            assert not left.hung_up.is_set()
            await driver.press("escape")
            assert len(driver.app.streams.all) == 1, "nobody told it to stop"

    @pytest.mark.parametrize("bad", [0, 1])
    async def test_a_queued_prompt_follows_the_chosen_answer_whoever_ends_last(self, program, servers, bad):
        gates = threading.Event(), threading.Event()
        servers.answer_all(NAMES[:2], "first")
        async with program.running(size=(150, 40), more=servers.more) as driver:
            await ask_to_the_end(driver, "hi", *NAMES[:2])
            for at, name in enumerate(NAMES[:2]):
                end = Drop() if at == bad else chat_stream([" well"])
                servers.answer(name, chat_chunk("begun"), WaitFor(gates[at]), end)
            await ask(driver, "more")
            await driver.until(lambda: all(answer.text for answer in last(driver).values()))
            await driver.ask("queued")
            gates[bad].set()
            await driver.until(lambda: len(driver.app.streams.all) == 1)
            servers.answer_all(NAMES[:2], "third")
            gates[1 - bad].set()
            held = bad == 0
            await driver.until(lambda: driver.idle and (driver.shows("held") if held else driver.shows("third of")))
            assert [len(servers.asked(name)) for name in NAMES[:2]] == ([2, 2] if held else [3, 3])


class TestPlaces:
    async def test_an_answer_that_joins_far_up_is_painted_to_its_end_and_the_view_stays(self, program, servers):
        gate = threading.Event()
        async with program.running(size=(150, 40), more=servers.more) as driver:
            for at in range(7):
                servers.answer_all(NAMES[:1], f"n{at}")
                await ask_to_the_end(driver, f"q{at}", *(NAMES[:1] if not at else ()))
            await driver.press("ctrl+t", *["alt+up"] * 6)
            await driver.until(lambda: driver.shows("n0 of"))
            servers.answer(NAMES[1], chat_chunk("begun"), WaitFor(gate), chat_stream([" to the very end"]))
            driver.screen.pane.comparing.add([driver.screen._services.catalog.resolve(NAMES[1])])
            await driver.until(lambda: driver.shows("begun"))
            gate.set()
            await driver.until(lambda: driver.shows("begun to the very end") and driver.idle)
            assert driver.screen.pane.session.conversation.model == NAMES[0], "the last prompt's model goes on"

    async def test_columns_scrolled_apart_stay_so_when_the_cursor_goes_to_another(self, program, servers):
        for name in NAMES[:2]:
            servers.answer(name, chat_stream([f"{name} line {at}\n\n" for at in range(80)]))
        async with program.running(size=(120, 30), more=servers.more) as driver:
            await ask_to_the_end(driver, "hi", *NAMES[:2])
            await driver.press("ctrl+t", "s", *["up"] * 4)
            body = driver.screen.pane.transcript.row.body
            await driver.press("alt+right", *["up"] * 2)
            assert driver.screen.pane.transcript.row.body is body
            assert body.apart

    async def test_the_place_of_the_reader_survives_columns_tabs_and_zoom(self, program, servers):
        for name in NAMES[:3]:
            servers.answer(name, chat_stream([f"{name} line {at}\n\n" for at in range(80)]))
        async with program.running(size=(150, 30), more=servers.more) as driver:
            await ask_to_the_end(driver, "hi", *NAMES[:3])
            await driver.press("ctrl+t", "pageup", "pageup")
            await driver.until(lambda: not driver.screen.pane.transcript.following)

            def top():
                lines = [line for line in driver.lines()[1:24] if "north/one line" in line]
                return int(lines[0].split("north/one line ")[1].split()[0])

            before = top()
            for size in ((60, 30), (150, 30)):
                await driver.pilot.resize_terminal(*size)
                await driver.pilot.pause()
                await driver.until(lambda: driver.shows("north/one line"))
                assert abs(top() - before) <= 6
            await driver.press("z")
            await driver.until(lambda: not driver.shows("south/two line"))
            assert abs(top() - before) <= 6

    async def test_a_model_that_joins_twice_keeps_one_column(self, program, servers):
        servers.answer_all(NAMES[:2], "first")
        async with program.running(size=(150, 40), more=servers.more) as driver:
            await ask_to_the_end(driver, "hi", *NAMES[:2])
            servers.answer_all(NAMES[:2], "second")
            await ask_to_the_end(driver, "more")
            servers.answer_all(NAMES[1:2], "twice")
            driver.screen.pane.comparing.add([driver.screen._services.catalog.resolve(NAMES[1])])
            await driver.until(lambda: driver.shows("twice of south/two") and driver.idle)
            assert columns(driver) == list(NAMES[:2])
            assert servers.asked(NAMES[1])[2] == ["hi", "first of south/two", "more"]

    async def test_the_total_counts_what_is_not_shown_too(self, program, servers):
        servers.answer_all(NAMES[:2])
        async with program.running(size=(150, 40), more=servers.more) as driver:
            await ask_to_the_end(driver, "hi", *NAMES[:2])
            servers.answer_all(NAMES[1:2])
            await driver.press("alt+right", "ctrl+t", "r")
            await driver.until(lambda: len(servers.asked(NAMES[1])) == 2 and driver.idle)
            await driver.until(lambda: driver.shows("1 not shown"))
            usd = sum(answer.cost.usd for answer in driver.screen.pane.session.path[-1].completions)
            assert driver.screen.pane.transcript.row.comparison.total.usd == usd
