"""Requests that wait for their turn, so that a provider's limits are filled and never tripped.

Why before sending and not after a 429: what was refused may count against the limit, and a batch that runs into it
spends its retries there. Nobody tells where a server's minute begins, or whether it slides or drips. So the rule is the
strictest: never more than the limit in *any* 60 s, measured at the latest moment at which the server can have counted
a request, which is when its headers came. That suits fixed windows, sliding ones and token buckets alike.

What a server tells of its limits (`allowances.py`) holds besides what the user set. It is of use only as far as it is
certain: what is on its way may not be counted in it, and what there is after a reset one request goes first to ask.

Pure: every call is handed the time. `turnstile.py` lets coroutines stand in the queue.
"""

from bisect import insort
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count

from tui_chat.core.record import record
from tui_chat.core.usage import Usage
from tui_chat.providers.allowances import GRACE_S, Allowance, Told
from tui_chat.providers.ticket import Kind, Share, Ticket

SPAN_S = 60.0
"""What a limit is measured over."""
PATIENCE_S = 5.0
"""How long the headers of one that went first are waited for; then the next goes."""
_MARGIN = 0.01
"""The part of a span that is waited beyond it: clocks differ, and some count in whole seconds."""


class Window:
    """At most so many in any span, the one that is on its way included. Times must not go back."""

    def __init__(self, limit: int, span_s: float = SPAN_S) -> None:
        self.limit = limit
        self._span_s = span_s * (1 + _MARGIN)
        self._under_way: set[Share] = set()
        self._settled: deque[Share] = deque()
        """Those that count from a known moment, the oldest first."""
        self._used = 0

    def take(self, amount: int, at_s: float | None = None) -> Share:
        share = Share(amount, at_s)
        self._used += amount
        if at_s is None:
            self._under_way.add(share)
        else:
            self._settled.append(share)
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


@record
class _Room:
    at_s: float
    reason: str
    own: bool = False
    """It is the model's own limit that has none: requests to other models may go."""


class _Book:
    """What one endpoint grants, and what of it is taken."""

    def __init__(self, span_s: float = SPAN_S) -> None:
        self._span_s = span_s
        self._requests: Window | None = None
        self._tokens: Window | None = None
        self._reported: Window | None = None
        """The tokens again, from when they were reported: some servers count them only then."""
        self._told = Told()
        self._held_until_s = 0.0
        self._awaited: dict[int, Ticket] = {}
        """Those whose headers are still to come, by the order of sending."""
        self._asked_at_s = 0.0
        """When the last one was sent."""

    def limit(self, requests: int | None, tokens: int | None) -> None:
        """Hold these limits too; of two the stricter one."""
        self._requests = self._limited(self._requests, requests)
        self._tokens = self._limited(self._tokens, tokens)
        self._reported = self._limited(self._reported, tokens)

    def _limited(self, window: Window | None, limit: int | None) -> Window | None:
        if limit and window is not None:
            window.limit = min(window.limit, limit)
        return Window(limit, self._span_s) if limit and window is None else window

    def hold(self, until_s: float) -> None:
        self._held_until_s = max(self._held_until_s, until_s + GRACE_S)

    def foreseen(self, now_s: float) -> "_Book":
        """Return a copy to look ahead with: every answer comes at once."""
        copy = _Book()
        copy._requests, copy._tokens, copy._reported = (
            window and window.foreseen(now_s) for window in (self._requests, self._tokens, self._reported)
        )
        copy._told, copy._held_until_s = self._told.foreseen(), self._held_until_s
        return copy

    def room_for(self, ticket: Ticket, now_s: float) -> _Room:
        """Return when there is room for a request, and what it waits for."""
        shared = max(self._shared(ticket, now_s), key=lambda room: room.at_s)
        own = max(self._own(ticket, now_s), key=lambda room: room.at_s, default=shared)
        worst = max(shared, own, key=lambda room: room.at_s)
        return replace(worst, own=shared.at_s <= now_s)

    def _shared(self, ticket: Ticket, now_s: float) -> Iterator[_Room]:
        yield _Room(now_s, "")
        if self._requests is not None:
            many = "request" if self._requests.limit == 1 else "requests"
            words = f"the limit of {self._requests.limit:,} {many} a minute has room"
            yield _Room(self._requests.room_at(1, now_s), words)
        for window in (self._tokens, self._reported):
            if window is not None:
                words = f"the limit of {window.limit:,} tokens a minute has room"
                yield _Room(window.room_at(ticket.need.tokens, now_s), words)
        if not ticket.waited and self._held_until_s > now_s:
            yield _Room(self._held_until_s, "the server takes requests again")

    def _own(self, ticket: Ticket, now_s: float) -> Iterator[_Room]:
        if ticket.waited:  # the server itself said that it may come
            return
        news_at_s = self._asked_at_s + PATIENCE_S if self._awaited else now_s
        for kind, at_s in self._told.rooms(ticket, now_s, news_at_s):
            yield _Room(at_s, f"the server has {'requests' if kind == 'requests' else 'tokens'} left")

    def send(self, ticket: Ticket, now_s: float) -> None:
        """Take what a request needs; its headers are to come."""
        ticket.shares = self._take(ticket, None)
        self._awaited[ticket.order], self._asked_at_s = ticket, now_s

    def play(self, ticket: Ticket, at_s: float) -> None:
        """Take what a request needs as if its headers had come then."""
        self._take(ticket, at_s)

    def _take(self, ticket: Ticket, at_s: float | None) -> tuple[Share | None, Share | None]:
        self._told.take(ticket)
        requests = self._requests.take(1, at_s) if self._requests is not None else None
        return requests, self._tokens.take(ticket.need.tokens, at_s) if self._tokens is not None else None

    def settle(self, ticket: Ticket, now_s: float, told: Mapping[Kind, Allowance] | None = None) -> None:
        """Count from now on what a request took: its headers came and told this, or will not come any more."""
        del self._awaited[ticket.order]
        for window, share in self._shares(ticket):
            window.settle(share, now_s)
        if told is not None:
            self._told.learn(ticket, told, self._awaited.values(), now_s)

    def forget(self, ticket: Ticket) -> None:
        """Give back what a request took that never left."""
        del self._awaited[ticket.order]
        for window, share in self._shares(ticket):
            window.forget(share)
        self._told.take(ticket, -1)

    def _shares(self, ticket: Ticket) -> Iterator[tuple[Window, Share]]:
        for window, share in zip((self._requests, self._tokens), ticket.shares, strict=True):
            if window is not None and share is not None:
                yield window, share

    def report(self, ticket: Ticket, now_s: float) -> None:
        """Take the tokens of an answer that ended for what they turned out to be."""
        share = ticket.shares[1]
        if self._tokens is None or self._reported is None or share is None:
            return
        self._tokens.correct(share, ticket.tokens)
        if ticket.letters or ticket.usage != Usage():
            self._reported.take(ticket.tokens, now_s)

    def is_awaited(self, ticket: Ticket) -> bool:
        return ticket.order in self._awaited


