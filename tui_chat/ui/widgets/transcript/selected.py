"""A selection over turns, kept on its words while the rows above them come, go and are corrected."""

from textual.geometry import Offset
from textual.selection import Selection

from tui_chat.ui.widgets.markdown_log.widget import selected_text
from tui_chat.ui.widgets.transcript.flow import Flow, Top
from tui_chat.ui.widgets.transcript.look import GUTTER, Look


class Selected:
    """Where a selection begins and ends in the conversation."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._places: tuple[Top, Top] | None = None

    def note(self, selection: Selection | None) -> None:
        """Remember what is selected now."""
        self._places = None
        if selection is not None and selection.start is not None and selection.end is not None:
            first, last = self._flow.top(selection.start.y), self._flow.top(selection.end.y)
            if first is not None and last is not None:
                self._places = first, last

    def moved(self, selection: Selection) -> Selection | None:
        """The same selection in the rows of now; `None` when its words are gone."""
        begin, end = selection
        if self._places is None or begin is None or end is None:
            return selection
        first, last = self._places
        if first.turn not in self._flow.turns or last.turn not in self._flow.turns:
            return None
        return Selection(Offset(begin.x, self._flow.row_of(first)), Offset(end.x, self._flow.row_of(last)))

    def text(self, look: Look, selection: Selection) -> str:
        """The selected text as it was before wrapping. Every row of it is drawn, so heights may be corrected."""
        flow = self._flow
        if not flow.turns:
            return ""
        begin, end = selection
        first = None if begin is None else flow.top(begin.y)
        last = None if end is None else flow.top(end.y)
        flow.draw_all(look, 0 if begin is None else begin.y, flow.height if end is None else end.y)
        top = 0 if first is None else flow.row_of(first)
        bottom = flow.height if last is None else flow.row_of(last)
        exact = Selection(
            None if begin is None else Offset(begin.x, top),
            None if end is None else Offset(end.x, bottom),
        )
        return selected_text(((row, exact.get_span(y)) for y, row in flow.rows(look, top, bottom)), GUTTER)
