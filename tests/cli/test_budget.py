"""Limits on money, from outside: what the servers saw is held against them, whoever asks, stops or dies."""

import json
import signal
import sqlite3
from contextlib import closing
from decimal import Decimal

import pytest

from tests.cli.test_ask import read_until
from tests.loopback import Drop, Exchange, Head, Pause, Stall, chat_chunk, chat_stream, chat_usage

TOKEN_USD = Decimal("0.00001")
PACE_S = 0.004
LATE_S = 0.15
"""Between a look at the cost and the hang-up at the server: a flush, and what two busy processors add to it."""
PRICES = "".join(f'[models."work/{name}"]\ninput_per_mtok = 1\noutput_per_mtok = 10\n' for name in "bcd")


def endless(tokens=3000):
    """Return the script of a server that goes on far beyond any limit here, one token in each piece."""
    return [Head(), *[step for _ in range(tokens) for step in (chat_chunk(" the"), Pause(PACE_S))]]


def within(exchange: Exchange) -> Decimal:
    """Return by how much one answer may pass its limit before the server notices."""
    return TOKEN_USD * int(LATE_S / PACE_S)


def cost_at_the_server(exchange: Exchange) -> Decimal:
    """Return what a server would bill that stops when it is hung up on; the prompt is a few tokens."""
    return TOKEN_USD * exchange.sent


def query(program, sql: str):
    with closing(sqlite3.connect(program.home / "chats.db")) as connection:
        return connection.execute(sql).fetchall()


@pytest.mark.parametrize(
    ("limit", "again"),
    [("daily_usd", ()), ("monthly_usd", ()), ("per_chat_usd", ("-c",))],
)
def test_a_stream_without_end_is_cut_at_the_limit_and_the_next_is_not_sent(program, work, server, limit, again):
    work(f"[budget]\n{limit} = 0.001\n")
    exchange = server.enqueue(endless())
    ended = program.run("ask", "--json", "hello")
    assert exchange.hung_up.wait(5)
    answer = ended.object
    assert (ended.code, answer["finish_reason"], answer["error"]["kind"]) == (3, "budget", "budget")
    assert f"stopped by budget.{limit} = $0.0010; raise it in config.toml" in answer["error"]["message"]
    assert answer["text"].startswith(" the the the")
    limit_usd = Decimal("0.001")
    assert limit_usd <= Decimal(answer["cost"]["amount"]) <= limit_usd + within(exchange)
    assert cost_at_the_server(exchange) <= limit_usd + within(exchange)
    (kept,) = json.loads(program.run("export", "--all").out)["conversations"]
    assert kept["messages"][1]["content"] == answer["text"]

    refused = program.run("ask", "--json", *again, "hello").object
    assert len(server.requests) == 1, "not sent"
    assert (refused["finish_reason"], refused["text"], refused["cost_usd"]) == ("budget", "", 0)
    message = refused["error"]["message"]
    assert message.startswith(f"not sent: $0 is left of budget.{limit} = $0.0010 ($0.0010")
    assert ("a new chat begins anew" if again else "it begins anew on ") in message
    assert message.endswith("or raise it in config.toml to ask now")
    assert refused["error"]["message"] in program.run("ask", *again, "hello").err


def test_one_answer_is_cut_at_its_own_limit_and_the_next_one_may_be_sent(program, work, server):
    work("[budget]\nper_answer_usd = 0.001\n")
    server.default = endless()
    for _ in range(2):
        ended = program.run("ask", "--json", "hello")
        assert (ended.code, ended.object["finish_reason"]) == (3, "budget")
    assert [request.json["max_tokens"] for request in server.requests] == [99, 99]


def test_two_programs_that_ask_four_models_each_spend_one_limit_together(program, work, server):
    work(f"[budget]\ndaily_usd = 0.01\n{PRICES}")
    exchanges = [server.enqueue(endless()) for _ in range(8)]
    models = [word for name in "abcd" for word in ("-m", f"work/{name}")]
    with program.start("ask", *models, "hello") as one, program.start("ask", *models, "hello") as two:
        codes = [process.wait(60) for process in (one, two)]
    asked = [exchange for exchange in exchanges if exchange.request is not None]
    for exchange in asked:
        assert exchange.hung_up.wait(5)
    spent = sum(map(cost_at_the_server, asked))
    assert codes == [3, 3]
    assert len(asked) >= 4, "those that ask at once share it"
    assert Decimal("0.009") <= spent <= Decimal("0.01") + sum(map(within, asked))
    (row,) = query(program, "SELECT count(*), count(DISTINCT finish_reason) FROM charges")
    assert row == (len(asked), 1)
    assert query(program, "SELECT * FROM reservations") == []


