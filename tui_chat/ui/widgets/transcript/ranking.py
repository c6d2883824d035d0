"""What stands below answers in columns: while they run one line or a table with bars, at the end the whole table.

Pure functions of a comparison and a width, cheap enough for every frame. Figures are not cut: where it is narrow, words
give way first, then names, then columns.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from textual.content import Content

from tui_chat.core.comparison import Best, Compared, Comparison, row_of, total_rows
from tui_chat.core.format import ratio as ratio_text
from tui_chat.core.format import total
from tui_chat.core.record import record
from tui_chat.ui.theme import ASCII, Glyphs
from tui_chat.ui.widgets.bars import thin
from tui_chat.ui.widgets.model_rows import figure
from tui_chat.ui.widgets.row import fit, joined, styled, text

_WIDE = 150
"""Cells from which the ranking is a table."""
_BAR = 40
_LEAST_BAR = 8
_LONGEST_NAME = 40
_LEAST_NAME = 12
_GAP = 3
_HEADS = ("model", "first s", "time s", "tok/s", "in", "out", "reasoning", "cost", "ratio", "verdict")
_LEAST_VERDICT = 12
"""Cells for which it is worth to show the beginning of a verdict."""
_DROPPED = ("reasoning", "time s", "in", "out", "verdict", "first s", "tok/s", "ratio")
"""Columns that go when it is narrow, the first one first."""
_WORDS = ("–", "-", "$?", "free", "")
"""What stands at the right end of a column of figures."""


def ranking_lines(comparison: Comparison, width: int, glyphs: Glyphs) -> list[Content]:
    """Return who is cheapest, next, and so on: one line, from 150 cells a row for each with a bar."""
    if not comparison.answers:
        return []
    if width >= _WIDE and comparison.ranked:
        return _bars(comparison, width, glyphs)
    return [_one_line(comparison, width, glyphs)]


def _title(comparison: Comparison) -> str:
    return "cheapest so far" if comparison.running else "cheapest"


def _hue(answer: Compared, plain: str = "$fg") -> str:
    return "$best" if "cheapest" in answer.best_at else plain


def _plain(shown: str, glyphs: Glyphs) -> str:
    """Return figures of the core as this terminal draws them."""
    return shown.replace("×", "x").replace("–", glyphs.dash) if glyphs is ASCII else shown


# one line


def _one_line(comparison: Comparison, width: int, glyphs: Glyphs) -> Content:
    shown = Content("")
    for shown in _ways(comparison, glyphs):
        if shown.cell_length <= width:
            return shown
    return shown.truncate(width, ellipsis=width > 1)


def _ways(comparison: Comparison, glyphs: Glyphs) -> Iterator[Content]:
    """Yield what there is to say, each time in fewer cells."""
    ranked = comparison.ranked
    if not ranked:
        yield styled(f"no cost to rank{' yet' if comparison.running else ''}", "$fg2")
        return
    yield joined(styled(f"{_title(comparison)}   ", "$fg2"), Content("    ").join(map(_with_cost, ranked)))
    nicks = nicks_of(comparison.answers)
    title = styled(f"{_title(comparison)} ", "$fg2")
    names = [each.label for each in ranked]
    short = [nicks[each.id] for each in ranked]
    for named in (names, [*names[:1], *short[1:]], short):
        parts = [_with_ratio(each, name, glyphs) for each, name in zip(ranked, named, strict=True)]
        yield joined(title, Content("   ").join(parts))
    for count in range(len(parts) - 1, 0, -1):
        yield joined(title, Content("   ").join(parts[:count]), styled(f" {glyphs.ellipsis}", "$fg2"))
    yield parts[0]


def _with_cost(answer: Compared) -> Content:
    name = text(answer.label, _hue(answer))
    return joined(styled(f"{answer.rank} ", "$fg2"), name, " ", styled(answer.money, "b $fg"))


def _with_ratio(answer: Compared, name: str, glyphs: Glyphs) -> Content:
    shown = _plain(ratio_text(answer.ratio), glyphs) if answer.ratio is not None else answer.money
    return text(f"{name} {shown}", _hue(answer, "$fg2"))


def records_line(comparison: Comparison, width: int, glyphs: Glyphs) -> Content:
    """Return what all of it costs so far, and who is best at what else: as much as there is room for."""
    nicks = nicks_of(comparison.answers)
    parts = [joined(styled("total ", "$fg2"), styled(_plain(total(comparison.total), glyphs), "b $fg"))]
    records: tuple[tuple[Best, Callable[[Compared], str]], ...] = (
        ("first", lambda each: f"{each.first_s:.2f} s"),
        ("fastest", lambda each: f"{each.tokens_per_s:,.0f} tok/s"),
        ("longest", lambda each: f"{each.output_tokens or 0:,} tok"),
    )
    for word, told in records:
        for each in comparison.best(word)[:1]:
            said = joined(styled(f"{word} ", "$fg2"), text(nicks[each.id], "$fg"), styled(f" {told(each)}", "$fg2"))
            if sum(part.cell_length + _GAP for part in parts) + said.cell_length <= width:
                parts.append(said)
    line = Content(" " * _GAP).join(parts)
    return line if line.cell_length <= width else line.truncate(width)


def nicks_of(answers: Sequence[Compared]) -> dict[str, str]:
    """Return the first word of each name, `gemini`, by the answer's id; the label where that would not tell."""
    first = {each.id: re.split(r"[-:]", each.label.rsplit("/", 1)[-1], maxsplit=1)[0] for each in answers}
    count = Counter(first.values())
    return {each.id: first[each.id] if count[first[each.id]] == 1 else each.label for each in answers}


