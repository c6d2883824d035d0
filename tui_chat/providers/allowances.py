"""What a server tells of its limits in the headers of its answers: how much is left, and when it is all there again.

`allowances` reads one answer, `Told` keeps what was heard last and takes off it what is sent since. It believes no more
than is certain: what was on its way may not be counted in what is told, models may share a count or not, and a reset
may bring back all or only a part. So nothing is guessed of a period; after a reset one request goes first to ask.

As OpenAI (platform.openai.com/docs/guides/rate-limits), Groq (console.groq.com/docs/rate-limits) and Anthropic
(docs.anthropic.com/en/api/rate-limits) write it, read 2026-11; others write the same names with other forms of time.
"""

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from email.utils import parsedate_to_datetime

from tui_chat.core.record import entity, record
from tui_chat.providers.ticket import Kind, Ticket

LONGEST_LEARNED_S = 60.0
"""A wait for what a server told that would be longer is not waited: the request goes, and the server decides."""
GRACE_S = 0.1
"""What is waited beyond a moment that the server named."""
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

    def room_at(self, amount: int, now_s: float, news_at_s: float) -> float:
        """Return when there is room; `news_at_s` is until when it is worth to wait for what other headers tell."""
        if self.refills and now_s >= self.reset_at_s:
            self.left, self.reset_at_s = self.limit or amount, now_s + LONGEST_LEARNED_S
        if min(amount, self.limit or amount) <= self.left:
            return now_s
        if now_s >= self.reset_at_s:  # how much there is now, one request will tell
            return max(now_s, news_at_s)
        longest_s = LONGEST_LEARNED_S + 2 * GRACE_S  # more than once: floats
        return self.reset_at_s if self.reset_at_s - now_s <= longest_s else now_s


class Told:
    """What is left as the server told it, by model: most servers count each model apart, some all together.

    Models of the same limit may be in one count. So what one takes is taken off the others too, until they hear of
    it themselves.
    """

    def __init__(self) -> None:
        self._lefts: dict[str, dict[Kind, _Left]] = {}
        self._last = ""
        """The model of which something was heard last."""
        self._sent = 0
        """The last request that was sent, by its `order`."""

    def foreseen(self) -> "Told":
        """Return a copy to look ahead with."""
        copy = Told()
        for model, lefts in self._lefts.items():
            copy._lefts[model] = {kind: replace(left, refills=True) for kind, left in lefts.items()}
        copy._last = self._last
        return copy

    def of(self, model: str) -> Mapping[Kind, _Left]:
        """Return what is left for a model; what was heard last where nothing is known of it."""
        return self._lefts.get(model) or self._lefts.get(self._last) or {}

    def take(self, ticket: Ticket, sign: int = 1) -> None:
        """Take off what a request needs; with `sign` -1 give it back."""
        self._sent = max(self._sent, ticket.order)
        for kind, own in self.of(ticket.model).items():
            for left in self._together(kind, own.limit):
                left.left -= sign * ticket.need.of(kind)

    def learn(self, ticket: Ticket, told: Mapping[Kind, Allowance], awaited: Collection[Ticket], now_s: float) -> None:
        """Take what the headers of a request tell; `awaited` are those whose headers are still to come."""
        if not told:
            self._forget(ticket.model, now_s)
            return
        own = self._lefts.setdefault(ticket.model, {})
        for kind, allowance in told.items():
            for left in self._together(kind, allowance.limit):
                if allowance.remaining > left.told:  # it was counted earlier, and was taken off for nothing
                    left.left += ticket.need.of(kind)
            if _is_later(ticket, allowance, own.get(kind), now_s):
                self._last = ticket.model
                self._replace(own, kind, self._less(allowance, kind, ticket.model, awaited, now_s), now_s)

    def _replace(self, own: dict[Kind, _Left], kind: Kind, new: _Left, now_s: float) -> None:
        """Take what is heard of a model; also for others of which what was heard is over."""
        own[kind] = new
        for lefts in self._lefts.values():
            known = lefts.get(kind)
            if known is not None and known.limit == new.limit and now_s >= known.reset_at_s:
                lefts[kind] = new

    def _forget(self, model: str, now_s: float) -> None:
        """Forget what is over: who tells nothing more cannot be asked how much there is now."""
        lefts = self._lefts.get(model, {})
        if any(now_s >= left.reset_at_s for left in lefts.values()):
            del self._lefts[model]

    def _less(self, allowance: Allowance, kind: Kind, model: str, awaited: Collection[Ticket], now_s: float) -> _Left:
        on_its_way = 0
        for other in awaited:
            known = self.of(other.model).get(kind)
            if other.model == model or known is None or known.limit == allowance.limit:
                on_its_way += other.need.of(kind)
        left, reset_at_s = allowance.remaining - on_its_way, now_s + allowance.reset_in_s + GRACE_S
        return _Left(allowance.limit, allowance.remaining, left, reset_at_s, self._sent)

    def _together(self, kind: Kind, limit: int | None) -> list[_Left]:
        """Return what may be one count, each once."""
        found = {id(lefts[kind]): lefts[kind] for lefts in self._lefts.values() if kind in lefts}
        return [left for left in found.values() if left.limit == limit]


def _is_later(ticket: Ticket, allowance: Allowance, known: _Left | None, now_s: float) -> bool:
    """Say whether an answer tells of a later moment than what is known: of two on their way, the one with less left."""
    if known is None or known.limit != allowance.limit or now_s >= known.reset_at_s:
        return True
    return ticket.order > known.sent or allowance.remaining <= known.told
