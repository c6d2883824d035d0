"""`export --format json`: whole conversations with all their branches, in the contract's shape.

Export → import into an empty home → export gives the same bytes, so nothing is written here that `json_import` drops.
"""

import base64
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from tui_chat.core.completion import Completion
from tui_chat.core.conversation import Conversation, Turn
from tui_chat.interchange.records import Json, cost_record, error_record, timings_record, usage_record, usd_record

VERSION = 1


def export_json(conversations: Iterable[tuple[Conversation, Sequence[Turn]]]) -> str:
    """Return conversations, each with all turns of all branches (parents first), as JSON that is pure ASCII."""
    records = [_conversation_record(conversation, turns) for conversation, turns in conversations]
    whole = {"version": VERSION, "conversations": records}
    return json.dumps(whole, ensure_ascii=True, allow_nan=False, indent=1) + "\n"


def _conversation_record(conversation: Conversation, turns: Sequence[Turn]) -> Json:
    messages: list[Json] = []
    for turn in turns:
        messages.append(_prompt_record(turn))
        messages += [_answer_record(turn, completion) for completion in turn.completions]
    return {
        "id": conversation.id,
        "title": conversation.title,
        "created_at": moment(conversation.created_at),
        "updated_at": moment(conversation.updated_at),
        "system_prompt": conversation.system_prompt,
        "tip_id": conversation.tip_id,
        "model": conversation.model,
        "params": conversation.params,
        "tags": list(conversation.tags),
        "pinned": conversation.pinned,
        "archived": conversation.archived,
        "messages": messages,
    }


_BLANK: Json = {
    "id": None,
    "parent_id": None,
    "role": None,
    "content": "",
    "reasoning": None,
    "chosen": None,
    "resumes_id": None,
    "batch_id": None,
    "attachments": [],
    "model": None,
    "model_served": None,
    "params": None,
    "finish_reason": None,
    "usage": None,
    "cost_usd": None,
    "cost": None,
    "timings": None,
    "error": None,
    "created_at": None,
}
"""Every key of a message, in the contract's order; what does not apply is null."""


def _prompt_record(turn: Turn) -> Json:
    record = _BLANK | {
        "id": turn.id,
        "parent_id": turn.continues,
        "role": "user",
        "content": turn.prompt,
        "batch_id": turn.batch_id,
        "attachments": [
            {"name": part.name, "media_type": part.media_type, "data": base64.b64encode(part.data).decode("ascii")}
            for part in turn.attachments
        ],
        "created_at": moment(turn.created_at),
    }
    if turn.blind:
        record["blind"] = True
    return record


def _answer_record(turn: Turn, completion: Completion) -> Json:
    record = _BLANK | {
        "id": completion.id,
        "parent_id": turn.id,
        "role": "assistant",
        "content": completion.text,
        "reasoning": completion.reasoning,
        "chosen": completion.id == turn.chosen_id,
        "resumes_id": completion.resumes_id,
        "model": completion.model.name,
        "model_served": completion.model_served,
        "params": completion.params,
        "finish_reason": completion.finish_reason,
        "usage": usage_record(completion.usage),
        "cost_usd": usd_record(completion.cost),
        "cost": cost_record(completion.cost),
        "timings": timings_record(completion),
        "error": error_record(completion.error),
        "created_at": moment(completion.created_at),
    }
    if completion.discarded:
        record["discarded"] = True
    if completion.hidden:
        record["hidden"] = True
    return record


def moment(at: datetime) -> str:
    """Return a time as ISO 8601 in UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
