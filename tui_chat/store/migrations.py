"""The tables, and how older ones become the present ones.

One function per version, appended at the end and never changed again; each runs in one transaction together with its
`user_version`. Rows are ordered by `n`, the order in which they were written, never by the clock.
"""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

APPLICATION_ID = 0x74756963  # "tuic"

_USAGE = """
    input_tokens INTEGER,
    output_tokens INTEGER,
    cached_input_tokens INTEGER,
    cache_write_tokens INTEGER,
    reasoning_tokens INTEGER,
    usage_source TEXT,
    estimated TEXT NOT NULL DEFAULT '[]'
"""
_COST = """
    cost_amount TEXT,
    cost_currency TEXT,
    cost_usd TEXT,
    cost_quality TEXT,
    cost_source TEXT,
    cost_as_of TEXT,
    play INTEGER NOT NULL DEFAULT 0
"""

_TABLES = (
    # content-addressed: system prompts and attachments, each once
    "CREATE TABLE blobs (sha256 TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID",
    """CREATE TABLE conversations (
        n INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        title TEXT NOT NULL,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        recency INTEGER NOT NULL,
        system_prompt TEXT REFERENCES blobs(sha256),
        tip_id TEXT,
        model TEXT,
        params TEXT NOT NULL DEFAULT '{}',
        tags TEXT NOT NULL DEFAULT '[]',
        pinned INTEGER NOT NULL DEFAULT 0,
        archived INTEGER NOT NULL DEFAULT 0
    )""",
    "CREATE INDEX conversations_listed ON conversations (archived, pinned, recency)",
    "CREATE INDEX conversations_system_prompt ON conversations (system_prompt)",
    """CREATE TABLE turns (
        n INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        conversation_id TEXT NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,
        continues TEXT,
        prompt TEXT NOT NULL,
        batch_id TEXT,
        chosen_id TEXT,
        created_at TEXT NOT NULL
    )""",
    "CREATE INDEX turns_conversation ON turns (conversation_id, n)",
    "CREATE INDEX turns_continues ON turns (continues)",
    """CREATE TABLE attachments (
        turn_id TEXT NOT NULL REFERENCES turns(id) ON DELETE CASCADE,
        seq INTEGER NOT NULL,
        name TEXT NOT NULL,
        media_type TEXT NOT NULL,
        sha256 TEXT NOT NULL REFERENCES blobs(sha256),
        PRIMARY KEY (turn_id, seq)
    ) WITHOUT ROWID""",
    "CREATE INDEX attachments_blob ON attachments (sha256)",
    f"""CREATE TABLE completions (
        n INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        turn_id TEXT NOT NULL REFERENCES turns(id) ON DELETE CASCADE,
        seq INTEGER NOT NULL,
        owner TEXT,
        provider TEXT NOT NULL,
        model TEXT NOT NULL,
        kind TEXT NOT NULL,
        model_served TEXT,
        request_id TEXT,
        params TEXT NOT NULL DEFAULT '{{}}',
        system_prompt TEXT REFERENCES blobs(sha256),
        price TEXT,
        resumes_id TEXT,
        discarded INTEGER NOT NULL DEFAULT 0,
        text TEXT NOT NULL DEFAULT '',
        reasoning TEXT NOT NULL DEFAULT '',
        finish_reason TEXT,
        error_kind TEXT,
        error_message TEXT,
        {_USAGE},
        {_COST},
        ttft_s REAL,
        total_s REAL,
        reasoning_s REAL,
        attempts INTEGER NOT NULL DEFAULT 1,
        unreadable INTEGER NOT NULL DEFAULT 0,
        warnings TEXT NOT NULL DEFAULT '[]',
        created_at TEXT NOT NULL,
        UNIQUE (turn_id, seq)
    )""",
    "CREATE INDEX completions_running ON completions (owner) WHERE owner IS NOT NULL",
    "CREATE INDEX completions_system_prompt ON completions (system_prompt)",
    # what arrived of running completions, so that a flush writes only what is new
    """CREATE TABLE deltas (
        n INTEGER PRIMARY KEY,
        completion_id TEXT NOT NULL REFERENCES completions(id) ON DELETE CASCADE,
        text TEXT NOT NULL,
        reasoning TEXT NOT NULL
    )""",
    "CREATE INDEX deltas_completion ON deltas (completion_id, n)",
    # the ledger stands alone: no text in it, no reference that a deletion could follow, never deleted
    f"""CREATE TABLE charges (
        n INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        at TEXT NOT NULL,
        completion_id TEXT,
        conversation_id TEXT,
        purpose TEXT NOT NULL CHECK (purpose IN ('answer', 'title', 'summary', 'batch')),
        attempt INTEGER NOT NULL DEFAULT 1,
        provider TEXT NOT NULL,
        model TEXT NOT NULL,
        {_USAGE},
        {_COST},
        price TEXT,
        finish_reason TEXT,
        state TEXT NOT NULL CHECK (state IN ('open', 'settled')),
        UNIQUE (completion_id, purpose, attempt)
    )""",
    "CREATE INDEX charges_at ON charges (at)",
    "CREATE INDEX charges_conversation ON charges (conversation_id)",
    "CREATE INDEX charges_open ON charges (completion_id) WHERE state = 'open'",
    "CREATE TABLE drafts (conversation_id TEXT PRIMARY KEY, text TEXT NOT NULL, updated_at TEXT NOT NULL)",
    """CREATE TABLE draft_attachments (
        conversation_id TEXT NOT NULL REFERENCES drafts(conversation_id) ON DELETE CASCADE,
        seq INTEGER NOT NULL,
        name TEXT NOT NULL,
        media_type TEXT NOT NULL,
        sha256 TEXT NOT NULL REFERENCES blobs(sha256),
        PRIMARY KEY (conversation_id, seq)
    ) WITHOUT ROWID""",
    "CREATE INDEX draft_attachments_blob ON draft_attachments (sha256)",
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
)


