"""The body of an answer, from the socket to events: read ahead, bounded, and given up at once when nobody wants it."""

import asyncio
import socket
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from tui_chat.core.errors import ProviderError
from tui_chat.core.events import ReasoningDelta, StreamEvent, TextDelta, ToolCallDelta
from tui_chat.providers.endpoint import Network
from tui_chat.providers.inflate import Inflater
from tui_chat.providers.wire import Decoder, Framer, Record

if TYPE_CHECKING:
    import httpx

MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of one answer, decoded."""
MAX_TEXT = 16 * 1024 * 1024
"""Characters of text, reasoning and calls in one answer; whoever keeps and prints it makes several copies."""
_LINGER_S = 0.05
"""How long the end of the body is waited for behind the end marker, so that the connection can be used again."""
_LOOK_S = 0.05
"""What it takes to hand over what is in the socket already."""
_NAP_S = 0.5
"""A timeout that comes later than this was held up by ourselves, and says nothing about the server."""
_AHEAD = 256 * 1024
"""So many bytes are read ahead of a reader that is busy, or has paused the answer."""


class Body:
    """The body of one answer, read ahead a little in a task of its own.

    Why a task: httpcore awaits while it closes a connection that was cancelled, and a second cancel in that moment (an
    impatient Esc) would leave the socket open and the model billing. So a cancel of the reader never enters httpcore:
    the socket is shut at once, without awaiting, and what is left is closed in a task that nobody cancels. It is also
    cheaper: what came in one read of the socket is handed over in one piece, however many HTTP chunks it was.
    """

    __slots__ = ("_news", "_pieces", "_pump", "_raw", "_response", "_room", "_size", "headers", "status")

    def __init__(self, response: "httpx.Response") -> None:
        self.status = response.status_code
        self.headers: dict[str, str] = dict(response.headers)
        """Names in lower case."""
        self._response = response
        # httpx calls its generator an iterator, but it must be closed
        self._raw = cast("AsyncGenerator[bytes, None]", response.aiter_raw())
        self._pieces: list[bytes] = []
        self._size = 0
        self._news, self._room = asyncio.Event(), asyncio.Event()
        self._pump = asyncio.create_task(self._read_ahead())

    async def _read_ahead(self) -> None:
        try:
            async for piece in self._raw:
                self._pieces.append(piece)
                self._size += len(piece)
                self._news.set()
                if self._size >= _AHEAD:
                    self._room.clear()
                    await self._room.wait()
        finally:
            self._news.set()

    async def read(self, limit_s: float) -> bytes | None:
        """Return what has come, waiting for it if need be; None at the end. Raises TimeoutError and HTTPError."""
        if not self._pieces and not self._pump.done():
            await self._wait(limit_s)
        if not self._pieces:
            await self._pump
            return None
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        self._room.set()
        return data

    async def _wait(self, limit_s: float) -> None:
        """Wait for news. Raises TimeoutError when there was time for it, and none came.

        A loop that stood still (a stopped process, a lid that was closed) wakes to a timeout and to data that waits in
        the socket, and the timeout is first: so it counts only after one more look, and after a nap the time is new.
        """
        started_s = time.monotonic()
        if await self._news_within(limit_s):
            return
        overslept = time.monotonic() - started_s > limit_s + _NAP_S
        if not limit_s or not await self._news_within(limit_s if overslept else _LOOK_S):
            raise TimeoutError

    async def _news_within(self, limit_s: float) -> bool:
        self._news.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._news.wait()
        return bool(self._pieces) or self._pump.done()

    async def linger(self) -> None:
        """Read on to the end of the body, if it is near: only then can the connection be used again."""
        import httpx

        until_s = time.monotonic() + _LINGER_S
        with suppress(TimeoutError, httpx.HTTPError):
            while await self.read(max(0.0, until_s - time.monotonic())) is not None:
                pass

    def hang_up(self) -> None:
        """Shut the socket now, unless the body was read to its end: whatever happens next, the server knows."""
        if self._response.is_closed:
            return
        stream = self._response.extensions.get("network_stream")
        sock = stream.get_extra_info("socket") if stream is not None else None
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    async def close(self) -> None:
        """Give the connection back, or close it."""
        import httpx

        self._pump.cancel()
        await asyncio.wait((self._pump,))
        if not self._pump.cancelled():
            self._pump.exception()  # nobody wants to know any more
        with suppress(httpx.HTTPError):
            await self._raw.aclose()
            await self._response.aclose()


def _too_long(limit: int) -> ProviderError:
    message = f"the answer is larger than {limit >> 20} MiB and was cut here; set max_tokens"
    return ProviderError("protocol", message, request_sent=True)


class Reading:
    """One answer's body on its way from bytes to events."""

    __slots__ = ("_finished_at_s", "_framer", "_inflater", "_network", "_said", "_size", "decoder", "text")

    def __init__(self, framer: Framer, decoder: Decoder, inflater: Inflater, network: Network) -> None:
        self.decoder = decoder
        self.text = False
        """Answer text flows."""
        self._framer = framer
        self._inflater = inflater
        self._network = network
        self._said = self._size = 0
        """Characters that came out, bytes that went in."""
        self._finished_at_s: float | None = None

    def patience_s(self) -> float:
        """Return how long the next silence may be."""
        network = self._network
        if self.decoder.finish_reason is None:
            return network.read_timeout_s if self.text else network.first_token_timeout_s
        now = time.monotonic()
        if self._finished_at_s is None:
            self._finished_at_s = now
        return max(0.0, self._finished_at_s + network.settle_s - now)

    def events(self, piece: bytes) -> Iterator[StreamEvent]:
        for data in self._inflater.feed(piece):
            self._size += len(data)
            over = self._size - MAX_ANSWER
            yield from self._decoded(self._framer.feed(data[:-over] if over > 0 else data))
            if self.decoder.done:
                return
            if over > 0:
                raise _too_long(MAX_ANSWER)

    def rest(self) -> Iterator[StreamEvent]:
        """Yield what the end of the body completes."""
        if not self.decoder.done:
            yield from self._decoded(self._framer.close())

    def _decoded(self, records: list[Record]) -> Iterator[StreamEvent]:
        for record in records:
            for event in self.decoder.feed(record):
                match event:
                    case TextDelta(said):
                        self.text = True
                    case ReasoningDelta(said) | ToolCallDelta(_, said):
                        pass
                    case _:
                        said = ""
                self._said += len(said)
                if self._said > MAX_TEXT:
                    raise _too_long(MAX_TEXT)
                yield event
            if self.decoder.done:
                return
