"""Blocks too long to be drawn at once, as parts that are drawn where somebody looks.

A document gives back a long block in one piece when it is finished. At another width all of its rows would have to be
made anew before one of them is seen: two seconds for fifteen thousand lines of code.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from tui_chat.ui.widgets.markdown_log.blocks import Block, Code, Lexed, Table
from tui_chat.ui.widgets.markdown_log.document import FENCE_LINES
from tui_chat.ui.widgets.markdown_log.highlight import WHOLE, Lexing
from tui_chat.ui.widgets.markdown_log.tables import natural_layout

LONG_TABLE: Final = 120
"""Rows of a table beyond which it is drawn in parts."""
PART_ROWS: Final = 40


def in_parts(blocks: Iterable[Block], above: Block | None) -> Iterator[list[Block]]:
    """The parts of each block, mostly the block itself; `above` is the part before the first of them."""
    for block in blocks:
        parts = _parts(block, above)
        above = parts[-1]
        yield parts


def _parts(block: Block, above: Block | None) -> list[Block]:
    match block:
        case Code(head=True, foot=True, growing=False, text=text) if len(text) > WHOLE:
            return _parts_of_code(block)
        case Code(growing=False, foot=False, lexed=None):
            return [_followed(block, above)]
        case Code(head=False, lexed=None) if isinstance(above, Code) and above.lexed is not None:
            return [replace(block, lexed=above.lexed, line=above.lexed.size, growing=True)]
        case Table(rows=rows, widths=None) if len(rows) > LONG_TABLE:
            return _parts_of_table(block)
        case _:
            return [block]


def _followed(code: Code, above: Block | None) -> Code:
    """A part of code that arrives in parts, with the colours of those before it."""
    lexed: Lexed = Lexing(code.language)
    known = above.lexed if isinstance(above, Code) and not code.head else None
    if known is not None and isinstance(above, Code) and above.line + above.text.count("\n") == known.size:
        lexed = known  # else something was taken back since
    return replace(code, lexed=lexed, line=lexed.append(code.text))


def _parts_of_code(code: Code) -> list[Block]:
    lines = code.text.removesuffix("\n").split("\n")
    lexed = Lexing(code.language)
    lexed.append("\n".join(lines) + "\n")
    starts = range(0, len(lines), FENCE_LINES)
    return [
        replace(
            code,
            text="\n".join(lines[at : at + FENCE_LINES]) + "\n",
            head=at == 0,
            foot=at == starts[-1],
            gap=code.gap and at == 0,
            lexed=lexed,
            line=at,
        )
        for at in starts
    ]


def _parts_of_table(table: Table) -> list[Block]:
    layout = natural_layout(table)
    return [
        replace(
            table,
            rows=table.rows[at : at + PART_ROWS],
            widths=layout.widths,
            aligns=layout.aligns,
            continued=table.continued or at > 0,
            gap=table.gap and at == 0,
        )
        for at in range(0, len(table.rows), PART_ROWS)
    ]
