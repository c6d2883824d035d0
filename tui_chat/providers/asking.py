"""What the requests of all dialects have in common: files, going on with a cut answer, options that a server refuses.

An *option* is something in a request that the answer can do without, or that goes by another name as well:
`stream_options`, `temperature`, `prefill`, …. A server that refuses one is asked again without it, and what it refused
is remembered (`client.py`), so `WireFormat.build` is told which options to leave out.
"""

import base64
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter

from tui_chat.core.errors import ProviderError
from tui_chat.core.message import BlobPart, Message, Part, Role, TextPart
from tui_chat.core.request import Request
from tui_chat.providers.decoding import Object
from tui_chat.providers.wire import WireRequest

GO_ON = (
    "Go on exactly where your answer was cut off: begin with the character that comes after its last one, with a space"
    " first if a new word begins. Repeat nothing, explain nothing."
)
PREFILL = "prefill"
"""The option to hand over the cut part as the beginning of the answer, instead of asking to go on."""

_REFUSED = re.compile(
    r"unsupported|not (be )?support|n['’]t support|not (be )?(permitted|allowed|accept|compatible|available|recogni)"
    r"|unrecogni[sz]ed|unknown|unexpected|extra (inputs?|fields?)|deprecated|cannot both|cannot be (used|set|specified)"
    r"|invalid (parameter|argument|field)|only the default|no such (parameter|field)|instead|must end with a user"
    r"|may only be set to|can(['’]t|not) be disabled|not enabled|verified to",
    re.IGNORECASE,
)
"""How servers say that they do not take an option at all, unlike a value of it that is out of bounds."""

_BAD_VALUE = re.compile(
    r"(supported|valid|allowed|possible) values (are|include)|must be one of|invalid think value", re.IGNORECASE
)
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


def refused_option(
    words: str, request: Request, without: frozenset[str], names: Mapping[str, Sequence[str]]
) -> str | None:
    """Return which option of a request a refusal names, `None` when it names none, or only a bad value of one.

    `names` are the dialect's options, each with all that a refusal may call it; those that were not set, or were left
    out already, do not count.
    """
    words = re.sub(rf"(?<!\w){re.escape(request.model.id)}(?!\w)", "", words)  # it may be called "…-reasoning"
    if _REFUSED.search(words) is None or _BAD_VALUE.search(words) is not None:
        return None
    called = {
        name: option
        for option, own_names in names.items()
        if option in request.params and option not in without
        for name in own_names
    }
    at = {name: found.start() for name in called if (found := _word(name).search(words))}
    return called[min(at, key=lambda name: at[name])] if at else None


def names_one_of(words: str, names: Iterable[str]) -> bool:
    """Say whether a refusal of something names one of these."""
    return _REFUSED.search(words) is not None and any(_word(name).search(words) for name in names)


def _word(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![a-z0-9]){re.escape(name)}(?![a-z0-9])", re.IGNORECASE)


def names_prefill(words: str) -> bool:
    """Say whether a refusal is about an answer that was begun for the model."""
    return _PREFILL.search(words) is not None


def system_text(messages: Iterable[Message]) -> str:
    """Return the system prompt, for dialects that have a place of their own for it."""
    return "\n\n".join(m.text for m in messages if m.role == "system" and m.text.strip())


def in_turns(
    messages: Iterable[Message], content: Callable[[Message], list[Object]]
) -> list[tuple[Role, list[Object]]]:
    """Return the conversation with neighbours of one role in one, for dialects that insist on taking turns."""
    said = [(m.role, parts) for m in messages if m.role != "system" and (parts := content(m))]
    return [(role, [part for _, parts in group for part in parts]) for role, group in groupby(said, key=itemgetter(0))]


def without_blanks(message: Message) -> list[Part]:
    """Return the parts of a message that say something; some vendors refuse an empty text."""
    return [part for part in message.parts if not isinstance(part, TextPart) or part.text.strip()]


def as_list(value: object) -> object:
    """Return one word as a list of it."""
    return [value] if isinstance(value, str) else value


def posted(path: str, headers: dict[str, str], body: Object) -> WireRequest:
    return WireRequest(path, headers, json.dumps(body, default=str).encode("ascii"))


def headers_for(accept: str, key_header: str, key: str | None, **others: str) -> dict[str, str]:
    """Return the headers of a request; `key` is the header's value, without one there is no such header."""
    headers = {"Content-Type": "application/json", "Accept": accept, **others}
    return {**headers, key_header: key} if key else headers


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
