"""Blocks to rows of the screen for one width and one palette.

The rows of a block depend on nothing but the block, so they are made once and kept. Roles without a style of their own
look like their surroundings; the widget lays its own colours under every row when it draws it, which keeps rows valid
when only the background changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, TypeAlias, assert_never

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tui_chat.ui.widgets.markdown_log.blocks import (
    Align,
    Block,
    Code,
    Footnote,
    Heading,
    Html,
    Inline,
    Item,
    Mark,
    Paragraph,
    Quote,
    Rule,
    Table,
)
from tui_chat.ui.widgets.markdown_log.clean import clean
from tui_chat.ui.widgets.markdown_log.highlight import WHOLE, Follower, Line, highlight
from tui_chat.ui.widgets.markdown_log.tables import Layout, fitted_layout, plain
from tui_chat.ui.widgets.markdown_log.wrap import Piece, Wrapped, width_of, wrap

Glyphs: TypeAlias = Literal["unicode", "ascii"]

CODE_INDENT: Final = 2
NARROWEST: Final = 8
"""Cells that indents of nested blocks leave for text, where there are as many."""
_GLYPHS: Final[dict[Glyphs, dict[str, str]]] = {
    "unicode": {"bullet": "•", "todo": "☐", "done": "☑", "bar": "│", "rule": "─", "running": "▍"},
    "ascii": {"bullet": "-", "todo": "[ ]", "done": "[x]", "bar": "|", "rule": "-", "running": "_"},
}
_NULL: Final = Style.null()
_BOLD: Final = Style(bold=True)
_BOLD_ITALIC: Final = Style(bold=True, italic=True)
_ITALIC: Final = Style(italic=True)
_UNDERLINE: Final = Style(underline=True)


@dataclass(frozen=True, slots=True)
class Palette:
    """The styles a markdown text is drawn with; each holds only what differs from the surroundings."""

    heading: Style = _BOLD
    subheading: Style = _BOLD_ITALIC
    """Level 3 and below."""
    code: Style = _NULL
    """The band of a code block."""
    code_language: Style = _NULL
    inline_code: Style = _NULL
    quote: Style = _NULL
    """Text of a quote."""
    table_head: Style = _NULL
    rule: Style = _NULL
    link: Style = _UNDERLINE
    keyword: Style = _NULL
    literal: Style = _NULL
    comment: Style = _ITALIC
    secondary: Style = _NULL


class Row(NamedTuple):
    """One row of the screen."""

    strip: Strip
    text: str
    """What copying this row yields, decoration left out."""
    lead: int
    """Characters of decoration before the text."""
    glue: str
    """What joins it to the text of the row above: a line feed, or what stood where a long line was wrapped."""


@dataclass(slots=True)
class _Line:
    """A row in the making."""

    segments: list[Segment]
    text: str
    lead: int = 0
    glue: str = "\n"


@dataclass(frozen=True, slots=True)
class Renderer:
    """Draws blocks for one width."""

    width: int
    palette: Palette
    glyphs: Glyphs = "unicode"
    _styles: dict[Mark, Style | None] = field(default_factory=dict, compare=False)
    _follower: Follower = field(default_factory=Follower, compare=False)

    def rows(self, block: Block) -> list[Row]:
        """The rows of a top-level block, the blank one above it included."""
        rows: list[Row] = []
        for line in self._with_gap(block, self.width):
            strip = Strip(line.segments)
            if strip.cell_length > self.width:
                strip = strip.crop(0, self.width)
            rows.append(Row(strip, line.text, line.lead, line.glue))
        return rows

    @property
    def running(self) -> str:
        """The mark at the end of a text that still arrives."""
        return self._glyph("running")

    def _glyph(self, name: str) -> str:
        return _GLYPHS[self.glyphs][name]

    def _with_gap(self, block: Block, width: int) -> list[_Line]:
        lines = self._lines(block, width)
        return [_Line([], ""), *lines] if block.gap else lines

    def _lines(self, block: Block, width: int) -> list[_Line]:
        match block:
            case Paragraph(inline):
                return self._text(inline, width)
            case Heading():
                return self._heading(block, width)
            case Code():
                return self._code(block, width)
            case Html(text):
                return _plain_lines(wrap([(clean(text), None)], width))
            case Table():
                return self._table(block, width)
            case Rule():
                return [_Line([Segment(self._glyph("rule") * width, self.palette.rule)], "---")]
            case Quote(children):
                bar = f"{self._glyph('bar')} " if width > NARROWEST else ""
                inner = self._children(children, width - len(bar), self.palette.quote)
                return _prefixed(inner, bar, bar, self.palette.secondary, copied=False)
            case Item():
                return self._item(block, width)
            case Footnote(label, children):
                marker = "" if block.continued else f"[{clean(label)}] "
                return self._marked(children, marker, 4, width, self.palette.secondary)
            case _:
                assert_never(block)

    def _children(self, children: Sequence[Block], width: int, style: Style | None) -> list[_Line]:
        lines = [line for child in children for line in self._with_gap(child, max(1, width))]
        if style:
            for line in lines:
                line.segments = [Segment(text, style + own if own else style) for text, own, _ in line.segments]
        return lines

    def _item(self, item: Item, width: int) -> list[_Line]:
        marker = self._glyph("bullet") if item.number is None else f"{item.number}."
        if item.task is not None:
            marker = self._glyph("done" if item.task else "todo")
        return self._marked(item.children, "" if item.continued else f"{marker} ", len(marker) + 1, width, None)

    def _marked(
        self, children: Sequence[Block], marker: str, indent: int, width: int, style: Style | None
    ) -> list[_Line]:
        """Blocks behind a marker, indented, or below it where there is no room for an indent."""
        if width - indent < NARROWEST:
            head = _plain_lines(wrap([(marker.rstrip(), style)], width)) if marker else []
            return [*head, *self._children(children, width, None)]
        inner = self._children(children, width - indent, None) or [_Line([], "")]
        if len(marker) > indent:
            return [_Line([Segment(marker, style)], marker), *_prefixed(inner, " " * indent, " " * indent, style)]
        return _prefixed(inner, marker.ljust(indent), " " * indent, style)

    def _heading(self, heading: Heading, width: int) -> list[_Line]:
        style = self.palette.heading if heading.level < 3 else self.palette.subheading
        lines = self._text(heading.inline, width, style)
        if heading.level == 1:
            longest = max(width_of(line.segments) for line in lines)
            lines.append(_Line([Segment(self._glyph("rule") * longest, self.palette.rule)], "", longest, ""))
        return lines

    def _text(self, inline: Inline, width: int, style: Style | None = None) -> list[_Line]:
        return _plain_lines(wrap(self._pieces(inline, style), width))

    def _pieces(self, inline: Inline, style: Style | None = None) -> list[Piece]:
        pieces: list[Piece] = []
        for span in inline:
            own = self._style(span.mark)
            pieces.append((clean(span.text), style + own if style and own else own or style))
        return pieces

    def _style(self, mark: Mark) -> Style | None:
        if mark == Mark.PLAIN:
            return None
        if mark not in self._styles:
            self._styles[mark] = self._combined(mark)
        return self._styles[mark]

    def _combined(self, mark: Mark) -> Style:
        style = Style(
            bold=True if mark & Mark.STRONG else None,
            italic=True if mark & Mark.EMPHASIS else None,
            strike=True if mark & Mark.STRIKE else None,
        )
        if mark & Mark.CODE:
            style += self.palette.inline_code
        if mark & Mark.LINK:
            style += self.palette.link
        return style + self.palette.secondary if mark & Mark.SECONDARY else style

    # Code

    def _code(self, code: Code, width: int) -> list[_Line]:
        band = self.palette.code
        indent = min(CODE_INDENT, width // 4)
        lines: list[_Line] = []
        if code.head:
            language = clean(code.language)[: max(0, width - 1)]
            space = " " * max(0, width - cell_len(language) - 1)
            segments = [Segment(space, band), Segment(f"{language} ", band + self.palette.code_language)]
            lines.append(_Line(segments, "", len(space), ""))
        glue = "\n"
        for pieces in self._code_lines(code) if code.text else ():
            plain_line = "".join(piece for piece, _ in pieces)
            hanging = min(len(plain_line) - len(plain_line.lstrip()) + 2, max(0, (width - indent) // 2))
            for row in wrap(pieces, width - indent - 1, hanging=hanging, keep_spaces=True):
                lead = indent if row.glue == "\n" else indent + hanging
                lines.append(
                    _Line([Segment(" " * lead, band), *row.segments], row.text, lead, glue if row.glue == "\n" else "")
                )
                glue = "\n"
        if code.foot:
            lines.append(_Line([], "", width, ""))
        for line in lines:
            padding = width - width_of(line.segments)
            line.segments = [segment for segment in line.segments if segment.text]
            if padding > 0:
                line.segments.append(Segment(" " * padding, band))
        return lines

    def _code_lines(self, code: Code) -> list[list[Piece]]:
        palette = self.palette
        styles = {
            "": palette.code,
            "keyword": palette.code + palette.keyword,
            "literal": palette.code + palette.literal,
            "comment": palette.code + palette.comment,
        }
        text = code.text.removesuffix("\n")
        part = code.growing or not (code.head and code.foot)
        by_line = part or len(text) > WHOLE
        lines: Sequence[Line] = self._follower.lines(code) if by_line else highlight(text, code.language)
        return [_cleaned([(run, styles[role]) for run, role in line]) for line in lines]

    # Tables

    def _table(self, table: Table, width: int) -> list[_Line]:
        layout = fitted_layout(table, width)
        if layout is None:
            return self._stacked(table, width)
        lines: list[_Line] = []
        if not table.continued:
            lines += self._cells(table.head, layout, self.palette.table_head)
            total = sum(layout.widths) + layout.gap * (len(layout.widths) - 1)
            lines.append(_Line([Segment(self._glyph("rule") * total, self.palette.rule)], "", total, ""))
        for row in table.rows:
            lines += self._cells(row, layout, None)
        return lines

    def _cells(self, row: Sequence[Inline], layout: Layout, style: Style | None) -> list[_Line]:
        columns = [
            wrap([(text.replace("\n", " "), own) for text, own in self._pieces(cell, style)], width)
            for cell, width in zip(row, layout.widths, strict=False)
        ]
        lines: list[_Line] = []
        for at in range(max(map(len, columns), default=0)):
            segments: list[Segment] = []
            for column, width, align in zip(columns, layout.widths, layout.aligns, strict=False):
                cell = column[at].segments if at < len(column) else []
                segments += _aligned(cell, width, align)
                segments.append(Segment(" " * layout.gap))
            text = "".join(segment.text for segment in segments).rstrip()
            lines.append(_Line(_trimmed(segments), text))
        return lines

    def _stacked(self, table: Table, width: int) -> list[_Line]:
        """One line for each cell, for a table that has no room beside itself."""
        lines: list[_Line] = []
        for number, row in enumerate(table.rows):
            if number or table.continued:
                lines.append(_Line([], ""))
            for head, cell in zip(table.head, row, strict=False):
                pieces: list[Piece] = [(f"{plain(head)}: ", self.palette.table_head)] if plain(head) else []
                lines += _plain_lines(wrap([*pieces, *self._pieces(cell)], width))
        if not table.rows and not table.continued:
            for head in table.head:
                lines += self._text(head, width, self.palette.table_head)
        return lines


def _plain_lines(rows: Sequence[Wrapped]) -> list[_Line]:
    return [_Line(row.segments, row.text, 0, row.glue) for row in rows]


def _prefixed(lines: list[_Line], first: str, other: str, style: Style | None, *, copied: bool = True) -> list[_Line]:
    """The lines behind a marker or an indent, which is part of the copied text where a line begins."""
    for number, line in enumerate(lines):
        prefix = other if number else first
        if not prefix:
            continue
        blank = not line.segments and number != 0 and not prefix.strip()
        if not blank:
            line.segments.insert(0, Segment(prefix, style))
        if not copied:
            line.lead += len(prefix)
        elif line.glue == "\n" and line.lead == 0:
            line.text = line.text if blank else prefix + line.text
        else:
            line.lead += len(prefix)
    return lines


def _aligned(segments: list[Segment], width: int, align: Align) -> list[Segment]:
    padding = max(0, width - width_of(segments))
    left = padding if align == "right" else padding // 2 if align == "center" else 0
    return [Segment(" " * left), *segments, Segment(" " * (padding - left))]


def _trimmed(segments: list[Segment]) -> list[Segment]:
    while segments and not segments[-1].text.strip() and not segments[-1].style:
        segments.pop()
    return [segment for segment in segments if segment.text]


def _cleaned(pieces: list[Piece]) -> list[Piece]:
    """Pieces of one line with tabs at the stops of that line."""
    if not any("\t" in text for text, _ in pieces):
        return [(clean(text), style) for text, style in pieces]
    cleaned: list[Piece] = []
    column = 0
    for text, style in pieces:
        expanded = clean(" " * column + text)[column:]
        column = (column + len(expanded)) % 4
        cleaned.append((expanded, style))
    return cleaned
