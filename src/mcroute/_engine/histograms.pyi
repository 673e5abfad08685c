from typing import Final

BOUNDS: Final[tuple[float, ...]]

def bucket_of(seconds: float) -> int:
    """The bucket of a duration: the index of its upper bound in BOUNDS."""
