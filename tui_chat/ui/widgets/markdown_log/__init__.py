"""Markdown that streams: one line-API widget for one answer, however long it grows.

Import from the modules: `widget.MarkdownLog` for Textual, `document.MarkdownDocument` for the parser state alone.
"""
