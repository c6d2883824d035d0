"""What providers reported beside our own counts of the same text, so that estimates get better from run to run."""

import sqlite3
from collections.abc import Iterator
from typing import get_args

from tui_chat.core.calibration import KEPT, Kind, Sample
from tui_chat.store import rows

_KINDS = get_args(Kind)


def save_sample(connection: sqlite3.Connection, provider: str, model: str, sample: Sample) -> None:
    """Add a sample; of each kind only the last ones are kept."""
    of_model = (rows.stored(provider), rows.stored(model), sample.kind)
    connection.execute(
        "INSERT INTO samples (provider, model, kind, raw, reported) VALUES (?, ?, ?, ?, ?)",
        (*of_model, sample.raw, sample.reported),
    )
    connection.execute(
        "DELETE FROM samples WHERE provider = ? AND model = ? AND kind = ? AND n <= (SELECT n FROM samples"
        " WHERE provider = ? AND model = ? AND kind = ? ORDER BY n DESC LIMIT 1 OFFSET ?)",
        (*of_model, *of_model, KEPT),
    )


def samples_of(connection: sqlite3.Connection, provider: str, model: str) -> Iterator[Sample]:
    """Yield the samples of a model, the oldest first."""
    found = connection.execute(
        "SELECT kind, raw, reported FROM samples WHERE provider = ? AND model = ? ORDER BY n",
        (rows.stored(provider), rows.stored(model)),
    )
    for row in found:
        if row["kind"] in _KINDS and row["raw"] > 0:
            yield Sample(row["kind"], row["raw"], row["reported"])
