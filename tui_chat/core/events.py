"""What a stream can say. Wire formats turn bytes into these; `Completion.apply` folds them into an answer."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from tui_chat.core.errors import ErrorKind
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


@dataclass(frozen=True, slots=True)
class ResponseStarted:
    """The server answered, or named itself: what it calls this answer and the model that serves it."""

    request_id: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of a tool call. We offer no tools, but gateways send them: they are counted, not run."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class UsageUpdate:
    """A cumulative snapshot; it replaces what came before."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class BilledCost:
    """What the provider itself says this answer cost, in USD."""

    amount: Decimal


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Events that could not be parsed and were skipped."""

    count: int


@dataclass(frozen=True, slots=True)
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
    | Unreadable
    | Finished
)
