"""The use cases: start a turn, answer it. `Chat.complete` is *the* coroutine of the program.

The app and `ask` run the same one and differ only in `paint`. A coroutine that is handed its sink, rather than a stream
that callers loop over, keeps one rule in one place: whoever iterates a provider's stream must close it, or the socket
stays open after a cancel and the model goes on billing.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from tui_chat.core.budget import Budgets
from tui_chat.core.calibration import Calibrator, Sample, median
from tui_chat.core.columns import Tip, mates_of
from tui_chat.core.completion import COUNTED_AT_ONCE, Completion
from tui_chat.core.context import goes_along, joined_text, messages_before, prompt_message, reported_before, unanswered
from tui_chat.core.conversation import Conversation, Turn, path_continued, title_from
from tui_chat.core.counter import Clock, TokenCounter
from tui_chat.core.errors import BudgetError, ChatError, StorageError
from tui_chat.core.events import (
    FinishReason,
    ReasoningDelta,
    ResponseStarted,
    StreamEvent,
    TextDelta,
    Waiting,
)
from tui_chat.core.ids import new_id
from tui_chat.core.message import BlobPart, Message, TextPart
from tui_chat.core.model import Model
from tui_chat.core.ports import KnownLength, LateBilling, Paint, Providers, Store
from tui_chat.core.pricing import Cost, cost_of
from tui_chat.core.request import Request
from tui_chat.core.usage import CountedUsage, Usage

if TYPE_CHECKING:
    from tui_chat.core.allowance import Allowance
    from tui_chat.core.fitting import Excess

PARTIAL_INTERVAL_S = 0.4
"""How long text may wait for the disk; with the writer's own delay well under the promised half second."""
PARTIAL_AT_ONCE = 1024 * 1024
"""Characters of one write: SQLite holds each several times."""
BILL_WAITS_S = (1.0, 3.0, 10.0, 30.0)
"""Seconds before each question for a bill that came without its answer; it takes its time to be written."""
_FRAME = 3
"""Tokens around a whole prompt, for the reply that it asks for."""
_SAVE_WAIT_S = 2.0
_LOOK_AGAIN_S = 0.2

_log = logging.getLogger(__name__)


