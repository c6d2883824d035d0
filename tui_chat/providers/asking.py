"""What the requests of all dialects have in common: files, going on with a cut answer, options that a server refuses.

An *option* is something in a request that the answer can do without, or that goes by another name as well:
`stream_options`, `temperature`, `prefill`, …. A server that refuses one is asked again without it, and what it refused
is remembered (`client.py`), so `WireFormat.build` is told which options to leave out.
"""

import base64
import re
from collections.abc import Iterable

from tui_chat.core.errors import ProviderError
from tui_chat.core.message import BlobPart, Message
from tui_chat.core.request import Request

GO_ON = (
    "Go on exactly where your answer was cut off: begin with the character that comes after its last one, with a space"
    " first if a new word begins. Repeat nothing, explain nothing."
)
PREFILL = "prefill"
"""The option to hand over the cut part as the beginning of the answer, instead of asking to go on."""

_REFUSED = re.compile(
    r"unsupported|not (be )?support|n['’]t support|not (be )?(permitted|allowed|accept|compatible|available|recogni)"
    r"|unrecogni[sz]ed|unknown|unexpected|extra (inputs?|fields?)|deprecated|cannot both|cannot be (used|set|specified)"
    r"|invalid (parameter|argument|field)|only the default|no such (parameter|field)|instead|must end with a user",
    re.IGNORECASE,
)
"""How servers say that they do not take an option at all, unlike a value of it that is out of bounds."""

_PREFILL = re.compile(
    r"prefill|(last|final) message|must (end with|be) .{0,30}user|assistant message .{0,40}(last|end|final)",
    re.IGNORECASE,
)


def going_on(request: Request, *, prefill: bool) -> tuple[Message, ...]:
    """Return the messages to send: for a cut answer the part that is there, and without `prefill` the wish for more."""
    if not request.partial:
        return request.messages
    if prefill:  # some vendors refuse a part that ends in white space
        return (*request.messages, Message.of("assistant", request.partial.rstrip()))
    return (*request.messages, Message.of("assistant", request.partial), Message.of("user", GO_ON))


def refused_option(words: str, sent: Iterable[str]) -> str | None:
    """Return which of the options that were sent a refusal names, `None` when it names none, or only a bad value."""
    if _REFUSED.search(words) is None:
        return None
    at = {
        option: found.start()
        for option in sent
        if (found := re.search(rf"(?<![a-z0-9]){re.escape(option)}(?![a-z0-9])", words, re.IGNORECASE))
    }
    return min(at, key=lambda option: at[option], default=None)


def names_prefill(words: str) -> bool:
    """Say whether a refusal is about an answer that was begun for the model."""
    return _PREFILL.search(words) is not None


def base64_of(part: BlobPart) -> str:
    return base64.b64encode(part.data).decode("ascii")


def data_url(part: BlobPart) -> str:
    return f"data:{part.media_type};base64,{base64_of(part)}"


def is_picture(part: BlobPart) -> bool:
    return part.media_type.startswith("image/")


def is_pdf(part: BlobPart) -> bool:
    return part.media_type == "application/pdf"


def file_text(part: BlobPart) -> str:
    """Return a text file as a fenced block under its name. Raises ProviderError for what is no text."""
    try:
        text = part.data.decode("utf-8-sig")
    except UnicodeDecodeError:
        message = f"{part.name} cannot be sent: it is neither text nor a picture nor a PDF; leave it out"
        raise ProviderError("invalid_request", message) from None
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    return f"{part.name}:\n{fence}\n{text.rstrip(chr(10))}\n{fence}"


def refuse_file(part: BlobPart, what: str) -> ProviderError:
    """Return the error for a file that a dialect has no way to carry; `what` is what it does carry."""
    return ProviderError("invalid_request", f"{part.name} cannot be sent: {what}; leave it out")
