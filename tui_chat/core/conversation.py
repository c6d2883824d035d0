"""Conversations as trees of turns.

A turn is one prompt and its completions; it *continues* one completion of an earlier turn (`None` for a first turn), so
turns form a tree and editing an earlier prompt is a sibling, never an overwrite. What is on the screen is the path from
a tip back along `continues`. Of a *last* turn, `chosen` is the completion in view and `continued` the one that the next
prompt goes on from: mostly the same, but an answer that came to nothing stays in view and is not gone on from.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import field
from datetime import UTC, datetime
from itertools import pairwise
from typing import overload

from tui_chat.core.completion import Completion
from tui_chat.core.message import BlobPart
from tui_chat.core.model import Params
from tui_chat.core.record import entity, record

TITLE_LENGTH = 60


@entity
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


@record
class ConversationRow:
    """A line of the sidebar."""

    id: str
    title: str
    updated_at: datetime
    pinned: bool = False
    archived: bool = False


Listed = tuple[str, str, str]
"""Id, title and `updated_at` of a conversation, as ISO 8601 in UTC with microseconds, which sorts as the times do."""


@record
class ListingChanges:
    """What a `Listing` has to learn to be up to date."""

    version: int
    """The state that it brings the listing to."""
    pinned: int
    """How many are pinned now."""
    changed: frozenset[str] = frozenset()
    """Ids of all that changed, came or went; none of them stands where it stood."""
    placed: tuple[tuple[int, Listed], ...] = ()
    """Those that are still listed, with their places in the new order, ascending."""


class Listing(Sequence[ConversationRow]):
    """Conversations in the order of the sidebar: the pinned ones first, then by their last send, the newest first.

    There may be a hundred thousand, so it holds them as the database gives them and makes a `ConversationRow` only of
    one that is asked for. It follows the history by small changes.
    """

    __slots__ = ("_rows", "pinned", "version")

    def __init__(self, rows: Iterable[Listed] = (), pinned: int = 0, version: int = -1) -> None:
        self._rows = rows if isinstance(rows, list) else list(rows)
        self.pinned = min(pinned, len(self._rows))
        """How many of the first are pinned."""
        self.version = version
        """Which state of the history this is; -1 one whose changes are not known."""

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, at: int) -> ConversationRow: ...
    @overload
    def __getitem__(self, at: slice) -> list[ConversationRow]: ...
    def __getitem__(self, at: int | slice) -> ConversationRow | list[ConversationRow]:
        if isinstance(at, slice):
            return [self[each] for each in range(*at.indices(len(self._rows)))]
        conversation_id, title, updated = self._rows[at]
        pinned = (at if at >= 0 else at + len(self._rows)) < self.pinned
        return ConversationRow(conversation_id, title, datetime.fromisoformat(updated), pinned)

    def __iter__(self) -> Iterator[ConversationRow]:
        return (self[at] for at in range(len(self._rows)))

    def listed(self, at: int) -> Listed:
        """Return what is known of the one at a place, as it is held."""
        return self._rows[at]

    def titles(self) -> list[str]:
        return [title for _, title, _ in self._rows]

    def place(self, conversation_id: str) -> int | None:
        """Return where a conversation stands; `None` when it is not there."""
        return next(iter(self._places_of([conversation_id])), None)

    def _places_of(self, wanted: Iterable[str]) -> list[int]:
        left = set(wanted)
        found: list[int] = []
        for at, row in enumerate(self._rows):
            if not left:  # what changed mostly stands at the top
                break
            if row[0] in left:
                found.append(at)
                left.discard(row[0])
        return found

    def updated_since(self, since: datetime) -> int:
        """Return the place behind the last of those, not pinned, that were updated at an aware time or later."""
        wanted = since.astimezone(UTC).isoformat(timespec="microseconds")
        return bisect_left(self._rows, True, self.pinned, key=lambda row: row[2] < wanted)

    def apply(self, changes: ListingChanges) -> None:
        """Come up to date."""
        for at in reversed(self._places_of(changes.changed)):
            del self._rows[at]
        for at, row in changes.placed:
            if at <= len(self._rows):  # a listing that was cut short ends where it ends
                self._rows.insert(at, row)
        self.pinned = min(changes.pinned, len(self._rows))
        self.version = changes.version


@entity
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
    """What the user chose, or asked for last; `None` leaves it to `continued`."""
    siblings: tuple[str, ...] = ()
    """Ids of all turns that continue the same completion, this one included, oldest first; of a batch only one."""
    mates: "tuple[Turn, ...]" = field(default=(), repr=False)
    """The turns of the same batch, this one included, in the order they were asked; empty when it is alone."""
    blind: bool = False
    """Names and prices are hidden until there is a vote or the user reveals them."""
    won_by: str | None = None
    """The model whose answer was voted the best, as `provider/model`."""
    saved: Future[None] | None = None
    """Done once the turn is on disk."""

    @property
    def chosen(self) -> Completion | None:
        """The completion in view while the turn is the last: the chosen one, running or failed, else `continued`."""
        return self.completion(self.chosen_id) or self.continued

    @property
    def continued(self) -> Completion | None:
        """The completion that the next prompt goes on from.

        That is the chosen one, unless it came to nothing or still runs: then the newest before it that has text.
        Without a choice it is the first with text, so that of several models the first one asked goes on; and the
        newest where none has text. A chosen one that the user left out stays: its turn leaves the context.
        """
        chosen = self.completion(self.chosen_id)
        if chosen is not None:
            if chosen.discarded or has_answered(chosen):
                return chosen
            before = self.completions[: self.completions.index(chosen)]
            earlier = next(filter(has_answered, reversed(before)), None)
            if earlier is not None:
                return earlier
        newest = self.completions[-1] if self.completions else None
        return next(filter(has_answered, self.completions), None) or chosen or newest

    def completion(self, completion_id: str | None) -> Completion | None:
        return next((c for c in self.completions if c.id == completion_id), None)


@record
class Page:
    """Some turns of a path that follow one another, oldest first."""

    turns: list[Turn]
    earlier: bool
    """The path has turns before these."""


def has_answered(completion: Completion) -> bool:
    """Say whether there is an ended answer with text that the user did not leave out."""
    if completion.running or completion.discarded:
        return False
    text = completion.text
    return bool(text) and not text.isspace()


def on_path(turns: Sequence[Turn]) -> list[tuple[Turn, Completion | None]]:
    """Return each turn of a path with the completion that the path goes through; of the last, the one in view."""
    return [*_gone_through(turns), *((turn, turn.chosen) for turn in turns[-1:])]


def path_continued(turns: Sequence[Turn], last: Completion | None = None) -> list[tuple[Turn, Completion | None]]:
    """Return each turn of a path with the completion that a next prompt has before it.

    `last` is the one of the last turn that it goes on from, where that is not the turn's own choice.
    """
    return [*_gone_through(turns), *((turn, last or turn.continued) for turn in turns[-1:])]


def _gone_through(turns: Sequence[Turn]) -> list[tuple[Turn, Completion | None]]:
    return [(turn, turn.completion(later.continues)) for turn, later in pairwise(turns)]


def title_from(prompt: str) -> str:
    """Return a title for a conversation that starts with `prompt`: its first line with words, cut at a word."""
    line = next((" ".join(part.split()) for part in prompt.splitlines() if part.strip()), "New chat")
    if len(line) <= TITLE_LENGTH:
        return line
    cut = line[:TITLE_LENGTH].rsplit(" ", 1)[0] if " " in line[:TITLE_LENGTH] else line[: TITLE_LENGTH - 1]
    return cut.rstrip(" ,.;:") + "…"
