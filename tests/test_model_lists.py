"""The lists that providers keep: asked when it is time, kept for when nobody answers."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.loopback import LoopbackServer, Stall, Step, reply
from tui_chat.bootstrap import Ground
from tui_chat.core.model import ListedModel


@pytest.fixture
def server():
    with LoopbackServer() as server:
        yield server


class Clock:
    def __init__(self) -> None:
        self.time = datetime(2026, 1, 2, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return 0.0


class Home:
    """One home, opened as often as a test wants; the clock stands still."""

    def __init__(self, folder: Path, config: str) -> None:
        self.folder, self.clock = folder, Clock()
        (folder / "config.toml").write_text(config)

    def ground(self, **environ: str) -> Ground:
        return Ground.lay({"TUI_CHAT_HOME": str(self.folder), **environ})

    async def refreshed(self, ground: Ground, how: str = "refresh", **options: bool) -> bool:
        providers = ground.providers()
        lists = ground.model_lists(providers)
        lists._clock = self.clock
        changed: bool = await getattr(lists, how)(**options)
        await providers.aclose()
        return changed


def names(ground: Ground, provider: str = "work/") -> list[str]:
    return [model.name for model in ground.catalog.known() if model.name.startswith(provider)]


def listing(*ids: str) -> list[Step]:
    return reply(200, {"data": [{"id": each} for each in ids]})


async def test_a_list_is_asked_for_once_a_day_and_kept(server: LoopbackServer, tmp_path: Path):
    server.always("/models", listing("a", "b"))
    home = Home(tmp_path, f'[providers.work]\nbase_url = "{server.base_url}"\n')
    ground = home.ground()
    assert names(ground) == []
    assert await home.refreshed(ground)
    assert names(ground) == ["work/a", "work/b"]
    assert ground.catalog.resolve("b").name == "work/b"

    home.clock.time += timedelta(hours=23)
    later = home.ground()
    assert names(later) == ["work/a", "work/b"], "without asking"
    assert not await home.refreshed(later)
    assert len(server.lookups) == 1

    home.clock.time += timedelta(hours=2)
    server.always("/models", listing("b", "c"))
    assert await home.refreshed(later)
    assert names(later) == ["work/b", "work/c"]


async def test_a_provider_that_does_not_answer_keeps_the_list_it_had(server: LoopbackServer, tmp_path: Path):
    server.always("/models", listing("a"))
    home = Home(tmp_path, f'[providers.work]\nbase_url = "{server.base_url}"\n')
    assert await home.refreshed(home.ground())
    home.clock.time += timedelta(days=3)
    for broken in (reply(500), reply(200, "no JSON"), listing()):
        server.always("/models", broken)
        ground = home.ground()
        assert not await home.refreshed(ground)
        assert names(ground) == ["work/a"]


async def test_the_list_of_another_address_does_not_count(server: LoopbackServer, tmp_path: Path):
    server.always("/models", listing("a"))
    home = Home(tmp_path, f'[providers.work]\nbase_url = "{server.base_url}"\n')
    assert await home.refreshed(home.ground())
    (tmp_path / "config.toml").write_text('[providers.work]\nbase_url = "http://127.0.0.1:9/v1"\n')
    assert names(home.ground()) == []


async def test_in_the_background_nobody_is_asked_for_a_password(server: LoopbackServer, tmp_path: Path):
    server.always("/models", listing("a"))
    config = f'[providers.work]\nbase_url = "{server.base_url}"\napi_key_cmd = "touch {tmp_path / "ran"}"\n'
    home = Home(tmp_path, config)
    assert not await home.refreshed(home.ground())
    assert (server.lookups, (tmp_path / "ran").exists()) == ([], False)


async def test_models_that_the_user_names_are_those_that_there_are(server: LoopbackServer, tmp_path: Path):
    server.always("/models", listing("a"))
    home = Home(tmp_path, f'[providers.work]\nbase_url = "{server.base_url}"\nmodels = ["mine"]\n')
    ground = home.ground()
    assert not await home.refreshed(ground)
    assert (names(ground), server.lookups) == (["work/mine"], [])


async def test_a_server_on_this_machine_is_there_once_it_answered(server: LoopbackServer, tmp_path: Path):
    home = Home(tmp_path, f'[providers.ollama]\nbase_url = "{server.url}"\n')
    silent = home.ground()
    await home.refreshed(silent, "find_local")
    assert "ollama" not in [model.provider for model in silent.catalog.starters()]

    server.always("/api/tags", reply(200, {"models": [{"model": "qwen3:8b"}, {"name": "llama3.2"}]}))
    ground = home.ground()
    assert await home.refreshed(ground, "find_local")
    starter = next(model for model in ground.catalog.starters() if model.provider == "ollama")
    assert (starter.name, starter.found) == ("ollama/qwen3:8b", "Ollama, 2 models")
    assert starter.price is not None
    assert (starter.price.free, starter.price.source) == (True, "local")


async def test_a_server_that_hangs_holds_nobody_up(server: LoopbackServer, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("tui_chat.model_lists._LOCAL_S", 0.05)
    server.always("/api/tags", [Stall()])
    home = Home(tmp_path, f'[providers.ollama]\nbase_url = "{server.url}"\n')
    assert not await home.refreshed(home.ground(), "find_local")


def test_a_list_in_the_cache_may_be_anything(tmp_path: Path):
    home = Home(tmp_path, '[providers.work]\nbase_url = "http://127.0.0.1:9/v1"\n')
    file = tmp_path / "cache" / "models" / "work.json"
    file.parent.mkdir(parents=True)
    base = '"base_url": "http://127.0.0.1:9/v1"'
    for junk in (
        b"",
        b"{",
        b"[]",
        b"\xff",
        f"{{{base}}}".encode(),
        f'{{{base}, "models": [1, {{"id": ""}}]}}'.encode(),
    ):
        file.write_bytes(junk)
        assert names(home.ground()) == []
    file.write_text(f'{{{base}, "models": [{{"id": "a", "price": {{"input_per_mtok": "x"}}, "context_window": -1}}]}}')
    (model,) = [model for model in home.ground().catalog.known() if model.provider == "work"]
    assert (model.name, model.price, model.context_window) == ("work/a", None, None)


def test_a_price_that_the_provider_says_itself_is_kept_exactly(tmp_path: Path):
    from decimal import Decimal

    from tui_chat.core.pricing import Price

    home = Home(tmp_path, '[providers.work]\nbase_url = "http://127.0.0.1:9/v1"\n')
    ground = home.ground()
    assert ground.lists is not None
    price = Price(input_per_mtok=Decimal("0.0000001"), output_per_mtok=Decimal(2), source="provider")
    ground.lists.keep("work", [ListedModel("a", 1000, price)], home.clock.time)
    (model,) = [model for model in home.ground().catalog.known() if model.provider == "work"]
    assert (model.price, model.context_window) == (price, 1000)
