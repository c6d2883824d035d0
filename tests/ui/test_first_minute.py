"""The first minute: what was found, what it costs, and what else can be done, without anything set up."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.events import Paste

from tests.loopback import LoopbackServer, WaitFor, chat_stream, reply
from tests.ui.conftest import Driver
from tui_chat.bootstrap import Ground
from tui_chat.ui.app import ChatApp
from tui_chat.ui.screens.key_box import KeyBox

NOWHERE = "http://127.0.0.1:9"
TAGS = reply(200, {"models": [{"name": name, "model": name} for name in ("qwen3:8b", "llama3:8b", "gemma3:4b")]})


class Newcomer:
    """Starts the app for somebody without a configuration but for what the test says."""

    def __init__(self, home: Path, server: LoopbackServer) -> None:
        self.home, self.server = home, server
        self.environ = {"TUI_CHAT_HOME": str(home)}
        others = ("lmstudio", "llamacpp", "vllm")
        self.config = "".join(f'[providers.{name}]\nbase_url = "{NOWHERE}/v1"\n' for name in others)

    def has_keys(self) -> None:
        """Two keys in the environment; what these providers have is said, so nobody is asked."""
        self.environ |= {"DEEPSEEK_API_KEY": "sk-0123456789abcdef", "GEMINI_API_KEY": "AIza0123456789"}
        self.config += '[providers.deepseek]\nmodels = ["deepseek-chat"]\n'
        self.config += '[providers.gemini]\nmodels = ["gemini-2.5-flash"]\n'

    @asynccontextmanager
    async def running(self, size: tuple[int, int] = (120, 40), *, ollama: bool = False) -> AsyncIterator[Driver]:
        address = self.server.url if ollama else NOWHERE
        (self.home / "config.toml").write_text(f'{self.config}[providers.ollama]\nbase_url = "{address}"\n')
        (self.home / "config.toml").chmod(0o600)
        ground = Ground.lay(self.environ)
        store, providers = ground.open_store(), ground.providers()
        app = ChatApp(ground.services(store, providers))
        try:
            async with app.run_test(size=size, notifications=True) as pilot:
                await pilot.pause()
                yield Driver(app, pilot)
                app.streams.cancel_all()
                await app.workers.wait_for_complete([r.worker for r in app.streams.all])
        finally:
            await providers.aclose()
            store.close()


@pytest.fixture
def newcomer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("TMUX", raising=False)
    monkeypatch.setenv("TUI_CHAT_DEMO_SPEED", "0")
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    with LoopbackServer() as server:
        server.always("/api/tags", TAGS)
        yield Newcomer(home, server)


def line_with(driver: Driver, words: str) -> str:
    return next(line for line in driver.lines() if words in line)


async def test_what_was_found_stands_there_with_prices_on_their_points(newcomer):
    newcomer.has_keys()
    async with newcomer.running(ollama=True) as driver:
        await driver.until(lambda: driver.shows("Ollama, 3 models"))
        assert driver.shows("Nothing to set up.")
        deepseek, gemini = line_with(driver, "deepseek/deepseek-chat"), line_with(driver, "gemini/gemini-2.5-flash")
        ollama, demo = line_with(driver, "ollama/"), line_with(driver, "demo/quick")
        assert "DEEPSEEK_API_KEY" in deepseek
        assert deepseek.endswith("$0.28    $0.42")
        assert gemini.endswith("$0.30    $2.50")
        assert ollama.endswith("free     free")
        assert demo.endswith("play money")
        assert len(deepseek) == len(gemini) == len(ollama) == len(demo)
        assert not driver.shows("demo/thinker")
        assert driver.shows("tried at once; kept in config.toml")
        assert driver.screen.pane.session.model.name == "deepseek/deepseek-chat"


async def test_a_server_found_late_is_listed_and_the_mark_stays_where_the_user_put_it(newcomer):
    found = threading.Event()
    newcomer.server.always("/api/tags", [WaitFor(found), *TAGS])
    newcomer.has_keys()
    async with newcomer.running(ollama=True) as driver:
        await driver.press("down")
        assert driver.screen.pane.session.model.name == "gemini/gemini-2.5-flash"
        found.set()
        await driver.until(lambda: driver.shows("Ollama, 3 models"))
        assert driver.screen.pane.session.model.name == "gemini/gemini-2.5-flash"
        await driver.press("down", "down")
        assert driver.screen.pane.session.model.name == "demo/quick"


async def test_somebody_without_a_key_gets_the_model_on_their_own_machine(newcomer):
    async with newcomer.running(ollama=True) as driver:
        await driver.until(lambda: driver.shows("Ollama, 3 models"))
        assert driver.screen.pane.session.model.name == "ollama/qwen3:8b"


async def test_the_mark_does_not_move_under_somebody_who_types(newcomer):
    found = threading.Event()
    newcomer.server.always("/api/tags", [WaitFor(found), *TAGS])
    async with newcomer.running(ollama=True) as driver:
        await driver.type("hello")
        found.set()
        await driver.until(lambda: driver.shows("Ollama, 3 models"))
        assert driver.screen.pane.session.model.name == "demo/quick"
        assert driver.prompt == "hello"


async def test_without_anything_found_the_demo_is_offered_and_enter_asks_the_sample(newcomer):
    async with newcomer.running() as driver:
        assert driver.shows("Try it now.")
        assert all(driver.shows(f"demo/{name}") for name in ("quick", "thinker", "rambler"))
        assert driver.shows("or a local server")
        assert not driver.shows("compare models")
        await driver.press("enter")
        await driver.until(lambda: driver.answers and driver.idle)
        assert driver.screen.pane.session.path[0].prompt == "Explain SSE in two sentences"


async def test_a_new_chat_looks_again_for_servers(newcomer):
    newcomer.server.always("/api/tags", reply(500))
    async with newcomer.running(ollama=True) as driver:
        await driver.until(lambda: newcomer.server.lookups)
        newcomer.server.always("/api/tags", TAGS)
        await driver.press("ctrl+n")
        await driver.until(lambda: driver.shows("Ollama, 3 models"))


async def test_the_arrows_reach_the_row_for_a_key_and_the_mark_stays_on_its_model(newcomer):
    newcomer.has_keys()
    async with newcomer.running() as driver:
        await driver.press("down", "down", "down")  # past gemini and the demo
        await driver.until(lambda: driver.screen.pane.session.model.name == "deepseek/deepseek-chat")
        assert driver.screen.pane.empty.has_focus
        assert driver.shows("enter open")
        await driver.press("enter")
        await driver.until(lambda: isinstance(driver.app.screen, KeyBox))
        await driver.press("escape")
        await driver.type("hi")
        assert driver.prompt == "hi"


async def test_back_from_the_row_for_a_key_the_models_are_marked_again(newcomer):
    async with newcomer.running() as driver:
        await driver.press("tab", "down", "down", "down")
        assert driver.screen.pane.empty.on_action
        await driver.press("up")
        await driver.until(lambda: driver.screen.pane.session.model.name == "demo/rambler")
        assert not driver.screen.pane.empty.on_action


async def test_a_click_on_a_row_does_what_enter_does(newcomer):
    newcomer.has_keys()
    async with newcomer.running() as driver:
        at = next(y for y, line in enumerate(driver.lines()) if "gemini/gemini" in line)
        await driver.pilot.click(offset=(60, at))
        assert driver.screen.pane.session.model.name == "gemini/gemini-2.5-flash"
        at = next(y for y, line in enumerate(driver.lines()) if "paste a key" in line)
        await driver.pilot.click(offset=(60, at))
        await driver.until(lambda: isinstance(driver.app.screen, KeyBox))


async def test_what_is_pasted_onto_the_row_for_a_key_goes_into_the_box_and_elsewhere_into_the_prompt(newcomer):
    async with newcomer.running() as driver:
        await driver.press("tab")
        driver.app.post_message(Paste("some words"))
        await driver.until(lambda: driver.prompt == "some words")
        driver.screen.pane.prompt.set_text("")
        await driver.press("tab", "down", "down", "down")
        driver.app.post_message(Paste("AIza-0123456789"))
        await driver.until(lambda: isinstance(driver.app.screen, KeyBox) and driver.shows("aistudio.google.com"))
        assert driver.prompt == ""


async def test_lists_are_asked_for_once_in_the_background_when_nobody_types(newcomer):
    newcomer.environ["OPENAI_API_KEY"] = "sk-proj-0123456789"
    newcomer.config += f'[providers.openai]\nbase_url = "{newcomer.server.base_url}"\n'
    newcomer.server.always("/models", reply(200, {"data": [{"id": "gpt-9"}]}))
    async with newcomer.running() as driver:
        await driver.until(lambda: [r.path for r in newcomer.server.lookups].count("/v1/models") == 1)
        known = driver.screen._services.catalog
        await driver.until(lambda: "openai/gpt-9" in [model.name for model in known.usable()])
        await asyncio.sleep(0.7)
        assert [r.path for r in newcomer.server.lookups].count("/v1/models") == 1


async def test_later_an_empty_chat_is_short_and_nobody_is_looked_for(newcomer):
    newcomer.environ["OPENAI_API_KEY"] = "sk-proj-0123456789"
    newcomer.config += f'[providers.openai]\nbase_url = "{newcomer.server.base_url}"\nmodels = ["gpt-4.1"]\n'
    newcomer.server.enqueue(chat_stream(["Hello"]))
    async with newcomer.running() as driver:
        await driver.ask("hello")
        await driver.until(lambda: driver.answers and driver.idle)
    newcomer.server.lookups.clear()
    async with newcomer.running(ollama=True) as driver:
        await driver.press("ctrl+n")
        await driver.until(lambda: driver.shows("The next prompt goes to the marked model."))
        assert not driver.shows("paste a key")
        await asyncio.sleep(0.7)
        assert newcomer.server.lookups == []


@pytest.mark.parametrize("size", [(80, 24), (60, 15), (200, 60), (40, 12), (10, 4)])
async def test_on_every_size_the_marked_model_is_in_view(newcomer, size):
    newcomer.has_keys()
    async with newcomer.running(size, ollama=True) as driver:
        await driver.until(lambda: driver.screen.pane.empty._models and len(driver.screen.pane.empty._listed) == 4)
        names = ("deepseek/deepseek-chat", "gemini/gemini-2.5-flash", "ollama/qwen3:8b", "demo/quick")
        for name in names:
            await driver.until(lambda name=name: driver.screen.pane.session.model.name == name)
            if size[0] >= 60:
                assert driver.shows(name)
            await driver.press("down")
        assert all(len(line) <= size[0] for line in driver.lines())
        if size[0] >= 60:
            assert driver.shows("tried at once; kept in config.toml")
