"""What a provider is asked."""

from dataclasses import dataclass

from tui_chat.core.message import Message
from tui_chat.core.model import Model, Params


@dataclass(frozen=True, slots=True)
class Request:
    """Everything a provider needs to answer."""

    model: Model
    messages: tuple[Message, ...]
    params: Params
