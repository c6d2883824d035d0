"""A key is put into config.toml, and everything else in it stays as the user wrote it."""

import os
import re
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_chat.config.writing import keep_key, with_key
from tui_chat.core.errors import ConfigurationError

KEY = "sk-new-0123456789"
NAMES = ("openai", "deepseek", "work", "my work", "büro", 'a"b')
names = st.sampled_from(NAMES)
texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=12)


def spelled(name: str, quote: str = "") -> str:
    """A table's name as TOML may have it."""
    bare = name.isascii() and name.isalnum()
    if bare and not quote:
        return name
    return f"'{name}'" if quote == "'" and "'" not in name else '"' + name.replace('"', '\\"') + '"'


def string(words: str) -> str:
    return '"' + words.replace("\\", "\\\\").replace('"', '\\"') + '"'


values = st.one_of(
    texts.map(string),
    st.integers(-99, 99).map(str),
    st.sampled_from(["true", "1.5", "{ a = 1, b = [1, 2] }", "[\n  'x', # why\n  '[providers.openai]',\n]"]),
    texts.map(lambda words: '"""\n[providers.work]\n' + words.replace('"', "").replace("\\", "") + '"""'),
)
comments = st.one_of(st.just(""), texts.map(lambda words: f"  # {words}"))


@st.composite
def lines(draw):
    keys = draw(st.lists(st.sampled_from(["kind", "base_url", "models", "x-1"]), unique=True, max_size=3))
    found = [f"{key} = {draw(values)}{draw(comments)}" for key in keys]
    return [*found, *draw(st.lists(texts.map(lambda words: f"# {words} api_key = 1"), max_size=2))]


@st.composite
def files(draw):
    """Configurations in every spelling that TOML has for a table, with or without keys in them."""
    out = draw(lines())
    for name in draw(st.lists(names, unique=True)):
        head = spelled(name, draw(st.sampled_from(["", "'", '"'])))
        space = draw(st.sampled_from(["", " "]))
        out += ["", f"{space}[{space}providers{space}.{space}{head}{space}]{draw(comments)}", *draw(lines())]
        if draw(st.booleans()):
            out.insert(draw(st.sampled_from([len(out)])), f"api_key = {string('sk-' + name)}{draw(comments)}")
        if draw(st.booleans()):
            out += [f"[providers.{head}.pricing]", "multiplier = 1.5", "[[other]]", "api_key = 'not this'"]
            break  # arrays of tables come once
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    text = newline.join(out)
    if newline == "\r\n":
        return text.replace("\n", "\r\n").replace("\r\r\n", "\r\n")
    return text + draw(st.sampled_from(["", "\n", "\n\n"]))


def meaning(text: str) -> dict[str, Any]:
    return tomllib.loads(text)


@given(files(), names)
def test_everything_but_the_key_stays_as_it_was(text, name):
    before = meaning(text)
    had = before.get("providers", {}).get(name, {}).get("api_key")
    new = with_key(text, name, KEY)
    after = meaning(new)
    assert after["providers"][name].pop("api_key") == KEY
    before.setdefault("providers", {}).setdefault(name, {}).pop("api_key", None)
    assert after == before
    if had is None:  # only whole lines came
        kept = iter(new.splitlines())
        assert all(line in kept for line in text.splitlines())
    else:  # only the old value went
        assert len(new.splitlines()) == len(text.splitlines())
        changed = [pair for pair in zip(text.splitlines(), new.splitlines(), strict=True) if pair[0] != pair[1]]
        assert len(changed) == 1
        old, fresh = changed[0]
        assert old.partition("#")[2] == fresh.partition("#")[2]
    assert ("\r\n" in new and not re.search(r"[^\r]\n", new)) if "\r\n" in text else "\r" not in new


def test_a_comment_behind_the_old_key_stays():
    assert with_key("[providers.openai]\napi_key = 'old' # from May\n", "openai", KEY) == (
        f'[providers.openai]\napi_key = "{KEY}" # from May\n'
    )


def test_a_key_in_a_dotted_line_is_replaced_where_it_stands():
    assert with_key('providers.openai.api_key = "old"\n', "openai", KEY) == f'providers.openai.api_key = "{KEY}"\n'


def test_the_mark_of_some_editors_stays_in_front():
    assert with_key("\ufeff[providers.openai]\n", "openai", KEY).startswith("\ufeff[providers.openai]\n")


@pytest.mark.parametrize("text", [
    'providers = { openai = { kind = "openai" } }\n',
    '[providers]\nopenai = { kind = "openai" }\n',
    '[providers.openai]\napi_key = """\nold"""\n',
    "providers = 1\n",
    "this is no TOML",
])  # fmt: skip
def test_what_cannot_be_done_safely_is_refused_in_one_line_without_the_key(text):
    with pytest.raises(ConfigurationError) as refused:
        with_key(text, "openai", KEY)
    assert "\n" not in refused.value.message
    assert KEY not in refused.value.message
    assert "providers.openai" in refused.value.message


def test_the_file_becomes_its_owners_alone(tmp_path):
    file = tmp_path / "new" / "config.toml"
    keep_key(file, "openai", KEY)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    file.chmod(0o644)
    keep_key(file, "deepseek", KEY)
    assert file.stat().st_mode & 0o777 == 0o600
    assert meaning(file.read_text())["providers"].keys() == {"openai", "deepseek"}
    assert [each.name for each in file.parent.iterdir()] == ["config.toml"]


def test_a_link_stays_a_link_and_lines_keep_their_ends(tmp_path):
    dotfiles = tmp_path / "dotfiles.toml"
    dotfiles.write_bytes(b'# mine\r\ndefault_model = "a/b"\r\n')
    link = tmp_path / "config.toml"
    link.symlink_to(dotfiles)
    keep_key(link, "openai", KEY)
    assert link.is_symlink()
    assert dotfiles.read_bytes() == (
        b'# mine\r\ndefault_model = "a/b"\r\n\r\n[providers.openai]\r\napi_key = "' + KEY.encode() + b'"\r\n'
    )


def test_a_file_that_cannot_be_written_is_left_as_it_is(tmp_path):
    file = tmp_path / "config.toml"
    file.write_bytes(b"\xff\xfe broken")
    with pytest.raises(ConfigurationError, match="not UTF-8 text; the key is kept nowhere"):
        keep_key(file, "openai", KEY)
    assert file.read_bytes() == b"\xff\xfe broken"
    around = tmp_path / "around.toml"
    around.symlink_to(around)
    with pytest.raises(ConfigurationError, match="kept nowhere"):
        keep_key(around, "openai", KEY)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="kept nowhere"):
        keep_key(tmp_path / "file" / "config.toml", "openai", KEY)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_somebody_else_keeps_the_file_as_it_is(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text("# mine\n")
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigurationError, match="the key is kept nowhere"):
        keep_key(file, "openai", KEY)
    tmp_path.chmod(0o700)
    assert file.read_text() == "# mine\n"
