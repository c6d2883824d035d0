"""Limits are filled and not tripped: first on a clock of our own, then against servers that count."""

import asyncio
import heapq
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.loopback import (
    Exchange,
    Head,
    LoopbackServer,
    RecordedRequest,
    Stall,
    WaitFor,
    chat_chunk,
    chat_stream,
    chat_usage,
    reply,
    seen,
)
from tui_chat.core.events import Dequeued, Queued, StreamEvent, TextDelta, Waiting
from tui_chat.core.message import Message
from tui_chat.core.model import Model, Params
from tui_chat.core.request import Request
from tui_chat.core.usage import Usage
from tui_chat.providers.allowances import LONGEST_LEARNED_S, Allowance, allowances
from tui_chat.providers.client import HTTPProvider
from tui_chat.providers.endpoint import Endpoint, Network
from tui_chat.providers.openai_chat import OpenAIChat
from tui_chat.providers.rate_limits import PATIENCE_S, RateLimiter
from tui_chat.providers.ticket import OUTPUT_GUESS, Kind, Need, Ticket, need_of
from tui_chat.providers.turnstile import Turnstiles

NOW = 1_800_000_000.0
SPAN_S = 0.4
"""A minute, in the tests with a server."""
QUICK = Network(backoff_s=0.001)


# on a clock of our own


@dataclass
class Call:
    """One request as it will go, whatever the limiter decides."""

    arrives_s: float
    reaches_s: float = 0.01
    """How long it takes to the server."""
    returns_s: float = 0.01
    """How long the headers take back."""
    streams_s: float = 0.0
    gives_up_s: float | None = None
    """How long it waits in the queue at most."""
    need: Need = field(default_factory=lambda: Need(10, 10))
    reported: Usage = field(default_factory=Usage)
    fails: bool = False
    """It never reaches the server."""
    model: str = "m"


class TellingServer:
    """Counts models together or apart, in a window that slides or not, and tells what is left until when."""

    def __init__(self, limit: int, *, slides: bool, apart: bool) -> None:
        self.limit, self.slides, self.apart, self.refused = limit, slides, apart, 0
        self._taken: dict[str, list[float]] = {}

    def take(self, model: str, now_s: float) -> dict[Kind, Allowance]:
        begun_s = now_s - 60 if self.slides else now_s // 60 * 60
        taken = self._taken.setdefault(model if self.apart else "", [])
        taken[:] = [at_s for at_s in taken if at_s > begun_s or (at_s == begun_s and not self.slides)]
        if len(taken) >= self.limit:
            self.refused += 1
        else:
            taken.append(now_s)
        more_at_s = (taken[0] if self.slides else begun_s) + 60
        return {"requests": Allowance(self.limit, self.limit - len(taken), more_at_s - now_s)}


@dataclass
class Played:
    counted_at: dict[int, float] = field(default_factory=dict)
    """When each request reached the server, by number."""
    ended_at: dict[int, float] = field(default_factory=dict)
    sent_at: dict[int, float] = field(default_factory=dict)
    left: list[int] = field(default_factory=list)
    """Those that gave up in the queue."""

    @property
    def sent(self) -> list[int]:
        """In the order of sending."""
        return list(self.sent_at)


