"""The client over real sockets: what the server sees, and what is left when things go wrong."""

import asyncio
import gzip
import json
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, aclosing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.loopback import (
    DONE,
    Drop,
    Exchange,
    Head,
    LoopbackServer,
    Pause,
    Raw,
    Reset,
    Split,
    Stall,
    WaitFor,
    chat_chunk,
    chat_stream,
    chat_usage,
    gzipped,
    reply,
    seen,
    sse,
)
from tui_chat.core.errors import ProviderError
from tui_chat.core.events import (
    Adjusted,
    Finished,
    ReasoningDelta,
    ResponseStarted,
    StreamEvent,
    TextDelta,
    UsageUpdate,
    Waiting,
)
from tui_chat.core.message import Message
from tui_chat.core.model import Model
from tui_chat.core.request import Request
from tui_chat.core.usage import Usage
from tui_chat.providers import body
from tui_chat.providers.client import HTTPProvider
from tui_chat.providers.endpoint import Endpoint, Network
from tui_chat.providers.gemini import Gemini
from tui_chat.providers.model_lists import gemini_models, ollama_models, openai_models
from tui_chat.providers.openai_chat import OpenAIChat
from tui_chat.providers.refusals import Refusals, Refused

KEY = "sk-test-abcdef123456"
REQUEST = Request(Model("work", "m"), (Message.of("user", "hi"),), {})
QUICK = Network(backoff_s=0.001)
BROKEN_GZIP = gzip.compress(b"")[:10] + b"\xff" * 40


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as server:
        yield server


Make = Callable[..., HTTPProvider]


@pytest.fixture
async def make(server: LoopbackServer) -> AsyncIterator[Make]:
    made: list[HTTPProvider] = []

    def make(network: Network = QUICK, base_url: str = "", **fields: Any) -> HTTPProvider:
        endpoint = Endpoint("work", "openai", base_url or server.base_url, api_key=lambda: KEY, key_hint="WORK_KEY")
        endpoint = replace(endpoint, **fields)
        made.append(HTTPProvider(endpoint, network, OpenAIChat()))
        return made[-1]

    yield make
    for provider in made:
        await provider.aclose()


async def collect(
    provider: HTTPProvider, at_token: Callable[[], None] | None = None
) -> tuple[list[StreamEvent], ProviderError | None]:
    """Return the events, and how it failed; `at_token` is called at each text and reasoning."""
    got: list[StreamEvent] = []
    try:
        async with aclosing(provider.stream(REQUEST)) as events:
            async for event in events:
                got.append(event)
                if at_token is not None and isinstance(event, TextDelta | ReasoningDelta):
                    at_token()
    except ProviderError as failed:
        return got, failed
    return got, None


def text(got: list[StreamEvent]) -> str:
    return "".join(e.text for e in got if isinstance(e, TextDelta))


async def fails(provider: HTTPProvider) -> ProviderError:
    _, error = await collect(provider)
    assert error is not None
    return error


class TestAnswer:
    async def test_a_stream_becomes_events(self, server: LoopbackServer, make: Make):
        server.enqueue(chat_stream(["Hel", "lo"], usage=chat_usage(9, 2)))
        got, error = await collect(make())
        assert error is None
        assert got == [
            ResponseStarted(),
            ResponseStarted("chatcmpl-1", "served-1"),
            TextDelta("Hel"),
            TextDelta("lo"),
            UsageUpdate(Usage(9, 2)),
            Finished("stop"),
        ]

    async def test_the_request_says_who_asks_and_carries_the_key(self, server: LoopbackServer, make: Make):
        server.enqueue(chat_stream())
        await collect(make(headers={"X-Team": "blue", "user-agent": "mine"}))
        request = server.requests[0]
        assert (request.method, request.path) == ("POST", "/v1/chat/completions")
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert request.headers["accept-encoding"] == "identity"
        assert (request.headers["x-team"], request.headers["user-agent"]) == ("blue", "mine")
        assert request.json["messages"] == [{"role": "user", "content": "hi"}]

    async def test_without_a_key_it_calls_without_authorization(self, server: LoopbackServer, make: Make):
        server.enqueue(chat_stream())
        await collect(make(api_key=lambda: None))
        assert "authorization" not in server.requests[0].headers
        assert server.requests[0].headers["user-agent"].startswith("tui-chat/")

    async def test_a_query_in_the_base_url_is_kept(self, server: LoopbackServer, make: Make):
        server.enqueue(chat_stream())
        await collect(make(base_url=f"{server.url}/openai/v1/?api-version=1"))
        assert server.requests[0].path == "/openai/v1/chat/completions?api-version=1"

    async def test_the_connection_is_used_again(self, server: LoopbackServer, make: Make):
        provider = make()
        for script in (chat_stream(), chat_stream(), reply(400, {"error": {"message": "no"}}), chat_stream()):
            server.enqueue(script)
            await collect(provider)
        assert [request.connection for request in server.requests] == [1, 1, 1, 1]

    async def test_a_connection_that_the_server_closed_meanwhile_is_replaced(self, server: LoopbackServer, make: Make):
        provider = make()
        server.enqueue(chat_stream(["a"]), Drop())
        assert text((await collect(provider))[0]) == "a"
        server.enqueue(chat_stream(["b"]))
        assert text((await collect(provider))[0]) == "b"

    @pytest.mark.parametrize(
        "script",
        [
            [Split(chat_stream(["Grüße 🙂"]), 1)],
            [Head(headers={"Content-Type": "text/plain; charset=latin-1"}), chat_stream(["Grüße 🙂"])],
            [Head(headers={}), chat_stream(["Grüße 🙂"])],
            [Head(chunked=False), chat_stream(["Grüße 🙂"])],
            [Raw(b"HTTP/1.0 200 OK\r\n\r\n" + chat_stream(["Grüße 🙂"]))],
            gzipped(chat_stream(["Grüße 🙂"])),
            [Head(headers={"Content-Encoding": "gzip"}), Split(gzip.compress(chat_stream(["Grüße 🙂"])), 1)],
            [Head(headers={"Content-Encoding": "identity"}), chat_stream(["Grüße 🙂"])],
            reply(200, {"choices": [{"message": {"content": "Grüße 🙂"}, "finish_reason": "stop"}]}),
        ],
    )
    async def test_harmless_oddities_change_nothing(self, server: LoopbackServer, make: Make, script: list[Any]):
        server.enqueue(script)
        got, error = await collect(make())
        assert error is None
        assert text(got) == "Grüße 🙂"
        assert got[-1] == Finished("stop")

    async def test_the_end_marker_ends_it_although_the_socket_stays_open(self, server: LoopbackServer, make: Make):
        exchange = server.enqueue(chat_stream(["a"]), Stall())
        async with asyncio.timeout(1):
            got, error = await collect(make())
        assert (text(got), error) == ("a", None)
        assert await seen(exchange.hung_up)

    async def test_usage_behind_the_finish_reason_is_waited_for(self, server: LoopbackServer, make: Make):
        gate = threading.Event()
        server.enqueue(chat_chunk("a", finish="stop"), WaitFor(gate), chat_chunk(usage=chat_usage(9, 2)), DONE)
        got, _ = await collect(make(), at_token=gate.set)
        assert UsageUpdate(Usage(9, 2)) in got

    async def test_but_not_for_long(self, server: LoopbackServer, make: Make):
        server.enqueue(chat_chunk("a", finish="stop"), Stall())
        got, error = await collect(make(Network(settle_s=0.05)))
        assert (got[-1], error) == (Finished("stop"), None)

    @pytest.mark.parametrize("end", [Reset(), Drop()])
    async def test_a_break_behind_the_finish_reason_is_no_loss(self, server: LoopbackServer, make: Make, end: Any):
        gate = threading.Event()
        server.enqueue(chat_chunk("a", finish="stop"), WaitFor(gate), end)
        got, _ = await collect(make(), at_token=gate.set)
        assert got[-1] == Finished("stop")


