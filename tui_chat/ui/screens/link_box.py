"""Where the links of an answer really lead. Nothing is opened before its target was shown here, whole and cleaned.

A link's text is the model's, and may say anything. Only http, https and mailto get this far.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui_chat.core.safe_text import one_line
from tui_chat.ui.theme import Glyphs
from tui_chat.ui.widgets.row import hints, joined, styled

_LONGEST = 2_000


@dataclass(frozen=True, slots=True)
class LinkChoice:
    """What the user wants with a link."""

    target: str
    copied: bool = False


class LinkBox(ModalScreen[LinkChoice | None]):
    """A box with the targets, one of them chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,o", "dismiss(None)", "Close", show=False),
        Binding("enter", "choose", "Open", show=False),
        Binding("c,y", "copy", "Copy", show=False),
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
    ]

    def __init__(self, targets: Sequence[str], chosen: str, glyphs: Glyphs) -> None:
        super().__init__()
        self._targets = targets
        self._at = targets.index(chosen) if chosen in targets else 0
        self._glyphs = glyphs
        self._lines = [Static(markup=False, classes="target") for _ in targets]

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            yield Static(styled("Where the links lead", "b $fg"), id="title")
            with VerticalScroll():
                yield from self._lines
            keys = [("enter", "open"), ("c", "copy"), ("↑↓", "move"), ("esc", "close")]
            yield Static(hints(keys), id="keys")

    def on_mount(self) -> None:
        self.action_move(0)

    def action_move(self, step: int) -> None:
        """Choose the link `step` lines further."""
        self._at = max(0, min(len(self._targets) - 1, self._at + step))
        for at, (line, target) in enumerate(zip(self._lines, self._targets, strict=True)):
            here = at == self._at
            edge = styled(self._glyphs.bar, "$acc") if here else Content(" ")
            line.update(joined(edge, " ", styled(one_line(target, _LONGEST), "$fg" if here else "$fg2")))
            line.set_class(here, "here")
        self._lines[self._at].scroll_visible(animate=False)

    def action_choose(self) -> None:
        _ = self.dismiss(LinkChoice(self._targets[self._at]))

    def action_copy(self) -> None:
        _ = self.dismiss(LinkChoice(self._targets[self._at], copied=True))

    def on_click(self, event: events.Click) -> None:
        """A first click chooses, a second one opens."""
        for at, line in enumerate(self._lines):
            if line.region.contains(event.screen_x, event.screen_y):
                if at == self._at:
                    self.action_choose()
                else:
                    self.action_move(at - self._at)
