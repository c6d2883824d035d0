"""Several answers to one prompt: whatever is asked, chosen and hidden, each model is sent exactly its own path."""

from hypothesis import given
from hypothesis import strategies as st

from tests.core.doubles import CharacterCounter, MemoryStore, Script, SteppingClock
from tests.store.made import PRICE, chat_named, finish
from tui_chat.core.chat import Chat
from tui_chat.core.columns import columns_of, goes_on_in_columns, hidden_of, mates_of, path_through, tips_of
from tui_chat.core.events import TextDelta
from tui_chat.core.message import Message
from tui_chat.core.model import Model
from tui_chat.core.request import Request

MODELS = [Model("work", name, price=PRICE) for name in "abcdef"]


class Talk:
    """A conversation as the sessions of the screen lead it, without a screen."""

    def __init__(self):
        self.chat = Chat(Script(()).port(), MemoryStore().port(), CharacterCounter(), SteppingClock())
        self.conversation = chat_named()
        self.path = []
        self.by_id = {}
        self.asked = 0

    def ask(self, *models):
        """Ask and let every model answer with its own name; return the new completions."""
        self.asked += 1
        tips = tips_of(self.path, models)
        assert sum(tip.chosen for tip in tips) == 1
        assert sorted(model.id for tip in tips for model in tip.models) == sorted(model.id for model in models)
        turns = self.chat.start_turns(self.conversation, tips, f"q{self.asked}")
        tip, turn = next((tip, turn) for tip, turn in zip(tips, turns, strict=True) if tip.chosen)
        self.path = [*tip.path, turn]
        fresh = [each for turn in turns for each in turn.completions]
        for turn in turns:
            for each in turn.completions:
                self.by_id[each.id] = (turn, each)
        return fresh

    def answer(self, completions):
        for each in completions:
            finish(each, f"{each.model.id} to q{self.asked}")

    def path_of(self, completion):
        """What must have been sent: found by walking back from what it goes on from."""
        turn, _ = self.by_id[completion.id]
        said = [turn.prompt]
        while turn.continues is not None:
            turn, before = self.by_id[turn.continues]
            said[:0] = [turn.prompt, before.text]
        return said

    def choose(self, column):
        """As `Sessions.choose`."""
        column.turn.chosen_id = column.completion.id
        column.completion.hidden = False
        self.path = path_through(self.path, column.turn)


def texts(completion):
    return ["".join(part.text for part in message.parts) for message in completion.request.messages]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.sets(st.integers(0, 5), min_size=1, max_size=6)),
        st.tuples(st.sampled_from(["choose", "hide"]), st.integers(0, 5)),
        st.tuples(st.just("show"), st.just(0)),
    ),
    max_size=12,
)


@given(steps)
def test_each_model_is_sent_the_path_that_leads_to_its_column_and_no_other(done):
    talk = Talk()
    for what, of in done:
        columns = columns_of(talk.path[-1]) if talk.path else []
        if what == "ask":
            before = {column.completion.model.id: column.completion for column in columns}
            fresh = talk.ask(*(MODELS[at] for at in sorted(of)))
            for completion in fresh:
                assert texts(completion) == talk.path_of(completion)
                own = before.get(completion.model.id)
                if own is not None and len(before) > 1 and len(of) > 1:
                    assert talk.by_id[completion.id][0].continues == own.id, "it goes on from its own answer"
            talk.answer(fresh)
            assert [column.completion for column in columns_of(talk.path[-1])] == fresh
        elif columns and what == "choose":
            column = columns[of % len(columns)]
            talk.choose(column)
            assert talk.path[-1] is column.turn
            assert column.completion in [each.completion for each in columns_of(talk.path[-1])]
        elif len(columns) > 1 and what == "hide":
            hidden = columns[of % len(columns)]
            hidden.completion.hidden = True
            assert hidden.completion not in [each.completion for each in columns_of(talk.path[-1])]
            assert hidden_of(talk.path[-1])
        elif what == "show" and talk.path:
            for each in hidden_of(talk.path[-1]):
                each.hidden = False
        for earlier, later in zip(talk.path, talk.path[1:], strict=False):
            assert earlier.completion(later.continues) is not None, "a path is one all the way"


def test_one_model_goes_on_from_the_column_that_was_chosen():
    talk = Talk()
    talk.answer(talk.ask(*MODELS[:3]))
    talk.choose(columns_of(talk.path[-1])[1])
    (fresh,) = talk.ask(MODELS[0])
    assert texts(fresh) == ["q1", "b to q1", "q2"]


def test_a_model_that_joins_goes_on_from_the_column_that_was_chosen():
    talk = Talk()
    talk.answer(talk.ask(*MODELS[:2]))
    talk.choose(columns_of(talk.path[-1])[1])
    fresh = talk.ask(MODELS[0], MODELS[1], MODELS[5])
    assert [texts(each)[1] for each in fresh] == ["a to q1", "b to q1", "b to q1"]


def test_a_model_that_was_asked_again_has_one_column_with_its_newest_answer():
    talk = Talk()
    first = talk.ask(*MODELS[:2])
    talk.answer(first)
    turn = talk.path[-1]
    again = talk.chat.again(talk.conversation, [], turn, MODELS[0])
    assert [column.completion for column in columns_of(turn)] == [again, first[1]]
    assert columns_of(turn)[0].tries == [first[0], again]


def test_a_turn_whose_columns_all_went_on_stays_in_columns():
    talk = Talk()
    talk.answer(talk.ask(*MODELS[:2]))
    talk.answer(talk.ask(*MODELS[:2]))
    first, second = talk.path
    assert goes_on_in_columns(first, second)
    assert len(mates_of(second)) == 2
    talk.answer(talk.ask(MODELS[0]))
    assert not goes_on_in_columns(second, talk.path[-1])


def test_what_follows_a_running_answer_is_counted_by_its_own_counters():
    talk = Talk()
    first = talk.ask(MODELS[0])[0]
    first.start(0.0, CharacterCounter(), 50)
    first.running = True
    for _ in range(3):
        first.apply(TextDelta("ten letters"), 0.5)
    before, _ = talk.chat.estimate(talk.conversation, talk.path, "and?", MODELS[0], last=first)
    first.apply(TextDelta("x" * 100), 0.6)
    later, _ = talk.chat.estimate(talk.conversation, talk.path, "and?", MODELS[0], last=first)
    assert later - before == 100
    assert before == 50 + 33 + talk.chat.prompt_tokens(Request(MODELS[0], (Message.of("user", "and?"),), {}))
