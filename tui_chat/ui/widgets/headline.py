"""The first row of the chat and the row above the composer."""

from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.widget import Widget

from tui_chat.ui.theme import Glyphs
from tui_chat.ui.widgets.row import joined, row, styled


class Headline(Widget):
    """Title at the left, context gauge at the right."""

    DEFAULT_CSS = "Headline { height: 1; width: 1fr; }"

    def __init__(self) -> None:
        super().__init__(id="headline")
        self._title, self._gauge = Content(""), Content("")

    def show(self, title: Content, gauge: Content) -> None:
        if not (title.is_same(self._title) and gauge.is_same(self._gauge)):
            self._title, self._gauge = title, gauge
            self.refresh()

    def render(self) -> Content:
        return row(joined("  ", self._title), joined(self._gauge, " "), self.size.width)


class BelowMark(Widget):
    """Says that there is text below the view."""

    DEFAULT_CSS = "BelowMark { height: 1; width: 1fr; }"

    class Clicked(Message):
        """Go to the end."""

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(id="below")
        self._glyphs = glyphs
        self._visible = False

    def show(self, *, visible: bool) -> None:
        if visible != self._visible:
            self._visible = visible
            self.set_class(visible, "shown")
            self.refresh()

    def on_click(self, event: Click) -> None:
        event.stop()
        self.post_message(self.Clicked())

    def render(self) -> Content:
        if not self._visible:
            return Content("")
        mark = joined(styled(f"{self._glyphs.more} more below   ", "$fg2"), styled("end", "b $fg"))
        return row(Content(""), joined(mark, " "), self.size.width)
