"""Answers behind tabs, where there is no room for columns: each with its state and its cost."""

from collections.abc import Mapping, Sequence
from itertools import accumulate

from rich.cells import cell_len
from textual.content import Content

from tui_chat.core.completion import Completion
from tui_chat.ui.theme import Glyphs
from tui_chat.ui.widgets.row import joined, styled, text
from tui_chat.ui.widgets.usage_meter import cost_of, glyph

_SHORTEST = 6
"""Cells that a name keeps while there are costs of others that can go."""
_MORE = "…"
_AROUND = 4
"""Cells of a tab beside its name and cost."""


def tab_line(
    completions: Sequence[Completion], at: int, width: int, glyphs: Glyphs, names: Mapping[str, str], *, blind: bool
) -> Content:
    """Return the tabs of some answers; the one `at` a place is the one in view.

    Names give way until the costs fit, the costs of the others before names are gone, and last the tabs at the left.
    """
    tabs = _tabs(completions, at, width, glyphs, names, blind=blind)
    first = _first(tabs, at, width)
    line = Content(" ").join(tabs[first:])
    if first:
        line = joined(styled(_MORE, "$fg2"), line)
    return line if line.cell_length <= width else line.truncate(width, ellipsis=True)


def tab_ends(
    completions: Sequence[Completion], at: int, width: int, glyphs: Glyphs, names: Mapping[str, str], *, blind: bool
) -> list[int]:
    """Return the cell behind each tab of the same line; 0 for those that are left out."""
    tabs = _tabs(completions, at, width, glyphs, names, blind=blind)
    first = _first(tabs, at, width)
    widths = [tab.cell_length + 1 for tab in tabs[first:]]
    ends = list(accumulate(widths, initial=len(_MORE) if first else 0))[1:]
    return [0] * first + ends


def _first(tabs: Sequence[Content], at: int, width: int) -> int:
    """Return how many tabs at the left have to go so that the one in view is whole."""
    first, needed = 0, sum(tab.cell_length + 1 for tab in tabs[: at + 1]) - 1
    while first < at and needed + (len(_MORE) if first else 0) > width:
        needed -= tabs[first].cell_length + 1
        first += 1
    return first


def _tabs(
    completions: Sequence[Completion], at: int, width: int, glyphs: Glyphs, names: Mapping[str, str], *, blind: bool
) -> list[Content]:
    named = [names.get(each.id) or each.model.short_name for each in completions]
    costs = ["" if blind else cost_of(each) for each in completions]
    room = _room(named, costs, width)
    if room < min(_SHORTEST, max(map(cell_len, named), default=0)):
        costs = [cost if index == at else "" for index, cost in enumerate(costs)]
        room = max(_SHORTEST - 2, _room(named, costs, width))
    return [
        _tab(each, name, cost, room, glyphs, here=index == at)
        for index, (each, name, cost) in enumerate(zip(completions, named, costs, strict=True))
    ]


def _room(names: Sequence[str], costs: Sequence[str], width: int) -> int:
    """Return how many cells the longest name may have."""
    free = width - sum(len(cost) + bool(cost) + _AROUND for cost in costs) - len(names) + 1
    longest = max(map(cell_len, names), default=0)
    return next((room for room in range(longest, 0, -1) if sum(min(cell_len(n), room) for n in names) <= free), 0)


def _tab(completion: Completion, name: str, cost: str, room: int, glyphs: Glyphs, *, here: bool) -> Content:
    style = "b $fg" if here else "$fg2"
    shown = text(name, style)
    if shown.cell_length > room:
        shown = shown.truncate(room, ellipsis=True)
    figure = styled(f" {cost}" if cost else "", style)
    tab = joined(" ", glyph(completion.state, glyphs), " ", shown, figure, " ")
    return tab.stylize("on $sel") if here else tab
