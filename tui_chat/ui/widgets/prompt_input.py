"""The text field: Enter sends, Ctrl+J makes a new line, Up at the first line walks earlier prompts."""

from collections.abc import Callable
from time import monotonic

from textual import events
from textual.message import Message
from textual.widgets import TextArea

LARGE_PASTE = 16_000
"""Characters; a longer paste becomes an attachment: a megabyte in a text area costs seconds."""
_PASTE_GUARD_S = 0.05
_JOINERS = ("\u200c", "\u200d")
"""Invisible, so Textual takes them for controls; emoji and some scripts are spelt with them."""
_CONTROLS = dict.fromkeys([*range(9), *range(0xB, 0x20), *range(0x7F, 0xA0)])


class PromptInput(TextArea, inherit_css=False):
    """A multi-line field without language, line numbers or markup.

    Sending and new lines are handled among the other keys, not as priority bindings: those overtake characters that
    were typed just before, and Enter would send half a prompt.

    Of Textual's styles only those are here that such a field shows: all of them take a millisecond to parse.
    """

    DEFAULT_CSS = """
    PromptInput {
        width: 1fr; height: 1fr; overflow: auto auto; pointer: text;
        scrollbar-color: $scrollbar; scrollbar-color-hover: $scrollbar-hover; scrollbar-color-active: $scrollbar-active;
        scrollbar-background: $scrollbar-background; scrollbar-background-hover: $scrollbar-background-hover;
        scrollbar-background-active: $scrollbar-background-active; scrollbar-corner-color: $scrollbar-corner-color;
        .text-area--selection { color: $input-selection-foreground; }
        .text-area--matching-bracket { background: $foreground 30%; }
        &:ansi .text-area--selection { text-style: reverse; }
    }
    """

    COMPONENT_CLASSES = TextArea.COMPONENT_CLASSES

    class Submitted(Message):
        """Enter on the text."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Above(Message):
        """Up at the first line: whoever listens brings back the queued prompt, or walks the history."""

    class Below(Message):
        """Down at the last line, with no history to walk."""

    class PastedLarge(Message):
        """A paste too large for the field."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, earlier: Callable[[], list[str]], send_keys: str, newline_keys: str) -> None:
        """`earlier` returns earlier prompts, the newest first; the keys are Textual's names, separated by commas."""
        super().__init__(
            id="prompt",
            soft_wrap=True,
            compact=True,
            highlight_cursor_line=False,
            show_line_numbers=False,
            tab_behavior="focus",
        )
        self.set_reactive(PromptInput.has_focus, True)  # the screen gives it the focus: styled once for it
        self.cursor_blink = False  # a blinking cursor repaints for ever, also when nobody is there
        self._earlier = earlier
        self._send_keys = frozenset(send_keys.split(","))
        self._newline_keys = frozenset(newline_keys.split(","))
        self._history: list[str] | None = None
        self._history_at = -1
        self._unsent = ""
        self._pasted_at_s = 0.0

    def set_text(self, text: str) -> None:
        """Replace the text and put the cursor behind it."""
        self.text = text
        self.move_cursor(self.document.end)
        self._history = None

    async def _on_key(self, event: events.Key) -> None:
        if event.key in self._send_keys:
            self._send()
        elif event.key in self._newline_keys:
            self._newline()
        elif event.character in _JOINERS:
            self.insert(event.character)
        else:
            await super()._on_key(event)
            return
        event.stop()
        event.prevent_default()

    def _send(self) -> None:
        if monotonic() - self._pasted_at_s < _PASTE_GUARD_S:
            self._newline()  # an Enter that came out of a paste never sends
            return
        if self.text.endswith("\\") and self.cursor_location == self.document.end:
            row, column = self.cursor_location
            self.replace("\n", (row, column - 1), (row, column))
            return
        self._history = None
        self.post_message(self.Submitted(self.text))

    def _newline(self) -> None:
        self.insert("\n")

    async def _on_paste(self, event: events.Paste) -> None:
        self._pasted_at_s = monotonic()
        text = event.text.replace("\r\n", "\n").replace("\r", "\n").translate(_CONTROLS)
        event.prevent_default()
        event.stop()
        if len(text) > LARGE_PASTE:
            self.post_message(self.PastedLarge(text))
        elif result := self._replace_via_keyboard(text, *self.selection):
            self.move_cursor(result.end_location)

    def action_cursor_up(self, select: bool = False) -> None:  # noqa: FBT001, FBT002  Textual's signature
        if not select and self.navigator.is_first_wrapped_line(self.cursor_location):
            self.post_message(self.Above())
        else:
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:  # noqa: FBT001, FBT002  Textual's signature
        if not select and self._history is not None and self.navigator.is_last_wrapped_line(self.cursor_location):
            self.walk(-1)
        elif not select and not self.text:
            self.post_message(self.Below())
        else:
            super().action_cursor_down(select)

    def walk(self, step: int) -> None:
        """Show an earlier or later prompt; what was being typed comes back at the end."""
        if self._history is None:
            self._history, self._history_at, self._unsent = self._earlier(), -1, self.text
        at = max(-1, min(len(self._history) - 1, self._history_at + step))
        if at == self._history_at:
            return
        history, unsent = self._history, self._unsent
        self._history_at = at
        self.text = history[at] if at >= 0 else unsent
        self.move_cursor(self.document.end if step < 0 else (0, 0))
        self._history, self._unsent = history, unsent
