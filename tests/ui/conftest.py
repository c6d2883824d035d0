"""The app on real parts: a real configuration, a real database, a real server on loopback. Nothing is patched."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.worker import WorkerCancelled

from tests.loopback import LoopbackServer
from tui_chat.bootstrap import Ground
from tui_chat.core.completion import Completion
from tui_chat.ui.app import ChatApp
from tui_chat.ui.screens.chat import ChatScreen


@dataclass
class Driver:
    """Types, waits and looks, as a user does."""

    app: ChatApp
    pilot: "Pilot[None]"

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def type(self, words: str) -> None:
        await self.pilot.press(*("space" if c == " " else c for c in words))

    async def ask(self, words: str) -> None:
        await self.type(words)
        await self.press("enter")

    async def until(self, condition: Callable[[], object], timeout_s: float = 10) -> None:
        """Wait for something to become true on the screen."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                await self.pilot.pause(0.005)
        await self.pilot.pause()

    @property
    def screen(self) -> ChatScreen:
        screen = self.app.screen_stack[0]
        assert isinstance(screen, ChatScreen)
        return screen

    @property
    def prompt(self) -> str:
        return self.screen.pane.prompt.text

    @property
    def answers(self) -> list[Completion]:
        return self.screen.pane.transcript.shown

    @property
    def idle(self) -> bool:
        return not self.app.streams

    def lines(self) -> list[str]:
        """The rows of the screen as text."""
        width, height = self.app.size
        strips = self.app.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip)[:width].rstrip() for strip in strips[:height]]

    def shows(self, words: str) -> bool:
        return any(words in line for line in self.lines())


class Program:
    """Starts the app on one home, as often as a test wants."""

    def __init__(self, home: Path, server: LoopbackServer) -> None:
        self.home = home
        self.server = server
        self.config = (
            'default_model = "work/a"\n[network]\nmax_retries = 0\n'
            f'[providers.work]\nkind = "openai"\nbase_url = "{server.base_url}"\nmodels = ["a"]\n'
            '[models."work/a"]\ninput_per_mtok = 1.0\noutput_per_mtok = 2.0\ncontext_window = 128000\n'
        )

    @asynccontextmanager
    async def running(
        self, size: tuple[int, int] = (120, 40), more: str = "", **options: object
    ) -> AsyncIterator[Driver]:
        (self.home / "config.toml").write_text(self.config + more)
        ground = Ground.lay({"TUI_CHAT_HOME": str(self.home)})
        store, providers = ground.open_store(), ground.providers()
        app = ChatApp(ground.services(store, providers), **options)  # type: ignore[arg-type]
        try:
            async with app.run_test(size=size, notifications=True) as pilot:
                await pilot.pause()
                yield Driver(app, pilot)
                app.streams.cancel_all()
                with suppress(WorkerCancelled):
                    await app.workers.wait_for_complete([r.worker for r in app.streams.all])
        finally:
            await providers.aclose()
            store.close()


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("TMUX", raising=False)
    monkeypatch.setenv("TUI_CHAT_DEMO_SPEED", "0")
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    with LoopbackServer() as server:
        yield Program(home, server)
