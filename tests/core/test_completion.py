"""An answer folds what a stream says, whatever comes in whatever order."""

from dataclasses import fields
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.doubles import MODEL, NOON, PRICE, CharacterCounter, CharacterStream
from tui_chat.core import completion as completion_module
from tui_chat.core.completion import Completion, Log, State
from tui_chat.core.events import (
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
from tui_chat.core.pricing import NOTHING, cost_of
from tui_chat.core.usage import CountedUsage, Usage

RETRY = Waiting("overloaded", "busy", 8.0, 2, 3)
QUEUED = Queued(12.0, 2, "the limit of 5 requests a minute has room")

counts = st.none() | st.integers(0, 10**6)
usages = st.builds(Usage, counts, counts, counts, counts, counts)
events = st.one_of(
    st.builds(TextDelta, st.text()),
    st.builds(ReasoningDelta, st.text()),
    st.builds(ToolCallDelta, st.text(), st.text()),
    st.builds(UsageUpdate, usages),
    st.builds(BilledCost, st.decimals(0, 1, places=6)),
    st.builds(ResponseStarted, st.none() | st.text(), st.none() | st.text()),
    st.builds(Unreadable, st.integers(1, 3)),
    st.just(RETRY),
    st.just(QUEUED),
    st.just(Dequeued()),
    st.just(Finished("stop")),
)


def running(*stream: StreamEvent, prompt_tokens: int | None = 10) -> Completion:
    completion = Completion("c", "t", MODEL, NOON)
    completion.start(0.0, CharacterCounter(), prompt_tokens)
    for at, event in enumerate(stream, 1):
        completion.apply(event, float(at))
    return completion


def ended(*stream: StreamEvent, reason: FinishReason = "stop") -> Completion:
    completion = running(*stream)
    completion.end(len(stream) + 1.0, reason)
    return completion


class TestFolding:
    @given(st.lists(events, max_size=30))
    def test_any_interleaving_keeps_every_character_and_counts_it(self, stream):
        answer = running(*stream)
        assert answer.text == "".join(e.text for e in stream if isinstance(e, TextDelta))
        assert answer.reasoning == "".join(e.text for e in stream if isinstance(e, ReasoningDelta))
        called = "".join(e.name + e.arguments for e in stream if isinstance(e, ToolCallDelta))
        assert answer.counted_output == len(answer.text) + len(answer.reasoning) + len(called)

    def test_a_failed_attempt_leaves_nothing_to_the_next_one(self):
        said = (ResponseStarted("id", "a-1"), Unreadable(2), UsageUpdate(Usage(9, 4)), BilledCost(Decimal(1)))
        answer = running(*said, Finished("stop"), RETRY)
        assert (answer.cost, answer.usage.usage, answer.unreadable) == (NOTHING, Usage(), 0)
        assert (answer.request_id, answer.model_served, answer.finish_reason) == (None, None, None)
        answer.apply(ResponseStarted(), 9.0)
        assert answer.usage == CountedUsage(Usage(10, 0), "estimated", ("input_tokens", "output_tokens"))

    @given(st.lists(usages))
    def test_usage_is_replaced_field_by_field_and_never_added(self, snapshots):
        answer = running(*map(UsageUpdate, snapshots))
        for name in (f.name for f in fields(Usage)):
            told = [value for s in snapshots if (value := getattr(s, name)) is not None]
            assert getattr(answer.reported, name) == (told[-1] if told else None)

    @given(st.lists(events, max_size=30))
    def test_what_is_shown_while_it_runs_is_what_the_end_keeps(self, stream):
        answer = running(*stream)
        usage, cost = answer.usage.usage, answer.cost
        answer.end(99.0, "stop")
        assert (answer.usage.usage, answer.cost.amount) == (usage, cost.amount)

    def test_times_are_taken_from_the_first_token_and_the_first_text(self):
        answer = ended(ResponseStarted(), ReasoningDelta("hm"), ReasoningDelta("m"), TextDelta("a"), TextDelta("b"))
        assert (answer.ttft_s, answer.reasoning_s, answer.total_s) == (2.0, 2.0, 6.0)

    def test_the_time_in_the_queue_is_nobodys(self):
        answer = ended(QUEUED, QUEUED, Dequeued(), ResponseStarted(), TextDelta("a"))  # queued from 1 to 3
        assert (answer.ttft_s, answer.total_s, answer.attempts) == (3.0, 4.0, 1)
        assert ended(RETRY, QUEUED, QUEUED, reason="cancelled").total_s == 2.0

    def test_the_time_in_the_queue_is_kept_for_the_attempt_that_is_charged(self):
        assert ended(QUEUED, QUEUED, Dequeued(), ResponseStarted()).queued_s == 2.0
        assert ended(QUEUED, Dequeued(), RETRY, QUEUED, Dequeued()).queued_s == 2.0
        lost = Waiting("overloaded", "busy", 8.0, 2, 3, request_sent=True)
        assert ended(QUEUED, Dequeued(), lost).queued_s == 0.0

    def test_reasoning_that_never_came_to_an_answer_lasted_until_the_end(self):
        assert ended(ReasoningDelta("hm"), reason="cancelled").reasoning_s == 1.0

    def test_the_server_may_name_itself_in_pieces(self):
        answer = running(ResponseStarted("id", None), ResponseStarted(None, "a-2026"))
        assert (answer.request_id, answer.model_served) == ("id", "a-2026")


class TestUsage:
    def test_until_the_provider_reports_our_counts_stand_in_and_are_marked(self):
        usage = running(TextDelta("four")).usage
        assert usage == CountedUsage(Usage(10, 4), "estimated", ("input_tokens", "output_tokens"))

    def test_a_report_replaces_our_counts_and_drops_the_marks(self):
        usage = ended(TextDelta("four"), Finished("stop"), UsageUpdate(Usage(9, 3, 1, None, 0))).usage
        assert usage == CountedUsage(Usage(9, 3, 1, None, 0), "reported"), "also when it is lower than our count"

    def test_a_report_from_before_the_text_does_not_cap_it(self):
        early = UsageUpdate(Usage(9, 1))  # as Anthropic opens a stream
        for reason in ("cancelled", "stop"):
            usage = ended(early, TextDelta("four"), reason=reason).usage
            assert (usage.usage.input_tokens, usage.usage.output_tokens) == (9, 4)
            assert usage.estimated == ("output_tokens",)
        later = ended(early, TextDelta("four"), UsageUpdate(Usage(output_tokens=2))).usage
        assert later == CountedUsage(Usage(9, 2), "reported")

    def test_a_later_report_of_something_else_does_not_make_an_old_one_new(self):
        stream = (UsageUpdate(Usage(9, 1)), TextDelta("four"), UsageUpdate(Usage(input_tokens=8)))
        assert ended(*stream).usage == CountedUsage(Usage(8, 4), "estimated", ("output_tokens",))

    def test_figures_that_cannot_be_true_are_not_believed(self):
        usage = ended(TextDelta("four"), UsageUpdate(Usage(-1, 5, 20, 3, 6))).usage
        assert usage.usage == Usage(10, 5, 20, 3, None)
        assert Usage(5, 5, 6, 6, 6).checked() == Usage(5, 5)

    @pytest.mark.parametrize("reason", ["cancelled", "error", "interrupted", "budget"])
    def test_a_cut_answer_has_partial_figures_even_where_some_were_reported(self, reason):
        answer = ended(UsageUpdate(Usage(9, 0)), TextDelta("four"), reason=reason)
        assert answer.usage.source == "partial"
        assert answer.cost.quality == "estimated"

    def test_subsets_are_never_estimated(self):
        usage = running(ReasoningDelta("hmm"), TextDelta("a")).usage.usage
        assert (usage.cached_input_tokens, usage.reasoning_tokens) == (None, None)


class TestCost:
    def test_nothing_is_charged_before_the_request_was_taken(self):
        answer = running()
        assert answer.cost == NOTHING
        assert answer.usage == CountedUsage(Usage(), "estimated")
        answer.end(1.0, "error")
        assert answer.cost == NOTHING

    def test_from_the_servers_first_word_on_the_input_costs(self):
        assert running(ResponseStarted()).cost.amount == Decimal("0.00001")

    def test_a_retry_costs_nothing_until_it_is_taken(self):
        assert running(ResponseStarted(), RETRY).cost == NOTHING

    def test_in_the_queue_nothing_is_on_its_way_and_nothing_costs(self):
        for before in ((), (RETRY,)):
            answer = running(*before, QUEUED)
            assert (answer.cost, answer.sent, answer.state) == (NOTHING, False, State.QUEUED)
            answer.apply(Dequeued(), 5.0)
            assert (answer.sent, answer.state) == (True, State.WAITING)

    def test_it_is_the_usage_at_the_models_price_at_the_time_of_the_request(self):
        answer = ended(TextDelta("four"), UsageUpdate(Usage(9, 3)))
        assert answer.cost == cost_of(answer.usage, PRICE, NOON)
        assert answer.cost.amount == Decimal("0.000015")

    def test_what_was_billed_wins(self):
        answer = ended(TextDelta("four"), UsageUpdate(Usage(9, 3)), BilledCost(Decimal("0.5")))
        assert (answer.cost.amount, answer.cost.price_source) == (Decimal("0.5"), "billed")

    def test_once_ended_it_stays(self):
        answer = ended(TextDelta("four"))
        before = answer.cost
        answer.apply(UsageUpdate(Usage(10**6, 10**6)), 9.0)
        assert answer.cost == before


class TestState:
    @pytest.mark.parametrize(
        ("stream", "state"),
        [
            ((), State.WAITING),
            ((ResponseStarted(),), State.WAITING),
            ((RETRY,), State.RETRY),
            ((RETRY, QUEUED), State.QUEUED),
            ((RETRY, ResponseStarted()), State.WAITING),
            ((RETRY, TextDelta("a")), State.STREAMING),
            ((ReasoningDelta("a"),), State.THINKING),
            ((TextDelta(""),), State.WAITING),
            ((ReasoningDelta("a"), TextDelta("b")), State.STREAMING),
            ((ToolCallDelta("find", "{}"),), State.STREAMING),
        ],
    )
    def test_while_it_runs(self, stream, state):
        assert running(*stream).state is state
        assert state.running

    def test_an_answer_whose_end_is_known_is_done_while_its_bill_is_awaited(self):
        answer = running(TextDelta("a"), Finished("stop"))
        assert (answer.state, answer.running) == (State.DONE, True)

    def test_a_pause_covers_what_goes_on_below(self):
        answer = running(TextDelta("a"))
        answer.paused = True
        states = [answer.state]
        answer.end(9.0, "cancelled")
        assert [*states, answer.state] == [State.PAUSED, State.STOPPED]

    @pytest.mark.parametrize(
        ("reason", "state"),
        [("stop", State.DONE), ("length", State.DONE), ("tool_calls", State.DONE), ("cancelled", State.STOPPED),
         ("interrupted", State.STOPPED), ("budget", State.BUDGET), ("error", State.FAILED)],
    )  # fmt: skip
    def test_once_it_ended(self, reason, state):
        assert ended(TextDelta("a"), reason=reason).state is state
        assert not state.running

    def test_it_is_settled_when_the_provider_gave_the_figures(self):
        assert ended(TextDelta("a"), UsageUpdate(Usage(9, 1))).state is State.SETTLED
        assert ended(TextDelta("a"), UsageUpdate(Usage(None, 1))).state is State.DONE

    def test_a_retry_counts_down_and_counts_up(self):
        answer = running(RETRY)
        assert (answer.waiting_until_s, answer.attempts) == (9.0, 2)


class TestRate:
    def test_it_is_taken_over_the_last_two_seconds(self):
        answer = running(TextDelta("a"))
        seen = []
        for tenth in range(10, 60):  # 10 tokens per second, then 50
            answer.apply(TextDelta("x" if tenth < 30 else "xxxxx"), tenth / 10)
            seen.append(answer.rate(tenth / 10))
        assert seen[0] is None, "nothing to divide yet"
        assert seen[18] == pytest.approx(10, rel=0.05)
        assert seen[-1] == pytest.approx(50, rel=0.05)

    def test_a_silent_stream_falls_to_zero(self):
        answer = running(TextDelta("x" * 100))
        for tenth in range(10, 60):
            rate = answer.rate(tenth / 10)
        assert rate == 0

    def test_an_ended_answer_has_its_mean_after_the_first_token(self):
        assert ended(TextDelta("x" * 5), TextDelta("y" * 5)).rate(99.0) == pytest.approx(5)
        assert ended().rate(99.0) is None


class TestFlood:
    def test_no_look_counts_more_than_a_slice_and_the_rest_is_estimated(self, monkeypatch):
        monkeypatch.setattr(completion_module, "COUNTED_AT_ONCE", 10)
        answer = running(TextDelta("x" * 35))
        counter = CountingStream()
        answer._counts[0].stream = counter  # type: ignore[index]
        for uncounted in (25, 15, 5, 0):
            assert answer.counted_output == 35, "a token per character: the estimate is right here"
            assert answer.uncounted == uncounted
        assert counter.sizes == [10, 10, 10, 5]

    def test_behind_the_cap_the_count_is_scaled(self, monkeypatch):
        monkeypatch.setattr(completion_module, "COUNTED_AT_MOST", 10)
        counter = CountingStream(per_character=3)
        answer = running(TextDelta("x" * 8))
        answer._counts[0].stream = counter  # type: ignore[index]
        assert answer.counted_output == 24
        for _ in range(9):
            answer.apply(TextDelta("x" * 8), 2.0)
        assert answer.counted_output == 240
        assert counter.sizes == [8, 2]
        assert "output_tokens" in answer.usage.estimated

    def test_before_the_vocabulary_is_there_only_a_slice_is_kept_for_it(self, monkeypatch):
        monkeypatch.setattr(completion_module, "COUNTED_AT_ONCE", 10)
        counter = CharacterCounter(loaded=False)
        answer = Completion("c", "t", MODEL, NOON)
        answer.start(0.0, counter, 1)
        answer.apply(TextDelta("x" * 100), 1.0)
        assert [answer.counted_output for _ in range(3)] == [110] * 3
        counter.load()
        while answer.uncounted:
            _ = answer.counted_output
        assert answer.counted_output == 100

    def test_the_end_prices_the_very_usage_that_it_keeps(self, monkeypatch):
        monkeypatch.setattr(completion_module, "COUNTED_AT_ONCE", 2)
        answer = running(TextDelta("abcd" * 5))
        answer._counts[0].stream = CharactersThatShrink()  # type: ignore[index]
        answer.end(9.0, "cancelled")
        assert answer.cost == cost_of(answer.usage, PRICE, NOON)


class CountingStream(CharacterStream):
    def __init__(self, per_character: int = 1) -> None:
        super().__init__()
        self.per_character = per_character
        self.sizes: list[int] = []

    def feed(self, delta: str) -> int:
        self.sizes.append(len(delta))
        self.tokens += len(delta) * self.per_character
        return self.tokens


class CharactersThatShrink(CharacterStream):
    """Takes the first slice for denser than the rest."""

    def feed(self, delta: str) -> int:
        self.tokens += 1 if self.tokens else len(delta)
        return self.tokens


class TestLog:
    @given(st.lists(st.text(max_size=4), max_size=40), st.integers(1, 4), st.data())
    def test_any_part_of_it_can_be_read_however_it_is_kept(self, chunks, loose, data):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(completion_module, "_LOOSE", loose)
            log = Log()
            marks = []
            for chunk in chunks:
                marks.append((log.position, log.size))
                log.append(chunk)
                if data.draw(st.booleans()):
                    assert log.text == "".join(chunks[: len(marks)])
        whole = "".join(chunks)
        for position, size in marks:
            assert log.since(position) == whole[size:]
        start, most = data.draw(st.integers(0, len(whole))), data.draw(st.none() | st.integers(0, 9))
        assert log.part(start, most) == whole[start : None if most is None else start + most]
        assert log.size == len(whole)

    def test_a_text_is_kept_once(self):
        log = Log()
        for _ in range(10_000):
            log.append("some text")
        assert len(log._pieces) < 1000
        assert log.text is log.text
        assert len(log._pieces) == 1

    @given(st.lists(st.text()), st.integers(0, 5))
    def test_readers_take_what_is_new_since_they_last_looked(self, chunks, every):
        log, read, position = Log(), "", 0
        for at, chunk in enumerate(chunks):
            log.append(chunk)
            if every and at % every == 0:
                read += log.since(position)
                position = log.position
                assert log.text == read
        assert read + log.since(position) == log.text == "".join(chunks)
        assert bool(log) == bool(log.text)

    def test_it_may_begin_with_a_text(self):
        log = Log("from disk, ")
        log.append("and on")
        assert (log.text, log.since(1)) == ("from disk, and on", "and on")
