"""Limits on what may be spent: asked before an answer is sent, held inside it, settled with its charge.

`Budgets` knows the limits, an `Allowance` is what one running answer may spend. A limit on one answer, or on one run of
a command, is kept in this process. Those on a chat, a day and a month are shared with every program that uses the same
ledger: an answer reserves there what its input costs and a slice of output, and comes back for more before that is
used up. So nobody waits for the disk while there is something left, and nobody spends what another was promised.

Where nothing is limited there is no allowance: no transaction, and no look at the cost for any token.
"""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Literal

from tui_chat.core.caps import Balance, Claim, Level, Reserved, Scope, Span
from tui_chat.core.completion import Completion, asked_length
from tui_chat.core.errors import BudgetError, StorageError
from tui_chat.core.events import ReasoningDelta, StreamEvent, TextDelta, ToolCallDelta, UsageUpdate, Waiting
from tui_chat.core.format import amount
from tui_chat.core.model import Model
from tui_chat.core.ports import Reservations
from tui_chat.core.pricing import EXACT, cost_of
from tui_chat.core.record import entity, record
from tui_chat.core.usage import CountedUsage, Usage

LEAST_TOKENS = 16
"""Output for which there must be room; some servers refuse to be asked for less."""
SLICE_TOKENS = 512
"""Output that an answer sets aside at once where there is plenty."""
SAFE_TOKENS = 4096
"""The longest answer that every current model can be asked for: a server refuses a request that asks for more than its
model can. Where there is room for more, nothing is sent and the cut inside the stream alone holds."""
_FULL = 0.9
"""The part of the room from which on it was the room that ended an answer, not a smaller limit of the server's."""
_LOOK_INTERVAL_S = 0.02
_NAMES: dict[Scope, str] = {
    "answer": "budget.per_answer_usd",
    "tokens": "budget.per_answer_tokens",
    "price": "budget.unknown_price",
    "chat": "budget.per_chat_usd",
    "day": "budget.daily_usd",
    "month": "budget.monthly_usd",
}
_ZERO = Decimal(0)

_Room = tuple[Decimal, Scope, str]
"""What a limit leaves in USD, the limit, and its words."""
UnknownPrice = Literal["warn", "refuse", "tokens"]


@record
class Caps:
    """What the user set, in USD; `None` = no limit."""

    per_answer_usd: Decimal | None = None
    per_chat_usd: Decimal | None = None
    daily_usd: Decimal | None = None
    monthly_usd: Decimal | None = None
    warn_at: float = 0.8
    """The share of a limit from which on the screen warns."""
    unknown_price: UnknownPrice = "warn"
    """What becomes of an answer whose price in USD nobody knows."""
    per_answer_tokens: int = 20_000
    """Where such an answer is cut with `tokens`."""


@entity
class SpendLimit:
    """A cap in USD over all answers that share the object (`ask --max-cost`)."""

    usd: Decimal
    words: str
    """What the user calls it: `--max-cost`."""
    _spent: dict[tuple[str, int], Decimal] = field(default_factory=dict)
    """By answer and attempt."""

    def reached(self, completion: Completion) -> bool:
        """Note what `completion` cost so far and say whether the cap is reached.

        An answer that costs nothing, or has no known price, never reaches it.
        """
        return self._reached(completion, completion.cost.usd)

    def refuses(self, completion: Completion) -> bool:
        """Say whether the input of `completion` alone reaches the cap; if not, that much is set aside for it."""
        refused = self._reached(completion, completion.input_cost.usd)
        if refused:
            self.forget(completion)
        return refused

    def forget(self, completion: Completion) -> None:
        """Take back what was noted of the present attempt: it cost nothing."""
        self._spent.pop((completion.id, completion.attempts), None)

    def left_for(self, completion: Completion) -> Decimal:
        """Return what the present attempt of `completion` may cost: what nothing else has spent."""
        own = (completion.id, completion.attempts)
        return self.usd - sum((usd for key, usd in self._spent.items() if key != own), _ZERO)

    def _reached(self, completion: Completion, usd: Decimal | None) -> bool:
        self._spent[completion.id, completion.attempts] = usd or _ZERO
        return bool(usd) and self.left_for(completion) <= (usd or _ZERO)

    def reason(self) -> str:
        return f"stopped by {self.words} = {amount(self.usd)}; raise it to hear more"

    def refusal(self) -> str:
        return f"not sent: the prompt alone costs as much as {self.words} = {amount(self.usd)} allows; raise it to ask"


