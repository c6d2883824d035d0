"""Stand-ins for the ports of the core: a store in memory, a provider that plays a list, a counter of characters."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import cast

from tui_chat.core.completion import Completion
from tui_chat.core.conversation import Conversation, Turn
from tui_chat.core.counter import StreamTokens
from tui_chat.core.errors import StorageError
from tui_chat.core.events import StreamEvent
from tui_chat.core.model import Model
from tui_chat.core.ports import Provider, Providers, Store
from tui_chat.core.pricing import Price
from tui_chat.core.request import Request

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
"""A Wednesday."""
PRICE = Price(Decimal(1), Decimal(2), source="config")
"""Per million tokens; the counter below has a token per character, so that figures can be read off."""
MODEL = Model("work", "a", price=PRICE)


class CharacterStream:
    exact = True

    def __init__(self) -> None:
        self.tokens = 0

    def feed(self, delta: str) -> int:
        self.tokens += len(delta)
        return self.tokens


class LateStream:
    """Counts one token too many until the vocabulary is there."""

    def __init__(self, counter: "CharacterCounter") -> None:
        self._counter, self._text = counter, ""

    @property
    def exact(self) -> bool:
        return self._counter.loaded

    @property
    def tokens(self) -> int:
        return self._counter.count(self._text)

    def feed(self, delta: str) -> int:
        self._text += delta
        return self.tokens


class CharacterCounter:
    """One token per character."""

    def __init__(self, *, loaded: bool = True) -> None:
        self.loaded = loaded

    def load(self) -> None:
        self.loaded = True

    def count(self, text: str, encoding: str = "") -> int:
        return len(text) if self.loaded else len(text) + 1

    def stream(self, encoding: str = "") -> StreamTokens:
        return CharacterStream() if self.loaded else LateStream(self)

    def encoding_for(self, model: str) -> str:
        return "characters"


class SteppingClock:
    """Each look at it is a second later."""

    def __init__(self) -> None:
        self.seconds = 0

    def now(self) -> datetime:
        self.seconds += 1
        return NOON + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        self.seconds += 1
        return float(self.seconds)


def done(error: StorageError | None = None) -> Future[None]:
    future: Future[None] = Future()
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
    return future


@dataclass
class Saved:
    """An answer as it was when the store got it."""

    finish_reason: str | None
    text: str


@dataclass
class MemoryStore:
    """Records every write; `turn_write` is what `start_turn` returns."""

    turn_write: Future[None] = field(default_factory=done)
    log: list[str] = field(default_factory=list)
    saved: list[Saved] = field(default_factory=list)
    partials: list[str] = field(default_factory=list)
    opened: list[tuple[str | None, int, Decimal | None]] = field(default_factory=list)
    """Where each charge that was opened before a request counts, of which attempt it is, and what it says."""
    lengths: list[int] = field(default_factory=list)
    partial_came: asyncio.Event = field(default_factory=asyncio.Event)

    def port(self) -> Store:
        return cast("Store", self)

    def finished_lengths(self, provider: str, model_id: str) -> list[int]:
        return self.lengths

    def start_turn(self, conversation: Conversation, turn: Turn) -> Future[None]:
        self.log.append("turn")
        return self.turn_write

    def start_turns(self, conversation: Conversation, turns: Sequence[Turn]) -> Future[None]:
        self.log.append("turn")
        return self.turn_write

    def start_completion(self, conversation: Conversation, completion: Completion) -> Future[None]:
        self.log.append("completion")
        return done()

    def save_partial(self, completion: Completion, text: str, reasoning: str) -> Future[None]:
        self.partials.append(text + reasoning)
        self.partial_came.set()
        return done()

    def save_completion(self, conversation_id: str, completion: Completion) -> Future[None]:
        self.log.append("answer")
        self.saved.append(Saved(completion.finish_reason, completion.text))
        return done()

    def save_charge(self, completion: Completion, conversation_id: str | None = None) -> Future[None]:
        self.log.append("open charge" if completion.running else "charge")
        self.partial_came.set()
        return done()

    def open_charge(self, completion: Completion, conversation_id: str | None) -> Future[None]:
        self.opened.append((conversation_id, completion.attempts, completion.cost.usd))
        return done()

    def settle_attempt(self, completion: Completion, conversation_id: str | None, *, owed: bool) -> Future[None]:
        self.log.append(f"attempt {completion.attempts} {'owed' if owed else 'free'}")
        return done()


@dataclass
class Script:
    """A provider that yields these events, then hangs, raises or ends."""

    events: Sequence[StreamEvent]
    then: Exception | None = None
    hangs: bool = False
    before: Callable[[], None] = lambda: None
    requests: list[Request] = field(default_factory=list)
    hanging: asyncio.Event = field(default_factory=asyncio.Event)
    closed: bool = False

    async def stream(self, request: Request) -> AsyncGenerator[StreamEvent, None]:
        self.requests.append(request)
        self.before()
        try:
            for event in self.events:
                yield event
            if self.hangs:
                self.hanging.set()
                await asyncio.Event().wait()
            if self.then is not None:
                raise self.then
        finally:
            self.closed = True

    async def aclose(self) -> None: ...

    def provider(self, model: Model) -> Provider:
        return self

    def port(self) -> Providers:
        return self
