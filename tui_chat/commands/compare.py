"""`tui-chat compare`: the prompts of a file over several models, and a table of what each costs and how fast it is.

A run is one conversation; each prompt is a first turn in it, answered by the same `Chat.complete` as everywhere. So the
history *is* the record of the run: what is answered there is not asked again, however the run ended. The run is found
by a tag with its key, and goes when its conversation goes.
"""

import asyncio
import fcntl
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tui_chat.bootstrap import Ground
from tui_chat.commands import compare_table as tables
from tui_chat.commands.compare_run import CompareOptions, Form, Run
from tui_chat.commands.compare_table import Outcome
from tui_chat.commands.history import open_history
from tui_chat.commands.output import Stdout, say, write_text
from tui_chat.commands.signals import raise_on_signals
from tui_chat.commands.text_tables import draws, terminal_width
from tui_chat.core.batch import (
    TAG,
    Batch,
    read_prompts,
    run_key,
)
from tui_chat.core.conversation import Conversation
from tui_chat.core.errors import ConfigurationError, StorageError
from tui_chat.core.ids import new_id
from tui_chat.core.model import Model
from tui_chat.core.pricing import Charge
from tui_chat.interchange.private_file import write_over

_CLOSED = 141
_ENDINGS: dict[str, Form] = {".json": "json", ".csv": "csv", ".md": "markdown"}


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
        run = Run(options, ground, history, batch, conversation, system or None)
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
