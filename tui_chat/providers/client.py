"""The one place that talks to the network: sends a request, reads the answer within bounds, tries again, hangs up.

Why by hand over httpx: an answer has three different silences (connecting, until text flows, between reads), must end
at its end marker although the socket stays open, must be bounded in memory, and must hang up at once when the reader
goes away. Importing this module does not import httpx, which costs more than the first paint; `warm` does that in a
thread while nothing else is to do.

A failure before the first token is tried again as `retry.py` says; after it, never. All foreign errors end at one
border, `HTTPProvider.stream`, as a ProviderError whose text has been cleaned of keys.
"""

import asyncio
import json
import os
import random
import socket
import ssl
import sys
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from decimal import Decimal
from importlib import import_module
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit, urlunsplit

from tui_chat import __version__
from tui_chat.core.errors import ProviderError
from tui_chat.core.events import (
    Adjusted,
    Finished,
    FinishReason,
    ReasoningDelta,
    ResponseStarted,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    Waiting,
)
from tui_chat.core.model import ListedModel
from tui_chat.core.request import Request
from tui_chat.core.safe_text import one_line
from tui_chat.core.usage import Usage
from tui_chat.providers import failures
from tui_chat.providers.asking import PREFILL
from tui_chat.providers.billing import generation_bill
from tui_chat.providers.body import Body, Reading
from tui_chat.providers.endpoint import Endpoint, Network, is_loopback
from tui_chat.providers.failures import Failure, Place
from tui_chat.providers.inflate import Inflater
from tui_chat.providers.redact import Echo, Secrets
from tui_chat.providers.retry import LONGEST_HINT_S, Outcome, wait_s, waiting_hint_s
from tui_chat.providers.ticket import Ticket, need_of
from tui_chat.providers.turnstile import Turnstile, Turnstiles
from tui_chat.providers.wire import Bounded, WireFormat, WireRequest

if TYPE_CHECKING:
    import httpx

MAX_ERROR_BODY = 64 * 1024
MAX_LIST = 16 * 1024 * 1024
"""Bytes of a list of models."""
LIST_TIMEOUT_S = 10.0
DOCUMENT_S = 30.0
"""The longest wait for a whole document."""
_ERROR_BODY_S = 5.0
_LONG_KEY = 20
"""Letters of a key that is long enough to show its last four."""
_KEEP_ALIVE_S = 30.0
_LONGEST_URL = 160
"""Characters of an address in a message."""
_FRAMING = ("content-length", "transfer-encoding")


def warm() -> None:
    """Import what a request needs; for a thread, while the program is idle."""
    for name in ("httpx", "h11", "anyio._backends._asyncio", "httpcore"):
        import_module(name)


async def fetch_document(name: str, url: str, network: Network, limit: int = MAX_LIST) -> bytes:
    """Return what stands at an address, at most `limit` bytes; no key is sent, no redirect is followed.

    `name` is what errors call it. Raises ProviderError.
    """
    from tui_chat.providers.openai_chat import OpenAIChat

    asked = HTTPProvider(Endpoint(name, "openai", url), network, OpenAIChat())  # of the dialect nothing is used
    try:
        return await asked.document(limit)
    finally:
        await asked.aclose()


def _trust(ca_file: str | None) -> ssl.SSLContext:
    """Return a context that trusts the usual roots, and the user's own besides: httpx would trust only those."""
    import httpx

    context = httpx.create_ssl_context(trust_env=False)
    own, folder = ca_file or os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if own or folder:
        try:
            context.load_verify_locations(own or None, folder or None)
        except (OSError, ssl.SSLError) as bad:
            where = "network.ca_file" if ca_file else "SSL_CERT_FILE or SSL_CERT_DIR"
            message = f"the certificates in {where} cannot be read: {bad}"
            raise ProviderError("configuration", message) from None
    return context


class _Sending:
    """How far one attempt got, told by httpcore's trace."""

    __slots__ = ("_ticket", "sent")

    def __init__(self, ticket: Ticket | None = None) -> None:
        self._ticket = ticket
        self.sent = False
        """The whole request has left."""

    async def trace(self, event: str, _info: object) -> None:
        if self._ticket is not None and event.endswith("send_request_headers.started"):
            self._ticket.reached = True
        elif event.endswith("send_request_body.complete"):
            self.sent = True


