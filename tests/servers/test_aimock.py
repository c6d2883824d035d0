"""A mock server of somebody else's that speaks every dialect, with faults."""

import pytest

from tests.servers.conftest import PATHS, configure

pytestmark = pytest.mark.servers
CANNED = "A canned answer for every model and every wire."
every_kind = pytest.mark.parametrize("kind", PATHS)


@pytest.fixture
def aimock(start):
    return start("aimock")


@every_kind
def test_every_dialect_answers(aimock, case, kind):
    got = case(aimock, "whatever", kind=kind)
    assert (got["text"], got["finish_reason"], got["error"], got["exit"]) == (CANNED, "stop", None, 0)


@every_kind
def test_thinking_is_told_from_the_text(aimock, case, kind):
    got = case(aimock, "think", kind=kind)
    assert got["text"] == "There are **three**."
    assert got["reasoning"] == "First I count the letters. Then I count them again."


@every_kind
def test_wide_characters_arrive_whole(aimock, case, kind):
    assert case(aimock, "wide", kind=kind)["text"].startswith(
        "Ärger, 日本語, 👩\u200d👩\u200d👧 and `code`:\n\n```python\n"
    )


@every_kind
def test_what_was_billed_is_reported_and_zeros_are_not(aimock, case, kind):
    usage = case(aimock, "billed", kind=kind)["usage"]
    if kind in ("openai", "openai-responses", "anthropic", "gemini"):
        assert (usage["input_tokens"], usage["output_tokens"], usage["source"]) == (1200, 34, "reported")
    else:  # it counts nothing there, and zero is not free
        assert usage["source"] == "estimated"
        assert usage["output_tokens"] > 0


@pytest.mark.parametrize(
    ("model", "kind", "attempts"),
    [("fail-401", "authentication", 1), ("fail-429", "rate_limit", 1), ("fail-503", "overloaded", 3),
     ("fail-context", "context_length", 1)],
)  # fmt: skip
@pytest.mark.parametrize("wire", PATHS)
def test_failures_are_told_apart(aimock, case, wire, model, kind, attempts):
    retries = 0 if model == "fail-429" else 2  # it asks for 30 s
    got = case(aimock, model, kind=wire, more=f"[network]\nmax_retries = {retries}\n")
    assert (got["error"]["kind"], got["attempts"], got["exit"], got["text"]) == (kind, attempts, 1, "")


def test_a_rate_limit_that_passes_is_waited_for(aimock, case):
    before = len(aimock.get("/__aimock/journal"))
    got = case(aimock, "fail-429-once")
    assert (got["text"], got["attempts"]) == ("Second try went through.", 2)
    assert len(aimock.get("/__aimock/journal")) == before + 2
    assert got["timings"]["total_s"] >= 2


@pytest.mark.parametrize("model", ["cut", "drop"])
@pytest.mark.parametrize("wire", ["openai", "anthropic", "gemini", "ollama"])
def test_an_answer_that_loses_its_end_keeps_what_came(aimock, case, wire, model):
    got = case(aimock, model, kind=wire)
    assert got["text"].startswith("This ans")
    assert (got["error"]["kind"], got["finish_reason"], got["exit"]) == ("stream", "error", 1)


@pytest.mark.parametrize("kind", ["openai", "openai-responses", "anthropic", "ollama"])
def test_it_says_which_models_it_has(aimock, program, kind):
    configure(program, aimock, kind)
    assert "case/think " in program.run("models", "--refresh").out
