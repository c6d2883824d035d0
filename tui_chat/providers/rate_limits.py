"""Requests that wait for their turn, so that a provider's limits are filled and never tripped.

Why before sending and not after a 429: what was refused may count against the limit, and a batch that runs into it
spends its retries there. Nobody tells where a server's minute begins, or whether it slides or drips. So the rule is the
strictest: never more than the limit in *any* 60 s, measured at the latest moment at which the server can have counted
a request, which is when its headers came. That suits fixed windows, sliding ones and token buckets alike.

`RateLimiter` is pure (every call is handed the time) and holds the queue; `Turnstile` lets coroutines stand in it.
What a server tells in its headers holds besides what the user set; it is read as OpenAI (platform.openai.com/docs/
guides/rate-limits), Groq and Anthropic (docs.anthropic.com/en/api/rate-limits) write it, read 2026-11.
"""

import asyncio
import math
import re
import time
from bisect import insort
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field, replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from itertools import count
from typing import Literal

from tui_chat.core.events import Dequeued, Queued, ReasoningDelta, StreamEvent, TextDelta, ToolCallDelta, UsageUpdate
from tui_chat.core.record import entity, record
from tui_chat.core.request import Request
from tui_chat.core.usage import Usage

SPAN_S = 60.0
"""What a limit is measured over."""
LONGEST_LEARNED_S = 60.0
"""A wait for what a server told that would be longer is not waited: the request goes, and the server decides."""
OUTPUT_GUESS = 500
"""Tokens of an answer whose length nothing limits, before it is known."""
_MARGIN = 0.01
"""The part of a span that is waited beyond it: clocks differ, and some count in whole seconds."""
_GRACE_S = 0.1
"""The same for a moment that the server named."""
_SOON_S = 1.0
"""A wait whose end nobody knows: for the headers of another request, which are about to come."""
_NEWS_S = 0.5
"""A change of the time to wait that is told."""
_LETTERS = 4
"""Characters of a token, where nothing better is known."""

Kind = Literal["requests", "tokens", "input", "output"]
_HEADERS: dict[Kind, tuple[str, ...]] = {
    "requests": ("x-ratelimit-{}-requests", "anthropic-ratelimit-requests-{}"),
    "tokens": ("x-ratelimit-{}-tokens", "anthropic-ratelimit-tokens-{}"),
    "input": ("anthropic-ratelimit-input-tokens-{}",),
    "output": ("anthropic-ratelimit-output-tokens-{}",),
}
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_UNITS_S = (86400.0, 3600.0, 60.0, 1.0, 0.001)


# what a server tells


@record
class Allowance:
    """What a server says is left of one of its limits, whatever the period of it."""

    limit: int | None
    """`None` = not told."""
    remaining: int
    reset_in_s: float


def allowances(headers: Mapping[str, str], now: float) -> dict[Kind, Allowance]:
    """Return what the headers of an answer tell; nothing of a limit about which they are silent or make no sense.

    `headers` have names in lower case; `now` is Unix time, for servers that name a moment. Their own clock is taken
    where they show it.
    """
    now = _own_time(headers, now)
    found = {kind: _allowance(headers, names, now) for kind, names in _HEADERS.items()}
    return {kind: allowance for kind, allowance in found.items() if allowance is not None}


def _allowance(headers: Mapping[str, str], names: tuple[str, ...], now: float) -> Allowance | None:
    for name in names:
        limit = _amount(headers.get(name.format("limit"), ""))
        remaining = _amount(headers.get(name.format("remaining"), ""))
        reset_in_s = _until(headers.get(name.format("reset"), ""), now)
        if remaining is not None and math.isfinite(reset_in_s) and limit != 0:
            return Allowance(limit, remaining, max(0.0, reset_in_s))
    return None


def _own_time(headers: Mapping[str, str], now: float) -> float:
    try:
        return parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError, OverflowError, IndexError):
        return now


def _amount(text: str) -> int | None:
    number = _number(text)
    return int(number) if math.isfinite(number) and number >= 0 else None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _until(text: str, now: float) -> float:
    """Return the seconds until a reset: `12ms`, `6m0s`, `30`, Unix time in s or ms, RFC 3339; NaN for anything else."""
    text = text.strip()
    if text and (parts := _DURATION.fullmatch(text.lower())) is not None:
        return sum(float(part) * unit for part, unit in zip(parts.groups(), _UNITS_S, strict=True) if part)
    number = _number(text)
    if math.isfinite(number):
        number = number / 1000 if number > 1e11 else number
        return number - now if number > 1e9 else number
    try:
        moment = datetime.fromisoformat(text)
        return moment.timestamp() - now if moment.tzinfo is not None else math.nan
    except (ValueError, OverflowError):
        return math.nan


