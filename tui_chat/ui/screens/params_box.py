"""The parameters of one conversation: what stands here goes before what config.toml says; what is empty is not sent."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tui_chat.core.model import Model, Params
from tui_chat.core.params import PARAMS, read_param, write_param
from tui_chat.ui.widgets.row import hints, joined, styled, text


class ParamsBox(ModalScreen[Params | None]):
    """A box with a line for each parameter; ends with those that are set, `None` when it was left."""

    CSS_PATH = "boxes.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Close", show=False),
        Binding("down", "app.focus_next", show=False, priority=True),
        Binding("up", "app.focus_previous", show=False, priority=True),
    ]

    def __init__(self, params: Params, model: Model) -> None:
        """`params` are those of the conversation; those of the model show what holds where nothing is set here."""
        super().__init__()
        self._others = {name: value for name, value in params.items() if name not in {param.name for param in PARAMS}}
        self._model = model
        self._inputs = {
            param.name: Input(
                write_param(params.get(param.name)),
                placeholder=self._elsewhere(param.name),
                compact=True,
                select_on_focus=False,
            )
            for param in PARAMS
        }
        for field in self._inputs.values():
            field.cursor_blink = False
        self._about = Static(markup=False, id="about")

    def _elsewhere(self, name: str) -> str:
        value = self._model.params.get(name)
        return f"{write_param(value)} (config.toml)" if value is not None else "–"

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            yield Static(joined(styled("Parameters of this chat", "b $fg")), markup=False)
            for param in PARAMS:
                with Horizontal(classes="line"):
                    yield Static(styled(param.label, "$fg2"), markup=False, classes="label")
                    yield self._inputs[param.name]
            yield self._about
            yield Static(hints([("enter", "keep"), ("↑↓", "move"), ("esc", "leave as it was")]), markup=False)

    def on_mount(self) -> None:
        next(iter(self._inputs.values())).focus()

    def on_descendant_focus(self) -> None:
        about = next((param.about for param in PARAMS if self._inputs[param.name].has_focus), "")
        self._about.update(styled(about, "$fg2"))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        params = dict(self._others)
        for name, field in self._inputs.items():
            try:
                value = read_param(name, field.value)
            except ValueError as wrong:
                field.focus()
                self.call_after_refresh(self._about.update, text(str(wrong), "$fail"))
                return
            if value is not None:
                params[name] = value
        _ = self.dismiss(params)
