"""Choose the model of the next prompt: type to narrow, Enter to use. Every model with its price, or what it lacks."""

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.geometry import Region, Size
from textual.screen import ModalScreen
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.visual import RenderOptions
from textual.widgets import Input, Static

from tui_chat.core.format import window
from tui_chat.core.model import Model
from tui_chat.ui.theme import Glyphs
from tui_chat.ui.widgets.empty_state import price_of
from tui_chat.ui.widgets.row import hints, joined, row, styled, text


def matching(models: Sequence[Model], words: str) -> list[Model]:
    """Return the models whose names hold every word, usable ones first."""
    pieces = words.casefold().split()
    kept = [model for model in models if all(piece in model.name.casefold() for piece in pieces)]
    return sorted(kept, key=lambda model: model.missing is not None)


class ModelList(ScrollView):
    """The models as lines."""

    def __init__(self, models: Sequence[Model], chosen: str, glyphs: Glyphs) -> None:
        super().__init__()
        self._all = models
        self._glyphs = glyphs
        self.models = matching(models, "")
        self._at = next((i for i, model in enumerate(self.models) if model.name == chosen), 0)

    def on_mount(self) -> None:
        self.virtual_size = Size(self.size.width, len(self.models))
        self.call_after_refresh(self.move, 0)

    def filter(self, words: str) -> None:
        self.models = matching(self._all, words)
        self._at = 0
        self.virtual_size = Size(self.size.width, len(self.models))
        self.move(0)

    def move(self, step: int) -> None:
        self._at = max(0, min(len(self.models) - 1, self._at + step))
        self.scroll_to_region(Region(0, self._at, 1, 1), animate=False, force=True)
        self.refresh()

    @property
    def selected(self) -> Model | None:
        return self.models[self._at] if self.models else None

    def on_click(self, event: events.Click) -> None:
        self.move(int(event.y + self.scroll_y) - self._at)

    def render_line(self, y: int) -> Strip:
        at, width = y + int(self.scroll_offset.y), self.size.width
        content = self._draw(at, width) if at < len(self.models) else Content(" ")
        strips = content.render_strips(
            width, 1, self.visual_style, RenderOptions(self._get_style, {"text_wrap": "nowrap"})
        )
        return strips[0] if strips else Strip.blank(width, self.visual_style.rich_style)

    def _draw(self, at: int, width: int) -> Content:
        model = self.models[at]
        here, usable = at == self._at, model.missing is None
        context = window(model.context_window) if model.context_window else ""
        note = "scripted" if model.scripted else text((model.missing or "").split(",", 1)[0], "$fg2").plain
        figures = styled(f"{context:>7}  {price_of(model):>18}", "$fg" if usable else "$fg2")
        if width > 84:
            figures = joined(figures, styled(f"   {note[:26]:<26}", "$fg2"))
        edge = styled(self._glyphs.bar, "$acc") if here else Content(" ")
        line = row(joined(" ", edge, " ", text(model.name, "$fg" if usable else "$fg2")), joined(figures, " "), width)
        return line.stylize_before("on $sel") if here else line.pad_right(max(0, width - line.cell_length))


class ModelPicker(ModalScreen[Model | None]):
    """A box over the chat."""

    CSS_PATH = "boxes.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,ctrl+l", "dismiss(None)", "Close", show=False)]

    def __init__(self, models: Sequence[Model], chosen: str, glyphs: Glyphs) -> None:
        super().__init__()
        self._input = Input(placeholder="type to narrow", compact=True)
        self._input.cursor_blink = False
        self._list = ModelList(models, chosen, glyphs)
        self._count = len(models)

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            yield self._input
            yield Static(markup=False, id="unit")
            yield self._list
            yield Static(joined("   ", hints([("enter", "use"), ("↑↓", "move"), ("esc", "close")])), markup=False)

    def on_mount(self) -> None:
        self._show_count()
        self._input.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._list.filter(event.value)
        self._show_count()

    def _show_count(self) -> None:
        shown, usable = len(self._list.models), sum(model.missing is None for model in self._list.models)
        words = f"   {shown} of {self._count} models, {usable} usable now; $ per million tokens in and out"
        self.query_one("#unit", Static).update(styled(words, "$fg2"))

    def on_input_submitted(self) -> None:
        if (model := self._list.selected) is not None:
            _ = self.dismiss(model)  # awaiting it in a handler of its own screen would never end

    def on_key(self, event: events.Key) -> None:
        steps = {"up": -1, "down": 1, "pageup": -10, "pagedown": 10}
        if event.key in steps:
            self._list.move(steps[event.key])
            event.stop()
            event.prevent_default()
