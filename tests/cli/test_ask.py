"""`tui-chat ask`, from outside: stdout, stderr, exit codes, what the server sees and what the history keeps."""

import json
import os
import pty
import re
import resource
import signal
import sqlite3
import stat
import subprocess
import threading
import time
from contextlib import closing

import pytest

from tests.cli.conftest import PROGRAM
from tests.loopback import (
    DONE,
    Drop,
    Head,
    Reset,
    Split,
    Stall,
    WaitFor,
    chat_chunk,
    chat_stream,
    chat_usage,
    gzipped,
    reply,
)

ANSWER = chat_stream(["Hel", "lo ", "wörld"], usage=chat_usage(9, 3))
KEYS = {
    "conversation_id", "message_id", "model", "model_served", "text", "reasoning", "finish_reason", "usage", "cost_usd",
    "cost", "timings", "attempts", "warnings", "error",
}  # fmt: skip
ONE_TRY = "[network]\nmax_retries = 0\n"


def history(program):
    ended = program.run("export", "--all")
    assert ended.code == 0, ended.err
    return json.loads(ended.out)["conversations"]


def only_answer(program):
    (conversation,) = history(program)
    return conversation["messages"][1]


def read_until(process, words: bytes) -> bytes:
    read = b""
    while words not in read:
        piece = process.stdout.read1(4096)
        assert piece, read
        read += piece
    return read


# what is printed


def test_stdout_is_the_text_and_stderr_one_line_about_the_cost(program, work, server):
    server.enqueue(ANSWER)
    ended = program.run("ask", "hello")
    assert (ended.code, ended.out) == (0, "Hello wörld\n")
    assert ended.err.startswith("work/a: 9 tok in, 3 tok out, $0.000039, ")
    assert ended.err.count("\n") == 1
    assert server.requests[0].json["messages"] == [{"role": "user", "content": "hello"}]
    assert server.requests[0].json["model"] == "a"
    assert "authorization" not in server.requests[0].headers


def test_quiet_leaves_stderr_empty(program, work, server):
    server.enqueue(ANSWER)
    assert program.run("ask", "-q", "hello").err == ""


def test_json_is_one_ascii_line_in_the_contracts_shape(program, work, server):
    server.enqueue(ANSWER)
    ended = program.run("ask", "--json", "hello")
    answer = ended.object
    assert set(answer) == KEYS
    assert ended.out.isascii()
    assert ended.err == ""
    assert (answer["text"], answer["finish_reason"], answer["error"], answer["attempts"]) == (
        "Hello wörld",
        "stop",
        None,
        1,
    )
    assert answer["usage"] == {
        "input_tokens": 9, "output_tokens": 3, "cached_input_tokens": None, "reasoning_tokens": None,
        "source": "reported", "estimated": [],
    }  # fmt: skip
    assert answer["cost_usd"] == 0.000039
    assert answer["cost"] == {
        "amount": "0.000039", "currency": "USD", "quality": "reported", "price_source": "config", "price_as_of": None,
        "play": False,
    }  # fmt: skip
    assert answer["model"] == "work/a"
    assert answer["model_served"] == "served-1"
    assert 0 < answer["timings"]["first_token_s"] <= answer["timings"]["total_s"] < 10


def test_what_json_says_is_what_the_history_keeps(program, work, server):
    server.enqueue(chat_stream(["one ", "\x1b[31mtwo"], reasoning=["hm"], usage=chat_usage()))
    said = program.run("ask", "--json", "-s", "Be brief.", "hello").object
    (conversation,) = history(program)
    prompt, answer = conversation["messages"]
    assert (conversation["id"], conversation["system_prompt"]) == (said["conversation_id"], "Be brief.")
    assert (prompt["content"], answer["id"]) == ("hello", said["message_id"])
    assert (answer["content"], answer["reasoning"]) == (said["text"], said["reasoning"]) == ("one \x1b[31mtwo", "hm")
    for key in ("finish_reason", "usage", "cost_usd", "cost", "timings", "error", "model", "model_served"):
        assert answer[key] == said[key], key
    assert server.requests[0].json["messages"][0] == {"role": "system", "content": "Be brief."}


