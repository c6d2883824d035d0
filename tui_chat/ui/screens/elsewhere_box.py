"""What the tokens of this chat would have cost on other models; with Tab, what they would cost at today's prices.

The whole conversation counts, not only what is in view: ended calls come from the ledger and are added up once, what
runs now is added at each look. It looks four times a second while something runs, else never.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import Static

from tui_chat.core.completion import Completion
from tui_chat.core.elsewhere import (
    Elsewhere,
    Repriced,
    Row,
    Tokens,
    a_month,
    added,
    brought_up_to_date,
    charge_of,
    compared,
    real,
    repriced,
    spent_on,
    together,
    tokens_of,
)
from tui_chat.core.errors import ChatError
from tui_chat.core.format import Spent, amount, tokens, total
from tui_chat.core.format import ratio as ratio_text
from tui_chat.core.model import Model
from tui_chat.core.pricing import Charge, Price
from tui_chat.core.record import record
from tui_chat.core.services import Services
from tui_chat.ui.sessions import Session
from tui_chat.ui.theme import ASCII, Glyphs
from tui_chat.ui.widgets.bindings import binding
from tui_chat.ui.widgets.model_rows import aligned, figure
from tui_chat.ui.widgets.row import hints, joined, row, styled, text

_TICK_S = 0.25
_WIDE = 96
_DAYS = 30
_LEAST_NAME = 22
"""Cells that a name should have before a column more is shown."""


@record
class Account:
    """What was charged in one conversation, and what runs in it now."""

    ended: tuple[Charge, ...]
    running: tuple[Charge, ...]
    partly: bool = False
    """Only the turns that were read are in it: the ledger has nothing of this conversation."""

    @property
    def all(self) -> list[Charge]:
        return real([*self.ended, *self.running])


def account(services: Services, session: Session) -> Account:
    """Return the charges of a conversation, those of this process as they are now. Raises StorageError."""
    answers = [answer for turn in session.path for answer in turn.completions]
    here = [answer for answer in answers if answer.request is not None and _counts(answer)]
    running = {answer.id for answer in here if answer.running}
    stored = services.store.charges_in(session.conversation.id) if session.conversation.stored else []
    partly = False
    if not stored and not here:  # it was imported: what it cost was spent elsewhere
        here, partly = [answer for answer in answers if _counts(answer)], session.earlier
    charges = brought_up_to_date(stored, map(charge_of, here))
    attempts = {answer.id: answer.attempts for answer in here}
    live = [each.completion_id in running and each.attempt == attempts[each.completion_id] for each in charges]
    ended = [each for each, runs in zip(charges, live, strict=True) if not runs]
    return Account(tuple(ended), tuple(each for each, runs in zip(charges, live, strict=True) if runs), partly)


def _counts(answer: Completion) -> bool:
    return answer.sent or answer.request is None or bool(answer.cost.amount)


# the columns


@record
class Columns:
    """How wide each column is; 0 = there is no room for it."""

    name: int
    given: int
    out: int
    cost: int
    ratio: int
    behind: tuple[int, int, int]
    """Cells behind the decimal point of in, out and cost."""


def _behind(figures: Iterable[str]) -> tuple[int, int]:
    """Return the most digits before a point, signs included, and behind it."""
    parts = [each.partition(".") for each in figures if "." in each]
    return max((len(p[0]) for p in parts), default=1), max((len(p[2]) for p in parts), default=2)


def _layout(width: int, given: Sequence[str], out: Sequence[str], cost: Sequence[str], ratio: Sequence[str]) -> Columns:
    shapes = [_behind(each) for each in (given, out, cost)]
    sizes = [max(least, 3 + a + b) for least, (a, b) in zip((8, 9, 12), shapes, strict=True)]
    sizes[2] = max(sizes[2], *(len(each) + 3 for each in cost), 0)
    by = max(8, *(len(each) + 3 for each in ratio), 0)
    wanted = [sizes[0], sizes[1], by]
    for at in (0, 1, 2):
        if sum(wanted) + sizes[2] + _LEAST_NAME > width:
            wanted[at] = 0
    name = max(1, width - sum(wanted) - sizes[2])
    return Columns(name, wanted[0], wanted[1], sizes[2], wanted[2], (shapes[0][1], shapes[1][1], shapes[2][1]))


def _named(words: str, width: int, style: str) -> Content:
    name = text(words, style)
    if name.cell_length > width:
        name = name.truncate(width, ellipsis=width > 1)
    return name.pad_right(max(0, width - name.cell_length))


# on other models


def _money(shown: Row, *, same: bool) -> str:
    """Return what the tokens cost there; `~` because another model counts them in its own way."""
    price = shown.model.price
    if shown.amount is None or price is None:
        return "$?"
    if shown.free:
        return "free"
    mark = "" if same or not shown.amount else "~"
    return f"{mark}{amount(shown.amount if shown.usd is None else shown.usd, _shown_in(price))}"


def _shown_in(price: Price) -> str:
    return price.currency if price.usd_rate is None else "USD"


def _figures(model: Model) -> tuple[str, str]:
    price = model.price
    if price is None or not price.known or price.free:
        return "", ""
    return figure(price.input_per_mtok, price), figure(price.output_per_mtok, price)


def models_table(
    rows: Sequence[Row], was: Sequence[Content], was_money: str, own: str, width: int, glyphs: Glyphs
) -> list[Content]:
    """Return the table: its head with what it cost as it was, then a row for each model.

    `was` is said in the first of its ways that there is room for. `own` is the one model that all of it was asked of,
    with reported tokens: its figure is exact.
    """
    prices = [_figures(each.model) for each in rows]
    money = [_money(each, same=each.model.name == own) for each in rows]
    ratios = [_ratio(each, glyphs) for each in rows]
    columns = _layout(width, [p[0] for p in prices], [p[1] for p in prices], [*money, was_money], ratios)
    heads = [("in", columns.given), ("out", columns.out), ("this chat", columns.cost), ("", columns.ratio)]
    lines = [joined(_named("$ per million tokens", columns.name, "$fg2"), _right(heads, "$fg2"))]
    room = columns.name + columns.given + columns.out
    first = next((each for each in was if each.cell_length <= room), was[-1].truncate(room))
    room -= first.cell_length
    shown = (
        aligned(was_money, columns.cost, columns.behind[2]) if "+" not in was_money else was_money.rjust(columns.cost)
    )
    lines.append(joined(first, " " * room, styled(shown, "b $fg"), " " * columns.ratio))
    lines.append(styled(glyphs.track * width, "$rule"))
    for each, (given, out), cost, ratio in zip(rows, prices, money, ratios, strict=True):
        plain = "$fg" if each.model.missing is None else "$fg2"
        cells = [
            _named(each.model.name, columns.name, plain),
            styled(aligned(given, columns.given, columns.behind[0]) if columns.given else "", plain),
            styled(aligned(out, columns.out, columns.behind[1]) if columns.out else "", plain),
            styled(aligned(cost, columns.cost, columns.behind[2]), "b $best" if each.cheapest else f"b {plain}"),
            styled(ratio.rjust(columns.ratio) if columns.ratio else "", "$best" if each.cheapest else "$fg2"),
        ]
        lines.append(joined(*cells))
    return lines


def _right(heads: Sequence[tuple[str, int]], style: str) -> Content:
    return styled("".join(name.rjust(size) for name, size in heads if size), style)


def _ratio(shown: Row, glyphs: Glyphs) -> str:
    if shown.ratio is None:
        return ""
    words = ratio_text(shown.ratio)
    return words.replace("×", "x") if glyphs is ASCII else words


# at today's prices


def times_table(found: Sequence[Repriced], width: int, glyphs: Glyphs) -> list[Content]:
    """Return the table of the chat's own models: as it was priced then, and at today's prices."""
    then = [total(each.then) for each in found] + [total(together(each.then for each in found))]
    now = [total(each.now) for each in found] + [total(together(each.now for each in found))]
    sizes = [max(12, *(len(each) + 3 for each in column)) for column in (then, now)]
    behind = [_behind(each for each in column if "+" not in each)[1] for column in (then, now)]
    counted = width - sum(sizes) - 27 >= _LEAST_NAME
    name = max(1, width - sum(sizes) - (27 if counted else 0))

    def line(words: str, used: Tokens | None, answers: int, at: int, style: str) -> Content:
        total_in, total_out = (used.total.input_tokens, used.total.output_tokens) if used is not None else (0, 0)
        cells = f"{answers:>9,}{tokens(total_in):>9}{tokens(total_out):>9}" if counted else ""
        money = [
            aligned(each[at], size, digits) if "+" not in each[at] else each[at].rjust(size)
            for each, size, digits in zip((then, now), sizes, behind, strict=True)
        ]
        return joined(_named(words, name, style), styled(cells, style), styled("".join(money), f"b {style}".strip()))

    heads = f"{'answers':>9}{'in':>9}{'out':>9}" if counted else ""
    lines = [
        joined(_named("model", name, "$fg2"), styled(f"{heads}{'then':>{sizes[0]}}{'today':>{sizes[1]}}", "$fg2")),
        styled(glyphs.track * width, "$rule"),
    ]
    for at, each in enumerate(found):
        lines.append(line(each.model, each.tokens, each.then.answers, at, "$fg"))
    if len(found) > 1:
        whole = tokens_of(call for each in found for call in each.tokens.calls)
        answers = sum(each.then.answers for each in found)
        lines += [styled(glyphs.track * width, "$rule"), line("total", whole, answers, len(found), "$fg")]
    return lines


class ElsewhereBox(ModalScreen[None]):
    """A box with two views of what the conversation cost."""

    CSS_PATH = "boxes.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "dismiss(None)", "Close", show=False),
        binding("chat.elsewhere", "dismiss(None)", priority=True),
        Binding("tab,shift+tab", "other_view", "Other view", show=False, priority=True),
        Binding("j", "scroll(1)", show=False),
        Binding("k", "scroll(-1)", show=False),
    ]

    def __init__(self, services: Services, session: Session, glyphs: Glyphs) -> None:
        super().__init__()
        self._services, self._session, self._glyphs = services, session, glyphs
        self._account = Account((), ())
        self._ended: list[Charge] = []
        self._was = Spent()
        """What those that ended cost."""
        self._table = Elsewhere((), Tokens())
        self._month = Content("")
        self._trouble = ""
        self._at_times = False
        """The second view is shown: then and today."""
        self._drawn: list[Content] = []
        self._timer: Timer | None = None
        self._title = Static(markup=False, id="title")
        self._head, self._rows = Static(markup=False, id="head"), Static(markup=False, id="rows")
        self._foot, self._hints = Static(markup=False, id="foot"), Static(markup=False, id="hints")

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            yield self._title
            yield self._head
            with VerticalScroll():
                yield self._rows
            yield self._foot
            yield self._hints

    def on_mount(self) -> None:
        self.set_class(self._glyphs is ASCII, "ascii")
        self._read()
        self._month = self._a_month()
        self._draw()
        self.query_one(VerticalScroll).focus()
        if self._account.running:
            self._timer = self.set_interval(_TICK_S, self._tick)

    # what it stands on

    def _read(self) -> None:
        """Read what was charged, and add it up for every model."""
        try:
            self._account = account(self._services, self._session)
        except ChatError as failed:
            self._trouble = failed.message
            return
        counted = {id(each) for each in self._account.all}
        self._ended = [each for each in self._account.ended if id(each) in counted]
        self._was, ended = spent_on(self._ended), tokens_of(self._ended)
        models = self._table.models or compared(
            self._own(), self._services.catalog.usable(), added(ended, tokens_of(self._runs()))
        )
        self._table = Elsewhere(models, ended)

    def _runs(self) -> list[Charge]:
        """Return what runs as it is now."""
        wanted = {each.completion_id for each in self._account.running}
        known = {each.completion_id for each in self._account.all}
        answers = [answer for turn in self._session.path for answer in turn.completions]
        return [charge_of(answer) for answer in answers if answer.id in wanted & known]

    def _own(self) -> list[Model]:
        """Return the models that the user knows: favourites, recent ones, those to compare, the chat's own."""
        store, catalog = self._services.store, self._services.catalog
        names: list[str] = []
        with suppress(ChatError):
            names += [*store.favourite_models(), *store.recent_models()]
        found = [self._known(name) for name in names]
        found += catalog.compare_models()
        with suppress(ChatError):
            found.append(catalog.first(None, None, scripted=True))
        found += [self._known(name) for name in dict.fromkeys(each.model for each in self._account.all)]
        return [model for model in [*found, *self._session.asked] if model is not None]

    def _known(self, name: str) -> Model | None:
        with suppress(ChatError):
            return self._services.catalog.resolve(name)
        return None

    def _price_of(self, name: str) -> Price | None:
        model = self._known(name)
        return model.price if model is not None else None

    def _a_month(self) -> Content:
        """Return what the spending of the last thirty days comes to in a month; nothing where nothing was spent."""
        store, now = self._services.store, self._services.clock.now()
        try:
            spent = store.spent_since(now - timedelta(days=_DAYS))
            if not spent.usd:
                return Content("")
            days, most = 1, _DAYS
            while days < most:  # the fewest days that hold all of it
                half = (days + most) // 2
                if store.spent_since(now - timedelta(days=half)).answers == spent.answers:
                    most = half
                else:
                    days = half + 1
        except ChatError:
            return Content("")
        of = "one day of use" if days == 1 else f"the {days} days since the first charge"
        of = f"the last {_DAYS} days" if days == _DAYS else of
        return joined(
            styled("All chats, at this rate: ", "$fg2"),
            styled(total(a_month(spent, days)), "b $fg"),
            styled(f" a month, from {of}", "$fg2"),
        )

    # what it shows

    def on_resize(self) -> None:
        self.set_class(self.app.size.height < 30, "-short")
        self._drawn = []
        self._draw()

    def _tick(self) -> None:
        wanted = {each.completion_id for each in self._account.running}
        answers = [answer for turn in self._session.path for answer in turn.completions]
        if any((answer.id in wanted) is not answer.running for answer in answers):
            self._read()  # one ended or began
        self._draw()
        queued = self._session.queued is not None and not self._session.held  # it is sent in a moment
        if self._timer is not None and not self._account.running and not queued:
            self._timer.stop()

    def _draw(self) -> None:
        width = max(12, min(_WIDE, self.app.size.width * 96 // 100) - 6)
        running = self._runs()
        head: list[Content] = []
        notes: list[str] = []
        if self._trouble:
            rows = [text(self._trouble, "$stop")]
        elif self._at_times:
            rows = times_table(repriced([*self._ended, *running], self._price_of), width, self._glyphs)
            notes = ["Prices by the time of day are those of the time of each answer."]
        else:
            now = tokens_of(running)
            lines = self._models(running, now, width)
            head, rows, notes = lines[:3], lines[3:], self._notes(added(self._table.ended, now))
        names = ("on other models", "then and today")
        views = [styled(name, "b $fg" if at == self._at_times else "$fg2") for at, name in enumerate(names)]
        title = row(styled("This chat", "b $fg"), joined(views[0], "   ", views[1]), width)
        foot = [*([self._month] if self._month.cell_length else []), *(styled(note, "$fg2") for note in notes)]
        keys = [("tab", names[not self._at_times]), ("↑↓", "scroll"), ("esc", "close")]
        shown = [title, *(Content("\n").join(part) for part in (head, rows, foot)), hints(keys)]
        widgets = (self._title, self._head, self._rows, self._foot, self._hints)
        for at, (widget, new) in enumerate(zip(widgets, shown, strict=True)):
            if not self._drawn or not new.is_same(self._drawn[at]):
                widget.update(new)
        self._drawn = shown
        self._head.display, self._foot.display = bool(head), bool(foot)
        taken = 3 + len(head) + self._wrapped(foot, width) + (0 if self.has_class("-short") else 5)
        self.query_one(VerticalScroll).styles.max_height = max(1, self.app.size.height * 96 // 100 - taken)

    def _wrapped(self, lines: Sequence[Content], width: int) -> int:
        return sum(max(1, -(-line.cell_length // width)) for line in lines)

    def _models(self, running: Sequence[Charge], now: Tokens, width: int) -> list[Content]:
        spent, glyphs = together([self._was, spent_on(running)]), self._glyphs
        if running:
            mark = styled(f"{glyphs.streaming} {len(running)} running", "$run")
        elif spent.estimated:
            mark = styled("~ estimated", "$fg2")
        else:
            mark = styled(f"{glyphs.done} settled", "$fg2")
        used = added(self._table.ended, now).total
        cached = f" ({tokens(used.cached_input_tokens)} cached)" if used.cached_input_tokens else ""
        sent, made = f"   {tokens(used.input_tokens)} in", f", {tokens(used.output_tokens)} out"
        was = [
            joined(styled("as it was   ", "b $fg"), mark, styled(counted, "$fg2"))
            for counted in (f"{sent}{cached}{made}", f"{sent}{made}", "")
        ]
        names = {each.model for each in (*self._ended, *running)} if not spent.estimated else set()
        own = next(iter(names)) if len(names) == 1 else ""
        money = "free" if not spent.usd and not spent.unknown else total(spent)
        return models_table(self._table.rows(now), was, money, own, width, glyphs)

    def _notes(self, used: Tokens) -> list[str]:
        notes = ["The same tokens at each price; other models count them a little differently."]
        if not self._table.rows(used):
            notes = ["No other model can be used here yet: f4 takes a key, config.toml names servers and prices."]
        if used.total.cached_input_tokens:
            notes.append("Cached tokens cost the cached price where a model has one, else that of the input.")
        if used.unknown:
            notes.append(f"Left out: {used.unknown} answer{'s' if used.unknown > 1 else ''} whose tokens nobody knows.")
        if self._account.partly:
            notes.append("Only the turns that were read: this chat was imported, and nothing was charged here.")
        return notes

    def action_other_view(self) -> None:
        self._at_times = not self._at_times
        self._draw()

    def action_scroll(self, step: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=step, animate=False)
