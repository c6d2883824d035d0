"""The chat that learns from bills: what a prompt and an answer will be counted as, before and while they run."""

from typing import Any

from tests.core.doubles import MODEL, CharacterCounter, MemoryStore, Script, SteppingClock
from tui_chat.core.calibration import Calibrator, Sample
from tui_chat.core.chat import Chat
from tui_chat.core.completion import Completion
from tui_chat.core.conversation import Conversation, Turn
from tui_chat.core.events import Finished, ReasoningDelta, ResponseStarted, StreamEvent, TextDelta, UsageUpdate
from tui_chat.core.message import BlobPart
from tui_chat.core.model import Model
from tui_chat.core.usage import Usage


async def ignore(_event: object) -> None:
    pass


class Talk:
    """A conversation in which each answer is a script of events; the counter has a token per character."""

    def __init__(self, *scripts: tuple[StreamEvent, ...], **options: Any) -> None:
        self.samples: list[Sample] = []
        self.calibrator = Calibrator(keep=lambda _p, _m, sample: self.samples.append(sample))
        self.counter = CharacterCounter(**options)
        self.scripts, self.script = list(scripts), Script(())
        self.chat = Chat(
            self.script.port(), MemoryStore().port(), self.counter, SteppingClock(), calibrator=self.calibrator
        )
        self.conversation: Conversation = self.chat.new_conversation(MODEL)
        self.path: list[Turn] = []

    async def say(self, prompt: str, model: Model = MODEL, attachments: tuple[BlobPart, ...] = ()) -> Completion:
        turn = self.chat.start_turn(self.conversation, self.path, prompt, [model], attachments=attachments)
        self.path.append(turn)
        self.script.events = self.scripts.pop(0)
        await self.chat.complete(self.conversation, turn, turn.completions[0], ignore)
        return turn.completions[0]

    def estimate(self, prompt: str, model: Model = MODEL) -> int:
        return self.chat.estimate(self.conversation, self.path, prompt, model)[0]


def whole(text: str, usage: Usage | None = None, reasoning: str = "") -> tuple[StreamEvent, ...]:
    thought = (ReasoningDelta(reasoning),) if reasoning else ()
    counted = (UsageUpdate(usage),) if usage else ()
    return (ResponseStarted(), *thought, TextDelta(text), Finished("stop"), *counted)


PROMPT, ANSWER = "p" * 100, "a" * 50
FRAME, MESSAGE = 3, 4


async def test_a_prompt_is_the_last_reported_one_and_what_was_added():
    talk = Talk(whole(ANSWER, Usage(5000, 50)), whole(ANSWER))
    assert talk.estimate(PROMPT) == FRAME + MESSAGE + 100
    await talk.say(PROMPT)
    assert talk.estimate("And?") == 5000 + MESSAGE + 50 + MESSAGE + 4
    second = await talk.say("And?")
    assert second.input_estimate == 5000 + MESSAGE + 50 + MESSAGE + 4


async def test_but_not_for_another_model_nor_when_something_is_left_out():
    talk = Talk(whole(ANSWER, Usage(5000, 50)))
    answer = await talk.say(PROMPT)
    own_count = FRAME + 3 * MESSAGE + 100 + 50 + 4
    assert talk.estimate("And?", Model("work", "b", price=MODEL.price)) == own_count
    answer.discarded = True
    hidden = 5000 - (FRAME + MESSAGE + 100)
    assert talk.estimate("And?") == FRAME + MESSAGE + 4 + hidden, "as if it were the first one"


async def test_nor_when_nothing_was_reported():
    talk = Talk(whole(ANSWER))
    await talk.say(PROMPT)
    assert talk.estimate("And?") == FRAME + 3 * MESSAGE + 100 + 50 + 4
    assert talk.samples == []


async def test_each_report_is_a_sample_of_the_first_prompt_then_of_growth_and_of_the_answer():
    talk = Talk(whole(ANSWER, Usage(300, 60)), whole(ANSWER, Usage(420, 61)))
    await talk.say(PROMPT)
    await talk.say(PROMPT)
    assert talk.samples == [
        Sample("first", FRAME + MESSAGE + 100, 300),
        Sample("output", 50, 60),
        Sample("input", MESSAGE + 50 + MESSAGE + 100, 120),
        Sample("output", 50, 61),
    ]


async def test_what_was_learnt_shows_in_the_next_answer_while_it_streams():
    talk = Talk(*(whole(ANSWER, Usage(300, 100)) for _ in range(4)), whole(ANSWER))
    for _ in range(4):
        await talk.say(PROMPT)
    unreported = await talk.say(PROMPT)
    assert unreported.usage.usage.output_tokens == 100
    assert unreported.usage.estimated == ("input_tokens", "output_tokens")


async def test_hidden_reasoning_is_no_text_that_was_counted_badly():
    talk = Talk(whole(ANSWER, Usage(300, 1050, reasoning_tokens=1000)))
    await talk.say(PROMPT)
    assert talk.samples[-1] == Sample("output", 50, 50)


async def test_reasoning_that_was_sent_is_left_out_on_both_sides():
    talk = Talk(whole(ANSWER, Usage(300, 90, reasoning_tokens=30), reasoning="r" * 40))
    await talk.say(PROMPT)
    assert talk.samples[-1] == Sample("output", 50, 60)


async def test_a_picture_teaches_nothing_about_text():
    talk = Talk(whole(ANSWER, Usage(1300, 50)))
    await talk.say(PROMPT, attachments=(BlobPart("a.png", "image/png", b"x"),))
    assert [sample.kind for sample in talk.samples] == ["output"]


async def test_a_count_that_was_an_estimate_itself_teaches_nothing():
    talk = Talk(whole(ANSWER, Usage(300, 60)), loaded=False)
    talk.counter.load = lambda: None  # type: ignore[method-assign]
    await talk.say(PROMPT)
    assert talk.samples == []
