"""UUIDv7 identifiers: unique without asking anyone, and sorted by the moment they were made.

Python gained `uuid.uuid7` only in 3.14. The generator is monotonic inside a process even when the wall clock steps
back, so that order never depends on the clock alone.
"""

import threading
import time
import uuid
from random import SystemRandom

_SEQUENCE_BITS = 12
_RANDOM = SystemRandom()  # the system's, as in `secrets`, which would load what every start has no use for


class IdSource:
    """Makes UUIDv7 strings that only ever grow."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0  # milliseconds << 12 | sequence

    def next(self) -> str:
        """Return a new id, greater than every id this source returned before."""
        with self._lock:
            self._last = max(self._last + 1, (time.time_ns() // 1_000_000) << _SEQUENCE_BITS)
            stamp = self._last
        millis, sequence = stamp >> _SEQUENCE_BITS, stamp & ((1 << _SEQUENCE_BITS) - 1)
        value = (millis & ((1 << 48) - 1)) << 80 | 0x7 << 76 | sequence << 64 | 0b10 << 62 | _RANDOM.getrandbits(62)
        return str(uuid.UUID(int=value))


_SOURCE = IdSource()


def new_id() -> str:
    """Return a fresh UUIDv7 as text."""
    return _SOURCE.next()