class Chat:
    """Everything that can be done with a conversation, over whatever providers and store it is given."""

    def __init__(
        self,
        providers: Providers,
        store: Store,
        counter: TokenCounter,
        clock: Clock,
        *,
        budgets: Budgets | None = None,
        keep_text: bool = True,
        calibrator: Calibrator | None = None,
    ) -> None:
        self._providers = providers
        self._store = store
        self._counter = counter
        self._clock = clock
        self.budgets = budgets or Budgets()
        self._keep_text = keep_text
        self._calibrator = calibrator or Calibrator()
        self._settling: set[asyncio.Task[None]] = set()
        self.on_settled: Callable[[Completion], None] = lambda _completion: None
        """Called when the bill of an answer came long after its end."""
        self._loading: asyncio.Task[None] | None = None

    def new_conversation(self, model: Model | None = None, system_prompt: str | None = None) -> Conversation:
        """Return a conversation that is stored with its first turn."""
        now = self._clock.now()
        name = model.name if model else None
        return Conversation(new_id(), "New chat", now, now, system_prompt=system_prompt, model=name)

    def start_turn(
        self,
        conversation: Conversation,
        path: Sequence[Turn],
        prompt: str,
        models: Sequence[Model],
        *,
        attachments: tuple[BlobPart, ...] = (),
    ) -> Turn:
        """Return a new turn that goes on from `path`, with one pending completion per model, its write under way.

        `path` is empty for a first turn, and the turns *before* the edited one for a branch. Nothing reaches the
        network before the turn is on disk: `complete` waits for `Turn.saved`.
        """
        last = path[-1].continued if path else None
        tip = Tip(tuple(path), last, tuple(models))
        return self.start_turns(conversation, [tip], prompt, attachments=attachments)[0]

    def start_turns(
        self,
        conversation: Conversation,
        tips: Sequence[Tip],
        prompt: str,
        *,
        attachments: tuple[BlobPart, ...] = (),
        blind: bool = False,
    ) -> list[Turn]:
        """Return one new turn for each tip, as `start_turn` does for one; all of them share a batch and one write.

        They stand in the order of the tips, and the conversation goes on through the chosen one. `blind` keeps names
        and prices out of view.
        """
        now = self._clock.now()
        chosen = next((at for at, tip in enumerate(tips) if tip.chosen), 0)
        batch_id = new_id() if len(tips) > 1 else None
        turns = [self._turn_at(conversation, tip, prompt, attachments, batch_id) for tip in tips]
        for turn in turns:
            turn.mates = tuple(turns) if len(turns) > 1 else ()
            turn.blind = blind
        if not conversation.stored:
            conversation.title = title_from(prompt)
        conversation.tip_id = turns[chosen].id
        conversation.updated_at = now
        if models := tips[chosen].models:
            conversation.model = models[0].name
        if self._keep_text:
            one = len(turns) == 1
            start = (
                self._store.start_turn(conversation, turns[0]) if one else self._store.start_turns(conversation, turns)
            )
            for turn in turns:
                turn.saved = start
            conversation.stored = True
        return turns

    def _turn_at(
        self,
        conversation: Conversation,
        tip: Tip,
        prompt: str,
        attachments: tuple[BlobPart, ...],
        batch_id: str | None,
    ) -> Turn:
        turn = Turn(
            new_id(),
            conversation.id,
            prompt,
            self._clock.now(),
            continues=tip.completion.id if tip.completion is not None else None,
            attachments=attachments,
            batch_id=batch_id,
        )
        before = messages_before(tip.path, conversation.system_prompt, tip.completion)
        turn.completions = [
            self._pending(conversation, tip.path, turn, model, before, tip.completion) for model in tip.models
        ]
        if len(turn.completions) > 1:
            turn.chosen_id = turn.completions[0].id  # the cursor stands there, until the user moves it
        if left_out := unanswered(tip.path, tip.completion):
            plural = "turns without an answer were" if left_out > 1 else "turn without an answer was"
            for completion in turn.completions:
                completion.warnings.append(f"{left_out} {plural} not sent on")
        return turn

    def again(
        self,
        conversation: Conversation,
        path: Sequence[Turn],
        turn: Turn,
        model: Model,
        resumes: Completion | None = None,
    ) -> Completion:
        """Return one more pending completion of a stored `turn`; `path` is what stands before it.

        With `resumes` it goes on where that one was cut: the model sees the part and is asked for the rest. It is in
        view at once; the next prompt goes on from it when it has ended with text.
        """
        last = path[-1].completion(turn.continues) if path else None
        before = messages_before(path, conversation.system_prompt, last)
        completion = self._pending(conversation, path, turn, model, before, last)
        if resumes is not None and completion.request is not None:
            completion.resumes_id = resumes.id
            completion.resumed_usd = resumes.resumed_usd + (resumes.cost.usd or 0)
            completion.resumed_tokens = resumes.resumed_tokens + (resumes.output_tokens or 0)
            completion.request = replace(completion.request, partial=joined_text(turn, resumes))
            completion.added_to, completion.added = None, ()
        turn.completions.append(completion)
        turn.chosen_id = completion.id
        conversation.updated_at = self._clock.now()
        if conversation.tip_id in {mate.id for mate in mates_of(turn)}:
            conversation.model = model.name
        if self._keep_text:
            turn.saved = self._store.start_completion(conversation, completion)
        return completion

    def _pending(
        self,
        conversation: Conversation,
        path: Sequence[Turn],
        turn: Turn,
        model: Model,
        before: Sequence[Message],
        last: Completion | None = None,
    ) -> Completion:
        params = {**model.params, **conversation.params}
        completion = Completion(new_id(), turn.id, model, self._clock.now(), params=params, running=True)
        messages = (*before, prompt_message(turn))
        completion.request = Request(model, messages, params, retry_now=asyncio.Event())
        if (reported := reported_before(path, model, last)) is not None:
            completion.added_to, answer = reported
            completion.added = (answer, messages[-1])
        if (warning := self.budgets.warning(model)) is not None:
            completion.warnings.append(warning)
        return completion

    async def complete(self, conversation: Conversation, turn: Turn, completion: Completion, paint: Paint) -> None:
        """Answer: send, apply every event, paint, and keep what arrived, whatever happens.

        Raises CancelledError, nothing else.
        """
        clock = self._clock.monotonic
        partial = _PartialWriter(self._store, completion, self._charged_to(conversation), keep_text=self._keep_text)
        reason: FinishReason | None = None
        error: ChatError | None = None
        exact_input = self._counter.loaded
        try:
            completion.start(clock(), self._counter, None)
            if self.budgets.limits(completion):
                self.budgets.asking.add(completion.id)
            completion.output_ratio = self._calibrator.output_ratio(completion.model.provider, completion.model.id)
            self._start_loading()
            completion.input_estimate = await self._input_tokens(completion)
            await self._saved(turn, completion)
            reason, error = await self._within_budget(conversation, completion, paint, partial)
            if not exact_input and completion.usage.estimated:
                await self._loaded()
                completion.input_estimate = await self._input_tokens(completion)
                await _count_up(completion)
        except asyncio.CancelledError:
            # a whole answer that only waits for its usage, or for the tokenizer, stays whole
            reason = reason or completion.finish_reason or "cancelled"
            if completion.waiting is not None and clock() >= (completion.waiting_until_s or 0):
                completion.sent = True  # the retry was on its way
            raise
        except ChatError as failed:
            reason, error = "error", failed
            completion.attempts = max(completion.attempts, getattr(failed, "attempts", 1))
            if completion.ttft_s is None:  # without a token only a request that was taken can cost
                completion.sent = getattr(failed, "request_sent", False)
        except Exception as bug:  # noqa: BLE001  the border: a bug must end as a marked answer, not as a lost one
            _log.error("bug while answering", exc_info=bug)
            reason = "error"
            error = ChatError("internal", f"tui-chat made a mistake ({type(bug).__name__}); the log has the details")
        finally:
            self.budgets.asking.discard(completion.id)
            partial.close()
            if completion.unreadable:
                completion.warnings.append(f"{completion.unreadable} unreadable event(s) of the server were skipped")
            completion.end(clock(), reason or "error", error)
            if reason == "cancelled":
                completion.reckon_savings(self._usual_output(completion.model))
            self.budgets.note(completion)
            # handed over without awaiting: a second cancel cannot undo it
            if self._keep_text:
                self._store.save_completion(conversation.id, completion)
            else:
                self._store.save_charge(completion, self._charged_to(conversation))
            self._learn(completion)
            if completion.finish_reason in ("cancelled", "error", "budget"):
                self._settle_later(conversation, completion)

    async def _within_budget(
        self, conversation: Conversation, completion: Completion, paint: Paint, partial: "_PartialWriter"
    ) -> tuple[FinishReason, ChatError | None]:
        """Run, and return how it ended, with the limit that ended it where one did. Raises ChatError."""
        try:
            return await self._run(conversation, completion, paint, partial), None
        except BudgetError as limited:
            return "budget", limited

    async def _run(
        self, conversation: Conversation, completion: Completion, paint: Paint, partial: "_PartialWriter"
    ) -> FinishReason:
        """Send and read to the end; return how it ended. Raises ChatError, and BudgetError where a limit ends it."""
        request = completion.request
        if request is None:
            raise ChatError("internal", "this answer was already given")
        provider = self._providers.provider(completion.model)
        completion.length_unasked = provider.length_unasked(request) if isinstance(provider, KnownLength) else None
        allowance = self._allowance(conversation, completion)
        if allowance is not None:
            await allowance.open()
            request = completion.request or request  # it may have been told to be shorter
        shared = allowance is not None and allowance.is_shared
        await self._open_charge(conversation, completion, awaited=shared)
        completion.sent = True  # from here on a stop can cost the input
        request = replace(request, input_tokens=completion.input_estimate)
        async with aclosing(provider.stream(request)) as events:
            async for event in events:
                if isinstance(event, Waiting):
                    self._lose_attempt(conversation, completion, allowance, owed=event.request_sent)
                now, queued = self._clock.monotonic(), completion.queued is not None
                completion.apply(event, now)
                if queued is (completion.queued is None):
                    await self._open_charge(conversation, completion, awaited=shared)
                partial.note(event)
                await _count_up(completion)
                await paint(event)
                if allowance is not None and allowance.due(event, now):
                    await allowance.check()
        if completion.finish_reason is None:
            raise ChatError("stream", "the answer broke off before its end; run it again")
        if allowance is not None:
            allowance.judge_end()
        return completion.finish_reason

    async def _open_charge(self, conversation: Conversation, completion: Completion, *, awaited: bool) -> None:
        """Write what the request costs that is about to leave, for a program that is killed has sent it all the same.

        Nobody waits for the disk but where others count on it. What waits in a queue is not on its way.
        """
        sent, completion.sent = completion.sent, completion.queued is None
        written = self._store.open_charge(completion, self._charged_to(conversation))
        completion.sent = sent
        if awaited:
            with suppress(TimeoutError, StorageError):  # it stays in line, and money was set aside
                async with asyncio.timeout(_SAVE_WAIT_S):
                    await asyncio.shield(asyncio.wrap_future(written))

    def _charged_to(self, conversation: Conversation) -> str | None:
        """Return the chat in which answers count, kept or not; `None` for one that nothing is kept of."""
        return conversation.id if self._keep_text or conversation.stored else None

    def _allowance(self, conversation: Conversation, completion: Completion) -> "Allowance | None":
        """Return what an answer may spend; `None` when nothing limits it."""
        if not self.budgets.limits(completion):
            return None
        from tui_chat.core.allowance import Allowance

        return Allowance(self.budgets, completion, conversation.id)

    def _lose_attempt(
        self, conversation: Conversation, completion: Completion, allowance: "Allowance | None", *, owed: bool
    ) -> None:
        """Settle an attempt that failed and will be followed by another."""
        self._store.settle_attempt(completion, self._charged_to(conversation), owed=owed)
        if allowance is not None:
            allowance.lost(owed=owed)

    async def _saved(self, turn: Turn, completion: Completion) -> None:
        """Wait until the prompt is on disk; a full disk must not cost the answer."""
        if turn.saved is None:
            return
        try:
            # shielded: the write is shared by all columns, a stopped one must not take it back
            async with asyncio.timeout(_SAVE_WAIT_S):
                await asyncio.shield(asyncio.wrap_future(turn.saved))
        except TimeoutError:
            completion.warnings.append("not saved yet: the disk is slow or the history locked; it is tried again")
        except StorageError as failed:
            completion.warnings.append(f"not saved: {failed.message}")

    async def _input_tokens(self, completion: Completion) -> int | None:
        request = completion.request
        if request is None:
            return None
        model, base, exact = request.model, completion.added_to, self._counter.loaded
        counted = Request(model, completion.added, {}) if base is not None else request
        if sum(m.size for m in counted.messages) < 20_000:
            count = self.prompt_tokens(counted)
        else:
            count = await asyncio.to_thread(self.prompt_tokens, counted)
        if base is not None:
            count -= _FRAME  # the report has that of the reply already
        completion.added_count = count if exact else None
        return self._billed_input(model, base, count)

    def _billed_input(self, model: Model, base: int | None, count: int) -> int:
        """Return what a prompt will be counted as: `count` more than `base`, where that was reported."""
        if base is None:
            return self._calibrator.first_input(model.provider, model.id, count)
        return self._calibrator.grown_input(model.provider, model.id, base, count)

    def _usual_output(self, model: Model) -> int | None:
        """Return how long finished answers of a model usually are; `None` when that is not known, or not readable."""
        try:
            lengths = self._store.finished_lengths(model.provider, model.id)
        except StorageError:
            return None
        from tui_chat.core.savings import LEAST_ANSWERS

        return round(median(lengths)) if len(lengths) >= LEAST_ANSWERS else None

    def _learn(self, completion: Completion) -> None:
        """Take what the provider reported of a whole answer as samples of how it counts."""
        usage, model = completion.usage, completion.model
        if usage.source != "reported" or not self._counter.loaded or model.scripted:
            return
        sent, answered, thought = usage.usage.input_tokens, usage.usage.output_tokens, usage.usage.reasoning_tokens
        pictures = completion.request is not None and any(m.has_pictures for m in completion.request.messages)
        if sent is not None and completion.added_count is not None and not pictures:
            base = completion.added_to
            grown = Sample("first", completion.added_count, sent)
            if base is not None:
                grown = Sample("input", completion.added_count, sent - base)
            self._calibrator.learn(model.provider, model.id, grown)
        if answered is not None:
            counted = completion.counted_visible if thought is not None else completion.counted_output
            self._calibrator.learn(model.provider, model.id, Sample("output", counted, answered - (thought or 0)))

    def prompt_tokens(self, request: Request) -> int:
        """Return our count of a request: the text of each message plus the frame around it.

        3 + role + content per message and 3 for the reply, the long-standing rule of the OpenAI cookbook.
        """
        texts = [part.text for message in request.messages for part in message.parts]
        texts += [request.partial] if request.partial else []
        frame = _FRAME + 4 * (len(request.messages) + bool(request.partial)) + _pictures(request)
        if not self._counter.loaded:  # an estimate is the same in every encoding, and to ask which loads a library
            return frame + sum(self._counter.count(text) for text in texts)
        encoding = request.model.encoding or self._counter.encoding_for(request.model.id)
        return frame + sum(self._counter.count(text, encoding) for text in texts)

    def estimate(
        self,
        conversation: Conversation,
        path: Sequence[Turn],
        prompt: str,
        model: Model,
        attachments: tuple[BlobPart, ...] = (),
        *,
        earlier_tokens: int = 0,
        last: Completion | None = None,
    ) -> tuple[int, Cost]:
        """Return our count of what sending `prompt` after `path` would put in, and what that costs before any reply.

        `earlier_tokens` is what stands before a path that is not whole. Nothing is taken as cached, so the cost is an
        upper bound of the input and a lower bound of the answer. `last` is the answer it goes on from, where
        that is not the choice of the last turn.
        """
        said = Message("user", (*attachments, TextPart(prompt)))
        if (so_far := _running_before(path, last)) is not None:
            count = so_far + self.prompt_tokens(Request(model, (said,), {}))
        elif (reported := reported_before(path, model, last)) is not None:
            base, answer = reported
            count = self._billed_input(model, base, self.prompt_tokens(Request(model, (answer, said), {})) - _FRAME)
        else:
            messages = (*messages_before(path, conversation.system_prompt, last), said)
            count = self._billed_input(model, None, self.prompt_tokens(Request(model, messages, {})) + earlier_tokens)
        counted = CountedUsage(Usage(count, 0), "estimated", ("input_tokens",))
        return count, cost_of(counted, model.price, self._clock.now())

    def excess(
        self,
        conversation: Conversation,
        path: Sequence[Turn],
        prompt: str,
        model: Model,
        attachments: tuple[BlobPart, ...] = (),
        last: Completion | None = None,
    ) -> "Excess | None":
        """Return what has to be left out of a whole path so that a prompt fits; `None` when it fits, or nobody knows.

        Counts everything, so for a long path call it in a thread. `last` is as for `estimate`.
        """
        from tui_chat.core.fitting import excess, room_for_answer

        window = model.context_window
        if window is None:
            return None
        tokens, _ = self.estimate(conversation, path, prompt, model, attachments, last=last)
        longest = {**model.params, **conversation.params}.get("max_tokens")
        room = room_for_answer(window, longest)
        if tokens + room <= window:
            return None
        sent = []
        for turn, completion in path_continued(path, last):
            if completion is not None and goes_along(completion, text := joined_text(turn, completion)):
                messages = (prompt_message(turn), Message.of("assistant", text))
                sent.append((completion, self.prompt_tokens(Request(model, messages, {})) - _FRAME))
        return excess(tokens, window, room, sent)

    def history_tokens(self, turns: Sequence[Turn], following: Turn, model: Model) -> int:
        """Return our count of what some turns of a path put in; `following` is the turn that goes on from the last."""
        both = self.prompt_tokens(Request(model, tuple(messages_before([*turns, following], None)), {}))
        return both - self.prompt_tokens(Request(model, tuple(messages_before([following], None)), {}))

    def _settle_later(self, conversation: Conversation, completion: Completion) -> None:
        """Ask for the bill of an answer that was cut off, where the provider keeps an account of it."""
        if (
            completion.sent
            and completion.request_id
            and completion.billed_usd is None
            and not completion.model.scripted
        ):
            task = asyncio.create_task(self._settle(conversation, completion, completion.request_id))
            self._settling.add(task)
            task.add_done_callback(self._settling.discard)

    async def _settle(self, conversation: Conversation, completion: Completion, request_id: str) -> None:
        try:
            provider = self._providers.provider(completion.model)
            if not isinstance(provider, LateBilling):
                return
            for wait_s in BILL_WAITS_S:
                await asyncio.sleep(wait_s)
                bill = await provider.bill_of(request_id)
                if bill is not None:
                    completion.settle(*bill)
                    if self._keep_text:
                        self._store.save_completion(conversation.id, completion)
                    else:
                        self._store.save_charge(completion, self._charged_to(conversation))
                    self.on_settled(completion)
                    return
        except ChatError:
            return  # the estimate stands

    async def aclose(self) -> None:
        """Close idle connections; nothing may be running."""
        for task in self._settling:
            task.cancel()
        await self._providers.aclose()

    def _start_loading(self) -> None:
        if not self._counter.loaded and self._loading is None:
            self._loading = asyncio.create_task(asyncio.to_thread(self._counter.load))

    async def _loaded(self) -> None:
        if self._loading is not None:
            await asyncio.wait({self._loading}, timeout=5)  # neither cancels it nor raises what it raised


