"""`tui-chat usage`: what was spent, from outside."""

import csv
import io
import json
import sqlite3
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from unicodedata import east_asian_width

import pytest

from tests.loopback import chat_stream
from tui_chat.bootstrap import Ground
from tui_chat.commands.usage import csv_text, table_text
from tui_chat.config.file import parse_config
from tui_chat.core.errors import ConfigurationError
from tui_chat.core.usage_report import GROUPINGS, Foreign, OwnCurrency, UsageRow, UsageTable

USAGE = {"prompt_tokens": 1000, "completion_tokens": 50}
TOTAL_KEYS = ["answers", "input_tokens", "output_tokens", "cost_usd", "cost_known", "saved_by_stopping_usd"]


@pytest.fixture
def spent(program, work, server):
    """Two chats with `work/a`, one of them of two answers, and a chat with play money."""
    program.environ["TZ"] = "Asia/Kathmandu"
    for _ in range(3):
        server.enqueue(chat_stream(["hello"], usage=USAGE))
    ids = [program.run("ask", "--json", "=1+1").object["conversation_id"]]
    program.run("ask", "-c", "go on")
    ids.append(program.run("ask", "--json", "other").object["conversation_id"])
    program.run("ask", "-m", "demo/quick", "hello")
    return ids


def as_json(program, *arguments):
    ended = program.run("usage", "--json", *arguments)
    assert (ended.code, ended.err) == (0, "")
    return json.loads(ended.out)


@pytest.mark.parametrize("form", [[], ["--json"], ["--csv"]])
def test_a_history_that_is_not_there_is_not_made(program, form):
    ended = program.run("usage", *form)
    assert (ended.code, ended.err) == (0, "")
    assert not (program.home / "chats.db").exists()
    if form == ["--json"]:
        assert json.loads(ended.out)["rows"] == []
        assert json.loads(ended.out)["total"]["cost_usd"] == 0
    elif form == ["--csv"]:
        assert ended.out.startswith("key,title,answers,")
        assert ended.out.count("\n") == 1
    else:
        assert ended.out == "nothing was spent yet\n"


def test_limits_say_how_they_stand_even_before_anything_was_spent(program, work, server):
    work("[budget]\ndaily_usd = 2\nmonthly_usd = 0.002\n")
    assert [(cap["name"], cap["left_usd"]) for cap in as_json(program)["caps"]] == [
        ("budget.daily_usd", 2),
        ("budget.monthly_usd", 0.002),
    ]
    server.enqueue(chat_stream(["hello"], usage=USAGE))
    assert program.run("ask", "-q", "hi").code == 0
    assert program.run("ask", "-q", "hi " * 1000).code == 3, "not sent"
    document = as_json(program)
    day, month = document["caps"]
    assert (day["spent_usd"], day["left_usd"], day["held_usd"]) == (0.0015, 1.9985, 0)
    assert datetime.fromisoformat(day["resets_at"]) > datetime.now().astimezone()
    assert (month["spent_usd"], month["cap_usd"]) == (0.0015, 0.002)
    total = document["total"]
    assert (total["answers"], total["cut"], total["clamped"], total["waited_s"]) == (1, 0, 1, 0)
    lines = program.run("usage").out.splitlines()
    assert "Answers that met a limit: 1 given less room." in lines
    assert lines[-2].startswith("budget.daily_usd: $0.0015 of $2.00 is spent, $2.00 is left until 20")
    assert lines[-1].startswith("budget.monthly_usd: $0.0015 of $0.0020 is spent, $0.00050 is left until 20")


def test_json_by_model_says_how_many_votes_a_model_won(program, work, server):
    for _ in range(2):
        server.enqueue(chat_stream(["hello"], usage=USAGE))
    program.run("ask", "-m", "work/a", "-m", "work/b", "hi")
    store = Ground.lay({"TUI_CHAT_HOME": str(program.home)}).open_store()
    (row,) = store.conversations()
    (turn,) = store.path(row.id)
    store.save_vote(turn, turn.completions[1]).result()
    store.close()
    rows = {row["key"]: (row["votes"], row["wins"]) for row in as_json(program, "--by", "model")["rows"]}
    assert rows == {"work/a": (1, 0), "work/b": (1, 1)}
    assert "votes" not in as_json(program, "--by", "day")["rows"][0]


