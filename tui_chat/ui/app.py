"""The app: themes, the one frame clock, the running answers, and the ways to leave.

Everything that shows a conversation lives in `screens/chat.py`. Nobody but the command line imports this module.
"""

import asyncio
import gc
import logging
import signal
from collections.abc import Iterable
from contextlib import suppress
from functools import partial

from rich.console import RenderableType
from rich.text import Text
from textual.app import App, SystemCommand
from textual.driver import Driver
from textual.filter import LineFilter
from textual.screen import Screen
from textual.worker import Worker, WorkerError

from tui_chat.core.keymap import KEYMAP, keys_of, shown, user_keys
from tui_chat.core.model import Model
from tui_chat.core.services import Services
from tui_chat.ui.control_filter import ControlFilter
from tui_chat.ui.frame_clock import FrameClock
from tui_chat.ui.screens.chat import ChatScreen, Start
from tui_chat.ui.streams import Streams
from tui_chat.ui.theme import ALIASES, ASCII, DARK, LIGHT, THEMES, UNICODE
from tui_chat.ui.widgets.bindings import binding

_log = logging.getLogger(__name__)
_IDLE_S = 0.5
_PAINTED_S = 0.05
_SCREEN_ACTIONS = {
    "chat.new": "new_chat",
    "chats.show": "show_chats",
    "model.pick": "pick_model",
    "compare.open": "compare",
    "key.paste": "paste_key",
    "usage.open": "show_usage",
    "cursor.up": "move_cursor(-1)",
    "cursor.down": "move_cursor(1)",
    "chat.cancel": "cancel",
    "focus.toggle": "toggle_focus",
    "app.help": "help",
}
"""Binding id → action of the chat screen, for the palette."""
_ANSWER_ACTIONS = {
    "answer.again": "answer_again",
    "prompt.edit": "edit_prompt",
    "answer.continue": "continue_answer",
    "budget.raise": "raise_limit",
    "answer.discard": "discard_answer",
    "answer.copy": "copy_answer",
    "code.copy": "copy_code",
    "code.next": "jump_to_code(1)",
    "code.previous": "jump_to_code(-1)",
    "link.open": "show_links",
    "answer.cost": "show_cost",
    "answer.keep": "keep_answer",
    "compare.hide": "compare('hide')",
    "compare.undo": "compare('undo')",
    "compare.add": "compare('add')",
    "compare.zoom": "compare('zoom')",
    "compare.apart": "compare('scroll_apart')",
    "compare.difference": "compare('difference')",
    "compare.copy": "compare('copy_table')",
    "compare.blind": "compare('toggle_blind')",
    "compare.vote": "compare('vote')",
    "compare.tie": "compare('tie')",
    "reasoning.toggle": "toggle_reasoning",
    "branch.previous": "branch(-1)",
    "branch.next": "branch(1)",
    "cursor.left": "other_answer(-1)",
    "cursor.right": "other_answer(1)",
    "prompt.editor": "open_editor",
    "chat.params": "set_params",
    "chat.elsewhere": "show_elsewhere",
    "chat.export": "export_chat",
}
"""Binding id → action of the conversation in view."""


