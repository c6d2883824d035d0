"""A terminal chat client for language models. Importing the package costs nothing: the rooms are imported by who needs them."""

__version__ = "0.1.0"
