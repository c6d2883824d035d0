"""llama.cpp's own server: what people run at home. A tiny model that talks nonsense, and a slow one that never ends."""

import json
import signal
import time

import pytest

from tests.servers.conftest import configure

pytestmark = pytest.mark.servers
WIRES = ("openai", "openai-responses", "anthropic")
ENDLESS = '[models."case/tiny"]\nparams = { max_tokens = 4000 }\n'


@pytest.fixture
def llama(start):
    return start("llama")


@pytest.fixture
def slow(start):
    return start("llama-slow")


@pytest.mark.parametrize("wire", WIRES)
def test_it_answers_and_its_usage_is_reported(llama, case, wire):
    got = case(llama, "tiny", kind=wire)
    assert got["text"]
    assert (got["error"], got["usage"]["source"]) == (None, "reported")
    assert got["finish_reason"] in ("stop", "length")
    assert got["usage"]["input_tokens"] > 0
    again = case(llama, "tiny", kind=wire)
    assert again["usage"]["input_tokens"] == got["usage"]["input_tokens"], "cached tokens are part of the input"
    assert again["usage"]["cached_input_tokens"]


@pytest.mark.parametrize("wire", WIRES)
def test_the_longest_answer_is_obeyed(llama, case, wire):
    got = case(llama, "tiny", kind=wire, more='[models."case/tiny"]\nparams = { max_tokens = 5 }\n')
    assert got["usage"]["output_tokens"] <= 5
    if wire != "openai-responses":  # there it says that the answer was complete
        assert got["finish_reason"] == "length"


def test_it_says_which_models_it_has(llama, program):
    configure(program, llama)
    assert "case/tiny " in program.run("models", "--refresh").out


def test_a_wrong_key_is_named_by_its_place(llama, case):
    got = case(llama, "tiny", key="sk-wrong")
    assert got["error"]["kind"] == "authentication"
    assert "Invalid API Key" in got["error"]["message"]
    assert "providers.case.api_key in config.toml" in got["error"]["message"]
    assert "sk-wrong" not in str(got)


def test_a_prompt_that_does_not_fit_says_so(llama, case):
    got = case(llama, "tiny", "word " * 5000)
    assert (got["error"]["kind"], got["exit"]) == ("context_length", 1)


def busy(server) -> bool:
    return any(slot["is_processing"] for slot in server.get("/slots"))


def becomes(server, state: bool, within_s: float) -> bool:
    until_s = time.monotonic() + within_s
    while time.monotonic() < until_s:
        if busy(server) == state:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("wire", WIRES)
def test_a_stop_reaches_the_server_and_keeps_the_text(slow, program, wire):
    configure(program, slow, wire, ENDLESS)
    with program.start("ask", "-m", "case/tiny", "hello") as process:
        assert process.stdout is not None
        assert process.stdout.read(30)
        assert busy(slow)
        process.send_signal(signal.SIGINT)
        assert becomes(slow, False, 1)
        _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert b"tok out" in err
    (chat,) = json.loads(program.run("export", "--all").out)["conversations"]
    answer = chat["messages"][1]
    assert (answer["finish_reason"], answer["usage"]["source"]) == ("cancelled", "partial")
    assert answer["content"]


def test_a_stop_before_the_first_token_reaches_it_too(slow, program):
    configure(program, slow, "openai", ENDLESS)
    with program.start("ask", "-m", "case/tiny", "word " * 300) as process:
        assert becomes(slow, True, 10)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=2)
    assert process.returncode == 130
    assert becomes(slow, False, 60), "it looks up from a prompt only between two batches, and writes nothing then"


def test_a_server_that_stands_still_ends_the_answer_and_not_its_text(slow, program):
    configure(program, slow, "openai", ENDLESS + "[network]\nread_timeout_s = 1\n")
    with program.start("ask", "-m", "case/tiny", "hello") as process:
        assert process.stdout is not None
        assert process.stdout.read(30)
        # the script's own pid is the server's: it started it by exec
        slow.send(signal.SIGSTOP)
        out, err = process.communicate(timeout=15)
        slow.send(signal.SIGCONT)
    assert process.returncode == 1
    assert b"fell silent for 1 s" in err
    del out
