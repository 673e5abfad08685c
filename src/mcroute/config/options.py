"""What an option is: its name, the kind of its value, its text and its default."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from enum import Enum
from typing import Any

__all__ = ("REQUIRED", "Kind", "Option", "default_of", "option_of", "seconds_of", "size_of")

REQUIRED: Any = object()


class Kind(Enum):
    """The kinds of values; the texts complete error messages: "expected ..."."""

    TEXT = "a text in quotes"
    INTEGER = "an integer"
    NUMBER = "a number"
    SWITCH = "true or false"
    SIZE = 'a size in bytes, as 1048576 or "1m"'
    SERVERS = "an array of servers"
    PLACEMENT = "a table of like = system, and the options of that"
    POOL = "the name of a pool"
    ROUTE = "a route"
    ROUTES = "an array of routes"
    ROUTES_BY_PREFIX = "a table of prefix = route"
    ROUTES_BY_COMMAND = "a table of kind of command = route"


@dataclass(frozen=True, slots=True)
class Option:
    """One option. `example` is TOML for messages and docs/config.md; the other fields describe the value."""

    name: str
    kind: Kind
    help: str
    example: str
    default: Any = REQUIRED
    unit: str = ""
    choices: tuple[str, ...] = ()
    least: float = 0
    most: float = float("inf")


def default_of(owner: type, name: str) -> Any:
    """The default of a dataclass's field, or REQUIRED."""
    default = next(field.default for field in fields(owner) if field.name == name)
    return REQUIRED if default is MISSING else default


def option_of(owner: type, name: str, kind: Kind, help: str, **more: Any) -> Option:
    """An option of a policy class: the default is the class's own, and serves as the example."""
    default = default_of(owner, name)
    shown = f'"{default}"' if isinstance(default, str) else str(default)
    return Option(name, kind, help, shown, default, **more)


def _size(default: int) -> str:
    """A size with its unit, as people write it."""
    for power, letter in ((30, "g"), (20, "m"), (10, "k")):
        if default and not default % (1 << power):
            return f'"{default >> power}{letter}"'
    return str(default)


def size_of(owner: type, name: str, help: str, **more: Any) -> Option:
    """As `option_of`, for a size in bytes."""
    default = default_of(owner, name)
    return Option(name, Kind.SIZE, help, _size(default), default, **more)


def seconds_of(owner: type, name: str, help: str, **more: Any) -> Option:
    """As `option_of`, for a time."""
    return option_of(owner, name, Kind.NUMBER, help, unit="seconds", **more)
