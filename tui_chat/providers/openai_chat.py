"""Chat completions, the dialect that nearly everybody speaks, as servers really send it.

Reference: https://platform.openai.com/docs/api-reference/chat-streaming (read 2026-11). What the reference does not say
was learnt from recorded streams of some forty providers: choices that are empty, missing or interleaved; usage in any
chunk, repeated, or in `x_groq`; reasoning under three names; contents that are lists; errors inside a 200; ends without
`[DONE]`. So nothing is taken for granted: what has the wrong type is ignored, what cannot be parsed is counted.

Costs: `usage.cost` counts as billed when it is positive. Zero counts only from OpenRouter, known by its other fields,
where free models are really free; LiteLLM says 0 for every model that its price table does not know. With one's own key
at OpenRouter (`is_byok`) the upstream's bill is added to its fee, or nothing is said when that bill is not known. xAI
bills in `cost_in_usd_ticks`, 10^10 to the dollar.

Reasoning is a part of `completion_tokens`, says the reference. At xAI it comes on top (the total tells), and at
Vercel's gateway for Gemini too (it is more than the whole): both confirmed by what those recordings were billed.
"""

import base64
import json
import re
from dataclasses import replace
from decimal import Decimal

from tui_chat.core.errors import ProviderError
from tui_chat.core.events import (
    BilledCost,
    Finished,
    FinishReason,
    ReasoningDelta,
    ResponseStarted,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    Unreadable,
    UsageUpdate,
)
from tui_chat.core.message import BlobPart, Message, Part, TextPart
from tui_chat.core.record import record
from tui_chat.core.request import Request
from tui_chat.core.usage import Usage
from tui_chat.providers.failures import ErrorWords, ReportedError, is_html, read_error
from tui_chat.providers.framing import SSEFramer
from tui_chat.providers.wire import Record, WireRequest

_FINISH: dict[str, FinishReason] = {
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_length": "length",
    "content_filter": "content_filter",
    "safety": "content_filter",
    "recitation": "content_filter",
    "sensitive": "content_filter",
    "refusal": "content_filter",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "pause": "pause",
    "pause_turn": "pause",
}
"""Everything else is a `stop`, except for these, which say that the server gave up:"""
_GAVE_UP = {
    "error": "an error",
    "abort": "aborted",
    "insufficient_system_resource": "overloaded",
    "network_error": "a network error",
}
_JSON = json.JSONDecoder(parse_float=Decimal)
_TOKENS = TextDelta | ReasoningDelta | ToolCallDelta
_RESERVED = ("model", "messages", "stream", "stream_options")
_TICKS = Decimal(10) ** 10
_MOST_USD = Decimal(100_000)


@record
class OpenAIChat:
    """`POST /chat/completions`, streamed."""

    usage_option: bool = True
    """Ask for usage; a few servers refuse the option."""

    def build(self, request: Request, api_key: str | None) -> WireRequest:
        body: dict[str, object] = {
            "model": request.model.id,
            "messages": [{"role": m.role, "content": _content(m)} for m in request.messages],
            "stream": True,
        }
        asked = request.params.get("stream_options")
        options = dict(asked) if isinstance(asked, dict) else {}
        if self.usage_option:
            options["include_usage"] = True
            body["stream_options"] = options
        body |= {name: value for name, value in request.params.items() if name not in _RESERVED}
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
        if api_key:
            headers["Authorization"] = f"Bearer {api_key}"
        return WireRequest("/chat/completions", headers, json.dumps(body, default=str).encode("ascii"))

    def framer(self) -> SSEFramer:
        return SSEFramer()

    def decoder(self) -> "ChatDecoder":
        return ChatDecoder()

    def relaxed(self, words: str) -> "OpenAIChat | None":
        if self.usage_option and ("stream_options" in words or "include_usage" in words):
            return replace(self, usage_option=False)
        return None


def _content(message: Message) -> object:
    """Return plain text where it is enough: many servers understand nothing else."""
    if all(isinstance(part, TextPart) for part in message.parts):
        return message.text
    return [_part(part) for part in message.parts]


def _part(part: Part) -> dict[str, object]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if part.media_type.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": _data_url(part)}}
    if part.media_type == "application/pdf":
        return {"type": "file", "file": {"filename": part.name, "file_data": _data_url(part)}}
    try:
        text = part.data.decode("utf-8-sig")
    except UnicodeDecodeError:
        message = f"{part.name} cannot be sent: it is neither text nor a picture nor a PDF; leave it out"
        raise ProviderError("invalid_request", message) from None
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    return {"type": "text", "text": f"{part.name}:\n{fence}\n{text.rstrip(chr(10))}\n{fence}"}


