"""A prompt that does not fit: asked, never silent."""

from tests.loopback import chat_stream, chat_usage
from tests.ui.conftest import Program

LONG = "word " * 300


async def told(program: Program, driver, prompt: str, answer: str) -> None:
    program.server.enqueue(chat_stream([answer]))
    driver.screen.pane.prompt.set_text(prompt)
    await driver.press("enter")
    await driver.until(lambda: driver.idle and driver.answers and driver.answers[-1].text == answer)


def small(program: Program, window: int = 1200) -> None:
    program.config = program.config.replace("context_window = 128000", f"context_window = {window}")


async def test_the_oldest_turns_go_when_the_user_agrees(program: Program):
    small(program)
    async with program.running() as driver:
        await told(program, driver, f"first {LONG}", "One.")
        await told(program, driver, f"second {LONG}", "Two.")
        program.server.enqueue(chat_stream(["Three."], usage=chat_usage(900, 3)))
        driver.screen.pane.prompt.set_text(f"third {LONG} {LONG}")
        await driver.press("enter")
        await driver.until(lambda: driver.shows("This does not fit"))
        assert len(program.server.requests) == 2, "nothing was sent"
        assert driver.shows("a takes")
        await driver.press("enter")
        await driver.until(lambda: driver.idle and driver.answers[-1].text == "Three.")
        sent = program.server.requests[2].json["messages"]
        assert not any("first" in message["content"] for message in sent)
        assert sent[-1]["content"].startswith("third")
        assert driver.answers[0].discarded


async def test_a_prompt_stays_in_the_composer_when_the_user_does_not_agree(program: Program):
    small(program)
    async with program.running() as driver:
        await told(program, driver, f"first {LONG} {LONG}", "One.")
        driver.screen.pane.prompt.set_text(f"second {LONG} {LONG}")
        await driver.press("enter")
        await driver.until(lambda: driver.shows("This does not fit"))
        await driver.press("escape")
        await driver.until(lambda: not driver.shows("This does not fit"))
        assert driver.prompt.startswith("second")
        assert len(program.server.requests) == 1
        assert not driver.answers[0].discarded


async def test_a_prompt_that_is_too_long_by_itself_is_not_sent(program: Program):
    small(program, 200)
    async with program.running() as driver:
        driver.screen.pane.prompt.set_text(LONG)
        await driver.press("enter")
        await driver.until(lambda: driver.shows("does not fit without the whole history either"))
        await driver.press("enter")
        await driver.until(lambda: not driver.shows("This does not fit"))
        assert program.server.requests == []
        assert driver.prompt == LONG
