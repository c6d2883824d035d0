"""Answers side by side: which one goes on, which are put away, and what they say of one another.

Everything acts on the answer under the transcript's cursor.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from tui_chat.core.columns import Column, columns_of, mates_of
from tui_chat.core.completion import Completion
from tui_chat.core.context import joined_text
from tui_chat.core.conversation import Turn
from tui_chat.core.errors import ChatError
from tui_chat.core.keymap import letter_of
from tui_chat.core.model import Model
from tui_chat.core.services import Services
from tui_chat.ui.sessions import Session, Sessions
from tui_chat.ui.streams import Streams
from tui_chat.ui.theme import Glyphs

if TYPE_CHECKING:
    from textual.app import App

    from tui_chat.ui.widgets.transcript.widget import Transcript

_ALONE = "There is one answer here; + asks another model."
KEEP_STOPS = "keep_stops"
"""The name of the choice that is remembered: whether keeping one answer stops the others."""


class Stage(Protocol):
    """The conversation in view."""

    session: Session

    @property
    def transcript(self) -> "Transcript": ...

    @property
    def app(self) -> "App[object]": ...

    def say(self, words: str, for_s: float = 4) -> None: ...

    def copy(self, words: str) -> None: ...

    def ask_for_models(self) -> None:
        """Let the user choose further models for the prompt under the cursor."""
        ...

    def models_changed(self) -> None:
        """Others are asked next."""
        ...

    def conversation_moved(self) -> None:
        """Something was asked: the conversation comes first in the list."""
        ...


class Comparing:
    """What can be done with several answers to one prompt."""

    def __init__(
        self,
        stage: Stage,
        sessions: Sessions,
        streams: Streams,
        services: Services,
        glyphs: Glyphs,
        keys: dict[str, str],
    ) -> None:
        self.stage, self._sessions, self._streams = stage, sessions, streams
        self._store, self._catalog, self._settings = services.store, services.catalog, services.settings
        self._glyphs, self._keys = glyphs, keys
        self._before: Completion | None = None
        """The answer that the cursor came from, for the difference."""

    def do(self, what: str) -> None:
        """Do what a key of `ACTIONS` says."""
        ACTIONS[what](self)

    @property
    def here(self) -> list[Column]:
        """The answers that stand side by side around the cursor; none where one has all the room."""
        row = self.stage.transcript.row
        return row.columns if row is not None else []

    @property
    def columns(self) -> list[Column]:
        """As many answers as there are to the prompt under the cursor, also while one is zoomed."""
        row = self.stage.transcript.row
        return columns_of(row.turn, everything=row.opened) if row is not None else []

    @property
    def beside(self) -> bool:
        """The answer under the cursor is one of several that are compared, also while it has all the room."""
        row = self.stage.transcript.row
        return row is not None and bool(row.columns or row.zoomed)

    @property
    def _column(self) -> Column | None:
        row = self.stage.transcript.row
        shown = row.shown if row is not None else None
        return next((column for column in self.columns if column.completion is shown), None)

    @property
    def at_the_end(self) -> bool:
        """The cursor is in the last prompt, where what is chosen says how the chat goes on."""
        row, path = self.stage.transcript.row, self.stage.session.path
        return row is not None and bool(path) and row.turn in mates_of(path[-1])

    # going from one to the other

    def move(self, step: int) -> bool:
        """Go to the next column; False where there are none."""
        transcript = self.stage.transcript
        row = transcript.row
        if row is not None and row.zoomed:
            self._zoom_other(step)
            return True
        if not self.here:
            return False
        before = row.shown if row is not None else None
        completion = transcript.move_column(step)
        if completion is not None:
            self._before = before
            self.chosen(completion)
        return True

    def _zoom_other(self, step: int) -> None:
        """Give all the room to the answer beside the one that has it."""
        column, columns = self._column, self.columns
        at = columns.index(column) + step if column is not None else -1
        if column is None or not 0 <= at < len(columns):
            return
        other, self._before = columns[at], column.completion
        if self.at_the_end:
            self.chosen(other.completion)
        else:
            self.stage.transcript.show_answer(other.turn, other.completion)

    def chosen(self, completion: Completion) -> None:
        """The cursor stands on another column: the next prompt goes on from it."""
        column = next((each for each in self.columns if each.completion is completion), None)
        if column is not None and self.at_the_end:
            self._sessions.choose(self.stage.session, column.turn, completion)
            self._arrange(completion)

    def _arrange(self, completion: Completion | None, *, afresh: bool = False) -> None:
        session = self.stage.session
        if session.path:
            row = self.stage.transcript.row
            turn = session.path[-1] if self.at_the_end or row is None else row.turn
            self.stage.transcript.show_anew(session.path, turn, completion, afresh=afresh)

    def zoom(self) -> bool:
        """Give the answer under the cursor all the room, or show all of them again."""
        transcript = self.stage.transcript
        row = transcript.row
        if row is None:
            return False
        if row.zoomed:
            return transcript.zoom(on=False)
        if transcript.fold() or transcript.zoom(on=True):
            return True
        if not self.at_the_end and transcript.spread():
            return True
        if self.at_the_end and self._sessions.bring_back(self.stage.session):
            self._arrange(row.shown)
            self.stage.models_changed()
            return True
        self.stage.say(_ALONE)
        return False

    def unzoom(self) -> bool:
        """Show all columns again; False where none has all the room."""
        transcript = self.stage.transcript
        return transcript.zoom(on=False) or transcript.fold()

    def scroll_apart(self) -> None:
        """Let the columns scroll each by itself, or together again."""
        apart = self.stage.transcript.scroll_apart()
        if apart is None:
            self.stage.say("Only answers side by side can scroll apart.")
        else:
            self.stage.say("Each column scrolls by itself: ↑ ↓." if apart else "The columns scroll together.")

    # one goes on

    def keep(self) -> None:
        """Go on with the answer under the cursor alone; asks once whether the others are to be stopped."""
        column, columns = self._column, self.columns
        if column is None or len(columns) < 2 or not self.at_the_end:
            return
        others = [each for each in columns if each.completion is not column.completion]
        running = [each.completion for each in others if each.completion.running]
        self._sessions.choose(self.stage.session, column.turn, column.completion)
        self._put_away(others, column.completion)
        session = self.stage.session
        session.model, session.others = self._sessions.known(column.completion.model), ()
        self.stage.models_changed()
        undo = self._key("compare.undo")
        self.stage.say(f"The chat goes on with {column.completion.model.short_name}; {undo} brings the others back.")
        if running:
            setting = self._settings.keep_stops
            choice = self._remembered() if setting == "ask" else setting
            if choice == "stop":
                self._stop(running)
            elif choice == "ask":
                self._ask_to_stop(running)

    def _remembered(self) -> str:
        try:
            return self._store.choice(KEEP_STOPS) or "ask"
        except ChatError:
            return "ask"

    def _ask_to_stop(self, running: list[Completion]) -> None:
        from tui_chat.ui.screens.ask_box import stop_others_box

        def closed(stops: bool | None) -> None:  # noqa: FBT001  Textual's signature
            self._answered(running, stops=bool(stops))

        _ = self.stage.app.push_screen(stop_others_box(len(running)), closed)

    def _answered(self, running: list[Completion], *, stops: bool) -> None:
        self._store.save_choice(KEEP_STOPS, "stop" if stops else "leave")
        if stops:
            self._stop(running)

    def _stop(self, running: list[Completion]) -> None:
        for completion in running:
            self._streams.cancel(completion)

    def _put_away(self, columns: list[Column], stays: Completion) -> None:
        self._sessions.put_away(self.stage.session, columns)
        self._arrange(stays)

    def hide(self) -> None:
        """Put the column under the cursor away; it is asked no more."""
        column, columns = self._column, self.columns
        if column is None or len(columns) < 2:
            self.stage.say(_ALONE)
            return
        if not self.at_the_end:
            self.stage.say(f"Only answers to the last prompt are hidden; {self._key('compare.zoom')} closes these.")
            return
        name = self._name(column.completion)
        at = columns.index(column)
        stays = columns[at + 1 if at + 1 < len(columns) else at - 1]
        session = self.stage.session
        self._sessions.put_away(session, [column])
        asked = [model for model in session.asked if model.name != column.completion.model.name]
        if asked:
            session.model, session.others = asked[0], tuple(asked[1:])
        self._sessions.choose(session, stays.turn, stays.completion)
        self._arrange(stays.completion)
        self.stage.models_changed()
        runs = " It runs on." if column.completion.running else ""
        self.stage.say(f"{name} is out of view; {self._key('compare.undo')} brings it back.{runs}")

    def _key(self, binding_id: str) -> str:
        return letter_of(binding_id, self._keys)

    def _name(self, completion: Completion) -> str:
        """What an answer is called in words to the user."""
        row = self.stage.transcript.row
        alias = row.aliases.get(completion.id) if row is not None else None
        return alias or completion.model.short_name

    def undo(self) -> None:
        """Bring back what was put away last."""
        row = self.stage.transcript.row
        if row is not None and not self.at_the_end:
            self.stage.say(f"{self._key('compare.zoom')} shows all answers to an earlier prompt.")
            return
        if not self._sessions.bring_back(self.stage.session):
            self.stage.say("Nothing is hidden here.")
            return
        if row is not None:
            row.zoomed = False
        self._arrange(row.shown if row is not None else None)
        self.stage.models_changed()

    # what they say of one another

    @property
    def blind(self) -> bool:
        """Names and prices around the cursor are out of view."""
        row = self.stage.transcript.row
        return row is not None and row.turn.blind

    def pair(self) -> tuple[Turn, Completion, Turn, Completion] | None:
        """The answer under the cursor and the one it is held against: the one before under the cursor, else the next.

        `None` where there is one answer.
        """
        column, columns = self._column, self.columns
        if column is None or len(columns) < 2:
            return None
        here = column.completion
        before = next((each for each in columns if each.completion is self._before is not here), None)
        at = columns.index(column)
        other = before or columns[at + 1 if at + 1 < len(columns) else at - 1]
        left, right = sorted((column, other), key=columns.index)
        return left.turn, left.completion, right.turn, right.completion

    def _aliases(self, left: Completion, right: Completion) -> tuple[str, str] | None:
        """What two answers are called while names are out of view; `None` where they are not."""
        row = self.stage.transcript.row
        named = row.aliases if row is not None else {}
        return (named[left.id], named[right.id]) if left.id in named and right.id in named else None

    def show_difference(self) -> None:
        """Hold two of several answers against each other."""
        pair = self.pair()
        if pair is None:
            self.stage.say(_ALONE)
            return
        from tui_chat.ui.screens.difference_box import DifferenceBox

        left_turn, left, right_turn, right = pair
        texts, aliases = (joined_text(left_turn, left), joined_text(right_turn, right)), self._aliases(left, right)
        box = DifferenceBox(left, right, *texts, self._glyphs, self.stage.copy, aliases)
        _ = self.stage.app.push_screen(box)

    def copy_table(self) -> None:
        """Copy the table of all answers to one prompt as markdown."""
        row = self.stage.transcript.row
        comparison = row.comparison if row is not None else None
        if comparison is None:
            self.stage.say("There is no table: one answer stands alone, and blind ones wait for a vote.")
            return
        from tui_chat.core.comparison import as_markdown

        self.stage.copy(as_markdown(comparison))

    def toggle_blind(self) -> None:
        """Keep names and prices of what is asked next out of view until there is a vote, or no more."""
        session = self.stage.session
        row = self.stage.transcript.row if session.path else None
        shown = row is not None and row.turn.blind
        if row is not None and shown:
            self._sessions.reveal(row.turn)
            self._arrange(row.shown, afresh=True)
        session.blind = not (session.blind or shown)
        vote = self._key("compare.vote")
        told = f"The next prompt to several models is blind: {vote} votes for the best answer, then names are shown."
        self.stage.say(told if session.blind else "Names and prices are shown, without a vote.")
        self.stage.models_changed()

    def vote(self, *, tie: bool = False) -> None:
        """Say that the answer under the cursor is the best, or that none is, and show names and prices."""
        column, columns = self._column, self.columns
        if column is None or not self.blind:
            self.stage.say(f"Votes are for blind answers; {self._key('compare.blind')} makes the next ones blind.")
        elif len(columns) < 2:
            undo, show = self._key("compare.undo"), self._key("compare.blind")
            self.stage.say(f"One answer wins over none: {undo} brings back the others, {show} shows the names.")
        elif not tie and not column.completion.text.strip():
            self.stage.say("There is nothing here to vote for.")
        elif any(each.completion.running for each in columns):
            self.stage.say("Wait until every answer has ended.")
        else:
            self._sessions.vote(column.turn, None if tie else column.completion)
            self._arrange(column.completion, afresh=True)
            voted = "A tie" if tie else f"A vote for {column.completion.model.short_name}"
            self.stage.say(f"{voted}. {self._key('usage.open')} shows how all models stand.")

    # more of them

    def add(self, models: Sequence[Model]) -> None:
        """Ask further models the prompt under the cursor, beside those that answered it."""
        session, transcript, row = self.stage.session, self.stage.transcript, self.stage.transcript.row
        answer = row.answer if row is not None else None
        if answer is None:
            return
        turn, at_the_end = answer.turn, self.at_the_end
        homes = {column.completion.model.name: column.turn for column in columns_of(turn, everything=True)}
        for model in models:
            completion = self._sessions.again(session, homes.get(model.name, turn), model, beside=True)
            if at_the_end and model.name not in {each.name for each in session.asked}:
                session.others = (*session.others, model)
            transcript.show_anew(session.path, turn, completion)
            transcript.spread()
        if at_the_end:
            transcript.follow()
        self.stage.conversation_moved()


ACTIONS: dict[str, Callable[[Comparing], object]] = {
    "hide": Comparing.hide,
    "undo": Comparing.undo,
    "add": lambda comparing: comparing.stage.ask_for_models(),
    "zoom": Comparing.zoom,
    "scroll_apart": Comparing.scroll_apart,
    "difference": Comparing.show_difference,
    "copy_table": Comparing.copy_table,
    "toggle_blind": Comparing.toggle_blind,
    "vote": Comparing.vote,
    "tie": lambda comparing: comparing.vote(tie=True),
}
"""What the keys can do, by the name in their binding."""
