"""What has to be left out of a conversation so that the next prompt fits into the model's context window.

Nothing is ever left out silently: this only works out what would be, the user is asked, and what is left out stays in
the chat, marked, and can be taken back in. Whole turns go, the oldest first, as they go when the user does it by hand.
"""

from collections.abc import Sequence

from tui_chat.core.completion import Completion
from tui_chat.core.record import record

_SHARE = 16
_MOST = 2048
"""Room for an answer when nobody said how long it may become: a sixteenth of the window, at most this."""


@record
class Excess:
    """A prompt that does not fit."""

    tokens: int
    """What it would put in, as far as we can tell."""
    window: int
    room: int
    """Tokens that are kept free for the answer."""
    left_out: tuple[Completion, ...]
    """The answers that have to go with their prompts, the oldest first."""
    enough: bool
    """False when the prompt does not fit even without them."""


def room_for_answer(window: int, longest: object) -> int:
    """Return the tokens to keep free; `longest` is the limit of the answer, where there is one."""
    if isinstance(longest, int) and not isinstance(longest, bool) and longest > 0:
        return min(longest, window // 2)
    return min(_MOST, window // _SHARE)


def excess(tokens: int, window: int, room: int, turns: Sequence[tuple[Completion, int]]) -> Excess | None:
    """Return what has to go, `None` when it fits. `turns` are the answers that are sent on, each with its tokens."""
    over = tokens + room - window
    if over <= 0:
        return None
    gone: list[Completion] = []
    for completion, size in turns:
        if over <= 0:
            break
        gone.append(completion)
        over -= size
    return Excess(tokens, window, room, tuple(gone), over <= 0)
