"""`tui-chat doctor`: looks at everything the program stands on, and says what to do where something is wrong.

What is wrong stands at the end, next to the prompt, where the eye is when it is through.
"""

import json
import os
import sys
import textwrap
from collections.abc import Iterator

from tui_chat.bootstrap import Ground
from tui_chat.commands.output import Stdout, StdoutBrokenError, StdoutClosedError, say
from tui_chat.core.errors import ConfigurationError
from tui_chat.core.safe_text import one_line
from tui_chat.doctor.check import Check

_MARKS = {"ok": "✓", "warn": "!", "fail": "✗"}
_ASCII = {"✓": "+", "✗": "x", "→": "->", "×": "x", "–": "-", "…": "..."}
_COLOURS = {"ok": "32", "warn": "33", "fail": "31"}
_LONGEST = 1000
_SLOW_BEHIND = "network"
"""The group behind which the one comes that takes seconds."""
_NAMES = 13
"""Columns for the names, so that the groups, printed as they come, stand in line."""


def doctor(*, as_json: bool) -> int:
    """Print every check; return the exit code: 1 when one failed."""
    stdout = Stdout()
    page = _Page(stdout)
    done: list[Check] = []
    try:
        for group in _groups():
            done += group
            if not as_json:
                stdout.write_now(page.group(group))
        stdout.write_now(_json(done) if as_json else page.end(done))
    except StdoutClosedError:
        return 141
    except StdoutBrokenError as failed:
        say(f"error: {failed}")
        return 1
    return int(_has_failed(done))


def _has_failed(checks: list[Check]) -> bool:
    return any(check.status == "fail" for check in checks)


def _groups() -> Iterator[list[Check]]:
    """Make the checks, one group after the other, each clean."""
    from tui_chat.doctor import files, history, network, providers, terminal

    try:
        ground, broken = Ground.lay(), None
    except ConfigurationError as failed:
        ground, broken = Ground.lay(defaults=True), failed

    def clean(checks: list[Check]) -> list[Check]:
        return [_clean(check, ground) for check in checks]

    yield clean(files.versions(os.environ))
    yield clean(files.config(ground, broken))
    yield clean(files.files(ground))
    checks, last_model = history.history(ground)
    yield clean(checks)
    yield clean(network.network(ground, os.environ))
    yield clean(providers.providers(ground, last_model))
    yield clean(terminal.terminal(os.environ, ascii_glyphs=ground.config.ui.glyphs == "ascii"))


def _clean(check: Check, ground: Ground) -> Check:
    """Take out keys, then controls: a name, a path or a server's words may hold either."""

    def cleaned(text: str) -> str:
        return one_line(ground.secrets.clean(text), _LONGEST)

    step = cleaned(check.next_step) if check.next_step else None
    return Check(check.group, one_line(check.name, 60), check.status, cleaned(check.detail), step)


def _json(checks: list[Check]) -> str:
    listed = [
        {"name": check.full_name, "status": check.status, "detail": check.detail, "next_step": check.next_step}
        for check in checks
    ]
    return json.dumps({"ok": not _has_failed(checks), "checks": listed}, ensure_ascii=True, indent=1) + "\n"


class _Page:
    """Checks as a person reads them."""

    def __init__(self, stdout: Stdout) -> None:
        plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM", "dumb") == "dumb"
        self._coloured = stdout.is_terminal and not plain
        encoding = (sys.stdout.encoding if sys.stdout is not None else None) or "utf-8"
        try:
            "".join(_ASCII).encode(encoding)
            self._ascii = False
        except UnicodeEncodeError:
            self._ascii = True
        self._width = os.get_terminal_size(sys.stdout.fileno()).columns if stdout.is_terminal else 0
        self._before = ""
        self._clear = ""
        """What takes the last line away, which only says what is waited for."""

    def group(self, checks: list[Check]) -> str:
        lines = []
        for check in checks:
            if check.group != self._before:
                lines.append("")
                if check.group != check.name:  # the only one of its group is its own heading
                    lines.append(self._styled(check.group, "1"))
            self._before = check.group
            lines += self._lines(check)
        text, self._clear = self._clear + self._text(lines), ""
        if self._before == _SLOW_BEHIND and self._coloured:
            self._clear = "\r\x1b[K"
            text += "  asking the providers"
        return text

    def end(self, checks: list[Check]) -> str:
        """Return the summary, which repeats what needs somebody."""
        lines = [""]
        for status, one, many in (("fail", "problem", "problems"), ("warn", "warning", "warnings")):
            found = [check for check in checks if check.status == status]
            if found:
                names = ", ".join(check.full_name for check in found)
                head = f"{_MARKS[status]} {len(found)} {one if len(found) == 1 else many}"
                lines.append(f"{self._styled(head, _COLOURS[status])}: {names}")
        if len(lines) == 1:
            lines.append(self._styled(f"{_MARKS['ok']} all is well", _COLOURS["ok"]))
        return self._text(lines)

    def _lines(self, check: Check) -> list[str]:
        mark = self._styled(_MARKS[check.status], _COLOURS[check.status])
        first, *rest = self._wrapped(check.detail, 4 + _NAMES + 1)
        lines = [f"  {mark} {check.name:{_NAMES}} {first}", *(f"{'':{5 + _NAMES}}{line}" for line in rest)]
        if check.next_step:
            for number, line in enumerate(self._wrapped(check.next_step, 5 + _NAMES + 2)):
                lead = f"{'':{5 + _NAMES}}" + ("  " if number else "→ ")
                lines.append(lead + self._styled(line, "36" if check.status == "ok" else "1;36"))
        return lines

    def _wrapped(self, text: str, indent: int) -> list[str]:
        if self._width - indent < 20:
            return [text]
        wrap = textwrap.wrap(text, self._width - indent, break_long_words=False, break_on_hyphens=False)
        return wrap or [""]

    def _styled(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[m" if self._coloured else text

    def _text(self, lines: list[str]) -> str:
        text = "".join(f"{line}\n" for line in lines)
        if self._ascii:
            for glyph, plain in _ASCII.items():
                text = text.replace(glyph, plain)
        return text
