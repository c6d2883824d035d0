"""The head of an answer: the model's name and its meter, on one line, or on three above a column."""

from time import monotonic

from textual.content import Content

from tui_chat.core.completion import Completion, State
from tui_chat.core.format import cost as cost_text
from tui_chat.core.record import record
from tui_chat.ui.theme import Glyphs
from tui_chat.ui.widgets.row import joined, row, styled, text
from tui_chat.ui.widgets.usage_meter import SETTLING_S, glyph, meter, quiet, slots, state_word


@record
class Standing:
    """How an answer stands among the others to the same prompt."""

    name: str = ""
    """What it is called there; empty for its own short name."""
    ratio: str = ""
    """How many times as much as the cheapest it costs; empty where that is not known."""
    money: str = ""
    """What it cost with the parts that it goes on from; empty where it has none."""
    cheapest: bool = False
    alias: str = ""
    """What it is called while names and prices are out of view; empty where they are not."""


class AnswerHead:
    """Draws name and meter whenever it is asked."""

    def __init__(self, completion: Completion) -> None:
        self._completion = completion
        self.loud = False
        """The answer under the cursor shows every field, all others only state, tokens and cost."""
        self.position = ""
        """Which of several answers to the same prompt this is: `2/3`, or nothing."""
        self.standing = Standing()
        self._estimate = ""
        self._settled_at_s: float | None = None

    @property
    def settling(self) -> bool:
        """True while the bill stands beside the estimate."""
        return self._settled_at_s is not None and monotonic() - self._settled_at_s < SETTLING_S

    def _watch_settling(self, now_s: float) -> None:
        completion = self._completion
        if completion.running:
            self._estimate = cost_text(completion.cost)
        elif self._estimate and self._settled_at_s is None and completion.state is State.SETTLED:
            changed = self._estimate.lstrip("~") != cost_text(completion.cost).lstrip("~")
            self._settled_at_s = now_s if changed else now_s - SETTLING_S

    def line(self, width: int, glyphs: Glyphs) -> Content:
        """Return the line as it is now, `width` cells wide."""
        now_s = monotonic()
        self._watch_settling(now_s)
        completion, alias = self._completion, self.standing.alias
        if alias:
            word, colour = state_word(completion.state)
            mark = joined(glyph(completion.state, glyphs), " ", styled(word, colour))
            return row(styled(alias, "b $fg"), joined(mark, " "), width)
        name = text(completion.model.short_name, "b $fg")
        if self.position:
            name = joined(name, styled(f"  {self.position}", "$fg2"))
        if self.loud or completion.running:
            room = max(12, width - min(name.cell_length + 1, width // 3) - 1)
            figures = meter(completion, now_s, room, glyphs, self._estimate if self.settling else None)
        else:
            figures = quiet(completion, glyphs)
        if completion.model.scripted:
            free = width - name.cell_length - figures.cell_length - 3
            said = next((words for words in ("  scripted, no network", "  scripted") if len(words) <= free), "")
            name = joined(name, styled(said, "$fg2"))
        return row(name, joined(figures, " "), width)

    def column_lines(self, width: int, glyphs: Glyphs) -> list[Content]:
        """Return the head of a column: name and state, cost and ratio, tokens with rate and time."""
        now_s = monotonic()
        self._watch_settling(now_s)
        completion, standing = self._completion, self.standing
        state = completion.state
        word, colour = state_word(state)
        mark = joined(glyph(state, glyphs), " ", styled(word, colour))
        if standing.alias:
            hidden = styled("blind until you vote (v)", "$fg2").truncate(width, ellipsis=True)
            return [row(styled(standing.alias, "b $fg"), mark, width), hidden, Content("")]
        slot = slots(completion, now_s)
        cost = standing.money or slot.cost
        if self.settling and not cost.startswith("play"):
            cost = f"{self._estimate} {glyphs.arrow} {cost}"
        ratio = standing.ratio or (glyphs.dash if cost else "")
        count = styled(f"{slot.tokens:>7}", "$fg2")
        rate = joined(count, styled(f"  {slot.rate:>9}", "$fg2"))
        fits = rate.cell_length + len(slot.first) + 1 <= width
        return [
            row(text(standing.name or completion.model.short_name, "b $fg"), mark, width),
            row(styled(cost, "b $fg"), styled(ratio, "$best" if standing.cheapest else "$fg2"), width),
            row(rate if fits else count, styled(slot.first, "$fg2"), width),
        ]
