"""What has to go so that a prompt fits."""

from hypothesis import given
from hypothesis import strategies as st

from tests.core.doubles import MODEL, NOON
from tui_chat.core.completion import Completion
from tui_chat.core.fitting import excess, room_for_answer


def answers(*sizes: int) -> list[tuple[Completion, int]]:
    return [(Completion(str(n), "t", MODEL, NOON), size) for n, size in enumerate(sizes)]


def test_what_fits_is_left_alone():
    assert excess(900, 1000, 100, answers(400, 400)) is None


def test_the_oldest_turns_go_and_no_more_than_needed():
    turns = answers(300, 300, 300)
    over = excess(1150, 1000, 100, turns)
    assert over is not None
    assert [completion.id for completion in over.left_out] == ["0"]
    assert over.enough


def test_a_prompt_that_is_too_long_by_itself_says_so():
    over = excess(5000, 1000, 100, answers(300, 300))
    assert over is not None
    assert (len(over.left_out), over.enough) == (2, False)


def test_the_room_for_an_answer_is_what_was_asked_for_else_a_share():
    assert room_for_answer(128_000, 4000) == 4000
    assert room_for_answer(128_000, None) == 2048
    assert room_for_answer(8_000, None) == 500
    assert room_for_answer(8_000, 100_000) == 4000, "a limit above the window would leave no room for the prompt"


@given(st.integers(1, 10**5), st.integers(100, 10**5), st.lists(st.integers(1, 10**4), max_size=20))
def test_without_what_goes_it_fits_and_with_one_turn_less_it_does_not(tokens, window, sizes):
    room = room_for_answer(window, None)
    over = excess(tokens, window, room, answers(*sizes))
    if over is None:
        assert tokens + room <= window
        return
    gone = [sizes[int(completion.id)] for completion in over.left_out]
    assert (tokens - sum(gone) + room <= window) == over.enough
    if over.enough:
        assert tokens - sum(gone[:-1]) + room > window
