"""The options of a pool that belong to its servers, and their values for a server of several pools."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import reduce
from typing import TypeVar

from ..errors import ConfigError
from .limits import VALUE_MAX

__all__ = ("IDENTITIES", "LINKS_MAX", "ServerOptions", "check_seconds", "folded")

# The process that may serve after an absence: a restart of the known one, or any.
IDENTITIES = ("same", "any")
# Connections to one server: the engine's capacity.
LINKS_MAX = 16

_T = TypeVar("_T")


def _option(default: _T, fold: Callable[[_T, _T], _T]) -> _T:
    """`fold` combines the values of two pools."""
    value: _T = field(default=default, metadata={"fold": fold})
    return value


def _most_trusting(first: str, second: str) -> str:
    return "any" if "any" in (first, second) else first


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """The options of a pool that belong to its servers; each field declares how several pools' values
    combine.

    A new option needs a field here, and a line in `config.schema`. Times are in seconds, sizes in bytes.
    """

    connect_timeout_s: float = _option(0.5, min)
    reply_timeout_s: float = _option(0.5, min)
    trip_after: int = _option(3, min)
    links: int = _option(1, max)
    value_max: int = _option(0, max)
    identity: str = _option("same", _most_trusting)

    def check_options(self, place: str) -> None:
        """Raises ConfigError for a value out of range; `place` is the pool's in the configuration."""
        check_seconds(self, ("connect_timeout_s", "reply_timeout_s"), place)
        for option in ("trip_after", "links"):
            if getattr(self, option) < 1:
                raise ConfigError(f"{place}.{option}", f"{getattr(self, option)} is less than 1")
        if self.links > LINKS_MAX:
            raise ConfigError(f"{place}.links", f"{self.links} is more than {LINKS_MAX}")
        if not 0 <= self.value_max <= VALUE_MAX:
            raise ConfigError(f"{place}.value_max", f"{self.value_max} is not from 0 to {VALUE_MAX} bytes")
        if self.identity not in IDENTITIES:
            raise ConfigError(f"{place}.identity", f"{self.identity!r} is not one of {', '.join(IDENTITIES)}")


def folded(options: Sequence[ServerOptions]) -> ServerOptions:
    """The options of a server that is in several pools, which have these."""
    return ServerOptions(
        **{
            option.name: reduce(option.metadata["fold"], (getattr(own, option.name) for own in options))
            for option in fields(ServerOptions)
        }
    )


def check_seconds(owner: object, options: Sequence[str], place: str) -> None:
    """Raises ConfigError if one of these options of `owner` is not a duration."""
    for option in options:
        value = getattr(owner, option)
        # Written so that NaN is refused too.
        if not 0 < value < float("inf"):
            raise ConfigError(f"{place}.{option}", f"{value} is not a positive, finite number of seconds")
