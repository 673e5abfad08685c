"""The highest score owns the key. In C: see rendezvous.pxd."""

SCORES: tuple[str, ...]
