"""One scriptable HTTP/1.1 server on 127.0.0.1, for every test that needs the other end of a wire.

It runs in threads of this process, so tests can drive it in-process and programs started as subprocesses can talk to
it.
Each request takes the next script from the queue; a script is a list of *steps*:

    with LoopbackServer() as server:
        gate = threading.Event()
        exchange = server.enqueue(chat_stream(["Hel", "lo"]))           # bytes alone: a 200 event stream of them
        exchange = server.enqueue(reply(429, {"error": {...}}, {"Retry-After": "1"}))
        exchange = server.enqueue(Head(), chat_chunk("Hel"), WaitFor(gate), chat_chunk("lo"), DONE)
        exchange = server.enqueue(Head(), chat_chunk("Hel"), Stall())   # until the client hangs up
        exchange = server.enqueue(Head(), chat_chunk("Hel"), Reset())   # or Drop()
        exchange = server.enqueue(Stall())                              # not even headers
        ... base_url = server.base_url ...
        server.requests[0].json["model"]                                # what was asked, headers, times, connection
        assert exchange.hung_up.wait(5)                                 # the client hung up before the script's end
        assert await seen(exchange.hung_up)                             # the same in a coroutine

Steps are `bytes` (a chunk of the body, `Head()` is sent first when there was none), `Head`, `Raw`, `Split`, `WaitFor`,
`Pause`, `Stall`, `Drop`, `Reset`. Behind the last step the body is ended properly and the connection is kept, unless
the script ended it. `server.always("/models", reply(200, {...}))` answers a path (by its end) every time, outside of
the queue; `server.default` is the script for an empty queue. A GET takes nothing from the queue: it is answered by
`always`, else with 404, and noted in `server.lookups`, not in `server.requests`. Nothing here sleeps unless `Pause` is
asked to.
"""

import asyncio
import gzip
import json
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True)
class Head:
    """Status line and headers. The body is chunked, unless there is a Content-Length or `chunked` is off."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "text/event-stream"})
    chunked: bool = True


@dataclass(frozen=True)
class Raw:
    """Bytes for the socket as they are, outside of all framing."""

    data: bytes


@dataclass(frozen=True)
class Split:
    """Body bytes in pieces of `size`, each an HTTP chunk of its own."""

    data: bytes
    size: int = 1


@dataclass(frozen=True)
class WaitFor:
    """Wait until the test sets `event` (or the client hangs up)."""

    event: threading.Event


@dataclass(frozen=True)
class Pause:
    """Wait for `seconds`: for paced streams, not for synchronisation."""

    seconds: float


@dataclass(frozen=True)
class Stall:
    """Say nothing more, keep the socket open until the client hangs up or the server is closed."""


@dataclass(frozen=True)
class Drop:
    """Close the connection without ending the body."""


@dataclass(frozen=True)
class Reset:
    """Close the connection with a RST."""


Step = bytes | Head | Raw | Split | WaitFor | Pause | Stall | Drop | Reset


def reply(status: int, body: object = b"", headers: dict[str, str] | None = None) -> list[Step]:
    """Return the script of a whole answer: `body` is bytes, text, or anything that becomes JSON."""
    kind = "application/json"
    if isinstance(body, str):
        body, kind = body.encode(), "text/plain"
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return [Head(status, {"Content-Type": kind, "Content-Length": str(len(data)), **(headers or {})}), data]


def gzipped(data: bytes) -> list[Step]:
    """Return the script of an event stream that is sent compressed."""
    return [Head(headers={"Content-Type": "text/event-stream", "Content-Encoding": "gzip"}), gzip.compress(data)]


DONE = b"data: [DONE]\n\n"


def sse(value: object, event: str | None = None) -> bytes:
    """Return one event; `value` is text or becomes JSON."""
    data = value if isinstance(value, str) else json.dumps(value)
    return (f"event: {event}\n" if event else "").encode() + f"data: {data}\n\n".encode()


def chat_chunk(
    text: str | None = None,
    *,
    reasoning: str | None = None,
    finish: str | None = None,
    usage: dict[str, Any] | None = None,
    model: str = "served-1",
    **extra: object,
) -> bytes:
    """Return one `chat.completion.chunk` as an event; without text, reasoning and finish it has no choices."""
    delta = {"content": text} if text is not None else {}
    if reasoning is not None:
        delta["reasoning_content"] = reasoning
    empty = text is None and reasoning is None and finish is None
    choices = [] if empty else [{"index": 0, "delta": delta, "finish_reason": finish}]
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": model, "choices": choices, **extra}
    if usage is not None:
        chunk["usage"] = usage
    return sse(chunk)


def chat_usage(sent: int = 9, answered: int = 2, **extra: object) -> dict[str, Any]:
    return {"prompt_tokens": sent, "completion_tokens": answered, "total_tokens": sent + answered, **extra}


def chat_stream(
    deltas: Iterable[str] = ("Hello",),
    *,
    usage: dict[str, Any] | None = None,
    finish: str | None = "stop",
    reasoning: Iterable[str] = (),
    done: bool = True,
) -> bytes:
    """Return a whole answer in OpenAI's dialect: reasoning, text, finish reason, usage chunk (if any), `[DONE]`."""
    parts = [chat_chunk(reasoning=text) for text in reasoning]
    parts += [chat_chunk(text) for text in deltas]
    if finish is not None:
        parts.append(chat_chunk(finish=finish))
    if usage is not None:
        parts.append(chat_chunk(usage=usage))
    if done:
        parts.append(DONE)
    return b"".join(parts)


