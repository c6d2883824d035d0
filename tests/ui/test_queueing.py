"""Answers that wait for their turn: what the screen says of it, and how to leave."""

import re

from tests.loopback import chat_stream, chat_usage
from tui_chat.core.completion import State

MODELS = ("a", "b", "c", "d")
ONE_A_MINUTE = "[providers.work.limits]\nrequests_per_min = 1\n"


async def test_esc_leaves_the_queue_and_the_server_never_hears_of_it(program):
    program.server.default = [chat_stream(["fine"], usage=chat_usage())]
    async with program.running(more=ONE_A_MINUTE) as driver:
        await driver.ask("first")
        await driver.until(lambda: driver.shows("fine") and driver.idle)
        await driver.ask("second")
        await driver.until(lambda: driver.shows("until the limit of 1 request a minute has room"))
        assert driver.shows("esc leave the queue")
        await driver.press("escape")
        await driver.until(lambda: driver.idle)
        answer = driver.answers[-1]
        assert (answer.state, answer.cost.amount) == (State.STOPPED, 0)
        assert driver.shows("stopped before the first token")
    assert len(program.server.requests) == 1


async def test_columns_that_wait_count_down_and_show_their_places_on_one_line(program):
    program.server.default = [chat_stream(["fine"], usage=chat_usage())]
    async with program.running(size=(120, 30), more=ONE_A_MINUTE) as driver:
        pane = driver.screen.pane
        pane.use_models([pane._services.catalog.resolve(f"work/{model}") for model in MODELS])
        await driver.ask("hi")
        await driver.until(lambda: driver.shows("fine") and driver.shows("2 ahead"))
        (line,) = [line for line in driver.lines() if "2 ahead" in line]
        found = re.findall(r"queued   (\d):(\d\d)(?:   (\d) ahead)?", line)
        assert [place for *_, place in found] == ["", "1", "2"]
        first, second, third = (int(minutes) * 60 + int(seconds) for minutes, seconds, _ in found)
        assert 0 < first <= 61
        assert 59 <= second - first <= 62
        assert 59 <= third - second <= 62
        await driver.press("ctrl+r")
        assert len(program.server.requests) == 1