class TestHangingUp:
    """Whoever stops reading stops the server too."""

    async def cancelled(self, provider: HTTPProvider, exchange: Exchange, upto: type | None, times: int = 1) -> None:
        reached = asyncio.Event()

        async def read() -> None:
            async with aclosing(provider.stream(REQUEST)) as events:
                async for event in events:
                    if upto is not None and isinstance(event, upto):
                        reached.set()

        task = asyncio.create_task(read())
        assert await seen(exchange.requested)
        if upto is not None:
            await asyncio.wait_for(reached.wait(), 5)
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await seen(exchange.hung_up, 1)

    @pytest.mark.parametrize("times", [1, 2, 3])
    async def test_before_the_headers(self, server: LoopbackServer, make: Make, times: int):
        await self.cancelled(make(), server.enqueue(Stall()), None, times)

    @pytest.mark.parametrize("times", [1, 2, 3])
    async def test_before_the_first_token(self, server: LoopbackServer, make: Make, times: int):
        await self.cancelled(make(), server.enqueue(Head(), b": wait\n\n", Stall()), ResponseStarted, times)

    @pytest.mark.parametrize("times", [1, 2, 3])
    async def test_in_the_middle(self, server: LoopbackServer, make: Make, times: int):
        await self.cancelled(make(), server.enqueue(chat_chunk("a"), Stall()), TextDelta, times)

    async def test_when_the_reader_leaves_between_two_events(self, server: LoopbackServer, make: Make):
        exchange = server.enqueue(chat_chunk("a"), chat_chunk("b"), Stall())
        async with aclosing(make().stream(REQUEST)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    break
        assert await seen(exchange.hung_up, 1)

    async def test_when_the_reader_fails(self, server: LoopbackServer, make: Make):
        exchange = server.enqueue(chat_chunk("a"), Stall())

        async def read() -> None:
            async with aclosing(make().stream(REQUEST)) as events:
                async for event in events:
                    if isinstance(event, TextDelta):
                        raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await read()
        assert await seen(exchange.hung_up, 1)

    async def test_while_waiting_for_a_retry(self, server: LoopbackServer, make: Make):
        server.enqueue(reply(503, b"", {"Retry-After": "50"}))
        provider, waiting = make(), asyncio.Event()

        async def read() -> None:
            async with aclosing(provider.stream(REQUEST)) as events:
                async for event in events:
                    if isinstance(event, Waiting):
                        waiting.set()

        task = asyncio.create_task(read())
        await asyncio.wait_for(waiting.wait(), 5)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(server.requests) == 1

    async def test_others_on_the_same_provider_go_on(self, server: LoopbackServer, make: Make):
        provider, gate = make(), threading.Event()
        first = server.enqueue(chat_chunk("a"), WaitFor(gate), chat_stream(["b"]))
        other = asyncio.create_task(collect(provider))
        assert await seen(first.requested)
        await self.cancelled(provider, server.enqueue(chat_chunk("x"), Stall()), TextDelta)
        gate.set()
        got, error = await other
        assert (text(got), error) == ("ab", None)

    async def test_a_cancelled_connection_is_not_used_again(self, server: LoopbackServer, make: Make):
        provider = make()
        await self.cancelled(provider, server.enqueue(chat_chunk("a"), Stall()), TextDelta)
        server.enqueue(chat_stream(["b"]))
        assert text((await collect(provider))[0]) == "b"
        assert [request.connection for request in server.requests] == [1, 2]


class TestRetries:
    @pytest.mark.parametrize("first", [reply(503), reply(429), reply(408), reply(529), [Reset()], [Drop()]])
    async def test_a_failure_before_the_first_token_is_tried_again(
        self, server: LoopbackServer, make: Make, first: list[Any]
    ):
        server.enqueue(first)
        server.enqueue(chat_stream(["a"]))
        got, error = await collect(make())
        assert (text(got), error, len(server.requests)) == ("a", None, 2)
        waits = [e for e in got if isinstance(e, Waiting)]
        assert [(w.attempt, w.attempts) for w in waits] == [(2, 3)]
        assert 0 < waits[0].wait_s <= 0.001
        assert "run it again" not in waits[0].message

    async def test_it_gives_up_after_the_last_retry(self, server: LoopbackServer, make: Make):
        server.default = reply(500, {"error": {"message": "boom"}})
        got, error = await collect(make())
        assert error is not None
        assert (error.kind, error.status, error.attempts, error.request_sent) == ("server", 500, 3, False)
        assert len(server.requests) == 3
        assert [e.attempt for e in got if isinstance(e, Waiting)] == [2, 3]

    @pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422])
    async def test_a_refusal_is_final(self, server: LoopbackServer, make: Make, status: int):
        server.default = reply(status, {"error": {"message": "no"}})
        error = await fails(make())
        assert (error.status, error.attempts, len(server.requests)) == (status, 1, 1)

    async def test_the_server_may_forbid_or_ask_for_it(self, server: LoopbackServer, make: Make):
        server.enqueue(reply(500, b"", {"X-Should-Retry": "false"}))
        assert (await fails(make())).attempts == 1
        server.enqueue(reply(400, b"", {"X-Should-Retry": "true"}))
        server.enqueue(chat_stream(["a"]))
        assert text((await collect(make()))[0]) == "a"

    async def test_the_servers_wait_is_kept(self, server: LoopbackServer, make: Make):
        server.enqueue(reply(429, b"", {"Retry-After-Ms": "20"}))
        server.enqueue(chat_stream(["a"]))
        got, _ = await collect(make())
        assert [e.wait_s for e in got if isinstance(e, Waiting)] == [0.02]
        assert server.requests[1].at_s - server.requests[0].at_s >= 0.02

    async def test_a_wait_that_is_too_long_is_told(self, server: LoopbackServer, make: Make):
        server.enqueue(reply(429, b"", {"Retry-After": "3600"}))
        error = await fails(make())
        assert (error.kind, error.attempts) == ("rate_limit", 1)
        assert "60 min" in error.message

    async def test_no_retry_after_the_first_token(self, server: LoopbackServer, make: Make):
        for script in (chat_chunk("a"), chat_chunk(reasoning="hm")):
            gate = threading.Event()
            server.enqueue(script, WaitFor(gate), Reset())
            got, error = await collect(make(), at_token=gate.set)
            assert error is not None
            assert (error.kind, error.attempts, error.request_sent) == ("stream", 1, True)
            assert any(isinstance(e, TextDelta | ReasoningDelta) for e in got)
        assert len(server.requests) == 2

    async def test_a_reset_between_headers_and_first_token_is_tried_again(self, server: LoopbackServer, make: Make):
        gate = threading.Event()
        server.enqueue(Head(), b": hello\n\n", WaitFor(gate), Reset())
        server.enqueue(chat_stream(["a"]))
        got = []
        async with aclosing(make().stream(REQUEST)) as events:
            async for event in events:
                got.append(event)
                gate.set()
        assert text(got) == "a"
        assert len(server.requests) == 2

    async def test_an_overloaded_server_that_says_so_in_the_stream_is_tried_again(
        self, server: LoopbackServer, make: Make
    ):
        server.enqueue(sse({"error": {"message": "busy", "code": 503}}))
        server.enqueue(chat_stream(["a"]))
        assert text((await collect(make()))[0]) == "a"

    async def test_nobody_listening_is_tried_again_and_named(self, make: Make):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        got, error = await collect(make(base_url=f"http://127.0.0.1:{port}/v1"))
        assert error is not None
        assert (error.kind, error.attempts, error.request_sent) == ("connection", 3, False)
        assert f"http://127.0.0.1:{port}/v1/chat/completions" in error.message
        assert "refused" in error.message
        assert len([e for e in got if isinstance(e, Waiting)]) == 2

    async def test_a_server_that_does_not_take_the_connection_is_left_in_time(self, make: Make):
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full, ExitStack() as others:
            for _ in range(4):
                other = others.enter_context(socket.socket())
                other.setblocking(False)
                other.connect_ex(full.getsockname())
            base_url = f"http://127.0.0.1:{full.getsockname()[1]}/v1"
            error = await fails(make(Network(connect_timeout_s=0.05, max_retries=1, backoff_s=0.001), base_url))
            assert (error.kind, error.request_sent, error.attempts) == ("timeout", False, 2)
            task = asyncio.create_task(collect(make(base_url=base_url)))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(task, 1)

    async def test_a_refused_usage_option_is_left_out_from_then_on(self, server: LoopbackServer, make: Make):
        server.enqueue(reply(400, {"error": {"message": "Unknown parameter: 'stream_options'."}}))
        server.enqueue(chat_stream(["a"]))
        server.enqueue(chat_stream(["b"]))
        provider = make()
        got, error = await collect(provider)
        assert (text(got), error) == ("a", None)
        assert not any(isinstance(e, Waiting) for e in got)
        await collect(provider)
        assert ["stream_options" in request.json for request in server.requests] == [True, False, False]

    async def test_what_a_model_refuses_is_left_out_or_renamed_and_said_once(self, server: LoopbackServer, make: Make):
        """As OpenAI's reasoning models do it: one complaint at a time."""
        server.enqueue(reply(400, {"error": {"message": "Unsupported parameter: 'max_tokens' is not supported with this"
            " model. Use 'max_completion_tokens' instead.", "param": "max_tokens"}}))  # fmt: skip
        server.enqueue(reply(400, {"error": {"message": "Unsupported value: 'temperature' does not support 0.2 with"
            " this model. Only the default (1) value is supported."}}))  # fmt: skip
        server.enqueue(chat_stream(["a"]))
        server.enqueue(chat_stream(["b"]))
        provider = make()
        asked = replace(REQUEST, params={"temperature": 0.2, "max_tokens": 9, "seed": 1})
        for words, warnings in (("a", 2), ("b", 0)):
            got = [event async for event in provider.stream(asked)]
            assert text(got) == words
            assert len([e for e in got if isinstance(e, Adjusted)]) == warnings
        sent = [{name: r.json[name] for name in r.json if name in ASKED} for r in server.requests]
        whole, renamed = {"temperature": 0.2, "max_tokens": 9, "seed": 1}, {"temperature": 0.2, "seed": 1}
        renamed["max_completion_tokens"] = 9
        last = {"max_completion_tokens": 9, "seed": 1}
        assert sent == [whole, renamed, last, last]

    async def test_a_value_that_is_out_of_bounds_is_the_users_mistake(self, server: LoopbackServer, make: Make):
        server.enqueue(reply(400, {"error": {"message": "Invalid 'temperature': expected a value <= 2, got 5."}}))
        with pytest.raises(ProviderError, match="got 5"):
            _ = [event async for event in make().stream(replace(REQUEST, params={"temperature": 5}))]
        assert len(server.requests) == 1

    async def test_what_was_refused_is_remembered_by_who_wants_to(self, server: LoopbackServer, make: Make):
        kept: list[Refused] = []
        server.enqueue(reply(400, {"error": {"message": "Unknown parameter: 'stream_options'."}}))
        server.enqueue(chat_stream(["a"]))
        await collect(make(refusals=Refusals(keep=lambda refused: kept.append(dict(refused)))))
        server.enqueue(chat_stream(["b"]))
        await collect(make(refusals=Refusals(lambda: kept[-1])))
        assert ["stream_options" in request.json for request in server.requests] == [True, False, False]

    async def test_what_was_refused_in_an_earlier_run_is_said_once_more(self, server: LoopbackServer, make: Make):
        server.enqueue(chat_stream(["a"]))
        server.enqueue(chat_stream(["b"]))
        provider = make(refusals=Refusals(lambda: {"m": ["temperature"], "*": ["stream_options", "max_tokens"]}))
        asked = replace(REQUEST, params={"temperature": 0.2, "max_tokens": 9})
        for told in (["work refused temperature for m before; sent without it"], []):
            got = [event async for event in provider.stream(asked)]
            assert [e.message for e in got if isinstance(e, Adjusted)] == told

    async def test_a_user_who_does_not_want_to_wait_need_not(self, server: LoopbackServer, make: Make):
        server.enqueue(reply(503, b"", {"Retry-After": "50"}))
        server.enqueue(chat_stream(["soon"]))
        wake, got = asyncio.Event(), []

        async def read() -> None:
            async for event in make().stream(replace(REQUEST, retry_now=wake)):
                got.append(event)
                if isinstance(event, Waiting):
                    asyncio.get_running_loop().call_soon(wake.set)

        await asyncio.wait_for(read(), 10)
        assert text(got) == "soon"


