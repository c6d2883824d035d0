"""Conversations as trees of turns.

A turn is one prompt and its completions; it *continues* one completion of an earlier turn (`None` for a first turn), so
turns form a tree and editing an earlier prompt is a sibling, never an overwrite. What is on the screen is the path from
a tip back along `continues`. `chosen` only says which completion of a *last* turn the next prompt continues.
"""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime

from tui_chat.core.completion import Completion
from tui_chat.core.message import BlobPart
from tui_chat.core.model import Params

TITLE_LENGTH = 60


@dataclass(slots=True, eq=False)
class Conversation:
    id: str
    title: str
    created_at: datetime
    updated_at: datetime
    system_prompt: str | None = None
    tip_id: str | None = None
    """The last turn of the path in view."""
    model: str | None = None
    """The model of the last send, as `provider/model`."""
    params: Params = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    pinned: bool = False
    archived: bool = False
    stored: bool = False
    """False until the first send: an empty conversation is never written."""


@dataclass(frozen=True, slots=True)
class ConversationRow:
    """A line of the sidebar."""

    id: str
    title: str
    updated_at: datetime
    pinned: bool = False
    archived: bool = False


@dataclass(slots=True, eq=False)
class Turn:
    id: str
    conversation_id: str
    prompt: str
    created_at: datetime
    continues: str | None = None
    """The completion this turn goes on from; `None` for a first turn."""
    attachments: tuple[BlobPart, ...] = ()
    batch_id: str | None = None
    """Shared by turns that were born of one prompt, one per tip."""
    completions: list[Completion] = field(default_factory=list)
    chosen_id: str | None = None
    siblings: tuple[str, ...] = ()
    """Ids of all turns that continue the same completion, this one included, oldest first."""
    saved: Future[None] | None = None
    """Done once the turn is on disk."""

    @property
    def chosen(self) -> Completion | None:
        """The completion that the next prompt continues: the chosen one, else the newest."""
        for completion in self.completions:
            if completion.id == self.chosen_id:
                return completion
        return self.completions[-1] if self.completions else None

    def completion(self, completion_id: str | None) -> Completion | None:
        return next((c for c in self.completions if c.id == completion_id), None)


def on_path(turns: Sequence[Turn]) -> list[tuple[Turn, Completion | None]]:
    """Return each turn of a path with the completion that the path goes through."""
    out: list[tuple[Turn, Completion | None]] = []
    for at, turn in enumerate(turns):
        through = turn.completion(turns[at + 1].continues) if at + 1 < len(turns) else turn.chosen
        out.append((turn, through))
    return out


def title_from(prompt: str) -> str:
    """Return a title for a conversation that starts with `prompt`: its first line with words, cut at a word."""
    line = next((" ".join(part.split()) for part in prompt.splitlines() if part.strip()), "New chat")
    if len(line) <= TITLE_LENGTH:
        return line
    cut = line[:TITLE_LENGTH].rsplit(" ", 1)[0] if " " in line[:TITLE_LENGTH] else line[: TITLE_LENGTH - 1]
    return cut.rstrip(" ,.;:") + "…"
