"""The providers known by name. A table `[providers.NAME]` in config.toml overrides its preset key by key.

A new endpoint of a known dialect is a few lines of data here. Python's own literals, not TOML: every start reads them,
and the compiled module is there at once where a TOML reader would have to be loaded first.
"""

from collections.abc import Mapping

from tui_chat.core.record import record


@record
class Preset:
    base_url: str
    """For kind openai up to the folder that holds /chat/completions."""
    kind: str = "openai"
    key_env: str | None = None
    """The variable that holds its key; a preset that names one needs a key."""
    vendor: bool = False
    """True when it sells its own models, so that the price table's rows for this name hold at this host."""
    local: bool = False
    """A server on this machine: no key, and its models are its own affair."""
    first: str | None = None
    """The model to start with when nothing else says one and the key is there."""
    note: str = ""


PRESETS: Mapping[str, Preset] = {
    "openai": Preset("https://api.openai.com/v1", key_env="OPENAI_API_KEY", vendor=True, first="gpt-4.1"),
    # Its own kind is `anthropic`, at this same base_url. Until that is built: the vendor's endpoint for OpenAI clients.
    "anthropic": Preset(
        "https://api.anthropic.com/v1",
        key_env="ANTHROPIC_API_KEY",
        vendor=True,
        first="claude-sonnet-4-5",
        note="through the vendor's OpenAI-compatible endpoint, which has no prompt caching",
    ),
    # Its own kind is `gemini`, with base_url https://generativelanguage.googleapis.com/v1beta.
    "gemini": Preset(
        "https://generativelanguage.googleapis.com/v1beta/openai",
        key_env="GEMINI_API_KEY",
        vendor=True,
        first="gemini-2.5-flash",
        note="through the vendor's OpenAI-compatible endpoint",
    ),
    "deepseek": Preset("https://api.deepseek.com/v1", key_env="DEEPSEEK_API_KEY", vendor=True, first="deepseek-flash"),
    "openrouter": Preset(
        "https://openrouter.ai/api/v1",
        key_env="OPENROUTER_API_KEY",
        first="openai/gpt-4.1",
        note="says what each answer cost",
    ),
    "mistral": Preset(
        "https://api.mistral.ai/v1", key_env="MISTRAL_API_KEY", vendor=True, first="mistral-large-latest"
    ),
    "groq": Preset(
        "https://api.groq.com/openai/v1", key_env="GROQ_API_KEY", vendor=True, first="llama-3.3-70b-versatile"
    ),
    "xai": Preset("https://api.x.ai/v1", key_env="XAI_API_KEY", vendor=True, first="grok-4"),
    "together": Preset(
        "https://api.together.xyz/v1",
        key_env="TOGETHER_API_KEY",
        vendor=True,
        first="meta-llama/Llama-3.3-70B-Instruct-Turbo",
    ),
    "fireworks": Preset("https://api.fireworks.ai/inference/v1", key_env="FIREWORKS_API_KEY", vendor=True),
    "perplexity": Preset("https://api.perplexity.ai", key_env="PERPLEXITY_API_KEY", vendor=True, first="sonar"),
    "cerebras": Preset("https://api.cerebras.ai/v1", key_env="CEREBRAS_API_KEY", vendor=True),
    "moonshot": Preset("https://api.moonshot.ai/v1", key_env="MOONSHOT_API_KEY", vendor=True),
    "aiwave": Preset(
        "https://api.aiwave.live/v1",
        key_env="AIWAVE_API_KEY",
        note="a reseller: prices unknown until config.toml says them",
    ),
    # A reseller whose own guide prints output prices, which the table has; input prices differ from page to page there.
    "holysheep": Preset(
        "https://api.holysheep.ai/v1",
        key_env="HOLYSHEEP_API_KEY",
        vendor=True,
        first="deepseek-v3.2",
        note="a reseller: output prices as its guide prints them, input prices unknown",
    ),
    "aipower": Preset(
        "https://api.aipower.me/v1",
        key_env="AIPOWER_API_KEY",
        note="a reseller: prices unknown until config.toml says them",
    ),
    # Its own kind is `ollama`, with base_url http://127.0.0.1:11434.
    "ollama": Preset("http://127.0.0.1:11434/v1", local=True),
    "lmstudio": Preset("http://127.0.0.1:1234/v1", local=True),
    "llamacpp": Preset("http://127.0.0.1:8080/v1", local=True),
    "vllm": Preset("http://127.0.0.1:8000/v1", local=True),
}
"""All presets by id, in the order in which they are preferred."""
