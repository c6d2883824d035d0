"""The answers of `ask`: shown while they run, judged when they ended."""

from dataclasses import field
from decimal import Decimal

from tui_chat.commands.output import Stdout
from tui_chat.core import format as fmt
from tui_chat.core.completion import Completion
from tui_chat.core.conversation import Conversation
from tui_chat.core.errors import ChatError, ConfigurationError
from tui_chat.core.pricing import NOTHING, stale_month
from tui_chat.core.record import entity
from tui_chat.core.safe_text import safe
from tui_chat.interchange.records import (
    NO_USAGE,
    Json,
    cost_record,
    error_record,
    timings_record,
    usage_record,
    usd_record,
)

_ORDER = (130, 2, 1, 3, 0)


@entity
class Answer:
    """One `-m`: a completion, or the reason why there is none."""

    name: str | None
    """The model as it was asked for; `None` when none was named or found."""
    completion: Completion | None = None
    refused: ChatError | None = None
    stop_code: int = 0
    """The exit code of the signal, or of the closed pipe, that stopped it; 0 when nothing did."""
    _taken: int = 0
    _unsent: bytearray = field(default_factory=bytearray, repr=False)

    @property
    def error(self) -> ChatError | None:
        """Return the error; `None` exactly when the exit code of this answer is 0."""
        if self.completion is None:
            return self.refused
        if self.completion.error is not None:
            return self.completion.error
        match self.completion.finish_reason:
            case "cancelled" | "interrupted":
                return ChatError("cancelled", f"stopped by {_STOPS.get(self.stop_code or 130, 'a signal')}")
            case "content_filter" if not self.completion.text:
                return ChatError("content_filter", "the provider's filter held the whole answer back; ask differently")
            case None | "error" | "budget":
                return ChatError("internal", "the answer has no end")
        return None

    @property
    def exit_code(self) -> int:
        error = self.error
        if error is None:
            return 0
        if error.kind == "cancelled":
            return self.stop_code or 130
        if error.kind == "budget":
            return 3
        return 2 if isinstance(error, ConfigurationError) or error.kind == "configuration" else 1

    def record(self, conversation: Conversation | None) -> Json:
        completion = self.completion
        if completion is None:
            return _EMPTY | {"model": self.name, "error": error_record(self.error)}
        cost = completion.cost
        return {
            "conversation_id": conversation.id if conversation and conversation.stored else None,
            "message_id": completion.id,
            "model": completion.model.name,
            "model_served": completion.model_served,
            "text": completion.text,
            "reasoning": completion.reasoning,
            "finish_reason": completion.finish_reason,
            "usage": usage_record(completion.usage),
            "cost_usd": usd_record(cost),
            "cost": cost_record(cost),
            "timings": timings_record(completion),
            "attempts": completion.attempts,
            "warnings": list(completion.warnings),
            "error": error_record(self.error),
        }

    async def show(self, stdout: Stdout) -> None:
        """Write what came since the last call."""
        if self.completion is None:
            return
        log = self.completion.text_log
        new, self._taken = log.since(self._taken), log.position
        if new:
            self._unsent += stdout.encoded(safe(new) if stdout.is_terminal else new)
        await stdout.drain(self._unsent)

    async def end_line(self, stdout: Stdout) -> None:
        if self._taken or self.error is None:
            await stdout.write("\n")

    def cost_line(self) -> str | None:
        """Return `work/a: 9 tok in, 12 tok out, ~$0.00017, 2.04 s`; `None` when nothing was asked."""
        completion = self.completion
        if completion is None or not completion.sent:
            return None
        usage, cost = completion.usage.usage, completion.cost
        month = stale_month(cost.price_as_of, completion.created_at) if cost.price_source == "bundled" else None
        marks = ["~" if name in completion.usage.estimated else "" for name in ("input_tokens", "output_tokens")]
        parts = [
            f"{marks[0]}{fmt.tokens(usage.input_tokens)} tok in",
            f"{marks[1]}{fmt.tokens(usage.output_tokens)} tok out",
            ("play " if cost.play else "") + fmt.cost(cost) + (f" (prices {month})" if month else ""),
        ]
        if completion.total_s is not None:
            parts.append(fmt.seconds(completion.total_s))
        return f"{completion.model.name}: {', '.join(parts)}"

    @property
    def warnings(self) -> list[str]:
        return self.completion.warnings if self.completion else []


_STOPS = {
    1: "a stdout that cannot be written",
    129: "a hangup",
    130: "Ctrl+C",
    141: "the closed stdout",
    143: "SIGTERM",
}
_EMPTY: Json = {
    "conversation_id": None,
    "message_id": None,
    "model": None,
    "model_served": None,
    "text": "",
    "reasoning": "",
    "finish_reason": "error",
    "usage": usage_record(NO_USAGE),
    "cost_usd": float(NOTHING.usd or Decimal(0)),
    "cost": cost_record(NOTHING),
    "timings": {"first_token_s": None, "total_s": None},
    "attempts": 0,
    "warnings": [],
}


def worst(codes: list[int]) -> int:
    return min(codes, key=lambda code: _ORDER.index(code) if code in _ORDER else -1, default=0)
