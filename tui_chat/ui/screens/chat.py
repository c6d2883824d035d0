"""The chat screen: conversations at the left, the one in view at the right, keys and figures below.

Running answers belong to the app (`Streams`); what is done with one conversation stands in `conversation_pane.py`.
"""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen
from textual.widget import Widget

from tui_chat.core.completion import Completion
from tui_chat.core.errors import ChatError
from tui_chat.core.model import Model
from tui_chat.core.record import record
from tui_chat.core.safe_text import one_line
from tui_chat.core.services import Services
from tui_chat.ui.accounts import Accounts
from tui_chat.ui.frame_clock import FrameClock
from tui_chat.ui.screens.conversation_pane import ConversationPane
from tui_chat.ui.screens.status import Situation, footer_figures, footer_keys
from tui_chat.ui.sessions import Sessions
from tui_chat.ui.sparing_compositor import SparingCompositor
from tui_chat.ui.streams import Streams
from tui_chat.ui.theme import ASCII, Glyphs
from tui_chat.ui.widgets.bindings import binding
from tui_chat.ui.widgets.conversation_list import ConversationList
from tui_chat.ui.widgets.covered import CoveredHorizontal
from tui_chat.ui.widgets.empty_state import EmptyState
from tui_chat.ui.widgets.footer import StatusFooter
from tui_chat.ui.widgets.row import styled
from tui_chat.ui.widgets.sidebar import Sidebar

LEAST_COLUMN = 29
"""Cells of a column; see `transcript/look.py`, which is not loaded before there is a turn."""

_METER_S = 0.1
_DOUBLE_S = 0.4
_ALL_S = 1.0
"""Within this time after a stop another one stops every answer of the conversation."""


@record
class Start:
    """What the command line asked for; by default a new conversation with the catalog's first model."""

    model: Model | None = None
    conversation_id: str | None = None


