"""What a provider is asked."""

import asyncio

from tui_chat.core.message import Message
from tui_chat.core.model import Model, Params
from tui_chat.core.record import record


@record
class Request:
    """Everything a provider needs to answer."""

    model: Model
    messages: tuple[Message, ...]
    params: Params
    """`temperature`, `top_p`, `max_tokens`, `reasoning_effort` and `stop` mean the same in every wire format, which
    gives them its own names; anything else goes as it is."""
    partial: str = ""
    """The text of a cut answer that is to be gone on with; empty for a whole answer."""
    retry_now: asyncio.Event | None = None
    """Set to end the wait before a retry."""
    input_tokens: int | None = None
    """What we take the prompt for; `None` = not counted."""