ASKED = ("temperature", "max_tokens", "max_completion_tokens", "seed")


class TestGoingOn:
    """A cut answer that is gone on with."""

    async def test_a_server_that_can_gets_the_part_as_the_beginning(self, server: LoopbackServer, make: Make):
        server.enqueue(chat_stream([" end"]))
        _ = [event async for event in make(prefill=True).stream(replace(REQUEST, partial="The "))]
        assert [m["role"] for m in server.requests[0].json["messages"]] == ["user", "assistant"]
        assert server.requests[0].json["messages"][1]["content"] == "The"

    async def test_any_other_is_asked_to_go_on(self, server: LoopbackServer, make: Make):
        server.enqueue(chat_stream([" end"]))
        _ = [event async for event in make().stream(replace(REQUEST, partial="The "))]
        assert [m["role"] for m in server.requests[0].json["messages"]] == ["user", "assistant", "user"]

    async def test_and_so_is_one_that_refuses_the_beginning(self, server: LoopbackServer, make: Make):
        server.enqueue(reply(400, {"error": {"message": "This model does not support assistant message prefill."}}))
        server.enqueue(chat_stream([" end"]))
        got = [event async for event in make(prefill=True).stream(replace(REQUEST, partial="The "))]
        assert text(got) == " end"
        assert [len(request.json["messages"]) for request in server.requests] == [2, 3]


