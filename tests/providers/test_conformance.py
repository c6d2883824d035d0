"""One script through every registered wire format: the same answer comes out, however its bytes are split.

A new format needs a writer here, which writes the script down as that dialect's servers would; the tests run over the
registry, so it cannot be forgotten.
"""

import base64
import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.loopback import DONE, Head, LoopbackServer, chat_chunk, chat_usage, sse
from tui_chat.core.errors import ProviderError
from tui_chat.core.events import Finished, FinishReason, ReasoningDelta, StreamEvent, TextDelta, UsageUpdate
from tui_chat.core.message import BlobPart, Message, TextPart
from tui_chat.core.model import Model, Params
from tui_chat.core.request import Request
from tui_chat.core.usage import Usage
from tui_chat.providers.client import HTTPProvider
from tui_chat.providers.endpoint import Endpoint, Network
from tui_chat.providers.framing import SSEFramer
from tui_chat.providers.registry import WIRE_FORMATS, wire_format

KEY = "sk-geheim-1234567890"
KINDS = list(WIRE_FORMATS)
COUNTED = Usage(40, 12, 30, None, 5)


@dataclass(frozen=True)
class Script:
    """What a server says. Input includes cached tokens, output includes reasoning, as in our own terms."""

    reasoning: tuple[str, ...] = ("Count\n\n", "the 🐈s…")
    text: tuple[str, ...] = ("Grüße 🙂", " 日本", "語,\u2028\r\n", '"\\"\u0000 👩‍👩‍👧', "!")
    usage: Usage | None = COUNTED
    finish: str = "stop"
    error: bool = False
    """The server breaks off with an error behind the text."""
    ends: bool = True
    """The end is sent."""

    @property
    def whole(self) -> bool:
        return self.ends and not self.error


def openai_chat(script: Script) -> list[bytes]:
    events = [chat_chunk(reasoning=piece) for piece in script.reasoning]
    events += [chat_chunk(piece) for piece in script.text]
    if script.error:
        events.append(sse({"error": {"message": "Overloaded", "type": "overloaded_error"}}))
    if not script.whole:
        return events
    events.append(chat_chunk("", finish=script.finish))
    if script.usage is not None:
        u = script.usage
        details = {"reasoning_tokens": u.reasoning_tokens}
        cached = {"cached_tokens": u.cached_input_tokens}
        usage = chat_usage(u.input_tokens or 0, u.output_tokens or 0)
        events.append(chat_chunk(usage=usage | {"completion_tokens_details": details, "prompt_tokens_details": cached}))
    return [*events, DONE]


def openai_responses(script: Script) -> list[bytes]:
    made: list[dict[str, Any]] = [{"type": "response.created", "response": {"id": "r1", "status": "in_progress"}}]

    def item(index: int, kind: str, names: str, key: str, pieces: tuple[str, ...]) -> None:
        about = {"item_id": f"i{index}", "output_index": index, f"{key}_index": 0}
        whole = {"id": f"i{index}", "type": kind}
        made.append({"type": "response.output_item.added", "output_index": index, "item": whole})
        made.extend({"type": f"response.{names}.delta", "delta": piece, **about} for piece in pieces)
        if script.whole:
            text = "".join(pieces)
            made.append({"type": f"response.{names}.done", "text": text, **about})
            part = {"type": names.removeprefix("reasoning_"), "text": text}
            made.append(
                {"type": "response.output_item.done", "output_index": index, "item": whole | {key: [part]}},
            )

    item(0, "reasoning", "reasoning_summary_text", "summary", script.reasoning)
    item(1, "message", "output_text", "content", script.text)
    if script.error:
        error = {"code": "server_is_overloaded", "message": "Overloaded"}
        made.append({"type": "response.failed", "response": {"id": "r1", "status": "failed", "error": error}})
    if script.whole:
        status = {"stop": "completed", "length": "incomplete"}[script.finish]
        why = {"reason": "max_output_tokens"} if script.finish == "length" else None
        response: dict[str, Any] = {
            "id": "r1",
            "model": "served-1",
            "status": status,
            "incomplete_details": why,
            "error": None,
        }
        if script.usage is not None:
            u = script.usage
            response["usage"] = {
                "input_tokens": u.input_tokens,
                "input_tokens_details": {"cached_tokens": u.cached_input_tokens},
                "output_tokens": u.output_tokens,
                "output_tokens_details": {"reasoning_tokens": u.reasoning_tokens},
            }
        made.append({"type": f"response.{status}", "response": response})
    return [sse(each, each["type"]) for each in made]