def play(limiter: RateLimiter, calls: list[Call], server: TellingServer | None = None) -> Played:
    """Let the calls come, wait and be answered; time jumps from moment to moment."""
    played, now_s = Played(), 0.0
    tickets = [Ticket(number, call.model, call.need) for number, call in enumerate(calls)]
    told: dict[int, dict[Kind, Allowance]] = {}
    moments: list[tuple[float, int, str]] = [(call.arrives_s, number, "came") for number, call in enumerate(calls)]
    heapq.heapify(moments)
    while moments or limiter.next_at_s is not None:
        next_s = limiter.next_at_s
        if moments and (next_s is None or moments[0][0] <= next_s):
            now_s, number, what = heapq.heappop(moments)
            if what == "counted" and server is not None:
                told[number] = server.take(calls[number].model, now_s)
            if what == "answered":
                limiter.answered(tickets[number], now_s, told.get(number, {}))
            happen(limiter, played, tickets[number], what, now_s)
            if what == "came" and (patience_s := calls[number].gives_up_s) is not None:
                heapq.heappush(moments, (now_s + patience_s, number, "gave up"))
        else:
            assert next_s is not None
            now_s = max(now_s, next_s)
        for ticket in limiter.admit(now_s):
            call = calls[ticket.number]
            played.sent_at[ticket.number] = now_s
            ticket.usage, ticket.reached = call.reported, not call.fails
            if call.fails:
                heapq.heappush(moments, (now_s + call.reaches_s, ticket.number, "failed"))
                continue
            played.counted_at[ticket.number] = now_s + call.reaches_s
            heapq.heappush(moments, (now_s + call.reaches_s, ticket.number, "counted"))
            came_s = now_s + call.reaches_s + call.returns_s
            played.ended_at[ticket.number] = came_s + call.streams_s
            heapq.heappush(moments, (came_s, ticket.number, "answered"))
            heapq.heappush(moments, (came_s + call.streams_s, ticket.number, "ended"))
        assert limiter.next_at_s is None or limiter.next_at_s > now_s, "else it would be looked at without end"
    return played


def happen(limiter: RateLimiter, played: Played, ticket: Ticket, what: str, now_s: float) -> None:
    match what:
        case "came":
            limiter.join(ticket)
        case "ended" | "failed":
            limiter.leave(ticket, now_s)
        case "gave up" if not ticket.admitted:
            played.left.append(ticket.number)
            limiter.leave(ticket, now_s)


def most_within(moments: list[tuple[float, int]], span_s: float = 60.0) -> int:
    """Return the largest sum of amounts in any span."""
    moments = sorted(moments)
    return max(
        (sum(amount for at, amount in moments if start <= at < start + span_s) for start, _ in moments), default=0
    )


def least_in_bucket(times: list[float], size: int) -> float:
    """Return the least that a bucket that drips `size` a minute ever holds."""
    level, last, least = float(size), 0.0, float(size)
    for at in sorted(times):
        level = min(size, level + (at - last) * size / 60) - 1
        last, least = at, min(least, level)
    return least


short = st.floats(0.001, 3)
calls = st.lists(
    st.builds(
        Call,
        st.floats(0, 150),
        short,
        short,
        st.floats(0, 90),
        st.none() | st.floats(0, 100),
        need=st.builds(Need, st.integers(0, 40), st.integers(0, 40)),
        fails=st.booleans(),
        model=st.sampled_from("ab"),
    ),
    max_size=30,
)


@given(st.integers(1, 6), calls)
def test_no_minute_ever_sees_more_than_the_limit_however_requests_arrive(limit: int, arrivals: list[Call]):
    played = play(RateLimiter(limit), arrivals)
    times = list(played.counted_at.values())
    assert most_within([(at, 1) for at in times]) <= limit
    assert least_in_bucket(times, limit) >= -1e-6
    assert sorted(played.sent + played.left) == list(range(len(arrivals)))


@given(st.integers(1, 6), calls)
def test_nobody_overtakes(limit: int, arrivals: list[Call]):
    arrivals.sort(key=lambda call: call.arrives_s)
    sent = play(RateLimiter(limit, limit * 20), arrivals).sent
    assert sent == sorted(sent)


@given(st.integers(80, 200), calls)
def test_no_minute_ever_sees_more_tokens_than_the_limit_whenever_the_server_counts_them(
    limit: int, arrivals: list[Call]
):
    for call in arrivals:
        call.reported = Usage(call.need.input_tokens, call.need.output_tokens)
    played = play(RateLimiter(None, limit), arrivals)
    tokens = {number: arrivals[number].need.tokens for number in played.counted_at}
    assert most_within([(played.counted_at[number], tokens[number]) for number in tokens]) <= limit
    for number, amount in tokens.items():  # a server that knows them only in the end looks at those that ended
        sent_s = played.sent_at[number]
        ended = [each for each, at_s in played.ended_at.items() if sent_s - 60 < at_s < sent_s]
        assert sum(tokens[each] for each in ended) + amount <= limit


