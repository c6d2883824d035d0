"""`tui-chat` without a command: the full-screen app."""

import gc
import os
import sys
from collections.abc import Callable

from tui_chat.bootstrap import Ground
from tui_chat.commands.history import open_history
from tui_chat.commands.output import say
from tui_chat.commands.signals import default_signals
from tui_chat.core.errors import ConfigurationError

_TEXTUAL = {
    "ESCDELAY": "25",  # milliseconds until a lone Esc is one
    "TEXTUAL_FPS": "120",  # a key waits half as long for its echo; nothing is painted that did not change
}


def app(model_name: str | None, conversation_id: str | None, *, latest: bool) -> int:
    """Run the app; return its exit code."""
    gc.disable()  # until the first paint, see cli.py; the app itself turns it on again
    if not (sys.stdin and sys.stdin.isatty() and sys.stdout and sys.stdout.isatty()):
        raise ConfigurationError('the app needs a terminal; in a pipe or a script use tui-chat ask "…"')
    ground = Ground.lay()
    model = ground.catalog.resolve(model_name) if model_name else None
    with open_history(ground) as history:
        conversation = None
        if conversation_id:
            conversation = history.store.conversation(conversation_id)
            if conversation is None:
                raise ConfigurationError(f"no conversation has the id {conversation_id!r}; -c takes the latest")
        elif latest:
            conversation = history.store.latest()
        run = _loaded()
        services = ground.services(history.store, ground.providers())
        default_signals()
        try:
            code = run(services, model=model, conversation_id=conversation.id if conversation else None)
        finally:
            gc.enable()  # it may have ended before its first paint
    if history.failure:
        say(f"warning: not everything was saved: {history.failure}")
    return code


def _loaded() -> Callable[..., int]:
    """Load the screen, telling Textual what it reads only from the environment; what the user set there holds."""
    ours = {name: value for name, value in _TEXTUAL.items() if name not in os.environ}
    os.environ.update(ours)
    from tui_chat.ui.app import run

    for name in ours:  # it has been read; the user's editor shall not see it
        del os.environ[name]
    return run
