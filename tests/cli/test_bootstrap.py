"""What bootstrap puts together: services for the screen, warnings, a log without keys."""

import logging
import stat

import pytest

from tui_chat.bootstrap import Ground
from tui_chat.core.errors import ConfigurationError


@pytest.fixture
def lay(tmp_path, monkeypatch):
    """Lay the ground in a home of its own; give the root logger back as it was."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level

    def laid(text: str = "", **environ: str) -> Ground:
        (tmp_path / "config.toml").write_text(text)
        (tmp_path / "config.toml").chmod(0o600)
        return Ground.lay({"TUI_CHAT_HOME": str(tmp_path), **environ})

    yield laid
    for handler in [each for each in root.handlers if each not in before]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


def test_the_screen_gets_all_it_needs(lay):
    ground = lay('[ui]\nenter = "newline"\n[budget]\nper_answer_usd = 0.5\n')
    store = ground.open_store()
    try:
        services = ground.services(store, ground.providers())
        assert services.settings.enter == "newline"
        assert services.notes == ()
        assert services.catalog.first(None, None, scripted=True).name == "demo/quick"
        services.warm()
    finally:
        assert store.close()


def test_names_that_fit_no_model_are_a_warning_and_not_the_end(lay):
    ground = lay('compare_models = ["nobody/x", "demo/quick"]\n')
    assert len(ground.notes) == 1
    assert "compare_models: unknown provider 'nobody'" in ground.notes[0]
    assert [model.name for model in ground.catalog.compare_models()] == ["demo/quick"]


def test_a_key_that_travels_in_the_clear_is_a_warning(lay):
    ground = lay('[providers.far]\nbase_url = "http://example.com/v1"\napi_key_env = "K"\n', K="sk-1")
    assert "unencrypted" in ground.notes[0]
    near = lay('[providers.near]\nbase_url = "http://127.0.0.1:1/v1"\napi_key_env = "K"\n', K="sk-1")
    assert near.notes == ()


def test_a_preset_is_overridden_key_by_key(lay):
    ground = lay('[providers.openai]\nparams = { temperature = 0 }\n', OPENAI_API_KEY="sk-1")  # fmt: skip
    model = ground.catalog.resolve("openai/gpt-4.1")
    assert (model.missing, model.params, model.found) == (None, {"temperature": 0}, "OPENAI_API_KEY")
    (endpoint,) = [each for each in ground.endpoints if each.provider == "openai"]
    assert (endpoint.base_url, endpoint.api_key()) == ("https://api.openai.com/v1", "sk-1")


def test_a_provider_without_a_place_is_an_error(lay):
    with pytest.raises(ConfigurationError, match=r"providers\.work needs a base_url"):
        lay('[providers.work]\nmodels = ["a"]\n')


def test_limits_go_to_the_endpoint(lay):
    ground = lay('[providers.work]\nbase_url = "http://127.0.0.1:1/v1"\nlimits = { requests_per_min = 7 }\n')
    (endpoint,) = [each for each in ground.endpoints if each.provider == "work"]
    assert (endpoint.requests_per_min, endpoint.tokens_per_min) == (7, None)
    assert ground.catalog.resolve("work/a").missing is None


def test_the_log_is_private_has_no_key_and_nothing_of_the_libraries(lay):
    ground = lay()
    ground.secrets.add("sk-verysecret123")
    logging.getLogger("httpx").warning("HTTP Request: POST https://x?key=sk-verysecret123")
    assert not ground.home.log.exists()
    bug = ValueError("with sk-verysecret123 in it")
    logging.getLogger("tui_chat").error("bug near sk-verysecret123 and Bearer abcdefgh1234", exc_info=bug)
    text = ground.home.log.read_text()
    assert "bug near [key]" in text
    assert "verysecret" not in text
    assert "abcdefgh" not in text
    assert stat.S_IMODE(ground.home.log.stat().st_mode) == 0o600


def test_a_log_that_cannot_be_written_breaks_nothing(lay):
    ground = lay()
    ground.home.log.mkdir()
    logging.getLogger("tui_chat").warning("nobody hears")
