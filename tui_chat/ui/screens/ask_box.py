"""A question with two answers: Enter does it, Esc does not."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tui_chat.core.fitting import Excess
from tui_chat.core.model import Model
from tui_chat.ui.widgets.row import hints, styled, text


class AskBox(ModalScreen[bool]):
    """A box over the chat; ends with True for Enter. Without `do` there is nothing to agree to, only to be told."""

    CSS_PATH = "boxes.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "answer", "Yes", show=False),
        Binding("escape", "dismiss(False)", "No", show=False),
    ]

    def __init__(self, title: str, lines: Sequence[str], do: str = "", leave: str = "back") -> None:
        super().__init__()
        self._title, self._lines, self._do, self._leave = title, lines, do, leave

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="box"):
            yield Static(text(self._title, "b $fg"), markup=False, classes="title")
            for line in self._lines:
                yield Static(text(line, "$fg2"), markup=False)
            keys = [("enter", self._do), ("esc", self._leave)] if self._do else [("esc", self._leave)]
            yield Static(styled(""), markup=False)
            yield Static(hints(keys), markup=False)

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()

    def action_answer(self) -> None:
        """Take Enter as a yes, where there is a question."""
        _ = self.dismiss(bool(self._do))


def stop_others_box(running: int) -> AskBox:
    """Return the question whether the answers that were not kept are to be stopped."""
    others = "The other answer runs on" if running == 1 else f"The other {running} answers run on"
    lines = [
        f"{others} and cost money. What you say now holds from here on; [ui] keep_stops in config.toml changes it."
    ]
    return AskBox("Stop the others?", lines, "stop them", "let them run")


def excess_box(over: Excess, model: Model) -> AskBox:
    """Return the question what may be left out so that a prompt fits."""
    count = len(over.left_out)
    needs = f"It puts in about {over.tokens:,} tokens and leaves {over.room:,} for the answer"
    lines = [f"{needs}; {model.short_name} takes {over.window:,}."]
    if not over.enough:
        lines.append("It does not fit without the whole history either: shorten it, or choose another model (^l).")
        return AskBox("This does not fit", lines)
    turns = "the oldest turn" if count == 1 else f"the {count} oldest turns"
    lines.append(f"Without {turns} it fits. What is left out stays in the chat; d takes it back in.")
    return AskBox("This does not fit", lines, f"leave out {count} and send")
