"""What a turn is stacked from: short lines, and markdown texts of any length.

A section that shows nothing just now has no height but keeps its place in the stack, so that a place in a turn is told
by the number of its section.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol, TypeAlias

from rich.style import Style
from textual.content import Content
from textual.strip import Strip

from tui_chat.ui.widgets.markdown_log.log_rows import LogRows, Mark
from tui_chat.ui.widgets.markdown_log.render import Row
from tui_chat.ui.widgets.transcript.look import Look

NOTHING = Row(Strip([]), "", 0, "")

Ground: TypeAlias = Literal["page", "band", "head"]
"""What lines stand on: the page, the band of a prompt, the surface of a column's head."""


class ColumnMark(NamedTuple):
    """A place in one of several columns."""

    column: int
    place: "Place"


class Place(NamedTuple):
    """A place in a stack."""

    section: int
    mark: "Spot"


Spot: TypeAlias = Mark | ColumnMark
"""A place in a section."""


class Section(Protocol):
    """Rows of one kind."""

    cursor: bool
    """The transcript's cursor stands beside it."""

    @property
    def height(self) -> int: ...

    def lay_out(self, look: Look) -> None:
        """Use a look from now on."""
        ...

    def repaint(self) -> None:
        """Paint every row anew: the cursor came or went."""
        ...

    def ensure(self, top: int, bottom: int) -> None:
        """Make the heights exact from one row to another."""
        ...

    def ensure_above(self, y: int, rows: int) -> None:
        """Make the heights of so many rows above a row exact."""
        ...

    def forget_far(self, top: int, bottom: int) -> None:
        """Let go of drawn rows far from those in view."""
        ...

    def strip(self, y: int) -> Strip:
        """A row as it is painted, as wide as the transcript."""
        ...

    def row(self, y: int) -> Row:
        """What a row says."""
        ...

    def mark(self, y: int) -> Spot:
        """The place of a row, to find it again when heights were corrected."""
        ...

    def row_of(self, mark: Spot) -> int: ...


class Lines:
    """A few lines of content: a prompt, a head, a foot."""

    def __init__(self, ground: Ground = "page") -> None:
        self.cursor = False
        self.gap_above = 0
        self.gap_below = 0
        self.contents: Sequence[Content] = ()
        self._texts: Sequence[Row] = ()
        self.ground: Ground = ground
        self._look: Look | None = None
        self._strips: list[Strip | None] = []

    def show(self, contents: Sequence[Content], texts: Sequence[Row] = ()) -> None:
        """Show other lines, and what copying each of them yields; lines that are as they were stay painted."""
        strips = self._painted()[self.gap_above : self.gap_above + len(self.contents)]
        kept = zip(contents, self.contents, strips, strict=False)
        same = [strip if new.is_same(old) else None for new, old, strip in kept]
        self.contents, self._texts = contents, texts
        self._strips = [None] * self.height
        for y, strip in enumerate(same[: len(contents)], self.gap_above):
            self._strips[y] = strip

    def _painted(self) -> list[Strip | None]:
        if len(self._strips) != self.height:
            self._strips = [None] * self.height
        return self._strips

    @property
    def height(self) -> int:
        return self.gap_above + len(self.contents) + self.gap_below if self.contents else 0

    def lay_out(self, look: Look) -> None:
        self._look = look
        self.repaint()

    def repaint(self) -> None:
        self._strips = []

    def ensure(self, top: int, bottom: int) -> None:
        """They are exact."""

    def ensure_above(self, y: int, rows: int) -> None:
        """They are exact."""

    def forget_far(self, top: int, bottom: int) -> None:
        """They are few."""

    def strip(self, y: int) -> Strip:
        strips = self._painted()
        if not 0 <= y < len(strips):  # a guess that was too high, painted before it was corrected
            return self._draw(len(self.contents))
        strip = strips[y]
        if strip is None:
            strip = strips[y] = self._draw(y - self.gap_above)
        return strip

    def _draw(self, at: int) -> Strip:
        look = self._look
        if look is None:
            return Strip([])
        if not 0 <= at < len(self.contents):
            return look.on_page(Strip([]), cursor=self.cursor)
        if self.ground == "head":
            surface = look.chosen if self.cursor else look.band
            return look.on_surface(look.drawn(self.contents[at], look.width, surface), surface, cursor=self.cursor)
        ground = look.band if self.ground == "band" else look.page
        return look.on_page(look.drawn(self.contents[at], look.width, ground), cursor=self.cursor)

    def row(self, y: int) -> Row:
        at = y - self.gap_above
        return self._texts[at] if 0 <= at < len(self._texts) else NOTHING

    def mark(self, y: int) -> Mark:
        return Mark(0, y)

    def row_of(self, mark: Spot) -> int:
        return min(mark.row, max(0, self.height - 1)) if isinstance(mark, Mark) else 0


