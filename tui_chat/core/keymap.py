"""Every key of the program in one table: bindings, help, footer, palette and `tui-chat keys` are made from it.

Ids never change; users rebind them in `[keys]`. `later` marks ids that the contract names and no screen serves yet:
they may stand in a configuration, and appear nowhere else.
"""

from typing import Literal

from tui_chat.core.record import record
from tui_chat.core.settings import UISettings

Place = Literal["anywhere", "prompt", "transcript", "conversations", "models"]


@record
class Key:
    id: str
    keys: str
    """Textual's names, separated by commas."""
    place: Place
    label: str
    """One or two words for the footer."""
    description: str
    """One sentence for help and palette."""
    later: bool = False


KEYMAP: tuple[Key, ...] = (
    Key("prompt.send", "enter", "prompt", "send", "Send the prompt; while an answer streams, queue it"),
    Key("prompt.newline", "ctrl+j,shift+enter,shift+\r", "prompt", "new line", "Start a new line in the prompt"),
    Key("prompt.editor", "ctrl+g", "anywhere", "editor", "Write the prompt in $VISUAL or $EDITOR"),
    Key("chat.cancel", "escape", "anywhere", "stop", "Close what is open, else stop the answer under the cursor"),
    Key("chat.stop_or_clear", "ctrl+c", "anywhere", "stop", "Copy the selection, else stop, else clear the prompt"),
    Key("chat.new", "ctrl+n", "anywhere", "new", "Start a new conversation"),
    Key("chats.show", "ctrl+s", "anywhere", "chats", "Go to the list of conversations"),
    Key("model.pick", "ctrl+l", "anywhere", "model", "Choose the model for the next prompt"),
    Key("key.paste", "f4", "anywhere", "key", "Paste a provider's key: it is tried, then kept"),
    Key("answer.again", "ctrl+r,r", "anywhere", "again", "Run the prompt under the cursor again"),
    Key("focus.toggle", "ctrl+t", "anywhere", "transcript", "Move between the prompt and the transcript"),
    Key("focus.next", "tab", "anywhere", "next", "Move to the transcript, the conversations, the prompt"),
    Key("focus.previous", "shift+tab", "anywhere", "back", "Move the other way round"),
    Key("cursor.up", "alt+up", "anywhere", "up", "Move the cursor to the answer above"),
    Key("cursor.down", "alt+down", "anywhere", "down", "Move the cursor to the answer below"),
    Key("cursor.left", "alt+left", "anywhere", "left", "Go to the column before, or show the answer before this one"),
    Key("cursor.right", "alt+right", "anywhere", "right", "Go to the next column, or show the answer after this one"),
    Key("app.commands", "ctrl+p", "anywhere", "commands", "Every command by name"),
    Key("app.help", "f1,question_mark", "anywhere", "help", "All keys"),
    Key("app.quit", "ctrl+q", "anywhere", "quit", "Quit; asks once when answers are running"),
    Key("prompt.edit", "e", "transcript", "edit", "Edit the prompt of this answer and send it as a new branch"),
    Key(
        "answer.discard", "d", "transcript", "leave out", "Leave this answer out of what is sent on, or take it back in"
    ),
    Key("budget.raise", "B", "transcript", "raise", "Raise the limit that cut this answer until you quit, and go on"),
    Key("answer.continue", "R", "transcript", "continue", "Go on where this answer was cut"),
    Key("answer.copy", "y", "transcript", "copy", "Copy this answer as markdown"),
    Key("code.copy", "c", "transcript", "copy code", "Copy the code block jumped to, else the last of this answer"),
    Key("code.next", "right_curly_bracket", "transcript", "next code", "Go to the next code block"),
    Key("code.previous", "left_curly_bracket", "transcript", "code before", "Go to the code block before"),
    Key("link.open", "o", "transcript", "links", "Show where the links of this answer lead, and open one"),
    Key("answer.cost", "i", "transcript", "cost", "Show what this answer cost, each factor of it"),
    Key("compare.hide", "x", "transcript", "hide", "Hide this one of several answers; it is asked no more"),
    Key("compare.undo", "u", "transcript", "bring back", "Bring back the answers that were hidden or not kept"),
    Key("compare.add", "plus", "transcript", "add", "Ask further models the prompt under the cursor"),
    Key("compare.zoom", "z", "transcript", "zoom", "Give one answer all the room, or show all side by side"),
    Key("compare.apart", "s", "transcript", "scroll apart", "Scroll columns each by itself, or together"),
    Key("compare.difference", "equals_sign", "transcript", "difference", "Hold two answers against each other"),
    Key("compare.copy", "Y", "transcript", "copy table", "Copy the table of all answers to this prompt as markdown"),
    Key("compare.blind", "b", "transcript", "blind", "Blind: hide names and prices of the next answers until you vote"),
    Key("compare.vote", "v", "transcript", "vote", "Vote for this one of several blind answers"),
    Key("compare.tie", "V", "transcript", "tie", "Vote for none of several blind answers"),
    Key("branch.previous", "left_square_bracket", "transcript", "branch before", "Show the branch before this one"),
    Key("branch.next", "right_square_bracket", "transcript", "branch after", "Show the branch after this one"),
    Key("answer.keep", "enter", "transcript", "keep", "Go on with this answer: back to the prompt"),
    Key("reasoning.toggle", "t", "transcript", "thinking", "Show or fold the thinking of this answer"),
    Key("chat.delete", "delete", "conversations", "delete", "Delete this conversation; what it cost stays counted"),
    Key("chat.params", "f2", "anywhere", "parameters", "Set temperature, length, effort and the like for this chat"),
    Key("usage.open", "f3", "anywhere", "usage", "What was spent, by day, model, chat and provider"),
    Key("chat.elsewhere", "f8", "anywhere", "elsewhere", "Show what this chat would have cost on other models"),
    Key("chat.export", "", "anywhere", "export", "Write this conversation into a markdown file"),
    Key("search.open", "ctrl+f", "anywhere", "find", "Find in all conversations", later=True),
    Key("compare.open", "ctrl+o", "anywhere", "compare", "Ask several models at once; in their list, add one"),
    Key("model.sort", "ctrl+s", "models", "sort", "Sort by price, by context, by provider, as found"),
    Key("model.favourite", "ctrl+t", "models", "favourite", "Keep this model at the head of the list, or no more"),
)


