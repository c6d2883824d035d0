"""`tui-chat compare`: the prompts of a file over several models, and a table of what each costs and how fast it is.

A run is one conversation; each prompt is a first turn in it, answered by the same `Chat.complete` as everywhere. So the
history *is* the record of the run: what is answered there is not asked again, however the run ended. The run is found
by a tag with its key, and goes when its conversation goes.
"""

import asyncio
import fcntl
import math
import os
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Literal, Self

from tui_chat.bootstrap import Ground
from tui_chat.commands import compare_table as tables
from tui_chat.commands.answers import Answer, worst
from tui_chat.commands.compare_table import Outcome
from tui_chat.commands.history import History, open_history
from tui_chat.commands.output import Stdout, say, write_text
from tui_chat.commands.signals import call_on_signals, raise_on_signals
from tui_chat.commands.text_tables import draws, terminal_width
from tui_chat.core.batch import (
    HOPELESS,
    TAG,
    Batch,
    Progress,
    Prompt,
    answers_well,
    is_play,
    read_prompts,
    run_key,
)
from tui_chat.core.budget import NAMES, SpendLimit, all_of, costs, scope_of, usd_of
from tui_chat.core.caps import LEAST_TOKENS
from tui_chat.core.chat import Chat
from tui_chat.core.completion import Completion
from tui_chat.core.conversation import Conversation, Turn
from tui_chat.core.errors import BudgetError, ConfigurationError, StorageError
from tui_chat.core.events import Dequeued, Queued, StreamEvent, Waiting
from tui_chat.core.ids import new_id
from tui_chat.core.model import Model
from tui_chat.core.ports import Paint
from tui_chat.core.pricing import Charge
from tui_chat.core.record import record
from tui_chat.interchange.private_file import write_over

Form = Literal["table", "markdown", "csv", "json"]

PARALLEL = 4
PARALLEL_PER_MODEL = 2
_CLOSED = 141
_FRAME_S = 0.1
_FLUSH_S = 10.0
_ENDINGS: dict[str, Form] = {".json": "json", ".csv": "csv", ".md": "markdown"}
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


def compare(options: CompareOptions) -> int:
    """Ask what is left of the run, print the table; return the exit code."""
    stdout = Stdout()
    if stdout.closed and options.output is None:
        return _CLOSED
    form = options.form or _ENDINGS.get(Path(options.output or "").suffix.lower())
    form = form or ("table" if stdout.is_terminal and options.output is None else "markdown")
    if options.output is not None:
        _check_output(options.output)
    name = "stdin" if options.from_stdin else options.file
    content = _read(options)
    prompts = read_prompts(content, name)
    ground = Ground.lay()
    for note in ground.notes:
        say(f"warning: {note}")
    models = _models(options, ground)
    system = ground.config.system_prompt if options.system is None else options.system
    key = run_key(content, models, system or None)
    with _alone(ground.home.cache, None if options.from_stdin else key), open_history(ground) as history:
        store = history.store
        found = None if options.again or options.from_stdin else store.tagged(TAG + key)
        batch = Batch.over(prompts, models, store.tree(found.id) if found else ())
        conversation = found or _new(ground, name, models, None if options.from_stdin else key)
        run = _Run(options, ground, history, batch, conversation, system or None)
        asyncio.run(run.answer())
        raise_on_signals()  # what the loop had taken over
        charges: list[Charge] = []
        with suppress(StorageError):  # it was said what is wrong with it
            charges = store.charges_in(conversation.id)
    run.tell_end()
    code = run.exit_code
    if run.stopped:
        return code
    stored = any(turn is not None for turn in batch.turns)
    outcome = Outcome(key, options.file, conversation.id if stored else None, batch, batch.figures(charges))
    return _write(outcome, form, options.output, is_terminal=stdout.is_terminal) or code


def _read(options: CompareOptions) -> bytes:
    try:
        if options.from_stdin:
            if sys.stdin is None:
                raise ConfigurationError("there is no stdin to read prompts from; name a file")
            if not options.quiet:
                say("prompts from stdin: this run cannot be resumed")
            return sys.stdin.buffer.read()
        return Path(options.file).read_bytes()
    except (OSError, ValueError) as failed:
        reason = failed.strerror if isinstance(failed, OSError) else failed
        raise ConfigurationError(f"{options.file} cannot be read: {reason}") from failed


