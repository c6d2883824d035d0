"""What a stream can say. Wire formats turn bytes into these; `Completion.apply` folds them into an answer."""

from decimal import Decimal
from typing import Literal

from tui_chat.core.errors import ErrorKind
from tui_chat.core.record import record
from tui_chat.core.usage import Usage

FinishReason = Literal[
    "stop",
    "length",
    "content_filter",
    "tool_calls",
    "pause",
    "cancelled",
    "budget",
    "error",
    "interrupted",
]


@record
class ResponseStarted:
    """The server answered, or named itself: what it calls this answer and the model that serves it."""

    request_id: str | None = None
    model: str | None = None


@record
class TextDelta:
    text: str


@record
class ReasoningDelta:
    text: str


@record
class ToolCallDelta:
    """A piece of a tool call. We offer no tools, but gateways send them: they are counted, not run."""

    name: str
    arguments: str


@record
class UsageUpdate:
    """A cumulative snapshot; it replaces what came before."""

    usage: Usage


@record
class BilledCost:
    """What the provider itself says this answer cost, in USD."""

    amount: Decimal


@record
class Waiting:
    """The request failed before any text and will be sent again after `wait_s` seconds."""

    reason: ErrorKind
    message: str
    wait_s: float
    attempt: int
    """The attempt that comes next, counted from 1."""
    attempts: int
    """How many there will be at most."""
    request_sent: bool = False
    """The attempt that failed may have reached the model: it can have cost its input."""


@record
class Queued:
    """The request is not sent yet: it waits for its turn, so as not to break a limit. Said again when that changes.

    It is no attempt and costs nothing.
    """

    wait_s: float
    """How long it will probably take."""
    before: int
    """How many requests go first."""
    reason: str
    """What it waits for, as words that follow `until`: `the limit of 5 requests a minute has room`."""


@record
class Dequeued:
    """The turn of a request that was queued came: it is sent now."""


@record
class Adjusted:
    """The request was sent in another way than asked for, because the server refused that one."""

    message: str
    """What was changed, as one line."""


@record
class Unreadable:
    """Events that could not be parsed and were skipped."""

    count: int


@record
class Finished:
    """The model's answer is whole; usage, cost and the server's farewell may still follow."""

    finish_reason: FinishReason


StreamEvent = (
    ResponseStarted
    | TextDelta
    | ReasoningDelta
    | ToolCallDelta
    | UsageUpdate
    | BilledCost
    | Waiting
    | Queued
    | Dequeued
    | Adjusted
    | Unreadable
    | Finished
)
