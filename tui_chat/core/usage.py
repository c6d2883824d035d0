"""Token counts of one answer.

`None` always means "not known" and is never treated as 0. `input_tokens` includes cached tokens and `output_tokens`
includes reasoning, whatever the provider's own convention; wire formats normalise once, at the edge.
"""

from dataclasses import fields, replace
from typing import Literal

from tui_chat.core.record import record

UsageSource = Literal["reported", "estimated", "partial"]


@record
class Usage:
    input_tokens: int | None = None
    """Everything that was sent, cached tokens included."""
    output_tokens: int | None = None
    """Everything that was generated, hidden reasoning included."""
    cached_input_tokens: int | None = None
    """The part of the input that was read from a cache."""
    cache_write_tokens: int | None = None
    """The part of the input that was written to a cache."""
    reasoning_tokens: int | None = None
    """The part of the output that was reasoning."""

    def updated(self, later: "Usage") -> "Usage":
        """Return this with every field that `later` reports replaced: snapshots are cumulative, never added."""
        known = {f.name: value for f in fields(later) if (value := getattr(later, f.name)) is not None}
        return replace(self, **known)

    def checked(self) -> "Usage":
        """Return this without the fields that cannot be true: negative, or a subset larger than its whole."""

        def sane(value: int | None) -> int | None:
            return value if value is not None and value >= 0 else None

        def part(value: int | None, whole: int | None) -> int | None:
            value = sane(value)
            return None if value is not None and whole is not None and value > whole else value

        whole_in, whole_out = sane(self.input_tokens), sane(self.output_tokens)
        return Usage(
            whole_in,
            whole_out,
            part(self.cached_input_tokens, whole_in),
            part(self.cache_write_tokens, whole_in),
            part(self.reasoning_tokens, whole_out),
        )


@record
class CountedUsage:
    """What one answer used, with the quality of each figure."""

    usage: Usage
    source: UsageSource
    estimated: tuple[str, ...] = ()
    """Names of the fields that are ours, not the provider's."""