class ChatScreen(Screen[None]):
    """The one screen of the program; everything else is a box over it."""

    AUTO_FOCUS = "#prompt"
    BLANK = True  # see widgets/covered.py
    _just_styled = False
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
        binding("compare.open", "compare", priority=True),
        binding("key.paste", "paste_key", priority=True),
        binding("usage.open", "show_usage", priority=True),
        binding("answer.again", "on_answer('answer_again')", "ctrl+r", priority=True),
        binding("prompt.editor", "on_answer('open_editor')", priority=True),
        binding("chat.params", "on_answer('set_params')", priority=True),
        binding("chat.elsewhere", "on_answer('show_elsewhere')", priority=True),
        binding("focus.toggle", "toggle_focus", priority=True),
        binding("focus.next", "step_focus(1)", priority=True),
        binding("focus.previous", "step_focus(-1)", priority=True),
        binding("cursor.up", "move_cursor(-1)", priority=True),
        binding("cursor.down", "move_cursor(1)", priority=True),
        binding("cursor.left", "on_answer('other_answer(-1)')", priority=True),
        binding("cursor.right", "on_answer('other_answer(1)')", priority=True),
        binding("app.help", "help", "f1", priority=True),
        binding("app.help", "help", "question_mark"),
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
        self._compositor = SparingCompositor()
        self._services, self._store = services, services.store
        self._streams, self._frames, self._glyphs, self._keys = streams, clock, glyphs, keys
        self._sessions = Sessions(services.store, services.chat, services.catalog, streams)
        opened = self._sessions.open(start.conversation_id) if start.conversation_id else None
        session = opened or self._sessions.new(start.model)
        if start.model is not None:
            session.model = start.model
        self._accounts = Accounts(services, glyphs)
        self._sidebar = Sidebar(glyphs, self._sessions.mark, self._accounts.of_conversation)
        self.pane = ConversationPane(services, self._sessions, streams, self._accounts, glyphs, keys, session)
        self.pane.chosen_by_hand = start.model is not None
        self._footer = StatusFooter()
        services.chat.on_settled = self._bill_came
        self.set_class(glyphs is ASCII, "ascii")
        self._asked_to_delete = ""
        self._reads_list = False
        self._picking = False
        """The list of models is open over it."""
        self._read_usage: Callable[[], None] | None = None
        """Has the usage screen read again, while it is open."""
        self._stopped_at_s = self._status_at_s = float("-inf")
        self._status_stale = True
        """Something else than figures changed since footer and sidebar were drawn."""

    def compose(self) -> ComposeResult:
        size = self.app.size
        for length, breakpoints in (
            (size.width, self.HORIZONTAL_BREAKPOINTS),
            (size.height, self.VERTICAL_BREAKPOINTS),
        ):  # Textual does this only after the first paint, and then styles everything again
            self.add_class(max(each for each in breakpoints if each[0] <= length)[1], update=False)
        with CoveredHorizontal():
            yield self._sidebar
            yield self.pane
        yield self._footer
        self._just_styled = True

    def update_node_styles(self, animate: bool = True) -> None:  # noqa: FBT001, FBT002  Textual's signature
        """Leave out what the first resume asks for: all was styled a moment ago, when it was mounted."""
        if self._just_styled:
            self._just_styled = False
        else:
            super().update_node_styles(animate)

    async def on_mount(self) -> None:
        self._refresh()
        await self.pane.show(self.pane.session, refocus=False)
        self.set_focus(self.pane.prompt)
        self._wait_for_midnight()

    def _wait_for_midnight(self) -> None:
        """Draw the totals again when another day begins: while nobody does anything, nothing else would."""
        self.set_timer(self._accounts.day_ends_in_s + 1, self._begin_day)

    def _begin_day(self) -> None:
        self._refresh()
        self._wait_for_midnight()

    def on_key(self, event: events.Key) -> None:
        """Keep what was typed before the prompt had the focus: nobody waits for a program to start.

        The prompt takes every printable key for itself, so one that gets here while it has the focus is such a key.
        """
        if self.focused is self.pane.prompt and (event.is_printable or event.key == "enter"):
            self.app.post_message(events.Key(event.key, event.character))
            event.stop()

    # frames

    def frame(self) -> None:
        """Take what is new into view; called by the frame clock."""
        if not self.is_mounted or not self.pane.is_mounted:
            return
        more = self.pane.frame()
        now_s = monotonic()
        if not self._streams or now_s - self._status_at_s >= _METER_S or self._status_stale:
            self._status_at_s, self._status_stale = now_s, False
            self._draw_status()
        if self._streams or more:
            self._frames.request(within_s=_METER_S)

    def on_delta(self, completion: Completion) -> None:
        """Something arrived for an answer: the first token paints at once, the rest when the clock allows."""
        if completion.text_log.position + completion.reasoning_log.position <= 1:
            self._frames.request_now()
        else:
            self._frames.request()

    def _request_status(self) -> None:
        """Ask for a frame that draws footer and sidebar too, not only what streams."""
        self._status_stale = True
        self._frames.request()

    def _make_room(self) -> None:
        """Give answers side by side the whole width; the sidebar's too where they would be too narrow beside it."""
        count, width = self.pane.columns, self.size.width - 1
        beside = (
            0
            if self._sidebar.has_class("over")
            else int(self._sidebar.styles.width.value if self._sidebar.styles.width else 0)
        )
        crowded = count > 1 and width // count >= LEAST_COLUMN > (width - beside) // count
        self.set_class(count > 1, "-columns")
        self.set_class(crowded, "-crowded")

    def _draw_status(self) -> None:
        self._make_room()
        pane, session, view = self.pane, self.pane.session, self.pane.view
        running = [r.completion for r in self._streams.all]
        here = [r.completion for r in self._streams.in_conversation(session.conversation.id)]
        blind = view is not None and pane.comparing.blind
        situation = Situation(
            self._place(),
            bool(self._sessions.running(session)),
            pane.cursor,
            has_text=bool(pane.prompt.text.strip()),
            editing=session.editing is not None,
            has_code=view is not None and view.has_code,
            branches=view is not None and len(view.turn.siblings) > 1,
            answers=view is not None and len(view.turn.completions) > 1,
            columns=view is not None and pane.comparing.beside,
            earlier=view is not None and not pane.comparing.at_the_end,
            blind=blind,
        )
        today = self._accounts.today(running)
        note = styled("no key needed: play money" if session.model.scripted else "", "$fg2")
        figures = footer_figures(
            pane.cursor,
            running,
            self._accounts.chat(here),
            None if self._sidebar.display and not self._small else today,
            self._glyphs,
            None if session.path else note,
            blind=blind,
        )
        self._footer.show(footer_keys(situation, self._keys), figures)
        self._sidebar.spending.show(
            today, self._accounts.month(running), empty=pane.newcomer, caps=self._accounts.caps(running)
        )
        self._sidebar.list.redraw_marks()

    @property
    def _small(self) -> bool:
        """The sidebar is hidden, or an overlay."""
        return self.has_class("-narrow") or self.has_class("-tiny") or self.has_class("-crowded")

    def _place(self) -> str:
        if self._picking:
            return "models"
        above = self.pane.list
        places: dict[Widget | None, str] = {
            above: ("row" if self.pane.empty.on_action else "empty") if above is self.pane.empty else "transcript",
            self._sidebar.list: "conversations",
            self._sidebar.filter: "filter",
        }
        return places.get(self.focused, "prompt")

    @on(ConversationPane.Changed)
    def _changed(self, event: ConversationPane.Changed) -> None:
        event.stop()
        if event.conversations:
            self._refresh()
        self._request_status()

    async def answer_ended(self, event: Streams.Finished) -> None:
        """An answer of any conversation ended."""
        await self.pane.answer_ended(event)
        if self._read_usage is not None:
            self._read_usage()
        self._guard(lambda: self._accounts.read(self.pane.session))  # else its cost is in no total for a moment
        self._status_stale = True
        self._frames.request_now()

    def _bill_came(self, completion: Completion) -> None:
        """A provider said late what an answer cost."""
        self.pane.bill_came(completion)
        if self._read_usage is not None:
            self._read_usage()

    def _refresh(self) -> None:
        """Read conversations and totals again."""
        self._guard(self._read)

    def _read(self) -> None:
        if not self._follow_list() and not self._reads_list:
            self._reads_list = True
            self.run_worker(self._read_list(), group="conversations")
        self.pane.newcomer = not self._sidebar.list.listing
        self._accounts.read(self.pane.session)
        if not self.pane.session.path:
            self.pane.show_empty()

    def _follow_list(self) -> bool:
        return self._sidebar.follow(self._store, self.pane.session.conversation.id)

    async def _read_list(self) -> None:
        """Read a long list of conversations beside the screen, then what changed meanwhile."""
        try:
            listing = await asyncio.to_thread(self._store.conversations)
        except ChatError as failed:
            self.pane.say(failed.message)
            return
        finally:
            self._reads_list = False
        self._sidebar.show(listing)
        self._guard(self._follow_list)

    def _guard(self, action: Callable[[], object]) -> None:
        try:
            action()
        except ChatError as failed:
            self.pane.say(failed.message)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        if event.widget not in (self._sidebar.list, self._sidebar.filter):
            self._sidebar.clear_filter()
        self.pane.mark_focus(event.widget)
        self._request_status()

    def on_resize(self) -> None:
        self._request_status()

    # conversations

    async def _open(self, conversation_id: str) -> None:
        if conversation_id == self.pane.session.conversation.id:
            self.set_focus(self.pane.prompt)
            return
        session = self._sessions.open(conversation_id)
        if session is None:
            self.pane.say("That conversation is gone.")
            self._refresh()
        else:
            await self.pane.show(session)

    @on(ConversationList.Chosen)
    async def _conversation_chosen(self, event: ConversationList.Chosen) -> None:
        event.stop()
        self._sidebar.clear_filter()
        self._sidebar.remove_class("over")
        await self._open(event.conversation_id)

    @on(ConversationList.Deleted)
    async def _conversation_deleted(self, event: ConversationList.Deleted) -> None:
        event.stop()
        if self._streams.in_conversation(event.row.id):
            self.pane.say("An answer is still running there; stop it first.")
            return
        if self._asked_to_delete != event.row.id:
            self._asked_to_delete = event.row.id
            self.pane.say(f"Delete “{one_line(event.row.title, 40)}” for good? Once more deletes it.")
            self.set_timer(5, self._forget_delete)
            return
        self._forget_delete()
        try:
            await asyncio.wrap_future(self._sessions.delete(event.row.id))
        except ChatError as failed:
            self.pane.say(failed.message)
            return
        self.pane.say("Deleted. What it cost stays counted.")
        if event.row.id == self.pane.session.conversation.id:
            await self.pane.show(self._sessions.new(self.pane.session.model), refocus=False)
        self._refresh()
        self._request_status()

    def _forget_delete(self) -> None:
        self._asked_to_delete = ""

    async def action_new_chat(self) -> None:
        await self.pane.drafting.typed_out()
        await self.pane.show(self._sessions.new(self.pane.session.model))
        self.run_worker(self.look_around(), group="local", exclusive=True, exit_on_error=False)

    def action_show_chats(self) -> None:
        """Show the sidebar where it is hidden, and go to it; from there, back."""
        if self._place() in ("conversations", "filter"):
            self._leave_sidebar()
            return
        if self._small:
            self._sidebar.add_class("over")
        self.set_focus(self._sidebar.list)

    def _leave_sidebar(self) -> None:
        self._sidebar.clear_filter()
        self._sidebar.remove_class("over")
        self.set_focus(self.pane.prompt)

    # keys that work everywhere

    async def action_cancel(self) -> None:
        """Close the topmost thing; only then stop the answer under the cursor."""
        if self._sidebar.has_class("over") or self._place() in ("conversations", "filter"):
            self._leave_sidebar()
        elif self.selections:
            self.clear_selection()
        elif self.pane.unzoom():
            return
        elif (monotonic() - self._stopped_at_s < _ALL_S and self.pane.stop_all()) or self.pane.stop():
            self._stopped_at_s = monotonic()
        elif monotonic() - self._stopped_at_s > _DOUBLE_S:  # a second Esc out of habit must not undo what the first did
            self.pane.close_topmost()

    async def action_stop_or_clear(self) -> None:
        """Copy a selection, else stop, else clear the prompt, else say how to quit."""
        await self.pane.drafting.typed_out()
        prompt = self.pane.prompt
        selected = prompt.selected_text if prompt.has_focus else self.get_selected_text()
        if selected:
            self.pane.copy(selected)
        elif monotonic() - self._stopped_at_s < _ALL_S and self.pane.stop_all():
            return
        elif self.pane.stop():
            self._stopped_at_s = monotonic()
        elif prompt.text:
            prompt.action_select_all()
            prompt.replace("", *prompt.selection)  # ctrl+z brings it back
            if self.pane.session.editing is not None:
                self.pane.close_topmost()
        else:
            self.pane.say("^q quits")

    async def action_on_answer(self, action: str) -> None:
        """Run an action of the conversation in view, wherever the focus is."""
        await self.app.run_action(action, self.pane)

    def action_move_cursor(self, step: int) -> None:
        if self.pane.view is not None:
            self.pane.transcript.move_cursor(step)

    def action_toggle_focus(self) -> None:
        stop = self.pane.list
        self.set_focus(self.pane.prompt if stop.has_focus else stop)

    def action_step_focus(self, step: int) -> None:
        """Tab: prompt, transcript, conversations."""
        stops: list[Widget] = [self.pane.prompt, self.pane.list]
        if not self._small:
            stops.append(self._sidebar.list)
        at = next((i for i, widget in enumerate(stops) if widget.has_focus), 0)
        self.set_focus(stops[(at + step) % len(stops)])

    async def look_around(self) -> None:
        """Look for servers on this machine, while somebody who never asked anything looks at what there is."""
        if self.pane.newcomer and self.pane.empty.display and await self._services.lists.find_local():
            self.pane.show_found()

    def lists_changed(self) -> None:
        """A provider's list came: names and prices may be others."""
        self.pane.show_found()

    # boxes over the chat

    @on(EmptyState.Opened)
    async def _row_opened(self, event: EmptyState.Opened) -> None:
        event.stop()
        if event.binding_id == "key.paste":
            await self.action_paste_key(event.pasted)
        else:
            await self.action_compare()

    async def action_paste_key(self, pasted: str = "") -> None:
        """Ask for a key, for the provider that lacks one or refused it where there is such a one."""
        from tui_chat.ui.screens.key_box import KeyBox, KeyKept

        def kept(key: KeyKept | None) -> None:
            if key is not None:
                self.pane.take_key(key.provider, key.words)

        await self.app.push_screen(KeyBox(self._services.keys, self.pane.key_wanted, self._glyphs, pasted), kept)

    async def action_show_usage(self) -> None:
        from tui_chat.core.usage_report import own_currency
        from tui_chat.ui.screens.usage import UsageScreen

        focused, settings = self.focused, self._services.settings
        self.set_focus(None)  # the list of conversations stays in view, and takes no keys
        usage = UsageScreen(
            self._services.usage,
            self._services.clock,
            self._glyphs,
            own_currency(settings),
            budgets=self._services.chat.budgets,
            beside=self._sidebar.display and not self._small,
        )

        def closed(_: None) -> None:
            self._read_usage = None
            self.set_focus(focused)

        self._read_usage = usage.read
        await self.app.push_screen(usage, closed)

    async def action_help(self) -> None:
        from tui_chat.ui.screens.help import HelpScreen

        await self.app.push_screen(HelpScreen(self._keys))

    async def action_pick_model(self) -> None:
        await self._pick_models(comparing=bool(self.pane.session.others))

    @on(ConversationPane.ModelsWanted)
    async def _models_wanted(self, event: ConversationPane.ModelsWanted) -> None:
        event.stop()
        await self._pick_models(comparing=True, adding=True)

    async def action_compare(self) -> None:
        """Choose several models for the next prompt, beginning with those of the last time."""
        await self._pick_models(comparing=True)

    async def _pick_models(self, *, comparing: bool, adding: bool = False) -> None:
        """Let the user choose who is asked: next, or with `adding` also what was asked already."""
        from tui_chat.ui.screens.model_picker import ModelPicker

        session, focused = self.pane.session, self.focused

        def picked(models: list[Model] | None) -> None:
            self._picking = False
            self.set_focus(focused)
            self._request_status()
            unusable = next((model for model in models or () if model.missing is not None), None)
            if unusable is not None:
                self._offer_key(unusable)
            elif models and adding:
                self.call_later(self.pane.comparing.add, models)
            elif models:
                self.pane.use_models(models)

        chosen = [] if adding else [session.model, *session.others]
        if comparing and len(chosen) == 1:
            chosen = list(self._services.catalog.compare_models()) or chosen
        picker = ModelPicker(
            self._services, chosen, self._glyphs, self._keys, like=session.last_usage, comparing=comparing
        )
        self._picking = True
        self.set_focus(None)  # what stands around the box shows neither caret nor bar: the keys go to the box
        self._request_status()
        await self.app.push_screen(picker, picked)

    def _offer_key(self, model: Model) -> None:
        """Ask for the key that a model lacks, and use the model then; say what else it lacks."""
        if not model.needs:
            self.pane.say(f"{model.name}: {model.missing}")
            return
        from tui_chat.ui.screens.key_box import KeyBox, KeyKept

        def kept(key: KeyKept | None) -> None:
            if key is not None:
                self.pane.take_key(key.provider, key.words)
                now = self._services.catalog.resolve(model.name)
                if now.missing is None:
                    self.pane.use_models([now])

        _ = self.app.push_screen(KeyBox(self._services.keys, model.provider, self._glyphs), kept)
