"""Going from code block to code block through all answers of a transcript."""

from tui_chat.ui.widgets.transcript.flow import Flow, Top
from tui_chat.ui.widgets.transcript.look import Look
from tui_chat.ui.widgets.transcript.turn_rows import TurnRows


class CodeWalk:
    """Going from code block to code block through all answers."""

    def __init__(self) -> None:
        self.turn: TurnRows | None = None
        self.number = 0
        """The block in hand, among those of its answer."""

    def step(self, flow: Flow, look: Look, step: int, view: range, *, at_end: bool) -> tuple[Top, int] | None:
        """Take the next block in hand, or the one before; returns its place and how many its answer has.

        `view` are the rows in view: a block that has left them is not gone on from. `None` when there is no other.
        """
        at, number = self._from(flow, look, step, view, at_end=at_end)
        while 0 <= at < len(flow.turns):
            places = flow.turns[at].code_places(look) if flow.turns[at].may_have_code else []
            if number < 0:
                number += len(places)
            if 0 <= number < len(places):
                self.turn, self.number = flow.turns[at], number
                return Top(flow.turns[at], places[number], 0), len(places)
            at += step
            number = 0 if step > 0 else -1
        return None

    def _from(self, flow: Flow, look: Look, step: int, view: range, *, at_end: bool) -> tuple[int, int]:
        """The turn and number of the block that is one step away from the one in hand, or from the view."""
        if self.turn in flow.turns and self.turn is not None:
            at = flow.turns.index(self.turn)
            places = self.turn.code_places(look)
            if self.number < len(places) and flow.start_of(at) + self.turn.row_of(places[self.number]) in view:
                return (at, self.number + step) if self.number + step >= 0 else (at - 1, -1)
        border = flow.height if at_end else view.start
        at = flow.turn_at(border)
        places = flow.turns[at].code_places(look)
        above = sum(flow.start_of(at) + flow.turns[at].row_of(place) < border for place in places)
        if step > 0:
            return at, above
        return (at, above - 1) if above else (at - 1, -1)