class RateLimiter:
    """The queue of one endpoint. It is handed the time, which must not go back, and starts nothing by itself."""

    def __init__(self, requests: int | None = None, tokens: int | None = None, span_s: float = SPAN_S) -> None:
        self._book = _Book(span_s)
        self._book.limit(requests, tokens)
        self._queue: list[Ticket] = []
        self._order = count(1)
        self.next_at_s: float | None = None
        """When somebody's turn comes if nothing happens before, as of the last `admit`; `None` = nobody waits."""

    def limit(self, requests: int | None, tokens: int | None) -> None:
        """Hold these limits too; of two the stricter one."""
        self._book.limit(requests, tokens)

    def hold(self, until_s: float) -> None:
        """Let nobody go before: the server asked one of them to wait."""
        self._book.hold(until_s)

    def join(self, ticket: Ticket) -> None:
        insort(self._queue, ticket, key=lambda waiting: waiting.number)

    def leave(self, ticket: Ticket, now_s: float) -> None:
        """Take a request out, wherever it is; what never came to the server does not count."""
        if not ticket.admitted:
            if ticket in self._queue:
                self._queue.remove(ticket)
        elif ticket.answered:
            self._book.report(ticket, now_s)
        elif self._book.is_awaited(ticket):
            if ticket.reached:
                self._book.settle(ticket, now_s)
            else:
                self._book.forget(ticket)

    def answered(self, ticket: Ticket, now_s: float, told: Mapping[Kind, Allowance]) -> None:
        """Take that the headers of a request came, and what they told."""
        ticket.answered = True
        self._book.settle(ticket, now_s, told)

    def admit(self, now_s: float) -> list[Ticket]:
        """Return those whose turn has come."""
        admitted, full = [], set()
        self.next_at_s = None
        for ticket in tuple(self._queue):
            if ticket.model in full and not ticket.waited:
                continue
            room = self._book.room_for(ticket, now_s)
            if room.at_s <= now_s:
                self._send(ticket, now_s)
                admitted.append(ticket)
                continue
            self.next_at_s = room.at_s if self.next_at_s is None else min(self.next_at_s, room.at_s)
            if not room.own:
                break
            full.add(ticket.model)
        return admitted

    def _send(self, ticket: Ticket, now_s: float) -> None:
        self._queue.remove(ticket)
        ticket.admitted, ticket.order = True, next(self._order)
        self._book.send(ticket, now_s)

    def foresee(self, now_s: float) -> tuple[Ticket, ...]:
        """Tell all who wait when their turn will come, as if every answer came at once; return them."""
        if not self._queue:
            return ()
        book, at_s, reason = self._book.foreseen(now_s), now_s, ""
        own_at_s: dict[str, float] = {}
        """When the last one so far goes, by model: nobody goes before it."""
        for before, ticket in enumerate(self._queue):
            from_s = at_s if ticket.waited else max(at_s, own_at_s.get(ticket.model, at_s))
            room = book.room_for(ticket, from_s)
            if room.at_s > from_s:
                book.room_for(ticket, room.at_s)  # lets go what is over by then
            book.play(ticket, room.at_s)
            reason = room.reason or reason
            ticket.before, ticket.reason, ticket.until_s = before, reason, room.at_s
            if not room.own:
                at_s = room.at_s
            if not ticket.waited:
                own_at_s[ticket.model] = room.at_s
        return tuple(self._queue)
