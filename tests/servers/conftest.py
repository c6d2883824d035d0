"""Real servers that others wrote, on loopback. Run by hand, when there is something to run them with:

    TUI_CHAT_SERVERS=/path/to/start.sh python -m pytest tests/servers -m servers

`start.sh NAME PORT` must run the server of that name in the foreground: `aimock`, `llama`, `llama-slow`, `litellm`
(with `MODEL_SERVER` = the base URL of a started `llama`), `hf`. Their key is `sk-test-master`. Without the variable,
or when a server does not start, its tests are skipped.
"""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Program, program

__all__ = ["program"]

KEY = "sk-test-master"
SCRIPT = os.environ.get("TUI_CHAT_SERVERS", "")
PATHS = {"openai": "/v1", "openai-responses": "/v1", "anthropic": "/v1", "gemini": "/v1beta", "ollama": ""}
_START_S = 60


@dataclass
class Server:
    process: subprocess.Popen[bytes]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def base_url(self, kind: str = "openai") -> str:
        return self.url + PATHS[kind]

    def get(self, path: str) -> Any:
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {KEY}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)


@contextmanager
def started(name: str, **environ: str) -> Iterator[Server]:
    if not SCRIPT or not Path(SCRIPT).exists():
        pytest.skip("TUI_CHAT_SERVERS names no script that starts servers")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(
        [SCRIPT, name, str(port)], env={**os.environ, **environ}, stdin=quiet, stdout=quiet, stderr=quiet
    )
    try:
        _wait(name, process, port)
        yield Server(process, port)
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(name: str, process: subprocess.Popen[bytes], port: int) -> None:
    """Wait until the server answers HTTP; some listen before they have loaded their model."""
    until_s = time.monotonic() + _START_S
    while process.poll() is None and time.monotonic() < until_s:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
                return
        except urllib.error.HTTPError as answered:
            if answered.code != 503:
                return
        except OSError:
            pass
        time.sleep(0.1)
    pytest.skip(f"{name} does not start here")


@pytest.fixture(scope="module")
def start() -> Iterator[Callable[..., Server]]:
    """Start a server once for all tests of a module."""
    running: dict[str, Server] = {}
    with ExitStack() as stack:

        def start(name: str, **environ: str) -> Server:
            if name not in running:
                running[name] = stack.enter_context(started(name, **environ))
            return running[name]

        yield start


Case = Callable[..., Any]


@pytest.fixture
def case(program: Program) -> Case:
    """Configure a server under the name `case` and ask it; returns the JSON object with the exit code in it."""

    def ask(server: Server, model: str, prompt: str = "hello", kind: str = "openai", more: str = "", key: str = KEY):
        configure(program, server, kind, more, key)
        ended = program.run("ask", "--json", "-m", f"case/{model}", prompt, timeout_s=60)
        return {**ended.object, "exit": ended.code}

    return ask


def configure(program: Program, server: Server, kind: str = "openai", more: str = "", key: str = KEY) -> None:
    program.configure(
        f'[providers.case]\nkind = "{kind}"\nbase_url = "{server.base_url(kind)}"\napi_key = "{key}"\n{more}'
    )
