"""What a server tells of its limits in the headers of its answers: how much is left, and when it is all there again.

`allowances` reads one answer, `Told` keeps what was heard last and takes off it what is sent since. It believes no more
than is certain: what was on its way may not be counted in what is told, models may share a count or not, and a reset
may bring back all or only a part. So nothing is guessed of a period; after a reset one request goes first to ask.

Names and forms: OpenAI (platform.openai.com/docs/guides/rate-limits, the text of 2026-06: a reset is when all is there
again), Groq (console.groq.com/docs/rate-limits, read 2026-11: requests are counted per day, tokens per minute), and
Anthropic (docs.anthropic.com/en/api/rate-limits as others quoted it in 2026-11: moments in RFC 3339). Other servers use
the names of OpenAI with seconds or Unix time.
"""

import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from email.utils import parsedate_to_datetime

from tui_chat.core.record import entity, record
from tui_chat.providers.ticket import Kind, Ticket

LONGEST_LEARNED_S = 60.0
"""A wait for what a server told that would be longer is not waited: the request goes, and the server decides."""
GRACE_S = 0.1
"""What is waited beyond a moment that the server named."""
_DOUBT_S = 5.0
"""So long before a reset as we know it the server may have had it already: its word took a while to come."""
_HEADERS: dict[Kind, tuple[str, ...]] = {
    "requests": ("x-ratelimit-{}-requests", "anthropic-ratelimit-requests-{}"),
    "tokens": ("x-ratelimit-{}-tokens", "anthropic-ratelimit-tokens-{}"),
    "input": ("anthropic-ratelimit-input-tokens-{}",),
    "output": ("anthropic-ratelimit-output-tokens-{}",),
}
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_UNITS_S = (86400.0, 3600.0, 60.0, 1.0, 0.001)
_MOMENT = 1e9
"""A number so large is no duration: Unix time."""
_MOMENT_MS = 1e11


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
    if not any("ratelimit" in name for name in headers):
        return {}
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
        number = number / 1000 if number > _MOMENT_MS else number
        return number - now if number > _MOMENT else number
    try:
        moment = datetime.fromisoformat(text)
        return moment.timestamp() - now if moment.tzinfo is not None else math.nan
    except (ValueError, OverflowError):
        return math.nan


@entity
class _Left:
    """What is left of a limit that the server told of."""

    limit: int | None
    told: int
    """What it said was left."""
    left: int
    """That, less what was sent since, or was on its way then and may not be counted in it; can be below 0."""
    reset_at_s: float
    sent: int
    """The last request that had been sent when it was heard: what came later was counted later."""
    refills: bool = False
    """For a look ahead: after the reset the whole limit is taken to be there."""

    def room_at(self, amount: int, now_s: float, news_at_s: float, *, own: bool) -> float:
        """Return when there is room.

        `news_at_s` is until when it is worth to wait for what other headers tell; without `own` it was told of another
        model.
        """
        if self.refills and self.is_over(now_s):
            self.left, self.reset_at_s = self.limit or amount, now_s + LONGEST_LEARNED_S
        if min(amount, self.limit or amount) <= self.left:
            return now_s
        if self.is_over(now_s) or not (own or self.refills):  # how much there is, one request will tell
            return max(now_s, news_at_s)
        longest_s = LONGEST_LEARNED_S + 2 * GRACE_S  # more than once: floats
        return self.reset_at_s if self.reset_at_s - now_s <= longest_s else now_s

    def is_over(self, now_s: float) -> bool:
        """Say whether there was a reset since."""
        return now_s >= self.reset_at_s

    def is_later(self, ticket: Ticket, allowance: Allowance, now_s: float) -> bool:
        """Say whether this is of a later moment than what an answer tells: of two on their way, the one with less."""
        if self.limit != allowance.limit or self.is_over(now_s):
            return False
        return ticket.order <= self.sent and allowance.remaining > self.told

    def is_apart_from(self, ticket: Ticket, allowance: Allowance, now_s: float) -> bool:
        """Say whether what an answer tells, which was sent later, is too much for the same count."""
        comparable = ticket.order > self.sent and not self.is_over(now_s + _DOUBT_S)
        return comparable and allowance.remaining >= max(1, self.told)