async def _count_up(completion: Completion) -> None:
    """Count the tokens of a flood in slices, and let the loop live between them."""
    while completion.uncounted > COUNTED_AT_ONCE:
        _ = completion.counted_output
        await asyncio.sleep(0)


def _pictures(request: Request) -> int:
    """Return about what the pictures of a request are counted as."""
    parts = [part for message in request.messages for part in message.parts]
    pictures = [part for part in parts if isinstance(part, BlobPart) and part.media_type.startswith("image/")]
    if not pictures:
        return 0
    from tui_chat.core.pictures import picture_tokens

    return sum(picture_tokens(request.model.id, part.data) for part in pictures)


def _running_before(path: Sequence[Turn], last: Completion | None) -> int | None:
    """Return what an answer that runs, and all before it, has in tokens by its own counters.

    `None` when what goes on does not follow such an answer. Its text is not looked at: it grows, and may be long.
    """
    through = path_continued(path[-1:], last)
    answer = through[-1][1] if through else None
    if answer is None or not answer.running or answer.input_estimate is None:
        return None
    return answer.input_estimate + max(0, (answer.output_tokens or 0) - (answer.counted_reasoning or 0))


class _PartialWriter:
    """Hands new text to the store at most every `PARTIAL_INTERVAL_S`, also when the stream falls silent after it.

    Where text is not kept, it is only the charge so far: a program that is killed has spent the money all the same.
    """

    def __init__(self, store: Store, completion: Completion, charged_to: str | None, *, keep_text: bool) -> None:
        self._store = store
        self._completion = completion
        self._charged_to = charged_to
        self._keep_text = keep_text
        self._text = self._reasoning = 0
        self._timer: asyncio.TimerHandle | None = None
        self._retry: asyncio.TimerHandle | None = None

    def note(self, event: StreamEvent) -> None:
        """Plan a write when there is something to keep: text, or that the server took the request and will charge.

        So there is when a retry will be on its way.
        """
        if isinstance(event, Waiting):
            self._retry = asyncio.get_running_loop().call_later(event.wait_s, self._send_again, event)
        wanted = isinstance(event, TextDelta | ReasoningDelta | ResponseStarted)
        if wanted and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PARTIAL_INTERVAL_S, self._write)

    def _write(self) -> None:
        self._timer = None
        if not self._keep_text:
            self._store.save_charge(self._completion, self._charged_to)
            return
        text, reasoning = self._completion.text_log, self._completion.reasoning_log
        while True:
            new, thoughts = text.part(self._text, PARTIAL_AT_ONCE), reasoning.part(self._reasoning, PARTIAL_AT_ONCE)
            self._store.save_partial(self._completion, new, thoughts)
            self._text += len(new)
            self._reasoning += len(thoughts)
            if self._text == text.size and self._reasoning == reasoning.size:
                return

    def _send_again(self, waited: Waiting) -> None:
        if self._completion.waiting is not waited:  # it was sent before, or queued
            return
        if self._completion.waiting_until_s == math.inf:  # it waits for somebody else's end
            self._retry = asyncio.get_running_loop().call_later(_LOOK_AGAIN_S, self._send_again, waited)
        else:
            self._completion.sent = True
            self._store.open_charge(self._completion, self._charged_to)

    def close(self) -> None:
        for timer in (self._timer, self._retry):
            if timer is not None:
                timer.cancel()
