"""Where clients look next when the owner is out. In C: see rehash.pxd."""

WALKS: tuple[str, ...]
