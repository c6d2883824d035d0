"""What a streaming answer costs and how it feels: the real app, a real socket, a server in another process.

- `streaming at 200 tok/s`: processor time of the app for 1,000 tokens, at the beginning of an answer and far into one
  (grown by a flood before). Size is the token at which the look begins.
- `echo at 200 tok/s`: from a posted key to its letter on the way to the terminal.
- `flood`: from the first delta to the last word on the way to the terminal, 5,000 tokens at once.
- `memory after`: resident memory after one answer, over that after one short counted answer.
"""

import asyncio
import tempfile
import time
from functools import partial
from pathlib import Path

from textual import events

from tests.benchmarks.common import Bench, Record, percentile, resident_mb, running, screen_of, with_growth
from tests.benchmarks.server import END, serving
from tui_chat.core.completion import Completion
from tui_chat.ui.app import ChatApp

_RATE = 200


async def _ask(bench: Bench[ChatApp], words: str) -> Completion:
    pane = screen_of(bench).pane
    asked = len(pane.session.path)
    pane.prompt.set_text(words)
    await bench.pilot.press("enter")
    await bench.until(lambda: len(pane.session.path) > asked)
    return pane.session.path[-1].completions[-1]


async def _ended(bench: Bench[ChatApp]) -> None:
    await bench.until(lambda: not bench.app.streams, timeout_s=600)
    await bench.pilot.pause()


def _tokens(completion: Completion) -> int:
    return completion.text_log.position


async def _paced(bench: Bench[ChatApp], completion: Completion, tokens: int) -> float:
    """Return the processor seconds for 1,000 tokens, while so many arrive."""
    first = _tokens(completion)
    start = time.process_time()
    await bench.until(lambda: _tokens(completion) >= first + tokens or not completion.state.running)
    return (time.process_time() - start) / (_tokens(completion) - first) * 1e3


async def _growth(bench: Bench[ChatApp], *, quick: bool) -> list[Record]:
    """One answer at 200 tok/s, looked at in its beginning and, unless in haste, from its 15,000th token on."""
    span, far = (500, 1_000) if quick else (2_500, 15_000)
    records: list[Record] = []
    completion = await _ask(bench, f"rate={_RATE} tokens={far + span if quick else 20_200} tag=growth")

    def reached(tokens: int) -> bool:
        return _tokens(completion) >= tokens

    for size, tokens in ((0, span), (far, span if quick else 5_000)):
        await bench.until(partial(reached, size), timeout_s=600)
        cost = await _paced(bench, completion, tokens)
        target = "growth ≤ 1.2" if size else ""
        records.append(
            {"what": "streaming at 200 tok/s", "size": size, "cpu s per 1,000": round(cost, 3), "target": target}
        )
    await _stop(bench)
    return with_growth(records, "cpu s per 1,000")


async def _stop(bench: Bench[ChatApp]) -> None:
    bench.app.streams.cancel_all()
    await _ended(bench)


async def _echo(bench: Bench[ChatApp], *, quick: bool) -> Record:
    seconds = 3 if quick else 12
    await _ask(bench, f"rate={_RATE} tokens={_RATE * (seconds + 10)} tag=echo")
    await asyncio.sleep(0.5)
    prompt = screen_of(bench).pane.prompt
    took = await bench.echoes(lambda: prompt.set_text(""), for_s=seconds)
    prompt.set_text("")
    await _stop(bench)
    figures = {"ms p50": round(percentile(took, 0.5), 1), "ms p95": round(percentile(took, 0.95), 1)}
    return {"what": "echo at 200 tok/s", "size": len(took), **figures, "target": "p95 ≤ 25 quiet"}


async def _flood(bench: Bench[ChatApp], tokens: int, tag: str) -> Record:
    pane = screen_of(bench).pane
    pane.prompt.set_text(f"rate=0 tokens={tokens} tag={tag}")
    first = [0.0]

    asked = len(pane.session.path)

    async def watch() -> None:
        await bench.until(lambda: len(pane.session.path) > asked)
        completion = pane.session.path[-1].completions[-1]
        await bench.until(lambda: completion.text_log.size)
        first[0] = time.perf_counter()

    watching = asyncio.create_task(watch())
    cpu, start = time.process_time(), time.perf_counter()
    took = await bench.painted(f"{END} {tag}.", lambda: bench.app.post_message(events.Key("enter", "\r")))
    cpu = time.process_time() - cpu
    await watching
    await _ended(bench)
    return {
        "what": "flood, first delta to end shown",
        "size": tokens,
        "s": round(start + took - first[0], 3),
        "cpu s": round(cpu, 3),
        "target": "≤ 0.3 s at 5,000",
    }


async def _memory(bench: Bench[ChatApp], tokens: int) -> Record:
    await _ask(bench, "rate=0 tokens=100 tag=short")
    await _ended(bench)
    await asyncio.sleep(1)
    before = resident_mb()
    await _ask(bench, f"rate=0 tokens={tokens} tag=long")
    await _ended(bench)
    await asyncio.sleep(1)
    grown = round(resident_mb() - before, 1)
    return {"what": "memory after one answer", "size": tokens, "mb": grown, "target": "≤ 40 at 100,000"}


async def _measured(*, quick: bool) -> list[Record]:
    records: list[Record] = []
    with serving() as config, tempfile.TemporaryDirectory() as folder:
        async with running(Path(folder) / "memory", config) as bench:  # first: nothing else has grown the process
            records.append(await _memory(bench, 10_000 if quick else 100_000))
        async with running(Path(folder) / "growth", config) as bench:
            records += await _growth(bench, quick=quick)
        async with running(Path(folder) / "echo", config) as bench:
            records.append(await _echo(bench, quick=quick))
        async with running(Path(folder) / "flood", config) as bench:
            records.append(await _flood(bench, 1_000, "one"))
            records += [await _flood(bench, 5_000, f"five{n}") for n in range(1 if quick else 3)]
    return records


def measure(quick: bool) -> list[Record]:
    return asyncio.run(_measured(quick=quick))
