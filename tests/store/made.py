"""What the tests of the store put in: a clock by hand, answers as a stream leaves them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from tui_chat.core.completion import Completion
from tui_chat.core.conversation import Conversation, Turn
from tui_chat.core.errors import ChatError
from tui_chat.core.events import FinishReason, ReasoningDelta, ResponseStarted, TextDelta, UsageUpdate
from tui_chat.core.ids import new_id
from tui_chat.core.model import Model
from tui_chat.core.pricing import Price
from tui_chat.core.usage import Usage
from tui_chat.store.conversations import SQLiteStore, open_store

NOON = datetime(2026, 1, 2, 12, 0, 0, 123456, tzinfo=UTC)
PRICE = Price(Decimal("0.27"), Decimal("1.10"), source="config", as_of="2026-01")
MODEL = Model("work", "vendor/a", "openai", price=PRICE)


class HandClock:
    """Stands still until it is set, forwards or back."""

    def __init__(self) -> None:
        self.at = NOON
        self.at_s = 100.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at_s

    def step(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class Letters:
    """Counts a letter as a token."""

    loaded = True
    exact = True

    def __init__(self) -> None:
        self.tokens = 0

    def load(self) -> None: ...

    def count(self, text: str, encoding: str = "") -> int:
        return len(text)

    def stream(self, encoding: str = "") -> "Letters":
        return Letters()

    def feed(self, delta: str) -> int:
        self.tokens += len(delta)
        return self.tokens

    def encoding_for(self, model: str) -> str:
        return "letters"


def opened(path: Path, clock: HandClock | None = None) -> SQLiteStore:
    return open_store(path, clock or HandClock())


def chat_named(title: str = "A chat", at: datetime = NOON) -> Conversation:
    return Conversation(new_id(), title, at, at, model=MODEL.name)


def answer(turn_id: str, model: Model = MODEL, at: datetime = NOON) -> Completion:
    return Completion(new_id(), turn_id, model, at, running=True)


def turn_in(
    conversation: Conversation,
    prompt: str,
    models: Sequence[Model] = (MODEL,),
    continues: Completion | None = None,
) -> Turn:
    turn = Turn(new_id(), conversation.id, prompt, NOON, continues=continues.id if continues else None)
    turn.completions = [answer(turn.id, model) for model in models]
    conversation.tip_id = turn.id
    return turn


def stream(completion: Completion, text: str, reasoning: str = "") -> None:
    """Let some of an answer arrive."""
    if completion.started_at_s is None:
        completion.start(0.0, Letters(), 10)
        completion.apply(ResponseStarted("req-1", "a-2026-01"), 0.1)
    if reasoning:
        completion.apply(ReasoningDelta(reasoning), 0.2)
    if text:
        completion.apply(TextDelta(text), 0.5)


def finish(
    completion: Completion,
    text: str = "Hello.",
    reason: FinishReason = "stop",
    usage: Usage | None = Usage(1000, 100, 0, None, 20),  # noqa: B008  frozen
    error: ChatError | None = None,
) -> None:
    stream(completion, text)
    if usage is not None:
        completion.apply(UsageUpdate(usage), 0.9)
    completion.end(1.0, reason, error)


def said(
    store: SQLiteStore,
    conversation: Conversation,
    prompt: str,
    text: str = "Hello.",
    continues: Completion | None = None,
    model: Model = MODEL,
) -> Turn:
    """Write one whole turn; return it when it is on disk."""
    turn = turn_in(conversation, prompt, (model,), continues)
    store.start_turn(conversation, turn)
    finish(turn.completions[0], text)
    store.save_completion(conversation.id, turn.completions[0]).result()
    return turn