def test_the_object_is_the_same_however_the_network_cuts_the_answer(program, work, server):
    whole = chat_stream(["Hel", "lo \u2028", "wörld"], reasoning=["höm"], usage=chat_usage(9, 3))
    server.enqueue(whole)
    server.enqueue(Split(whole, 1))
    server.enqueue(Split(whole, 7))
    server.enqueue(gzipped(whole))
    answers = [program.run("ask", "--json", "hello").object for _ in range(4)]
    for answer in answers:
        assert answer.pop("timings")
        assert answer.pop("message_id")
        assert answer.pop("conversation_id")
    assert answers == [answers[0]] * 4
    assert answers[0]["text"] == "Hello \u2028wörld"


def test_text_is_printed_as_it_comes(program, work, server):
    gate = threading.Event()
    server.enqueue(Head(), chat_chunk("first "), WaitFor(gate), chat_chunk("second"), chat_chunk(finish="stop"), DONE)
    with program.start("ask", "hello") as process:
        assert read_until(process, b"first ") == b"first "
        gate.set()
        assert process.stdout.read() == b"second\n"


def test_the_demo_answers_without_a_key_and_for_play_money(program):
    answer = program.run("ask", "--json", "-m", "demo/quick", "hello").object
    assert answer["cost"]["play"] is True
    assert answer["text"]


# several models


def test_several_models_are_asked_at_once_and_shown_in_order(program, work, server):
    gate = threading.Event()
    server.enqueue(Head(), WaitFor(gate), chat_stream(["slow"]))
    server.enqueue(chat_stream(["quick"]))
    with program.start("ask", "-q", "-m", "work/a", "-m", "work/b", "hello") as process:
        read_until(process, b"## work/a\n")
        deadline = time.monotonic() + 5
        while len(server.requests) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        gate.set()
        rest = process.stdout.read().decode()
    asked = [request.json["model"] for request in server.requests]
    first, second = ("slow", "quick") if asked == ["a", "b"] else ("quick", "slow")
    assert rest == f"{first}\n## work/b\n{second}\n"
    assert process.returncode == 0


def test_several_models_are_several_objects_of_one_conversation(program):
    ended = program.run("ask", "--json", "-m", "demo/thinker", "-m", "demo/quick", "hello")
    assert [answer["model"] for answer in ended.objects] == ["demo/thinker", "demo/quick"]
    assert len({answer["conversation_id"] for answer in ended.objects}) == 1
    assert len(history(program)[0]["messages"]) == 3


def test_one_bad_model_does_not_keep_the_others_from_answering(program):
    ended = program.run("ask", "--json", "-m", "openai/gpt-4.1", "-m", "demo/quick", "-m", "nobody/x", "hello")
    assert ended.code == 2
    assert [answer["error"] and answer["error"]["kind"] for answer in ended.objects] == [
        "authentication", None, "configuration",
    ]  # fmt: skip
    assert ended.err.count("error: ") == ended.err.count("\n") == 1


# the prompt


def test_the_prompt_is_the_argument_a_blank_line_and_what_is_piped_in(program, work, server):
    for _ in range(3):
        server.enqueue(ANSWER)
    program.run("ask", "explain", stdin="line 1\nline 2\n")
    program.run("ask", stdin="alone\n")
    program.run("ask", "explain", stdin=" \n")
    prompts = [request.json["messages"][-1]["content"] for request in server.requests]
    assert prompts == ["explain\n\nline 1\nline 2", "alone", "explain"]


def test_no_prompt_is_wrong_usage(program):
    ended = program.run("ask", "-m", "demo/quick")
    assert ended.code == 2
    assert ended.err.startswith("error: there is no prompt")


def test_files_go_along(program, work, server, tmp_path):
    (tmp_path / "notes.txt").write_text("alpha beta")
    (tmp_path / "dot.png").write_bytes(b"\x89PNG\r\n\x1a\n....")
    server.enqueue(ANSWER)
    ended = program.run("ask", "what is this", "-f", str(tmp_path / "notes.txt"), "-f", str(tmp_path / "dot.png"))
    assert ended.code == 0, ended.err
    sent = json.dumps(server.requests[0].json)
    assert "alpha beta" in sent
    assert "data:image/png;base64," in sent
    assert "what is this" in sent


@pytest.mark.parametrize(
    ("content", "said"), [(None, "cannot be read"), (b"\0\1\2", "neither UTF-8 text nor a picture")]
)
def test_a_file_that_cannot_go_along_is_wrong_usage(program, tmp_path, content, said):
    if content is not None:
        (tmp_path / "x.bin").write_bytes(content)
    ended = program.run("ask", "-m", "demo/quick", "hello", "-f", str(tmp_path / "x.bin"))
    assert ended.code == 2
    assert said in ended.err


# conversations


