"""What the tokens of one conversation would have cost on other models, and at other times.

The calls that ended are added up once for each model; what runs now is added at each look. Prices that are the same for
every token go over the sums, tiers and times of day over the calls one by one: both give the same, to the last digit.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from decimal import Decimal, localcontext

from tui_chat.core.completion import Completion
from tui_chat.core.format import Spent
from tui_chat.core.model import Model
from tui_chat.core.pricing import EXACT, Charge, Cost, Price, cost_of
from tui_chat.core.record import record
from tui_chat.core.usage import CountedUsage, Usage

_MOST = 20
"""Rows that are filled up with the cheapest models."""
_OF_ONE_PROVIDER = 4
"""Of these at most so many of one provider: else a reseller's tail would be all there is."""


# calls


def charge_of(completion: Completion) -> Charge:
    """Return an answer as its charge stands now."""
    return Charge(
        completion.id,
        completion.attempts,
        completion.model.name,
        completion.usage.usage,
        completion.created_at,
        completion.cost,
    )


def brought_up_to_date(stored: Iterable[Charge], live: Iterable[Charge]) -> list[Charge]:
    """Return the charges of the ledger with those of this process in their place: they may not be on disk yet."""
    charges = {(each.completion_id, each.attempt): each for each in stored}
    charges.update(((each.completion_id, each.attempt), each) for each in live)
    return list(charges.values())


def real(charges: Sequence[Charge]) -> list[Charge]:
    """Return them without play money; all of them when there is nothing else."""
    return [each for each in charges if not each.cost.play] or list(charges)


@record
class Tokens:
    """The tokens of some calls."""

    total: Usage = Usage(0, 0, 0, 0, 0)
    calls: tuple[Charge, ...] = ()
    """Those whose tokens are known."""
    unknown: int = 0
    """Calls whose tokens nobody knows: no part of the total."""
    longest_input: int = 0


def tokens_of(charges: Iterable[Charge]) -> Tokens:
    """Add calls up."""
    calls, unknown, longest = [], 0, 0
    sums = [0, 0, 0, 0, 0]
    for charge in charges:
        usage = charge.usage.checked()
        if usage.input_tokens is None or usage.output_tokens is None:
            unknown += 1
            continue
        calls.append(charge)
        cached, written = usage.cached_input_tokens or 0, usage.cache_write_tokens or 0
        longest = max(longest, usage.input_tokens)
        whole = max(usage.input_tokens, cached + written)  # what is charged where the parts are more than the whole
        for at, count in enumerate((whole, usage.output_tokens, cached, written, usage.reasoning_tokens or 0)):
            sums[at] += count
    return Tokens(Usage(*sums), tuple(calls), unknown, longest)


def added(some: Tokens, more: Tokens) -> Tokens:
    """Return the sums of both, without the calls."""
    first, second = some.total, more.total
    total = Usage(*((getattr(first, f.name) or 0) + (getattr(second, f.name) or 0) for f in fields(Usage)))
    return Tokens(total, (), some.unknown + more.unknown, max(some.longest_input, more.longest_input))


def amount_at(price: Price | None, used: Tokens) -> Decimal | None:
    """Return what all these calls cost at one price, in its currency; `None` when it is not known."""
    if price is None or not price.known:
        return None
    if price.windows or any(used.longest_input > tier.above_tokens for tier in price.tiers):
        found = [cost_of(CountedUsage(c.usage.checked(), "reported"), price, c.at).amount for c in used.calls]
        with localcontext(EXACT):
            return sum((each for each in found if each is not None), Decimal(0))
    flat = replace(price, tiers=(), per_request=None)
    tokens = cost_of(CountedUsage(used.total, "reported"), flat).amount
    with localcontext(EXACT):
        return None if tokens is None else tokens + (price.per_request or 0) * len(used.calls)


def spent_on(charges: Iterable[Charge]) -> Spent:
    """Return what calls cost as they were priced then."""
    return sum_of(each.cost for each in charges)


def sum_of(costs: Iterable[Cost]) -> Spent:
    """Add costs up; what has no known amount in USD is counted as unknown."""
    usd, estimated, unknown, answers, play = Decimal(0), False, 0, 0, True
    with localcontext(EXACT):
        for cost in costs:
            answers += 1
            play = play and cost.play
            if cost.usd is None:
                unknown += 1
            else:
                usd += cost.usd
                estimated = estimated or cost.quality != "reported"
    return Spent(usd, estimated, unknown, answers, play and bool(answers))


# on other models


@record
class Row:
    """One model and what the same tokens cost there."""

    model: Model
    amount: Decimal | None
    """In the currency of its price; `None` when it has none."""
    usd: Decimal | None
    ratio: Decimal | None = None
    """How many times the cheapest that costs something; `None` where nothing can be compared."""
    cheapest: bool = False

    @property
    def free(self) -> bool:
        return self.model.price is not None and self.model.price.free


