"""What of a key is hashed. In C: see keys.pxd."""

CUTS: tuple[str, ...]
FORMS: tuple[str, ...]
