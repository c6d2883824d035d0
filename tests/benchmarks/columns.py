"""Four answers that stream side by side, 100 tokens a second each, and somebody who types beside them.

The product has no columns yet: this is a small app with four transcripts, an input and the frame clock, fed by timers.
"""

import asyncio
import time

from textual.app import App, ComposeResult
from textual.containers import Horizontal
from textual.screen import Screen
from textual.widgets import Input

from tests.benchmarks.common import TOKEN_CHARACTERS, Record, percentile, showing, text_of
from tests.store.made import chat_named, stream, turn_in
from tui_chat.core.events import TextDelta
from tui_chat.ui.frame_clock import FrameClock
from tui_chat.ui.sparing_compositor import SparingCompositor
from tui_chat.ui.theme import THEMES, UNICODE
from tui_chat.ui.widgets.transcript.widget import Transcript

_RATE = 100
_COLUMNS = 4


class _Side(Screen[None]):
    """Four transcripts above an input."""

    def __init__(self) -> None:
        super().__init__()
        self._compositor = SparingCompositor()
        self.columns = [Transcript(UNICODE, {}) for _ in range(_COLUMNS)]
        self.input = Input()
        self.input.cursor_blink = False

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield from self.columns
        yield self.input


class Columns(App[None]):
    """The answers, the clock and the screen."""

    CSS = "Horizontal { height: 1fr; } Input { dock: bottom; }"

    def __init__(self) -> None:
        super().__init__()
        self.side = _Side()
        self.input = self.side.input
        self.clock = FrameClock(self._frame)
        self.frames = 0
        self.turns = [turn_in(chat_named(), "Explain caches") for _ in range(_COLUMNS)]
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = THEMES[0].name

    def get_default_screen(self) -> Screen[None]:
        return self.side

    def on_mount(self) -> None:
        for turn, column in zip(self.turns, self.side.columns, strict=True):
            stream(turn.completions[0], "Caches. ")
            column.show([turn])

    def _frame(self) -> None:
        self.frames += 1
        for column in self.side.columns:
            column.take_frame()


async def _stream(app: Columns, at: int, seconds: float) -> None:
    text, start, fed = text_of("mixed", int(_RATE * (seconds + 1))), time.monotonic(), 0
    while (now := time.monotonic() - start) < seconds:
        due = int(now * _RATE * TOKEN_CHARACTERS)
        app.turns[at].completions[0].apply(TextDelta(text[fed:due]), time.monotonic())
        fed = due
        app.clock.request()
        await asyncio.sleep(1 / _RATE)


async def _measured(seconds: float) -> list[Record]:
    app = Columns()
    async with showing(app) as bench:
        app.input.focus()
        await bench.pilot.pause()
        cpu, start = time.process_time(), time.monotonic()
        streams = asyncio.gather(*(_stream(app, at, seconds) for at in range(_COLUMNS)))
        await asyncio.sleep(0.5)
        took = await bench.echoes(app.input.clear, for_s=seconds - 1, every_s=0.1)
        await streams
        assert all(column.virtual_size.height > 2 * seconds for column in app.side.columns), "nothing was shown"
        wall = time.monotonic() - start
        figures = {
            "frames per s": round(app.frames / wall, 1),
            "% of a core": round((time.process_time() - cpu) / wall * 100, 1),
            "echo ms p50": round(percentile(took, 0.5), 1),
            "echo ms p95": round(percentile(took, 0.95), 1),
        }
    target = "≥ 10 per s, ≤ 60 %, p95 ≤ 100 ms"
    return [{"what": "four columns at 100 tok/s", "size": int(seconds * _RATE), **figures, "target": target}]


def measure(quick: bool) -> list[Record]:
    return asyncio.run(_measured(4.0 if quick else 20.0))