# a row for each


def _bars(comparison: Comparison, width: int, glyphs: Glyphs) -> list[Content]:
    ranked, title = comparison.ranked, _title(comparison)
    unranked = comparison.unranked
    names = [f"{each.rank} {each.label}" for each in ranked]
    names += [f"{glyphs.dash} {each.label}" for each in unranked]
    lead = min(_LONGEST_NAME, max(len(title), *(text(name).cell_length for name in names))) + 2
    costs = _column([each.money for each in ranked], "answer", left=True)
    million = _column([_million(each) for each in ranked], "of 1 M such tokens")
    shown = [_plain(ratio_text(each.ratio), glyphs) if each.ratio is not None else "" for each in ranked]
    ratios = _column(shown, "")
    gap = " " * _GAP
    behind = joined(styled(f"{million[0]}{gap}", "$fg2"))
    lines = [joined(styled(f"{title:<{lead}}{costs[0]}{gap}", "$fg2"), behind)]
    room = min(_BAR, width - lead - len(costs[0]) - len(million[0]) - len(ratios[0]) - 3 * _GAP)
    most = max((each.value for each in ranked if each.value is not None), default=None)
    for at, each in enumerate(ranked):
        share = float(each.value / most) if most and each.value is not None else 0.0
        bar = thin(share, room, glyphs, _hue(each, "$bar")) if room >= _LEAST_BAR and most else Content("")
        figures = styled(f"{gap}{million[at + 1]}{gap}{ratios[at + 1]}{gap}", "$fg")
        name = fit(text(names[at], _hue(each)), lead - 2)
        lines.append(joined(name, "  ", styled(costs[at + 1], "b $fg"), figures, bar))
    for at, each in enumerate(unranked, len(ranked)):
        name = fit(text(names[at], "$fg2"), lead - 2)
        lines.append(joined(name, "  ", styled(f" {_plain(each.why_not, glyphs)}", "$fg2")))
    return [line.truncate(width) if line.cell_length > width else line for line in lines]


def _million(answer: Compared) -> str:
    """Return what a million tokens of such an answer cost."""
    price = answer.price
    if price is None or price.output_per_mtok is None:
        return ""
    if price.free:
        return "free"
    shown = figure(price.output_per_mtok, price)
    return shown if price.usd_rate is None else f"<${shown[1:]}" if shown.startswith("<") else f"${shown}"


# the table of the end


@record
class _Drawn:
    """A column with its head first, then its cells, all of one width."""

    name: str
    cells: list[str]

    @property
    def width(self) -> int:
        return len(self.cells[0])


