"""The configuration of a command, with its warnings on stderr."""

from __future__ import annotations

import sys
import warnings

from ..config import Config, load_config
from ..errors import McrouteWarning

__all__ = ("load",)


def load(path: str) -> Config:
    """The configuration in this file; its warnings go to stderr. Raises ConfigError."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", McrouteWarning)
        loaded = load_config(path)
    for warning in caught:
        print(f"Warning: {warning.message}", file=sys.stderr)
    return loaded