def test_json_is_as_the_contract_says(program, spent):
    each = {"answers": 3, "input_tokens": 3000, "output_tokens": 150, "cost_usd": 0.0045}
    for by in GROUPINGS:
        report = as_json(program, "--by", by)
        assert list(report)[:3] == ["by", "rows", "total"]
        assert report["by"] == by
        assert list(report["total"])[:6] == TOTAL_KEYS
        assert report["total"].items() >= {**each, "cost_known": True, "saved_by_stopping_usd": None}.items()
        assert all(list(row)[:7] == ["key", *TOTAL_KEYS] for row in report["rows"])
    assert [row["key"] for row in as_json(program, "--by", "model")["rows"]] == ["work/a"]
    assert [row["key"] for row in as_json(program, "--by", "provider")["rows"]] == ["work"]
    rows = as_json(program, "--by", "conversation")["rows"]
    assert [(row["key"], row["answers"], row["title"]) for row in rows] == [
        (spent[0], 2, "=1+1"), (spent[1], 1, "other"),
    ]  # fmt: skip
    (day,) = as_json(program)["rows"]
    assert abs((date.fromisoformat(day["key"]) - date.today()).days) <= 1


def test_days_are_local_and_can_be_left_out(program, spent):
    with closing(sqlite3.connect(program.home / "chats.db")) as connection:
        connection.execute("UPDATE charges SET at = '2026-01-01T18:20:00.000000+00:00' WHERE n = 1")
        connection.commit()  # 00:05 of the next day in Nepal
    rows = as_json(program)["rows"]
    assert [row["answers"] for row in rows] == [2, 1]
    assert rows[1]["key"] == "2026-01-02"
    assert as_json(program, "--since", "2026-01-02")["total"]["answers"] == 3
    assert as_json(program, "--since", "2026-01-03")["total"]["answers"] == 2
    assert as_json(program, "--days", "1")["total"]["answers"] == 2
    assert as_json(program, "--days", "99999")["total"]["answers"] == 3
    assert as_json(program, "--since", "2999-01-01")["rows"] == []


def test_deleted_chats_stay_in_the_ledger(program, spent):
    before = as_json(program, "--by", "conversation")
    with closing(sqlite3.connect(program.home / "chats.db")) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("DELETE FROM conversations")
        connection.commit()
    after = as_json(program, "--by", "conversation")
    assert {row["title"] for row in after["rows"]} == {"deleted chat"}
    assert after["total"] == before["total"]


def test_csv_is_exact_and_no_cell_is_a_formula(program, spent):
    rows = list(csv.DictReader(io.StringIO(program.run("usage", "--by", "conversation", "--csv").out)))
    assert [(row["key"], row["title"], row["cost_usd"]) for row in rows] == [
        (spent[0], "'=1+1", "0.0030"), (spent[1], "other", "0.0015"),
    ]  # fmt: skip
    assert Decimal(rows[0]["cost_usd"]) == Decimal("0.003")


@pytest.mark.parametrize("title", ["=1", "+1", "-1", "@x", "\t=1", "  =1", "＝1", '"=1'])
def test_a_title_that_a_spreadsheet_would_run_is_quoted(title):
    row = UsageRow(title, title, 1, charges=1, unknown=1)
    (read,) = csv.DictReader(io.StringIO(csv_text(UsageTable("model", None, (row,), row))))
    assert read["key"].startswith("'")
    assert read["title"].startswith("'")
    assert (read["cost_usd"], read["cost_known"]) == ("", "false")


def test_the_table_is_for_people(program, spent):
    lines = program.run("usage", "--by", "model").out.splitlines()
    assert lines[0].split() == ["model", "answers", "in", "out", "cost"]
    assert lines[2].startswith("work/a ")
    assert "$0.0045" in lines[2]
    assert "█" in lines[2]
    assert lines[4].startswith("total ")
    assert all(len(line) <= 80 for line in lines)


def test_a_terminal_that_draws_only_ascii_gets_ascii(program, spent):
    program.environ["PYTHONIOENCODING"] = "ascii"
    out = program.run("usage").out
    assert "####" in out
    assert out.isascii()
    assert "?" not in out


def test_it_works_while_an_answer_runs_which_is_estimated(program, work, server):
    with program.start("ask", "-m", "demo/rambler", "hello") as running:
        try:
            assert as_json(program)["rows"] == []
        finally:
            running.kill()


