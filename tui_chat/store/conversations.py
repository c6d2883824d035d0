"""The history as the rest of the program sees it: `core.ports.Store` over one SQLite file.

What a write needs is taken from the domain objects when it is called for, because they go on changing; the writer
thread only sees plain values.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import field
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tui_chat.core.calibration import Sample
from tui_chat.core.caps import Balance, Claim, Reserved, Span
from tui_chat.core.completion import Completion
from tui_chat.core.conversation import Conversation, Listing, ListingChanges, Page, Turn
from tui_chat.core.counter import Clock
from tui_chat.core.errors import StorageError
from tui_chat.core.format import Spent
from tui_chat.core.ids import new_id
from tui_chat.core.message import BlobPart
from tui_chat.core.pricing import Charge
from tui_chat.core.record import entity
from tui_chat.store import ledger, listing, marks, paths, presence, recovery, reservations, rows, samples
from tui_chat.store.database import Database
from tui_chat.store.rows import Columns

if TYPE_CHECKING:
    from tui_chat.core.standing import Vote
    from tui_chat.core.usage_report import By, UsageRow, UsageTable

_CONVERSATION = (
    "SELECT c.*, b.data AS system_prompt_data FROM conversations c LEFT JOIN blobs b ON b.sha256 = c.system_prompt "
)
_NOT_USED = (
    "NOT EXISTS (SELECT 1 FROM attachments a WHERE a.sha256 = blobs.sha256) "
    "AND NOT EXISTS (SELECT 1 FROM draft_attachments d WHERE d.sha256 = blobs.sha256) "
    "AND NOT EXISTS (SELECT 1 FROM conversations c WHERE c.system_prompt = blobs.sha256) "
    "AND NOT EXISTS (SELECT 1 FROM completions p WHERE p.system_prompt = blobs.sha256)"
)


def open_store(path: Path, clock: Clock, on_failure: Callable[[StorageError], None] | None = None) -> "SQLiteStore":
    """Open the history at `path`, made when missing; answers of processes that died are ended first.

    `on_failure` is called in the writer thread for every write that failed. Raises StorageError when the file is
    damaged, of a newer version or another program's: it is left as it was. A disk that is full or read-only raises
    nothing: `trouble` tells, everything there is can be read, and writes fail until it passes.
    """
    return SQLiteStore(path, clock, on_failure)


@entity
class _Draft:
    """A draft on its way to the disk."""

    key: str
    text: str
    attachments: tuple[BlobPart, ...]
    at: str
    future: Future[None] = field(default_factory=Future)
    number: int = 0
    taken: bool = False


class SQLiteStore:
    """One history file, shared with other processes."""

    def __init__(self, path: Path, clock: Clock, on_failure: Callable[[StorageError], None] | None = None) -> None:
        self._clock = clock
        self._path = path = path.absolute()
        self._instance = new_id()
        self._presence = presence.Presence(path, self._instance)
        self._draft_lock = threading.Lock()
        self._draft: _Draft | None = None
        crashed = any(presence.is_dead(path, instance) for instance in presence.instances(path))
        self._database = Database(path, self._opened, self._presence.release, on_failure, after_crash=crashed)

    @property
    def trouble(self) -> StorageError | None:
        """Why nothing can be written at present, as one line; `None` when all is well."""
        return self._database.trouble

    @property
    def on_failure(self) -> Callable[[StorageError], None] | None:
        """Called in the writer thread for every write that failed."""
        return self._database.on_failure

    @on_failure.setter
    def on_failure(self, listener: Callable[[StorageError], None] | None) -> None:
        self._database.on_failure = listener

    def _opened(self, connection: sqlite3.Connection) -> None:
        self._presence.hold()
        recovery.recover(connection, self._path, self._instance)

    # conversations

    def conversations(self, limit: int | None = None) -> Listing:
        """All conversations that are not archived, pinned first, then the most recently updated."""
        with self._database.reading() as connection:
            return listing.whole(connection, limit)

    def conversations_since(self, version: int) -> ListingChanges | None:
        """What changed since a listing of that version, whoever changed it; `None` when it must be read anew."""
        with self._database.reading() as connection:
            return listing.changes(connection, version)

    def every_conversation(self) -> list[Conversation]:
        """All conversations, archived ones too, in the order in which they came into the history."""
        with self._database.reading() as connection:
            return [rows.loaded_conversation(row) for row in connection.execute(_CONVERSATION + "ORDER BY c.n")]

    def conversation(self, conversation_id: str) -> Conversation | None:
        """Find one by its id, or by a prefix of it that fits only one."""
        wanted = rows.stored(conversation_id)
        if not wanted:
            return None
        with self._database.reading() as connection:
            row = connection.execute(_CONVERSATION + "WHERE c.id = ?", (wanted,)).fetchone()
            if row is not None:
                return rows.loaded_conversation(row)
            found = connection.execute(
                _CONVERSATION + "WHERE substr(c.id, 1, ?) = ? LIMIT 2", (len(conversation_id), wanted)
            ).fetchall()
            return rows.loaded_conversation(found[0]) if len(found) == 1 else None

    def latest(self) -> Conversation | None:
        """The most recently updated conversation that is not archived."""
        with self._database.reading() as connection:
            row = connection.execute(
                _CONVERSATION + "WHERE c.archived = 0 ORDER BY c.recency DESC, c.n DESC LIMIT 1"
            ).fetchone()
            return None if row is None else rows.loaded_conversation(row)

    def tagged(self, tag: str) -> Conversation | None:
        """The newest conversation with a tag, archived ones too."""
        with self._database.reading() as connection:
            row = connection.execute(
                _CONVERSATION + "WHERE instr(c.tags, ?) AND EXISTS "
                "(SELECT 1 FROM json_each(c.tags) WHERE value = ?) ORDER BY c.n DESC LIMIT 1",
                (rows.as_json(tag), rows.stored(tag)),
            ).fetchone()
            return None if row is None else rows.loaded_conversation(row)

    # turns

    def path(self, conversation_id: str, tip_id: str | None = None) -> list[Turn]:
        """The turns from the first to `tip_id` (default: the conversation's tip), each with all its completions."""
        return self._page(conversation_id, lambda connection: paths.tips(connection, conversation_id, tip_id)).turns

    def page(
        self, conversation_id: str, tip_id: str | None = None, *, before: Turn | None = None, limit: int = 20
    ) -> Page:
        """The last turns of a path, or the last ones before a turn of it; costs what they cost, not what the path does.

        With `before` the tip does not matter.
        """

        def ends(connection: sqlite3.Connection) -> list[str]:
            return (
                paths.tips(connection, conversation_id, tip_id) if before is None else paths.parents(connection, before)
            )

        return self._page(conversation_id, ends, limit)

    def tree(self, conversation_id: str) -> list[Turn]:
        """All turns of all branches, parents before children."""

        def everywhere(connection: sqlite3.Connection) -> list[str]:
            found = connection.execute(
                "SELECT id FROM turns WHERE conversation_id = ? ORDER BY n", (rows.stored(conversation_id),)
            )
            return [row["id"] for row in found]

        return self._turns(conversation_id, everywhere)

    def newest_tip(self, turn_id: str) -> str:
        """The last turn of the newest branch that goes through `turn_id` (itself when nothing goes on from it)."""
        with self._database.reading() as connection:
            return paths.newest_below(connection, turn_id)

    def _page(
        self, conversation_id: str, ends: Callable[[sqlite3.Connection], list[str]], limit: int | None = None
    ) -> Page:
        """Return the turns before and at the first of some ends that is there, at most so many."""
        earlier = False

        def walked(connection: sqlite3.Connection) -> list[str]:
            nonlocal earlier
            found, earlier = paths.walk(connection, conversation_id, ends(connection), limit)
            return found

        turns = self._turns(conversation_id, walked)
        return Page(turns, earlier)

    def _turns(self, conversation_id: str, choose: Callable[[sqlite3.Connection], list[str]]) -> list[Turn]:
        """Return the chosen turns; answers of a process that died meanwhile are ended first."""
        with self._database.reading() as connection:
            turns, owners = paths.load_turns(connection, conversation_id, choose(connection))
        dead = [owner for owner in owners - {self._instance} if presence.is_dead(self._path, owner)]
        if not dead:
            return turns
        for owner in dead:
            self._database.write(partial(self._recover, owner=owner), awaited=True)
        with self._database.reading() as connection:
            return paths.load_turns(connection, conversation_id, choose(connection))[0]

    def _recover(self, connection: sqlite3.Connection, owner: str) -> None:
        with presence.claimed(self._path, owner) as dead:
            if dead:
                recovery.end_answers_of(connection, owner)

    # prompts, models, money

    def draft(self, conversation_id: str | None) -> str:
        """The unsent prompt of a conversation, or of the new one (`None`); empty when there is none."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT text FROM drafts WHERE conversation_id = ?", (rows.stored(conversation_id or ""),)
            ).fetchone()
            return "" if row is None else rows.loaded(row["text"])

    def draft_attachments(self, conversation_id: str | None) -> tuple[BlobPart, ...]:
        """What is attached to the unsent prompt, in its order."""
        with self._database.reading() as connection:
            found = connection.execute(
                "SELECT a.name, a.media_type, b.data FROM draft_attachments a JOIN blobs b ON b.sha256 = a.sha256 "
                "WHERE a.conversation_id = ? ORDER BY a.seq",
                (rows.stored(conversation_id or ""),),
            )
            return tuple(
                BlobPart(rows.loaded(row["name"]), rows.loaded(row["media_type"]), row["data"]) for row in found
            )

    def prompts(self, limit: int = 200) -> list[str]:
        """Earlier prompts of all conversations, the newest first, without immediate repeats."""
        prompts: list[str] = []
        with self._database.reading() as connection:
            for row in connection.execute("SELECT prompt FROM turns ORDER BY n DESC"):
                prompt = rows.loaded(row["prompt"])
                if len(prompts) >= limit:
                    break
                if prompt.strip() and (not prompts or prompts[-1] != prompt):
                    prompts.append(prompt)
        return prompts

    def last_model(self) -> str | None:
        """The model of the last send anywhere, as `provider/model`."""
        with self._database.reading() as connection:
            return marks.last_model(connection)

    def recent_models(self) -> list[str]:
        """The models of the last sends anywhere, as `provider/model`, the newest first, each once; at most ten."""
        with self._database.reading() as connection:
            return marks.recent_models(connection)

    def choice(self, name: str) -> str | None:
        """Return what the user answered to a question that is not asked again."""
        with self._database.reading() as connection:
            return marks.choice(connection, name)

    def favourite_models(self) -> list[str]:
        """The models that the user marked, as `provider/model`, in the order in which they were marked."""
        with self._database.reading() as connection:
            return marks.favourite_models(connection)

    def samples(self, provider: str, model_id: str) -> list[Sample]:
        """What a provider reported of a model beside our own counts, the oldest first."""
        with self._database.reading() as connection:
            return list(samples.samples_of(connection, provider, model_id))

    def finished_lengths(self, provider: str, model_id: str) -> list[int]:
        """Output tokens of the last answers of a model that came to their end, at most fifty."""
        with self._database.reading() as connection:
            return ledger.finished_lengths(connection, provider, model_id)

    def open_charges(self) -> dict[str, Decimal]:
        """What answers that run were charged so far in USD, by their id; all sums have it in them."""
        with self._database.reading() as connection:
            return ledger.open_charges(connection)

    def spent_since(self, since: datetime) -> Spent:
        """What all charges since an aware time amount to, play money left out."""
        with self._database.reading() as connection:
            return ledger.spent_since(connection, since)

    def spent_in(self, conversation_id: str) -> Spent:
        """What all charges of a conversation amount to; play money counts here when nothing else does."""
        with self._database.reading() as connection:
            return ledger.spent_in(connection, conversation_id)

    def charges_in(self, conversation_id: str) -> list[Charge]:
        """Every charge of a conversation in the order in which they were made, play money too."""
        with self._database.reading() as connection:
            return ledger.charges_in(connection, conversation_id)

    def charges_of(self, completion_id: str) -> list[Charge]:
        """The charges of one answer, one for each try that may have cost something."""
        with self._database.reading() as connection:
            return ledger.charges_of(connection, completion_id)

    def balances(self, spans: Sequence[Span]) -> tuple[Balance, ...]:
        """How limits stand, with what all programs have set aside for answers that run."""
        with self._database.reading() as connection:
            return reservations.balances(connection, self._path, self._instance, spans)

    def usage(self, by: "By", since: datetime | None = None) -> "UsageTable":
        """What all charges since an aware time come to, play money left out; days are local calendar days."""
        from tui_chat.store import usage_report

        with self._database.reading() as connection:
            return usage_report.usage(connection, by, since, self._clock.now())

    def daily(self, days: int) -> "tuple[UsageRow, ...]":
        """The last so many local days, the oldest first, today last; those without a charge too."""
        from tui_chat.store import usage_report

        with self._database.reading() as connection:
            return usage_report.daily(connection, days, self._clock.now())

    def votes(self) -> "list[Vote]":
        """Every vote in the order in which they were cast, those on deleted chats too."""
        from tui_chat.store import votes

        with self._database.reading() as connection:
            return votes.votes(connection)

    # writing

    def save_choice(self, name: str, value: str) -> Future[None]:
        """Keep what the user answered to a question that is not asked again."""
        return self._database.write(lambda connection: marks.save_choice(connection, name, value))

    def save_favourites(self, names: Sequence[str]) -> Future[None]:
        """Keep the whole list of marked models."""
        kept = list(names)
        return self._database.write(lambda connection: marks.save_favourites(connection, kept))

    def save_sample(self, provider: str, model_id: str, sample: Sample) -> Future[None]:
        """Keep a sample."""
        return self._database.write(lambda connection: samples.save_sample(connection, provider, model_id, sample))

    def reserve(self, claim: Claim) -> Future[Reserved]:
        """Set money aside for an answer, or more of it, out of what the limits leave; it goes when its charge settles.

        Not tried again when it fails: whoever asks must not send then.
        """
        return self._database.write(
            lambda connection: reservations.reserve(connection, self._path, self._instance, claim), awaited=True
        )

    def start_turn(self, conversation: Conversation, turn: Turn) -> Future[None]:
        """Write conversation, turn and its pending completions; done when it is on disk."""
        return self.start_turns(conversation, (turn,))

    def start_turns(self, conversation: Conversation, turns: Sequence[Turn]) -> Future[None]:
        """Write a conversation and the turns of one batch with their pending completions, all or none of them."""
        columns = rows.conversation_columns(conversation)
        system_prompt = conversation.system_prompt
        asked = [
            (_turn_columns(turn), turn.attachments, [self._pending(conversation, each) for each in turn.completions])
            for turn in turns
        ]
        last_model = next((each.model.name for turn in turns for each in turn.completions), None)

        def work(connection: sqlite3.Connection) -> None:
            for turn, _, _ in asked:
                _refuse_orphan(connection, turn["continues"])
            _put_conversation(connection, columns, system_prompt)
            for turn, attachments, pending in asked:
                _put_turn(connection, turn, attachments)
                for seq, (completion, system) in enumerate(pending):
                    row = completion | {"seq": seq, "system_prompt": _put_text(connection, system)}
                    rows.insert(connection, "completions", row)
            marks.note_model(connection, last_model)

        return self._database.write(work)

    def start_completion(self, conversation: Conversation, completion: Completion) -> Future[None]:
        """Write one more pending completion of a stored turn, which becomes the turn's chosen one."""
        columns = rows.conversation_columns(conversation)
        pending, system = self._pending(conversation, completion)
        turn_id, last_model = completion.turn_id, completion.model.name

        def work(connection: sqlite3.Connection) -> None:
            if not rows.update(connection, "turns", turn_id, {"chosen_id": pending["id"]}):
                raise StorageError("this chat was deleted meanwhile; the answer is not saved")
            seq = connection.execute(
                "SELECT coalesce(max(seq), -1) + 1 FROM completions WHERE turn_id = ?", (turn_id,)
            ).fetchone()[0]
            row = pending | {"seq": seq, "system_prompt": _put_text(connection, system)}
            rows.insert(connection, "completions", row)
            _touch(connection, columns)
            marks.note_model(connection, last_model)

        return self._database.write(work)

    def _pending(self, conversation: Conversation, completion: Completion) -> tuple[Columns, str | None]:
        """Return the row of a completion that will run here, and the system prompt that is sent with it."""
        messages = completion.request.messages if completion.request is not None else ()
        sent = next((message.text for message in messages if message.role == "system"), None)
        system = sent if completion.request is not None else conversation.system_prompt
        return rows.identity_columns(completion) | {"owner": self._instance}, system

    def save_partial(self, completion: Completion, text: str, reasoning: str) -> Future[None]:
        """Append what arrived since the last call to a running completion."""
        completion_id = completion.id
        progress = rows.progress_columns(completion)
        charge = ledger.charge_columns(completion, None)
        new_text, new_reasoning = rows.stored(text), rows.stored(reasoning)

        def work(connection: sqlite3.Connection) -> None:
            if rows.update(connection, "completions", completion_id, progress) and (new_text or new_reasoning):
                connection.execute(
                    "INSERT INTO deltas (completion_id, text, reasoning) VALUES (?, ?, ?)",
                    (completion_id, new_text, new_reasoning),
                )
            if charge is not None:
                ledger.write_charge(
                    connection, charge | {"conversation_id": _conversation_of(connection, completion_id)}
                )

        return self._database.write(work)

    def save_completion(self, conversation_id: str, completion: Completion) -> Future[None]:
        """Write the whole ended completion and its charge; only the charge when its chat was deleted meanwhile."""
        completion_id = completion.id
        outcome = rows.outcome_columns(completion) | {"owner": None, "discarded": completion.discarded}
        charge = ledger.charge_columns(completion, conversation_id)

        def work(connection: sqlite3.Connection) -> None:
            rows.update(connection, "completions", completion_id, outcome)
            connection.execute("DELETE FROM deltas WHERE completion_id = ?", (completion_id,))
            _settle(connection, completion_id, charge)
            reservations.drop(connection, completion_id)

        return self._database.write(work)

    def save_charge(self, completion: Completion, conversation_id: str | None = None) -> Future[None]:
        """Write only the charge of a completion, running or ended, for answers whose text is not kept."""
        charge, last_model = ledger.charge_columns(completion, conversation_id), completion.model.name
        completion_id, running = completion.id, completion.running

        def work(connection: sqlite3.Connection) -> None:
            _settle(connection, completion_id, charge)
            if not running:
                reservations.drop(connection, completion_id)
            marks.note_model(connection, last_model)

        return self._database.write(work)

    def open_charge(self, completion: Completion, conversation_id: str | None) -> Future[None]:
        """Write the charge of a request just before it is sent; take it back where it is not on its way after all."""
        charge, completion_id = ledger.charge_columns(completion, conversation_id), completion.id
        return self._database.write(lambda connection: _settle(connection, completion_id, charge))

    def settle_attempt(self, completion: Completion, conversation_id: str | None, *, owed: bool) -> Future[None]:
        """Settle the charge of an attempt that failed and will be followed by another; nothing, unless `owed`."""
        charge = ledger.charge_columns(completion, conversation_id) if owed else None
        completion_id, failed = completion.id, charge and ledger.failed_charge(charge)

        def work(connection: sqlite3.Connection) -> None:
            _settle(connection, completion_id, failed)

        return self._database.write(work)

    def save_conversation(self, conversation: Conversation) -> Future[None]:
        """Write title, tip, model, tags, flags of a stored conversation."""
        columns, system_prompt = rows.conversation_columns(conversation), conversation.system_prompt

        def work(connection: sqlite3.Connection) -> None:
            _touch(connection, columns)
            row = {name: value for name, value in columns.items() if name not in ("id", "created_at", "updated_at")}
            row["system_prompt"] = _put_text(connection, system_prompt)
            rows.update(connection, "conversations", conversation.id, row)

        return self._database.write(work)

    def save_chosen(self, turn: Turn) -> Future[None]:
        turn_id, columns = turn.id, {"chosen_id": turn.chosen_id}

        def work(connection: sqlite3.Connection) -> None:
            rows.update(connection, "turns", turn_id, columns)

        return self._database.write(work)

    def save_discarded(self, completion: Completion) -> Future[None]:
        completion_id, columns = completion.id, {"discarded": completion.discarded}

        def work(connection: sqlite3.Connection) -> None:
            rows.update(connection, "completions", completion_id, columns)

        return self._database.write(work)

    def save_hidden(self, completions: Sequence[Completion]) -> Future[None]:
        """Note of some answers whether their columns are hidden."""
        changed: list[tuple[str, Columns]] = [(each.id, {"hidden": each.hidden}) for each in completions]

        def work(connection: sqlite3.Connection) -> None:
            for completion_id, columns in changed:
                rows.update(connection, "completions", completion_id, columns)

        return self._database.write(work)

    def save_blind(self, turn: Turn) -> Future[None]:
        turn_id, columns = turn.id, {"blind": turn.blind}

        def work(connection: sqlite3.Connection) -> None:
            rows.update(connection, "turns", turn_id, columns)

        return self._database.write(work)

    def save_vote(self, turn: Turn, winner: Completion | None) -> Future[None]:
        """Keep which answer of a turn, or of its batch, was the best; `None` = a tie. The last vote counts."""
        from tui_chat.core.standing import vote_on
        from tui_chat.store import votes

        vote = vote_on(turn, winner, self._clock.now())
        return self._database.write(lambda connection: votes.save_vote(connection, vote))

    def save_draft(
        self, conversation_id: str | None, text: str, attachments: tuple[BlobPart, ...] = ()
    ) -> Future[None]:
        """Keep an unsent prompt with its attachments; without either the draft is forgotten.

        The last of several that wait for the disk is the one that is written.
        """
        key, at = conversation_id or "", rows.moment(self._clock.now())
        with self._draft_lock:
            last = self._draft
            # only while nothing was queued behind it: an empty draft must not overtake the turn it became
            if last is not None and last.key == key and last.number == self._database.submitted and not last.taken:
                last.text, last.attachments, last.at = text, attachments, at
                return last.future
            draft = _Draft(key, text, attachments, at)

            def work(connection: sqlite3.Connection) -> None:
                with self._draft_lock:
                    draft.taken = True
                _put_draft(connection, draft)

            draft.future = self._database.write(work)
            draft.number = self._database.submitted
            self._draft = draft
        return draft.future

    def delete_conversation(self, conversation_id: str) -> Future[None]:
        """Delete a conversation and its text; its charges stay.

        Fails with StorageError while another process that lives writes an answer in it.
        """
        wanted = rows.stored(conversation_id)

        def work(connection: sqlite3.Connection) -> None:
            if self._answered_elsewhere(connection, wanted):
                raise StorageError("another tui-chat is answering in this conversation; stop it there, then delete it")
            blobs = connection.execute(
                "SELECT system_prompt FROM conversations WHERE id = :id UNION "
                "SELECT p.system_prompt FROM completions p JOIN turns t ON t.id = p.turn_id "
                "WHERE t.conversation_id = :id UNION "
                "SELECT a.sha256 FROM attachments a JOIN turns t ON t.id = a.turn_id WHERE t.conversation_id = :id "
                "UNION SELECT sha256 FROM draft_attachments WHERE conversation_id = :id",
                {"id": wanted},
            ).fetchall()
            connection.execute("DELETE FROM conversations WHERE id = ?", (wanted,))
            connection.execute("DELETE FROM drafts WHERE conversation_id = ?", (wanted,))
            _drop_unused(connection, blobs)

        # whoever asked is told; a deletion that was said to have failed must not happen later
        return self._database.write(work, awaited=True)

    def _answered_elsewhere(self, connection: sqlite3.Connection, conversation_id: str | bytes) -> bool:
        owners = connection.execute(
            "SELECT DISTINCT p.owner FROM completions p JOIN turns t ON t.id = p.turn_id "
            "WHERE t.conversation_id = ? AND p.owner IS NOT NULL AND p.owner != ?",
            (conversation_id, self._instance),
        ).fetchall()
        return any(not presence.is_dead(self._path, rows.loaded(owner)) for (owner,) in owners)

    def import_tree(self, conversation: Conversation, turns: Sequence[Turn]) -> bool:
        """Write a conversation of somewhere else with its own ids; False when there is one with its id already.

        Waits until it is on disk. It brings no charges: the money was spent elsewhere. Raises StorageError.
        """
        return self.import_trees([(conversation, turns)]) == 1

    def import_trees(self, trees: Sequence[tuple[Conversation, Sequence[Turn]]]) -> int:
        """Write conversations of somewhere else with their own ids; return how many were not there already.

        All or none of them. Waits until they are on disk. Raises StorageError.
        """
        ordered = [(conversation, _parents_first(turns)) for conversation, turns in trees]

        def work(connection: sqlite3.Connection) -> list[Conversation]:
            return [conversation for conversation, turns in ordered if _put_tree(connection, conversation, turns)]

        added = self._database.write(work, awaited=True).result()
        for conversation in added:
            conversation.stored = True
        return len(added)

    def close(self, timeout_s: float = 5.0) -> bool:
        """Write what is queued, then close; False when it did not finish in time."""
        return self._database.close(timeout_s)


# what writes, inside the writer's transaction


def _turn_columns(turn: Turn) -> Columns:
    return {
        "id": turn.id,
        "conversation_id": rows.stored(turn.conversation_id),
        "continues": turn.continues,
        "prompt": rows.stored(turn.prompt),
        "batch_id": turn.batch_id,
        "chosen_id": turn.chosen_id,
        "blind": turn.blind,
        "created_at": rows.moment(turn.created_at),
    }


def _microseconds(columns: Columns) -> int:
    return int(datetime.fromisoformat(str(columns["updated_at"])).astimezone(UTC).timestamp() * 1_000_000)


def _next_recency(connection: sqlite3.Connection, columns: Columns) -> int:
    """Return what puts a conversation above all others, even when the clock stepped back."""
    greatest = connection.execute("SELECT coalesce(max(recency), 0) FROM conversations").fetchone()[0]
    return max(_microseconds(columns), int(greatest) + 1)


def _put_conversation(connection: sqlite3.Connection, columns: Columns, system_prompt: str | None) -> None:
    """Insert a conversation, or note the send in a stored one: its name and flags are for `save_conversation`."""
    row = columns | {
        "system_prompt": _put_text(connection, system_prompt),
        "recency": _next_recency(connection, columns),
    }
    names, places = ", ".join(row), ", ".join(f":{name}" for name in row)
    noted = ("updated_at", "recency", "system_prompt", "tip_id", "model", "params")
    changes = ", ".join(f"{name} = excluded.{name}" for name in noted)
    connection.execute(
        f"INSERT INTO conversations ({names}) VALUES ({places}) ON CONFLICT (id) DO UPDATE SET {changes}", row
    )


def _touch(connection: sqlite3.Connection, columns: Columns) -> None:
    """Note model and tip of the last send; move the conversation up when it was updated."""
    connection.execute(
        "UPDATE conversations SET model = :model, tip_id = :tip_id, "
        "recency = CASE WHEN updated_at = :updated_at THEN recency ELSE :recency END, updated_at = :updated_at "
        "WHERE id = :id",
        columns | {"recency": _next_recency(connection, columns)},
    )


def _refuse_orphan(connection: sqlite3.Connection, continues: rows.Value) -> None:
    """Raise StorageError when the completion that a turn goes on from is gone."""
    continued = "SELECT 1 FROM completions WHERE id = ?"
    if continues is not None and connection.execute(continued, (continues,)).fetchone() is None:
        raise StorageError("this chat was deleted meanwhile; the turn is not saved")


def _put_turn(connection: sqlite3.Connection, columns: Columns, attachments: Iterable[BlobPart]) -> None:
    rows.insert(connection, "turns", columns)
    _put_attachments(connection, "attachments", {"turn_id": columns["id"]}, attachments)


def _put_attachments(connection: sqlite3.Connection, table: str, of: Columns, attachments: Iterable[BlobPart]) -> None:
    for seq, part in enumerate(attachments):
        row: Columns = {
            "seq": seq,
            "name": rows.stored(part.name),
            "media_type": rows.stored(part.media_type),
            "sha256": _put_blob(connection, part.data),
        }
        rows.insert(connection, table, of | row)


def _put_text(connection: sqlite3.Connection, text: str | None) -> str | None:
    return None if text is None else _put_blob(connection, rows.encoded(text))


def _put_blob(connection: sqlite3.Connection, data: bytes) -> str:
    """Store bytes under their hash, once; return the hash."""
    import hashlib  # loads OpenSSL, which a start need not wait for

    digest = hashlib.sha256(data).hexdigest()
    if connection.execute("SELECT 1 FROM blobs WHERE sha256 = ?", (digest,)).fetchone() is None:
        connection.execute("INSERT INTO blobs (sha256, data) VALUES (?, ?)", (digest, data))
    return digest


def _drop_unused(connection: sqlite3.Connection, digests: Iterable[Sequence[str]]) -> None:
    """Delete those of some blobs, each a row with its hash, that nothing refers to any more."""
    connection.executemany(f"DELETE FROM blobs WHERE sha256 = ? AND {_NOT_USED}", digests)


def _put_draft(connection: sqlite3.Connection, draft: _Draft) -> None:
    name = rows.stored(draft.key)
    before = connection.execute("SELECT sha256 FROM draft_attachments WHERE conversation_id = ?", (name,)).fetchall()
    gone = draft.key and not connection.execute("SELECT 1 FROM conversations WHERE id = ?", (name,)).fetchone()
    if gone or not (draft.text or draft.attachments):  # a draft that comes after its chat was deleted stays out
        connection.execute("DELETE FROM drafts WHERE conversation_id = ?", (name,))
    else:
        connection.execute(
            "INSERT INTO drafts (conversation_id, text, updated_at) VALUES (:key, :text, :at) "
            "ON CONFLICT (conversation_id) DO UPDATE SET text = excluded.text, updated_at = excluded.updated_at",
            {"key": name, "text": rows.stored(draft.text), "at": draft.at},
        )
        connection.execute("DELETE FROM draft_attachments WHERE conversation_id = ?", (name,))
        _put_attachments(connection, "draft_attachments", {"conversation_id": name}, draft.attachments)
    _drop_unused(connection, before)


def _put_tree(connection: sqlite3.Connection, conversation: Conversation, turns: Sequence[Turn]) -> bool:
    """Insert a conversation of somewhere else; False when it is there already. Raises StorageError."""
    columns = rows.conversation_columns(conversation)
    if connection.execute("SELECT 1 FROM conversations WHERE id = ?", (columns["id"],)).fetchone():
        return False
    _refuse_known_ids(connection, conversation, turns)
    digest = _put_text(connection, conversation.system_prompt)
    recency = _microseconds(columns)
    rows.insert(connection, "conversations", columns | {"system_prompt": digest, "recency": recency})
    for turn in turns:
        _put_turn(connection, _turn_columns(turn) | {"conversation_id": columns["id"]}, turn.attachments)
        for seq, completion in enumerate(turn.completions):
            row = rows.identity_columns(completion) | rows.outcome_columns(completion)
            row |= {"turn_id": turn.id, "seq": seq, "system_prompt": digest}
            rows.insert(connection, "completions", row)
    return True


def _refuse_known_ids(connection: sqlite3.Connection, conversation: Conversation, turns: Sequence[Turn]) -> None:
    """Raise StorageError when a message of an import is in the history already, under another conversation."""
    ids = rows.as_json([turn.id for turn in turns] + [each.id for turn in turns for each in turn.completions])
    known = connection.execute(
        "SELECT conversation_id FROM turns WHERE id IN (SELECT value FROM json_each(:ids)) UNION ALL "
        "SELECT t.conversation_id FROM completions p JOIN turns t ON t.id = p.turn_id "
        "WHERE p.id IN (SELECT value FROM json_each(:ids)) LIMIT 1",
        {"ids": ids},
    ).fetchone()
    if known is not None:
        raise StorageError(
            f"messages of the conversation {conversation.id} are here already, under the conversation "
            f"{rows.loaded(known[0])}, so nothing was imported; delete that one first, or take one of the two out"
        )


def _settle(connection: sqlite3.Connection, completion_id: str, charge: Columns | None) -> None:
    """Write a charge; without one, what was charged so far for a call that still ran was not owed."""
    if charge is None:
        ledger.drop_unowed(connection, completion_id)
    else:
        ledger.write_charge(connection, charge)


def _conversation_of(connection: sqlite3.Connection, completion_id: str) -> str | None:
    row = connection.execute(
        "SELECT t.conversation_id FROM completions p JOIN turns t ON t.id = p.turn_id WHERE p.id = ?", (completion_id,)
    ).fetchone()
    return None if row is None else row[0]


def _parents_first(turns: Sequence[Turn]) -> list[Turn]:
    """Return turns with each behind the one it continues, in the given order otherwise.

    Raises StorageError when they go in a circle.
    """
    turn_of = {completion.id: turn.id for turn in turns for completion in turn.completions}
    ordered: list[Turn] = []
    placed: set[str] = set()
    waiting = list(turns)
    while waiting:
        behind: list[Turn] = []
        for turn in waiting:
            parent = turn_of.get(turn.continues) if turn.continues is not None else None
            if parent is None or parent in placed:
                ordered.append(turn)
                placed.add(turn.id)
            else:
                behind.append(turn)
        if len(behind) == len(waiting):
            raise StorageError("these turns continue one another in a circle; nothing was imported")
        waiting = behind
    return ordered
