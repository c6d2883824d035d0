"""Conversations as they are open on the screen: the path in view, the model, what is queued and half typed."""

from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import field
from random import SystemRandom

from tui_chat.core.chat import Chat
from tui_chat.core.columns import Column, Tip, columns_of, hidden_of, mates_of, path_through, tips_beside, tips_of
from tui_chat.core.completion import Completion
from tui_chat.core.conversation import Conversation, Turn
from tui_chat.core.errors import ChatError
from tui_chat.core.message import BlobPart
from tui_chat.core.model import Model
from tui_chat.core.ports import ModelCatalog, Store
from tui_chat.core.record import entity, record
from tui_chat.core.usage import Usage
from tui_chat.ui.streams import Running, Streams

PAGE = 20
"""Turns that are read and shown at once."""


def _ended_well(completion: Completion) -> bool:
    return completion.finish_reason not in ("cancelled", "error", "budget", "interrupted")


def _may_follow(turn: Turn) -> bool:
    """Say whether a queued prompt may follow: the answer that was chosen, or that is gone on from, ended well."""
    answer = turn.completion(turn.chosen_id) or turn.continued
    return answer is not None and _ended_well(answer)


@entity
class Session:
    """One open conversation."""

    conversation: Conversation
    model: Model
    others: tuple[Model, ...] = ()
    """Further models that the next prompt goes to at once."""
    path: list[Turn] = field(default_factory=list)
    """The turns in view, from the oldest that was read to the tip."""
    earlier: bool = False
    """The history has turns before those in `path`."""
    queued: str | None = None
    """A prompt that is sent when the running answer ends well."""
    queued_attachments: tuple[BlobPart, ...] = ()
    held: bool = False
    """The queued prompt waits for Enter: the answer before it was stopped or failed."""
    attachments: tuple[BlobPart, ...] = ()
    """What goes along with the next prompt."""
    editing: Turn | None = None
    """The turn whose prompt is being rewritten: the next send is a branch in its place."""
    rewritten: str = ""
    """The prompt as rewritten so far, while another conversation is in view."""
    unseen: str = ""
    """`done` or `failed` when an answer ended while another conversation was in view."""
    blind: bool = False
    """Names and prices of what is asked next are kept out of view until there is a vote."""
    put_away: list["PutAway"] = field(default_factory=list)
    """What was hidden, the last one at the end, to bring it back."""

    @property
    def asked(self) -> list[Model]:
        """The models that the next prompt goes to."""
        return [self.model, *self.others]

    @property
    def last_usage(self) -> Usage | None:
        """What the last answer in view used that ended and is fully known, without what came from a cache."""
        for turn in reversed(self.path):
            answers = [turn.chosen, *reversed(turn.completions)]
            for answer in answers:
                used = answer.final_usage.usage if answer is not None and answer.final_usage is not None else None
                if used is not None and used.input_tokens is not None and used.output_tokens:
                    return Usage(used.input_tokens, used.output_tokens)
        return None

    @property
    def draft_id(self) -> str | None:
        """The store's name for the draft: the conversation's id once it is stored."""
        return self.conversation.id if self.conversation.stored else None

    def before(self, turn: Turn) -> list[Turn]:
        """Return the part of the path that stands before `turn`, or before one beside a turn of the path."""
        through = path_through(self.path, turn)
        return through[: through.index(turn)] if turn in through else list(self.path)

    @property
    def columns(self) -> list[Column]:
        """The answers to the last prompt that stand side by side."""
        return columns_of(self.path[-1]) if self.path else []


@record
class PutAway:
    """Columns that were hidden at once, and who was asked before."""

    completions: tuple[Completion, ...]
    model: Model
    others: tuple[Model, ...]