def test_a_conversation_goes_on_with_everything_before(program, work, server):
    server.enqueue(ANSWER)
    server.enqueue(ANSWER)
    first = program.run("ask", "--json", "one").object
    second = program.run("ask", "--json", "-c", "two").object
    assert first["conversation_id"] == second["conversation_id"]
    assert [message["content"] for message in server.requests[1].json["messages"]] == ["one", "Hello wörld", "two"]
    assert program.run("ask", "-m", "demo/quick", "--conversation", first["conversation_id"][:14], "three").code == 0
    assert program.run("ask", "-m", "demo/quick", "--conversation", "nobody", "three").code == 2


def test_options_count_before_the_command_too(program):
    first = program.run("-m", "demo/quick", "ask", "--json", "one").object
    second = program.run("-m", "demo/thinker", "-c", "ask", "--json", "two").object
    assert first["model"] == "demo/quick"
    assert (second["model"], second["conversation_id"]) == ("demo/thinker", first["conversation_id"])


def test_going_on_with_nothing_is_wrong_usage(program):
    assert program.run("ask", "-m", "demo/quick", "-c", "two").code == 2


def test_no_save_keeps_no_text(program, work, server):
    server.enqueue(ANSWER)
    answer = program.run("ask", "--json", "--no-save", "a secret").object
    assert (answer["text"], answer["conversation_id"]) == ("Hello wörld", None)
    assert history(program) == []
    assert b"a secret" not in (program.home / "chats.db").read_bytes()


def test_files_of_ours_are_for_their_owner_alone(program):
    program.run("ask", "-m", "demo/quick", "hello")
    assert {stat.S_IMODE(path.stat().st_mode) for path in program.home.iterdir()} == {0o600}


# what goes wrong


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    ("arguments", "config", "kind", "said"),
    [
        (["-m", "nobody/x"], "", "configuration", "unknown provider 'nobody'"),
        (["-m", "no-such-model"], "", "configuration", "no model is called"),
        (["-m", "demo/quik"], "", "configuration", "the nearest is demo/quick"),
        (["-m", "openai/gpt-4.1"], "", "authentication", "set OPENAI_API_KEY"),
        ([], "", "configuration", "no model to ask"),
        (["-m", "demo/quick"], "[network]\nmax_retries = 'x'", "configuration", "line 2: network.max_retries must be"),
        (["-m", "demo/quick"], "[ui]\ncolour = 1", "configuration", "line 2: unknown key ui.colour"),
        (["-m", "demo/quick"], "[ui\n", "configuration", "line 1: not TOML"),
        (["-m", "x/y"], "[providers.x]\nmodels = ['y']", "configuration", "providers.x needs a base_url"),
        (["-m", "x/y"], "[providers.x]\nbase_url = 'https://h/'\napi_key = 'a b'", "authentication",
         "white space inside"),
        (["-m", "x/y"], "[providers.x]\nbase_url = 'http://127.0.0.1:9/'\napi_key_cmd = 'false'", "authentication",
         "providers.x.api_key_cmd ended with 1"),
    ],
)  # fmt: skip
def test_wrong_usage_is_exit_2_and_one_line(program, form, arguments, config, kind, said):
    program.configure(config)
    ended = program.run("ask", *(["--json"] if form == "json" else []), *arguments, "hello")
    assert ended.code == 2
    assert ended.err.startswith("error: ")
    assert said in ended.err
    assert ended.err.count("\n") == 1
    if form == "json":
        assert set(ended.object) == KEYS
        assert ended.object["error"]["kind"] == kind
    else:
        assert ended.out == ""


def test_a_configuration_that_cannot_be_read_is_exit_2(program):
    (program.home / "config.toml").mkdir()
    ended = program.run("ask", "--json", "-m", "demo/quick", "-m", "demo/thinker", "hello")
    assert ended.code == 2
    assert [answer["error"]["kind"] for answer in ended.objects] == ["configuration"] * 2
    assert "config.toml cannot be read" in ended.err


HTML = b"<html><title>502 Bad Gateway</title></html>"


