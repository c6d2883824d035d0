"""The lists of models that providers keep, in each dialect's shape: from parsed JSON to names that can chat.

Every vendor adds fields of its own to OpenAI's bare `{"data": [{"id": …}]}`; those that tell what a model can do, how
much fits in and what it costs are read where they are known. What cannot chat (embeddings, speech, pictures) is left
out: by what the list says of it, else by its name.
"""

import re
from decimal import Decimal, InvalidOperation

from tui_chat.core.model import ListedModel
from tui_chat.core.pricing import Price
from tui_chat.providers.decoding import Object, count, first, inner, objects, word

_MILLION = Decimal(1_000_000)
_NO_CHAT = re.compile(
    r"embed|whisper|(^|[-/])tts|dall-e|moderation|transcri|gpt-image|(^|[-/])sora|realtime|babbage|davinci|rerank|"
    r"(^|[-/])bge-|stable-diffusion|(^|[-/])flux|guard|-audio|imagen|(^|[-/])veo|[-/]ocr|speech|voice|computer-use",
    re.IGNORECASE,
)

_LONGEST = 256
"""Characters of a model's name."""
_OTHER_KINDS = frozenset(("embedding", "embeddings", "image", "audio", "moderation", "rerank", "video", "transcribe"))


def openai_models(answer: object) -> list[ListedModel]:
    """Return the models of `GET /models` as OpenAI and those who follow it answer: an object, or a bare list."""
    found = answer.get("data", answer.get("models")) if isinstance(answer, dict) else answer
    models = [model for each in objects(found) if (model := _openai(each)) is not None]
    return list({model.id: model for model in models}.values())


def _openai(each: Object) -> ListedModel | None:
    name = word(each.get("id")) or word(each.get("name")) or word(each.get("model"))
    if name is None or not _usable(name) or not _chats(each, name):
        return None
    window = first(
        count(each, "context_window"),
        count(each, "context_length"),
        count(each, "max_context_length"),
        count(each, "max_model_len"),
        count(inner(each, "meta"), "n_ctx_train"),
        count(inner(each, "limits"), "max_input_tokens"),
    )
    return ListedModel(name, window or None, _price(inner(each, "pricing")))


def _usable(name: str) -> bool:
    """Say whether a name can be shown, typed and kept."""
    return 0 < len(name) <= _LONGEST and name.isprintable()


def _chats(each: Object, name: str) -> bool:
    kind = each.get("type")
    if isinstance(kind, str) and kind.lower() in _OTHER_KINDS:
        return False
    if inner(each, "capabilities").get("completion_chat") is False:  # Mistral
        return False
    made = inner(each, "architecture").get("output_modalities")  # OpenRouter
    if isinstance(made, list) and "text" not in made:
        return False
    return _NO_CHAT.search(name) is None


def _price(pricing: Object) -> Price | None:
    """Return OpenRouter's prices, which are USD for one token, as text; a negative one means that it varies."""
    sent, answered = _per_mtok(pricing.get("prompt")), _per_mtok(pricing.get("completion"))
    if sent is None or answered is None:
        return None
    fee = _figure(pricing.get("request"))
    return Price(
        input_per_mtok=sent,
        output_per_mtok=answered,
        cached_input_per_mtok=_per_mtok(pricing.get("input_cache_read")),
        cache_write_per_mtok=_per_mtok(pricing.get("input_cache_write")),
        per_request=fee or None,
        source="provider",
    )


def _per_mtok(value: object) -> Decimal | None:
    figure = _figure(value)
    return None if figure is None else (figure * _MILLION).normalize()


def _figure(value: object) -> Decimal | None:
    if not isinstance(value, str):  # others write numbers, in units of their own
        return None
    try:
        figure = Decimal(value)
    except InvalidOperation:
        return None
    return figure if figure.is_finite() and 0 <= figure < 1000 else None


def anthropic_models(answer: object) -> list[ListedModel]:
    """Return the models of Anthropic's `GET /models`."""
    return openai_models(answer)


def gemini_models(answer: object) -> list[ListedModel]:
    """Return the models of Gemini's `GET /models` that generate content, without the `models/` before each name."""
    models = []
    for each in objects(answer.get("models")) if isinstance(answer, dict) else []:
        name = (word(each.get("name")) or "").removeprefix("models/")
        methods = each.get("supportedGenerationMethods")
        chats = not isinstance(methods, list) or "generateContent" in methods
        if _usable(name) and chats and not _NO_CHAT.search(name):
            models.append(ListedModel(name, count(each, "inputTokenLimit") or None))
    return models


def ollama_models(answer: object) -> list[ListedModel]:
    """Return the models of Ollama's `GET /api/tags`."""
    found = answer.get("models") if isinstance(answer, dict) else None
    names = [word(each.get("model")) or word(each.get("name")) for each in objects(found)]
    return [ListedModel(name) for name in names if name and _usable(name) and not _NO_CHAT.search(name)]
