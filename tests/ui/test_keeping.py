"""What is kept, and the ways around the screen: drafts, restarts, sizes, keys, palette."""

import threading

import pytest

from tests.loopback import Head, Stall, chat_chunk, chat_stream
from tui_chat.core.keymap import KEYMAP
from tui_chat.ui.screens.help import HelpScreen
from tui_chat.ui.screens.model_picker import ModelPicker

SSE = Head(200, {"Content-Type": "text/event-stream"})


async def test_after_quitting_and_starting_again_everything_is_there_drafts_too(program):
    program.server.enqueue([SSE, chat_stream(["An answer to keep"])])
    async with program.running() as driver:
        await driver.ask("a question")
        await driver.until(lambda: driver.idle and driver.shows("An answer to keep"))
        await driver.type("half typed")
        await driver.press("ctrl+q")
    async with program.running() as driver:
        await driver.until(lambda: driver.shows("a question"))
        await driver.press("ctrl+s", "enter")
        await driver.until(lambda: driver.shows("An answer to keep"))
        assert driver.prompt == "half typed"


async def test_quitting_while_an_answer_runs_asks_once_then_stops_it_and_keeps_the_part(program):
    exchange = program.server.enqueue([SSE, chat_chunk("a part"), Stall()])
    async with program.running() as driver:
        await driver.ask("question")
        await driver.until(lambda: driver.shows("a part"))
        await driver.press("ctrl+q")
        assert driver.app.is_running
        await driver.press("ctrl+q")
        await driver.until(exchange.hung_up.is_set)
    async with program.running() as driver:
        store = driver.screen._store
        (row,) = store.conversations()
        answer = store.path(row.id)[0].completions[0]
        assert (answer.text, answer.finish_reason) == ("a part", "cancelled")


async def test_esc_never_leaves_the_app_and_never_clears_the_prompt(program):
    async with program.running() as driver:
        await driver.type("words")
        await driver.press("escape", "escape", "escape")
        assert driver.prompt == "words"
        assert driver.app.is_running


async def test_up_walks_earlier_prompts_and_what_was_typed_comes_back(program):
    for number in range(2):
        program.server.enqueue([SSE, chat_stream([f"answer {number}"])])
    async with program.running() as driver:
        for number in range(2):
            await driver.ask(f"prompt {number}")
            await driver.until(lambda number=number: driver.idle and driver.shows(f"answer {number}"))
        await driver.type("new")
        await driver.press("up")
        assert driver.prompt == "prompt 1"
        await driver.press("up")
        assert driver.prompt == "prompt 0"
        await driver.press("down", "down")
        assert driver.prompt == "new"


async def test_ctrl_j_and_a_trailing_backslash_make_new_lines(program):
    async with program.running() as driver:
        await driver.type("one")
        await driver.press("ctrl+j")
        await driver.type("two")
        await driver.press("backslash", "enter")
        await driver.type("three")
        assert driver.prompt == "one\ntwo\nthree"


async def test_enter_and_newline_can_be_swapped(program):
    program.server.enqueue([SSE, chat_stream(["sent"])])
    async with program.running(more='[ui]\nenter = "newline"\n') as driver:
        await driver.type("one")
        await driver.press("enter")
        assert driver.prompt == "one\n"
        await driver.press("ctrl+j")
        await driver.until(lambda: driver.shows("sent") and driver.idle)


async def test_the_users_own_keys_replace_ours(program):
    async with program.running(more='[keys]\n"model.pick" = "f2"\n') as driver:
        await driver.press("f2")
        await driver.until(lambda: isinstance(driver.app.screen, ModelPicker))


async def test_typing_narrows_the_model_picker_and_enter_uses_the_model(program):
    async with program.running() as driver:
        await driver.press("ctrl+l")
        await driver.type("rambler")
        await driver.press("enter")
        await driver.until(lambda: not isinstance(driver.app.screen, ModelPicker))
        assert driver.shows("rambler  scripted")


async def test_typing_in_the_list_filters_the_conversations(program):
    for words in ("apples", "pears"):
        program.server.enqueue([SSE, chat_stream([words])])
    async with program.running() as driver:
        for words in ("about apples", "about pears"):
            await driver.ask(words)
            await driver.until(lambda: driver.answers and driver.idle)
            await driver.press("ctrl+n")
        await driver.press("ctrl+s")
        await driver.type("apples")
        side = [line[:28] for line in driver.lines()]
        assert any("about apples" in line for line in side)
        assert not any("about pears" in line for line in side)
        await driver.press("enter")
        await driver.until(lambda: driver.shows("about apples") and driver.screen.pane.prompt.has_focus)


async def test_a_deleted_conversation_is_gone_and_what_it_cost_stays(program):
    program.server.enqueue([SSE, chat_stream(["costly"], usage={"prompt_tokens": 1000, "completion_tokens": 1000})])
    async with program.running() as driver:
        await driver.ask("short lived")
        await driver.until(lambda: driver.answers and driver.idle)
        await driver.press("ctrl+s", "delete")
        await driver.until(lambda: driver.shows("for good?"))
        await driver.press("delete")
        await driver.until(lambda: not driver.screen._store.conversations())
        await driver.until(lambda: driver.shows("$0.0030") or driver.shows("no chats yet"))
        start = driver.screen._services.clock.now().replace(hour=0, minute=0)
        assert str(driver.screen._store.spent_since(start).usd) == "0.003"


