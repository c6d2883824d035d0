"""Turns one below the other, exact in height where somebody looks and guessed elsewhere.

It knows rows, not the screen: which turn stands where, what is painted in a row, and where a place in the text went
when heights above it were corrected. It costs what is near the view, not what the conversation holds.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from textual.strip import Strip

from tui_chat.ui.widgets.markdown_log.render import Row
from tui_chat.ui.widgets.transcript.look import Look
from tui_chat.ui.widgets.transcript.sections import Place, Section
from tui_chat.ui.widgets.transcript.turn_rows import AnswerPlace, TurnRows

_ALL = 1_000_000_000
_KEPT_TURNS = 40
"""Turns on each side of the view whose rows are kept."""


class Top(NamedTuple):
    """A place in the conversation, to find it again when heights were corrected."""

    turn: TurnRows
    place: Place | AnswerPlace | None
    y: int
    """The row within the turn, where nothing of it is drawn yet."""

    @property
    def row(self) -> int:
        """Where it stands in its turn now."""
        return self.turn.row_of(self.place) if self.place is not None else min(self.y, max(0, self.turn.height - 1))


class Flow:
    """The rows of a path of turns."""

    def __init__(self) -> None:
        self.turns: list[TurnRows] = []
        self._starts: list[int] = [0]
        """First row of each turn, and the row after the last."""
        self._let_go_at = 0

    @property
    def height(self) -> int:
        """Rows of all turns, as far as we know."""
        return self._starts[-1]

    def start_of(self, at: int) -> int:
        """The first row of a turn, or the row after the last one."""
        return self._starts[at]

    def show(self, turns: list[TurnRows]) -> None:
        """Hold these turns and no others."""
        self.turns = turns
        self.sum_up(0)

    def prepend(self, turns: list[TurnRows]) -> None:
        """Hold turns before those that are here."""
        self.turns[:0] = turns
        self.sum_up(0)

    def append(self, turn: TurnRows) -> None:
        """Hold one more turn."""
        self.turns.append(turn)
        self.sum_up(len(self.turns) - 1)

    def cut(self, at: int) -> None:
        """Hold no turn from one on."""
        del self.turns[at:]
        self.sum_up(at)

    def guess(self, width: int) -> None:
        """Guess the heights of turns that were not drawn."""
        for view in self.turns:
            view.guess_height(width)
        self.sum_up(0)

    def sum_up(self, first: int) -> None:
        """Count the first rows of all turns from `first` on."""
        del self._starts[first + 1 :]
        y = self._starts[first]
        for view in self.turns[first:]:
            y += view.height
            self._starts.append(y)

    def turn_at(self, y: int) -> int:
        """The turn around a row, the nearest one beyond the ends."""
        return min(max(0, bisect_right(self._starts, y) - 1), len(self.turns) - 1)

    def find(self, look: Look, y: int) -> tuple[TurnRows, Section, int] | None:
        """The turn and section around a row, and the row within the section; `None` where there is none."""
        if not 0 <= y < self.height:
            return None
        at = self.turn_at(y)
        return self.turns[at], *self.turns[at].find(look, y - self._starts[at])

    def place(self, top: int, bottom: int) -> None:
        """Tell the turns in view which of their rows are."""
        if self.turns:
            for at in range(self.turn_at(top), self.turn_at(max(top, bottom - 1)) + 1):
                self.turns[at].place(top - self._starts[at], bottom - self._starts[at])

    def pinned(self, top: int, rows: int) -> Sequence[Strip]:
        """What stays at the top of a view of so many rows, in place of the rows there."""
        if not self.turns:
            return ()
        at = self.turn_at(top)
        return self.turns[at].pinned(top - self._starts[at], rows)

    def strip(self, look: Look, y: int) -> Strip:
        """A row as it is painted."""
        found = self.find(look, y)
        return look.blank() if found is None else found[1].strip(found[2])

    def row(self, look: Look, y: int) -> Row | None:
        """What a row says; `None` where there is none."""
        found = self.find(look, y)
        return None if found is None else found[1].row(found[2])

    def rows(self, look: Look, first: int, last: int) -> Iterator[tuple[int, Row]]:
        """The rows from one to another, with their numbers."""
        for y in range(max(0, first), min(last, self.height - 1) + 1):
            row = self.row(look, y)
            if row is not None:
                yield y, row

    # places

    def top(self, y: int) -> Top | None:
        """The place of a row; `None` when there are no turns."""
        if not self.turns:
            return None
        at = self.turn_at(y)
        within = y - self._starts[at]
        return Top(self.turns[at], self.turns[at].mark(within), within)

    def row_of(self, top: Top) -> int:
        """The row where a place stands now."""
        return self._starts[self.turns.index(top.turn)] + top.row

    # heights

    def settle_end(self, look: Look, rows: int) -> None:
        """Make the last rows exact."""
        have, at = 0, len(self.turns)
        while at > 0 and have < rows:
            at -= 1
            self.turns[at].ensure_end(look, rows - have)
            have += self.turns[at].height
        self.sum_up(at)

    def settle(self, look: Look, top: Top, rows: int) -> None:
        """Make so many rows above a place exact, and twice as many from it on."""
        index = self.turns.index(top.turn)
        view = top.turn
        place = view.lay_out(look).mark(top.row)
        have, at, y = 0, index, top.row
        while at < len(self.turns) and have < 2 * rows:
            self.turns[at].ensure(look, y, y + 2 * rows - have)
            have += self.turns[at].height - y
            at, y = at + 1, 0
        view.ensure_above(look, view.row_of(place), rows)
        have, at = view.row_of(place), index
        while at > 0 and have < rows:
            at -= 1
            self.turns[at].ensure_end(look, rows - have)
            have += self.turns[at].height
        self.sum_up(at)

    def draw_all(self, look: Look, first: int, last: int) -> None:
        """Make everything exact in the turns from one row to another."""
        if self.turns:
            at = self.turn_at(first)
            for view in self.turns[at : self.turn_at(last) + 1]:
                view.ensure(look, 0, _ALL)
            self.sum_up(at)

    def let_go(self, top: int, bottom: int) -> None:
        """Forget rows far from those in view."""
        if not self.turns or abs(top - self._let_go_at) < bottom - top:
            return
        self._let_go_at = top
        first, last = self.turn_at(top), self.turn_at(bottom)
        for at in range(first, last + 1):
            self.turns[at].forget_far(top - self._starts[at], bottom - self._starts[at])
        if len(self.turns) > 2 * _KEPT_TURNS:
            for view in (*self.turns[: max(0, first - _KEPT_TURNS)], *self.turns[last + _KEPT_TURNS + 1 :]):
                if view.releasable:
                    view.release()
