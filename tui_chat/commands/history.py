"""The history as the command line needs it: what could not be written is said once, and costs no answer."""

from collections.abc import Iterator
from contextlib import contextmanager

from tui_chat.bootstrap import Ground
from tui_chat.core.errors import StorageError


@contextmanager
def open_history(ground: Ground) -> Iterator["History"]:
    """Open the history, and write what is queued in the end. Raises StorageError when it is damaged or newer."""
    history = History(ground)
    try:
        yield history
    finally:
        history.close()


class History:
    def __init__(self, ground: Ground) -> None:
        self._failures: list[StorageError] = []
        self.store = ground.open_store(self._failures.append)

    @property
    def failure(self) -> str | None:
        """Why something could not be written; `None` when everything was, so far."""
        return self._failures[0].message if self._failures else None

    def close(self) -> None:
        """Write what is queued."""
        if not self.store.close() and not self._failures:
            self._failures.append(StorageError("the history could not be written in time"))
