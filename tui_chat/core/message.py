"""What goes over the wire: roles, parts, messages. A message is only a projection of the turns (see `context.py`)."""

from dataclasses import dataclass
from typing import Literal

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class TextPart:
    text: str


@dataclass(frozen=True, slots=True)
class BlobPart:
    """A file or picture sent along with a prompt."""

    name: str
    media_type: str
    data: bytes


Part = TextPart | BlobPart


@dataclass(frozen=True, slots=True)
class Message:
    role: Role
    parts: tuple[Part, ...]

    @classmethod
    def of(cls, role: Role, text: str) -> "Message":
        return cls(role, (TextPart(text),))

    @property
    def text(self) -> str:
        """The text parts joined; blobs are left out."""
        return "\n\n".join(part.text for part in self.parts if isinstance(part, TextPart))