class Markdown:
    """A markdown text, which may still be arriving."""

    def __init__(self, rows: LogRows, *, indent: int = 0) -> None:
        self.cursor = False
        self.shown = True
        self.struck = False
        """It is left out of what is sent on."""
        self.rows = rows
        self.gap_below = 0
        self._indent = indent
        """Cells; an indented text is a quiet one."""
        self._look: Look | None = None
        self._ground = Style.null()

    @property
    def height(self) -> int:
        return self.rows.height + self.gap_below if self.shown and self.rows.height else 0

    def lay_out(self, look: Look) -> None:
        self._look = look
        self._set_ground()
        self.rows.mark_style = look.running
        self.rows.lay_out(look.renderer(self._indent), self._finish)
        self.repaint()

    def _set_ground(self) -> None:
        if self._look is not None:
            page = self._look.page.rich_style
            self._ground = page + self._look.quiet if self._indent else page
            if self.struck:
                self._ground += Style(strike=True)

    def repaint(self) -> None:
        self._set_ground()
        self.rows.repaint()

    def _finish(self, strip: Strip) -> Strip:
        look = self._look
        if look is None:
            return strip
        return look.on_page(strip.apply_style(self._ground), cursor=self.cursor, indent=self._indent)

    def ensure(self, top: int, bottom: int) -> None:
        if self.shown:
            self.rows.ensure(top, bottom)

    def ensure_above(self, y: int, rows: int) -> None:
        if self.shown:
            self.rows.ensure_above(min(y, self.rows.height), rows)

    def forget_far(self, top: int, bottom: int) -> None:
        self.rows.forget_far(max(0, top), max(0, bottom))

    def strip(self, y: int) -> Strip:
        return self.rows.strip(y)

    def row(self, y: int) -> Row:
        return self.rows.row(y) or NOTHING

    def mark(self, y: int) -> Mark:
        return self.rows.mark(y)

    def row_of(self, mark: Spot) -> int:
        return self.rows.row_of(mark) if isinstance(mark, Mark) else 0


class Stack:
    """Sections one below the other."""

    def __init__(self, sections: Sequence[Section]) -> None:
        self.sections = sections
        self._starts: list[int] = [0]
        self.sum_up()

    def sum_up(self) -> None:
        """Take over the heights of the sections."""
        self._starts = [0]
        for section in self.sections:
            self._starts.append(self._starts[-1] + section.height)

    @property
    def height(self) -> int:
        return self._starts[-1]

    def find(self, y: int) -> tuple[Section, int]:
        """The section around a row of the stack, and the row within it."""
        at = self._at(y)
        return self.sections[at], y - self._starts[at]

    def _at(self, y: int) -> int:
        return min(max(0, bisect_right(self._starts, y) - 1), len(self.sections) - 1)

    def ensure(self, top: int, bottom: int) -> None:
        """Make the heights exact from one row to another."""
        y = 0
        for section in self.sections:
            if y >= bottom:
                break
            if y + section.height > top:
                section.ensure(max(0, top - y), bottom - y)
            y += section.height
        self.sum_up()

    def ensure_above(self, y: int, rows: int) -> None:
        """Make the heights of so many rows above a row exact."""
        starts = self._starts
        have = 0
        for at in range(self._at(max(0, y - 1)), -1, -1):
            if have >= rows:
                break
            local = min(y, starts[at + 1]) - starts[at]
            self.sections[at].ensure_above(local, rows - have)
            have += min(local, self.sections[at].height)
        self.sum_up()

    def forget_far(self, top: int, bottom: int) -> None:
        """Let go of drawn rows far from those in view."""
        for section, start in zip(self.sections, self._starts, strict=False):
            section.forget_far(top - start, bottom - start)

    def mark(self, y: int) -> Place:
        """The place of a row."""
        at = self._at(y)
        return Place(at, self.sections[at].mark(y - self._starts[at]))

    def row_of(self, place: Place) -> int:
        """The row where a place stands now."""
        at = min(place.section, len(self.sections) - 1)  # it may have been laid out in another form meanwhile
        return self._starts[at] + self.sections[at].row_of(place.mark)

    def start_of(self, section: Section) -> int:
        """The first row of a section."""
        return self._starts[self.sections.index(section)]

    def place_in(self, section: Section, mark: Spot) -> Place:
        """A place in a section."""
        return Place(self.sections.index(section), mark)
