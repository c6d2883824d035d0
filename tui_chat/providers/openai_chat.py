"""Chat completions, the dialect that nearly everybody speaks, as servers really send it.

Reference: https://platform.openai.com/docs/api-reference/chat-streaming (read 2026-11). What the reference does not say
was learnt from recorded streams of some forty providers: choices that are empty, missing or interleaved; usage in any
chunk, repeated, or in `x_groq`; reasoning under three names; contents that are lists; errors inside a 200; ends without
`[DONE]`. So nothing is taken for granted: what has the wrong type is ignored, what cannot be parsed is counted.

Reasoning is a part of `completion_tokens`, says the reference. At xAI it comes on top (the total tells), and at
Vercel's gateway for Gemini too (it is more than the whole): both confirmed by what those recordings were billed.
"""

from tui_chat.core.events import (
    BilledCost,
    FinishReason,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    UsageUpdate,
)
from tui_chat.core.message import Message, Part, TextPart
from tui_chat.core.model import ListedModel
from tui_chat.core.record import record
from tui_chat.core.request import Request
from tui_chat.core.usage import Usage
from tui_chat.providers.asking import (
    PREFILL,
    data_url,
    file_text,
    going_on,
    headers_for,
    is_pdf,
    is_picture,
    names_prefill,
    posted,
    refused_option,
)
from tui_chat.providers.billing import billed
from tui_chat.providers.decoding import (
    AnswerDecoder,
    Object,
    add_call,
    add_reasoning,
    add_text,
    count,
    first,
    inner,
    objects,
)
from tui_chat.providers.failures import ErrorWords, read_error
from tui_chat.providers.framing import SSEFramer
from tui_chat.providers.model_lists import openai_models
from tui_chat.providers.wire import WireRequest

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
_RESERVED = ("model", "messages", "stream", "stream_options")
_OPTIONS = ("temperature", "top_p", "reasoning_effort", "stop")


@record
class OpenAIChat:
    """`POST /chat/completions`, streamed.

    Options: `stream_options`, `max_tokens` (which then goes as `max_completion_tokens`), the sampling parameters, and
    the part of a cut answer as the last message.
    """

    def build(
        self, request: Request, api_key: str | None, without: frozenset[str] = frozenset(), *, prefill: bool = False
    ) -> WireRequest:
        messages = going_on(request, prefill=prefill and PREFILL not in without)
        body: Object = {
            "model": request.model.id,
            "messages": [{"role": m.role, "content": _content(m)} for m in messages],
            "stream": True,
        }
        asked = request.params.get("stream_options")
        if "stream_options" not in without:
            body["stream_options"] = {**(asked if isinstance(asked, dict) else {}), "include_usage": True}
        for name, value in request.params.items():
            if name in _RESERVED or (name in _OPTIONS and name in without):
                continue
            body["max_completion_tokens" if name == "max_tokens" and name in without else name] = value
        return posted("/chat/completions", bearer(api_key), body)

    def refused(self, words: str, request: Request, without: frozenset[str]) -> str | None:
        if "stream_options" not in without and ("stream_options" in words or "include_usage" in words):
            return "stream_options"
        if request.partial and PREFILL not in without and names_prefill(words):
            return PREFILL
        return refused_option(words, request, without, {name: (name,) for name in (*_OPTIONS, "max_tokens")})

    def framer(self) -> SSEFramer:
        return SSEFramer()

    def decoder(self) -> "ChatDecoder":
        return ChatDecoder()

    def list_request(self, api_key: str | None) -> WireRequest:
        return WireRequest("/models", bearer(api_key, "application/json"))

    def listed(self, answer: object) -> list[ListedModel]:
        return openai_models(answer)


def bearer(api_key: str | None, accept: str = "text/event-stream") -> dict[str, str]:
    """Return the headers of OpenAI's dialects, and of those who took over their key."""
    return headers_for(accept, "Authorization", api_key and f"Bearer {api_key}")


def _content(message: Message) -> object:
    """Return plain text where it is enough: many servers understand nothing else."""
    if all(isinstance(part, TextPart) for part in message.parts):
        return message.text
    return [_part(part) for part in message.parts]


def _part(part: Part) -> Object:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if is_picture(part):
        return {"type": "image_url", "image_url": {"url": data_url(part)}}
    if is_pdf(part):
        return {"type": "file", "file": {"filename": part.name, "file_data": data_url(part)}}
    return {"type": "text", "text": file_text(part)}


