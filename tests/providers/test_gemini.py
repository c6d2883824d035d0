"""Gemini's dialect: what real servers send, in made-up streams, and what they are asked."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.loopback import sse
from tui_chat.core.errors import ProviderError
from tui_chat.core.events import (
    Adjusted,
    Finished,
    ReasoningDelta,
    ResponseStarted,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    UsageUpdate,
)
from tui_chat.core.message import BlobPart, Message, TextPart
from tui_chat.core.model import Model
from tui_chat.core.request import Request
from tui_chat.core.usage import Usage
from tui_chat.providers.asking import GO_ON
from tui_chat.providers.gemini import Gemini, GeminiDecoder, usage_of
from tui_chat.providers.wire import Record

WIRE = Gemini()


def fed(*pieces: bytes) -> tuple[list[StreamEvent], GeminiDecoder]:
    framer, decoder = WIRE.framer(), WIRE.decoder()
    got = [e for piece in pieces for record in framer.feed(piece) for e in decoder.feed(record)]
    return got + [e for record in framer.close() for e in decoder.feed(record)], decoder


def events(*pieces: bytes) -> list[StreamEvent]:
    got, decoder = fed(*pieces)
    return got + decoder.close()


def failure(*pieces: bytes) -> tuple[list[StreamEvent], ProviderError]:
    got, decoder = fed(*pieces)
    with pytest.raises(ProviderError) as caught:
        decoder.close()
    return got, caught.value


def text(got: list[StreamEvent]) -> str:
    return "".join(e.text for e in got if isinstance(e, TextDelta))


def usage(got: list[StreamEvent]) -> Usage:
    total = Usage()
    for event in got:
        if isinstance(event, UsageUpdate):
            total = total.updated(event.usage)
    return total


def chunk(*parts: dict[str, Any], finish: str | None = None, counts: Any = None, **fields: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    value = {"candidates": [candidate], "responseId": "r1", "modelVersion": "served-1", **fields}
    return value | ({"usageMetadata": counts} if counts is not None else {})


def said(words: str, **kwargs: Any) -> bytes:
    return sse(chunk({"text": words}, **kwargs))


STREAM = (
    sse(chunk({"text": "hm", "thought": True}, counts={"promptTokenCount": 9, "totalTokenCount": 9}))
    + said("Grüße ")
    + sse(chunk({"text": "🙂"}, {"text": "\u2028!"}, {"executableCode": {"code": "no"}}, {"newPart": 1}))
    + sse(
        chunk(
            {"text": "", "thoughtSignature": "abc"},
            finish="STOP",
            counts={"promptTokenCount": 9, "candidatesTokenCount": 5, "thoughtsTokenCount": 3, "totalTokenCount": 17},
        )
    )
)


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_a_recorded_stream_at_every_split_point(ending: bytes):
    body = STREAM.replace(b"\n", ending)
    whole = events(body)
    assert whole == [
        ResponseStarted("r1", "served-1"),
        ReasoningDelta("hm"),
        UsageUpdate(Usage(9)),
        TextDelta("Grüße "),
        TextDelta("🙂"),
        TextDelta("\u2028!"),
        UsageUpdate(Usage(9, 8, None, None, 3)),
        Finished("stop"),
    ]
    for at in range(len(body)):
        assert events(body[:at], body[at:]) == whole, at


class TestParts:
    def test_what_is_missing_or_of_the_wrong_type_is_ignored(self):
        body = sse({}) + sse({"candidates": []}) + sse({"candidates": [{}]}) + sse({"candidates": [{"content": {}}]})
        body += sse({"candidates": {"a": 1}, "usageMetadata": [], "promptFeedback": "x", "modelVersion": 3})
        body += sse(chunk({"text": 7}, {"functionCall": "f"}, {"thought": True})) + said("ok", finish="STOP")
        assert text(events(body)) == "ok"

    def test_other_candidates_are_ignored(self):
        value = chunk({"text": "yes"}, finish="STOP")
        value["candidates"].append({"index": 1, "content": {"parts": [{"text": "no"}]}, "finishReason": "SAFETY"})
        got = events(sse(value))
        assert (text(got), got[-1]) == ("yes", Finished("stop"))

    def test_calls_are_counted(self):
        got = events(sse(chunk({"functionCall": {"name": "f", "args": {"a": "é"}}}, finish="STOP")))
        assert ToolCallDelta("f", '{"a": "é"}') in got

    @pytest.mark.parametrize("many", [True, False])
    def test_an_answer_that_is_not_streamed_is_accepted(self, many: bool):
        whole = chunk({"text": "whole"}, finish="STOP", counts={"promptTokenCount": 9, "candidatesTokenCount": 1})
        got = events(json.dumps([chunk({"text": "the "}), whole] if many else whole, indent=1).encode())
        assert text(got) == ("the whole" if many else "whole")
        assert (usage(got), got[-1]) == (Usage(9, 1), Finished("stop"))


class TestUsage:
    @pytest.mark.parametrize(
        ("counts", "expected"),
        [
            ({"promptTokenCount": 9, "candidatesTokenCount": 5}, Usage(9, 5)),
            ({"promptTokenCount": 9, "candidatesTokenCount": 5, "thoughtsTokenCount": 7}, Usage(9, 12, None, None, 7)),
            ({"promptTokenCount": 9, "thoughtsTokenCount": 7}, Usage(9, 7, None, None, 7)),
            (
                {"promptTokenCount": 9, "candidatesTokenCount": 8, "thoughtsTokenCount": 7, "totalTokenCount": 17},
                Usage(9, 8, None, None, 7),
            ),
            ({"promptTokenCount": 9, "toolUsePromptTokenCount": 20, "candidatesTokenCount": 5}, Usage(29, 5)),
            ({"promptTokenCount": 9, "cachedContentTokenCount": 4}, Usage(9, None, 4)),
            ({"promptTokenCount": 0, "candidatesTokenCount": 0, "totalTokenCount": 0}, Usage()),
            ({"totalTokenCount": 7}, Usage()),
        ],
    )
    def test_counts_come_to_our_terms(self, counts: dict[str, int], expected: Usage):
        assert usage_of(counts) == expected

    def test_a_count_that_came_only_earlier_stands(self):
        body = said("a", counts={"promptTokenCount": 9, "candidatesTokenCount": 5, "totalTokenCount": 14})
        body += said("b", finish="STOP", counts={"promptTokenCount": 9, "candidatesTokenCount": 0})
        assert usage(events(body)) == Usage(9, 5)

    def test_nobody_counted_is_not_zero(self):
        zeros = {"promptTokenCount": 0, "candidatesTokenCount": 0, "totalTokenCount": 0}
        body = said("a", counts={"trafficType": "ON_DEMAND"}) + said("b", finish="STOP", counts=zeros)
        assert not any(isinstance(e, UsageUpdate) for e in events(body))


class TestEnd:
    @pytest.mark.parametrize(
        ("reason", "finished"),
        [
            ("STOP", "stop"),
            ("OTHER", "stop"),
            ("NEW_ENUM", "stop"),
            ("MAX_TOKENS", "length"),
            ("SAFETY", "content_filter"),
            ("RECITATION", "content_filter"),
            ("PROHIBITED_CONTENT", "content_filter"),
            ("MALFORMED_FUNCTION_CALL", "tool_calls"),
        ],
    )
    def test_finish_reasons_are_ours(self, reason: str, finished: str):
        assert events(said("a", finish=reason))[-1] == Finished(finished)  # type: ignore[arg-type]

    def test_an_early_stop_is_not_the_end(self):
        decoder = WIRE.decoder()
        decoder.feed(Record(None, json.dumps(chunk({"text": "a"}, finish="STOP"))))
        assert decoder.finish_reason == "stop"
        decoder.feed(Record(None, json.dumps(chunk({"text": ""}))))
        assert decoder.finish_reason == "stop"
        decoder.feed(Record(None, json.dumps(chunk({"text": "b"}))))
        assert decoder.finish_reason is None
        assert decoder.close() == [Finished("stop")]

    def test_a_reason_that_is_none_is_none(self):
        assert failure(said("a", finish="") + said("b", finish="FINISH_REASON_UNSPECIFIED"))[1].kind == "stream"

    def test_a_blocked_prompt_is_filtered_and_says_why(self):
        feedback = {"blockReason": "PROHIBITED_CONTENT", "blockReasonMessage": "not that"}
        got = events(sse({"promptFeedback": feedback, "usageMetadata": {"promptTokenCount": 9}}))
        assert Adjusted("not that") in got
        assert (text(got), usage(got), got[-1]) == ("", Usage(9), Finished("content_filter"))

    def test_feedback_without_a_block_is_none(self):
        got = events(sse({"promptFeedback": {"safetyRatings": []}}) + said("a", finish="STOP"))
        assert got[-1] == Finished("stop")

    @pytest.mark.parametrize(
        "body",
        [
            sse({"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}),
            sse([{"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}]),
        ],
    )
    def test_an_error_in_the_middle_keeps_the_text_and_fails(self, body: bytes):
        got, error = failure(said("so far") + body + said("never", finish="STOP"))
        assert (text(got), error.kind, error.request_sent) == ("so far", "overloaded", True)


_NAMES = ["candidates", "content", "parts", "text", "thought", "functionCall", "name", "args", "index", "finishReason"]
_NAMES += ["usageMetadata", "promptTokenCount", "thoughtsTokenCount", "promptFeedback", "blockReason", "error"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(_NAMES), inner),
    )
)
def test_no_json_makes_a_decoder_raise_while_it_is_fed(value: Any):
    for each in (value, {"candidates": [value]}, {"candidates": [{"content": {"parts": [value]}}]}):
        WIRE.decoder().feed(Record(None, json.dumps(each)))
        WIRE.decoder().feed(Record("error", json.dumps(each)))


def request(*messages: Message, model: str = "gemini-2.5-flash", partial: str = "", **params: Any) -> Request:
    return Request(Model("work", model), messages, params, partial)


def build(*messages: Message, without: str = "", **kwargs: Any) -> dict[str, Any]:
    built = WIRE.build(request(*messages, **kwargs), "key-1", frozenset(without.split()))
    return json.loads(built.body)  # type: ignore[no-any-return]


HI = Message.of("user", "hi")


class TestRequest:
    def test_the_key_is_in_a_header_and_never_in_the_address(self):
        built = WIRE.build(request(Message.of("system", "s"), HI), "key-1")
        assert built.path == "/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
        assert built.headers["x-goog-api-key"] == "key-1"
        assert json.loads(built.body) == {
            "systemInstruction": {"parts": [{"text": "s"}]},
            "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        }
        listing = WIRE.list_request("key-1")
        assert (listing.path, listing.headers["x-goog-api-key"]) == ("/models?pageSize=1000", "key-1")
        assert "x-goog-api-key" not in WIRE.build(request(HI), None).headers

    @pytest.mark.parametrize(
        ("model", "path"),
        [("models/a b", "/models/a%20b:"), ("tunedModels/x-1", "/tunedModels/x-1:"), ("org/m?", "/models/org%2Fm%3F:")],
    )
    def test_the_models_name_is_quoted_and_keeps_its_collection(self, model: str, path: str):
        assert WIRE.build(request(HI, model=model), None).path.startswith(path)

    def test_roles_alternate_and_blank_texts_are_never_sent(self):
        turns = [Message.of("user", "a"), Message.of("assistant", ""), Message.of("user", "b")]
        assert build(*turns, Message.of("assistant", "c"), HI)["contents"] == [
            {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]},
            {"role": "model", "parts": [{"text": "c"}]},
            {"role": "user", "parts": [{"text": "hi"}]},
        ]

    def test_a_cut_answer_is_asked_to_go_on(self):
        contents = build(HI, partial="Once upon a ")["contents"]
        assert [c["role"] for c in contents] == ["user", "model", "user"]
        assert contents[-1]["parts"] == [{"text": GO_ON}]

    def test_files_go_as_data_or_text(self):
        picture, doc = BlobPart("a.png", "image/png", b"\x89PNG"), BlobPart("a.pdf", "application/pdf", b"%PDF")
        message = Message("user", (TextPart("look"), picture, doc, BlobPart("a.md", "text/markdown", b"code")))
        parts = build(message)["contents"][0]["parts"]
        assert parts[1] == {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}}
        assert parts[2]["inlineData"]["mimeType"] == "application/pdf"
        assert parts[3] == {"text": "a.md:\n```\ncode\n```"}

    def test_params_go_by_the_dialects_names_into_their_places(self):
        body = build(HI, temperature=0, top_p=0.9, max_tokens=5, stop="x", topK=3, tools=[{}], contents=[], stream=1)
        assert body["generationConfig"] == {
            "temperature": 0,
            "topP": 0.9,
            "maxOutputTokens": 5,
            "stopSequences": ["x"],
            "topK": 3,
        }
        assert (body["tools"], len(body["contents"])) == ([{}], 1)

    @pytest.mark.parametrize(
        ("model", "effort", "config"),
        [
            ("gemini-2.5-flash", "low", {"thinkingBudget": 2048, "includeThoughts": True}),
            ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
            ("gemini-2.5-pro", "none", {"thinkingBudget": 128, "includeThoughts": True}),
            ("gemini-3.1-pro-preview", "minimal", {"thinkingLevel": "low", "includeThoughts": True}),
            ("models/gemini-flash-latest", "medium", {"thinkingLevel": "medium", "includeThoughts": True}),
            ("gemini-2.0-flash", "high", None),
            ("gemma-3-27b-it", "high", None),
        ],
    )
    def test_thinking_is_asked_for_in_the_models_own_way(self, model: str, effort: str, config: Any):
        body = build(HI, model=model, reasoning_effort=effort)
        assert body.get("generationConfig", {}).get("thinkingConfig") == config
        assert bool(WIRE.build(request(HI, model=model, reasoning_effort=effort), None).left_out) == (config is None)
        own = {"thinkingBudget": 7}
        assert build(HI, reasoning_effort=effort, thinkingConfig=own)["generationConfig"]["thinkingConfig"] == own


class TestRefused:
    @pytest.mark.parametrize(
        ("words", "option"),
        [
            ("Thinking level is not supported for this model.", "reasoning_effort"),
            ("The model does not support setting thinking_budget to 0.", "reasoning_effort"),
            ("Unknown name \"thinkingConfig\" at 'generation_config': Cannot find field.", "reasoning_effort"),
            ("Unknown name \"topP\" at 'generation_config': Cannot find field.", "top_p"),
            ("stop_sequences is not supported", "stop"),
            ("The thinking budget (52428) is invalid.", None),
            ("Invalid value at 'generation_config.temperature' (TYPE_FLOAT)", None),
        ],
    )
    def test_a_refusal_names_what_was_sent(self, words: str, option: str | None):
        error = json.dumps({"error": {"code": 400, "message": words, "status": "INVALID_ARGUMENT"}})
        asked = request(HI, temperature=1, top_p=1, stop="x", reasoning_effort="low")
        assert WIRE.refused(error, asked, frozenset()) == option
        assert WIRE.refused(error, request(HI), frozenset()) is None
        if option is not None:
            assert WIRE.refused(error, asked, frozenset((option,))) is None

    def test_a_model_without_system_prompts_gets_it_with_the_first_message(self):
        asked = (Message.of("system", "s"), HI)
        words = "Developer instruction is not enabled for models/gemma-3-27b-it"
        refused = WIRE.refused(words, request(*asked), frozenset())
        assert refused is not None
        body = build(*asked, without=refused)
        assert "systemInstruction" not in body
        assert body["contents"] == [{"role": "user", "parts": [{"text": "s"}, {"text": "hi"}]}]
        assert WIRE.refused(words, request(*asked), frozenset((refused,))) is None

    def test_what_was_refused_is_left_out(self):
        body = build(HI, temperature=1, reasoning_effort="low", without="temperature reasoning_effort")
        assert "generationConfig" not in body
