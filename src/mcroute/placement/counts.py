"""The number of groups of points, or of slots, per server."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = (
    "Count",
    "by_option",
    "by_weight",
    "equally",
    "ketama_groups",
    "libmemcached_groups",
    "uhashring_groups",
    "uhashring_points",
)

# The weights and the system's options in, groups out.
Count = Callable[[Sequence[float], Mapping[str, Any]], list[int]]


def equally(groups: int) -> Count:
    return lambda weights, options: [groups] * len(weights)


def by_weight(groups: int = 1) -> Count:
    return lambda weights, options: [int(groups * weight) for weight in weights]


def by_option(name: str, words: int) -> Count:
    """As many points as the option says, in groups of `words`."""
    return lambda weights, options: [options[name] // words] * len(weights)


def single(value: float) -> float:
    """`value` rounded to IEEE single precision.

    One operation on singles, done in double precision and rounded once more, is the same operation in single
    precision: a double has more than twice the bits.
    """
    return float(struct.unpack("f", struct.pack("f", value))[0])


def ketama_groups(weights: Sequence[float], options: Mapping[str, Any]) -> list[int]:
    """libketama's rule, of 40 groups a server in all: every step in single precision, from left to right.

    So 25 equal servers have 39 groups each, not 40, and a server of small weight may have none.
    """
    total = single(sum(weights)) or 1.0
    groups = []
    for weight in weights:
        share = single(single(single(weight) / total) * 160)
        groups.append(math.floor(single(single(single(share / 4) * len(weights)) + 1e-10)))
    return groups


def libmemcached_groups(weights: Sequence[float], options: Mapping[str, Any]) -> list[int]:
    """libketama's rule, and a weight of 0 counts as 1."""
    return ketama_groups([weight or 1 for weight in weights], options)


def uhashring_groups(weights: Sequence[float], options: Mapping[str, Any]) -> list[int]:
    """ketama_groups in integers, as uhashring computes it; 40 groups, or the value of `vnodes`."""
    vnodes, total = options["vnodes"] or 40, sum(weights) or 1
    return [int(vnodes * len(weights) * weight // total) for weight in weights]


def uhashring_points(weights: Sequence[float], options: Mapping[str, Any]) -> list[int]:
    """uhashring's own ring: 160 points, or the value of `vnodes`, per unit of weight."""
    return [int((options["vnodes"] or 160) * weight) for weight in weights]
