"""The built-in models and their play prices, apart from what they say: each start lists them, few answers need them."""

from decimal import Decimal

from tui_chat.core.model import Model
from tui_chat.core.pricing import Price
from tui_chat.core.record import record


@record
class Voice:
    """How one of the models talks."""

    id: str
    tokens_per_s: float
    first_token_s: float
    price: Price


def _play(input_per_mtok: str, output_per_mtok: str) -> Price:
    return Price(Decimal(input_per_mtok), Decimal(output_per_mtok), source="play", play=True)


VOICES = (
    Voice("quick", 120, 0.25, _play("0.10", "0.40")),
    Voice("thinker", 60, 0.40, _play("0.60", "2.40")),
    Voice("rambler", 45, 0.30, _play("0.30", "1.20")),
)


def demo_models() -> tuple[Model, ...]:
    """Return the built-in models, the quick one first."""
    return tuple(Model("demo", v.id, "demo", 8192, v.price, found="built in, scripted", scripted=True) for v in VOICES)
