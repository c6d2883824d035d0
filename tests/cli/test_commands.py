"""The other commands, from outside."""

import json
import os
import pty
import stat
from decimal import Decimal

import pytest

from tests.loopback import chat_stream
from tui_chat import __version__
from tui_chat.commands.models import count_of
from tui_chat.config.file import parse_config
from tui_chat.config.values import Config
from tui_chat.core.keymap import KEYMAP

MODEL_KEYS = {
    "model", "context_window", "input_per_mtok", "cached_input_per_mtok", "cache_write_per_mtok", "output_per_mtok",
    "currency", "price_source", "price_as_of", "available",
}  # fmt: skip


def test_the_version_is_printed(program):
    assert program.run("--version").out == f"tui-chat {__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["ask", "--help"], ["config", "--defaults"], ["keys"]])
def test_help_into_a_closed_pipe_is_silent(program, arguments):
    read, write = os.pipe()
    os.close(read)
    with program.start(*arguments, stdout=write) as process:
        os.close(write)
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.parametrize("arguments", [["--nonsense"], ["nonsense"], ["ask", "-m"], ["ask", "a", "b"], ["import"]])
def test_wrong_usage_is_one_line(program, arguments):
    ended = program.run(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["usage"], ["compare"], ["serve"], ["doctor"], ["models", "--refresh"]])
def test_what_is_not_built_yet_says_so(program, arguments):
    ended = program.run(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert "not built yet" in ended.err


def test_the_app_in_a_pipe_points_to_ask(program):
    ended = program.run()
    assert ended.code == 2
    assert "tui-chat ask" in ended.err


def test_the_defaults_are_a_configuration(program, tmp_path):
    assert parse_config(program.run("config", "--defaults").out, tmp_path) == Config()
    assert str(program.home / "config.toml") in program.run("config").out


def test_all_keys_are_listed_with_the_users_own(program):
    program.configure('[keys]\n"chat.new" = "f9"\n')
    out = program.run("keys").out
    assert [key.id for key in KEYMAP if not key.later and key.id not in out] == []
    assert "F9" in next(line for line in out.splitlines() if "chat.new" in line)


# models


def test_the_models_that_can_be_used_have_a_key(program):
    program.environ["DEEPSEEK_API_KEY"] = "sk-1"
    listed = json.loads(program.run("models", "--json").out)
    assert all(set(model) == MODEL_KEYS for model in listed)
    assert {model["model"].split("/")[0] for model in listed} == {"deepseek", "demo"}
    chat = next(model for model in listed if model["model"] == "deepseek/deepseek-chat")
    assert (chat["input_per_mtok"], chat["cached_input_per_mtok"], chat["output_per_mtok"]) == (0.28, 0.028, 0.42)
    assert (chat["currency"], chat["price_source"], chat["price_as_of"]) == ("USD", "bundled", "2025-12")
    assert chat["available"] is True


def test_all_models_say_whether_they_can_be_used(program):
    listed = json.loads(program.run("models", "--all", "--json").out)
    assert {model["available"] for model in listed} == {True, False}
    assert any(model["model"] == "openai/gpt-4.1" for model in listed)


def test_a_projection_starts_with_the_cheapest_and_says_how_many_times_dearer_the_others_are(program):
    program.environ |= {"DEEPSEEK_API_KEY": "sk-1", "ANTHROPIC_API_KEY": "sk-2", "AIWAVE_API_KEY": "sk-3"}
    lines = program.run("models", "--project", "10M").out.splitlines()
    assert "10M out" in lines[0]
    assert lines[1].startswith("deepseek/deepseek-chat ")
    assert "$4.20  ×1.00" in lines[1]
    sonnet = next(line for line in lines if line.startswith("anthropic/claude-sonnet-4-5"))
    assert "$150.00  ×35.7" in sonnet
    assert lines[-1].startswith("demo/")


@pytest.mark.parametrize(
    ("text", "count"),
    [("10M", 10_000_000), ("250k", 250_000), ("1.5m", 1_500_000), ("1_000", 1000), ("2B", 2_000_000_000)],
)
def test_token_counts_are_read_as_people_write_them(text, count):
    assert count_of(text) == count


@pytest.mark.parametrize("text", ["", "x", "-1", "1e6", "10 T"])
def test_what_is_no_token_count_is_refused(text):
    with pytest.raises(ValueError, match="no number of tokens"):
        count_of(text)


# export and import


def test_export_import_export_gives_the_same_bytes(program, tmp_path):
    program.run("ask", "-m", "demo/thinker", "-m", "demo/quick", "-s", "Be brief.", "hello \udcff")
    program.run("ask", "-m", "demo/quick", "-c", "again")
    program.run("ask", "-m", "demo/rambler", "--max-cost", "0.00001", "another")
    first = program.run("export", "--all").out
    (tmp_path / "export.json").write_text(first)
    program.environ["TUI_CHAT_HOME"] = str(tmp_path / "empty")
    assert program.run("import", str(tmp_path / "export.json")).err == "2 imported\n"
    assert program.run("export", "--all").out == first
    assert program.run("import", str(tmp_path / "export.json")).err == "0 imported, 2 already there\n"
    assert program.run("export", "--all").out == first


def test_one_conversation_is_exported_by_the_start_of_its_id(program, tmp_path):
    said = program.run("ask", "--json", "-m", "demo/quick", "hello").object
    program.run("ask", "-m", "demo/quick", "other")
    path = tmp_path / "one.md"
    ended = program.run("export", said["conversation_id"], "--format", "markdown", "-o", str(path))
    assert (ended.code, ended.out) == (0, "")
    text = path.read_text()
    assert text.startswith("# hello\n")
    assert "## demo/quick" in text
    assert said["text"] in text
    assert "play $" in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name the conversations"),
        (["--all", "x"], "name the conversations"),
        (["nobody"], "no conversation has the id"),
        (["--all", "--format", "html"], "html cannot be written yet"),
        (["--all", "-o", "/proc/x/y"], "cannot be written"),
    ],
)
def test_an_export_that_cannot_be_is_one_line(program, arguments, said):
    ended = program.run("export", *arguments)
    assert ended.code == 2
    assert said in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot be read"), (b"\xff\xfe", "cannot be read"), (b"{", "not JSON"), (b"[]", "not an object")],
)
def test_a_file_that_is_no_export_is_one_line(program, tmp_path, content, said):
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content)
    ended = program.run("import", str(path))
    assert ended.code == 2
    assert said in ended.err
    assert str(path) in ended.err
    assert ended.err.count("\n") == 1


# a terminal


def test_controls_are_made_visible_on_a_terminal_and_only_there(program, work, server):
    for _ in range(2):
        server.enqueue(chat_stream(["a\x1b]0;x\x07b"]))
    assert program.run("ask", "-q", "hello").out == "a\x1b]0;x\x07b\n"
    ours, theirs = pty.openpty()
    with program.start("ask", "-q", "hello", stdout=theirs) as process:
        os.close(theirs)
        shown = b""
        while b"\n" not in shown:
            shown += os.read(ours, 1000)
    os.close(ours)
    assert process.returncode == 0
    assert shown.decode().strip() == "a␛]0;x␇b"


def test_ratios_have_three_digits():
    from tui_chat.commands.models import _ratio

    assert [_ratio(Decimal(text)) for text in ("1", "35.714", "9.999", "119.6")] == ["1.00", "35.7", "10.00", "120"]
