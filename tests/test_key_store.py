"""Keys that are handed over while the program runs: tried with a real server, kept, and found again."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.loopback import LoopbackServer, chat_stream, reply
from tui_chat.bootstrap import Ground
from tui_chat.core.errors import ChatError, ConfigurationError, ProviderError
from tui_chat.core.events import TextDelta
from tui_chat.core.message import Message
from tui_chat.core.ports import KeyPlace, Keys
from tui_chat.core.request import Request
from tui_chat.key_store import KeyStore
from tui_chat.providers.registry import ProviderSet
from tui_chat.system_keyring import Keyring

KEY = "sk-proj-0123456789abcdefghij"
OTHER = "sk-proj-zyxwvutsrqponmlkjihg"
MODELS = reply(200, {"data": [{"id": "gpt-4.1"}, {"id": "gpt-4.1-mini"}]})
REFUSED = reply(401, {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}})


class House:
    """One home and one server that plays OpenAI; each `opened` is a run of the program."""

    def __init__(self, home: Path, server: LoopbackServer) -> None:
        self.home, self.server = home, server
        self.environ = {"TUI_CHAT_HOME": str(home)}
        (home / "config.toml").write_text(f'# mine\n[providers.openai]\nbase_url = "{server.base_url}"\n')

    @contextmanager
    def opened(self, keyring: Keyring | None = None) -> "Iterator[Run]":
        ground = Ground.lay(self.environ)
        store, providers = ground.open_store(), ground.providers()
        if keyring is None:
            keys: Keys = ground.services(store, providers).keys
        else:
            sources = {plan.entry.id: plan.key.source for plan in ground.plans}
            lists = ground.model_lists(providers)
            keys = KeyStore(ground.catalog, providers, keyring, ground.home.config, lists.take, sources)
        try:
            yield Run(ground, providers, keys)
        finally:
            store.close()


class Run:
    def __init__(self, ground: Ground, providers: ProviderSet, keys: Keys) -> None:
        self.ground, self.providers, self.keys = ground, providers, keys

    def place(self, provider: str) -> KeyPlace:
        return next(place for place in self.keys.places() if place.provider == provider)

    async def ask(self) -> str:
        model = self.ground.catalog.resolve("openai/gpt-4.1")
        assert model.missing is None
        provider = self.providers.provider(model)
        events = provider.stream(Request(model, (Message.of("user", "hello"),), {}))
        text = "".join([event.text async for event in events if isinstance(event, TextDelta)])
        await self.providers.aclose()
        return text


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    with LoopbackServer() as server:
        server.always("/models", MODELS)
        yield House(home, server)


async def test_a_refused_key_is_kept_nowhere_and_shown_nowhere(house, caplog):
    echo = reply(401, {"error": {"message": f"Incorrect API key provided: {KEY}"}})
    house.server.always("/models", echo)
    with house.opened() as run:
        with pytest.raises(ProviderError) as refused:
            await run.keys.try_key("openai", KEY)
        assert refused.value.kind == "authentication"
        assert "Incorrect API key" in refused.value.message
        assert KEY not in refused.value.message + repr(refused.value) + repr(run.keys) + caplog.text
    assert KEY not in (house.home / "config.toml").read_text()


async def test_a_key_that_works_is_kept_in_config_toml_used_at_once_and_found_at_the_next_start(house):
    with house.opened() as run:
        assert run.ground.catalog.resolve("openai/gpt-4.1").missing is not None
        assert run.place("openai").source == ""
        assert run.keys.where == run.keys.look_where() == "config.toml"
        assert await run.keys.try_key("openai", f"  {KEY}\n") == "works, 2 models"
        assert run.keys.keep("openai", KEY) == str(house.home / "config.toml")
        assert run.place("openai").source == "providers.openai.api_key in config.toml"
        house.server.enqueue(chat_stream(["Hello"]))
        assert await run.ask() == "Hello"
        assert house.server.requests[-1].headers["authorization"] == f"Bearer {KEY}"
    config = house.home / "config.toml"
    assert config.stat().st_mode & 0o777 == 0o600
    assert config.read_text().startswith("# mine\n")
    with house.opened() as run:
        house.server.enqueue(chat_stream(["again"]))
        assert await run.ask() == "again"
        assert "openai/gpt-4.1-mini" in [model.name for model in run.ground.catalog.usable()]
    assert not any(KEY in file.read_text() for file in (house.home / "cache").rglob("*.json"))


async def test_what_cannot_be_a_key_is_refused_before_anybody_is_asked(house):
    with house.opened() as run:
        for wrong in ("", "two words", "“sk-123”"):
            with pytest.raises(ConfigurationError):
                await run.keys.try_key("openai", wrong)
            with pytest.raises(ConfigurationError):
                run.keys.keep("openai", wrong)
        with pytest.raises(ConfigurationError):
            await run.keys.try_key("nobody", KEY)
    assert house.server.lookups == []


async def test_a_server_that_is_gone_is_no_verdict_on_the_key(house):
    house.server.always("/models", reply(503, {"error": {"message": "busy"}}))
    with house.opened() as run, pytest.raises(ProviderError) as failed:
        await run.keys.try_key("openai", KEY)
    assert failed.value.kind not in ("authentication", "permission")


async def test_a_provider_without_a_list_takes_the_key_untried(house):
    house.server.always("/models", reply(404, {"error": {"message": "no such page"}}))
    with house.opened() as run:
        assert (await run.keys.try_key("openai", KEY)).startswith("taken untried")


async def test_a_variable_goes_before_a_stored_key_but_not_in_this_run(house):
    house.environ["OPENAI_API_KEY"] = OTHER
    with house.opened() as run:
        assert run.place("openai").before == "OPENAI_API_KEY"
        run.keys.keep("openai", KEY)
        assert run.place("openai").before == "OPENAI_API_KEY"
        house.server.enqueue(chat_stream(["new"]))
        assert await run.ask() == "new"
        assert house.server.requests[-1].headers["authorization"] == f"Bearer {KEY}"
    with house.opened() as run:
        house.server.enqueue(chat_stream(["old"]))
        assert await run.ask() == "old"
        assert house.server.requests[-1].headers["authorization"] == f"Bearer {OTHER}"


def test_a_command_goes_before_a_stored_key_too(house):
    with (house.home / "config.toml").open("a") as config:
        config.write('api_key_cmd = "pass show openai"\n')
    with house.opened() as run:
        assert run.place("openai").before == "providers.openai.api_key_cmd"
        assert run.place("deepseek").before == ""


def test_providers_of_the_users_own_take_a_key_and_servers_on_this_machine_do_not(house):
    with (house.home / "config.toml").open("a") as config:
        config.write(
            '[providers.work]\nkind = "openai"\nbase_url = "https://work.example/v1"\napi_key_env = "WORK_KEY"\n'
        )
    with house.opened() as run:
        assert run.place("work").variable == "WORK_KEY"
        assert {"ollama", "lmstudio", "llamacpp", "vllm", "demo"}.isdisjoint(p.provider for p in run.keys.places())


@pytest.mark.parametrize(("key", "provider"), [
    ("sk-ant-api03-x", "anthropic"), ("sk-or-v1-x", "openrouter"), (" sk-proj-x", "openai"), ("AIzaSyX", "gemini"),
    ("gsk_x", "groq"), ("github_pat_x", "github"), ("sk-0123456789", None), ("", None),
])  # fmt: skip
def test_the_shape_of_a_key_tells_whose_it_is_where_it_can(house, key, provider):
    with house.opened() as run:
        assert run.keys.guess(key) == provider


# the system's keyring


@pytest.fixture
def backend():
    """A keyring in memory, as a backend of the real package."""
    keyring = pytest.importorskip("keyring")
    from keyring.backend import KeyringBackend

    class InMemory(KeyringBackend):
        priority = 5

        def __init__(self) -> None:
            self.held: dict[tuple[str, str], str] = {}
            self.locked = False
            self.silent = False

        def get_password(self, service, username):
            if self.locked:
                raise keyring.errors.KeyringLocked("locked")
            return self.held.get((service, username))

        def set_password(self, service, username, password):
            if self.locked:
                raise keyring.errors.PasswordSetError("locked")
            if not self.silent:
                self.held[service, username] = password

        def delete_password(self, service, username):
            del self.held[service, username]

    before, mine = keyring.get_keyring(), InMemory()
    keyring.set_keyring(mine)
    yield mine
    keyring.set_keyring(before)


def test_a_keyring_keeps_the_key_and_only_the_providers_name_is_written_down(house, backend):
    noted = house.home / "keyring.json"
    with house.opened(Keyring(noted)) as run:
        assert run.keys.look_where() == run.keys.where == "the keyring"
        assert run.keys.keep("openai", KEY) == "the keyring"
        assert run.place("openai").source == "the keyring"
    assert backend.held == {("tui-chat", "openai"): KEY}
    assert json.loads(noted.read_text()) == ["openai"]
    assert KEY not in (house.home / "config.toml").read_text()
    found = Keyring(noted).find("openai")
    assert found is not None
    assert not found.at_hand()
    assert found.get() == KEY
    assert found.at_hand()
    assert KEY not in repr(found)
    assert Keyring(noted).find("deepseek") is None


def test_a_keyring_that_does_not_take_the_key_says_so(house, backend):
    keyring = Keyring(house.home / "keyring.json")
    backend.locked = True
    with house.opened(keyring) as run, pytest.raises(ConfigurationError, match="did not take the key") as refused:
        run.keys.keep("openai", KEY)
    assert KEY not in refused.value.message
    backend.locked, backend.silent = False, True
    with house.opened(keyring) as run, pytest.raises(ConfigurationError, match="did not take the key"):
        run.keys.keep("openai", KEY)
    assert keyring.find("openai") is None


def test_a_locked_or_emptied_keyring_is_named_when_its_key_is_needed(house, backend):
    keyring = Keyring(house.home / "keyring.json")
    keyring.keep("openai", KEY)
    found = keyring.find("openai")
    assert found is not None
    backend.locked = True
    with pytest.raises(ChatError, match="unlock it"):
        found.get()
    backend.locked = False
    backend.held.clear()
    with pytest.raises(ChatError, match="no key for openai any more"):
        found.get()


def test_a_name_that_cannot_be_noted_is_an_error_because_the_key_would_be_lost(house, backend):
    (house.home / "file").write_text("")
    keyring = Keyring(house.home / "file" / "keyring.json")
    with pytest.raises(ConfigurationError, match="would not be found again"):
        keyring.keep("openai", KEY)


def test_a_key_in_the_file_is_not_hidden_by_one_that_an_earlier_keyring_had(house, backend):
    noted = house.home / "keyring.json"
    Keyring(noted).keep("openai", OTHER)
    type(backend).priority = 0  # no keyring today, as over SSH
    keyring = Keyring(noted)
    with house.opened(keyring) as run:
        assert run.keys.keep("openai", KEY) == str(house.home / "config.toml")
    assert Keyring(noted).find("openai") is None


def test_a_keyring_that_writes_plain_text_or_keeps_nothing_is_not_used(house, backend):
    for priority in (0.5, 0, -1):
        type(backend).priority = priority
        assert not Keyring(house.home / "keyring.json").usable


def test_with_a_home_of_its_own_the_program_leaves_the_keyring_alone(house, backend):
    with house.opened() as run:
        assert run.keys.where == "config.toml"
        run.keys.keep("openai", KEY)
    assert backend.held == {}
