"""The chat screen: sidebar, transcript, composer, footer, and every action on them.

It decides; its widgets draw. Running answers belong to the app (`Streams`); this screen only shows one conversation at
a time and pulls what is new when the frame clock says so.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget

from tui_chat.core.completion import Completion, State
from tui_chat.core.context import joined_text
from tui_chat.core.conversation import Turn
from tui_chat.core.errors import ChatError
from tui_chat.core.keymap import keys_of
from tui_chat.core.message import BlobPart
from tui_chat.core.model import Model
from tui_chat.core.services import Services
from tui_chat.ui import clipboard
from tui_chat.ui.accounts import Accounts
from tui_chat.ui.editor import edited
from tui_chat.ui.frame_clock import FrameClock
from tui_chat.ui.screens.help import HelpScreen
from tui_chat.ui.screens.model_picker import ModelPicker
from tui_chat.ui.screens.status import Situation, footer_figures, footer_keys
from tui_chat.ui.sessions import Session, Sessions
from tui_chat.ui.streams import Streams
from tui_chat.ui.theme import Glyphs
from tui_chat.ui.widgets.bindings import binding
from tui_chat.ui.widgets.composer import Composer
from tui_chat.ui.widgets.conversation_list import ConversationList
from tui_chat.ui.widgets.covered import CoveredHorizontal, CoveredVertical
from tui_chat.ui.widgets.empty_state import SAMPLE_PROMPT, EmptyState
from tui_chat.ui.widgets.footer import StatusFooter
from tui_chat.ui.widgets.headline import BelowMark, Headline
from tui_chat.ui.widgets.prompt_input import PromptInput
from tui_chat.ui.widgets.row import joined, styled, text
from tui_chat.ui.widgets.sidebar import Sidebar
from tui_chat.ui.widgets.transcript import Transcript

_METER_S = 0.1
_ESTIMATE_S = 0.15
_DRAFT_S = 0.5


@dataclass(frozen=True, slots=True)
class Start:
    """What the command line asked for; by default a new conversation with the catalog's first model."""

    model: Model | None = None
    conversation_id: str | None = None