def _check_output(output: str) -> None:
    """Refuse a file that cannot be written before anything is paid for."""
    path = Path(output)
    with suppress(OSError, ValueError):
        if not path.is_dir() and os.access(path if path.exists() else path.absolute().parent, os.W_OK):
            return
    raise ConfigurationError(f"{output} cannot be written; name another file with -o")


def _models(options: CompareOptions, ground: Ground) -> tuple[Model, ...]:
    """Return the models to ask, each once. One that cannot be used ends it: without it this would be another run."""
    names = options.models or ground.config.compare_models
    if not names:
        raise ConfigurationError("which models? name each with -m, or set compare_models in config.toml")
    models: dict[str, Model] = {}
    for name in names:
        model = ground.catalog.resolve(name)
        if model.missing:
            raise ConfigurationError(f"{model.name} cannot be used: {model.missing}", kind="authentication")
        models[model.name] = model
    return tuple(models.values())


def _new(ground: Ground, name: str, models: Sequence[Model], key: str | None) -> Conversation:
    now = ground.clock.now()
    title = f"compare: {Path(name).name}, {len(models)} model{'' if len(models) == 1 else 's'}"
    tags = () if key is None else (TAG + key,)
    # not `stored` in truth before its first turn is; but its name is ours, not the first prompt
    return Conversation(new_id(), title, now, now, tags=tags, stored=True)


@contextmanager
def _alone(folder: Path, key: str | None) -> Iterator[None]:
    """Keep a second start of the same run from paying for the same answers. Raises ConfigurationError."""
    descriptor, path = None, folder / f"compare-{(key or '')[:32]}.lock"
    try:
        while key is not None and descriptor is None:
            folder.mkdir(0o700, parents=True, exist_ok=True)
            opened = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(path.stat(), os.fstat(opened)):
                    descriptor = opened
            except BlockingIOError:
                raise ConfigurationError("this run is going on in another tui-chat; wait for it, or stop it") from None
            except FileNotFoundError:
                continue  # whoever held it just ended, and took the file away
            finally:
                if descriptor is None:
                    os.close(opened)
    except OSError:
        pass  # a folder that cannot be written: then it goes without
    try:
        yield
    finally:
        if descriptor is not None:
            with suppress(OSError):
                path.unlink()
            os.close(descriptor)


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


class _Run:
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
        self._bar = _Bar(self._progress, quiet=options.quiet)
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


class _Bar:
    """The line on stderr: drawn over and over on a terminal, once at the end elsewhere."""

    def __init__(self, progress: Progress, *, quiet: bool) -> None:
        self._progress = progress
        self._quiet = quiet or sys.stderr is None
        self._is_terminal = not self._quiet and sys.stderr.isatty()
        self._began_s = time.monotonic()
        self._shown = ""

    async def draw(self) -> None:
        while self._is_terminal:
            self._put()
            await asyncio.sleep(_FRAME_S)

    def end(self) -> None:
        if self._quiet:
            return
        if not self._is_terminal:
            say(tables.end_text(self._progress, self._elapsed_s))
            return
        self._put()
        self._write("\n")

    @property
    def _elapsed_s(self) -> float:
        return time.monotonic() - self._began_s

    def _put(self) -> None:
        width = 80
        with suppress(OSError, ValueError):
            width = os.get_terminal_size(sys.stderr.fileno()).columns or width
        now_s, room = time.monotonic(), max(20, width - 1)
        line = tables.progress_text(self._progress, self._elapsed_s, now_s, room, plain=not self._draws())
        if line != self._shown:
            self._shown = line
            self._write(f"\r{line}\x1b[K")

    @staticmethod
    def _draws() -> bool:
        try:
            "█─".encode(sys.stderr.encoding or "utf-8")
        except (UnicodeEncodeError, LookupError):
            return False
        return True

    @staticmethod
    def _write(text: str) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.write(text)
            sys.stderr.flush()


def _write(outcome: Outcome, form: Form, output: str | None, *, is_terminal: bool) -> int:
    match form:
        case "json":
            text = tables.json_text(outcome)
        case "csv":
            text = tables.csv_text(outcome)
        case "markdown":
            text = tables.markdown_text(outcome)
        case "table":
            narrow = is_terminal and output is None
            text = tables.table_text(outcome, terminal_width() if narrow else 1000, plain=narrow and not draws())
    if output is None:
        return write_text(text)
    try:
        write_over(Path(output), text)
    except (OSError, ValueError) as failed:
        reason = failed.strerror if isinstance(failed, OSError) else failed
        problem = f"{output} cannot be written: {reason}; run the same command with another -o, nothing is asked again"
        raise ConfigurationError(problem) from failed
    return 0
