"""Takes keys out of every text that leaves this room: by value, every one that was used, and by shape.

By value goes first and knows the spellings that servers and URLs give a key (escaped, percent-encoded). By shape
catches keys that are not ours. Model text is only cleaned by value: an answer *about* keys must stay as it was sent.
"""

import json
import re
from urllib.parse import quote

MARK = "[key]"
SHORTEST = 8
"""Shorter keys (`test`, `EMPTY`, `ollama`) are placeholders of local servers; replacing them would garble prose."""

_SHAPES = (
    r"(?P<head>\b(?:bearer|basic)\s+)[^\s\"',;]{6,}"
    r"|(?P<query>[?&](?:api[-_]?key|key|token|access[-_]token|sig|secret)=)[^&\s\"'<>;]+"
    r"|(?P<header>\b(?:x-)?(?:api[-_]key|goog-api-key)[\"']?\s*[:=]\s*[\"']?)[^\s\"',;]{6,}"
    r"|(?P<user>://)[^/\s@]+@"
    r"|\bsk[-_][\w*.-]{6,}[\w*]"
    r"|\b(?:rk|pk|gsk|xai|hf|pplx|csk|nvapi|tgp|fw|glpat|ghp|gho)[-_](?:\w{2,6}_)?[A-Za-z0-9]{16,}"
    r"|\bAIza[\w-]{20,}"
    r"|\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*"
)


def _shape(match: re.Match[str]) -> str:
    if match["user"]:
        return f"{match['user']}{MARK}@"
    return (match["head"] or match["query"] or match["header"] or "") + MARK


class Secrets:
    """The keys used so far; one object for all providers, since one may echo what another was sent."""

    __slots__ = ("_values",)

    def __init__(self) -> None:
        self._values: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Secrets({len(self._values)} spellings)"

    def add(self, value: str | None) -> None:
        """Remember a key, in all its spellings."""
        if value is None or len(value) < SHORTEST or value in self._values:
            return
        spellings = {*self._values, value, json.dumps(value)[1:-1], quote(value), quote(value, safe="")}
        self._values = tuple(sorted(spellings, key=len, reverse=True))

    def clean(self, text: str) -> str:
        """Return `text` without keys, known ones and what looks like one."""
        return re.sub(_SHAPES, _shape, self.clean_values(text), flags=re.IGNORECASE)

    def clean_values(self, text: str) -> str:
        """Return `text` without the known keys; nothing else changes."""
        for value in self._values:
            if value in text:
                text = text.replace(value, MARK)
        return text

    def echo(self) -> "Echo":
        """Return a cleaner for one text that comes in pieces."""
        return Echo(self._values)


_TELLING = 4
"""So many characters of a key are held back until the next piece tells whether it goes on."""


class Echo:
    """Takes known keys out of a text that comes in pieces, should a server send them back token by token.

    What may be the beginning of a key waits for the next piece. Nothing else is delayed or changed.
    """

    __slots__ = ("_held", "_tail", "_values")

    def __init__(self, values: tuple[str, ...]) -> None:
        self._values = values
        self._held = ""
        self._tail = ""
        """The last characters that were let through: too few to tell."""

    def feed(self, text: str) -> str:
        """Return what can be let through by now."""
        if not self._values:
            return text
        seen = self._tail + self._held + text
        fresh = len(self._tail)
        for value in self._values:
            at = seen.find(value)
            while at >= 0:
                seen = seen[: max(at, fresh)] + MARK + seen[at + len(value) :]
                at = seen.find(value)
        upto = max(fresh, min(self._beginning(seen, value) for value in self._values))
        self._held, self._tail = seen[upto:], seen[:upto][1 - _TELLING :]
        return seen[fresh:upto]

    @staticmethod
    def _beginning(seen: str, value: str) -> int:
        """Return where `seen` ends in a beginning of `value`, else its length."""
        at = seen.find(value[:_TELLING], max(0, len(seen) - len(value) + 1))
        while at >= 0 and not value.startswith(seen[at:]):
            at = seen.find(value[:_TELLING], at + 1)
        return at if at >= 0 else len(seen)

    def rest(self) -> str:
        """Return what was held back, at the end."""
        held, self._held = self._held, ""
        return held
