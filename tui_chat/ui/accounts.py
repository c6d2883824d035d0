"""What was spent and what the next prompt will cost at least, for the conversation in view.

Settled figures come from the store when something changed; what runs now is added on top at each frame.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal

from textual.content import Content

from tui_chat.core.caps import Balance, Level
from tui_chat.core.columns import Tip
from tui_chat.core.completion import Completion
from tui_chat.core.context import reported_before
from tui_chat.core.conversation import Conversation, Turn
from tui_chat.core.days import midnight
from tui_chat.core.errors import ChatError, StorageError
from tui_chat.core.format import Spent, amount, cost, total
from tui_chat.core.message import BlobPart
from tui_chat.core.model import Model
from tui_chat.core.pricing import Cost, cost_of
from tui_chat.core.record import record
from tui_chat.core.services import Services
from tui_chat.core.usage import CountedUsage, Usage
from tui_chat.ui.screens.status import context_gauge
from tui_chat.ui.sessions import Session
from tui_chat.ui.theme import Glyphs
from tui_chat.ui.widgets.row import joined, styled, text

_LARGE = 60_000
"""Characters and bytes; from here on counting takes more than a frame."""

_PAGE = 200
"""Turns counted at once of a history that was not read."""
_ZERO = Decimal(0)
_SPANS = {"chat": "for this chat", "day": "today", "month": "this month"}


@record
class Earlier:
    """What stands before the turns that were read."""

    model: Model
    exact: bool
    first_id: str
    """The turn it stands before."""
    tokens: int


@record
class Sending:
    """What a send would put in, as it was at one moment: it may be counted while the session goes on."""

    session: Session
    conversation: Conversation
    path: tuple[Turn, ...]
    earlier: bool
    """The history has turns before the path."""
    known: Earlier | None
    model: Model
    prompt: str
    attachments: tuple[BlobPart, ...]
    tips: tuple[Tip, ...]
    """What each model goes on from."""

    @property
    def large(self) -> bool:
        """True when counting it takes so long that it must not happen on the screen's thread."""
        if self.earlier and (self.known is None or all(turn.id != self.known.first_id for turn in self.path)):
            return True
        size = len(self.prompt) + sum(len(part.data) for part in self.attachments)
        for turn in reversed(self.path):
            size += len(turn.prompt) + sum(each.text_log.size for each in turn.completions if not each.running)
            if size > _LARGE:
                return True
        return False


@record
class Counted:
    """What a send would put in."""

    tokens: int
    price: Cost
    earlier: Earlier | None
    each: tuple[tuple[Model, Cost], ...] = ()
    """What it costs at each of several models."""
    together: int = 0
    """What all of several models are sent, in tokens."""


