"""`MarkdownLog`: a markdown text that streams, drawn by line in one widget.

Textual's own `Markdown` mounts a widget for each block, list item and table cell, and the cost of a flush is the number
of mounted widgets: an answer of 20,000 tokens takes 170 ms to 40 s for each flush. Here the text is one widget, its
rows are kept as strips, and a flush replaces only the rows of the open end.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

from tui_chat.ui.widgets.markdown_log.document import MarkdownDocument
from tui_chat.ui.widgets.markdown_log.render import Glyphs, Palette, Renderer, Row

_PREFIX: Final = "markdown-log--"


class MarkdownLog(Widget):
    """Shows one markdown text which may still be arriving."""

    DEFAULT_CSS = """
    MarkdownLog {
        width: 1fr; height: auto;
        .markdown-log--heading, .markdown-log--subheading { text-style: bold; }
        .markdown-log--subheading { text-style: bold italic; }
        .markdown-log--code { background: $surface; }
        .markdown-log--code-language, .markdown-log--secondary, .markdown-log--table-head { color: $foreground-muted; }
        .markdown-log--inline-code, .markdown-log--literal { color: $secondary; }
        .markdown-log--rule { color: $foreground 25%; }
        .markdown-log--link { text-style: underline; }
        .markdown-log--keyword { color: $primary; }
        .markdown-log--comment { color: $foreground-muted; text-style: italic; }
        .markdown-log--running { color: $accent; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "markdown-log--heading",
        "markdown-log--subheading",
        "markdown-log--code",
        "markdown-log--code-language",
        "markdown-log--inline-code",
        "markdown-log--quote",
        "markdown-log--table-head",
        "markdown-log--rule",
        "markdown-log--link",
        "markdown-log--keyword",
        "markdown-log--literal",
        "markdown-log--comment",
        "markdown-log--secondary",
        "markdown-log--running",
    }
    """
    | Class | What it styles |
    | :- | :- |
    | `markdown-log--heading`, `--subheading` | Headings of level 1 and 2, of level 3 and below. |
    | `markdown-log--code`, `--code-language` | The band of a code block, the language at its right. |
    | `markdown-log--keyword`, `--literal`, `--comment` | Roles within code. |
    | `markdown-log--inline-code`, `--link` | Runs within text. |
    | `markdown-log--quote` | Text of a quote. |
    | `markdown-log--table-head`, `--rule` | First row of a table, lines. |
    | `markdown-log--secondary` | Targets of links, footnote marks, the bar of a quote. |
    | `markdown-log--running` | The mark at the end of a text that still arrives. |
    """

    glyphs: Glyphs = "unicode"
    """`ascii` is for terminals that draw ambiguous characters two cells wide; seen at the next layout."""

    def __init__(
        self,
        source: str = "",
        *,
        finished: bool = True,
        id: str | None = None,  # noqa: A002  Textual's own name for it
        classes: str | None = None,
    ) -> None:
        """Make a log of a text; with `finished=False` it shows the running mark and waits for `feed`."""
        super().__init__(id=id, classes=classes)
        self._document = MarkdownDocument()
        self._pending: list[str] = [source] if source else []
        self._finishing = finished
        self._streaming = not finished
        self._palette: Palette | None = None
        self._renderer: Renderer | None = None
        self._rows: list[Row] = []
        self._starts: list[int] = []
        """First row of each sealed block."""
        self._sealed_rows = 0
        self._last_text_row = 0

    @property
    def source(self) -> str:
        """The markdown as it was given."""
        return self._document.source + "".join(self._pending)

    @property
    def code_blocks(self) -> list[str]:
        """Sources of the code blocks, in order."""
        self._take_pending()
        return self._document.code_blocks

    @property
    def running(self) -> bool:
        """Whether the text ends with the running mark."""
        return self._streaming

    @running.setter
    def running(self, running: bool) -> None:
        if running == self._streaming:
            return
        self._streaming = running
        if self._renderer is not None:
            self._show(self._height, [])

    def feed(self, text: str) -> None:
        """Append a piece of the text, cut anywhere; to be called once a frame with all that arrived."""
        if not text:
            return
        self._pending.append(text)
        self._finishing = False
        self._update()

    def finalise(self) -> None:
        """The text is complete, for whatever reason: drop the running mark, parse what was cut for speed as a whole."""
        self._finishing = True
        self._streaming = False
        self._update()

    def clear(self) -> None:
        """Forget the text."""
        height, old = self._height, self._rows
        self._document = MarkdownDocument()
        self._pending.clear()
        self._rows = []
        self._starts = []
        self._sealed_rows = self._last_text_row = 0
        if self._renderer is not None:
            self._show(height, old)

    # Laying out

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        """Rows at this width."""
        self._lay_out(width)
        return self._height

    def get_content_width(self, container: Size, viewport: Size) -> int:  # noqa: ARG002
        """All there is."""
        return container.width

    @property
    def _height(self) -> int:
        return max(len(self._rows), 1 if self._streaming else 0)

    def _take_pending(self) -> None:
        """Bring the document up to the text that was fed."""
        text = "".join(self._pending)
        self._pending.clear()
        if not self._finishing:
            self._document.feed(text)
            return
        if text and not self._document.source:
            self._document = MarkdownDocument.whole(text)
            return
        self._document.feed(text)
        self._document.finalise()

    def _update(self) -> None:
        """Show what has changed, if anything can be shown yet."""
        if self._renderer is None:
            return
        height = self._height
        first, old = self._sealed_rows, self._rows[self._sealed_rows :]
        kept = self._refill(self._renderer)
        if kept < first:
            first, old = kept, []
        self._show(height, old, first)

    def _lay_out(self, width: int) -> None:
        """Make the rows for a width, unless they are there."""
        palette = self._current_palette()
        renderer = self._renderer
        if renderer is None or (renderer.width, renderer.palette, renderer.glyphs) != (width, palette, self.glyphs):
            renderer = self._renderer = Renderer(width, palette, self.glyphs)
            self._starts = []
            self._sealed_rows = 0
            self._refill(renderer)
        elif self._pending:
            self._refill(renderer)

    def _refill(self, renderer: Renderer) -> int:
        """Make rows of what is new among the sealed blocks, and of the tail; returns the rows that are as they were."""
        self._take_pending()
        changed = self._document.take_changed()
        if changed is not None and changed < len(self._starts):
            self._sealed_rows = self._starts[changed]
            del self._starts[changed:]
        kept = self._sealed_rows
        rows = self._rows
        del rows[kept:]
        for block in self._document.sealed[len(self._starts) :]:
            self._starts.append(len(rows))
            rows += renderer.rows(block)
        self._sealed_rows = len(rows)
        for block in self._document.tail:
            rows += renderer.rows(block)
        self._last_text_row = next((y for y in range(len(rows) - 1, -1, -1) if rows[y].text), 0)
        return kept

    def _show(self, height: int, old: list[Row], first: int = 0) -> None:
        """Ask for a repaint of the rows that differ from the old ones, and for a layout if their number does."""
        if self._height != height:
            self.refresh(layout=True)
            return
        changed = [
            y
            for y, (was, now) in enumerate(zip_longest(old, self._rows[first:]), first)
            if was is None or now is None or was.strip != now.strip
        ]
        changed.append(self._last_text_row)
        top, bottom = min(changed), max(changed)
        self.refresh(Region(0, top, self.content_size.width, bottom - top + 1))

    # Drawing

    def notify_style_update(self) -> None:
        """Look at the component styles again: a theme may have changed."""
        super().notify_style_update()
        self._palette = None
        if self._renderer is not None and self._current_palette() != self._renderer.palette:
            self.refresh(layout=True)

    def _current_palette(self) -> Palette:
        if self._palette is None:
            self._palette = Palette(
                heading=self._own_style("heading"),
                subheading=self._own_style("subheading"),
                code=self._own_style("code"),
                code_language=self._own_style("code-language"),
                inline_code=self._own_style("inline-code"),
                quote=self._own_style("quote"),
                table_head=self._own_style("table-head"),
                rule=self._own_style("rule"),
                link=self._own_style("link"),
                keyword=self._own_style("keyword"),
                literal=self._own_style("literal"),
                comment=self._own_style("comment"),
                secondary=self._own_style("secondary"),
            )
        return self._palette

    def _own_style(self, role: str) -> Style:
        """What the rules for a role say themselves, with translucent colours mixed into the background."""
        name = _PREFIX + role
        rules = self.get_component_styles(name)
        full = self.get_visual_style(name).rich_style
        attributes = rules.text_style
        return Style(
            color=full.color if rules.has_rule("color") or rules.has_rule("auto_color") else None,
            bgcolor=full.bgcolor if rules.has_rule("background") else None,
            bold=attributes.bold,
            italic=attributes.italic,
            underline=attributes.underline,
            strike=attributes.strike,
            dim=attributes.dim,
            reverse=attributes.reverse,
        )

    def render_line(self, y: int) -> Strip:
        """One row in the widget's own colours, with the selection and the running mark."""
        width = self.content_size.width
        self._lay_out(width)
        base = self.visual_style.rich_style
        strip = self._rows[y].strip if y < len(self._rows) else Strip([])
        if self._streaming and self._renderer is not None and y == self._last_text_row:
            strip = _marked(strip, Segment(self._renderer.running, self._own_style("running")), width)
        strip = strip.extend_cell_length(width).apply_style(base)
        selection = self.text_selection
        if selection is not None and (span := selection.get_span(y)) is not None:
            strip = _highlighted(strip, *span, self.selection_style)
        return strip.apply_offsets(0, y)

    # Selecting

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text as it was before wrapping."""
        parts: list[str] = []
        for y, row in enumerate(self._rows):
            span = selection.get_span(y)
            if span is None:
                continue
            start, end = span
            last = max(0, end - row.lead) if end >= 0 else len(row.text)
            if parts or row.text:
                parts += [row.glue if parts else "", row.text[max(0, start - row.lead) : last]]
        return "".join(parts), "\n"

    def selection_updated(self, selection: Selection | None) -> None:  # noqa: ARG002
        """Repaint: the marked cells differ."""
        self.refresh()


def _marked(strip: Strip, mark: Segment, width: int) -> Strip:
    """The strip with a mark after its text, or over its last cell where the row is full."""
    if width < 1:
        return strip
    used = min(len(strip.text.rstrip()), width)
    used = min(Strip([Segment(strip.text[:used])]).cell_length, width - 1)
    under = list(strip.crop(used, used + 1))
    if under and under[0].style:
        mark = Segment(mark.text, Style(bgcolor=under[0].style.bgcolor) + (mark.style or Style.null()))
    return Strip.join([strip.crop(0, used), Strip([mark]), strip.crop(used + 1, max(strip.cell_length, used + 1))])


def _highlighted(strip: Strip, start: int, end: int, style: Style) -> Strip:
    """The strip with a range of characters (not cells) marked; an end of -1 is the end of the row."""
    segments: list[Segment] = []
    at = 0
    for text, own, _ in strip:
        first = min(max(start - at, 0), len(text))
        last = len(text) if end < 0 else min(max(end - at, first), len(text))
        for part, marked in ((text[:first], False), (text[first:last], True), (text[last:], False)):
            if part:
                segments.append(Segment(part, (own + style if own else style) if marked else own))
        at += len(text)
    return Strip(segments, strip.cell_length)
