# Only for use from Cython: see pieces.pxd. Python meets a Piece as the object of a memoryview.
from typing import Any, final

@final
class Piece:
    """A slice of a block, seen through a memoryview."""

    def __reduce__(self) -> Any: ...
    def __setstate__(self, state: Any) -> None: ...
