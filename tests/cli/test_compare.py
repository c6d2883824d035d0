"""`tui-chat compare`, from outside: what the servers are asked, what the history keeps, what comes out."""

import csv
import io
import json
import os
import pty
import re
import select
import signal
import sqlite3
import subprocess
import termios
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing
from decimal import Decimal

import pytest

from tests.cli.conftest import PROGRAM
from tests.loopback import (
    Exchange,
    Head,
    LoopbackServer,
    Pause,
    RecordedRequest,
    Stall,
    Step,
    WaitFor,
    chat_chunk,
    chat_stream,
    chat_usage,
    reply,
)

PRICES = {"a": ("1", "10"), "b": ("2", "8"), "c": ("0.07", "0.33")}
MODELS = ("-m", "one/a", "-m", "two/b", "-m", "three/c")
BROKEN = reply(500, {"error": {"message": "oops"}})
LIMITED = reply(429, {"error": {"message": "slow down"}}, {"Retry-After": "1"})


def answer(text: str, sent: int = 9, got: int = 3, **extra: object) -> list[Step]:
    return [chat_stream([text], usage=chat_usage(sent, got, **extra))]


class ModelServer(LoopbackServer):
    """Answers by what it is asked: `plan` gets the prompt and how often it came before; `None` is a good answer."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.plan: Callable[[str, int], list[Step] | None] = lambda _prompt, _before: None
        self.before: list[Step] = []
        self.asked: Counter[str] = Counter()
        self.good: list[tuple[str, int, int, Exchange]] = []
        self.most_at_once = 0

    def _script(self, request: RecordedRequest) -> Exchange:
        if request.method == "GET":
            return super()._script(request)
        prompt = request.json["messages"][-1]["content"]
        with self._lock:
            self.requests.append(request)
            planned = self.plan(prompt, self.asked[prompt])
            self.asked[prompt] += 1
            if planned is not None:
                return Exchange(planned)
            sent, got = 10 + len(prompt) + len(self.good), 3 + len(self.good) % 7
            exchange = Exchange([*self.before, *answer(f"{self.name} says {prompt}", sent, got)])
            self.good.append((prompt, sent, got, exchange))
            return exchange

    @property
    def answered(self) -> Counter[str]:
        return Counter(prompt for prompt, _, _, exchange in self.good if exchange.finished.is_set())

    @property
    def cost(self) -> Decimal:
        """What all its whole answers cost by what it reported."""
        price_in, price_out = PRICES[self.name]
        whole = [(sent, got) for _, sent, got, exchange in self.good if exchange.finished.is_set()]
        return sum((sent * Decimal(price_in) + got * Decimal(price_out) for sent, got in whole), Decimal(0)) / 1_000_000


@pytest.fixture
def servers():
    with ExitStack() as stack:
        yield [stack.enter_context(ModelServer(name)) for name in "abc"]


@pytest.fixture
def three(program, servers):
    """Configure three priced models, each at a server of its own."""

    def configure(more: str = "[network]\nmax_retries = 1\n", before: str = "") -> None:
        text = before
        for provider, server in zip(("one", "two", "three"), servers, strict=True):
            price_in, price_out = PRICES[server.name]
            text += (
                f'[providers.{provider}]\nbase_url = "{server.base_url}"\n[models."{provider}/{server.name}"]\n'
                f"input_per_mtok = {price_in}\noutput_per_mtok = {price_out}\n"
            )
        program.configure(text + more)

    configure()
    return configure


def prompts_file(program, count: int = 3, name: str = "prompts.txt") -> str:
    path = program.home / name
    path.write_text("".join(f"question {number}\n\n" for number in range(count)))
    return str(path)


def history(program):
    return json.loads(program.run("export", "--all").out)["conversations"]


def query(program, statement: str):
    with closing(sqlite3.connect(program.home / "chats.db", timeout=5)) as connection:
        return connection.execute(statement).fetchall()


def until(condition: Callable[[], bool], timeout_s: float = 30) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not come to this in time"
        time.sleep(0.01)


def as_json(program, *arguments: str, code: int = 0):
    ended = program.run("compare", *arguments, "--format", "json", timeout_s=60)
    assert ended.code == code, ended.err
    return json.loads(ended.out)


# a run


def test_every_prompt_goes_to_every_model_and_a_table_comes_out(program, three, servers):
    ended = program.run("compare", prompts_file(program), *MODELS)
    assert ended.code == 0, ended.err
    for server in servers:
        assert server.answered == {f"question {number}": 1 for number in range(3)}
        assert all(len(request.json["messages"]) == 1 for request in server.requests)
    lines = ended.out.splitlines()
    assert lines[0].startswith("| model | answers | failed |")
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| one/a", "| two/b", "| three/c", "| total"]
    assert re.fullmatch(r"9/9 answered, \$0\.\d+, \d+ s\n", ended.err)


def test_a_run_is_one_conversation_whose_turns_continue_nothing(program, three, servers):
    path = prompts_file(program)
    assert program.run("compare", path, *MODELS, "--system", "Be brief.", "-q").err == ""
    (conversation,) = history(program)
    assert conversation["title"] == "compare: prompts.txt, 3 models"
    assert conversation["system_prompt"] == "Be brief."
    assert re.fullmatch(r"compare:[0-9a-f]{64}", conversation["tags"][0])
    asked = [each for each in conversation["messages"] if each["role"] == "user"]
    assert [(each["content"], each["parent_id"]) for each in asked] == [(f"question {n}", None) for n in range(3)]
    for each in asked:
        given = [one for one in conversation["messages"] if one["parent_id"] == each["id"]]
        assert sorted(one["model"] for one in given) == ["one/a", "three/c", "two/b"]
        assert {one["finish_reason"] for one in given} == {"stop"}


def test_json_is_as_the_contract_says(program, three, servers):
    servers[1].plan = lambda prompt, _: reply(400, {"error": {"message": "no"}}) if prompt.endswith("1") else None
    servers[2].plan = lambda prompt, _: answer(prompt, 20, 9, completion_tokens_details={"reasoning_tokens": 4})
    found = as_json(program, prompts_file(program), *MODELS, code=1)
    assert list(found)[:4] == ["run", "file", "models", "prompts"]
    assert list(found["models"][0]) == [
        "model", "answers", "failed", "input_tokens", "output_tokens", "reasoning_tokens", "first_token_s", "total_s",
        "tokens_per_s", "cost_usd", "cost_known", "play",
    ]  # fmt: skip
    one, two, three_ = found["models"]
    assert (one["answers"], one["failed"], one["cost_usd"]) == (3, 0, float(servers[0].cost))
    assert (two["answers"], two["failed"], two["cost_known"]) == (2, 1, True)
    assert (three_["input_tokens"], three_["output_tokens"], three_["reasoning_tokens"]) == (60, 27, 12)
    assert one["reasoning_tokens"] is None
    assert 0 < one["first_token_s"] <= one["total_s"]
    assert [(each["id"], each["prompt"]) for each in found["prompts"]] == [(n + 1, f"question {n}") for n in range(3)]
    failed = found["prompts"][1]["answers"][1]
    assert (failed["model"], failed["text"], failed["finish_reason"]) == ("two/b", "", "error")
    assert failed["error"]["kind"] == "invalid_request"
    good = found["prompts"][0]["answers"][0]
    assert list(good) == [
        "model", "message_id", "text", "finish_reason", "usage", "cost_usd", "play", "timings", "error"
    ]  # fmt: skip
    assert (good["text"], good["error"], good["usage"]["source"]) == ("a says question 0", None, "reported")
    (conversation,) = history(program)
    assert good["message_id"] in {each["id"] for each in conversation["messages"]}
    assert found["conversation_id"] == conversation["id"]


def test_csv_is_exact_and_no_cell_is_a_formula(program, servers):
    program.configure(f'[providers.work]\nbase_url = "{servers[0].base_url}"\n')
    ended = program.run("compare", prompts_file(program), "-m", "work/=1+1", "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(ended.out))
    assert (row["model"], row["answers"], row["cost_usd"], row["cost_known"]) == ("work/=1+1", "3", "", "false")
    program.configure(f'[providers."=1+1"]\nbase_url = "{servers[0].base_url}"\n')
    ended = program.run("compare", prompts_file(program), "-m", "=1+1/x", "--format", "csv")
    if ended.code == 0:  # else the name of such a provider is refused
        assert next(csv.DictReader(io.StringIO(ended.out)))["model"] == "'=1+1/x"


def test_a_file_takes_the_output_and_its_ending_the_form(program, three, servers, tmp_path):
    path, target = prompts_file(program), tmp_path / "out.json"
    ended = program.run("compare", path, *MODELS, "-o", str(target))
    assert (ended.code, ended.out) == (0, "")
    assert len(json.loads(target.read_text())["prompts"]) == 3
    before = len(servers[0].requests)
    refused = program.run("compare", path, *MODELS, "--again", "-o", str(tmp_path / "missing" / "x.csv"))
    assert refused.code == 2
    assert "cannot be written" in refused.err
    assert len(servers[0].requests) == before, "nothing was paid for"


def test_json_lines_bring_ids_and_system_prompts(program, three, servers):
    path = program.home / "prompts.jsonl"
    lines = [
        {"prompt": "one\nline", "id": "first", "extra": 1},
        {"prompt": "two", "system": "Yours."},
        {"prompt": "three", "system": "", "id": 7},
    ]
    text = "\r\n".join(json.dumps(each) for each in lines)
    path.write_bytes(b"\xef\xbb\xbf" + text.encode() + b"\r\n\r\n")
    found = as_json(program, str(path), "-m", "one/a", "--system", "Ours.")
    assert [each["id"] for each in found["prompts"]] == ["first", 2, 7]
    sent = {request.json["messages"][-1]["content"]: request.json["messages"][:-1] for request in servers[0].requests}
    assert sent == {
        "one\nline": [{"role": "system", "content": "Ours."}],
        "two": [{"role": "system", "content": "Yours."}],
        "three": [],
    }
    assert as_json(program, str(path), "-m", "one/a", "--system", "Ours.") == found, "nothing was asked again"
    assert len(servers[0].requests) == 3


# wrong usage


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "holds no prompt"),
        (b"\xef\xbb\xbf\r\n \n", "holds no prompt"),
        (b'{"prompt": "a"}\n\n{"prompt": 3}\n', "line 3"),
        (b'{"prompt": "a"}\nnot json\n', "line 2"),
        (b"fine\n\xff\xfe\n", "line 2"),
    ],
)
def test_a_wrong_file_is_exit_2_and_names_the_line(program, three, servers, content, said):
    path = program.home / "wrong.txt"
    path.write_bytes(content)
    ended = program.run("compare", str(path), "-m", "one/a")
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert ended.err.count("\n") == 1
    assert servers[0].requests == []


def test_models_come_from_the_command_else_the_configuration_else_it_is_exit_2(program, three, servers):
    path = prompts_file(program, 1)
    ended = program.run("compare", path)
    assert ended.code == 2
    assert "-m" in ended.err
    assert "compare_models" in ended.err
    three(before='compare_models = ["one/a", "three/c"]\n')
    assert program.run("compare", path).code == 0
    assert [len(server.requests) for server in servers] == [1, 0, 1]


@pytest.mark.parametrize(
    ("name", "said"), [("nobody/x", "unknown provider"), ("openai/gpt-4.1", "OPENAI_API_KEY"), ("demo/nothing", "demo")]
)
def test_a_model_that_cannot_be_used_ends_it_before_anything_is_asked(program, three, servers, name, said):
    ended = program.run("compare", prompts_file(program), "-m", "one/a", "-m", name)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert servers[0].requests == []


@pytest.mark.parametrize("arguments", [["--parallel", "0"], ["--parallel", "many"], ["--format", "xml"]])
def test_wrong_options_are_exit_2(program, three, arguments):
    ended = program.run("compare", prompts_file(program), "-m", "one/a", *arguments)
    assert (ended.code, ended.err.count("\n")) == (2, 1)


def test_stdin_is_a_file_that_cannot_be_resumed(program, three, servers):
    ended = program.run("compare", "-", "-m", "one/a", stdin="hello\n")
    assert ended.code == 0
    assert "cannot be resumed" in ended.err
    assert program.run("compare", "-", "-m", "one/a", "-q", stdin="hello\n").err == ""
    assert len(servers[0].requests) == 2


# paid once


def test_what_failed_is_asked_again_and_nothing_else(program, three, servers):
    path = prompts_file(program)
    servers[1].plan = lambda prompt, before: BROKEN if prompt.endswith("1") and before < 2 else None
    ended = program.run("compare", path, *MODELS)
    assert ended.code == 1
    assert "8/9 answered, 1 failed" in ended.err
    assert "error: two/b: 1 of 3 failed: " in ended.err
    ended = program.run("compare", path, *reversed_models())
    assert ended.code == 0, ended.err
    assert all(set(server.answered.values()) == {1} for server in servers)
    assert servers[1].asked == {"question 0": 1, "question 1": 3, "question 2": 1}
    (conversation,) = history(program)
    assert len([each for each in conversation["messages"] if each["role"] == "user"]) == 3


def reversed_models() -> list[str]:
    """The same models in another order are the same run."""
    return ["-m", "three/c", "-m", "two/b", "-m", "one/a"]


def test_another_file_model_or_system_is_another_run_and_so_is_again(program, three, servers):
    path = prompts_file(program, 1)
    for arguments, asked in (
        (["-m", "one/a"], 1),
        (["-m", "one/a", "-m", "one/a"], 1),
        (["-m", "one/a", "--system", "x"], 2),
        (["-m", "one/a", "--again"], 3),
        (["-m", "one/a"], 3),
        (["-m", "one/a", "-m", "two/b"], 4),
    ):
        assert program.run("compare", path, *arguments).code == 0
        assert len(servers[0].requests) == asked, arguments
    prompts_file(program, 2)
    assert program.run("compare", path, "-m", "one/a").code == 0
    assert len(servers[0].requests) == 6
    assert len(history(program)) == 5


def test_a_deleted_conversation_ends_what_can_be_resumed(program, three, servers):
    path = prompts_file(program, 1)
    program.run("compare", path, "-m", "one/a")
    with closing(sqlite3.connect(program.home / "chats.db")) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("DELETE FROM conversations")
        connection.commit()
    program.run("compare", path, "-m", "one/a")
    assert len(servers[0].requests) == 2


def test_equal_prompts_are_each_asked_and_resumed(program, three, servers):
    path = program.home / "same.txt"
    path.write_text("same\nsame\nother\nsame\n")
    servers[0].plan = lambda _prompt, before: reply(400, {"error": {"message": "no"}}) if before == 1 else None
    assert program.run("compare", str(path), "-m", "one/a", "--parallel", "1").code == 1
    assert program.run("compare", str(path), "-m", "one/a").code == 0
    assert servers[0].answered == {"same": 3, "other": 1}


def test_the_same_run_is_not_started_twice_at_once(program, three, servers):
    gate = threading.Event()
    servers[0].before = [WaitFor(gate)]
    path = prompts_file(program)
    with program.start("compare", path, "-m", "one/a") as first:
        until(lambda: len(servers[0].requests) == 2)
        second = program.run("compare", path, "-m", "one/a")
        assert second.code == 2
        assert "another tui-chat" in second.err
        gate.set()
        assert first.wait(20) == 0
    assert set(servers[0].answered.values()) == {1}
    assert list((program.home / "cache").glob("compare-*")) == []


def test_fifty_prompts_over_three_models_killed_and_resumed_are_each_paid_once(program, three, servers):
    slow, flaky, limited = servers
    slow.before = [Pause(0.01)]
    gate, held = threading.Event(), []

    def fails_sometimes(prompt: str, before: int) -> list[Step] | None:
        number = int(prompt.split()[1])
        return BROKEN if (number % 10 == 3 and before < 1) or (number == 7 and before < 2) else hold(prompt, 25, flaky)

    def limited_first(prompt: str, before: int) -> list[Step] | None:
        return LIMITED if prompt == "question 0" and before < 1 else hold(prompt, 20, limited)

    def hold(prompt: str, after: int, server: ModelServer) -> list[Step] | None:
        """Once so much is answered, say nothing until the program is dead."""
        if len(server.good) < after or gate.is_set():
            return None
        held.append((server.name, prompt))
        return [WaitFor(gate), Stall()]

    slow.plan = lambda prompt, _: hold(prompt, 15, slow)
    flaky.plan, limited.plan = fails_sometimes, limited_first
    path = prompts_file(program, 50)
    with program.start("compare", path, *MODELS) as process:

        def everything_is_on_disk() -> bool:
            whole = sum(sum(server.answered.values()) for server in servers)
            kept = query(program, "SELECT count(*) FROM completions WHERE finish_reason = 'stop'")
            return len(held) == 4 and kept == [(whole,)]

        until(lambda: (program.home / "chats.db").exists() and len(held) == 4)
        until(everything_is_on_disk)
        process.kill()
    first = sum(sum(server.answered.values()) for server in servers)
    assert 30 < first < 150
    gate.set()
    ended = program.run("compare", path, *MODELS, timeout_s=60)
    assert ended.code == 0, ended.err
    assert "150/150 answered" in ended.err
    for server in servers:
        assert server.answered == {f"question {number}": 1 for number in range(50)}
    found = as_json(program, path, *MODELS)
    assert [model["answers"] for model in found["models"]] == [50, 50, 50]
    (row,) = csv.DictReader(io.StringIO(program.run("usage", "--by", "conversation", "--csv").out))
    lost = query(program, "SELECT provider, cost_usd FROM charges WHERE finish_reason = 'interrupted'")
    assert len(lost) <= 6, "only what was under way when it was killed"
    names = ("one", "two", "three")
    paid = [
        server.cost + sum(Decimal(usd) for provider, usd in lost if provider == name)
        for server, name in zip(servers, names, strict=True)
    ]
    assert Decimal(row["cost_usd"]) == sum(paid)
    table = csv.DictReader(io.StringIO(program.run("compare", path, *MODELS, "--format", "csv").out))
    assert [Decimal(line["cost_usd"]) for line in table] == paid
    assert sum(sum(server.answered.values()) for server in servers) == 150


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_keeps_what_is_answered_and_says_how_to_go_on(program, three, servers, number, code):
    servers[0].plan = lambda prompt, before: [Stall()] if prompt.endswith("2") and not before else None
    path = prompts_file(program, 5)
    with program.start("compare", path, "-m", "one/a", "--parallel", "1") as process:
        until(lambda: len(servers[0].requests) == 3)
        process.send_signal(number)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (code, b"")
    assert b"2 of 5 are answered" in err
    assert b"run the same command again" in err
    assert query(program, "SELECT count(*) FROM completions WHERE finish_reason = 'cancelled'") == [(1,)]
    assert program.run("compare", path, "-m", "one/a").code == 0
    assert servers[0].answered == {f"question {each}": 1 for each in range(5)}


# side by side


def test_no_more_requests_run_at_once_than_asked_for(program, three, servers):
    gate = threading.Event()
    for server in servers:
        server.before = [WaitFor(gate)]
    path = prompts_file(program, 6)
    with program.start("compare", path, *MODELS) as process:
        until(lambda: sum(len(server.requests) for server in servers) == 4)
        time.sleep(0.3)
        counts = [len(server.requests) for server in servers]
        assert (sum(counts), max(counts)) == (4, 2)
        gate.set()
        assert process.wait(20) == 0


def test_a_model_that_waits_for_its_limit_holds_nobody_up(program, three, servers):
    three("[network]\nmax_retries = 2\n")
    late = reply(429, {"error": {"message": "slow down"}}, {"Retry-After": "20"})
    servers[1].plan = servers[2].plan = lambda _prompt, before: late if not before else None
    path = prompts_file(program, 12)
    with program.start("compare", path, *MODELS) as process:
        until(lambda: sum(servers[0].answered.values()) == 12, 10)
        assert sum(servers[1].answered.values()) == sum(servers[2].answered.values()) == 0
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
    assert query(program, "SELECT count(*) FROM charges WHERE model != 'a'") == [(0,)]


def test_a_model_that_waits_for_its_turn_holds_nobody_up(program, three, servers):
    three("[providers.one.limits]\nrequests_per_min = 1\n")
    with program.start("compare", prompts_file(program, 4), *MODELS[:4], "--parallel", "1") as process:
        until(lambda: sum(servers[1].answered.values()) == 4, 10)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
    assert len(servers[0].requests) == 1
    assert query(program, "SELECT count(*) FROM charges WHERE model = 'a'") == [(1,)]


def test_a_terminal_sees_how_long_the_next_request_waits_for_its_turn(program, three, servers):
    three("[providers.one.limits]\nrequests_per_min = 1\n")
    outer, inner = pty.openpty()
    termios.tcsetwinsize(inner, (24, 100))
    with program.start("compare", prompts_file(program), *MODELS[:2], stderr=inner) as process:
        os.close(inner)
        said = ""
        while not (wait := re.search(r"1/3 .* so far, .* to come   next in (\d+) s   \d s", said)):
            said += os.read(outer, 4096).decode()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
    os.close(outer)
    assert 59 <= int(wait[1]) <= 61


def test_a_model_that_refuses_the_key_is_not_asked_for_the_rest(program, three, servers):
    servers[1].plan = lambda _prompt, _before: reply(401, {"error": {"message": "no such key"}})
    found = as_json(program, prompts_file(program, 9), *MODELS, code=1)
    assert [(each["answers"], each["failed"]) for each in found["models"]] == [(9, 0), (0, 9), (9, 0)]
    assert len(servers[1].requests) <= 2
    assert {each["answers"][1]["error"]["kind"] for each in found["prompts"]} == {"authentication"}


# money


def test_the_limit_holds_for_the_whole_run_and_over_its_starts(program, three, servers):
    servers[0].plan = lambda prompt, _: answer(prompt, 1000, 0)  # $0.001 each
    path = prompts_file(program, 10)
    ended = program.run("compare", path, "-m", "one/a", "--max-cost", "0.0035", "--parallel", "1")
    assert ended.code == 3
    assert "--max-cost" in ended.err
    assert len(servers[0].requests) == 3, "the next prompt would have gone over it"
    assert "| one/a | 3 |" in ended.out
    assert "3 of 10 are answered" in ended.err
    assert program.run("compare", path, "-m", "one/a", "--max-cost", "0.0035").code == 3
    assert program.run("compare", path, "-m", "one/a", "--max-cost", "0.003").code == 3
    assert len(servers[0].requests) == 3
    assert program.run("compare", path, "-m", "one/a", "--max-cost", "1").code == 0
    assert len(servers[0].requests) == 10


def test_the_limit_of_a_day_ends_the_run_and_what_is_whole_is_kept(program, three, servers):
    three("[budget]\ndaily_usd = 0.0005\n")
    path = prompts_file(program, 10)
    ended = program.run("compare", path, "-m", "one/a", "--parallel", "1")
    assert ended.code == 3
    assert "not sent: " in ended.err
    assert "is left of budget.daily_usd = $0.00050" in ended.err
    assert servers[0].cost <= Decimal("0.0005")
    answered = len(servers[0].requests)
    assert 0 < answered < 10
    assert program.run("compare", path, "-m", "one/a", "--parallel", "1").code == 3
    assert len(servers[0].requests) == answered
    three("")
    assert program.run("compare", path, "-m", "one/a").code == 0
    assert len(servers[0].requests) == 10


def test_the_limit_cuts_what_runs(program, three, servers):
    exchange: list[Step] = [Head(), *[chat_chunk("word " * 40) for _ in range(3)], Stall()]
    servers[0].plan = lambda _prompt, _before: exchange
    ended = program.run("compare", prompts_file(program, 5), "-m", "one/a", "--max-cost", "0.0001")
    assert ended.code == 3
    assert len(servers[0].requests) <= 2


def test_a_prompt_too_long_for_the_rest_is_left_out_and_the_others_are_asked(program, three, servers):
    three("[budget]\ndaily_usd = 0.01\n")
    path = program.home / "prompts.txt"
    path.write_text("\n".join(["short", "long " * 20_000, *(f"question {n}" for n in range(6))]))
    ended = program.run("compare", str(path), "-m", "one/a")
    assert ended.code == 3
    assert len(servers[0].requests) == 7
    assert "1 of 8 failed: not sent: " in ended.err
    assert ended.err.endswith("raise budget.daily_usd, then run the same command again to ask only those that failed\n")
    found = as_json(program, str(path), "-m", "one/a", code=3)
    assert (found["models"][0]["answers"], len(servers[0].requests)) == (7, 7)


@pytest.mark.parametrize("limit", ["--max-cost", "daily_usd"])
def test_a_limit_that_is_used_up_ends_only_what_costs_something(program, three, servers, limit):
    free = f'[providers.free]\nbase_url = "{servers[1].base_url}"\n[models."free/x"]\n'
    free += "input_per_mtok = 0\noutput_per_mtok = 0\n"
    three(free + ("[budget]\ndaily_usd = 0.0035\n" if limit == "daily_usd" else ""))
    servers[0].plan = lambda prompt, _: answer(prompt, 1000, 0)  # $0.001 each
    options = ["--max-cost", "0.0035"] if limit == "--max-cost" else []
    found = as_json(program, prompts_file(program, 9), "-m", "one/a", "-m", "free/x", *options, code=3)
    priced, unpriced = found["models"]
    assert 3 <= priced["answers"] <= 5, "those that ran when the limit was reached may pass it"
    assert unpriced["answers"] == 9
    unasked = [each["answers"][0]["error"] for each in found["prompts"] if each["answers"][0]["message_id"] is None]
    assert unasked
    assert {each["kind"] for each in unasked} == {"budget"}


def test_what_running_answers_hold_is_waited_for(program, three, servers):
    three("[budget]\ndaily_usd = 0.0004\n")  # the first sets more than half of it aside
    servers[0].before = [Head(), Pause(0.3)]
    path = prompts_file(program, 4)
    ended = program.run("compare", path, "-m", "one/a")
    assert ended.code == 0, ended.err
    assert servers[0].asked == {f"question {n}": 1 for n in range(4)}
    refused = len(query(program, "SELECT 1 FROM completions WHERE finish_reason = 'budget'"))
    assert 0 < refused < 4, "each refusal makes the run more careful"


def test_a_limit_of_each_answer_stops_that_answer_only(program, three, servers):
    three("[budget]\nper_answer_usd = 0.0005\n")
    long = [Head(), chat_chunk("word " * 40), Pause(0.05), chat_chunk("word " * 40), Stall()]
    servers[0].plan = lambda prompt, _: long if prompt.endswith("1") else None
    found = as_json(program, prompts_file(program, 4), "-m", "one/a", code=3)
    assert (found["models"][0]["answers"], found["models"][0]["failed"]) == (3, 1)


def test_programs_can_tell_play_money_from_real(program, three, servers):
    models = ("-m", "demo/quick", "-m", "one/a")
    found = as_json(program, prompts_file(program, 1), *models)
    assert [(each["cost_known"], each["play"]) for each in found["models"]] == [(True, True), (True, False)]
    assert [each["play"] for each in found["prompts"][0]["answers"]] == [True, False]
    lines = list(
        csv.DictReader(io.StringIO(program.run("compare", *models, "--format", "csv", prompts_file(program, 1)).out))
    )
    assert [line["play"] for line in lines] == ["true", "false"]
    assert list(lines[0])[-1] == "play"


def test_play_money_unknown_prices_and_free_models_are_told_apart(program, servers):
    program.configure(
        f'[providers.work]\nbase_url = "{servers[0].base_url}"\n'
        '[models."work/free"]\ninput_per_mtok = 0\noutput_per_mtok = 0\n'
    )
    ended = program.run("compare", prompts_file(program, 2), "-m", "demo/quick", "-m", "work/free", "-m", "work/odd")
    assert ended.code == 0, ended.err
    cost = {line.split(" | ")[0][2:]: line.split(" | ")[9] for line in ended.out.splitlines()[2:]}
    assert cost["demo/quick"].startswith("play ")
    assert (cost["work/free"], cost["work/odd"]) == ("free", "$?")


# the line while it runs


def test_a_terminal_sees_one_line_that_is_drawn_over_and_the_table(program, three, servers):
    for server in servers:
        server.before = [Pause(0.05)]
    outer, inner = pty.openpty()
    termios.tcsetwinsize(inner, (24, 80))
    path = prompts_file(program, 10)
    with subprocess.Popen(
        [*PROGRAM, "compare", path, *MODELS],
        env={**program.environ, "COLUMNS": "", "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=inner,
        stderr=inner,
    ) as process:
        os.close(inner)
        began_s, seen = time.monotonic(), b""
        while True:
            ready, _, _ = select.select([outer], [], [], 20)
            assert ready
            try:
                piece = os.read(outer, 4096)
            except OSError:
                break
            if not piece:
                break
            seen += piece
        ended_s = time.monotonic()
    os.close(outer)
    assert process.returncode == 0
    text = seen.decode()
    frames = re.findall(r"\r(\d+)/30  [^\r\n]*", text)
    assert frames[0] == "0"
    assert frames[-1] == "30"
    assert 2 < len(frames) <= 10 * (ended_s - began_s) + 2
    assert re.search(r"/30  \S+  \$0\.\d+ so far, ~\$0\.\d+ to come   \d+ s\x1b\[K", text)
    assert "█" in text
    table = text.rpartition("\x1b[K")[2].strip().splitlines()
    assert table[0].startswith("model ")
    assert max(map(len, table)) <= 80


def test_nothing_is_asked_that_could_not_be_kept(program, three, servers):
    path = prompts_file(program)
    assert program.run("compare", prompts_file(program, 1, "other.txt"), "-m", "one/a").code == 0
    with closing(sqlite3.connect(program.home / "chats.db")) as connection:
        connection.execute("BEGIN IMMEDIATE")
        ended = program.run("compare", path, "-m", "one/a", timeout_s=40)
    assert ended.code == 1
    assert "nothing more is asked" in ended.err
    assert "Traceback" not in ended.err
    assert len(servers[0].requests) == 1
    assert program.run("compare", path, "-m", "one/a").code == 0
    assert servers[0].answered == {"question 0": 2, "question 1": 1, "question 2": 1}
