"""Placements of other systems, for `Ring.like`."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import ConfigError, PlacementWarning
from .addresses import Address, read_servers
from .parts import KeyRule, Laid, Numbered, Placement
from .rows import Asked, Choice, Layout, System
from .systems import SYSTEMS
from .traps import traps_of

__all__ = ("Inherited", "inherit")

# The accepted types of an option, by the type of its default.
_KINDS: dict[type, tuple[type, ...]] = {
    bool: (bool,),
    int: (int,),
    str: (str, bytes),
    tuple: (Sequence, Mapping),
    dict: (Mapping, Sequence),
}
OUT = ("skip", "theirs")
# Counted servers take no memory, apart from a mask of skipped ones.
COUNT_MAX = 1 << 24
KEYS = ("client", "wire")


@dataclass(frozen=True)
class Inherited:
    """A system's placement with all options settled. `servers` are addresses, or the number of servers.

    `out` is "skip" or "theirs", `keys` is "client" or "wire": see `Ring.like`. `options` are the given ones.
    A ring is built from `placement`; `when_out` is the system's behaviour when a server is out.
    """

    system: str
    servers: tuple[Address, ...] | int
    options: dict[str, Any]
    out: str = "skip"
    keys: str = "client"
    placement: Placement = field(init=False, repr=False, compare=False)
    when_out: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        row, asked = SYSTEMS[self.system], self.asked
        choice = row.settle(asked)
        for refuse in row.refuses:
            if reason := refuse(asked):
                raise ConfigError("servers", reason)
        # Computed once: the dataclass is frozen, and these follow from the other fields.
        object.__setattr__(self, "when_out", choice.out)
        object.__setattr__(self, "placement", _placement(self, row, asked, choice, frozenset()))

    @property
    def asked(self) -> Asked:
        """The question to the system, with a value for every option."""
        options = {option.name: option.default for option in SYSTEMS[self.system].options}
        options.update({name: value for name, value in self.options.items() if value is not None})
        if "reverse" in options:
            options["reverse"] = {"127.0.0.1": "localhost", **options["reverse"]}
        if isinstance(self.servers, int):
            return Asked((), self.servers, options)
        return Asked(self.servers, len(self.servers), options)

    @property
    def names(self) -> Sequence[str]:
        """The servers' names for messages."""
        if isinstance(self.servers, int):
            return Numbered(self.servers)
        return tuple(str(address) for address in self.servers)

    @property
    def weights(self) -> tuple[float, ...]:
        """The given weights; empty when servers are only counted."""
        if isinstance(self.servers, int):
            return ()
        return tuple(address.weight for address in self.servers)

    @property
    def recomputes(self) -> bool:
        """Whether the points are recomputed when a server is out."""
        return self.out == "theirs" and self.when_out == "recompute"

    def without(self, gone: Iterable[int]) -> Inherited:
        """The same placement without the servers of these indices; the other servers keep their indices."""
        row, asked = SYSTEMS[self.system], self.asked
        found = replace(self)
        placement = _placement(self, row, asked, row.settle(asked), frozenset(gone))
        object.__setattr__(found, "placement", placement)
        # The points are recomputed already: further servers that are out are skipped.
        object.__setattr__(found, "when_out", "skip")
        return found

    def traps(self) -> list[str]:
        """Surprising behaviour of this placement, one text each."""
        return traps_of(self.placement, self.asked)

    def __hash__(self) -> int:
        return hash((self.system, self.servers, self.out, self.keys, repr(sorted(self.options.items()))))

    def __repr__(self) -> str:
        servers: object = self.servers
        if not isinstance(self.servers, int):
            servers = [(a.host, a.port, a.weight, a.name) for a in self.servers]
        words = {"out": self.out, "keys": self.keys, **self.options}
        defaults = {"out": "skip", "keys": "client"}
        given = (f", {name}={value!r}" for name, value in words.items() if defaults.get(name) != value)
        return f"like({self.system!r}, {servers!r}{''.join(given)})"


def inherit(
    system: str, servers: Iterable[Any] | int, *, out: str = "skip", keys: str = "client", **options: Any
) -> Inherited:
    """The placement for `Ring.like`. Raises ConfigError; issues PlacementWarning for surprising behaviour."""
    if system not in SYSTEMS:
        raise ConfigError("like", f"{system!r} is no system; {_nearest(system, SYSTEMS)}")
    row = SYSTEMS[system]
    _check_word("out", out, OUT)
    _check_word("keys", keys, KEYS)
    _check_options(row, options)
    found = Inherited(system, _servers(row, servers), dict(options), out, keys)
    for trap in found.traps():
        warnings.warn(f"{system}: {trap}", PlacementWarning, stacklevel=2)
    return found


