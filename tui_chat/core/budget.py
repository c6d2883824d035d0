"""Limits on what may be spent: asked before an answer is sent, held inside it, settled with its charge.

`Budgets` knows the limits, an `Allowance` is what one running answer may spend. A limit on one answer, or on one run of
a command, is kept in this process. Those on a chat, a day and a month are shared with every program that uses the same
ledger: an answer reserves there what its input costs and a slice of output, and comes back for more before that is
used up. So nobody waits for the disk while there is something left, and nobody spends what another was promised.

Where nothing is limited there is no allowance: no transaction, and no look at the cost for any token.
"""

from collections.abc import Iterator
from dataclasses import field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Literal

from tui_chat.core.caps import Balance, Level, Scope, Span
from tui_chat.core.completion import Completion
from tui_chat.core.errors import BudgetError
from tui_chat.core.format import amount
from tui_chat.core.model import Model
from tui_chat.core.ports import Reservations
from tui_chat.core.record import entity, record

NAMES: dict[Scope, str] = {
    "answer": "budget.per_answer_usd",
    "tokens": "budget.per_answer_tokens",
    "price": "budget.unknown_price",
    "chat": "budget.per_chat_usd",
    "day": "budget.daily_usd",
    "month": "budget.monthly_usd",
}
"""What the user calls them."""
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
            return f"{NAMES[scope]} = {self.per_answer_tokens}"
        if scope not in self._caps:
            return None
        self._caps[scope] *= 2
        return named(scope, self._caps[scope])

    def can_raise(self, completion: Completion) -> Scope | None:
        """Return the limit for want of which an answer was cut or not sent, where it can be raised; else `None`.

        Of an answer from the history its words tell.
        """
        error = completion.error
        if completion.finish_reason != "budget" or error is None:
            return None
        names = (scope for scope, name in NAMES.items() if f"{name} = " in error.message)
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
            yield Span("chat", NAMES["chat"], cap, conversation_id=conversation_id)
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
                yield Span(scope, NAMES[scope], cap, midnight(begin), midnight(end))

    def warning(self, model: Model) -> str | None:
        """Return what to say of limits that cannot hold because nobody knows the price of a model."""
        names = [self.run.words] if self.run is not None else []
        names += [name for scope, name in NAMES.items() if scope in self._caps]
        if not names or is_priced(model) or self.unknown_price == "refuse":
            return None
        unknown = f"the price of {model.name} in USD is unknown, so"
        if self.unknown_price == "tokens":
            return f"{unknown} budget.per_answer_tokens = {self.per_answer_tokens} holds in place of {_all_of(names)}"
        return f"{unknown} {_all_of(names)} cannot hold; {set_price(model)}"

    def limits(self, completion: Completion) -> bool:
        """Say whether any limit holds for a pending answer; if not, nobody has to look at what it costs."""
        price = completion.model.price
        if price is None or not is_priced(completion.model):
            return self.unknown_price != "warn"
        held = self.ledger is not None and not price.play
        shared = held and any(scope in self._caps for scope in ("chat", "day", "month"))
        return not price.free and (shared or self.run is not None or "answer" in self._caps)

    def note(self, completion: Completion) -> None:
        """Take what an answer that ended has cost into the limit of the run."""
        if self.run is not None:
            self.run.reached(completion)


def is_priced(model: Model) -> bool:
    price = model.price
    return price is not None and price.known and price.usd_rate is not None


def named(scope: Scope, cap: Decimal) -> str:
    return f"{NAMES[scope]} = {amount(cap)}"


def _all_of(names: list[str]) -> str:
    return " and ".join(names) if len(names) < 3 else f"{', '.join(names[:-1])} and {names[-1]}"


def set_price(model: Model) -> str:
    return f'set it in [models."{model.name}"] of config.toml'
