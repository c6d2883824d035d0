"""The providers known by name: data in `presets.toml`, so that a new endpoint of a known dialect needs no code."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_FILE = Path(__file__).with_name("presets.toml")


@dataclass(frozen=True, slots=True)
class Preset:
    base_url: str
    kind: str = "openai"
    key_env: str | None = None
    """The variable that holds its key; a preset that names one needs a key."""
    vendor: bool = False
    """True when the price table's rows for this name hold at this host."""
    local: bool = False
    """A server on this machine: no key, and its models are its own affair."""
    first: str | None = None
    note: str = ""


def load_presets() -> Mapping[str, Preset]:
    """Return all presets by id, in the order in which they are preferred."""
    import tomllib

    return {name: Preset(**table) for name, table in tomllib.loads(_FILE.read_text(encoding="utf-8")).items()}