@pytest.mark.parametrize(
    "arguments",
    [["--by", "week"], ["--since", "yesterday"], ["--days", "0"], ["--days", "x"], ["--json", "--csv"],
     ["--since", "2026-01-01", "--days", "3"]],
)  # fmt: skip
def test_wrong_usage_is_one_line(program, arguments):
    ended = program.run("usage", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1


# the table itself

ROWS = (
    UsageRow("anthropic/claude-sonnet-4-5", "claude-sonnet-4-5", 212, 7, 9_000_000, 1_410_000,
             settled_usd=Decimal(20), estimated_usd=Decimal("8.12"), charges=212, priced=212,
             saved_low=Decimal("1.10"), saved_high=Decimal("6.40")),
    UsageRow("deepseek/deepseek-chat", "deepseek-chat", 801, 0, 12, 1_600_000, settled_usd=Decimal("0.67"),
             charges=801, priced=801),
    UsageRow("work/a", "work/a", 14, 0, 5, 22_100, charges=14, unknown=14),
    UsageRow("yuan/b", "yuan/b", 2, 0, 5, 100, charges=2, foreign=(Foreign("CNY", Decimal("3.4")),)),
)  # fmt: skip
TOTAL = UsageRow(
    "", "total", 1029, 7, 9_000_022, 3_032_200, settled_usd=Decimal("20.67"), estimated_usd=Decimal("8.12"),
    charges=1029, priced=1013, unknown=14, foreign=(Foreign("CNY", Decimal("3.4")),),
    saved_low=Decimal("1.10"), saved_high=Decimal("6.40"),
)  # fmt: skip
TABLE = UsageTable("model", None, ROWS, TOTAL)


def test_money_stands_on_its_decimal_point():
    text = table_text(TABLE, OwnCurrency("EUR", Decimal("0.5")), 120)
    lines = text.splitlines()
    points = {lines[2].index("$28.12") + 3, lines[3].index("$0.6700") + 2, lines[5].index("¥3.40") + 2}
    assert len(points | {lines[7].index("$28.79") + 3}) == 1
    assert "~$28.79 (€14.40) + ¥3.40 + ?" in lines[7]
    assert "  $?" in lines[4]
    assert "~$8.12 of it is estimated, $20.67 settled." in text
    assert "Saved by stopping 7 answers: $1.10–$6.40." in text
    assert "The price of 14 answers is not known." in text
    assert "No rate for CNY: set usd_rate" in text


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120])
@pytest.mark.parametrize("plain", [False, True])
def test_the_table_fits(width, plain):
    row = UsageRow("c", "日本語のタイトル" * 8, 1, charges=1, unknown=1)
    table = UsageTable("conversation", None, (*ROWS, row), TOTAL)
    text = table_text(table, OwnCurrency("EUR", Decimal("0.92")), width, plain=plain)
    body = text.split("\n\n")[0].splitlines()
    assert text.isascii() == plain
    wide = [sum(2 if east_asian_width(c) in "WF" else 1 for c in line) for line in body]
    assert width < 60 or max(wide) <= width


def test_a_name_cannot_move_the_terminal():
    row = UsageRow("x/\x1b[2J\n", "x", 1, charges=1, unknown=1)
    assert "\x1b" not in table_text(UsageTable("model", None, (row,), row), None, 80)


# the user's own currency


def test_the_users_currency_stands_beside_the_total(program, spent):
    program.configure((program.home / "config.toml").read_text() + '[ui]\ncurrency = "eur"\ncurrency_rate = 0.92\n')
    out = program.run("usage").out
    assert "$0.0045 (€0.0041)" in out.splitlines()[-1]
    assert out.count("€") == 1


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('currency = "EUR"', "ui.currency needs ui.currency_rate beside it"),
        ("currency_rate = 0.92", "ui.currency_rate needs ui.currency beside it"),
        ('currency = "EUR"\ncurrency_rate = 0', "ui.currency_rate must be a number above 0"),
        ('currency = "a very long name"\ncurrency_rate = 1', "ui.currency must be the code of a currency"),
    ],
)
def test_a_currency_without_a_rate_is_refused(tmp_path, lines, said):
    with pytest.raises(ConfigurationError, match=said.replace(".", r"\.")):
        parse_config(f"[ui]\n{lines}\n", tmp_path / "config.toml")


def test_a_currency_with_its_rate_is_taken(tmp_path):
    ui = parse_config('[ui]\ncurrency = "EUR"\ncurrency_rate = 0.92\n', tmp_path).ui
    assert (ui.currency, ui.currency_rate) == ("EUR", Decimal("0.92"))