@entity
class _Left:
    """What is left of a limit that the server told of."""

    limit: int | None
    remaining: int
    reset_at_s: float | None
    """`None` = it was reset since, and nothing was heard of it yet."""

    def room_at(self, amount: int, now_s: float, *, awaited: bool) -> float:
        """Return when there is room; `awaited` says that the headers of some request are still to come."""
        if self.reset_at_s is not None and now_s >= self.reset_at_s:
            self.remaining, self.reset_at_s = self.limit or 0, None
        if min(amount, self.limit or amount) <= self.remaining:
            return now_s
        if self.reset_at_s is None:  # how much there is now, one request will tell
            return now_s + _SOON_S if awaited else now_s
        return self.reset_at_s if self.reset_at_s - now_s <= LONGEST_LEARNED_S + _GRACE_S else now_s


# what the user set


@entity
class Share:
    """What one request took of a window."""

    amount: int
    at_s: float | None = None
    """From when on it counts for a whole span; `None` = it is on its way, and counts as of now."""
    gone: bool = False


class Window:
    """At most so many in any span, the one that is on its way included. Times must not go back."""

    def __init__(self, limit: int, span_s: float = SPAN_S) -> None:
        self.limit = limit
        self._span_s = span_s * (1 + _MARGIN)
        self._under_way: list[Share] = []
        self._settled: deque[Share] = deque()
        """Those that count from a known moment, the oldest first."""
        self._used = 0

    def take(self, amount: int, at_s: float | None = None) -> Share:
        share = Share(amount, at_s)
        self._used += amount
        (self._under_way if at_s is None else self._settled).append(share)
        return share

    def settle(self, share: Share, at_s: float) -> None:
        """Count a share from now on."""
        self._under_way.remove(share)
        share.at_s = at_s
        self._settled.append(share)

    def forget(self, share: Share) -> None:
        """Give back a share of what was never sent."""
        self._under_way.remove(share)
        self._drop(share)

    def correct(self, share: Share, amount: int) -> None:
        """Take a share for what it turned out to be."""
        if not share.gone:
            self._used += amount - share.amount
        share.amount = amount

    def room_at(self, amount: int, now_s: float) -> float:
        """Return when so much can be taken, at the earliest now; what is larger than the limit goes alone."""
        while self._settled and self._end_of(self._settled[0]) <= now_s:
            self._drop(self._settled.popleft())
        over = self._used + min(amount, self.limit) - self.limit
        if over <= 0:
            return now_s
        for share in self._settled:
            over -= share.amount
            if over <= 0:
                return self._end_of(share)
        return now_s + self._span_s

    def foreseen(self, now_s: float) -> "Window":
        """Return what it would be if the headers of everything under way came now."""
        copy = Window(self.limit)
        copy._span_s, copy._used = self._span_s, self._used
        copy._settled = deque(self._settled)
        copy._settled.extend(Share(share.amount, now_s) for share in self._under_way)
        return copy

    def _end_of(self, share: Share) -> float:
        return (share.at_s or 0.0) + self._span_s

    def _drop(self, share: Share) -> None:
        share.gone = True
        self._used -= share.amount


# who waits


@record
class Need:
    """What one request takes, as far as that is known before it is answered."""

    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def of(self, kind: Kind) -> int:
        match kind:
            case "requests":
                return 1
            case "tokens":
                return self.tokens
            case "input":
                return self.input_tokens
            case "output":
                return self.output_tokens


def need_of(request: Request) -> Need:
    """Return what a request takes: our count of the prompt, and the longest answer or a modest guess."""
    longest = request.params.get("max_tokens")
    limited = isinstance(longest, int) and not isinstance(longest, bool) and longest > 0
    counted = request.input_tokens
    if counted is None:
        counted = sum(message.size for message in request.messages) // _LETTERS
    return Need(counted, longest if limited else OUTPUT_GUESS)  # type: ignore[arg-type]


