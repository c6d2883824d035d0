"""Which letters are commands, and which begin a prompt: in the transcript both are typed without a modifier."""

from collections.abc import Callable

from textual import events
from textual.timer import Timer
from textual.widget import Widget

HELD_S = 0.3
"""How long a letter after a stop waits for a second one: people who stop an answer go on typing what they meant."""
PAID_HELD_S = 0.7
"""The same for a letter that sends something: a slow typist must not pay for a word that begins with it."""
_PAID = ("answer_again", "continue_answer")


class Letters:
    """Takes printable keys: those without a meaning are typed, and after a stop those too that are not alone."""

    def __init__(self, widget: Widget, typed: Callable[[str], None]) -> None:
        self._widget = widget
        self._typed = typed
        self._offered = self._typing = False
        self._held: tuple[str, str] | None = None
        """A letter that waits to be a command or the start of a prompt: key and character."""
        self._timer: Timer | None = None

    def offer(self) -> None:
        """The focus came without being asked for, after a stop: a letter acts only when nothing follows it."""
        self._offered = True

    def end(self) -> None:
        """The focus went."""
        self._offered = self._typing = False
        self._let_go()

    def take(self, event: events.Key) -> bool:
        """Type or hold a printable key; false when it has another meaning."""
        held = self._let_go()
        printable = event.character if event.is_printable else None
        if printable is None:
            return False
        if held is not None:
            self._type(held[1] + printable)
        elif self._typing or event.key not in self._widget.app.active_bindings:
            self._type(printable)
        elif self._offered:
            self._held = event.key, printable
            action = self._widget.app.active_bindings[event.key].binding.action
            self._timer = self._widget.set_timer(PAID_HELD_S if action in _PAID else HELD_S, self._act)
        else:
            return False
        return True

    def _type(self, characters: str) -> None:
        """Hand characters to the prompt; those that follow before it has the focus go the same way."""
        self._typing = True
        self._typed(characters)

    async def _act(self) -> None:
        """Nothing was typed after the letter: it was meant as a command."""
        held, self._held = self._held, None
        app = self._widget.app
        if held is not None and (active := app.active_bindings.get(held[0])) is not None:
            self._offered = False
            await app.run_action(active.binding.action, active.node)

    def _let_go(self) -> tuple[str, str] | None:
        held, self._held = self._held, None
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        return held
