"""The retry policy is a function; its table is reliability.md §2."""

from email.utils import formatdate

import pytest

from tui_chat.providers.retry import Outcome, wait_s, waiting_hint_s

NOW = 1_800_000_000.0


def wait(outcome: Outcome, attempt: int = 1, max_retries: int = 2, chance: float = 0.0) -> float | None:
    return wait_s(outcome, attempt, max_retries, 0.5, chance, NOW)


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529, 599])
def test_passing_troubles_are_tried_again(status: int):
    assert wait(Outcome(status=status)) == 0.5


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 413, 422, 301, 307])
def test_lasting_troubles_are_not(status: int):
    assert wait(Outcome(status=status)) is None


def test_a_failure_without_status_is_tried_again_only_when_it_may_pass():
    assert wait(Outcome(transient=True)) == 0.5
    assert wait(Outcome()) is None


def test_a_spend_cap_is_not_tried_again():
    assert wait(Outcome(status=429, capped=True)) is None


def test_the_server_decides_when_it_says_so():
    assert wait(Outcome(status=400, headers={"x-should-retry": "true"})) == 0.5
    assert wait(Outcome(status=503, headers={"x-should-retry": "false"})) is None
    assert wait(Outcome(status=503, headers={"x-should-retry": "maybe"})) == 0.5


def test_the_backoff_doubles_up_to_eight_seconds_and_is_shortened_by_up_to_a_quarter():
    waits = [wait(Outcome(status=500), attempt, 9) for attempt in range(1, 8)]
    assert waits == [0.5, 1, 2, 4, 8, 8, 8]
    assert wait(Outcome(status=500), chance=1.0) == 0.375


def test_it_ends_when_the_retries_are_used_up():
    assert wait(Outcome(status=500), attempt=2) == 1.0
    assert wait(Outcome(status=500), attempt=3) is None
    assert wait(Outcome(status=500), max_retries=0) is None


@pytest.mark.parametrize(
    ("headers", "hint"),
    [
        ({"retry-after": "2"}, 2),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "junk", "retry-after": "9"}, 9),
        ({"retry-after": formatdate(NOW + 30, usegmt=True)}, 30),
        ({"retry-after": formatdate(NOW - 30, usegmt=True)}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "0"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "Mon, 99 Foo 99999 99:99:99 GMT"}, None),
        ({}, None),
    ],
)
def test_the_wait_hint_is_read_in_every_form(headers: dict[str, str], hint: float | None):
    assert waiting_hint_s(headers, NOW) == (hint if hint is None else pytest.approx(hint))


def test_a_short_hint_is_kept_and_a_long_one_is_not_slept_through():
    assert wait(Outcome(status=429, headers={"retry-after": "60"})) == 60
    assert wait(Outcome(status=429, headers={"retry-after": "61"})) is None
    assert wait(Outcome(status=503, headers={"retry-after-ms": "120000"})) is None
