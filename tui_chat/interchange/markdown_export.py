"""`export --format markdown`: a conversation as a person reads it, with models and costs."""

from collections.abc import Iterable, Sequence

from tui_chat.core import format as fmt
from tui_chat.core.columns import mates_of
from tui_chat.core.completion import Completion, State
from tui_chat.core.conversation import Conversation, Turn

_CUT = {State.STOPPED: "stopped", State.BUDGET: "stopped by a budget", State.FAILED: "failed"}


def export_markdown(conversations: Iterable[tuple[Conversation, Sequence[Turn]]]) -> str:
    """Return conversations one below the other; the turns are those of the path in view, with all their answers."""
    return "\n---\n\n".join(_conversation(conversation, path) for conversation, path in conversations)


def _conversation(conversation: Conversation, path: Sequence[Turn]) -> str:
    blocks = [f"# {' '.join(conversation.title.split())}", f"*{conversation.created_at.astimezone():%Y-%m-%d %H:%M}*"]
    if conversation.system_prompt:
        blocks.append("\n".join(f"> {line}".rstrip() for line in conversation.system_prompt.splitlines()))
    for turn in path:
        blocks += ["## You", turn.prompt.strip("\n")]
        blocks += [f"*with {part.name} ({part.media_type}, {len(part.data):,} bytes)*" for part in turn.attachments]
        for completion in (each for mate in mates_of(turn) for each in mate.completions):
            blocks += [f"## {completion.model.name}", completion.text.strip("\n"), f"*{_facts(completion)}*"]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _facts(completion: Completion) -> str:
    usage = completion.usage.usage
    facts = [f"{fmt.tokens(usage.input_tokens)} tok in", f"{fmt.tokens(usage.output_tokens)} tok out"]
    facts.append(("play " if completion.cost.play else "") + fmt.cost(completion.cost))
    if completion.total_s is not None:
        facts.append(fmt.seconds(completion.total_s))
    if completion.state in _CUT:
        facts.append(_CUT[completion.state])
    if completion.error is not None:
        facts.append(" ".join(completion.error.message.split()))
    if completion.discarded:
        facts.append("not sent on")
    return ", ".join(facts)
