"""The history on disk. SQLite lives only here."""
