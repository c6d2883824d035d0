"""A scroll bar that repaints when its thumb moves by a cell, not for each row that a growing text gets."""

from textual.scrollbar import ScrollBar


class SteadyScrollBar(ScrollBar):
    """Told where the view stands instead of watching it."""

    _thumb = (0, 0)

    def show(self, total: int, view: int, top: int) -> None:
        """Show that `view` of `total` rows are seen from row `top` on."""
        length = max(1, round(view * view / total)) if total > view else view
        start = round(top / (total - view) * (view - length)) if total > view else 0
        self.set_reactive(ScrollBar.window_virtual_size, total)
        self.set_reactive(ScrollBar.window_size, view)
        self.set_reactive(ScrollBar.position, float(top))
        if (start, length) != self._thumb:
            self._thumb = start, length
            self.refresh()
