"""A compositor that draws, for a partial update, only the rows and widgets the update touches.

Textual draws every widget that overlaps the rectangle around all changes. A counter in the footer and a growing answer
make that the whole screen: most of what a frame costs. Nothing else differs, and a full update is Textual's own.
"""

from collections.abc import Iterable

from textual._compositor import ChopsUpdate, Compositor
from textual.geometry import Region
from textual.strip import Strip


class SparingCompositor(Compositor):
    """Leaves out what a partial update would not show."""

    def __init__(self) -> None:
        super().__init__()
        self._touched: list[Region] = []

    def render_partial_update(self) -> ChopsUpdate | None:
        """Render what is dirty; `None` when nothing is."""
        self._touched = [region.intersection(self.size.region) for region in self._dirty_regions]
        try:
            return super().render_partial_update()
        finally:
            self._touched = []

    def _get_renders(self, crop: Region | None = None) -> Iterable[tuple[Region, Region, list[Strip]]]:
        if not self._touched:
            yield from super()._get_renders(crop)
            return
        for widget, (region, clip) in self.visible_widgets.items():
            shown = region.intersection(clip)
            touched = [part for part in self._touched if part.overlaps(shown)]
            if not touched:
                continue
            top = max(shown.y, min(part.y for part in touched))
            bottom = min(shown.bottom, max(part.bottom for part in touched))
            rows = Region(shown.x, top, shown.width, bottom - top)
            yield region, rows, widget.render_lines(rows.translate(-region.offset))
