"""What half-arrived markdown most likely means, so that nothing flickers while a text streams.

Only the picture of the running end is touched: the source, and everything that is sealed, never see this.
"""

from __future__ import annotations

import re
from typing import Final

from tui_chat.ui.widgets.markdown_log.formulas import OPENER, WHOLE, healed, in_display

_LEAD: Final = r"^[ \t>]*(?:(?:[-+*]|\d{1,9}[.)])[ \t]+)*"
_FENCE: Final = re.compile(_LEAD + r"(`{3,}|~{3,})(.*)$")
_MARKERS_ONLY: Final = re.compile(
    r"^[ \t>]*(?:[-=*_#>~`|+]+|(?:[-+*]|\d{1,9}[.)])(?:[ \t]+(?:[*_~`]*|\[[ xX]?\]?))?)[ \t]*$"
)
_DISPLAY_PART: Final = re.compile(_LEAD + r"(?:\$\$?|\\\[?)$")
_NUMBER_ONLY: Final = re.compile(r"^[ \t>]*\d{1,3}$")
_FENCE_PART: Final = re.compile(r"^[ \t>]*(`{1,}|~{1,})[ \t]*$")
_TABLE_HEAD: Final = re.compile(_LEAD + r"\|.*\|")
_TABLE_START: Final = re.compile(_LEAD + r"\|.*[^\s|]")
_DELIMITER_PART: Final = re.compile(r"^[ \t>]*[|:\- \t]*$")
_CELL_EDGE: Final = re.compile(r"(?<!\\)\|")
_OPEN_LINK: Final = re.compile(r"(!?)\[([^\[\]]*)\]\([^()\s]*$")
_TRAILING_MARKS: Final = re.compile(r"(?<![\\*_~`])[*_~`]+$")
_HALF_ESCAPE: Final = re.compile(r"(?<!\\)(?:\\\\)*(\\)\Z")
_RUN: Final = re.compile(rf"(?=[$\\`*~_])(?:(?P<whole>{WHOLE})|(?P<opener>{OPENER})|\\.|`+|\*+|~~|_+)", re.DOTALL)


def heal_block(text: str) -> str:
    """The text with its last, unfinished line completed, or left out while it consists of markers only."""
    head, newline, last = text.rpartition("\n")
    fence = _open_fence(head) if newline else None
    if fence is not None:
        part = _FENCE_PART.match(last)
        return (
            head + newline
            if part and last and part.group(1)[0] == fence[0] and len(part.group(1)) < len(fence)
            else text
        )
    if in_display(head):
        return text
    previous = head.rpartition("\n")[2]
    if _DISPLAY_PART.match(last):
        return head + newline
    if _DELIMITER_PART.match(last) and _TABLE_HEAD.match(previous) and not _in_table(head):
        return head + newline + _delimiter(previous)
    if last and _MARKERS_ONLY.match(last) and not _FENCE.match(last):
        return head + newline
    if previous.strip() and _NUMBER_ONLY.match(last):
        return head + newline
    if _TABLE_START.match(last) and not _TABLE_HEAD.match(previous):
        closed = last if last.rstrip().endswith("|") else last + " |"
        return head + newline + closed + "\n" + _delimiter(closed)
    return text


def heal_inline(text: str) -> str:
    """The content of the last paragraph with open formulas, emphasis, code and links closed."""
    if (match := _HALF_ESCAPE.search(text)) is not None:
        text = text[: match.start(1)]
    opened, formula = _open_runs(text)
    if formula is not None:
        at, opener = formula
        return text[:at] + healed(opener, text[at + len(opener) :]) + "".join(reversed(opened))
    text = _OPEN_LINK.sub(lambda match: f"{match[1]}[{match[2]}](<>)" if match[2] else "", text)
    stripped = _TRAILING_MARKS.sub("", text)
    trailing = text[len(stripped) :]
    if trailing:
        opened, _ = _open_runs(stripped)
    if trailing and (not opened or opened[-1] != trailing):
        text = stripped
        if trailing and opened and set(trailing) == set(opened[-1]) and len(trailing) >= len(opened[-1]):
            text += trailing
            opened = opened[:-1]
    elif trailing:
        opened = opened[:-1]
    if not opened:
        return text
    body = text.rstrip()
    return body + "".join(reversed(opened)) if body else text


def has_open_formula(text: str) -> bool:
    """Whether a formula was opened in a line and not closed."""
    return _open_runs(text)[1] is not None


def _open_fence(text: str) -> str | None:
    fence: str | None = None
    for line in text.split("\n"):
        if (match := _FENCE.match(line)) is None:
            continue
        marker, info = match.groups()
        if fence is None:
            if marker[0] != "`" or "`" not in info:
                fence = marker
        elif marker[0] == fence[0] and len(marker) >= len(fence) and not info.strip():
            fence = None
    return fence


def _in_table(text: str) -> bool:
    """Whether the line before the last one already belongs to a table or a paragraph with bars."""
    lines = text.rsplit("\n", 2)
    return len(lines) > 1 and _TABLE_HEAD.match(lines[-2]) is not None


def _delimiter(head: str) -> str:
    lead = re.match(r"^[ \t>]*", head)
    columns = len(_CELL_EDGE.findall(head.strip().rstrip("|"))) or 1
    return (lead[0] if lead else "") + "|" + "---|" * columns


def _open_runs(text: str) -> tuple[list[str], tuple[int, str] | None]:
    """The emphasis and code markers that were opened and not closed, outermost first, and an open formula's opener."""
    opened: list[str] = []
    for match in _RUN.finditer(text):
        run = match.group()
        in_code = bool(opened) and opened[-1][0] == "`"
        if match["whole"]:
            continue
        if match["opener"]:
            if not in_code:
                return opened, (match.start(), run)
            continue
        if run[0] == "\\" or len(run) > 3:
            continue
        if in_code:
            if run == opened[-1]:
                opened.pop()
            continue
        before = text[match.start() - 1 : match.start()]
        after = text[match.end() : match.end() + 1]
        if run in opened and before.strip():
            del opened[opened.index(run) :]
        elif run[0] == "`" or (after.strip() and not before.isalnum()):
            opened.append(run)
    return opened, None
