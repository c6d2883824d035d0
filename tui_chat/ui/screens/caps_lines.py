"""What the usage screen says of limits: how full those on the day and the month are, what is left, what they did."""

from collections.abc import Sequence

from textual.content import Content

from tui_chat.core.caps import Balance, Level, Scope
from tui_chat.core.format import amount
from tui_chat.core.usage_report import UsageRow, limits_text
from tui_chat.ui.theme import Glyphs
from tui_chat.ui.widgets.bars import thin
from tui_chat.ui.widgets.row import joined, styled

_COLOURS: dict[Level, str] = {"quiet": "$bar", "warn": "$stop", "reached": "$fail"}
_WORDS: dict[Scope, str] = {"day": "today", "month": "this month"}
_LABEL = 8
_LEAST_BAR, _MOST_BAR = 6, 40

Cap = tuple[Balance, Level]


def widest(caps: Sequence[Cap]) -> int:
    """Return the cells that the longest of some limits takes."""
    return max((len(amount(balance.span.cap_usd)) for balance, _ in caps), default=0)


def gauge(cap: Cap, wide: int, width: int, glyphs: Glyphs) -> Content:
    """Return what stands behind an amount that has a limit: the limit, a bar where there is room, and the share.

    The limit takes `wide` cells.
    """
    balance, level = cap
    colour = _COLOURS[level]
    of = styled(f" of {amount(balance.span.cap_usd):>{wide}}", "$fg2")
    percent = styled(f"{int(balance.share * 100):>5}%", "$fg2" if level == "quiet" else colour)
    room = min(_MOST_BAR, width - of.cell_length - 8)
    if room < _LEAST_BAR:
        return joined(of, percent)
    return joined(of, "  ", thin(min(balance.share, 1.0), room, glyphs, colour), percent)


def left(caps: Sequence[Cap], width: int, glyphs: Glyphs) -> list[Content]:
    """Return what is left of the limits and until when: one line, or one for each where that is too long."""
    if not caps:
        return []
    words = [_left(balance, level, glyphs) for balance, level in caps]
    label = styled(f"{'left':<{_LABEL}}", "$fg2")
    line = joined(label, Content("   ").join(words))
    if line.cell_length <= width:
        return [line]
    return [joined(label if at == 0 else " " * _LABEL, each) for at, each in enumerate(words)]


def _left(balance: Balance, level: Level, glyphs: Glyphs) -> Content:
    until, scope = "", balance.span.scope
    if balance.span.until is not None:
        at = balance.span.until.astimezone()
        until = f", until {at:%H:%M}" if scope == "day" else f", until {at.day} {at:%b}"
    rest = "nothing" if balance.left_usd <= 0 else amount(balance.left_usd)
    mark = f"{glyphs.budget} " if level == "reached" else ""
    colour = "$fg2" if level == "quiet" else _COLOURS[level]
    return joined(styled(f"{mark}{rest}", "b $fg" if level == "quiet" else f"b {colour}"),
                  styled(f" {_WORDS.get(scope, scope)}{until}", colour))  # fmt: skip


def met(total: UsageRow) -> list[Content]:
    """Return a line on the answers that limits cut, shortened or let wait; none where there are none."""
    words = limits_text(total)
    return [joined(styled(f"{'limits':<{_LABEL}}", "$fg2"), styled(words, "$fg"))] if words else []
