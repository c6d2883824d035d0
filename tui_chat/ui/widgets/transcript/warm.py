"""What the first answer needs to be drawn, loaded while nobody waits for it."""


def warm() -> None:
    """Import it; for a thread, while the program is idle."""
    import tui_chat.ui.widgets.transcript.widget  # noqa: F401  with everything below it
    from tui_chat.ui.widgets.markdown_log.highlight import highlight
    from tui_chat.ui.widgets.markdown_log.parse import parse

    parse("")
    for language in ("python", "json", "bash"):  # a lexer is loaded with the first code in its language
        highlight("", language)
