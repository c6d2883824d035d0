"""The providers known by name. A table `[providers.NAME]` in config.toml overrides its preset key by key.

A new endpoint of a known dialect is a few lines of data here. Python's own literals, not TOML: every start reads them,
and the compiled module is there at once where a TOML reader would have to be loaded first.

Whether a provider stops billing when the connection is closed (`stops_billing`) is said by none of the vendors
themselves. What is known comes from OpenRouter's page on streaming, section on cancellation (openrouter.ai/docs, read
2026-11), which lists upstreams that stop and upstreams that run on and bill the whole answer; for a vendor's own
endpoint that is the best there is, so it stands here as such. Local servers cost nothing either way: llama.cpp was
seen to stop working at once (2026-11-20).
"""

from collections.abc import Mapping
from typing import Literal

from tui_chat.core.record import record

_UPSTREAM = "OpenRouter's list of upstreams, openrouter.ai/docs, 2026-11"
_SILENT = "nothing found in the vendor's documentation, 2026-11"


@record
class Preset:
    title: str
    """Its name for people."""
    base_url: str = ""
    """Up to the folder that the dialect's paths are appended to; empty where each customer has an address."""
    kind: str = "openai"
    key_env: str | None = None
    """The variable that holds its key; a preset that names one needs a key."""
    other_envs: tuple[str, ...] = ()
    """Further variables in use for the key, looked at behind the first."""
    base_url_env: str | None = None
    """The variable that holds the customer's address, where each has one."""
    keys_page: str = ""
    """Where a key is made."""
    prices_page: str = ""
    """Where the vendor says what it charges."""
    vendor: bool = False
    """True when it sells its own models, so that the price table's rows for this name hold at this host."""
    local: bool = False
    """A server on this machine: no key, and its models are its own affair."""
    first: str | None = None
    """The model to start with when nothing else says one and the key is there."""
    key_header: str = ""
    """The header that carries the key, where it is not the dialect's."""
    list_url: str = ""
    """Where the list of models is, where it is not the dialect's place."""
    check_path: str = ""
    """What to GET to try a key, where the list of models is open to everybody."""
    bill_path: str = ""
    """What to GET for the bill of one answer, with `{id}` for its id."""
    prefill: bool = False
    """It goes on with an answer that was begun for it (for the dialects that leave that to the server)."""
    stops_billing: Literal["yes", "no", "unknown"] = "unknown"
    """Whether closing the connection ends the bill."""
    stops_source: str = _SILENT
    """Who says so."""
    note: str = ""


