"""What the user may set about the screen; parsed by `config.py`, handed in by bootstrap."""

from dataclasses import field
from decimal import Decimal
from typing import Literal

from tui_chat.core.record import record


@record
class UISettings:
    theme: str = "textual-dark"
    """`textual-dark` and `textual-light` mean our own dark and light; any other Textual theme by its name."""
    enter: Literal["send", "newline"] = "send"
    glyphs: Literal["unicode", "ascii"] = "unicode"
    stop_after_tokens: int = 0
    """> 0: pause each answer there for a verdict."""
    render_interval_ms: int = 50
    keep_stops: Literal["ask", "stop", "leave"] = "ask"
    """What happens to the other answers that run when one of several is kept; `ask` does so once."""
    currency: str | None = None
    """The code of one that totals are shown in beside USD."""
    currency_rate: Decimal | None = None
    """Units of it for one USD; there whenever `currency` is."""
    keys: dict[str, str] = field(default_factory=dict)
    """Binding id → keys separated by commas."""