def test_a_batch_fills_the_limit():
    played = play(RateLimiter(5), [Call(0.0) for _ in range(20)])
    times = list(played.counted_at.values())
    assert [round(at / 60) for at in times] == [0] * 5 + [1] * 5 + [2] * 5 + [3] * 5
    assert times[-1] < 183


def test_whoever_leaves_the_queue_gives_the_place_to_the_next():
    limiter, tickets = RateLimiter(1), [Ticket(number, need=Need(1, 1)) for number in range(3)]
    for ticket in tickets:
        limiter.join(ticket)
    assert limiter.admit(0.0) == tickets[:1]
    limiter.answered(tickets[0], 0.0, {})
    limiter.leave(tickets[1], 1.0)
    assert limiter.admit(1.0) == []
    assert limiter.foresee(1.0) == (tickets[2],)
    assert (tickets[2].before, tickets[2].reason) == (0, "the limit of 1 request a minute has room")
    assert 60 <= tickets[2].until_s <= 61
    assert limiter.admit(61.0) == [tickets[2]]


def test_what_never_left_does_not_count():
    played = play(RateLimiter(1), [Call(0.0, fails=True), Call(0.0), Call(1.0)])
    assert played.counted_at[1] < 1
    assert played.counted_at[2] > 60


def test_everybody_in_the_queue_knows_how_long_it_will_take():
    limiter, tickets = RateLimiter(2), [Ticket(number) for number in range(6)]
    for ticket in tickets:
        limiter.join(ticket)
    for ticket in limiter.admit(0.0):
        limiter.answered(ticket, 0.0, {})
    foreseen = limiter.foresee(0.0)
    assert [(ticket.before, round(ticket.until_s / 60)) for ticket in foreseen] == [(0, 1), (1, 1), (2, 2), (3, 2)]


def test_a_request_larger_than_the_whole_limit_goes_alone():
    large, small = Call(0.0, need=Need(500, 0)), Call(0.0, need=Need(10, 0))
    played = play(RateLimiter(None, 100), [small, large, small])
    assert played.sent == [0, 1, 2]
    assert played.counted_at[1] - played.counted_at[0] > 60
    assert played.counted_at[2] - played.counted_at[1] > 60


def test_a_guess_gives_way_to_what_was_reported():
    guessed, cheap, dear = Need(10, 90), Usage(10, 5), Usage(10, 900)
    assert play(RateLimiter(None, 120), [Call(0.0, need=guessed, reported=cheap), Call(1.0)]).counted_at[1] < 2
    late = play(RateLimiter(None, 120), [Call(0.0, need=Need(1, 1), reported=dear, streams_s=30), Call(40.0)])
    assert late.counted_at[1] > late.ended_at[0] + 60


def test_two_providers_with_the_same_key_and_address_share_the_stricter_limit():
    turnstiles = Turnstiles()
    one = turnstiles.at("http://h/v1", "k", 5, None)
    assert turnstiles.at(" http://h/v1/", "k", 3, None) is one
    assert turnstiles.at("http://h/v1", "other", 5, None) is not one
    assert len(play(one._limiter, [Call(0.0, gives_up_s=1.0) for _ in range(9)]).sent) == 3


@pytest.mark.parametrize(
    ("params", "counted", "need"),
    [
        ({}, 7, Need(7, OUTPUT_GUESS)),
        ({"max_tokens": 50}, 7, Need(7, 50)),
        ({"max_completion_tokens": 9000}, 7, Need(7, 9000)),
        ({"max_output_tokens": 9000}, 7, Need(7, 9000)),
        ({"max_tokens": True}, None, Need(5, OUTPUT_GUESS)),
        ({"max_tokens": "x"}, 0, Need(0, OUTPUT_GUESS)),
    ],
)
def test_a_request_takes_its_prompt_and_the_longest_answer(params: Params, counted: int | None, need: Need):
    messages = (Message.of("user", "x" * 20),)
    assert need_of(Request(Model("work", "m"), messages, params, input_tokens=counted)) == need


# what servers tell