class ChatScreen(Screen[None]):
    BLANK = True  # see widgets/covered.py
    """The one screen of the program; everything else is a box over it."""

    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012  Textual's own form
        (0, "-tiny"),
        (60, "-narrow"),
        (100, "-middle"),
        (160, "-wide"),
    ]
    VERTICAL_BREAKPOINTS = [(0, "-low"), (15, "-short"), (30, "-tall")]  # noqa: RUF012  Textual's own form

    BINDINGS: ClassVar[list[BindingType]] = [
        binding("chat.cancel", "cancel", priority=True),
        binding("chat.stop_or_clear", "stop_or_clear", priority=True),
        binding("chat.new", "new_chat", priority=True),
        binding("chats.show", "show_chats", priority=True),
        binding("model.pick", "pick_model", priority=True),
        binding("answer.again", "answer_again", "ctrl+r", priority=True),
        binding("prompt.editor", "open_editor", priority=True),
        binding("focus.toggle", "toggle_focus", priority=True),
        binding("focus.next", "step_focus(1)", priority=True),
        binding("focus.previous", "step_focus(-1)", priority=True),
        binding("cursor.up", "move_cursor(-1)", priority=True),
        binding("cursor.down", "move_cursor(1)", priority=True),
        binding("cursor.left", "other_answer(-1)", priority=True),
        binding("cursor.right", "other_answer(1)", priority=True),
        binding("app.help", "help", "f1", priority=True),
    ]

    def __init__(
        self,
        services: Services,
        streams: Streams,
        clock: FrameClock,
        glyphs: Glyphs,
        keys: dict[str, str],
        start: Start,
    ) -> None:
        super().__init__()
        self._services = services
        self._store, self._keys = services.store, keys
        self._streams, self._frames, self._glyphs = streams, clock, glyphs
        self._sessions = Sessions(services.store, services.chat, services.catalog, streams)
        opened = self._sessions.open(start.conversation_id) if start.conversation_id else None
        self._session = opened or self._sessions.new(start.model)
        if start.model is not None:
            self._session.model = start.model
        self._newcomer = True
        self._accounts = Accounts(services, glyphs)
        self._draft_timer: Timer | None = None
        self._estimate_timer: Timer | None = None
        self._sidebar = Sidebar(glyphs, self._sessions.mark, self._accounts.of_conversation)
        self._headline = Headline()
        self._transcript = Transcript(glyphs)
        self._empty = EmptyState(glyphs)
        self._below = BelowMark(glyphs)
        self._composer = Composer(
            PromptInput(services.store.prompts, keys_of("prompt.send", keys), keys_of("prompt.newline", keys))
        )
        self._footer = StatusFooter()

    def compose(self) -> ComposeResult:
        with CoveredHorizontal():
            yield self._sidebar
            with CoveredVertical(id="main"):
                yield self._headline
                yield self._transcript
                yield self._empty
                yield self._below
                yield self._composer
        yield self._footer

    @property
    def prompt(self) -> PromptInput:
        return self._composer.prompt

    async def on_mount(self) -> None:
        self.set_focus(self.prompt)
        await self._show(self._session, refocus=False)

    # one conversation in view

    async def open_conversation(self, conversation_id: str) -> None:
        """Put a stored conversation in view."""
        if conversation_id == self._session.conversation.id:
            self.set_focus(self.prompt)
            return
        session = self._sessions.open(conversation_id)
        if session is None:
            self._say("That conversation is gone.")
            self._refresh_sidebar()
        else:
            await self._show(session)

    def use_model(self, model: Model) -> None:
        """Send the next prompt to `model`."""
        self._session.model = model
        if not self._session.path:
            self._show_empty()
        self._plan_estimate(0.0)

    async def _show(self, session: Session, *, refocus: bool = True) -> None:
        before = self._session
        if before is not session:
            self._save_draft()
            self._sessions.leave(before)
        self._session = session
        session.unseen = ""
        self._store_guard(self._load_draft)
        await self._transcript.show(session.path)
        self._show_empty()
        self._refresh_sidebar()
        self._refresh_spent()
        self._show_queue()
        self._plan_estimate(0.0)
        if refocus:
            self.set_focus(self.prompt)
        self._frames.request()

    def _show_empty(self) -> None:
        empty = not self._session.path
        self._transcript.display, self._empty.display = not empty, empty
        if empty:
            models = self._services.catalog.usable()
            self._empty.show(models, self._session.model, newcomer=self._newcomer, notes=self._services.notes)
        sample = f", or Enter for “{SAMPLE_PROMPT}”" if empty and self._newcomer else ""
        self.prompt.placeholder = f"Ask anything{sample}"

    def _store_guard(self, action: Callable[[], None]) -> None:
        """Run something that reads the store; a failure is said, not raised."""
        try:
            action()
        except ChatError as failed:
            self._say(failed.message)

    def _load_draft(self) -> None:
        self.prompt.set_text(self._store.draft(self._session.draft_id))

    def _save_draft(self) -> None:
        if self._draft_timer is not None:
            self._draft_timer.stop()
            self._draft_timer = None
        if self._session.editing is None:
            self._store.save_draft(self._session.draft_id, self.prompt.text)

    async def save_all(self) -> None:
        """Hand over what is not on disk yet; called when the app ends."""
        await self._typed_out()
        self._save_draft()

    # sending

    @on(PromptInput.Submitted)
    async def _submitted(self, event: PromptInput.Submitted) -> None:
        event.stop()
        await self._submit(event.text)

    async def _submit(self, prompt: str) -> None:
        session = self._session
        cursor = self._cursor
        if not prompt.strip() and not self._composer.attachments:
            if cursor is not None and cursor.state is State.PAUSED:
                self._streams.go_on(cursor)
                return
            if session.queued is not None and session.held:
                prompt, session.queued, session.held = session.queued, None, False
            elif not session.path and self._newcomer:
                prompt = SAMPLE_PROMPT
            else:
                return
        if self._streams.in_conversation(session.conversation.id):
            self._sessions.queue(session, prompt)
            self.prompt.set_text("")
            self._show_queue()
            return
        await self._send(prompt)

    def _show_queue(self) -> None:
        self._composer.show_queued(self._session.queued, held=self._session.held)

    async def _send(self, prompt: str) -> None:
        turn, replaced = self._sessions.send(self._session, prompt, self._composer.take_attachments())
        self.prompt.set_text("")
        if replaced is not None:
            await self._transcript.cut(replaced)
        self._newcomer = False
        self._show_empty()
        self._show_queue()
        await self._transcript.add(turn)
        self._refresh_sidebar()

    async def answer_ended(self, event: Streams.Finished) -> None:
        """An answer of any conversation ended."""
        here = event.conversation.id == self._session.conversation.id
        queued = self._sessions.ended(event.conversation.id, event.completion, in_view=here)
        if here:
            if queued is not None:
                draft = self.prompt.text
                await self._send(queued)
                self.prompt.set_text(draft)
            self._show_queue()
        self._refresh_sidebar()
        self._refresh_spent()
        self._plan_estimate(0.0)
        self._frames.request_now()

    # frames

    def frame(self) -> None:
        """Take what is new into view; called by the frame clock."""
        if not self.is_mounted:
            return
        active = self._transcript.active_answers
        for answer in active:
            answer.take_frame()
        self._draw_status()
        if self._streams or active:
            self._frames.request(within_s=_METER_S)

    def on_delta(self, completion: Completion) -> None:
        """Something arrived for an answer: the first token paints at once, the rest when the clock allows."""
        if completion.text_log.position + completion.reasoning_log.position <= 1:
            self._frames.request_now()
        else:
            self._frames.request()

    def _draw_status(self) -> None:
        session, cursor = self._session, self._cursor
        running = [r.completion for r in self._streams.all]
        here = [r.completion for r in self._streams.in_conversation(session.conversation.id)]
        situation = Situation(
            self._place(),
            bool(here),
            cursor,
            bool(self.prompt.text),
            session.queued is not None,
            session.editing is not None,
        )
        chat = self._accounts.chat(here)
        today = self._accounts.today(running)
        note = styled("no key needed: play money", "$fg2") if session.model.scripted else Content("")
        sidebar_gone = not self._sidebar.display or self.has_class("-narrow") or self.has_class("-tiny")
        figures = footer_figures(
            cursor, running if len(running) > 1 else [], chat, today if sidebar_gone else None, self._glyphs,
            note if not session.path else None,
        )  # fmt: skip
        self._footer.show(footer_keys(situation, self._keys), figures)
        self._sidebar.spending.show(today, self._accounts.month(running), empty=self._newcomer)
        self._sidebar.list.redraw_marks()
        self._below.show(visible=not self._transcript.following and self._transcript.display)
        self._headline.show(text(session.conversation.title, "b $fg"), self._accounts.gauge(session))
        info = joined(
            text(session.model.short_name, "$fg2"), styled("  scripted" if session.model.scripted else "", "$fg2")
        )
        trouble = self._store.trouble
        self._composer.show_trouble(trouble.message if trouble is not None else "")
        if session.editing is not None:
            info = joined(styled("editing: sends a branch", "$stop"), "   ", info)
        self._composer.show_info(info, self._accounts.to_send)

    def _place(self) -> str:
        focused = self.focused
        if focused is self._transcript:
            return "transcript"
        if focused is self._sidebar.list:
            return "conversations"
        if focused is self._sidebar.filter:
            return "filter"
        return "empty" if focused is self._empty else "prompt"

    @property
    def _cursor(self) -> Completion | None:
        view = self._transcript.cursor
        return view.completion if view is not None else None

    @property
    def _cursor_turn(self) -> Turn | None:
        view = self._transcript.cursor
        return view.turn if view is not None else None

    # what sending costs, what was spent

    def _plan_estimate(self, delay_s: float = _ESTIMATE_S) -> None:
        if self._estimate_timer is not None:
            self._estimate_timer.stop()
        self._estimate_timer = self.set_timer(max(0.001, delay_s), self._make_estimate)

    def _make_estimate(self) -> None:
        self._accounts.estimate(self._session, self.prompt.text)
        self._frames.request()

    def _refresh_spent(self) -> None:
        self._store_guard(lambda: self._accounts.read(self._session))
        self._frames.request()

    def _refresh_sidebar(self) -> None:
        self._store_guard(self._read_conversations)

    def _read_conversations(self) -> None:
        rows = self._store.conversations()
        self._newcomer = not rows
        self._sidebar.show(rows, self._session.conversation.id)
        if not self._session.path:
            self._show_empty()
        self._frames.request()

    # small news from the widgets

    @on(PromptInput.Changed)
    def _prompt_changed(self, event: PromptInput.Changed) -> None:
        event.stop()
        self._plan_estimate()
        if self._draft_timer is None:
            self._draft_timer = self.set_timer(_DRAFT_S, self._save_draft)

    @on(PromptInput.PastedLarge)
    def _pasted_large(self, event: PromptInput.PastedLarge) -> None:
        event.stop()
        name = f"pasted-{len(self._composer.attachments) + 1}.txt"
        self._composer.attach(BlobPart(name, "text/plain", event.text.encode("utf-8", "surrogatepass")))

    @on(Transcript.Typed)
    async def _typed(self, event: Transcript.Typed) -> None:
        event.stop()
        self.set_focus(self.prompt)
        self.prompt.insert(event.character)

    @on(EmptyState.Typed)
    async def _typed_on_empty(self, event: EmptyState.Typed) -> None:
        event.stop()
        self.set_focus(self.prompt)
        if event.character:
            self.prompt.insert(event.character)
        else:
            await self._submit(self.prompt.text)

    @on(EmptyState.Chosen)
    def _model_chosen(self, event: EmptyState.Chosen) -> None:
        event.stop()
        self.use_model(event.model)

    @on(Transcript.CursorMoved)
    def _cursor_moved(self, event: Transcript.CursorMoved) -> None:
        event.stop()
        self._frames.request()

    @on(ConversationList.Chosen)
    async def _conversation_chosen(self, event: ConversationList.Chosen) -> None:
        event.stop()
        self._sidebar.clear_filter()
        self._sidebar.remove_class("over")
        await self.open_conversation(event.conversation_id)

    @on(ConversationList.Deleted)
    async def _conversation_deleted(self, event: ConversationList.Deleted) -> None:
        event.stop()
        if self._streams.in_conversation(event.row.id):
            self._say("An answer is still running there; stop it first.")
            return
        self._store.delete_conversation(event.row.id)
        self._say("Deleted. What it cost stays counted.")
        if event.row.id == self._session.conversation.id:
            self._session = self._sessions.new(self._session.model)
            await self._show(self._session, refocus=False)
        else:
            self._refresh_sidebar()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        self._transcript.set_class(event.widget is self._transcript, "-keys")
        self._frames.request()

    def on_resize(self) -> None:
        self._frames.request()

    def _say(self, words: str) -> None:
        self.notify(words, markup=False, timeout=4)

    # ---- stopping

    async def action_cancel(self) -> None:
        """Close the topmost thing; only then stop the answer under the cursor."""
        if self._sidebar.has_class("over") or self._place() in ("conversations", "filter"):
            self._sidebar.clear_filter()
            self._sidebar.remove_class("over")
            self.set_focus(self.prompt)
        elif self.selections:
            self.clear_selection()
        elif not self._stop():
            if self._session.editing is not None:
                self._end_editing()
            elif self._composer.attachments:
                self._composer.take_attachments()
            elif self._place() in ("transcript", "empty"):
                self.set_focus(self.prompt)

    def _stop(self) -> bool:
        """Stop the answer under the cursor, else the newest of this conversation; False when nothing runs."""
        cursor = self._cursor
        stopped = cursor is not None and self._streams.cancel(cursor)
        if not stopped:
            here = self._streams.in_conversation(self._session.conversation.id)
            stopped = bool(here) and self._streams.cancel(here[-1].completion)
        if stopped and not self.prompt.text:
            self.set_focus(self._transcript)
        return stopped

    def _end_editing(self) -> None:
        editing, self._session.editing = self._session.editing, None
        if editing is not None and self.prompt.text == editing.prompt:
            self._store_guard(self._load_draft)
        self._frames.request()

    async def _typed_out(self) -> None:
        """Wait until the characters typed before this key are in the prompt: a bound key overtakes them."""
        done = asyncio.Event()
        self.prompt.call_later(done.set)
        await done.wait()

    async def action_stop_or_clear(self) -> None:
        """Copy a selection, else stop, else clear the prompt, else say how to quit."""
        await self._typed_out()
        selected = self.prompt.selected_text if self.prompt.has_focus else self.get_selected_text()
        if selected:
            self._copy(selected)
        elif self._stop():
            pass
        elif self.prompt.text:
            self.prompt.action_select_all()
            self.prompt.replace("", *self.prompt.selection)  # ctrl+z brings it back
        else:
            self._say("^q quits")

    # ---- conversations and focus

    async def action_new_chat(self) -> None:
        await self._typed_out()
        await self._show(self._sessions.new(self._session.model))

    def action_show_chats(self) -> None:
        """Show the sidebar where it is hidden, and go to it."""
        if self._place() in ("conversations", "filter"):
            self._sidebar.remove_class("over")
            self.set_focus(self.prompt)
            return
        if self.has_class("-narrow") or self.has_class("-tiny"):
            self._sidebar.add_class("over")
        self.set_focus(self._sidebar.list)

    def action_toggle_focus(self) -> None:
        stops: Widget = self._transcript if self._transcript.display else self._empty
        self.set_focus(self.prompt if stops.has_focus else stops)

    def action_step_focus(self, step: int) -> None:
        """Tab: prompt, transcript, conversations."""
        stops: list[Widget] = [self.prompt, self._transcript if self._transcript.display else self._empty]
        if not (self.has_class("-narrow") or self.has_class("-tiny")):
            stops.append(self._sidebar.list)
        at = next((i for i, widget in enumerate(stops) if widget.has_focus), 0)
        self.set_focus(stops[(at + step) % len(stops)])

    def action_move_cursor(self, step: int) -> None:
        self._transcript.move_cursor(step)

    async def action_other_answer(self, step: int) -> None:
        """Show the answer before or after this one to the same prompt."""
        turn, cursor = self._cursor_turn, self._cursor
        if turn is None or cursor is None or len(turn.completions) < 2:
            return
        if turn is not self._session.path[-1]:
            self._say("Later turns go on from this answer; e on its prompt starts a branch.")
            return
        at = (turn.completions.index(cursor) + step) % len(turn.completions)
        self._sessions.choose(turn, turn.completions[at])
        await self._transcript.show_answer(turn, turn.completions[at])
        self._plan_estimate(0.0)

    # ---- the answer under the cursor

    def action_edit_prompt(self) -> None:
        """Put the prompt of this answer into the composer; sending makes a branch."""
        turn = self._cursor_turn
        if turn is None:
            return
        if self._session.editing is None:
            self._save_draft()
        self._session.editing = turn
        self.prompt.set_text(turn.prompt)
        self.set_focus(self.prompt)
        self._plan_estimate(0.0)

    async def action_answer_again(self) -> None:
        """Ask the same prompt once more: a second answer to the same turn."""
        turn, session = self._cursor_turn, self._session
        if turn is None:
            return
        if self._streams.in_conversation(session.conversation.id):
            self._say("An answer is running here; stop it first.")
            return
        if turn is not session.path[-1]:
            # later turns go on from its answer: the same prompt again is a branch
            session.editing = turn
            await self._send(turn.prompt)
            return
        await self._another(turn, session.model)

    async def action_continue_answer(self) -> None:
        """Go on where this answer was cut."""
        turn, cursor, session = self._cursor_turn, self._cursor, self._session
        cut = cursor is not None and cursor.finish_reason in ("cancelled", "error", "length", "budget", "interrupted")
        if turn is None or cursor is None or not cut or not cursor.text_log or turn is not session.path[-1]:
            self._say("Only the last answer can be continued, and only where it was cut.")
            return
        await self._another(turn, cursor.model, resumes=cursor)

    async def _another(self, turn: Turn, model: Model, resumes: Completion | None = None) -> None:
        completion = self._sessions.again(self._session, turn, model, resumes)
        await self._transcript.show_answer(turn, completion)
        self._transcript.follow()
        self._frames.request()

    def action_discard_answer(self) -> None:
        """Leave this answer out of what is sent on, or take it back in."""
        view = self._transcript.cursor
        if view is None or view.completion.running:
            return
        self._sessions.discard(view.completion)
        view.take_frame()
        self._plan_estimate(0.0)

    async def action_branch(self, step: int) -> None:
        """Show the branch before or after the one under the cursor."""
        turn, session = self._cursor_turn, self._session
        if turn is None or len(turn.siblings) < 2 or turn.id not in turn.siblings:
            return
        if self._streams.in_conversation(session.conversation.id):
            self._say("An answer is running here; stop it first.")
            return
        at = turn.siblings.index(turn.id) + step
        if 0 <= at < len(turn.siblings):
            self._store_guard(lambda: self._sessions.go_to_branch(session, turn.siblings[at]))
            await self._show(session, refocus=False)

    def action_keep_answer(self) -> None:
        cursor = self._cursor
        if cursor is not None and cursor.state is State.PAUSED:
            self._streams.go_on(cursor)
        else:
            self.set_focus(self.prompt)

    def action_toggle_reasoning(self) -> None:
        if (view := self._transcript.cursor) is not None:
            view.toggle_reasoning()

    def action_copy_answer(self) -> None:
        turn, cursor = self._cursor_turn, self._cursor
        if turn is not None and cursor is not None:
            self._copy(joined_text(turn, cursor))

    def action_copy_code(self) -> None:
        view = self._transcript.cursor
        blocks = view.code_blocks if view is not None else []
        if blocks:
            self._copy(blocks[-1])
        else:
            self._say("No code in this answer.")

    def _copy(self, words: str) -> None:
        how = clipboard.copy(words, self.app.copy_to_clipboard, Path(self._services.cache_folder))
        self._say(f"{len(words):,} characters {how}")

    # ---- boxes over the chat

    async def action_help(self) -> None:
        await self.app.push_screen(HelpScreen(self._keys))

    async def action_pick_model(self) -> None:
        def picked(model: Model | None) -> None:
            if model is not None and model.missing is not None:
                self._say(f"{model.name}: {model.missing}")
            elif model is not None:
                self.use_model(model)

        models = self._services.catalog.known()
        await self.app.push_screen(ModelPicker(models, self._session.model.name, self._glyphs), picked)

    async def action_open_editor(self) -> None:
        """Write the prompt in $VISUAL or $EDITOR."""
        await self._typed_out()
        try:
            with self.app.suspend():
                words = edited(self.prompt.text, Path(self._services.cache_folder))
        except ChatError as failed:
            self._say(failed.message)
            return
        self.prompt.set_text(words)
        self.set_focus(self.prompt)

    def action_export_chat(self) -> None:
        if not self._session.conversation.stored:
            self._say("Nothing to export yet.")
            return
        with suppress(ChatError):
            path = self._services.exporter.write(self._session.conversation.id, "markdown")
            self._say(f"Written to {path}")