class Accounts:
    """Totals and the estimate of the next send."""

    def __init__(self, services: Services, glyphs: Glyphs) -> None:
        self._services = services
        self._glyphs = glyphs
        self._today, self._month, self._chat = Spent(), Spent(), Spent()
        self._open: dict[str, Decimal] = {}
        """What the totals have in them of answers that ran when they were read."""
        self._balances: tuple[Balance, ...] = ()
        self._session: Session | None = None
        self._day: tuple[datetime, datetime] | None = None
        """The local day for which they were read."""
        self._tokens_in = 0
        self._known: Earlier | None = None
        self.to_send = Content("")
        """What sending costs at least, as the composer shows it."""
        self.each: tuple[tuple[Model, Cost], ...] = ()
        """The same for each of several models."""

    def read(self, session: Session) -> None:
        """Read the settled totals; raises StorageError."""
        store = self._services.store
        now = self._services.clock.now()
        today = now.astimezone().date()
        self._session, self._day = session, (midnight(today), midnight(today + timedelta(days=1)))
        self._open = store.open_charges()
        self._today = store.spent_since(midnight(today))
        self._month = store.spent_since(midnight(today.replace(day=1)))
        conversation = session.conversation
        self._chat = store.spent_in(conversation.id) if conversation.stored else Spent()
        self._balances = self._services.chat.budgets.balances(conversation.id, now)

    @property
    def day_ends_in_s(self) -> float:
        """Return in how many seconds the totals of today begin anew: whoever then draws them draws those of the day."""
        now = self._services.clock.now()
        return (midnight(now.astimezone().date() + timedelta(days=1)) - now).total_seconds()

    def _renew(self) -> None:
        """Read the totals again where another day has begun since: those of yesterday hold no more."""
        if self._session is None or self._day is None or self._day[0] <= self._services.clock.now() < self._day[1]:
            return
        with suppress(StorageError):  # it is said when something changes; a look at every frame would not help
            self.read(self._session)

    def of_conversation(self, conversation_id: str) -> str:
        """Return what a conversation cost, as the list shows it; nothing where nothing was charged."""
        try:
            spent = self._services.store.spent_in(conversation_id)
        except ChatError:
            return ""
        return total(spent) if spent.usd or spent.unknown else ""

    def chat(self, running: Iterable[Completion]) -> Spent:
        return _with(self._chat, running, self._open, play=True)

    def today(self, running: Iterable[Completion]) -> Spent:
        self._renew()
        return _with(self._today, running, self._open)

    def month(self, running: Iterable[Completion]) -> Spent:
        self._renew()
        return _with(self._month, running, self._open)

    def caps(self, running: Iterable[Completion]) -> tuple[tuple[Balance, Level], ...]:
        """Return how the limits on the day and on the month stand with what runs, and how loud that is to be said."""
        self._renew()
        budgets, more = self._services.chat.budgets, _grown_by(running, self._open)
        shared = (each for each in self._balances if each.span.scope != "chat")
        now = [each.grown(more, budgets.cap(each.span.scope)) for each in shared]
        return tuple((each, budgets.level(each)) for each in now)

    def nearest_cap(self, here: Iterable[Completion], running: Iterable[Completion]) -> Content:
        """Return a remark on the limit that is nearest; empty while all are far.

        `here` are the answers of this chat that run, `running` those of all.
        """
        self._renew()
        budgets = self._services.chat.budgets
        in_chat = (each for each in self._balances if each.span.scope == "chat")
        chat = [each.grown(_grown_by(here, self._open), budgets.cap("chat")) for each in in_chat]
        caps = [*((each, budgets.level(each)) for each in chat), *self.caps(running)]
        near = [(each, level) for each, level in caps if level != "quiet"]
        if not near:
            return Content("")
        balance, level = max(near, key=lambda found: found[0].share)
        limit, span = amount(balance.span.cap_usd), _SPANS[balance.span.scope]
        if level == "reached":
            return styled(f"{self._glyphs.budget} {amount(balance.at_most_usd)} of {limit} {span}", "$fail")
        return styled(f"{int(balance.share * 100)} % of {limit} {span}", "$stop")

    def sending(self, session: Session, prompt: str, tips: Sequence[Tip]) -> Sending:
        """Note what a send would put in now, going on from `tips`."""
        path = tuple(session.path)
        known = self._known if session.earlier else None
        if known is not None and (known.model, known.exact) != (session.model, self._services.counter.loaded):
            known = None
        return Sending(session, session.conversation, path, session.earlier, known, session.model, prompt,
                       session.attachments, tuple(tips))  # fmt: skip

    def count(self, sending: Sending) -> Counted:
        """Count what a send would put in, history and attachments included; may run in another thread.

        Raises StorageError when the history cannot be read.
        """
        main = next(tip for tip in sending.tips if tip.chosen)
        # a report has all in it that came before it
        whole = reported_before(main.path, sending.model, main.completion) is None
        earlier = self._earlier(sending) if sending.earlier and whole else None
        earlier_tokens = earlier.tokens if earlier is not None else 0
        tokens, price = self._services.chat.estimate(
            sending.conversation,
            main.path,
            sending.prompt,
            sending.model,
            sending.attachments,
            earlier_tokens=earlier_tokens,
            last=main.completion,
        )
        several = sum(len(tip.models) for tip in sending.tips) > 1
        at = [self._at(tip, sending, earlier_tokens) for tip in sending.tips] if several else []
        each = [cost for _, costs in at for cost in costs]
        return Counted(tokens, price, earlier, tuple(each), sum(count * len(costs) for count, costs in at))

    def _at(self, tip: Tip, sending: Sending, earlier_tokens: int) -> tuple[int, list[tuple[Model, Cost]]]:
        """Return what sending puts in and costs at the models of one tip, which all go on from the same answer."""
        first, now = tip.models[0], self._services.clock.now()
        tokens, _ = self._services.chat.estimate(
            sending.conversation,
            tip.path,
            sending.prompt,
            first,
            sending.attachments,
            earlier_tokens=earlier_tokens,
            last=tip.completion,
        )
        # not counted again for each vocabulary: they differ by less than the estimate does
        used = CountedUsage(Usage(tokens, 0), "estimated", ("input_tokens",))
        return tokens, [(model, cost_of(used, model.price, now)) for model in tip.models]

    def _earlier(self, sending: Sending) -> Earlier:
        """Count what stands before the turns that were read: page by page, and only what is not known."""
        chat, path, model = self._services.chat, sending.path, sending.model
        exact = self._services.counter.loaded
        known = sending.known
        at = None if known is None else next((at for at, turn in enumerate(path) if turn.id == known.first_id), None)
        if known is not None and at is not None:
            tokens = known.tokens - (chat.history_tokens(path[:at], path[at], model) if at else 0)
            return Earlier(model, exact, path[0].id, tokens)
        tokens, first, more = 0, path[0], True
        seen: set[str] = set()
        while more and first.id not in seen:  # a damaged history may go in a circle
            seen.add(first.id)
            page = self._services.store.page(sending.conversation.id, before=first, limit=_PAGE)
            more = page.earlier
            if page.turns:
                tokens += chat.history_tokens(page.turns, first, model)
                first = page.turns[0]
        return Earlier(model, exact, path[0].id, tokens)

    def may_not_fit(self, session: Session, tip: Tip, prompt: str, model: Model) -> bool:
        """Say, without counting, whether a prompt could be too long for a model: a token is a byte at least."""
        window = model.context_window
        if window is None:
            return False
        if session.earlier and self._tokens_in * 2 > window:
            return True
        size = len(prompt.encode("utf-8", "replace")) + sum(len(part.data) for part in session.attachments)
        for turn in tip.path:
            size += len(turn.prompt) + max((each.text_log.size for each in turn.completions), default=0)
        return size * 2 > window  # a character may be several bytes, and there are frames

    def take(self, sending: Sending, counted: Counted) -> None:
        """Show what was counted from now on."""
        self._known = counted.earlier or self._known
        self.each = ()
        self._tokens_in = counted.tokens
        count, price = counted.tokens, counted.price
        if not sending.prompt and not sending.path and not sending.attachments:
            self.to_send = styled("ready", "$fg2")
            return
        self.each = counted.each
        if counted.each:
            self.to_send = self._to_send_to_all(counted.together, [cost for _, cost in counted.each])
            return
        shown = cost(price)
        least = "" if shown in ("$?", "free") or "<" in shown else f"{self._glyphs.at_least} "
        shown = f"play {shown}" if price.play else shown
        self.to_send = joined(styled(f"{count:,} tok in   ", "$fg2"), f"{least}{shown}", styled(" to send", "$fg2"))

    def _to_send_to_all(self, count: int, prices: Sequence[Cost]) -> Content:
        """Return what sending to several models costs: real money only, where there is any."""
        real = [price for price in prices if not price.play] or prices
        known = [price.usd for price in real if price.usd is not None]
        spent = Spent(
            sum(known, Decimal(0)), True, len(real) - len(known), len(real), real is prices and prices[0].play
        )
        shown = total(spent) if spent.usd or spent.unknown else "free"
        least = "" if shown in ("$?", "free") or "<" in shown else f"{self._glyphs.at_least} "
        to_send = styled(f" to send to {len(prices)}", "$fg2")
        return joined(styled(f"{count:,} tok in   ", "$fg2"), f"{least}{shown}", to_send)

    def gauge(self, session: Session) -> Content:
        """Return how full the context would be."""
        return context_gauge(self._tokens_in, session.model) if session.path else Content("")