class Elsewhere:
    """The table of one conversation: models, and what it costs on each."""

    def __init__(self, models: Sequence[Model], ended: Tokens) -> None:
        self.models = list(models)
        self.ended = ended
        self._amounts = [amount_at(model.price, ended) for model in models]

    def rows(self, running: Tokens) -> list[Row]:
        """Return the rows, the cheapest first, free ones before it; those without a price at the end."""
        found = []
        for model, ended in zip(self.models, self._amounts, strict=True):
            now = amount_at(model.price, running) if running.calls else Decimal(0)
            with localcontext(EXACT):
                amount = None if ended is None or now is None else ended + now
                rate = model.price.usd_rate if model.price is not None else None
                found.append(Row(model, amount, None if amount is None or rate is None else amount * rate))
        paid = [row.usd for row in found if row.usd and not row.free]
        least = min(paid, default=None)
        if least is not None and len(paid) > 1:
            found = [
                replace(row, ratio=row.usd / least, cheapest=row.usd == least) if row.usd and not row.free else row
                for row in found
            ]
        return sorted(found, key=_order)


def _order(row: Row) -> tuple[int, Decimal, str]:
    if row.usd is not None:
        return (0, row.usd, row.model.name)
    return (1, row.amount, row.model.name) if row.amount is not None else (2, Decimal(0), row.model.name)


def compared(own: Iterable[Model], usable: Iterable[Model], used: Tokens, most: int = _MOST) -> list[Model]:
    """Return the models of the table: the user's own in their order, filled up with the cheapest usable ones.

    Play money is left out, and so is what has no price for output: it is no model to chat with.
    """
    chosen = {model.name: model for model in own if not _is_play(model)}
    per_provider: dict[str, int] = {}
    for model in sorted((each for each in usable if _is_offer(each)), key=lambda each: _would_cost(each, used)):
        if len(chosen) >= most:
            break
        if model.name not in chosen and per_provider.get(model.provider, 0) < _OF_ONE_PROVIDER:
            chosen[model.name] = model
            per_provider[model.provider] = per_provider.get(model.provider, 0) + 1
    return list(chosen.values())


def _is_play(model: Model) -> bool:
    return model.scripted or (model.price is not None and model.price.play)


def _is_offer(model: Model) -> bool:
    price = model.price
    if _is_play(model) or price is None or not price.known or price.usd_rate is None:
        return False
    return bool(price.input_per_mtok and price.output_per_mtok) or price.source == "local"


def _would_cost(model: Model, used: Tokens) -> Decimal:
    """Return about what the tokens cost there, for the choice of what is looked at closely."""
    price = model.price
    if price is None or price.input_per_mtok is None or price.output_per_mtok is None:
        return Decimal(0)
    sent, made = used.total.input_tokens or 1, used.total.output_tokens or 1
    return (sent * price.input_per_mtok + made * price.output_per_mtok) * (price.usd_rate or 1)


# at other times


@record
class Repriced:
    """The calls of one model: what they cost then, and what they would cost at today's price."""

    model: str
    tokens: Tokens
    then: Spent
    now: Spent


def repriced(charges: Sequence[Charge], price_of: Callable[[str], Price | None]) -> list[Repriced]:
    """Return the calls by model in the order in which the models came, each at what it cost and at its price of today.

    A price by the time of day is that of the time of the call. What was never charged has no place in it.
    """
    by_model: dict[str, list[Charge]] = {}
    for charge in charges:
        by_model.setdefault(charge.model, []).append(charge)
    found = []
    for name, calls in by_model.items():
        price, used = price_of(name), tokens_of(calls)
        amount = amount_at(price, used)
        usd = amount * price.usd_rate if amount is not None and price is not None and price.usd_rate else None
        if amount == 0:
            usd = amount
        then = spent_on(calls)
        unknown = len(calls) if usd is None else used.unknown
        play = price.play if price is not None else then.play
        found.append(Repriced(name, used, then, Spent(usd or Decimal(0), then.estimated, unknown, len(calls), play)))
    return found


def together(spent: Iterable[Spent]) -> Spent:
    """Add totals up; play money makes the sum play only where all of it is."""
    parts = [each for each in spent if each.answers]
    with localcontext(EXACT):
        usd = sum((each.usd for each in parts), Decimal(0))
    return Spent(
        usd,
        any(each.estimated for each in parts),
        sum(each.unknown for each in parts),
        sum(each.answers for each in parts),
        bool(parts) and all(each.play for each in parts),
    )


def a_month(spent: Spent, days: int) -> Spent:
    """Return what spending of some days, at least one, comes to in thirty."""
    return replace(spent, usd=spent.usd * 30 / max(1, days), estimated=spent.estimated)