def told(remaining: str, reset: str, limit: str = "", name: str = "requests") -> dict[str, str]:
    values = {"limit": limit, "remaining": remaining, "reset": reset}
    return {f"x-ratelimit-{what}-{name}": value for what, value in values.items() if value}


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        ("1s", 1), ("6m0s", 360), ("12ms", 0.012), ("1m30.5s", 90.5), ("1h2m3s", 3723), ("1d", 86400), ("30", 30),
        ("0", 0), ("0.25", 0.25), ("-5", 0), (str(int(NOW) + 20), 20), (str(int(NOW + 20) * 1000), 20),
        (datetime.fromtimestamp(NOW + 15, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), 15),
        (datetime.fromtimestamp(NOW - 15, UTC).isoformat(), 0),
    ],
)  # fmt: skip
def test_a_reset_is_read_in_every_form(reset: str, seconds: float):
    (found,) = allowances(told("0", reset, "5"), NOW).values()
    assert (found.limit, found.remaining) == (5, 0)
    assert found.reset_in_s == pytest.approx(seconds)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        told("0", ""),
        told("", "1s"),
        told("many", "1s"),
        told("-1", "1s"),
        told("nan", "1s"),
        told("inf", "1s"),
        told("0", "1s", "0"),
        *(told("0", bad) for bad in ("soon", "nan", "inf", "1e999", "ms", "1x", "2026-11-21", "9" * 400 + "s")),
        told("0", "0000-99-99T00:00:00Z"),
        told("0", "0001-01-01T00:00:00+14:00"),
    ],
)
def test_nonsense_in_headers_is_ignored(headers: dict[str, str]):
    assert allowances(headers, NOW) == {} or next(iter(allowances(headers, NOW).values())).reset_in_s == 0


def test_each_vendors_names_are_known():
    soon = datetime.fromtimestamp(NOW + 9, UTC).isoformat()
    headers = {
        f"anthropic-ratelimit-{kind}-{what}": value
        for kind in ("requests", "tokens", "input-tokens", "output-tokens")
        for what, value in (("limit", "50"), ("remaining", "7"), ("reset", soon))
    }
    assert allowances(headers, NOW) == dict.fromkeys(("requests", "tokens", "input", "output"), Allowance(50, 7, 9.0))
    assert set(allowances(told("7", "9s", name="tokens"), NOW)) == {"tokens"}


def test_a_moment_is_measured_on_the_servers_own_clock():
    wrong = NOW - 3600
    headers = told("0", str(int(wrong) + 20)) | {"date": formatdate(wrong, usegmt=True)}
    assert allowances(headers, NOW)["requests"].reset_in_s == pytest.approx(20)


def queued(model: str, many: int) -> list[Ticket]:
    return [Ticket(number, model) for number in range(1, many + 1)]


def join(limiter: RateLimiter, tickets: list[Ticket]) -> None:
    for ticket in tickets:
        limiter.join(ticket)


@given(st.integers(2, 6), st.booleans(), st.booleans(), calls)
def test_a_server_that_tells_what_is_left_never_has_to_refuse(
    limit: int, slides: bool, apart: bool, arrivals: list[Call]
):
    for call in arrivals:
        call.arrives_s += 10  # before the first answer nothing is known
        call.reaches_s, call.returns_s = call.reaches_s / 2, call.returns_s / 2
    server = TellingServer(limit, slides=slides, apart=apart)
    played = play(RateLimiter(), [Call(0.0, model="a"), Call(5.0, model="b"), *arrivals], server)
    assert server.refused == 0
    assert len(played.sent) + len(played.left) == len(arrivals) + 2


