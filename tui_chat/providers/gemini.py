"""Gemini's `streamGenerateContent`, as Google's two clouds and those who imitate them send it.

Reference: https://ai.google.dev/api/generate-content and https://ai.google.dev/gemini-api/docs/thinking (read 2026-11).
What goes beyond it was learnt from recorded streams and from servers on loopback: chunks without candidates, candidates
without content, contents without parts; a `STOP` in an early chunk; usage that is all zero or names nothing but the
kind of traffic. There is no end marker: an answer that said why it stopped is whole when the body ends, unless text
followed.

Of the parts of an answer, `text` counts, and `thought` says that it is reasoning. Code that Google runs for the model
(`executableCode`, `codeExecutionResult`) is no part of the answer's text.

Thoughts are billed as output but stand outside of `candidatesTokenCount`, except where the total says that they are in
it; what tools put into the prompt (`toolUsePromptTokenCount`) is billed as input.

Thinking is asked for as a level (Gemini 3 and later, none of which can turn it off) or as a budget (2.5); what came
before, and Gemma, knows neither.
"""

import re
from dataclasses import replace
from urllib.parse import quote

from tui_chat.core.events import Adjusted, FinishReason, StreamEvent, UsageUpdate
from tui_chat.core.message import Message, Part, TextPart
from tui_chat.core.model import ListedModel
from tui_chat.core.record import record
from tui_chat.core.request import Request
from tui_chat.core.usage import Usage
from tui_chat.providers.asking import (
    as_list,
    base64_of,
    file_text,
    going_on,
    headers_for,
    in_turns,
    is_pdf,
    posted,
    refused_option,
    system_text,
    without_blanks,
)
from tui_chat.providers.decoding import (
    AnswerDecoder,
    Object,
    add_call,
    add_reasoning,
    add_text,
    count,
    inner,
    objects,
    word,
)
from tui_chat.providers.framing import SSEFramer
from tui_chat.providers.model_lists import gemini_models
from tui_chat.providers.wire import WireRequest

_FINISH: dict[str, FinishReason | None] = {
    "FINISH_REASON_UNSPECIFIED": None,
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MALFORMED_FUNCTION_CALL": "tool_calls",
    "UNEXPECTED_TOOL_CALL": "tool_calls",
    "TOO_MANY_TOOL_CALLS": "tool_calls",
}
"""Everything else is a `stop`."""
_RESERVED = frozenset(("model", "messages", "contents", "stream", "systemInstruction", "system_instruction"))
_AT_TOP = frozenset(
    ("safetySettings", "safety_settings", "tools", "toolConfig", "tool_config", "cachedContent", "cached_content")
)
_OWN_NAMES = {"temperature": "temperature", "top_p": "topP", "max_tokens": "maxOutputTokens", "stop": "stopSequences"}
_NAMES = {
    "temperature": ("temperature",),
    "top_p": ("topP", "top_p"),
    "stop": ("stopSequences", "stop_sequences"),
    "reasoning_effort": (
        *("thinking", "thinkingConfig", "thinkingLevel", "thinkingBudget", "includeThoughts"),
        *("thinking_config", "thinking_level", "thinking_budget", "include_thoughts"),
    ),
}
"""What a refusal may call each option."""
_SYSTEM = "system_instruction"
_NO_SYSTEM = re.compile(r"(developer|system)[ _]?instruction.{0,40}not (enabled|supported)", re.IGNORECASE)
_GENERATION = re.compile(r"gemini-(\d+)(?:\.(\d+))?", re.IGNORECASE)
_BUDGETS = {"none": 0, "minimal": 512, "low": 2048, "medium": 8192, "high": 16384}
_LEAST_OF_PRO = 128
_LEVELS = {"none": "low", "minimal": "low", "low": "low", "medium": "medium"}


@record
class Gemini:
    """`POST /models/…:streamGenerateContent?alt=sse`.

    Options: `temperature`, `top_p`, `stop`, `reasoning_effort`, and the system prompt in a field of its own, which
    Gemma refuses: then it goes before the first message. A cut answer is never begun for the model.
    """

    def build(
        self,
        request: Request,
        api_key: str | None,
        without: frozenset[str] = frozenset(),
        *,
        prefill: bool = False,  # noqa: ARG002  no model goes on with what was begun for it
    ) -> WireRequest:
        messages = going_on(request, prefill=False)
        system = system_text(messages)
        body: Object = {}
        if system and _SYSTEM in without:
            messages = (Message.of("user", system), *messages)
        elif system:
            body["systemInstruction"] = {"parts": [{"text": system}]}
        body["contents"] = _alternating(messages)
        config: Object = {}
        left_out: tuple[str, ...] = ()
        for name, value in request.params.items():
            if name in _RESERVED or (name in _NAMES and name in without):
                continue
            if name == "reasoning_effort":
                thinking = _thinking(request.model.id, value)
                if thinking:
                    config.setdefault("thinkingConfig", thinking)
                elif value != "none":
                    left_out = (f"reasoning_effort is not sent: {request.model.id} knows no such thing",)
            elif name == "stop":
                config["stopSequences"] = as_list(value)
            else:
                (body if name in _AT_TOP else config)[_OWN_NAMES.get(name, name)] = value
        if config:
            body["generationConfig"] = config
        path = f"/{_resource(request.model.id)}:streamGenerateContent?alt=sse"
        return replace(posted(path, _headers(api_key), body), left_out=left_out)

    def refused(self, words: str, request: Request, without: frozenset[str]) -> str | None:
        if _SYSTEM not in without and any(m.role == "system" for m in request.messages) and _NO_SYSTEM.search(words):
            return _SYSTEM
        return refused_option(words, request, without, _NAMES)

    def framer(self) -> SSEFramer:
        return SSEFramer()

    def decoder(self) -> "GeminiDecoder":
        return GeminiDecoder()

    def list_request(self, api_key: str | None) -> WireRequest:
        return WireRequest("/models?pageSize=1000", _headers(api_key, "application/json"))

    def listed(self, answer: object) -> list[ListedModel]:
        return gemini_models(answer)


