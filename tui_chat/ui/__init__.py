"""The screen. Textual lives only here; it sees nothing but the core, and only the command line imports `ui.app`."""
