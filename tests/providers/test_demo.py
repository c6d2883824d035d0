"""The built-in models: real bytes, honest figures, and texts that help."""

import asyncio
import re
import tomllib
from collections.abc import Iterator
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.doubles import NOON, CharacterCounter
from tui_chat.core.completion import Completion, State
from tui_chat.core.errors import ProviderError
from tui_chat.core.events import Finished, ReasoningDelta, ResponseStarted, StreamEvent, TextDelta, UsageUpdate
from tui_chat.core.keymap import KEYMAP
from tui_chat.core.message import Message, Role
from tui_chat.core.model import Model
from tui_chat.core.request import Request
from tui_chat.providers import demo
from tui_chat.providers.demo import DemoProvider, echo, script
from tui_chat.providers.demo_models import VOICES, demo_models

QUICK, THINKER, RAMBLER = demo_models()
GO_ON = "Go on exactly where your answer was cut off. Repeat nothing."
SAMPLE = "Explain SSE in two sentences"


def messages(*texts: str) -> tuple[Message, ...]:
    roles: list[Role] = ["user", "assistant"]
    return tuple(Message.of(roles[at % 2], text) for at, text in enumerate(texts))


async def told(model: Model, *texts: str, provider: DemoProvider | None = None) -> list[StreamEvent]:
    provider = provider or DemoProvider(len, speed=0)
    return [event async for event in provider.stream(Request(model, messages(*texts), {}))]


