"""What counting costs.

One delta is one token of the manual that comes with Python. `growth` is the time per delta at 100,000 tokens over that
at 1,000: 1 means constant work. Each way of loading has a process of its own; its longest stall is the longest time by
which a thread that sleeps 1 ms woke too late. Streams are the best of three, since other programs run too.
"""

import json
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

from tests.benchmarks.common import with_growth

WAYS = ("nothing", "ours", "tiktoken")


def resident_mb():
    """Resident memory of this process in MB; 0 where there is no /proc."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0)


def load(way):
    """Load in a thread, as the program does, while this one ticks."""
    from tui_chat.tokens import TiktokenCounter
    from tui_chat.vocabularies import ranks
    from tui_chat.vocabularies.vocabulary import SPLITS

    def load_nothing():
        time.sleep(0.2)

    def load_tiktoken():
        import tiktoken

        name = "o200k_base"
        kept.append(tiktoken.Encoding(name, pat_str=SPLITS[name], mergeable_ranks=ranks(name), special_tokens={}))

    def load_ours():
        kept.append(TiktokenCounter())
        kept[0].load()

    kept = []
    before_mb = resident_mb()
    thread = threading.Thread(target={"nothing": load_nothing, "ours": load_ours, "tiktoken": load_tiktoken}[way])
    stall = 0.0
    thread.start()
    start = last = time.perf_counter()
    while thread.is_alive():
        time.sleep(0.001)
        now = time.perf_counter()
        stall, last = max(stall, now - last - 0.001), now
    took = time.perf_counter() - start
    return {"load_ms": took * 1e3, "longest_stall_ms": stall * 1e3, "added_mb": resident_mb() - before_mb}


def manual(tokens):
    """So many tokens' texts, in order."""
    from pydoc_data import topics

    import tiktoken

    from tui_chat.vocabularies import ranks
    from tui_chat.vocabularies.vocabulary import SPLITS

    name = "o200k_base"
    encoding = tiktoken.Encoding(name, pat_str=SPLITS[name], mergeable_ranks=ranks(name), special_tokens={})
    text = "".join(topics.topics.values())
    numbers = encoding.encode(text, disallowed_special=())[:tokens]
    text, starts = encoding.decode_with_offsets(numbers)
    return [text[start:end] for start, end in pairwise([*starts, len(text)])]


def stream(deltas):
    """µs per delta (the mean of the last tenth, where the text is longest), and the time of counting it all again."""
    from tui_chat.tokens import TiktokenCounter

    counter = TiktokenCounter()  # a new one, that remembers nothing
    counter.load()
    growing = counter.stream()
    times = []
    for delta in deltas:
        start = time.perf_counter()
        growing.feed(delta)
        times.append((time.perf_counter() - start) * 1e6)
    end = times[-len(times) // 10 :]
    start = time.perf_counter()
    assert counter.count("".join(deltas)) == growing.tokens == len(deltas)
    return {
        "us_per_delta": sum(end) / len(end),
        "us_p99": sorted(times)[len(times) * 99 // 100],
        "us_max": max(times),
        "whole_again_ms": (time.perf_counter() - start) * 1e3,
    }


def measure(quick):
    """Return how each way of loading does, and what a delta costs in texts of each size."""
    loads = [sys.executable, "-m", "tests.benchmarks.tokens"]
    records = []
    for way in WAYS:
        figures = json.loads(subprocess.run([*loads, way], check=True, capture_output=True).stdout)
        records.append({"what": f"load the vocabulary, {way}", "size": "", **rounded(figures)})
    sizes = (1_000, 10_000) if quick else (1_000, 10_000, 100_000)
    deltas = manual(sizes[-1])
    streams = [
        {
            "what": "count a stream",
            "size": size,
            **rounded(min((stream(deltas[:size]) for _ in range(3)), key=per_delta)),
        }
        for size in sizes
    ]
    return records + with_growth(streams, "us_per_delta")


def per_delta(found):
    return found["us_per_delta"]


def rounded(figures):
    return {key: round(value, 2) for key, value in figures.items()}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(load(sys.argv[1])))
