"""Parameters of one conversation."""

from tests.loopback import chat_stream
from tests.ui.conftest import Program


async def test_what_is_set_for_a_chat_goes_along_with_its_prompts_and_nothing_else_does(program: Program):
    program.server.enqueue(chat_stream(["One."]))
    program.server.enqueue(chat_stream(["Two."]))
    program.server.enqueue(chat_stream(["Three."]))
    async with program.running() as driver:
        await driver.press("f2")
        await driver.until(lambda: driver.shows("Parameters of this chat"))
        await driver.type("0.2")
        await driver.press("down", "down")
        await driver.type("90")
        await driver.press("enter")
        await driver.until(lambda: driver.shows("temperature 0.2, max tokens 90"))
        await driver.ask("first")
        await driver.until(lambda: driver.idle and driver.shows("One."))
        await driver.press("f2", "backspace", "backspace", "backspace", "enter")
        await driver.ask("second")
        await driver.until(lambda: driver.idle and driver.shows("Two."))
        await driver.press("ctrl+n")
        await driver.ask("third")
        await driver.until(lambda: driver.idle and driver.shows("Three."))
    names = ("temperature", "max_tokens", "top_p", "stop", "reasoning_effort")
    sent = [{name: each.json[name] for name in names if name in each.json} for each in program.server.requests]
    assert sent == [{"temperature": 0.2, "max_tokens": 90}, {"max_tokens": 90}, {}]


async def test_a_value_that_cannot_be_keeps_the_box_open(program: Program):
    async with program.running() as driver:
        await driver.press("f2")
        await driver.type("hot")
        await driver.press("enter")
        await driver.until(lambda: driver.shows("temperature must be a number from 0 to 2"))
        await driver.press("escape")
        await driver.until(lambda: not driver.shows("Parameters of this chat"))
        assert driver.screen.pane.session.conversation.params == {}


async def test_they_are_there_again_at_the_next_start(program: Program):
    program.server.enqueue(chat_stream(["One."]))
    async with program.running() as driver:
        await driver.ask("first")
        await driver.until(lambda: driver.idle and driver.shows("One."))
        await driver.press("f2", "down", "down", "down")
        await driver.type("low")
        await driver.press("enter")
        chat = driver.screen.pane.session.conversation.id
    async with program.running(conversation_id=chat) as driver:
        await driver.until(lambda: driver.shows("reasoning effort low"))
