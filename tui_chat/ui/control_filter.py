"""The belt under the braces: a filter over everything that is painted.

Textual passes ESC, C1, DEL, bidi and tag characters of any widget through to the terminal. Foreign text is cleaned
where
it enters the screen; this filter makes sure of what a library widget (a toast, an input, the palette) may still draw.
"""

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from tui_chat.core.safe_text import safe


class ControlFilter(LineFilter):
    """Replaces control characters in painted segments by visible substitutes of the same width."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002  Textual's signature
        return [
            segment
            if segment.control or (segment.text.isascii() and segment.text.isprintable())
            else Segment(safe(segment.text).replace("\n", "\ufffd"), segment.style, segment.control)
            for segment in segments
        ]
