"""The built-in models: scripted texts that travel as real bytes, so that the whole program can be tried without a key.

`demo/…` shares everything with the models of others but the socket: what stands in `demo_scripts/` is written as chat
completion chunks, cut into packets that know nothing of events or characters, paced like a network, and read back by
the same framing and decoder. So it also shows what a real stream looks like to everything above it.

The scripts are chosen by a few plain words of the last prompt. They say that they are scripts: nobody should mistake
one for an answer. Usage is counted, not invented; only the money is play money.
"""

import asyncio
import json
import os
import re
from collections.abc import AsyncGenerator, Callable, Iterator
from functools import cache
from importlib.resources import files
from itertools import cycle

from tui_chat.core.errors import ProviderError
from tui_chat.core.events import StreamEvent
from tui_chat.core.ids import new_id
from tui_chat.core.keymap import KEYMAP, Place, shown
from tui_chat.core.message import Message
from tui_chat.core.record import record
from tui_chat.core.request import Request
from tui_chat.core.safe_text import one_line
from tui_chat.providers.asking import going_on
from tui_chat.providers.demo_models import VOICES, Voice
from tui_chat.providers.openai_chat import OpenAIChat

SPEED_VARIABLE = "TUI_CHAT_DEMO_SPEED"
"""How many times faster than life the scripts are told; 0 = without waiting."""

_LONGEST_QUESTION = 16
"""Words above which a prompt is no question about this program, whatever words are in it."""
_MOST_BEHIND_S = 0.5
"""A reader that was held up for longer than this is not flooded with what it missed."""
_WITHHELD = (0, 7, 61, 1, 130, 18, 3, 44)
"""Bytes of each chunk that wait for the next packet: splits fall into lines, words and characters."""
_GAPS = (0.6, 1.0, 1.5, 0.8, 1.1)
"""Tokens come unevenly."""
_VARIABLE = re.compile(r"\$[A-Z]+")
_PIECE = re.compile(r"[^\S\n]*\w{1,9}|[^\S\n]*[^\w\s]{1,3}|\s+")


@record
class _Subject:
    """A script, and the words of a prompt that ask for it."""

    script: str
    words: re.Pattern[str]
    topic: str
    """Goes on from `My first guess is …`."""
    question: str
    """A prompt that gets it."""


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.IGNORECASE)


_SUBJECTS = (
    _Subject("sse", _words(r"sse|server-sent events?"), "server-sent events", "Explain SSE in two sentences"),
    _Subject("markdown", _words(r"markdown|formatting|rendering"), "how markdown looks here", "show me markdown"),
    _Subject(
        "setup",
        _words(r"set ?up|config\w*|api|models?|providers?|local servers?|openai|anthropic|gemini|deepseek|ollama|toml"),
        "how to get to a real model",
        "how do I set up a model?",
    ),
    _Subject(
        "costs",
        _words(r"costs?|prices?|pricing|money|tokens?|budgets?|spen[dt]\w*|cheap\w*|expensive|bill\w*"),
        "what the figures at the right mean",
        "what does it cost?",
    ),
    _Subject(
        "stopping",
        _words(r"stop\w*|cancel\w*|interrupt\w*|edit\w*|retry\w*|branch\w*|regenerate"),
        "stopping, editing and trying again",
        "how do I stop an answer?",
    ),
    _Subject("keys", _words(r"keys?|keyboard|shortcuts?|bindings?|hotkeys?"), "the keys", "which keys are there?"),
    _Subject(
        "about",
        _words(
            r"\A\W*(?:hello|hi|hey|help|start|test)\W*\Z|tui-chat"
            r"|(?:what|who)(?: is|'s|’s| are| can| does) (?:this|it|you)"
        ),
        "what this program is",
        "what is this?",
    ),
)
_OTHER = _Subject("other", _words("(?!)"), "that it is none of my subjects", "")
_GO_ON = _words(r"go on|continue|carry on")

_PLACES: tuple[tuple[Place, str], ...] = (
    ("anywhere", "Anywhere"),
    ("prompt", "In the prompt"),
    ("transcript", "In the transcript (`Ctrl+T`)"),
    ("conversations", "In the list of conversations (`Ctrl+S`)"),
    ("models", "In the list of models (`Ctrl+L`)"),
)


class DemoProvider:
    """The provider of `demo/quick`, `demo/thinker` and `demo/rambler`."""

    def __init__(self, count: Callable[[str], int] | None = None, speed: float | None = None) -> None:
        """`count` counts the tokens of a text; `speed` is a factor, 0 = no waiting, by default the environment's."""
        self._count = count or _estimate
        self._speed = _speed_of_environment() if speed is None else speed

    async def stream(self, request: Request) -> AsyncGenerator[StreamEvent, None]:
        """Yield the events of a scripted answer. Raises ProviderError for a model that is not built in."""
        voice = next((v for v in VOICES if v.id == request.model.id), None)
        if voice is None:
            names = ", ".join(f"demo/{v.id}" for v in VOICES)
            raise ProviderError("not_found", f"there is no {request.model.name}; built in are {names}")
        wire = OpenAIChat()
        framer, decoder = wire.framer(), wire.decoder()
        pace = _Pace(voice, self._speed)
        for packet in _packets(self._chunks(voice, request)):
            await pace.wait()
            for line in framer.feed(packet):
                for event in decoder.feed(line):
                    yield event
        for event in decoder.close():
            yield event

    async def aclose(self) -> None:
        """There is nothing to close."""

    def _chunks(self, voice: Voice, request: Request) -> Iterator[bytes]:
        """Write the answer down as an OpenAI-compatible server would send it."""
        reasoning, text = script(voice.id, going_on(request, prefill=False))
        head = {"id": f"demo-{new_id()}", "object": "chat.completion.chunk", "model": voice.id}

        def chunk(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
            return _record(head | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]})

        yield chunk({"role": "assistant", "content": ""})
        for piece in _PIECE.findall(reasoning):
            yield chunk({"reasoning_content": piece})
        for piece in _PIECE.findall(text):
            yield chunk({"content": piece})
        yield chunk({}, "stop")
        yield _record(head | {"choices": [], "usage": self._usage(request, reasoning, text)})
        yield b"data: [DONE]\n\n"

    def _usage(self, request: Request, reasoning: str, text: str) -> dict[str, object]:
        prompt = 3 + sum(4 + self._count(message.text) for message in going_on(request, prefill=False))
        thought = self._count(reasoning) if reasoning else 0
        answered = thought + self._count(text)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": answered,
            "total_tokens": prompt + answered,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": thought},
        }


