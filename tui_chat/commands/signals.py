"""Ctrl+C, SIGTERM and SIGHUP: while a command is loaded they are noted, before its event loop they raise, inside it
they call back, and once everything is said they are ignored.
"""

import asyncio
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StoppedError(BaseException):
    """A signal asked the command to end. Not an Exception: no border of the program may swallow it."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code
        """The exit code: 130 for Ctrl+C, 143 for SIGTERM."""


def raise_on_signals(came: Sequence[int] = ()) -> None:
    """From now on a signal raises StoppedError; one that came before raises it at once."""

    def raise_stopped(number: int, _frame: FrameType | None) -> None:
        raise StoppedError(128 + number)

    for each in SIGNALS:
        with suppress(ValueError):  # not the main thread: a test
            signal.signal(each, raise_stopped)
    if came:
        raise StoppedError(128 + came[0])


def default_signals() -> None:
    """Back to what Python does by itself: for the app, which has handlers of its own as soon as it draws."""
    for each in SIGNALS:
        with suppress(ValueError):
            signal.signal(each, signal.default_int_handler if each == signal.SIGINT else signal.SIG_DFL)


def call_on_signals(loop: asyncio.AbstractEventLoop, callback: Callable[[int], None]) -> None:
    """Call back with the exit code, as long as the loop runs."""
    for each in SIGNALS:
        with suppress(ValueError, RuntimeError):
            loop.add_signal_handler(each, callback, 128 + each)


def ignore_signals() -> None:
    """For the last steps of a command that has said everything: they are short, and must not be said twice."""
    for each in SIGNALS:
        with suppress(ValueError):
            signal.signal(each, signal.SIG_IGN)
