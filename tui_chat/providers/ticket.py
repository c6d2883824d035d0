"""One request in the queue of a provider: what it takes of the limits, as far as that is known, and its fate."""

from typing import Literal

from tui_chat.core.completion import asked_length
from tui_chat.core.events import ReasoningDelta, StreamEvent, TextDelta, ToolCallDelta, UsageUpdate
from tui_chat.core.record import entity, record
from tui_chat.core.request import Request
from tui_chat.core.usage import Usage

Kind = Literal["requests", "tokens", "input", "output"]
"""What a limit counts."""
OUTPUT_GUESS = 500
"""Tokens of an answer whose length nothing limits, before it is known."""
_LETTERS = 4
"""Characters of a token, where nothing better is known."""


@record
class Need:
    """What one request takes, as far as that is known before it is answered."""

    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def of(self, kind: Kind) -> int:
        match kind:
            case "requests":
                return 1
            case "tokens":
                return self.tokens
            case "input":
                return self.input_tokens
            case "output":
                return self.output_tokens


def need_of(request: Request) -> Need:
    """Return what a request takes: our count of the prompt, and the longest answer or a modest guess."""
    _, longest = asked_length(request.params)
    counted = request.input_tokens
    if counted is None:
        counted = sum(message.size for message in request.messages) // _LETTERS
    return Need(counted, OUTPUT_GUESS if longest is None else longest)


@entity
class Share:
    """What one request took of a window."""

    amount: int
    at_s: float | None = None
    """From when on it counts for a whole span; `None` = it is on its way, and counts as of now."""
    gone: bool = False


@entity
class Ticket:
    """One request in the queue, and what became of it."""

    number: int
    """Its place: whoever came first keeps the lower one, retries too."""
    model: str = ""
    need: Need = Need()
    waited: bool = False
    """It was refused, and has waited as long as the server asked it to."""
    admitted: bool = False
    reached: bool = False
    """Some of it may have come to the server."""
    answered: bool = False
    """Its headers came."""
    until_s: float = 0.0
    """When its turn will come, as far as that was foreseen."""
    before: int = 0
    """How many go before it."""
    reason: str = ""
    order: int = 0
    """In the order of sending."""
    shares: tuple[Share | None, Share | None] = (None, None)
    """What it took of the requests and of the tokens."""
    usage: Usage = Usage()
    """What the server reported."""
    letters: int = 0
    """Characters of the answer."""

    def note(self, event: StreamEvent) -> None:
        """Take what an event says of the tokens."""
        match event:
            case UsageUpdate(usage):
                self.usage = self.usage.updated(usage)
            case TextDelta(text) | ReasoningDelta(text) | ToolCallDelta(_, text):
                self.letters += len(text)

    @property
    def tokens(self) -> int:
        """What the answer took: as reported, else what we take it for."""
        usage = self.usage.checked()
        sent = self.need.input_tokens if usage.input_tokens is None else usage.input_tokens
        if usage.output_tokens is not None:
            return sent + usage.output_tokens
        return sent + max(self.need.output_tokens, self.letters // _LETTERS)