async def test_help_lists_every_key_and_the_palette_every_action(program):
    async with program.running(size=(120, 80)) as driver:
        await driver.press("f1")
        await driver.until(lambda: isinstance(driver.app.screen, HelpScreen))
        for key in KEYMAP:
            if not key.later and key.keys:
                assert driver.shows(key.description), key.id
        await driver.press("escape")
        commands = {command.title for command in driver.app.get_system_commands(driver.screen)}
        assert {"Choose the model for the next prompt", "Start a new conversation"} <= commands


@pytest.mark.parametrize("size", [(10, 4), (40, 10), (59, 14), (80, 24), (200, 60)])
async def test_every_size_works_from_the_empty_state_to_a_running_answer(program, size):
    program.server.enqueue(
        [SSE, chat_chunk("# Title\n\n- 会話 🙂\n\n```py\nx = 1\n```\n\n| a | b |\n|--|--|\n| 1 | 2 |\n"), Stall()]
    )
    async with program.running(size=size) as driver:
        await driver.ask("hi")
        await driver.until(lambda: driver.answers and driver.answers[0].text)
        await driver.pilot.resize_terminal(120, 40)
        await driver.until(lambda: driver.shows("Title"))
        await driver.pilot.resize_terminal(*size)
        await driver.pilot.pause()
        if size[0] >= 80:
            assert driver.shows("streaming")
        await driver.press("escape")
        await driver.until(lambda: driver.idle)


async def test_below_a_hundred_columns_the_sidebar_is_an_overlay(program):
    program.server.enqueue([SSE, chat_stream(["text"])])
    async with program.running(size=(80, 24)) as driver:
        await driver.ask("a question")
        await driver.until(lambda: driver.answers and driver.idle)
        assert not driver.shows("/ filter")
        await driver.press("ctrl+s")
        await driver.until(lambda: driver.shows("/ filter"))
        await driver.press("escape")
        await driver.until(lambda: not driver.shows("/ filter"))
        assert driver.screen.pane.prompt.has_focus


async def test_a_large_paste_becomes_an_attachment(program):
    program.server.enqueue([SSE, chat_stream(["read"])])
    async with program.running() as driver:
        from textual.events import Paste

        driver.screen.pane.prompt.post_message(Paste("x" * 20_000))
        await driver.until(lambda: driver.shows("pasted-1.txt"))
        await driver.ask("what is this")
        await driver.until(lambda: driver.answers and driver.idle)
        assert "x" * 20_000 in str(program.server.requests[0].json["messages"])


async def test_reading_back_is_left_alone_while_text_arrives(program):
    gate = threading.Event()
    from tests.loopback import WaitFor

    program.server.enqueue([SSE, chat_chunk("line\n\n" * 60), WaitFor(gate), chat_stream(["more\n\n" * 40])])
    async with program.running() as driver:
        await driver.ask("long")
        await driver.until(lambda: driver.screen.pane.transcript.max_scroll_y > 50)
        driver.screen.pane.transcript.scroll_to(y=5, animate=False, force=True)
        await driver.pilot.pause()
        driver.screen.pane.transcript.release_anchor()
        gate.set()
        await driver.until(lambda: driver.idle)
        assert driver.screen.pane.transcript.scroll_y == 5
        assert driver.shows("more below")


async def test_an_attachment_stays_with_its_conversation_and_survives_a_restart(program):
    from textual.events import Paste

    for words in ("first", "other", "with"):
        program.server.enqueue([SSE, chat_stream([words])])
    async with program.running() as driver:
        await driver.ask("one")
        await driver.until(lambda: driver.answers and driver.idle)
        await driver.type("about this file")
        driver.screen.pane.prompt.post_message(Paste("s" * 20_000))
        await driver.until(lambda: driver.shows("pasted-1.txt"))
        await driver.press("ctrl+n")
        await driver.until(lambda: not driver.shows("pasted-1.txt"))
        await driver.ask("something else")
        await driver.until(lambda: driver.shows("other") and driver.idle)
        assert "sss" not in str(program.server.requests[1].json)
        await driver.press("ctrl+q")
    async with program.running() as driver:
        await driver.press("ctrl+s", "down", "enter")
        await driver.until(lambda: driver.shows("pasted-1.txt") and driver.prompt == "about this file")
        await driver.press("enter")
        await driver.until(lambda: driver.shows("with") and driver.idle)
        assert "sss" in str(program.server.requests[2].json)


async def test_what_was_half_typed_before_an_edit_comes_back_after_it(program):
    for words in ("first", "second"):
        program.server.enqueue([SSE, chat_stream([words])])
    async with program.running() as driver:
        await driver.ask("question")
        await driver.until(lambda: driver.shows("first") and driver.idle)
        await driver.type("half typed")
        await driver.press("ctrl+t", "e")
        await driver.ask(" rewritten")
        await driver.until(lambda: driver.shows("second") and driver.idle)
        assert driver.prompt == "half typed"


async def test_running_an_earlier_prompt_again_leaves_what_is_being_typed_alone(program):
    for words in ("first", "second", "third"):
        program.server.enqueue([SSE, chat_stream([words])])
    async with program.running() as driver:
        for words in ("one", "two"):
            await driver.ask(words)
            await driver.until(lambda: driver.answers and driver.idle)
        await driver.type("half typed")
        await driver.press("alt+up", "ctrl+r")
        await driver.until(lambda: driver.shows("third") and driver.idle)
        assert driver.prompt == "half typed"
        assert [m["content"] for m in program.server.requests[2].json["messages"]] == ["one"]