class Budgets:
    """All limits of this process."""

    def __init__(
        self,
        caps: Caps = Caps(),  # noqa: B008  frozen
        ledger: Reservations | None = None,
        run: SpendLimit | None = None,
    ) -> None:
        """Hold `caps`; those on chat, day and month through `ledger`, without which nothing holds or fills them."""
        self.warn_at = caps.warn_at
        self.unknown_price = caps.unknown_price
        self.per_answer_tokens = caps.per_answer_tokens
        self.ledger = ledger
        self.run = run
        wanted: dict[Scope, Decimal | None] = {
            "answer": caps.per_answer_usd,
            "chat": caps.per_chat_usd,
            "day": caps.daily_usd,
            "month": caps.monthly_usd,
        }
        self._caps = {scope: usd for scope, usd in wanted.items() if usd is not None}

    def cap(self, scope: Scope) -> Decimal | None:
        """Return a limit in USD as it holds now; `None` = there is none."""
        return self._caps.get(scope)

    def raise_for_now(self, scope: Scope) -> str | None:
        """Double a limit until this process ends; return how it stands in config.toml now, `None` when there is none.

        Answers that run go by it too.
        """
        if scope == "tokens":
            self.per_answer_tokens *= 2
            return f"{_NAMES[scope]} = {self.per_answer_tokens}"
        if scope not in self._caps:
            return None
        self._caps[scope] *= 2
        return _named(scope, self._caps[scope])

    def can_raise(self, completion: Completion) -> Scope | None:
        """Return the limit for want of which an answer was cut or not sent, where it can be raised; else `None`.

        Of an answer from the history its words tell.
        """
        error = completion.error
        if completion.finish_reason != "budget" or error is None:
            return None
        names = (scope for scope, name in _NAMES.items() if f"{name} = " in error.message)
        scope = error.scope if isinstance(error, BudgetError) else next(names, None)
        return scope if scope == "tokens" or (scope is not None and self._caps.get(scope)) else None

    def balances(self, conversation_id: str | None, now: datetime) -> tuple[Balance, ...]:
        """Return how the limits on this chat, on the day and on the month stand at `now`, an aware time.

        Reads the ledger, where there is such a limit. Raises StorageError.
        """
        spans = self.spans(conversation_id, now)
        if not spans or self.ledger is None:
            return tuple(Balance(span) for span in spans)
        return self.ledger.balances(spans)

    def level(self, balance: Balance) -> Level:
        """Say how loud a gauge of it has to be."""
        return "reached" if balance.share >= 1 else "warn" if balance.share >= self.warn_at else "quiet"

    def spans(self, conversation_id: str | None, at: datetime) -> tuple[Span, ...]:
        """Return what the shared limits add up for a request at `at`, an aware time."""
        return tuple(self._spans(conversation_id, at))

    def _spans(self, conversation_id: str | None, at: datetime) -> Iterator[Span]:
        if conversation_id is not None and (cap := self.cap("chat")) is not None:
            yield Span("chat", _NAMES["chat"], cap, conversation_id=conversation_id)
        day, month = self.cap("day"), self.cap("month")
        if day is None and month is None:
            return
        from tui_chat.core.usage_report import midnight

        today = at.astimezone().date()
        first = today.replace(day=1)
        periods: tuple[tuple[Scope, Decimal | None, date, date], ...] = (
            ("day", day, today, today + timedelta(days=1)),
            ("month", month, first, (first + timedelta(days=31)).replace(day=1)),
        )
        for scope, cap, begin, end in periods:
            if cap is not None:
                yield Span(scope, _NAMES[scope], cap, midnight(begin), midnight(end))

    def warning(self, model: Model) -> str | None:
        """Return what to say of limits that cannot hold because nobody knows the price of a model."""
        names = [self.run.words] if self.run is not None else []
        names += [name for scope, name in _NAMES.items() if scope in self._caps]
        if not names or _is_priced(model) or self.unknown_price == "refuse":
            return None
        unknown = f"the price of {model.name} in USD is unknown, so"
        if self.unknown_price == "tokens":
            return f"{unknown} budget.per_answer_tokens = {self.per_answer_tokens} holds in place of {_all_of(names)}"
        return f"{unknown} {_all_of(names)} cannot hold; {_set_price(model)}"

    def allowance(self, completion: Completion, conversation_id: str) -> "Allowance | None":
        """Return what a pending answer may spend; `None` when nothing limits it."""
        price = completion.model.price
        if price is None or not _is_priced(completion.model):
            unlimited = self.unknown_price == "warn"
        else:
            held = self.ledger is not None and not price.play
            shared = held and any(scope in self._caps for scope in ("chat", "day", "month"))
            unlimited = price.free or not (shared or self.run is not None or "answer" in self._caps)
        return None if unlimited else Allowance(self, completion, conversation_id)

    def note(self, completion: Completion) -> None:
        """Take what an answer that ended has cost into the limit of the run."""
        if self.run is not None:
            self.run.reached(completion)


