"""What it costs to do nothing, over a bare Textual app: each in a terminal, left alone, by turns.

They have settled for some seconds first: imports after the first paint and the vocabulary are no idling.
"""

import tempfile
import time
from pathlib import Path

from tests.benchmarks.common import Record
from tests.benchmarks.terminals import OURS, THEIRS, Program

_SETTLE_S = 4.0


def measure(quick: bool) -> list[Record]:
    seconds = 4.0 if quick else 20.0
    with tempfile.TemporaryDirectory() as folder:
        found: dict[str, list[float]] = {"bare": [], "ours": []}
        for turn in range(1 if quick else 2):
            for name, what in (("bare", THEIRS), ("ours", OURS)):
                home = Path(folder) / f"{name}-{turn}"
                home.mkdir()
                program = Program.start(what, home)
                program.watch(_SETTLE_S)
                found[name].append(program.watch(seconds) / seconds * 100)
                program.kill()
                time.sleep(0.1)
    bare = min(found["bare"])
    return [
        {
            "what": f"idle, {name}",
            "size": f"{seconds:.0f} s",
            "% of a core": round(min(shares), 3),
            "points over bare": round(min(shares) - bare, 3),
            "target": "≤ bare + 0.1 points" if name == "ours" else "",
        }
        for name, shares in found.items()
    ]