class Told:
    """What is left as the server told it, by model: most servers count each model apart, some all together.

    Models of the same limit may be in one count. So what one takes is taken off the others too, until they hear of
    it themselves; and a model of which nothing was heard yet goes by what was heard last.
    """

    def __init__(self) -> None:
        self._lefts: dict[str, dict[Kind, _Left]] = {}
        self._last = ""
        """The model of which something was heard last."""
        self._apart = False
        """Models of the same limit were seen to be counted apart."""
        self._sent = 0
        """The last request that was sent, by its `order`."""

    def foreseen(self) -> "Told":
        """Return a copy to look ahead with."""
        copy = Told()
        for model, lefts in self._lefts.items():
            copy._lefts[model] = {kind: replace(left, refills=True) for kind, left in lefts.items()}
        copy._last, copy._apart = self._last, self._apart
        return copy

    def rooms(self, ticket: Ticket, now_s: float, news_at_s: float) -> Iterator[tuple[Kind, float]]:
        """Yield for each limit when it has room for a request; `news_at_s` as in `_Left.room_at`."""
        own = ticket.model in self._lefts
        for kind, known in self._of(ticket.model).items():
            left = self._lasting(kind, known, now_s)
            yield kind, left.room_at(ticket.need.of(kind), now_s, news_at_s, own=own)

    def _lasting(self, kind: Kind, known: _Left, now_s: float) -> _Left:
        """Return what was heard of another model where what is known of this one is over."""
        last = self._lefts.get(self._last, {}).get(kind)
        if last is None or self._apart or last.limit != known.limit or not known.is_over(now_s):
            return known
        return last

    def _of(self, model: str) -> Mapping[Kind, _Left]:
        return self._lefts.get(model) or self._lefts.get(self._last) or {}

    def take(self, ticket: Ticket, sign: int = 1) -> None:
        """Take off what a request needs; with `sign` -1 give it back."""
        self._sent = max(self._sent, ticket.order)
        for kind, own in self._of(ticket.model).items():
            for left in self._together(kind, own.limit, ticket.model):
                left.left -= sign * ticket.need.of(kind)

    def learn(self, ticket: Ticket, told: Mapping[Kind, Allowance], awaited: Collection[Ticket], now_s: float) -> None:
        """Take what the headers of a request tell; `awaited` are those whose headers are still to come."""
        if not told:
            self._forget(ticket.model, now_s)
            return
        own = self._lefts.get(ticket.model, {})
        news = {}
        for kind, allowance in told.items():
            known = own.get(kind)
            for left in self._together(kind, allowance.limit, ticket.model):
                if allowance.remaining > left.told:  # it was counted earlier, and was taken off for nothing
                    left.left += ticket.need.of(kind)
                if left is not known and left.is_apart_from(ticket, allowance, now_s):
                    self._apart = True
            if known is None or not known.is_later(ticket, allowance, now_s):
                news[kind] = self._less(ticket, kind, allowance, awaited, now_s)
        if news:
            self._lefts[ticket.model], self._last = {**own, **news}, ticket.model

    def _forget(self, model: str, now_s: float) -> None:
        """Forget what is over: who tells nothing more cannot be asked how much there is now."""
        lefts = self._lefts.get(model, {})
        if any(left.is_over(now_s) for left in lefts.values()):
            del self._lefts[model]

    def _less(
        self, ticket: Ticket, kind: Kind, allowance: Allowance, awaited: Collection[Ticket], now_s: float
    ) -> _Left:
        """Return what is certainly left of what was told."""
        left = allowance.remaining
        for other in awaited:
            known = self._of(other.model).get(kind)
            together = not self._apart and (known is None or known.limit == allowance.limit)
            if other.model == ticket.model or together:
                left -= other.need.of(kind)
        for known in self._together(kind, allowance.limit, ticket.model):
            if known.is_later(ticket, allowance, now_s):
                left = min(left, known.left)
        reset_at_s = now_s + allowance.reset_in_s + GRACE_S
        return _Left(allowance.limit, allowance.remaining, left, reset_at_s, self._sent)

    def _together(self, kind: Kind, limit: int | None, model: str) -> list[_Left]:
        """Return what may be one count with that of a model."""
        known = [self._of(model)] if self._apart else self._lefts.values()
        return [lefts[kind] for lefts in known if kind in lefts and lefts[kind].limit == limit]