def _grown_by(running: Iterable[Completion], already: Mapping[str, Decimal]) -> Decimal:
    """Return the real money that what runs has cost beyond what was charged for it by then."""
    costs = [(each.id, each.cost) for each in running]
    return sum((cost.usd - already.get(name, _ZERO) for name, cost in costs if cost.usd and not cost.play), _ZERO)


def _with(spent: Spent, running: Iterable[Completion], already: Mapping[str, Decimal], *, play: bool = False) -> Spent:
    """Return a total with what is running now on top, of which it has a part `already`."""
    usd, estimated, unknown, answers = spent.usd, spent.estimated, spent.unknown, spent.answers
    only_play = spent.play or not answers
    for completion in running:
        cost_now = completion.cost
        if cost_now.play and not (play and only_play):
            continue
        if not cost_now.play and only_play and cost_now.usd:
            usd, only_play = Decimal(0), False  # the first real charge: play money never mixes with it
        answers += completion.id not in already
        if cost_now.usd is None:
            unknown += completion.id not in already
        else:
            usd += cost_now.usd - already.get(completion.id, _ZERO)
            estimated = True
    return Spent(usd, estimated, unknown, answers, only_play and play and bool(usd))


def asked_next(session: Session, prices: Sequence[tuple[Model, Cost]], room: int) -> Content:
    """Return what the next prompt goes to: all names where there is room for them, with what each costs at least."""
    first = text(session.model.short_name, "$fg2")
    if not session.others:
        return first
    if session.blind:  # the order of the names would tell who is who
        return joined(styled(f"{len(session.asked)} models   ", "$fg2"), styled("blind", "$stop"))
    room = max(8, room)
    short = [model.short_name for model in session.asked]

    def name(model: Model) -> str:
        return model.name if short.count(model.short_name) > 1 else model.short_name

    each = [f"{name(model)} {'play ' if price.play else ''}{cost(price)}" for model, price in prices]
    priced = Content("   ").join(text(words, "$fg2") for words in each)
    if prices and priced.cell_length <= room:
        return priced
    names = text(", ".join(map(name, session.asked)), "$fg2")
    if names.cell_length <= room:
        return names
    more = styled(f" +{len(session.others)}", "$fg2")
    return joined(first.truncate(room - more.cell_length, ellipsis=True), more)
