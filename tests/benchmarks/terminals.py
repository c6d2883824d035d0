"""Programs in a terminal of their own, for what only the outside can measure: start-up and idling."""

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
BARE = """
from textual.app import App
from textual.widgets import Static

class Bare(App):
    def compose(self):
        yield Static("sk anything")

Bare().run()
"""
MARK = b"sk anything"
"""On the first screen of both: our prompt says `Ask anything`, with the cursor on its first letter."""
OURS, THEIRS = ("-m", "tui_chat"), ("-c", BARE)


@dataclass
class Program:
    """A Python program in a 120×40 terminal, as far as its first painted screen."""

    pid: int
    terminal: int
    first_paint_s: float
    """Wall clock."""

    @classmethod
    def start(cls, arguments: tuple[str, ...], home: Path) -> "Program":
        start = time.perf_counter()
        pid, terminal = pty.fork()
        if pid == 0:
            environ = {
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT),
                "HOME": str(home),
                "TUI_CHAT_HOME": str(home / "tui-chat"),
                "TERM": "xterm-256color",
                "COLORTERM": "truecolor",
                "LANG": "C.UTF-8",
                "COLUMNS": "120",
                "LINES": "40",
            }
            os.execve(sys.executable, [sys.executable, *arguments], environ)  # noqa: S606  ourselves, in a terminal
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        seen = b""
        while MARK not in seen:
            if not select.select([terminal], [], [], 60)[0]:
                raise TimeoutError("nothing was painted")
            seen += os.read(terminal, 65536)
        return cls(pid, terminal, time.perf_counter() - start)

    def watch(self, seconds: float) -> float:
        """Let it be, read what it writes; return the processor seconds that it took meanwhile."""
        before, end = self._cpu_s(), time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self.terminal], [], [], left)[0]:
                os.read(self.terminal, 65536)
        return self._cpu_s() - before

    def _cpu_s(self) -> float:
        """Processor time of all its threads, in nanoseconds where the system counts them."""
        tasks = Path(f"/proc/{self.pid}/task")
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()) / 1e9

    def kill(self) -> float:
        """End it at once; return the processor seconds of its life."""
        os.kill(self.pid, signal.SIGKILL)
        _, _, used = os.wait4(self.pid, 0)
        os.close(self.terminal)
        return used.ru_utime + used.ru_stime
