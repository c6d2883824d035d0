"""What one frame of a streaming answer costs, by what the answer is made of and how long it is already.

The real app, 120×40, following the end. A provider of ours hands each delta to `Chat.complete`, so that counting, the
transcript, the figures and the bytes for the terminal are all there; only the socket is missing. An answer is first
grown to its length in big pieces. Then each flush is one delta of 33 characters (10 tokens), one frame that is asked
for by hand in place of the clock, and the wait until nothing is left to paint. What that wait costs when nothing
happened is taken off. The figure is the median of 50 flushes, in milliseconds of processor time.
"""

import asyncio
import statistics
import tempfile
from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path

from tests.benchmarks.common import (
    KINDS,
    TOKEN_CHARACTERS,
    Bench,
    Record,
    cpu_ms,
    running,
    screen_of,
    text_of,
    with_growth,
)
from tui_chat.core.completion import Completion
from tui_chat.core.events import Finished, ResponseStarted, StreamEvent, TextDelta
from tui_chat.core.model import Model
from tui_chat.core.request import Request
from tui_chat.ui.app import ChatApp

LENGTHS = (500, 5_000, 20_000, 100_000)
_FLUSHES = 50
_FLUSH = int(10 * TOKEN_CHARACTERS)
_PIECE = 4_000
_TARGET_MS, _TARGET_GROWTH = 15, 2


class ByHand:
    """A provider whose answer arrives when the benchmark says so."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[str | None] = asyncio.Queue()

    async def stream(self, request: Request) -> AsyncGenerator[StreamEvent, None]:
        yield ResponseStarted("benchmark", "a")
        while (text := await self.queue.get()) is not None:
            yield TextDelta(text)
        yield Finished("stop")

    def provider(self, model: Model) -> "ByHand":
        return self

    async def aclose(self) -> None: ...


async def _settled(bench: Bench[ChatApp]) -> None:
    await bench.pilot.pause()


async def _arrived(completion: Completion, size: int) -> None:
    while completion.text_log.size < size:  # noqa: ASYNC110  a pass of the loop, no time
        await asyncio.sleep(0)


async def _grow(bench: Bench[ChatApp], hand: ByHand, text: str) -> None:
    completion = bench.app.streams.all[0].completion
    size = completion.text_log.size + len(text)
    for start in range(0, len(text), _PIECE):
        hand.queue.put_nowait(text[start : start + _PIECE])
        await asyncio.sleep(0.001)
    await bench.until(lambda: completion.text_log.size == size)
    while completion.uncounted:  # a look counts a slice
        _ = completion.counted_output
    screen_of(bench).frame()
    await _settled(bench)


async def _flush_ms(bench: Bench[ChatApp], hand: ByHand, text: str) -> tuple[float, float]:
    """Return the median cost of a flush and the mean of its bytes; `text` is what arrives meanwhile."""
    completion = bench.app.streams.all[0].completion

    async def flush(start: int) -> None:
        size = completion.text_log.size + _FLUSH
        hand.queue.put_nowait(text[start : start + _FLUSH])
        await _arrived(completion, size)
        bench.app.frames.stop()  # the frame that the delta asked for comes now
        screen_of(bench).frame()
        bench.app.frames.stop()
        await _settled(bench)

    for start in range(0, 5 * _FLUSH, _FLUSH):  # what is done once at this length
        await flush(start)
    before = bench.driver.written
    costs = [await cpu_ms(partial(flush, start)) for start in range(5 * _FLUSH, len(text) - _FLUSH, _FLUSH)]
    written = (bench.driver.written - before) / len(costs)
    waits = [await cpu_ms(lambda: _settled(bench)) for _ in range(20)]
    return statistics.median(costs) - statistics.median(waits), written


async def _measured(kind: str, lengths: tuple[int, ...]) -> list[Record]:
    hand = ByHand()
    records: list[Record] = []
    with tempfile.TemporaryDirectory() as folder:
        async with running(Path(folder) / "home", _CONFIG, lambda _: hand) as bench:
            prompt = screen_of(bench).pane.prompt
            prompt.set_text("hello")
            await bench.pilot.press("enter")
            await bench.until(lambda: bench.app.streams.all)
            whole, at = text_of(kind, lengths[-1] + 10 * (_FLUSHES + 8) * len(lengths)), 0
            for length in lengths:
                end = int(length * TOKEN_CHARACTERS)
                await _grow(bench, hand, whole[at:end])
                at = end + (_FLUSHES + 6) * _FLUSH
                cost, written = await _flush_ms(bench, hand, whole[end:at])
                at = bench.app.streams.all[0].completion.text_log.size
                target = f"≤ {_TARGET_MS} at {LENGTHS[-1]:,}, growth ≤ {_TARGET_GROWTH}"
                figures = {"ms": round(cost, 2), "bytes": round(written)}
                records.append({"what": f"flush, {kind}", "size": length, **figures, "target": target})
            hand.queue.put_nowait(None)
            await bench.until(lambda: not bench.app.streams)
    return with_growth(records, "ms")


_CONFIG = """
default_model = "work/a"
[providers.work]
kind = "openai"
base_url = "http://127.0.0.1:9/v1"
models = ["a"]
[models."work/a"]
input_per_mtok = 1.0
output_per_mtok = 2.0
"""


def measure(quick: bool) -> list[Record]:
    lengths = LENGTHS[:2] if quick else LENGTHS
    return [record for kind in KINDS for record in asyncio.run(_measured(kind, lengths))]
