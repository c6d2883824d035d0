"""Where the links of an answer really lead. Nothing is opened before its target was shown here, whole and cleaned.

A link's text is the model's, and may say anything. Only http, https and mailto get this far.
"""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tui_chat.core.record import record
from tui_chat.core.safe_text import one_line
from tui_chat.ui.widgets.row import hints, styled

_LONGEST = 2_000
_MOST = 300
"""Links in the box: those around the chosen one."""


@record
class LinkChoice:
    """What the user wants with a link."""

    target: str
    copied: bool = False


class LinkBox(ModalScreen[LinkChoice | None]):
    """A box with the targets, one of them chosen."""

    CSS_PATH = "boxes.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,o", "dismiss(None)", "Close", show=False),
        Binding("c,y", "copy", "Copy", show=False),
        Binding("j", "move(1)", "Down", show=False),
        Binding("k", "move(-1)", "Up", show=False),
    ]

    def __init__(self, targets: Sequence[str], chosen: str) -> None:
        super().__init__()
        at = targets.index(chosen) if chosen in targets else 0
        start = max(0, min(at - _MOST // 2, len(targets) - _MOST))
        self._targets = targets[start : start + _MOST]
        self._at = at - start
        self._count = len(targets)

    def compose(self) -> ComposeResult:
        some = f", {len(self._targets)} of {self._count}" if self._count > len(self._targets) else ""
        with Vertical(classes="box"):
            yield Static(styled(f"Where the links lead{some}", "b $fg"), markup=False)
            options = [Option(styled(one_line(target, _LONGEST))) for target in self._targets]
            yield OptionList(*options, markup=False, compact=True)
            yield Static(hints([("enter", "open"), ("c", "copy"), ("esc", "close")]), markup=False)

    def on_mount(self) -> None:
        self._list.highlighted = self._at
        self._list.focus()

    @property
    def _list(self) -> OptionList:
        return self.query_one(OptionList)

    def action_move(self, step: int) -> None:
        """Choose the link below or above."""
        if step > 0:
            self._list.action_cursor_down()
        else:
            self._list.action_cursor_up()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        _ = self.dismiss(LinkChoice(self._targets[event.option_index]))

    def action_copy(self) -> None:
        """Take the chosen target to the clipboard."""
        if self._list.highlighted is not None:
            _ = self.dismiss(LinkChoice(self._targets[self._list.highlighted], copied=True))
