"""A question with two answers: Enter does it, Esc does not."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tui_chat.ui.widgets.row import hints, styled, text


class AskBox(ModalScreen[bool]):
    """A box over the chat; ends with True for Enter. Without `do` there is nothing to agree to, only to be told."""

    CSS_PATH = "boxes.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "answer", "Yes", show=False),
        Binding("escape", "dismiss(False)", "No", show=False),
    ]

    def __init__(self, title: str, lines: Sequence[str], do: str = "") -> None:
        super().__init__()
        self._title, self._lines, self._do = title, lines, do

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="box"):
            yield Static(text(self._title, "b $fg"), markup=False, classes="title")
            for line in self._lines:
                yield Static(text(line, "$fg2"), markup=False)
            keys = [("enter", self._do), ("esc", "back")] if self._do else [("esc", "back")]
            yield Static(styled(""), markup=False)
            yield Static(hints(keys), markup=False)

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()

    def action_answer(self) -> None:
        """Take Enter as a yes, where there is a question."""
        _ = self.dismiss(bool(self._do))
