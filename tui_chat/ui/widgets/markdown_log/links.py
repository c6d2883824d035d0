"""Addresses in running text, and which targets of links lead anywhere.

Bare addresses are found as GitHub does it, with one regular expression and not by the tables of domains that
linkify-it brings: only what begins with a scheme is one.
"""

from __future__ import annotations

import re
from typing import Final

from tui_chat.ui.widgets.markdown_log.blocks import Inline, Mark, Span
from tui_chat.ui.widgets.markdown_log.clean import clean

_BARE: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:https?://[\w\[]|mailto:[\w.+-]+@\w)[^\s<>\"`\u3000-\u303f\uff01-\uff0f\uff1a-\uff1f“”‘’«»]*",
    re.IGNORECASE,
)
_NO_TEXT: Final = Mark.CODE | Mark.LINK | Mark.SECONDARY
_TRAILING: Final = frozenset("?!.,:;*_~'…")
_PAIRS: Final = {")": "(", "]": "[", "}": "{"}
_OPENED: Final = re.compile(r"(?:https?://|mailto:)\S+", re.IGNORECASE)


def opened(target: str) -> str:
    """The target if a browser or mail program may be asked to open it, else nothing."""
    return target if _OPENED.fullmatch(target) and clean(target) == target else ""


def with_bare_links(inline: Inline) -> Inline:
    """The same text with its bare addresses as links."""
    if not any("://" in span.text or "ailto:" in span.text.lower() for span in inline):
        return inline
    spans: list[Span] = []
    for span in inline:
        if ":" not in span.text or span.target or span.source is not None or span.mark & _NO_TEXT:
            spans.append(span)
        else:
            spans += _split(span)
    return tuple(spans)


def _split(span: Span) -> list[Span]:
    spans: list[Span] = []
    at = 0
    for match in _BARE.finditer(span.text):
        address = _without_trailing(match.group())
        if not opened(address):
            continue
        if match.start() > at:
            spans.append(Span(span.text[at : match.start()], span.mark))
        at = match.start() + len(address)
        spans.append(Span(address, span.mark | Mark.LINK, target=address))
    if at < len(span.text):
        spans.append(Span(span.text[at:], span.mark))
    return spans


def _without_trailing(address: str) -> str:
    """An address without the punctuation and the brackets that belong to the sentence around it."""
    surplus = {closing: address.count(closing) - address.count(opening) for closing, opening in _PAIRS.items()}
    end = len(address)
    while end:
        last = address[end - 1]
        if surplus.get(last, 0) > 0:
            surplus[last] -= 1
        elif last not in _TRAILING:
            break
        end -= 1
    return address[:end]
