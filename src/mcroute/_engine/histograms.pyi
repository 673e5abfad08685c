from typing import Final

BOUNDS: Final[tuple[float, ...]]

def bucket_of(seconds: float) -> int:
    """The bucket that a duration is counted in: the index of its bound in BOUNDS."""
