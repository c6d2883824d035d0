"""The border where foreign failures become ours: one line that says what happened, in the server's words, and a way on.

Pure: it sees a status, headers and a body, or the kind of trouble that `client.py` met, and answers with a
`Failure`, which carries the error for the user and what the retry policy has to know.

The shapes of error bodies and the codes are those that llama.cpp, LiteLLM, vLLM, transformers, OpenAI, OpenRouter,
Azure, Mistral and DeepSeek send (read 2026-11).
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from html import unescape

from tui_chat.core.errors import ErrorKind, ProviderError
from tui_chat.core.record import record
from tui_chat.core.safe_text import one_line
from tui_chat.providers.retry import Outcome, waiting_hint_s

WORDS = 240
"""Characters of the server's own words in a message."""


@record
class ErrorWords:
    """What an error body says."""

    message: str
    code: str = ""
    """Codes, types and states, joined."""
    status: int | None = None
    """An HTTP status inside the body."""


class Failure(Exception):  # noqa: N818  it never leaves this room: the border raises `error`
    """One attempt failed."""

    def __init__(self, error: ProviderError, outcome: Outcome, step: str = "") -> None:
        """Put the next step behind the error's message; without it it is what happened, for who waits for a retry."""
        super().__init__(error.message)
        self.what = error.message
        self.outcome = outcome
        self.error = ProviderError(
            error.kind,
            f"{error.message}; {step}" if step else error.message,
            status=error.status,
            request_sent=error.request_sent,
        )


_BY_STATUS: dict[int, ErrorKind] = {
    400: "invalid_request",
    401: "authentication",
    402: "payment",
    403: "permission",
    404: "not_found",
    405: "not_found",
    408: "timeout",
    413: "invalid_request",
    422: "invalid_request",
    429: "rate_limit",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}

_CONTEXT = re.compile(
    r"context_length|context_size|context.?window|contextwindow|maximum context|context length|max_model_len"
    r"|(prompt|input|request|messages?) (is |are )?too (long|large)|too many (input |prompt )?tokens"
    r"|exceeds? .{0,60}(context|maximum .{0,20}tokens|token limit)|reduce the length|string_above_max_length"
)
_QUOTA = re.compile(
    r"insufficient_quota|insufficient.{0,10}(balance|credit|fund)|billing|credit balance|payment required|out of credit"
    r"|exceeded your current quota|spend(ing)?[ _](cap|limit)|more credits|quota_exceeded|no credits"
)
_LIMIT_REACHED = re.compile(
    r"limit .{0,30}reached|reached .{0,40}limit|exceeded .{0,40}(quota|limit)|quota|(daily|monthly|weekly) .{0,20}limit"
)
_RATE = re.compile(r"rate.?limit|throttl|per[ -]?(min|sec|hour)|\b[rt]p[md]\b|try again in|too many requests|concurren")
_KEY = re.compile(
    r"invalid_api_key|api_key_invalid|authentication_error|(invalid|incorrect|missing|wrong|expired|no) .{0,20}api.?key"
    r"|api.?key .{0,30}(invalid|missing|expired|not valid|incorrect|required)"
)
_FILTER = re.compile(r"content_filter|content management policy|content_policy|responsibleaipolicy|moderation")
_NO_MODEL = re.compile(r"model_not_found|model .{0,120}(does not exist|not found)|no such model|unknown model")
_OVERLOADED = re.compile(r"overloaded|over capacity|at capacity|no healthy upstream|unavailable")
_HTML = re.compile(r"\s*(<!--.*?-->\s*)*<(!doctype|html|head|body)", re.IGNORECASE | re.DOTALL)
_TITLE = re.compile(r"<(title|h1)[^>]*>(.*?)</\1", re.IGNORECASE | re.DOTALL)


def is_html(text: str) -> bool:
    return _HTML.match(text[:2000]) is not None


def classify(status: int | None, words: ErrorWords) -> ErrorKind:
    """Return the kind of a failure: what the words say for certain, else what the status says."""
    said = f"{words.code} {words.message[:2000]}".lower()
    if status != 429 and _CONTEXT.search(said):
        return "context_length"
    if status in (402, 403, 429, None) and _QUOTA.search(said):
        return "payment"
    if status in (None, 400, 401, 403) and _KEY.search(said):
        return "authentication"
    if status in (None, 400, 403) and _FILTER.search(said):
        return "content_filter"
    if status in (None, 400) and _NO_MODEL.search(said):
        return "not_found"
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status is not None:
        return "server" if status >= 500 else "invalid_request"
    if _RATE.search(said):
        return "rate_limit"
    return "overloaded" if _OVERLOADED.search(said) else "server"


def read_error(value: object) -> ErrorWords | None:
    """Return what a JSON value says of an error, `None` when it reports none."""
    value = _unwrapped(value)
    if not isinstance(value, dict):
        return None
    error = value.get("error")
    if error is None and value.get("type") == "error":
        error = value
    if error:
        return _words(error)
    if value.get("object") == "error" or ("choices" not in value and ("detail" in value or "errors" in value)):
        return _words(value)
    return None


