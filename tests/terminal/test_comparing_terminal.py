"""Four models on four servers in a real terminal: each with its own fate, and all of it on disk after a kill."""

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path

import pytest

from tests.loopback import Drop, Head, LoopbackServer, Stall, chat_chunk, chat_stream, chat_usage, reply
from tests.terminal.conftest import Terminal

pytestmark = pytest.mark.terminal

PRICES = {
    "quick/one": ("0.28", "0.42"),
    "stalls/two": ("3", "15"),
    "dies/three": ("2", "8"),
    "limited/four": ("1", "5"),
}


@pytest.fixture
def servers():
    with ExitStack() as stack:
        yield {name: stack.enter_context(LoopbackServer()) for name in PRICES}


@pytest.fixture
def wide(tmp_path, servers):
    terminal = Terminal(tmp_path, size=(160, 45))
    terminal.home.mkdir(mode=0o700)
    names = ", ".join(f'"{name}"' for name in PRICES)
    config = f'default_model = "quick/one"\ncompare_models = [{names}]\n'
    for name, server in servers.items():
        provider, _, model = name.partition("/")
        config += f'[providers.{provider}]\nbase_url = "{server.base_url}"\nmodels = ["{model}"]\n'
        config += f'[models."{name}"]\ninput_per_mtok = {PRICES[name][0]}\noutput_per_mtok = {PRICES[name][1]}\n'
    (terminal.home / "config.toml").write_text(config)
    yield terminal
    terminal.close()


def exported(terminal):
    """The answers that the command line gives out, by model."""
    environment = {**os.environ, "TUI_CHAT_HOME": str(terminal.home), "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "tui_chat", "export", "--all"]
    said = subprocess.run(command, env=environment, check=True, capture_output=True).stdout
    (conversation,) = json.loads(said)["conversations"]
    return {message["model"]: message for message in conversation["messages"] if message["role"] == "assistant"}


def test_one_stalls_one_dies_one_is_limited_and_after_a_kill_everything_is_there(wide, servers):
    head = Head(200, {"Content-Type": "text/event-stream"})
    servers["quick/one"].enqueue(head, chat_stream(["All is ", "well."], usage=chat_usage(30, 7)))
    stalled = servers["stalls/two"].enqueue(head, chat_chunk("It began"), Stall())
    servers["dies/three"].enqueue(head, chat_chunk("It was going"), Drop())
    servers["limited/four"].enqueue(*reply(429, {"error": {"message": "slow down"}}, {"Retry-After": "0.2"}))
    servers["limited/four"].enqueue(head, chat_stream(["Late but ", "here."], usage=chat_usage(31, 9)))
    wide.start()
    wide.until("Ask anything")
    wide.keys("C-o")
    wide.until("enter use")
    wide.keys("Enter")
    wide.until("one, two, three, four")
    wide.type("Which of you lives")
    wide.keys("Enter")
    screen = wide.until(lambda seen: "All is well." in seen and "It began" in seen and "Late but here." in seen)
    assert "It was going" in screen
    screen = wide.until(lambda seen: "✗ failed" in seen and seen.count("✓ settled") == 2 and "● streaming" in seen)
    assert not stalled.hung_up.is_set()
    wide.until(wide.on_disk("It began"), timeout_s=2)
    os.kill(wide.pid(), signal.SIGKILL)
    assert stalled.hung_up.wait(5)
    wide.close()

    wide.start("--continue")
    screen = wide.until(lambda seen: all(words in seen for words in ("All is well.", "It began", "Late but here.")))
    for name in ("one", "two", "three", "four"):
        assert name in screen
    wide.until("interrupted")
    answers = exported(wide)
    assert answers["stalls/two"]["finish_reason"] == "interrupted"
    assert answers["dies/three"]["content"] == "It was going"
    for name, sent, answered in (("quick/one", 30, 7), ("limited/four", 31, 9)):
        into, out = map(Decimal, PRICES[name])
        assert Decimal(str(answers[name]["cost_usd"])) == (sent * into + answered * out) / 1_000_000


def test_the_column_under_the_cursor_stops_while_the_others_go_on(wide, servers):
    head = Head(200, {"Content-Type": "text/event-stream"})
    running = {name: server.enqueue(head, chat_chunk(f"{name} talks"), Stall()) for name, server in servers.items()}
    wide.start()
    wide.until("Ask anything")
    wide.keys("C-o")
    wide.until("enter use")
    wide.keys("Enter")
    wide.until("one, two, three, four")
    wide.type("Go")
    wide.keys("Enter")
    wide.until(lambda seen: all(f"{name} talks" in seen for name in PRICES))
    wide.keys("M-Right")
    wide.keys("M-Right")
    wide.keys("C-c")
    assert running["dies/three"].hung_up.wait(5)
    wide.until(lambda seen: "■ stopped" in seen and seen.count("● streaming") == 3)
    assert [name for name, exchange in running.items() if exchange.hung_up.is_set()] == ["dies/three"]
