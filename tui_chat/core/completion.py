"""One answer: the only mutable thing of the domain, with one writer.

`apply` folds stream events into it in constant time. Who wants to show it *pulls*: text by position, tokens and cost
when a frame is painted. Tokens are counted when somebody asks, over all that came since the last time, so a burst of a
thousand deltas is counted once; of a flood no look counts more than a slice, and estimates the rest.
"""

from array import array
from collections import deque
from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, assert_never

from tui_chat.core.counter import StreamTokens, TokenCounter
from tui_chat.core.errors import ChatError
from tui_chat.core.events import (
    Adjusted,
    BilledCost,
    Dequeued,
    Finished,
    FinishReason,
    Queued,
    ReasoningDelta,
    ResponseStarted,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    Unreadable,
    UsageUpdate,
    Waiting,
)
from tui_chat.core.message import Message
from tui_chat.core.model import Model, Params
from tui_chat.core.pricing import NOTHING, Cost, cost_of
from tui_chat.core.record import entity
from tui_chat.core.request import Request
from tui_chat.core.usage import CountedUsage, Usage, UsageSource

if TYPE_CHECKING:
    from tui_chat.core.savings import Saved

COUNTED_AT_ONCE = 16 * 1024
"""Characters that one look at the tokens counts: 2 ms for prose, 70 ms for a flood of blanks."""
COUNTED_AT_MOST = 2 * 1024 * 1024
"""Characters of a text that are counted; from there on the count is scaled, for no answer is worth minutes of it."""
_HUNG_UP = frozenset(("timeout", "protocol", "internal", "storage"))
"""Errors upon which it was us who closed the connection: the server may have gone on."""
_LOOSE = 512
_RATE_SPAN_S = 2.0


class State(Enum):
    """What the screen says of an answer."""

    WAITING = "waiting"
    RETRY = "retry"
    QUEUED = "queued"
    THINKING = "thinking"
    STREAMING = "streaming"
    PAUSED = "paused"
    DONE = "done"
    SETTLED = "settled"
    STOPPED = "stopped"
    BUDGET = "budget"
    FAILED = "failed"

    @property
    def running(self) -> bool:
        return self in _RUNNING


_RUNNING = {State.WAITING, State.RETRY, State.QUEUED, State.THINKING, State.STREAMING, State.PAUSED}


class Log:
    """A text that only grows: readers take what is new since their last position.

    It is kept once, in pieces that are joined as they become many: a flood of tiny chunks costs little more than its
    text, and a joined text stands in the place of its pieces.
    """

    __slots__ = ("_loose", "_pieces", "_starts", "size")

    def __init__(self, text: str = "") -> None:
        self._pieces: list[str] = []
        self._loose = 0
        """How many pieces at the end are single chunks."""
        self._starts = array("Q")
        """Where in the text each chunk begins."""
        self.size = 0
        """Characters."""
        self.append(text)

    def append(self, chunk: str) -> None:
        if not chunk:
            return
        self._starts.append(self.size)
        self.size += len(chunk)
        self._pieces.append(chunk)
        self._loose += 1
        if self._loose == _LOOSE:
            self._pieces[-_LOOSE:] = ["".join(self._pieces[-_LOOSE:])]
            self._loose = 0

    @property
    def position(self) -> int:
        """The position behind the last chunk, for `since`."""
        return len(self._starts)

    def since(self, position: int) -> str:
        """Return everything appended at or after `position`; costs only what it returns."""
        return self.part(self._starts[position]) if position < len(self._starts) else ""

    def part(self, start: int, most: int | None = None) -> str:
        """Return the text from character `start` on, at most so many characters of it."""
        pieces, at, first = self._pieces, len(self._pieces), self.size
        while first > start:
            at -= 1
            first -= len(pieces[at])
        end = self.size if most is None else min(self.size, start + most)
        found: list[str] = []
        while first < end:
            piece = pieces[at]
            whole = first >= start and first + len(piece) <= end
            found.append(piece if whole else piece[max(0, start - first) : end - first])
            first += len(piece)
            at += 1
        return "".join(found)

    @property
    def text(self) -> str:
        """Return the whole text; joined again only when something came since the last call."""
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        self._loose = 0
        return self._pieces[0] if self._pieces else ""

    def __bool__(self) -> bool:
        return self.size > 0