class TestLearned:
    def limiter(self, told: dict[str, str], model: str = "m", **fields: int) -> RateLimiter:
        """Return one that heard this of a first request."""
        limiter, first = RateLimiter(**fields), Ticket(0, model)
        limiter.join(first)
        assert limiter.admit(0.0) == [first]
        limiter.answered(first, 0.0, allowances(told, NOW))
        limiter.leave(first, 0.0)
        return limiter

    def sent_at(self, limiter: RateLimiter, ticket: Ticket) -> float:
        """Return when the last that came goes."""
        limiter.join(ticket)
        if limiter.admit(0.0):
            return 0.0
        limiter.foresee(0.0)
        return ticket.until_s

    def test_with_nothing_left_the_reset_is_waited_for(self):
        ticket = Ticket(1, "m")
        assert 20 <= self.sent_at(self.limiter(told("0", "20s", "5")), ticket) < 20.5
        assert ticket.reason == "the server has requests left"

    def test_what_is_left_is_used_up_without_asking_again(self):
        limiter, tickets = self.limiter(told("2", "20s", "5")), queued("m", 8)
        join(limiter, tickets)
        assert limiter.admit(0.0) == tickets[:2]
        assert [round(ticket.until_s, -1) for ticket in limiter.foresee(0.0)] == [20] * 5 + [80], "five at a time"

    @pytest.mark.parametrize("limit", ["5", ""])
    def test_after_the_reset_one_goes_first_to_ask(self, limit: str):
        limiter, tickets = self.limiter(told("0", "20s", limit)), queued("m", 4)
        join(limiter, tickets)
        assert limiter.admit(21.0) == tickets[:1]
        assert limiter.admit(22.0) == []
        limiter.answered(tickets[0], 22.0, allowances(told("2", "30s", limit), NOW))
        assert limiter.admit(22.0) == tickets[1:3]

    def test_whoever_went_to_ask_is_not_waited_for_too_long(self):
        limiter, tickets = self.limiter(told("0", "20s", "5")), queued("m", 3)
        join(limiter, tickets)
        assert limiter.admit(21.0) == tickets[:1]
        assert limiter.next_at_s == 21 + PATIENCE_S
        assert limiter.admit(21 + PATIENCE_S) == tickets[1:2]

    def test_a_server_that_tells_nothing_more_is_not_asked_again(self):
        limiter, tickets = self.limiter(told("0", "20s", "5")), queued("m", 4)
        join(limiter, tickets)
        assert limiter.admit(21.0) == tickets[:1]
        limiter.answered(tickets[0], 22.0, {})
        assert limiter.admit(22.0) == tickets[1:]

    def test_what_was_on_its_way_is_given_back_when_it_was_counted_already(self):
        limiter, tickets = RateLimiter(), queued("m", 12)
        join(limiter, tickets[:5])
        limiter.admit(0.0)
        for ticket, left in ((tickets[4], "4"), (tickets[0], "8"), (tickets[2], "7"), (tickets[3], "6")):
            limiter.answered(ticket, 1.0, allowances(told(left, "20s", "9"), NOW))
        limiter.answered(tickets[1], 1.0, allowances(told("5", "20s", "9"), NOW))
        join(limiter, tickets[5:])
        assert limiter.admit(1.0) == tickets[5:9]

    @pytest.mark.parametrize("apart", [False, True])
    def test_models_of_the_same_limit_may_be_in_one_count(self, apart: bool):
        limiter, tickets = RateLimiter(), [Ticket(number, "ab"[number % 2]) for number in range(12)]
        limits = ("5", "6" if apart else "5")
        join(limiter, tickets[:2])
        limiter.admit(0.0)
        for ticket, limit in zip(tickets, limits, strict=False):
            limiter.answered(ticket, 0.0, allowances(told("3", "20s", limit), NOW))
        join(limiter, tickets[2:])
        assert len(limiter.admit(0.0)) == (5 if apart else 3), "the other was on its way"

    def test_tokens_that_are_left_must_be_enough(self):
        limiter = self.limiter(told("400", "20s", "1000", "tokens"))
        assert self.sent_at(limiter, Ticket(1, "m", Need(100, 100))) == 0
        assert self.sent_at(limiter, Ticket(2, "m", Need(200, 100))) >= 20

    def test_a_wait_that_is_too_long_is_not_waited(self):
        assert self.sent_at(self.limiter(told("0", f"{LONGEST_LEARNED_S + 1}s")), Ticket(1, "m")) == 0
        assert self.sent_at(self.limiter(told("0", f"{LONGEST_LEARNED_S}s")), Ticket(1, "m")) >= LONGEST_LEARNED_S

    def test_the_users_own_limit_holds_besides(self):
        assert self.sent_at(self.limiter(told("9", "1s", "9"), requests=1), Ticket(1, "m")) >= 60
        assert self.sent_at(self.limiter(told("0", "20s", "9"), requests=9), Ticket(1, "m")) >= 20

    def test_a_model_that_has_none_left_does_not_hold_up_another_that_has(self):
        limiter, other = self.limiter(told("0", "20s", "5")), Ticket(1, "other", waited=True)
        limiter.join(other)
        limiter.admit(0.0)
        limiter.answered(other, 0.0, allowances(told("9", "1s", "10"), NOW))
        assert self.sent_at(limiter, Ticket(2, "m")) >= 20
        assert self.sent_at(limiter, Ticket(3, "other")) == 0

    def test_whom_the_server_told_to_come_now_goes_past_those_who_wait_for_what_is_left(self):
        limiter, waiting, told_to_come = self.limiter(told("0", "20s")), Ticket(1, "m"), Ticket(2, "m", waited=True)
        limiter.join(waiting)
        limiter.join(told_to_come)
        assert limiter.admit(0.0) == [told_to_come]

    def test_a_small_request_does_not_overtake_a_large_one(self):
        limiter = self.limiter(told("400", "20s", "1000", "tokens"))
        tickets = [Ticket(1, "m", Need(500, 1)), Ticket(2, "m", Need(0, 0))]
        for ticket in tickets:
            limiter.join(ticket)
        assert limiter.admit(0.0) == []
        limiter.foresee(0.0)
        assert tickets[1].until_s >= tickets[0].until_s >= 20
        assert limiter.admit(21.0) == tickets[:1]

    def test_what_comes_late_tells_of_an_earlier_moment(self):
        limiter, tickets = RateLimiter(), [Ticket(number, "m") for number in range(3)]
        for ticket in tickets:
            limiter.join(ticket)
        limiter.admit(0.0)
        limiter.answered(tickets[2], 1.0, allowances(told("2", "20s", "5"), NOW))
        assert self.sent_at(limiter, Ticket(4, "m")) >= 20, "two of the two that were left are on their way"
        limiter.answered(tickets[0], 2.0, allowances(told("4", "20s", "5"), NOW))
        assert len(limiter.admit(2.0)) == 1, "of the three that were counted it was one"


