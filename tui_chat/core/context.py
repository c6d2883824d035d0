"""From a path of turns to the messages on the wire.

A completion without text, or one that the user left out, drops its whole turn: roles alternate, and a bad answer can
leave the context. The last prompt always goes. A completion that resumes a cut one is joined to it.
"""

from collections.abc import Sequence

from tui_chat.core.completion import Completion
from tui_chat.core.conversation import Turn, path_continued
from tui_chat.core.message import Message, Part, TextPart
from tui_chat.core.model import Model


def goes_along(completion: Completion | None, text: str) -> bool:
    """Say whether an answer is sent on with the next prompt."""
    return completion is not None and not completion.discarded and bool(text.strip())


def joined_text(turn: Turn, completion: Completion) -> str:
    """Return the text of a completion behind the text of what it resumes, the overlap at the seam cut out."""
    parts = [completion.text]
    seen = {completion.id}
    before = turn.completion(completion.resumes_id)
    while before is not None and before.id not in seen:
        seen.add(before.id)
        parts.append(before.text)
        before = turn.completion(before.resumes_id)
    if len(parts) == 1:
        return parts[0]
    from tui_chat.core.seam import joined

    text = ""
    for part in reversed(parts):
        text = joined(text, part)
    return text


def prompt_message(turn: Turn) -> Message:
    parts: list[Part] = [*turn.attachments]
    if turn.prompt or not parts:
        parts.append(TextPart(turn.prompt))
    return Message("user", tuple(parts))


def messages_before(path: Sequence[Turn], system_prompt: str | None, last: Completion | None = None) -> list[Message]:
    """Return the messages that stand before a prompt which goes on from `path`; marks what is not sent on.

    `last` is the answer of the last turn that it goes on from, here and below, where it is not the turn's own choice.
    """
    messages = [Message.of("system", system_prompt)] if system_prompt else []
    for turn, completion in path_continued(path, last):
        if completion is None:
            continue
        text = joined_text(turn, completion)
        completion.sent_on = goes_along(completion, text)
        if completion.sent_on:
            messages += [prompt_message(turn), Message.of("assistant", text)]
    return messages


def reported_before(path: Sequence[Turn], model: Model, last: Completion | None = None) -> tuple[int, Message] | None:
    """Return what a model's provider reported as input of the last prompt of a path, and the answer to it.

    `None` when the next prompt is not simply that one with the answer and a little more: another model answered,
    something was left out, or nothing was reported.
    """
    through = path_continued(path, last)
    if not through or any(completion is not None and completion.discarded for _, completion in through):
        return None
    turn, answer = through[-1]
    if answer is None or answer.running or answer.model.name != model.name or answer.resumes_id is not None:
        return None
    text, counted = joined_text(turn, answer), answer.usage
    if not goes_along(answer, text) or "input_tokens" in counted.estimated or counted.usage.input_tokens is None:
        return None
    return counted.usage.input_tokens, Message.of("assistant", text)


def unanswered(path: Sequence[Turn], last: Completion | None = None) -> int:
    """Return how many turns `messages_before` left out because there is no answer, not because the user said so."""
    return sum(
        completion is None or not (completion.discarded or completion.sent_on)
        for _, completion in path_continued(path, last)
    )
