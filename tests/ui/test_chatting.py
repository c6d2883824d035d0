"""Chatting, stopping, trying again: what a person does all day, on the real app against a real server."""

import threading

from textual.events import Paste

from tests.loopback import Head, Reset, Stall, WaitFor, chat_chunk, chat_stream, chat_usage, reply, seen
from tui_chat.core import chat
from tui_chat.core.completion import State
from tui_chat.ui.widgets.empty_state import SAMPLE_PROMPT

SSE = Head(200, {"Content-Type": "text/event-stream"})


def endless(*words):
    """An answer that sends these words and then nothing more."""
    return [SSE, *(chat_chunk(word) for word in words), Stall()]


async def test_the_first_paint_has_the_prompt_focused_and_names_the_models_that_answer(program):
    async with program.running() as driver:
        assert driver.screen.pane.prompt.has_focus
        assert driver.shows("work/a")
        assert driver.shows("demo/quick")
        assert driver.shows("Ask anything")


async def test_enter_on_the_empty_prompt_sends_a_sample(program):
    program.server.enqueue([SSE, chat_stream(["SSE is simple."])])
    async with program.running() as driver:
        await driver.press("enter")
        await driver.until(lambda: driver.answers and driver.idle)
        assert driver.shows(SAMPLE_PROMPT)
        assert driver.shows("SSE is simple.")


async def test_the_first_token_is_on_the_screen_while_the_server_is_still_sending(program):
    more = threading.Event()
    exchange = program.server.enqueue([SSE, chat_chunk("Early"), WaitFor(more), chat_stream([" and late"])])
    async with program.running() as driver:
        await driver.ask("hello")
        await driver.until(lambda: driver.shows("Early"))
        assert not exchange.finished.is_set()
        assert driver.shows("streaming")
        more.set()
        await driver.until(lambda: driver.idle)
        assert driver.shows("Early and late")


async def test_an_answer_settles_to_what_the_provider_reported(program):
    program.server.enqueue([SSE, chat_stream(["one two"], usage=chat_usage(1000, 500))])
    async with program.running() as driver:
        await driver.ask("hello")
        await driver.until(lambda: driver.idle and driver.answers[0].state is State.SETTLED)
        await driver.until(lambda: driver.shows("$0.0020"))
        assert driver.shows("500 tok")


async def test_esc_before_the_first_token_hangs_up_and_keeps_the_prompt(program):
    exchange = program.server.enqueue([Stall()])
    async with program.running() as driver:
        await driver.ask("hello")
        await driver.until(exchange.requested.is_set)
        await driver.press("escape")
        assert await seen(exchange.hung_up)
        await driver.until(lambda: driver.idle)
        assert driver.answers[0].finish_reason == "cancelled"
        assert driver.shows("stopped before the first token")
        assert driver.shows("hello")


async def test_esc_midstream_hangs_up_and_the_part_stays_marked_with_its_estimate(program):
    exchange = program.server.enqueue(endless("Half ", "an answer"))
    async with program.running() as driver:
        await driver.ask("hello")
        await driver.until(lambda: driver.shows("Half an answer"))
        await driver.press("escape")
        assert await seen(exchange.hung_up)
        await driver.until(lambda: driver.shows("■ stopped at 3 tok"))
        assert driver.shows("Half an answer")
        assert driver.answers[0].cost.quality == "estimated"
        assert driver.shows("~$0.0000")


async def test_ctrl_c_stops_too_and_clears_the_prompt_only_when_nothing_runs(program):
    exchange = program.server.enqueue(endless("Half"))
    async with program.running() as driver:
        await driver.ask("hello")
        await driver.until(lambda: driver.shows("Half"))
        await driver.type("next")
        await driver.press("ctrl+c")
        assert await seen(exchange.hung_up)
        await driver.until(lambda: driver.idle)
        assert driver.prompt == "next"
        await driver.press("ctrl+c")
        assert driver.prompt == ""


