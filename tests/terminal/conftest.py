"""The real program in a real terminal: tmux types, and its pane is what a person would see."""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.loopback import LoopbackServer

pytestmark = pytest.mark.terminal


class Terminal:
    """One tmux server of its own, with one pane."""

    def __init__(self, folder: Path, size: tuple[int, int] = (120, 40)) -> None:
        self.home = folder / "home"
        self._folder = folder
        self._starts = 0
        self._socket = ""
        self._size = size

    def _tmux(self, *words: str) -> str:
        command = ["tmux", "-S", self._socket, "-f", "/dev/null", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def start(self, *arguments: str, **environment: str) -> None:
        """Start the program on this terminal's home; its exit code is shown when it ends."""
        self._starts += 1
        self._socket = str(self._folder / f"tmux-{self._starts}.sock")  # an old server may still be ending
        settings = {
            "TUI_CHAT_HOME": str(self.home),
            "HOME": str(self.home.parent),
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "TERM": "tmux-256color",
            **environment,
        }
        named = [f"{name}={value}" for name, value in settings.items()]
        program = ["env", "-i", *named, sys.executable, "-m", "tui_chat", *arguments]
        quoted = " ".join(f"'{word}'" for word in program)
        width, height = self._size
        self._tmux(
            "new-session", "-d", "-x", str(width), "-y", str(height), f"{quoted}; echo ended with $?; sleep 60"
        )  # fmt: skip
        self._tmux("set", "-g", "status", "off")

    def keys(self, *keys: str) -> None:
        self._tmux("send-keys", "--", *keys)

    def type(self, words: str) -> None:
        self._tmux("send-keys", "-l", "--", words)

    def paste(self, data: bytes) -> None:
        """Paste as a terminal does, between the marks of a bracketed paste."""
        file = self._folder / "paste"
        file.write_bytes(data)
        self._tmux("load-buffer", str(file))
        self._tmux("paste-buffer", "-p", "-r")

    def screen(self) -> str:
        return self._tmux("capture-pane", "-p")

    def until(self, condition: str | Callable[[str], object], timeout_s: float = 20) -> str:
        """Wait until the screen shows something; return the screen."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            screen = self.screen()
            if condition in screen if isinstance(condition, str) else condition(screen):
                return screen
            time.sleep(0.02)
        pytest.fail(f"never shown: {condition}\n{self.screen()}")

    def on_disk(self, words: str) -> Callable[[str], bool]:
        """Whether the history holds these words, as a condition to wait for."""

        def holds(_screen: str) -> bool:
            database = sqlite3.connect(f"file:{self.home / 'chats.db'}?mode=ro", uri=True)
            try:
                return words in str(list(database.iterdump()))
            finally:
                database.close()

        return holds

    def pid(self) -> int:
        """The process of the program."""
        pane = self._tmux("display-message", "-p", "#{pane_pid}").strip()
        found = subprocess.run(["pgrep", "-P", pane], capture_output=True, text=True, check=False).stdout.split()
        return int(found[0])

    def close(self) -> None:
        subprocess.run(["tmux", "-S", self._socket, "kill-server"], capture_output=True, check=False)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    if shutil.which("tmux") is None:
        pytest.skip("needs tmux")
    terminal = Terminal(tmp_path)
    yield terminal
    terminal.close()


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as server:
        yield server


@pytest.fixture
def configured(terminal: Terminal, server: LoopbackServer) -> Terminal:
    """A terminal whose home knows the loopback server as `work/a`."""
    terminal.home.mkdir(mode=0o700)
    (terminal.home / "config.toml").write_text(
        f'default_model = "work/a"\n[providers.work]\nkind = "openai"\nbase_url = "{server.base_url}"\nmodels = ["a"]\n'
    )
    return terminal
