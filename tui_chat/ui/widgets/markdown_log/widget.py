"""`MarkdownLog`: a markdown text that streams, drawn by line in one widget.

Textual's own `Markdown` mounts a widget for each block, list item and table cell, and the cost of a flush is the number
of mounted widgets: an answer of 20,000 tokens takes 170 ms to 40 s for each flush. Here the text is one widget, its
rows are kept as strips, and a flush replaces only the rows of the open end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

from tui_chat.ui.widgets.markdown_log.log_rows import LogRows
from tui_chat.ui.widgets.markdown_log.render import Glyphs, Palette, Renderer, Row

_PREFIX: Final = "markdown-log--"
_ALL: Final = 1_000_000_000


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
        self._rows = LogRows(source, finished=finished)
        self._palette: Palette | None = None
        self._laid_out: tuple[int, Palette, Glyphs] | None = None

    @property
    def source(self) -> str:
        """The markdown as it was given."""
        return self._rows.source

    @property
    def code_blocks(self) -> list[str]:
        """Sources of the code blocks, in order."""
        return self._rows.code_blocks

    @property
    def running(self) -> bool:
        """Whether the text ends with the running mark."""
        return self._rows.running

    @running.setter
    def running(self, running: bool) -> None:
        if running != self._rows.running:
            height = self._rows.height
            self._rows.running = running
            self._show(height)

    def feed(self, text: str) -> None:
        """Append a piece of the text, cut anywhere; to be called once a frame with all that arrived."""
        if text:
            self._rows.feed(text)
            self._update()

    def finalise(self) -> None:
        """The text is complete, for whatever reason: drop the running mark, parse what was cut for speed as a whole."""
        self._rows.finalise()
        self._update()

    def clear(self) -> None:
        """Forget the text."""
        height = self._rows.height
        self._rows.clear()
        self._show(height)

    # Laying out

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        """Rows at this width."""
        self._lay_out(width)
        self._rows.ensure(0, _ALL)
        return self._rows.height

    def get_content_width(self, container: Size, viewport: Size) -> int:  # noqa: ARG002
        """All there is."""
        return container.width

    def _lay_out(self, width: int) -> None:
        """Use a width, unless it is used already."""
        key = (width, self._current_palette(), self.glyphs)
        if self._laid_out != key:
            self._laid_out = key
            self._rows.lay_out(Renderer(*key), self._finish)
            self._rows.repaint()
        self._rows.refill()

    def _update(self) -> None:
        """Show what has changed, if anything can be shown yet."""
        if self._laid_out is not None:
            height = self._rows.height
            self._rows.refill()
            self._show(height)

    def _show(self, height: int) -> None:
        """Ask for a repaint of the rows that changed, and for a layout if their number did."""
        changed = self._rows.take_changed()
        if self._laid_out is None:
            return
        if changed is not None:
            self._rows.ensure(changed, _ALL)
        if self._rows.height != height:
            self.refresh(layout=True)
            return
        first = height - 1 if changed is None else min(changed, height - 1)
        self.refresh(Region(0, first, self.content_size.width, height - first))

    # Drawing

    def notify_style_update(self) -> None:
        """Look at the component styles again: a theme may have changed."""
        super().notify_style_update()
        self._palette = None
        self._rows.repaint()
        if self._laid_out is not None and self._current_palette() != self._laid_out[1]:
            self.refresh(layout=True)

    def _current_palette(self) -> Palette:
        if self._palette is None:
            self._palette = palette_of(self)
            self._rows.mark_style = own_style(self, f"{_PREFIX}running")
        return self._palette

    def _finish(self, strip: Strip) -> Strip:
        return strip.extend_cell_length(self.content_size.width).apply_style(self.visual_style.rich_style)

    def render_line(self, y: int) -> Strip:
        """One row in the widget's own colours, with the selection and the running mark."""
        self._lay_out(self.content_size.width)
        strip = self._rows.strip(y)
        selection = self.text_selection
        if selection is not None and (span := selection.get_span(y)) is not None:
            strip = highlighted(strip, *span, self.selection_style)
        return strip.apply_offsets(0, y)

    # Selecting

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text as it was before wrapping."""
        first = selection.start.y if selection.start is not None else 0
        last = selection.end.y if selection.end is not None else self._rows.height - 1
        rows = ((row, selection.get_span(y)) for y in range(first, last + 1) if (row := self._rows.row(y)) is not None)
        return selected_text(rows), "\n"

    def selection_updated(self, selection: Selection | None) -> None:  # noqa: ARG002
        """Repaint: the marked cells differ."""
        self.refresh()


def selected_text(rows: Iterable[tuple[Row, tuple[int, int] | None]], margin: int = 0) -> str:
    """The text of rows, each with the range of its characters that is selected, as it was before wrapping.

    `margin` is how many characters stand before the rows where they are painted.
    """
    parts: list[str] = []
    for row, span in rows:
        if span is None:
            continue
        start, end = span
        if parts or row.text:
            copied = row.copied(max(0, start - margin), end if end < 0 else max(0, end - margin))
            parts += [row.glue if parts else "", copied]
    return "".join(parts)


def palette_of(widget: Widget) -> Palette:
    """The styles of a widget's `markdown-log--…` component classes."""
    names = (each.name for each in fields(Palette))
    return Palette(**{name: own_style(widget, _PREFIX + name.replace("_", "-")) for name in names})


def own_style(widget: Widget, name: str) -> Style:
    """What the rules for a component class say themselves, with translucent colours mixed into the background."""
    rules = widget.get_component_styles(name)
    full = widget.get_visual_style(name).rich_style
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


def highlighted(strip: Strip, start: int, end: int, style: Style) -> Strip:
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
