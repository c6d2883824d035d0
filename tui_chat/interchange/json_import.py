"""Reads our own JSON exports back, ids and all. Everything is checked before anything is returned."""

import base64
import binascii
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import cast, get_args

from tui_chat.core.completion import Completion, Log
from tui_chat.core.conversation import Conversation, Turn
from tui_chat.core.errors import ChatError, ConfigurationError, ErrorKind
from tui_chat.core.events import FinishReason
from tui_chat.core.message import BlobPart
from tui_chat.core.model import Model, Params
from tui_chat.core.pricing import Cost, CostQuality
from tui_chat.core.usage import CountedUsage, Usage, UsageSource
from tui_chat.interchange.json_export import VERSION

Imported = list[tuple[Conversation, list[Turn]]]

_ROLES = ("user", "assistant")


def import_json(text: str) -> Imported:
    """Return the conversations of an export, each with its turns. Raises ConfigurationError that names the place."""
    try:
        top = _Record(json.loads(text, parse_float=_finite, parse_constant=_finite), "the file")
    except ValueError as bad:
        raise ConfigurationError(f"this is not JSON ({bad})") from bad
    except RecursionError as bad:
        raise ConfigurationError("this is nested too deeply for an export of tui-chat") from bad
    version = top.whole("version")
    if version != VERSION:
        raise ConfigurationError(f"this is an export of version {version}; this tui-chat reads version {VERSION}")
    return [_conversation(each) for each in top.records("conversations")]


def _finite(text: str) -> float:
    """Return a number that JSON can hold again. Raises ConfigurationError for others."""
    number = float(text)
    if not math.isfinite(number):
        raise ConfigurationError(f"the number {text[:20]} is too large, or none; is this an export of tui-chat?")
    return number


def _conversation(record: "_Record") -> tuple[Conversation, list[Turn]]:
    conversation = Conversation(
        record.text("id"),
        record.text("title"),
        record.time("created_at"),
        record.time("updated_at"),
        system_prompt=record.text_or_none("system_prompt"),
        tip_id=record.text_or_none("tip_id"),
        model=record.text_or_none("model"),
        params=record.params("params"),
        tags=record.texts("tags"),
        pinned=record.flag("pinned"),
        archived=record.flag("archived"),
    )
    turns: dict[str, Turn] = {}
    answers: set[str] = set()
    for message in record.records("messages"):
        role = message.text("role")
        if role not in _ROLES:
            raise message.wrong("role", "user or assistant")
        message_id, parent = message.text("id"), message.text_or_none("parent_id")
        if not message_id.isprintable() or not message_id or message_id in turns or message_id in answers:
            raise message.wrong("id", "an id of its own")
        if role == "user":
            if parent is not None and parent not in answers:
                raise message.wrong("parent_id", "the id of an answer before it, or null")
            turns[message_id] = _turn(message, conversation.id)
            continue
        if parent not in turns:
            raise message.wrong("parent_id", "the id of a prompt before it")
        answers.add(message_id)
        turn = turns[parent]
        turn.completions.append(_completion(message, turn.id))
        if message.flag("chosen"):
            turn.chosen_id = message_id
    if conversation.tip_id is not None and conversation.tip_id not in turns:
        raise record.wrong("tip_id", "the id of one of its prompts")
    return conversation, list(turns.values())


def _turn(message: "_Record", conversation_id: str) -> Turn:
    return Turn(
        message.text("id"),
        conversation_id,
        message.text("content"),
        message.time("created_at"),
        continues=message.text_or_none("parent_id"),
        attachments=tuple(_attachment(each) for each in message.records("attachments")),
        batch_id=message.text_or_none("batch_id"),
        blind=message.flag("blind"),
    )


def _attachment(record: "_Record") -> BlobPart:
    try:
        data = base64.b64decode(record.text("data"), validate=True)
    except (binascii.Error, ValueError):
        raise record.wrong("data", "base64") from None
    return BlobPart(record.text("name"), record.text("media_type"), data)


