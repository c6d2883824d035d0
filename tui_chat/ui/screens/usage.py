"""What was spent, over the chat: today and this month, the last thirty days as bars, and a table by what is chosen.

Last of what can be chosen are the votes: how the models stand by them, and what their answers cost.

Everything comes from the ledger, read in a thread and shown when it is there; nothing here counts by itself. What has
no room is left out in a fixed order: first the air, then the bars, then columns; money stays to the last.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import ClassVar, Literal

from rich.segment import Segment
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from tui_chat.core.budget import Budgets
from tui_chat.core.counter import Clock
from tui_chat.core.days import midnight
from tui_chat.core.errors import ChatError
from tui_chat.core.format import amount
from tui_chat.core.ports import UsageReport
from tui_chat.core.record import record
from tui_chat.core.usage_report import (
    GROUPINGS,
    By,
    OwnCurrency,
    UsageRow,
    UsageTable,
    money,
    saved_text,
    tokens_text,
)
from tui_chat.ui.screens import caps_lines
from tui_chat.ui.screens.votes_table import VoteColumns, Votes, read_votes, remarks
from tui_chat.ui.theme import ASCII, Glyphs
from tui_chat.ui.widgets.bars import thin, upright
from tui_chat.ui.widgets.bindings import binding
from tui_chat.ui.widgets.row import fit, hints, joined, row, styled, text

View = By | Literal["votes"]
_VIEWS: tuple[View, ...] = (*GROUPINGS, "votes")
_WORDS: dict[View, str] = {
    "day": "day",
    "model": "model",
    "conversation": "chat",
    "provider": "provider",
    "votes": "votes",
}
_DAYS = 30
_SIDEBAR = ((160, 38), (100, 28), (0, 0))
"""From which width of the screen on: cells of the list of conversations, which stays in view."""
_WIDEST = 110
_LEAST_BAR, _MOST_BAR = 6, 24
_WHOLE_TITLE, _LEAST_TITLE = 22, 16
"""Cells of a title for which the table says less beside it, and for which whole columns go."""


@record
class Cells:
    """One row of the table as text."""

    title: str
    answers: str
    tokens: str
    whole: str
    """The amount up to its decimal point."""
    rest: str
    """The amount from its decimal point on."""
    more: str
    """What stands behind it: other currencies, `+ ?`."""
    saved: str
    usd: Decimal


@record
class Report:
    """What was read of the ledger."""

    table: UsageTable
    rows: tuple[Cells, ...]
    total: Cells
    days: tuple[UsageRow, ...]
    month: UsageRow
    read_on: datetime
    caps: tuple[caps_lines.Cap, ...] = ()
    """The limits on today and this month."""

    @property
    def empty(self) -> bool:
        """Nothing of it says anything."""
        return not self.table.rows and not self.month.charges and not any(day.charges for day in self.days)


def read_report(
    report: UsageReport,
    by: By,
    now: datetime,
    own: OwnCurrency | None,
    glyphs: Glyphs,
    *,
    all_time: bool,
    budgets: Budgets,
) -> Report:
    """Read everything that is shown; slow, so for a thread. Raises StorageError."""
    local = now.astimezone()
    first = midnight(local.date().replace(day=1))
    table = report.usage(by, None if all_time else first)
    month = report.usage("provider", first).total if all_time else table.total
    rows = tuple(_cells(each, None, glyphs) for each in table.rows)
    caps = tuple((each, budgets.level(each)) for each in budgets.balances(None, now))
    return Report(table, rows, _cells(table.total, own, glyphs), report.daily(_DAYS), month, local, caps)


def _cells(usage: UsageRow, own: OwnCurrency | None, glyphs: Glyphs) -> Cells:
    cost, more = money(usage, own, signs=glyphs is not ASCII)
    whole, point, digits = cost.partition(".")
    saved = saved_text(usage, dash=glyphs.dash, at_most=glyphs.at_most)
    return Cells(
        usage.title,
        f"{usage.answers:,}",
        tokens_text(usage.output_tokens),
        whole,
        point + digits,
        more,
        saved,
        usage.usd,
    )


class _Lines(Widget):
    """Some lines that are set from outside; as high as they are many."""

    DEFAULT_CSS = "_Lines { width: 1fr; height: auto; }"

    def __init__(self, name: str) -> None:
        super().__init__(id=name)
        self._shown: list[Content] = []
        self.display = False

    def show(self, lines: Sequence[Content]) -> None:
        if len(lines) != len(self._shown):
            self.styles.height = len(lines)
            self.display = bool(lines)
        self._shown = list(lines)
        self.refresh()

    def render(self) -> Content:
        return Content("\n").join([fit(line, self.size.width) for line in self._shown])


class _Rows(ScrollView, can_focus=False):
    """The rows of the table; only those in view are drawn."""

    DEFAULT_CSS = "_Rows { width: 1fr; overflow-x: hidden; }"

    def __init__(self) -> None:
        super().__init__(id="rows")
        self._count = 0
        self._draw: Callable[[int], Content] = lambda _: Content("")

    def show(self, count: int, draw: Callable[[int], Content]) -> None:
        """Show so many rows; `draw` returns the one at a place."""
        self._count, self._draw = count, draw
        self.virtual_size = Size(1, count)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        at, width = y + self.scroll_offset.y, self.scrollable_content_region.width
        drawn = self._draw(at) if at < self._count else Content("")
        pieces = fit(drawn, width).render(self.visual_style, end="", parse_style=self._get_style)
        return Strip([Segment(piece, style.rich_style) for piece, style in pieces], width)


@record
class Columns:
    """How wide everything is in one table; 0 = there is no room for it."""

    title: int
    answers: int
    tokens: int
    whole: int
    rest: int
    more: int
    beyond: int
    """Cells behind the cost of the total, where the rows have `more` and their bars."""
    bar: int
    saved: int
    width: int
    saved_word: str
    most: Decimal
    """The amount of a full bar."""
    glyphs: Glyphs

    @classmethod
    def within(cls, width: int, report: Report, glyphs: Glyphs) -> "Columns":
        every = (*report.rows, report.total)

        def widest(values: Sequence[str], head: str) -> int:
            return max(len(head), *(len(value) for value in values))

        titles = max((text(each.title).cell_length for each in every), default=5)
        answers = widest([each.answers for each in every], "answers")
        tokens = widest([each.tokens for each in every], "tokens out")
        whole, rest = (max(len(getattr(each, part)) for each in every) for part in ("whole", "rest"))
        whole = max(whole, len("cost") - rest)
        more = max((len(each.more) for each in report.rows), default=0)
        figures = widest([each.saved for each in every], "saved")
        stopped = report.table.total.saved_low is not None
        saved_word = "saved by stopping"
        saved = max(figures, len(saved_word)) if stopped else 0

        beyond = max(more, len(report.total.more)) if len(report.total.more) <= _LEAST_BAR * 2 else more

        def left() -> int:
            columns = (answers, tokens, whole + rest, saved)
            return width - sum(each + 3 for each in columns if each) - beyond

        if left() < min(titles, _WHOLE_TITLE) + _LEAST_BAR + 2:
            saved_word, saved = "saved", figures if stopped else 0
        least = min(titles, _LEAST_TITLE)
        if left() < least:
            beyond = more
        if left() < least:
            answers = 0
        if left() < least:
            saved = 0
        if left() < least:
            tokens = 0
        free = left() + beyond - more  # for titles and bars
        title = max(1, min(titles, left()))
        if title > _WHOLE_TITLE and free - title < _LEAST_BAR + 2:
            title = max(_WHOLE_TITLE, free - _LEAST_BAR - 2)
        bar = min(_MOST_BAR, free - title - 2)
        beyond = max(beyond, more + 2 + bar)
        few = report.table.by in ("model", "provider")  # of many days or chats each would be a small share
        most = report.total.usd if few else max((each.usd for each in report.rows), default=Decimal(0))
        bar = bar if bar >= _LEAST_BAR and most else 0
        return cls(title, answers, tokens, whole, rest, more, beyond, bar, saved, width, saved_word, most, glyphs)

    def heading(self, by: By) -> Content:
        head = Cells(_WORDS[by], "answers", "tokens out", "cost", "", "", self.saved_word, Decimal(0))
        cost = styled(f"{'cost':>{self.whole + self.rest}}", "$fg2")
        return self._line(styled(head.title, "$fg2"), head, cost, "$fg2", Content(""))

    def rule(self) -> Content:
        return styled(self.glyphs.track * self.width, "$rule")

    def draw(self, cells: Cells) -> Content:
        more = styled(f"{cells.more:<{self.more}}", "$fg2")
        share = float(cells.usd / self.most) if self.most else 0.0
        bar = joined("  ", thin(share, self.bar, self.glyphs)) if self.bar else Content("")
        return self._line(text(cells.title), cells, joined(self._cost(cells), more), "$fg", bar)

    def total(self, cells: Cells) -> list[Content]:
        """Return the total; what stands behind its cost reaches over the bars, or has a line of its own."""
        more = styled(cells.more, "$fg2")
        here = len(cells.more) <= self.beyond
        cost = joined(styled(f"{cells.whole:>{self.whole}}{cells.rest}", "b $fg"), more) if here else self._cost(cells)
        line = self._line(text(cells.title, "b $fg"), cells, cost, "b $fg", Content(""))
        if here:
            return [line]
        before = self.title + 3 + sum(each + 3 for each in (self.answers, self.tokens) if each)
        return [line, joined(" " * max(0, min(before, self.width - more.cell_length)), more)]

    def _cost(self, cells: Cells) -> Content:
        return styled(f"{cells.whole:>{self.whole}}{cells.rest:<{self.rest}}", "b $fg")

    def _line(self, title: Content, cells: Cells, cost: Content, style: str, bar: Content) -> Content:
        parts = [fit(title, self.title)]
        for value, room in ((cells.answers, self.answers), (cells.tokens, self.tokens)):
            if room:
                parts.append(styled(f"{value:>{room + 3}}", style))
        left = joined(*parts, "   ", cost, bar)
        return row(left, styled(cells.saved if self.saved else "", style), self.width)


class UsageScreen(ModalScreen[None]):
    """As large as the screen but for the list of conversations, where there is room for it."""

    CSS_PATH = "boxes.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "Back", show=False),
        binding("usage.open", "dismiss"),
        Binding("tab,right,l", "group(1)", "Next", show=False, priority=True),
        Binding("shift+tab,left,h", "group(-1)", "Before", show=False, priority=True),
        Binding("p", "period", "Period", show=False),
        Binding("down,j", "scroll(1)", show=False),
        Binding("up,k", "scroll(-1)", show=False),
        Binding("pagedown,space", "page(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("home", "scroll(-1000000)", show=False),
        Binding("end", "scroll(1000000)", show=False),
    ]

    def __init__(
        self,
        usage: UsageReport,
        clock: Clock,
        glyphs: Glyphs,
        own: OwnCurrency | None = None,
        *,
        budgets: Budgets | None = None,
        beside: bool = True,
    ) -> None:
        """Show what `usage` reports, and its limits; with `beside` the list of conversations is in view at the left."""
        super().__init__()
        self._usage, self._clock, self._glyphs, self._own = usage, clock, glyphs, own
        self._budgets, self._beside = budgets or Budgets(), beside
        self._view: View = "day"
        self._all_time = False
        self._report: Report | None = None
        self._votes: Votes | None = None
        self._wrong = ""
        """Why nothing could be read."""
        self._head, self._top, self._chart = _Lines("head"), _Lines("top"), _Lines("chart")
        self._heading, self._rows, self._total = _Lines("heading"), _Rows(), _Lines("total")
        self._keys = _Lines("keys")
        self._page = Vertical(self._head, self._top, self._chart, self._heading, self._rows, self._total, id="page")

    def compose(self) -> ComposeResult:
        yield self._page
        yield self._keys

    def on_mount(self) -> None:
        self._draw()
        self.read()

    def on_resize(self) -> None:
        self._draw()

    # keys

    def action_group(self, step: int) -> None:
        """Add up by the next thing."""
        self._view = _after(self._view, step)
        self._rows.scroll_to(y=0, animate=False)
        self._draw()
        self.read()

    def action_period(self) -> None:
        """Change between this month and everything."""
        self._all_time = not self._all_time
        self._rows.scroll_to(y=0, animate=False)
        self.read()

    def action_scroll(self, lines: int) -> None:
        self._rows.scroll_relative(y=lines, animate=False)

    def action_page(self, direction: int) -> None:
        self.action_scroll(direction * max(1, self._rows.size.height - 1))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.action_scroll(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.action_scroll(-3)

    # reading

    def read(self) -> None:
        """Read the ledger again, in a thread; what is shown stays until that is done."""
        reading = self._read_votes() if self._view == "votes" else self._read(self._view, all_time=self._all_time)
        self.run_worker(reading, group="usage", exclusive=True)

    async def _read_votes(self) -> None:
        try:
            self._votes, self._wrong = await asyncio.to_thread(read_votes, self._usage, self._glyphs), ""
        except ChatError as failed:
            self._wrong = failed.message
        self._draw()

    async def _read(self, by: By, *, all_time: bool) -> None:
        try:
            report = await self._reported(by, all_time=all_time)
            if report.empty and not all_time:  # the last answer was long ago, or there is none
                report = await self._reported(by, all_time=True)
                self._all_time = not report.empty
            self._report, self._wrong = report, ""
        except ChatError as failed:
            self._wrong = failed.message
        self._draw()

    async def _reported(self, by: By, *, all_time: bool) -> Report:
        return await asyncio.to_thread(
            read_report,
            self._usage,
            by,
            self._clock.now(),
            self._own,
            self._glyphs,
            all_time=all_time,
            budgets=self._budgets,
        )

    # drawing

    def _draw(self) -> None:
        """Draw everything anew for the room there is."""
        width, height = self.app.size
        left = next(cells for least, cells in _SIDEBAR if width >= least) if self._beside else 0
        pad = 3 if width - left >= 60 else 1
        inner = max(1, width - left - pad - min(2, pad))
        room = min(inner, _WIDEST)
        spare = (inner - room) // 2
        page = self._page.styles
        for block in (self._head, self._top, self._chart, self._heading, self._total):
            block.styles.width = room
        self._rows.styles.width = room + 1  # a bar at the right moves nothing
        page.margin = (0, 0, 0, left)
        page.padding = (1 if height >= 30 else 0, 0, 0, pad + spare)
        self._draw_page(room, height - (1 if height >= 30 else 0))
        self._keys.show([joined("  ", self._hints(width - 3))])

    def _draw_page(self, width: int, height: int) -> None:
        report = self._report
        self._head.show([self._tabs(width)])
        if self._view == "votes":
            self._draw_votes(width, height)
            return
        blocks = (self._chart, self._heading, self._total)
        if report is None or report.empty:
            self._top.show(self._nothing(read=report is not None))
            for block in blocks:
                block.show([])
            self._rows.display = False
            return
        columns = Columns.within(width, report, self._glyphs)
        airy, lined = height >= 20, height >= 14
        blank = [Content("")]
        period = [styled("All time" if report.table.since is None else f"{report.read_on:%B}", "b $fg")]
        spent = self._spent(report, width)
        heading = [columns.heading(report.table.by), *([columns.rule()] if lined else [])]
        total = [*([columns.rule()] if lined else []), *columns.total(report.total)]
        if self._wrong:
            total.append(text(self._wrong, "$fail"))
        if not report.rows:
            heading, total = [styled("Nothing was spent in this time.", "$fg2")], []
        taken = 2 + len(heading) + len(total) + (1 if airy else 0)  # the head, the keys
        least = min(len(report.rows), 3)
        top: list[Content] = []
        chart: list[Content] = []
        if height - taken - least >= len(spent) + 1:
            top = [*(blank if airy else []), *period, *(blank if airy else []), *spent, *blank]
            chart = self._bars(report, width, height - taken - len(top) - min(len(report.rows), 6))
        elif height - taken - least >= len(spent):
            top = spent
        self._top.show(top)
        self._chart.show(chart)
        self._heading.show(heading)
        self._rows.display = bool(report.rows)
        free = height - taken - len(top) - len(chart)
        self._rows.styles.height = max(1, min(len(report.rows), free))
        self._rows.show(len(report.rows), lambda at: columns.draw(report.rows[at]))
        self._total.show(total)

    def _draw_votes(self, width: int, height: int) -> None:
        votes = self._votes
        self._chart.show([])
        if votes is None or not votes.rows:
            self._top.show(self._no_votes(read=votes is not None))
            self._heading.show([])
            self._total.show([])
            self._rows.display = False
            return
        columns = VoteColumns.within(width, votes.rows, self._glyphs)
        airy, lined = height >= 20, height >= 14
        count = styled(f"{votes.count:,} vote{'' if votes.count == 1 else 's'}", "b $fg")
        top = [Content(""), count, Content("")] if airy else []
        below = [Content(""), *remarks(votes, columns)] if airy else []
        if self._wrong:
            below.append(text(self._wrong, "$fail"))
        heading = [columns.heading(), *([columns.rule()] if lined else [])]
        self._top.show(top)
        self._heading.show(heading)
        free = height - 2 - len(top) - len(heading) - len(below)
        self._rows.display = True
        self._rows.styles.height = max(1, min(len(votes.rows), free))
        self._rows.show(len(votes.rows), lambda at: columns.draw(votes.rows[at]))
        self._total.show(below)

    def _no_votes(self, *, read: bool) -> list[Content]:
        if self._wrong:
            return [Content(""), text(self._wrong, "$fail")]
        if not read:
            return []
        return [Content(""), styled("No votes yet: ask several models at once and say which answer is best.", "$fg")]

    def _tabs(self, width: int) -> Content:
        """Return the head: what this is, and by what it is added up."""
        gap = "  " if width >= 40 else " "
        words = [styled(word, "b $fg" if view == self._view else "$fg2") for view, word in _WORDS.items()]
        tabs = Content(gap).join(words)
        if tabs.cell_length > width:
            tabs = styled(_WORDS[self._view], "b $fg")
        title = styled("Usage", "b $fg") if width >= tabs.cell_length + 7 else Content("")
        return row(title, tabs, width)

    def _nothing(self, *, read: bool) -> list[Content]:
        if self._wrong:
            return [Content(""), text(self._wrong, "$fail")]
        if not read:
            return []
        return [
            Content(""),
            styled("Nothing was spent yet.", "$fg"),
            styled("Each answer is counted here: its tokens and what it cost.", "$fg2"),
            styled("The money of demo models is play money and stays out.", "$fg2"),
        ]

    def _spent(self, report: Report, width: int) -> list[Content]:
        """Return today and this month, with their limits where there are any, and what was saved."""
        signs = self._glyphs is not ASCII
        caps = {cap[0].span.scope: cap for cap in report.caps}
        pairs = (("today", report.days[-1], caps.get("day")), ("month", report.month, caps.get("month")))
        amounts = ["".join(money(each, self._own, signs=signs)) for _, each, _ in pairs]
        wide = max(8, *(len(each) for each in amounts), len(report.total.saved))
        limits = caps_lines.widest(report.caps)
        lines = []
        for (name, usage, cap), shown in zip(pairs, amounts, strict=True):
            line = joined(styled(f"{name:<8}", "$fg2"), styled(f"{shown:>{wide}}", "b $fg"))
            if cap is not None:
                line = joined(line, caps_lines.gauge(cap, limits, width - line.cell_length, self._glyphs))
            elif usage.estimated_usd:
                line = _beside(line, f"   ~{amount(usage.estimated_usd)} of it estimated", width)
            lines.append(line)
        if caps and report.month.estimated_usd:
            part = styled(f"{'~' + amount(report.month.estimated_usd):>{wide + 8}}", "$fg")
            lines.append(joined(part, styled(" of it estimated", "$fg2")))
        lines += caps_lines.left(report.caps, width, self._glyphs)
        total = report.table.total
        if total.saved_low is not None:
            answers = f"{total.stopped:,} answer{'' if total.stopped == 1 else 's'}"
            saved = styled(f"{report.total.saved:>{wide}}", "$fg")
            lines.append(_beside(joined(styled("saved   ", "$fg2"), saved), f"   by stopping {answers}", width))
        return lines + caps_lines.met(total)

    def _bars(self, report: Report, width: int, room: int) -> list[Content]:
        """Return the last days as bars, by money; by tokens where nothing cost any."""
        values = [day.usd for day in report.days]
        label = amount(max(values))
        if not any(values):
            values = [Decimal(day.output_tokens) for day in report.days]
            label = f"{tokens_text(int(max(values)))} tok"
        height = min(8 if room >= 24 else 6 if room >= 16 else 3, room - 2)
        if height < 1 or not any(values):
            return []
        first = report.days[0].title.partition(" ")[2]
        lines = upright(values, height, width, self._glyphs, edge=max(9, len(label) + 1), highest=label, first=first)
        return [*lines, Content("")]

    def _hints(self, width: int) -> Content:
        after = _after(self._view, 1)
        pairs = [("tab", _WORDS[after] if after == "votes" else f"by {_WORDS[after]}"), ("esc", "back")]
        if self._view != "votes":
            pairs.append(("p", "this month" if self._all_time else "all time"))
        pairs.append(("^p", "commands"))
        while len(pairs) > 1 and hints(pairs).cell_length > width:
            pairs.pop()
        return hints(pairs)


def _after(view: View, step: int) -> View:
    return _VIEWS[(_VIEWS.index(view) + step) % len(_VIEWS)]


def _beside(line: Content, remark: str, width: int) -> Content:
    """Return a line with a remark behind it, where there is room for the whole of it."""
    return joined(line, styled(remark, "$fg2")) if line.cell_length + len(remark) <= width else line
