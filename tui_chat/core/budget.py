"""Limits on what may be spent: asked before an answer is sent, held inside it, settled with its charge.

`Budgets` knows the limits, an `Allowance` is what one running answer may spend. A limit on one answer, or on one run of
a command, is kept in this process. Those on a chat, a day and a month are shared with every program that uses the same
ledger: an answer reserves there what its input costs and a slice of output, and comes back for more before that is
used up. So nobody waits for the disk while there is something left, and nobody spends what another was promised.

Where nothing is limited there is no allowance: no transaction, and no look at the cost for any token.
"""

from collections.abc import Iterator, Sequence
from dataclasses import field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Literal

from tui_chat.core.caps import LEAST_TOKENS, Balance, Level, Scope, Span
from tui_chat.core.completion import Completion
from tui_chat.core.days import midnight
from tui_chat.core.errors import BudgetError
from tui_chat.core.format import amount
from tui_chat.core.model import Model
from tui_chat.core.ports import Reservations
from tui_chat.core.pricing import EXACT, cost_of
from tui_chat.core.record import entity, record
from tui_chat.core.usage import CountedUsage, Usage

NAMES: dict[Scope, str] = {
    "answer": "budget.per_answer_usd",
    "tokens": "budget.per_answer_tokens",
    "price": "budget.unknown_price",
    "chat": "budget.per_chat_usd",
    "day": "budget.daily_usd",
    "month": "budget.monthly_usd",
}
"""What the user calls them."""
_SHARED: tuple[Scope, ...] = ("chat", "day", "month")
_WORTH_RAISING = 512
"""Tokens of an answer for which there is room at least once a limit was raised."""
_ZERO = Decimal(0)

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

        An answer that can cost nothing, or has no known price, never reaches it.
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

    @property
    def left_usd(self) -> Decimal:
        """What is left of it, below 0 when it was passed."""
        return self.usd - sum(self._spent.values(), _ZERO)

    def left_for(self, completion: Completion) -> Decimal:
        """Return what the present attempt of `completion` may cost: what nothing else has spent."""
        own = (completion.id, completion.attempts)
        return self.usd - sum((usd for key, usd in self._spent.items() if key != own), _ZERO)

    def _reached(self, completion: Completion, usd: Decimal | None) -> bool:
        self._spent[completion.id, completion.attempts] = usd or _ZERO
        # what costs nothing so far may yet do so
        return usd is not None and bool(usd or costs(completion.model)) and self.left_for(completion) <= usd

    def reason(self) -> str:
        return f"stopped by {self.words} = {amount(self.usd)}; raise it to hear more"

    def refusal(self) -> str:
        if self.left_usd <= 0:
            return f"not sent: nothing is left of {self.words} = {amount(self.usd)}; raise it to ask"
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
        self.asking: set[str] = set()
        """The ids of answers that are about to ask for their share."""
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

    def raise_for(self, completion: Completion, conversation_id: str, now: datetime) -> str | None:
        """Raise, until this process ends, every limit that keeps an answer that was cut or refused from going on.

        One press is enough: whatever was spent, there is room for the prompt with what was answered so far, for a good
        piece of an answer, and for as much as the limit was. Returns how the limits stand in config.toml now, joined by
        "and"; `None` when none stands in the way any more, as after midnight, or none can be raised. `now` is aware.
        Raises StorageError.
        """
        cut_by = self.can_raise(completion)
        if cut_by is None:
            return None
        if cut_by == "tokens":
            return self.raise_for_now(cut_by)
        used = completion.usage.usage
        said = (used.input_tokens or completion.input_estimate or 0) + (used.output_tokens or 0)
        least = usd_of(completion.model, said, LEAST_TOKENS, now)
        worth = usd_of(completion.model, said, _WORTH_RAISING, now)
        earlier = completion.resumed_usd + (completion.cost.usd or _ZERO)
        raised: list[str | None] = []
        if (cap := self.cap("answer")) is not None and (cut_by == "answer" or cap < least):
            raised.append(self.raise_for_now("answer", max(cap, earlier) + worth))
        for balance in self.balances(conversation_id, now) if _is_shared(completion.model) else ():
            scope, cap = balance.span.scope, balance.span.cap_usd
            # the limit that cut it may have begun anew since, or others have given back what they held
            needed = max(least, min(worth, cap / 2)) if scope == cut_by else least
            if balance.left_usd < needed:
                with localcontext(EXACT):
                    enough = balance.at_most_usd + balance.held_usd + max(cap, worth)
                raised.append(self.raise_for_now(scope, enough))
        return all_of([words for words in raised if words is not None]) or None

    def raise_for_now(self, scope: Scope, at_least: Decimal | None = None) -> str | None:
        """Double a limit until this process ends, or raise it to `at_least` where that is more.

        Returns how it stands in config.toml now, `None` when there is none. Answers that run go by it too.
        """
        if scope == "tokens":
            self.per_answer_tokens *= 2
            return f"{NAMES[scope]} = {self.per_answer_tokens}"
        if scope not in self._caps:
            return None
        self._caps[scope] = max(self._caps[scope] * 2, at_least or _ZERO)
        return named(scope, self._caps[scope])

    def can_raise(self, completion: Completion) -> Scope | None:
        """Return the limit for want of which an answer was cut or not sent, where it can be raised; else `None`.

        Of an answer from the history its words tell. A limit of 0 forbids, so it is not raised, nor any beside it.
        """
        scope = scope_of(completion)
        if scope is None or scope == "tokens":
            return scope
        holding = _SHARED if _is_shared(completion.model) else ()
        caps = [self._caps[each] for each in ("answer", *holding) if each in self._caps]
        return scope if scope in self._caps and all(caps) else None

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
            yield Span("chat", NAMES["chat"], cap, conversation_id=conversation_id)
        day, month = self.cap("day"), self.cap("month")
        if day is None and month is None:
            return
        today = at.astimezone().date()
        first = today.replace(day=1)
        periods: tuple[tuple[Scope, Decimal | None, date, date], ...] = (
            ("day", day, today, today + timedelta(days=1)),
            ("month", month, first, (first + timedelta(days=31)).replace(day=1)),
        )
        for scope, cap, begin, end in periods:
            if cap is not None:
                yield Span(scope, NAMES[scope], cap, midnight(begin), midnight(end))

    def warning(self, model: Model) -> str | None:
        """Return what to say of limits that cannot hold because nobody knows the price of a model."""
        names = [self.run.words] if self.run is not None else []
        names += [name for scope, name in NAMES.items() if scope in self._caps]
        if not names or is_priced(model) or self.unknown_price == "refuse":
            return None
        unknown = f"{why_unpriced(model)}, so"
        if self.unknown_price == "tokens":
            return f"{unknown} budget.per_answer_tokens = {self.per_answer_tokens} holds in place of {all_of(names)}"
        return f"{unknown} {all_of(names)} cannot hold; {set_price(model)}"

    def limits(self, completion: Completion) -> bool:
        """Say whether any limit holds for a pending answer; if not, nobody has to look at what it costs."""
        price = completion.model.price
        if price is None or not is_priced(completion.model):
            return self.unknown_price != "warn"
        held = self.ledger is not None and not price.play
        shared = held and any(scope in self._caps for scope in _SHARED)
        return not price.free and (shared or self.run is not None or "answer" in self._caps)

    def note(self, completion: Completion) -> None:
        """Take what an answer that ended has cost into the limit of the run."""
        if self.run is not None:
            self.run.reached(completion)


