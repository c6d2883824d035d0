"""What one answer cost, each factor of it: tokens × price = amount, line by line, so that the sum can be checked.

The lines come from `core/breakdown.py`, which adds up the very parts that the bill is made of. Below them stands what
else is known: where the prices come from, what was tried, how long it took, what a stop saved.
"""

import textwrap
from collections.abc import Callable, Sequence
from contextlib import suppress
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from time import monotonic
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import Static

from tui_chat.core.breakdown import Breakdown, Line, breakdown, plain, price_lines
from tui_chat.core.completion import Completion, State
from tui_chat.core.errors import ChatError
from tui_chat.core.format import amount, seconds
from tui_chat.core.format import cost as cost_text
from tui_chat.core.model import Model
from tui_chat.core.pricing import EXACT, NOTHING, Charge, Cost, Price
from tui_chat.core.record import record
from tui_chat.core.safe_text import one_line
from tui_chat.core.services import Services
from tui_chat.ui.theme import ASCII, Glyphs
from tui_chat.ui.widgets.bindings import binding
from tui_chat.ui.widgets.row import hints, joined, row, styled, text
from tui_chat.ui.widgets.transcript.answer_foot import savings
from tui_chat.ui.widgets.usage_meter import cost_of as meter_cost
from tui_chat.ui.widgets.usage_meter import glyph

_TICK_S = 0.25
_WIDE = 84
_WORDS = 62
"""Cells from which the words `reported`, `estimated` have a column."""
_NARROW = 50
"""Cells below which a line's factors stand on a row of their own."""
_LABEL = 12
_MOST_BEHIND = 12
"""Digits behind the point of an amount; more are rounded on the screen, not in what is copied."""
_SIGNS = {"USD": "$", "EUR": "€", "GBP": "£", "CNY": "¥", "JPY": "¥"}
_SOURCES = {
    "config": "config.toml",
    "provider": "the provider's own list",
    "list": "the vendor's list, as [providers] pricing says",
    "bundled": "the built-in table",
    "guide": "the reseller's own guide",
    "local": "a server on this machine charges nothing",
    "play": "play money: nothing is charged",
}
_ENDINGS = {
    "stop": "stop: it came to its end",
    "length": "length: cut at the longest answer allowed",
    "content_filter": "content_filter: the provider's filter ended it",
    "tool_calls": "tool_calls: it asked for a tool",
    "pause": "pause: the provider paused it",
    "cancelled": "cancelled: you stopped it",
    "budget": "budget: a limit of yours was reached",
    "error": "error",
    "interrupted": "interrupted: tui-chat ended while it ran",
}
_STOPS = {
    "yes": "stopping ends the bill",
    "no": "stopping does not end the bill: the whole answer is charged",
    "unknown": "may still be billed in full",
}


@record
class Fact:
    """Something known of an answer besides its sum."""

    label: str
    words: str
    style: str = "$fg"


@record
class Known:
    """All that the box shows, as it is at one moment."""

    completion: Completion
    model: Model
    """As the catalog has it now: it knows more than the history does."""
    terms: Breakdown
    tries: Sequence[Charge]
    """The charges of all its tries; none where the ledger has nothing of it."""
    now: float

    @property
    def nothing(self) -> bool:
        """Nothing was charged: the request failed before it was taken."""
        return self.terms.cost == NOTHING or (self.completion.cost == NOTHING and not self.completion.running)


def look(completion: Completion, model: Model, tries: Sequence[Charge] = ()) -> Known:
    """Return what is known of an answer now."""
    cost, price = completion.cost, completion.model.price
    billed = cost.amount if cost.price_source == "billed" else completion.billed_usd
    terms = breakdown(completion.usage, price, completion.created_at, billed)
    if terms.computed.amount is None and cost.amount is not None:  # the history has a price that we cannot read
        terms = Breakdown(terms.lines, cost, terms.computed)
    return Known(completion, model, terms, tries, monotonic())


# the sum


