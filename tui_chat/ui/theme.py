"""Colours and glyphs. Widgets name roles (`$fg2`, `$run`), never colours.

Every coloured state has a glyph and a word too.
"""

from textual.theme import Theme

from tui_chat.core.record import record

DARK = {
    "bg": "#15171c",
    "side": "#101216",
    "rise": "#1e2128",
    "sel": "#2b303b",
    "fg": "#dfe3ea",
    "fg2": "#a3abb8",
    "rule": "#3a404c",
    "bar": "#7786ad",
    "acc": "#b3a6ff",
    "run": "#5cc8dc",
    "stop": "#e5b454",
    "fail": "#ff8b82",
    "best": "#7ed491",
    "kw": "#9db8e8",
    "lit": "#c9b68f",
}
LIGHT = {
    "bg": "#fbfaf7",
    "side": "#f2f0ea",
    "rise": "#f0eee8",
    "sel": "#e3dfd5",
    "fg": "#23262d",
    "fg2": "#585e69",
    "rule": "#cfcabf",
    "bar": "#6a769c",
    "acc": "#5a44c8",
    "run": "#00687a",
    "stop": "#835200",
    "fail": "#ab2019",
    "best": "#1b6b33",
    "kw": "#2f4f8f",
    "lit": "#6f5718",
}


def _theme(name: str, palette: dict[str, str], *, dark: bool) -> Theme:
    return Theme(
        name=name,
        dark=dark,
        primary=palette["acc"],
        accent=palette["acc"],
        foreground=palette["fg"],
        background=palette["bg"],
        surface=palette["rise"],
        panel=palette["side"],
        success=palette["best"],
        warning=palette["stop"],
        error=palette["fail"],
        variables={
            **palette,
            "scrollbar": palette["rule"],
            "scrollbar-hover": palette["bar"],
            "scrollbar-active": palette["bar"],
            "scrollbar-background": palette["bg"],
            "scrollbar-background-hover": palette["bg"],
            "scrollbar-background-active": palette["bg"],
            "scrollbar-corner-color": palette["bg"],
            "input-selection-background": palette["sel"],
            "screen-selection-background": palette["sel"],
            "screen-selection-foreground": palette["fg"],
            "block-cursor-background": palette["fg"],
            "block-cursor-foreground": palette["bg"],
        },
    )


THEMES = (_theme("tui-chat-dark", DARK, dark=True), _theme("tui-chat-light", LIGHT, dark=False))
ALIASES = {"textual-dark": "tui-chat-dark", "textual-light": "tui-chat-light"}


@record
class Glyphs:
    """What is drawn for states and lines; each one cell wide."""

    streaming: str = "●"
    thinking: str = "◔"
    waiting: str = "◌"
    done: str = "✓"
    stopped: str = "■"
    failed: str = "✗"
    budget: str = "◆"
    folded: str = "▸"
    open: str = "▾"
    bar: str = "▌"
    gauge: str = "━"
    track: str = "─"
    separator: str = "│"
    dot: str = "·"
    at_least: str = "≥"
    at_most: str = "≤"
    arrow: str = "→"
    dash: str = "–"
    ellipsis: str = "…"
    more: str = "↓"
    favourite: str = "●"
    marked: str = "✓"


UNICODE = Glyphs()
ASCII = Glyphs(
    streaming="*",
    thinking="%",
    waiting="o",
    done="+",
    stopped="#",
    failed="x",
    budget="!",
    folded=">",
    open="v",
    bar="|",
    gauge="=",
    track="-",
    separator="|",
    dot="-",
    at_least=">=",
    at_most="<=",
    arrow="->",
    dash="-",
    ellipsis="...",
    more="v",
    favourite="*",
    marked="+",
)
