"""What a list of conversations costs.

A real database in a temporary folder, the real sidebar in a small app. Each figure is the processor time of this
process, the best of several, since other programs run too: `sidebar fill` from the call to the painted list,
`sidebar keystroke` from the key in the filter to the painted matches (the first one, which makes the index, and those
that narrow it), `sidebar refresh` what one more conversation costs the screen.
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

from textual.app import App, ComposeResult
from textual.pilot import Pilot

from tests.benchmarks.common import Record, by_what
from tests.store.made import NOON, HandClock, chat_named, turn_in
from tui_chat.core.conversation import Conversation, Turn
from tui_chat.store.conversations import SQLiteStore, open_store
from tui_chat.ui.theme import THEMES, UNICODE
from tui_chat.ui.widgets.sidebar import Sidebar

SIZES = (1_000, 5_000, 100_000)
_WORDS = (
    *("how", "do", "I", "split", "a", "byte", "stream", "into", "events", "why"),
    *("is", "TLS", "slow", "trip", "to", "Lisbon", "größer", "refactor", "the", "parser"),
)
_TYPED = "lisb"
_TIMES = 5
_TARGETS = {
    "sidebar fill": "≤ 150 at 100,000",
    "sidebar first keystroke": "≤ 120 at 100,000, ≤ 50 at 5,000",
    "sidebar keystroke": "≤ 120 at 100,000, ≤ 50 at 5,000",
}


class SidebarApp(App[None]):
    """The sidebar and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.sidebar = Sidebar(UNICODE, lambda _: "", lambda _: "")

    def compose(self) -> ComposeResult:
        yield self.sidebar

    def on_mount(self) -> None:
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = THEMES[0].name


def history(path: Path, size: int) -> SQLiteStore:
    """Return a history of so many conversations, some of them pinned."""
    store = open_store(path, HandClock())
    trees: list[tuple[Conversation, list[Turn]]] = []
    for number in range(size):
        title = " ".join(_WORDS[(number * step + step) % len(_WORDS)] for step in (1, 3, 7, 11, 13))
        chat = chat_named(f"{title} {number}", NOON - timedelta(minutes=5 * (size - number)))
        chat.pinned = number % 5_000 == 0
        trees.append((chat, []))
    store.import_trees(trees)
    return store


async def _cpu_ms(action: Callable[[], Awaitable[object]]) -> float:
    start = time.process_time()
    await action()
    return (time.process_time() - start) * 1e3


async def _measured(store: SQLiteStore, size: int) -> list[Record]:
    app = SidebarApp()
    async with app.run_test(size=(120, 40)) as pilot:
        fill = [await _cpu_ms(lambda: _fill(app, pilot, store)) for _ in range(_TIMES)]
        first, narrowing = [], []
        for _ in range(_TIMES):
            await _fill(app, pilot, store)
            app.sidebar.filter.focus()
            await pilot.pause()
            times = [await _cpu_ms(partial(pilot.press, key)) for key in _TYPED]
            first.append(times[0])
            narrowing.append(max(times[1:]))
            app.sidebar.clear_filter()
            await pilot.pause()
        refresh = [await _refresh(app, pilot, store) for _ in range(_TIMES)]
    found = {
        "sidebar fill": fill,
        "sidebar first keystroke": first,
        "sidebar keystroke": narrowing,
        "sidebar refresh": refresh,
    }
    return [{"what": what, "size": size, "ms": round(min(times), 2)} for what, times in found.items()]


async def _fill(app: SidebarApp, pilot: "Pilot[None]", store: SQLiteStore) -> None:
    app.sidebar.show(store.conversations())
    await pilot.pause()


async def _refresh(app: SidebarApp, pilot: "Pilot[None]", store: SQLiteStore) -> float:
    chat = chat_named("one more")
    store.start_turn(chat, turn_in(chat, "hi", ())).result()

    async def follow() -> None:
        assert app.sidebar.follow(store, chat.id)
        await pilot.pause()

    return await _cpu_ms(follow)


def measure(quick: bool) -> list[Record]:
    """Return a record for each figure and size."""
    found: list[Record] = []
    for size in SIZES[:2] if quick else SIZES:
        with tempfile.TemporaryDirectory() as folder:
            store = history(Path(folder) / "chats.db", size)
            try:
                found += asyncio.run(_measured(store, size))
            finally:
                store.close()
    return by_what(found, "ms", _TARGETS)
