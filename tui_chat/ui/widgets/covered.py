"""Containers whose own surface nobody sees, because their children cover it.

Textual draws every row of every container below the widgets that are seen: with the usual nesting, most of what a frame
of a scrolling answer costs. A `BLANK` container hands out one blank strip for all of its rows instead. On our screen
that took a streamed answer from 2.4 to 1.5 s of CPU per 1,000 tokens. Only for containers without border or tint.
"""

from textual.containers import Horizontal, Vertical


class CoveredHorizontal(Horizontal):
    """A row of widgets that fill it."""

    BLANK = True


class CoveredVertical(Vertical):
    """A column of widgets that fill it, or leave plain background."""

    BLANK = True
