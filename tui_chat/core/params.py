"""The sampling parameters that mean the same everywhere, as people write them.

Bounds are only those that no vendor goes beyond; what a model takes besides is for its server to say.
"""

from tui_chat.core.model import Params
from tui_chat.core.record import record

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")


@record
class Param:
    name: str
    """As in `params` of config.toml."""
    label: str
    about: str
    """What may be written, in a few words."""


PARAMS = (
    Param("temperature", "temperature", "0 to 2: low is steady, high is lively"),
    Param("top_p", "top p", "0 to 1: the share of likely words to choose from"),
    Param("max_tokens", "max tokens", "the longest answer, such as 2000"),
    Param("reasoning_effort", "reasoning effort", ", ".join(EFFORTS)),
    Param("stop", "stop", "words that end the answer, separated by commas"),
)


def read_param(name: str, text: str) -> object:
    """Return the value that `text` means, `None` for nothing. Raises ValueError with a line for the user."""
    text = text.strip()
    if not text:
        return None
    match name:
        case "temperature" | "top_p":
            most = 2.0 if name == "temperature" else 1.0
            try:
                value = float(text.replace(",", "."))
            except ValueError:
                value = -1.0
            if not 0 <= value <= most:
                raise ValueError(f"{name} must be a number from 0 to {most:g}")
            return int(value) if value.is_integer() else value
        case "max_tokens":
            digits = text.replace("_", "").replace(",", "").replace(" ", "")
            if not digits.isascii() or not digits.isdigit() or not 0 < int(digits) < 10**9:
                raise ValueError("max_tokens must be a whole number above 0")
            return int(digits)
        case "reasoning_effort":
            if text.lower() not in EFFORTS:
                raise ValueError(f"reasoning_effort must be one of {', '.join(EFFORTS)}")
            return text.lower()
        case "stop":
            words = [word.strip().replace("\\n", "\n") for word in text.split(",")]
            return [word for word in words if word]
        case _:
            raise ValueError(f"{name} is no parameter")


def write_param(value: object) -> str:
    """Return a value as `read_param` reads it."""
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(str(word).replace("\n", "\\n") for word in value)
    return str(value)


def summary(params: Params) -> str:
    """Return the parameters in a few words: `temperature 0.2, max tokens 2000`; empty when there are none."""
    labels = {param.name: param.label for param in PARAMS}
    return ", ".join(f"{labels.get(name, name)} {write_param(value)}" for name, value in params.items())
