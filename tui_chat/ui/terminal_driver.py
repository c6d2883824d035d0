"""Textual's Linux driver with three rough edges taken off its input.

- A byte that is not UTF-8 (a Latin-1 paste, line noise) ends Textual's input thread, and with it the app.
- A paste that holds the end mark of bracketed pastes breaks out of it, and its rest arrives as keys: Ctrl+R in it would
  send a paid request. Whatever follows a paste at once is text or nothing.
- A lone Esc is known only when nothing followed it; Textual looks every 100 ms, here it is looked for after `ESCDELAY`.
"""

import os
import selectors
from codecs import getincrementaldecoder
from time import monotonic

from textual import events
from textual._xterm_parser import XTermParser
from textual.constants import ESCAPE_DELAY
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

_POLL_S = 0.1
_AFTER_PASTE_S = 0.05
_READ = 4096
_HUNG_UP = 129


class TerminalDriver(LinuxDriver):
    """Reads keys, mouse and pastes from the terminal."""

    _pasted_at_s = float("-inf")

    def run_input_thread(self) -> None:
        """Read input until the app ends."""
        parser = XTermParser(self._debug)
        decode = getincrementaldecoder("utf-8")("replace").decode
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            wait_s = _POLL_S
            while not self.exit_event.is_set():
                if selector.select(wait_s):
                    raw = self._read()
                    if not raw:  # the terminal is gone
                        self._app.call_later(self._app.exit, return_code=_HUNG_UP)
                        return
                    data = decode(raw)
                    for message in parser.feed(data) if data else ():
                        self.process_message(message)
                    wait_s = min(_POLL_S, ESCAPE_DELAY) if data.endswith("\x1b") else _POLL_S
                else:
                    wait_s = _POLL_S
                for message in parser.tick():
                    self.process_message(message)

    def _read(self) -> bytes:
        try:
            return os.read(self.fileno, _READ)
        except OSError:
            return b""

    def process_message(self, message: Message) -> None:
        now = monotonic()
        if isinstance(message, events.Paste):
            self._pasted_at_s = now
        elif isinstance(message, events.Key) and now - self._pasted_at_s < _AFTER_PASTE_S:
            self._pasted_at_s = now
            if not message.is_printable:
                return
        super().process_message(message)