async def test_two_keys_lead_from_the_stop_to_the_old_prompt_and_sending_it_makes_a_branch(program):
    program.server.enqueue(endless("Bad"))
    program.server.enqueue([SSE, chat_stream(["Better"])])
    async with program.running() as driver:
        await driver.ask("first try")
        await driver.until(lambda: driver.shows("Bad"))
        await driver.press("escape", "e")
        await driver.until(lambda: driver.prompt == "first try")
        await driver.ask(" again")
        await driver.until(lambda: driver.shows("Better") and driver.idle)
        assert not driver.shows("Bad")
        assert driver.shows("branch 2/2")
        assert [m["content"] for m in program.server.requests[1].json["messages"]] == ["first try again"]
        await driver.press("ctrl+t", "left_square_bracket")
        await driver.until(lambda: driver.shows("Bad"))
        assert driver.shows("branch 1/2")


async def test_typing_on_after_a_stop_is_text_and_sends_nothing(program):
    program.server.enqueue(endless("Wrong"))
    async with program.running() as driver:
        await driver.ask("hello")
        await driver.until(lambda: driver.shows("Wrong"))
        await driver.press("escape")
        await driver.type("rather this")
        await driver.until(lambda: driver.prompt == "rather this")
        assert len(program.server.requests) == 1


async def test_a_paste_after_a_stop_goes_to_the_prompt(program):
    program.server.enqueue(endless("Wrong"))
    async with program.running() as driver:
        await driver.ask("hello")
        await driver.until(lambda: driver.shows("Wrong"))
        await driver.press("escape")
        driver.screen.pane.transcript.post_message(Paste("pasted words"))
        await driver.until(lambda: driver.prompt == "pasted words")


async def test_a_model_without_its_key_is_not_asked(program):
    more = '[providers.keyed]\nbase_url = "http://127.0.0.1:9/v1"\napi_key_env = "NO_SUCH_KEY"\nmodels = ["b"]\n'
    async with program.running(more=more) as driver:
        driver.screen.pane.use_model(driver.screen._services.catalog.resolve("keyed/b"))
        await driver.until(lambda: driver.shows("NO_SUCH_KEY"))
        await driver.ask("hello")
        assert not driver.answers
        assert driver.prompt == "hello"


async def test_r_runs_the_same_prompt_again_and_the_answers_can_be_compared_by_hand(program):
    program.server.enqueue([SSE, chat_stream(["first answer"])])
    program.server.enqueue([SSE, chat_stream(["second answer"])])
    async with program.running() as driver:
        await driver.ask("hello")
        await driver.until(lambda: driver.shows("first answer") and driver.idle)
        await driver.press("ctrl+r")
        await driver.until(lambda: driver.shows("second answer") and driver.idle)
        assert driver.shows("2/2")
        await driver.press("alt+left")
        await driver.until(lambda: driver.shows("first answer"))


async def test_an_answer_left_out_is_not_sent_on_and_can_be_taken_back(program):
    for words in ("wrong", "right", "fine"):
        program.server.enqueue([SSE, chat_stream([words])])
    async with program.running() as driver:
        await driver.ask("one")
        await driver.until(lambda: driver.shows("wrong") and driver.idle)
        await driver.press("ctrl+t", "d")
        await driver.until(lambda: driver.shows("left out: not sent on"))
        await driver.press("ctrl+t")
        await driver.ask("two")
        await driver.until(lambda: driver.shows("right") and driver.idle)
        assert [m["content"] for m in program.server.requests[1].json["messages"]] == ["two"]
        await driver.press("ctrl+t", "alt+up", "d", "ctrl+t")
        await driver.ask("three")
        await driver.until(lambda: driver.shows("fine") and driver.idle)
        sent = [m["content"] for m in program.server.requests[2].json["messages"]]
        assert sent == ["one", "wrong", "two", "right", "three"]


