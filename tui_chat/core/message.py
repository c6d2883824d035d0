"""What goes over the wire: roles, parts, messages. A message is only a projection of the turns (see `context.py`)."""

from typing import Literal

from tui_chat.core.record import record

Role = Literal["system", "user", "assistant"]


@record
class TextPart:
    text: str


@record
class BlobPart:
    """A file or picture sent along with a prompt."""

    name: str
    media_type: str
    data: bytes

    @property
    def text(self) -> str:
        """What goes over the wire as text: the content of a text file, nothing for pictures and the like."""
        return self.data.decode("utf-8", "replace") if self.media_type.startswith("text/") else ""


Part = TextPart | BlobPart


@record
class Message:
    role: Role
    parts: tuple[Part, ...]

    @classmethod
    def of(cls, role: Role, text: str) -> "Message":
        return cls(role, (TextPart(text),))

    @property
    def size(self) -> int:
        """Characters and bytes in it, roughly: what decides whether counting it takes time."""
        return sum(len(p.text) if isinstance(p, TextPart) else len(p.data) for p in self.parts)

    @property
    def has_pictures(self) -> bool:
        """True when it holds what no text count covers: pictures, PDFs and the like."""
        return any(isinstance(part, BlobPart) and not part.media_type.startswith("text/") for part in self.parts)

    @property
    def text(self) -> str:
        """The text parts joined; blobs are left out."""
        return "\n\n".join(part.text for part in self.parts if isinstance(part, TextPart))
