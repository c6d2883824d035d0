"""Pasting a key: tried with its provider, kept, used at once, and never to be seen."""

import threading
from pathlib import Path

import pytest
from textual.events import Paste
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input

from tests.loopback import LoopbackServer, Step, WaitFor, chat_stream, reply
from tests.ui.conftest import Driver
from tests.ui.test_first_minute import Newcomer, newcomer
from tui_chat.ui.screens.key_box import KeyBox, KeyInput, key_in
from tui_chat.ui.theme import UNICODE

__all__ = ["newcomer"]  # a fixture

KEY = "sk-proj-0123456789abcdefghijklmnop"
WORKS = reply(200, {"data": [{"id": f"gpt-{number}"} for number in range(63)]})
REFUSED = reply(401, {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}})


@pytest.fixture
def user(newcomer: Newcomer) -> Newcomer:
    """Somebody whose OpenAI is the server of the test, and has no key for it yet."""
    newcomer.config += f'[providers.openai]\nbase_url = "{newcomer.server.base_url}"\n'
    return newcomer


def answers(server: LoopbackServer, steps: list[Step]) -> None:
    server.always("/models", steps)


async def opened(driver: Driver, pasted: str = "") -> KeyBox:
    await driver.press("f4")
    await driver.until(lambda: isinstance(driver.app.screen, KeyBox))
    box = driver.app.screen
    assert isinstance(box, KeyBox)
    if pasted:
        driver.app.post_message(Paste(pasted))
        await driver.until(lambda: box.query_one(Input).value)
    return box


def nowhere(driver: Driver, home: Path, key: str = KEY, *, kept: bool = False) -> None:
    """The key is in no place where somebody could look, but the one where it is kept."""
    assert not driver.shows(key)
    assert key not in driver.app.export_screenshot().replace("&#160;", "")
    assert driver.prompt == ""
    for file in home.rglob("*"):
        if file.is_file() and not (kept and file.name == "config.toml"):
            assert key.encode() not in file.read_bytes(), file


async def test_a_key_that_works_is_kept_and_its_provider_answers_the_next_prompt(user):
    answers(user.server, WORKS)
    async with user.running() as driver:
        assert driver.screen.pane.session.model.name == "demo/quick"
        await opened(driver, KEY)
        assert driver.shows("platform.openai.com/api-keys")
        nowhere(driver, user.home)
        await driver.press("enter")
        await driver.until(lambda: driver.shows("OpenAI: works, 63 models. Kept in"))
        assert driver.shows("readable by you alone") or driver.shows("alone.")
        assert driver.screen.pane.session.model.name == "openai/gpt-4.1"
        assert driver.shows("openai/gpt-4.1")
        assert driver.screen.pane.prompt.has_focus
        user.server.enqueue(chat_stream(["Hello"]))
        await driver.ask("hello")
        await driver.until(lambda: driver.answers and driver.idle)
        assert user.server.requests[-1].headers["authorization"] == f"Bearer {KEY}"
        nowhere(driver, user.home, kept=True)
    assert f'api_key = "{KEY}"' in (user.home / "config.toml").read_text()
    assert (user.home / "config.toml").stat().st_mode & 0o777 == 0o600


async def test_a_refused_key_is_not_kept_and_stays_in_the_field(user):
    answers(user.server, REFUSED)
    async with user.running() as driver:
        box = await opened(driver, KEY)
        await driver.press("enter")
        await driver.until(lambda: driver.shows("✗ ") and driver.shows("Incorrect API key provided"))
        assert box.query_one(Input).has_focus
        assert box.query_one(Input).value == KEY
        nowhere(driver, user.home)
        await driver.press("escape")
        assert driver.screen.pane.session.model.name == "demo/quick"


async def test_without_the_network_a_second_enter_keeps_the_key_untried(user):
    answers(user.server, reply(503, {"error": {"message": "busy"}}))
    async with user.running() as driver:
        await opened(driver, KEY)
        await driver.press("enter")
        await driver.until(lambda: driver.shows("not tried: ") and driver.shows("enter again keeps it untried"))
        assert KEY not in (user.home / "config.toml").read_text()
        await driver.press("x")  # another key is tried first
        assert not driver.shows("enter again keeps it untried")
        await driver.press("backspace", "enter")
        await driver.until(lambda: driver.shows("enter again keeps it untried"))
        await driver.press("enter")
        await driver.until(lambda: driver.shows("OpenAI: not tried. Kept in"))
    assert KEY in (user.home / "config.toml").read_text()


