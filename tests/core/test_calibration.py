"""What a provider's reports teach about our counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_chat.core.calibration import KEPT, Calibrator, Sample, family_ratio, kept


def billed(calibrator: Calibrator, provider: str, model: str, counted: int) -> int:
    return round(counted * calibrator.output_ratio(provider, model))


@pytest.mark.parametrize(
    ("model", "ratio"),
    [
        ("gpt-4.1", 1.01),
        ("openai/gpt-5-mini", 1.02),
        ("o3", 1.02),
        ("claude-sonnet-4-5", 1.18),
        ("claude-3-5-haiku-latest", 1.18),
        ("claude-opus-4-7", 1.47),
        ("claude-sonnet-5-5", 1.47),
        ("anthropic/claude-sonnet-5", 1.47),
        ("models/gemini-2.5-flash", 1.05),
        ("deepseek-chat", 1.03),
        ("meta-llama/Llama-3.3-70B", 1.08),
        ("nobody-knows", 1.0),
        ("foo3", 1.0),
    ],
)
def test_a_new_model_begins_with_the_ratio_of_its_family(model, ratio):
    assert family_ratio(model) == ratio
    assert billed(Calibrator(), "any", model, 1000) == round(1000 * ratio)


def test_three_answers_that_agree_outvote_the_family():
    learnt = Calibrator()
    learnt.learn("p", "m", Sample("output", 100, 150))
    assert billed(learnt, "p", "m", 100) == 100, "one may be odd"
    for _ in range(2):
        learnt.learn("p", "m", Sample("output", 100, 150))
    assert billed(learnt, "p", "m", 100) == 150
    assert billed(learnt, "p", "other", 100) == 100
    assert billed(learnt, "q", "m", 100) == 100, "the same name elsewhere may be another model"


def test_a_single_odd_report_changes_little():
    learnt = Calibrator()
    for reported in (118, 120, 119, 9000, 121):
        learnt.learn("p", "m", Sample("output", 100, reported))
    assert 118 <= billed(learnt, "p", "m", 100) <= 121


def test_what_says_nothing_is_not_learnt():
    learnt = Calibrator()
    for sample in (Sample("output", 19, 40), Sample("output", 100, 0), Sample("output", 0, 10), Sample("input", 5, 9)):
        for _ in range(5):
            learnt.learn("p", "m", sample)
    assert (billed(learnt, "p", "m", 100), learnt.first_input("p", "m", 100)) == (100, 100)


def test_hidden_tokens_before_a_first_prompt_are_learnt():
    learnt = Calibrator()
    for raw in (10, 40, 90):
        learnt.learn("p", "m", Sample("first", raw, raw + 200))
    assert learnt.first_input("p", "m", 50) == 250
    assert learnt.grown_input("p", "m", 250, 40) == 290, "they are in the last report already"


def test_what_was_learnt_is_kept_and_read_again():
    told: list[tuple[str, str, Sample]] = []
    first = Calibrator(keep=lambda *sample: told.append(sample))
    for _ in range(4):
        first.learn("p", "m", Sample("output", 100, 140))
    again = Calibrator(lambda provider, model: [s for p, m, s in told if (p, m) == (provider, model)])
    assert billed(again, "p", "m", 100) == billed(first, "p", "m", 100) == 140


@given(st.lists(st.tuples(st.integers(20, 10_000), st.integers(1, 10**7)), max_size=30), st.integers(0, 10**6))
def test_no_report_moves_a_count_beyond_reason(reports, counted):
    learnt = Calibrator()
    for raw, reported in reports:
        learnt.learn("p", "m", Sample("output", raw, reported))
    assert counted * 0.5 - 1 <= billed(learnt, "p", "m", counted) <= counted * 2 + 1


@given(st.lists(st.sampled_from(["input", "first", "output"]), max_size=60))
def test_only_the_last_samples_of_each_kind_are_kept(kinds):
    samples = [Sample(kind, 100 + n, 100) for n, kind in enumerate(kinds)]
    found = kept(samples)
    for kind in ("input", "first", "output"):
        assert [s for s in found if s.kind == kind] == [s for s in samples if s.kind == kind][-KEPT:]
