"""One start of a comparison: which prompt goes to which model when, and when to stop asking.

Each model has a queue of its own, so that one that fails, waits or has used up its limit holds up no other. Whatever
ends an answer, it is judged at one place; what a limit refused comes back where there may be room for it later.
"""

import asyncio
import math
from collections import deque
from collections.abc import Iterable
from contextlib import aclosing, suppress
from decimal import Decimal
from typing import Literal, Self

from tui_chat.bootstrap import Ground
from tui_chat.commands.answers import Answer, worst
from tui_chat.commands.compare_bar import Bar
from tui_chat.commands.history import History
from tui_chat.commands.output import say
from tui_chat.commands.signals import call_on_signals
from tui_chat.core.batch import HOPELESS, Batch, Progress, Prompt, answers_well, is_play
from tui_chat.core.budget import NAMES, SpendLimit, all_of, costs, scope_of, usd_of
from tui_chat.core.caps import LEAST_TOKENS
from tui_chat.core.chat import Chat
from tui_chat.core.completion import Completion
from tui_chat.core.conversation import Conversation, Turn
from tui_chat.core.errors import BudgetError, StorageError
from tui_chat.core.events import Dequeued, Queued, StreamEvent, Waiting
from tui_chat.core.model import Model
from tui_chat.core.ports import Paint
from tui_chat.core.record import record

Form = Literal["table", "markdown", "csv", "json"]

PARALLEL = 4
PARALLEL_PER_MODEL = 2
_FLUSH_S = 10.0
_MOST_WARNINGS = 10
_NO_END = Decimal("Infinity")


@record
class CompareOptions:
    file: str
    models: tuple[str, ...]
    parallel: int | None
    system: str | None
    form: Form | None
    output: str | None
    again: bool
    max_cost: Decimal | None
    quiet: bool

    @property
    def from_stdin(self) -> bool:
        return self.file == "-"


class _Slot:
    """The right to have one request under way; given back while the request waits to be sent again."""

    def __init__(self, slots: asyncio.Semaphore) -> None:
        self._slots = slots
        self._held = False

    async def __aenter__(self) -> Self:
        await self._slots.acquire()
        self._held = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self.give()

    def give(self) -> None:
        if self._held:
            self._held = False
            self._slots.release()

    async def take_again(self, completion: Completion) -> None:
        """Come back with a request that was queued and whose turn has come."""
        completion.sent = False  # not on its way before it has a slot
        await self.__aenter__()
        completion.sent = True

    async def wait(self, completion: Completion, wait_s: float) -> None:
        """Sit out a wait before a retry without the slot, so that one model's limit does not hold up the others."""
        self.give()
        await asyncio.sleep(wait_s)
        due_s, completion.waiting_until_s = completion.waiting_until_s, math.inf  # not on its way before it has a slot
        await self.__aenter__()
        completion.waiting_until_s = due_s
        # the provider begins its own wait when we return, and is woken from it
        asyncio.get_running_loop().call_soon(completion.retry_now)