def _words(error: object) -> ErrorWords:
    if not isinstance(error, dict):
        return ErrorWords(_text(error))
    message = ""
    for name in ("message", "detail", "error", "msg", "errors", "title", "description"):
        if error.get(name):
            message = _text(error[name])
            break
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    if isinstance(raw, str) and raw and raw not in message:  # where OpenRouter gives the reason
        message = f"{message}: {raw}" if message else raw
    names = [_text(error[name]) for name in ("code", "type", "status") if error.get(name) not in (None, "")]
    status = next((int(name) for name in names if re.fullmatch(r"[45]\d\d", name)), None)
    return ErrorWords(message or _text(error), " ".join(names), status)


def _text(value: object) -> str:
    """Return any JSON value as text for a person."""
    match value:
        case str():
            return value
        case {"message": str(message)} | {"msg": str(message)}:
            return message
        case list():
            return "; ".join(_text(item) for item in value[:3])
        case _:
            try:
                return json.dumps(value, default=str)
            except (ValueError, RecursionError):
                return "an error"


def words_of(body: bytes) -> ErrorWords:
    """Return what an error body says, whatever it is: JSON of any shape, a web page, text, nothing."""
    text = body.decode("utf-8", "replace").removeprefix("\ufeff")
    if is_html(text):
        title = _TITLE.search(text)
        return ErrorWords(f"a web page, {unescape(title[2]).strip()!r}" if title else "a web page")
    try:
        value = json.loads(text.partition("\n")[0][5:] if text.startswith("data:") else text)
    except (ValueError, RecursionError):
        return ErrorWords(text.strip())
    return read_error(value) or _words(_unwrapped(value))


def _unwrapped(value: object) -> object:
    """Return what is in a list: Gemini wraps its errors in one."""
    return value[0] if isinstance(value, list) and value else value


@record
class Place:
    """Who was asked, for messages."""

    provider: str
    url: str
    """The exact address, without credentials."""
    key_hint: str = ""
    key_page: str = ""
    """Where a key is made."""
    has_key: bool = False
    key_end: str = ""
    """The last letters of the key, to tell which of several was sent; empty for one too short to show any of it."""
    model: str = ""
    clean: Callable[[str], str] = str
    """Takes keys out of a text; goes before every cut, which could leave half a key."""
    known_models: Callable[[], Iterable[str]] = tuple
    """The names of models that are known here."""

    def quoted(self, text: str, limit: int = 120) -> str:
        """Return foreign words as one clean line."""
        return one_line(self.clean(text), limit)


def refused(place: Place, status: int, headers: Mapping[str, str], body: bytes, now: float) -> Failure:
    """Return the failure of an answer with an error status; `now` is Unix time, for dates in `Retry-After`."""
    words = words_of(body)
    kind = classify(status, words)
    hint_s = waiting_hint_s(headers, now)
    said = f"{words.code} {words.message[:2000]}".lower()
    capped = status == 429 and (
        kind == "payment" or (hint_s is None and _LIMIT_REACHED.search(said) is not None and _RATE.search(said) is None)
    )
    message = f"{place.provider} answered {status}"
    own = place.quoted(words.message, WORDS)
    if own:
        message += f": {own.rstrip('.')}"
    outcome = Outcome(status=status, headers=headers, capped=capped)
    step = _next_step(kind, place, hint_s, capped=capped)
    if status == 413 and kind == "invalid_request":
        step = "send less: shorten the prompt or leave an attachment out"
    return Failure(ProviderError(kind, message, status=status), outcome, step)


def redirected(place: Place, status: int, location: str) -> Failure:
    """Return the failure of a redirect, which is never followed: key and prompt would go along."""
    where = f"to {place.quoted(location)}" if location else "elsewhere"
    message = f"{place.provider} answered {status}, a redirect {where}"
    step = "it is not followed because the key would go along: if you trust that address, make it the base_url"
    return Failure(ProviderError("protocol", message, status=status), Outcome(status=status), step)


def _next_step(kind: ErrorKind, place: Place, hint_s: float | None, *, capped: bool) -> str:
    match kind:
        case "authentication":
            return _about_key(place)
        case "permission":
            return "this key may not do that: choose another model or ask the provider for access"
        case "payment":
            return "add credit or raise the limit on the provider's billing page"
        case "not_found" if not place.model:
            return f"no list of models is there: {place.url} was asked"
        case "not_found":
            near, name = _nearest(place.model, place.known_models()), place.quoted(place.model, 80)
            if near:
                return f"the nearest to {name} that is known there: {near}"
            return f"check the model's name ({name}) and the base_url: {place.url} was asked"
        case "rate_limit" if hint_s is not None:
            return f"run it again in {duration(hint_s)}"
        case "rate_limit" if capped:
            return "the limit is reached: raise it at the provider or choose another model"
        case "rate_limit":
            return "wait a moment, then run it again"
        case "context_length":
            return "shorten the prompt, leave out earlier turns, or choose a model with a larger context window"
        case "content_filter":
            return "rephrase the prompt or choose another model"
        case "invalid_request":
            return "check the model's name, its params and the attachments"
        case _ if hint_s is not None:
            return f"run it again in {duration(hint_s)} or choose another model"
        case _:
            return "run it again in a moment or choose another model"


