"""Limits that hold inside the answer: before it is sent, while it streams, at its end."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.doubles import MODEL, NOON, CharacterCounter, MemoryStore, Saved, Script, SteppingClock
from tui_chat.core.allowance import SAFE_TOKENS
from tui_chat.core.budget import Budgets, Caps, SpendLimit
from tui_chat.core.caps import LEAST_TOKENS, Balance, Claim, Reserved, Span
from tui_chat.core.chat import Chat
from tui_chat.core.completion import Completion, State
from tui_chat.core.errors import BudgetError, ChatError, ProviderError, StorageError
from tui_chat.core.events import Finished, ReasoningDelta, ResponseStarted, TextDelta, UsageUpdate, Waiting
from tui_chat.core.model import Model
from tui_chat.core.pricing import NOTHING, Price
from tui_chat.core.usage import Usage

WHOLE = (ResponseStarted("id", "a-1"), TextDelta("Hello"), Finished("stop"), UsageUpdate(Usage(9, 4)))
ENDLESS = (TextDelta("xxxxx"),) * 1000
LOST = Waiting("connection", "reset", 0.0, 2, 3, request_sent=True)
UNPRICED = Model("work", "b")
FREE = Model("work", "free", price=Price(Decimal(0), Decimal(0)))
PLAY = Model("demo", "quick", price=Price(Decimal(1), Decimal(2), source="play", play=True), scripted=True)
ZERO = Decimal(0)
INPUT_USD = Decimal("0.000022")
"""What `Hi` and the system prompt cost."""


@dataclass
class Purse:
    """A ledger with one rest for all limits, which it takes down what it grants from."""

    left_usd: Decimal
    fails: bool = False
    waits: bool = False
    claims: list[Claim] = field(default_factory=list)
    answers: list[Future[Reserved]] = field(default_factory=list)
    asked_again: asyncio.Event = field(default_factory=asyncio.Event)

    def reserve(self, claim: Claim) -> Future[Reserved]:
        self.claims.append(claim)
        future: Future[Reserved] = Future()
        self.answers.append(future)
        if self.fails:
            future.set_exception(StorageError("the disk is full"))
        elif not self.waits or len(self.claims) == 1:
            self.answer(len(self.claims) - 1)
        if len(self.claims) > 1:
            self.asked_again.set()
        return future

    def answer(self, at: int) -> None:
        claim = self.claims[at]
        found = Reserved(claim.share_of(self.left_usd), tuple(self._balance(span) for span in claim.spans))
        self.answers[at].set_result(found)

    def _balance(self, span: Span) -> Balance:
        gone = span.cap_usd - self.left_usd
        return Balance(span, gone, gone)

    def balances(self, spans: Sequence[Span]) -> tuple[Balance, ...]:
        return tuple(self._balance(span) for span in spans)


@dataclass
class Room:
    """A chat whose one turn asks `Hi`, within limits."""

    script: Script
    caps: Caps = field(default_factory=Caps)
    purse: Purse | None = None
    run: SpendLimit | None = None
    model: Model = MODEL
    params: dict[str, object] = field(default_factory=dict)
    store: MemoryStore = field(default_factory=MemoryStore)

    def __post_init__(self) -> None:
        self.budgets = Budgets(self.caps, self.purse, self.run)
        self.chat = Chat(
            self.script.port(), self.store.port(), CharacterCounter(), SteppingClock(), budgets=self.budgets
        )
        self.conversation = self.chat.new_conversation(self.model, "Be brief.")
        self.conversation.params = self.params
        self.turn = self.chat.start_turn(self.conversation, [], "Hi", [self.model])
        self.answer = self.turn.completions[0]

    def another(self) -> Completion:
        return self.chat.again(self.conversation, [], self.turn, self.model)

    async def complete(self, answer: Completion | None = None) -> Completion:
        async def paint(_event: object) -> None: ...

        await self.chat.complete(self.conversation, self.turn, answer or self.answer, paint)
        return answer or self.answer

    @property
    def asked_for(self) -> object:
        return self.script.requests[-1].params.get("max_tokens")


def per_answer(usd: str) -> Caps:
    return Caps(per_answer_usd=Decimal(usd))


def said(answer: Completion) -> str:
    assert isinstance(answer.error, BudgetError)
    assert (answer.error.kind, answer.finish_reason, answer.state) == ("budget", "budget", State.BUDGET)
    return answer.error.message


def cost(answer: Completion) -> Decimal:
    assert answer.cost.usd is not None
    return answer.cost.usd


class TestOneAnswer:
    async def test_it_is_cut_when_its_running_cost_reaches_the_limit(self):
        room = Room(Script(ENDLESS, hangs=True), per_answer("0.0001"))
        answer = await room.complete()
        assert "stopped by budget.per_answer_usd = $0.00010; raise it in config.toml" in said(answer)
        assert answer.usage.source == "partial"
        assert Decimal("0.0001") <= cost(answer) <= Decimal("0.00011"), "no more than the delta that reached it"
        assert room.store.saved == [Saved("budget", answer.text)]
        assert room.script.closed

    async def test_a_flood_between_two_looks_does_not_pass_the_limit_unseen(self):
        room = Room(Script(ENDLESS, hangs=True), per_answer("0.001"))
        with patch.object(room.chat._clock, "monotonic", lambda: 1.0):  # all of it comes at once
            assert cost(await room.complete()) <= Decimal("0.00101")

    async def test_the_server_is_told_how_much_room_there_is(self):
        room = Room(Script(WHOLE), per_answer("0.0001"))
        await room.complete()
        assert room.asked_for == (Decimal("0.0001") - INPUT_USD) // Decimal("0.000002")
        assert (room.answer.finish_reason, room.answer.params) == ("stop", {})

    async def test_the_users_own_limit_of_length_stays_where_it_is_smaller(self):
        for own, sent in ((20, 20), (5000, 39)):
            room = Room(Script(WHOLE), per_answer("0.0001"), params={"max_tokens": own})
            await room.complete()
            assert room.asked_for == sent

    async def test_no_server_is_asked_for_more_than_any_model_can(self):
        room = Room(Script(WHOLE), per_answer(str(SAFE_TOKENS)))
        await room.complete()
        assert room.asked_for is None

    async def test_an_answer_that_the_server_ended_for_want_of_room_says_so_and_is_settled(self):
        ended = (TextDelta("x" * 38), Finished("length"), UsageUpdate(Usage(22, 38)))
        answer = await Room(Script(ended), per_answer("0.0001")).complete()
        assert "ended after the 39 tokens that budget.per_answer_usd = $0.00010 had room for" in said(answer)
        assert (answer.usage.source, answer.cost.quality) == ("reported", "reported")
        assert answer.billed_at_most is None

    async def test_a_shorter_limit_of_the_servers_own_is_no_matter_of_the_budget(self):
        ended = (TextDelta("x" * 10), Finished("length"), UsageUpdate(Usage(22, 10)))
        assert (await Room(Script(ended), per_answer("0.0001")).complete()).finish_reason == "length"

    async def test_a_length_that_the_user_wanted_is_no_matter_of_the_budget(self):
        room = Room(Script((TextDelta("x"), Finished("length"))), per_answer("1"), params={"max_tokens": 1})
        assert (await room.complete()).finish_reason == "length"

    async def test_one_that_cannot_even_begin_is_not_sent(self):
        room = Room(Script(WHOLE), Caps(per_answer_usd=INPUT_USD + (LEAST_TOKENS - 1) * Decimal("0.000002")))
        answer = await room.complete()
        assert (room.script.requests, answer.cost) == ([], NOTHING)
        assert "not sent: the prompt and 16 tokens of an answer cost $0.000054" in said(answer)

    async def test_what_failed_attempts_have_cost_counts(self):
        script = Script((ResponseStarted(), TextDelta("x" * 30), LOST, *ENDLESS))
        answer = await Room(script, per_answer("0.0002")).complete()
        said(answer)
        assert cost(answer) <= Decimal("0.0002") - INPUT_USD - 30 * Decimal("0.000002") + Decimal("0.00001")

    async def test_what_costs_nothing_passes_any_limit(self):
        room = Room(Script(WHOLE), Caps(ZERO, ZERO, ZERO, ZERO), Purse(ZERO), model=FREE)
        assert (await room.complete()).finish_reason == "stop"

    async def test_a_limit_raised_meanwhile_holds_for_what_runs(self):
        def raised() -> None:
            assert room.budgets.raise_for_now("answer") == "budget.per_answer_usd = $0.00020"

        room = Room(Script(ENDLESS, before=raised), per_answer("0.0001"))
        assert Decimal("0.0002") <= cost(await room.complete()) <= Decimal("0.00021")


class TestOneRun:
    async def test_a_limit_over_a_run_counts_all_its_answers(self):
        limit = SpendLimit(Decimal("0.0001"), "--max-cost")
        room = Room(Script((TextDelta("x" * 30), Finished("stop"))), run=limit)
        answers = [room.answer, room.another(), room.another()]
        for answer in answers:
            await room.complete(answer)
        assert [answer.finish_reason for answer in answers] == ["stop", "budget", "budget"]

    async def test_a_prompt_that_reaches_the_limit_by_itself_is_not_sent(self):
        limit = SpendLimit(Decimal("0.00002"), "--max-cost")
        room = Room(Script(WHOLE), run=limit)
        answer = await room.complete()
        assert (room.script.requests, answer.cost) == ([], NOTHING)
        assert "--max-cost = $0.000020" in said(answer)
        assert limit.left_for(room.another()) == limit.usd, "nothing is held back from the other answers of the run"

    async def test_what_others_of_the_run_have_spent_counts_before_sending_too(self):
        room = Room(Script(WHOLE), run=SpendLimit(Decimal("0.000039"), "--max-cost"))
        second = room.another()
        await room.complete()
        await room.complete(second)
        assert (room.answer.finish_reason, second.finish_reason) == ("stop", "budget")
        assert len(room.script.requests) == 1

    async def test_a_limit_of_less_than_a_few_tokens_still_lets_them_be_heard(self):
        room = Room(Script(ENDLESS, hangs=True), run=SpendLimit(INPUT_USD + Decimal("0.000004"), "--max-cost"))
        answer = await room.complete()
        assert "stopped by --max-cost" in said(answer)
        assert (room.asked_for, answer.text) == (None, "xxxxx")

    @pytest.mark.parametrize("price", ["0", "0.000001"])
    async def test_nothing_allows_nothing_however_little_the_prompt_costs(self, price):
        model = replace(MODEL, price=Price(Decimal(price), Decimal(10)))
        room = Room(Script(WHOLE), run=SpendLimit(ZERO, "--max-cost"), model=model)
        assert "--max-cost = $0" in said(await room.complete())
        assert room.script.requests == []

    async def test_what_costs_nothing_goes_on_when_the_limit_is_used_up(self):
        model = replace(MODEL, price=Price(ZERO, ZERO))
        room = Room(Script(WHOLE), run=SpendLimit(ZERO, "--max-cost"), model=model)
        assert (await room.complete()).finish_reason == "stop"


class TestUnknownPrice:
    @pytest.mark.parametrize("unknown", ["warn", "refuse", "tokens"])
    async def test_a_currency_without_a_rate_is_no_unknown_price(self, unknown):
        model = replace(MODEL, price=Price(Decimal(1), Decimal(2), currency="EUR", usd_rate=None))
        room = Room(Script(WHOLE), Caps(daily_usd=Decimal(5), unknown_price=unknown), Purse(Decimal(5)), model=model)
        words = said(await room.complete()) if unknown == "refuse" else room.answer.warnings[0]
        assert "is priced in EUR, and what that is in USD is unknown" in words
        next_step = f'set currency = "EUR" and usd_rate in [providers.{model.provider}.pricing] of config.toml'
        assert unknown == "tokens" or words.endswith(next_step)

    async def test_a_limit_that_cannot_hold_is_said(self):
        room = Room(Script(WHOLE), per_answer("1"), run=SpendLimit(Decimal(1), "--max-cost"), model=UNPRICED)
        assert [warning.partition(";")[0] for warning in room.answer.warnings] == [
            "the price of work/b in USD is unknown, so --max-cost and budget.per_answer_usd cannot hold"
        ]
        assert (await room.complete()).finish_reason == "stop"
        assert Room(Script(WHOLE), per_answer("1")).answer.warnings == []

    async def test_it_can_be_refused(self):
        room = Room(Script(WHOLE), Caps(unknown_price="refuse"), model=UNPRICED)
        assert 'budget.unknown_price = "refuse"; set it in [models."work/b"]' in said(await room.complete())
        assert room.script.requests == []

    async def test_it_can_be_cut_by_tokens(self):
        caps = Caps(unknown_price="tokens", per_answer_tokens=100)
        room = Room(Script(ENDLESS, hangs=True), caps, model=UNPRICED)
        answer = await room.complete()
        assert "budget.per_answer_tokens = 100" in said(answer)
        assert (len(answer.text), room.asked_for) == (100, 100)


class TestSharedLimits:
    async def test_more_is_set_aside_as_the_answer_grows_and_never_more_than_there_is(self):
        purse = Purse(Decimal("0.01"))
        room = Room(Script(ENDLESS * 2, hangs=True), Caps(daily_usd=Decimal(5)), purse)
        answer = await room.complete()
        assert "stopped by budget.daily_usd = $5.00; raise it in config.toml, or wait until 2026-03-0" in said(answer)
        assert Decimal("0.01") <= cost(answer) <= Decimal("0.01001")
        assert 3 < len(purse.claims) < 200, "in slices, not for each token"
        assert all(claim.completion_id == answer.id for claim in purse.claims)

    async def test_nobody_waits_for_the_ledger_while_there_is_something_left(self):
        purse = Purse(Decimal(1), waits=True)
        room = Room(Script(ENDLESS, hangs=True), Caps(daily_usd=Decimal(5)), purse)
        task = asyncio.create_task(room.complete())
        await asyncio.wait_for(purse.asked_again.wait(), 5)
        assert cost(room.answer) > purse.claims[1].used_usd, "it went on although nobody had answered"
        assert not purse.answers[1].done()
        purse.waits = False
        purse.answer(1)
        await asyncio.wait_for(room.script.hanging.wait(), 5)
        assert len(room.answer.text) == 5000
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def test_what_a_lost_attempt_took_is_set_aside_anew_before_the_next(self):
        purse = Purse(Decimal(1))
        room = Room(Script((ResponseStarted(), LOST, *WHOLE)), Caps(daily_usd=Decimal(5)), purse)
        assert (await room.complete()).finish_reason == "stop"
        assert [claim.used_usd for claim in purse.claims] == [INPUT_USD, INPUT_USD]

    async def test_an_attempt_for_which_nothing_is_left_is_not_made(self):
        purse = Purse(Decimal(1))

        def spent() -> None:
            purse.left_usd = ZERO

        room = Room(Script((ResponseStarted(), LOST, *WHOLE), before=spent), Caps(daily_usd=Decimal(5)), purse)
        assert said(await room.complete()).startswith("not sent: $0 is left")
        assert (room.answer.text, room.script.closed) == ("", True)

    async def test_a_refusal_says_what_is_left_when_it_changes_and_what_to_do(self):
        room = Room(Script(WHOLE), Caps(daily_usd=Decimal(5)), Purse(Decimal("0.00003")))
        message = said(await room.complete())
        assert message.startswith("not sent: $0.000030 is left of budget.daily_usd = $5.00 ($5.00 is spent)")
        assert "begins anew on 2026-03-0" in message
        assert "raise it in config.toml" in message
        assert room.script.requests == []

    async def test_a_ledger_that_cannot_say_sends_nothing(self):
        room = Room(Script(WHOLE), Caps(monthly_usd=Decimal(5)), Purse(Decimal(5), fails=True))
        answer = await room.complete()
        assert room.script.requests == []
        assert answer.error is not None
        assert answer.error.message == "not sent: budget.monthly_usd cannot be checked: the disk is full"

    async def test_a_chat_a_day_and_a_month_are_asked_about_at_once(self):
        purse = Purse(Decimal(5))
        room = Room(Script(WHOLE), Caps(per_chat_usd=Decimal(6), daily_usd=Decimal(7), monthly_usd=Decimal(8)), purse)
        await room.complete()
        spans = purse.claims[0].spans
        assert [f"{span.scope} {span.cap_usd}" for span in spans] == ["chat 6", "day 7", "month 8"]
        assert spans[0].conversation_id == room.conversation.id
        for span in spans[1:]:
            assert span.since is not None
            assert span.until is not None
            assert span.since <= room.answer.created_at < span.until
            assert span.since.astimezone().hour == span.until.astimezone().hour == 0

    async def test_play_money_obeys_the_limit_of_an_answer_only(self):
        purse = Purse(Decimal(0))
        room = Room(Script(WHOLE), Caps(Decimal(1), ZERO, ZERO, ZERO), purse, model=PLAY)
        assert ((await room.complete()).finish_reason, purse.claims) == ("stop", [])
        cut = await Room(Script(ENDLESS), per_answer("0.0001"), model=PLAY).complete()
        assert cut.cost.play
        said(cut)

    async def test_who_has_no_limits_is_asked_nothing(self):
        room = Room(Script(ENDLESS), Caps(), Purse(Decimal(0)))
        assert not room.budgets.limits(room.answer)
        assert room.budgets.balances(room.conversation.id, NOON) == ()

    def test_how_loud_a_gauge_is(self):
        budgets = Budgets(Caps(daily_usd=Decimal(10), warn_at=0.8), Purse(Decimal("2.1")))
        levels = []
        for left in ("2.1", "2", "0"):
            budgets.ledger = Purse(Decimal(left))
            (balance,) = budgets.balances(None, NOON)
            levels.append(budgets.level(balance))
        assert levels == ["quiet", "warn", "reached"]
        assert budgets.raise_for_now("day") == "budget.daily_usd = $20.00"
        assert budgets.balances(None, NOON)[0].span.cap_usd == 20
        assert budgets.raise_for_now("month") is None


class TestBilledOn:
    """Answers whose bill a stop may not end."""

    STOPS = replace(MODEL, stops_billing="yes")

    async def test_one_alone_gets_all_that_is_left_and_is_asked_for_no_more_than_it_holds(self):
        purse = Purse(Decimal("0.001"))
        room = Room(Script(ENDLESS, hangs=True), Caps(daily_usd=Decimal(5)), purse)
        answer = await room.complete()
        assert room.asked_for == (purse.left_usd - INPUT_USD) // Decimal("0.000002")
        assert said(answer).startswith("stopped by budget.daily_usd")
        assert len(purse.claims) == 2, "asked again only at its end"
        assert answer.billed_at_most is None or answer.billed_at_most <= purse.left_usd

    async def test_those_that_ask_at_once_share_what_is_left(self):
        purse = Purse(Decimal("0.001"))
        room = Room(Script((TextDelta("x"),), hangs=True), Caps(daily_usd=Decimal(5)), purse)
        all_sent = asyncio.Event()
        room.script.before = lambda: all_sent.set() if len(room.script.requests) == 3 else None
        tasks = [asyncio.create_task(room.complete(each)) for each in (room.answer, room.another(), room.another())]
        await asyncio.wait_for(all_sent.wait(), 5)
        await asyncio.sleep(0)
        assert [(claim.whole, claim.among) for claim in purse.claims] == [(True, 3), (True, 2), (True, 1)]
        third = (purse.left_usd - INPUT_USD) / 3 / Decimal("0.000002")
        assert abs(int(str(room.script.requests[0].params["max_tokens"])) - third) <= 1
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert room.answer.billed_at_most == purse.claims[0].share_of(purse.left_usd)
        assert room.budgets.asking == set()

    async def test_it_sets_aside_all_that_the_user_asked_for_and_no_more_than_another_limit_leaves(self):
        for cap, tokens in (("1", 3000), ("0.001", 489)):
            purse = Purse(Decimal(1))
            caps = Caps(per_answer_usd=Decimal(cap), daily_usd=Decimal(5))
            room = Room(Script(WHOLE), caps, purse, params={"max_tokens": 3000})
            await room.complete()
            assert (room.asked_for, purse.claims[0].slice_usd) == (tokens, tokens * Decimal("0.000002"))

    async def test_where_a_stop_ends_the_bill_it_comes_back_for_more(self):
        purse = Purse(Decimal("0.001"))
        room = Room(Script(WHOLE), Caps(daily_usd=Decimal(5)), purse, model=self.STOPS)
        await room.complete()
        assert (purse.claims[0].whole, room.asked_for) == (False, 489)

    async def test_a_retry_is_asked_for_no_more_than_is_left_after_the_lost_one(self):
        purse = Purse(Decimal("0.001"))

        def spent() -> None:
            purse.left_usd -= INPUT_USD

        room = Room(Script((ResponseStarted(), LOST, *WHOLE), before=spent), Caps(daily_usd=Decimal(5)), purse)
        assert (await room.complete()).finish_reason == "stop"
        assert (room.asked_for, room.answer.clamped_to, room.answer.params) == (478, 478, {})

    async def test_a_dialect_that_asks_for_a_length_by_itself_is_told_of_every_smaller_room(self):
        class Demanding(Script):
            def length_unasked(self, request: object) -> int:
                return 8192

        for left, tokens in (("0.010022", 5000), ("1", None)):
            purse = Purse(Decimal(left))
            room = Room(Demanding(WHOLE), Caps(daily_usd=Decimal(5)), purse)
            await room.complete()
            assert (room.asked_for, purse.claims[0].slice_usd) == (tokens, 8192 * Decimal("0.000002"))

    @pytest.mark.parametrize(
        ("then", "at_most"),
        [
            (ProviderError("timeout", "silent", request_sent=True), "0.000222"),
            (ProviderError("stream", "the connection broke", request_sent=True), None),
        ],
    )
    async def test_an_error_counts_in_full_only_where_it_was_us_who_hung_up(self, then, at_most):
        room = Room(Script((TextDelta("x" * 10),), then=then), params={"max_tokens": 100})
        answer = await room.complete()
        assert answer.finish_reason == "error"
        assert answer.billed_at_most == (None if at_most is None else Decimal(at_most))


class TestDearReasoning:
    DEAR = replace(MODEL, price=Price(Decimal(1), Decimal(2), reasoning_per_mtok=Decimal(20)))

    async def test_reasoning_with_a_price_of_its_own_is_watched_at_that_price(self):
        script = Script((ReasoningDelta("xxxxx"),) * 1000, hangs=True)
        answer = await Room(script, per_answer("0.001"), model=self.DEAR).complete()
        said(answer)
        assert Decimal("0.001") <= cost(answer) <= Decimal("0.0011")
        assert (answer.usage.usage.reasoning_tokens, answer.cost.quality) == (None, "estimated")
        assert answer.billed_at_most is None or answer.billed_at_most >= cost(answer)

    async def test_what_the_server_reports_of_it_counts_instead(self):
        whole = (
            ReasoningDelta("x" * 50),
            TextDelta("ok"),
            Finished("stop"),
            UsageUpdate(Usage(10, 30, None, None, 20)),
        )
        answer = await Room(Script(whole), model=self.DEAR).complete()
        assert (cost(answer), answer.cost.quality) == (Decimal("0.00043"), "reported")


class TestRaising:
    async def test_without_a_raise_a_continued_answer_gets_no_second_limit(self):
        room = Room(Script(ENDLESS, hangs=True), per_answer("0.0001"))
        cut = await room.complete()
        rest = await room.complete(room.chat.again(room.conversation, [], room.turn, room.model, resumes=cut))
        assert "with what it cost before" in said(rest)
        assert not rest.sent
        again = await room.complete(room.chat.again(room.conversation, [], room.turn, room.model, resumes=rest))
        assert again.resumed_usd == cost(cut), "a refused part cost nothing, those before it count on"

    async def test_a_limit_in_tokens_counts_all_parts_of_an_answer(self):
        room = Room(Script(ENDLESS, hangs=True), Caps(unknown_price="tokens", per_answer_tokens=40), model=UNPRICED)
        cut = await room.complete()
        rest = await room.complete(room.chat.again(room.conversation, [], room.turn, room.model, resumes=cut))
        assert "its parts are as long as budget.per_answer_tokens = 40 allows" in said(rest)
        room.budgets.raise_for_now("tokens")
        more = await room.complete(room.chat.again(room.conversation, [], room.turn, room.model, resumes=cut))
        assert 80 <= (cut.output_tokens or 0) + (more.output_tokens or 0) <= 90

    async def test_a_limit_that_ended_an_answer_is_raised_and_the_answer_goes_on(self):
        room = Room(Script(ENDLESS, hangs=True), per_answer("0.0001"))
        cut = await room.complete()
        assert room.budgets.can_raise(cut) == "answer"
        assert room.budgets.raise_for_now("answer") == "budget.per_answer_usd = $0.00020"
        rest = await room.complete(room.chat.again(room.conversation, [], room.turn, room.model, resumes=cut))
        assert Decimal("0.0002") <= cost(cut) + cost(rest) <= Decimal("0.00021"), "both parts are one answer"
        assert room.script.requests[-1].partial == cut.text

    async def test_the_words_of_an_answer_from_the_history_tell_which_limit_it_was(self):
        limits = Caps(daily_usd=Decimal(5), monthly_usd=Decimal(9))
        budgets = Budgets(limits, Purse(ZERO))
        refused = await Room(Script(WHOLE), limits, Purse(ZERO)).complete()
        refused.error = ChatError("budget", said(refused))
        assert budgets.can_raise(refused) == "day"
        assert Budgets(Caps(monthly_usd=Decimal(9))).can_raise(refused) is None, "it is not there any more"
        assert budgets.can_raise(await Room(Script(WHOLE)).complete()) is None

    async def test_what_nothing_can_be_raised_for_says_so(self):
        refused = await Room(Script(WHOLE), Caps(unknown_price="refuse"), model=UNPRICED).complete()
        assert Budgets(Caps(ZERO)).can_raise(refused) is None
        assert Budgets(Caps(ZERO)).can_raise(await Room(Script(WHOLE), Caps(ZERO)).complete()) is None, "twice nothing"

    async def test_the_tokens_of_an_unknown_price_can_be_raised(self):
        caps = Caps(unknown_price="tokens", per_answer_tokens=100)
        room = Room(Script(ENDLESS, hangs=True), caps, model=UNPRICED)
        assert room.budgets.can_raise(await room.complete()) == "tokens"
        assert room.budgets.raise_for_now("tokens") == "budget.per_answer_tokens = 200"
        assert len((await room.complete(room.another())).text) == 200


class Standing(Purse):
    """A ledger whose limits stand as the test says, by their scope."""

    def __init__(self, **spent: str) -> None:
        super().__init__(ZERO)
        self.spent = {scope: Decimal(usd) for scope, usd in spent.items()}

    def balances(self, spans: Sequence[Span]) -> tuple[Balance, ...]:
        return tuple(Balance(span, self.spent[span.scope], self.spent[span.scope]) for span in spans)


class TestRaisingEnough:
    async def refused(self, caps: Caps) -> Completion:
        return await Room(Script(WHOLE), caps, Purse(ZERO)).complete()

    async def test_one_press_is_enough_however_far_a_limit_was_passed(self):
        caps = Caps(daily_usd=Decimal("0.0002"))
        budgets = Budgets(caps, Standing(day="0.01"))
        assert (words := budgets.raise_for(await self.refused(caps), "c", NOON)) is not None
        assert words.startswith("budget.daily_usd = $0.0")
        (day,) = budgets.balances("c", NOON)
        assert day.left_usd >= INPUT_USD + LEAST_TOKENS * Decimal("0.000002")
        assert budgets.raise_for(await self.refused(caps), "c", NOON) is None, "nothing stands in the way any more"

    async def test_every_limit_that_stands_in_the_way_is_raised_and_no_other(self):
        caps = Caps(Decimal(1), Decimal(1), daily_usd=Decimal("0.0002"), monthly_usd=Decimal("0.0003"))
        budgets = Budgets(caps, Standing(chat="0.5", day="0.0002", month="0.00029"))
        words = budgets.raise_for(await self.refused(caps), "c", NOON)
        assert words is not None
        assert [name.partition(" = ")[0] for name in words.split(" and ")] == ["budget.daily_usd", "budget.monthly_usd"]
        assert budgets.cap("answer") == budgets.cap("chat") == Decimal(1)

    async def test_a_limit_that_began_anew_needs_no_raising(self):
        caps = Caps(daily_usd=Decimal("0.01"))
        budgets = Budgets(caps, Standing(day="0"))
        refused = await self.refused(caps)
        assert budgets.raise_for(refused, "c", NOON) is None
        assert budgets.can_raise(refused) == "day"

    async def test_a_limit_of_one_answer_takes_the_whole_prompt(self):
        caps = per_answer("0.000001")
        room = Room(Script(WHOLE), caps)
        assert room.budgets.raise_for(await room.complete(), "c", NOON) is not None
        assert (await room.complete(room.another())).finish_reason == "stop"

    async def test_a_limit_of_nothing_forbids_whatever_stands_beside_it(self):
        caps = Caps(daily_usd=Decimal("0.0002"), monthly_usd=ZERO)
        budgets = Budgets(caps, Standing(day="0.0002", month="0"))
        refused = await self.refused(caps)
        assert budgets.can_raise(refused) is None
        assert budgets.raise_for(refused, "c", NOON) is None
        assert budgets.cap("day") == Decimal("0.0002")


class TestStopped:
    @pytest.mark.parametrize(("stops", "at_most"), [("yes", None), ("no", "0.000222"), ("unknown", "0.000222")])
    async def test_it_counts_in_full_where_the_bill_may_not_stop(self, stops, at_most):
        model = replace(MODEL, stops_billing=stops)
        room = Room(Script((TextDelta("x" * 10),), hangs=True), model=model, params={"max_tokens": 100})
        task = asyncio.create_task(room.complete())
        await asyncio.wait_for(room.script.hanging.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert room.answer.billed_at_most == (None if at_most is None else Decimal(at_most))
        assert cost(room.answer) == Decimal("0.000042"), "the charge stays what it is"

    async def test_what_came_to_its_end_costs_what_it_costs(self):
        assert (await Room(Script(WHOLE), params={"max_tokens": 100}).complete()).billed_at_most is None


usd = st.decimals(0, 10, places=6)


@given(usd, usd, usd, usd, st.booleans(), st.integers(1, 5))
def test_a_share_is_within_what_is_left_and_covers_what_was_used(left, used, least, part, whole, among):
    now = datetime(2026, 1, 1, tzinfo=UTC)
    got = Claim("c", "chat", now, (), used, least, part, whole, among).share_of(left)
    if got is None:
        assert left <= used or left < used + least
    else:
        assert used + least <= got <= left
