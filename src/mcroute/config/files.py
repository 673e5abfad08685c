"""Reads TOML files. Every error names the file."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from ..errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ("parse_toml", "read_text")

T = TypeVar("T")

# The first bytes of a UTF-16 file, in either byte order.
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a UTF-8 file. Raises ConfigError, whose place is the path."""
    place = os.fspath(path)
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        raise ConfigError(place, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        hint = "; save it as UTF-8 instead of UTF-16" if error.object[:2] in _UTF16_MARKS else ""
        raise ConfigError(
            place, f"is not UTF-8: byte {error.start} is {error.object[error.start]:#04x}{hint}"
        ) from None


def parse_toml(text: str, place: str, read: Callable[[dict[str, Any]], T]) -> T:
    """Returns what `read` makes of the TOML. `place`, such as the file's name, is the prefix of errors.

    Raises ConfigError.
    """
    try:
        # Some editors write a byte order mark.
        raw = tomllib.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        # The parser also lets errors of int() and of the stack pass.
        raise ConfigError(place, f"is not TOML: {error}") from None
    try:
        return read(raw)
    except RecursionError:
        raise ConfigError(place, "is nested too deeply") from None
    except ConfigError as error:
        where = ": ".join(part for part in (place, error.place) if part)
        raise ConfigError(where, error.message) from None