@pytest.mark.parametrize(
    ("script", "kind", "text"),
    [
        (reply(401, {"error": {"message": "bad key"}}), "authentication", ""),
        (reply(404, {"error": {"message": "The model a does not exist"}}), "not_found", ""),
        (reply(429, {"error": {"message": "slow down"}}, {"Retry-After": "1"}), "rate_limit", ""),
        (reply(500, {"error": {"message": "oops"}}), "server", ""),
        (reply(200, HTML, {"Content-Type": "text/html"}), "protocol", ""),
        ([chat_stream(["cut "], finish=None, done=False)], "stream", "cut "),
        ([chat_chunk("cut "), Drop()], "stream", "cut "),
        ([chat_chunk("cut "), Reset()], None, "cut "),
    ],
    ids=["401", "404", "429", "500", "html", "no end", "dropped", "reset"],
)
def test_a_failing_provider_is_exit_1_one_line_and_keeps_the_text(program, work, server, script, kind, text):
    work(ONE_TRY)
    server.enqueue(script)
    ended = program.run("ask", "--json", "hello")
    assert ended.code == 1
    answer = ended.object
    assert answer["error"]["kind"] == kind or kind is None
    assert (answer["text"], answer["finish_reason"]) == (text, "error")
    assert ended.err == f"error: {answer['error']['message']}\n"
    kept = only_answer(program)
    assert (kept["content"], kept["finish_reason"], kept["error"]) == (text, "error", answer["error"])


def test_a_server_that_is_down_is_exit_1(program):
    program.configure('[providers.work]\nbase_url = "http://127.0.0.1:9/v1"\n[network]\nmax_retries = 0\n')
    ended = program.run("ask", "-m", "work/a", "hello")
    assert (ended.code, ended.out) == (1, "")
    assert "127.0.0.1:9" in ended.err
    assert ended.err.count("\n") == 1


def test_an_answer_cut_anywhere_is_never_taken_for_a_whole_one(program, work, server):
    whole = ANSWER
    end = whole.index(b'"finish_reason": "stop"')
    positions = [1, len(whole) // 4, len(whole) // 2, end - 1]
    for position in positions:
        server.enqueue(whole[:position], Drop())
    work(ONE_TRY)
    for _ in positions:
        ended = program.run("ask", "--json", "hello")
        answer = ended.object
        assert ended.code == 1
        assert answer["error"] is not None
        assert answer["finish_reason"] == "error"
        assert "Hello wörld".startswith(answer["text"])


def test_an_empty_answer_of_a_filter_is_exit_1_and_one_with_text_exit_0(program, work, server):
    server.enqueue(chat_stream([], finish="content_filter"))
    server.enqueue(chat_stream(["some"], finish="content_filter"))
    empty, some = program.run("ask", "--json", "hello"), program.run("ask", "--json", "hello")
    assert (empty.code, empty.object["error"]["kind"]) == (1, "content_filter")
    assert (some.code, some.object["error"], some.object["finish_reason"]) == (0, None, "content_filter")


def test_a_key_goes_to_the_server_and_nowhere_else(program, work, server):
    work(provider='api_key_env = "WORK_KEY"')
    program.environ["WORK_KEY"] = " sk-verysecret123 \n"
    server.enqueue(reply(401, {"error": {"message": "no such key: sk-verysecret123"}}))
    ended = program.run("ask", "hello")
    assert server.requests[0].headers["authorization"] == "Bearer sk-verysecret123"
    assert ended.code == 1
    everything = ended.out + ended.err + "".join(p.read_bytes().decode("latin-1") for p in program.home.iterdir())
    assert "verysecret" not in everything


def test_a_key_that_others_can_read_is_warned_about(program, work, server):
    work(provider='api_key = "sk-verysecret123"')
    (program.home / "config.toml").chmod(0o644)
    server.enqueue(ANSWER)
    ended = program.run("ask", "-q", "hello")
    assert ended.code == 0
    assert ended.err.startswith("warning: others can read the key of work")
    assert "verysecret" not in ended.err


# money


def test_the_limit_of_a_run_stops_it_with_exit_3(program, work, server):
    exchange = server.enqueue(Head(), *[chat_chunk("word " * 40) for _ in range(3)], Stall())
    ended = program.run("ask", "--json", "--max-cost", "0.0001", "hello")
    assert ended.code == 3
    assert (ended.object["finish_reason"], ended.object["error"]["kind"]) == ("budget", "budget")
    assert "--max-cost" in ended.err
    assert ended.object["text"].startswith("word word")
    assert exchange.hung_up.wait(5)


def test_the_demo_obeys_the_limit_too(program):
    ended = program.run("ask", "-m", "demo/rambler", "--max-cost", "0.00001", "hello")
    assert ended.code == 3
    assert ended.out


def test_a_limit_that_cannot_hold_says_so(program, work, server):
    server.enqueue(ANSWER)
    ended = program.run("ask", "--json", "-m", "work/unpriced", "--max-cost", "1", "hello")
    assert ended.code == 0
    assert ended.object["cost_usd"] is None
    assert "--max-cost cannot hold" in ended.object["warnings"][0]


@pytest.mark.parametrize("amount", ["x", "-1", "nan", "", "1e40", "1e999999"])
def test_a_limit_that_is_no_amount_is_wrong_usage(program, amount):
    ended = program.run("ask", "-m", "demo/quick", f"--max-cost={amount}", "hello")
    assert ended.code == 2
    assert ended.err.count("\n") == 1


# being stopped


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("form", ["text", "json"])
def test_a_signal_hangs_up_and_keeps_the_part(program, work, server, number, code, form):
    exchange = server.enqueue(Head(), chat_chunk("the part"), Stall())
    with program.start("ask", *(["--json"] if form == "json" else []), "hello") as process:
        assert exchange.requested.wait(10)
        if form == "text":
            read_until(process, b"the part")
        else:
            time.sleep(0.5)
        process.send_signal(number)
        at = time.monotonic()
        out, err = process.communicate(timeout=10)
    assert process.returncode == code
    assert exchange.hung_up.wait(5)
    assert exchange.hung_up_at_s is not None
    assert exchange.hung_up_at_s - at < 1
    assert b"Traceback" not in err
    assert b"destroyed" not in err
    kept = only_answer(program)
    assert (kept["content"], kept["finish_reason"]) == ("the part", "cancelled")
    if form == "json":
        answer = json.loads(out)
        assert (answer["text"], answer["error"]["kind"]) == ("the part", "cancelled")
        assert answer["usage"]["source"] == "partial"


def test_a_signal_while_the_server_says_nothing_ends_it_at_once(program, work, server):
    exchange = server.enqueue(Stall())
    with program.start("ask", "--json", "hello") as process:
        assert exchange.requested.wait(10)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=5)
    assert process.returncode == 130
    assert json.loads(out)["finish_reason"] == "cancelled"
    assert exchange.hung_up.wait(5)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_key_command_that_hangs_does_not_hold_up_a_stop(program, work, number, code):
    mark = program.home / "running"
    work(provider=f"api_key_cmd = 'sh -c \"touch {mark}; sleep 60\"'")
    with program.start("ask", "--json", "hello") as process:
        until = time.monotonic() + 10
        while not mark.exists() and time.monotonic() < until:
            time.sleep(0.01)
        at = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=10)
    assert time.monotonic() - at < 1
    assert process.returncode == code
    assert json.loads(out)["error"]["kind"] == "cancelled"
    assert b"Traceback" not in err