class Run:
    """One start of a run."""

    def __init__(
        self,
        options: CompareOptions,
        ground: Ground,
        history: History,
        batch: Batch,
        conversation: Conversation,
        system: str | None,
    ) -> None:
        self._options = options
        self._ground = ground
        self._history = history
        self._store = history.store
        self._batch = batch
        self._conversation = conversation
        self._system = system
        self._queues = {model.name: deque(batch.left(model)) for model in batch.models}
        self._progress = Progress.of(batch)
        self._limit = None if options.max_cost is None else SpendLimit(options.max_cost, "--max-cost")
        self._over_budget = False
        self._limited: BudgetError | None = None
        """What a limit said that the rest of the run would meet too."""
        self._most = batch.size
        """How many that cost something run at once: fewer where what runs holds all that is left of a limit."""
        self._an_end = asyncio.Event()
        """Wakes those that wait for one of them to end."""
        self._ended = 0
        """Answers that cost something, were sent, and have ended."""
        self._trouble: str | None = None
        """Why the history cannot be written; then nothing more is asked."""
        self._stop_code = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._last: Turn | None = None
        self._bar = Bar(self._progress, quiet=options.quiet)
        total = options.parallel or PARALLEL
        share = -(-total // len(batch.models))
        self._per_model = PARALLEL_PER_MODEL if options.parallel is None else min(total, max(PARALLEL_PER_MODEL, share))
        self._slots = asyncio.Semaphore(total)

    async def answer(self) -> None:
        """Ask what is left."""
        self._count_earlier()
        if not any(self._queues.values()):
            return
        loop = asyncio.get_running_loop()
        async with aclosing(self._ground.providers()) as providers:
            chat = self._ground.chat(providers, self._store, run_limit=self._limit)
            call_on_signals(loop, self._stop)
            self._tasks = [
                asyncio.create_task(self._work(chat, model), name=f"{model.name} {number}")
                for number in range(self._per_model)
                for model in self._batch.models
            ]
            drawing = asyncio.create_task(self._bar.draw())
            try:
                await asyncio.wait(self._tasks)
                await self._flush()
            finally:
                drawing.cancel()
        for task in self._tasks:
            if not task.cancelled() and (bug := task.exception()) is not None:
                raise bug

    def _count_earlier(self) -> None:
        """The limit is that of the run: what earlier starts of it spent counts."""
        if self._limit is None:
            return
        for completion in self._batch.completions():
            self._limit.reached(completion)
        if self._limit.left_usd <= 0:
            for model in self._batch.models:
                if costs(model):
                    self._end_queue(model, BudgetError(self._limit.reason(), "run"))

    def _end_queue(self, model: Model, limit: BudgetError) -> None:
        """Ask nothing more of a model, for a limit leaves nothing for it."""
        if queue := self._queues[model.name]:
            self._over_budget = True
            self._limited = self._limited or limit
            self._batch.limited[model.name] = limit
            queue.clear()
            self._an_end.set()

    def _end(self) -> None:
        """Ask nothing more; what runs goes on to its end."""
        for queue in self._queues.values():
            queue.clear()
        self._an_end.set()

    def _stop(self, code: int) -> None:
        self._stop_code = self._stop_code or code
        self._end()
        for task in self._tasks:
            task.cancel()

    async def _work(self, chat: Chat, model: Model) -> None:
        """Ask one model, prompt after prompt; several of these share the model's queue."""
        queue = self._queues[model.name]
        while queue:
            while queue and self._is_full(model):
                self._an_end.clear()
                await self._an_end.wait()
            async with _Slot(self._slots) as slot:
                if not queue or self._is_full(model):
                    continue
                at, before = queue.popleft(), self._ended
                turn, completion = self._ask(chat, at, model)
                self._progress.start(completion)
                try:
                    if await self._is_on_disk(turn):
                        await chat.complete(self._conversation, turn, completion, _lets_others_go_on(slot, completion))
                finally:
                    self._take(completion)
            if isinstance(completion.error, BudgetError) and completion.error.shared:
                await self._weigh(chat, at, completion, completion.error, before)

    def _ask(self, chat: Chat, at: int, model: Model) -> tuple[Turn, Completion]:
        """Return a pending answer and its turn. Turns come into being in the order of the file: nothing is awaited."""
        prompt, conversation = self._address(at), self._conversation
        self._last = turn = self._batch.turns[at]
        if turn is not None:
            return turn, chat.again(conversation, [], turn, model)
        self._last = turn = self._batch.turns[at] = chat.start_turn(conversation, [], prompt.text, [model])
        return turn, turn.completions[0]

    def _address(self, at: int) -> Prompt:
        """Return a prompt, the conversation speaking with its system prompt from now on."""
        prompt = self._batch.prompts[at]
        self._conversation.system_prompt = self._system if prompt.system is None else prompt.system or None
        return prompt

    async def _is_on_disk(self, turn: Turn) -> bool:
        """Wait for the disk: an answer that cannot be kept would be paid for again."""
        try:
            if turn.saved is not None:
                await asyncio.shield(asyncio.wrap_future(turn.saved))
        except StorageError as failed:
            self._give_up(failed.message)
            return False
        return True

    def _give_up(self, why: str) -> None:
        self._trouble = self._trouble or why
        self._end()

    def _take(self, completion: Completion) -> None:
        """Judge an answer that ended, also when a stop ended it."""
        self._progress.end(completion)
        self._ended += costs(completion.model) and not _was_refused(completion)
        self._an_end.set()
        if completion.running:
            return
        error = completion.error
        if error is not None and error.kind in HOPELESS and completion.model.name not in self._batch.hopeless:
            queue = self._queues[completion.model.name]
            self._batch.hopeless[completion.model.name] = error
            self._progress.failed += len(queue)
            queue.clear()
        if self._history.failure is not None:
            self._give_up(self._history.failure)

    @property
    def _spending(self) -> int:
        """How many run that cost something, and so hold a part of what is left."""
        return sum(costs(each.model) for each in self._progress.running.values())

    def _is_full(self, model: Model) -> bool:
        return costs(model) and self._spending >= self._most

    async def _weigh(self, chat: Chat, at: int, completion: Completion, limit: BudgetError, before: int) -> None:
        """Go on after a limit cut or refused an answer: with what still fits, once what runs gives back what it holds.

        `before` is how many had ended when it was asked.
        """
        await self._flush()  # what ended holds nothing any more
        try:
            if self._comes_back(chat, at, completion, limit, before):
                return
            self._over_budget = self._over_budget or not _was_refused(completion)
            self._limited = self._limited or limit
            for each in filter(costs, self._batch.models):
                now, later = self._room(chat, each)
                queue = self._queues[each.name]
                if queue and (later if self._spending else now) < self._need(chat, each, queue):
                    self._end_queue(each, limit)
        except StorageError as failed:
            self._give_up(failed.message)

    def _comes_back(self, chat: Chat, at: int, completion: Completion, limit: BudgetError, before: int) -> bool:
        """Put a refused prompt back where there may be room for it later; say whether that was done."""
        model = completion.model
        given_up = self._trouble is not None or model.name in self._batch.hopeless or model.name in self._batch.limited
        if given_up or limit.scope == "run" or not _was_refused(completion):
            return False
        _, later = self._room(chat, model)
        if self._need(chat, model, [at]) > later or (self._ended == before and not self._spending):
            return False
        # one less each time: of those that run some may yet be refused too
        self._most = max(1, min(self._most - 1, self._spending))
        self._queues[model.name].appendleft(at)
        self._progress.put_back()
        return True

    def _room(self, chat: Chat, model: Model) -> tuple[Decimal, Decimal]:
        """Return what the limits leave for a model now, and when all that runs gives back what it holds."""
        now = later = _NO_END if self._limit is None else self._limit.left_usd
        shared = () if is_play(model) else chat.budgets.balances(self._conversation.id, self._ground.clock.now())
        for each in shared:
            now, later = min(now, each.left_usd), min(later, each.left_usd + each.held_usd)
        return now, later

    def _need(self, chat: Chat, model: Model, queue: Iterable[int]) -> Decimal:
        """Return what the shortest of some prompts and the least answer to it cost."""
        shortest = min(queue, key=lambda at: len(self._batch.prompts[at].text))
        prompt = self._address(shortest)
        tokens, _ = chat.estimate(self._conversation, [], prompt.text, model)
        return usd_of(model, tokens, LEAST_TOKENS, self._ground.clock.now())

    async def _flush(self) -> None:
        """Wait until everything is on disk, by waiting for one more write."""
        if self._last is None or self._trouble is not None:
            return
        with suppress(StorageError, TimeoutError):
            async with asyncio.timeout(_FLUSH_S):
                await asyncio.shield(asyncio.wrap_future(self._store.save_chosen(self._last)))

    # the end

    @property
    def stopped(self) -> bool:
        """A signal came before everything was answered."""
        return bool(self._stop_code) and self._progress.done < self._batch.size

    @property
    def exit_code(self) -> int:
        if self.stopped:
            return self._stop_code
        if self._trouble is not None:
            return 1
        if self._over_budget:
            return 3
        results = [
            Answer(model.name, self._batch.result(at, model), self._batch.hopeless.get(model.name))
            for model in self._batch.models
            for at in range(len(self._batch.prompts))
        ]
        return worst([answer.exit_code for answer in results])

    def tell_end(self) -> None:
        """Say what there is to say on stderr once nothing runs any more."""
        self._bar.end()
        warnings = dict.fromkeys(line for each in self._batch.completions() for line in each.warnings if _is_new(each))
        for line in list(warnings)[:_MOST_WARNINGS]:
            say(f"warning: {line}")
        done, size = self._progress.done, self._batch.size
        if self._trouble is None and (failure := self._history.failure) is not None:
            say(f"warning: not saved: {failure}")
        if self.stopped:
            kept = f"stopped; {done} of {size} are answered and in the history"
            say(kept if self._options.from_stdin else f"{kept}; run the same command again to ask the rest")
        elif self._trouble is not None:
            say(f"error: {self._trouble}; nothing more is asked, for it could not be kept")
        elif self._over_budget:
            say(f"error: {self._why_limited()}; {done} of {size} are answered, raise it for the rest")
        else:
            self._tell_failures()

    def _why_limited(self) -> str:
        if self._limited is not None and (self._limit is None or self._limited.scope != "run"):
            return self._limited.message
        return self._limit.reason().partition(";")[0] if self._limit is not None else "stopped by a budget"

    def _tell_failures(self) -> None:
        for model in self._batch.models:
            results = [self._batch.result(at, model) for at in range(len(self._batch.prompts))]
            failed = [each for each in results if each is None or not answers_well(each)]
            if not failed:
                continue
            first = next((each for each in failed if each is not None), None)
            error = Answer(model.name, first, self._batch.hopeless.get(model.name)).error
            many = f"{len(failed)} of {len(results)} failed" if len(results) > 1 else "failed"
            why = error.message if error is not None else "it was not asked"
            say(f"error: {model.name}: {many}: {why}")
        if self._progress.done < self._batch.size and not self._options.from_stdin and not self._options.quiet:
            say(f"{self._to_raise()}run the same command again to ask only those that failed")

    def _to_raise(self) -> str:
        """Return what is to be done before those that failed are asked again; empty where nothing is."""
        batch = self._batch
        results = [batch.result(at, model) for model in batch.models for at in range(len(batch.prompts))]
        scopes = dict.fromkeys(scope_of(found) for found in results if found is not None)
        names = ["--max-cost" if scope == "run" else NAMES[scope] for scope in scopes if scope not in (None, "price")]
        steps = [f"raise {all_of(names)}"] if names else []
        steps += ["set the prices that are missing"] if "price" in scopes else []
        return f"{' and '.join(steps)}, then " if steps else ""


def _was_refused(completion: Completion) -> bool:
    """Say whether a limit kept an answer from being sent at all."""
    refused = isinstance(completion.error, BudgetError) and completion.finish_reason == "budget"
    return refused and completion.attempts == 1 and not completion.sent


def _is_new(completion: Completion) -> bool:
    return completion.started_at_s is not None


def _lets_others_go_on(slot: _Slot, completion: Completion) -> Paint:
    """Nothing is shown of the text; a wait gives the slot to another."""

    async def paint(event: StreamEvent) -> None:
        match event:
            case Waiting(wait_s=wait_s):
                await slot.wait(completion, wait_s)
            case Queued():
                slot.give()
            case Dequeued():
                await slot.take_again(completion)

    return paint
