"""A terminal chat client for language models. Importing the package costs nothing: who needs a room imports it."""

__version__ = "0.1.0"