def _data_url(part: BlobPart) -> str:
    return f"data:{part.media_type};base64,{base64.b64encode(part.data).decode('ascii')}"


class ChatDecoder:
    """One answer. Fed with records, it returns events; see `wire.Decoder`."""

    __slots__ = (
        "_error",
        "_html",
        "_index",
        "_plain_reasoning",
        "_records",
        "_started",
        "_text",
        "_tokens",
        "_unreadable",
        "done",
        "finish_reason",
    )

    def __init__(self) -> None:
        self.finish_reason: FinishReason | None = None
        self.done = False
        self._error: ErrorWords | None = None
        self._records = 0
        self._unreadable = 0
        self._html = False
        self._started: ResponseStarted | None = None
        self._index: int | None = None
        """The choice that is read; others are ignored."""
        self._text = False
        self._tokens = False
        """Something was generated, so the request costs."""
        self._plain_reasoning = False
        """Reasoning came as plain text, so its details repeat it."""

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
        if isinstance(value, dict):
            events = self._chunk(value)
            self._tokens = self._tokens or any(isinstance(event, _TOKENS) for event in events)
            return events
        error = read_error(value)
        if error is None:
            return self._cannot_read(data)
        self._fail(error)
        return []

    def close(self) -> list[StreamEvent]:
        if self._error is not None:
            raise ReportedError(self._error, request_sent=self._tokens)
        if self._records == self._unreadable and self.finish_reason is None:
            raise self._nothing()
        if self.finish_reason is None and not self.done:
            raise ProviderError("stream", "the answer broke off before its end; run it again", request_sent=True)
        return [Finished(self.finish_reason or "stop")]

    def _nothing(self) -> ProviderError:
        if self._html:
            what = "the server sent a web page instead of an answer; check the base_url, it usually ends in /v1"
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
        if self._error is None:
            self._error = words
        self.done = True

    def _chunk(self, chunk: dict[str, object]) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        named = ResponseStarted(_name(chunk.get("id")), _name(chunk.get("model")))
        if named != self._started and (named.request_id or named.model):
            self._started = named
            events.append(named)
        choices = chunk.get("choices")
        for choice in self._ours(choices) if isinstance(choices, list) else ():
            self._choice(choice, events)
        groq = chunk.get("x_groq")
        if isinstance(groq, dict):
            self._usage(groq.get("usage"), events)
        self._usage(chunk.get("usage"), events)
        error = read_error(chunk)
        if error is None and isinstance(groq, dict):
            error = read_error({"error": groq.get("error")})
        if error is not None:
            self._fail(error)
        return events

    def _ours(self, choices: list[object]) -> list[dict[str, object]]:
        """Return the choices that belong to our answer: number 0, or whatever the server begins to count with."""
        found = [(_index(choice), choice) for choice in choices if isinstance(choice, dict)]
        indices = [index for index, _ in found]
        if indices and (self._index is None or (0 in indices and not self._text)):
            self._index = 0 if 0 in indices else indices[0]
        return [choice for index, choice in found if index == self._index]

    def _choice(self, choice: dict[str, object], events: list[StreamEvent]) -> None:
        before = len(events)
        delta = choice.get("delta")
        if isinstance(delta, dict):
            self._delta(delta, events)
        elif not self._text and isinstance(message := choice.get("message"), dict):
            self._delta(message, events)
        elif "message" not in choice:
            _add_text(choice.get("text"), events)
        self._text = self._text or any(isinstance(e, TextDelta | ToolCallDelta) for e in events[before:])
        self._usage(choice.get("usage"), events)
        reason = choice.get("finish_reason")
        if not isinstance(reason, str) or not reason:
            return
        reason = reason.lower()
        if reason in _GAVE_UP:
            error = read_error(choice)
            self._fail(error or ErrorWords(f"it gave up ({_GAVE_UP[reason]})", _GAVE_UP[reason]))
            return
        self.finish_reason = _FINISH.get(reason, "stop")

    def _delta(self, delta: dict[str, object], events: list[StreamEvent]) -> None:
        self._reasoning(delta, events)
        content = delta.get("content")
        if isinstance(content, list):
            for part in content:
                _add_part(part, events)
        else:
            _add_text(content, events)
        _add_text(delta.get("refusal"), events)
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict):
                _add_call(call.get("function"), events)
        _add_call(delta.get("function_call"), events)

    def _reasoning(self, delta: dict[str, object], events: list[StreamEvent]) -> None:
        """Take the first of the three names that has text: those that send two repeat themselves."""
        for name in ("reasoning_content", "reasoning"):
            text = delta.get(name)
            if isinstance(text, str) and text:
                self._plain_reasoning = True
                events.append(ReasoningDelta(text))
                return
        details = delta.get("reasoning_details")
        if self._plain_reasoning or not isinstance(details, list):
            return
        for detail in details:
            if isinstance(detail, dict):
                text = detail.get("text") or detail.get("summary")
                if isinstance(text, str) and text:
                    events.append(ReasoningDelta(text))

    def _usage(self, usage: object, events: list[StreamEvent]) -> None:
        if not isinstance(usage, dict):
            return
        read = usage_of(usage)
        if read != Usage():
            events.append(UsageUpdate(read))
        billed = _billed(usage)
        if billed is not None:
            events.append(BilledCost(billed))


