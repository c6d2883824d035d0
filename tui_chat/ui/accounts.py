"""What was spent and what the next prompt will cost at least, for the conversation in view.

Settled figures come from the store when something changed; what runs now is added on top at each frame.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from textual.content import Content

from tui_chat.core.completion import Completion
from tui_chat.core.conversation import Turn
from tui_chat.core.errors import ChatError
from tui_chat.core.format import Spent, cost, total
from tui_chat.core.services import Services
from tui_chat.ui.screens.status import context_gauge
from tui_chat.ui.sessions import Session
from tui_chat.ui.theme import Glyphs
from tui_chat.ui.widgets.row import joined, styled

_LARGE = 60_000
"""Characters and bytes; from here on counting takes more than a frame."""

_PAGE = 200
"""Turns counted at once of a history that was not read."""


class Accounts:
    """Totals and the estimate of the next send."""

    def __init__(self, services: Services, glyphs: Glyphs) -> None:
        self._services = services
        self._glyphs = glyphs
        self._today, self._month, self._chat = Spent(), Spent(), Spent()
        self._tokens_in = 0
        self._earlier = ("", "", 0)
        """Model and turn for which the history before it was counted, and its tokens."""
        self.to_send = Content("")
        """What sending costs at least, as the composer shows it."""

    def read(self, session: Session) -> None:
        """Read the settled totals; raises StorageError."""
        store = self._services.store
        now = self._services.clock.now().astimezone()
        self._today = store.spent_since(now.replace(hour=0, minute=0, second=0, microsecond=0))
        self._month = store.spent_since(datetime(now.year, now.month, 1).astimezone())
        conversation = session.conversation
        self._chat = store.spent_in(conversation.id) if conversation.stored else Spent()

    def of_conversation(self, conversation_id: str) -> str:
        """Return what a conversation cost, as the list shows it; nothing where nothing was charged."""
        try:
            spent = self._services.store.spent_in(conversation_id)
        except ChatError:
            return ""
        return total(spent) if spent.usd or spent.unknown else ""

    def chat(self, running: Iterable[Completion]) -> Spent:
        return _with(self._chat, running, play=True)

    def today(self, running: Iterable[Completion]) -> Spent:
        return _with(self._today, running)

    def month(self, running: Iterable[Completion]) -> Spent:
        return _with(self._month, running)

    def is_large(self, session: Session, prompt: str) -> bool:
        """Say whether counting the next send takes so long that it must not happen on the screen's thread."""
        if session.earlier and self._known_earlier(session.path, session.model.name) is None:
            return True
        size = sum(
            len(turn.prompt) + sum(len(c.text) for c in turn.completions if not c.running) for turn in session.path
        )
        return size + len(prompt) + sum(len(part.data) for part in session.attachments) > _LARGE

    def _known_earlier(self, path: Sequence[Turn], model_name: str) -> int | None:
        """Return where in `path` stands the turn up to which the history was counted; `None` when it was not."""
        name, first, _ = self._earlier
        return next((at for at, turn in enumerate(path) if turn.id == first), None) if name == model_name else None

    def _earlier_tokens(self, session: Session, path: Sequence[Turn]) -> int:
        """Return what stands before the turns that were read, counted page by page and only once."""
        chat, model = self._services.chat, session.model
        at = self._known_earlier(path, model.name)
        if at is not None:
            count = self._earlier[2] - (chat.history_tokens(path[:at], path[at], model) if at else 0)
        else:
            count, first, earlier = 0, path[0], True
            while earlier:
                page = self._services.store.page(session.conversation.id, before=first, limit=_PAGE)
                earlier = page.earlier
                if page.turns:
                    count += chat.history_tokens(page.turns, first, model)
                    first = page.turns[0]
        self._earlier = model.name, path[0].id, count
        return count

    def estimate(self, session: Session, prompt: str) -> None:
        """Count what the next send would put in, history and attachments included."""
        whole = list(session.path)
        earlier = self._earlier_tokens(session, whole) if session.earlier else 0
        path = session.before(session.editing) if session.editing is not None else whole
        count, price = self._services.chat.estimate(
            session.conversation,
            path,
            prompt,
            session.model,
            session.attachments,
            earlier_tokens=earlier,
        )
        self._tokens_in = count
        if not prompt and not session.path and not session.attachments:
            self.to_send = styled("ready", "$fg2")
            return
        shown = cost(price)
        least = "" if shown in ("$?", "free") or "<" in shown else f"{self._glyphs.at_least} "
        shown = f"play {shown}" if price.play else shown
        self.to_send = joined(styled(f"{count:,} tok in   ", "$fg2"), f"{least}{shown}", styled(" to send", "$fg2"))

    def gauge(self, session: Session) -> Content:
        """Return how full the context would be."""
        return context_gauge(self._tokens_in, session.model) if session.path else Content("")


def _with(spent: Spent, running: Iterable[Completion], *, play: bool = False) -> Spent:
    """Return a total with what is running now on top."""
    usd, estimated, unknown, answers = spent.usd, spent.estimated, spent.unknown, spent.answers
    only_play = spent.play or not answers
    for completion in running:
        cost_now = completion.cost
        if cost_now.play and not (play and only_play):
            continue
        if not cost_now.play and only_play and cost_now.usd:
            usd, only_play = Decimal(0), False  # the first real charge: play money never mixes with it
        answers += 1
        if cost_now.usd is None:
            unknown += 1
        else:
            usd += cost_now.usd
            estimated = True
    return Spent(usd, estimated, unknown, answers, only_play and play and bool(usd))
