"""stdout and stderr of a command line.

stdout is written to its descriptor, never through `sys.stdout`: nothing is left in a buffer that Python would try to
flush at exit, into a pipe that was closed. A pipe, a socket or a terminal is only written to when it has room, so that
a reader who does not read cannot keep a signal, or a stop, waiting.
"""

import asyncio
import os
import select
import stat
import sys
from collections.abc import Callable
from contextlib import suppress

from tui_chat.core.errors import ChatError
from tui_chat.core.safe_text import one_line, safe

_CHUNK = 4096
"""What a pipe that polls as writable is sure to take (PIPE_BUF of Linux; a Mac says 512 and takes more)."""


class StdoutClosedError(Exception):
    """Nobody reads on: `ask | head`."""


class StdoutBrokenError(Exception):
    """It cannot be written: a full disk, say."""


class Stdout:
    """The standard output. Writing raises StdoutClosedError once nobody reads, StdoutBrokenError when it fails."""

    def __init__(self) -> None:
        stream = sys.stdout
        self.closed = stream is None
        self.used = False
        """Something was written."""
        self._fd = _descriptor(stream)
        self._encoding = (stream.encoding if stream is not None else None) or "utf-8"
        self.is_terminal = not self.closed and os.isatty(self._fd)
        mode = 0 if self.closed else os.fstat(self._fd).st_mode
        self._is_pipe = stat.S_ISFIFO(mode)
        self.closed = self.closed or (self._is_pipe and bool(self._poll(0) & select.POLLERR))
        self._paced = self.is_terminal or self._is_pipe or stat.S_ISSOCK(mode)
        self._turn = asyncio.Lock()
        self._ready: asyncio.Future[None] | None = None
        self._hurried = False

    def watch(self, on_closed: Callable[[], None]) -> None:
        """Call back when the reader of a pipe goes away, also while there is nothing to write."""
        if not self._is_pipe:
            return
        loop = asyncio.get_running_loop()

        def look() -> None:
            if self._poll(0) & (select.POLLERR | select.POLLHUP):
                loop.remove_reader(self._fd)
                self.closed = True
                on_closed()

        with suppress(OSError):
            loop.add_reader(self._fd, look)

    def hurry(self, patience_s: float) -> None:
        """From now on a reader has this long to take what is left."""
        asyncio.get_running_loop().call_later(patience_s, self._give_up)

    def _give_up(self) -> None:
        self._hurried = True
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(None)

    def encoded(self, text: str) -> bytes:
        return text.encode(self._encoding, "replace")

    async def write(self, text: str) -> None:
        await self.drain(bytearray(self.encoded(text)))

    async def drain(self, unsent: bytearray) -> None:
        """Write from the front of `unsent` until it is empty; a cancel leaves there what was not written.

        Several may drain the same bytes at once: each takes the next piece, so the order holds.
        """
        while unsent:
            await self._room()
            del unsent[: self._put(unsent)]

    def write_now(self, text: str) -> None:
        """Write without a loop, waiting as long as it takes."""
        unsent = bytearray(self.encoded(text))
        while unsent:
            if self._paced and not self.closed:
                select.select([], [self._fd], [])
            del unsent[: self._put(unsent)]

    def _put(self, unsent: bytearray) -> int:
        if self.closed:
            raise StdoutClosedError
        try:
            written = os.write(self._fd, unsent[:_CHUNK] if self._paced else unsent)
        except BlockingIOError:
            return 0
        except BrokenPipeError:
            self.closed = True
            raise StdoutClosedError from None
        except OSError as failed:
            raise StdoutBrokenError(f"stdout cannot be written: {failed.strerror}") from failed
        self.used = True
        return written

    async def _room(self) -> None:
        """Wait until something can be written. The quick way out has no await in it."""
        if not self._paced or self.closed or self._poll(select.POLLOUT):
            return
        loop = asyncio.get_running_loop()
        async with self._turn:
            self._ready = loop.create_future()
            loop.add_writer(self._fd, self._wake, self._ready)
            try:
                if not self._hurried:
                    await self._ready
            finally:
                loop.remove_writer(self._fd)
            if self._hurried and not self._poll(select.POLLOUT):
                self.closed = True

    @staticmethod
    def _wake(ready: "asyncio.Future[None]") -> None:
        if not ready.done():
            ready.set_result(None)

    def _poll(self, events: int) -> int:
        poll = select.poll()
        poll.register(self._fd, events)
        return next((found for _, found in poll.poll(0)), 0)


def _descriptor(stream: object) -> int:
    try:
        return sys.stdout.fileno() if stream is not None else -1
    except (OSError, ValueError):  # captured by a test
        return 1


def write_text(text: str) -> int:
    """Write what a command prints, made safe for a terminal; return its exit code, 141 when nobody reads."""
    stdout = Stdout()
    try:
        stdout.write_now(safe(text) if stdout.is_terminal else text)
    except StdoutClosedError:
        return 141
    except StdoutBrokenError as failed:
        say(f"error: {failed}")
        return 1
    return 0


def say(line: str) -> None:
    """Write one line to stderr, whatever it holds and whether or not anybody reads."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            sys.stderr.write(one_line(line, 2000).encode(sys.stderr.encoding or "utf-8", "replace").decode() + "\n")
            sys.stderr.flush()


def mistake(bug: Exception) -> ChatError:
    """Log a bug; return what to tell of it."""
    import logging

    logging.getLogger(__name__).error("bug in a command", exc_info=bug)
    return ChatError("internal", f"tui-chat made a mistake ({type(bug).__name__}); its log has the details")
