"""Answers side by side: the real app, one prompt to several models, each streaming 100 tokens a second.

- `columns`, `tabs`: a real socket and a server in another process. Size is the number of answers; the figures are the
  processor time of the app, its frames, and the echo of somebody who types meanwhile. `× one` is the processor time
  over that of one answer in the same terminal. 80 cells have no room for four columns: there the answers stand behind
  tabs, and those that nobody sees may cost their tokens, but no painting.
- `frame of …`: a frame in which every answer grew by 10 tokens, asked for by hand in place of the clock, with the wait
  until nothing is left to paint, less what that wait costs alone. It comes long enough after the one before to draw
  every figure anew: heads, ranking, footer. Size is the length of each answer in tokens.
- `next of …`: going to each of the other answers, by key, for the first time at that length and again.
- `echo beside …`: typing with pauses that are long enough for the estimate of the next prompt, while answers grow.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from textual import events

from tests.benchmarks.common import (
    TOKEN_CHARACTERS,
    Bench,
    Record,
    cpu_ms,
    percentile,
    running,
    screen_of,
    text_of,
    with_growth,
)
from tests.benchmarks.flush import ByHand
from tests.benchmarks.server import config_of, serving
from tui_chat.core.completion import Completion
from tui_chat.core.model import Model
from tui_chat.ui.app import ChatApp
from tui_chat.ui.estimates import PAUSE_S

_RATE = 100
_MODELS = ("deepseek-chat", "gemini-2.5-flash", "gpt-4.1", "claude-sonnet-4-5", "mistral-large", "qwen3-coder")
_TABBED, _USUAL, _WIDE = (80, 40), (120, 40), (210, 40)
"""Terminals with room for one column, for four, and for six beside the sidebar."""
_FLUSH = int(10 * TOKEN_CHARACTERS)
_PIECE = 4_000
_ECHOED = 30
"""Pieces of that size that arrive while somebody types with pauses, ten a second."""
_FIGURES_S = 0.11
"""After so long the figures are drawn anew."""


async def _ask(bench: Bench[ChatApp], count: int, words: str) -> list[Completion]:
    """Send a prompt to so many models; return their answers."""
    pane, catalog = screen_of(bench).pane, bench.app._services.catalog
    pane.use_models([catalog.resolve(f"work/{name}") for name in _MODELS[:count]])
    pane.prompt.set_text(words)
    await bench.pilot.press("enter")
    await bench.until(lambda: len(bench.app.streams.all) == count)
    return [each.completion for each in bench.app.streams.all]


async def _stop(bench: Bench[ChatApp]) -> None:
    bench.app.streams.cancel_all()
    await bench.until(lambda: not bench.app.streams)
    await bench.pilot.pause()


def _in_columns(bench: Bench[ChatApp]) -> int:
    """Return how many answers are drawn side by side."""
    row = screen_of(bench).pane.transcript.row
    return len(row.body.answers) if row is not None and row.body is not None else 0


# at a pace


async def _paced(bench: Bench[ChatApp], count: int, seconds: float) -> Record:
    """Return what answers cost while they stream, and how typing feels beside them."""
    answers = await _ask(bench, count, f"rate={_RATE} tokens={int(_RATE * (2 * seconds + 30))} tag=paced")
    await bench.until(lambda: all(each.text_log.position > _RATE // 2 for each in answers))
    side_by_side = count if count > 1 and bench.app.size.width > _TABBED[0] else 0
    assert _in_columns(bench) == side_by_side, "it is not drawn as it was meant to be"
    frames, cpu, start = _frames(bench), time.process_time(), time.monotonic()
    came = sum(each.text_log.position for each in answers)
    await asyncio.sleep(seconds)
    wall, cpu, painted = time.monotonic() - start, time.process_time() - cpu, len(frames)
    came = sum(each.text_log.position for each in answers) - came
    prompt = screen_of(bench).pane.prompt
    took = await bench.echoes(lambda: prompt.set_text(""), for_s=seconds)
    await _stop(bench)
    return {
        "what": "",
        "size": count,
        "% of a core": round(cpu / wall * 100, 1),
        "cpu s per 1,000": round(cpu / came * 1_000, 3),
        "frames per s": round(painted / wall, 1),
        "echo ms p50": round(percentile(took, 0.5), 1),
        "echo ms p95": round(percentile(took, 0.95), 1),
    }


def _frames(bench: Bench[ChatApp]) -> list[None]:
    """Return a list that grows by one with each frame from now on."""
    clock, drawn = bench.app.frames, list[None]()
    draw = clock._on_frame

    def counted() -> None:
        drawn.append(None)
        draw()

    clock._on_frame = counted
    return drawn


async def _in_terminal(
    what: str, counts: Sequence[int], size: tuple[int, int], seconds: float, target: str
) -> list[Record]:
    """Return the figures of so many answers each, the first of them alone, in a terminal of a size."""
    records: list[Record] = []
    with serving(_MODELS) as config, tempfile.TemporaryDirectory() as folder:
        for count in counts:
            async with running(Path(folder) / f"{count}", config, size=size) as bench:
                record = await _paced(bench, count, seconds)
            one = float(str((records or [record])[0]["% of a core"]))
            times = {"× one": round(float(str(record["% of a core"])) / one, 2)} if records else {}
            records.append({**record, **times, "what": f"{what}, {size[0]} wide", "target": target})
    return with_growth(records, "% of a core")


# by hand


class _Hands:
    """A provider of several models whose answers arrive when the benchmark says so."""

    def __init__(self) -> None:
        self._hands: dict[str, ByHand] = {}

    def provider(self, model: Model) -> ByHand:
        return self._hands.setdefault(model.name, ByHand())

    def give(self, texts: Sequence[str]) -> None:
        """Hand each answer its next piece."""
        for hand, text in zip(self._hands.values(), texts, strict=True):
            hand.queue.put_nowait(text)

    async def aclose(self) -> None: ...


async def _arrived(answers: Sequence[Completion], size: int) -> None:
    while any(each.text_log.size < size for each in answers):  # noqa: ASYNC110  a pass of the loop, no time
        await asyncio.sleep(0)


async def _grow(bench: Bench[ChatApp], hands: _Hands, answers: Sequence[Completion], texts: Sequence[str]) -> None:
    """Let answers become so much longer, until all of it is counted and drawn."""
    for start in range(0, len(texts[0]), _PIECE):
        size = answers[0].text_log.size + len(texts[0][start : start + _PIECE])
        hands.give([text[start : start + _PIECE] for text in texts])
        await _arrived(answers, size)
    for each in answers:
        while each.uncounted:  # a look counts a slice
            _ = each.counted_output
    screen_of(bench).frame()
    await bench.pilot.pause()


async def _frame_ms(
    bench: Bench[ChatApp], hands: _Hands, answers: Sequence[Completion], texts: Sequence[str]
) -> tuple[float, float]:
    """Return the median cost of a frame and the mean of its bytes; `texts` are what arrives meanwhile."""

    async def flush(start: int) -> None:
        size = answers[0].text_log.size + _FLUSH
        hands.give([text[start : start + _FLUSH] for text in texts])
        await _arrived(answers, size)
        bench.app.frames.stop()  # the frame that the deltas asked for comes now
        screen_of(bench).frame()
        bench.app.frames.stop()
        await bench.pilot.pause()

    starts = range(0, len(texts[0]) - _FLUSH + 1, _FLUSH)
    for start in starts[:5]:  # what is done once at this length
        await flush(start)
    before = bench.driver.written
    costs = []
    for start in starts[5:]:
        await asyncio.sleep(_FIGURES_S)
        costs.append(await cpu_ms(partial(flush, start)))
    written = (bench.driver.written - before) / len(costs)
    return statistics.median(costs) - await _idle_ms(bench), written


async def _idle_ms(bench: Bench[ChatApp]) -> float:
    """Return what the wait costs when there is nothing to wait for."""
    return statistics.median([await cpu_ms(bench.pilot.pause) for _ in range(20)])


async def _step_ms(bench: Bench[ChatApp], count: int) -> tuple[float, float]:
    """Go to the last answer and back, twice; return the dearest step of the first time and the median of the rest."""

    async def press(key: str) -> None:
        await bench.pilot.press(key)
        await bench.pilot.pause()

    there = [await cpu_ms(partial(press, "alt+right")) for _ in range(count - 1)]
    assert screen_of(bench).pane.transcript.shown[-1] is bench.app.streams.all[count - 1].completion
    keys = ["alt+left"] * (count - 1) + ["alt+right"] * (count - 1) + ["alt+left"] * (count - 1)
    again = [await cpu_ms(partial(press, key)) for key in keys]
    idle = 2 * await _idle_ms(bench)  # pressing waits as well
    return max(there) - idle, statistics.median(again) - idle


async def _echo_ms(
    bench: Bench[ChatApp], hands: _Hands, answers: Sequence[Completion], texts: Sequence[str]
) -> list[float]:
    """Return the milliseconds from key to letter, while `texts` arrive bit by bit.

    A key is pressed when its time has come, whether the loop is free or not.
    """

    async def feed() -> None:
        for start in range(0, len(texts[0]), _FLUSH):
            hands.give([text[start : start + _FLUSH] for text in texts])
            await asyncio.sleep(0.1)

    prompt, feeding, took = screen_of(bench).pane.prompt, asyncio.create_task(feed()), list[float]()
    while not feeding.done():
        due = time.perf_counter() + PAUSE_S + 0.02
        await asyncio.sleep(due - time.perf_counter())
        letter = chr(0x430 + len(took))
        late = time.perf_counter() - due
        took.append((late + await bench.painted(letter, partial(_press, bench, letter))) * 1e3)
    prompt.set_text("")
    return took


def _press(bench: Bench[ChatApp], letter: str) -> None:
    bench.app.post_message(events.Key(letter, letter))


async def _lengths(what: str, count: int, size: tuple[int, int], lengths: Sequence[int], flushes: int) -> list[Record]:
    """Return what a frame costs, and what going to another answer does, by the length of the answers."""
    hands = _Hands()
    frames, steps, echoes = list[Record](), list[Record](), list[Record]()
    whole = text_of("mixed", lengths[-1] + 10 * (flushes + _ECHOED + 10) * len(lengths) + 1_000)
    texts = [whole[117 * at :] for at in range(count)]  # they do not break their lines in the same frames
    with tempfile.TemporaryDirectory() as folder:
        async with running(Path(folder) / "home", config_of(9, _MODELS), lambda _: hands, size) as bench:
            answers = await _ask(bench, count, "hello")
            for length in lengths:
                end, at = int(length * TOKEN_CHARACTERS), answers[0].text_log.size
                await _grow(bench, hands, answers, [text[at:end] for text in texts])
                to = end + (flushes + 5) * _FLUSH
                cost, written = await _frame_ms(bench, hands, answers, [text[end:to] for text in texts])
                figures = {"ms": round(cost, 2), "bytes": round(written)}
                frames.append({"what": f"frame of {what}", "size": length, **figures, "target": "growth ≤ 1.2"})
                if count > 1:
                    first, again = await _step_ms(bench, count)
                    figures = {"ms": round(again, 1), "ms at first": round(first, 1)}
                    steps.append({"what": f"next of {what}", "size": length, **figures, "target": "≤ 50 ms"})
                    after = to + _ECHOED * _FLUSH
                    took = await _echo_ms(bench, hands, answers, [text[to:after] for text in texts])
                    figures = {"ms p50": round(statistics.median(took), 1), "ms worst": round(max(took), 1)}
                    echoes.append({"what": f"echo beside {what}", "size": length, **figures, "target": "≤ 50 ms"})
            await _stop(bench)
    if count == 1:
        return with_growth(frames, "ms")
    return with_growth(frames, "ms") + with_growth(steps, "ms") + with_growth(echoes, "ms p50")


async def _measured(*, quick: bool) -> list[Record]:
    seconds = 2.0 if quick else 6.0
    lengths, flushes = ((500, 2_000), 10) if quick else ((1_000, 10_000, 30_000), 25)
    usual = "≤ 60 %, ≤ 4.5 × one, p95 ≤ 50 ms"
    records = await _in_terminal("columns at 100 tok/s", (1, 4), _USUAL, seconds, usual)
    records += await _in_terminal("columns at 100 tok/s", (1, 2, 4, 6), _WIDE, seconds, "p95 ≤ 50 ms")
    records += await _in_terminal("tabs at 100 tok/s", (1, 4), _TABBED, seconds, "p95 ≤ 50 ms")
    for what, count, size in (
        ("one answer", 1, _USUAL),
        ("four columns", 4, _USUAL),
        ("six columns", 6, _WIDE),
        ("one answer, 80 wide", 1, _TABBED),
        ("four tabs", 4, _TABBED),
    ):
        records += await _lengths(what, count, size, lengths, flushes)
    return records


def measure(quick: bool) -> list[Record]:
    return asyncio.run(_measured(quick=quick))
