"""What it takes to open a long conversation: the real app on a real history, from the choice in the list.

- `open, first` and `open, again`: until the last line of the last answer is on the way to the terminal, wall clock and
  processor time; again after another conversation was in view.
- `memory`: resident memory with the conversation open, over the same app with none; each in a process of its own.
- `older turns above`: from the scroll to the top to the end of all work, and by how many rows the line moved that the
  reader had under the eye.
"""

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.common import (
    Bench,
    Record,
    long_chat,
    resident_mb,
    running,
    screen_of,
    with_growth,
)
from tests.store.made import HandClock
from tui_chat.store.conversations import open_store
from tui_chat.ui.app import ChatApp
from tui_chat.ui.widgets.conversation_list import ConversationList

SIZES = (100, 1_000, 10_000)
_SETTLE_S = 1.0


def history(home: Path, sizes: tuple[int, ...]) -> dict[int, str]:
    """Write one conversation of each size; return their ids."""
    home.mkdir(mode=0o700)
    store = open_store(home / "chats.db", HandClock())
    try:
        chats = {size: long_chat(size, f"the chat of {size}") for size in (2, *sizes)}
        store.import_trees(list(chats.values()))
        return {size: chat.id for size, (chat, _) in chats.items()}
    finally:
        store.close()


def _choose(bench: Bench[ChatApp], conversation_id: str) -> Callable[[], object]:
    listed = screen_of(bench).query_one(ConversationList)
    return lambda: listed.post_message(ConversationList.Chosen(conversation_id))


async def _open(bench: Bench[ChatApp], size: int, conversation_id: str) -> tuple[float, float]:
    """Return wall and processor milliseconds until the end is on its way."""
    cpu = time.process_time()
    wall = await bench.painted(f"The end of the chat of {size}.", _choose(bench, conversation_id))
    return round(wall * 1e3, 1), round((time.process_time() - cpu) * 1e3, 1)


async def _opened(home: Path, size: int, ids: dict[int, str], repeats: int) -> list[Record]:
    records: list[Record] = []
    async with running(home) as bench:
        times = []
        for _ in range(1 + repeats):
            await _open(bench, 2, ids[2])
            await asyncio.sleep(_SETTLE_S)
            times.append(await _open(bench, size, ids[size]))
            await asyncio.sleep(_SETTLE_S)
        for what, (wall, cpu) in (("open, first", times[0]), ("open, again", min(times[1:]))):
            target = "≤ 100 ms warm, growth ≤ 1.2"
            records.append({"what": what, "size": size, "ms": wall, "cpu ms": cpu, "target": target})
        records.append(await _older(bench, size))
    return records


async def _older(bench: Bench[ChatApp], size: int) -> Record:
    """Scroll to the top of what is there; older turns come above it."""
    transcript = screen_of(bench).pane.transcript
    before = transcript.virtual_size.height
    eye = transcript.region.y
    line = [""]
    cpu, start = time.process_time(), time.perf_counter()
    transcript.scroll_to(y=1, animate=False, immediate=True)
    line[0] = await _words_at(bench, eye)
    grew = True
    try:
        await bench.until(lambda: transcript.virtual_size.height != before, timeout_s=3)
    except TimeoutError:
        grew = False
    wall = (time.perf_counter() - start) * 1e3
    await bench.pilot.pause()
    rows = [row[transcript.region.x :].strip() for row in bench.lines()]
    moved = min((abs(at - eye) for at, row in enumerate(rows) if row and row == line[0]), default=None)
    figures = {"ms": round(wall, 1), "cpu ms": round((time.process_time() - cpu) * 1e3, 1)} if grew else {}
    found = "nothing came" if not grew else "out of sight" if moved is None else moved
    return {"what": "older turns above", "size": size, **figures, "moved rows": found, "target": "≤ 80 ms, 0 rows"}


async def _words_at(bench: Bench[ChatApp], row: int) -> str:
    """Return what the transcript shows in a row of the screen, as soon as it is laid out."""
    await asyncio.sleep(0)
    screen = screen_of(bench)
    return bench.lines()[row][screen.pane.transcript.region.x :].strip()


async def _resident(home: Path, size: int, conversation_id: str) -> float:
    async with running(home) as bench:
        if size:
            await _open(bench, size, conversation_id)
        await asyncio.sleep(2 * _SETTLE_S)
        return resident_mb()


def _memory(home: Path, size: int, conversation_id: str) -> float:
    command = [sys.executable, "-m", "tests.benchmarks.opening", str(home), str(size), conversation_id]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure(quick: bool) -> list[Record]:
    sizes = SIZES[:2] if quick else SIZES
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "history"
        ids = history(made, sizes)

        def fresh(name: str) -> Path:
            return Path(shutil.copytree(made, Path(folder) / name))

        found: dict[str, list[Record]] = {}
        for size in sizes:
            for record in asyncio.run(_opened(fresh(f"open-{size}"), size, ids, 1 if quick else 3)):
                found.setdefault(str(record["what"]), []).append(record)
        empty = _memory(fresh("empty"), 0, "")
        for size in sizes:
            grown = round(_memory(fresh(f"memory-{size}"), size, ids[size]) - empty, 1)
            record = {"what": "memory of an open chat", "size": size, "mb": grown, "target": "≤ 20 over the empty app"}
            found.setdefault("memory", []).append(record)
        for what in ("open, first", "open, again"):
            with_growth(found[what], "ms")
        return [record for records in found.values() for record in records]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(_resident(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))))
