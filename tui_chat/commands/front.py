"""The front: loads a command, runs it, returns its exit code.

Loading and running are two steps: while modules are imported a signal is only noted, see `cli.py`.
"""

import gc
import sys
from collections.abc import Callable, Sequence
from functools import partial

from tui_chat.commands.output import mistake, say
from tui_chat.commands.signals import StoppedError, ignore_signals, raise_on_signals
from tui_chat.core.errors import ChatError, ConfigurationError


def run(arguments: Sequence[str] | None, came: list[int]) -> int:
    """Run a command; return its exit code. `came` holds the signals that came so far, and grows until it is loaded."""
    try:
        return _load(sys.argv[1:] if arguments is None else arguments, came)()
    except StoppedError as stopped:
        return stopped.code
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else 2
    except ChatError as failed:
        say(f"error: {failed.message}")
        return 2 if isinstance(failed, ConfigurationError) else 1
    except KeyboardInterrupt:
        return 130
    except Exception as bug:  # noqa: BLE001  the last border: a bug is one line for the user, its details are logged
        say(f"error: {mistake(bug).message}")
        return 1
    finally:
        ignore_signals()


def _load(arguments: Sequence[str], came: list[int]) -> Callable[[], int]:
    if arguments:
        from tui_chat.commands.arguments import load

        command, ends = load(arguments, came)
    else:
        from tui_chat.commands.app import app

        command, ends = partial(app, None, None, latest=False), True
    gc.freeze()  # what is loaded stays; nobody needs to look through it again
    gc.enable()
    if ends:
        raise_on_signals(came)
    return command
