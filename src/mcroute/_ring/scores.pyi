"""The highest score owns the key. In C: see scores.pxd."""

SCORES: tuple[str, ...]