class ChatApp(App[None]):
    """The full-screen program."""

    TITLE = "tui-chat"
    CSS_PATH = "screens/chat.tcss"  # Textual does not load the file of a default screen by itself
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"
    BINDINGS = [  # noqa: RUF012  Textual's own form
        binding("app.quit", "quit", priority=True),
    ]

    _has_theme = False

    def __init__(self, services: Services, *, model: Model | None = None, conversation_id: str | None = None) -> None:
        super().__init__()
        self._services = services
        for theme in THEMES:
            self.register_theme(theme)
        self._start_with(ALIASES.get(services.settings.theme, services.settings.theme))
        self.frames = FrameClock(self._frame, services.settings.render_interval_ms / 1000)
        self.streams = Streams(self, services.chat, self._on_delta, services.settings.stop_after_tokens)
        self._keys = user_keys(services.settings)
        glyphs = ASCII if services.settings.glyphs == "ascii" else UNICODE
        start = Start(model, conversation_id)
        self._chat_screen = ChatScreen(services, self.streams, self.frames, glyphs, self._keys, start)
        self._control_filter = ControlFilter()  # one for all: what it filtered is cached under it
        self._asked_to_quit = False
        self._keyed_at_s = 0.0

    def _start_with(self, theme: str) -> None:
        """Take the user's theme; our own dark one without the watcher, which has every style read twice at the start.

        Textual starts dark too, so there is nothing else to change.
        """
        self._has_theme = True
        if theme in self.available_themes and theme != THEMES[0].name:
            self.theme = theme
        else:
            self.set_reactive(App.theme, THEMES[0].name)
            self.add_class(f"-theme-{THEMES[0].name}", update=False)
        self.stylesheet.set_variables(self.get_css_variables())

    def get_css_variables(self) -> dict[str, str]:
        """The colours of the theme; none before it is known, where Textual would work out those of its own theme."""
        return super().get_css_variables() if self._has_theme else {}

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Our roles, for themes that do not know them."""
        return DARK if self.current_theme.dark else LIGHT

    def get_line_filters(self) -> list[LineFilter]:
        """A last border: whatever a widget draws, no control character reaches the terminal."""
        return [*super().get_line_filters(), self._control_filter]

    def get_default_screen(self) -> Screen[None]:
        return self._chat_screen

    async def on_mount(self) -> None:
        self.set_keymap(self._keys)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            with suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(number, self._ended_from_outside)
        self.call_after_refresh(self._after_first_paint)

    def _after_first_paint(self) -> None:
        """Turn to what the first paint did not need, once its bytes are out.

        They leave through a thread, which would have to fight an import for the interpreter.
        """
        self.set_timer(_PAINTED_S, self._prepare)

    def _prepare(self) -> None:
        if not gc.isenabled():  # see commands/app.py
            gc.freeze()
            gc.enable()
        warm = self.run_worker(self._warm, thread=True, group="warm", exit_on_error=False)
        self.run_worker(self._look_around(warm), group="local", exit_on_error=False)
        self.set_timer(_IDLE_S, partial(self._load_when_idle, warm))

    def _warm(self) -> None:
        """Load what the first answer needs; runs in a thread."""
        from tui_chat.ui.widgets.transcript.warm import warm

        warm()
        self._services.warm()

    async def _look_around(self, warm: Worker[None]) -> None:
        await _ended(warm)
        await self._chat_screen.look_around()

    def _load_when_idle(self, warm: Worker[None]) -> None:
        """Load the vocabulary and ask for lists when no key came for a while; it must never be felt."""
        if asyncio.get_running_loop().time() - self._keyed_at_s < _IDLE_S:
            self.set_timer(_IDLE_S, partial(self._load_when_idle, warm))
            return
        counter = self._services.counter
        if not counter.loaded:
            self.run_worker(counter.load, thread=True, group="vocabulary", exit_on_error=False)
        self.run_worker(self._refresh_lists(warm), group="lists", exit_on_error=False)

    async def _refresh_lists(self, warm: Worker[None]) -> None:
        """Ask the providers for their lists where those are old."""
        await _ended(warm)
        if await self._services.lists.refresh():
            self._chat_screen.lists_changed()

    def on_key(self) -> None:
        self._keyed_at_s = asyncio.get_running_loop().time()

    def _frame(self) -> None:
        self._chat_screen.frame()

    def _on_delta(self, completion: object) -> None:
        self._chat_screen.on_delta(completion)  # type: ignore[arg-type]

    async def on_streams_finished(self, event: Streams.Finished) -> None:
        await self._chat_screen.answer_ended(event)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The palette: every action by the sentence that help shows, then the themes."""
        if screen is self._chat_screen:
            for key in KEYMAP:
                owner = self._chat_screen if key.id in _SCREEN_ACTIONS else self._chat_screen.pane
                action = _SCREEN_ACTIONS.get(key.id) or _ANSWER_ACTIONS.get(key.id)
                if action is not None:
                    keys = keys_of(key.id, self._keys)
                    hint = f"{shown(keys)}   {key.id}" if keys else key.id
                    yield SystemCommand(key.description, hint, partial(self.run_action, action, owner))
        yield SystemCommand("Theme: change the colours", "theme", self.action_change_theme)
        for word, theme in (("dark", THEMES[0].name), ("light", THEMES[1].name)):
            hint = f'theme   to keep it: [ui] theme = "textual-{word}"'
            yield SystemCommand(f"Theme: {word}", hint, partial(setattr, self, "theme", theme))
        yield SystemCommand("Quit; what runs is stopped and kept", "^q   app.quit", self.action_quit)

    async def action_quit(self) -> None:
        """Leave; asks once when answers are running."""
        if self.streams and not self._asked_to_quit:
            self._asked_to_quit = True
            count = len(self.streams.all)
            what = "An answer is" if count == 1 else f"{count} answers are"
            self.notify(f"{what} running. ^q again stops and keeps what arrived.", markup=False, timeout=5)
            self.set_timer(5, self._forget_quit)
            return
        await self._leave()

    def get_driver_class(self) -> type[Driver]:
        """Use our own driver in a Linux or macOS terminal; web and Windows have theirs."""
        base = super().get_driver_class()
        if base.__name__ != "LinuxDriver":
            return base
        from tui_chat.ui.terminal_driver import TerminalDriver

        return TerminalDriver

    def panic(self, *renderables: RenderableType) -> None:  # noqa: ARG002  Textual hands over a traceback
        """End after a bug in a thread of Textual's, like after any other."""
        self._return_code = 1
        self._fatal_error()

    def _fatal_error(self) -> None:
        """End after a bug: the log gets the details, the terminal one line.

        Textual's own report prints local variables, among them whatever key or text is around.
        """
        _log.critical("the app had to stop", exc_info=True)
        self._exit_renderables.append(
            Text("tui-chat made a mistake and had to stop; what was sent is saved. See tui-chat.log")
        )
        self._close_messages_no_wait()

    def _forget_quit(self) -> None:
        self._asked_to_quit = False

    def _ended_from_outside(self) -> None:
        self.run_worker(self._leave(return_code=143), group="leave", exit_on_error=False)

    async def _leave(self, return_code: int = 0) -> None:
        await self._chat_screen.pane.drafting.save_all()
        workers = self.streams.cancel_all()
        for worker in workers:
            with suppress(Exception):
                await worker.wait()
        self.frames.stop()
        await self._services.chat.aclose()
        self.exit(return_code=return_code)


async def _ended(worker: Worker[None]) -> None:
    """Wait until a worker is through, well or not."""
    with suppress(WorkerError):
        await worker.wait()


def run(services: Services, *, model: Model | None = None, conversation_id: str | None = None) -> int:
    """Run the app until it ends; return the exit code. The caller closes the services."""
    app = ChatApp(services, model=model, conversation_id=conversation_id)
    app.run()
    return app.return_code or 0