async def test_R_continues_a_cut_answer_and_copies_it_whole(program):  # noqa: N802
    program.server.enqueue(endless("The quick brown fox"))
    program.server.enqueue([SSE, chat_stream([" jumps over the dog"])])
    async with program.running() as driver:
        await driver.ask("hello")
        await driver.until(lambda: driver.shows("brown fox"))
        await driver.press("escape")
        await driver.until(lambda: driver.idle)
        await driver.press("R")
        await driver.until(lambda: driver.shows("jumps over") and driver.idle)
        assert program.server.requests[1].json["messages"][1] == {"role": "assistant", "content": "The quick brown fox"}
        assert driver.shows("The quick brown fox jumps over the dog")


async def test_three_conversations_stream_at_once_and_all_are_kept(program):
    gates = [threading.Event() for _ in range(3)]
    for number, gate in enumerate(gates):
        program.server.enqueue([SSE, chat_chunk(f"start {number}"), WaitFor(gate), chat_stream([f" end {number}"])])
    async with program.running() as driver:
        for number in range(3):
            await driver.ask(f"question {number}")
            await driver.until(lambda number=number: driver.shows(f"start {number}"))
            if number < 2:
                await driver.press("ctrl+n")
        assert len(driver.app.streams.all) == 3
        assert sum("●" in line[:3] for line in driver.lines()) == 3
        for gate in gates:
            gate.set()
        await driver.until(lambda: driver.idle)
        assert driver.shows("start 2 end 2")
    async with program.running() as driver:
        store = driver.screen._store
        texts = {store.path(row.id)[0].completions[0].text for row in store.conversations()}
        assert texts == {"start 0 end 0", "start 1 end 1", "start 2 end 2"}


async def test_switching_away_and_back_shows_the_answer_where_it_is_now(program):
    gate = threading.Event()
    program.server.enqueue([SSE, chat_chunk("start"), WaitFor(gate), chat_stream([" end"])])
    async with program.running() as driver:
        await driver.ask("question")
        await driver.until(lambda: driver.shows("start"))
        await driver.press("ctrl+n")
        await driver.until(lambda: not driver.answers)
        await driver.press("ctrl+s", "enter")
        await driver.until(lambda: driver.shows("start"))
        gate.set()
        await driver.until(lambda: driver.idle and driver.shows("start end"))


async def test_a_prompt_sent_while_an_answer_streams_is_queued_and_follows_it(program):
    gate = threading.Event()
    program.server.enqueue([SSE, chat_chunk("one"), WaitFor(gate), chat_stream([])])
    program.server.enqueue([SSE, chat_stream(["two"])])
    async with program.running() as driver:
        await driver.ask("first")
        await driver.until(lambda: driver.shows("one"))
        await driver.ask("second")
        assert driver.shows("next  second")
        assert len(program.server.requests) == 1
        gate.set()
        await driver.until(lambda: driver.shows("two") and driver.idle)
        assert not driver.shows("next  second")


async def test_a_stop_holds_the_queued_prompt_back_until_enter(program):
    program.server.enqueue(endless("one"))
    program.server.enqueue([SSE, chat_stream(["two"])])
    async with program.running() as driver:
        await driver.ask("first")
        await driver.until(lambda: driver.shows("one"))
        await driver.ask("second")
        await driver.press("escape")
        await driver.until(lambda: driver.idle)
        assert driver.shows("held  second")
        assert len(program.server.requests) == 1
        await driver.press("ctrl+t", "enter")
        await driver.until(lambda: driver.shows("two") and driver.idle)


async def test_stop_after_tokens_holds_the_answer_for_a_verdict(program):
    program.server.enqueue([SSE, chat_stream(["one two three four ", "five six seven eight ", "nine ten"])])
    async with program.running(more="[ui]\nstop_after_tokens = 6\n") as driver:
        await driver.ask("hello")
        await driver.until(lambda: driver.shows("is it worth going on?"))
        assert driver.answers[0].state is State.PAUSED
        assert not driver.shows("nine ten")
        await driver.press("enter")
        await driver.until(lambda: driver.shows("nine ten") and driver.idle)