def text_of(events: list[StreamEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def answer(model: Model, *texts: str) -> str:
    return script(model.id, messages(*texts))[1]


@pytest.mark.parametrize("model", [QUICK, THINKER, RAMBLER], ids=lambda model: model.id)
@pytest.mark.parametrize("prompt", [SAMPLE, "show me markdown", "naïve “quotes” 你好", ""])
async def test_a_script_arrives_whole_through_framing_and_decoder(model, prompt):
    events = await told(model, prompt)
    reasoning, text = script(model.id, messages(prompt))
    assert text_of(events) == text
    assert "".join(e.text for e in events if isinstance(e, ReasoningDelta)) == reasoning
    assert isinstance(events[0], ResponseStarted)
    assert events[0].model == model.id
    assert events[-1] == Finished("stop")
    assert len([e for e in events if isinstance(e, TextDelta)]) > 20, "a delta for each word, as models do"


async def test_the_figures_are_counted_so_that_the_meter_settles_on_what_it_showed():
    answer = Completion("c", "t", THINKER, NOON)
    answer.start(0.0, CharacterCounter(), 3 + 4 + len(SAMPLE))
    usage, before = None, None
    for event in await told(THINKER, SAMPLE):
        if isinstance(event, UsageUpdate):
            before, usage = answer.usage.usage, event.usage
        answer.apply(event, 1.0)
    answer.end(2.0, "stop")
    assert answer.state is State.SETTLED
    assert before is not None
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (before.input_tokens, before.output_tokens)
    assert usage.reasoning_tokens == len(answer.reasoning)
    assert answer.cost.play
    assert answer.cost.usd


def test_the_models_say_what_they_are():
    assert [model.name for model in demo_models()] == ["demo/quick", "demo/thinker", "demo/rambler"]
    for model in demo_models():
        assert (model.kind, model.scripted, model.missing, model.found) == ("demo", True, None, "built in, scripted")
        assert model.price is not None
        assert (model.price.play, model.price.known, model.price.free) == (True, True, False)


async def test_a_model_that_is_not_built_in_is_not_found():
    with pytest.raises(ProviderError, match=r"demo/quick, demo/thinker, demo/rambler") as failed:
        await told(Model("demo", "slow"), "Hi")
    assert failed.value.kind == "not_found"


class TestTexts:
    def test_the_sample_prompt_gets_two_sentences(self):
        explanation = answer(QUICK, SAMPLE).split("\n\n")[0]
        assert len(re.findall(r"\.(?:\s|$)", explanation)) == 2

    @pytest.mark.parametrize("subject", demo._SUBJECTS, ids=lambda subject: subject.script)
    def test_each_subject_can_be_asked_for_and_says_that_it_is_scripted(self, subject):
        text = answer(QUICK, subject.question)
        assert demo._subject(subject.question) is subject
        assert re.search(r"scripted, no network", text, re.IGNORECASE)

    @pytest.mark.parametrize(
        ("prompt", "name"),
        [
            ("hello", "about"),
            ("What can you do?", "about"),
            ("which keyboard shortcuts are there", "keys"),
            ("how do I cancel", "stopping"),
            ("what is $? next to the price", "costs"),
            ("where does my API key go", "setup"),
            ("Why is the sky blue?", "other"),
            ("Tell me about Paris", "other"),
            ("I have a long story about a model who wanted to stop paying for keys, and I need it told well.", "other"),
            ("", "other"),
        ],
    )
    def test_plain_words_choose_the_script(self, prompt, name):
        assert demo._subject(prompt).script == name

    def test_anything_else_gets_an_honest_reply_that_names_what_to_try(self):
        text = answer(QUICK, "Write a haiku about autumn")
        assert "“Write a haiku about autumn”" in text
        assert "cannot help" in text
        assert all(subject.question in text for subject in demo._SUBJECTS)

    @given(st.text(st.characters()) | st.text("*_`[]()<>#|~$\\!\x1b\n a:/.w@{}"))
    def test_what_is_echoed_is_one_short_line_without_markup(self, prompt):
        echoed = echo(prompt)
        assert 0 < len(echoed) <= 80
        assert not re.search(r"[*_`\[\]<>#|~$\\{}@/\x00-\x1f\x7f-\x9f]|www\.", echoed)
        assert echoed in answer(RAMBLER, prompt)

    def test_the_thinker_reasons_first_and_the_others_do_not(self):
        reasoning, text = script("thinker", messages("which keys are there?"))
        assert "My first guess is the keys." in reasoning
        assert text == script("quick", messages("which keys are there?"))[1]
        assert script("quick", messages("hi"))[0] == script("rambler", messages("hi"))[0] == ""

    def test_the_rambler_is_worth_stopping_whatever_it_is_asked(self):
        text = answer(RAMBLER, "Why?")
        assert text == answer(RAMBLER, "show me markdown").replace("show me markdown", "Why?")
        assert len(text) > 11_000
        assert "`Esc` stops me" in text.splitlines()[0]

    def test_the_configuration_it_shows_can_be_read(self):
        block = re.search(r"```toml\n(.*?)```", answer(QUICK, "setup"), re.DOTALL)
        assert block is not None
        shown = tomllib.loads(block[1])
        assert shown["default_model"] in shown["models"]
        assert shown["providers"]["local"]["base_url"].endswith("/v1")

    def test_every_key_of_the_program_is_in_its_table(self):
        text = answer(QUICK, "keys")
        for key in KEYMAP:
            assert (key.description.split("$")[0] in text) is (bool(key.keys) and not key.later)

    def test_no_slot_is_left_and_nothing_is_decorated(self):
        for file in files("tui_chat.providers").joinpath("demo_scripts").iterdir():
            text = file.read_text("utf-8")
            assert not re.search("[\u2600-\u27bf\U0001f000-\U0001faff]", text)
        for model in demo_models():
            for subject in demo._SUBJECTS:
                assert not re.search(
                    r"\{(echo|model|topic|subjects|keys)\}", "".join(script(model.id, messages(subject.question)))
                )

    @pytest.mark.parametrize("model", [QUICK, THINKER, RAMBLER], ids=lambda model: model.id)
    def test_asked_to_go_on_it_goes_on(self, model):
        whole = answer(model, SAMPLE)
        assert script(model.id, messages(SAMPLE, whole[:200], GO_ON)) == ("", whole[200:])
        assert answer(model, SAMPLE, "something else", GO_ON) == answer(model, GO_ON)
        assert answer(model, SAMPLE, whole, "go on") == answer(model, "go on")


class TestWire:
    @given(st.lists(st.binary(min_size=1, max_size=300)))
    def test_cutting_anew_loses_nothing(self, chunks):
        packets = list(demo._packets(iter(chunks)))
        assert b"".join(packets) == b"".join(chunks)
        assert all(packets)

    def test_packets_end_inside_of_lines_and_of_characters(self):
        def broken(packets: Iterator[bytes]) -> Iterator[str]:
            for packet in packets:
                if not packet.endswith(b"\n\n"):
                    yield "line"
                try:
                    packet.decode()
                except UnicodeDecodeError:
                    yield "character"

        records = (f"data: {word}\n\n".encode() for word in ["你好，世界！" * 9] * 20)
        assert set(broken(demo._packets(records))) == {"line", "character"}

    def test_without_a_counter_four_bytes_are_a_token(self):
        request = Request(QUICK, messages("12345"), {})
        usage = DemoProvider(speed=0)._usage(request, "", "äb")
        assert (usage["prompt_tokens"], usage["completion_tokens"]) == (3 + 4 + 2, 1)


class TestPace:
    @pytest.fixture
    def waits(self, monkeypatch):
        """The waits asked for; no time goes by, so that each reaches from the beginning to its packet."""
        asked: list[float] = []

        async def sleep(delay: float) -> None:
            asked.append(delay)

        monkeypatch.setattr(asyncio, "sleep", sleep)
        return asked

    @pytest.mark.parametrize(("model", "rate"), [(QUICK, 120), (THINKER, 60), (RAMBLER, 45)])
    async def test_it_talks_at_a_lifelike_speed(self, waits, model, rate):
        await told(model, SAMPLE, provider=DemoProvider(len, speed=1))
        assert 0.2 < waits[0] < 0.5
        assert len(waits) / (waits[-1] - waits[0]) == pytest.approx(rate, rel=0.05)

    async def test_the_speed_is_a_factor_and_may_come_from_the_environment(self, waits, monkeypatch):
        monkeypatch.setenv("TUI_CHAT_DEMO_SPEED", "10")
        await told(QUICK, SAMPLE, provider=DemoProvider(len))
        assert len(waits) / waits[-1] == pytest.approx(1200, rel=0.25)
        waits.clear()
        monkeypatch.setenv("TUI_CHAT_DEMO_SPEED", "0")
        await told(QUICK, SAMPLE, provider=DemoProvider(len))
        assert set(waits) == {0}, "other tasks get their turn all the same"

    @pytest.mark.parametrize(("value", "speed"), [("", 1.0), ("fast", 1.0), ("-1", 0.0), ("2.5", 2.5)])
    def test_an_environment_that_makes_no_sense_is_not_obeyed(self, monkeypatch, value, speed):
        monkeypatch.setenv("TUI_CHAT_DEMO_SPEED", value)
        assert DemoProvider()._speed == speed

    async def test_a_reader_that_was_held_up_is_not_flooded_with_all_it_missed(self, waits):
        pace = demo._Pace(VOICES[0], 1)
        await pace.wait()
        assert pace._due_s is not None
        pace._due_s -= 60
        waits.clear()
        for _ in range(100):
            await pace.wait()
        assert 40 < waits.count(0) < 80, "half a second of it is"

    async def test_cancelling_stops_it_at_once(self):
        provider = DemoProvider(len, speed=0.0001)
        task = asyncio.create_task(told(RAMBLER, "Hi", provider=provider))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 1)
