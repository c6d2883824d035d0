"""The real program in a subprocess, with a home of its own, against a server on loopback."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.loopback import LoopbackServer

PROGRAM = [sys.executable, "-m", "tui_chat"]


@dataclass
class Ended:
    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[Any]:
        assert self.out.endswith("\n")
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def object(self) -> Any:
        (only,) = self.objects
        return only


@dataclass
class Program:
    home: Path
    environ: dict[str, str]

    def start(self, *arguments: str, **how: Any) -> subprocess.Popen[bytes]:
        """Start it with pipes; whoever calls ends it."""
        pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([*PROGRAM, *arguments], env=self.environ, cwd=self.home, **(pipes | how))

    def run(self, *arguments: str, stdin: str | None = None, timeout_s: float = 20) -> Ended:
        how = {} if stdin is None else {"stdin": subprocess.PIPE}
        with self.start(*arguments, **how) as process:
            try:
                out, err = process.communicate(None if stdin is None else stdin.encode(), timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        assert b"Traceback" not in err
        return Ended(process.returncode, out.decode(), err.decode())

    def configure(self, text: str) -> None:
        path = self.home / "config.toml"
        path.write_text(text)
        path.chmod(0o600)


@pytest.fixture
def program(tmp_path: Path) -> Program:
    home = tmp_path / "home"
    home.mkdir(0o700)
    kept = {name: value for name, value in os.environ.items() if not name.upper().endswith(("_API_KEY", "_PROXY"))}
    ours = {"TUI_CHAT_HOME": str(home), "TUI_CHAT_DEMO_SPEED": "0", "PYTHONPATH": str(Path(__file__).parents[2])}
    return Program(home, kept | ours)


@pytest.fixture
def server():
    with LoopbackServer() as started:
        yield started


@pytest.fixture
def work(program: Program, server: LoopbackServer) -> Callable[[str], None]:
    """Configure `work/a`, priced, at the server; more of the file can follow."""

    def configure(more: str = "", provider: str = "") -> None:
        program.configure(
            f'default_model = "work/a"\n[providers.work]\nbase_url = "{server.base_url}"\n{provider}\n'
            '[models."work/a"]\ninput_per_mtok = 1\noutput_per_mtok = 10\n' + more
        )

    configure()
    return configure