def test_what_a_killed_program_had_spent_counts_at_the_next_start_and_what_it_held_does_not(program, work, server):
    work("[budget]\ndaily_usd = 0.1\n")  # so far that the server is not told where to end
    exchange = server.enqueue(Head(), *[chat_chunk(" the")] * 60, Stall())
    with program.start("ask", "-q", "hello") as process:
        read_until(process, b" the" * 60)
        while query(program, "SELECT output_tokens FROM charges") != [(60,)]:
            assert process.poll() is None
        ((held,),) = query(program, "SELECT usd FROM reservations")
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    assert Decimal(held) > 60 * TOKEN_USD
    assert exchange.hung_up.wait(5)
    ((lost,),) = query(program, "SELECT cost_usd FROM charges")
    server.enqueue(chat_stream([" the"], usage=chat_usage(9, 1)))
    assert program.run("ask", "-q", "hello").code == 0
    assert query(program, "SELECT * FROM reservations") == []
    assert query(program, "SELECT finish_reason FROM charges") == [("interrupted",), ("stop",)]
    (cap,) = json.loads(program.run("usage", "--json").out)["caps"]
    assert cap["spent_usd"] == cap["spent_at_most_usd"] == float(Decimal(lost) + Decimal("0.000019"))
    assert cap["held_usd"] == 0


def test_what_a_killed_program_may_be_billed_in_full_counts_in_full(program, work, server):
    work("[budget]\ndaily_usd = 0.001\n")
    server.enqueue(Head(), chat_chunk(" the"), Stall())
    with program.start("ask", "-q", "hello") as process:
        read_until(process, b" the")
        while not query(program, "SELECT * FROM charges"):
            assert process.poll() is None
        process.kill()
        process.wait(10)
    refused = program.run("ask", "--json", "hello").object["error"]["message"]
    assert " to $0.0010 is spent)" in refused, "the server was asked for all that was left, and may go on without us"


def test_answers_that_may_be_billed_to_their_end_hold_all_of_it_together(program, work, server):
    work("params = {max_tokens = 3000}\n[budget]\ndaily_usd = 0.04\n")
    for _ in range(4):
        server.enqueue(Head(), *[chat_chunk(" the")] * 20, Stall())
    started = [program.start("ask", "hello") for _ in range(4)]
    try:
        for process in started:
            first = process.stdout.read(4)
            if first:  # the others are refused
                process.send_signal(signal.SIGINT)
            process.wait(20)
    finally:
        for process in started:
            process.kill()
            process.communicate()
    assert sorted(process.returncode for process in started) == [3, 3, 130, 130]
    lengths = sorted(request.json["max_tokens"] for request in server.requests)
    assert lengths[1] == 3000
    (cap,) = json.loads(program.run("usage", "--json").out)["caps"]
    assert cap["spent_usd"] < 0.001
    assert 0.039 < cap["spent_at_most_usd"] <= 0.04


def test_what_was_sent_counts_although_the_program_is_killed_before_an_answer(program, work, server):
    for budget in ("", "[budget]\ndaily_usd = 1\n"):
        work(budget)
        exchange = server.enqueue(Stall())
        (program.home / "long.txt").write_text("word " * 50_000)
        with program.start("ask", "-q", "-f", str(program.home / "long.txt"), "sum it up") as process:
            assert exchange.requested.wait(20)
            while not budget and not query(program, "SELECT * FROM charges"):  # nobody waits for the disk then
                assert process.poll() is None
            process.kill()
            process.wait(10)
    found = query(program, "SELECT CAST(cost_usd AS REAL) > 0.05, state FROM charges")
    assert found == [(1, "settled"), (1, "open")]
    (cap,) = json.loads(program.run("usage", "--json").out)["caps"]
    assert cap["spent_usd"] > 0.1


def test_one_dropped_connection_does_not_use_up_the_day(program, work, server):
    work("[budget]\ndaily_usd = 0.04\n")
    server.enqueue(Head(), Drop())
    server.default = [chat_stream(["x"], usage=chat_usage(9, 10))]
    for _ in range(2):
        assert program.run("ask", "--json", "hi").object["finish_reason"] == "stop"
    (cap,) = json.loads(program.run("usage", "--json").out)["caps"]
    assert cap["spent_at_most_usd"] < 0.001


def test_what_is_not_saved_counts_in_the_chat_that_it_goes_on(program, work, server):
    work("[budget]\nper_chat_usd = 0.001\n")
    server.enqueue(chat_stream(["x"], usage=chat_usage(9, 1)))
    assert program.run("ask", "-q", "hi").code == 0
    server.default = endless(400)
    endings = [program.run("ask", "--json", "-c", "--no-save", "hello").object for _ in range(2)]
    assert [(each["finish_reason"], bool(each["text"])) for each in endings] == [("budget", True), ("budget", False)]
    assert len(query(program, "SELECT DISTINCT conversation_id FROM charges")) == 1
