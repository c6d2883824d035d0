"""Counting and clocks, as the answer itself needs them; the other ports stand in `ports.py`, which knows the answer."""

from datetime import datetime
from typing import Protocol


class StreamTokens(Protocol):
    """Counts one growing text."""

    @property
    def tokens(self) -> int:
        """Tokens of everything fed so far; an estimate while `exact` is False."""
        ...

    @property
    def exact(self) -> bool: ...

    def feed(self, delta: str) -> int:
        """Take more text; return `tokens`."""
        ...


class TokenCounter(Protocol):
    @property
    def loaded(self) -> bool:
        """False while counts are estimates."""
        ...

    def load(self) -> None:
        """Load the vocabulary; blocking, once. Call it in a thread when nobody types."""
        ...

    def count(self, text: str, encoding: str = "o200k_base") -> int: ...

    def stream(self, encoding: str = "o200k_base") -> StreamTokens: ...

    def encoding_for(self, model: str) -> str:
        """Return the name of the encoding for a bare model id."""
        ...


class Clock(Protocol):
    def now(self) -> datetime:
        """The wall clock, aware UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that only grow."""
        ...
