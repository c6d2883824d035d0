"""What a provider's server refused is kept in a file that several processes write."""

from pathlib import Path

import pytest

from tui_chat.config.values import Config
from tui_chat.paths import Home, find_home
from tui_chat.provider_plans import plan
from tui_chat.providers.refusals import Refusals


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return find_home({"TUI_CHAT_HOME": str(tmp_path)})


def refusals(home: Home, provider: str = "openai") -> Refusals:
    """Return those of one more process."""
    return plan(provider, Config(), {}, home, lambda _: None, lambda _: []).endpoint.refusals


def test_what_was_refused_is_known_to_the_next_process(home: Home):
    refusals(home).add("m", "temperature")
    assert refusals(home).of("m") == {"temperature"}
    assert refusals(home, "mistral").of("m") == set()


def test_two_processes_at_once_keep_what_each_of_them_learnt(home: Home):
    one, other = refusals(home), refusals(home)
    assert one.of("a") == other.of("b") == set()
    one.add("a", "temperature")
    other.add("b", "top_p")
    one.add("a", "stream_options")
    after = refusals(home)
    assert after.of("a") == {"temperature", "stream_options"}
    assert after.of("b") == {"top_p", "stream_options"}


@pytest.mark.parametrize("damage", ["", "{", "[[", '{"openai https://api.openai.com/v1": {"m": 7, "*": [1]}}'])
def test_a_damaged_file_is_as_good_as_none(home: Home, damage: str):
    refusals(home).add("m", "temperature")
    (home.cache / "refused.json").write_text(damage)
    assert refusals(home).of("m") == set()
    refusals(home).add("m", "top_p")
    assert refusals(home).of("m") == {"top_p"}