class Allowance:
    """What one running answer may spend. Its methods raise BudgetError where that is too little."""

    def __init__(self, budgets: Budgets, completion: Completion, conversation_id: str) -> None:
        self._budgets = budgets
        self._completion = completion
        self._conversation_id = conversation_id
        self._token_cap = False
        """It is cut by tokens, for nobody knows its price."""
        self._usd_per_token = _ZERO
        self._lost_usd = _ZERO
        """What attempts that failed have cost."""
        self._begins_anew = False
        """An attempt that cost something failed: the next is about to be sent."""
        self._held_usd: Decimal | None = None
        """What the ledger holds for it; `None` when no shared limit counts it."""
        self._margin_usd = _ZERO
        """How much of that is left when it asks for more."""
        self._growing: Future[Reserved] | None = None
        self._limited_by: tuple[Scope, str] = ("answer", "")
        """What shortened the longest answer that was asked for, with its words."""
        self._grown = self._look_after = 0
        """Characters since the last look at the cost, and how many there may be."""
        self._looked_at_s = 0.0

    async def open(self) -> None:
        """Set aside what the input and a beginning cost, and have the server stop where the room ends.

        Raises BudgetError when it must not be sent, StorageError when the ledger cannot say.
        """
        completion = self._completion
        if not _is_priced(completion.model):
            self._open_unpriced()
            return
        input_usd = completion.input_cost.usd or _ZERO
        self._usd_per_token = _usd_per_token(completion)
        if rooms := await self._rooms(input_usd):
            self._clamp_to(min(rooms), input_usd)

    async def _rooms(self, input_usd: Decimal) -> list[_Room]:
        """Set aside what a request takes; return what each limit leaves for its answer, input included."""
        completion, budgets = self._completion, self._budgets
        rooms: list[_Room] = []
        if (cap := budgets.cap("answer")) is not None:
            self._refuse_little(cap, input_usd)
            rooms.append((cap - self._lost_usd, "answer", _named("answer", cap)))
        if budgets.run is not None:
            if budgets.run.refuses(completion):
                raise BudgetError(budgets.run.refusal(), "run")
            rooms.append((budgets.run.left_for(completion), "run", f"{budgets.run.words} = {amount(budgets.run.usd)}"))
        if (tightest := await self._reserve_first(input_usd)) is not None:
            span = tightest.span
            rooms.append((tightest.left_usd, span.scope, _named(span.scope, span.cap_usd)))
        return rooms

    def _open_unpriced(self) -> None:
        model, most = self._completion.model, self._budgets.per_answer_tokens
        if self._budgets.unknown_price == "refuse":
            why = f'the price of {model.name} in USD is unknown, and budget.unknown_price = "refuse"'
            raise BudgetError(f"not sent: {why}; {_set_price(model)}", "price")
        self._token_cap = True
        self._shorten(most, "tokens", self._token_words)

    def _refuse_little(self, cap: Decimal, input_usd: Decimal) -> None:
        """Refuse an answer that could not even begin within the limit of one answer."""
        need = self._lost_usd + input_usd + LEAST_TOKENS * self._usd_per_token
        if cap < need or cap <= input_usd:
            costs = f"the prompt and {LEAST_TOKENS} tokens of an answer cost {amount(need)}"
            costs += " with what was lost before" if self._lost_usd else ""
            raise BudgetError(f"not sent: {costs}, more than {_named('answer', cap)}; {_RAISE} to ask", "answer")

    async def _reserve_first(self, input_usd: Decimal) -> Balance | None:
        """Reserve in the ledger; return the limit with the least left, `None` when none counts this answer."""
        claim = self._claim(input_usd, LEAST_TOKENS * self._usd_per_token)
        if claim is None or self._budgets.ledger is None:
            return None
        try:
            reserved = await asyncio.wrap_future(self._budgets.ledger.reserve(claim))
        except StorageError as failed:
            self._forget_run()
            raise StorageError(f"not sent: {claim.spans[0].name} cannot be checked: {failed.message}") from failed
        if reserved.held_usd is None:
            self._forget_run()
            raise BudgetError(_refusal(reserved.tightest, claim), reserved.tightest.span.scope)
        self._take(reserved.held_usd, input_usd)
        return reserved.tightest

    def _forget_run(self) -> None:
        if self._budgets.run is not None:
            self._budgets.run.forget(self._completion)

    def _claim(self, used_usd: Decimal, least_usd: Decimal = _ZERO) -> Claim | None:
        completion, price = self._completion, self._completion.model.price
        spans = self._budgets.spans(self._conversation_id, completion.created_at)
        if not spans or price is None or price.play:
            return None
        slice_usd = SLICE_TOKENS * self._usd_per_token
        return Claim(completion.id, self._conversation_id, completion.created_at, spans, used_usd, least_usd, slice_usd)

    def _take(self, held_usd: Decimal, used_usd: Decimal) -> None:
        self._held_usd = held_usd
        self._margin_usd = (held_usd - used_usd) / 2

    def _clamp_to(self, room: _Room, input_usd: Decimal) -> None:
        left_usd, scope, words = room
        if not self._usd_per_token:
            return
        tokens = int((left_usd - input_usd) / self._usd_per_token)
        if tokens >= LEAST_TOKENS:  # for less of a run's limit, which is as small as its user wants, the cut is enough
            self._shorten(tokens, scope, words)

    def _shorten(self, tokens: int, scope: Scope, words: str) -> None:
        """Ask for no longer an answer than this; the user's own limit stays where it is smaller."""
        request = self._completion.request
        if request is None:
            return
        name, asked = asked_length(request.params)
        if tokens < (asked or SAFE_TOKENS):
            self._completion.request = replace(request, params={**request.params, name: tokens})
            self._completion.clamped_to = tokens
            self._limited_by = (scope, words)

    # while it runs

    def lost(self, *, owed: bool) -> None:
        """Note that the present attempt failed and another follows; without `owed` it cost nothing."""
        self._growing = None
        if not owed:
            self._forget_run()
        elif (usd := self._completion.cost.usd) is not None:
            self._lost_usd += usd
            self._begins_anew = True

    def due(self, event: StreamEvent, now_s: float) -> bool:
        """Say whether to `check` after this event: now and then while the limits are far, often where they are near."""
        match event:
            case TextDelta(text) | ReasoningDelta(text):
                self._grown += len(text)
            case ToolCallDelta(name, arguments):
                self._grown += len(name) + len(arguments)
            case UsageUpdate():
                pass
            case Waiting() if self._begins_anew:
                return True
            case _:
                return False
        near = self._grown >= self._look_after or now_s - self._looked_at_s >= _LOOK_INTERVAL_S
        if not near or self._completion.finish_reason is not None:  # what is whole cannot be cut any more
            return False
        self._grown, self._looked_at_s = 0, now_s
        return True

    async def check(self) -> None:
        """Look at what it cost so far, and set more aside where that is running out.

        Raises BudgetError when a limit is reached, StorageError when the ledger cannot say.
        """
        if self._token_cap:
            self._check_tokens(self._budgets.per_answer_tokens)
            return
        if self._begins_anew:  # what was lost is spent, so there must be room for the prompt once more
            self._begins_anew = False
            await self._rooms(self._completion.input_cost.usd or _ZERO)
            return
        budgets, usd = self._budgets, self._completion.cost.usd
        if usd is None:
            return
        left: list[Decimal] = []
        if (cap := budgets.cap("answer")) is not None:
            left.append(cap - self._lost_usd - usd)
            if left[-1] <= 0:
                raise _stopped("answer", _named("answer", cap))
        if budgets.run is not None:
            if budgets.run.reached(self._completion):
                raise BudgetError(budgets.run.reason(), "run")
            left.append(budgets.run.left_for(self._completion) - usd)
        if self._held_usd is not None:
            left.append(await self._within(self._held_usd, usd))
        if left and self._usd_per_token:  # a token is hardly ever less than half a character
            self._look_after = int(min(left) / self._usd_per_token) // 2

    def _check_tokens(self, most: int) -> None:
        tokens = self._completion.output_tokens or 0
        if tokens >= most:
            raise _stopped("tokens", f"{self._token_words}, for its price is unknown")
        self._look_after = (most - tokens) // 2

    @property
    def _token_words(self) -> str:
        return f"{_NAMES['tokens']} = {self._budgets.per_answer_tokens}"

    async def _within(self, held_usd: Decimal, usd: Decimal) -> Decimal:
        """Return what is left of the reservation; it is grown in the background, and waited for only when used up."""
        if self._growing is None and usd >= held_usd - self._margin_usd:
            self._growing = self._grow(usd)
        while self._growing is not None and (self._growing.done() or usd >= held_usd):
            grown, self._growing = await self._grown_by(self._growing), None
            if grown.held_usd is None or grown.held_usd <= usd:
                if usd >= held_usd:
                    span = grown.tightest.span
                    raise _stopped(span.scope, _named(span.scope, span.cap_usd), span)
                self._margin_usd = _ZERO  # there is no more: what it holds is used up to its end
                break
            held_usd = max(held_usd, grown.held_usd)
            self._take(held_usd, usd)
        return held_usd - usd if self._growing is not None else held_usd - self._margin_usd - usd

    def _grow(self, usd: Decimal) -> Future[Reserved] | None:
        claim = self._claim(usd)
        return None if claim is None or self._budgets.ledger is None else self._budgets.ledger.reserve(claim)

    async def _grown_by(self, growing: Future[Reserved]) -> Reserved:
        try:
            return await asyncio.wrap_future(growing)
        except StorageError as failed:
            raise StorageError(f"stopped, for the budget cannot be checked: {failed.message}") from failed

    def judge_end(self) -> None:
        """Say that the budget was the reason when the server ended the answer where the budget had it end.

        Raises BudgetError then.
        """
        completion, most = self._completion, self._completion.clamped_to
        if completion.finish_reason != "length" or most is None:
            return
        used = completion.usage
        if used.source == "reported" and (used.usage.output_tokens or 0) < most * _FULL:
            return  # the server's own limit is smaller still
        scope, words = self._limited_by
        raise BudgetError(f"ended after the {most} tokens that {words} had room for; {_RAISE} to hear more", scope)


