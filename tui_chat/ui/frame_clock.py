"""One frame clock for the whole app.

Deltas do not paint; they ask for a frame. The first request after a pause is served at once, then at most one frame per
interval, and the interval stretches to four times what the last frame cost, so that painting never takes over a quarter
of the event loop however slow the terminal is. Nothing runs while nobody asks.
"""

import asyncio
from collections.abc import Callable
from time import perf_counter

_SHARE = 4
_LONGEST_S = 0.25
"""A frame that took long is not waited out: what arrives meanwhile would make the next one longer still."""


class FrameClock:
    """Calls `on_frame` at most every `interval_s` seconds, and only when somebody asked."""

    def __init__(self, on_frame: Callable[[], None], interval_s: float = 0.05) -> None:
        self._on_frame = on_frame
        self._interval_s = interval_s
        self._next_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0

    def request(self, *, within_s: float | None = None) -> None:
        """Ask for a frame: as soon as the interval allows, or only within `within_s` seconds when nothing is urgent."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        due = max(self._next_s, now if within_s is None else now + within_s)
        if self._timer is not None:
            if due >= self._due_s:
                return
            self._timer.cancel()
        self._due_s = due
        self._timer = loop.call_at(due, self._frame)

    def request_now(self) -> None:
        """Ask for a frame at once, whatever the interval says: the first token and the end of an answer."""
        self._next_s = 0.0
        self.request()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _frame(self) -> None:
        self._timer = None
        started = perf_counter()
        self._on_frame()
        spent = perf_counter() - started
        self._next_s = asyncio.get_running_loop().time() + max(self._interval_s, min(_SHARE * spent, _LONGEST_S))
