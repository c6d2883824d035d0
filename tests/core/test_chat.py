"""The coroutine that answers: what is on disk when, and that nothing received is lost, whatever happens."""

import asyncio
from concurrent.futures import Future
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from tests.core.doubles import MODEL, NOON, PRICE, CharacterCounter, MemoryStore, Saved, Script, SteppingClock, done
from tui_chat.core import chat as chat_module
from tui_chat.core import completion as completion_module
from tui_chat.core.chat import Chat
from tui_chat.core.completion import Completion, State
from tui_chat.core.conversation import Conversation, Turn
from tui_chat.core.errors import ConfigurationError, ProviderError, StorageError
from tui_chat.core.events import (
    Dequeued,
    Finished,
    Queued,
    ReasoningDelta,
    ResponseStarted,
    StreamEvent,
    TextDelta,
    UsageUpdate,
    Waiting,
)
from tui_chat.core.message import BlobPart
from tui_chat.core.model import Model
from tui_chat.core.pricing import NOTHING, cost_of
from tui_chat.core.usage import Usage

WHOLE = (ResponseStarted("id", "a-1"), TextDelta("Hello"), Finished("stop"), UsageUpdate(Usage(9, 4)))


@dataclass
class Room:
    """A chat with its doubles, and one turn that asks `Hi`."""

    script: Script
    store: MemoryStore = field(default_factory=MemoryStore)
    counter: CharacterCounter = field(default_factory=CharacterCounter)
    keep_text: bool = True
    painted: list[StreamEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chat = Chat(
            self.script.port(),
            self.store.port(),
            self.counter,
            SteppingClock(),
            keep_text=self.keep_text,
        )
        self.conversation = self.chat.new_conversation(MODEL, "Be brief.")
        self.turn = self.chat.start_turn(self.conversation, [], "Hi", [MODEL])
        self.answer = self.turn.completions[0]

    async def paint(self, event: StreamEvent) -> None:
        self.painted.append(event)

    async def complete(self, answer: Completion | None = None) -> Completion:
        await self.chat.complete(self.conversation, self.turn, answer or self.answer, self.paint)
        return answer or self.answer

    async def cancel_when(self, event: asyncio.Event) -> None:
        """Start to answer, wait for `event`, cancel, and see the cancel come out again."""
        task = asyncio.create_task(self.complete())
        await asyncio.wait_for(event.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


class TestStarting:
    def test_a_turn_has_a_pending_answer_for_each_model_and_is_being_written(self):
        room = Room(Script(WHOLE))
        turn = room.chat.start_turn(room.conversation, [room.turn], "Both?\nPlease.", [MODEL, Model("work", "b")])
        assert [c.state for c in turn.completions] == [State.WAITING] * 2
        assert turn.continues == room.answer.id
        assert turn.saved is room.store.turn_write
        assert (room.conversation.tip_id, room.conversation.title, room.conversation.stored) == (turn.id, "Hi", True)
        assert room.script.requests == []

    def test_turns_without_an_answer_are_left_out_with_a_word(self):
        room = Room(Script(WHOLE))
        first = room.chat.start_turn(room.conversation, [room.turn], "And?", [MODEL])
        second = room.chat.start_turn(room.conversation, [room.turn, first], "So?", [MODEL])
        assert first.completions[0].warnings == ["1 turn without an answer was not sent on"]
        assert second.completions[0].warnings == ["2 turns without an answer were not sent on"]
        room.answer.discarded = first.completions[0].discarded = True
        third = room.chat.start_turn(room.conversation, [room.turn, first], "So?", [MODEL])
        assert third.completions[0].warnings == []

    def test_a_turn_goes_on_from_the_answer_that_has_text(self):
        room = Room(Script(WHOLE))
        room.answer.text_log.append("Hello")
        room.answer.running = False
        failed = room.chat.again(room.conversation, [], room.turn, MODEL)
        failed.running = False
        assert room.turn.chosen is failed
        assert room.chat.start_turn(room.conversation, [room.turn], "And?", [MODEL]).continues == room.answer.id

    def test_the_request_holds_what_stands_before_and_the_parameters_of_model_and_conversation(self):
        room = Room(Script(WHOLE))
        room.answer.text_log.append("Hello")
        room.conversation.params = {"top_p": 1}
        model = Model("work", "b", params={"top_p": 0.5, "seed": 1})
        request = room.chat.start_turn(room.conversation, [room.turn], "And?", [model]).completions[0].request
        assert request is not None
        assert [m.text for m in request.messages] == ["Be brief.", "Hi", "Hello", "And?"]
        assert request.params == {"top_p": 1, "seed": 1}

    def test_again_is_one_more_answer_in_the_same_turn_and_the_chosen_one(self):
        room = Room(Script(WHOLE))
        again = room.chat.again(room.conversation, [], room.turn, Model("work", "b"))
        assert (room.turn.completions, room.turn.chosen) == ([room.answer, again], again)
        assert room.conversation.model == "work/b"
        assert room.store.log == ["turn", "completion"]
        assert again.request is not None
        assert [m.text for m in again.request.messages] == ["Be brief.", "Hi"]

    def test_going_on_shows_the_model_all_that_it_said_before_also_the_second_time(self):
        room = Room(Script(WHOLE))
        room.answer.text_log.append("One, two, ")
        second = room.chat.again(room.conversation, [], room.turn, MODEL, resumes=room.answer)
        second.text_log.append("three, ")
        third = room.chat.again(room.conversation, [], room.turn, MODEL, resumes=second)
        assert third.resumes_id == second.id
        assert third.request is not None
        assert [m.role for m in third.request.messages] == ["system", "user"]
        assert third.request.partial == "One, two, three, "

    def test_the_estimate_is_the_input_at_its_price(self):
        room = Room(Script(WHOLE))
        count, cost = room.chat.estimate(room.conversation, [], "Hi", MODEL)
        assert count == 3 + 4 * 2 + len("Be brief.Hi")
        assert (cost.amount, cost.quality) == (Decimal(count) / 1_000_000, "estimated")

    def test_the_estimate_counts_text_files_that_go_along(self):
        room = Room(Script(WHOLE))
        alone, _ = room.chat.estimate(room.conversation, [], "Hi", MODEL)
        files = (BlobPart("a.txt", "text/plain", b"x" * 500), BlobPart("a.bin", "application/zip", b"PK"))
        count, _ = room.chat.estimate(room.conversation, [], "Hi", MODEL, files)
        assert count == alone + 500


class TestAnswering:
    async def test_a_whole_answer_is_painted_kept_and_settled(self):
        room = Room(Script(WHOLE))
        answer = await room.complete()
        assert room.painted == list(WHOLE)
        assert (answer.text, answer.finish_reason, answer.error) == ("Hello", "stop", None)
        assert (answer.state, answer.model_served) == (State.SETTLED, "a-1")
        assert answer.cost == cost_of(answer.usage, PRICE, NOON)
        assert room.store.saved == [Saved("stop", "Hello")]
        assert room.script.closed

    async def test_the_provider_is_not_asked_before_the_prompt_is_on_disk(self):
        room = Room(Script(WHOLE), MemoryStore(turn_write=Future()))
        task = asyncio.create_task(room.complete())
        for _ in range(20):
            await asyncio.sleep(0)
        assert room.script.requests == []
        room.store.turn_write.set_result(None)
        await task
        assert len(room.script.requests) == 1
        assert room.store.log == ["turn", "answer"]

    async def test_a_disk_that_is_full_costs_a_warning_and_not_the_answer(self):
        room = Room(Script(WHOLE), MemoryStore(turn_write=done(StorageError("the disk is full"))))
        answer = await room.complete()
        assert (answer.text, answer.error, answer.warnings) == ("Hello", None, ["not saved: the disk is full"])

    async def test_a_stopped_column_does_not_take_back_the_write_it_shares(self):
        room = Room(Script(WHOLE), MemoryStore(turn_write=Future()))
        other = room.chat.again(room.conversation, [], room.turn, MODEL)
        room.turn.saved = room.store.turn_write
        first, second = asyncio.create_task(room.complete()), asyncio.create_task(room.complete(other))
        for _ in range(20):
            await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert room.store.turn_write.set_running_or_notify_cancel(), "the writer thread still has it"
        room.store.turn_write.set_result(None)
        await second
        assert (room.answer.finish_reason, other.finish_reason) == ("cancelled", "stop")

    async def test_without_keeping_text_the_open_charge_is_written_while_it_runs(self, monkeypatch):
        monkeypatch.setattr(chat_module, "PARTIAL_INTERVAL_S", 0.0)
        room = Room(Script((ResponseStarted(),), hangs=True), keep_text=False)
        await room.cancel_when(room.store.partial_came)
        assert room.store.log == ["open charge", "charge"]
        assert room.store.partials == []

    async def test_the_charge_is_open_before_the_request_leaves(self):
        room = Room(Script(WHOLE))
        room.script.before = lambda: sent.extend(room.store.opened)
        sent: list[object] = []
        await room.complete()
        assert sent == [(room.conversation.id, 1, Decimal("0.000022"))]

    async def test_what_waits_in_a_queue_owes_nothing_until_it_leaves_it(self):
        queued = Queued(1.0, 0, "it has room")
        room = Room(Script((queued, queued, Dequeued(), *WHOLE)))
        await room.complete()
        assert [usd for _, _, usd in room.store.opened] == [Decimal("0.000022"), 0, Decimal("0.000022")]

    async def test_a_retry_has_an_open_charge_from_when_it_is_sent(self):
        room = Room(Script((Waiting("overloaded", "busy", 0.0, 2, 3),), hangs=True))
        await room.cancel_when(room.script.hanging)
        assert room.store.opened == [(room.conversation.id, n, Decimal("0.000022")) for n in (1, 2)]

    async def test_an_answer_that_is_not_kept_counts_in_its_chat_where_that_is(self):
        for stored in (True, False):
            room = Room(Script(WHOLE), keep_text=False)
            room.conversation.stored = stored
            await room.complete()
            assert [chat for chat, _, _ in room.store.opened] == [room.conversation.id if stored else None]

    async def test_a_flood_is_counted_in_slices_between_which_the_loop_lives(self, monkeypatch):
        monkeypatch.setattr(chat_module, "COUNTED_AT_ONCE", 10)
        monkeypatch.setattr(completion_module, "COUNTED_AT_ONCE", 10)
        room = Room(Script((TextDelta("x" * 1000), Finished("stop"))))
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        answer = await room.complete()
        ticking.cancel()
        assert answer.output_tokens == 1000
        assert ticks > 90

    async def test_without_keeping_text_only_the_charge_is_written(self):
        room = Room(Script(WHOLE), keep_text=False)
        await room.complete()
        assert room.store.log == ["charge"]
        assert not room.conversation.stored

    async def test_partials_are_written_while_the_stream_is_silent(self, monkeypatch):
        monkeypatch.setattr(chat_module, "PARTIAL_INTERVAL_S", 0.01)
        room = Room(Script((ReasoningDelta("hm "), TextDelta("Hel"), TextDelta("lo")), hangs=True))
        await room.cancel_when(room.store.partial_came)
        assert room.store.partials == ["Hellohm "]
        assert room.store.saved == [Saved("cancelled", "Hello")]

    async def test_much_that_came_at_once_is_written_in_parts(self, monkeypatch):
        monkeypatch.setattr(chat_module, "PARTIAL_INTERVAL_S", 0.0)
        monkeypatch.setattr(chat_module, "PARTIAL_AT_ONCE", 4)
        room = Room(Script((ReasoningDelta("hmmmm"), TextDelta("Hello you")), hangs=True))
        await room.cancel_when(room.store.partial_came)
        assert room.store.partials == ["Hellhmmm", "o yom", "u"]

    async def test_partials_never_repeat_what_was_written(self, monkeypatch):
        monkeypatch.setattr(chat_module, "PARTIAL_INTERVAL_S", 0.0)
        room = Room(Script(tuple(TextDelta(str(n)) for n in range(5)), hangs=True))

        async def slowly(event: StreamEvent) -> None:
            await asyncio.wait_for(room.store.partial_came.wait(), 5)
            room.store.partial_came.clear()

        room.paint = slowly  # type: ignore[method-assign]
        await room.cancel_when(room.script.hanging)
        assert "".join(room.store.partials) == "01234"

    async def test_no_partial_is_written_behind_the_whole_answer(self, monkeypatch):
        monkeypatch.setattr(chat_module, "PARTIAL_INTERVAL_S", 0.02)
        room = Room(Script(WHOLE))
        await room.complete()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(room.store.partial_came.wait(), 0.06)

    async def test_the_prompt_is_counted_again_once_the_vocabulary_is_there(self):
        room = Room(Script((TextDelta("Hello"), Finished("stop"))), counter=CharacterCounter(loaded=False))
        usage = (await room.complete()).usage.usage
        assert (usage.input_tokens, usage.output_tokens) == (3 + 4 * 2 + len("Be brief.Hi"), 5)

    async def test_a_vocabulary_that_fails_to_load_leaves_an_estimate(self):
        class Broken(CharacterCounter):
            def load(self) -> None:
                raise OSError("no such file")

        room = Room(Script((TextDelta("Hello"), Finished("stop"))), counter=Broken(loaded=False))
        answer = await room.complete()
        assert (answer.finish_reason, answer.usage.source) == ("stop", "estimated")


class TestStopping:
    async def test_before_the_first_token(self):
        room = Room(Script((), hangs=True))
        await room.cancel_when(room.script.hanging)
        assert room.answer.state is State.STOPPED
        assert (room.answer.usage.usage.output_tokens, room.answer.usage.source) == (0, "partial")
        assert room.answer.cost.quality == "estimated"  # the input was on its way
        assert room.store.saved == [Saved("cancelled", "")]
        assert room.script.closed

    async def test_in_the_middle_keeps_the_text_and_what_it_cost(self):
        room = Room(Script((ResponseStarted(), TextDelta("Hel")), hangs=True))
        await room.cancel_when(room.script.hanging)
        assert room.store.saved == [Saved("cancelled", "Hel")]
        assert (room.answer.usage.usage.output_tokens, room.answer.usage.source) == (3, "partial")
        assert room.answer.cost.quality == "estimated"
        assert room.script.closed

    async def test_while_the_prompt_is_still_being_written(self):
        room = Room(Script(WHOLE), MemoryStore(turn_write=Future()))
        task = asyncio.create_task(room.complete())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert room.script.requests == []
        assert room.store.saved == [Saved("cancelled", "")]

    async def test_while_painting_closes_the_stream(self):
        room = Room(Script((TextDelta("Hel"), TextDelta("lo"))))
        painting = asyncio.Event()

        async def paint(event: StreamEvent) -> None:
            painting.set()
            await asyncio.Event().wait()

        room.paint = paint  # type: ignore[method-assign]
        await room.cancel_when(painting)
        assert room.script.closed
        assert room.store.saved == [Saved("cancelled", "Hel")]

    async def test_two_quick_cancels_still_save_once(self):
        room = Room(Script((TextDelta("Hel"),), hangs=True))
        task = asyncio.create_task(room.complete())
        await asyncio.wait_for(room.script.hanging.wait(), 5)
        task.cancel()
        asyncio.get_running_loop().call_soon(task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert room.store.saved == [Saved("cancelled", "Hel")]

    async def test_while_the_usage_is_waited_for_leaves_a_whole_answer(self):
        room = Room(Script((TextDelta("Hello"), Finished("length")), hangs=True))
        await room.cancel_when(room.script.hanging)
        assert room.store.saved == [Saved("length", "Hello")]
        assert (room.answer.error, room.answer.usage.source) == (None, "estimated")

    async def test_a_retry_that_was_on_its_way_costs_its_input(self):
        for wait_s, costs in ((0.0, True), (1000.0, False)):
            room = Room(Script((Waiting("connection", "reset", wait_s, 2, 3),), hangs=True))
            await room.cancel_when(room.script.hanging)
            assert (room.answer.cost != NOTHING) == costs

    async def test_after_the_end_does_not_make_a_whole_answer_a_cut_one(self):
        loading = asyncio.Event()
        room = Room(Script((TextDelta("Hello"), Finished("stop"))), counter=CharacterCounter(loaded=False))

        async def never() -> None:
            loading.set()
            await asyncio.Event().wait()

        room.chat._loaded = never  # type: ignore[method-assign]
        await room.cancel_when(loading)
        assert room.store.saved == [Saved("stop", "Hello")]


class TestFailing:
    async def test_an_error_keeps_the_text(self):
        error = ProviderError("connection", "the server hung up; run it again", request_sent=True, attempts=2)
        room = Room(Script((TextDelta("Hel"),), then=error))
        answer = await room.complete()
        assert (answer.finish_reason, answer.error, answer.attempts) == ("error", error, 2)
        assert room.store.saved == [Saved("error", "Hel")]

    async def test_a_refused_request_costs_nothing(self):
        answer = await Room(Script((), then=ProviderError("rate_limit", "slow down"))).complete()
        assert (answer.state, answer.cost) == (State.FAILED, NOTHING)

    async def test_a_request_that_was_taken_and_then_lost_costs_its_input(self):
        answer = await Room(Script((), then=ProviderError("timeout", "silence", request_sent=True))).complete()
        assert answer.cost.amount == Decimal(3 + 4 * 2 + len("Be brief.Hi")) / 1_000_000

    async def test_an_end_without_a_finish_reason_is_a_broken_stream(self):
        room = Room(Script((TextDelta("Hel"),)))
        answer = await room.complete()
        assert answer.error is not None
        assert (answer.error.kind, answer.finish_reason, answer.text) == ("stream", "error", "Hel")

    async def test_a_bug_of_ours_ends_as_a_marked_answer(self, caplog):
        room = Room(Script((TextDelta("Hel"),), then=ZeroDivisionError("secret prompt")))
        answer = await room.complete()
        assert answer.error is not None
        assert (answer.error.kind, answer.finish_reason) == ("internal", "error")
        assert "secret" not in str(answer.error)
        assert room.store.saved == [Saved("error", "Hel")]
        assert "bug while answering" in caplog.text

    async def test_a_bug_in_painting_closes_the_stream_too(self):
        room = Room(Script(WHOLE))

        async def paint(event: StreamEvent) -> None:
            raise LookupError

        room.paint = paint  # type: ignore[method-assign]
        answer = await room.complete()
        assert answer.error is not None
        assert (answer.error.kind, room.script.closed) == ("internal", True)

    async def test_a_model_that_cannot_be_used_says_why(self):
        room = Room(Script(WHOLE))

        def refuse(model: Model) -> Script:
            raise ConfigurationError("set WORK_KEY", kind="authentication")

        room.script.provider = refuse  # type: ignore[method-assign]
        answer = await room.complete()
        assert answer.error is not None
        assert (answer.error.kind, answer.error.message, answer.cost) == ("authentication", "set WORK_KEY", NOTHING)

    async def test_an_answer_of_the_past_is_not_given_twice(self):
        room = Room(Script(WHOLE))
        room.answer.request = None
        answer = await room.complete()
        assert answer.error is not None
        assert answer.error.message == "this answer was already given"

    async def test_retries_are_seen_and_counted(self):
        wait = Waiting("overloaded", "busy", 1.0, 2, 3)
        answer = await Room(Script((wait, *WHOLE))).complete()
        assert (answer.attempts, answer.finish_reason) == (2, "stop")

    async def test_the_charge_of_a_lost_attempt_is_settled_before_the_next_one(self):
        refused = Waiting("overloaded", "busy", 0.0, 2, 3)
        lost = Waiting("connection", "reset", 0.0, 3, 3, request_sent=True)
        room = Room(Script((refused, ResponseStarted(), lost, *WHOLE)))
        await room.complete()
        assert room.store.log == ["turn", "attempt 1 free", "attempt 2 owed", "answer"]


def test_a_new_conversation_is_not_stored_before_its_first_turn():
    room = Room(Script(()))
    fresh = room.chat.new_conversation()
    assert (fresh.stored, fresh.title, fresh.model) == (False, "New chat", None)
    assert isinstance(fresh, Conversation)
    assert isinstance(room.turn, Turn)
