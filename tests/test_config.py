"""config.toml: what it says, and what it says when it is wrong; keys; folders."""

import json
import re
import stat
import threading
import time
from dataclasses import fields
from decimal import Decimal
from pathlib import Path

import pytest

from tui_chat import api_keys
from tui_chat.api_keys import find_key
from tui_chat.config import values
from tui_chat.config.file import defaults_text, load_config, parse_config
from tui_chat.config.screen_names import KEYS, THEMES, key_named
from tui_chat.config.values import Config, ProviderConfig, Secret
from tui_chat.core.errors import ConfigurationError
from tui_chat.core.keymap import KEYMAP
from tui_chat.core.settings import UISettings
from tui_chat.paths import find_home, make_private_folder
from tui_chat.vocabularies.vocabulary import SPLITS

FILE = Path("/home/me/config.toml")

WHOLE = """
default_model = "openai/gpt-4.1"
compare_models = ["openai/gpt-4.1", "deepseek/deepseek-chat"]
system_prompt = "You are concise."

[providers.work]
kind = "openai"
base_url = "http://127.0.0.1:8000/v1/"
api_key_env = "WORK_KEY"
headers = { "X-Team" = "blue" }
models = ["a", "b"]
params = { temperature = 0.2 }
limits = { requests_per_min = 60, tokens_per_min = 100000 }
pricing = { like = "list", multiplier = 1.0, currency = "CNY", usd_rate = 0.14 }

[models."work/a"]
input_per_mtok = 0.28
cached_input_per_mtok = 0.028
cache_write_per_mtok = 0.28
output_per_mtok = 0.42
reasoning_per_mtok = 0.42
per_request = 0.0
tiers = [{ above_tokens = 200000, input_per_mtok = 0.56, output_per_mtok = 0.84 }]
windows = [{ utc = "01:00-04:00", days = "mon-fri", factor = 2.0 }]
currency = "USD"
context_window = 128000
tokenizer = "o200k_base"
params = { max_tokens = 2000 }

[network]
connect_timeout_s = 5
first_token_timeout_s = 120
read_timeout_s = 30
max_retries = 2

[budget]
per_answer_usd = 0.50
per_chat_usd = 2
daily_usd = 5
monthly_usd = 50
warn_at = 0.8
unknown_price = "warn"
per_answer_tokens = 20000

[prices]
url = ""

[ui]
theme = "textual-dark"
enter = "send"
glyphs = "unicode"
stop_after_tokens = 0
render_interval_ms = 50
[keys]
"chat.cancel" = "escape"
"""


