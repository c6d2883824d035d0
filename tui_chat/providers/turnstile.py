"""Where coroutines wait for the turn of their request, and see how long: `rate_limits.py` on a clock that runs.

One for each address and key, whatever providers share them. A request that need not wait passes without a pause, and
whoever goes away, in the queue or later, gives the place free at once: `Turnstile.visit` sees to that.
"""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from itertools import count

from tui_chat.core.events import Dequeued, Queued
from tui_chat.providers.allowances import allowances
from tui_chat.providers.rate_limits import SPAN_S, RateLimiter
from tui_chat.providers.ticket import Ticket

_NEWS_S = 0.5
"""A change of the time to wait that is told."""
_PAUSE_S = 0.001
"""Between two times of telling all how long it will take, for each who waits: it costs a hundredth of that."""


class Turnstile:
    """The limiter of one endpoint for coroutines of one event loop."""

    def __init__(self, span_s: float = SPAN_S) -> None:
        self._limiter = RateLimiter(span_s=span_s)
        self._waiting: dict[Ticket, asyncio.Event] = {}
        """Set when there is something new for it."""
        self._timer: asyncio.TimerHandle | None = None
        self._telling: asyncio.TimerHandle | None = None
        self._told_at_s = -math.inf

    def limit(self, requests: int | None, tokens: int | None) -> None:
        """Hold these limits too; of two the stricter one."""
        self._limiter.limit(requests, tokens)

    @contextmanager
    def visit(self, ticket: Ticket) -> Iterator[None]:
        """Take a request out in the end, whatever became of it."""
        try:
            yield
        finally:
            self._waiting.pop(ticket, None)
            self._limiter.leave(ticket, time.monotonic())
            self._turn()

    async def turn_of(self, ticket: Ticket) -> AsyncGenerator[Queued | Dequeued, None]:
        """Wait until a request may be sent; yield what there is to see of it, nothing when it may at once.

        Only within a `visit`.
        """
        self._limiter.join(ticket)
        self._turn()
        if ticket.admitted:
            return
        news = self._waiting[ticket] = asyncio.Event()
        shown: Queued | None = None
        shown_until_s = 0.0
        while not ticket.admitted:
            await news.wait()
            news.clear()
            queued = Queued(max(0.0, ticket.until_s - time.monotonic()), ticket.before, ticket.reason)
            moved = abs(ticket.until_s - shown_until_s) > _NEWS_S
            if shown is None or moved or (shown.before, shown.reason) != (queued.before, queued.reason):
                if ticket.admitted:
                    break
                shown, shown_until_s = queued, ticket.until_s
                yield queued
        if shown is not None:
            yield Dequeued()

    def answered(self, ticket: Ticket, headers: Mapping[str, str]) -> None:
        """Take that the headers of a request came; they have names in lower case."""
        self._limiter.answered(ticket, time.monotonic(), allowances(headers, time.time()))
        self._turn()

    def hold(self, seconds: float) -> None:
        """Hold back everybody for so long."""
        self._limiter.hold(time.monotonic() + seconds)
        self._turn()

    def _turn(self) -> None:
        """Let those through whose turn has come, wake up for the next, and tell the others."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now_s = time.monotonic()
        for ticket in self._limiter.admit(now_s):
            if (news := self._waiting.pop(ticket, None)) is not None:
                news.set()
        next_at_s = self._limiter.next_at_s
        if next_at_s is None:
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(0.0, next_at_s - now_s), self._turn)
        if self._telling is None:
            due_at_s = self._told_at_s + len(self._waiting) * _PAUSE_S
            self._telling = loop.call_later(max(0.0, due_at_s - now_s), self._tell)

    def _tell(self) -> None:
        self._telling, self._told_at_s = None, time.monotonic()
        self._limiter.foresee(self._told_at_s)
        for news in self._waiting.values():
            news.set()


class Turnstiles:
    """The turnstiles of this run, one for each address and key."""

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
            self._known[place] = Turnstile(self._span_s)
        self._known[place].limit(requests, tokens)
        return self._known[place]