class ChatDecoder(AnswerDecoder):
    """One answer. Fed with records, it returns events; see `wire.Decoder`."""

    __slots__ = ("_index", "_plain_reasoning", "_text")

    def __init__(self) -> None:
        super().__init__()
        self._index: int | None = None
        """The choice that is read; others are ignored."""
        self._text = False
        self._plain_reasoning = False
        """Reasoning came as plain text, so its details repeat it."""

    def _take(self, value: Object, events: list[StreamEvent]) -> None:
        self._name(value.get("id"), value.get("model"), events)
        for choice in self._ours(objects(value.get("choices"))):
            self._choice(choice, events)
        groq = inner(value, "x_groq")
        self._usage(groq.get("usage"), events)
        self._usage(value.get("usage"), events)
        if read_error(value) is None and (error := read_error({"error": groq.get("error")})) is not None:
            self._fail(error)

    def _ours(self, choices: list[Object]) -> list[Object]:
        """Return the choices that belong to our answer: number 0, or whatever the server begins to count with."""
        found = [(_index(choice), choice) for choice in choices]
        indices = [index for index, _ in found]
        if indices and (self._index is None or (0 in indices and not self._text)):
            self._index = 0 if 0 in indices else indices[0]
        return [choice for index, choice in found if index == self._index]

    def _choice(self, choice: Object, events: list[StreamEvent]) -> None:
        before = len(events)
        delta = choice.get("delta")
        if isinstance(delta, dict):
            self._delta(delta, events)
        elif not self._text and isinstance(message := choice.get("message"), dict):
            self._delta(message, events)
        elif "message" not in choice:
            add_text(choice.get("text"), events)
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

    def _delta(self, delta: Object, events: list[StreamEvent]) -> None:
        self._reasoning(delta, events)
        content = delta.get("content")
        if isinstance(content, list):
            for part in content:
                _add_part(part, events)
        else:
            add_text(content, events)
        add_text(delta.get("refusal"), events)
        for call in objects(delta.get("tool_calls")):
            _add_function(inner(call, "function"), events)
        _add_function(inner(delta, "function_call"), events)

    def _reasoning(self, delta: Object, events: list[StreamEvent]) -> None:
        """Take the first of the three names that has text: those that send two repeat themselves."""
        for name in ("reasoning_content", "reasoning"):
            text = delta.get(name)
            if isinstance(text, str) and text:
                self._plain_reasoning = True
                add_reasoning(text, events)
                return
        details = delta.get("reasoning_details")
        if not self._plain_reasoning:
            for detail in objects(details):
                add_reasoning(detail.get("text") or detail.get("summary"), events)

    def _usage(self, usage: object, events: list[StreamEvent]) -> None:
        if not isinstance(usage, dict):
            return
        read = usage_of(usage)
        if read != Usage():
            events.append(UsageUpdate(read))
        amount = billed(usage)
        if amount is not None:
            events.append(BilledCost(amount))


def _index(choice: Object) -> int:
    index = choice.get("index")
    return index if isinstance(index, int) else 0


def _add_part(part: object, events: list[StreamEvent]) -> None:
    """Add a typed part of a content (Mistral): text, or thinking with text parts of its own."""
    if isinstance(part, str):
        add_text(part, events)
        return
    if not isinstance(part, dict):
        return
    if part.get("type") != "thinking":
        add_text(part.get("text") or part.get("refusal"), events)
        return
    thoughts = part.get("thinking")
    for thought in thoughts if isinstance(thoughts, list) else [thoughts]:
        add_reasoning(thought.get("text") if isinstance(thought, dict) else thought, events)


def _add_function(function: Object, events: list[StreamEvent]) -> None:
    add_call(function.get("name"), function.get("arguments"), events)


def usage_of(usage: Object) -> Usage:
    """Return a usage object in our terms; empty when all it says is zero, which means that nobody counted."""
    sent, answered = count(usage, "prompt_tokens"), count(usage, "completion_tokens")
    if not sent and not answered:
        return Usage()
    reasoning = count(inner(usage, "completion_tokens_details"), "reasoning_tokens")
    if reasoning is None:
        reasoning = count(usage, "reasoning_tokens")
    if reasoning and sent is not None and answered is not None:
        on_top = count(usage, "total_tokens") == sent + answered + reasoning
        if on_top or reasoning > answered:
            answered += reasoning
    details = inner(usage, "prompt_tokens_details")
    cached = first(
        count(details, "cached_tokens"),
        *(count(usage, name) for name in ("prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens")),
    )
    written = first(count(details, "cache_write_tokens"), count(usage, "cache_creation_input_tokens"))
    return Usage(sent, answered, cached, written, reasoning)