class _Cleaner:
    """Takes our keys out of the events of one attempt, should the server echo them."""

    __slots__ = ("_echo", "_kind", "_secrets")

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._kind: type[TextDelta | ReasoningDelta] = TextDelta
        self._echo: Echo | None = None

    def clean(self, event: StreamEvent) -> list[StreamEvent]:
        clean = self._secrets.clean_values
        match event:
            case TextDelta(text) | ReasoningDelta(text):
                before = self.rest() if self._kind is not type(event) else []
                if self._echo is None:
                    self._echo, self._kind = self._secrets.echo(), type(event)
                text = self._echo.feed(text)
                return [*before, self._kind(text)] if text else before
            case ResponseStarted(request_id, model):
                return [ResponseStarted(request_id and clean(request_id), model and clean(model))]
            case ToolCallDelta(name, arguments):
                return [ToolCallDelta(clean(name), clean(arguments))]
            case Adjusted(what):  # a dialect may pass on the server's own words
                return [Adjusted(one_line(self._secrets.clean(what), failures.WORDS))]
            case Finished():
                return [*self.rest(), event]
            case _:
                return [event]

    def rest(self) -> list[StreamEvent]:
        """Return what was held back."""
        held = self._echo.rest() if self._echo is not None else ""
        self._echo = None
        return [self._kind(held)] if held else []


