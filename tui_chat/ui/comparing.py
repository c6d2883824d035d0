"""Answers side by side: which one goes on, which are put away, and what they say of one another.

It decides and writes; the pane that owns it shows. Everything acts on the answer under the transcript's cursor.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from tui_chat.core.columns import Column, columns_of, mates_of
from tui_chat.core.completion import Completion
from tui_chat.core.conversation import Turn
from tui_chat.core.errors import ChatError
from tui_chat.core.keymap import letter_of
from tui_chat.core.model import Model
from tui_chat.core.ports import ModelCatalog, Store
from tui_chat.core.settings import UISettings
from tui_chat.ui.sessions import Session, Sessions
from tui_chat.ui.streams import Streams

if TYPE_CHECKING:
    from tui_chat.ui.widgets.transcript.widget import Transcript

KEEP_STOPS = "keep_stops"
"""The name of the choice that is remembered: whether keeping one answer stops the others."""


class Stage(Protocol):
    """The conversation in view."""

    session: Session

    @property
    def transcript(self) -> "Transcript": ...

    def say(self, words: str, for_s: float = 4) -> None: ...

    def models_changed(self) -> None:
        """Others are asked next."""
        ...


class Comparing:
    """What can be done with several answers to one prompt."""

    def __init__(
        self,
        stage: Stage,
        sessions: Sessions,
        streams: Streams,
        store: Store,
        catalog: ModelCatalog,
        settings: UISettings,
        keys: dict[str, str],
    ) -> None:
        self._stage, self._sessions, self._streams = stage, sessions, streams
        self._store, self._catalog, self._settings, self._keys = store, catalog, settings, keys
        self._before: Completion | None = None
        """The answer that the cursor came from, for the difference."""

    @property
    def here(self) -> list[Column]:
        """The answers that stand side by side around the cursor; none where one has all the room."""
        row = self._stage.transcript.row
        return row.columns if row is not None else []

    @property
    def _columns(self) -> list[Column]:
        """As many answers as there are to the prompt under the cursor, also while one is zoomed."""
        row = self._stage.transcript.row
        return columns_of(row.turn, everything=row.opened) if row is not None else []

    @property
    def _column(self) -> Column | None:
        row = self._stage.transcript.row
        shown = row.shown if row is not None else None
        return next((column for column in self._columns if column.completion is shown), None)

    @property
    def _at_the_end(self) -> bool:
        """The cursor is in the last prompt, where what is chosen says how the chat goes on."""
        row, path = self._stage.transcript.row, self._stage.session.path
        return row is not None and bool(path) and row.turn in mates_of(path[-1])

    # going from one to the other

    def move(self, step: int) -> bool:
        """Go to the next column; False where there are none."""
        transcript = self._stage.transcript
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
        column, columns = self._column, self._columns
        at = columns.index(column) + step if column is not None else -1
        if column is None or not 0 <= at < len(columns):
            return
        other, self._before = columns[at], column.completion
        if self._at_the_end:
            self.chosen(other.completion)
        else:
            self._stage.transcript.show_answer(other.turn, other.completion)

    def chosen(self, completion: Completion) -> None:
        """The cursor stands on another column: the next prompt goes on from it."""
        column = next((each for each in self._columns if each.completion is completion), None)
        if column is not None and self._at_the_end:
            self._sessions.choose(self._stage.session, column.turn, completion)
            self._arrange(completion)

    def _arrange(self, completion: Completion | None) -> None:
        session = self._stage.session
        if session.path:
            row = self._stage.transcript.row
            turn = session.path[-1] if self._at_the_end or row is None else row.turn
            self._stage.transcript.show_anew(session.path, turn, completion)

    def zoom(self) -> bool:
        """Give the answer under the cursor all the room, or show all of them again."""
        transcript = self._stage.transcript
        row = transcript.row
        if row is None:
            return False
        if row.zoomed:
            return transcript.zoom(on=False)
        if transcript.fold() or transcript.zoom(on=True):
            return True
        if not self._at_the_end and transcript.spread():
            return True
        if self._at_the_end and self._sessions.bring_back(self._stage.session):
            self._arrange(row.shown)
            self._stage.models_changed()
            return True
        self._stage.say("There is one answer here; + asks another model.")
        return False

    def unzoom(self) -> bool:
        """Show all columns again; False where none has all the room."""
        transcript = self._stage.transcript
        return transcript.zoom(on=False) or transcript.fold()

    def scroll_apart(self) -> None:
        """Let the columns scroll each by itself, or together again."""
        apart = self._stage.transcript.scroll_apart()
        if apart is None:
            self._stage.say("Only answers side by side can scroll apart.")
        else:
            self._stage.say("Each column scrolls by itself: ↑ ↓." if apart else "The columns scroll together.")

    # one goes on

    def keep(self, ask: Callable[[int, Callable[[bool], None]], None]) -> bool:
        """Go on with the answer under the cursor alone; False where it stands alone already.

        `ask` is called where the user has to say whether the others, so many of which run, are to be stopped.
        """
        column, columns = self._column, self._columns
        if column is None or len(columns) < 2 or not self._at_the_end:
            return False
        others = [each for each in columns if each.completion is not column.completion]
        running = [each.completion for each in others if each.completion.running]
        self._sessions.choose(self._stage.session, column.turn, column.completion)
        self._put_away(others, column.completion)
        session = self._stage.session
        session.model, session.others = self._known(column.completion.model), ()
        self._stage.models_changed()
        undo = letter_of("compare.undo", self._keys)
        self._stage.say(f"The chat goes on with {column.completion.model.short_name}; {undo} brings the others back.")
        if running:
            setting = self._settings.keep_stops
            choice = self._remembered() if setting == "ask" else setting
            if choice == "stop":
                self._stop(running)
            elif choice == "ask":
                ask(len(running), lambda stops: self._answered(running, stops=stops))
        return True

    def _known(self, model: Model) -> Model:
        """Return a model as the catalog has it now: one from the history has neither price nor parameters."""
        try:
            return self._catalog.resolve(model.name)
        except ChatError:
            return model

    def _remembered(self) -> str:
        try:
            return self._store.choice(KEEP_STOPS) or "ask"
        except ChatError:
            return "ask"

    def _answered(self, running: list[Completion], *, stops: bool) -> None:
        self._store.save_choice(KEEP_STOPS, "stop" if stops else "leave")
        if stops:
            self._stop(running)

    def _stop(self, running: list[Completion]) -> None:
        for completion in running:
            self._streams.cancel(completion)

    def _put_away(self, columns: list[Column], stays: Completion) -> None:
        self._sessions.put_away(self._stage.session, columns)
        self._arrange(stays)

    def hide(self) -> None:
        """Put the column under the cursor away; it is asked no more."""
        column, columns = self._column, self._columns
        if column is None or len(columns) < 2:
            self._stage.say("There is one answer here.")
            return
        at = columns.index(column)
        stays = columns[at + 1 if at + 1 < len(columns) else at - 1]
        session = self._stage.session
        self._sessions.put_away(session, [column])
        if self._at_the_end:
            asked = [model for model in session.asked if model.name != column.completion.model.name]
            if asked:
                session.model, session.others = asked[0], tuple(asked[1:])
            self._sessions.choose(session, stays.turn, stays.completion)
        self._arrange(stays.completion)
        self._stage.models_changed()
        undo = letter_of("compare.undo", self._keys)
        runs = " It runs on." if column.completion.running else ""
        self._stage.say(f"{column.completion.model.short_name} is out of view; {undo} brings it back.{runs}")

    def undo(self) -> None:
        """Bring back what was put away last."""
        row = self._stage.transcript.row
        if not self._sessions.bring_back(self._stage.session):
            self._stage.say("Nothing is hidden here.")
            return
        if row is not None:
            row.zoomed = False
        self._arrange(row.shown if row is not None else None)
        self._stage.models_changed()

    # what they say of one another

    @property
    def blind(self) -> bool:
        """Names and prices around the cursor are out of view."""
        row = self._stage.transcript.row
        return row is not None and row.turn.blind

    def pair(self) -> tuple[Turn, Completion, Turn, Completion] | None:
        """The answer under the cursor and the one it is held against: the one before under the cursor, else the next.

        `None` where there is one answer.
        """
        column, columns = self._column, self._columns
        if column is None or len(columns) < 2:
            return None
        here = column.completion
        before = next((each for each in columns if each.completion is self._before is not here), None)
        at = columns.index(column)
        other = before or columns[at + 1 if at + 1 < len(columns) else at - 1]
        left, right = sorted((column, other), key=columns.index)
        return left.turn, left.completion, right.turn, right.completion

    def aliases(self, left: Completion, right: Completion) -> tuple[str, str] | None:
        """What two answers are called while names are out of view; `None` where they are not."""
        row = self._stage.transcript.row
        named = row.aliases if row is not None else {}
        return (named[left.id], named[right.id]) if left.id in named and right.id in named else None

    def table(self) -> str | None:
        """The table of all answers to the prompt as markdown; `None` where there is one, or names are hidden."""
        row = self._stage.transcript.row
        comparison = row.comparison if row is not None else None
        if comparison is None:
            return None
        from tui_chat.core.comparison import as_markdown

        return as_markdown(comparison)

    def toggle_blind(self) -> None:
        """Keep names and prices of what is asked next out of view until there is a vote, or no more."""
        session = self._stage.session
        session.blind = not session.blind
        vote = letter_of("compare.vote", self._keys)
        told = f"The next prompt to several models is blind: {vote} votes for the best answer, then names are shown."
        self._stage.say(told if session.blind else "Names and prices are shown.")
        self._stage.models_changed()

    def vote(self, *, tie: bool = False) -> None:
        """Say that the answer under the cursor is the best, or that none is, and show names and prices."""
        column, columns = self._column, self._columns
        if column is None or len(columns) < 2 or not self.blind:
            self._stage.say(
                f"Votes are for blind answers; {letter_of('compare.blind', self._keys)} makes the next ones blind."
            )
        elif any(each.completion.running for each in columns):
            self._stage.say("Wait until every answer has ended.")
        else:
            self._sessions.vote(column.turn, None if tie else column.completion)
            self._arrange(column.completion)
            named = "a tie" if tie else column.completion.model.short_name
            self._stage.say(f"Kept: {named}. The standing of all models is on the usage screen.")