def exact(value: Decimal, currency: str, most: int | None = _MOST_BEHIND) -> str:
    """Return an amount with all its digits, `$0.00033712`; at most `most` of them behind the point."""
    if most is not None and len(plain(value).partition(".")[2]) > most:
        with localcontext(EXACT):
            value = value.quantize(Decimal(1).scaleb(-most), ROUND_HALF_EVEN)
    shown = plain(abs(value), 2)
    whole, _, behind = shown.partition(".")
    return f"{'-' if value < 0 else ''}{_sign(currency)}{int(whole):,}.{behind}"


def _sign(currency: str) -> str:
    return _SIGNS.get(currency, f"{currency} ")


def _origin(line: Line) -> str:
    return "" if line.tokens is None else "estimated" if line.estimated else "reported"


def _count(line: Line) -> str:
    if line.tokens is None:
        return "" if line.name in ("fee", "window") else "?"
    return f"{'~' if line.estimated else ''}{line.tokens:,}"


def _paid(line: Line, currency: str, most: int | None = _MOST_BEHIND) -> str:
    if line.amount is None:
        return ""
    mark = "~" if (line.estimated or line.stands_in) and line.amount else ""
    return f"{mark}{exact(line.amount, currency, most)}"


@record
class _Cells:
    """One row of the table."""

    label: str
    word: str = ""
    tokens: str = ""
    price: str = ""
    amount: str = ""
    note: str = ""


def _cells(known: Known) -> list[_Cells]:
    price = known.completion.model.price
    currency = price.currency if price is not None else "USD"
    return [
        _Cells(
            line.label,
            _origin(line),
            _count(line),
            plain(line.per_mtok, 2) if line.per_mtok is not None else "",
            _paid(line, currency),
            line.note,
        )
        for line in known.terms.lines
    ]


def _points(figures: list[str]) -> list[str]:
    """Return figures of one width, their points below one another."""
    behind = max((len(each.partition(".")[2]) + ("." in each) for each in figures), default=0)
    padded = [each + " " * (behind - len(each.partition(".")[2]) - ("." in each)) for each in figures]
    width = max(map(len, padded), default=0)
    return [each.rjust(width) for each in padded]


def table(known: Known, width: int, glyphs: Glyphs) -> list[Content]:
    """Return the sum as rows of `width` cells."""
    cells, cost = _cells(known), known.terms.computed
    if cost.amount is None:
        total = "$?"
    elif known.completion.model.price is not None and known.completion.model.price.free:
        total = "free"
    else:
        total = exact(cost.amount, cost.currency)
    mark = "~" if cost.quality == "estimated" and cost.amount else ""
    amounts = _points([*(each.amount for each in cells), f"{mark}{total}"])
    tokens, prices = _points([each.tokens for each in cells]), _points([each.price for each in cells])
    price = known.completion.model.price
    unit = f"{_sign(price.currency if price is not None else 'USD')}/Mtok"
    sized = (max(6, *map(len, tokens)), max(len(unit), *map(len, prices)), max(6, *map(len, amounts)))
    narrow, words = width < _NARROW, width >= _WORDS
    lines = [_heading(sized, unit, width, narrow=narrow, words=words)]
    for at, each in enumerate(cells):
        right = styled(amounts[at].rjust(sized[2]), "$fg")
        factors = Content("")
        if each.tokens:
            times = f" {'×' if glyphs is not ASCII else 'x'} " if each.price else "   "
            factors = styled(f"{tokens[at].rjust(sized[0])}{times}{prices[at].rjust(sized[1])}", "$fg")
        word = styled(f"{each.word:<9}   ", "$fg2") if words and each.word else Content("")
        if narrow:
            lines.append(row(styled(each.label, "$fg"), right, width))
            if factors.cell_length:
                lines.append(styled(f"  {factors.plain.strip()}  {each.word}", "$fg2"))
        else:
            equals = styled(" = " if each.price else "   ", "$fg2")
            lines.append(row(styled(each.label, "$fg"), joined(word, factors, equals, right), width))
        if each.note:
            lines += [styled(f"  {part}", "$fg2") for part in textwrap.wrap(each.note, max(10, width - 2))]
    lines.append(styled(glyphs.track * width, "$rule"))
    named = "total, play money" if cost.play else "total by our prices" if cost != known.terms.cost else "total"
    lines.append(row(styled(named, "b $fg"), styled(amounts[-1].rjust(sized[2]), "b $fg"), width))
    return lines


