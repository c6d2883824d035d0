"""Ollama's dialect: its lines, its options, and how it says that it cannot."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_chat.core.errors import ProviderError
from tui_chat.core.events import (
    Finished,
    ReasoningDelta,
    ResponseStarted,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    UsageUpdate,
)
from tui_chat.core.message import BlobPart, Message, TextPart
from tui_chat.core.model import ListedModel, Model
from tui_chat.core.request import Request
from tui_chat.core.usage import Usage
from tui_chat.providers.asking import GO_ON, PREFILL
from tui_chat.providers.ollama import Ollama
from tui_chat.providers.wire import Record

Json = dict[str, Any]


def fed(*lines: bytes) -> tuple[list[StreamEvent], ProviderError | None]:
    """Return the events, and how it failed."""
    wire = Ollama()
    framer, decoder = wire.framer(), wire.decoder()
    got = [e for each in lines for record in framer.feed(each) for e in decoder.feed(record)]
    got += [e for record in framer.close() for e in decoder.feed(record)]
    try:
        return got + decoder.close(), None
    except ProviderError as failed:
        return got, failed


def events(*lines: bytes) -> list[StreamEvent]:
    got, error = fed(*lines)
    assert error is None
    return got


def line(content: str = "", /, **fields: Any) -> bytes:
    message = {"role": "assistant", "content": content, **fields.pop("message", {})}
    return json.dumps({"message": message, "done": False, **fields}).encode() + b"\n"


def end(content: str = "", /, **fields: Any) -> bytes:
    return line(content, done=True, **fields)


class TestAnswer:
    def test_an_answer_is_read_line_by_line(self):
        got = events(
            line(model="served", message={"thinking": "hm"}),
            line("Hel", model="served"),
            end("lo", model="served", done_reason="stop", prompt_eval_count=9, eval_count=2),
        )
        assert got == [
            ResponseStarted(None, "served"),
            ReasoningDelta("hm"),
            TextDelta("Hel"),
            TextDelta("lo"),
            UsageUpdate(Usage(9, 2)),
            Finished("stop"),
        ]

    def test_an_answer_that_is_not_streamed_is_one_such_line(self):
        got = events(end("whole", message={"thinking": "hm"}, eval_count=2).rstrip(b"\n"))
        assert got == [ReasoningDelta("hm"), TextDelta("whole"), UsageUpdate(Usage(None, 2)), Finished("stop")]

    def test_arguments_of_tool_calls_are_json(self):
        call = {"function": {"index": 0, "name": "look", "arguments": {"a": "é"}}}
        got = events(line(message={"tool_calls": [call, None, {"function": 3}]}) + end(done_reason="stop"))
        assert got == [ToolCallDelta("look", '{"a": "é"}'), Finished("tool_calls")]

    @pytest.mark.parametrize(
        ("counts", "usage"),
        [
            ({"prompt_eval_count": 0, "eval_count": 0}, []),
            ({}, []),
            ({"eval_count": 3}, [Usage(None, 3)]),
            ({"prompt_eval_count": 5, "eval_count": 0}, [Usage(5, 0)]),
            ({"prompt_eval_count": "5", "eval_count": -1}, []),
        ],
    )
    def test_zeros_mean_that_nobody_counted(self, counts: Json, usage: list[Usage]):
        assert [e.usage for e in events(end("a", **counts)) if isinstance(e, UsageUpdate)] == usage

    @pytest.mark.parametrize(
        ("reason", "finished"), [("stop", "stop"), ("length", "length"), ("", "stop"), (3, "stop")]
    )
    def test_finish_reasons_are_ours(self, reason: object, finished: str):
        assert events(end("a", done_reason=reason))[-1] == Finished(finished)  # type: ignore[arg-type]

    @pytest.mark.parametrize("reason", ["load", "unload"])
    def test_a_model_that_was_only_loaded_gave_no_answer(self, reason: str):
        got, error = fed(end(done_reason=reason))
        assert (got, error is None) == ([], False)
        assert events(line("a") + end(done_reason=reason))[-1] == Finished("stop")

    @pytest.mark.parametrize(
        ("words", "kind"),
        [
            ("boom", "server"),
            ("model 'x' not found", "not_found"),
            ({"message": "slow down", "code": 429}, "rate_limit"),
        ],
    )
    def test_an_error_in_the_middle_keeps_the_text_and_fails(self, words: object, kind: str):
        got, error = fed(line("so far") + json.dumps({"error": words}).encode() + b"\n" + end("never"))
        assert got == [TextDelta("so far")]
        assert error is not None
        assert (error.kind, error.request_sent) == (kind, True)

    def test_a_stream_that_just_ends_is_a_broken_answer(self):
        got, error = fed(line("so far"))
        assert got == [TextDelta("so far")]
        assert error is not None
        assert error.kind == "stream"

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner)
                | st.dictionaries(
                    st.sampled_from(
                        [
                            "message",
                            "content",
                            "thinking",
                            "tool_calls",
                            "function",
                            "name",
                            "arguments",
                            "done",
                            "done_reason",
                            "model",
                            "error",
                            "eval_count",
                            "prompt_eval_count",
                        ]
                    ),
                    inner,
                )
            ),
        )
    )
    def test_no_json_makes_a_decoder_raise_while_it_is_fed(self, value: Any):
        Ollama().decoder().feed(Record(None, json.dumps(value)))


def asked(*messages: Message, partial: str = "", model_id: str = "qwen3:4b", **params: object) -> Request:
    return Request(Model("ollama", model_id), messages or (Message.of("user", "hi"),), params, partial)


def build(request: Request, *without: str) -> Json:
    return json.loads(Ollama().build(request, None, frozenset(without)).body)  # type: ignore[no-any-return]


class TestRequest:
    def test_pictures_stand_beside_the_text_and_files_in_it(self):
        files = (
            TextPart("look"),
            BlobPart("a.png", "image/png", b"\x89PNG"),
            BlobPart("a.md", "text/markdown", b"# a"),
        )
        assert build(asked(Message.of("system", "s"), Message("user", files))) == {
            "model": "qwen3:4b",
            "messages": [
                {"role": "system", "content": "s"},
                {"role": "user", "content": "look\n\na.md:\n```\n# a\n```", "images": ["iVBORw=="]},
            ],
            "stream": True,
        }

    def test_a_pdf_is_refused_in_words(self):
        with pytest.raises(ProviderError, match=r"a\.pdf cannot be sent") as caught:
            build(asked(Message("user", (BlobPart("a.pdf", "application/pdf", b"%PDF"),))))
        assert caught.value.kind == "invalid_request"

    def test_a_key_goes_along_where_there_is_one(self):
        assert Ollama().build(asked(), "sk-1").headers["Authorization"] == "Bearer sk-1"
        assert "Authorization" not in Ollama().build(asked(), None).headers

    def test_params_stand_among_the_options_or_above_them(self):
        params: Json = {
            "temperature": 0.5,
            "max_tokens": 5,
            "stop": "END",
            "seed": 3,
            "keep_alive": "5m",
            "format": "json",
        }
        body = build(asked(**params, options={"num_ctx": 8192, "seed": 1}, messages=[], stream=False))
        assert body["options"] == {"num_ctx": 8192, "seed": 3, "temperature": 0.5, "num_predict": 5, "stop": ["END"]}
        assert (body["keep_alive"], body["format"], body["stream"]) == ("5m", "json", True)
        assert len(body["messages"]) == 1

    @pytest.mark.parametrize(
        ("effort", "model_id", "think"),
        [
            ("none", "qwen3:4b", False),
            ("low", "qwen3:4b", True),
            ("high", "qwen3:4b", True),
            ("low", "gpt-oss:20b", "low"),
            ("high", "unsloth/GPT-OSS:120b", "high"),
        ],
    )
    def test_an_effort_is_on_or_off_but_for_gpt_oss(self, effort: str, model_id: str, think: object):
        body = build(asked(model_id=model_id, reasoning_effort=effort))
        assert body["think"] == think
        assert "reasoning_effort" not in json.dumps(body)
        assert build(asked(model_id=model_id, reasoning_effort=effort, think=False))["think"] is False

    def test_a_cut_answer_is_begun_for_it_unless_it_refused_that(self):
        said = [m["content"] for m in build(asked(partial="It beg \n"))["messages"]]
        assert said == ["hi", "It beg"]
        assert [m["content"] for m in build(asked(partial="It beg"), PREFILL)["messages"]] == ["hi", "It beg", GO_ON]
        words = '{"error": "the last message must be from the user"}'
        assert Ollama().refused(words, asked(partial="It beg"), frozenset()) == PREFILL
        assert Ollama().refused(words, asked(), frozenset()) is None

    @pytest.mark.parametrize(
        ("words", "option"),
        [
            ('"qwen3:4b" does not support thinking', "reasoning_effort"),
            ('think value "high" is not supported for this model', "reasoning_effort"),
            ('invalid think value: "xhigh" (must be "high", "medium", "low", true, or false)', None),
            ('option "temperature" must be of type float32', None),
            ("registry.ollama.ai/library/gemma does not support tools", None),
        ],
    )
    def test_a_model_that_cannot_think_is_asked_without(self, words: str, option: str | None):
        request = asked(reasoning_effort="high", temperature=0.5)
        assert Ollama().refused(words, request, frozenset()) == option
        assert Ollama().refused(words, asked(), frozenset()) is None
        if option is not None:
            assert "think" not in build(request, option)
            assert Ollama().refused(words, request, frozenset((option,))) is None


def test_the_models_are_those_that_were_pulled():
    answer = {"models": [{"name": "a:1b", "model": "a:1b", "size": 1}, {"name": "nomic-embed-text"}, {"name": 3}]}
    assert Ollama().listed(answer) == [ListedModel("a:1b")]
    assert Ollama().list_request(None).path == "/api/tags"
