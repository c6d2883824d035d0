"""What the next prompt will cost, counted again while it is typed: after a pause, and beside the screen when long."""

import asyncio
from collections.abc import Callable

from textual.timer import Timer
from textual.widget import Widget

from tui_chat.core.errors import ChatError
from tui_chat.ui.accounts import Accounts, Counted, Sending

PAUSE_S = 0.15


class Estimates:
    """Plans and makes the counts for one composer; timers and workers belong to `owner`."""

    def __init__(
        self,
        owner: Widget,
        accounts: Accounts,
        sending: Callable[[], Sending],
        in_view: Callable[[Sending], bool],
        taken: Callable[[], object],
    ) -> None:
        """`sending` tells what a send would put in now, `in_view` whether that is still of interest.

        `taken` is called when there is a new figure to show.
        """
        self._owner = owner
        self._accounts = accounts
        self._sending, self._in_view, self._taken = sending, in_view, taken
        self._timer: Timer | None = None

    def plan(self, delay_s: float = PAUSE_S) -> None:
        """Count again soon."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self._owner.set_timer(max(0.001, delay_s), self._make)

    def _make(self) -> None:
        sending = self._sending()
        if sending.large:
            self._owner.run_worker(self._make_apart(sending), group="estimate", exclusive=True, exit_on_error=False)
        else:
            self._take(sending, self._accounts.count(sending))

    async def _make_apart(self, sending: Sending) -> None:
        try:
            counted = await asyncio.to_thread(self._accounts.count, sending)
        except ChatError:
            return  # the history cannot be read; whoever sends is told
        if self._in_view(sending):
            self._take(sending, counted)

    def _take(self, sending: Sending, counted: Counted) -> None:
        self._accounts.take(sending, counted)
        self._taken()
