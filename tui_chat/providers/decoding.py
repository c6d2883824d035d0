"""What the decoders of all dialects have in common: one record in, events out, and a judgement at the end.

Servers differ in what they send; they are alike in how they fail. So a dialect says only what its records mean
(`_take`), and this says what an unreadable record, a reported error, an end marker and a missing end come to. The
helpers below read foreign JSON without trusting a single type in it.
"""

import json
from decimal import Decimal

from tui_chat.core.errors import ProviderError
from tui_chat.core.events import (
    Finished,
    FinishReason,
    ReasoningDelta,
    ResponseStarted,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    Unreadable,
)
from tui_chat.providers.failures import ErrorWords, ReportedError, is_html, read_error
from tui_chat.providers.wire import Record

_JSON = json.JSONDecoder(parse_float=Decimal)
_TOKENS = TextDelta | ReasoningDelta | ToolCallDelta
_TEXTS = TextDelta | ReasoningDelta
_MOST = 10**15
_LONGEST_NAME = 400

Object = dict[str, object]


class AnswerDecoder:
    """One answer, see `wire.Decoder`; a dialect gives it `_take`, and `base_url_hint` where its own is not /v1."""

    __slots__ = (
        "_error",
        "_half",
        "_has_call",
        "_has_text",
        "_html",
        "_meant",
        "_records",
        "_started",
        "_tokens",
        "_unreadable",
        "done",
        "finish_reason",
    )

    tells_tools = True
    """An answer that only calls a tool ends as `tool_calls`, whatever the dialect calls it."""
    base_url_hint = "check the base_url, it usually ends in /v1"

    def __init__(self) -> None:
        self.finish_reason: FinishReason | None = None
        self.done = False
        self._error: ErrorWords | None = None
        self._records = 0
        self._unreadable = 0
        self._html = False
        self._started: ResponseStarted | None = None
        self._tokens = False
        """Something was generated, so the request costs."""
        self._has_call = self._has_text = self._meant = False
        """A tool was called, text came, anything came that means something."""
        self._half: tuple[type[TextDelta | ReasoningDelta], str] | None = None
        """The first half of a letter whose other half has not come yet, and of what it is a part."""

    def _take(self, value: Object, events: list[StreamEvent]) -> None:
        """Add the events of one JSON object; an error in it is found by the caller too, unless it is nested."""
        raise NotImplementedError

    def feed(self, record: Record) -> list[StreamEvent]:
        if self.done:
            return []
        data = record.data
        if data.strip() == "[DONE]":
            self.done = True
            return []
        if not data.strip():
            return []
        self._records += 1
        try:
            value = _JSON.decode(data)
        except (ValueError, ArithmeticError, RecursionError):
            if record.event == "error":
                self._fail(ErrorWords(data))
                return []
            return self._cannot_read(data)
        if record.event == "error" and not read_error(value):
            value = {"error": value or "an error"}
        events: list[StreamEvent] = []
        if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
            values = value  # a stream that came as one document
        elif isinstance(value, dict):
            values = [value]
        else:
            error = read_error(value)
            if error is None:
                return self._cannot_read(data)
            self._fail(error)
            return []
        for each in values:
            self._take(each, events)
            if (error := read_error(each)) is not None:
                self._fail(error)
            if self.done:
                break
        for event in events:
            self._tokens = self._tokens or isinstance(event, _TOKENS)
            self._has_call = self._has_call or isinstance(event, ToolCallDelta)
            self._has_text = self._has_text or isinstance(event, TextDelta)
            self._meant = self._meant or not isinstance(event, Unreadable)
        return self._with_whole_letters(events)

    def _with_whole_letters(self, events: list[StreamEvent]) -> list[StreamEvent]:
        """Hold the first half of a letter that was cut in two, as some servers cut emoji, until the other comes."""
        if self._half is None and not any(isinstance(event, _TEXTS) and _is_half(event.text[-1:]) for event in events):
            return events
        whole: list[StreamEvent] = []
        for event in events:
            if not isinstance(event, _TEXTS):
                whole.append(event)
                continue
            text = event.text
            if self._half is not None:
                kind, half = self._half
                self._half = None
                if kind is type(event):
                    text = half + text
                else:
                    whole.append(kind(half))
            if _is_half(text[-1:]):
                self._half = type(event), text[-1]
                text = text[:-1]
            if text:
                whole.append(type(event)(_paired(text)))
        return whole

    def close(self) -> list[StreamEvent]:
        if self._error is not None:
            raise ReportedError(self._error, request_sent=self._tokens)
        if self._records == self._unreadable and self.finish_reason is None:
            raise self._nothing()
        if self.finish_reason is None and not self.done and not self._meant:
            what = "what the server sent is no answer; check the provider's kind and base_url"
            raise ProviderError("protocol", what)
        if self.finish_reason is None and not self.done:
            raise ProviderError("stream", "the answer broke off before its end; run it again", request_sent=True)
        if self.tells_tools and self.finish_reason == "stop" and self._has_call and not self._has_text:
            self.finish_reason = "tool_calls"  # some dialects call that an ordinary end
        rest = [] if self._half is None else [self._half[0](self._half[1])]
        return [*rest, Finished(self.finish_reason or "stop")]

    def _nothing(self) -> ProviderError:
        if self._html:
            what = f"the server sent a web page instead of an answer; {self.base_url_hint}"
        elif self._unreadable:
            what = "nothing that the server sent could be read; check the provider's kind and base_url"
        else:
            what = "the server sent an empty answer; the prompt may be too long for it, or the base_url wrong"
        return ProviderError("protocol" if self._unreadable else "stream", what)

    def _cannot_read(self, data: str) -> list[StreamEvent]:
        self._unreadable += 1
        self._html = self._html or is_html(data)
        return [Unreadable(1)]

    def _fail(self, words: ErrorWords) -> None:
        """Keep the first error that the server reports; nothing behind it counts."""
        if self._error is None:
            self._error = words
        self.done = True

    def _name(self, request_id: object, model: object, events: list[StreamEvent]) -> None:
        """Say what the server calls this answer and its model, once."""
        named = ResponseStarted(*(each and each[:_LONGEST_NAME] for each in (word(request_id), word(model))))
        if named != self._started and (named.request_id or named.model):
            self._started = named
            events.append(named)


