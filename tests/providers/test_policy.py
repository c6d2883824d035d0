"""The policy of retries as a server sees it: how often it is asked, and after how long. The real program asks."""

import json
import subprocess
import sys
import time
from email.utils import formatdate
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.loopback import Drop, Head, LoopbackServer, Reset, Stall, chat_chunk, chat_stream, reply

WHOLE = chat_stream(["fine"])
LATE = [Head(), b": still here\n\n", Stall()]
MIDDLE = [Head(), chat_chunk("half"), Stall()]
BROKEN = [Head(), chat_chunk("half"), Reset()]
_SLACK_S = 5
"""What a busy machine may add to a wait; a hint that was not understood would add more, or less."""
QUOTA = {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}


@pytest.fixture
def server():
    with LoopbackServer() as server:
        yield server


def asked(server: LoopbackServer, home: Path, network: str = "") -> tuple[dict[str, Any], list[float]]:
    """Ask once; return the object, and the seconds between one request and the next as the server counts them."""
    config = f'default_model = "w/m"\n[providers.w]\nbase_url = "{server.base_url}"\n[network]\n{network}\n'
    (home / "config.toml").write_text(config)
    program = [sys.executable, "-m", "tui_chat", "ask", "--json", "hello"]
    environ = {"TUI_CHAT_HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[2]), "PATH": ""}
    ended = subprocess.run(
        program, env=environ, cwd=home, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False
    )
    times = [request.at_s for request in server.requests]
    return json.loads(ended.stdout), [b - a for a, b in pairwise(times)]


def later(seconds: float) -> str:
    return formatdate(time.time() + seconds, usegmt=True)


@pytest.mark.parametrize(
    ("headers", "least_s"),
    [
        ({"Retry-After-Ms": "150"}, 0.15),
        ({"Retry-After": "0.7"}, 0.7),
        ({"Retry-After": "1"}, 1.0),
        ({"Retry-After-Ms": "900", "Retry-After": "30"}, 0.9),  # the finer one goes first
        ({}, 0.375),  # none: half a second, shortened by up to a quarter
        ({"Retry-After": "soon"}, 0.375),
        ({"Retry-After": "-3"}, 0.375),
        ({"Retry-After": "nan"}, 0.375),
        ({"Retry-After": "0"}, 0.375),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_the_servers_hint_is_obeyed_and_junk_is_not(server, tmp_path, status, headers, least_s):
    server.enqueue(reply(status, {"error": {"message": "slow down"}}, headers))
    server.enqueue(WHOLE)
    got, waits = asked(server, tmp_path)
    assert (got["text"], got["attempts"], got["error"]) == ("fine", 2, None)
    assert len(waits) == 1
    assert least_s <= waits[0] < least_s + _SLACK_S


def test_a_date_is_a_hint_too(server, tmp_path):
    server.enqueue(reply(429, b"", {"Retry-After": later(4)}))
    server.enqueue(WHOLE)
    got, waits = asked(server, tmp_path)
    assert (got["text"], got["attempts"]) == ("fine", 2)
    assert 1.0 < waits[0] < 4 + _SLACK_S


@pytest.mark.parametrize("hint", ["61", "3600", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_wait_above_a_minute_is_told_instead(server, tmp_path, hint):
    server.default = reply(429, {"error": {"message": "come back later"}}, {"Retry-After": hint})
    got, waits = asked(server, tmp_path)
    assert (got["error"]["kind"], got["attempts"], waits) == ("rate_limit", 1, [])
    assert "run it again in " in got["error"]["message"]


def test_each_wait_doubles(server, tmp_path):
    server.default = reply(500, {"error": {"message": "boom"}})
    got, waits = asked(server, tmp_path, "max_retries = 3")
    assert (got["error"]["kind"], got["attempts"]) == ("server", 4)
    assert [least <= wait < 2 * least + 0.5 for wait, least in zip(waits, (0.375, 0.75, 1.5), strict=True)] == [
        True
    ] * 3


@pytest.mark.parametrize(
    ("script", "kind", "requests"),
    [
        (reply(408), "timeout", 3),
        (reply(409), "invalid_request", 3),
        (reply(502), "server", 3),
        (reply(529), "overloaded", 3),
        ([Reset()], "connection", 3),
        ([Drop()], "connection", 3),
        ([Head(), Reset()], "stream", 3),
        (reply(400), "invalid_request", 1),
        (reply(401), "authentication", 1),
        (reply(402), "payment", 1),
        (reply(403), "permission", 1),
        (reply(404), "not_found", 1),
        (reply(413), "invalid_request", 1),
        (reply(422), "invalid_request", 1),
        (reply(429, QUOTA), "payment", 1),
        (reply(307, b"", {"Location": "http://127.0.0.1:9/"}), "protocol", 1),
        ([Stall()], "timeout", 1),  # taken, then silence: another try could pay twice
        (LATE, "timeout", 1),
        (MIDDLE, "timeout", 1),
        (BROKEN, "stream", 1),
    ],
)
def test_only_what_cannot_cost_twice_is_sent_again(server, tmp_path, script, kind, requests):
    server.default = script
    network = "first_token_timeout_s = 0.3\nread_timeout_s = 0.3"
    got, waits = asked(server, tmp_path, network)
    assert (got["error"]["kind"], got["attempts"], len(waits) + 1) == (kind, requests, requests)
    assert got["text"] == ("half" if script in (MIDDLE, BROKEN) else "")
    assert got["finish_reason"] == "error"


def test_nobody_listening_is_tried_again_and_the_address_named(tmp_path, server):
    (tmp_path / "config.toml").write_text("")
    got, _ = asked(_Nowhere(), tmp_path)  # type: ignore[arg-type]
    assert (got["error"]["kind"], got["attempts"]) == ("connection", 3)
    assert "http://127.0.0.1:9/v1/chat/completions" in got["error"]["message"]


class _Nowhere:
    base_url = "http://127.0.0.1:9/v1"
    requests: tuple[()] = ()