def wrong(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse_config(text, FILE)
    assert "\n" not in caught.value.message
    return caught.value.message


def test_the_contracts_example_is_read_exactly():
    read = parse_config(WHOLE, FILE)
    work, price = read.providers["work"], read.models["work/a"].price
    assert price is not None
    assert (work.base_url, work.headers, work.models) == ("http://127.0.0.1:8000/v1", {"X-Team": "blue"}, ("a", "b"))
    assert work.params == {"temperature": 0.2}
    assert isinstance(work.params["temperature"], float)
    assert (work.pricing.like, work.pricing.usd_rate) == ("list", Decimal("0.14"))
    assert (price.cached_input_per_mtok, price.output_per_mtok) == (Decimal("0.028"), Decimal("0.42"))
    assert price.tiers[0].input_per_mtok == Decimal("0.56")
    assert price.windows[0].days == frozenset(range(5))
    assert (read.budget.per_answer_usd, read.budget.daily_usd) == (Decimal("0.5"), Decimal(5))
    assert read.ui.keys == {"chat.cancel": "escape"}


@pytest.mark.parametrize("url", ["", "https://example.org/prices.json?v=1", "http://127.0.0.1:8000/prices.json"])
def test_a_price_table_may_be_fetched(url):
    assert parse_config(f'[prices]\nurl = "{url}"\n', FILE).prices.url == url


def test_the_printed_defaults_are_toml_that_says_the_defaults():
    assert parse_config(defaults_text(), FILE) == Config()


def test_the_printed_defaults_name_every_key():
    text = defaults_text()
    for table in (Config, ProviderConfig, values.ModelConfig, values.Network, values.Budget, values.Prices, UISettings):
        for field in fields(table):
            if field.name not in ("providers", "models", "network", "budget", "prices", "ui", "keys", "price"):
                assert re.search(rf"^(# )?{field.name} = .*$", text, re.MULTILINE), field.name
    assert [key.id for key in KEYMAP if not key.later and f'"{key.id}" = ' not in text] == []


def test_the_commented_examples_can_be_taken_in():
    lines = defaults_text().splitlines()[1:]
    taken = [line.removeprefix("# ") for line in lines]
    assert parse_config("\n".join(taken), FILE).providers["work"].api_key_env == "WORK_KEY"


def test_the_tokenizers_are_those_that_come_with_us():
    assert set(values.ENCODINGS) == set(SPLITS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[network]\n\nmax_retrys = 2", "line 3: unknown key network.max_retrys; did you mean network.max_retries?"),
        ("max_retries = 2", "line 1: unknown key max_retries; did you mean network.max_retries?"),
        ('[providers.work]\nbase_ulr = "x"', "providers.work.base_ulr; did you mean providers.work.base_url?"),
        ('[models."work/a"]\ninput = 3', 'line 2: unknown key models."work/a".input'),
        ('[keys]\n"chat.cancle" = "x"', 'line 2: unknown key keys."chat.cancle"; did you mean keys."chat.cancel"?'),
        ("zebra = 1", "line 1: unknown key zebra; the nearest is "),
        ('[network]\nmax_retries = "two"', "line 2: network.max_retries must be a whole number"),
        ("[network]\nmax_retries = true", "line 2: network.max_retries must be a whole number"),
        ("[network]\nread_timeout_s = 0", "line 2: network.read_timeout_s must be a number of seconds above 0"),
        ("[network]\nread_timeout_s = inf", "line 2: network.read_timeout_s must be"),
        ("network = 3", "line 1: network must be a table"),
        ("providers = 3", "line 1: providers must be a table of tables"),
        ("[providers]\nwork = 3", "line 2: providers.work must be a table"),
        ("default_model = 3", "line 1: default_model must be text in quotes"),
        ('# a\n\n[providers.a]\nmodels = [\n"x",\n3]', "line 4: providers.a.models[1] must be text"),
        ('[providers.a]\nbase_url = "127.0.0.1:80"', "line 2: providers.a.base_url must be a URL"),
        ('[providers.a]\nbase_url = "http://u:p@h/v1"', "line 2: providers.a.base_url must not hold a key"),
        ('[providers.a]\nkind = "openia"', 'line 2: providers.a.kind must be one of "openai"'),
        ('[providers."a/b"]\nkind = "openai"', "must not have a / in its name"),
        ('[providers.a]\nparams = { at = 2026-01-01 }', "line 2: providers.a.params.at must be"),
        ('[models."a/b"]\ninput_per_mtok = nan', 'line 2: models."a/b".input_per_mtok must be a number'),
        ('[models."a/b"]\ninput_per_mtok = -1', "must be a number of at least 0"),
        ('[models."a/b"]\ntiers = [{ above_tokens = 3 }]', "tiers[0] lacks input_per_mtok"),
        ('[models."a/b"]\nwindows = [{ utc = "1-x", factor = 2 }]', "windows[0] must be like"),
        ("[models.a]\ninput_per_mtok = 1", 'must be named "provider/model"'),
        ("[budget]\ndaily_usd = -5", "line 2: budget.daily_usd must be a number of at least 0"),
        ('[budget]\nunknown_price = "ignore"', 'budget.unknown_price must be one of "warn", "refuse", "tokens"'),
        ('[prices]\nurl = "prices.json"', "line 2: prices.url must be a URL"),
        ('[prices]\nurl = "file:///etc/passwd"', "line 2: prices.url must be a URL"),
        ('[prices]\nurl = "https://me:secret@h/p.json"', "line 2: prices.url must not hold a key"),
        ("[prices]\nurl = 3", "line 2: prices.url must be text"),
        ('[budget]\nper_answer_usd = 1e999', "budget.per_answer_usd must be a number of at most"),
        ('[models."a/b"]\ninput_per_mtok = 1e400', "must be a number of at most"),
        ("[providers.a]\nparams = { x = 1e999 }", "providers.a.params.x must be text, a number"),
        ('[ui]\ntheme = "gruvbocks"', "line 2: ui.theme must be a theme: textual-dark, textual-light, ansi-dark"),
        ('[keys]\n"chat.cancel" = ""', 'line 2: keys."chat.cancel" must be a key such as "ctrl+n"'),
        ('[keys]\n"chat.cancel" = "escape,"', 'line 2: keys."chat.cancel" must be a key such as'),
        ('[keys]\n"chat.cancel" = "not a key!!"', "'not a key!!' is no key such as"),
        ('[keys]\n"chat.cancel" = "f2, escpae"', "'escpae' is no key; did you mean escape?"),
        ('[keys]\n"chat.cancel" = "Ctrl+N"', "'Ctrl+N' is no key; did you mean ctrl+n?"),
        ('[keys]\n"chat.cancel" = "control-n"', "'control-n' is no key; did you mean ctrl+n?"),
        ('[keys]\n"chat.cancel" = "ctrl+ctrl+n"', "is no key"),
        ('[keys]\n"chat.cancel" = "ctrl+"', "is no key"),
        ("a = [1,\n", "not TOML"),
        ("[ui]\ntheme = \n", "line 2: not TOML"),
        ('[ui]\ntheme = "a"\ntheme = "b"', "line 3: not TOML"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(text, said):
    message = wrong(text)
    assert message.startswith(f"{FILE}, line ")
    assert said in message


def test_a_line_is_found_behind_a_text_that_looks_like_a_table():
    assert "line 6: unknown key ui.them" in wrong('system_prompt = """\n[ui]\nthem = 1\n"""\n[ui]\nthem = "a"')


def test_no_value_ever_stands_in_an_error():
    assert "sk-verysecret" not in wrong('[providers.a]\napi_key = ["sk-verysecret"]')


def test_no_file_means_the_defaults(tmp_path):
    assert load_config(tmp_path / "config.toml") == Config()


def test_a_file_that_cannot_be_read_is_an_error_that_names_it(tmp_path):
    (tmp_path / "config.toml").mkdir()
    with pytest.raises(ConfigurationError, match=r"config\.toml cannot be read"):
        load_config(tmp_path / "config.toml")


def test_a_file_that_is_no_text_is_an_error_with_its_line(tmp_path):
    (tmp_path / "config.toml").write_bytes(b"# a\n# \xff\n")
    with pytest.raises(ConfigurationError, match=r"line 2: not UTF-8"):
        load_config(tmp_path / "config.toml")


def test_windows_line_ends_and_a_byte_order_mark_are_fine(tmp_path):
    (tmp_path / "config.toml").write_bytes(b'\xef\xbb\xbfdefault_model = "a/b"\r\n[ui]\r\nenter = "newline"\r\n')
    assert load_config(tmp_path / "config.toml").ui.enter == "newline"


def test_keys_are_read_as_textual_spells_them():
    text = '[keys]\n"chat.cancel" = "shift+alt+up, R,question_mark , ctrl+slash,+"\n"chat.export" = ""\n'
    assert parse_config(text, FILE).ui.keys == {
        "chat.cancel": "alt+shift+up,R,question_mark,ctrl+slash,+",
        "chat.export": "",
    }


def test_every_default_key_may_stand_in_the_file():
    lines = [f"{json.dumps(key.id)} = {json.dumps(key.keys)}" for key in KEYMAP]
    assert parse_config("[keys]\n" + "\n".join(lines), FILE).ui.keys == {key.id: key.keys for key in KEYMAP}


def test_the_names_of_keys_and_themes_are_those_of_textual():
    from textual.keys import KEY_NAME_REPLACEMENTS, Keys, _character_to_key
    from textual.theme import BUILTIN_THEMES

    assert set(THEMES) == set(BUILTIN_THEMES)
    assert {_character_to_key(chr(code)) for code in range(0x21, 0x7F)} <= {
        *KEYS, *(chr(code) for code in range(0x30, 0x7B)),
    }  # fmt: skip
    theirs = {key.value for key in Keys} - {"<any>", "<scroll-up>", "<scroll-down>", "<ignore>", "ctrl-at", "ctrl+@"}
    assert {name for name in theirs if key_named(name) != name} == set()
    assert not KEYS & set(KEY_NAME_REPLACEMENTS)


# keys


def test_a_key_is_in_no_repr():
    read = parse_config('[providers.a]\nbase_url = "http://h/v1"\napi_key = "sk-verysecret"\n', FILE)
    assert "sk-verysecret" not in repr(read) + str(read)
    assert read.providers["a"].api_key == Secret("sk-verysecret")


def test_the_environment_goes_before_the_command_before_the_file():
    said = ProviderConfig(api_key_env="K", api_key_cmd="echo from-command", api_key=Secret("from-file"))
    assert find_key("a", said, (), {"K": " from-env\n"}).get() == "from-env"
    assert find_key("a", said, (), {"K": "  "}).get() == "from-command"
    assert find_key("a", ProviderConfig(api_key=Secret("from-file")), (), {}).get() == "from-file"


def test_a_preset_that_needs_a_key_says_which_variable_to_set():
    assert "set OPENAI_API_KEY" in str(find_key("openai", ProviderConfig(), ("OPENAI_API_KEY",), {}).missing)


def test_a_provider_without_a_word_about_keys_needs_none():
    found = find_key("a", ProviderConfig(), (), {})
    assert (found.get(), found.missing) == (None, None)


@pytest.mark.parametrize("key", ["sk-a b", "sk-a\tb", "sk-\u201ca\u201d", '"sk-a"', "'sk-a'"])
def test_a_key_that_was_copied_badly_is_said_without_showing_it(key):
    missing = str(find_key("a", ProviderConfig(api_key_env="K"), (), {"K": key}).missing)
    assert missing.startswith("K has ")
    assert key not in missing


def test_a_command_runs_once_without_a_shell(tmp_path):
    said = ProviderConfig(api_key_cmd=f"sh -c 'echo x >> {tmp_path}/runs; echo $HOME-; echo second'")
    found = find_key("a", said, (), {})
    assert not (tmp_path / "runs").exists()
    assert found.get() == found.get()
    assert str(found.get()).endswith("-")
    assert (tmp_path / "runs").read_text() == "x\n"
    piped = find_key("a", ProviderConfig(api_key_cmd="echo a | tr a b"), (), {})
    with pytest.raises(ConfigurationError, match="white space inside"):
        piped.get()


@pytest.mark.parametrize("command", ["false", "no-such-program-here", "true", "sh -c 'unclosed"])
def test_a_command_that_fails_is_one_line_that_names_it(command):
    with pytest.raises(ConfigurationError, match=r"^providers\.a\.api_key_cmd .*run it by hand$"):
        find_key("a", ProviderConfig(api_key_cmd=command), (), {}).get()


@pytest.mark.parametrize("command", ["sleep 60", "sh -c 'sleep 61 & wait'"], ids=["itself", "a child of it"])
def test_a_command_that_hangs_can_be_stopped_at_once(command):
    found = find_key("a", ProviderConfig(api_key_cmd=command), (), {})
    failures: list[str] = []

    def wait() -> None:
        with pytest.raises(ConfigurationError) as stopped:
            found.get()
        failures.append(stopped.value.message)

    waiting = [threading.Thread(target=wait) for _ in range(2)]
    for thread in waiting:
        thread.start()
    time.sleep(0.2)
    at = time.monotonic()
    found.stop()
    for thread in waiting:
        thread.join(5)
    assert time.monotonic() - at < 10
    assert failures == ["providers.a.api_key_cmd was stopped; run it by hand"] * 2


def test_a_command_that_hangs_is_given_up(monkeypatch):
    monkeypatch.setattr(api_keys, "COMMAND_TIMEOUT_S", 0.1)
    with pytest.raises(ConfigurationError, match="gave no key within"):
        find_key("a", ProviderConfig(api_key_cmd="sleep 60"), (), {}).get()


# folders


def test_one_variable_moves_everything(tmp_path):
    home = find_home({"TUI_CHAT_HOME": str(tmp_path)})
    assert {home.config, home.database, home.log, home.cache} == {
        tmp_path / name for name in ("config.toml", "chats.db", "tui-chat.log", "cache")
    }


def test_without_it_the_platforms_folders_hold(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert find_home({}).config.name == "config.toml"
    assert find_home({"TUI_CHAT_HOME": " "}) == find_home({})


def test_folders_are_made_for_their_owner_alone(tmp_path):
    make_private_folder(tmp_path / "a" / "b")
    assert [stat.S_IMODE((tmp_path / part).stat().st_mode) for part in ("a", "a/b")] == [0o700, 0o700]