def _index(choice: dict[str, object]) -> int:
    index = choice.get("index")
    return index if isinstance(index, int) else 0


def _name(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _add_text(value: object, events: list[StreamEvent]) -> None:
    if isinstance(value, str) and value:
        events.append(TextDelta(value))


def _add_part(part: object, events: list[StreamEvent]) -> None:
    """Add a typed part of a content (Mistral): text, or thinking with text parts of its own."""
    if isinstance(part, str):
        _add_text(part, events)
        return
    if not isinstance(part, dict):
        return
    if part.get("type") != "thinking":
        _add_text(part.get("text") or part.get("refusal"), events)
        return
    thoughts = part.get("thinking")
    for thought in thoughts if isinstance(thoughts, list) else [thoughts]:
        text = thought.get("text") if isinstance(thought, dict) else thought
        if isinstance(text, str) and text:
            events.append(ReasoningDelta(text))


def _add_call(function: object, events: list[StreamEvent]) -> None:
    if not isinstance(function, dict):
        return
    name, arguments = function.get("name"), function.get("arguments")
    if isinstance(arguments, dict | list):
        arguments = json.dumps(arguments, ensure_ascii=False, default=str)
    call = ToolCallDelta(name if isinstance(name, str) else "", arguments if isinstance(arguments, str) else "")
    if call.name or call.arguments:
        events.append(call)


def usage_of(usage: dict[str, object]) -> Usage:
    """Return a usage object in our terms; empty when all it says is zero, which means that nobody counted."""
    sent, answered = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    if not sent and not answered:
        return Usage()
    reasoning = _count(_inner(usage, "completion_tokens_details"), "reasoning_tokens")
    if reasoning is None:
        reasoning = _count(usage, "reasoning_tokens")
    if reasoning and sent is not None and answered is not None:
        on_top = _count(usage, "total_tokens") == sent + answered + reasoning
        if on_top or reasoning > answered:
            answered += reasoning
    details = _inner(usage, "prompt_tokens_details")
    cached = (
        _count(details, "cached_tokens"),
        *(_count(usage, name) for name in ("prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens")),
    )
    written = (_count(details, "cache_write_tokens"), _count(usage, "cache_creation_input_tokens"))
    return Usage(sent, answered, _first(cached), _first(written), reasoning)


def _first(values: tuple[int | None, ...]) -> int | None:
    return next((value for value in values if value is not None), None)


def _inner(usage: dict[str, object], name: str) -> dict[str, object]:
    value = usage.get(name)
    return value if isinstance(value, dict) else {}


def _count(usage: dict[str, object], name: str) -> int | None:
    value = usage.get(name)
    if isinstance(value, Decimal) and value.is_finite() and abs(value) < 10**15 and value == value.to_integral_value():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**15 else None


def _billed(usage: dict[str, object]) -> Decimal | None:
    """Return what the provider says it billed, in USD; see the module's docstring."""
    ticks = _count(usage, "cost_in_usd_ticks")
    if ticks:
        return _usd(Decimal(ticks) / _TICKS)
    cost = usage.get("cost")
    if isinstance(cost, dict):
        cost = cost.get("usd", cost.get("total_cost"))
    amount = _usd(cost)
    if amount is None:
        return None
    details = _inner(usage, "cost_details")
    if usage.get("is_byok") is True:
        upstream = _usd(details.get("upstream_inference_cost"))
        return amount + upstream if upstream is not None else None
    return amount if amount > 0 or "is_byok" in usage else None


def _usd(value: object) -> Decimal | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = Decimal(value)
    return value if isinstance(value, Decimal) and value.is_finite() and 0 <= value < _MOST_USD else None
