"""The entry point. From its first line a signal ends the program with its exit code and never with a traceback.

So little stands here because whatever is imported before the handlers stand is a gap. Until the command is loaded a
signal is only noted: raised inside an import it could come out of any line of any library. Nor is garbage collected
meanwhile: loading makes next to none, and to look for it takes a tenth of the whole start.
"""

import gc
import signal


def main(arguments: list[str] | None = None) -> int:
    """Run the program; return its exit code."""
    gc.disable()
    came: list[int] = []
    try:
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, lambda number, _: came.append(number))
    except ValueError:
        pass  # not the main thread: a test
    except KeyboardInterrupt:
        return 130
    from tui_chat.commands.front import run

    return run(arguments, came)
