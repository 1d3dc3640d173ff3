"""Undertone: hears each speaker of a live video room on their own and says what it hears."""

__version__ = "0.1.0"