class _Pace:
    """Waits before each packet, so that the text comes as fast as its model talks."""

    def __init__(self, voice: Voice, speed: float) -> None:
        self._voice = voice
        self._speed = speed
        self._gaps = cycle(_GAPS)
        self._due_s: float | None = None

    async def wait(self) -> None:
        if self._speed <= 0:
            await asyncio.sleep(0)
            return
        now = asyncio.get_running_loop().time()
        if self._due_s is None:
            self._due_s = now + self._voice.first_token_s / self._speed
        else:
            gap_s = next(self._gaps) / self._voice.tokens_per_s / self._speed
            self._due_s = max(self._due_s + gap_s, now - _MOST_BEHIND_S)
        await asyncio.sleep(max(0.0, self._due_s - now))


def script(model_id: str, messages: tuple[Message, ...]) -> tuple[str, str]:
    """Return the reasoning and the text with which a built-in model answers; the rest of it when asked to go on."""
    asked = [message.text for message in messages if message.role == "user"]
    prompt = asked[-1] if asked else ""
    said = messages[-2].text if len(messages) > 1 and messages[-2].role == "assistant" else ""
    if len(asked) > 1 and said and _GO_ON.search(prompt):
        _, whole = _answer(model_id, asked[-2])
        if whole.startswith(said) and whole != said:
            return "", whole[len(said) :]
    return _answer(model_id, prompt)


def _answer(model_id: str, prompt: str) -> tuple[str, str]:
    subject = _subject(prompt)
    fill = {"{echo}": echo(prompt), "{model}": model_id, "{topic}": subject.topic}
    reasoning = _filled("thinking", fill) if model_id == "thinker" else ""
    return reasoning, _filled("rambler" if model_id == "rambler" else subject.script, fill)


def _subject(prompt: str) -> _Subject:
    if len(prompt.split()) > _LONGEST_QUESTION:
        return _OTHER
    return next((subject for subject in _SUBJECTS if subject.words.search(prompt)), _OTHER)


def echo(prompt: str) -> str:
    """Return the first words of a prompt, without anything that could be read as markup or as a link."""
    bare = re.sub(r"[^\w\s'’,.?!-]|_", " ", one_line(prompt, 400))
    words = bare.replace("www.", "").split()
    return one_line(" ".join(words[:9]) + (" …" if len(words) > 9 else ""), 80) or "…"


def _filled(name: str, fill: dict[str, str]) -> str:
    text = _text(name)
    if "{subjects}" in text:
        text = text.replace("{subjects}", "\n".join(f"- `{subject.question}`" for subject in _SUBJECTS))
    if "{keys}" in text:
        text = text.replace("{keys}", _keys())
    for slot, words in fill.items():
        text = text.replace(slot, words)
    return text


@cache
def _text(name: str) -> str:
    return files("tui_chat.providers").joinpath("demo_scripts", f"{name}.md").read_text("utf-8").strip()


@cache
def _keys() -> str:
    """Return the keymap as tables, one for each place."""
    lines: list[str] = []
    for place, title in _PLACES:
        lines += [f"### {title}", "", "| key | does |", "|---|---|"]
        here = (key for key in KEYMAP if key.place == place and key.keys and not key.later)
        lines += [f"| `{_name(key.keys)}` | {_VARIABLE.sub(_as_code, key.description)} |" for key in here]
        lines.append("")
    return "\n".join(lines).rstrip()


def _as_code(match: re.Match[str]) -> str:
    return f"`{match[0]}`"


def _name(keys: str) -> str:
    """Return the first of some keys as it is printed on a keyboard: `Ctrl+P`, `Esc`, `[`."""
    name = shown(keys)
    if name.startswith("^"):
        name = f"ctrl+{name[1:]}"
    return name if len(name) == 1 else "+".join(part.capitalize() for part in name.split("+"))


def _record(value: dict[str, object]) -> bytes:
    return f"data: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()


def _packets(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Cut a stream anew, without regard for lines and characters, one packet a chunk, and one for the rest."""
    rest = b""
    for chunk, withheld in zip(chunks, cycle(_WITHHELD), strict=False):
        rest += chunk
        cut = max(1, len(rest) - withheld)
        yield rest[:cut]
        rest = rest[cut:]
    if rest:
        yield rest


def _estimate(text: str) -> int:
    return -(-len(text.encode("utf-8", "surrogatepass")) // 4)


def _speed_of_environment() -> float:
    try:
        return max(0.0, float(os.environ.get(SPEED_VARIABLE, "") or 1.0))
    except ValueError:
        return 1.0
