"""How the transcript is drawn at one width in one theme.

A look is a value: whoever has drawn rows with one keeps them until it is handed another.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
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
    """The ground of a prompt."""
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

    def filtered(self, strip: Strip) -> Strip:
        """What the app lets through to the terminal."""
        background = self.page.background or Color(0, 0, 0)
        for line_filter in self.filters:
            strip = strip.apply_filter(line_filter, background)
        return strip

    def blank(self) -> Strip:
        """A row below the last one."""
        return self.filtered(Strip.blank(self.full_width, self.page.rich_style))
