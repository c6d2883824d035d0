"""What a refusal becomes: a kind, and one line that a person can act on."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_chat.core.safe_text import one_line
from tui_chat.providers.failures import Failure, Place, duration, named, read_error, redirected, refused, words_of
from tui_chat.providers.openai_chat import OpenAIChat
from tui_chat.providers.redact import Secrets
from tui_chat.providers.retry import wait_s
from tui_chat.providers.wire import Record

PLACE = Place("work", "http://127.0.0.1:1/v1/chat/completions", "WORK_KEY", has_key=True, model="m")


def refusal(status: int, body: object = b"", headers: dict[str, str] | None = None, place: Place = PLACE) -> Failure:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return refused(place, status, headers or {}, data, 1_800_000_000.0)


def error(message: str, **fields: Any) -> dict[str, Any]:
    return {"error": {"message": message, **fields}}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, error("Invalid API Key", type="authentication_error", code=401), "authentication"),
        (401, {"detail": "Invalid API key"}, "authentication"),
        (401, b"", "authentication"),
        (400, error("API key not valid. Please pass a valid API key.", status="INVALID_ARGUMENT"), "authentication"),
        (400, error("No connected db.", type="no_db_connection", code="400"), "invalid_request"),
        (402, error("Insufficient Balance"), "payment"),
        (403, error("You are not allowed to sample from this model"), "permission"),
        (403, error("Your credit balance is too low"), "payment"),
        (404, error("The model `x` does not exist", code="model_not_found"), "not_found"),
        (404, {"error": "Specified model not found"}, "not_found"),
        (404, b"<html><head><title>404 Not Found</title></head></html>", "not_found"),
        (400, error("model 'x' not found"), "not_found"),
        (429, error("Rate limit reached for gpt-4 on tokens per min. Limit 10000, try again in 6s"), "rate_limit"),
        (429, error("You exceeded your current quota", code="insufficient_quota"), "payment"),
        (429, error("Rate limit", type="throttling_error", code="429"), "rate_limit"),
        (400, error("too long", type="exceed_context_size_error", n_ctx=2048), "context_length"),
        (400, error("This model's maximum context length is 8192 tokens.", code=None), "context_length"),
        (400, error("litellm.ContextWindowExceededError: litellm.BadRequestError\nmodel=x\nadvice"), "context_length"),
        (413, error("Prompt is too long"), "context_length"),
        (413, b"Request Entity Too Large", "invalid_request"),
        (500, error("the request exceeds the available context size"), "context_length"),
        (400, error("The response was filtered due to the prompt", code="content_filter"), "content_filter"),
        (422, {"detail": [{"loc": ["body", "messages"], "msg": "field required"}]}, "invalid_request"),
        (408, b"", "timeout"),
        (500, b"Internal Server Error", "server"),
        (502, b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>", "server"),
        (503, error("Loading model", type="unavailable_error"), "overloaded"),
        (529, error("Overloaded", type="overloaded_error"), "overloaded"),
        (418, b"", "invalid_request"),
        (599, b"", "server"),
    ],
)
def test_statuses_and_words_become_kinds(status: int, body: object, kind: str):
    failure = refusal(status, body)
    assert (failure.error.kind, failure.error.status, failure.error.request_sent) == (kind, status, False)
    message = failure.error.message
    assert message.startswith(f"work answered {status}")
    assert "\n" not in message
    assert "; " in message
    assert len(message) < 480


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (error("the words"), "the words"),
        ({"error": "the words"}, "the words"),
        ({"detail": "the words"}, "the words"),
        ({"detail": [{"msg": "the words"}, {"msg": "more"}]}, "the words; more"),
        ({"message": "the words", "object": "error"}, "the words"),
        ([error("the words")], "the words"),
        ({"error": {"message": "Provider returned error", "metadata": {"raw": "why"}}}, "Provider returned error: why"),
        ({"error": {"foo": 1}}, '{"foo": 1}'),
        (b"plain words\n", "plain words"),
        (b"<html><title>Bad &amp; Gateway</title>", "a web page, 'Bad & Gateway'"),
        (b"<html>", "a web page"),
        (b'data: {"error": {"message": "framed"}}\n\ndata: [DONE]\n\n', "framed"),
        (b"", ""),
    ],
)
def test_the_servers_own_words_are_found(body: object, words: str):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert words_of(data).message == words


def test_a_model_that_is_not_there_has_neighbours():
    known = ["gpt-4.1", "gpt-4.1-mini", "o3", "vendor/claude-sonnet-4-5"]
    place = Place("work", "u", model="gpt-4.1-mni", known_models=lambda: known)
    assert "gpt-4.1-mini, gpt-4.1" in refusal(404, error("no such model"), place=place).error.message
    part = replace(place, model="claude-sonnet")
    assert "vendor/claude-sonnet-4-5" in refusal(404, error("no such model"), place=part).error.message
    assert "u was asked" in refusal(404, error("no"), place=replace(place, model="o3")).error.message
    assert "u was asked" in refusal(404, error("no"), place=replace(place, model="zzz")).error.message


def test_a_refused_key_is_told_apart_by_its_end_and_by_where_it_came_from():
    place = Place("work", "u", "WORK_KEY", key_page="work.example/keys", has_key=True, key_end="3f9a")
    said = refusal(401, error("no"), place=place).error.message
    assert said.endswith("check the key in WORK_KEY, which ends in …3f9a (keys: work.example/keys)")
    nowhere = refusal(401, error("no"), place=Place("work", "u")).error.message
    assert nowhere.endswith("set api_key_env or api_key_cmd in [providers.work] of config.toml")


def test_each_message_names_the_next_step():
    assert refusal(401, error("no")).error.message.endswith("check the key in WORK_KEY")
    no_key = Place("work", "u", "WORK_KEY")
    assert refusal(401, error("no"), place=no_key).error.message.endswith("set WORK_KEY")
    assert "(m) and the base_url: http://127.0.0.1:1/v1/chat/completions" in refusal(404).error.message
    assert refusal(429, headers={"retry-after": "300"}).error.message.endswith("run it again in 5 min")
    assert "billing" in refusal(402).error.message


def test_controls_and_keys_in_the_servers_words_do_not_get_out():
    secrets = Secrets()
    secrets.add("my-secret-value")
    place = Place("work", "u", clean=secrets.clean)
    message = refusal(400, error("a\x1b]52;c;x\x07\n\nb my-secret-value " + "y" * 5000), place=place).error.message
    assert message.isprintable()
    assert "my-secret" not in message
    cut = refusal(400, error("y" * 232 + " my-secret-value"), place=place).error.message
    assert "my-sec" not in cut


@pytest.mark.parametrize(
    ("body", "headers", "again"),
    [
        (error("Rate limit exceeded"), {}, True),
        (error("Rate limit reached, try again in 20s"), {}, True),
        (error("Monthly usage limit reached"), {}, False),
        (error("Monthly usage limit reached"), {"retry-after": "2"}, True),
        (error("You exceeded your current quota", code="insufficient_quota"), {"retry-after": "2"}, False),
        (error("slow down"), {"retry-after": "3600"}, False),
    ],
)
def test_a_limit_that_passes_is_told_from_a_cap(body: object, headers: dict[str, str], again: bool):
    outcome = refusal(429, body, headers).outcome
    assert (wait_s(outcome, 1, 2, 0.5, 0.0, 0.0) is not None) == again


def test_a_models_name_is_shown_as_one_short_clean_line():
    failure = refused(replace(PLACE, model="\x1b[31m" + "z" * 5000), 404, {}, b"", 0.0)
    assert "\x1b" not in failure.error.message
    assert len(failure.error.message) < 300


def test_a_request_that_is_too_large_is_to_be_shortened():
    failure = refused(PLACE, 413, {}, b"Request Entity Too Large", 0.0)
    assert failure.error.message.endswith("send less: shorten the prompt or leave an attachment out")


def test_a_redirect_names_where_to_and_is_final():
    failure = redirected(PLACE, 307, "https://evil.example/v1?key=abcdefgh")
    assert "https://evil.example/v1" in failure.error.message
    assert wait_s(failure.outcome, 1, 2, 0.5, 0.0, 0.0) is None


@pytest.mark.parametrize("token", [{"content": "a"}, {"reasoning": "hm"}, {}])
def test_an_error_in_the_stream_gets_name_words_and_next_step(token):
    decoder = OpenAIChat().decoder()
    decoder.feed(Record(None, json.dumps({"choices": [{"delta": token}]})))
    decoder.feed(Record(None, json.dumps(error("boom.", code=503))))
    with pytest.raises(Exception) as caught:  # noqa: PT011  its type is what `named` takes
        decoder.close()
    failure = named(PLACE, caught.value)  # type: ignore[arg-type]
    what = "broke off" if token else "reported an error"
    assert failure.error.message.startswith(f"work {what}: boom; ")
    assert failure.error.request_sent == bool(token), "without a token it cost nothing"
    assert wait_s(failure.outcome, 1, 2, 0.5, 0.0, 0.0) is not None


def test_waits_are_said_for_people():
    assert [duration(x) for x in (0.2, 61.7, 300, 7200, 86400)] == ["1 s", "62 s", "5 min", "2 h", "24 h"]


@given(st.binary(max_size=300), st.integers(400, 599))
def test_no_body_makes_it_raise(body: bytes, status: int):
    message = refusal(status, body).error.message
    assert message == one_line(message, 1000)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda x: (
            st.lists(x)
            | st.dictionaries(
                st.sampled_from(["error", "message", "detail", "code", "type", "metadata", "raw", "status", "errors"]),
                x,
            )
        ),
    )
)
def test_no_json_makes_it_raise(value: Any):
    read_error(value)
    message = refusal(400, json.dumps(value).encode()).error.message
    assert message == one_line(message, 1000)