@entity
class _Count:
    """The tokens of one growing text, counted when asked."""

    log: Log
    stream: StreamTokens | None = None
    fed: int = 0
    """Characters that were counted; what lies behind them is taken to be of the same density."""

    def tokens(self, counter: TokenCounter, encoding: str) -> int:
        if not self.log:
            return 0
        if self.stream is None:
            self.stream = counter.stream(encoding)
        if (uncounted := self.uncounted) > 0:
            new = self.log.part(self.fed, min(uncounted, COUNTED_AT_ONCE))
            self.fed += len(new)
            counted = self.stream.feed(new)
        else:
            counted = self.stream.tokens if self.stream.exact else self.stream.feed("")
        rest = self.log.size - self.fed
        return counted + (-(-counted * rest // self.fed) if rest else 0)

    @property
    def uncounted(self) -> int:
        """Characters that can be counted now: no more than a slice before the vocabulary is there, and never all."""
        exact = self.stream is None or self.stream.exact
        return min(self.log.size, COUNTED_AT_MOST if exact else COUNTED_AT_ONCE) - self.fed


LENGTH_NAMES = ("max_tokens", "max_completion_tokens", "max_output_tokens")
"""What servers call the longest answer; the first is understood everywhere here."""


def asked_length(params: Mapping[str, object]) -> tuple[str, int | None]:
    """Return what a request calls the longest answer, and how long that is in tokens; `None` = not said."""
    name = next((name for name in LENGTH_NAMES if name in params), LENGTH_NAMES[0])
    asked = params.get(name)
    return name, asked if isinstance(asked, int) and not isinstance(asked, bool) and asked > 0 else None


@entity
class Completion:
    """One answer of one model to one turn, running or done."""

    id: str
    turn_id: str
    model: Model
    created_at: datetime
    """When the request was made, aware UTC; prices by time of day go by it."""
    params: Params = field(default_factory=dict)
    resumes_id: str | None = None
    """The cut completion whose text this one continues; its own text is the rest only."""
    resumed_usd: Decimal = Decimal(0)
    """What the parts cost that it continues: to who reads, and to a limit on one answer, all of them are one."""
    resumed_tokens: int = 0
    """The output of those parts."""
    discarded: bool = False
    """The user left it out of the context."""
    hidden: bool = False
    """The user closed its column: it is not drawn beside the others of its turn."""
    request: Request | None = None
    """What will be sent; `None` for answers from the history."""
    warnings: list[str] = field(default_factory=list)
    """What went wrong without ending the answer, a line each."""
    running: bool = False
    """True from the moment it is stored until it has an end."""
    started_at_s: float | None = None
    """When the request was started, on the monotonic clock of this process; later by the time that it was queued."""
    text_log: Log = field(default_factory=Log)
    reasoning_log: Log = field(default_factory=Log)
    reported: Usage = field(default_factory=Usage)
    billed_usd: Decimal | None = None
    final_usage: CountedUsage | None = None
    """Set once the answer ended, and for answers from the history."""
    final_cost: Cost | None = None
    saved: "Saved | None" = None
    """What stopping it kept from being spent."""
    finish_reason: FinishReason | None = None
    error: ChatError | None = None
    model_served: str | None = None
    request_id: str | None = None
    ttft_s: float | None = None
    """Seconds from the request to the first token, reasoning included."""
    total_s: float | None = None
    reasoning_s: float | None = None
    """Seconds from the first reasoning to the first text."""
    attempts: int = 1
    unreadable: int = 0
    waiting: Waiting | None = None
    waiting_until_s: float | None = None
    """When the retry will be sent, on the monotonic clock."""
    queued: Queued | None = None
    """It waits for its turn; nothing is on its way."""
    queued_until_s: float | None = None
    """When its turn will probably come, on the monotonic clock."""
    queued_s: float = 0.0
    """How long it waited for its turn, since the last attempt that is charged."""
    paused: bool = False
    """Held for a verdict by the user; nothing is read from the server meanwhile."""
    input_estimate: int | None = None
    """What we take the prompt for."""
    added_to: int | None = None
    """What the provider reported of the prompt before, where this one only adds to it."""
    added: tuple[Message, ...] = ()
    """What it adds then."""
    added_count: int | None = None
    """Our count of what it adds, or of the whole prompt where nothing was reported before; `None` = not exact."""
    output_ratio: float = 1.0
    """Billed tokens for one that we count, see `calibration.py`; fixed for the answer, so that no figure goes back."""
    length_unasked: int | None = None
    """The longest output that its dialect asks for where nobody says one, in tokens."""
    clamped_to: int | None = None
    """The longest output that a budget let it ask for, in tokens; `None` where no budget shortened it."""
    sent: bool = False
    """True when the request may have reached the model: from then on stopping can cost money."""
    sent_on: bool = True
    """False when the answer does not go to the model with the next prompt; set by whoever builds the context."""
    _counter: TokenCounter | None = None
    _tool_log: Log = field(default_factory=Log)
    _counts: tuple[_Count, _Count, _Count] | None = None
    _samples: deque[tuple[float, int]] = field(default_factory=deque)
    _reasoning_at_s: float | None = None
    _queued_at_s: float | None = None
    _whole: bool = False
    """True when the server ended it, as it does where the budget had it ask for no more."""
    _outgrown: bool = False
    """True when tokens came after the last reported output: then that figure is of an earlier moment."""

    def retry_now(self) -> bool:
        """End the wait before a retry; False when none is waited for."""
        wake = self.request.retry_now if self.request is not None else None
        if self.waiting is None or wake is None:
            return False
        wake.set()
        return True

    def start(self, at_s: float, counter: TokenCounter, input_estimate: int | None) -> None:
        """Begin: from now on tokens are counted and time runs."""
        self.running = True
        self.started_at_s = at_s
        self.input_estimate = input_estimate
        self._counter = counter
        self._counts = (_Count(self.text_log), _Count(self.reasoning_log), _Count(self._tool_log))

    def apply(self, event: StreamEvent, at_s: float) -> None:
        """Fold one event in; `at_s` is the monotonic time of its arrival."""
        match event:
            case TextDelta(text):
                self._first_token(at_s)
                self._end_reasoning(at_s)
                self.text_log.append(text)
            case ReasoningDelta(text):
                self._first_token(at_s)
                self._begin_reasoning(at_s)
                self.reasoning_log.append(text)
            case ToolCallDelta(name, arguments):
                self._first_token(at_s)
                self._tool_log.append(name + arguments)
            case UsageUpdate(usage):
                self.reported = self.reported.updated(usage)
                self._outgrown = self._outgrown and usage.output_tokens is None
            case BilledCost(amount):
                self.billed_usd = amount
            case ResponseStarted(request_id, model):
                self.sent, self.waiting = True, None
                self.request_id = request_id or self.request_id
                self.model_served = model or self.model_served
            case Waiting(_, _, wait_s, attempt):
                self._forget_attempt()
                self.queued_s = 0.0 if event.request_sent else self.queued_s
                self.waiting, self.waiting_until_s, self.attempts = event, at_s + wait_s, attempt
            case Queued():
                self._queue(event, at_s)
            case Dequeued():
                self._leave_queue(at_s)
                self.sent = True
            case Adjusted(message):
                if message not in self.warnings:
                    self.warnings.append(message)
            case Unreadable(count):
                self.unreadable += count
            case Finished(reason):
                self.finish_reason = reason
            case _:
                assert_never(event)

    def _forget_attempt(self) -> None:
        """Drop what a failed attempt said of itself: it has a charge of its own."""
        self.sent, self.reported, self.billed_usd, self._outgrown = False, Usage(), None, False
        self.model_served = self.request_id = self.finish_reason = None
        self.unreadable = 0

    def _begin_reasoning(self, at_s: float) -> None:
        if self._reasoning_at_s is None:
            self._reasoning_at_s = at_s

    def _end_reasoning(self, at_s: float) -> None:
        if self._reasoning_at_s is not None and self.reasoning_s is None:
            self.reasoning_s = at_s - self._reasoning_at_s

    def _queue(self, queued: Queued, at_s: float) -> None:
        if self._queued_at_s is None:
            self._queued_at_s = at_s
        self.sent, self.waiting = False, None
        self.queued, self.queued_until_s = queued, at_s + queued.wait_s

    def _leave_queue(self, at_s: float) -> None:
        """Begin to count the time only now: how fast a model is has nothing to do with how long it was not asked."""
        if self._queued_at_s is not None:
            self.queued_s += at_s - self._queued_at_s
        if self._queued_at_s is not None and self.started_at_s is not None:
            self.started_at_s += at_s - self._queued_at_s
        self.queued = self.queued_until_s = self._queued_at_s = None

    def _first_token(self, at_s: float) -> None:
        self.sent, self.waiting, self._outgrown = True, None, True
        if self.ttft_s is None and self.started_at_s is not None:
            self.ttft_s = at_s - self.started_at_s

    def end(self, at_s: float, reason: FinishReason, error: ChatError | None = None) -> None:
        """Close the answer: usage and cost become final."""
        self._whole = reason == "budget" and self.finish_reason is not None
        self.finish_reason, self.error = reason, error
        self._leave_queue(at_s)
        if self.started_at_s is not None:
            self.total_s = at_s - self.started_at_s
        self._end_reasoning(at_s)
        self.final_usage = self.usage
        self.final_cost = self.cost  # of that usage: another look could count more
        self.running, self.paused, self.waiting = False, False, None

    def settle(self, usage: Usage, billed_usd: Decimal) -> None:
        """Take what the provider said long after the end: it stands in place of our estimate."""
        known = (self.final_usage or self.usage).usage.updated(usage).checked()
        self.billed_usd = billed_usd
        self.final_usage = CountedUsage(known, "reported")
        self.final_cost = cost_of(self.final_usage, self.model.price, self.created_at, billed_usd)

    def reckon_savings(self, usual: int | None) -> None:
        """Work out what a stop saved; `usual` is the median length of finished answers by this model."""
        if self.finish_reason != "cancelled" or not self.sent or self.model.stops_billing == "no":
            return
        from tui_chat.core.savings import saved_by_stopping

        longest = self._longest
        self.saved = saved_by_stopping(
            self._charged_usage, self.model.price, self.created_at, longest=longest, usual=usual
        )

    @property
    def billed_at_most(self) -> Decimal | None:
        """Return what an answer that we hung up on may be billed in the end, in USD; `None` where that is its cost.

        So it is where closing the connection ends the bill, where the server broke off, and where nobody knows how long
        it could have become. Of an answer that runs it is what a stop would make of it.
        """
        if not self.sent or self._whole or self.billed_usd is not None or self.model.stops_billing == "yes":
            return None
        if not self._can_be_hung_up_on or (longest := self._longest) is None:
            return None
        from tui_chat.core.savings import billed_in_full

        return billed_in_full(self._charged_usage, self.model.price, self.created_at, longest)

    @property
    def _can_be_hung_up_on(self) -> bool:
        """True while it runs and when it was us who ended it."""
        if self.finish_reason == "error":
            return self.error is not None and self.error.kind in _HUNG_UP
        return self.finish_reason in (None, "cancelled", "budget", "interrupted")

    @property
    def _longest(self) -> int | None:
        """The longest output that was asked for, in tokens."""
        asked = asked_length(self.params)[1] or self.length_unasked
        return min((each for each in (self.clamped_to, asked) if each is not None), default=None)

    @property
    def asked_for_tool(self) -> bool:
        """True when the model called a tool; known only in the run in which it answered."""
        return bool(self._tool_log)

    @property
    def text(self) -> str:
        return self.text_log.text

    @property
    def reasoning(self) -> str:
        return self.reasoning_log.text

    @property
    def usage(self) -> CountedUsage:
        """Return what was used so far: reported figures where there are any, else our count, marked."""
        if self.final_usage is not None:
            return self.final_usage
        reported = self.reported.checked()
        if not self.sent and reported == Usage():
            return CountedUsage(Usage(), "estimated")
        known, estimated = reported, []
        if known.input_tokens is None and self.input_estimate is not None:
            known, estimated = known.updated(Usage(input_tokens=self.input_estimate)), ["input_tokens"]
        counted = self.estimated_output
        if known.output_tokens is None or (self._outgrown and counted > known.output_tokens):
            known = known.updated(Usage(output_tokens=counted))
            estimated.append("output_tokens")
        cut = self.finish_reason in ("cancelled", "error", "interrupted", "budget") and not self._whole
        source: UsageSource = "partial" if cut else "estimated" if estimated else "reported"
        return CountedUsage(known, source, tuple(estimated))

    @property
    def uncounted(self) -> int:
        """Characters generated that no look at the tokens has counted yet, though it could."""
        return sum(count.uncounted for count in self._counts or ())

    @property
    def counted_output(self) -> int:
        """Our own count of everything generated so far: text, reasoning and tool calls."""
        if self._counts is None or self._counter is None:
            return 0
        encoding = self.model.encoding or self._counter.encoding_for(self.model.id)
        return sum(count.tokens(self._counter, encoding) for count in self._counts)

    @property
    def estimated_output(self) -> int:
        """What the provider will probably count for everything generated so far."""
        return round(self.counted_output * self.output_ratio)

    @property
    def counted_visible(self) -> int:
        """Our own count of what was generated besides reasoning."""
        if self._counts is None or self._counter is None:
            return 0
        encoding = self.model.encoding or self._counter.encoding_for(self.model.id)
        return self._counts[0].tokens(self._counter, encoding) + self._counts[2].tokens(self._counter, encoding)

    @property
    def counted_reasoning(self) -> int | None:
        """Our own count of the reasoning that was sent, `None` when the answer is from the history."""
        if self._counts is None or self._counter is None:
            return None
        return self._counts[1].tokens(self._counter, self.model.encoding or self._counter.encoding_for(self.model.id))

    @property
    def cost(self) -> Cost:
        """Return what it cost so far; `NOTHING` when the request was never taken."""
        if self.final_cost is not None:
            return self.final_cost
        if not self.sent and self.billed_usd is None and self.reported == Usage():
            return NOTHING
        return cost_of(self._charged_usage, self.model.price, self.created_at, self.billed_usd)

    @property
    def _charged_usage(self) -> CountedUsage:
        """The usage, with our own count of the reasoning where that has a price of its own and nobody reported it."""
        counted, price = self.usage, self.model.price
        if price is None or price.reasoning_per_mtok is None or counted.usage.reasoning_tokens is not None:
            return counted
        thought = min(round((self.counted_reasoning or 0) * self.output_ratio), counted.usage.output_tokens or 0)
        if not thought:
            return counted
        known = counted.usage.updated(Usage(reasoning_tokens=thought))
        return replace(counted, usage=known, estimated=(*counted.estimated, "reasoning_tokens"))

    @property
    def input_cost(self) -> Cost:
        """Return what our count of the prompt costs, before any answer."""
        counted = CountedUsage(Usage(self.input_estimate, 0), "estimated", ("input_tokens",))
        return cost_of(counted, self.model.price, self.created_at)

    @property
    def output_tokens(self) -> int | None:
        return self.usage.usage.output_tokens

    def rate(self, at_s: float) -> float | None:
        """Return tokens per second: over the last two seconds while it runs, over the whole answer once it ended.

        `None` when there is nothing to divide yet.
        """
        tokens = self.output_tokens
        if not tokens or self.ttft_s is None:
            return None
        if not self.running:
            span = (self.total_s or 0) - self.ttft_s
            return tokens / span if span > 0.05 else None
        samples = self._samples
        if not samples or at_s - samples[-1][0] >= 0.1:
            samples.append((at_s, tokens))
        while len(samples) > 2 and at_s - samples[0][0] > _RATE_SPAN_S:
            samples.popleft()
        span, count = at_s - samples[0][0], tokens - samples[0][1]
        # a count may fall when the vocabulary takes the place of the first guess
        return count / span if span >= 0.2 and count >= 0 else None

    @property
    def state(self) -> State:
        """What the screen says of it."""
        if self.running:
            if self.finish_reason is not None:
                return State.DONE  # whole; only its bill is awaited
            if self.paused:
                return State.PAUSED
            if self.queued is not None:
                return State.QUEUED
            if self.waiting is not None:
                return State.RETRY
            if self.text_log or self._tool_log:
                return State.STREAMING
            return State.THINKING if self.reasoning_log else State.WAITING
        match self.finish_reason:
            case "cancelled" | "interrupted":
                return State.STOPPED
            case "budget":
                return State.BUDGET
            case "error" | None:
                return State.FAILED
            case _:
                settled = self.final_usage is not None and self.final_usage.source == "reported"
                return State.SETTLED if settled else State.DONE