_RAISE = "raise it in config.toml"


def _is_priced(model: Model) -> bool:
    price = model.price
    return price is not None and price.known and price.usd_rate is not None


def _usd_per_token(completion: Completion) -> Decimal:
    """Return what one more token of output costs at the most, in USD, for this input at this time."""
    model, at = completion.model, completion.created_at

    def usd(tokens: int, reasoning: int) -> Decimal:
        used = CountedUsage(Usage(completion.input_estimate or 0, tokens, 0, 0, reasoning), "estimated")
        return cost_of(used, model.price, at).usd or _ZERO

    nothing, many = usd(0, 0), 1_000_000
    with localcontext(EXACT):
        return max(usd(many, 0) - nothing, usd(many, many) - nothing, _ZERO) / many


def _named(scope: Scope, cap: Decimal) -> str:
    return f"{_NAMES[scope]} = {amount(cap)}"


def _all_of(names: list[str]) -> str:
    return " and ".join(names) if len(names) < 3 else f"{', '.join(names[:-1])} and {names[-1]}"


def _set_price(model: Model) -> str:
    return f'set it in [models."{model.name}"] of config.toml'


def _stopped(scope: Scope, words: str, span: Span | None = None) -> BudgetError:
    wait = "" if span is None or span.until is None else f", or wait until {_moment(span.until)},"
    return BudgetError(f"stopped by {words}; {_RAISE}{wait} to hear more", scope)


