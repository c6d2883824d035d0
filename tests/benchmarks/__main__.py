"""All benchmarks, or those that are named: `python -m tests.benchmarks [names…] [--json FILE] [--quick]`.

Each module has `measure(quick) -> list of records`; a record says what was measured at which size, the figure with its
unit in its key, and behind the last size the growth: the cost at the largest size over that at the smallest. They are
run one after another, each in a process of its own, and never by pytest: they measure, and judge nothing.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

from tests.benchmarks.common import Record

NAMES = ("startup", "idle", "flush", "streaming", "columns", "opening", "sidebar", "paging", "tokens")
_PLAIN = ("what", "size", "growth", "target")


def _measured(name: str, *, quick: bool) -> list[Record]:
    """Run one benchmark in a process of its own: none pays for what another left behind."""
    command = [sys.executable, "-m", "tests.benchmarks", "--inside", name, *(["--quick"] if quick else [])]
    before, start = os.getloadavg()[0], time.monotonic()
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if run.returncode:
        return [{"what": f"{name} FAILED with {run.returncode}", "size": ""}]
    records: list[Record] = json.loads(run.stdout)
    sys.stderr.write(f"{name}: {time.monotonic() - start:.0f} s, load {before:.1f} → {os.getloadavg()[0]:.1f}\n")
    return [{"benchmark": name, **record} for record in records]


def _inside(name: str, *, quick: bool) -> list[Record]:
    records: list[Record] = import_module(f"tests.benchmarks.{name}").measure(quick)
    return records


def _loop_ms() -> float:
    """Return what a fixed loop takes: on a machine whose clock comes and goes, milliseconds mean little without it."""
    start = time.process_time()
    for _ in range(2_000_000):
        pass
    return (time.process_time() - start) * 1e3


def _row(record: Record) -> tuple[str, ...]:
    figures = [f"{value} {key}" for key, value in record.items() if key not in (*_PLAIN, "benchmark")]
    growth = f"× {record['growth']}" if "growth" in record else ""
    return str(record["what"]), f"{record.get('size', '')}", ", ".join(figures), growth, str(record.get("target", ""))


def _table(records: list[Record]) -> str:
    rows = [("what", "size", "figures", "growth", "target"), *(_row(record) for record in records)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(NAMES))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the records, too")
    parser.add_argument("--quick", action="store_true", help="small sizes, few repeats: does it work at all")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        sys.stdout.write(json.dumps(_inside(options.inside, quick=options.quick)))
        return
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    load, loop = os.getloadavg(), _loop_ms()
    records = [each for name in options.names or NAMES for each in _measured(name, quick=options.quick)]
    machine = {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load before": load,
        "load after": os.getloadavg(),
        "loop ms before": round(loop, 1),
        "loop ms after": round(_loop_ms(), 1),
    }
    sys.stdout.write(f"{_table(records)}\n\nload {load[0]:.1f} → {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; ")
    sys.stdout.write(f"a fixed loop took {loop:.0f} → {_loop_ms():.0f} ms\n")
    if options.json:
        options.json.write_text(
            json.dumps({"machine": machine, "records": records}, indent=1, ensure_ascii=False) + "\n"
        )


if __name__ == "__main__":
    main()
