"""Surprising behaviour of systems, which is reproduced with a warning."""

from __future__ import annotations

from collections import Counter

from .parts import Placement
from .rows import Asked

__all__ = ("traps_of",)


def _narrow_hash(placement: Placement, asked: Asked) -> str:
    if placement.find == "points" and placement.hash == "crc32_mid15" and placement.words == 4:
        return (
            "this crc hash of keys has 15 bits, the points have 32: nearly every key goes to one server. "
            "The placement is the same here; move to another hash"
        )
    return ""


def _nothing(placement: Placement, asked: Asked) -> str:
    idle = [name.decode() for name, _, groups in placement.laid if groups == 0]
    return f"weights: {', '.join(idle)} gets no point, and so no key" if idle else ""


def _same_names(placement: Placement, asked: Asked) -> str:
    if placement.find in ("modulo", "jump", "furc", "weighted_furc", "const_shard"):
        return ""
    same = {name.decode() for name, times in Counter(placement.labels).items() if times > 1}
    return (
        f"several servers have one name, {', '.join(sorted(same))}: one of them takes all keys"
        if same
        else ""
    )


def _reversed(placement: Placement, asked: Asked) -> str:
    if "reverse" not in asked.options or not placement.laid:
        return ""
    if asked.options.get("format", "LIBMEMCACHED") != "LIBMEMCACHED":
        return ""
    not_named = [a.host for a in asked.addresses if a.is_numeric and a.host not in asked.options["reverse"]]
    if not not_named:
        return ""
    return (
        f"Java resolves addresses to host names; {', '.join(sorted(set(not_named)))} taken as names. "
        "If they have other names there, give them in reverse"
    )


_TRAPS = (_narrow_hash, _nothing, _same_names, _reversed)


def traps_of(placement: Placement, asked: Asked) -> list[str]:
    return [text for trap in _TRAPS if (text := trap(placement, asked))]
