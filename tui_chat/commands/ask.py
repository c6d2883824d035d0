"""`tui-chat ask`: one prompt, one answer for each model, in a pipe or a script.

The same `Chat.complete` runs here as in the app; its `paint` writes to stdout. Answers run in parallel and are shown in
the order of `-m`: the first streams, the others wait for their turn with what they have.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from decimal import Decimal

from tui_chat.bootstrap import Ground
from tui_chat.commands.answers import Answer, worst
from tui_chat.commands.history import open_history
from tui_chat.commands.output import Stdout, StdoutBrokenError, StdoutClosedError, mistake, say
from tui_chat.commands.prompt import read_files, read_prompt
from tui_chat.commands.signals import StoppedError, call_on_signals, ignore_signals, raise_on_signals
from tui_chat.core import format as fmt
from tui_chat.core.budget import SpendLimit
from tui_chat.core.chat import Chat
from tui_chat.core.conversation import Conversation, Turn
from tui_chat.core.errors import ChatError, ConfigurationError
from tui_chat.core.events import Queued, StreamEvent, TextDelta, Waiting
from tui_chat.core.message import BlobPart
from tui_chat.core.model import Model
from tui_chat.core.ports import Paint, Store
from tui_chat.core.record import record

CLOSED = 141
"""The exit code when nobody reads stdout any more."""
_PATIENCE_S = 1.0
"""How long a reader who does not read may hold up a program that was told to stop."""
_UNSAVED = "not saved"


@record
class AskOptions:
    prompt: str | None
    models: tuple[str, ...]
    system: str | None
    files: tuple[str, ...]
    latest: bool
    conversation: str | None
    as_json: bool
    quiet: bool
    max_cost: Decimal | None
    keep_text: bool


def ask(options: AskOptions, came: Sequence[int] = ()) -> int:
    """Run the command; return its exit code. `came` are the signals that came while it was loaded."""
    stdout = Stdout()
    if stdout.closed:  # nobody could read what it would cost
        return CLOSED
    try:
        raise_on_signals(came)
        return _ask(options, stdout)
    except ChatError as failed:
        return _refuse(options, stdout, failed, 2 if isinstance(failed, ConfigurationError) else 1)
    except StoppedError as stopped:
        return _refuse(options, stdout, ChatError("cancelled", "stopped before anything was asked"), stopped.code)
    except StdoutClosedError:
        return CLOSED
    except StdoutBrokenError as failed:
        say(f"error: {failed}; what arrived is in the history")
        return 1
    except Exception as bug:  # noqa: BLE001  the border: with --json there is an object on every path
        return _refuse(options, stdout, mistake(bug), 1)
    finally:
        ignore_signals()


def _refuse(options: AskOptions, stdout: Stdout, error: ChatError, code: int) -> int:
    """End a run in which nothing was answered."""
    ignore_signals()
    if options.as_json and not stdout.used:
        for name in options.models or (None,):
            try:
                stdout.write_now(_line(Answer(name, refused=error), None))
            except StdoutClosedError:
                return CLOSED
    say(f"error: {error.message}")
    return code


def _ask(options: AskOptions, stdout: Stdout) -> int:
    prompt = read_prompt(options.prompt, has_files=bool(options.files))
    files = read_files(options.files)
    ground = Ground.lay()
    for note in ground.notes:
        say(f"warning: {note}")
    with open_history(ground) as history:
        conversation = _conversation(options, history.store)
        answers, models = _answers(options, ground, history.store, conversation)
        run = _Run(options, stdout, ground, history.store, answers)
        asyncio.run(run.answer(conversation, prompt, models, files))
        ignore_signals()
    if history.failure and not run.unsaved_was_said:
        say(f"warning: {_UNSAVED}: {history.failure}")
    if run.broken is not None:
        raise run.broken
    codes = [answer.exit_code for answer in answers]
    if run.stop_code == CLOSED or (run.stop_code and run.stop_code in codes):
        return run.stop_code
    return worst(codes)  # a signal that found every answer finished has stopped nothing


def _conversation(options: AskOptions, store: Store) -> Conversation | None:
    if options.conversation:
        found = store.conversation(options.conversation)
        if found is None:
            raise ConfigurationError(f"no conversation has the id {options.conversation!r}; -c takes the latest")
        return found
    if options.latest:
        found = store.latest()
        if found is None:
            raise ConfigurationError("there is no conversation to go on with yet; leave -c out")
        return found
    return None


def _answers(
    options: AskOptions, ground: Ground, store: Store, conversation: Conversation | None
) -> tuple[list[Answer], list[Model]]:
    """Return one answer for each model asked, and the models that can be asked.

    A model that cannot be used is an answer with an error: the others are asked all the same.
    """
    answers: list[Answer] = []
    models: list[Model] = []
    for name in options.models or (None,):
        try:
            if name is not None:
                model = ground.catalog.resolve(name)
            else:
                before = conversation.model if conversation else None
                model = ground.catalog.first(before, store.last_model(), scripted=False)
        except ConfigurationError as refused:
            answers.append(Answer(name, refused=refused))
            continue
        if model.missing:
            problem = f"{model.name} cannot be used: {model.missing}"
            answers.append(Answer(model.name, refused=ConfigurationError(problem, kind="authentication")))
        else:
            answers.append(Answer(model.name))
            models.append(model)
    return answers, models


class _Run:
    """The answers of one `ask` while they run."""

    def __init__(
        self, options: AskOptions, stdout: Stdout, ground: Ground, store: Store, answers: list[Answer]
    ) -> None:
        self._options = options
        self._stdout = stdout
        self._ground = ground
        self._store = store
        self._answers = answers
        self._in_turn: Answer | None = None
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._said: set[str] = set()
        self._queued: set[str | None] = set()
        """Models that wait for their turn, and were said to."""
        self._chatty = not (options.quiet or options.as_json) and sys.stderr is not None and sys.stderr.isatty()
        self.stop_code = 0
        """The exit code of what stopped the run; 0 when nothing did."""
        self.broken: StdoutBrokenError | None = None
        """Why stdout could not be written."""

    async def answer(
        self, conversation: Conversation | None, prompt: str, models: list[Model], files: tuple[BlobPart, ...]
    ) -> None:
        options = self._options
        limit = None if options.max_cost is None else SpendLimit(options.max_cost, "--max-cost")
        async with aclosing(self._ground.providers()) as providers:
            chat = self._ground.chat(providers, self._store, run_limit=limit, keep_text=options.keep_text)
            path = self._store.path(conversation.id) if conversation else []
            if conversation is None:
                conversation = chat.new_conversation(None, self._ground.config.system_prompt)
            if options.system is not None:
                conversation.system_prompt = options.system or None
            call_on_signals(asyncio.get_running_loop(), self._stop)
            if models:
                turn = chat.start_turn(conversation, path, prompt, models, attachments=files)
                self._start(chat, conversation, turn)
            self._stdout.watch(lambda: self._stop(CLOSED))
            await self._show_all(conversation)

    def _start(self, chat: Chat, conversation: Conversation, turn: Turn) -> None:
        completions = iter(turn.completions)
        for at, answer in enumerate(self._answers):
            if answer.refused is not None:
                continue
            completion = answer.completion = next(completions)
            self._tasks[at] = asyncio.create_task(
                chat.complete(conversation, turn, completion, self._paint(answer)), name=f"answer {completion.id}"
            )

    def _paint(self, answer: Answer) -> Paint:
        async def paint(event: StreamEvent) -> None:
            if isinstance(event, TextDelta) and self._in_turn is answer and not self._options.as_json:
                await self._write(answer.show)
            elif isinstance(event, Waiting) and self._chatty:
                say(f"{event.message}; asking again in {event.wait_s:.1f} s")
            elif isinstance(event, Queued) and self._chatty and answer.name not in self._queued:
                self._queued.add(answer.name)  # once: its place is told again with every step of the queue
                say(f"{answer.name} waits {fmt.seconds(event.wait_s)} until {event.reason}")

        return paint

    async def _write(self, write: Callable[[Stdout], Awaitable[None]]) -> None:
        """Write to stdout; when that fails stop everything: an answer that nobody can read must not cost on."""
        try:
            await write(self._stdout)
        except StdoutClosedError:
            self._stop(CLOSED)
        except StdoutBrokenError as failed:
            self.broken = self.broken or failed
            self._stop(1)

    def _stop(self, code: int) -> None:
        if not self.stop_code:
            self.stop_code = code
            self._stdout.hurry(_PATIENCE_S)
        for answer in self._answers:
            answer.stop_code = answer.stop_code or code
        for task in self._tasks.values():
            task.cancel()

    async def _show_all(self, conversation: Conversation) -> None:
        """Show the answers in the order of `-m`, each to its end."""
        for at, answer in enumerate(self._answers):
            if self._options.as_json:
                await self._ended(at)
                line = _line(answer, conversation)
                await self._write(lambda stdout, line=line: stdout.write(line))  # type: ignore[misc]
                continue
            if len(self._answers) > 1:
                await self._write(lambda stdout, name=answer.name: stdout.write(f"## {name}\n"))  # type: ignore[misc]
            self._in_turn = answer
            await self._write(answer.show)
            await self._ended(at)
            await self._write(answer.show)
            await self._write(answer.end_line)
            self._complain([answer])
            if not self._options.quiet and (cost_line := answer.cost_line()):
                self._say(cost_line)
        if self._options.as_json:
            self._complain(self._answers)

    async def _ended(self, at: int) -> None:
        if at in self._tasks:
            await asyncio.wait([self._tasks[at]])

    @property
    def unsaved_was_said(self) -> bool:
        return self.stop_code == CLOSED or any(warning.startswith(_UNSAVED) for warning in self._said)

    def _complain(self, answers: list[Answer]) -> None:
        """Say what went wrong with some answers: every warning once, and one error, the worst.

        With `--json` warnings stand in the object; only that it is kept nowhere else is worth a line.
        """
        for warning in [warning for answer in answers for warning in answer.warnings]:
            if warning not in self._said and (not self._options.as_json or warning.startswith(_UNSAVED)):
                self._said.add(warning)
                self._say(f"warning: {warning}")
        code = worst([answer.exit_code for answer in answers])
        failed = next((answer for answer in answers if answer.error and answer.exit_code == code), None)
        if failed is not None and failed.error is not None:
            name, message = failed.name, failed.error.message
            named = name is None or len(self._answers) == 1 or message.startswith(name)
            self._say(f"error: {message}" if named else f"error: {name}: {message}")

    def _say(self, line: str) -> None:
        if self.stop_code != CLOSED and self.broken is None:
            say(line)


def _line(answer: Answer, conversation: Conversation | None) -> str:
    return json.dumps(answer.record(conversation), ensure_ascii=True) + "\n"