# against servers that count


class CountingServer(LoopbackServer):
    """Grants so many in a sliding span, in a fixed one, and from a bucket; what is more gets a 429."""

    def __init__(self, limit: int = 5, span_s: float = SPAN_S) -> None:
        super().__init__()
        self.limit, self.span_s, self.refused = limit, span_s, 0
        self.taken: deque[float] = deque()

    def _script(self, request: RecordedRequest) -> Exchange:
        with self._lock:
            self.taken = deque(at for at in self.taken if at > request.at_s - self.span_s)
            here = request.at_s // self.span_s
            in_this = [at for at in self.taken if at // self.span_s == here]
            too_many = max(len(self.taken), len(in_this)) >= self.limit
            self.taken.append(request.at_s)
            self.refused += too_many
        exchange = super()._script(request)
        return Exchange(reply(429, {"error": {"message": "rate limit"}})) if too_many else exchange


class HonestServer(CountingServer):
    """Tells with every answer what is left, and when there will be more."""

    def _script(self, request: RecordedRequest) -> Exchange:
        exchange = super()._script(request)
        with self._lock:
            window_s = self.taken[0] // self.span_s
            more_at_s = max(self.taken[0] + self.span_s, (window_s + 1) * self.span_s)
            left = told(str(max(0, self.limit - len(self.taken))), f"{more_at_s - request.at_s:.3f}", str(self.limit))
        if isinstance(exchange.steps[0], bytes):
            exchange.steps.insert(0, Head(headers={"Content-Type": "text/event-stream", **left}))
        return exchange


Make = Callable[..., HTTPProvider]


@pytest.fixture
def server() -> Iterator[CountingServer]:
    with CountingServer() as started:
        started.default = [chat_stream(["ok"], usage=chat_usage())]
        yield started


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    made: list[HTTPProvider] = []

    def make(
        server: LoopbackServer,
        requests: int | None = None,
        tokens: int | None = None,
        *,
        turnstiles: Turnstiles | None = None,
        network: Network = QUICK,
    ) -> HTTPProvider:
        endpoint = Endpoint("work", "openai", server.base_url, requests_per_min=requests, tokens_per_min=tokens)
        turnstiles = turnstiles or Turnstiles(SPAN_S)
        made.append(HTTPProvider(endpoint, network, OpenAIChat(), turnstiles=turnstiles))
        return made[-1]

    yield make
    for provider in made:
        await provider.aclose()


@dataclass
class Asked:
    """One request on its way, and what came of it."""

    events: list[StreamEvent] = field(default_factory=list)
    queued: asyncio.Event = field(default_factory=asyncio.Event)
    refused: asyncio.Event = field(default_factory=asyncio.Event)
    """It waits for a retry."""

    async def run(self, provider: HTTPProvider, prompt: str = "hi", *, model: str = "m") -> None:
        request = Request(Model("work", model), (Message.of("user", prompt),), {})
        async with aclosing(provider.stream(request)) as events:
            async for event in events:
                self.events.append(event)
                if isinstance(event, Queued):
                    self.queued.set()
                elif isinstance(event, Waiting):
                    self.refused.set()

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, TextDelta))

    @property
    def waits(self) -> list[Queued]:
        return [event for event in self.events if isinstance(event, Queued)]


