"""Blocks to rows of the screen for one width and one palette.

The rows of a block depend on nothing but the block, so they are made once and kept. Roles without a style of their own
look like their surroundings; the widget lays its own colours under every row when it draws it, which keeps rows valid
when only the background changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
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
    Span,
    Table,
)
from tui_chat.ui.widgets.markdown_log.clean import clean
from tui_chat.ui.widgets.markdown_log.highlight import WHOLE, Follower, highlight
from tui_chat.ui.widgets.markdown_log.tables import Layout, fitted_layout, plain
from tui_chat.ui.widgets.markdown_log.wrap import Link, Piece, Swap, Wrapped, rest_of, width_of, wrap

Glyphs: TypeAlias = Literal["unicode", "ascii"]

CODE_INDENT: Final = 2
FORMULA_INDENT: Final = 2
MOST_CARRIES: Final = 4_096
NARROWEST: Final = 8
"""Cells that indents of nested blocks leave for text, where there are as many."""
_GLYPHS: Final[dict[Glyphs, dict[str, str]]] = {
    "unicode": {"bullet": "•", "todo": "☐", "done": "☑", "bar": "│", "rule": "─", "running": "▍"},
    "ascii": {"bullet": "-", "todo": "[ ]", "done": "[x]", "bar": "|", "rule": "-", "running": "_"},
}
_EMPTY: Final = Wrapped([], "", "")
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
    links: tuple[Link, ...] = ()
    """Its links, from left to right."""
    code_start: bool = False
    """A code block begins here."""
    swaps: tuple[Swap, ...] = ()
    """Formulas, whose source the text holds instead of what is drawn."""

    def copied(self, start: int, end: int = -1) -> str:
        """What copying the characters from one to another yields, counted as drawn; -1 is the end of the row."""
        last = len(self.text) if end < 0 else self._in_text(end, after=True)
        return self.text[max(0, self._in_text(start)) : max(0, last)]

    def _in_text(self, character: int, *, after: bool = False) -> int:
        """Where a drawn character stands in the text; a formula is copied whole or not at all."""
        grown = -self.lead
        for swap in self.swaps:
            if character <= swap.start:
                break
            if character < swap.end:
                return swap.start + grown + (len(swap.source) if after else 0)
            grown += len(swap.source) - (swap.end - swap.start)
        return character + grown


@dataclass(slots=True)
class _Line:
    """A row in the making."""

    segments: list[Segment]
    text: str
    """As drawn: formulas become their source at the very end."""
    lead: int = 0
    glue: str = "\n"
    links: tuple[Link, ...] = ()
    swaps: tuple[Swap, ...] = ()
    code_start: bool = False

    def moved(self, prefix: str) -> None:
        """Take note of what was put in front."""
        if self.links:
            cells = cell_len(prefix)
            self.links = tuple(Link(start + cells, end + cells, target) for start, end, target in self.links)
        if self.swaps:
            size = len(prefix)
            self.swaps = tuple(Swap(start + size, end + size, source) for start, end, source in self.swaps)

    def row(self, width: int) -> Row:
        strip = Strip(self.segments)
        links = self.links
        if strip.cell_length > width:
            strip = strip.crop(0, width)
            links = tuple(link._replace(end=min(link.end, width)) for link in links if link.start < width)
        text = _sources_in(self.text, self.swaps, self.lead) if self.swaps else self.text
        return Row(strip, text, self.lead, self.glue, links, self.code_start, self.swaps)


class _Carry(NamedTuple):
    """The last row of a part of a paragraph, which the next part goes on in."""

    pieces: Sequence[Piece] = ()
    glue: str = "\n"


@dataclass(frozen=True, slots=True)
class Renderer:
    """Draws blocks for one width."""

    width: int
    palette: Palette
    glyphs: Glyphs = "unicode"
    _styles: dict[Mark, Style | None] = field(default_factory=dict, compare=False)
    _follower: Follower = field(default_factory=Follower, compare=False)
    _carries: dict[int, tuple[Paragraph, _Carry]] = field(default_factory=dict, compare=False)
    """By the identity of the part that leaves them."""

    def rows(self, block: Block) -> list[Row]:
        """The rows of a top-level block, the blank one above it included."""
        return [line.row(self.width) for line in self._with_gap(block, self.width)]

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
            case Paragraph():
                return self._paragraph(block, width)
            case Heading():
                return self._heading(block, width)
            case Code():
                return self._code(block, width)
            case Html(text):
                return _plain_lines(wrap([Piece(clean(text), None)], width))
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
            head = _plain_lines(wrap([Piece(marker.rstrip(), style)], width)) if marker else []
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

    def _paragraph(self, paragraph: Paragraph, width: int) -> list[_Line]:
        if paragraph.head and paragraph.foot:
            return self._text(paragraph.inline, width)
        return self._part_of_text(paragraph, self._carried(paragraph, width), width)[0]

    def _carried(self, paragraph: Paragraph, width: int) -> _Carry:
        """What the part before leaves to a part of a paragraph."""
        path: list[Paragraph] = []
        carry = _Carry()
        part = paragraph.before
        while part is not None:
            known = self._carries.get(id(part))
            if known is not None and known[0] is part:
                carry = known[1]
                break
            path.append(part)
            part = part.before
        if len(self._carries) > MOST_CARRIES:
            self._carries.clear()
        for part in reversed(path):
            carry = self._part_of_text(part, carry, width)[1]
            self._carries[id(part)] = part, carry
        return carry

    def _part_of_text(self, paragraph: Paragraph, carry: _Carry, width: int) -> tuple[list[_Line], _Carry]:
        """The rows of a part, from the last row of the one before on; it leaves its own last row to the next."""
        first, *others = _apart(paragraph.inline)
        pieces = [*carry.pieces, *self._pieces(first)]
        rows = wrap(pieces, width) if pieces or not others else []
        if rows:
            rows[0] = rows[0]._replace(glue=carry.glue)
        lines = _plain_lines(rows)
        for part in others[:-1]:
            lines += self._part(part, width, None)
        if others:
            pieces = self._pieces(others[-1])
            rows = wrap(pieces, width)
            lines += _plain_lines(rows if pieces else [])
        if paragraph.foot or not pieces:
            return lines, _Carry()
        return lines[:-1], _Carry(rest_of(pieces, rows[-1]), rows[-1].glue)

    def _text(self, inline: Inline, width: int, style: Style | None = None) -> list[_Line]:
        if not any(span.source is not None and span.mark & Mark.DISPLAY for span in inline):
            return _plain_lines(wrap(self._pieces(inline, style), width))
        return [line for part in _apart(inline) for line in self._part(part, width, style)]

    def _part(self, inline: Inline, width: int, style: Style | None) -> list[_Line]:
        """Running text, or one formula that stands on its own."""
        if not inline:
            return []
        pieces = self._pieces(inline, style)
        if not inline[0].mark & Mark.DISPLAY:
            return _plain_lines(wrap(pieces, width))
        indent = min(FORMULA_INDENT, width // 4)
        lines = _plain_lines(wrap(pieces, width - indent, keep_spaces=True))
        return _prefixed(lines, " " * indent, " " * indent, style, copied=False)

    def _pieces(self, inline: Inline, style: Style | None = None) -> list[Piece]:
        pieces: list[Piece] = []
        for span in inline:
            own = self._style(span.mark)
            both = style + own if style and own else own or style
            source = None if span.source is None else clean(span.source)
            pieces.append(Piece(clean(span.text), both, span.target, source))
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
            lines.append(_Line(segments, "", len(space), "", code_start=True))
        glue = "\n"
        for pieces in self._code_lines(code) if code.text else ():
            plain_line = "".join(piece.text for piece in pieces)
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
        lines: Sequence[tuple[tuple[str, str], ...]]
        if code.lexed is not None and code.growing:
            lines = self._follower.lines_after(code, code.lexed.state(code.line))
        elif code.lexed is not None:
            lines = code.lexed.part(code.line, text.count("\n") + 1)
        elif by_line:
            lines = self._follower.lines(code)
        else:
            lines = highlight(text, code.language)
        return [_cleaned([Piece(run, styles[role]) for run, role in line]) for line in lines]

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
            wrap([piece._replace(text=piece.text.replace("\n", " ")) for piece in self._pieces(cell, style)], width)
            for cell, width in zip(row, layout.widths, strict=False)
        ]
        lines: list[_Line] = []
        for at in range(max(map(len, columns), default=0)):
            line = _Line([], "")
            for column, width, align in zip(columns, layout.widths, layout.aligns, strict=False):
                _add_cell(line, column[at] if at < len(column) else _EMPTY, width, align)
                line.segments.append(Segment(" " * layout.gap))
            line.text = "".join(segment.text for segment in line.segments).rstrip()
            line.segments = _trimmed(line.segments)
            lines.append(line)
        return lines

    def _stacked(self, table: Table, width: int) -> list[_Line]:
        """One line for each cell, for a table that has no room beside itself."""
        lines: list[_Line] = []
        for number, row in enumerate(table.rows):
            if number or table.continued:
                lines.append(_Line([], ""))
            for head, cell in zip(table.head, row, strict=False):
                pieces = [Piece(f"{plain(head)}: ", self.palette.table_head)] if plain(head) else []
                lines += _plain_lines(wrap([*pieces, *self._pieces(cell)], width))
        if not table.rows and not table.continued:
            for head in table.head:
                lines += self._text(head, width, self.palette.table_head)
        return lines


def _plain_lines(rows: Sequence[Wrapped]) -> list[_Line]:
    return [_Line(row.segments, row.text, 0, row.glue, row.links, row.swaps) for row in rows]


def _apart(inline: Inline) -> list[Inline]:
    """Text and formulas that stand on rows of their own, in turns; the last one is text, if only none."""
    parts: list[Inline] = []
    running: list[Span] = []
    for span in inline:
        if not span.mark & Mark.DISPLAY:
            running.append(span)
            continue
        parts += [_stripped(running), (span,)]
        running = []
    if not parts:
        return [inline]
    return [*parts, _stripped(running)]


def _stripped(spans: list[Span]) -> Inline:
    """Text without the spaces between it and a formula that has rows of its own."""
    if spans and spans[0].source is None:
        spans[0] = replace(spans[0], text=spans[0].text.lstrip())
    if spans and spans[-1].source is None:
        spans[-1] = replace(spans[-1], text=spans[-1].text.rstrip())
    return tuple(span for span in spans if span.text)


def _sources_in(text: str, swaps: Sequence[Swap], lead: int) -> str:
    parts: list[str] = []
    at = 0
    for start, end, source in swaps:
        parts += [text[at : start - lead], source]
        at = end - lead
    return "".join([*parts, text[at:]])


def _prefixed(lines: list[_Line], first: str, other: str, style: Style | None, *, copied: bool = True) -> list[_Line]:
    """The lines behind a marker or an indent, which is part of the copied text where a line begins."""
    for number, line in enumerate(lines):
        prefix = other if number else first
        if not prefix:
            continue
        blank = not line.segments and number != 0 and not prefix.strip()
        if not blank:
            line.segments.insert(0, Segment(prefix, style))
            line.moved(prefix)
        if not copied:
            line.lead += len(prefix)
        elif line.glue == "\n" and line.lead == 0:
            line.text = line.text if blank else prefix + line.text
        else:
            line.lead += len(prefix)
    return lines


def _add_cell(line: _Line, cell: Wrapped, width: int, align: Align) -> None:
    padding = max(0, width - width_of(cell.segments))
    left = padding if align == "right" else padding // 2 if align == "center" else 0
    line.segments.append(Segment(" " * left))
    if cell.links or cell.swaps:
        moved = _Line([], "", links=cell.links, swaps=cell.swaps)
        moved.moved("".join(segment.text for segment in line.segments))
        line.links += moved.links
        line.swaps += moved.swaps
    line.segments += [*cell.segments, Segment(" " * (padding - left))]


def _trimmed(segments: list[Segment]) -> list[Segment]:
    while segments and not segments[-1].text.strip() and not segments[-1].style:
        segments.pop()
    return [segment for segment in segments if segment.text]


def _cleaned(pieces: list[Piece]) -> list[Piece]:
    """Pieces of one line with tabs at the stops of that line."""
    if not any("\t" in piece.text for piece in pieces):
        return [piece._replace(text=clean(piece.text)) for piece in pieces]
    cleaned: list[Piece] = []
    column = 0
    for text, style, _, _ in pieces:
        expanded = clean(" " * column + text)[column:]
        column = (column + len(expanded)) % 4
        cleaned.append(Piece(expanded, style))
    return cleaned
