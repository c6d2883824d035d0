"""The last row: keys that work now at the left, the answer under the cursor and the chat's cost at the right."""

from textual.content import Content
from textual.widget import Widget

from tui_chat.ui.widgets.row import hints, joined, row


class StatusFooter(Widget):
    """Draws what it is given; drops keys from the right before any figure."""

    DEFAULT_CSS = "StatusFooter { height: 1; width: 1fr; dock: bottom; }"

    def __init__(self) -> None:
        super().__init__(id="footer")
        self._keys: list[tuple[str, str]] = []
        self._figures: list[Content] = [Content("")]
        self._shown: Content | None = None

    def show(self, keys: list[tuple[str, str]], figures: list[Content]) -> None:
        """Show these keys, and the widest of `figures` that leaves room for one key; the last one always fits."""
        self._keys, self._figures = keys, figures or [Content("")]
        drawn = self._draw()
        if self._shown is None or not drawn.is_same(self._shown):
            self._shown = drawn
            self.refresh()

    def _draw(self) -> Content:
        width = self.size.width
        least = hints(self._keys[:3]).cell_length + 5
        right = next((f for f in self._figures if f.cell_length + least <= width), self._figures[-1])
        keys = list(self._keys)
        while len(keys) > 1 and hints(keys).cell_length + right.cell_length + 5 > width:
            keys.pop()
        return row(joined("  ", hints(keys)), joined(right, " "), width)

    def render(self) -> Content:
        if self._shown is None or self._shown.cell_length != self.size.width:
            self._shown = self._draw()
        return self._shown