class TestLists:
    async def test_the_models_that_can_chat_are_listed(self, server: LoopbackServer, make: Make):
        priced = {"prompt": "0.000002", "completion": "0.000008", "request": "0", "input_cache_read": "0.0000005"}
        models = [
            {"id": "gpt-4.1", "object": "model"},
            {"id": "text-embedding-3-small"},
            {"id": "vendor/priced", "context_length": 128000, "pricing": priced},
            {"id": "paints", "architecture": {"output_modalities": ["image"]}},
            {"id": 7},
            "junk",
        ]
        server.always("/models", reply(200, {"object": "list", "data": models}))
        found = await make().models()
        assert [model.id for model in found] == ["gpt-4.1", "vendor/priced"]
        assert found[1].context_window == 128000
        assert found[1].price is not None
        assert (found[1].price.input_per_mtok, found[1].price.output_per_mtok) == (Decimal(2), Decimal(8))
        assert found[1].price.cached_input_per_mtok == Decimal("0.5")
        assert server.lookups[0].headers["authorization"] == f"Bearer {KEY}"

    async def test_a_key_that_is_refused_is_said(self, server: LoopbackServer, make: Make):
        server.always("/models", reply(401, {"error": {"message": "no entry"}}))
        with pytest.raises(ProviderError, match="401: no entry") as caught:
            await make().models()
        assert caught.value.kind == "authentication"

    @pytest.mark.parametrize("body", [b"<html>hello</html>", b"{", b"[" * 100_000, b""])
    async def test_a_list_that_is_none_is_an_error(self, server: LoopbackServer, make: Make, body: bytes):
        server.always("/models", reply(200, body))
        with pytest.raises(ProviderError, match="no JSON"):
            await make().models()

    async def test_an_error_that_comes_with_a_200_is_one(self, server: LoopbackServer, make: Make):
        server.always("/models", reply(200, {"error": {"message": f"no entry for {KEY}"}}))
        with pytest.raises(ProviderError, match=r"no entry for \[key\]"):
            await make().models()

    async def test_names_that_echo_the_key_or_cannot_be_shown_are_left_out(self, server: LoopbackServer, make: Make):
        names = ["m", KEY, f"x-{KEY}-y", "x" * 300, "a\x1b[31m", ""]
        server.always("/models", reply(200, {"data": [{"id": name} for name in names]}))
        assert [model.id for model in await make().models()] == ["m"]

    async def test_one_that_does_not_come_is_not_waited_for(self, server: LoopbackServer, make: Make):
        server.always("/models", [Head(200), b"[", Stall()])
        with pytest.raises(ProviderError) as caught:
            await make().models(0.05)
        assert caught.value.kind == "timeout"
        assert "did not answer within 0.05 s" in caught.value.message
        assert "first_token_timeout_s" not in caught.value.message, "it has nothing to do with it"

    def test_nothing_in_a_list_raises(self):
        hostile: list[Any] = [
            None,
            1,
            [],
            {},
            {"data": {}},
            [[[]]],
            {"data": [{"id": "a", "pricing": {"prompt": "x"}}]},
        ]
        for junk in hostile:
            openai_models(junk)
            gemini_models(junk)
            ollama_models(junk)

    async def test_the_key_goes_into_a_header_of_the_providers_own(self, server: LoopbackServer, make: Make):
        server.enqueue(chat_stream(["a"]))
        await collect(make(key_header="api-key"))
        assert server.requests[0].headers["api-key"] == KEY
        assert "authorization" not in server.requests[0].headers


