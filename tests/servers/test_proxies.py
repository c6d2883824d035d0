"""LiteLLM's proxy and the server of transformers: the odd ones."""

import pytest

from tests.servers.conftest import configure

pytestmark = pytest.mark.servers


@pytest.fixture
def litellm(start):
    llama = start("llama")
    return start("litellm", MODEL_SERVER=llama.base_url())


@pytest.fixture
def hf(start):
    return start("hf")


def test_a_canned_answer_comes_with_its_bill(litellm, case):
    got = case(litellm, "mock-short")
    assert got["text"] == "Hello there. This is a canned answer, in three-character pieces."
    assert got["usage"]["source"] == "reported"
    assert got["cost_usd"] > 0
    assert got["cost"]["quality"] == "reported"


@pytest.mark.parametrize("wire", ["openai", "openai-responses", "anthropic", "gemini"])
def test_every_dialect_comes_through_to_the_model_behind_it(litellm, case, wire):
    got = case(litellm, "tiny", kind=wire, more='[models."case/tiny"]\nparams = { max_tokens = 40 }\n')
    assert got["error"] is None
    assert got["text"]


def test_an_answer_that_is_not_streamed_is_read(litellm, case):
    got = case(litellm, "mock-claude", kind="anthropic")
    assert (got["text"], got["error"]) == ("Canned, by way of the Anthropic route.", None)


def test_a_server_that_is_silent_for_too_long_is_left(litellm, case):
    got = case(litellm, "mock-late", more="[network]\nfirst_token_timeout_s = 1\n")
    assert (got["error"]["kind"], got["attempts"]) == ("timeout", 1)
    assert "may be billed" in got["error"]["message"]


@pytest.mark.parametrize(
    ("model", "kind"),
    [("fail-429", "rate_limit"), ("fail-context", "context_length"), ("fail-500", "server"),
     ("fail-filter", "content_filter"), ("fail-connect", "server"), ("nobody", "not_found")],
)  # fmt: skip
def test_failures_are_told_apart(litellm, case, model, kind):
    got = case(litellm, model, more="[network]\nmax_retries = 0\n")
    assert got["error"]["kind"] in (kind, "invalid_request") if model == "nobody" else got["error"]["kind"] == kind
    assert "\n" not in got["error"]["message"]
    assert len(got["error"]["message"]) < 500


def test_a_limit_of_one_a_minute_is_a_rate_limit(litellm, case):
    assert case(litellm, "limited")["text"] == "One a minute."
    assert case(litellm, "limited", more="[network]\nmax_retries = 0\n")["error"]["kind"] == "rate_limit"


def test_it_says_which_models_it_has(litellm, program):
    configure(program, litellm)
    out = program.run("models", "--refresh").out
    assert "case/mock-short " in out
    assert "case/tiny " in out


@pytest.mark.parametrize("wire", ["openai", "openai-responses"])
def test_transformers_answers_without_an_end_marker(hf, case, wire):
    got = case(hf, "tiny", kind=wire, more='[models."case/tiny"]\nparams = { max_tokens = 60 }\n')
    assert got["error"] is None
    assert got["text"]
    assert got["usage"]["source"] == "reported"