def prompts(server: LoopbackServer) -> list[str]:
    return [request.json["messages"][-1]["content"] for request in server.requests]


async def test_a_batch_fills_the_limit_of_a_server_and_never_trips_it(server: CountingServer, make: Make):
    provider, asked = make(server, 5), [Asked() for _ in range(18)]
    began_s = time.monotonic()
    await asyncio.gather(*(each.run(provider, f"q{number}") for number, each in enumerate(asked)))
    assert server.refused == 0
    assert [each.text for each in asked] == ["ok"] * 18
    assert 3 * SPAN_S <= time.monotonic() - began_s < 10 * SPAN_S
    waves = [sorted(prompts(server)[at : at + 5]) for at in (0, 5, 10)]
    assert waves == [sorted(f"q{number}" for number in range(at, at + 5)) for at in (0, 5, 10)]
    assert not any(isinstance(event, Waiting) for each in asked for event in each.events)


async def test_who_waits_sees_how_long_for_what_and_after_whom(server: CountingServer, make: Make):
    provider, asked = make(server, 1), [Asked() for _ in range(3)]
    await asyncio.gather(*(each.run(provider) for each in asked))
    assert not asked[0].waits
    assert asked[1].waits[0].reason == "the limit of 1 request a minute has room"
    assert 0 < asked[1].waits[-1].wait_s < 1.1 * SPAN_S
    assert [wait.before for wait in (asked[2].waits[0], asked[2].waits[-1])] == [1, 0]
    assert isinstance(asked[2].events[asked[2].events.index(asked[2].waits[-1]) + 1], Dequeued)


async def test_who_leaves_the_queue_sends_nothing_and_gives_the_place_to_the_next(server: CountingServer, make: Make):
    server.span_s = 1.5  # long enough for all that happens within it
    provider = make(server, 1, turnstiles=Turnstiles(server.span_s))
    await Asked().run(provider, "first")
    left, stays = Asked(), Asked()
    leaving = asyncio.create_task(left.run(provider, "left"))
    await left.queued.wait()
    staying = asyncio.create_task(stays.run(provider, "stays"))
    await stays.queued.wait()
    leaving.cancel()
    await staying
    assert leaving.cancelled()
    assert prompts(server) == ["first", "stays"]
    assert (stays.waits[0].before, stays.waits[-1].before) == (1, 0)
    assert stays.waits[0].wait_s > 1.5 * server.span_s > stays.waits[-1].wait_s


async def test_an_answer_that_is_stopped_before_its_headers_counts_all_the_same(make: Make):
    with LoopbackServer() as server:
        provider = make(server, 1)
        exchange = server.enqueue(Stall())
        server.enqueue(chat_stream(["ok"]))
        stopped = asyncio.create_task(Asked().run(provider))
        assert await seen(exchange.requested)
        stopped.cancel()
        await asyncio.wait([stopped])
        await Asked().run(provider)
        assert server.requests[1].at_s - server.requests[0].at_s >= SPAN_S