def _about_key(place: Place) -> str:
    """Return which key it was and how to set another."""
    page = f" (keys: {place.key_page})" if place.key_page else ""
    if not place.has_key:
        where = place.key_hint or f"api_key_env or api_key_cmd in [providers.{place.provider}] of config.toml"
        return f"set {where}{page}"
    end = f", which ends in …{place.key_end}" if place.key_end else ""
    return f"check the key in {place.key_hint or 'config.toml'}{end}{page}"


def _nearest(name: str, known: Iterable[str]) -> str:
    """Return up to three names that a wrong one may mean; empty when none is near, or when it is known itself."""
    import difflib

    names = {each.casefold(): each for each in known}
    wanted = name.casefold()
    if wanted in names:
        return ""
    near = difflib.get_close_matches(wanted, names, 3, 0.6)
    if not near:  # the end of a path, or a part of a longer name
        near = [each for each in names if wanted in each][:3]
    return ", ".join(one_line(names[each], 80) for each in near)


def duration(seconds: float) -> str:
    """Return a wait for a person: `12 s`, `5 min`, `3 h`."""
    if seconds < 120:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 7200 else f"{round(seconds / 3600)} h"


class ReportedError(ProviderError):
    """An error that the server reported inside of a stream; `named` puts the server's words into its message.

    Before the first token it costs what an error status costs, nothing: then no request counts as sent.
    """

    def __init__(self, words: ErrorWords, *, request_sent: bool) -> None:
        kind = classify(words.status, words)
        super().__init__(kind, "the server reported an error", status=words.status, request_sent=request_sent)
        self.words = words


def named(place: Place, error: ProviderError) -> Failure:
    """Return the failure for an error that was met while reading or building, with the provider's name before it."""
    if isinstance(error, ReportedError):
        own = place.quoted(error.words.message, WORDS).rstrip(".") or "an error without words"
        step = _next_step(error.kind, place, None, capped=error.kind == "payment")
        began = "broke off" if error.request_sent else "reported an error"
        message = f"{place.provider} {began}: {own}"
    else:
        step = ""
        message = f"{place.provider}: {place.clean(error.message)}"
    named_error = ProviderError(error.kind, message, status=error.status, request_sent=error.request_sent)
    again = isinstance(error, ReportedError) and error.kind == "overloaded"
    return Failure(named_error, Outcome(status=error.status, transient=again, capped=error.kind == "payment"), step)


def unreachable(place: Place, reason: str, *, local: bool, kind: ErrorKind = "connection") -> Failure:
    """Return the failure to connect."""
    step = "start the server, or check the base_url" if local else "check the network and the base_url"
    message = f"{place.provider} cannot be reached at {place.url}: {place.quoted(reason)}"
    return Failure(ProviderError(kind, message), Outcome(transient=True), step)


def untrusted(place: Place, reason: str) -> Failure:
    """Return the failure of TLS; it is never retried and never worked around."""
    message = f"{place.provider}: no trusted connection to {place.url}: {place.quoted(reason, 160)}"
    step = "check the base_url, or name your own CA in SSL_CERT_FILE"
    return Failure(ProviderError("connection", message), Outcome(), step)


def broken(place: Place, reason: str, *, sent: bool, answered: bool) -> Failure:
    """Return the failure of a connection that broke, before the answer or in the middle of it."""
    if answered:
        what = "the connection broke before the answer's end"
    else:
        what = "the connection broke before an answer came" if sent else "the connection broke while sending"
    message = f"{place.provider}: {what} ({place.quoted(reason)})"
    kind: ErrorKind = "stream" if answered else "connection"
    return Failure(ProviderError(kind, message, request_sent=sent), Outcome(transient=True), "run it again")


def late(place: Place, seconds: float) -> Failure:
    """Return the failure of a lookup, such as the list of models, that took longer than anybody waits for it."""
    message = f"{place.provider} did not answer within {seconds:g} s at {place.url}"
    return Failure(ProviderError("timeout", message), Outcome(), "try it again, or check the base_url")


def silent(place: Place, seconds: float, *, sent: bool, text: bool) -> Failure:
    """Return the failure of a server that says nothing for longer than the limit."""
    name = "read_timeout_s" if text else "first_token_timeout_s"
    if not sent:
        message = f"{place.provider} did not take the request within {seconds:g} s at {place.url}"
    elif text:
        message = f"{place.provider} fell silent for {seconds:g} s in the middle of the answer; the input may be billed"
    else:
        message = f"{place.provider} said nothing for {seconds:g} s; the input may be billed"
    error = ProviderError("timeout", message, request_sent=sent)
    return Failure(error, Outcome(transient=not sent), f"run it again, or raise network.{name}")