async def test_esc_cancels_the_trial_and_then_closes_the_box(user):
    go = threading.Event()
    answers(user.server, [WaitFor(go), *WORKS])
    async with user.running() as driver:
        box = await opened(driver, KEY)
        await driver.press("enter")
        await driver.until(lambda: driver.shows("trying…") and driver.shows("esc cancel"))
        await driver.press("escape")
        assert driver.app.screen is box
        assert driver.shows("Cancelled; nothing is kept.")
        go.set()
        await driver.press("escape")
        await driver.until(lambda: driver.app.screen is driver.screen)
    assert KEY not in (user.home / "config.toml").read_text()


async def test_a_key_whose_owner_nobody_knows_is_sent_to_nobody_until_one_is_chosen(user):
    answers(user.server, WORKS)
    async with user.running() as driver:
        await opened(driver, "sk-0123456789abcdef")
        await driver.press("enter")
        await driver.until(lambda: driver.shows("it is sent to nobody else"))
        assert not [each for each in user.server.lookups if each.path.endswith("/models")]
        await driver.press("tab", "enter")
        await driver.until(lambda: driver.shows("OpenAI: works"))


async def test_a_key_typed_by_hand_is_a_key_too(user):
    answers(user.server, WORKS)
    async with user.running() as driver:
        await opened(driver)
        await driver.press(*("minus" if c == "-" else c for c in KEY), "enter")
        await driver.until(lambda: driver.shows("OpenAI: works"))


async def test_the_line_of_a_shell_tells_whose_key_it_is(user):
    async with user.running() as driver:
        box = await opened(driver, "export DEEPSEEK_API_KEY='sk-0123456789abcdef'\n")
        assert box.query_one(Input).value == "sk-0123456789abcdef"
        assert driver.shows("platform.deepseek.com")
        await driver.press("up", "up", "up", "up")
        assert driver.shows("platform.openai.com")


async def test_a_variable_that_is_set_is_named_before_and_after(user):
    user.environ["OPENAI_API_KEY"] = "sk-proj-the-old-one-0123456789"
    answers(user.server, WORKS)
    async with user.running() as driver:
        await opened(driver, KEY)
        assert driver.shows("OPENAI_API_KEY is set and goes before a stored key")
        await driver.press("enter")
        await driver.until(lambda: driver.shows("used in this run"))
        assert user.server.lookups[-1].headers["authorization"] == f"Bearer {KEY}"
        nowhere(driver, user.home, kept=True)


async def test_after_a_refused_answer_the_foot_leads_to_the_key_of_that_provider(user):
    user.environ["OPENAI_API_KEY"] = "sk-proj-the-old-one-0123456789"
    answers(user.server, WORKS)
    async with user.running() as driver:
        user.server.enqueue(REFUSED)
        await driver.ask("hello")
        await driver.until(lambda: driver.shows("f4 set another key"))
        await opened(driver)
        assert driver.shows("platform.openai.com/api-keys")
        driver.app.post_message(Paste("sk-another-0123456789"))
        await driver.press("enter")
        await driver.until(lambda: driver.shows("OpenAI: works"))
        user.server.enqueue(chat_stream(["Hello"]))
        await driver.press("ctrl+r")
        await driver.until(lambda: driver.shows("Hello"))
        assert user.server.requests[-1].headers["authorization"] == "Bearer sk-another-0123456789"


async def test_a_model_that_only_lacked_its_key_is_kept(user):
    user.config = 'default_model = "openai/gpt-7"\n' + user.config
    answers(user.server, WORKS)
    async with user.running() as driver:
        assert driver.screen.pane.session.model.missing is not None
        await opened(driver)
        assert driver.shows("platform.openai.com/api-keys")
        driver.app.post_message(Paste(KEY))
        await driver.press("enter")
        await driver.until(lambda: driver.shows("OpenAI: works"))
        model = driver.screen.pane.session.model
        assert (model.name, model.missing) == ("openai/gpt-7", None)


async def test_a_model_chosen_by_hand_is_not_taken_away(user):
    answers(user.server, WORKS)
    async with user.running() as driver:
        await driver.press("down")
        await opened(driver, KEY)
        await driver.press("enter")
        await driver.until(lambda: driver.shows("OpenAI: works"))
        assert driver.screen.pane.session.model.name == "demo/thinker"