async def test_a_refused_key_is_one_line_that_says_what_to_do(program):
    program.server.enqueue(reply(401, {"error": {"message": "Incorrect API key provided"}}))
    async with program.running() as driver:
        await driver.ask("hello")
        await driver.until(lambda: driver.idle and driver.shows("✗ failed"))
        assert driver.shows("(401 authentication)")
        assert driver.shows("r again")


async def test_a_wait_can_be_cut_short(program):
    program.server.enqueue(reply(429, {"error": {"message": "slow down"}}, {"Retry-After": "50"}))
    program.server.enqueue([SSE, chat_stream(["Well then."])])
    program.config = program.config.replace("max_retries = 0", "max_retries = 2")
    async with program.running() as driver:
        await driver.ask("hello")
        await driver.until(lambda: driver.shows("until try 2 of 3"))
        assert driver.shows("^r now")
        await driver.press("ctrl+r")
        await driver.until(lambda: driver.idle and driver.shows("Well then."))
    assert len(program.server.requests) == 2


async def test_the_rest_of_a_cut_answer_is_joined_to_it_in_place(program):
    program.server.enqueue([SSE, chat_chunk("It jumps over the la"), Reset()])
    program.server.enqueue([SSE, chat_stream(["over the lazy dog."])])
    async with program.running() as driver:
        await driver.ask("hello")
        await driver.until(lambda: driver.idle and driver.shows("✗ failed"))
        await driver.press("ctrl+t", "R")
        await driver.until(lambda: driver.idle and driver.shows("It jumps over the lazy dog."))
    first, second = (request.json["messages"] for request in program.server.requests)
    assert [message["role"] for message in second] == ["user", "assistant", "user"]
    assert second[:1] == first
    assert second[1]["content"] == "It jumps over the la"


async def test_a_stopped_answer_settles_when_its_bill_comes_late(program, monkeypatch):
    monkeypatch.setattr(chat, "BILL_WAITS_S", (0.0,))
    bill = {"total_cost": 0.0042, "native_tokens_prompt": 900, "native_tokens_completion": 77}
    program.server.always("/generation", reply(200, {"data": bill}))
    program.server.enqueue(endless("One two three"))
    program.config = program.config.replace("[providers.work]", '[providers.openrouter]\napi_key = "sk-or-1"')
    program.config = program.config.replace("work/a", "openrouter/a")
    async with program.running() as driver:
        await driver.ask("hello")
        await driver.until(lambda: driver.shows("One two three"))
        await driver.press("escape")
        await driver.until(lambda: driver.idle and driver.shows("77 tok") and driver.shows("$0.0042"))
        assert driver.answers[0].finish_reason == "cancelled"


async def test_what_a_model_says_is_never_markup_nor_a_control(program):
    evil = "[@click=app.quit]x[/] \x1b]52;c;QUJD\x07 \u202eabc \x9b31m"
    program.server.enqueue([SSE, chat_stream([evil])])
    async with program.running() as driver:
        await driver.ask("[red]hi[/x]")
        await driver.until(lambda: driver.answers and driver.idle)
        screen = "\n".join(driver.lines())
        assert "[@click=app.quit]x[/]" in screen
        assert "[red]hi[/x]" in screen
        assert not set(screen) & {"\x1b", "\x07", "\x9b", "\u202e"}


async def test_after_a_failed_second_try_the_good_answer_goes_on_and_is_shown_again(program):
    program.server.enqueue([SSE, chat_stream(["good answer"])])
    program.server.enqueue(reply(500, {"error": {"message": "boom"}}))
    program.server.enqueue([SSE, chat_stream(["and on"])])
    async with program.running() as driver:
        await driver.ask("one")
        await driver.until(lambda: driver.shows("good answer") and driver.idle)
        await driver.press("ctrl+r")
        await driver.until(lambda: driver.shows("boom") and driver.idle)
        await driver.ask("two")
        await driver.until(lambda: driver.shows("and on") and driver.idle)
        sent = [m["content"] for m in program.server.requests[2].json["messages"]]
        assert sent == ["one", "good answer", "two"]
        assert driver.shows("good answer")
