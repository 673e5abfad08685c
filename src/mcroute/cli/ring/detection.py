"""Which system placed these keys? Compares every system, with every combination of options, with a sample."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..._ring import Ring
from ...errors import ConfigError, PlacementWarning
from ...placement import SYSTEMS
from .sweeps import tried

__all__ = ("Candidate", "Sample", "detect")

# A few pairs are enough to reject a wrong candidate.
FIRST_PAIRS = 20
# With few servers a wrong candidate is right this often by chance: below, a candidate explains nothing.
LEAST_SHARE = 0.5


@dataclass(frozen=True)
class Sample:
    """Keys, and the index of the server where each was seen."""

    keys: Sequence[bytes]
    owners: Sequence[int]


@dataclass(frozen=True)
class Candidate:
    """A system and its options, and the share of the sample that they explain."""

    system: str
    options: Mapping[str, Any]
    share: float

    def __str__(self) -> str:
        words = " ".join(f"{name}={value!r}" for name, value in self.options.items())
        return f"{self.system} {words}".rstrip()


def detect(
    servers: Any, sample: Sample, *, given: Mapping[str, Any] | None = None, out: Iterable[int] = ()
) -> list[Candidate]:
    """Returns candidates that explain at least half of the sample, best first; on ties, fewer options first.

    `servers` are as `Ring.like` takes them, `given` are known options, for the systems that have them,
    `out` the servers that were out when the sample was taken.
    """
    gone, found = sorted(set(out)), []
    for system in SYSTEMS:
        for options in _combinations(system, given or {}, bool(gone)):
            share = _explained(system, servers, options, sample, gone)
            if share >= LEAST_SHARE:
                found.append(Candidate(system, options, share))
    return sorted(found, key=lambda candidate: (-candidate.share, len(candidate.options)))


def _combinations(system: str, given: Mapping[str, Any], ejecting: bool) -> Iterator[dict[str, Any]]:
    known = {option.name for option in SYSTEMS[system].options}
    known_options = {name: value for name, value in given.items() if name in known}
    seen: set[str] = set()
    for options in tried(system, ejecting):
        combined = {**options, **known_options}
        shown = repr(sorted(combined.items()))
        if shown not in seen:
            seen.add(shown)
            yield combined


def _explained(
    system: str, servers: Any, options: Mapping[str, Any], sample: Sample, gone: Sequence[int]
) -> float:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PlacementWarning)
            ring = Ring.like(system, servers, out="theirs" if gone else "skip", **options)
    except (ConfigError, ValueError):
        return 0.0
    first = _agreement(ring, sample.keys[:FIRST_PAIRS], sample.owners[:FIRST_PAIRS], gone)
    if first < LEAST_SHARE * min(FIRST_PAIRS, len(sample.keys)):
        return 0.0
    return _agreement(ring, sample.keys, sample.owners, gone) / len(sample.keys)


def _agreement(ring: Ring, keys: Sequence[bytes], owners: Sequence[int], gone: Sequence[int]) -> int:
    return sum(_owner(ring, key, gone) == owner for key, owner in zip(keys, owners, strict=True))


def _owner(ring: Ring, key: bytes, gone: Sequence[int]) -> int:
    try:
        return ring.owner(key, gone or None)
    except LookupError:
        return ring.owner(key)