def _servers(row: System, servers: Any) -> tuple[Address, ...] | int:
    if not isinstance(servers, int):
        if isinstance(servers, Mapping):
            servers = [replace(read_servers([name], row.reader)[0], weight=w) for name, w in servers.items()]
        return read_servers(servers, row.reader)
    if not row.counts:
        raise ConfigError("servers", f"{row.name} hashes the names of servers: their number is not enough")
    if not 1 <= servers <= COUNT_MAX:
        raise ConfigError("servers", f"{servers} is not a number of servers, from 1 to {COUNT_MAX}")
    return servers


def _check_options(row: System, options: Mapping[str, Any]) -> None:
    known = {option.name: option for option in row.options}
    for name, value in options.items():
        if name not in known:
            raise ConfigError(name, f"{row.name} has no such option; {_nearest(name, known)}")
        if known[name].choices:
            _check_word(name, value, known[name].choices)
        _check_kind(name, value, known[name].default)
        if known[name].maps_text and value is not None:
            _check_texts(name, value)


def _check_kind(name: str, value: Any, default: Any) -> None:
    kinds = _KINDS.get(type(default))
    if value is None or kinds is None:
        return
    # In Python true is an integer.
    if not isinstance(value, kinds) or isinstance(value, bool) != (bool in kinds):
        raise ConfigError(name, f"{value!r} does not have the type of {default!r}")


def _check_texts(name: str, value: Any) -> None:
    if not isinstance(value, Mapping):
        raise ConfigError(name, f"{value!r} is not a mapping from names to addresses, or the reverse")
    for given in (*value, *value.values()):
        if not isinstance(given, str):
            raise ConfigError(name, f"{given!r} is not text")


def _check_word(name: str, value: Any, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ConfigError(name, f"{value!r} is not known; {_nearest(str(value), choices)}")


def _nearest(word: str, known: Iterable[str]) -> str:
    known = list(known)
    # Imported late: only mistakes need it.
    from difflib import get_close_matches  # noqa: PLC0415

    close = get_close_matches(word, known, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"there is {', '.join(map(repr, known))}" if known else "there are none"


# ---- from a choice to a placement


def _placement(
    inherited: Inherited, row: System, asked: Asked, choice: Choice, gone: frozenset[int]
) -> Placement:
    layout = row.layouts[choice.layout]
    names = _names(layout, asked)
    labels = tuple(name.encode() for name in names)
    return Placement(
        size=asked.size,
        find=layout.find,
        laid=_laid(layout, choice, asked, names, gone),
        hash=choice.hash,
        seed=choice.seed,
        text_max=choice.text_max,
        point_hash=choice.point_hash or layout.point_hash or choice.hash,
        words=layout.words,
        above=layout.above,
        labels=labels,
        weights=choice.weights,
        walk=_walk(inherited.out, choice),
        key=_key_rule(choice, inherited.keys),
    )


def _names(layout: Layout, asked: Asked) -> list[str]:
    if layout.named is None:
        return [str(address) for address in asked.addresses]
    tags = asked.options.get("tags")
    return list(tags) if tags else [layout.named(address, asked.options) for address in asked.addresses]


def _laid(layout: Layout, choice: Choice, asked: Asked, names: list[str], gone: frozenset[int]) -> list[Laid]:
    if layout.groups is None and choice.order is None:
        return []
    addresses = list(asked.addresses)
    there = [i for i in (choice.order or layout.order)(names, addresses) if i not in gone]
    if layout.groups is None:
        return [(names[i].encode(), i, 1) for i in there]
    groups = layout.groups([addresses[i].weight for i in there], asked.options)
    laid = [(names[i].encode(), i, count) for i, count in zip(there, groups, strict=True)]
    return laid[::-1] if layout.last_wins else laid


def _walk(out: str, choice: Choice) -> str:
    return "" if out == "skip" or choice.out in ("skip", "recompute") else choice.out


def _key_rule(choice: Choice, keys: str) -> KeyRule:
    """The key rule; on the wire, keys already have the client's prefix, which is hashed or stripped."""
    if keys == "wire":
        return (
            replace(choice.key, lead=b"")
            if choice.hashes_prefix
            else replace(choice.key, strip=choice.prefix)
        )
    return replace(choice.key, prefix=choice.prefix) if choice.hashes_prefix else choice.key