async def test_a_key_that_cannot_be_kept_says_so_and_the_box_stays(user):
    answers(user.server, WORKS)
    async with user.running() as driver:
        (user.home / "config.toml").write_text("providers = { openai = { models = [] } }\n")
        box = await opened(driver, KEY)
        await driver.press("enter")
        await driver.until(lambda: driver.shows("by hand"))
        assert driver.app.screen is box
        nowhere(driver, user.home)


async def test_what_is_pasted_right_behind_the_key_lands_in_the_box_not_in_the_prompt(user):
    async with user.running() as driver:
        await driver.press("f4")
        driver.app.post_message(Paste(KEY))
        await driver.until(lambda: isinstance(driver.app.screen, KeyBox) and driver.app.screen.query_one(Input).value)
        assert driver.prompt == ""


async def test_copying_in_the_field_clears_it_and_leaves_the_clipboard_alone(user):
    async with user.running() as driver:
        box = await opened(driver, KEY)
        await driver.press("ctrl+shift+a", "ctrl+c")
        assert driver.app.clipboard == ""
        assert box.query_one(Input).value == ""


async def test_no_message_of_the_field_holds_the_key(user, monkeypatch, caplog):
    seen: list[str] = []
    post = Widget.post_message

    def noted(self: Widget, message: Message) -> bool:
        seen.append(repr(message) if not isinstance(message, Paste) else "")  # the terminal's own
        return post(self, message)

    monkeypatch.setattr(Widget, "post_message", noted)
    answers(user.server, REFUSED)
    async with user.running() as driver:
        box = await opened(driver, KEY)
        await driver.press("enter")
        await driver.until(lambda: driver.shows("Incorrect API key provided"))
        await driver.press("escape")
        assert KEY not in repr(box) + repr(box.query(KeyInput)) + repr(list(driver.app.workers))
        nowhere(driver, user.home)
    assert any("Edited" in each for each in seen)
    assert KEY not in "".join(seen) + caplog.text


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (60, 15), (200, 60), (40, 12), (20, 6)])
async def test_the_box_fits_every_size(user, size):
    answers(user.server, reply(503, {"error": {"message": "busy"}}))
    async with user.running(size) as driver:
        await opened(driver, KEY)
        await driver.press("enter")
        await driver.until(lambda: driver.app.screen.query_one("#hints").visual is not None)
        assert all(len(line) <= size[0] for line in driver.lines())
        if size[0] >= 60:
            await driver.until(lambda: driver.shows("not tried") and driver.shows("enter again keeps it untried"))
            assert driver.shows("OpenAI")
            assert driver.shows("esc close")


async def test_the_palette_and_the_help_know_the_key(user):
    async with user.running() as driver:
        commands = {command.help for command in driver.app.get_system_commands(driver.screen)}
        assert "f4   key.paste" in commands
        await driver.press("f1")
        await driver.until(lambda: driver.shows("f4"))
        assert driver.shows("Paste a provider's key")


@pytest.mark.parametrize(("pasted", "key", "variable"), [
    ("  sk-1234 \n", "sk-1234", ""),
    ('"sk-1234"', "sk-1234", ""),
    ("“sk-1234”", "sk-1234", ""),
    ("export OPENAI_API_KEY=sk-1234", "sk-1234", "OPENAI_API_KEY"),
    ("export OPENAI_API_KEY='sk-1234'  # mine", "sk-1234", "OPENAI_API_KEY"),
    ("OPENAI_API_KEY=sk-1234 # mine", "sk-1234", "OPENAI_API_KEY"),
    ("# keys\n\nOPENAI_API_KEY = sk-1234\nOTHER_KEY=2", "sk-1234", "OPENAI_API_KEY"),
    ('$env:OPENAI_API_KEY = "sk-1234"', "sk-1234", "OPENAI_API_KEY"),
    ("setx OPENAI_API_KEY sk-1234", "sk-1234", "OPENAI_API_KEY"),
    ('"OPENAI_API_KEY": "sk-1234",', "sk-1234", "OPENAI_API_KEY"),
    ("Bearer sk-1234", "sk-1234", ""),
    ("Authorization: Bearer sk-1234", "sk-1234", ""),
    ("abcDEF==", "abcDEF==", ""),
    ("", "", ""),
    ("two words", "two words", ""),
])  # fmt: skip
def test_the_key_is_taken_out_of_what_is_pasted(pasted, key, variable):
    assert key_in(pasted) == (key, variable)
    assert KeyInput(UNICODE).password
