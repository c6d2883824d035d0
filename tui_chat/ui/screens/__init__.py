"""Whole screens and the boxes over them."""