def table_lines(comparison: Comparison, width: int, glyphs: Glyphs) -> list[Content]:
    """Return all figures of all answers with the total below; columns fall away where it is narrow."""
    if not comparison.answers:
        return []
    rows = [_unit_free(row_of(each)) for each in comparison.answers]
    rows += [_unit_free(each) for each in total_rows(comparison)]
    cells = [[_plain(row[at], glyphs) for row in rows] for at in range(len(_HEADS))]
    columns = [_Drawn(name, _column(cells[at], name)) for at, name in enumerate(_HEADS[1:-1], 1)]
    said = max(map(len, (_HEADS[-1], *cells[-1])))
    verdict = _Drawn(_HEADS[-1], [each.ljust(said) for each in (_HEADS[-1], *cells[-1])])
    labels = [each.label for each in comparison.answers] + [row[0] for row in rows[len(comparison.answers) :]]
    wanted = max(len("model"), *(text(label).cell_length for label in labels))
    columns = _fitting([*columns, verdict], width - min(wanted, _LEAST_NAME + 8))
    left = width - min(wanted, _LONGEST_NAME) - _taken(columns) - _GAP
    if columns[-1] is not verdict and left >= _LEAST_VERDICT:
        columns.append(_cut(verdict, left, glyphs.ellipsis))
    lead = max(1, min(wanted, _LONGEST_NAME, width - _taken(columns)))
    lines = [
        joined(styled("model".ljust(lead)[:lead], "$fg2"), *(styled(_spaced(each, 0), "$fg2") for each in columns))
    ]
    lines.append(styled(glyphs.track * min(width, lead + _taken(columns)), "$rule"))
    for at, label in enumerate(labels):
        answer = comparison.answers[at] if at < len(comparison.answers) else None
        parts = [styled(_spaced(each, at + 1), _style(each.name, answer)) for each in columns]
        name = text(label, "$fg2" if answer is None else _hue(answer))
        lines.append(joined(fit(name, lead), *parts))
    return [line.truncate(width) if line.cell_length > width else line for line in lines]


def _style(column: str, answer: Compared | None) -> str:
    if column == "cost":
        return "b $fg"
    if answer is not None and column in ("ratio", "verdict"):
        return _hue(answer, "$fg2")
    return "$fg"


def _spaced(column: _Drawn, at: int) -> str:
    return " " * _gap(column) + column.cells[at]


def _gap(column: _Drawn) -> int:
    return _GAP if column.name in ("cost", "verdict") else 2


def _taken(columns: Iterable[_Drawn]) -> int:
    return sum(each.width + _gap(each) for each in columns)


def _fitting(columns: list[_Drawn], room: int) -> list[_Drawn]:
    """Return the columns that there is room for; the cost always."""
    for name in _DROPPED:
        if _taken(columns) <= room:
            break
        columns = [each for each in columns if each.name != name]
    return columns


def _cut(column: _Drawn, width: int, mark: str) -> _Drawn:
    """Return a column of words with at most so many cells: their end goes, for the most telling one stands first."""
    return _Drawn(column.name, [
        each[:width] if not each[width:].strip() else each[: width - len(mark)] + mark for each in column.cells
    ])  # fmt: skip


def _unit_free(row: Sequence[str]) -> list[str]:
    """Return a row without its seconds' unit, which stands in the head."""
    return [cell.removesuffix(" s") if 1 <= at <= 2 else cell for at, cell in enumerate(row)]


def _column(cells: Sequence[str], head: str, *, left: bool = False) -> list[str]:
    """Return head and cells of one width: points below one another, a cell kept free for `~`, words at the end."""
    figures = [each.partition(".") for each in cells if each not in _WORDS]
    before = max((len(whole.replace("~", "")) + 1 for whole, _, _ in figures), default=1)
    behind = max((len(point + rest) for _, point, rest in figures), default=0)
    width = max(before + behind, *(len(each) for each in cells), len(head) + (1 if left else 0))
    shown = []
    for each in cells:
        whole, point, rest = each.partition(".")
        cell = each if each in _WORDS else f"{whole:>{before}}{point + rest:<{behind}}"
        shown.append(cell.ljust(width) if left and each not in _WORDS else cell.rjust(width))
    return [f" {head}".ljust(width) if left else head.rjust(width), *shown]
