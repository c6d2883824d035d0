"""What is being written in the conversation in view: the words, what goes along with them, and where both are kept.

A draft is on disk half a second after the last key, a queued prompt with it in case of a crash; a prompt that is being
rewritten is no draft, for it stands in its turn.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from tui_chat.core.message import BlobPart
from tui_chat.core.ports import Store
from tui_chat.ui.sessions import Session, Sessions

if TYPE_CHECKING:
    from textual.timer import Timer

    from tui_chat.ui.widgets.composer import Composer
    from tui_chat.ui.widgets.prompt_input import PromptInput

_SAVE_S = 0.5
_TYPED_OUT_S = 1.0


class Stage(Protocol):
    """The conversation in view."""

    session: Session

    def set_timer(self, delay: float, callback: Callable[[], None]) -> "Timer": ...


class Drafting:
    """Keeps the composer and the store in step."""

    def __init__(
        self,
        stage: Stage,
        sessions: Sessions,
        store: Store,
        prompt: "PromptInput",
        composer: "Composer",
        changed: Callable[[], None],
    ) -> None:
        """`changed` hears that something else would be sent now."""
        self._stage, self._sessions, self._store = stage, sessions, store
        self._prompt, self._composer, self._changed = prompt, composer, changed
        self._timer: Timer | None = None

    def load(self) -> None:
        """Put into the composer what was half typed here. Raises StorageError."""
        session = self._stage.session
        if session.editing is not None:
            self._prompt.set_text(session.rewritten)
            return
        draft = self._store.draft(session.draft_id)
        if session.queued is not None:  # it stands in the chip, and in the stored draft only in case of a crash
            draft = draft.removeprefix(session.queued).lstrip("\n")
        self._prompt.set_text(draft)

    def save(self) -> None:
        """Keep what stands in the composer now."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        session = self._stage.session
        if session.editing is None:
            waiting = [words for words in (session.queued, self._prompt.text) if words]
            parts = session.queued_attachments + session.attachments
            self._store.save_draft(session.draft_id, "\n\n".join(waiting), parts)

    def plan(self) -> None:
        """Keep it soon."""
        if self._timer is None:
            self._timer = self._stage.set_timer(_SAVE_S, self.save)

    async def typed_out(self) -> None:
        """Wait until the characters typed before this key are in the prompt: a bound key overtakes them."""
        done = asyncio.Event()
        self._prompt.call_later(done.set)
        with suppress(TimeoutError):  # a megabyte of pasted keys must not keep the program from ending
            await asyncio.wait_for(done.wait(), _TYPED_OUT_S)

    async def save_all(self) -> None:
        """Hand over what is not on disk yet; called when the app ends."""
        await self.typed_out()
        session = self._stage.session
        editing, session.editing = session.editing, None
        if editing is None or self._prompt.text != editing.prompt:  # a rewritten prompt becomes the draft
            self.save()

    # what goes along

    def attach(self, parts: tuple[BlobPart, ...]) -> None:
        """Send these with the next prompt, in place of what was attached."""
        self._stage.session.attachments = parts
        self.show_attachments()
        self._changed()
        self.plan()

    def attach_pasted(self, words: str) -> None:
        """Send a long pasted text as a file."""
        before = self._stage.session.attachments
        name = f"pasted-{len(before) + 1}.txt"
        self.attach((*before, BlobPart(name, "text/plain", words.encode("utf-8", "surrogatepass"))))

    def show_attachments(self) -> None:
        self._composer.show_attachments(self._stage.session.attachments)

    # what waits

    def show_queue(self) -> None:
        session = self._stage.session
        self._composer.show_queued(session.queued, held=session.held)

    def queue(self, prompt: str) -> None:
        """Let a prompt wait until what runs has ended."""
        session = self._stage.session
        self._sessions.queue(session, prompt, session.attachments)
        self.attach(())
        self._prompt.set_text("")
        self.save()
        self.show_queue()

    def take_back_queued(self) -> bool:
        """Put the queued prompt back into the composer; False when nothing is queued."""
        session = self._stage.session
        if session.queued is None or self._prompt.text:
            return False
        prompt, attachments = self._sessions.take_queued(session)
        self.attach((*attachments, *session.attachments))
        self._prompt.set_text(prompt)
        self.show_queue()
        return True
