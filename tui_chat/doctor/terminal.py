"""The terminal: what it says of itself, what it draws how wide, what tmux does to keys and copies.

It is asked with queries that every terminal answers or swallows. Behind each goes the one query that all of them answer
(DA1, or the cursor's position), so that nobody waits for an answer that will not come; what comes late is thrown away,
or it would stand in the shell's prompt.
"""

import os
import re
import select
import shutil
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from tui_chat.doctor.check import Check

_ANSWER_S = 1.0
"""How long an answer may take: over a slow connection a good part of a second."""
_DA1 = re.compile(rb"\x1b\[\?[\d;]*c")
_KITTY = re.compile(rb"\x1b\[\?(\d+)u")
_CURSOR = re.compile(rb"\x1b\[\d+;(\d+)R")
_DRAWN = (("漢", 2, "a wide character"), ("●", 1, "the dot"), ("🙂", 2, "an emoji"))
_ESCAPE_MS = 50
_SMALL = (60, 15)
_NO_TERMINAL = ("", "dumb", "unknown")


def terminal(environ: Mapping[str, str], *, ascii_glyphs: bool) -> list[Check]:
    if not (sys.stdin and sys.stdin.isatty() and sys.stdout and sys.stdout.isatty()):
        return [Check("terminal", "terminal", "ok", "not a terminal: skipped")]
    checks = [_kind(environ), _size(), _encoding()]
    if environ.get("TERM", "") not in _NO_TERMINAL:
        with suppress(OSError, ValueError, termios.error):  # a terminal that cannot be asked is not broken
            checks += _asked(sys.stdin.fileno(), sys.stdout.fileno(), ascii_glyphs=ascii_glyphs)
    if environ.get("TMUX"):
        checks += _tmux()
    return [*checks, _clipboard(environ)]


def _kind(environ: Mapping[str, str]) -> Check:
    term, more = environ.get("TERM", ""), environ.get("COLORTERM", "").lower()
    if term in _NO_TERMINAL:
        detail = f"TERM is {term or 'not set'}: the app draws for a terminal that can move its cursor"
        return Check("terminal", "TERM", "warn", detail, "export TERM=xterm-256color, or use another terminal")
    if more in ("truecolor", "24bit") or term.endswith("-direct"):
        colours = "truecolor"
    else:
        colours = "256 colours" if "256color" in term or term.endswith("kitty") else "16 colours"
    said = f"{term}, COLORTERM {more}" if more else term
    off = "; NO_COLOR is set, so none are used" if environ.get("NO_COLOR") else ""
    step = None
    if colours == "16 colours" and not off:
        step = "export COLORTERM=truecolor, if the terminal can"
    return Check("terminal", "colours", "ok", f"{colours} ({said}){off}", step)


def _size() -> Check:
    columns, rows = os.get_terminal_size(sys.stdout.fileno())
    small = columns < _SMALL[0] or rows < _SMALL[1]
    narrow = "; under 100 columns the list of chats hides" if columns < 100 else ""
    more = "; so small that only the prompt, the last answer and one meter line fit" if small else narrow
    return Check("terminal", "size", "ok", f"{columns}×{rows}{more}")


def _encoding() -> Check:
    encoding = sys.stdout.encoding or "?"
    if encoding.lower().replace("-", "") == "utf8":
        return Check("terminal", "encoding", "ok", "UTF-8")
    return Check(
        "terminal", "encoding", "warn", f"{encoding}: the app writes UTF-8 all the same", "export LC_ALL=C.UTF-8"
    )


# asking


@contextmanager
def _quiet(source: int) -> Iterator[None]:
    """Take what is typed unechoed and at once, and give the terminal back as it was, with nothing left to read."""
    before = termios.tcgetattr(source)
    changed = termios.tcgetattr(source)
    changed[3] &= ~(termios.ICANON | termios.ECHO)
    changed[6][termios.VMIN], changed[6][termios.VTIME] = 1, 0
    try:
        termios.tcsetattr(source, termios.TCSADRAIN, changed)
        yield
    finally:
        termios.tcsetattr(source, termios.TCSAFLUSH, before)


def _ask(source: int, target: int, query: bytes, last: re.Pattern[bytes], count: int = 1) -> bytes:
    """Send a query; return what came until `last` came so often, or until it is too late."""
    os.write(target, query)
    answer, end_s = b"", time.monotonic() + _ANSWER_S
    while len(last.findall(answer)) < count and (left_s := end_s - time.monotonic()) > 0:
        if select.select([source], [], [], left_s)[0]:
            piece = os.read(source, 1024)
            if not piece:
                break
            answer += piece
    return answer