def _heading(sized: tuple[int, int, int], unit: str, width: int, *, narrow: bool, words: bool) -> Content:
    if narrow:
        return row(Content(""), styled("amount", "$fg2"), width)
    word = " " * 12 if words else ""
    heads = f"{word}{'tokens'.rjust(sized[0])}   {unit.rjust(sized[1])}   {'amount'.rjust(sized[2])}"
    return row(Content(""), styled(heads, "$fg2"), width)


# what else is known


def facts(known: Known, glyphs: Glyphs) -> list[Fact]:
    """Return what there is to say besides the sum."""
    completion = known.completion
    served = completion.model_served
    found = [
        Fact("asked for", f"{completion.model.id} at {completion.model.provider}"),
        Fact("served by", served or ("not said yet" if completion.running else "not said")),
    ]
    found += _bill(known)
    found += _price(known)
    found += _tries(known)
    times = []
    if completion.ttft_s is not None:
        times.append(f"{seconds(completion.ttft_s)} to the first token")
    if completion.total_s is not None:
        times.append(f"{seconds(completion.total_s)} in all")
    rate = completion.rate(known.now)
    if rate is not None and 0 < rate < 10_000:
        times.append(f"{rate:.0f} tok/s")
    if times:
        found.append(Fact("time", f" {glyphs.dot} ".join(times)))
    if completion.finish_reason is not None and not completion.running:
        why = _ENDINGS[completion.finish_reason]
        if completion.error is not None and completion.finish_reason in ("error", "budget"):
            why = f"{completion.finish_reason}: {completion.error.message}"
        found.append(Fact("ended", why))
    return found + _stop(known, glyphs)


def _bill(known: Known) -> list[Fact]:
    cost, ours = known.terms.cost, known.terms.computed
    if known.nothing:
        return [Fact("bill", "nothing was charged: the request was not taken")]
    if cost.price_source == "billed" and cost.amount is not None:
        billed = f"billed by the provider: {amount(cost.amount, cost.currency)}"
        if ours.usd is None:
            return [Fact("bill", billed)]
        same = ours.usd == cost.usd
        return [Fact("bill", f"{billed}, by our prices {'the same' if same else amount(ours.usd)}", "b $fg")]
    if cost.quality == "estimated" and cost.amount:
        source = known.completion.usage.source
        if source == "partial":
            return [Fact("bill", "estimated: the answer was cut, and the provider has the last word")]
        if any(line.estimated for line in known.terms.lines):
            return [
                Fact("bill", "estimated: the provider reported no usage" + (" yet" if known.completion.running else ""))
            ]
        return [Fact("bill", "an upper bound: the cache has no price of its own")]
    if cost.amount is not None:
        return [Fact("bill", "by the usage that the provider reported")]
    return []


def _price(known: Known) -> list[Fact]:
    price = known.completion.model.price
    if price is None or not price.known:
        if price is None or (price.input_per_mtok is None and price.output_per_mtok is None):
            return [Fact("price", "not known: nobody says what this model costs here", "$stop")]
        lacking = "input" if price.input_per_mtok is None else "output"
        return [Fact("price", f"not known for {lacking} tokens", "$stop")]
    source = _SOURCES.get(price.source, price.source)
    if price.as_of and price.source not in ("config", "local", "play"):
        source += f", {price.as_of}"
    stale = price.stale(known.completion.created_at)
    found = [Fact("price", f"{source}: older than half a year" if stale else source, "$stop" if stale else "$fg")]
    return found + _currency(price, known.terms.computed)


