"""A loopback server that streams a known answer at a known pace, in a process of its own so that its work is not ours.

It speaks OpenAI's chat completions. The prompt says what comes: `rate=200 tokens=2500 tag=a`; rate 0 is a flood, the
tag stands in its last words. Run as a module it prints its port and serves until its stdin ends.
"""

import asyncio
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

from tests.benchmarks.common import TOKEN_CHARACTERS, text_of

END = "The very end of"
"""Before the tag of the request."""
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


def _events(tokens: int, tag: str) -> list[bytes]:
    """One event for each token."""
    text = text_of("mixed", tokens)
    cuts = [int(n * TOKEN_CHARACTERS) for n in range(tokens + 1)]
    pieces = [text[start:end] for start, end in pairwise(cuts)]
    return [_event({"content": piece}) for piece in [*pieces, f"\n\n{END} {tag}.\n"]]


def _event(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "b", "model": "a", "choices": [choice]}).encode() + b"\n\n"


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: *(\d+)", head.lower())
    body = json.loads(await reader.readexactly(int(length[1]))) if length else {"messages": [{"content": ""}]}
    said = re.search(r"rate=(\d+) tokens=(\d+) tag=(\w+)", str(body["messages"][-1]["content"]))
    rate, tokens, tag = (int(said[1]), int(said[2]), said[3]) if said else (0, 10, "")
    writer.write(_HEAD)
    start = time.monotonic()
    try:
        for number, event in enumerate(_events(tokens, tag)):
            if rate and (wait := start + number / rate - time.monotonic()) > 0:
                await writer.drain()
                await asyncio.sleep(wait)
            writer.write(event)
        writer.write(_event({}, "stop") + b"data: [DONE]\n\n")
        await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def _serve() -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    threading.Thread(target=lambda: (sys.stdin.read(), loop.call_soon_threadsafe(stopped.set)), daemon=True).start()
    await stopped.wait()


def config_of(port: int, models: Sequence[str]) -> str:
    """Return a configuration of models on a port, the default one first; each costs twice as much as the one before."""
    prices = "".join(
        f'[models."work/{name}"]\ninput_per_mtok = {2.0**at}\noutput_per_mtok = {2.0 ** (at + 1)}\n'
        "context_window = 999999\n"
        for at, name in enumerate(models)
    )
    return (
        f'default_model = "work/{models[0]}"\n[providers.work]\nkind = "openai"\n'
        f'base_url = "http://127.0.0.1:{port}/v1"\nmodels = {json.dumps(list(models))}\n{prices}'
    )


@contextmanager
def serving(models: Sequence[str] = ("a",)) -> Iterator[str]:
    """Start it; yield a configuration of models that it serves, the default one first."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline())
        yield config_of(port, models)
    finally:
        process.stdin.close()
        process.wait(10)


if __name__ == "__main__":
    asyncio.run(_serve())
