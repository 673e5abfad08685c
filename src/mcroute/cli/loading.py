"""The configuration of a command, with its warnings."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable

from ..config import Config, load_config
from ..errors import McrouteWarning

__all__ = ("load",)


def _print_warning(text: str) -> None:
    print(f"Warning: {text}", file=sys.stderr)


def load(path: str, warn: Callable[[str], None] = _print_warning) -> Config:
    """The configuration in this file; its warnings go to `warn`, by default to stderr. Raises ConfigError."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", McrouteWarning)
        loaded = load_config(path)
    for warning in caught:
        warn(str(warning.message))
    return loaded
