"""config.toml: what can stand in it (`file.py`), how values are read (`readers.py`), what comes out (`values.py`)."""
