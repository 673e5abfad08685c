from typing import Final

BOUNDS: Final[tuple[float, ...]]

def bucket_of(seconds: float) -> int: ...