def is_priced(model: Model) -> bool:
    """Say whether limits can hold for a model: what it costs is known in USD."""
    price = model.price
    return price is not None and price.known and price.usd_rate is not None


def costs(model: Model) -> bool:
    """Say whether a model is known to cost something, play money too."""
    return is_priced(model) and model.price is not None and not model.price.free


def _is_shared(model: Model) -> bool:
    """Say whether limits that are kept in the ledger count a model: play money is in none of them."""
    return costs(model) and model.price is not None and not model.price.play


def usd_of(model: Model, input_tokens: int, output_tokens: int, at: datetime) -> Decimal:
    """Return what a prompt and so much of an answer cost in USD at `at`, an aware time; 0 where nobody knows."""
    used = CountedUsage(Usage(input_tokens, output_tokens), "estimated")
    return cost_of(used, model.price, at.astimezone(UTC)).usd or _ZERO


def scope_of(completion: Completion) -> Scope | None:
    """Return the limit for want of which an answer was cut or not sent; `None` where it was none."""
    error = completion.error
    if completion.finish_reason != "budget" or error is None:
        return None
    if isinstance(error, BudgetError):
        return error.scope
    return next((scope for scope, name in NAMES.items() if f"{name} = " in error.message), None)


def named(scope: Scope, cap: Decimal) -> str:
    return f"{NAMES[scope]} = {amount(cap)}"


def all_of(names: Sequence[str]) -> str:
    """Return names as a sentence lists them: `a, b and c`."""
    return " and ".join(names) if len(names) < 3 else f"{', '.join(names[:-1])} and {names[-1]}"


def why_unpriced(model: Model) -> str:
    """Return why limits cannot hold for a model: nobody knows its price, or what its currency is worth."""
    price = model.price
    if price is None or not price.known:
        return f"the price of {model.name} in USD is unknown"
    return f"{model.name} is priced in {price.currency}, and what that is in USD is unknown"


def set_price(model: Model) -> str:
    """Return what the user can do about it."""
    price = model.price
    if price is None or not price.known:
        return f'set it in [models."{model.name}"] of config.toml'
    rate = f'currency = "{price.currency}" and usd_rate'
    return f"set {rate} in [providers.{model.provider}.pricing] of config.toml"
