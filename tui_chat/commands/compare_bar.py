"""How far a comparison is, on stderr while it runs."""

import asyncio
import os
import sys
import time
from contextlib import suppress

from tui_chat.commands import compare_table as tables
from tui_chat.commands.output import say
from tui_chat.commands.text_tables import draws
from tui_chat.core.batch import Progress

_FRAME_S = 0.1


class Bar:
    """The line on stderr: drawn over and over on a terminal, once at the end elsewhere."""

    def __init__(self, progress: Progress, *, quiet: bool) -> None:
        self._progress = progress
        self._quiet = quiet or sys.stderr is None
        self._is_terminal = not self._quiet and sys.stderr.isatty()
        self._began_s = time.monotonic()
        self._shown = ""

    async def draw(self) -> None:
        while self._is_terminal:
            self._put()
            await asyncio.sleep(_FRAME_S)

    def end(self) -> None:
        if self._quiet:
            return
        if not self._is_terminal:
            say(tables.end_text(self._progress, self._elapsed_s))
            return
        self._put()
        self._write("\n")

    @property
    def _elapsed_s(self) -> float:
        return time.monotonic() - self._began_s

    def _put(self) -> None:
        width = 80
        with suppress(OSError, ValueError):
            width = os.get_terminal_size(sys.stderr.fileno()).columns or width
        now_s, room = time.monotonic(), max(20, width - 1)
        line = tables.progress_text(self._progress, self._elapsed_s, now_s, room, plain=not draws("█─", sys.stderr))
        if line != self._shown:
            self._shown = line
            self._write(f"\r{line}\x1b[K")

    @staticmethod
    def _write(text: str) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.write(text)
            sys.stderr.flush()