def _moment(at: datetime) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M}"


def standing(balance: Balance) -> str:
    """Return how a limit stands: `$41.30 of $50.00 is spent, $8.70 is left until 2026-12-01 00:00`."""
    span = balance.span
    until = "" if span.until is None else f" until {_moment(span.until)}"
    left = amount(balance.left_usd) if balance.left_usd > 0 else "nothing"
    return f"{_spent(balance, f' of {amount(span.cap_usd)}')}, {left} is left{until}"


def _spent(balance: Balance, limit: str = "") -> str:
    """Return what is spent, as a range where the bill of a stopped answer may grow, and what is set aside."""
    spent = amount(balance.spent_usd)
    if balance.at_most_usd > balance.spent_usd:
        spent += f" to {amount(balance.at_most_usd)}"
    held = f", {amount(balance.held_usd)} set aside for running answers" if balance.held_usd else ""
    return f"{spent}{limit} is spent{held}"


def _refusal(balance: Balance, claim: Claim) -> str:
    """Return why an answer is not sent: what is spent, what is left, when that changes, and what can be done."""
    span = balance.span
    left = f"{amount(max(_ZERO, balance.left_usd))} is left of {_named(span.scope, span.cap_usd)} ({_spent(balance)})"
    need = f"the prompt and {LEAST_TOKENS} tokens cost {amount(claim.used_usd + claim.least_usd)}"
    anew = "a new chat begins anew" if span.until is None else f"it begins anew on {_moment(span.until)}"
    return f"not sent: {left}, {need}; {anew}, or {_RAISE} to ask now"
