"""Checks parsed TOML against the schema. Every error names its place and a remedy."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..errors import ConfigError
from .options import REQUIRED, Kind, Option

__all__ = ("array_of", "inside", "placed", "read_options", "suggest", "table_of")

# No option needs a larger number, and a larger one would not fit the engine's C integers.
INTEGER_MAX = 2**31 - 1
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")

_TYPES: dict[Kind, type | tuple[type, ...]] = {
    Kind.TEXT: str,
    Kind.POOL: str,
    Kind.INTEGER: int,
    Kind.NUMBER: (int, float),
    Kind.SWITCH: bool,
    Kind.SIZE: int,
}
_SIZE = re.compile(r"([0-9]+)([kmg]?)", re.IGNORECASE)
_POWERS = {"": 0, "k": 10, "m": 20, "g": 30}
SIZE_MAX = 2**46


def inside(place: str, key: str) -> str:
    """The place of a key in the table at `place`, written as in TOML."""
    shown = key if _BARE_KEY.fullmatch(key) else json.dumps(key, ensure_ascii=False)
    return f"{place}.{shown}" if place else shown


@contextmanager
def placed(place: str, subject: str) -> Iterator[None]:
    """Replaces `subject` at the start of an error's place by the place in the file."""
    try:
        yield
    except ConfigError as error:
        rest = error.place[len(subject) :] if error.place.startswith(subject) else ""
        raise ConfigError(place + rest, error.message) from None


def suggest(word: str, known: Collection[str]) -> str:
    """ "did you mean ...?" for an unknown word, or the list of all known words."""
    # Imported late: only mistakes need it.
    from difflib import get_close_matches  # noqa: PLC0415

    close = get_close_matches(word.lower(), known, n=1)
    if close:
        return f"did you mean {close[0]}?"
    return f"there is {', '.join(known)}" if known else "there are none"


def table_of(raw: object, place: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise ConfigError(place, f"expected a table, got {_shown(raw)}")
    return raw


def array_of(raw: object, option: Option, place: str) -> list[Any]:
    if not isinstance(raw, list):
        raise _unfit(raw, option, place)
    return raw


def read_options(raw: dict[str, Any], options: Sequence[Option], place: str) -> dict[str, Any]:
    """Values by name, with defaults. Checks numbers and texts; nested values are returned unchecked."""
    known = {option.name: option for option in options}
    for key in raw:
        if key not in known:
            raise ConfigError(inside(place, key), f"no such option; {suggest(key, known)}")
    return {name: _value(raw, option, place) for name, option in known.items()}


def _value(raw: dict[str, Any], option: Option, place: str) -> Any:
    if option.name in raw:
        return _checked(raw[option.name], option, inside(place, option.name))
    if option.default is REQUIRED:
        raise ConfigError(place, f"{option.name} is missing; write for instance {_line(option)}")
    return option.default


def _checked(raw: Any, option: Option, place: str) -> Any:
    if option.kind not in _TYPES:
        return raw
    if option.kind is Kind.SIZE:
        raw = _size(raw)
    # In Python true is an integer; in a configuration it is a mistake.
    if not isinstance(raw, _TYPES[option.kind]) or isinstance(raw, bool) is not (option.kind is Kind.SWITCH):
        raise _unfit(raw, option, place)
    if option.kind is Kind.SWITCH:
        return raw
    if isinstance(raw, int) and abs(raw) > (SIZE_MAX if option.kind is Kind.SIZE else INTEGER_MAX):
        raise ConfigError(place, f"{raw} is too large; write for instance {_line(option)}")
    # Written so that NaN is refused too.
    if isinstance(raw, (int, float)) and not (option.least <= raw <= option.most and raw < float("inf")):
        to = f"to {option.most}" if option.most < float("inf") else "on"
        raise ConfigError(place, f"{raw} is not {option.kind.value} from {option.least} {to}")
    if option.choices and raw not in option.choices:
        raise ConfigError(place, f"{_shown(raw)} is not known; {suggest(str(raw), option.choices)}")
    return raw


def _size(raw: Any) -> Any:
    """The size in bytes; `raw` itself if it is not a size."""
    written = _SIZE.fullmatch(raw) if isinstance(raw, str) else None
    if written is None:
        return raw
    return int(written[1]) << _POWERS[written[2].lower()]


def _unfit(raw: object, option: Option, place: str) -> ConfigError:
    return ConfigError(
        place, f"expected {option.kind.value}, got {_shown(raw)}; write for instance {_line(option)}"
    )


def _line(option: Option) -> str:
    return f"{option.name} = {option.example}"


def _shown(raw: object) -> str:
    """A value as in TOML; tables and arrays only by their kind."""
    if isinstance(raw, dict):
        return "a table"
    if isinstance(raw, list):
        return "an array"
    if isinstance(raw, (str, bool)):
        return json.dumps(raw, ensure_ascii=False)
    return str(raw)