def test_what_waits_for_its_turn_is_said_once_and_sends_nothing_when_it_is_stopped(program, work, server):
    work(provider="limits = { requests_per_min = 1 }")
    server.default = [ANSWER]
    outer, inner = pty.openpty()
    with program.start("ask", "-m", "work/a", "-m", "work/b", "hello", stderr=inner) as process:
        os.close(inner)
        said = b""
        while said.count(b"\n") < 2:
            said += os.read(outer, 4096)
        process.send_signal(signal.SIGINT)
        process.wait(10)
    os.close(outer)
    waits = [line for line in said.decode().splitlines() if " waits " in line]
    assert len(waits) == 1
    assert re.match(r"work/[ab] waits (60|61)(\.\d)? s until the limit of 1 request a minute has room$", waits[0])
    assert process.returncode == 130
    assert len(server.requests) == 1


def test_an_answer_that_was_stopped_in_the_queue_cost_nothing_and_took_no_time(program, work, server):
    work(provider="limits = { requests_per_min = 1 }")
    server.default = [ANSWER]
    with program.start("ask", "--json", "-m", "work/a", "-m", "work/a", "hello") as process:
        first = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    second = json.loads(out)
    assert (first["finish_reason"], second["finish_reason"], err.count(b"\n")) == ("stop", "cancelled", 1)
    assert (second["attempts"], second["cost_usd"], second["cost"]["amount"]) == (1, 0, "0")
    assert second["timings"]["total_s"] < 5
    assert len(server.requests) == 1


def test_a_signal_while_the_prompt_is_read_is_an_object_too(program):
    with program.start("ask", "--json", "-m", "demo/quick", stdin=-1) as process:
        time.sleep(0.6)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=5)
    assert process.returncode == 130
    assert json.loads(out)["error"]["kind"] == "cancelled"
    assert b"Traceback" not in err