class Sessions:
    """Opens conversations; those that run stay open when the user looks elsewhere."""

    def __init__(self, store: Store, chat: Chat, catalog: ModelCatalog, streams: Streams) -> None:
        self._store = store
        self._chat = chat
        self._catalog = catalog
        self._streams = streams
        self._open: dict[str, Session] = {}

    def new(self, model: Model | None = None, system_prompt: str | None = None) -> Session:
        """Return an empty session; it is stored at its first send."""
        chosen = model or self._catalog.first(None, self._store.last_model(), scripted=True)
        conversation = self._chat.new_conversation(chosen, system_prompt)
        return Session(conversation, chosen, attachments=self._store.draft_attachments(None))

    def open(self, conversation_id: str) -> Session | None:
        """Return a stored conversation, the live one where it runs; `None` when it is gone."""
        if (live := self._open.get(conversation_id)) is not None:
            return live
        conversation = self._store.conversation(conversation_id)
        if conversation is None:
            return None
        model = self._catalog.first(conversation.model, self._store.last_model(), scripted=True)
        session = Session(conversation, model, attachments=self._store.draft_attachments(conversation.id))
        self._read_end(session)
        self._ask_columns(session)
        return session

    def _ask_columns(self, session: Session) -> None:
        """Ask the models again that stand side by side at the end, in their order."""
        columns = session.columns
        if len(columns) < 2:
            return
        models = []
        for column in columns:
            with suppress(ChatError):  # a provider that is configured no more
                models.append(self._catalog.resolve(column.completion.model.name))
        session.blind = session.blind or session.path[-1].blind
        if models:
            session.model, session.others = models[0], tuple(models[1:])

    def _read_end(self, session: Session) -> None:
        """Read the last turns of the path, with the live ones of this process in place of their stored selves."""
        conversation = session.conversation
        live = {mate.id: mate for running in self._streams.all for mate in mates_of(running.turn)}
        page = self._store.page(conversation.id, conversation.tip_id, limit=PAGE)
        session.path, session.earlier = [live.get(turn.id, turn) for turn in page.turns], page.earlier

    def read_earlier(self, session: Session, limit: int = PAGE) -> int:
        """Read turns before those in the path; return how many there were."""
        if not session.earlier:
            return 0
        conversation = session.conversation
        page = self._store.page(conversation.id, conversation.tip_id, before=session.path[0], limit=limit)
        known = {turn.id for turn in session.path}
        turns = [turn for turn in page.turns if turn.id not in known]  # a damaged history may go in a circle
        session.path[:0], session.earlier = turns, page.earlier and len(turns) == len(page.turns)
        return len(turns)

    def read_all(self, session: Session) -> None:
        """Read the whole path: what is sent goes on from all of it."""
        while session.earlier and self.read_earlier(session, 500):
            pass

    def keep(self, session: Session) -> None:
        """Hold on to a session while something runs or waits in it."""
        self._open[session.conversation.id] = session

    def running(self, session: Session) -> list[Running]:
        """Return what runs and is waited for: an answer out of view that was left to run holds nothing up."""
        return [each for each in self._streams.in_conversation(session.conversation.id) if not each.completion.hidden]

    def busy(self, session: Session) -> bool:
        """Say whether a prompt has to wait."""
        return bool(self.running(session))

    def leave(self, session: Session) -> None:
        """Forget a session that is out of view, unless something runs or waits in it."""
        waits = session.queued is not None or session.editing is not None
        if waits or self._streams.in_conversation(session.conversation.id):
            self.keep(session)
        else:
            self._open.pop(session.conversation.id, None)

    def live(self, conversation_id: str) -> Session | None:
        return self._open.get(conversation_id)

    def go_to_branch(self, session: Session, turn_id: str) -> None:
        """Put the newest branch through `turn_id` in view."""
        tip = self._store.newest_tip(turn_id)
        session.conversation.tip_id = tip
        self._read_end(session)
        last, columns = session.path[-1], columns_of(session.path[-1])
        if columns and all(column.turn is not last for column in columns):  # another of its batch was kept
            session.path = path_through(session.path, columns[0].turn)
            session.conversation.tip_id = columns[0].turn.id
        if session.others and len(columns) < 2 and last.chosen is not None:
            session.model, session.others = self.known(last.chosen.model), ()
        self._ask_columns(session)
        self._store.save_conversation(session.conversation)

    def known(self, model: Model) -> Model:
        """Return a model as the catalog has it now: one from the history has neither price nor parameters."""
        with suppress(ChatError):
            return self._catalog.resolve(model.name)
        return model

    # what happens to a session

    def tips(self, session: Session, in_place_of: Turn | None = None) -> list[Tip]:
        """Return what the next prompt goes on from, with the models that are asked there.

        `in_place_of` is the turn whose prompt is rewritten.
        """
        if in_place_of is None:
            return tips_of(session.path, session.asked)
        return tips_beside(session.before(in_place_of), in_place_of, session.asked)

    def send(
        self,
        session: Session,
        prompt: str,
        attachments: tuple[BlobPart, ...] = (),
        *,
        in_place_of: Turn | None = None,
    ) -> Turn:
        """Send a prompt and return its turn, under way; with `in_place_of` it is a branch beside that turn."""
        self.read_all(session)
        if (blind := session.blind and bool(session.others)) and not session.columns[1:]:
            session.model, *others = SystemRandom().sample(session.asked, k=len(session.asked))
            session.others = tuple(others)  # the order would tell who is who
        tips = self.tips(session, in_place_of)
        turns = self._chat.start_turns(session.conversation, tips, prompt, attachments=attachments, blind=blind)
        if in_place_of is not None:
            beside = {mate.continues: mate for mate in mates_of(in_place_of)}
            for each in turns:
                older = beside.get(each.continues)
                each.siblings = (*((older.siblings or (older.id,)) if older is not None else ()), each.id)
        tip, turn = next(((tip, turn) for tip, turn in zip(tips, turns, strict=True) if tip.chosen))
        session.path = [*tip.path, turn]
        session.put_away.clear()
        for each in turns:
            for completion in each.completions:
                self._start(session, each, completion)
        return turn

    def again(
        self,
        session: Session,
        turn: Turn,
        model: Model,
        resumes: Completion | None = None,
        *,
        beside: bool = False,
    ) -> Completion:
        """Ask a prompt once more, or for the rest of a cut answer; return the new answer.

        It takes the place of the one in view, or stands `beside` it.
        """
        self.read_all(session)
        before = [each for column in columns_of(turn) for each in column.tries if each.model.name != model.name]
        completion = self._chat.again(session.conversation, session.before(turn), turn, model, resumes)
        if not beside and before:
            self._hide(before)
        self._start(session, turn, completion)
        return completion

    def _start(self, session: Session, turn: Turn, completion: Completion) -> None:
        self.keep(session)
        self._streams.start(session.conversation, turn, completion)

    def queue(self, session: Session, prompt: str, attachments: tuple[BlobPart, ...] = ()) -> None:
        """Keep a prompt until the running answer ends; a second one is added to it."""
        session.queued = f"{session.queued}\n\n{prompt}" if session.queued else prompt
        session.queued_attachments += attachments
        session.held = False
        self.keep(session)

    def take_queued(self, session: Session) -> tuple[str, tuple[BlobPart, ...]]:
        """Return what is queued and forget it."""
        queued = session.queued or "", session.queued_attachments
        session.queued, session.queued_attachments, session.held = None, (), False
        return queued

    def send_queued(self, session: Session) -> Turn:
        """Send what is queued."""
        return self.send(session, *self.take_queued(session))

    def ended(self, conversation_id: str, completion: Completion, *, in_view: bool) -> Turn | None:
        """Note that an answer ended; send what is queued behind it and return its turn.

        A stop or a failure holds the queued prompt back: it never follows a bad answer unasked.
        """
        session = self._open.get(conversation_id)
        if session is None:
            return None
        well = _ended_well(completion)
        if not in_view:
            session.unseen = "done" if well else "failed"
        if session.queued is None:
            return None
        session.held = session.held or (completion.finish_reason == "cancelled" and not completion.hidden)
        if completion.hidden or self.busy(session):
            return None
        turn = next((turn for turn in session.path if completion.turn_id in {mate.id for mate in mates_of(turn)}), None)
        session.held = session.held or not (well if turn is None else _may_follow(turn))
        if session.held:
            return None
        if not in_view:  # the stored draft holds it too, in case of a crash
            draft = self._store.draft(conversation_id).removeprefix(session.queued).lstrip("\n")
            self._store.save_draft(conversation_id, draft, session.attachments)
        return self.send_queued(session)

    def delete(self, conversation_id: str) -> Future[None]:
        """Delete a conversation with its text; its charges stay. Fails with StorageError when it runs elsewhere."""
        self._open.pop(conversation_id, None)
        return self._store.delete_conversation(conversation_id)

    def choose(self, session: Session, turn: Turn, completion: Completion) -> None:
        """Make an answer the one that the next prompt goes on from; the path leads through its turn then."""
        if turn.chosen_id != completion.id:
            turn.chosen_id = completion.id
            self._store.save_chosen(turn)
        if completion.hidden:
            self._set_hidden([completion], hidden=False)
        if session.path and turn is not session.path[-1] and turn in mates_of(session.path[-1]):
            session.path = path_through(session.path, turn)
            session.conversation.tip_id = turn.id
            self._store.save_conversation(session.conversation)

    def show_instead(self, session: Session, turn: Turn, completion: Completion) -> None:
        """Put another answer in the place of those in view."""
        self._hide([each for each in turn.completions if each.model.name != completion.model.name])
        self.choose(session, turn, completion)

    def put_away(self, session: Session, columns: Sequence[Column]) -> None:
        """Hide columns, in a way that can be undone."""
        completions = tuple(each for column in columns for each in column.tries if not each.hidden)
        session.put_away.append(PutAway(completions, session.model, session.others))
        self._hide(completions)

    def bring_back(self, session: Session) -> bool:
        """Undo what was hidden last; else show everything that is hidden of the last prompt; False when nothing is."""
        if session.put_away:
            last = session.put_away.pop()
            before, asked = [last.model, *last.others], {model.name for model in session.asked}
            if asked <= {model.name for model in before}:
                session.model, session.others = last.model, last.others
            else:  # others were chosen meanwhile: they stay
                back = {each.model.name for each in last.completions}
                more = [model for model in before if model.name in back and model.name not in asked]
                session.others = (*session.others, *more)
            self._set_hidden(last.completions, hidden=False)
            return True
        hidden = hidden_of(session.path[-1]) if session.path else []
        self._set_hidden(hidden, hidden=False)
        if hidden:
            self._ask_columns(session)
        return bool(hidden)

    def _hide(self, completions: Iterable[Completion]) -> None:
        self._set_hidden(completions, hidden=True)

    def _set_hidden(self, completions: Iterable[Completion], *, hidden: bool) -> None:
        changed = [each for each in completions if each.hidden is not hidden]
        for each in changed:
            each.hidden = hidden
        if changed:
            self._store.save_hidden(changed)

    def reveal(self, turn: Turn) -> None:
        """Show names and prices of a turn and its mates from now on."""
        for mate in mates_of(turn):
            if mate.blind:
                mate.blind = False
                self._store.save_blind(mate)

    def vote(self, turn: Turn, winner: Completion | None) -> None:
        """Keep which answer was the best, `None` for none of them, and show names and prices."""
        self._store.save_vote(turn, winner)
        for mate in mates_of(turn):
            mate.won_by = winner.model.name if winner is not None else None
        self.reveal(turn)

    def discard(self, completion: Completion) -> None:
        """Leave an answer out of what is sent on, or take it back in."""
        completion.discarded = not completion.discarded
        self._store.save_discarded(completion)

    def mark(self, conversation_id: str) -> str:
        """Return the sidebar's mark: `running`, `done`, `failed` or nothing."""
        if self._streams.in_conversation(conversation_id):
            return "running"
        session = self._open.get(conversation_id)
        return session.unseen if session else ""
