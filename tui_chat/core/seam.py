"""Where the rest of a cut answer meets its beginning.

A model that was asked to go on often takes a step back: it repeats the last words, writes the broken word whole, opens
the code block once more, or begins with dots. Each of these is taken out, and nothing else: a rest that simply goes on
is left as it came. What is stored stays as it was; only what is shown, copied and sent on is joined.
"""

import re

_LONGEST = 400
"""Characters of a repetition that are looked for."""
_SURE = 8
"""A repetition of fewer characters may be chance, unless it is the broken word."""
_BROKEN_WORD = re.compile(r"\w{3,}$")
_WORD = re.compile(r"\w+")
_DOTS = re.compile(r"\s*(?:…|\.{3,})[ \t]*")
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})[^\n]*$", re.MULTILINE)
_REOPENED = re.compile(r"\s*(`{3,}|~{3,})[\w+#.-]*[ \t]*\n")


def joined(before: str, after: str) -> str:
    """Return both as one text, without what `after` says a second time."""
    if not before or not after:
        return before + after
    whole = before.rstrip()
    if len(whole) >= _SURE and after.lstrip().startswith(whole):  # some servers begin with all that they were given
        return before[: len(before) - len(before.lstrip())] + after.lstrip()
    after = _without_fence(before, after)
    if not before.endswith((".", "…")) and (dots := _DOTS.match(after)) and len(after) > dots.end():
        gap = "" if before[-1:].isspace() or after[dots.end()].isspace() else " "
        after = gap + after[dots.end() :]
    repeated = _repeated(before, after)
    if repeated:
        return before + after[repeated:]
    if before[-1] == " " and after[0] == " ":
        return before + after[1:]
    return before + after


def _repeated(before: str, after: str) -> int:
    """Return how many characters at the start of `after` stand at the end of `before` already."""
    leading = len(after) - len(after.lstrip())
    for start in dict.fromkeys((0, leading)):
        rest = after[start:]
        for size in range(min(len(before), len(rest), _LONGEST), _SURE - 1, -1):
            if before.endswith(rest[:size]):
                return start + size
    broken, word = _BROKEN_WORD.search(before), _WORD.match(after)
    if broken and word and len(word[0]) > len(broken[0]) and word[0].startswith(broken[0]):
        return len(broken[0])
    return 0


def _without_fence(before: str, after: str) -> str:
    """Return the rest without the line that opens a code block which is open already."""
    marker = ""
    for fence in _FENCE.finditer(before):
        if not marker:
            marker = fence[1]
        elif fence[1].startswith(marker) and fence[0].strip() == fence[1]:
            marker = ""
    reopened = _REOPENED.match(after)
    if not marker or reopened is None or reopened[1][0] != marker[0]:
        return after
    if reopened[0].strip() == reopened[1] and not _FENCE.search(after, reopened.end()):
        return after  # the block is closed there, and no other follows
    rest = after[reopened.end() :]
    return rest if before.endswith("\n") else f"\n{rest}" if not _repeated(before, rest) else rest