class TestSilence:
    async def test_before_the_headers_it_ends_the_answer_without_a_retry(self, server: LoopbackServer, make: Make):
        exchange = server.enqueue(Stall())
        error = await fails(make(Network(first_token_timeout_s=0.05, backoff_s=0.001)))
        assert (error.kind, error.request_sent, error.attempts) == ("timeout", True, 1)
        assert "first_token_timeout_s" in error.message
        assert await seen(exchange.hung_up)
        assert len(server.requests) == 1

    async def test_behind_the_headers_too(self, server: LoopbackServer, make: Make):
        server.enqueue(Head(), b": hello\n\n", Stall())
        error = await fails(make(Network(first_token_timeout_s=0.05, backoff_s=0.001)))
        assert (error.kind, error.attempts) == ("timeout", 1)

    async def test_reasoning_has_the_patience_of_the_first_token(self, server: LoopbackServer, make: Make):
        server.enqueue(chat_chunk(reasoning="hm"), Stall())
        error = await fails(make(Network(first_token_timeout_s=0.1, read_timeout_s=0.001)))
        assert "for 0.1 s" in error.message

    async def test_in_the_middle_the_text_is_kept(self, server: LoopbackServer, make: Make):
        exchange = server.enqueue(chat_chunk("a"), Stall())
        got, error = await collect(make(Network(read_timeout_s=0.05)))
        assert error is not None
        assert (text(got), error.kind, error.request_sent) == ("a", "timeout", True)
        assert "read_timeout_s" in error.message
        assert await seen(exchange.hung_up)

    async def test_a_longer_read_timeout_than_the_first_one_holds(self, server: LoopbackServer, make: Make):
        server.enqueue(chat_chunk("a"), Stall())
        error = await fails(make(Network(first_token_timeout_s=0.05, read_timeout_s=0.15)))
        assert "for 0.15 s" in error.message

    async def test_comments_are_signs_of_life(self, server: LoopbackServer, make: Make):
        ticks = [step for _ in range(12) for step in (b": ping\n\n", Pause(0.03))]
        server.enqueue(Head(), ticks, chat_stream(["a"]))
        got, error = await collect(make(Network(first_token_timeout_s=0.2)))
        assert (text(got), error) == ("a", None)

    async def test_a_reader_that_pauses_is_not_the_servers_silence(self, server: LoopbackServer, make: Make):
        server.enqueue(chat_chunk("a"), chat_stream(["b"]))
        got: list[StreamEvent] = []
        async with aclosing(make(Network(read_timeout_s=0.05)).stream(REQUEST)) as events:
            async for event in events:
                got.append(event)
                if event == TextDelta("a"):
                    await asyncio.sleep(0.1)
        assert text(got) == "ab"


class TestFinished:
    async def test_it_comes_at_once_and_figures_follow(self, server: LoopbackServer, make: Make):
        gate = threading.Event()
        server.enqueue(chat_chunk("a", finish="stop"), WaitFor(gate), chat_chunk(usage=chat_usage(9, 2)), DONE)
        got: list[StreamEvent] = []
        async with aclosing(make().stream(REQUEST)) as events:
            async for event in events:
                got.append(event)
                if isinstance(event, Finished):
                    gate.set()
        assert got[-3:] == [TextDelta("a"), Finished("stop"), UsageUpdate(Usage(9, 2))]
        assert got.count(Finished("stop")) == 1

    async def test_an_error_behind_it_still_counts(self, server: LoopbackServer, make: Make):
        server.enqueue(chat_chunk("a", finish="stop"), Pause(0.1), sse({"error": {"message": "boom"}}))
        assert (await fails(make())).kind == "server"


