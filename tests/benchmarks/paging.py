"""What a page of a long conversation costs.

One database holds conversations of all sizes. Each figure is the processor time of this process, the best of several,
since other programs run too: the last 20 turns, the 20 before them, the first 20 (whose siblings are all first turns of
the conversation), and the whole path.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.common import Record, by_what
from tests.store.made import HandClock, chat_named, finish, turn_in
from tui_chat.core.conversation import Conversation, Turn
from tui_chat.store.conversations import SQLiteStore, open_store

SIZES = (50, 500, 5_000)
_TIMES = 7


def long_chat(turns: int) -> tuple[Conversation, list[Turn]]:
    """Return a conversation of so many turns with answers of a screen each."""
    chat = chat_named(f"{turns} turns")
    made: list[Turn] = []
    for number in range(turns):
        continued = made[-1].completions[0] if made else None
        turn = turn_in(chat, f"Question {number} " * 12, continues=continued)
        finish(turn.completions[0], f"A line of answer {number}.\n" * 60)
        made.append(turn)
    return chat, made


def _cpu_ms(action: Callable[[], object]) -> float:
    times = []
    for _ in range(_TIMES):
        start = time.process_time()
        action()
        times.append(time.process_time() - start)
    return round(min(times) * 1e3, 2)


def _measured(store: SQLiteStore, chat: Conversation, turns: list[Turn]) -> list[Record]:
    last = store.page(chat.id)
    actions: dict[str, Callable[[], object]] = {
        "last page": lambda: store.page(chat.id),
        "page before": lambda: store.page(chat.id, before=last.turns[0]),
        "first page": lambda: store.page(chat.id, before=turns[20]),
        "whole path": lambda: store.path(chat.id),
    }
    return [{"what": what, "size": len(turns), "ms": _cpu_ms(action)} for what, action in actions.items()]


def measure(quick: bool) -> list[Record]:
    """Return a record for each figure and size."""
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "chats.db", HandClock())
        try:
            chats = [long_chat(size) for size in (SIZES[:2] if quick else SIZES)]
            store.import_trees(chats)
            found = [record for chat, turns in chats for record in _measured(store, chat, turns)]
        finally:
            store.close()
    return by_what(found, "ms", dict.fromkeys(("last page", "page before", "first page"), "growth ≤ 1.2"))