PRESETS: Mapping[str, Preset] = {
    "openai": Preset(
        "OpenAI",
        "https://api.openai.com/v1",
        key_env="OPENAI_API_KEY",
        keys_page="platform.openai.com/api-keys",
        prices_page="platform.openai.com/docs/pricing",
        vendor=True,
        first="gpt-4.1",
        stops_billing="yes",
        stops_source=_UPSTREAM,
    ),
    "anthropic": Preset(
        "Anthropic",
        "https://api.anthropic.com/v1",
        kind="anthropic",
        key_env="ANTHROPIC_API_KEY",
        keys_page="console.anthropic.com/settings/keys",
        prices_page="docs.claude.com/en/docs/about-claude/pricing",
        vendor=True,
        first="claude-sonnet-4-5",
        stops_billing="yes",
        stops_source=_UPSTREAM,
    ),
    "gemini": Preset(
        "Google Gemini",
        "https://generativelanguage.googleapis.com/v1beta",
        kind="gemini",
        key_env="GEMINI_API_KEY",
        other_envs=("GOOGLE_API_KEY",),
        keys_page="aistudio.google.com/apikey",
        prices_page="ai.google.dev/gemini-api/docs/pricing",
        vendor=True,
        first="gemini-2.5-flash",
        stops_billing="no",
        stops_source=_UPSTREAM,
    ),
    "deepseek": Preset(
        "DeepSeek",
        "https://api.deepseek.com/v1",
        key_env="DEEPSEEK_API_KEY",
        keys_page="platform.deepseek.com/api_keys",
        prices_page="api-docs.deepseek.com/quick_start/pricing",
        vendor=True,
        first="deepseek-flash",
        stops_billing="yes",
        stops_source=_UPSTREAM,
    ),
    "openrouter": Preset(
        "OpenRouter",
        "https://openrouter.ai/api/v1",
        key_env="OPENROUTER_API_KEY",
        keys_page="openrouter.ai/settings/keys",
        prices_page="openrouter.ai/models",
        first="openai/gpt-4.1",
        check_path="/key",
        bill_path="/generation?id={id}",
        prefill=True,
        stops_billing="unknown",
        stops_source="it depends on the upstream, openrouter.ai/docs, 2026-11",
        note="says what each answer cost",
    ),
    "mistral": Preset(
        "Mistral",
        "https://api.mistral.ai/v1",
        key_env="MISTRAL_API_KEY",
        keys_page="console.mistral.ai/api-keys",
        prices_page="mistral.ai/pricing",
        vendor=True,
        first="mistral-large-latest",
        stops_billing="no",
        stops_source=_UPSTREAM,
    ),
    "groq": Preset(
        "Groq",
        "https://api.groq.com/openai/v1",
        key_env="GROQ_API_KEY",
        keys_page="console.groq.com/keys",
        prices_page="groq.com/pricing",
        vendor=True,
        first="llama-3.3-70b-versatile",
        stops_billing="no",
        stops_source=_UPSTREAM,
    ),
    "xai": Preset(
        "xAI",
        "https://api.x.ai/v1",
        key_env="XAI_API_KEY",
        keys_page="console.x.ai",
        prices_page="docs.x.ai/docs/models",
        vendor=True,
        first="grok-4",
        stops_billing="yes",
        stops_source=_UPSTREAM,
    ),
    "together": Preset(
        "Together",
        "https://api.together.xyz/v1",
        key_env="TOGETHER_API_KEY",
        keys_page="api.together.ai/settings/api-keys",
        prices_page="together.ai/pricing",
        vendor=True,
        first="meta-llama/Llama-3.3-70B-Instruct-Turbo",
        stops_billing="yes",
        stops_source=_UPSTREAM,
    ),
    "fireworks": Preset(
        "Fireworks",
        "https://api.fireworks.ai/inference/v1",
        key_env="FIREWORKS_API_KEY",
        keys_page="app.fireworks.ai/settings/users/api-keys",
        prices_page="fireworks.ai/pricing",
        vendor=True,
        first="accounts/fireworks/models/deepseek-v3p1",
        stops_billing="yes",
        stops_source=_UPSTREAM,
    ),
    "perplexity": Preset(
        "Perplexity",
        "https://api.perplexity.ai",
        key_env="PERPLEXITY_API_KEY",
        other_envs=("PPLX_API_KEY",),
        keys_page="perplexity.ai/account/api",
        prices_page="docs.perplexity.ai/getting-started/pricing",
        vendor=True,
        first="sonar",
        stops_billing="no",
        stops_source=_UPSTREAM,
    ),
    "cerebras": Preset(
        "Cerebras",
        "https://api.cerebras.ai/v1",
        key_env="CEREBRAS_API_KEY",
        keys_page="cloud.cerebras.ai",
        prices_page="cerebras.ai/pricing",
        vendor=True,
        first="llama-3.3-70b",
    ),
    "azure": Preset(
        "Azure OpenAI",
        key_env="AZURE_OPENAI_API_KEY",
        base_url_env="AZURE_OPENAI_ENDPOINT",
        keys_page="portal.azure.com, your resource, Keys and Endpoint",
        prices_page="azure.microsoft.com/pricing/details/cognitive-services/openai-service",
        key_header="api-key",
        stops_billing="yes",
        stops_source=_UPSTREAM,
        note="a model is one of your deployments: azure/DEPLOYMENT",
    ),
    "github": Preset(
        "GitHub Models",
        "https://models.github.ai/inference",
        key_env="GITHUB_TOKEN",
        other_envs=("GH_TOKEN",),
        keys_page="github.com/settings/tokens, permission models: read",
        prices_page="docs.github.com/en/billing/managing-billing-for-your-products/about-billing-for-github-models",
        first="openai/gpt-4.1",
        list_url="https://models.github.ai/catalog/models",
    ),
    "moonshot": Preset(
        "Moonshot",
        "https://api.moonshot.ai/v1",
        key_env="MOONSHOT_API_KEY",
        keys_page="platform.moonshot.ai/console/api-keys",
        prices_page="platform.moonshot.ai/docs/pricing/chat",
        vendor=True,
        first="kimi-k2-turbo-preview",
    ),
    "zai": Preset(
        "Z.ai (Zhipu)",
        "https://api.z.ai/api/paas/v4",
        key_env="ZAI_API_KEY",
        other_envs=("ZHIPUAI_API_KEY",),
        keys_page="z.ai/manage-apikey/apikey-list",
        prices_page="docs.z.ai/guides/overview/pricing",
        vendor=True,
        first="glm-4.6",
    ),
    "qwen": Preset(
        "Alibaba Qwen",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        key_env="DASHSCOPE_API_KEY",
        keys_page="modelstudio.console.alibabacloud.com",
        prices_page="alibabacloud.com/help/en/model-studio/models",
        vendor=True,
        first="qwen-plus",
        note="Singapore; for mainland China set base_url to https://dashscope.aliyuncs.com/compatible-mode/v1",
    ),
    "siliconflow": Preset(
        "SiliconFlow",
        "https://api.siliconflow.com/v1",
        key_env="SILICONFLOW_API_KEY",
        keys_page="cloud.siliconflow.com/account/ak",
        prices_page="siliconflow.com/pricing",
        vendor=True,
        first="deepseek-ai/DeepSeek-V3.1",
        note="for mainland China set base_url to https://api.siliconflow.cn/v1",
    ),
    "aiwave": Preset(
        "AIWave",
        "https://api.aiwave.live/v1",
        key_env="AIWAVE_API_KEY",
        keys_page="aiwave.live",
        prices_page="aiwave.live",
        first="deepseek-chat",
        note="a reseller: prices unknown until config.toml says them",
    ),
    # A reseller whose own guide prints output prices, which the table has; input prices differ from page to page there.
    "holysheep": Preset(
        "HolySheep",
        "https://api.holysheep.ai/v1",
        key_env="HOLYSHEEP_API_KEY",
        keys_page="holysheep.ai",
        prices_page="holysheep.ai",
        vendor=True,
        first="deepseek-v3.2",
        note="a reseller: output prices as its guide prints them, input prices unknown",
    ),
    "aipower": Preset(
        "AIPower",
        "https://api.aipower.me/v1",
        key_env="AIPOWER_API_KEY",
        keys_page="aipower.me",
        prices_page="aipower.me",
        first="deepseek/deepseek-chat",
        note="a reseller: prices unknown until config.toml says them",
    ),
    "ollama": Preset(
        "Ollama",
        "http://127.0.0.1:11434",
        kind="ollama",
        local=True,
        stops_billing="yes",
        stops_source="nothing is billed",
    ),
    "lmstudio": Preset(
        "LM Studio", "http://127.0.0.1:1234/v1", local=True, stops_billing="yes", stops_source="nothing is billed"
    ),
    "llamacpp": Preset(
        "llama.cpp",
        "http://127.0.0.1:8080/v1",
        local=True,
        prefill=True,
        stops_billing="yes",
        stops_source="nothing is billed",
    ),
    "vllm": Preset(
        "vLLM", "http://127.0.0.1:8000/v1", local=True, stops_billing="yes", stops_source="nothing is billed"
    ),
}
"""All presets by id, in the order in which they are preferred."""
