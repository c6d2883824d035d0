"""How the transcript is drawn at one width in one theme.

A look is a value: whoever has drawn rows with one keeps them until it is handed another.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.content import Content
from textual.filter import LineFilter
from textual.strip import Strip
from textual.style import Style as VisualStyle
from textual.visual import RenderOptions

from tui_chat.ui.theme import ASCII, Glyphs
from tui_chat.ui.widgets.markdown_log.render import Palette, Renderer

GUTTER = 2
"""Cells left of the text; the cursor's bar stands in the first."""
INDENT = 2
"""Further cells left of the thinking."""

LEAST_COLUMN = 29
"""Cells of a column, its gutter included; below it answers are shown one at a time."""

StyleOf: TypeAlias = Callable[[str | VisualStyle], VisualStyle]
"""Resolves the styles of `Content`, such as `b $fg`."""


@dataclass(frozen=True, slots=True)
class Look:
    """Widths, colours and glyphs."""

    width: int
    """Cells of a text, the gutter left out."""
    margin: int
    """Cells right of the text, below the scroll bar."""
    page: VisualStyle
    band: VisualStyle
    """The ground of a prompt, and of the heads of columns."""
    chosen: VisualStyle
    """The ground of the head of the column under the cursor."""
    bar: Style
    """The cursor."""
    running: Style
    quiet: Style
    """The thinking."""
    palette: Palette
    glyphs: Glyphs
    style_of: StyleOf = field(compare=False)
    filters: Sequence[LineFilter] = ()
    """What the app does to every line it paints; done here once, when a row is made."""

    @property
    def full_width(self) -> int:
        return GUTTER + self.width + self.margin

    def columns(self, count: int) -> "list[Look] | None":
        """The looks of so many columns that share the width; `None` where they would be too narrow."""
        full, each = self.full_width, (GUTTER + self.width) // count
        if full // count < LEAST_COLUMN:
            return None
        width = each - GUTTER - 1
        last = full - each * (count - 1) - GUTTER - width
        return [replace(self, width=width, margin=last if at == count - 1 else 1) for at in range(count)]

    def renderer(self, indent: int = 0) -> Renderer:
        """A fresh renderer: it holds the state of the code it follows, so each text needs its own."""
        ascii_only = self.glyphs is ASCII
        return Renderer(max(1, self.width - indent), self.palette, "ascii" if ascii_only else "unicode")

    def drawn(self, content: Content, width: int, style: VisualStyle) -> Strip:
        """Draw one line of content on a ground, `width` cells wide."""
        options = RenderOptions(self.style_of, {"text_wrap": "nowrap"})
        strips = content.render_strips(width, 1, style, options)
        ground = style.rich_style
        return (strips[0] if strips else Strip([])).adjust_cell_length(width, ground)

    def on_page(self, strip: Strip, *, cursor: bool = False, indent: int = 0) -> Strip:
        """Lay a row on the page: gutter, text, and what is right of it."""
        ground = self.page.rich_style
        edge = Segment(self.glyphs.bar, ground + self.bar) if cursor else Segment(" ", ground)
        space = Segment(" " * (GUTTER - 1 + indent), ground)
        used = GUTTER + indent + strip.cell_length
        rest = max(0, self.full_width - used)
        segments = [edge, space, *strip]
        if rest:
            segments.append(Segment(" " * rest, ground))
        return self.filtered(Strip(segments, used + rest))

    def on_surface(self, strip: Strip, ground: VisualStyle, *, cursor: bool = False) -> Strip:
        """Lay a row on a surface one cell wider at each side, beside the bar of the cursor."""
        page, surface = self.page.rich_style, ground.rich_style
        edge = Segment(self.glyphs.bar, page + self.bar) if cursor else Segment(" ", page)
        rest = max(0, self.full_width - GUTTER - strip.cell_length)
        right = [Segment(" ", surface), Segment(" " * (rest - 1), page)] if rest else []
        segments = [edge, Segment(" " * (GUTTER - 1), surface), *strip, *right]
        return self.filtered(Strip(segments, GUTTER + strip.cell_length + rest))

    def filtered(self, strip: Strip) -> Strip:
        """What the app lets through to the terminal."""
        background = self.page.background or Color(0, 0, 0)
        for line_filter in self.filters:
            strip = strip.apply_filter(line_filter, background)
        return strip

    def blank(self) -> Strip:
        """A row below the last one."""
        return self.filtered(Strip.blank(self.full_width, self.page.rich_style))