def _completion(message: "_Record", turn_id: str) -> Completion:
    provider, _, model_id = message.text("model").partition("/")
    if not provider or not model_id:
        raise message.wrong("model", "provider/model")
    timings = message.record("timings")
    return Completion(
        message.text("id"),
        turn_id,
        Model(provider, model_id),
        message.time("created_at"),
        params=message.params("params"),
        resumes_id=message.text_or_none("resumes_id"),
        discarded=message.flag("discarded"),
        hidden=message.flag("hidden"),
        text_log=Log(message.text("content")),
        reasoning_log=Log(message.text_or_none("reasoning") or ""),
        final_usage=_usage(message.record("usage")),
        final_cost=_cost(message),
        # whoever wrote the file may still have been running; here nobody is
        finish_reason=cast("FinishReason", message.one_of("finish_reason", FinishReason) or "interrupted"),
        error=_error(message.record("error")),
        model_served=message.text_or_none("model_served"),
        ttft_s=timings.seconds("first_token_s"),
        total_s=timings.seconds("total_s"),
    )


def _usage(record: "_Record") -> CountedUsage:
    usage = Usage(
        input_tokens=record.whole("input_tokens"),
        output_tokens=record.whole("output_tokens"),
        cached_input_tokens=record.whole("cached_input_tokens"),
        reasoning_tokens=record.whole("reasoning_tokens"),
    )
    source = cast("UsageSource", record.one_of("source", UsageSource) or "estimated")
    return CountedUsage(usage, source, record.texts("estimated"))


def _cost(message: "_Record") -> Cost:
    record = message.record("cost")
    amount, currency = record.decimal("amount"), record.text_or_none("currency") or "USD"
    return Cost(
        amount,
        currency,
        amount if currency == "USD" else message.decimal("cost_usd"),
        cast("CostQuality", record.one_of("quality", CostQuality) or "unknown"),
        record.text_or_none("price_source"),
        record.text_or_none("price_as_of"),
        record.flag("play"),
    )


def _error(record: "_Record") -> ChatError | None:
    if not record.given:
        return None
    kind = record.one_of("kind", ErrorKind) or "internal"
    return ChatError(cast("ErrorKind", kind), record.text("message"))


class _Record:
    """One JSON object and its place in the file; unknown keys do not matter, missing ones are null."""

    def __init__(self, value: object, place: str) -> None:
        if not isinstance(value, dict | None):
            raise ConfigurationError(f"{place} is not an object; is this an export of tui-chat?")
        self.given = value is not None
        self._values: Mapping[str, object] = value or {}
        self._place = place

    def wrong(self, key: str, expected: str) -> ConfigurationError:
        return ConfigurationError(f"{self._place}.{key} must be {expected}; is this an export of tui-chat?")

    def text(self, key: str) -> str:
        value = self._values.get(key)
        if not isinstance(value, str):
            raise self.wrong(key, "text")
        return value

    def text_or_none(self, key: str) -> str | None:
        return None if self._values.get(key) is None else self.text(key)

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._values.get(key) or []
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self.wrong(key, "a list of texts")
        return tuple(value)

    def flag(self, key: str) -> bool:
        value = self._values.get(key) or False
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def whole(self, key: str) -> int | None:
        value = self._values.get(key)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 62:
            raise self.wrong(key, "a whole number")
        return value

    def seconds(self, key: str) -> float | None:
        value = self._values.get(key)
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1e12:
            raise self.wrong(key, "a number of seconds")
        return float(value)

    def decimal(self, key: str) -> Decimal | None:
        value = self._values.get(key)
        if value is None:
            return None
        try:
            amount = Decimal(str(value))
        except InvalidOperation:
            amount = Decimal("NaN")
        if not amount.is_finite() or isinstance(value, bool) or not -100 < amount.adjusted() < 100:
            raise self.wrong(key, "an amount")
        return amount

    def time(self, key: str) -> datetime:
        try:
            at = datetime.fromisoformat(self.text(key))
            return at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)
        except (ValueError, OverflowError):
            raise self.wrong(key, "a time such as 2026-01-31T12:00:00Z") from None

    def one_of(self, key: str, literal: object) -> str | None:
        value = self._values.get(key)
        if value is not None and value not in get_args(literal):
            raise self.wrong(key, " or ".join(get_args(literal)))
        return cast("str | None", value)

    def params(self, key: str) -> Params:
        value = self._values.get(key)
        if not isinstance(value, dict | None):
            raise self.wrong(key, "an object")
        return value or {}

    def record(self, key: str) -> "_Record":
        return _Record(self._values.get(key), f"{self._place}.{key}")

    def records(self, key: str) -> list["_Record"]:
        value = self._values.get(key)
        if value is None and key == "attachments":
            return []
        if not isinstance(value, list):
            raise self.wrong(key, "a list")
        return [
            _Record(each, f"{key}[{n}]" if key == "conversations" else f"{self._place}.{key}[{n}]")
            for n, each in enumerate(value)
        ]
