"""The tests of the worker, one file per module."""
