"""What it costs to see the first screen, over a bare Textual app with one Static.

Both run in a terminal and are killed when their first screen has arrived; the kernel says what they took, children and
all threads included. They take turns, and each start is compared with the bare one just before it, so that a busy or
slow moment meets both: the ratio is the median of these pairs. Wall clock is there to be looked at.
"""

import tempfile
from pathlib import Path
from statistics import median

from tests.benchmarks.common import Record
from tests.benchmarks.terminals import OURS, THEIRS, Program

_TARGET = "≤ 1.35 of bare"


def measure(quick: bool) -> list[Record]:
    cpu: dict[str, list[float]] = {"bare": [], "fresh home": [], "used home": []}
    wall: dict[str, list[float]] = {name: [] for name in cpu}
    with tempfile.TemporaryDirectory() as folder:
        used = Path(folder) / "used"
        for turn in range(-1, 3 if quick else 15):  # the first compiles what is not compiled, and is not counted
            fresh = Path(folder) / f"fresh-{turn}"
            for home in (fresh, used):
                home.mkdir(exist_ok=True)
            for name, what, home in (
                ("bare", THEIRS, fresh),
                ("fresh home", OURS, fresh),
                ("used home", OURS, used),
            ):
                program = Program.start(what, home)
                took = program.kill()
                if turn >= 0:
                    cpu[name].append(took)
                    wall[name].append(program.first_paint_s)
    return [
        {
            "what": f"first paint, {name}",
            "size": "",
            "cpu ms": round(min(took) * 1e3),
            "wall ms": round(min(wall[name]) * 1e3),
            "of bare": round(median(ours / bare for ours, bare in zip(took, cpu["bare"], strict=True)), 2),
            "target": _TARGET if name != "bare" else "",
        }
        for name, took in cpu.items()
    ]