class TestOwed:
    @pytest.mark.parametrize(
        "script",
        [
            [sse({"error": {"message": "boom"}})],
            [Head(200, {"Content-Type": "application/json"}), b'{"error": {"message": "boom"}}'],
            [Head(200, {"Content-Type": "text/html"}), b"<html><title>Login</title></html>"],
            [Head(204, {}, chunked=False)],
            [Head(), sse("no JSON")],
            [Head(headers={"Content-Encoding": "gzip"}), BROKEN_GZIP],
        ],
    )
    async def test_a_failure_that_is_no_answer_costs_nothing(
        self, server: LoopbackServer, make: Make, script: list[Any]
    ):
        server.enqueue(script)
        assert not (await fails(make())).request_sent

    async def test_a_retry_says_whether_the_lost_attempt_can_cost(self, server: LoopbackServer, make: Make):
        server.enqueue(Head(), Pause(0.05), Reset())
        server.enqueue(reply(503, {"error": {"message": "busy"}}))
        server.enqueue(chat_stream())
        got, _ = await collect(make())
        assert [event.request_sent for event in got if isinstance(event, Waiting)] == [True, False]

    async def test_an_error_in_a_list_is_said_in_its_words(self, server: LoopbackServer, make: Make):
        body = json.dumps([{"error": {"code": 400, "message": "API key not valid."}}], indent=2).encode()
        server.enqueue(Head(200, {"Content-Type": "application/json"}), body)
        error = await fails(make())
        assert (error.kind, "API key not valid" in error.message) == ("authentication", True)


class TestNap:
    async def test_after_a_nap_the_server_has_its_whole_time_again(self, server: LoopbackServer, make: Make):
        gate = threading.Event()
        server.enqueue(chat_chunk("a"), WaitFor(gate), Pause(0.15), chat_stream(["b"]))

        def nap() -> None:
            time.sleep(1.0)
            gate.set()

        def soon() -> None:
            asyncio.get_running_loop().call_later(0.1, nap)

        got, error = await collect(make(Network(read_timeout_s=0.3, max_retries=0)), at_token=once(soon))
        assert error is None
        assert text(got) == "ab"


def once(work: Callable[[], None]) -> Callable[[], None]:
    """Return what does `work` at its first call only."""
    left = [work]

    def call() -> None:
        if left:
            left.pop()()

    return call


class TestTruncation:
    @pytest.mark.parametrize(
        ("script", "kind"),
        [
            ([Head(), chat_chunk("a")], "stream"),
            ([chat_chunk("a"), Drop()], "stream"),
            ([Head(200, {"Content-Length": "5000"}), chat_chunk("a"), Drop()], "stream"),
            ([Head(200, {}, chunked=False), chat_chunk("a")], "stream"),
            ([chat_chunk("a"), b'data: {"choices": [{"delta": {"content": "half'], "stream"),
            ([chat_chunk("a"), sse({"error": {"message": "boom"}})], "server"),
            ([Head(), chat_chunk("a"), Raw(b"zz\r\nno chunk\r\n")], "stream"),
            ([Head(headers={"Content-Encoding": "gzip"}), BROKEN_GZIP], "protocol"),
        ],
    )
    async def test_a_cut_answer_keeps_its_text_and_is_no_success(
        self, server: LoopbackServer, make: Make, script: list[Any], kind: str
    ):
        server.enqueue(script)
        got, error = await collect(make())
        assert error is not None
        assert (error.kind, error.request_sent or kind == "protocol") == (kind, True)
        assert text(got) == ("" if kind == "protocol" else "a")
        assert not any(isinstance(e, Finished) for e in got)
        assert error.message.startswith("work")

    async def test_an_empty_event_stream_is_no_success(self, server: LoopbackServer, make: Make):
        server.enqueue(Head())
        error = await fails(make())
        assert (error.kind, error.attempts) == ("stream", 1)

    @pytest.mark.parametrize("name", ["br", "zstd", "gzip, gzip"])
    async def test_a_compression_that_nobody_asked_for_is_refused(self, server: LoopbackServer, make: Make, name: str):
        server.enqueue(Head(headers={"Content-Encoding": name}), b"abc")
        assert (await fails(make())).kind == "protocol"

    async def test_a_web_page_is_named(self, server: LoopbackServer, make: Make):
        server.enqueue(reply(200, b"<!doctype html><title>Sign in</title>", {"Content-Type": "text/html"}))
        error = await fails(make())
        assert (error.kind, "base_url" in error.message) == ("protocol", True)

    async def test_garbage_instead_of_http_is_an_error(self, server: LoopbackServer, make: Make):
        server.default = [Raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), Drop()]
        assert (await fails(make())).kind == "connection"


