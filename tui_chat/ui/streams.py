"""Running answers. They belong to the app, not to a widget: views come and go, answers go on.

One worker per completion on the App node, in a group of its own, so that answers never cancel one another.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from textual.app import App
from textual.message import Message
from textual.worker import Worker

from tui_chat.core.chat import Chat
from tui_chat.core.completion import Completion
from tui_chat.core.conversation import Conversation, Turn
from tui_chat.core.events import StreamEvent, TextDelta
from tui_chat.core.record import record

_YIELD_S = 0.008
"""How long a burst of events may keep the loop from serving keys."""


@record
class Running:
    conversation: Conversation
    turn: Turn
    completion: Completion
    worker: Worker[None]
    verdict: asyncio.Event


class Streams:
    """Starts, holds and cancels answers."""

    @dataclass
    class Finished(Message):
        """An answer ended, whatever the way."""

        conversation: Conversation
        turn: Turn
        completion: Completion

    def __init__(
        self, app: App[None], chat: Chat, on_delta: Callable[[Completion], None], stop_after_tokens: int = 0
    ) -> None:
        self._app = app
        self._chat = chat
        self._on_delta = on_delta
        self._stop_after_tokens = stop_after_tokens
        self._running: dict[str, Running] = {}

    def start(self, conversation: Conversation, turn: Turn, completion: Completion) -> None:
        """Answer `completion` in a worker of its own."""
        verdict = asyncio.Event()
        if not self._stop_after_tokens:
            verdict.set()
        worker = self._app.run_worker(
            self._answer(conversation, turn, completion, verdict),
            group=f"answer {completion.id}",
            exit_on_error=False,
        )
        self._running[completion.id] = Running(conversation, turn, completion, worker, verdict)

    async def _answer(
        self, conversation: Conversation, turn: Turn, completion: Completion, verdict: asyncio.Event
    ) -> None:
        yielded_s = monotonic()

        async def paint(event: StreamEvent) -> None:
            nonlocal yielded_s
            self._on_delta(completion)
            if not verdict.is_set() and isinstance(event, TextDelta):
                await self._await_verdict(completion, verdict)
            if monotonic() - yielded_s > _YIELD_S:
                await asyncio.sleep(0)
                yielded_s = monotonic()

        try:
            await self._chat.complete(conversation, turn, completion, paint)
        finally:
            self._running.pop(completion.id, None)
            self._app.post_message(self.Finished(conversation, turn, completion))

    async def _await_verdict(self, completion: Completion, verdict: asyncio.Event) -> None:
        """Hold the stream once it is long enough: nothing is read until the user says go on, or stops it."""
        if completion.counted_output < self._stop_after_tokens:
            return
        completion.paused = True
        self._on_delta(completion)
        try:
            await verdict.wait()
        finally:
            completion.paused = False

    def go_on(self, completion: Completion) -> None:
        """Let a held answer continue to its end."""
        if running := self._running.get(completion.id):
            running.verdict.set()

    def cancel(self, completion: Completion) -> bool:
        """Stop an answer; its socket closes and its part is kept. False when it was not running."""
        running = self._running.get(completion.id)
        if running is None:
            return False
        running.worker.cancel()
        return True

    def cancel_all(self) -> list[Worker[None]]:
        """Stop everything; return the workers to wait for."""
        workers = [running.worker for running in self._running.values()]
        for worker in workers:
            worker.cancel()
        return workers

    def in_conversation(self, conversation_id: str) -> list[Running]:
        return [r for r in self._running.values() if r.conversation.id == conversation_id]

    @property
    def all(self) -> list[Running]:
        return list(self._running.values())

    def __bool__(self) -> bool:
        return bool(self._running)