def anthropic(script: Script) -> list[bytes]:
    u = script.usage
    start: dict[str, Any] = {"id": "m1", "type": "message", "role": "assistant", "model": "served-1", "content": []}
    if u is not None:
        fresh = (u.input_tokens or 0) - (u.cached_input_tokens or 0)
        start["usage"] = {
            "input_tokens": fresh,
            "cache_read_input_tokens": u.cached_input_tokens,
            "output_tokens": min(1, u.output_tokens or 0),
        }
    made: list[dict[str, Any]] = [{"type": "message_start", "message": start}, {"type": "ping"}]

    def block(index: int, kind: str, pieces: tuple[str, ...]) -> None:
        made.append({"type": "content_block_start", "index": index, "content_block": {"type": kind, kind: ""}})
        for piece in pieces:
            delta = {"type": f"{kind}_delta", kind: piece}
            made.append({"type": "content_block_delta", "index": index, "delta": delta})
        if script.whole:
            made.append({"type": "content_block_stop", "index": index})

    block(0, "thinking", script.reasoning)
    block(1, "text", script.text)
    if script.error:
        made.append({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
    if script.whole:
        delta = {"stop_reason": {"stop": "end_turn", "length": "max_tokens"}[script.finish], "stop_sequence": None}
        usage = {"usage": {"output_tokens": u.output_tokens}} if u is not None else {}
        made += [{"type": "message_delta", "delta": delta, **usage}, {"type": "message_stop"}]
    return [sse(each, each["type"]) for each in made]


def gemini(script: Script) -> list[bytes]:
    def chunk(part: dict[str, Any], **more: Any) -> dict[str, Any]:
        candidate = {"content": {"role": "model", "parts": [part]}, "index": 0, **more}
        return {"candidates": [candidate], "modelVersion": "served-1", "responseId": "g1"}

    made = [chunk({"text": piece, "thought": True}) for piece in script.reasoning]
    made += [chunk({"text": piece}) for piece in script.text]
    if script.error:
        made.append({"error": {"code": 503, "message": "Overloaded", "status": "UNAVAILABLE"}})
    if script.whole:
        last = chunk({"text": ""}, finishReason={"stop": "STOP", "length": "MAX_TOKENS"}[script.finish])
        if script.usage is not None:
            u = script.usage
            last["usageMetadata"] = {
                "promptTokenCount": u.input_tokens,
                "cachedContentTokenCount": u.cached_input_tokens,
                "candidatesTokenCount": (u.output_tokens or 0) - (u.reasoning_tokens or 0),
                "thoughtsTokenCount": u.reasoning_tokens,
                "totalTokenCount": (u.input_tokens or 0) + (u.output_tokens or 0),
            }
        made.append(last)
    return [sse(each) for each in made]


def ollama(script: Script) -> list[bytes]:
    made: list[dict[str, Any]] = [{"message": {"content": "", "thinking": piece}} for piece in script.reasoning]
    made += [{"message": {"role": "assistant", "content": piece}} for piece in script.text]
    made = [{"model": "served-1", **each, "done": False} for each in made]
    if script.error:
        made.append({"error": "the server is overloaded"})
    if script.whole:
        last: dict[str, Any] = {"message": {"content": ""}, "done": True, "done_reason": script.finish}
        if script.usage is not None:
            last |= {"prompt_eval_count": script.usage.input_tokens, "eval_count": script.usage.output_tokens}
        made.append({"model": "served-1", **last})
    return [json.dumps(each).encode() + b"\n" for each in made]


WRITERS: dict[str, Callable[[Script], list[bytes]]] = {
    "openai": openai_chat,
    "openai-responses": openai_responses,
    "anthropic": anthropic,
    "gemini": gemini,
    "ollama": ollama,
}
UNSAID: dict[str, dict[str, None]] = {
    "anthropic": {"reasoning_tokens": None},
    "ollama": {"cached_input_tokens": None, "reasoning_tokens": None},
}
"""The figures that a dialect has no words for."""


def written(kind: str, script: Script, *, escaped: bool = True) -> bytes:
    """Return a script in a dialect's bytes; `escaped`: as surrogate pairs and the like, else as UTF-8."""
    body = b"".join(WRITERS[kind](script))
    if escaped:
        return body
    return b"".join(_plain(line) for line in body.splitlines(keepends=True))


def _plain(line: bytes) -> bytes:
    start = line.find(b"{")
    if start < 0:
        return line
    return line[:start] + json.dumps(json.loads(line[start:]), ensure_ascii=False).encode() + b"\n"


@dataclass(frozen=True)
class Read:
    """What came out of an answer, its pieces joined."""

    text: str
    reasoning: str
    usage: Usage
    finish: FinishReason | None
    error: str | None = None
    request_sent: bool = False


def summed(got: list[StreamEvent], error: ProviderError | None = None) -> Read:
    usage = Usage()
    for event in got:
        if isinstance(event, UsageUpdate):
            usage = usage.updated(event.usage)
    finishes = [event.finish_reason for event in got if isinstance(event, Finished)]
    assert len(finishes) == (error is None)
    return Read(
        "".join(event.text for event in got if isinstance(event, TextDelta)),
        "".join(event.text for event in got if isinstance(event, ReasoningDelta)),
        usage,
        finishes[0] if finishes else None,
        error.kind if error is not None else None,
        error is not None and error.request_sent,
    )


def read(kind: str, *pieces: bytes) -> Read:
    wire = wire_format(kind)
    framer, decoder = wire.framer(), wire.decoder()
    got = [e for piece in pieces for record in framer.feed(piece) for e in decoder.feed(record)]
    got += [e for record in framer.close() for e in decoder.feed(record)]
    try:
        got += decoder.close()
    except ProviderError as failed:
        return summed(got, failed)
    return summed(got)


def expected(kind: str, script: Script) -> Read:
    usage = replace(script.usage or Usage(), **UNSAID.get(kind, {}))
    finish: FinishReason = "length" if script.finish == "length" else "stop"
    return Read("".join(script.text), "".join(script.reasoning), usage, finish)


def test_every_registered_kind_has_a_writer():
    assert set(WRITERS) == set(WIRE_FORMATS)


@pytest.mark.parametrize("kind", KINDS)
class TestReading:
    @pytest.mark.parametrize(
        "script",
        [
            Script(),
            Script(finish="length"),
            Script(reasoning=()),
            Script(usage=None),
            Script(usage=Usage(0, 0, 0, None, 0)),
            Script(usage=Usage(40, 12, 0, None, 0)),
        ],
    )
    def test_the_same_script_is_the_same_answer(self, kind: str, script: Script):
        nobody_counted = script.usage is not None and not script.usage.input_tokens
        counted = replace(script, usage=None) if nobody_counted else script
        assert read(kind, written(kind, script)) == expected(kind, counted)
        assert read(kind, written(kind, script, escaped=False)) == expected(kind, counted)

    @pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
    def test_it_does_not_matter_where_the_network_splits_it(self, kind: str, ending: bytes):
        script = Script(text=("é🙂", "\u2028日!"))
        body = written(kind, script, escaped=False).replace(b"\n", ending)
        whole = expected(kind, script)
        assert read(kind, *(body[at : at + 1] for at in range(len(body)))) == whole
        for at in range(len(body)):
            assert read(kind, body[:at], body[at:]) == whole, at

    def test_an_error_in_the_middle_keeps_what_came_and_fails(self, kind: str):
        got = read(kind, written(kind, Script(error=True)), written(kind, Script()))
        assert (got.text, got.reasoning) == ("".join(Script().text), "".join(Script().reasoning))
        assert (got.finish, got.error, got.request_sent) == (None, "overloaded", True)

    def test_an_answer_without_its_end_is_broken(self, kind: str):
        body = written(kind, Script(ends=False))
        for cut in (body, body[: -len(WRITERS[kind](Script(ends=False))[-1]) // 2]):
            got = read(kind, cut)
            assert (got.finish, got.error, got.request_sent) == (None, "stream", True)
            assert "".join(Script().text).startswith(got.text)
            assert got.reasoning == "".join(Script().reasoning)

    def test_the_end_is_known_before_the_body_ends(self, kind: str):
        wire = wire_format(kind)
        framer, decoder = wire.framer(), wire.decoder()
        for record in framer.feed(written(kind, Script())):
            decoder.feed(record)
        assert decoder.finish_reason == "stop"

    @pytest.mark.parametrize(
        "body", [b"", b"\n\n", b"[]\n\n", b"data: {}\n\n", b"{}\n", b"null\n", b'{"a": [1, {}]}\n']
    )
    def test_nothing_is_no_answer(self, kind: str, body: bytes):
        assert read(kind, body).error in ("stream", "protocol")

    def test_a_web_page_is_named(self, kind: str):
        wire = wire_format(kind)
        framer, decoder = wire.framer(), wire.decoder()
        for record in framer.feed(b"<!DOCTYPE html>\n<title>Sign in</title>\n") + framer.close():
            decoder.feed(record)
        with pytest.raises(ProviderError, match="web page"):
            decoder.close()


PICTURE = BlobPart("a.png", "image/png", b"\x89PNG-made-up")
HISTORY = (
    Message.of("system", "Speak softly."),
    Message.of("user", "first question"),
    Message.of("assistant", "first answer"),
    Message("user", (TextPart("grüße\u2028\ud800 the prompt"), PICTURE)),
)


def request(params: Params | None = None, *, partial: str = "", model_id: str = "served-1") -> Request:
    return Request(Model("work", model_id), HISTORY, params or {}, partial)


def built(kind: str, params: Params | None = None, *, partial: str = "") -> tuple[str, dict[str, Any]]:
    """Return the path and the body."""
    wire = wire_format(kind).build(request(params, partial=partial), KEY)
    body = json.loads(wire.body)
    assert isinstance(body, dict)
    return wire.path, body


def texts(value: object) -> list[str]:
    """Return every text in a body, in its order."""
    if isinstance(value, dict):
        return [text for each in value.values() for text in texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in texts(each)]
    return [value] if isinstance(value, str) else []


def names(value: object) -> set[str]:
    """Return every name in a body, at any depth."""
    if isinstance(value, dict):
        return set(value).union(*(names(each) for each in value.values()))
    return set().union(*(names(each) for each in value)) if isinstance(value, list) else set()


@pytest.mark.parametrize("kind", KINDS)
class TestAsking:
    def test_system_history_prompt_and_picture_are_in_the_body(self, kind: str):
        said = texts(built(kind)[1])
        for text in ("Speak softly.", "first question", "first answer", "grüße\u2028\ud800 the prompt"):
            assert text in said
        assert any(text.endswith(base64.b64encode(PICTURE.data).decode()) for text in said)

    def test_the_key_is_in_a_header_and_nowhere_else(self, kind: str):
        wire = wire_format(kind).build(request(), KEY)
        assert sum(KEY in value for value in wire.headers.values()) == 1
        assert KEY not in wire.path
        assert KEY.encode() not in wire.body
        assert KEY not in repr(wire)
        assert KEY not in str(wire_format(kind).build(request(), None).headers)

    def test_the_answer_is_asked_for_as_a_stream_of_this_model(self, kind: str):
        path, body = built(kind)
        assert body.get("stream") is True or "stream" in path.lower()
        assert body.get("model") == "served-1" or "served-1" in path

    def test_what_nobody_set_is_not_sent(self, kind: str):
        set_by_nobody = {
            *("temperature", "top_p", "topP", "stop", "stop_sequences", "stopSequences"),
            *("reasoning_effort", "effort", "think", "num_predict", "max_output_tokens", "maxOutputTokens"),
        }
        assert not names(built(kind)[1]) & set_by_nobody

    def test_what_was_set_is_sent(self, kind: str):
        params: Params = {"temperature": 0.25, "top_p": 0.5, "max_tokens": 777, "stop": ["END"], "own_param": "mine"}
        body = json.dumps(built(kind, params)[1])
        for value in ("0.25", "0.5", "777", '"END"', '"own_param": "mine"'):
            assert value in body

    def test_params_do_not_take_over(self, kind: str):
        taken: Params = {"model": "evil", "messages": [], "input": "evil", "contents": [], "stream": False}
        path, body = built(kind)
        ours = {name: value for name, value in taken.items() if name in body}
        assert built(kind, ours) == (path, body)

    def test_what_was_refused_is_left_out(self, kind: str):
        asked = request({"temperature": 0.25}, model_id="m")
        words = "Unsupported parameter: 'temperature' is not supported with this model."
        wire = wire_format(kind)
        assert wire.refused(words, asked, frozenset()) == "temperature"
        assert b"0.25" not in wire.build(asked, KEY, frozenset(("temperature",))).body
        assert wire.refused(words, asked, frozenset(("temperature",))) is None
        assert wire.refused("temperature must be at most 2", asked, frozenset()) is None

    def test_a_cut_answer_is_handed_over(self, kind: str):
        said = texts(built(kind, partial="It begins so")[1])
        assert "It begins so" in said
        assert said.index("It begins so") > said.index("grüße\u2028\ud800 the prompt")

    def test_a_file_that_nobody_can_read_is_refused(self, kind: str):
        asked = Request(Model("work", "m"), (Message("user", (BlobPart("a.bin", "x/y", b"\xff\x00"),)),), {})
        with pytest.raises(ProviderError, match=r"a\.bin") as caught:
            wire_format(kind).build(asked, KEY)
        assert caught.value.kind == "invalid_request"

    def test_the_list_of_models_is_asked_for_with_the_key(self, kind: str):
        asked = wire_format(kind).list_request(KEY)
        assert any(KEY in value for value in asked.headers.values())
        assert KEY not in asked.path
        assert not asked.body
        for nothing in (None, [], {}, {"data": 3, "models": {"a": 1}}, [None], {"models": [{"name": 3}], "data": [[]]}):
            assert wire_format(kind).listed(nothing) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("zipped", [False, True])
async def test_it_is_the_same_over_a_socket(kind: str, zipped: bool):
    body, wire = written(kind, Script(), escaped=False), wire_format(kind)
    headers = {"Content-Type": "text/event-stream" if isinstance(wire.framer(), SSEFramer) else "application/x-ndjson"}
    if zipped:
        headers["Content-Encoding"] = "gzip"
    with LoopbackServer() as server:
        server.enqueue(Head(headers=headers), gzip.compress(body) if zipped else body)
        provider = HTTPProvider(Endpoint("work", kind, server.url, api_key=lambda: KEY), Network(), wire)
        got = [event async for event in provider.stream(request())]
        await provider.aclose()
        assert summed(got) == expected(kind, Script())
        asked = server.requests[0]
        assert any(KEY in value for value in asked.headers.values())
        assert KEY not in asked.path
        assert KEY.encode() not in asked.body
