"""The conversation in view: title, transcript, composer, and everything that can be done with an answer.

It shows one `Session` and pulls what is new when the frame clock says so. It knows neither the sidebar nor the footer:
the screen around it hears of changes through `Changed`.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import BindingType
from textual.events import Paste
from textual.message import Message
from textual.widget import Widget

from tui_chat.core.columns import mates_of
from tui_chat.core.completion import Completion, State
from tui_chat.core.context import joined_text
from tui_chat.core.conversation import Turn
from tui_chat.core.errors import ChatError
from tui_chat.core.keymap import keys_of, letter_of
from tui_chat.core.model import Model, Params
from tui_chat.core.services import Services
from tui_chat.ui import clipboard
from tui_chat.ui.accounts import Accounts, asked_next
from tui_chat.ui.browser import has_browser
from tui_chat.ui.comparing import Comparing
from tui_chat.ui.drafting import Drafting
from tui_chat.ui.estimates import PAUSE_S, Estimates
from tui_chat.ui.sessions import PAGE, Session, Sessions
from tui_chat.ui.streams import Streams
from tui_chat.ui.theme import Glyphs
from tui_chat.ui.widgets.bindings import binding
from tui_chat.ui.widgets.composer import Composer
from tui_chat.ui.widgets.covered import CoveredVertical
from tui_chat.ui.widgets.empty_state import SAMPLE_PROMPT, EmptyState
from tui_chat.ui.widgets.headline import BelowMark, Headline
from tui_chat.ui.widgets.prompt_input import PromptInput
from tui_chat.ui.widgets.row import joined, styled, text

if TYPE_CHECKING:
    from tui_chat.core.fitting import Excess
    from tui_chat.ui.screens.link_box import LinkChoice
    from tui_chat.ui.widgets.transcript.answer_rows import AnswerRows
    from tui_chat.ui.widgets.transcript.widget import Transcript

_KEPT_S = 12.0
"""How long it is said where a key is kept."""
_AGAIN_S = 1.0
"""Before older turns that could not be read are asked for again."""
_CODE_PAGES = 10
"""Pages of older turns that a look for code reads at once."""
_CUT = ("cancelled", "error", "length", "budget", "interrupted")
_BUSY = "An answer is running here; stop it first."


class ConversationPane(CoveredVertical):
    """The right part of the screen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        # single letters: the prompt takes them for itself while it has the focus
        binding("answer.copy", "copy_answer"),
        binding("code.copy", "copy_code"),
        binding("code.next", "jump_to_code(1)"),
        binding("code.previous", "jump_to_code(-1)"),
        binding("link.open", "show_links"),
        binding("prompt.edit", "edit_prompt"),
        binding("answer.again", "answer_again", "r"),
        binding("answer.discard", "discard_answer"),
        binding("answer.continue", "continue_answer"),
        binding("budget.raise", "raise_limit"),
        binding("branch.previous", "branch(-1)"),
        binding("branch.next", "branch(1)"),
        binding("answer.keep", "keep_answer"),
        binding("reasoning.toggle", "toggle_reasoning"),
        binding("answer.cost", "show_cost"),
        binding("compare.hide", "compare('hide')"),
        binding("compare.undo", "compare('undo')"),
        binding("compare.add", "compare('add')"),
        binding("compare.zoom", "compare('zoom')"),
        binding("compare.apart", "compare('scroll_apart')"),
        binding("compare.difference", "compare('difference')"),
        binding("compare.copy", "compare('copy_table')"),
        binding("compare.blind", "compare('toggle_blind')"),
        binding("compare.vote", "compare('vote')"),
        binding("compare.tie", "compare('tie')"),
    ]

    class ModelsWanted(Message):
        """Further models are to be asked the prompt under the cursor."""

    class Changed(Message):
        """What the sidebar or the footer show may be out of date."""

        def __init__(self, *, conversations: bool = False) -> None:
            super().__init__()
            self.conversations = conversations
            """A conversation came, went or moved."""

    def __init__(
        self,
        services: Services,
        sessions: Sessions,
        streams: Streams,
        accounts: Accounts,
        glyphs: Glyphs,
        keys: dict[str, str],
        session: Session,
    ) -> None:
        super().__init__(id="main")
        self._services, self._store = services, services.store
        self._glyphs, self._keys = glyphs, keys
        self._sessions, self._streams, self._accounts = sessions, streams, accounts
        self.session = session
        self.newcomer = True
        """Nothing was ever asked."""
        self.chosen_by_hand = False
        """The user said which model the next prompt goes to."""
        self.comparing = Comparing(self, sessions, streams, services, glyphs, keys)
        self._headline = Headline()
        self._transcript: Transcript | None = None
        self.empty = EmptyState(glyphs, keys)
        self._below = BelowMark(glyphs)
        self.prompt = PromptInput(services.store.prompts, keys_of("prompt.send", keys), keys_of("prompt.newline", keys))
        self._composer = Composer(self.prompt)
        self.drafting = Drafting(self, sessions, services.store, self.prompt, self._composer, self.plan_estimate)
        self._estimates = Estimates(
            self,
            accounts,
            lambda: accounts.sending(self.session, self.prompt.text, sessions.tips(self.session, self.session.editing)),
            lambda sending: sending.session is self.session,
            lambda: self.post_message(self.Changed()),
        )

    def compose(self) -> ComposeResult:
        yield self._headline
        yield self.empty
        yield self._below
        yield self._composer

    # what is in view

    async def show(self, session: Session, *, refocus: bool = True) -> None:
        """Put a session in view; what was half typed in the one before is kept."""
        before = self.session
        if before is not session:
            self.drafting.save()
            before.rewritten = self.prompt.text if before.editing is not None else ""
            self._sessions.leave(before)
        self.session = session
        session.unseen = ""
        if before is not session or not self.prompt.text:
            self._guard(self.drafting.load)
        self.drafting.show_attachments()
        self._show_path()
        self.show_empty()
        self.drafting.show_queue()
        self.plan_estimate(0.0)
        self.post_message(self.Changed(conversations=True))
        if refocus:
            self._focus(self.prompt)

    def _show_path(self) -> None:
        """Show the end of the path, as far back as the prompt that is being rewritten."""
        session, start = self.session, max(0, len(self.session.path) - PAGE)
        if session.editing is not None and session.editing in session.path:
            start = min(start, session.path.index(session.editing))
        shown = session.path[start:]
        if shown or self._transcript is not None:
            self.transcript.show(shown, earlier=session.earlier or start > 0)

    def show_empty(self) -> None:
        """Show the empty state where nothing was asked yet."""
        empty = not self.session.path
        self.empty.display = empty
        if not empty or self._transcript is not None:
            self.transcript.display = not empty
        if empty:
            self.empty.show(
                self._services.catalog.starters(),
                self.session.model,
                newcomer=self.newcomer,
                kept_in=self._services.keys.where,
                notes=self._services.notes,
            )
        sample = f", or Enter for “{SAMPLE_PROMPT}”" if empty and self.newcomer else ""
        self.prompt.placeholder = f"Ask anything{sample}"

    def use_model(self, model: Model) -> None:
        """Send the next prompt to `model` alone."""
        self.use_models([model])

    def use_models(self, models: Sequence[Model]) -> None:
        """Send the next prompt to all of these at once; the first one's answer goes on."""
        self.chosen_by_hand = True
        self.session.model, *others = models
        self.session.others = tuple(others)
        self.models_changed()

    def conversation_moved(self) -> None:
        """Something was asked: the conversation comes first in the list."""
        self.post_message(self.Changed(conversations=True))

    def models_changed(self) -> None:
        """Others are asked next."""
        self.show_empty()
        self.plan_estimate(0.0)
        self.post_message(self.Changed())

    def show_found(self) -> None:
        """Show what there is by now; the mark stays where the user put it, and never moves under somebody who types."""
        session = self.session
        if not session.path:
            if session.model.scripted and not (self.chosen_by_hand or self.prompt.text or self.empty.has_focus):
                session.model = self._services.catalog.first(None, None, scripted=True)
                self.plan_estimate(0.0)
            self.show_empty()
            self.post_message(self.Changed())

    @property
    def key_wanted(self) -> str | None:
        """The provider that lacks a key, or refused the one it was sent."""
        error, model = self.cursor.error if self.cursor is not None else None, self.session.model
        if self.cursor is not None and error is not None and error.kind == "authentication":
            return self.cursor.model.provider
        return model.provider if model.needs else None

    def take_key(self, provider: str, words: str) -> None:
        """A key was kept: models that lacked it can be used, and an empty chat without a real one takes its first."""
        session, catalog = self.session, self._services.catalog
        new = next((model for model in catalog.starters() if model.provider == provider), None)
        nobody = session.model.scripted or session.model.missing is not None
        if session.model.provider == provider:
            session.model = self._sessions.known(session.model)
        elif new is not None and nobody and not (session.path or self.chosen_by_hand):
            session.model, session.others = new, ()
        self.show_empty()
        self.plan_estimate(0.0)
        self._focus(self.prompt)
        self.post_message(self.Changed())
        self.say(words, _KEPT_S)

    @property
    def transcript(self) -> "Transcript":
        """The turns; made for the first one, because what draws them takes a sixth of the start to load."""
        if self._transcript is None:
            from tui_chat.ui.widgets.transcript.widget import Transcript

            self._transcript = Transcript(self._glyphs, self._keys)
            _ = self.mount(self._transcript, before=self.empty)  # before its next message; nobody need wait
        return self._transcript

    @property
    def list(self) -> Widget:
        """What stands above the composer: the transcript, or the empty state."""
        return self.empty if self._transcript is None or not self._transcript.display else self._transcript

    @property
    def view(self) -> "AnswerRows | None":
        """The rows of the answer under the transcript's cursor."""
        return self._transcript.cursor if self._transcript is not None else None

    @property
    def cursor(self) -> Completion | None:
        """The answer under the transcript's cursor."""
        return self.view.completion if self.view is not None else None

    @property
    def columns(self) -> int:
        """How many answers stand side by side near the end; 0 where each has all the room."""
        return self._transcript.widest if self._transcript is not None and self._transcript.display else 0

    @property
    def _turn(self) -> Turn | None:
        return self.view.turn if self.view is not None else None

    @property
    def _busy(self) -> bool:
        return self._sessions.busy(self.session)

    def frame(self) -> bool:
        """Take what is new into view; say whether more frames are needed."""
        turns = self._transcript
        active = turns is not None and turns.take_frame()
        session = self.session
        self._below.show(visible=turns is not None and turns.display and turns.more_below)
        self._headline.show(text(session.conversation.title, "b $fg"), self._accounts.gauge(session))
        trouble = self._store.trouble
        self._composer.show_trouble(trouble.message if trouble is not None else "")
        here = [running.completion for running in self._streams.in_conversation(session.conversation.id)]
        limit = self._accounts.nearest_cap(here, [running.completion for running in self._streams.all])
        room = self._composer.size.width - self._accounts.to_send.cell_length - 4
        if limit.plain:
            room -= limit.cell_length + 3
        info = asked_next(session, self._accounts.each, room)
        if session.model.scripted and not session.others:
            info = joined(info, styled("  scripted", "$fg2"))
        if session.conversation.params:
            info = joined(info, "   ", text(self._params_text(), "$fg2"))
        if limit.plain:
            info = joined(info, "   ", limit)
        if session.editing is not None:
            info = joined(info, styled("   editing: sends a branch", "$stop"))
        lacks = text(self._lacks(session.model), "$stop") if session.model.missing is not None else None
        self._composer.show_info(info, self._accounts.to_send if lacks is None else lacks)
        return active

    def _params_text(self) -> str:
        from tui_chat.core.params import summary

        return summary(self.session.conversation.params)

    def _lacks(self, model: Model) -> str:
        """Return why a model cannot be used, and the key that helps."""
        if not model.needs:
            return model.missing or ""
        return f"{letter_of('key.paste', self._keys)} takes a key, or set {model.needs}"

    def say(self, words: str, for_s: float = 4) -> None:
        """Say something in passing; it takes the place of what was said before."""
        self.app.clear_notifications()
        self.notify(words, markup=False, timeout=for_s)

    def _guard(self, action: Callable[[], object]) -> None:
        """Run something that reads the store; a failure is said, not raised."""
        try:
            action()
        except ChatError as failed:
            self.say(failed.message)

    def mark_focus(self, widget: Widget) -> None:
        """Let the transcript show whether it is the widget that has the focus."""
        if self._transcript is not None:
            self._transcript.let_keys_act(on=widget is self._transcript)

    def _focus(self, widget: Widget) -> None:
        self.screen.set_focus(widget)  # at once, where widget.focus() would let the next key overtake it

    # what is being written

    def plan_estimate(self, delay_s: float = PAUSE_S) -> None:
        """Count again what sending would cost, soon."""
        self._estimates.plan(delay_s)

    @on(PromptInput.Changed)
    def _prompt_changed(self, event: PromptInput.Changed) -> None:
        event.stop()
        self.plan_estimate()
        self.drafting.plan()
        self.empty.settle()

    @on(PromptInput.PastedLarge)
    def _pasted_large(self, event: PromptInput.PastedLarge) -> None:
        event.stop()
        self.drafting.attach_pasted(event.text)

    @on(EmptyState.Typed)
    def _typed(self, event: "EmptyState.Typed | Transcript.Typed") -> None:
        event.stop()
        self._focus(self.prompt)
        self.prompt.insert(event.character)

    def on_transcript_typed(self, event: "Transcript.Typed") -> None:
        self._typed(event)

    @on(EmptyState.Pasted)
    def _pasted(self, event: "EmptyState.Pasted | Transcript.Pasted") -> None:
        event.stop()
        self._focus(self.prompt)
        self.prompt.post_message(Paste(event.text))

    def on_transcript_pasted(self, event: "Transcript.Pasted") -> None:
        self._pasted(event)

    @on(EmptyState.Entered)
    async def _entered(self, event: EmptyState.Entered) -> None:
        event.stop()
        self._focus(self.prompt)
        await self._submit(self.prompt.text)

    @on(EmptyState.Chosen)
    def _model_chosen(self, event: EmptyState.Chosen) -> None:
        event.stop()
        self.session.model, self.session.others = event.model, ()
        self.chosen_by_hand = event.by_hand  # the list marked it already, and may be further by now
        self.plan_estimate(0.0)

    def on_transcript_earlier_wanted(self, event: "Transcript.EarlierWanted") -> None:
        event.stop()
        if not self._show_earlier():
            self.set_timer(_AGAIN_S, self.transcript.ask_again)

    def _show_earlier(self) -> bool:
        """Show a page of turns before those in view; False when there is none, or it cannot be read."""
        session, first = self.session, self.transcript.first_turn
        if first is None or first not in session.path:
            return False
        at = session.path.index(first)
        if at == 0:
            self._guard(lambda: self._sessions.read_earlier(session))
            at = session.path.index(first)
        start = max(0, at - PAGE)
        if start == at:
            return False
        self.transcript.prepend(session.path[start:at], earlier=session.earlier or start > 0)
        return True

    def on_transcript_cursor_moved(self, event: "Transcript.CursorMoved") -> None:
        event.stop()
        self.post_message(self.Changed())

    @on(BelowMark.Clicked)
    def _to_the_end(self, event: BelowMark.Clicked) -> None:
        event.stop()
        self.transcript.follow()

    # sending

    @on(PromptInput.Submitted)
    async def _submitted(self, event: PromptInput.Submitted) -> None:
        event.stop()
        await self._submit(event.text)

    async def _submit(self, prompt: str) -> None:
        session, cursor = self.session, self.cursor
        if not prompt.strip() and not session.attachments:
            if cursor is not None and cursor.state is State.PAUSED:
                self._streams.go_on(cursor)
            elif session.queued is not None and session.held and not self._busy:
                await self._show_sent(self._sessions.send_queued(session))
            elif not session.path and self.newcomer:
                await self._send(SAMPLE_PROMPT)
            return
        if not self._busy:
            await self._send(prompt)
        elif session.editing is not None:
            self.say(_BUSY)
        else:
            self.drafting.queue(prompt)

    async def _send(self, prompt: str) -> None:
        session = self.session
        if any(model.missing is not None for model in session.asked):  # a key may have come since
            session.model, *others = map(self._sessions.known, session.asked)
            session.others = tuple(others)
        unusable = next((model for model in session.asked if model.missing is not None), None)
        if unusable is not None:
            self.say(f"{unusable.name} cannot be used: {self._lacks(unusable)}")
            return
        replaced = session.editing if session.editing in session.path else None
        if not await self._fits(prompt, replaced):
            return
        session.editing = None
        draft_id, attachments = session.draft_id, session.attachments
        self.drafting.attach(())
        turn = self._sessions.send(session, prompt, attachments, in_place_of=replaced)
        if replaced is None:
            self._store.save_draft(draft_id, "")
            self.prompt.set_text("")
        else:  # what was half typed before the editing comes back
            self._guard(self.drafting.load)
        await self._show_sent(turn, replaced)

    async def _fits(self, prompt: str, replaced: Turn | None) -> bool:
        """Say whether a prompt can be sent now; where it is too long, the user is asked what may be left out."""
        session = self.session
        tips = self._sessions.tips(session, replaced)
        if not any(self._accounts.may_not_fit(session, tip, prompt, model) for tip in tips for model in tip.models):
            return True
        self._guard(lambda: self._sessions.read_all(session))
        for tip in self._sessions.tips(session, replaced):
            for model in tip.models:
                over = await asyncio.to_thread(
                    self._services.chat.excess,
                    session.conversation,
                    tip.path,
                    prompt,
                    model,
                    session.attachments,
                    tip.completion,
                )
                if over is not None and session is self.session:
                    self.run_worker(self._ask_to_leave_out(over, model, prompt), group="fit", exclusive=True)
                    return False
        return True

    async def _ask_to_leave_out(self, over: "Excess", model: Model, prompt: str) -> None:
        from tui_chat.ui.screens.ask_box import excess_box

        agreed = await self.app.push_screen_wait(excess_box(over, model))
        if agreed and over.enough:
            for completion in over.left_out:
                self._sessions.discard(completion)
            await self._send(prompt)

    async def _show_sent(self, turn: Turn, replaced: Turn | None = None) -> None:
        shown = replaced is None or self.transcript.cut(replaced)
        self.newcomer = False
        self.show_empty()
        self.drafting.show_queue()
        if len(self.session.path) > 1 and not turn.mates:
            previous = self.session.path[-2]
            continued = previous.completion(turn.continues)
            if continued is not None:  # a failed answer was in view, an earlier one is what goes on
                self.transcript.show_answer(previous, continued)
        if shown:
            self.transcript.add(turn)
        else:  # what is replaced was not in view
            self._show_path()
        self.post_message(self.Changed(conversations=True))

    @on(PromptInput.Above)
    def _above(self, event: PromptInput.Above) -> None:
        event.stop()
        if self.newcomer and self.empty.display and not self.prompt.text:
            self.empty.move(-1)
        elif not self.drafting.take_back_queued():
            self.prompt.walk(1)

    @on(PromptInput.Below)
    def _under(self, event: PromptInput.Below) -> None:
        event.stop()
        if self.empty.display and not self.prompt.text:
            self.empty.move(1)
            if self.empty.on_action:  # Enter is for that row now
                self._focus(self.empty)

    async def answer_ended(self, event: Streams.Finished) -> None:
        """An answer of any conversation ended."""
        here = event.conversation.id == self.session.conversation.id
        sent = self._sessions.ended(event.conversation.id, event.completion, in_view=here)
        if here:
            if sent is not None:
                await self._show_sent(sent)
                self.drafting.save()
            self.drafting.show_queue()
        self.plan_estimate(0.0)
        self.post_message(self.Changed(conversations=True))

    def bill_came(self, completion: Completion) -> None:
        """The provider said late what an answer cost."""
        view = self._transcript.answer_of(completion) if self._transcript is not None else None
        if view is not None:
            self.transcript.refresh_answer(view)
        self.post_message(self.Changed(conversations=True))

    # stopping

    def stop_all(self) -> bool:
        """Stop every answer of this conversation; False when nothing runs."""
        here = self._streams.in_conversation(self.session.conversation.id)
        stopped = [self._streams.cancel(running.completion) for running in here]
        return any(stopped)

    def stop(self) -> bool:
        """Stop the answer under the cursor, else the newest of this conversation; False when nothing runs.

        Beside an answer that ended, those in the other columns are stopped by a second stroke only.
        """
        cursor = self.cursor
        stopped = cursor is not None and self._streams.cancel(cursor)
        here = self._sessions.running(self.session)
        if not stopped and here and any(column.completion.running for column in self.comparing.columns):
            self.say("This one has ended; the same key again stops the others.")
            return True
        if not stopped:
            stopped = bool(here) and self._streams.cancel(here[-1].completion)
        if stopped and not self.prompt.text and not self.transcript.has_focus:
            self._focus(self.transcript)
            self.transcript.offer_keys()
        return stopped

    def close_topmost(self) -> None:
        """What Esc does when nothing runs: leave the editing, take off attachments, go back to the prompt."""
        if self.session.editing is not None:
            editing, self.session.editing = self.session.editing, None
            if self.prompt.text == editing.prompt:
                self.drafting.attach(())
                self._guard(self.drafting.load)
            self.post_message(self.Changed())
        elif self.session.attachments:
            self.drafting.attach(())
        else:
            self._focus(self.prompt)

    def unzoom(self) -> bool:
        """Show all answers side by side again; False where none has all the room."""
        return self._transcript is not None and self.comparing.unzoom()

    # the answer under the cursor

    def action_edit_prompt(self) -> None:
        """Put the prompt of this answer into the composer; sending makes a branch."""
        turn = self._turn
        if turn is None:
            return
        if self.session.editing is None:
            self.drafting.save()
        self.session.editing = turn
        self.drafting.attach(turn.attachments)
        self.prompt.set_text(turn.prompt)
        self._focus(self.prompt)
        self.plan_estimate(0.0)

    async def action_answer_again(self) -> None:
        """Ask the same prompt once more: a second answer to the last turn, a branch at an earlier one."""
        turn, session, cursor = self._turn, self.session, self.cursor
        if turn is None or cursor is None or cursor.retry_now():
            return
        if self.comparing.beside:
            if cursor.running:
                self.say(_BUSY)
            else:
                await self._another(turn, self._sessions.known(cursor.model), beside=True)
        elif self._busy:
            self.say(_BUSY)
        elif turn in mates_of(session.path[-1]):
            await self._another(turn, session.model)
        else:
            sent = self._sessions.send(session, turn.prompt, turn.attachments, in_place_of=turn)
            await self._show_sent(sent, turn)

    async def action_continue_answer(self) -> None:
        """Go on where this answer was cut."""
        turn, cursor = self._turn, self.cursor
        cut = cursor is not None and cursor.finish_reason in _CUT and bool(cursor.text_log)
        if turn is None or cursor is None or not cut or turn not in mates_of(self.session.path[-1]):
            self.say("Only the last answer can be continued, and only where it was cut.")
        elif self._busy and not self.comparing.beside:
            self.say(_BUSY)
        else:
            model = self._sessions.known(cursor.model)
            await self._another(turn, model, resumes=cursor, beside=self.comparing.beside)

    async def action_raise_limit(self) -> None:
        """Raise the limit that cut the last answer, until the program ends, and go on with it."""
        turn, cursor, budgets = self._turn, self.cursor, self._services.chat.budgets
        scope = budgets.can_raise(cursor) if cursor is not None else None
        if turn is None or cursor is None or scope is None:
            self.say("No limit that can be raised cut this answer.")
        elif turn not in mates_of(self.session.path[-1]):
            self.say("Only the last answer can go on; e on its prompt starts a branch.")
        elif self._busy and not self.comparing.beside:
            self.say(_BUSY)
        else:
            now, words = self._services.clock.now(), None
            with suppress(ChatError):  # who sends is told why the ledger cannot be read
                words = budgets.raise_for(cursor, self.session.conversation.id, now)
            self.say(f"{words} until you quit." if words else "No limit is in the way any more.")
            resumes = cursor if cursor.text_log else turn.completion(cursor.resumes_id)
            await self._another(turn, self._sessions.known(cursor.model), resumes, beside=self.comparing.beside)

    async def _another(
        self, turn: Turn, model: Model, resumes: Completion | None = None, *, beside: bool = False
    ) -> None:
        completion = self._sessions.again(self.session, turn, model, resumes, beside=beside)
        self._sessions.choose(self.session, turn, completion)
        self.transcript.show_anew(self.session.path, turn, completion)
        if turn in mates_of(self.session.path[-1]):
            self.transcript.follow()
        self.post_message(self.Changed(conversations=True))

    async def action_other_answer(self, step: int) -> None:
        """Show the answer before or after this one to the same prompt."""
        if self._transcript is None or self.comparing.move(step):
            self.plan_estimate(0.0)
            return
        turn, cursor = self._turn, self.cursor
        if turn is None or cursor is None or len(turn.completions) < 2:
            return
        if turn is not self.session.path[-1]:
            self.say("Later turns go on from this answer; e on its prompt starts a branch.")
            return
        to = turn.completions[(turn.completions.index(cursor) + step) % len(turn.completions)]
        self._sessions.show_instead(self.session, turn, to)
        self.transcript.show_answer(turn, to)
        self.plan_estimate(0.0)

    def on_transcript_column_chosen(self, event: "Transcript.ColumnChosen") -> None:
        event.stop()
        self.comparing.chosen(event.completion)
        self.plan_estimate(0.0)

    # answers side by side

    def action_compare(self, what: str) -> None:
        """Do something with several answers to one prompt: a name of `comparing.ACTIONS`."""
        self.comparing.do(what)

    def ask_for_models(self) -> None:
        """Let the user choose further models for the prompt under the cursor."""
        if self._turn is not None:
            self.post_message(self.ModelsWanted())

    def action_discard_answer(self) -> None:
        """Leave this answer out of what is sent on, or take it back in."""
        view = self.view
        if view is not None and not view.completion.running:
            self._sessions.discard(view.completion)
            self.transcript.refresh_answer(view)
            self.plan_estimate(0.0)

    async def action_branch(self, step: int) -> None:
        """Show the branch before or after the one under the cursor."""
        turn, session = self._turn, self.session
        if turn is None or turn.id not in turn.siblings:
            return
        at = turn.siblings.index(turn.id) + step
        if len(turn.siblings) < 2:
            self.say("No other branch here. alt+← and alt+→ go through the answers to one prompt.")
        elif self._busy:
            self.say(_BUSY)
        elif session.editing is not None:
            self.say("A prompt is being rewritten: send it, or leave it with esc.")
        elif 0 <= at < len(turn.siblings):
            self._guard(lambda: self._sessions.go_to_branch(session, turn.siblings[at]))
            await self.show(session, refocus=False)

    def action_keep_answer(self) -> None:
        """Go on with this answer: to its end when it is held, else with the next prompt."""
        cursor = self.cursor
        if cursor is not None and cursor.state is State.PAUSED:
            self._streams.go_on(cursor)
            return
        if self.comparing.blind:
            self.comparing.vote()
            return
        self.comparing.keep()
        self._focus(self.prompt)

    def action_toggle_reasoning(self) -> None:
        if (view := self.view) is not None:
            view.toggle_reasoning()
            self.transcript.refresh_answer(view)

    def action_copy_answer(self) -> None:
        turn, cursor = self._turn, self.cursor
        if turn is not None and cursor is not None:
            self.copy(joined_text(turn, cursor))

    def action_copy_code(self) -> None:
        code = self.transcript.code_in_hand
        if code is not None:
            self.copy(code)
        else:
            self.say("No code in this answer.")

    def action_jump_to_code(self, step: int) -> None:
        """Go from code block to code block, through all answers."""
        found, pages = self.transcript.jump_to_code(step), 0
        while found is None and step < 0 and pages < _CODE_PAGES and self._show_earlier():
            found, pages = self.transcript.jump_to_code(step), pages + 1
        if found is None:
            self.say("No code below." if step > 0 else f"No code {'near ' if pages == _CODE_PAGES else ''}above.")
        else:
            number, count = found
            self.say(f"Code block {number} of {count}. {letter_of('code.copy', self._keys)} copies it.")

    async def action_show_links(self) -> None:
        """Show where the links of this answer lead."""
        view = self.view
        if view is None or not view.links:
            self.say("No links in this answer.")
        else:
            await self._show_links(view.links, view.links[0])

    async def on_transcript_link_clicked(self, event: "Transcript.LinkClicked") -> None:
        event.stop()
        await self._show_links(event.answer.links, event.target)

    async def _show_links(self, targets: Sequence[str], chosen: str) -> None:
        from tui_chat.ui.screens.link_box import LinkBox

        def picked(choice: "LinkChoice | None") -> None:
            if choice is None:
                return
            if choice.copied or not (self.app.is_web or has_browser()):
                self.copy(choice.target)
            else:
                self.app.open_url(choice.target)
                self.say("Handed to the browser.")

        await self.app.push_screen(LinkBox(targets, chosen), picked)

    def copy(self, words: str) -> None:
        """Put words into the clipboard and say how."""
        how = clipboard.copy(words, self.app.copy_to_clipboard, Path(self._services.cache_folder))
        self.say(f"{len(words):,} characters {how}")

    def action_open_editor(self) -> None:
        """Write the prompt in $VISUAL or $EDITOR; answers go on meanwhile."""
        self.run_worker(self._edit_outside(), group="editor", exclusive=True, exit_on_error=False)

    async def _edit_outside(self) -> None:
        from tui_chat.ui.editor import edited

        await self.drafting.typed_out()
        try:
            with self.app.batch_update(), self.app.suspend():  # nothing may paint over the editor
                words = await edited(self.prompt.text, Path(self._services.cache_folder))
        except SuspendNotSupported:
            self.say("This terminal cannot make room for an editor.")
            return
        except ChatError as failed:
            self.say(failed.message)
            return
        self.prompt.set_text(words)
        self._focus(self.prompt)

    async def action_set_params(self) -> None:
        """Set what goes along with every prompt of this conversation."""
        from tui_chat.ui.screens.params_box import ParamsBox

        session = self.session

        def kept(params: Params | None) -> None:
            if params is None or params == session.conversation.params:
                return
            session.conversation.params = params
            if session.conversation.stored:
                self._store.save_conversation(session.conversation)
            self.say(f"From the next prompt on: {self._params_text() or 'none'}.")

        await self.app.push_screen(ParamsBox(session.conversation.params, session.model), kept)

    async def action_show_cost(self) -> None:
        """Show what the answer under the cursor cost, each factor of it."""
        if self.cursor is None:
            self.say("No answer here yet.")
            return
        if self.comparing.blind:
            self.say("Names and prices are shown after the vote.")
            return
        from tui_chat.ui.screens.cost_box import CostBox

        await self.app.push_screen(CostBox(self.cursor, self._services, self._glyphs, self.copy))

    async def action_show_elsewhere(self) -> None:
        """Show what the tokens of this conversation would have cost on other models."""
        if not self.session.path:
            self.say("Nothing was asked here yet.")
            return
        from tui_chat.ui.screens.elsewhere_box import ElsewhereBox

        await self.app.push_screen(ElsewhereBox(self._services, self.session, self._glyphs))

    def action_export_chat(self) -> None:
        """Write this conversation into a markdown file."""
        if not self.session.conversation.stored:
            self.say("Nothing to export yet.")
            return
        try:
            path = self._services.exporter.write(self.session.conversation.id, "markdown")
        except ChatError as failed:
            self.say(failed.message)
        else:
            self.say(f"Written to {path}")
