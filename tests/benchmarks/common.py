"""What the benchmarks share: records, texts of one kind and any length, the real app on a driver that only listens.

Figures are processor time of one process unless they say otherwise, so that they hold on a machine with other work;
what is on the way to the terminal is counted down to the last byte, because the driver here is none of Textual's
headless ones, for which the app writes no bytes.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from itertools import count, islice
from pathlib import Path
from typing import Generic, TypeVar

from textual import events
from textual.app import App
from textual.drivers.headless_driver import HeadlessDriver
from textual.pilot import Pilot

from tests.store.made import chat_named, finish, turn_in
from tui_chat.bootstrap import Ground
from tui_chat.core.conversation import Conversation, Turn
from tui_chat.core.ports import Providers
from tui_chat.ui.app import ChatApp
from tui_chat.ui.screens.chat import ChatScreen

Record = dict[str, object]
TOKEN_CHARACTERS = 3.3
"""The mean over our scripted answers."""
SIZE = (120, 40)
A = TypeVar("A", bound=App[None])


def with_growth(records: list[Record], key: str) -> list[Record]:
    """Note in the last record what it costs over the first."""
    records[-1]["growth"] = round(_number(records[-1][key]) / max(_number(records[0][key]), 1e-9), 2)
    return records


def by_what(records: Iterable[Record], key: str, targets: dict[str, str]) -> list[Record]:
    """Order records of several sizes by what they measure, with its growth and its target."""
    groups: dict[object, list[Record]] = {}
    for record in records:
        target = targets.get(str(record["what"]))
        groups.setdefault(record["what"], []).append({**record, **({"target": target} if target else {})})
    return [record for group in groups.values() for record in with_growth(group, key)]


def _number(value: object) -> float:
    assert isinstance(value, int | float)
    return float(value)


def percentile(values: Iterable[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def resident_mb() -> float:
    """Resident memory of this process; 0 where there is no /proc."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return 0.0
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20


# texts


def _mixed() -> Iterable[str]:
    for n in count(1):
        yield f"## Section {n}\n\nA cache is a *promise* that **stale data** shows: `ttl`, [etag](https://a.b/{n}).\n\n"
        yield f"1. Reads outnumber writes by {n}.\n2. A miss costs a trip.\n   - On a phone `{n} ms`.\n\n"
        yield f"| way | ms |\n|:--|--:|\n| ttl | {n} |\n| etag | 1.1 |\n\n"
        yield f"```python\ndef get{n}(key):\n    return {n}\n```\n\n"
        yield "Plain words follow, a sentence or two of them, as most answers have. They say little and take room.\n\n"


def _paragraph() -> Iterable[str]:
    for n in count(1):
        yield f"Sentence number {n} says that `code` and **marks** stand in it. It has a second half as well. "


def _code() -> Iterable[str]:
    yield "```python\n"
    for n in count(1):
        yield f"def function_{n}(value: int) -> str:\n    # a comment\n    return f'{{value}} and {n}'\n\n"


def _list() -> Iterable[str]:
    for n in count(1):
        yield f"- item {n} with **marks**\n  - a part of it, `code {n}`\n    - a part of that\n"


def _table() -> Iterable[str]:
    yield "| number | name | remark |\n|--:|:--|:-:|\n"
    for n in count(1):
        yield f"| {n} | name of {n} | **remark** `{n}` |\n"


KINDS: dict[str, Callable[[], Iterable[str]]] = {
    "mixed": _mixed,
    "one paragraph": _paragraph,
    "one code block": _code,
    "one nested list": _list,
    "one table": _table,
}


def text_of(kind: str, tokens: int) -> str:
    """Return markdown of one kind, about so many tokens long."""
    size, parts, length = int(tokens * TOKEN_CHARACTERS), [], 0
    for part in KINDS[kind]():
        parts.append(part)
        length += len(part)
        if length >= size:
            return "".join(parts)[:size]
    raise AssertionError


