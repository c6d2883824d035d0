"""How models stand by the user's votes: quality beside what an answer costs, strongest first, the little known last.

Beside the usage screen, which reads and shows it: the figures and what stands under them are of another kind than sums.
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from textual.content import Content

from tui_chat.core.ports import UsageReport
from tui_chat.core.record import record
from tui_chat.core.standing import FEW, MIDDLE, Standing, standing
from tui_chat.core.usage_report import Foreign, UsageRow, money
from tui_chat.ui.theme import ASCII, Glyphs
from tui_chat.ui.widgets.bars import thin
from tui_chat.ui.widgets.row import fit, joined, row, styled, text

_WHOLE_TITLE, _LEAST_TITLE = 22, 16
"""Cells of a title for which there are no bars beside it, and for which whole columns go."""
_LEAST_BAR, _MOST_BAR = 6, 24
_GAP = 3
_PLAY = "demo/"


@record
class Ranked:
    """One row of the table as text."""

    title: str
    wins: str
    votes: str
    rate: str
    strength: str
    whole: str
    """What an answer costs in the mean, up to the decimal point."""
    rest: str
    share: float | None = None
    """The win rate, for its bar; `None` = it says too little for one."""


@record
class Votes:
    """What was read of the votes."""

    count: int
    rows: tuple[Ranked, ...]
    few: bool
    """Some models have too few votes to say anything."""


def read_votes(report: UsageReport, glyphs: Glyphs) -> Votes:
    """Read all votes, and beside them what answers cost of all time; slow, so for a thread. Raises StorageError."""
    votes = report.votes()
    stands = sorted(standing(votes), key=lambda each: each.few)
    spent = {each.key: each for each in report.usage("model").rows} if stands else {}
    rows = tuple(_ranked(each, spent.get(each.model), glyphs) for each in stands)
    return Votes(len(votes), rows, any(each.few for each in stands))


def _ranked(each: Standing, spent: UsageRow | None, glyphs: Glyphs) -> Ranked:
    whole, point, digits = _per_answer(each.model, spent, glyphs).partition(".")
    strength = "few" if each.few else f"{each.strength:,.0f}"
    title = each.model if spent is None else spent.title
    rate = f"{each.rate:.0%}"
    return Ranked(
        title, f"{each.wins:,}", f"{each.n:,}", rate, strength, whole, point + digits, None if each.few else each.rate
    )


def _per_answer(model: str, spent: UsageRow | None, glyphs: Glyphs) -> str:
    """Return what an answer cost in the mean: of those whose price is known, marked where some are not."""
    if spent is None or not spent.answers:
        return "play" if model.startswith(_PLAY) else glyphs.dash
    known = max(1, spent.answers - spent.unknown)
    usd = spent.usd / known
    guessed = bool(spent.estimated_usd or spent.unknown)
    mean = replace(
        spent,
        settled_usd=Decimal(0) if guessed else usd,
        estimated_usd=usd if guessed else Decimal(0),
        foreign=tuple(Foreign(one.currency, one.amount / known, one.estimated) for one in spent.foreign),
    )
    return money(mean, signs=glyphs is not ASCII)[0]


@record
class VoteColumns:
    """How wide everything is; 0 = there is no room for it."""

    title: int
    wins: int
    votes: int
    rate: int
    bar: int
    strength: int
    whole: int
    rest: int
    width: int
    cost_word: str
    glyphs: Glyphs

    @classmethod
    def within(cls, width: int, rows: Sequence[Ranked], glyphs: Glyphs) -> "VoteColumns":
        def widest(name: str, head: str) -> int:
            return max(len(head), *(len(getattr(each, name)) for each in rows))

        titles = max(5, *(text(each.title).cell_length for each in rows))
        wins, votes, rate = widest("wins", "wins"), widest("votes", "votes"), widest("rate", "win rate")
        strength = widest("strength", "strength")
        figures, rest = widest("whole", ""), widest("rest", "")
        cost_word = "cost per answer"

        def left() -> int:
            columns = (wins, votes, rate, strength, max(figures + rest, len(cost_word)))
            return width - sum(each + _GAP for each in columns if each)

        least = min(titles, _LEAST_TITLE)
        if left() < titles + _GAP + _LEAST_BAR:
            cost_word = "per answer"
        if left() < least:
            cost_word = "cost"
        if left() < least:
            wins = 0
        if left() < least:
            strength = 0
        if left() < least:
            votes = 0
        if left() < least:
            rate = 0
        title = max(1, min(titles, left()))
        beside_bar = left() - _GAP - _LEAST_BAR
        if title > beside_bar >= _WHOLE_TITLE:
            title = beside_bar
        bar = min(_MOST_BAR, left() - title - _GAP)
        bar = bar if rate and bar >= _LEAST_BAR else 0
        return cls(title, wins, votes, rate, bar, strength, figures, rest, width, cost_word, glyphs)

    def heading(self) -> Content:
        head = Ranked("model", "wins", "votes", "win rate", "strength", self.cost_word, "")
        return self._line(styled(head.title, "$fg2"), head, Content(""), "$fg2", self.cost_word, "$fg2")

    def rule(self) -> Content:
        return styled(self.glyphs.track * self.width, "$rule")

    def draw(self, ranked: Ranked) -> Content:
        drawn = self.bar and ranked.share is not None
        bar = thin(ranked.share or 0.0, self.bar, self.glyphs) if drawn else Content("")
        cost = f"{ranked.whole:>{self.whole}}{ranked.rest:<{self.rest}}"
        return self._line(text(ranked.title), ranked, bar, "$fg", cost, "b $fg")

    def _line(
        self, title: Content, ranked: Ranked, bar: Content, style: str, cost: str, cost_style: str
    ) -> Content:  # fmt: skip
        parts = [fit(title, self.title)]
        for value, room in ((ranked.wins, self.wins), (ranked.votes, self.votes), (ranked.rate, self.rate)):
            if room:
                parts.append(styled(f"{value:>{room + _GAP}}", style))
        if self.bar:
            parts.append(joined(" " * _GAP, fit(bar, self.bar)))
        if self.strength:
            parts.append(styled(f"{ranked.strength:>{self.strength + _GAP}}", style))
        return row(joined(*parts), styled(cost, cost_style), self.width)


def remarks(votes: Votes, columns: VoteColumns) -> list[Content]:
    """Return what the figures do not say by themselves."""
    if not columns.strength:
        return []
    lines = [f"Strength: {MIDDLE:,.0f} is middling, 400 more are odds of ten to one."]
    if votes.few:
        lines.append(f"few: under {FEW} votes, too few to say.")
    return [styled(line, "$fg2") for line in lines]