def _is_half(letter: str) -> bool:
    """Say whether a letter is the first half of one."""
    return "\ud800" <= letter <= "\udbff"


def _paired(text: str) -> str:
    """Return a text with halves of letters joined that belong together; single ones stay as they are."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


# foreign JSON


def word(value: object) -> str | None:
    """Return a text that is not empty."""
    return value if isinstance(value, str) and value else None


def inner(value: Object, name: str) -> Object:
    """Return the object under a name; empty when there is none."""
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def objects(value: object) -> list[Object]:
    """Return the objects in a list, and nothing else of it."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def count(value: Object, name: str) -> int | None:
    """Return a number of tokens; `None` for what cannot be one."""
    found = value.get(name)
    if isinstance(found, Decimal) and found.is_finite() and abs(found) < _MOST and found == found.to_integral_value():
        found = int(found)
    return found if isinstance(found, int) and not isinstance(found, bool) and 0 <= found < _MOST else None


def first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)


def add_text(value: object, events: list[StreamEvent]) -> None:
    if isinstance(value, str) and value:
        events.append(TextDelta(value))


def add_reasoning(value: object, events: list[StreamEvent]) -> None:
    if isinstance(value, str) and value:
        events.append(ReasoningDelta(value))


def add_call(name: object, arguments: object, events: list[StreamEvent]) -> None:
    """Add a tool call, or a piece of one; arguments may be text or JSON."""
    if isinstance(arguments, dict | list):
        arguments = json.dumps(arguments, ensure_ascii=False, default=str)
    call = ToolCallDelta(name if isinstance(name, str) else "", arguments if isinstance(arguments, str) else "")
    if call.name or call.arguments:
        events.append(call)
