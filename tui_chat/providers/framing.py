"""Server-sent events and JSON lines, cut out of bytes that may be split anywhere.

Why our own: readers of the field lose the first event to a BOM, split lines at U+2028, obey a wrong charset, insist on
a Content-Type or have no bound. The rules are those of https://html.spec.whatwg.org/multipage/server-sent-events.html
(read 2026-11), with three liberties that real servers need: a last event without its blank line is taken when it
parses, a field `error: {…}` counts as an event named `error`, and a body that is no event stream at all but one JSON
document (or a web page) comes out whole, as one record.

Work is linear in the bytes, however they are split; memory is bounded by `MAX_LINE` and `MAX_EVENT`.
"""

import json
import re

from tui_chat.core.errors import ProviderError
from tui_chat.providers.wire import Record

MAX_LINE = 8 * 1024 * 1024
"""Bytes of one line."""
MAX_EVENT = 16 * 1024 * 1024
"""Bytes of one event."""

MAX_HEAD = 64 * 1024
"""Blank bytes that may come first."""

_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BLANK = b" \t\r\n"
_FIELDS = frozenset((b"data", b"event", b"error"))


def _too_large(what: str, limit: int) -> ProviderError:
    step = "check the provider's kind and base_url"
    return ProviderError("protocol", f"the server sent {what} of more than {limit >> 20} MiB; {step}")


class _Lines:
    """Cuts bytes at CR, LF and CRLF; a CR ends its line at once, the LF that may follow it is swallowed later."""

    __slots__ = ("_after_cr", "_bom", "_rest")

    def __init__(self) -> None:
        self._rest = bytearray()
        self._after_cr = False
        self._bom: bytes | None = b""
        """The beginning of the body as long as it may become a BOM, then None."""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that `data` ends."""
        if self._bom is not None:
            data = self._without_bom(data)
        if self._after_cr and data:
            self._after_cr = False
            if data[0] == 0x0A:
                data = data[1:]
        if not data:
            return []
        if b"\r" in data:
            lines = _LINE_END.split(data)
            self._after_cr = data[-1] == 0x0D
        else:
            lines = data.split(b"\n")
        rest = lines.pop()
        if lines and self._rest:
            self._rest += lines[0]
            lines[0] = bytes(self._rest)
            self._rest.clear()
        self._rest += rest
        if len(self._rest) > MAX_LINE or any(len(line) > MAX_LINE for line in lines):
            raise _too_large("a line", MAX_LINE)
        return lines

    def _without_bom(self, data: bytes) -> bytes:
        data = (self._bom or b"") + data
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._bom = data
            return b""
        self._bom = None
        return data.removeprefix(_BOM)

    def close(self) -> bytes:
        """Return the last line, which has no end."""
        rest = (self._bom or b"") + self._rest
        self._rest.clear()
        return rest


def _parses(text: str) -> bool:
    if text.strip() == "[DONE]":
        return True
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


class SSEFramer:
    """Server-sent events."""

    __slots__ = ("_data", "_document", "_event", "_head", "_lines", "_size", "comments")

    def __init__(self) -> None:
        self.comments = 0
        """Comment lines seen: no answer, but a sign of life."""
        self._lines = _Lines()
        self._event: str | None = None
        self._data: list[str] = []
        self._size = 0
        self._head: bytes | None = b""
        """The body's beginning until its first character tells what it is, then None."""
        self._document: bytearray | None = None
        """The body, when it is no event stream."""

    def feed(self, data: bytes) -> list[Record]:
        if self._head is not None:
            data = self._decide(self._head + data)
        if self._document is not None:
            self._document += data
            if len(self._document) > MAX_EVENT:
                raise _too_large("a document", MAX_EVENT)
            return []
        records: list[Record] = []
        for line in self._lines.feed(data):
            self._line(line, records)
        return records

    def _decide(self, head: bytes) -> bytes:
        """Say by its first character whether the body is an event stream; return what can be read by now."""
        start = head.removeprefix(_BOM).lstrip(_BLANK)
        if not start or _BOM.startswith(head):
            self._head = head[-len(_BOM) :] if len(head) > MAX_HEAD else head
            return b""
        self._head = None
        if start[0] in b"{[<":
            self._document = bytearray()
            return start
        return head

    def _line(self, line: bytes, records: list[Record]) -> None:
        if not line:
            self._end(records)
            return
        if line[0] == 0x3A:
            self.comments += 1
            return
        name, _, value = line.partition(b":")
        if name not in _FIELDS:
            return
        text = value.decode("utf-8", "replace").removeprefix(" ")
        if name == b"event":
            self._event = text
            return
        if name == b"error":
            self._event = "error"
        self._data.append(text)
        self._size += len(value)
        if self._size > MAX_EVENT:
            raise _too_large("an event", MAX_EVENT)

    def _end(self, records: list[Record]) -> None:
        if self._data:
            records.append(Record(self._event, "\n".join(self._data)))
        self._event, self._data, self._size = None, [], 0

    def close(self) -> list[Record]:
        """Return the last event, when the body ended without its blank line and the event can be read all the same."""
        if self._document is not None:
            text = self._document.decode("utf-8", "replace")
            self._document = bytearray()
            return [Record(None, text)] if text else []
        records: list[Record] = []
        rest = self._lines.close()
        if rest:
            self._line(rest, records)
        self._end(records)
        return [record for record in records if _parses(record.data)]


class NDJSONFramer:
    """One JSON value a line."""

    __slots__ = ("_lines",)

    def __init__(self) -> None:
        self._lines = _Lines()

    def feed(self, data: bytes) -> list[Record]:
        return [Record(None, line.decode("utf-8", "replace")) for line in self._lines.feed(data) if line.strip(_BLANK)]

    def close(self) -> list[Record]:
        """Return the last line, when it has no end and can be read all the same, or is a web page in one line."""
        rest = self._lines.close().decode("utf-8", "replace")
        return [Record(None, rest)] if rest.strip() and (_parses(rest) or rest.lstrip()[0] == "<") else []