async def test_waiting_in_the_queue_is_no_silence_and_no_attempt(server: CountingServer, make: Make):
    network = Network(first_token_timeout_s=0.5, max_retries=0)
    provider, asked = make(server, 1, turnstiles=Turnstiles(1.0), network=network), [Asked(), Asked()]
    await asyncio.gather(*(each.run(provider) for each in asked))
    assert [each.text for each in asked] == ["ok", "ok"]
    assert asked[1].waits[-1].wait_s > 0.5


async def test_tokens_that_were_reported_free_what_was_guessed(make: Make):
    with LoopbackServer() as server:
        server.default = [chat_stream(["ok"], usage=chat_usage(5, 5))]
        provider, asked = make(server, tokens=OUTPUT_GUESS + 100), [Asked() for _ in range(3)]
        for each in asked:
            await each.run(provider)
        assert not any(each.waits for each in asked)
        server.default = [chat_stream(["ok"], usage=chat_usage(5, 5000))]
        await Asked().run(provider)
        await Asked().run(provider)
        assert server.requests[4].at_s - server.requests[3].at_s >= SPAN_S


async def test_what_the_server_says_is_left_is_believed(make: Make):
    with LoopbackServer() as server:
        headers = {"Content-Type": "text/event-stream"}
        head = reply(200, chat_stream(["ok"]), headers | told("0", "500ms"))
        server.enqueue(head)
        server.enqueue(reply(200, chat_stream(["ok"]), headers | told("0", "2h")))
        server.enqueue(chat_stream(["ok"]))
        provider, asked = make(server), [Asked() for _ in range(3)]
        for each in asked:
            await each.run(provider)
        first, second, third = (request.at_s for request in server.requests)
        assert second - first >= 0.5
        assert [wait.reason for wait in asked[1].waits[:1]] == ["the server has requests left"]
        assert not asked[2].waits
        assert third - second < 5


async def test_a_batch_over_two_models_without_limits_of_ours_never_trips_those_that_the_server_tells(make: Make):
    with HonestServer(span_s=1.0) as server:
        server.default = [chat_stream(["ok"], usage=chat_usage())]
        provider, left = make(server), [f"q{number}" for number in range(14)]

        async def work(model: str) -> None:
            while left:
                await Asked().run(provider, left.pop(0), model=model)

        await asyncio.gather(*(work(model) for model in "abab"))
        assert server.refused == 0
        assert len(server.requests) == 14


async def test_a_429_that_asks_to_wait_holds_back_the_others_and_they_go_after_it(make: Make):
    with LoopbackServer() as server:
        gate = threading.Event()
        exchange = server.enqueue(WaitFor(gate), reply(429, {"error": {"message": "slow"}}, {"Retry-After-Ms": "600"}))
        server.default = [chat_stream(["ok"])]
        provider, refused, others = make(server), Asked(), [Asked(), Asked()]
        first = asyncio.create_task(refused.run(provider, "refused"))
        assert await seen(exchange.requested)
        gate.set()
        await refused.refused.wait()
        await asyncio.gather(first, *(each.run(provider, "other") for each in others))
        assert prompts(server) == ["refused", "refused", "other", "other"]
        assert server.requests[1].at_s - server.requests[0].at_s >= 0.6
        assert not refused.waits
        assert others[0].waits[0].reason == "the server takes requests again"


async def test_a_retry_keeps_its_place_before_those_that_came_later(make: Make):
    with LoopbackServer() as server:
        server.enqueue(reply(503))
        server.default = [chat_stream(["ok"])]
        provider, first = make(server, 1), Asked()
        retried = asyncio.create_task(first.run(provider, "first"))
        await first.refused.wait()
        await asyncio.gather(retried, Asked().run(provider, "later"))
        assert prompts(server) == ["first", "first", "later"]


async def test_a_running_stream_holds_nobody_up(make: Make):
    with LoopbackServer() as server:
        exchange = server.enqueue(chat_chunk("a"), Stall())
        server.default = [chat_stream(["ok"])]
        provider, stalled, other = make(server, 1), Asked(), Asked()
        running = asyncio.create_task(stalled.run(provider))
        assert await seen(exchange.requested)
        await other.run(provider)
        assert other.text == "ok"
        running.cancel()
        await asyncio.wait([running])
