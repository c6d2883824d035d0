"""A scroll bar that repaints when its thumb is drawn elsewhere, not for each row that a growing text gets."""

from textual.scrollbar import ScrollBar


class SteadyScrollBar(ScrollBar):
    """Told where the view stands instead of watching it."""

    _thumb = (0, 0)
    """Start and length in eighths of a cell."""

    def show(self, total: int, view: int, top: int) -> None:
        """Show that `view` of `total` rows are seen from row `top` on."""
        length = 8 * view * view // max(1, total)
        start = 8 * top * view // max(1, total)
        self.set_reactive(ScrollBar.window_virtual_size, total)
        self.set_reactive(ScrollBar.window_size, view)
        self.set_reactive(ScrollBar.position, float(top))
        if (start, length) != self._thumb:
            self._thumb = start, length
            self.refresh()
