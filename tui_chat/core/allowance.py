"""What one running answer may spend: set aside before it is sent, looked at while it grows, judged at its end.

Of a stream of thousands of deltas only few are looked at: seldom while the limits are far, often where they are near.
More is set aside in the background, before what there is is used up. Only answers that a limit holds for have one, so
nobody else loads this.

Where closing the connection does not end the bill, or nobody knows, a cut holds nothing: the server may bill all that
it was asked for. So such an answer sets aside the whole of it at once, and is asked for no more than that. It gets all
that is left when it asks alone; those that ask at once share it.

What no length was asked for, and has more room than `SAFE_TOKENS`, goes without one, for nobody here knows how long an
answer of a model may be asked for. Output that is billed and never shown can then pass a limit, by as much as the
server generates before it tells.
"""

import asyncio
from concurrent.futures import Future
from dataclasses import replace
from decimal import Decimal, localcontext

from tui_chat.core.budget import NAMES, Budgets, is_priced, named, set_price, why_unpriced
from tui_chat.core.budget_words import RAISE, refusal, stopped
from tui_chat.core.caps import LEAST_TOKENS, Balance, Claim, Reserved, Scope
from tui_chat.core.completion import Completion, asked_length
from tui_chat.core.errors import BudgetError, StorageError
from tui_chat.core.events import ReasoningDelta, StreamEvent, TextDelta, ToolCallDelta, UsageUpdate, Waiting
from tui_chat.core.format import amount
from tui_chat.core.pricing import EXACT, cost_of
from tui_chat.core.usage import CountedUsage, Usage

SLICE_TOKENS = 512
"""Output that an answer sets aside at once where there is plenty."""
SAFE_TOKENS = 4096
"""The longest answer that every current model can be asked for: a server refuses a request that asks for more than its
model can. Where there is room for more, nothing is sent and the cut inside the stream alone holds."""
_FULL = 0.9
"""The part of the room from which on it was the room that ended an answer, not a smaller limit of the server's."""
_LOOK_INTERVAL_S = 0.02
_ZERO = Decimal(0)

_Room = tuple[Decimal, Scope, str]
"""What a limit leaves in USD, the limit, and its words."""