def long_chat(messages: int, title: str) -> tuple[Conversation, list[Turn]]:
    """Return a conversation of so many messages; its last answer ends in a line that names it."""
    chat, made = chat_named(title), list[Turn]()
    for number in range(messages // 2):
        turn = turn_in(chat, f"Question {number} of {title}", continues=made[-1].completions[0] if made else None)
        last = f"\n\nThe end of {title}." if number == messages // 2 - 1 else ""
        finish(turn.completions[0], f"Answer {number}.\n\n" + "".join(islice(_mixed(), 5)) + last)
        made.append(turn)
    return chat, made


# the app


class Sink(HeadlessDriver):
    """A terminal that takes all bytes and shows nothing; the app does not know."""

    written = 0
    listener: Callable[[str], None] | None = None

    @property
    def is_headless(self) -> bool:
        return False

    def write(self, data: str) -> None:
        self.written += len(data)
        if self.listener is not None:
            self.listener(data)


class Bench(Generic[A]):
    """A running app, its pilot, and what it writes."""

    def __init__(self, app: A, pilot: "Pilot[None]") -> None:
        self.app = app
        self.pilot = pilot
        assert isinstance(app._driver, Sink)
        self.driver = app._driver

    async def painted(self, words: str, act: Callable[[], object], timeout_s: float = 60) -> float:
        """Do something; return the seconds until `words` left for the terminal."""
        done = asyncio.Event()
        at = [0.0]

        def listen(data: str) -> None:
            if words in data and not done.is_set():
                at[0] = time.perf_counter()
                done.set()

        self.driver.listener = listen
        start = time.perf_counter()
        act()
        try:
            async with asyncio.timeout(timeout_s):
                await done.wait()
        finally:
            self.driver.listener = None
        return at[0] - start

    async def until(self, condition: Callable[[], object], timeout_s: float = 120) -> None:
        async with asyncio.timeout(timeout_s):
            while not condition():  # noqa: ASYNC110  it looks from outside
                await asyncio.sleep(0.005)

    async def echoes(self, empty: Callable[[], object], *, for_s: float, every_s: float = 0.05) -> list[float]:
        """Type for a while; return the milliseconds from each key to its letter on the way to the terminal.

        The letters are Cyrillic: nothing else on the screen writes them.
        """
        took: list[float] = []
        end = time.monotonic() + for_s
        while time.monotonic() < end:
            if len(took) % 32 == 0:
                empty()
                await asyncio.sleep(every_s)
            letter = chr(0x430 + len(took) % 32)
            took.append(await self.painted(letter, lambda: self.app.post_message(events.Key(letter, letter))) * 1e3)  # noqa: B023
            await asyncio.sleep(every_s)
        return took

    def lines(self) -> list[str]:
        """The rows of the screen as text."""
        width, height = self.app.size
        strips = self.app.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip)[:width].rstrip() for strip in strips[:height]]


@asynccontextmanager
async def showing(app: A, size: tuple[int, int] = SIZE) -> AsyncIterator[Bench[A]]:
    """Run any app on a sink."""
    app.driver_class = Sink
    async with app.run_test(headless=False, size=size) as pilot:
        await pilot.pause()
        yield Bench(app, pilot)


@asynccontextmanager
async def running(
    home: Path,
    config: str = "",
    providers: Callable[[Ground], Providers] = Ground.providers,
    size: tuple[int, int] = SIZE,
) -> AsyncIterator[Bench[ChatApp]]:
    """Run the real app on a home of its own, warmed up: the imports after the first paint are not what is measured."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)  # noqa: ASYNC240  nothing else runs yet
    (home / "config.toml").write_text(config)
    ground = Ground.lay({"TUI_CHAT_HOME": str(home)})
    store, served = ground.open_store(), providers(ground)
    services = ground.services(store, served)
    app = ChatApp(services)
    try:
        async with showing(app, size) as bench:
            await asyncio.to_thread(services.warm)
            await asyncio.to_thread(services.counter.load)
            await bench.pilot.pause()
            yield bench
            app.streams.cancel_all()
            await app.workers.wait_for_complete([each.worker for each in app.streams.all])
    finally:
        await served.aclose()
        store.close()


def screen_of(bench: Bench[ChatApp]) -> ChatScreen:
    screen = bench.app.screen_stack[0]
    assert isinstance(screen, ChatScreen)
    return screen


async def cpu_ms(act: Callable[[], Awaitable[object]]) -> float:
    start = time.process_time()
    await act()
    return (time.process_time() - start) * 1e3
