"""The other commands, from outside."""

import copy
import json
import os
import pty
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tui_chat
from tests.loopback import Drop, Head, LoopbackServer, Split, Stall, chat_stream, reply
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


@pytest.mark.parametrize(
    "arguments", [["--nonsense"], ["nonsense"], ["ask", "-m"], ["ask", "a", "b"], ["import"], ["compare"]]
)
def test_wrong_usage_is_one_line(program, arguments):
    ended = program.run(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["serve"]])
def test_what_is_not_built_yet_says_so(program, arguments):
    ended = program.run(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert "not built yet" in ended.err


def test_models_are_asked_for_and_a_provider_that_is_silent_is_named(program, server):
    server.always("/models", reply(200, {"data": [{"id": "new-one"}, {"id": "text-embedding-3"}]}))
    program.configure(
        f'[providers.work]\nbase_url = "{server.base_url}"\n[providers.gone]\nbase_url = "http://127.0.0.1:9/v1"\n'
    )
    assert "new-one" not in program.run("models").out
    ended = program.run("models", "--refresh")
    assert "work/new-one " in ended.out
    assert "embedding" not in ended.out
    assert ended.err.startswith("warning: gone cannot be reached at http://127.0.0.1:9/v1/models")
    assert ended.err.count("\n") == 1
    assert "work/new-one " in program.run("models").out, "kept for when there is no network"


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
    assert "$4.20   ×1.0" in lines[1]
    sonnet = next(line for line in lines if line.startswith("anthropic/claude-sonnet-4-5"))
    assert "$150.00  ×35.7" in sonnet
    assert lines[-1].startswith("demo/")


def test_the_projection_of_a_slow_answer_names_what_the_guides_print(program):
    lines = program.run("models", "--all", "--project", "10M").out.splitlines()
    for name, costs in (
        ("deepseek/deepseek-v3.2", "$4.20"),
        ("anthropic/claude-sonnet-4-5", "$150.00"),
        ("holysheep/deepseek-v3.2", "$4.20"),
        ("holysheep/gemini-2.5-flash", "$25.00"),
        ("holysheep/gpt-4.1", "$80.00"),
        ("holysheep/claude-sonnet-4.5", "$150.00"),
    ):
        line = next(line for line in lines if line.startswith(f"{name} "))
        assert f" {costs} " in line, line


# prices that are fetched

TABLE = json.loads((Path(tui_chat.__file__).parent / "catalog" / "table.json").read_text())


def newer(output: str = "7.25") -> dict[str, Any]:
    """Return our own table with one price changed."""
    table: dict[str, Any] = copy.deepcopy(TABLE)
    table["rows"]["openai"]["gpt-4.1"]["output"] = output
    return table


def gpt(ended) -> tuple[float, str]:
    model = next(each for each in json.loads(ended.out) if each["model"] == "openai/gpt-4.1")
    return model["output_per_mtok"], model["price_source"]


@pytest.fixture
def prices(program, server):
    """Configure a price table at the server, which has none yet."""
    program.environ["OPENAI_API_KEY"] = "sk-of-openai"
    program.configure(f'[prices]\nurl = "{server.base_url}/prices.json"\n[providers.openai]\nmodels = ["gpt-4.1"]\n')
    return program


def test_a_fetched_price_table_is_used_from_then_on_by_every_command(prices, server):
    server.always("/prices.json", reply(200, newer()))
    assert gpt(prices.run("models", "--json")) == (8.0, "bundled"), "nothing is fetched unasked"
    assert server.lookups == []
    ended = prices.run("models", "--refresh", "--json")
    assert (gpt(ended), ended.err) == ((7.25, "fetched"), "")
    (lookup,) = [each for each in server.lookups if each.path.endswith("/prices.json")]
    assert "sk-of-openai" not in str(lookup.headers)
    assert not any(name.lower() in ("authorization", "x-api-key", "cookie") for name in lookup.headers)
    kept = prices.home / "cache" / "prices.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert {"fetched", "url", "table"} == json.loads(kept.read_text()).keys()
    assert gpt(prices.run("models", "--json")) == (7.25, "fetched")
    assert len(server.lookups) == 1
    assert '"price_source": "fetched"' in prices.run("models", "--all", "--json").out


def test_a_fetched_price_table_is_there_without_a_network(prices):
    with LoopbackServer() as server:
        server.always("/prices.json", reply(200, newer()))
        prices.configure(f'[prices]\nurl = "{server.base_url}/prices.json"\n[providers.openai]\nmodels = ["gpt-4.1"]\n')
        assert gpt(prices.run("models", "--refresh", "--json")) == (7.25, "fetched")
    assert gpt(prices.run("models", "--json")) == (7.25, "fetched")
    offline = prices.run("models", "--json", "--refresh")
    assert gpt(offline) == (7.25, "fetched")
    assert offline.err.startswith("warning: prices.url cannot be reached at http://127.0.0.1:")
    assert offline.err.count("\n") == 1


def test_a_newer_table_takes_the_place_of_one_that_was_fetched(prices, server):
    for output, figure in (("7.25", 7.25), ("6", 6.0)):
        server.always("/prices.json", reply(200, newer(output)))
        assert gpt(prices.run("models", "--refresh", "--json")) == (figure, "fetched")


WRONG_TABLES = {
    "no answer": (reply(500, "out of order"), "prices.url answered 500"),
    "not there": (reply(404, {"detail": "no"}), "prices.url answered 404"),
    "a redirect": (reply(302, b"", {"Location": "/v1/elsewhere.json"}), "a redirect to"),
    "a page": (reply(200, "<html>Sign in</html>"), "is no JSON"),
    "half of it": (reply(200, json.dumps(TABLE)[:5000]), "is no JSON"),
    "nested": (reply(200, "[" * 100_000), "is no JSON"),
    "no text": (reply(200, b"\xff\xfe{}"), "is no JSON"),
    "no table": (reply(200, {"gpt-4.1": {"input_cost_per_token": 2e-06}}), "is no price table"),
    "another version": (reply(200, newer() | {"version": 2}), "is of version 2"),
    "an old one": (reply(200, newer() | {"as_of": "2025-12"}), "older than the one in use"),
    "a wrong figure": (reply(200, newer("-7")), "openai/gpt-4.1: output is no price"),
    "a few rows": (
        reply(200, newer() | {"rows": {"openai": TABLE["rows"]["openai"]}, "aliases": {}}),
        "less than half",
    ),
    "cut off": ([Head(200, {"Content-Length": "90000"}, chunked=False), b'{"version": 1', Drop()], "prices.url"),
    "endless": ([Head(200), Split(b" " * (17 << 20), 1 << 20), Stall()], "has more than 16,777,216 bytes"),
}


@pytest.mark.parametrize("name", WRONG_TABLES)
def test_a_price_table_that_is_wrong_replaces_nothing(prices, server, name):
    script, said = WRONG_TABLES[name]
    server.always("/elsewhere.json", reply(200, newer("5")))
    server.always("/prices.json", script)
    ended = prices.run("models", "--refresh", "--json")
    assert gpt(ended) == (8.0, "bundled")
    assert ended.err.startswith("warning: ")
    assert said in ended.err
    assert ended.err.count("\n") == 1
    assert not (prices.home / "cache" / "prices.json").exists()
    server.always("/prices.json", reply(200, newer()))
    assert gpt(prices.run("models", "--refresh", "--json")) == (7.25, "fetched")
    server.always("/prices.json", script)
    assert gpt(prices.run("models", "--refresh", "--json")) == (7.25, "fetched"), "the one in use stays"


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"url": 3}', '{"url": "URL", "table": {"version": 1, "rows": []}}'])
def test_a_damaged_price_table_in_the_cache_is_passed_over(prices, server, damage):
    server.always("/prices.json", reply(200, newer()))
    prices.run("models", "--refresh")
    kept = prices.home / "cache" / "prices.json"
    kept.write_text(damage.replace("URL", f"{server.base_url}/prices.json"))
    ended = prices.run("models", "--json")
    assert (gpt(ended), ended.err) == ((8.0, "bundled"), "")


