"""What the worker may hear, say and keep."""