class HTTPProvider:
    """One configured endpoint; implements `core.ports.Provider`. Its connections belong to one event loop."""

    def __init__(
        self,
        endpoint: Endpoint,
        network: Network,
        wire: WireFormat,
        secrets: Secrets | None = None,
        chance: Callable[[], float] = random.random,
        turnstiles: Turnstiles | None = None,
    ) -> None:
        """`turnstiles` are shared by all providers of a run: the same key at the same address has the same limits."""
        self._endpoint = endpoint
        self._network = network
        self._wire = wire
        self._secrets = secrets or Secrets()
        self._chance = chance
        self._turnstiles = turnstiles or Turnstiles()
        self._client: httpx.AsyncClient | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._keyed = False
        """There is a key."""
        self._key_end = ""
        self._told: set[tuple[str, str]] = set()
        """What the user knows to be left out: the model, and the option or the sentence that said so."""
        self._local = is_loopback(endpoint.base_url)
        self._secrets.add(urlsplit(endpoint.base_url).password)
        for name, value in endpoint.headers.items():
            if any(word in name.lower() for word in ("key", "auth", "token", "secret", "cookie")):
                self._secrets.add(value)
                self._secrets.add(value.partition(" ")[2])

    async def aclose(self) -> None:
        """Close idle connections."""
        if self._closing:
            await asyncio.wait(self._closing)
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def stream(self, request: Request) -> AsyncGenerator[StreamEvent, None]:
        """Yield the answer's events; `Finished` comes as soon as the server says why, only figures after it.

        Raises ProviderError and nothing else, but for a ConfigurationError of the endpoint's key, which goes through.
        """
        attempt, flowing = 1, False
        number, waited = self._turnstiles.number(), False
        while True:
            cleaner = _Cleaner(self._secrets)
            try:
                async with aclosing(self._attempt(request, number, waited=waited)) as events:
                    async for event in events:
                        flowing = flowing or isinstance(event, TextDelta | ReasoningDelta | ToolCallDelta)
                        for clean in cleaner.clean(event):
                            yield clean
            except Failure as failed:
                failure = failed
            except ProviderError as failed:
                failure = failures.named(self._place(request), failed)
            else:
                return
            for event in cleaner.rest():
                yield event
            error = failure.error
            wait = None
            if not flowing:
                network = self._network
                wait = wait_s(
                    failure.outcome, attempt, network.max_retries, network.backoff_s, self._chance(), time.time()
                )
            if wait is None:
                raise self._final(error, attempt) from None
            attempt, waited = attempt + 1, _asked_to_wait_s(failure.outcome) is not None
            what = self._secrets.clean(failure.what)
            most = self._network.max_retries + 1
            yield Waiting(error.kind, what, wait, attempt, most, request_sent=error.request_sent)
            await _pause(wait, request.retry_now)

    def length_unasked(self, request: Request) -> int | None:
        """Return the longest answer in tokens that is asked for where the user says none; `None` = the server's."""
        return self._wire.length_unasked(request) if isinstance(self._wire, Bounded) else None

    def _final(self, error: ProviderError, attempts: int) -> ProviderError:
        """Return the error as it leaves the room: without keys, with the number of attempts."""
        return ProviderError(
            error.kind,
            self._secrets.clean(error.message),
            status=error.status,
            request_sent=error.request_sent,
            attempts=attempts,
        )

    async def _attempt(self, request: Request, number: int, *, waited: bool) -> AsyncGenerator[StreamEvent, None]:
        """Send once, and again without each option that the server refuses. Raises Failure, ChatError.

        `number` is its place in the queue; `waited` says that the server asked it to come now.
        """
        key = await self._key()
        turnstile = self._turnstile(key)
        refusals, model_id = self._endpoint.refusals, request.model.id
        without = refusals.of(model_id)
        for known in request.params:
            if known in without - {"max_tokens"} and self._is_news(model_id, known):
                yield Adjusted(f"{self._endpoint.provider} refused {known} for {model_id} before; {_instead(known)}")
        while True:
            built = self._build(request, key, without)
            for why in built.left_out:
                if self._is_news(model_id, why):
                    yield Adjusted(why)
            place, ticket = self._place(request, built.path), Ticket(number, model_id, need_of(request), waited)
            with turnstile.visit(ticket):
                async with aclosing(turnstile.turn_of(ticket)) as queue:
                    async for seen in queue:
                        yield seen
                async with self._sent_to(self._url(built.path), built, place, _Sending(ticket)) as body:
                    turnstile.answered(ticket, body.headers)
                    if body.status < 300:
                        async with aclosing(self._events(body, self._wire, place)) as events:
                            async for event in events:
                                ticket.note(event)
                                yield event
                        return
                    option = await self._wanted_without(body, request, without, place, turnstile)
            refusals.add(model_id, option)
            without |= {option}
            if (option in request.params or option == PREFILL) and self._is_news(model_id, option):
                yield Adjusted(f"{place.provider} refused {option} for {model_id}; {_instead(option)}")

    async def _wanted_without(
        self, body: Body, request: Request, without: frozenset[str], place: Place, turnstile: Turnstile
    ) -> str:
        """Return the option without which a server that refused may answer. Raises Failure."""
        status, headers = body.status, body.headers
        if status < 400:
            raise failures.redirected(place, status, headers.get("location", ""))
        words = await self._error_words(body)
        option = self._refused(status, words, request, without)
        if option is not None:
            return option
        failure = failures.refused(place, status, headers, words, time.time())
        if (wait := _asked_to_wait_s(failure.outcome)) is not None:
            turnstile.hold(wait)
        raise failure

    def _turnstile(self, key: str | None) -> Turnstile:
        endpoint = self._endpoint
        return self._turnstiles.at(endpoint.base_url, key, endpoint.requests_per_min, endpoint.tokens_per_min)

    def _is_news(self, model_id: str, what: str) -> bool:
        """Say whether the user was not yet told that something is left out, and take it as told from now on."""
        known = (model_id, what) in self._told
        self._told.add((model_id, what))
        return not known

    def _refused(self, status: int, words: bytes, request: Request, without: frozenset[str]) -> str | None:
        """Return the option that the server refuses and an answer can do without; each is left out once."""
        if status not in (400, 422):
            return None
        option = self._wire.refused(words.decode("utf-8", "replace"), request, without)
        return None if option in without else option

    def _build(self, request: Request, key: str | None, without: frozenset[str]) -> WireRequest:
        """Return the request with its key, in the endpoint's own header where it has one."""
        own = self._endpoint.key_header
        built = self._wire.build(request, None if own else key, without, prefill=self._endpoint.prefill)
        return _with_key(built, own, key)

    async def models(self, limit_s: float = LIST_TIMEOUT_S) -> list[ListedModel]:
        """Return the provider's own list of models that can chat. Raises ProviderError, ConfigurationError."""
        listed = self._wire.listed(await self._got(self._endpoint.list_url, limit_s))
        return [model for model in listed if self._secrets.clean_values(model.id) == model.id]  # some echo the key

    async def bill_of(self, request_id: str) -> tuple[Usage, Decimal] | None:
        """Return what an answer was billed, where the provider keeps an account; `None` = not there, or not yet."""
        if not self._endpoint.bill_path:
            return None
        url = self._url(self._endpoint.bill_path.replace("{id}", quote(request_id, safe="")))
        try:
            return generation_bill(await self._got(url, LIST_TIMEOUT_S))
        except ProviderError as failed:
            if failed.kind == "not_found":
                return None
            raise

    async def check_key(self, limit_s: float = LIST_TIMEOUT_S) -> None:
        """Ask for something that only a key opens. Raises ProviderError, ConfigurationError."""
        path = self._endpoint.check_path
        await self._got(self._url(path) if path else self._endpoint.list_url, limit_s)

    async def _got(self, url: str, limit_s: float) -> object:
        """Return the JSON at an address, by default that of the list of models. Raises ProviderError."""
        place = self._place_of(url or self._url(""))
        try:
            key = await self._key()
            own = self._endpoint.key_header
            asked = _with_key(self._wire.list_request(None if own else key), own, key)
            url = url or self._url(asked.path)
            place = self._place_of(url)
            async with asyncio.timeout(limit_s), self._sent_to(url, asked, place, _Sending(), "GET") as body:
                if body.status >= 400:
                    words = await self._error_words(body)
                    raise failures.refused(place, body.status, body.headers, words, time.time())
                if body.status >= 300:
                    raise failures.redirected(place, body.status, body.headers.get("location", ""))
                return _parsed(place, await self._whole(body))
        except TimeoutError:
            raise self._final(failures.late(place, limit_s).error, 1) from None
        except Failure as failed:
            raise self._final(failed.error, 1) from None
        except ProviderError as failed:
            raise self._final(failures.named(place, failed).error, 1) from None

    async def document(self, limit: int) -> bytes:
        """Return what stands at the base URL itself, asked for without a key. Raises ProviderError.

        `limit` is the most bytes that it may have.
        """
        url, name = self._endpoint.base_url.strip(), self._endpoint.provider
        place = self._place_of(url.partition("?")[0])
        asked = WireRequest("", {"Accept": "application/json"})
        try:
            async with asyncio.timeout(DOCUMENT_S), self._sent_to(url, asked, place, _Sending(), "GET") as body:
                if body.status >= 400:
                    raise ProviderError("server", f"{name} answered {body.status} at {place.url}", status=body.status)
                if body.status >= 300:
                    raise failures.redirected(place, body.status, body.headers.get("location", ""))
                whole = await self._whole(body, limit + 1)
        except TimeoutError:
            raise ProviderError("timeout", f"{name} took too long: {place.url}") from None
        except Failure as failed:
            raise self._final(failed.error, 1) from None
        if len(whole) > limit:
            raise ProviderError("protocol", f"{name} has more than {limit:,} bytes: {place.url}")
        return whole

    async def _whole(self, body: Body, limit: int = MAX_LIST) -> bytes:
        """Return a whole document, or its first `limit` bytes. Raises Failure."""
        import httpx

        inflater, whole = Inflater(body.headers.get("content-encoding", "")), bytearray()
        try:
            while len(whole) < limit and (piece := await body.read(_ERROR_BODY_S)) is not None:
                for data in inflater.feed(piece):
                    whole += data
        except httpx.HTTPError as failed:
            place = self._place_of(self._url(""))
            raise failures.broken(place, _reason(_cause(failed)), sent=True, answered=True) from None
        return bytes(whole[:limit])

    async def _key(self) -> str | None:
        key = await asyncio.to_thread(self._endpoint.api_key)
        self._secrets.add(key)
        if key is not None and not (key.isascii() and key.isprintable() and " " not in key):
            hint = self._endpoint.key_hint or "config.toml"
            message = f"the key in {hint} holds white space or a character that no key has; copy it again"
            raise ProviderError("authentication", message)
        self._keyed = bool(key)
        self._key_end = key[-4:] if key and len(key) >= _LONG_KEY else ""
        return key or None

    def _place(self, request: Request, path: str = "") -> Place:
        return self._place_of(self._url(path), request.model.id)

    def _place_of(self, url: str, model_id: str = "") -> Place:
        endpoint, clean = self._endpoint, self._secrets.clean
        return Place(
            endpoint.provider,
            one_line(clean(url), _LONGEST_URL),
            endpoint.key_hint,
            key_page=endpoint.key_page,
            has_key=self._keyed,
            key_end=self._key_end,
            model=model_id,
            clean=clean,
            known_models=endpoint.known_models,
        )

    def _url(self, path: str) -> str:
        base = urlsplit(self._endpoint.base_url.strip())
        own_path, _, own_query = path.partition("?")
        query = "&".join(filter(None, (base.query, own_query)))
        return urlunsplit((base.scheme, base.netloc, base.path.rstrip("/") + own_path, query, ""))

    async def _connected(self) -> "httpx.AsyncClient":
        if self._client is None:
            import httpx

            secure = self._endpoint.base_url.strip().lower().startswith("https:")
            if secure:
                context = await asyncio.to_thread(_trust, self._network.ca_file)
            else:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # no roots: nothing to verify, nothing to load
            if self._client is None:
                self._client = httpx.AsyncClient(
                    verify=context,
                    trust_env=not self._local,
                    proxy=None if self._local else self._network.proxy,
                    follow_redirects=False,
                    limits=httpx.Limits(max_connections=None, keepalive_expiry=_KEEP_ALIVE_S),
                )
        return self._client

    @asynccontextmanager
    async def _sent_to(
        self, url: str, built: WireRequest, place: Place, sending: _Sending, method: str = "POST"
    ) -> AsyncGenerator[Body, None]:
        """Send, wait for the headers, and hang up in the end. Raises Failure and ProviderError."""
        if "httpx" not in sys.modules:
            await asyncio.to_thread(warm)
        import httpx

        network = self._network
        try:
            headers = httpx.Headers({"User-Agent": f"tui-chat/{__version__}", "Accept-Encoding": "identity"})
            headers.update(built.headers)
            headers.update(dict(self._endpoint.headers))
            if own := [name for name in self._endpoint.headers if name.lower() in _FRAMING]:
                raise ValueError(f"{own[0]} is not for you to set")  # noqa: TRY301  one border for what cannot be sent
            client = await self._connected()
            http_request = client.build_request(
                method,
                url,
                headers=headers,
                content=built.body or None,
                timeout=httpx.Timeout(network.first_token_timeout_s, connect=network.connect_timeout_s, pool=None),
                extensions={"trace": sending.trace},
            )
            response = await self._sent(client, http_request)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError, ValueError, ImportError) as bad:
            message = f"the request cannot be made: {bad}; check base_url and headers in config.toml, and the proxy"
            raise ProviderError("configuration", message) from None
        except httpx.HTTPError as failed:
            raise self._transport_failure(failed, place, sending) from None
        http_request.extensions["timeout"]["read"] = None  # from here on silence is measured by `_read`
        body = Body(response)
        try:
            yield body
        finally:
            body.hang_up()
            await asyncio.shield(self._leave(body.close()))

    async def _sent(self, client: "httpx.AsyncClient", request: "httpx.Request") -> "httpx.Response":
        """Send in a task of its own; see `body.py`."""
        sending = asyncio.create_task(client.send(request, stream=True))
        try:
            return await asyncio.shield(sending)
        except asyncio.CancelledError:
            sending.cancel()
            _ = self._leave(_orphaned(sending))
            raise

    def _leave(self, closing: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Close in a task of its own; it is kept until it is done."""
        task = asyncio.create_task(closing)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        return task

    def _transport_failure(self, failed: "httpx.HTTPError", place: Place, sending: _Sending) -> Failure:
        import httpx

        network = self._network
        match failed:
            case httpx.ConnectTimeout():
                return failures.unreachable(
                    place, f"no connection within {network.connect_timeout_s:g} s", local=self._local, kind="timeout"
                )
            case httpx.TimeoutException():
                return failures.silent(place, network.first_token_timeout_s, sent=sending.sent, text=False)
            case httpx.ConnectError() | httpx.ProxyError():
                cause = _cause(failed)
                if isinstance(cause, ssl.SSLError):
                    return failures.untrusted(place, getattr(cause, "verify_message", "") or str(cause))
                return failures.unreachable(place, _reason(cause), local=self._local)
            case _:
                return failures.broken(place, _reason(_cause(failed)), sent=sending.sent, answered=False)

    async def _error_words(self, body: Body) -> bytes:
        """Return the beginning of an error's body: what came in time, whole or not, and never too much."""
        import httpx

        words = bytearray()
        until_s = time.monotonic() + _ERROR_BODY_S
        with suppress(TimeoutError, httpx.HTTPError, ProviderError):
            inflater = Inflater(body.headers.get("content-encoding", ""))
            while (piece := await body.read(max(0.0, until_s - time.monotonic()))) is not None:
                for data in inflater.feed(piece):
                    words += data
                    if len(words) >= MAX_ERROR_BODY:
                        return bytes(words[:MAX_ERROR_BODY])
        return bytes(words)

    async def _events(self, body: Body, wire: WireFormat, place: Place) -> AsyncGenerator[StreamEvent, None]:
        """Yield what the body says, up to its end marker or its end. Raises Failure and ProviderError."""
        headers = body.headers
        names = ("x-generation-id", "x-request-id", "request-id")
        yield ResponseStarted(next(filter(None, map(headers.get, names)), None))
        reading = Reading(wire.framer(), wire.decoder(), Inflater(headers.get("content-encoding", "")), self._network)
        broken: Failure | None = None
        decoder = reading.decoder
        said: FinishReason | None = None
        while not decoder.done:
            try:
                piece = await self._read(body, reading, place)
            except Failure as failed:
                broken = failed
                break
            if piece is None:
                break
            for event in reading.events(piece):
                yield event
            # at once: who stops while the usage is waited for has a whole answer all the same
            if decoder.finish_reason is not None and said is None and not decoder.done:
                said = decoder.finish_reason
                yield Finished(said)
        for event in reading.rest():
            yield event
        if broken is not None and not decoder.done and decoder.finish_reason is None:
            raise broken
        for event in decoder.close():
            if event != Finished(said or "error"):
                yield event
        if decoder.done:
            await body.linger()

    async def _read(self, body: Body, reading: Reading, place: Place) -> bytes | None:
        """Return the next bytes, None at the end, which silence is too once the model has finished."""
        import httpx

        limit_s = reading.patience_s()
        try:
            return await body.read(limit_s)
        except TimeoutError:
            if reading.decoder.finish_reason is not None:
                return None
            raise failures.silent(place, limit_s, sent=True, text=reading.text) from None
        except httpx.HTTPError as failed:
            raise failures.broken(place, _reason(_cause(failed)), sent=True, answered=True) from None


async def _orphaned(sending: "asyncio.Task[httpx.Response]") -> None:
    """Hang up on an answer that came in the very moment in which nobody wanted it any more."""
    import httpx

    await asyncio.wait((sending,))
    if not sending.cancelled() and sending.exception() is None:
        with suppress(httpx.HTTPError):
            await sending.result().aclose()


async def _pause(seconds: float, cut_short: asyncio.Event | None) -> None:
    """Wait before a retry, or until the user does not want to wait any longer."""
    if cut_short is None:
        await asyncio.sleep(seconds)
        return
    cut_short.clear()
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await cut_short.wait()


def _asked_to_wait_s(outcome: Outcome) -> float | None:
    """Return for how long a server with too many requests wants no more; `None` when it does not say, or too long."""
    if outcome.status != 429 or outcome.capped:
        return None
    hint_s = waiting_hint_s(outcome.headers, time.time())
    return hint_s if hint_s is not None and hint_s <= LONGEST_HINT_S else None


def _with_key(built: WireRequest, header: str, key: str | None) -> WireRequest:
    """Return a request with the key in a header of the endpoint's own."""
    return replace(built, headers={**built.headers, header: key}) if header and key else built


def _instead(option: str) -> str:
    match option:
        case "max_tokens":
            return "sent as max_completion_tokens"
        case "prefill":
            return "asked to go on instead"
        case _:
            return "sent without it"


def _parsed(place: Place, document: bytes) -> object:
    """Return a document's JSON. Raises ProviderError, and Failure for an error that came with a 200."""
    try:
        answer = json.loads(document, parse_float=Decimal)
    except (ValueError, RecursionError, ArithmeticError):
        message = f"what stands at {place.url} is no JSON; check the base_url"
        raise ProviderError("protocol", message) from None
    if isinstance(answer, dict) and answer.get("error") and (words := failures.read_error(answer)) is not None:
        raise failures.named(place, failures.ReportedError(words, request_sent=False))
    return answer


def _cause(failed: BaseException) -> BaseException:
    """Return what is at the bottom of an exception: the system's error, or the one of TLS."""
    seen = 0
    while seen < 10:
        if isinstance(failed, ssl.SSLError):
            return failed
        if isinstance(failed, BaseExceptionGroup):
            below: BaseException | None = failed.exceptions[0]
        else:
            below = failed.__cause__ or failed.__context__
        if below is None:
            return failed
        failed = below
        seen += 1
    return failed


def _reason(cause: BaseException) -> str:
    if isinstance(cause, OSError) and cause.errno is not None and cause.errno > 0:
        return os.strerror(cause.errno).lower()  # asyncio puts words of its own around it
    if isinstance(cause, socket.gaierror) and cause.strerror:
        return cause.strerror.lower()
    return str(cause) or type(cause).__name__
