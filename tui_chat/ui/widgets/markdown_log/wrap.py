"""Cutting styled text into rows by terminal cells.

Textual's and Rich's wrapping forget which row ends were in the text and which are only the edge of the screen, and what
stood at the break. Both are needed to copy a selection as it was written, so each row says what joins it to the one
above.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from rich.cells import cell_len, chop_cells
from rich.segment import Segment
from rich.style import Style


class Piece(NamedTuple):
    """A run of text in one style."""

    text: str
    style: Style | None
    target: str = ""
    """Where it leads."""
    source: str | None = None
    """What copying yields instead of it."""


class Link(NamedTuple):
    """A part of a row that leads somewhere."""

    start: int
    """Its first cell in the row as drawn."""
    end: int
    """The cell after its last one."""
    target: str
    """As it was written: http, https or mailto."""


class Swap(NamedTuple):
    """A part of a row that is copied as something else: the whole source where it begins, nothing where it goes on."""

    start: int
    """Its first character in the row as drawn."""
    end: int
    """The character after its last one."""
    source: str


_WIDE: Final = (
    "\u2e80-\u303f\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6\U00020000-\U0003fffd"
)
_CLOSING: Final = "、。，．：；？！）］｝」』】〉》〕”’"
_UNIT: Final = re.compile(
    rf"[^\S\u00a0\u202f]+|[{_WIDE}][{_CLOSING}]*|(?:[^\s{_WIDE}]|[\u00a0\u202f])+",
)


class Wrapped(NamedTuple):
    """One row of wrapped text."""

    segments: list[Segment]
    text: str
    glue: str
    """What stood between the row above and this one: a line feed, the space at the break, or nothing."""
    start: int = 0
    """Its first character in the text of all pieces."""
    links: tuple[Link, ...] = ()
    swaps: tuple[Swap, ...] = ()


def wrap(pieces: Sequence[Piece], width: int, *, hanging: int = 0, keep_spaces: bool = False) -> list[Wrapped]:
    """Rows of at most `width` cells; there is always at least one.

    `hanging` narrows all rows but the first of a line by so many cells. With `keep_spaces` the spaces at a break stay.
    """
    plain = "".join([piece[0] for piece in pieces])
    rows: list[Wrapped] = []
    at = 0
    cutter = _Cutter(pieces)
    marked = any(piece.target or piece.source is not None for piece in pieces)
    for line in plain.split("\n"):
        glue = "\n"
        for start, end, following in _breaks(line, max(1, width), hanging, keep_spaces=keep_spaces):
            first, offset = cutter.at
            segments = cutter.cut(at + start, at + end)
            row = Wrapped(segments, line[start:end], glue, at + start)
            rows.append(_with_marks(row, pieces, first, offset) if marked else row)
            glue = line[end:following]
        at += len(line) + 1
    return rows


def width_of(segments: Sequence[Segment]) -> int:
    """Cells of a row."""
    return sum(cell_len(segment.text) for segment in segments)


def rest_of(pieces: Sequence[Piece], row: Wrapped) -> list[Piece]:
    """The pieces from the beginning of a row on."""
    rest: list[Piece] = []
    start = 0
    for piece in pieces:
        kept = piece.text[max(0, row.start - start) :]
        if kept and len(kept) == len(piece.text):
            rest.append(piece)
        elif kept:
            rest.append(Piece(kept, piece.style, piece.target, None if piece.source is None else ""))
        start += len(piece.text)
    return rest


def _with_marks(row: Wrapped, pieces: Sequence[Piece], index: int, at: int) -> Wrapped:
    """A row with the links and swaps in it; no piece before `index` reaches into it, and that one begins at `at`."""
    links: list[Link] = []
    swaps: list[Swap] = []
    end = row.start + len(row.text)
    while index < len(pieces) and at < end:
        piece = pieces[index]
        index += 1
        if not piece.target and piece.source is None:
            at += len(piece.text)
            continue
        first, last = max(at, row.start), min(at + len(piece.text), end)
        if first < last and piece.target:
            left = cell_len(row.text[: first - row.start])
            right = left + cell_len(row.text[first - row.start : last - row.start])
            if links and links[-1].end == left and links[-1].target == piece.target:
                left = links.pop().start
            links.append(Link(left, right, piece.target))
        if first < last and piece.source is not None:
            swaps.append(Swap(first - row.start, last - row.start, piece.source if first == at else ""))
        at += len(piece.text)
    if not links and not swaps:
        return row
    goes_on = bool(swaps) and swaps[0].start == 0 and not swaps[0].source
    glue = "" if goes_on else row.glue
    return Wrapped(row.segments, row.text, glue, row.start, tuple(links), tuple(swaps))


class _Cutter:
    """Slices pieces by ascending character ranges without looking at any piece twice."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._pieces = pieces
        self._index = 0
        self._start = 0

    @property
    def at(self) -> tuple[int, int]:
        """Index of the first piece that is not done with, and its first character."""
        return self._index, self._start

    def cut(self, start: int, end: int) -> list[Segment]:
        segments: list[Segment] = []
        while self._index < len(self._pieces):
            text, style, _, _ = self._pieces[self._index]
            piece_end = self._start + len(text)
            if part := text[max(0, start - self._start) : max(0, end - self._start)]:
                segments.append(Segment(part, style))
            if piece_end > end:
                break
            self._start = piece_end
            self._index += 1
        return segments


def _breaks(line: str, width: int, hanging: int, *, keep_spaces: bool) -> Iterator[tuple[int, int, int]]:
    """Start and end of each row in a line, and the start of the next."""
    if cell_len(line) <= width:
        yield 0, len(line), len(line)
        return
    start = end = 0  # of the row at hand, trailing spaces not counted
    used = 0
    room = width
    for match in _UNIT.finditer(line):
        unit = match.group()
        cells = cell_len(unit)
        if unit.isspace() and not keep_spaces and "\u00a0" not in unit:
            used += cells  # may hang over the edge: dropped when a break follows
            continue
        if used + cells <= room:
            used += cells
            end = match.end()
            continue
        if end > start:
            yield start, end, end if keep_spaces else match.start()
            start = end if keep_spaces else match.start()
            room = max(1, width - hanging)
        at = start
        for chunk in _chunks(unit if start == match.start() else line[start : match.end()], room):
            if at > start:
                yield start, at, at
                room = max(1, width - hanging)
                start = at
            at += len(chunk)
            used = cell_len(chunk)
        end = match.end()
    yield start, end if not keep_spaces else len(line), len(line)


def _chunks(text: str, width: int) -> list[str]:
    """A word cut into parts that fit; a character wider than the width stays whole."""
    chunks = [chunk for chunk in chop_cells(text, width) if chunk]
    rest = text[sum(map(len, chunks)) :]
    return [*chunks, rest] if rest else chunks
