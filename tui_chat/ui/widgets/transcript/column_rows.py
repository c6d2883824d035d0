"""Answers side by side: several stacks drawn as one section, and their heads as another.

They scroll as one page does whose columns are sticky: all of them move together for as long as each has text there, and
a shorter one stays in view beside the longer ones. So every answer that runs shows its own end when the end of the
longest is followed. Scrolled apart, each stands at a row of its own, and the page stands still.
"""

from collections.abc import Sequence

from textual.strip import Strip

from tui_chat.ui.widgets.markdown_log.render import Row
from tui_chat.ui.widgets.transcript.answer_rows import AnswerRows
from tui_chat.ui.widgets.transcript.look import Look
from tui_chat.ui.widgets.transcript.sections import NOTHING, ColumnMark, Section, Spot, Stack

_KEPT = 400
"""Joined rows that are kept to be painted again."""


class Joiner:
    """Joins rows of columns, and knows those again that it joined before."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], tuple[Sequence[Strip], Strip]] = {}

    def join(self, strips: Sequence[Strip]) -> Strip:
        """One row of several; the same object for the same ones."""
        key = tuple(map(id, strips))
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _KEPT:
                self._known.clear()
            known = self._known[key] = strips, Strip.join(strips)
        return known[1]


class HeadRows:
    """The heads of all columns in one row."""

    def __init__(self, answers: Sequence[AnswerRows]) -> None:
        self.cursor = False
        self._answers = answers
        self._joiner = Joiner()

    @property
    def height(self) -> int:
        return max(answer.head.height for answer in self._answers)

    def lay_out(self, look: Look) -> None:
        """The answers lay out their own heads."""

    def repaint(self) -> None:
        """The answers repaint their own heads."""

    def ensure(self, top: int, bottom: int) -> None:
        """They are exact."""

    def ensure_above(self, y: int, rows: int) -> None:
        """They are exact."""

    def forget_far(self, top: int, bottom: int) -> None:
        """They are few."""

    def strip(self, y: int) -> Strip:
        return self._joiner.join([answer.head.strip(y) for answer in self._answers])

    def row(self, y: int) -> Row:  # noqa: ARG002  figures are not copied
        return NOTHING

    def mark(self, y: int) -> Spot:
        return self._answers[0].head.mark(y)

    def row_of(self, mark: Spot) -> int:
        return self._answers[0].head.row_of(mark)


class ColumnRows:
    """The bodies of all columns, each below its head."""

    def __init__(self, answers: Sequence[AnswerRows]) -> None:
        self.cursor = False
        self.answers = answers
        self._stacks = [Stack(answer.body) for answer in answers]
        self._joiner = Joiner()
        self._blanks: list[Strip] = []
        self._edges: list[int] = []
        """Where each column begins, in cells."""
        self._view = range(0)
        """The rows of this section that are in view."""
        self._apart: list[int] | None = None
        """The row at the top of each column, while they scroll apart."""
        self.selecting = 0
        """The column whose text is selected."""

    def sum_up(self) -> None:
        """Take over the heights of what the columns hold."""
        for stack in self._stacks:
            stack.sum_up()

    @property
    def height(self) -> int:
        return max(stack.height for stack in self._stacks)

    def lay_out(self, look: Look) -> None:
        """Take the columns' own looks; the answers were laid out with them."""
        looks = look.columns(len(self.answers)) or []
        self._blanks = [each.blank() for each in looks]
        self._edges = [0]
        for each in looks:
            self._edges.append(self._edges[-1] + each.full_width)
        self.sum_up()

    def repaint(self) -> None:
        """The answers repaint themselves."""

    # where each column stands

    def place(self, top: int, bottom: int) -> None:
        """Note which rows of it are in view."""
        self._view = range(top, max(top, bottom))

    def offset(self, at: int) -> int:
        """The row where a column begins just now."""
        height = self._stacks[at].height
        if self._apart is not None:
            return self._view.start - self._apart[at]
        sticky = min(self._view.start, self._view.stop - height)
        return max(0, min(sticky, self.height - height))

    @property
    def apart(self) -> bool:
        return self._apart is not None

    def scroll_apart(self, *, on: bool) -> None:
        """Let each column scroll by itself from where it stands, or all of them together again."""
        self._apart = [self._view.start - self.offset(at) for at in range(len(self.answers))] if on else None

    def scroll(self, at: int, rows: int) -> None:
        """Scroll one column, while they scroll apart."""
        if self._apart is not None:
            stack = self._stacks[at]
            stack.ensure(0, self._apart[at] + rows + 2 * len(self._view))
            furthest = max(0, stack.height - max(1, len(self._view)))
            self._apart[at] = max(0, min(furthest, self._apart[at] + rows))

    def column_at(self, x: int) -> int:
        """The column around a cell of the row, the nearest one beyond the ends."""
        return next((at for at, edge in enumerate(self._edges[1:-1]) if x < edge), len(self.answers) - 1)

    def hit(self, x: int, y: int) -> tuple[AnswerRows, Section, int, int]:
        """What is painted at a cell: the answer, the section of it, the row in that, and the cell in the column."""
        at = self.column_at(x)
        section, row = self._stacks[at].find(y - self.offset(at))
        return self.answers[at], section, row, x - self._edges[at]

    # rows

    def ensure(self, top: int, bottom: int) -> None:
        for at, stack in enumerate(self._stacks):
            offset = self.offset(at)
            stack.ensure(max(0, top - offset), max(0, bottom - offset))

    def ensure_above(self, y: int, rows: int) -> None:
        for stack in self._stacks:
            stack.ensure_above(min(y, stack.height), rows)

    def forget_far(self, top: int, bottom: int) -> None:
        for at, stack in enumerate(self._stacks):
            offset = self.offset(at)
            stack.forget_far(top - offset, bottom - offset)

    def strip(self, y: int) -> Strip:
        return self._joiner.join([self._strip_of(at, y) for at in range(len(self._stacks))])

    def _strip_of(self, at: int, y: int) -> Strip:
        stack, within = self._stacks[at], y - self.offset(at)
        if not 0 <= within < stack.height:
            return self._blanks[at] if at < len(self._blanks) else Strip([])
        section, row = stack.find(within)
        return section.strip(row)

    def row(self, y: int) -> Row:
        """What the row says in the column that is selected in."""
        at = min(self.selecting, len(self._stacks) - 1)
        stack, within = self._stacks[at], y - self.offset(at)
        if not 0 <= within < stack.height:
            return NOTHING
        section, row = stack.find(within)
        found = section.row(row)
        return found._replace(lead=found.lead + self._characters_before(at, y))

    def _characters_before(self, at: int, y: int) -> int:
        return sum(len(segment.text) for before in range(at) for segment in self._strip_of(before, y))

    def span(self, y: int, span: tuple[int, int]) -> tuple[int, int]:
        """The part of a selected range of characters that lies in the column that is selected in."""
        at = min(self.selecting, len(self._stacks) - 1)
        first = self._characters_before(at, y)
        last = first + sum(len(segment.text) for segment in self._strip_of(at, y))
        start, end = span
        return max(start, first), last if end < 0 else max(first, min(end, last))

    # places: those of the longest column, which has no offset

    def mark(self, y: int) -> Spot:
        heights = [stack.height for stack in self._stacks]
        at = heights.index(max(heights))
        return ColumnMark(at, self._stacks[at].mark(y))

    def row_of(self, mark: Spot) -> int:
        if not isinstance(mark, ColumnMark) or mark.column >= len(self._stacks):
            return 0
        return self._stacks[mark.column].row_of(mark.place)

    def place_in(self, at: int, section: Section, mark: Spot) -> ColumnMark:
        """A place in a section of one column."""
        return ColumnMark(at, self._stacks[at].place_in(section, mark))