def _headers(api_key: str | None, accept: str = "text/event-stream") -> dict[str, str]:
    return headers_for(accept, "x-goog-api-key", api_key)  # never in the address, which ends up in logs


def _resource(model_id: str) -> str:
    """Return a model's path; one that names its collection keeps it."""
    collection, slash, name = model_id.partition("/")
    if not slash or collection not in ("models", "tunedModels"):
        collection, name = "models", model_id
    return f"{collection}/{quote(name, safe='')}"


def _thinking(model_id: str, effort: object) -> Object:
    """Return how a model is asked to think; empty for those that know no such thing."""
    if not isinstance(effort, str):
        return {}
    found = _GENERATION.search(model_id)
    generation = (int(found[1]), int(found[2] or 0)) if found else (99, 0)
    if generation < (2, 5) or "gemma" in model_id.lower():
        return {}
    if generation >= (3, 0):
        return {"thinkingLevel": _LEVELS.get(effort, "high"), "includeThoughts": True}
    budget = _BUDGETS.get(effort, _BUDGETS["high"])
    if "pro" in model_id.lower():
        budget = max(budget, _LEAST_OF_PRO)
    return {"thinkingBudget": budget, "includeThoughts": True} if budget else {"thinkingBudget": 0}


def _alternating(messages: tuple[Message, ...]) -> list[Object]:
    return [
        {"role": "model" if role == "assistant" else role, "parts": parts} for role, parts in in_turns(messages, _parts)
    ]


def _parts(message: Message) -> list[Object]:
    """Return what a message says, without its blank texts."""
    return [_part(part) for part in without_blanks(message)]


def _part(part: Part) -> Object:
    if isinstance(part, TextPart):
        return {"text": part.text}
    if is_pdf(part) or part.media_type.partition("/")[0] in ("image", "audio", "video"):
        return {"inlineData": {"mimeType": part.media_type, "data": base64_of(part)}}
    return {"text": file_text(part)}


class GeminiDecoder(AnswerDecoder):
    """One answer. Fed with records, it returns events; see `wire.Decoder`."""

    __slots__ = ("_counts", "_said")

    base_url_hint = "check the base_url, it usually ends in /v1beta"

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[str, int] = {}
        self._said: FinishReason | None = None
        """The last reason to stop, even if text followed it."""

    def _take(self, value: Object, events: list[StreamEvent]) -> None:
        self._name(value.get("responseId"), value.get("modelVersion"), events)
        for candidate in objects(value.get("candidates")):
            if candidate.get("index") in (None, 0):
                self._candidate(candidate, events)
        feedback = inner(value, "promptFeedback")
        blocked = word(feedback.get("blockReason"))
        if blocked is not None and not blocked.endswith("UNSPECIFIED"):
            self._stop("content_filter", feedback.get("blockReasonMessage"), events)
        self._usage(inner(value, "usageMetadata"), events)

    def _candidate(self, candidate: Object, events: list[StreamEvent]) -> None:
        before = len(events)
        for part in objects(inner(candidate, "content").get("parts")):
            _add_part(part, events)
        if len(events) > before:  # so an earlier STOP was not the end
            self.finish_reason = None
        reason = (word(candidate.get("finishReason")) or "FINISH_REASON_UNSPECIFIED").upper()
        finished = _FINISH.get(reason, "stop")
        if finished is not None:
            why = candidate.get("finishMessage") if reason not in ("STOP", "MAX_TOKENS") else None
            self._stop(finished, why, events)

    def _stop(self, reason: FinishReason, why: object, events: list[StreamEvent]) -> None:
        self.finish_reason = self._said = reason
        if message := word(why):
            events.append(Adjusted(message))

    def _usage(self, usage: Object, events: list[StreamEvent]) -> None:
        """Take the counts of one chunk; one that is missing or zero leaves an earlier one standing."""
        found = {name: number for name in _COUNTED if (number := count(usage, name)) is not None}
        self._counts |= {name: number for name, number in found.items() if number or name not in self._counts}
        read = usage_of(self._counts)
        if found and read != Usage():
            events.append(UsageUpdate(read))

    def close(self) -> list[StreamEvent]:
        """Judge the end: a body that ended properly is whole once it said why, even if text followed."""
        self.finish_reason = self.finish_reason or self._said
        return super().close()


_COUNTED = (
    "promptTokenCount",
    "toolUsePromptTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
    "cachedContentTokenCount",
    "totalTokenCount",
)


def usage_of(counts: dict[str, int]) -> Usage:
    """Return the counts in our terms; empty when all they say is zero, which means that nobody counted."""
    sent, tools, answered, thoughts, cached, total = (counts.get(name) for name in _COUNTED)
    if not any((sent, tools, answered, thoughts)):
        return Usage()
    if sent is not None:
        sent += tools or 0
    if thoughts:
        within = answered is not None and thoughts <= answered and total == (sent or 0) + answered
        answered = answered if within else (answered or 0) + thoughts
    return Usage(sent, answered, cached, None, thoughts)


def _add_part(part: Object, events: list[StreamEvent]) -> None:
    """Add text, reasoning or a call; all other parts carry nothing that can be shown."""
    if part.get("thought") is True:
        add_reasoning(part.get("text"), events)
    else:
        add_text(part.get("text"), events)
    call = inner(part, "functionCall")
    add_call(call.get("name"), call.get("args") or call.get("partialArgs"), events)
