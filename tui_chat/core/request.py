"""What a provider is asked."""

from tui_chat.core.message import Message
from tui_chat.core.model import Model, Params
from tui_chat.core.record import record


@record
class Request:
    """Everything a provider needs to answer."""

    model: Model
    messages: tuple[Message, ...]
    params: Params