def _asked(source: int, target: int, *, ascii_glyphs: bool) -> list[Check]:
    """Raises OSError, termios.error."""
    if os.tcgetpgrp(source) != os.getpgrp():
        return []  # in the background: to change the terminal would stop us
    with _quiet(source):
        said = _ask(source, target, b"\x1b[?u\x1b[c", _DA1)
        if not _DA1.search(said):
            detail = "it answers no questions, so its keys and widths are not known"
            return [Check("terminal", "answers", "ok", detail)]
        checks = [_keys(kitty=_KITTY.search(said) is not None)]
        if (sys.stdout.encoding or "").lower().replace("-", "") == "utf8":
            drawn = b"".join(b"\r" + glyph.encode() + b"\x1b[6n" for glyph, _, _ in _DRAWN)
            try:
                places = _CURSOR.findall(_ask(source, target, drawn, _CURSOR, len(_DRAWN)))
            finally:
                os.write(target, b"\r\x1b[K")
            if len(places) == len(_DRAWN):
                checks.append(_widths([int(column) - 1 for column in places], ascii_glyphs=ascii_glyphs))
    return checks


def _keys(*, kitty: bool) -> Check:
    if kitty:
        return Check("terminal", "keys", "ok", "kitty protocol: Shift+Enter and a lone Esc are told at once")
    return Check("terminal", "keys", "ok", "no kitty protocol: Ctrl+J makes a new line, Shift+Enter may not")


def _widths(widths: list[int], *, ascii_glyphs: bool) -> Check:
    drawn = ", ".join(f"{glyph} {width}" for (glyph, _, _), width in zip(_DRAWN, widths, strict=True))
    if widths[1] == 2 and ascii_glyphs:
        return Check(
            "terminal", "widths", "ok", f'ambiguous characters are two wide ({drawn}), so glyphs = "ascii" helps'
        )
    if widths[1] == 2:
        detail = f"ambiguous characters are drawn two wide ({drawn}): lines would not fit"
        step = '[ui] glyphs = "ascii" in config.toml, or ambiguous width = narrow in the terminal\'s settings'
        return Check("terminal", "widths", "warn", detail, step)
    wrong = [what for (_, right, what), width in zip(_DRAWN, widths, strict=True) if width != right]
    if wrong:
        detail = f"{' and '.join(wrong)} is not as wide as it should be ({drawn}): lines with one may shift"
        return Check("terminal", "widths", "warn", detail, "a newer terminal, or a UTF-8 locale for it, helps")
    return Check("terminal", "widths", "ok", f"as they should be ({drawn})")


# around it


def _tmux() -> list[Check]:
    names = ("escape-time", "set-clipboard", "allow-passthrough", "extended-keys")
    options = {name: value for name in names if (value := _tmux_option(name))}
    shown = ", ".join(f"{name} {value}" for name, value in options.items()) or "does not say its options"
    checks = []
    delay = options.get("escape-time", "")
    if delay.isdecimal() and int(delay) > _ESCAPE_MS:
        detail = f"holds Esc back for {delay} ms, so stopping an answer with it is slow (Ctrl+C is not)"
        checks.append(Check("terminal", "tmux", "warn", detail, "set -s escape-time 10 in ~/.tmux.conf"))
    if options.get("set-clipboard") == "off":
        detail = "set-clipboard is off: what is copied stays inside tmux"
        checks.append(Check("terminal", "tmux clipboard", "warn", detail, "set -s set-clipboard on in ~/.tmux.conf"))
    return [*checks, Check("terminal", "tmux options", "ok", shown)]


def _tmux_option(name: str) -> str:
    program = shutil.which("tmux")
    if program is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603  a constant, found on the user's path
            [program, "show", "-gv", name], stdin=subprocess.DEVNULL, capture_output=True, timeout=2, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "replace").strip()[:40]


def _clipboard(environ: Mapping[str, str]) -> Check:
    """Say which way `ui/clipboard.py` will take."""
    if environ.get("TMUX"):
        return Check("terminal", "clipboard", "ok", "tmux's buffer, and through it the terminal's clipboard")
    if environ.get("SSH_CONNECTION"):
        detail = "over SSH: OSC 52, so the terminal on your side must allow programs to set its clipboard"
        return Check("terminal", "clipboard", "ok", detail)
    tools = (("WAYLAND_DISPLAY", "wl-copy"), ("DISPLAY", "xclip"), ("", "pbcopy"))
    for variable, tool in tools:
        if (not variable or environ.get(variable)) and shutil.which(tool):
            return Check("terminal", "clipboard", "ok", tool)
    wanted = next((tool for variable, tool in tools[:2] if environ.get(variable)), None)
    step = f"install {wanted}, if copying does not work" if wanted else None
    other = " (xsel is there, but not used)" if shutil.which("xsel") else ""
    return Check("terminal", "clipboard", "ok", f"OSC 52, which most terminals take{other}", step)
