"""The rows of one markdown text at one width, drawn where somebody looks and estimated elsewhere.

A text may have ten thousand rows and forty of them are in view. So rows are made block by block when a range of them is
asked for; all other blocks only have a height, exact once they were drawn at this width, guessed before. Whoever shows
the rows keeps the view still by a `Mark`, a place in the text that survives the correction of a guess.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias, assert_never

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tui_chat.ui.widgets.markdown_log.blocks import (
    Block,
    Code,
    Footnote,
    Heading,
    Html,
    Inline,
    Item,
    Paragraph,
    Quote,
    Rule,
    Table,
    code_of,
)
from tui_chat.ui.widgets.markdown_log.document import MarkdownDocument
from tui_chat.ui.widgets.markdown_log.parts import in_parts
from tui_chat.ui.widgets.markdown_log.render import Renderer, Row

MOST_DRAWN: Final = 400
"""Blocks whose rows are kept; beyond it those far from the view are forgotten."""

Finish: TypeAlias = Callable[[Strip], Strip]
"""Lays a row of a block on the ground it is shown on: margins, colours, the full width."""


class Mark(NamedTuple):
    """A place in a text: a block, and a row of it."""

    block: int
    row: int
    height: int = 0
    """Rows of the block when the mark was set; at another width the place is as far down in it."""
    line: int = 0
    """The row in the whole text, for when the block itself is gone: parts of a long one may have become one again."""
    layout: int = 0
    version: int = 0


@dataclass(slots=True)
class _Drawn:
    """The rows of one block, and the same rows finished, as far as they were painted."""

    rows: list[Row]
    finished: list[Strip | None]


class LogRows:
    """One markdown text, which may still be arriving, as rows."""

    def __init__(self, source: str = "", *, finished: bool = True, mark_style: Style | None = None) -> None:
        """Make the rows of a text; with `finished=False` it ends with the running mark and waits for `feed`."""
        self.document = MarkdownDocument()
        self.running = not finished
        """Whether the text ends with the running mark."""
        self.mark_style = mark_style or Style.null()
        self._pending: list[str] = [source] if source else []
        self._finishing = finished
        self._renderer: Renderer | None = None
        self._finish: Finish = _as_it_is
        self._blocks: list[Block] = []
        self._heights: list[int] = []
        self._drawn: list[_Drawn | None] = []
        self._starts: list[int] = [0]
        """First row of each block, and the row after the last."""
        self._sealed = 0
        """Blocks of the document that were sealed when they were taken over."""
        self._places: list[int] = [0]
        """For each block of the document, and for the next one, where its parts begin among ours."""
        self._heads: list[int] = []
        """Code blocks that begin in each block."""
        self._code_heads = 0
        self._count_drawn = 0
        self._changed: int | None = None
        self._layout = 0
        """Grows with each other width."""
        self._replaced: list[int] = []
        """For each replacement of blocks, the first of them."""

    # The text

    @property
    def source(self) -> str:
        """The markdown as it was given."""
        return self.document.source + "".join(self._pending)

    @property
    def code_blocks(self) -> list[str]:
        """Sources of the code blocks, in order."""
        self.refill()
        return self.document.code_blocks

    @property
    def has_code(self) -> bool:
        """Whether there is a code block."""
        self.refill()
        return self._code_heads > 0

    def code_marks(self) -> list[Mark]:
        """Where each code block begins."""
        self.refill()
        places: list[tuple[int, int]] = []
        for at, heads in enumerate(self._heads):
            if heads:
                self._drawn_now(at)
                drawn = self._drawn[at]
                rows = drawn.rows if drawn is not None else []
                places += [(at, y) for y, row in enumerate(rows) if row.code_start]
        self._sum_up(0)
        return [self.mark(self._starts[at] + y) for at, y in places]

    @property
    def targets(self) -> list[str]:
        """Where the links lead, in order, each once."""
        self.refill()
        found = (span.target for block in self._blocks for inline in _inlines(block) for span in inline if span.target)
        return list(dict.fromkeys(found))

    def feed(self, text: str) -> None:
        """Append a piece of the text, cut anywhere; to be called once a frame with all that arrived."""
        if text:
            self._pending.append(text)
            self._finishing = False

    def finalise(self) -> None:
        """The text is complete, for whatever reason: no running mark; what was cut for speed is parsed as a whole."""
        self._finishing = True
        self.running = False

    def clear(self) -> None:
        """Forget the text."""
        self.document = MarkdownDocument()
        self._pending.clear()
        self._sealed = 0
        self._places = [0]
        self._replace(0, [])

    def _take_pending(self) -> None:
        """Bring the document up to the text that was fed."""
        text = "".join(self._pending)
        self._pending.clear()
        if not self._finishing:
            self.document.feed(text)
        elif text and not self.document.source:
            self.document = MarkdownDocument.whole(text)
        else:
            self.document.feed(text)
            self.document.finalise()

    def refill(self) -> None:
        """Take over what was fed: its blocks are there, with estimated heights."""
        if not self._pending and self.document.finished == self._finishing:
            return
        self._take_pending()
        changed = self.document.take_changed()
        first = self._sealed if changed is None else min(changed, self._sealed)
        sealed = self.document.sealed
        self._sealed = len(sealed)
        at = self._places[first]
        del self._places[first + 1 :]
        blocks: list[Block] = []
        above = self._blocks[at - 1] if at else None
        for parts in in_parts((*sealed[first:], *self.document.tail), above):
            blocks += parts
            self._places.append(at + len(blocks))
        self._replace(at, blocks)

    def take_changed(self) -> int | None:
        """The first row that may look different since this was asked last; `None` when all are as they were."""
        changed, self._changed = self._changed, None
        return changed

    def _replace(self, first: int, blocks: list[Block]) -> None:
        """Put blocks in place of all from `first` on; what is drawn stays where a block is still the same."""
        same = 0
        for now, old in zip(blocks, self._blocks[first:], strict=False):
            if now is not old and now != old:
                break
            same += 1
        self._blocks[first : first + same] = blocks[:same]
        first, blocks = first + same, blocks[same:]
        old_drawn = self._drawn[first:]
        if first < len(self._blocks):
            self._replaced.append(first)
        self._code_heads -= sum(self._heads[first:])
        del self._blocks[first:], self._heights[first:], self._drawn[first:], self._heads[first:]
        self._heads += [sum(code.head for code in code_of(block)) for block in blocks]
        self._code_heads += sum(self._heads[first:])
        self._count_drawn -= sum(drawn is not None for drawn in old_drawn)
        self._blocks += blocks
        self._heights += [self._estimate(block) for block in blocks]
        self._drawn += [None] * len(blocks)
        changed = self._starts[first]
        if old_drawn and blocks and old_drawn[0] is not None:
            changed += self._same_rows(first, old_drawn[0])
        # the end of a text is drawn again with each piece of it, and most of its rows are what they were
        for at, before in enumerate(old_drawn[1:], first + 1):
            if before is not None and at < len(self._blocks):
                self._draw(at, before)
        self._sum_up(first)
        self._changed = changed if self._changed is None else min(changed, self._changed)

    def _same_rows(self, at: int, before: _Drawn) -> int:
        """Draw a block that changed; returns how many of its first rows look as they did."""
        drawn = self._draw(at, before)
        for y, (now, old) in enumerate(zip(drawn.rows, before.rows, strict=False)):
            if now.strip != old.strip:
                return y
        return min(len(drawn.rows), len(before.rows))

    # Heights

    @property
    def height(self) -> int:
        """Rows of the text, as far as we know."""
        return max(self._starts[-1], 1 if self.running else 0)

    def lay_out(self, renderer: Renderer, finish: Finish) -> None:
        """Use a width and its colours from now on; rows that were drawn for another one are forgotten."""
        same = self._renderer is not None and self._renderer == renderer
        self._finish = finish
        if not same:
            self._renderer = renderer
            self._layout += 1
            self._drawn = [None] * len(self._blocks)
            self._count_drawn = 0
            self._heights = [self._estimate(block) for block in self._blocks]
            self._sum_up(0)
        self.refill()

    def repaint(self) -> None:
        """Finish every row anew when it is painted next: what `Finish` does has changed."""
        for drawn in self._drawn:
            if drawn is not None:
                drawn.finished = [None] * len(drawn.rows)

    def ensure(self, top: int, bottom: int) -> bool:
        """Draw the blocks from row `top` until row `bottom` is reached; true when heights changed above `bottom`."""
        if not self._blocks:
            return False
        first = at = self._block_at(max(0, top))
        y = self._starts[at]
        changed = False
        while at < len(self._blocks) and y < bottom:
            changed |= self._drawn_now(at)
            y += self._heights[at]
            at += 1
        if changed:
            self._sum_up(first)
        return changed

    def ensure_above(self, y: int, rows: int) -> bool:
        """Draw so many rows above row `y`; true when heights changed."""
        if not self._blocks or y <= 0:
            return False
        at = self._block_at(y - 1)
        have = y - self._starts[at] - self._heights[at]
        changed = False
        while at >= 0 and have < rows:
            changed |= self._drawn_now(at)
            have += self._heights[at]
            at -= 1
        if changed:
            self._sum_up(at + 1)
        return changed

    def forget_far(self, top: int, bottom: int) -> None:
        """Let go of drawn rows far from the rows in view, when there are many; heights stay as they are."""
        if self._count_drawn <= MOST_DRAWN or not self._blocks:
            return
        view = bottom - top
        first, last = self._block_at(max(0, top - 2 * view)), self._block_at(bottom + 2 * view)
        for at in (*range(first), *range(last + 1, len(self._blocks))):
            self._drawn[at] = None
        self._count_drawn = sum(drawn is not None for drawn in self._drawn)

    def mark(self, y: int) -> Mark:
        """The place in the text where a row stands."""
        if not self._blocks:
            return Mark(0, 0)
        at = self._block_at(y)
        return Mark(at, y - self._starts[at], self._heights[at], y, self._layout, len(self._replaced))

    def row_of(self, mark: Mark) -> int:
        """The row where a place in the text stands now."""
        if not self._blocks:
            return 0
        if any(first <= mark.block for first in self._replaced[mark.version :]):
            return min(mark.line, max(0, self._starts[-1] - 1))
        at = min(mark.block, len(self._blocks) - 1)
        row, height = mark.row, self._heights[at]
        if mark.layout != self._layout and mark.height:
            row = row * height // mark.height
        return self._starts[at] + min(row, max(0, height - 1))

    def _block_at(self, y: int) -> int:
        return min(max(0, bisect_right(self._starts, y) - 1), len(self._blocks) - 1)

    def _sum_up(self, first: int) -> None:
        """Count the first rows of all blocks from `first` on."""
        del self._starts[first + 1 :]
        y = self._starts[first]
        for height in self._heights[first:]:
            y += height
            self._starts.append(y)

    def _estimate(self, block: Block) -> int:
        return estimated_rows(block, self._renderer.width if self._renderer is not None else 80)

    def _drawn_now(self, at: int) -> bool:
        """Draw a block unless it is; true when it is not as high as was thought."""
        if self._drawn[at] is not None:
            return False
        before = self._heights[at]
        self._draw(at)
        return self._heights[at] != before

    def _draw(self, at: int, before: _Drawn | None = None) -> _Drawn:
        """Make the rows of a block, keeping those that look as they did `before`."""
        if self._renderer is None:
            raise RuntimeError("rows are drawn after lay_out")
        rows = self._renderer.rows(self._blocks[at])
        finished: list[Strip | None] = [None] * len(rows)
        if before is not None:
            for y, (now, old) in enumerate(zip(rows, before.rows, strict=False)):
                if now.strip == old.strip:
                    finished[y] = before.finished[y]
        drawn = self._drawn[at] = _Drawn(rows, finished)
        self._heights[at] = len(rows)
        self._count_drawn += 1
        return drawn

    # Rows

    def _find(self, y: int) -> tuple[_Drawn, int] | None:
        """The drawn block around a row, and the row within it; `None` below the text."""
        if not 0 <= y < self._starts[-1]:
            return None
        at = self._block_at(y)
        drawn = self._drawn[at]
        if drawn is None:  # nobody asked for this range before: its height was a guess
            self.ensure(y, y + 1)
            return self._find(y)
        return drawn, y - self._starts[at]

    def row(self, y: int) -> Row | None:
        """What a row says; `None` below the text."""
        found = self._find(y)
        return None if found is None else found[0].rows[found[1]]

    def strip(self, y: int) -> Strip:
        """A row as it is painted, with the running mark where the text ends."""
        found = self._find(y)
        if self.running and y == self._mark_row():
            raw = found[0].rows[found[1]].strip if found is not None else Strip([])
            return self._finish(self._with_mark(raw))
        if found is None:
            return self._finish(Strip([]))
        drawn, at = found
        strip = drawn.finished[at]
        if strip is None:
            strip = drawn.finished[at] = self._finish(drawn.rows[at].strip)
        return strip

    def _mark_row(self) -> int:
        """The last row with text on it."""
        for y in range(self._starts[-1] - 1, max(-1, self._starts[-1] - 60), -1):
            row = self.row(y)
            if row is not None and (row.text or row.swaps):
                return y
        return max(0, self._starts[-1] - 1)

    def _with_mark(self, strip: Strip) -> Strip:
        renderer = self._renderer
        return strip if renderer is None else marked(strip, Segment(renderer.running, self.mark_style), renderer.width)


def _inlines(block: Block) -> Iterator[Inline]:
    """Everything in a block that runs as text."""
    match block:
        case Paragraph(inline) | Heading(inline=inline):
            yield inline
        case Table(head=head, rows=rows):
            yield from head
            for row in rows:
                yield from row
        case Quote(children) | Item(children) | Footnote(children=children):
            for child in children:
                yield from _inlines(child)
        case _:
            return


def _as_it_is(strip: Strip) -> Strip:
    return strip


def marked(strip: Strip, mark: Segment, width: int) -> Strip:
    """The strip with a mark after its text, or over its last cell where the row is full."""
    if width < 1:
        return strip
    used = min(cell_len(strip.text.rstrip()), width - 1)
    under = list(strip.crop(used, used + 1))
    if under and under[0].style:
        mark = Segment(mark.text, Style(bgcolor=under[0].style.bgcolor) + (mark.style or Style.null()))
    return Strip.join([strip.crop(0, used), Strip([mark]), strip.crop(used + 1, max(strip.cell_length, used + 1))])


def estimated_rows(block: Block, width: int) -> int:
    """A guess at the rows of a block, good enough for a scroll bar."""
    gap = 1 if block.gap else 0
    match block:
        case Paragraph(inline):
            return gap + _rows_of(_length(inline), width)
        case Heading(level, inline):
            return gap + _rows_of(_length(inline), width) + (level == 1)
        case Rule():
            return gap + 1
        case Code(text):
            return gap + text.count("\n") + block.head + block.foot
        case Html(text):
            return gap + sum(_rows_of(len(line), width) for line in text.split("\n"))
        case Table(rows=rows):
            return gap + len(rows) + (0 if block.continued else 2)
        case Quote(children) | Item(children) | Footnote(children=children):
            return gap + max(1, sum(estimated_rows(child, max(1, width - 2)) for child in children))
        case _:
            assert_never(block)


def _length(inline: Inline) -> int:
    return sum(len(span.text) for span in inline)


def _rows_of(characters: int, width: int) -> int:
    return max(1, -(-characters // max(1, width)))
