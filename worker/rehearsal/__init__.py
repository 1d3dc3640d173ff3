"""Holds rules against a conversation that is over: what would have been said, to whom and when."""
