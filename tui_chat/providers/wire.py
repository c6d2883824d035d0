"""What a wire format is: bytes out, records in, events up. No network here, so every format is tested without one.

    Request ─ WireFormat.build ─► WireRequest ─► (client.py) ─► bytes ─ Framer ─► Record ─ Decoder ─► StreamEvent

A format is a value without state; what one answer needs to remember lives in the `Framer` and the `Decoder`, one of
each per stream. A decoder never raises while it is fed: an error that the server reports in mid-stream is kept and
raised by `close`, so that text which came in the same event is not lost.
"""

from dataclasses import field
from typing import NamedTuple, Protocol, runtime_checkable

from tui_chat.core.events import FinishReason, StreamEvent
from tui_chat.core.model import ListedModel
from tui_chat.core.record import record
from tui_chat.core.request import Request


class Record(NamedTuple):
    """One event of a stream, as its framing understands it."""

    event: str | None
    """The event's name, `None` when it has none."""
    data: str


@record
class WireRequest:
    """What is posted."""

    path: str
    """Appended to the endpoint's base URL, e.g. `/chat/completions`."""
    headers: dict[str, str] = field(repr=False)
    """Those of the format, the key's among them."""
    body: bytes = b""
    left_out: tuple[str, ...] = ()
    """What the user set and this model has no place for, as sentences."""


class Framer(Protocol):
    """Cuts bytes into records, wherever the network split them. Raises ProviderError (`protocol`) above its caps."""

    def feed(self, data: bytes) -> list[Record]: ...

    def close(self) -> list[Record]:
        """Return what the end of the body completes."""
        ...


class Decoder(Protocol):
    """Turns the records of one answer into events."""

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why the model stopped, as soon as the server said so; usage and even text may still follow."""
        ...

    @property
    def done(self) -> bool:
        """True when nothing that follows counts: the end marker came, or an error."""
        ...

    def feed(self, record: Record) -> list[StreamEvent]:
        """Return what one record says; never raises."""
        ...

    def close(self) -> list[StreamEvent]:
        """Judge the end of the body: return the last events, `Finished` being the very last.

        Raises ProviderError: the error that the server reported, else `stream` when the answer has no end, else
        `protocol` when nothing in it could be read.
        """
        ...


@runtime_checkable
class Bounded(Protocol):
    """A dialect that demands to be told how long an answer may become."""

    def length_unasked(self, request: Request) -> int | None:
        """Return what it tells for a request that says nothing of it, in tokens."""
        ...


class WireFormat(Protocol):
    """One dialect of asking and answering."""

    def build(
        self, request: Request, api_key: str | None, without: frozenset[str] = frozenset(), *, prefill: bool = False
    ) -> WireRequest:
        """Return what to post. `without` are the options that the server refused (see `asking.py`).

        `prefill` says that this server goes on with an answer that was begun for it, where the dialect leaves that to
        the server. Raises ProviderError (`invalid_request`) for an attachment that cannot be sent.
        """
        ...

    def refused(self, words: str, request: Request, without: frozenset[str]) -> str | None:
        """Return the option of this request that a refusal names, `None` when it names none that can be left out."""
        ...

    def framer(self) -> Framer: ...

    def decoder(self) -> Decoder: ...

    def list_request(self, api_key: str | None) -> WireRequest:
        """Return how the server is asked which models it has (GET, so without a body)."""
        ...

    def listed(self, answer: object) -> list[ListedModel]:
        """Return the models in the parsed answer to `list_request` that can chat; never raises."""
        ...