def user_keys(settings: UISettings) -> dict[str, str]:
    """Return the user's own keys by binding id, with Enter and new line swapped where that is set."""
    swapped = {"prompt.send": "ctrl+j,shift+enter,shift+\r", "prompt.newline": "enter"}
    return {**(swapped if settings.enter == "newline" else {}), **settings.keys}


def keys_of(binding_id: str, overrides: dict[str, str]) -> str:
    """Return the keys of a binding, the user's own where there are any."""
    default = next((key.keys for key in KEYMAP if key.id == binding_id), "")
    return overrides.get(binding_id, default)


def letter_of(binding_id: str, overrides: dict[str, str]) -> str:
    """Return the last key of a binding as people read it: the one that works in the transcript."""
    return shown(keys_of(binding_id, overrides).rsplit(",", 1)[-1])


_NAMES = {
    "escape": "esc",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "left_curly_bracket": "{",
    "right_curly_bracket": "}",
    "question_mark": "?",
    "delete": "del",
    "plus": "+",
    "equals_sign": "=",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
}


def shown(keys: str) -> str:
    """Return the first of some keys as people read it: `ctrl+p` → `^p`, `escape` → `esc`."""
    first = keys.split(",", 1)[0]
    *modifiers, name = first.split("+")
    name = _NAMES.get(name, name)
    if modifiers == ["ctrl"]:
        return f"^{name}"
    return "+".join([*modifiers, name])
