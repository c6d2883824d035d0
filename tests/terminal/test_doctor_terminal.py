"""`doctor` in a terminal: what it asks of it, and that it leaves it as it was."""

import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.terminal

LAUNCHER = """
import os, sys
os.close(os.open(os.ttyname(0), os.O_RDWR))  # makes it the controlling terminal
os.execv(sys.executable, [sys.executable, "-m", "tui_chat", "doctor"])
"""


def in_tmux(terminal, escape_ms: int) -> None:
    """Run doctor as a shell in tmux would: with what tmux tells its programs of itself."""
    terminal.start("--version")
    terminal.until("ended with 0")
    terminal._tmux("set", "-s", "escape-time", str(escape_ms))
    terminal._tmux("respawn-pane", "-k", f"{doctor_in(terminal.home)}; echo ended with $?; sleep 60")


def test_in_tmux_it_names_what_holds_esc_back_and_leaves_the_terminal_as_it_was(terminal):
    in_tmux(terminal, 500)
    words = " ".join(terminal.until("ended with 0").split())
    assert "holds Esc back for 500 ms" in words
    assert "set -s escape-time 10" in words
    assert "set-clipboard external" in words
    assert "as they should be (漢 2, ● 1, 🙂 2)" in words
    assert "! 1 warning: terminal.tmux" in words
    terminal.type("typed afterwards")
    terminal.until("typed afterwards")  # echoed: the terminal is in its usual mode again


def test_when_tmux_passes_esc_on_at_once_all_is_well(terminal):
    in_tmux(terminal, 10)
    assert "all is well" in terminal.until("ended with 0")


def doctor_in(home: Path) -> str:
    path = Path(__file__).parents[2]
    return (
        f"env -u SSL_CERT_FILE -u SSL_CERT_DIR -u GITHUB_TOKEN TUI_CHAT_HOME='{home}' LANG=C.UTF-8 "
        f"PYTHONPATH='{path}' '{sys.executable}' -m tui_chat doctor"
    )


def played(tmp_path: Path, answer: Callable[[bytes], bytes], config: str = "", **environment: str) -> str:
    """Run doctor in a terminal whose answers are played; return what it printed, and check that its mode came back."""
    home = tmp_path / "home"
    home.mkdir(0o700)
    if config:
        (home / "config.toml").write_text(config)
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "TUI_CHAT_HOME": str(home),
        "HOME": str(tmp_path),
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        **environment,
    }
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    shown = b""
    with subprocess.Popen(
        [sys.executable, "-c", LAUNCHER],
        stdin=theirs, stdout=theirs, stderr=theirs, env=environ, start_new_session=True,
    ) as process:  # fmt: skip
        end = time.monotonic() + 20
        while time.monotonic() < end and (process.poll() is None or select.select([ours], [], [], 0)[0]):
            if select.select([ours], [], [], 0.1)[0]:
                piece = os.read(ours, 65536)
                shown += piece
                if said := answer(piece):
                    os.write(ours, said)
        assert process.poll() == 0, shown.decode()
    assert termios.tcgetattr(theirs) == before
    os.set_blocking(theirs, False)
    with pytest.raises(BlockingIOError):  # nothing is left that a shell would take for typed
        os.read(theirs, 100)
    os.close(ours)
    os.close(theirs)
    return " ".join(re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", shown.decode()).split())


def xterm(ambiguous: int, *, kitty: bool = False) -> Callable[[bytes], bytes]:
    def answer(asked: bytes) -> bytes:
        said = b"\x1b[?1u" if kitty and b"\x1b[?u" in asked else b""
        said += b"\x1b[?62;22c" if b"\x1b[c" in asked else b""
        widths = {"漢": 2, "●": ambiguous, "🙂": 2}
        for glyph in re.findall(rb"\r([^\x1b]+)\x1b\[6n", asked):
            said += b"\x1b[5;%dR" % (1 + widths[glyph.decode()])
        return said

    return answer


def test_a_terminal_that_draws_ambiguous_characters_wide_is_told_of_the_setting(tmp_path):
    shown = played(tmp_path, xterm(2))
    assert "ambiguous characters are drawn two wide (漢 2, ● 2, 🙂 2)" in shown
    assert '[ui] glyphs = "ascii"' in shown
    assert shown.endswith("! 1 warning: terminal.widths")


def test_with_ascii_glyphs_wide_ones_do_no_harm(tmp_path):
    assert "all is well" in played(tmp_path, xterm(2), '[ui]\nglyphs = "ascii"\n')


def test_the_kitty_protocol_and_true_colour_are_recognised(tmp_path):
    shown = played(tmp_path, xterm(1, kitty=True), COLORTERM="truecolor")
    assert "kitty protocol: Shift+Enter" in shown
    assert "truecolor (xterm-256color, COLORTERM truecolor)" in shown


def test_a_terminal_that_answers_nothing_is_not_waited_for_long(tmp_path):
    since = time.monotonic()
    assert "it answers no questions" in played(tmp_path, lambda _: b"")
    assert time.monotonic() - since < 8


def test_a_dumb_terminal_is_not_asked_and_not_coloured(tmp_path):
    asked: list[bytes] = []

    def heard(piece: bytes) -> bytes:
        asked.append(piece)
        return b""

    shown = played(tmp_path, heard, TERM="dumb")
    assert b"\x1b" not in b"".join(asked)
    assert "TERM is dumb" in shown


def test_over_ssh_copying_takes_the_terminals_own_way(tmp_path):
    assert "over SSH: OSC 52" in played(tmp_path, xterm(1), SSH_CONNECTION="1.2.3.4 5 6.7.8.9 22")
