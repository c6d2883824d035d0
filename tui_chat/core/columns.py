"""A prompt that several models answer: which answers stand side by side, and which of them a next prompt goes on from.

All of it is derived from the turns, so that a comparison looks the same after a restart: one column for each model, of
one turn or of the turns that were born of one prompt, the hidden ones left out.
"""

from collections.abc import Iterable, Sequence

from tui_chat.core.completion import Completion
from tui_chat.core.conversation import Turn, has_answered
from tui_chat.core.model import Model
from tui_chat.core.record import record


@record
class Column:
    """One model's answer among others to the same prompt."""

    turn: Turn
    completion: Completion
    """The one in view: what the user chose of this model's answers, else its newest."""

    @property
    def tries(self) -> list[Completion]:
        """Every answer of this model to the prompt."""
        return [each for each in self.turn.completions if each.model.name == self.completion.model.name]

    @property
    def continued(self) -> Completion:
        """The answer that a next prompt to its model goes on from: that in view, else its newest one with text."""
        here = self.completion
        if here.discarded or has_answered(here):
            return here
        return next(filter(has_answered, reversed(self.tries)), here)


@record
class Tip:
    """What a next prompt goes on from, and the models that are asked there."""

    path: tuple[Turn, ...]
    completion: Completion | None
    """The answer of the last turn; `None` for a first prompt."""
    models: tuple[Model, ...]
    chosen: bool = True
    """The path in view goes on here; true of one of several."""


def mates_of(turn: Turn) -> tuple[Turn, ...]:
    """Return the turns that were born of the same prompt, the turn itself included."""
    return turn.mates or (turn,)


def columns_of(turn: Turn, *, everything: bool = False) -> list[Column]:
    """Return the answers that stand side by side, in the order they were asked; none for a turn without answers.

    With `everything` those that are hidden too.
    """
    found = []
    for mate in mates_of(turn):
        tries: dict[str, list[Completion]] = {}
        for completion in mate.completions:
            if everything or not completion.hidden:
                tries.setdefault(completion.model.name, []).append(completion)
        for answers in tries.values():
            chosen = next((each for each in answers if each.id == mate.chosen_id), answers[-1])
            found.append(Column(mate, chosen))
    if not found and (shown := turn.chosen) is not None:
        found = [Column(turn, shown)]
    return found


def hidden_of(turn: Turn) -> list[Completion]:
    """Return the answers to a prompt that are out of view."""
    return [each for mate in mates_of(turn) for each in mate.completions if each.hidden]


def besides(columns: Sequence[Column]) -> list[Completion]:
    """Return every other answer to the prompt of some columns: earlier tries, and those out of view."""
    if not columns:
        return []
    shown = {column.completion.id for column in columns}
    return [each for mate in mates_of(columns[0].turn) for each in mate.completions if each.id not in shown]


def goes_on_in_columns(turn: Turn, following: Turn) -> bool:
    """Say whether what is in view after a turn goes on from more than one of its columns."""
    return len({column.turn.continues for column in columns_of(following)}) > 1 and len(columns_of(turn)) > 1


def path_through(path: Sequence[Turn], turn: Turn) -> list[Turn]:
    """Return the path to a turn on `path`, or beside one on it; `path` itself when it is neither."""
    at = next((at for at, each in enumerate(path) if each.id in {mate.id for mate in mates_of(turn)}), None)
    if at is None:
        return list(path)
    found = [turn]
    for row in reversed(path[:at]):
        before = next((mate for mate in mates_of(row) if mate.completion(found[-1].continues) is not None), row)
        found.append(before)
    found.reverse()
    return found


def tips_of(path: Sequence[Turn], models: Iterable[Model]) -> list[Tip]:
    """Return what a next prompt to some models goes on from.

    A model that has a column goes on from its own answer, every other one from the answer that was chosen. Several
    tips only where there are several columns.
    """
    asked = tuple(models)
    if not path:
        return [Tip((), None, asked)]
    last, columns = path[-1], columns_of(path[-1])
    if len(columns) < 2 or len(asked) < 2:
        return [Tip(tuple(path), last.continued, asked)]
    own = [(column.turn, column.continued) for column in columns]
    in_view = next((column.continued for column in columns if column.completion is last.chosen), None)
    return _tips(path, asked, own, (last, last.continued), in_view)


def tips_beside(path: Sequence[Turn], turn: Turn, models: Iterable[Model]) -> list[Tip]:
    """Return what a prompt to some models goes on from that takes the place of `turn`, behind `path`: what that did.

    Of several models each goes on from its own answer where `turn` and its mates did so.
    """
    asked = tuple(models)
    if not path:
        return [Tip((), None, asked)]
    before = mates_of(path[-1])
    own = [
        (each, answer)
        for mate in mates_of(turn)
        for each in before
        if (answer := each.completion(mate.continues)) is not None
    ]
    main = next(((each, answer) for each, answer in own if answer.id == turn.continues), (path[-1], path[-1].continued))
    return _tips(path, asked, own if len(asked) > 1 else [], main, main[1])


def _tips(
    path: Sequence[Turn],
    asked: Sequence[Model],
    own: Iterable[tuple[Turn, Completion]],
    main: tuple[Turn, Completion | None],
    in_view: Completion | None,
) -> list[Tip]:
    """Return a tip for each answer that is gone on from: a model's own one, for those that have none the `main` one."""
    named = {model.name: model for model in asked}
    tips: dict[str, tuple[Turn, Completion | None, list[Model]]] = {}
    for turn, answer in own:  # as they stand, so they go on
        if (model := named.pop(answer.model.name, None)) is not None:
            tips[answer.id] = turn, answer, [model]
    if named:
        turn, going_on = main
        rest = tips.setdefault(going_on.id if going_on is not None else "", (turn, going_on, []))
        rest[2].extend(named.values())
    first = in_view.id if in_view is not None and in_view.id in tips else next(iter(tips))
    return [
        Tip(tuple(path_through(path, turn)), answer, tuple(several), chosen=name == first)
        for name, (turn, answer, several) in tips.items()
    ]
