"""How wide the columns of a table are, and on which side their text stands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len

from tui_chat.ui.widgets.markdown_log.blocks import Align, Inline, Table
from tui_chat.ui.widgets.markdown_log.clean import clean

GAP: Final = 3
"""Cells between columns, while there is room."""
NARROWEST: Final = 6
"""Cells a column keeps when text has to wrap inside it."""

_FIGURE: Final = re.compile(
    r"[~≈<>≤≥+\-−–×$€£¥]{0,3}\s?\d[\d.,_'\u00a0\u202f ]*\s?(?:%|[kKMGT]?[a-zA-Zµ]{0,3}(?:/[a-zµ]{1,3})?)"
)
_NO_FIGURE: Final = re.compile(r"[-–—?]?|n/?a", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns of a table."""

    widths: tuple[int, ...]
    """Cells of each column."""
    aligns: tuple[Align, ...]
    gap: int = GAP
    """Cells between two columns."""


def natural_layout(table: Table) -> Layout:
    """Columns as wide as their widest cell; frozen widths are taken as they are. Columns of figures stand right."""
    if table.widths is not None:
        return Layout(table.widths, table.aligns)
    widths: list[int] = []
    aligns: list[Align] = []
    for column, align in enumerate(table.aligns):
        cells = [plain(row[column]) for row in table.rows if column < len(row)]
        widths.append(max(1, *(cell_len(cell) for cell in (plain(table.head[column]), *cells))))
        aligns.append(align or ("right" if _figures(cells) else ""))
    return Layout(tuple(widths), tuple(aligns))


def fitted_layout(table: Table, width: int) -> Layout | None:
    """Columns that fit a width, narrow ones untouched and wide ones sharing the rest; `None` when there is no room."""
    natural = natural_layout(table)
    count = len(natural.widths)
    for gap in (GAP, 2):
        if sum(natural.widths) + gap * (count - 1) <= width:
            return Layout(natural.widths, natural.aligns, gap)
    room = width - 2 * (count - 1)
    if room < sum(min(NARROWEST, cells) for cells in natural.widths):
        return None
    return Layout(_shared(natural.widths, room), natural.aligns, 2)


def plain(inline: Inline) -> str:
    """A cell's text as it is drawn."""
    return clean("".join(span.text for span in inline)).replace("\n", " ")


def _figures(cells: list[str]) -> bool:
    filled = [cell.strip() for cell in cells if not _NO_FIGURE.fullmatch(cell.strip())]
    return bool(filled) and all(_FIGURE.fullmatch(cell) for cell in filled)


def _shared(widths: tuple[int, ...], room: int) -> tuple[int, ...]:
    fitted = dict.fromkeys(range(len(widths)), 0)
    open_columns = list(fitted)
    while True:
        fair = room // len(open_columns)
        narrow = [column for column in open_columns if widths[column] <= max(fair, NARROWEST)]
        if not narrow:
            break
        for column in narrow:
            fitted[column] = widths[column]
            room -= widths[column]
        open_columns = [column for column in open_columns if column not in narrow]
        if not open_columns:
            break
    total = sum(widths[column] for column in open_columns)
    for column in open_columns:
        fitted[column] = max(NARROWEST, room * widths[column] // total)
    excess = sum(fitted[column] for column in open_columns) - room
    while excess > 0 and open_columns:
        widest = max(open_columns, key=lambda column: fitted[column])
        if fitted[widest] <= 1:
            break
        fitted[widest] -= 1
        excess -= 1
    return tuple(fitted[column] for column in range(len(widths)))