def _first(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    for statement in _TABLES:
        connection.execute(statement)


_LISTED = ("id", "title", "updated_at", "recency", "pinned", "archived")
"""Columns of a conversation that a list of conversations goes by."""
_CHANGES_KEPT = 1000


def _second(connection: sqlite3.Connection) -> None:
    """Pages of long conversations and changes of long lists without reading the whole.

    The changes are noted by triggers, so that no way of writing and no process can forget it.
    """
    connection.execute("CREATE INDEX turns_first ON turns (conversation_id) WHERE continues IS NULL")
    connection.execute("CREATE TABLE conversation_changes (n INTEGER PRIMARY KEY, id TEXT NOT NULL)")
    note = (
        "INSERT INTO conversation_changes (id) VALUES ({row}.id); DELETE FROM conversation_changes "
        f"WHERE n <= (SELECT max(n) FROM conversation_changes) - {_CHANGES_KEPT};"
    )
    differs = " OR ".join(f"OLD.{name} IS NOT NEW.{name}" for name in _LISTED)
    for event, row in (
        ("INSERT ON conversations", "NEW"),
        ("DELETE ON conversations", "OLD"),
        (f"UPDATE OF {', '.join(_LISTED)} ON conversations WHEN {differs}", "NEW"),
    ):
        name = f"conversations_noted_{event.split()[0].lower()}"
        connection.execute(f"CREATE TRIGGER {name} AFTER {event} BEGIN {note.format(row=row)} END")


def _third(connection: sqlite3.Connection) -> None:
    """What providers reported beside our own counts, and what was saved by stopping."""
    connection.execute(
        """CREATE TABLE samples (
            n INTEGER PRIMARY KEY,
            provider TEXT NOT NULL,
            model TEXT NOT NULL,
            kind TEXT NOT NULL,
            raw INTEGER NOT NULL,
            reported INTEGER NOT NULL
        )"""
    )
    connection.execute("CREATE INDEX samples_model ON samples (provider, model, kind, n)")
    for table in ("completions", "charges"):
        connection.execute(f"ALTER TABLE {table} ADD COLUMN saved_typical TEXT")
        connection.execute(f"ALTER TABLE {table} ADD COLUMN saved_ceiling TEXT")
    connection.execute("CREATE INDEX charges_model ON charges (provider, model, n)")


def _fourth(connection: sqlite3.Connection) -> None:
    """Columns that are hidden, names that are, turns that stand side by side, and which answer was found best.

    Votes stand alone as charges do: no text in them, no reference that a deletion could follow.
    """
    connection.execute("ALTER TABLE completions ADD COLUMN hidden INTEGER NOT NULL DEFAULT 0")
    connection.execute("ALTER TABLE turns ADD COLUMN blind INTEGER NOT NULL DEFAULT 0")
    connection.execute("CREATE INDEX turns_batch ON turns (batch_id) WHERE batch_id IS NOT NULL")
    connection.execute(
        """CREATE TABLE votes (
            n INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            at TEXT NOT NULL,
            turn_id TEXT NOT NULL UNIQUE
        )"""
    )
    connection.execute(
        """CREATE TABLE vote_models (
            vote_id TEXT NOT NULL REFERENCES votes(id) ON DELETE CASCADE,
            seq INTEGER NOT NULL,
            provider TEXT NOT NULL,
            model TEXT NOT NULL,
            won INTEGER NOT NULL,
            PRIMARY KEY (vote_id, seq)
        ) WITHOUT ROWID"""
    )


def _fifth(connection: sqlite3.Connection) -> None:
    """What answers that run have set aside of a budget, what charges count for against one, and waits for a limit."""
    connection.execute(
        """CREATE TABLE reservations (
            completion_id TEXT PRIMARY KEY,
            owner TEXT NOT NULL,
            conversation_id TEXT NOT NULL,
            at TEXT NOT NULL,
            usd TEXT NOT NULL
        ) WITHOUT ROWID"""
    )
    connection.execute("ALTER TABLE charges ADD COLUMN upper_usd TEXT")
    connection.execute("ALTER TABLE charges ADD COLUMN clamped_to INTEGER")
    connection.execute("ALTER TABLE charges ADD COLUMN queued_s REAL")


Migration = Callable[[sqlite3.Connection], None]
MIGRATIONS: tuple[Migration, ...] = (_first, _second, _third, _fourth, _fifth)
LATEST = len(MIGRATIONS)


def version_of(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection, path: Path, migrations: tuple[Migration, ...] = MIGRATIONS) -> None:
    """Bring the database behind `connection` to the latest version, after a backup when there is anything in it.

    Raises sqlite3.Error and OSError when it cannot be done; it is unchanged then.
    """
    saved = version_of(connection) == 0  # a new one: nothing to lose
    while version_of(connection) < len(migrations):
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = version_of(connection)  # another instance may have been faster
            if version < len(migrations):
                if version and not saved:
                    back_up(path, version)
                    saved = True
                migrations[version](connection)
                connection.execute(f"PRAGMA user_version = {version + 1}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def back_up(path: Path, version: int) -> Path:
    """Write a copy of the database beside it through SQLite's backup API; return where it is.

    Raises sqlite3.Error and OSError; a half-written copy is taken away.
    """
    number = 1
    while True:
        ending = f"-{number}" if number > 1 else ""
        copy = path.with_name(f"{path.stem}.before-v{version + 1}{ending}{path.suffix}")
        try:
            os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
            break
        except FileExistsError:
            number += 1
    try:
        with (
            closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
    except BaseException:
        copy.unlink(missing_ok=True)
        raise
    return copy