class Allowance:
    """What one running answer may spend. Its methods raise BudgetError where that is too little."""

    def __init__(self, budgets: Budgets, completion: Completion, conversation_id: str) -> None:
        self._budgets = budgets
        self._completion = completion
        self._conversation_id = conversation_id
        self._token_cap = False
        """It is cut by tokens, for nobody knows its price."""
        self._usd_per_token = _ZERO
        self._earlier_usd = completion.resumed_usd
        """What the parts it continues have cost, and its attempts that failed."""
        self._begins_anew = False
        """An attempt that cost something failed: the next is about to be sent."""
        self._held_usd: Decimal | None = None
        """What the ledger holds for it; `None` when no shared limit counts it."""
        self._margin_usd = _ZERO
        """How much of that is left when it asks for more."""
        self._growing: Future[Reserved] | None = None
        self._runs_on = completion.model.stops_billing != "yes"
        """A stop may not end its bill."""
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
        if completion.request is not None:  # its own, so that a retry can be told of a shorter length
            completion.request = replace(completion.request, params=dict(completion.request.params))
        if not is_priced(completion.model):
            self._open_unpriced()
            return
        self._usd_per_token = _usd_per_token(completion)
        try:
            await self._set_aside()
        finally:
            self._budgets.asking.discard(completion.id)

    async def _set_aside(self) -> None:
        """Set aside what the next request takes, and ask for no longer an answer than there is room for."""
        input_usd = self._completion.input_cost.usd or _ZERO
        if rooms := await self._rooms(input_usd):
            self._clamp_to(min(rooms), input_usd)
        if self._runs_on and self._asked is not None:
            self._margin_usd = _ZERO  # what it holds is all it can come to

    async def _rooms(self, input_usd: Decimal) -> list[_Room]:
        """Reserve; return what each limit leaves for the answer, input included."""
        completion, budgets = self._completion, self._budgets
        rooms: list[_Room] = []
        if (cap := budgets.cap("answer")) is not None:
            self._refuse_little(cap, input_usd)
            rooms.append((cap - self._earlier_usd, "answer", named("answer", cap)))
        if budgets.run is not None:
            if budgets.run.refuses(completion):
                raise BudgetError(budgets.run.refusal(), "run")
            rooms.append((budgets.run.left_for(completion), "run", f"{budgets.run.words} = {amount(budgets.run.usd)}"))
        if (tightest := await self._reserve_first(input_usd, min(rooms, default=None))) is not None:
            span, left_usd = tightest.span, tightest.left_usd
            if self._runs_on and self._held_usd is not None:
                left_usd = min(left_usd, self._held_usd)
            rooms.append((left_usd, span.scope, named(span.scope, span.cap_usd)))
        return rooms

    def _open_unpriced(self) -> None:
        model, most = self._completion.model, self._budgets.per_answer_tokens
        if self._budgets.unknown_price == "refuse":
            why = f'{why_unpriced(model)}, and budget.unknown_price = "refuse"'
            raise BudgetError(f"not sent: {why}; {set_price(model)}", "price")
        self._token_cap = True
        room = most - self._completion.resumed_tokens
        if room < LEAST_TOKENS:
            raise BudgetError(
                f"not sent: its parts are as long as {self._token_words} allows; {RAISE} to ask", "tokens"
            )
        self._shorten(room, "tokens", self._token_words)

    def _refuse_little(self, cap: Decimal, input_usd: Decimal) -> None:
        """Refuse an answer that could not even begin within the limit of one answer."""
        need = self._earlier_usd + input_usd + LEAST_TOKENS * self._usd_per_token
        if cap < need or cap <= input_usd:
            costs = f"the prompt and {LEAST_TOKENS} tokens of an answer cost {amount(need)}"
            costs += " with what it cost before" if self._earlier_usd else ""
            raise BudgetError(f"not sent: {costs}, more than {named('answer', cap)}; {RAISE} to ask", "answer")

    async def _reserve_first(self, input_usd: Decimal, room: _Room | None) -> Balance | None:
        """Reserve in the ledger; return the limit with the least left, `None` when none counts this answer.

        `room` is the tightest of the other limits.
        """
        claim = self._claim(input_usd, LEAST_TOKENS * self._usd_per_token)
        if claim is None or self._budgets.ledger is None:
            return None
        if self._runs_on:
            among = len(self._budgets.asking | {self._completion.id})
            self._budgets.asking.discard(self._completion.id)  # the ledger takes claims in the order in which they come
            claim = replace(claim, slice_usd=self._most_usd(input_usd, room), whole=True, among=among)
        try:
            reserved = await asyncio.wrap_future(self._budgets.ledger.reserve(claim))
        except StorageError as failed:
            self._forget_run()
            raise StorageError(f"not sent: {claim.spans[0].name} cannot be checked: {failed.message}") from failed
        if reserved.held_usd is None:
            self._forget_run()
            raise BudgetError(refusal(reserved.tightest, claim), reserved.tightest.span.scope)
        self._take(reserved.held_usd, input_usd)
        return reserved.tightest

    def _most_usd(self, input_usd: Decimal, room: _Room | None) -> Decimal:
        """Return the most that the output may cost: as much as was asked for, and as another limit leaves."""
        most_usd = (self._asked or SAFE_TOKENS) * self._usd_per_token
        return most_usd if room is None else max(_ZERO, min(most_usd, room[0] - input_usd))

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
        self._margin_usd = min(held_usd - used_usd, SLICE_TOKENS * self._usd_per_token) / 2

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
        if tokens < (asked or self._completion.length_unasked or SAFE_TOKENS):
            request.params[name] = tokens
            self._completion.clamped_to = tokens
            self._limited_by = (scope, words)

    @property
    def _asked(self) -> int | None:
        """The longest answer that is asked for, in tokens; `None` = not said."""
        request, unasked = self._completion.request, self._completion.length_unasked
        return unasked if request is None else asked_length(request.params)[1] or unasked

    @property
    def is_shared(self) -> bool:
        """True when a limit counts it that is shared with other programs."""
        return self._held_usd is not None

    # while it runs

    def lost(self, *, owed: bool) -> None:
        """Note that the present attempt failed and another follows; without `owed` it cost nothing."""
        self._growing = None
        if not owed:
            self._forget_run()
        elif (usd := self._completion.cost.usd) is not None:
            self._earlier_usd += usd
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
            await self._set_aside()
            return
        budgets, usd = self._budgets, self._completion.cost.usd
        if usd is None:
            return
        left: list[Decimal] = []
        if (cap := budgets.cap("answer")) is not None:
            left.append(cap - self._earlier_usd - usd)
            if left[-1] <= 0:
                raise stopped("answer", named("answer", cap))
        if budgets.run is not None:
            if budgets.run.reached(self._completion):
                raise BudgetError(budgets.run.reason(), "run")
            left.append(budgets.run.left_for(self._completion) - usd)
        if self._held_usd is not None:
            left.append(await self._within(self._held_usd, usd))
        if left and self._usd_per_token:  # a token is hardly ever less than half a character
            self._look_after = int(min(left) / self._usd_per_token) // 2

    def _check_tokens(self, most: int) -> None:
        tokens = self._completion.resumed_tokens + (self._completion.output_tokens or 0)
        if tokens >= most:
            raise stopped("tokens", f"{self._token_words}, for its price is unknown")
        self._look_after = (most - tokens) // 2

    @property
    def _token_words(self) -> str:
        return f"{NAMES['tokens']} = {self._budgets.per_answer_tokens}"

    async def _within(self, held_usd: Decimal, usd: Decimal) -> Decimal:
        """Return what is left of the reservation; it is grown in the background, and waited for only when used up."""
        if self._growing is None and usd >= held_usd - self._margin_usd:
            self._growing = self._grow(usd)
        while self._growing is not None and (self._growing.done() or usd >= held_usd):
            grown, self._growing = await self._grown_by(self._growing), None
            if grown.held_usd is None or grown.held_usd <= usd:
                if usd >= held_usd:
                    span = grown.tightest.span
                    raise stopped(span.scope, named(span.scope, span.cap_usd), span)
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
        raise BudgetError(f"ended after the {most} tokens that {words} had room for; {RAISE} to hear more", scope)


def _usd_per_token(completion: Completion) -> Decimal:
    """Return what one more token of output costs at the most, in USD, for this input at this time."""
    model, at = completion.model, completion.created_at

    def usd(tokens: int, reasoning: int) -> Decimal:
        used = CountedUsage(Usage(completion.input_estimate or 0, tokens, 0, 0, reasoning), "estimated")
        return cost_of(used, model.price, at).usd or _ZERO

    nothing, many = usd(0, 0), 1_000_000
    with localcontext(EXACT):
        return max(usd(many, 0) - nothing, usd(many, many) - nothing, _ZERO) / many
