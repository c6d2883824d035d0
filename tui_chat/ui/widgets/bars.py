"""Bars as lines of text: upright ones for days, thin ones for shares.

Pure functions of figures and room; a plotting library would bring more to load than the whole screen.
"""

from collections.abc import Sequence
from decimal import Decimal

from textual.content import Content

from tui_chat.ui.theme import ASCII, Glyphs
from tui_chat.ui.widgets.row import joined, styled

_LEVELS = " ▁▂▃▄▅▆▇█"
_ASCII_LEVELS = " ..::|||#"
_HALF = "╸"
_WIDEST = 4
"""Cells of one upright bar."""


def upright(
    values: Sequence[Decimal],
    height: int,
    width: int,
    glyphs: Glyphs,
    *,
    edge: int = 0,
    highest: str = "",
    first: str = "",
) -> list[Content]:
    """Return `height` lines of bars and one with the ends of the axis; the last bar is bright, nothing is empty.

    `edge` cells at the left are for `highest`, the label of the highest bar; `first` is that of the first bar. Where
    not all bars fit, the last ones are drawn.
    """
    room = max(1, width - edge)
    values = values[-room:]
    if not values:
        return []
    cells = max(1, min(_WIDEST, room // len(values)))
    levels = _ASCII_LEVELS if glyphs is ASCII else _LEVELS
    top = max(values)
    eighths = [_eighths(value, top, height) for value in values]
    lines = []
    for line in reversed(range(height)):
        drawn = [levels[max(0, min(8, each - 8 * line))] * cells for each in eighths]
        label = styled(f"{highest:>{edge - 1}} " if line == height - 1 and edge else " " * edge, "$fg2")
        lines.append(joined(label, styled("".join(drawn[:-1]), "$bar"), styled(drawn[-1], "$fg")))
    last = "today"
    span = cells * len(values)
    axis = f"{first}{last:>{span - len(first)}}" if span >= len(first) + len(last) + 1 else f"{last:>{span}}"
    return [*lines, styled(" " * edge + axis, "$fg2")]


def _eighths(value: Decimal, top: Decimal, height: int) -> int:
    """Return the height of a bar in eighths of a row; what is more than nothing is seen."""
    return max(1, int(value / top * height * 8 + Decimal("0.5"))) if value > 0 and top > 0 else 0


def thin(share: float, width: int, glyphs: Glyphs, colour: str = "$bar") -> Content:
    """Return a line of `width` cells, the first `share` (0 to 1) of it drawn thick."""
    halves = max(0, min(2 * width, round(2 * width * share)))
    if share > 0:
        halves = max(1, halves)
    full, half = divmod(halves, 2)
    if half and glyphs is ASCII:
        full, half = full + 1, 0
    return joined(
        styled(glyphs.gauge * full + _HALF * half, colour), styled(glyphs.track * (width - full - half), "$rule")
    )
