"""One answer: the only mutable thing of the domain, with one writer.

`apply` folds stream events into it in constant time. Who wants to show it *pulls*: text by position, tokens and cost
when a frame is painted. Tokens are counted when somebody asks, over all that came since the last time, so a burst of a
thousand deltas is counted once.
"""

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import assert_never

from tui_chat.core.counter import StreamTokens, TokenCounter
from tui_chat.core.errors import ChatError
from tui_chat.core.events import (
    BilledCost,
    Finished,
    FinishReason,
    ReasoningDelta,
    ResponseStarted,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    Unreadable,
    UsageUpdate,
    Waiting,
)
from tui_chat.core.model import Model, Params
from tui_chat.core.pricing import NOTHING, Cost, cost_of
from tui_chat.core.request import Request
from tui_chat.core.usage import CountedUsage, Usage, UsageSource

_RATE_SPAN_S = 2.0


class State(Enum):
    """What the screen says of an answer."""

    WAITING = "waiting"
    RETRY = "retry"
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


_RUNNING = {State.WAITING, State.RETRY, State.THINKING, State.STREAMING, State.PAUSED}


class Log:
    """A text that only grows, kept as chunks: readers take what is new since their last position."""

    __slots__ = ("_chunks", "_joined", "_joined_upto")

    def __init__(self, text: str = "") -> None:
        self._chunks: list[str] = [text] if text else []
        self._joined = text
        self._joined_upto = len(self._chunks)

    def append(self, chunk: str) -> None:
        if chunk:
            self._chunks.append(chunk)

    @property
    def position(self) -> int:
        """The position behind the last chunk, for `since`."""
        return len(self._chunks)

    def since(self, position: int) -> str:
        """Return everything appended at or after `position`; costs only what it returns."""
        return "".join(self._chunks[position:])

    @property
    def text(self) -> str:
        """Return the whole text; joined again only when something came since the last call."""
        if self._joined_upto < len(self._chunks):
            self._joined += self.since(self._joined_upto)
            self._joined_upto = len(self._chunks)
        return self._joined

    def __bool__(self) -> bool:
        return bool(self._chunks)


@dataclass(slots=True)
class _Count:
    """The tokens of one growing text, counted when asked."""

    log: Log
    stream: StreamTokens | None = None
    position: int = 0

    def tokens(self, counter: TokenCounter, encoding: str) -> int:
        if self.stream is None:
            if not self.log:
                return 0
            self.stream = counter.stream(encoding)
        new = self.log.since(self.position)
        self.position = self.log.position
        return self.stream.feed(new) if new or not self.stream.exact else self.stream.tokens


@dataclass(slots=True, eq=False)
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
    discarded: bool = False
    """The user left it out of the context."""
    request: Request | None = None
    """What will be sent; `None` for answers from the history."""
    warnings: list[str] = field(default_factory=list)
    """What went wrong without ending the answer, a line each."""
    running: bool = False
    """True from the moment it is stored until it has an end."""
    started_at_s: float | None = None
    """When the request was started, on the monotonic clock of this process."""
    text_log: Log = field(default_factory=Log)
    reasoning_log: Log = field(default_factory=Log)
    reported: Usage = field(default_factory=Usage)
    billed_usd: Decimal | None = None
    final_usage: CountedUsage | None = None
    """Set once the answer ended, and for answers from the history."""
    final_cost: Cost | None = None
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
    paused: bool = False
    """Held for a verdict by the user; nothing is read from the server meanwhile."""
    input_estimate: int | None = None
    """Our count of the prompt."""
    sent: bool = False
    """True when the request may have reached the model: from then on stopping can cost money."""
    sent_on: bool = True
    """False when the answer does not go to the model with the next prompt; set by whoever builds the context."""
    _counter: TokenCounter | None = None
    _tool_log: Log = field(default_factory=Log)
    _counts: tuple[_Count, _Count, _Count] | None = None
    _samples: deque[tuple[float, int]] = field(default_factory=deque)
    _reasoning_at_s: float | None = None
    _outgrown: bool = False
    """True when tokens came after the last reported output: then that figure is of an earlier moment."""

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
                if self._reasoning_at_s is not None and self.reasoning_s is None:
                    self.reasoning_s = at_s - self._reasoning_at_s
                self.text_log.append(text)
            case ReasoningDelta(text):
                self._first_token(at_s)
                if self._reasoning_at_s is None:
                    self._reasoning_at_s = at_s
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
                self.waiting, self.waiting_until_s, self.attempts, self.sent = event, at_s + wait_s, attempt, False
            case Unreadable(count):
                self.unreadable += count
            case Finished(reason):
                self.finish_reason = reason
            case _:
                assert_never(event)

    def _first_token(self, at_s: float) -> None:
        self.sent, self.waiting, self._outgrown = True, None, True
        if self.ttft_s is None and self.started_at_s is not None:
            self.ttft_s = at_s - self.started_at_s

    def end(self, at_s: float, reason: FinishReason, error: ChatError | None = None) -> None:
        """Close the answer: usage and cost become final."""
        self.finish_reason, self.error = reason, error
        if self.started_at_s is not None:
            self.total_s = at_s - self.started_at_s
        if self._reasoning_at_s is not None and self.reasoning_s is None:
            self.reasoning_s = at_s - self._reasoning_at_s
        self.final_usage, self.final_cost = self.usage, self.cost
        self.running, self.paused, self.waiting = False, False, None

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
        counted = self.counted_output
        if known.output_tokens is None or (self._outgrown and counted > known.output_tokens):
            known = known.updated(Usage(output_tokens=counted))
            estimated.append("output_tokens")
        cut = self.finish_reason in ("cancelled", "error", "interrupted", "budget")
        source: UsageSource = "partial" if cut else "estimated" if estimated else "reported"
        return CountedUsage(known, source, tuple(estimated))

    @property
    def counted_output(self) -> int:
        """Our own count of everything generated so far: text, reasoning and tool calls."""
        if self._counts is None or self._counter is None:
            return 0
        encoding = self.model.encoding or self._counter.encoding_for(self.model.id)
        return sum(count.tokens(self._counter, encoding) for count in self._counts)

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
        return cost_of(self.usage, self.model.price, self.created_at, self.billed_usd)

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
        return count / span if span >= 0.2 else None

    @property
    def state(self) -> State:
        """What the screen says of it."""
        if self.running:
            if self.paused:
                return State.PAUSED
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