def test_without_its_address_a_fetched_table_is_not_used(prices, server):
    server.always("/prices.json", reply(200, newer()))
    prices.run("models", "--refresh")
    prices.configure('[providers.openai]\nmodels = ["gpt-4.1"]\n')
    assert gpt(prices.run("models", "--json")) == (8.0, "bundled")
    prices.configure('[prices]\nurl = "http://127.0.0.1:9/other.json"\n[providers.openai]\nmodels = ["gpt-4.1"]\n')
    assert gpt(prices.run("models", "--json")) == (8.0, "bundled")


@pytest.mark.parametrize(
    ("text", "count"),
    [("10M", 10_000_000), ("250k", 250_000), ("1.5m", 1_500_000), ("1_000", 1000), ("2B", 2_000_000_000)],
)
def test_token_counts_are_read_as_people_write_them(text, count):
    assert count_of(text) == count


def test_an_absurd_projection_is_one_line(program):
    for text in ("9" * 400 + "M", "1_000_001B", "x" * 500):
        ended = program.run("models", "--project", text)
        assert (ended.code, ended.out) == (2, "")
        assert ended.err.count("\n") == 1
        assert len(ended.err) < 250
    assert program.run("models", "--all", "--project", "1000000B").code == 0


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


def test_an_import_that_meets_its_own_messages_is_one_line_and_adds_nothing(program, tmp_path):
    program.run("ask", "-m", "demo/quick", "hello")
    exported = json.loads(program.run("export", "--all").out)
    fresh = json.loads(json.dumps(exported).replace(exported["conversations"][0]["id"][-12:], "0" * 12))
    path = tmp_path / "x.json"
    path.write_text(json.dumps(fresh))
    ended = program.run("import", str(path))
    assert ended.code == 1
    assert f"{path}: messages of the conversation" in ended.err
    assert "nothing was imported; delete that one first" in ended.err
    assert ended.err.count("\n") == 1
    assert json.loads(program.run("export", "--all").out) == exported


