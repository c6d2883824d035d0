"""What a picture that goes along with a prompt will be counted as, roughly: no vendor counts pictures like another.

OpenAI's tiles and patches: 85 tokens and 170 for each tile of 512 pixels after scaling, or one for each patch of 32
pixels times a factor of the model (its guide on images, and openai/openai-python#2851). Claude takes a pixel in 750, up
to 1,600, Gemini about 1,100 for a whole picture (measured by others, 2026-11). All others are taken for tiles.
"""

import re
import struct
from math import ceil

_PATCHES = ((r"nano", 2.46), (r"o4-mini", 1.72), (r"gpt-(4\.1|5)[^ ]*mini|mini", 1.62))
_MOST_PATCHES = 1536
_UNKNOWN = (1024, 1024)
"""The size of a picture whose header cannot be read."""


def picture_tokens(model_id: str, data: bytes) -> int:
    """Return about how many tokens a picture is to a model."""
    name = model_id.lower()
    width, height = size_of(data) or _UNKNOWN
    if "claude" in name:
        return min(1600, ceil(width * height / 750))
    if "gemini" in name or "gemma" in name:
        return 1100
    if "gpt-4o-mini" not in name:
        for pattern, factor in _PATCHES:
            if re.search(pattern, name):
                return ceil(min(_MOST_PATCHES, ceil(width / 32) * ceil(height / 32)) * factor)
    return 85 + 170 * _tiles(width, height)


def _tiles(width: int, height: int) -> int:
    """Return the tiles of a picture that is scaled into 2048 pixels, then to 768 on its shorter side."""
    scale = min(1.0, 2048 / max(width, height))
    scale *= min(1.0, 768 / max(1.0, min(width, height) * scale))
    return ceil(width * scale / 512) * ceil(height * scale / 512)


def size_of(data: bytes) -> tuple[int, int] | None:
    """Return width and height of a PNG, GIF, WebP or JPEG from its header, `None` when it has none that makes sense."""
    try:
        found = _size(data)
    except (struct.error, IndexError):
        return None
    return found if found is not None and min(found) > 0 else None


def _size(data: bytes) -> tuple[int, int] | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        width, height = struct.unpack(">II", data[16:24])
        return width, height
    if data[:6] in (b"GIF87a", b"GIF89a"):
        width, height = struct.unpack("<HH", data[6:10])
        return width, height
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    return _jpeg(data) if data.startswith(b"\xff\xd8") else None


def _webp(data: bytes) -> tuple[int, int] | None:
    match data[12:16]:
        case b"VP8 ":
            width, height = struct.unpack("<HH", data[26:30])
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L":
            (bits,) = struct.unpack("<I", data[21:25])
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    return None


def _jpeg(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + int(struct.unpack(">H", data[at + 2 : at + 4])[0])
    return None
