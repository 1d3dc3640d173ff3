"""Metrics, health, logs and the HTTP server."""
