"""Rows of text with a right edge that never moves: text gives way, figures do not."""

from textual.content import Content

from tui_chat.core.safe_text import one_line


def text(value: str, style: str = "") -> Content:
    """Return foreign or own text as content: cleaned, one line, never read as markup."""
    return Content.styled(one_line(value, 500), style)


def styled(value: str, style: str = "") -> Content:
    """Return our own text as it is, spaces kept."""
    return Content.styled(value, style) if style else Content(value)


def joined(*parts: Content | str) -> Content:
    return Content("").join([Content(part) if isinstance(part, str) else part for part in parts])


def row(left: Content, right: Content, width: int) -> Content:
    """Return one row of exactly `width` cells: the left part is cut to what the right part leaves."""
    if right.cell_length > width:
        right = right.truncate(width)
    room = max(0, width - right.cell_length - (1 if right.cell_length else 0))
    if left.cell_length > room:
        left = left.truncate(room, ellipsis=room > 1)
    return joined(left.pad_right(max(0, width - right.cell_length - left.cell_length)), right)


def fit(content: Content, width: int) -> Content:
    """Return `content` cut or padded to `width` cells."""
    if content.cell_length > width:
        content = content.truncate(width, ellipsis=width > 1)
    return content.pad_right(width - content.cell_length)


def hint_lines(pairs: list[tuple[str, str]], width: int, gap: str = "   ") -> list[Content]:
    """Return key hints on as many lines of `width` cells as they need; a key is never parted from its word."""
    lines: list[list[tuple[str, str]]] = []
    for pair in pairs:
        if lines and hints([*lines[-1], pair], gap).cell_length <= width:
            lines[-1].append(pair)
        else:
            lines.append([pair])
    return [hints(line, gap) for line in lines]


def hints(pairs: list[tuple[str, str]], gap: str = "   ") -> Content:
    """Return key hints: the key bold, the word secondary."""
    parts: list[Content] = []
    for key, word in pairs:
        if parts:
            parts.append(styled(gap, "$rule"))
        parts += [styled(key, "b $fg"), styled(f" {word}", "$fg2")]
    return joined(*parts)