@entity
class Ticket:
    """One request in the queue, and what became of it."""

    number: int
    """Its place: whoever came first keeps the lower one, retries too."""
    model: str = ""
    need: Need = Need()
    waited: bool = False
    """It was refused, and has waited as long as the server asked it to."""
    admitted: bool = False
    reached: bool = False
    """Some of it may have come to the server."""
    answered: bool = False
    """Its headers came."""
    until_s: float = 0.0
    """When its turn will come, as far as that can be foreseen."""
    before: int = 0
    """How many go before it."""
    reason: str = ""
    news: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    order: int = 0
    """In the order of sending."""
    shares: tuple[Share | None, Share | None] = (None, None)
    """What it took of the requests and of the tokens."""
    usage: Usage = Usage()
    """What the server reported."""
    letters: int = 0
    """Characters of the answer."""

    def note(self, event: StreamEvent) -> None:
        """Take what an event says of the tokens."""
        match event:
            case UsageUpdate(usage):
                self.usage = self.usage.updated(usage)
            case TextDelta(text) | ReasoningDelta(text) | ToolCallDelta(_, text):
                self.letters += len(text)

    @property
    def tokens(self) -> int:
        """What the answer took: as reported, else what we take it for."""
        usage = self.usage.checked()
        sent = self.need.input_tokens if usage.input_tokens is None else usage.input_tokens
        if usage.output_tokens is not None:
            return sent + usage.output_tokens
        return sent + max(self.need.output_tokens, self.letters // _LETTERS)


@record
class _Room:
    at_s: float
    reason: str
    own: bool = False
    """It is the model's own limit that has none: requests to other models may go."""


class _Book:
    """What one endpoint grants, and what of it is taken."""

    def __init__(self, requests: int | None = None, tokens: int | None = None, span_s: float = SPAN_S) -> None:
        self.requests = Window(requests, span_s) if requests else None
        self.tokens = Window(tokens, span_s) if tokens else None
        self.reported = Window(tokens, span_s) if tokens else None
        """The tokens again, from when they were reported: some servers count them only then."""
        self.learned: dict[str, dict[Kind, _Left]] = {}
        """By model, and by the empty name what was heard last: servers differ in what they count together."""
        self.held_until_s = 0.0
        self.awaited: list[Ticket] = []
        """Those whose headers are still to come."""

    def foreseen(self, now_s: float) -> "_Book":
        """Return a copy to look ahead with."""
        copy = _Book()
        copy.requests, copy.tokens, copy.reported = (
            window and window.foreseen(now_s) for window in (self.requests, self.tokens, self.reported)
        )
        copy.learned = {
            model: {kind: replace(left) for kind, left in lefts.items()} for model, lefts in self.learned.items()
        }
        copy.held_until_s, copy.awaited = self.held_until_s, self.awaited
        return copy

    def room_for(self, ticket: Ticket, now_s: float) -> _Room:
        """Return when there is room for a request, and what it waits for."""
        shared = max(self._shared(ticket, now_s), key=lambda room: room.at_s)
        own = max(self._own(ticket, now_s), key=lambda room: room.at_s, default=shared)
        worst = max(shared, own, key=lambda room: room.at_s)
        return replace(worst, own=shared.at_s <= now_s)

    def _shared(self, ticket: Ticket, now_s: float) -> Iterator[_Room]:
        yield _Room(now_s, "")
        if self.requests is not None:
            many = "request" if self.requests.limit == 1 else "requests"
            words = f"the limit of {self.requests.limit:,} {many} a minute has room"
            yield _Room(self.requests.room_at(1, now_s), words)
        for window in (self.tokens, self.reported):
            if window is not None:
                words = f"the limit of {window.limit:,} tokens a minute has room"
                yield _Room(window.room_at(ticket.need.tokens, now_s), words)
        if not ticket.waited and self.held_until_s > now_s:
            yield _Room(self.held_until_s, "the server takes requests again")

    def _own(self, ticket: Ticket, now_s: float) -> Iterator[_Room]:
        if ticket.waited:  # the server itself said that it may come
            return
        for kind, left in self._left_of(ticket.model).items():
            what = "requests" if kind == "requests" else "tokens"
            at_s = left.room_at(ticket.need.of(kind), now_s, awaited=bool(self.awaited))
            yield _Room(at_s, f"the server has {what} left")

    def _left_of(self, model: str) -> dict[Kind, _Left]:
        return self.learned.get(model) or self.learned.get("", {})

    def take(self, ticket: Ticket, at_s: float | None = None) -> tuple[Share | None, Share | None]:
        """Take what a request needs; with `at_s` as if its headers had come then."""
        for kind, left in self._left_of(ticket.model).items():
            left.remaining = max(0, left.remaining - ticket.need.of(kind))
        requests = self.requests.take(1, at_s) if self.requests is not None else None
        return requests, self.tokens.take(ticket.need.tokens, at_s) if self.tokens is not None else None

    def settle(self, ticket: Ticket, now_s: float) -> None:
        """Count from now on what a request took: its headers came, or will not come any more."""
        self.awaited.remove(ticket)
        for window, share in zip((self.requests, self.tokens), ticket.shares, strict=True):
            if window is not None and share is not None:
                window.settle(share, now_s)

    def forget(self, ticket: Ticket) -> None:
        """Give back what a request took that never left."""
        self.awaited.remove(ticket)
        for window, share in zip((self.requests, self.tokens), ticket.shares, strict=True):
            if window is not None and share is not None:
                window.forget(share)
        for kind, left in self._left_of(ticket.model).items():
            left.remaining += ticket.need.of(kind)

    def learn(self, model: str, told: Mapping[Kind, Allowance], now_s: float) -> None:
        """Take what the headers tell, less what is on its way and may not be counted in it."""
        lefts = {}
        for kind, allowance in told.items():
            on_its_way = sum(ticket.need.of(kind) for ticket in self.awaited)
            reset_at_s = now_s + allowance.reset_in_s + _GRACE_S
            lefts[kind] = _Left(allowance.limit, max(0, allowance.remaining - on_its_way), reset_at_s)
        if lefts:
            self.learned[model] = self.learned[""] = lefts


class RateLimiter:
    """The queue of one endpoint. It is handed the time, which must not go back, and starts nothing by itself."""

    def __init__(self, requests: int | None = None, tokens: int | None = None, span_s: float = SPAN_S) -> None:
        self._span_s = span_s
        self._book = _Book(requests, tokens, span_s)
        self._queue: list[Ticket] = []
        self._order = count(1)
        self._heard: dict[str, int] = {}
        """By model, the last request from whose headers something was learned, in the order of sending."""

    def limit(self, requests: int | None, tokens: int | None) -> None:
        """Hold these limits too; of two the stricter one."""
        fresh, book = _Book(requests, tokens, self._span_s), self._book
        book.requests = _stricter(book.requests, fresh.requests)
        book.tokens = _stricter(book.tokens, fresh.tokens)
        book.reported = _stricter(book.reported, fresh.reported)

    def join(self, ticket: Ticket) -> None:
        insort(self._queue, ticket, key=lambda waiting: waiting.number)

    def leave(self, ticket: Ticket, now_s: float) -> None:
        """Take a request out, wherever it is; what never came to the server does not count."""
        if not ticket.admitted:
            if ticket in self._queue:
                self._queue.remove(ticket)
        elif ticket.answered:
            self._report(ticket, now_s)
        elif ticket in self._book.awaited:
            if ticket.reached:
                self._book.settle(ticket, now_s)
            else:
                self._book.forget(ticket)

    def _report(self, ticket: Ticket, now_s: float) -> None:
        """Take the tokens for what they turned out to be."""
        book, share = self._book, ticket.shares[1]
        if book.tokens is None or book.reported is None or share is None:
            return
        book.tokens.correct(share, ticket.tokens)
        if ticket.letters or ticket.usage != Usage():
            book.reported.take(ticket.tokens, now_s)

    def answered(self, ticket: Ticket, now_s: float, told: Mapping[Kind, Allowance]) -> None:
        """Take that the headers of a request came, and what they told."""
        ticket.answered = True
        self._book.settle(ticket, now_s)
        if told and ticket.order > self._heard.get(ticket.model, 0):  # what was sent earlier tells of an earlier moment
            self._heard[ticket.model] = ticket.order
            self._book.learn(ticket.model, told, now_s)

    def hold(self, until_s: float) -> None:
        """Let nobody go before: the server asked one of them to wait."""
        self._book.held_until_s = max(self._book.held_until_s, until_s + _GRACE_S)

    def admit(self, now_s: float) -> list[Ticket]:
        """Return those whose turn has come, and foresee that of the others."""
        admitted, full = [], set()
        for ticket in tuple(self._queue):
            if ticket.model in full and not ticket.waited:
                continue
            room = self._book.room_for(ticket, now_s)
            if room.at_s <= now_s:
                self._send(ticket)
                admitted.append(ticket)
            elif room.own:
                full.add(ticket.model)
            else:
                break
        self._foresee(now_s)
        return admitted

    def _send(self, ticket: Ticket) -> None:
        self._queue.remove(ticket)
        ticket.admitted = True
        ticket.shares = self._book.take(ticket)
        self._book.awaited.append(ticket)
        ticket.order = next(self._order)

    def _foresee(self, now_s: float) -> None:
        """Play the queue forward, as if every answer came at once."""
        if not self._queue:
            return
        book, at_s, reason = self._book.foreseen(now_s), now_s, ""
        own_at_s: dict[str, float] = {}
        """When the last one so far goes, by model: nobody goes before it."""
        for before, ticket in enumerate(self._queue):
            room = book.room_for(ticket, at_s)
            at_s, reason = at_s if room.own else room.at_s, room.reason or reason
            book.take(ticket, at_s)
            ticket.before, ticket.reason, ticket.until_s = before, reason, room.at_s
            if not ticket.waited:
                own_at_s[ticket.model] = ticket.until_s = max(room.at_s, own_at_s.get(ticket.model, 0.0))

    @property
    def next_at_s(self) -> float | None:
        """When somebody's turn comes if nothing happens before; `None` when nobody waits."""
        return min((ticket.until_s for ticket in self._queue), default=None)

    @property
    def queue(self) -> tuple[Ticket, ...]:
        return tuple(self._queue)


def _stricter(one: Window | None, other: Window | None) -> Window | None:
    if one is None or other is None:
        return one or other
    one.limit = min(one.limit, other.limit)
    return one


class Turnstile:
    """The limiter of one endpoint for coroutines of one event loop: they wait in it, and see how long."""

    def __init__(self, limiter: RateLimiter, clock: Callable[[], float] = time.monotonic) -> None:
        self._limiter = limiter
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None

    def limit(self, requests: int | None, tokens: int | None) -> None:
        """Hold these limits too."""
        self._limiter.limit(requests, tokens)

    async def turn_of(self, ticket: Ticket) -> AsyncGenerator[Queued | Dequeued, None]:
        """Wait until a request may be sent; yield what there is to see of it, nothing when it may at once.

        Only within a `visit`.
        """
        self._limiter.join(ticket)
        self._turn()
        shown: tuple[int, str, float] | None = None
        while not ticket.admitted:
            ticket.news.clear()
            if shown is None or shown[:2] != (ticket.before, ticket.reason) or _differ(shown[2], ticket.until_s):
                shown = (ticket.before, ticket.reason, ticket.until_s)
                yield Queued(max(0.0, ticket.until_s - self._clock()), ticket.before, ticket.reason)
            await ticket.news.wait()
        if shown is not None:
            yield Dequeued()

    def answered(self, ticket: Ticket, headers: Mapping[str, str]) -> None:
        """Take that the headers of a request came."""
        self._limiter.answered(ticket, self._clock(), allowances(headers, time.time()))
        self._turn()

    def hold(self, seconds: float) -> None:
        """Hold back everybody for so long."""
        self._limiter.hold(self._clock() + seconds)
        self._turn()

    @contextmanager
    def visit(self, ticket: Ticket) -> Iterator[None]:
        """Take a request out in the end, whatever became of it; its place is free at once."""
        try:
            yield
        finally:
            self._limiter.leave(ticket, self._clock())
            self._turn()

    def _turn(self) -> None:
        """Let those through whose turn has come, tell the others, and wake up for the next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now_s = self._clock()
        for ticket in (*self._limiter.admit(now_s), *self._limiter.queue):
            ticket.news.set()
        next_at_s = self._limiter.next_at_s
        if next_at_s is not None:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, next_at_s - now_s), self._turn)


def _differ(one_s: float, other_s: float) -> bool:
    return abs(one_s - other_s) > _NEWS_S


class Turnstiles:
    """The turnstiles of this run, one for each address and key, whatever providers share them."""

    def __init__(self, span_s: float = SPAN_S) -> None:
        """`span_s` is what a limit is measured over; only tests change it."""
        self._span_s = span_s
        self._known: dict[tuple[str, str | None], Turnstile] = {}
        self._numbers = count(1)

    def number(self) -> int:
        """Return the place in the queue of whoever comes now."""
        return next(self._numbers)

    def at(self, base_url: str, key: str | None, requests: int | None, tokens: int | None) -> Turnstile:
        """Return where requests with this key to this address wait; the limits hold besides those known before."""
        place = base_url.strip().rstrip("/"), key
        if place not in self._known:
            self._known[place] = Turnstile(RateLimiter(span_s=self._span_s))
        self._known[place].limit(requests, tokens)
        return self._known[place]