@pytest.mark.parametrize("arguments", [[], ["-m", "work/a", "-m", "demo/quick"]])
def test_a_closed_stdout_hangs_up_keeps_the_part_and_says_nothing(program, work, server, arguments):
    gate = threading.Event()
    exchange = server.enqueue(Head(), chat_chunk("line 1\n"), WaitFor(gate), chat_chunk("line 2\n"), Stall())
    with program.start("ask", *arguments, "hello") as process:
        read_until(process, b"line 1")
        process.stdout.close()
        gate.set()
        err = process.stderr.read()
        process.wait(10)
    assert (process.returncode, err) == (141, b"")
    assert exchange.hung_up.wait(5)
    kept = only_answer(program)
    assert kept["content"].startswith("line 1\n")
    assert kept["finish_reason"] == "cancelled"


def test_a_closed_stdout_is_noticed_while_the_server_says_nothing(program, work, server):
    exchange = server.enqueue(Stall())
    with program.start("ask", "--json", "hello") as process:
        assert exchange.requested.wait(10)
        process.stdout.close()
        assert exchange.hung_up.wait(5)
        process.wait(10)
        assert (process.returncode, process.stderr.read()) == (141, b"")


def test_a_reader_who_does_not_read_cannot_hold_up_a_stop(program, work, server):
    exchange = server.enqueue(Head(), *[chat_chunk("x" * 50_000) for _ in range(8)], Stall())
    with program.start("ask", "hello") as process:
        assert exchange.requested.wait(10)
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        process.wait(5)
        process.stdout.close()
    assert process.returncode == 143
    assert len(only_answer(program)["content"]) >= 50_000


def test_a_full_stdout_is_said_in_one_line(program, work, server):
    exchange = server.enqueue(Head(), chat_chunk("text"), Stall())
    with open("/dev/full", "w") as full, program.start("ask", "hello", stdout=full) as process:  # noqa: PTH123
        err = process.stderr.read().decode()
    assert process.returncode == 1
    assert err.startswith("error: stdout cannot be written: No space left on device")
    assert err.count("\n") == 1
    assert exchange.hung_up.wait(5)


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_stdout_that_is_closed_at_the_start_costs_nothing(program, work, server, form):
    ended = subprocess.run(
        ["sh", "-c", '"$@" >&-', "sh", *PROGRAM, "ask", *form, "hello"],
        env=program.environ, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=20, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (141, b"")
    assert server.requests == []


# the history


def test_a_lock_of_another_program_does_not_hold_up_the_answer(program, work, server):
    server.enqueue(ANSWER)
    program.run("ask", "-q", "before")
    exchange = server.enqueue(ANSWER)
    with closing(sqlite3.connect(program.home / "chats.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        at = time.monotonic()
        with program.start("ask", "-q", "hello") as process:
            assert exchange.requested.wait(10)
            assert time.monotonic() - at < 3, "of which the start of the program is the most"
            out, err = process.communicate(timeout=20)
        assert time.monotonic() - at < 6
    assert (process.returncode, out) == (0, "Hello wörld\n".encode())
    assert err.startswith(b"warning: not saved: another program keeps the history")
    assert err.count(b"\n") == 1


def test_a_full_disk_costs_no_answer(program):
    def no_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    for form in ([], ["--json"], ["--no-save"]):
        with program.start(
            "ask", "-q", *form, "-m", "demo/quick", "-m", "demo/thinker", "hello", preexec_fn=no_room
        ) as full:
            out, err = full.communicate(timeout=20)
        assert full.returncode == 0
        assert out
        assert err.startswith(b"warning: not saved: ")
        assert err.count(b"\n") == 1


def test_a_home_that_cannot_be_made_costs_no_answer(program):
    program.environ["TUI_CHAT_HOME"] = "/proc/tui-chat"
    ended = program.run("ask", "-q", "-m", "demo/quick", "hello")
    assert ended.code == 0
    assert ended.out
    assert ended.err.startswith("warning: not saved: ")
    assert ended.err.count("\n") == 1


def test_a_damaged_history_is_refused_with_its_path(program):
    (program.home / "chats.db").write_bytes(b"SQLite format 3\0" + b"junk" * 2000)
    before = (program.home / "chats.db").read_bytes()
    ended = program.run("ask", "--json", "-m", "demo/quick", "hello")
    assert (ended.code, ended.object["error"]["kind"]) == (1, "storage")
    assert str(program.home / "chats.db") in ended.err
    assert (program.home / "chats.db").read_bytes() == before
