"""Decodes a body that came compressed although nobody asked, a bounded piece at a time.

httpx inflates whatever it has read in one go: 64 KiB of zeros become 66 MB.
"""

import zlib
from collections.abc import Iterator
from typing import Any

from tui_chat.core.errors import ProviderError

PIECE = 256 * 1024
"""The most that is inflated at once."""
_STEP = "check the base_url, and the proxy if there is one"


class Inflater:
    """Passes plain bytes on, and inflates gzip and deflate; raises ProviderError (`protocol`) for anything else."""

    __slots__ = ("_member", "_name")

    def __init__(self, content_encoding: str) -> None:
        names = [name.strip().lower() for name in content_encoding.split(",")]
        names = [name for name in names if name not in ("", "identity")]
        if len(names) > 1 or not {*names} <= {"gzip", "x-gzip", "deflate"}:
            words = ", ".join(names)[:40]
            message = f"the server compressed its answer ({words}) although it was not asked to; {_STEP}"
            raise ProviderError("protocol", message)
        self._name = names[0] if names else ""
        self._member: Any = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        if not self._name:
            if data:
                yield data
            return
        while data:
            if self._member is None:
                self._member = zlib.decompressobj(self._window(data))
            try:
                piece = self._member.decompress(data, PIECE)
            except zlib.error:
                message = f"the server sent compressed data that cannot be read; {_STEP}"
                raise ProviderError("protocol", message) from None
            data = self._member.unconsumed_tail
            if self._member.eof:
                data, self._member = self._member.unused_data, None
                if not data.strip(b"\0"):
                    data = b""
            if piece:
                yield piece

    def _window(self, data: bytes) -> int:
        if self._name != "deflate":
            return 31
        return 15 if data[0] & 0x0F == 8 and (len(data) < 2 or (data[0] * 256 + data[1]) % 31 == 0) else -15