def _currency(price: Price, ours: Cost) -> list[Fact]:
    if price.currency == "USD":
        return []
    if price.usd_rate is None:
        return [Fact("currency", f"{price.currency}; no usd_rate is set, so it is in no total")]
    usd = f" = {amount(ours.usd)}" if ours.usd is not None else ""
    return [Fact("currency", f"{price.currency} at {plain(price.usd_rate)} USD{usd}")]


def _tries(known: Known) -> list[Fact]:
    if known.completion.attempts < 2:
        return []
    words = f"{known.completion.attempts}; "
    earlier = [each for each in known.tries if each.attempt < known.completion.attempts]
    if earlier:
        paid = ", ".join(f"try {each.attempt}: {cost_text(each.cost)}" for each in earlier)
        return [Fact("tries", f"{words}charged by themselves, not in the sum: {paid}")]
    if not known.tries and not known.completion.running:
        return [Fact("tries", f"{words}what those before the last cost is not known here")]
    return [Fact("tries", f"{words}those before the last cost nothing")]


def _stop(known: Known, glyphs: Glyphs) -> list[Fact]:
    completion, model = known.completion, known.model
    if completion.state is not State.STOPPED or known.nothing:
        return []
    found = []
    if completion.saved is not None:
        play = "play " if completion.cost.play else ""
        found.append(Fact("saved", f"{play}{savings(completion.saved, glyphs)} by stopping", "b $fg"))
    if not model.scripted:
        who = f" ({model.stops_source})" if model.stops_source else ""
        found.append(Fact("stopping", f"{_STOPS[model.stops_billing]}{who}"))
    return found


def _laid_out(fact: Fact, width: int) -> list[Content]:
    words = one_line(fact.words, 500)
    room = max(10, width - _LABEL)
    parts = textwrap.wrap(words, room) or [""]
    return [
        joined(styled(f"{fact.label if at == 0 else '':<{_LABEL}}", "$fg2"), text(part, fact.style))
        for at, part in enumerate(parts)
    ]


def content(known: Known, width: int, glyphs: Glyphs) -> Content:
    """Return all that the box says below its title."""
    price = known.completion.model.price
    lines: list[Content] = []
    if not known.nothing:
        lines += [*table(known, width, glyphs), Content("")]
    for fact in facts(known, glyphs):
        lines += _laid_out(fact, width)
    if price is None or not price.known:
        lines += [Content(""), styled("To set it, in config.toml, in dollars per million tokens:", "$fg2")]
        lines += [text(line, "$fg") for line in price_lines(known.completion.model.name, price).splitlines()]
    return Content("\n").join(lines)


def markdown(known: Known, glyphs: Glyphs) -> str:
    """Return the same as markdown, amounts with all their digits."""
    model, terms = known.completion.model, known.terms
    lines = [f"## What an answer of {one_line(model.name, 200)} cost", ""]
    if not known.nothing:
        currency = model.price.currency if model.price is not None else "USD"
        lines += ["| | tokens | per Mtok | amount | |", "|---|--:|--:|--:|---|"]
        for line, cells in zip(terms.lines, _cells(known), strict=True):
            note = ", ".join(filter(None, (cells.word, cells.note)))
            paid = _paid(line, currency, None)
            lines.append(f"| {cells.label} | {cells.tokens} | {cells.price} | {paid} | {note} |")
        ours = terms.computed
        mark = "~" if ours.quality == "estimated" and ours.amount else ""
        total = "$?" if ours.amount is None else f"{mark}{exact(ours.amount, ours.currency, None)}"
        lines += [f"| **total** | | | **{total}** | {'play money' if ours.play else ''} |", ""]
    lines += [f"- {fact.label}: {one_line(fact.words, 500)}" for fact in facts(known, glyphs)]
    if model.price is None or not model.price.known:
        lines += ["", "```toml", price_lines(one_line(model.name, 500), model.price), "```"]
    return "\n".join(lines) + "\n"


