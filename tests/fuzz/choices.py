"""Decisions out of a fuzzer's bytes, and the promise that was not kept."""


class Broken(Exception):
    """A promise of the engine that was not kept."""


def require(kept: bool, promise: str, detail: object = "") -> None:
    if not kept:
        raise Broken(f"{promise}: {detail!r}" if detail else promise)


class Choices:
    """When the bytes run out every decision is the first one."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def are_left(self) -> bool:
        return self._at < len(self._data)

    def below(self, limit: int) -> int:
        if not self.are_left:
            return 0
        self._at += 1
        return self._data[self._at - 1] % limit

    def happens(self) -> bool:
        return self.below(2) == 1

    def raw(self) -> bytes:
        size = self.below(64)
        self._at += size
        return self._data[self._at - size : self._at]