class TestSecurity:
    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    async def test_a_redirect_is_not_followed(self, server: LoopbackServer, make: Make, status: int):
        server.enqueue(reply(status, b"", {"Location": f"{server.url}/elsewhere?key={KEY}"}))
        error = await fails(make())
        assert (error.status, error.attempts, len(server.requests)) == (status, 1, 1)
        assert f"{server.url}/elsewhere" in error.message
        assert KEY not in error.message

    @pytest.mark.parametrize(
        "script",
        [
            reply(401, {"error": {"message": f"Incorrect API key provided: {KEY}"}}),
            reply(400, f"you sent Bearer {KEY}"),
            reply(500, {"error": {"message": "x" * 230 + KEY}}),
            [chat_chunk("a"), sse({"error": {"message": f"bad key {KEY}"}})],
            [
                Head(),
                sse({"id": KEY, "model": f"m-{KEY}", "choices": []}),
                chat_chunk(f"your key: {KEY}", finish="stop"),
            ],
            [Head(), *[chat_chunk(c) for c in f"it is {KEY}!"], chat_stream(["."])],
            [Head(), chat_chunk(reasoning=f"it is {KEY}!"), chat_stream(["."])],
        ],
    )
    async def test_an_echoed_key_gets_nowhere(self, server: LoopbackServer, make: Make, script: list[Any]):
        server.default = script
        got, error = await collect(make(Network(max_retries=1, backoff_s=0.001)))
        leaving = f"{got!r} {error!s} {error!r} {text(got)}"
        assert KEY not in leaving
        assert KEY[:9] not in leaving

    async def test_a_servers_own_words_about_an_answer_are_one_clean_line(self, server: LoopbackServer):
        why = {"finishReason": "SAFETY", "finishMessage": f"no \x1b[31m\n{KEY} " + "y" * 9000}
        server.enqueue(reply(200, {"candidates": [why]}))
        endpoint = Endpoint("work", "gemini", server.base_url, api_key=lambda: KEY)
        provider = HTTPProvider(endpoint, QUICK, Gemini())
        try:
            got, _ = await collect(provider)
        finally:
            await provider.aclose()
        told = next(e.message for e in got if isinstance(e, Adjusted))
        assert told.startswith("no \u241b[31m [key] y")
        assert len(told) < 300

    async def test_text_that_only_begins_like_the_key_arrives_whole(self, server: LoopbackServer, make: Make):
        server.enqueue(chat_chunk("sk-test"), chat_chunk(reasoning="sk-te"), chat_stream(["x", "sk-test-"]))
        got, _ = await collect(make())
        assert text(got) == "sk-testxsk-test-"

    async def test_nothing_shows_a_key_in_its_repr(self, make: Make):
        provider = make(headers={"X-Api-Key": KEY})
        assert KEY not in f"{provider!r} {provider._endpoint!r} {provider._secrets!r}"

    @pytest.mark.parametrize("key", ["sk with space", "sk-é", "sk-\n1", "schlüssel…"])
    async def test_a_key_that_cannot_be_one_is_refused_before_it_is_sent(
        self, server: LoopbackServer, make: Make, key: str
    ):
        error = await fails(make(api_key=lambda: key))
        assert (error.kind, "WORK_KEY" in error.message, key in error.message) == ("authentication", True, False)
        assert server.requests == []

    async def test_a_proxy_is_not_asked_for_this_machine(
        self, server: LoopbackServer, make: Make, monkeypatch: pytest.MonkeyPatch
    ):
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        server.enqueue(chat_stream(["a"]))
        assert text((await collect(make()))[0]) == "a"

    async def test_a_proxy_is_asked_for_other_machines(
        self, server: LoopbackServer, make: Make, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.setenv("http_proxy", server.url)
        server.enqueue(chat_stream(["a"]))
        assert text((await collect(make(base_url="http://model.invalid/v1")))[0]) == "a"
        assert server.requests[0].path == "http://model.invalid/v1/chat/completions"

    async def test_a_configured_proxy_goes_before_the_environments(
        self, server: LoopbackServer, make: Make, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        server.enqueue(chat_stream(["a"]))
        server.enqueue(chat_stream(["b"]))
        own = replace(QUICK, proxy=server.url)
        assert text((await collect(make(own, base_url="http://model.invalid/v1")))[0]) == "a"
        assert text((await collect(make(own)))[0]) == "b", "this machine is asked without it"
        assert [request.path for request in server.requests] == [
            "http://model.invalid/v1/chat/completions",
            "/v1/chat/completions",
        ]

    async def test_a_server_without_tls_is_not_talked_to_in_plain(self, server: LoopbackServer, make: Make):
        error = await fails(make(base_url=server.base_url.replace("http:", "https:")))
        assert (error.kind, error.attempts, "trusted" in error.message) == ("connection", 1, True)
        assert server.requests == []

    @pytest.mark.parametrize(
        "base_url", ["127.0.0.1:8000/v1", "ftp://x/v1", "http://", "http://a b/v1", "http://x:99999999/"]
    )
    async def test_a_base_url_that_is_none_is_said(self, make: Make, base_url: str):
        error = await fails(make(base_url=base_url))
        assert error.kind in ("configuration", "connection")

    async def test_a_header_that_frames_the_request_is_not_the_users(self, server: LoopbackServer, make: Make):
        error = await fails(make(headers={"Content-Length": "3"}))
        assert (error.kind, "Content-Length" in error.message) == ("configuration", True)
        assert not server.requests

    async def test_a_key_in_a_header_that_cannot_be_sent_is_not_shown_by_a_lookup_either(self, make: Make):
        with pytest.raises(ProviderError, match=r"^work: the request cannot be made.*\[key\]") as caught:
            await make(headers={"Authorization": f"Bearer {KEY}\n"}).models()
        assert KEY not in caught.value.message

    async def test_an_address_without_end_does_not_fill_the_screen(self, make: Make):
        error = await fails(make(replace(QUICK, max_retries=0), "http://127.0.0.1:9/" + "x" * 3000))
        assert len(error.message) < 500

    async def test_a_header_that_cannot_be_sent_is_said(self, make: Make):
        assert (await fails(make(headers={"X-Team": "a\nb"}))).kind == "configuration"
        assert (await fails(make(headers={"X-Team": "blå…"}))).kind == "configuration"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Return a file with a key and a certificate for 127.0.0.1 that nobody vouches for."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    path = tmp_path / "certificate.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=loopback"
    command += f" -addext subjectAltName=IP:127.0.0.1 -keyout {path}.key -out {path}.crt"
    subprocess.run(command.split(), check=True, capture_output=True)
    path.write_text(Path(f"{path}.key").read_text() + Path(f"{path}.crt").read_text())
    return path


class TestTLS:
    async def serve(self, certificate: Path) -> asyncio.Server:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + chat_stream(["safe"]))
            await writer.drain()
            writer.close()

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        return await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)

    async def test_an_unknown_certificate_is_refused_at_once(self, make: Make, certificate: Path):
        async with await self.serve(certificate) as tls:
            error = await fails(make(base_url=f"https://127.0.0.1:{tls.sockets[0].getsockname()[1]}/v1"))
        assert (error.kind, error.attempts, error.request_sent) == ("connection", 1, False)
        assert "SSL_CERT_FILE" in error.message

    async def test_ones_own_authority_can_be_named(
        self, make: Make, certificate: Path, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        async with await self.serve(certificate) as tls:
            got, error = await collect(make(base_url=f"https://127.0.0.1:{tls.sockets[0].getsockname()[1]}/v1"))
        assert (text(got), error) == ("safe", None)

    async def test_or_configured(self, make: Make, certificate: Path):
        async with await self.serve(certificate) as tls:
            address = f"https://127.0.0.1:{tls.sockets[0].getsockname()[1]}/v1"
            got, error = await collect(make(replace(QUICK, ca_file=str(certificate)), address))
        assert (text(got), error) == ("safe", None)
        error = await fails(make(replace(QUICK, ca_file="/none.pem"), "https://127.0.0.1:9/v1"))
        assert (error.kind, "network.ca_file" in error.message) == ("configuration", True)

    async def test_a_file_of_certificates_that_is_none_is_said(
        self, make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ):
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
        error = await fails(make(base_url="https://127.0.0.1:9/v1"))
        assert (error.kind, "SSL_CERT_FILE" in error.message) == ("configuration", True)


class TestBounds:
    async def test_an_answer_above_the_cap_is_cut(
        self, server: LoopbackServer, make: Make, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(body, "MAX_ANSWER", 10_000)
        exchange = server.enqueue([chat_chunk("x" * 1000)] * 100, Stall())
        got, error = await collect(make())
        assert error is not None
        assert error.kind == "protocol"
        assert 1000 <= len(text(got)) < 10_000
        assert await seen(exchange.hung_up)

    @pytest.mark.parametrize("said", [{"content": "x" * 1000}, {"reasoning": "x" * 1000}])
    async def test_so_is_one_with_more_text_than_can_be_kept(
        self, server: LoopbackServer, make: Make, monkeypatch: pytest.MonkeyPatch, said: dict[str, str]
    ):
        monkeypatch.setattr(body, "MAX_TEXT", 10_000)
        exchange = server.enqueue([sse({"choices": [{"delta": said}]})] * 100, Stall())
        got, error = await collect(make())
        assert error is not None
        assert (error.kind, "set max_tokens" in error.message) == ("protocol", True)
        assert sum(len(e.text) for e in got if isinstance(e, TextDelta | ReasoningDelta)) == 10_000
        assert await seen(exchange.hung_up)

    async def test_a_reader_that_pauses_holds_the_server_back(self, server: LoopbackServer, make: Make):
        exchange = server.enqueue([chat_chunk("x" * 1_000_000)] * 50, DONE)
        async with aclosing(make().stream(REQUEST)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    break
            assert not await seen(exchange.finished, 0.1)  # 50 MB fit into no buffer on the way
        assert await seen(exchange.hung_up)

    async def test_an_endless_error_body_is_not_read_to_its_end(self, server: LoopbackServer, make: Make):
        exchange = server.enqueue(Head(400), [b"x" * 100_000] * 100, Stall())
        error = await fails(make())
        assert (error.kind, len(error.message) < 500) == ("invalid_request", True)
        assert await seen(exchange.hung_up)

    async def test_an_error_body_that_never_ends_is_cut_in_time(
        self, server: LoopbackServer, make: Make, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr("tui_chat.providers.client._ERROR_BODY_S", 0.05)
        server.enqueue(Head(401), json.dumps({"error": {"message": "no entry"}}).encode(), Stall())
        assert "no entry" in (await fails(make())).message

    @pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak from /proc")
    async def test_memory_stays_low_whatever_the_server_sends(self, server: LoopbackServer):
        """A line, an event, a gzip bomb, an error body and an answer far above their caps."""
        packing = zlib.compressobj(1, zlib.DEFLATED, 31)
        bomb = packing.compress(b"data: ")
        bomb += b"".join(packing.compress(b"x" * 1_000_000) for _ in range(300)) + packing.flush()
        server.enqueue(Head(), b"data: ", [b"x" * 1_000_000] * 50)
        server.enqueue(Head(), [b"data: " + b"x" * 1_000_000 + b"\n"] * 60)
        server.enqueue(Head(headers={"Content-Encoding": "gzip"}), bomb)
        server.enqueue(Head(400), [b"x" * 1_000_000] * 400)
        server.enqueue(Head(400, {"Content-Encoding": "gzip"}), bomb)
        server.enqueue(Head(), [chat_chunk("x" * 500_000)] * 200)
        code = (
            "import asyncio, re, sys\n"
            "from tests.providers.test_client import *\n"
            "async def main():\n"
            "    provider = HTTPProvider(Endpoint('work', 'openai', sys.argv[1]), QUICK, OpenAIChat())\n"
            "    for _ in range(6):\n"
            "        print((await fails(provider)).kind)\n"
            "    await provider.aclose()\n"
            "asyncio.run(main())\n"
            "print(int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) // 1024)\n"
        )
        done = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", code, server.base_url], capture_output=True, text=True, timeout=60
        )
        *kinds, peak_mib = done.stdout.split()
        assert kinds == ["protocol", "protocol", "protocol", "invalid_request", "invalid_request", "protocol"], (
            done.stderr
        )
        assert int(peak_mib) < 300


def test_importing_the_room_does_not_import_httpx():
    code = "import sys, tui_chat.providers.registry; sys.exit('httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
