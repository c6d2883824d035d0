"""Where the next prompt is written: text, what is queued or attached, the model, and what sending costs at least."""

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget

from tui_chat.core.message import BlobPart
from tui_chat.ui.widgets.prompt_input import PromptInput
from tui_chat.ui.widgets.row import joined, row, styled, text


class _InfoLine(Widget):
    """One row: left what will be asked, right what it will cost."""

    DEFAULT_CSS = "_InfoLine { height: 1; width: 1fr; }"

    left = Content("")
    right = Content("")

    def show(self, left: Content, right: Content) -> None:
        if not (left.is_same(self.left) and right.is_same(self.right)):
            self.left, self.right = left, right
            self.refresh()

    def render(self) -> Content:
        return row(self.left, joined(self.right, " "), self.size.width)


class Composer(Vertical):
    """The prompt, and a line below it."""

    DEFAULT_CSS = """
    Composer { height: auto; width: 1fr; padding-left: 1; border-left: blank; }
    Composer PromptInput { height: auto; max-height: 10; width: 1fr; }
    Composer #chip { display: none; }
    Composer #chip.shown { display: block; }
    """

    def __init__(self, prompt: PromptInput) -> None:
        super().__init__(id="composer")
        self.prompt = prompt
        self._chip = _InfoLine(id="chip")
        self._info = _InfoLine(id="info")
        self._attachments: Sequence[BlobPart] = ()
        self._queued: tuple[str, bool] | None = None
        self._trouble = ""

    def compose(self) -> ComposeResult:
        yield self.prompt
        yield self._info

    def show_info(self, model: Content, estimate: Content) -> None:
        """Show the model of the next send and what sending costs at least."""
        self._info.show(model, estimate)

    def show_queued(self, prompt: str | None, *, held: bool = False) -> None:
        """Show the queued prompt as a chip; `held` after a stop: it waits for Enter."""
        self._queued = (prompt, held) if prompt is not None else None
        self._show_chip()

    def show_trouble(self, words: str) -> None:
        """Show why nothing is saved just now; empty when all is well."""
        if words != self._trouble:
            self._trouble = words
            self._show_chip()

    def show_attachments(self, parts: Sequence[BlobPart]) -> None:
        """Show what goes along with the next prompt."""
        self._attachments = parts
        self._show_chip()

    def _show_chip(self) -> None:
        parts: list[Content] = []
        right = Content("")
        if self._queued is not None:
            prompt, held = self._queued
            parts.append(
                joined(styled("held  " if held else "next  ", "$stop" if held else "$run"), text(prompt, "$fg2"))
            )
            right = joined(
                styled("enter", "b $fg"),
                styled(" send  " if held else "  ", "$fg2"),
                styled("↑", "b $fg"),
                styled(" edit", "$fg2"),
            )
            if not held:
                right = joined(styled("↑", "b $fg"), styled(" edit", "$fg2"))
        parts += [text(f"+ {part.name} ({len(part.data):,} bytes)", "$fg2") for part in self._attachments]
        if self._attachments and self._queued is None:
            right = joined(styled("esc", "b $fg"), styled(" take off", "$fg2"))
        if self._trouble:
            parts.insert(0, text(f"not saved: {self._trouble}", "$fail"))
        if parts and not self._chip.is_attached:
            _ = self.mount(self._chip, before=self.prompt)  # with the first that is shown: a start has no use for it
        self._chip.set_class(bool(parts), "shown")
        self._chip.show(Content("   ").join(parts), right)