class CostBox(ModalScreen[None]):
    """A box with one answer's cost; it follows the answer while that runs."""

    CSS_PATH = "boxes.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "dismiss(None)", "Close", show=False),
        binding("answer.cost", "dismiss(None)"),
        Binding("y", "copy", "Copy", show=False),
        Binding("c", "copy_lines", "Copy the lines for config.toml", show=False),
        Binding("j", "scroll(1)", show=False),
        Binding("k", "scroll(-1)", show=False),
    ]

    def __init__(self, completion: Completion, services: Services, glyphs: Glyphs, copy: Callable[[str], None]) -> None:
        super().__init__()
        self._completion, self._glyphs, self._copy = completion, glyphs, copy
        self._model = completion.model
        if completion.request is None:  # the history does not know how its provider bills
            with suppress(ChatError):
                self._model = services.catalog.resolve(completion.model.name)
        self._store = services.store
        self._tries: list[Charge] = []
        self._drawn = Content("")
        self._timer: Timer | None = None
        self._title, self._body = Static(markup=False, id="title"), Static(markup=False, id="body")

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            yield self._title
            with VerticalScroll():
                yield self._body
            yield Static(hints(self._keys()), markup=False, id="hints")

    def _keys(self) -> list[tuple[str, str]]:
        lines = [] if self._priced else [("c", "copy the lines")]
        return [*lines, ("y", "copy as markdown"), ("↑↓", "scroll"), ("esc", "close")]

    @property
    def _priced(self) -> bool:
        return self._completion.model.price is not None and self._completion.model.price.known

    def on_mount(self) -> None:
        self.set_class(self._glyphs is ASCII, "ascii")
        if self._completion.attempts > 1:
            with suppress(ChatError):
                self._tries = self._store.charges_of(self._completion.id)
        self._draw()
        self.query_one(VerticalScroll).focus()
        if self._may_change:
            self._timer = self.set_interval(_TICK_S, self._tick)

    @property
    def _may_change(self) -> bool:
        """It runs, or its bill may still come."""
        state = self._completion.state
        late = self._completion.request is not None and state in (State.STOPPED, State.FAILED, State.BUDGET)
        return self._completion.running or late

    def _tick(self) -> None:
        self._draw()
        if self._timer is not None and not self._may_change:
            self._timer.stop()

    def on_resize(self) -> None:
        self.set_class(self.app.size.height < 24, "-short")
        self._drawn = Content("")
        self._draw()

    def _draw(self) -> None:
        width = max(12, min(_WIDE, self.app.size.width * 96 // 100) - 6)
        known = look(self._completion, self._model, self._tries)
        body = content(known, width, self._glyphs)
        state = self._completion.state
        title = row(
            joined(
                styled("What this answer cost   ", "b $fg"),
                glyph(state, self._glyphs),
                styled(f" {'elsewhere' if self._elsewhere else state.value}", "$fg2"),
            ),
            styled(meter_cost(self._completion), "b $fg"),
            width,
        )
        chrome = 2 if self.has_class("-short") else 6
        self.query_one(VerticalScroll).styles.max_height = max(1, self.app.size.height * 96 // 100 - chrome)
        whole = joined(title, "\n", body)
        if not whole.is_same(self._drawn):
            self._drawn = whole
            self._title.update(title)
            self._body.update(body)

    @property
    def _elsewhere(self) -> bool:
        return not self._completion.running and self._completion.finish_reason is None

    def action_scroll(self, step: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=step, animate=False)

    def action_copy(self) -> None:
        """Take the sum to the clipboard, as markdown."""
        self._copy(markdown(look(self._completion, self._model, self._tries), self._glyphs))

    def action_copy_lines(self) -> None:
        """Take the lines that set a price to the clipboard."""
        if not self._priced:
            self._copy(price_lines(self._completion.model.name, self._completion.model.price) + "\n")