def test_an_export_through_a_link_keeps_the_link(program, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    assert program.run("export", "--all", "-o", str(tmp_path / "link")).code == 0
    assert (tmp_path / "link").is_symlink()
    assert json.loads((tmp_path / "target").read_text())["version"] == 1


# what is not there yet


def test_help_lists_only_what_there_is(program):
    text = program.run("--help").out
    for name in ("serve",):
        assert f"\n    {name}" not in text
        assert "not built yet" in program.run(name).err
        assert program.run(name).code == 2
    assert "\n    export" in text
    assert "\n    compare" in text


# signals

HIT = """
import os, signal, sys
class Hit:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), int(sys.argv[2]))
sys.meta_path.insert(0, Hit())
from tui_chat.cli import main
sys.exit(main(sys.argv[3:]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "module", ["argparse", "tui_chat.commands.front", "tui_chat.commands.ask", "tui_chat.bootstrap", "sqlite3"]
)
def test_a_signal_while_a_module_loads_is_never_a_traceback(program, module, number):
    for command, printed in ((["ask", "--json", "-m", "demo/quick", "hi"], True), (["models"], False)):
        if (module, command[0]) in (("tui_chat.commands.ask", "models"), ("sqlite3", "models")):
            continue
        ended = subprocess.run(
            [sys.executable, "-c", HIT, module, str(int(number)), *command],
            env=program.environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False,
        )  # fmt: skip
        assert ended.returncode == 128 + number
        assert "Traceback" not in ended.stderr
        assert bool(ended.stdout) == printed
        if printed:
            assert json.loads(ended.stdout)["error"]["kind"] == "cancelled"
            assert json.loads(ended.stdout)["model"] == "demo/quick"


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
