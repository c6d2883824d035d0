"""Four answers that stream side by side, 100 tokens a second each, and somebody who types beside them.

The product has no columns yet: this is a small app with four logs, an input and the frame clock, fed by timers.
"""

import asyncio
import time

from textual.app import App, ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Input

from tests.benchmarks.common import TOKEN_CHARACTERS, Record, percentile, showing, text_of
from tui_chat.ui.frame_clock import FrameClock
from tui_chat.ui.theme import THEMES
from tui_chat.ui.widgets.markdown_log.widget import MarkdownLog

_RATE = 100
_COLUMNS = 4


class Columns(App[None]):
    """Four logs above an input."""

    CSS = "Horizontal { height: 1fr; } VerticalScroll { width: 1fr; } Input { dock: bottom; }"

    def __init__(self) -> None:
        super().__init__()
        self.logs = [MarkdownLog(finished=False) for _ in range(_COLUMNS)]
        self.input = Input()
        self.input.cursor_blink = False
        self.clock = FrameClock(self._frame)
        self.arrived = [""] * _COLUMNS
        self.frames = 0
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = THEMES[0].name

    def compose(self) -> ComposeResult:
        with Horizontal():
            for log in self.logs:
                with VerticalScroll(can_focus=False) as column:
                    yield log
                column.anchor()
        yield self.input

    def _frame(self) -> None:
        self.frames += 1
        for at, log in enumerate(self.logs):
            text, self.arrived[at] = self.arrived[at], ""
            log.feed(text)


async def _stream(app: Columns, at: int, seconds: float) -> None:
    text, start, fed = text_of("mixed", int(_RATE * (seconds + 1))), time.monotonic(), 0
    while (now := time.monotonic() - start) < seconds:
        due = int(now * _RATE * TOKEN_CHARACTERS)
        app.arrived[at] += text[fed:due]
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
