"""What pictures weigh in a prompt."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.doubles import MODEL, CharacterCounter, MemoryStore, Script, SteppingClock
from tui_chat.core.chat import Chat
from tui_chat.core.message import BlobPart
from tui_chat.core.pictures import picture_tokens, size_of


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + b"\x08\x06\x00\x00\x00"


JPEG = b"\xff\xd8\xff\xe0\x00\x04AB\xff\xc2\x00\x11\x08" + struct.pack(">HH", 300, 400) + b"\x03" + bytes(20)
GIF = b"GIF89a" + struct.pack("<HH", 400, 300)
WEBP = (
    b"RIFF....WEBPVP8 ...." + bytes(6) + struct.pack("<HH", 400, 300),
    b"RIFF....WEBPVP8L....\x2f" + struct.pack("<I", 399 | 299 << 14),
    b"RIFF....WEBPVP8X...." + bytes(4) + (399).to_bytes(3, "little") + (299).to_bytes(3, "little"),
)


@pytest.mark.parametrize("data", [png(400, 300), JPEG, GIF, *WEBP])
def test_sizes_are_read_from_headers(data):
    assert size_of(data) == (400, 300)


@given(
    st.binary(max_size=80), st.sampled_from([b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF....WEBPVP8X"])
)
def test_no_bytes_make_it_raise(data, head):
    assert picture_tokens("gpt-4.1", head + data) > 0


@pytest.mark.parametrize(
    ("model", "size", "tokens"),
    [
        ("gpt-4o", (1024, 1024), 765),  # the vendor's own example: four tiles
        ("gpt-4o", (2048, 4096), 1105),  # and its second: six
        ("gpt-4.1-mini", (1024, 1024), 1659),
        ("claude-sonnet-4-5", (1000, 750), 1000),
        ("claude-sonnet-4-5", (8000, 8000), 1600),
        ("gemini-2.5-flash", (100, 100), 1100),
    ],
)
def test_each_family_counts_in_its_own_way(model, size, tokens):
    assert picture_tokens(model, png(*size)) == tokens


def test_the_estimate_of_a_prompt_includes_its_pictures():
    chat = Chat(Script(()).port(), MemoryStore().port(), CharacterCounter(), SteppingClock())
    conversation = chat.new_conversation(MODEL)
    alone, _ = chat.estimate(conversation, [], "Hi", MODEL)
    picture = BlobPart("a.png", "image/png", png(1024, 1024))
    both, _ = chat.estimate(conversation, [], "Hi", MODEL, (picture,))
    assert both - alone == 765