@dataclass
class RecordedRequest:
    """What a client sent."""

    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    at_s: float
    """When it was complete, on the monotonic clock."""
    connection: int
    """The number of the connection, counted from 1."""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Exchange:
    """One scripted answer and what came of it."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = list(steps)
        self.request: RecordedRequest | None = None
        self.requested = threading.Event()
        """The whole request has arrived."""
        self.hung_up = threading.Event()
        """The client closed the connection before the script was through."""
        self.hung_up_at_s: float | None = None
        self.finished = threading.Event()
        """The script is through."""
        self.sent = 0
        """Pieces of the body that went out."""


async def seen(event: threading.Event, timeout_s: float = 5) -> bool:
    """Wait for an event of the server in a coroutine; False when it does not come in time."""
    return await asyncio.to_thread(event.wait, timeout_s)


class _HungUpError(Exception):
    pass


class LoopbackServer:
    """See the module. `url` is `http://127.0.0.1:PORT`, `base_url` the same with `/v1`."""

    def __init__(self) -> None:
        self.requests: list[RecordedRequest] = []
        self.lookups: list[RecordedRequest] = []
        self.default: list[Step] = reply(500, {"error": {"message": "the test has no script for this request"}})
        self.connections = 0
        self._queue: deque[Exchange] = deque()
        self._always: dict[str, list[Step]] = {}
        self._lock = threading.Lock()
        self._stop, self._stopped = socket.socketpair()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._threads: list[threading.Thread] = []
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.base_url = f"{self.url}/v1"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.close()
        for thread in self._threads:
            thread.join(5)
        self._listener.close()
        self._stopped.close()

    def enqueue(self, *steps: Step | Sequence[Step]) -> Exchange:
        """Add the script of the next request that has none yet; scripts may be nested lists."""
        flat: list[Step] = []
        for step in steps:
            if isinstance(step, list | tuple):
                flat.extend(step)
            else:
                flat.append(step)  # type: ignore[arg-type]
        exchange = Exchange(flat)
        with self._lock:
            self._queue.append(exchange)
        return exchange

    def always(self, path_end: str, steps: Sequence[Step]) -> None:
        """Answer every request whose path ends so with this script, outside of the queue."""
        self._always[path_end] = list(steps)

    def _start(self, target: Any, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            ready, _, _ = select.select([self._listener, self._stopped], [], [])
            if self._stopped in ready:
                return
            connection, _ = self._listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            self._start(self._serve, connection, self.connections)

    def _serve(self, connection: socket.socket, number: int) -> None:
        with connection, suppress(OSError, _HungUpError):
            unread = b""
            while True:
                request, unread = self._receive(connection, unread, number)
                exchange = self._script(request)
                exchange.request = request
                exchange.requested.set()
                if not _Answer(connection, exchange, self._stopped).play():
                    return

    def _receive(self, connection: socket.socket, unread: bytes, number: int) -> tuple[RecordedRequest, bytes]:
        while b"\r\n\r\n" not in unread:
            unread += self._more(connection)
            if unread[0] == 0x16:  # a TLS hello: answer as nginx does
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
                raise _HungUpError
        head, _, body = unread.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        while len(body) < length:
            body += self._more(connection)
        request = RecordedRequest(method, path, headers, body[:length], time.monotonic(), number)
        return request, body[length:]

    def _more(self, connection: socket.socket) -> bytes:
        ready, _, _ = select.select([connection, self._stopped], [], [])
        data = connection.recv(65536) if connection in ready else b""
        if not data:
            raise _HungUpError
        return data

    def _script(self, request: RecordedRequest) -> Exchange:
        path = request.path.partition("?")[0]
        with self._lock:
            (self.lookups if request.method == "GET" else self.requests).append(request)
            for end, steps in self._always.items():
                if path.endswith(end):
                    return Exchange(steps)
            if request.method == "GET":
                return Exchange(reply(404, {"error": {"message": "nothing here"}}))
            return self._queue.popleft() if self._queue else Exchange(self.default)


class _Answer:
    """Plays one script."""

    def __init__(self, connection: socket.socket, exchange: Exchange, stopped: socket.socket) -> None:
        self._connection = connection
        self._exchange = exchange
        self._stopped = stopped
        self._chunked = False
        self._headed = False
        self._keep = True

    def play(self) -> bool:
        """Return True when the connection can take another request."""
        try:
            for step in self._exchange.steps:
                if not self._step(step):
                    return False
            if not self._headed:
                self._head(Head(200, {"Content-Length": "0"}, chunked=False))
            if self._chunked:
                self._connection.sendall(b"0\r\n\r\n")
        except (OSError, _HungUpError):
            self._gone()
            return False
        self._exchange.finished.set()
        return self._keep

    def _gone(self) -> None:
        self._exchange.hung_up_at_s = time.monotonic()
        self._exchange.hung_up.set()

    def _step(self, step: Step) -> bool:
        match step:
            case bytes():
                self._send(step)
            case Head():
                self._head(step)
            case Raw(data):
                self._connection.sendall(data)
                self._headed = True
                self._keep = self._chunked = False
            case Split(data, size):
                for at in range(0, len(data), size):
                    self._send(data[at : at + size])
            case WaitFor(event):
                while not event.wait(0.002):
                    self._still_there(0)
            case Pause(seconds):
                self._still_there(seconds)
            case Stall():
                self._still_there(None)
                return False
            case Drop():
                self._connection.close()
                return False
            case Reset():
                self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self._connection.close()
                return False
        return True

    def _head(self, head: Head) -> None:
        headers = dict(head.headers)
        has_length = any(name.lower() == "content-length" for name in headers)
        self._chunked = head.chunked and not has_length
        if self._chunked:
            headers["Transfer-Encoding"] = "chunked"
        elif not has_length:
            headers["Connection"] = "close"
            self._keep = False
        lines = [f"HTTP/1.1 {head.status} Status", *(f"{name}: {value}" for name, value in headers.items())]
        self._connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        self._headed = True

    def _send(self, data: bytes) -> None:
        if not self._headed:
            self._head(Head())
        if not data:
            return
        self._still_there(0)
        self._connection.sendall(b"%x\r\n%s\r\n" % (len(data), data) if self._chunked else data)
        self._exchange.sent += 1

    def _still_there(self, seconds: float | None) -> None:
        """Wait for `seconds` (None: for good); raises when the client hangs up or the server is closed meanwhile."""
        ready, _, _ = select.select([self._connection, self._stopped], [], [], seconds)
        if self._stopped in ready or (self._connection in ready and not self._connection.recv(1, socket.MSG_PEEK)):
            raise _HungUpError
