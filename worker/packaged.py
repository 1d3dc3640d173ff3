"""Files that come with the worker: inside the installed package, or beside it in a working copy."""

from pathlib import Path

from worker.errors import ConfigError

BESIDE = {"pages": "frontend_demo", "configs": "configs", "deploy": "deploy"}
"""Folder in the package, and in a working copy."""


def packaged(folder: str) -> Path:
    """Raises ConfigError when the installation lacks it."""
    package = Path(__file__).parent
    for place in (package / folder, package.parent / BESIDE[folder]):
        if place.is_dir():
            return place
    raise ConfigError(f"the installation lacks its folder {folder}: install Undertone anew.")
