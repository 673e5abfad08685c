"""Which server owns a key."""

from array import array
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias, final

from .placement import Inherited, Placement

_Key: TypeAlias = str | bytes | bytearray | memoryview
_Skip: TypeAlias = Iterable[int] | None

@final
class Ring:
    """An immutable ring: `servers` (names), a `distribution` and, if not all 1, `weights` (positive ints).

    Keys are bytes-like or str (hashed as UTF-8). Methods return indices into `servers`; `skip` is an iterable of
    indices: skipped servers get no keys, and the other servers keep theirs. Ties go to the server that comes first
    by (length, bytes) of its name.

    `Ring.like` places keys as another client or proxy does; its placement may also be given as `servers`.

    Raises ValueError or TypeError naming the place, as in `servers[2]`; MemoryError.
    """

    @property
    def servers(self) -> Sequence[str]:
        """The servers' names, in the order that indices refer to."""
    @property
    def weights(self) -> tuple[float, ...]:
        """The share of each server relative to the others', in the same order."""
    @property
    def distribution(self) -> str:
        """The name of the distribution, or of the system whose placement was inherited."""
    @property
    def inherited(self) -> Inherited | None:
        """What `Ring.like` was told, settled; None for a distribution of mcroute's own."""
    @property
    def placement(self) -> Placement:
        """What the table was laid out from."""
    def __new__(
        cls,
        servers: Iterable[str] | Inherited,
        distribution: str = "murmur3",
        weights: Iterable[int] | None = None,
    ) -> Ring: ...
    @classmethod
    def like(
        cls,
        system: str,
        servers: Iterable[Any] | int,
        *,
        out: str = "skip",
        keys: str = "client",
        **options: Any,
    ) -> Ring:
        """A ring that places keys as `system` does, with the system's names of options and its defaults.

        `servers` are in the system's notation, or tuples (host, port, weight, name), or objects with these
        attributes; for systems that only count them, their number. With `out` "skip", a skipped server's keys go to the
        next candidate; with "theirs", the system's own rule applies: it may move other keys too, or give no server.
        `keys` are those of the application ("client"), or those on the "wire", where they begin with the client's
        prefix.

        Raises ConfigError, a ValueError, with the reason, for anything that the system does not support or refuses.
        Issues PlacementWarning for surprising behaviour. docs/placement.md has every system.
        """
    def owner(self, key: _Key, skip: _Skip = None) -> int:
        """Index of the server that owns `key`.

        Raises LookupError when every server with a share of the keys is skipped, TypeError for a key that is
        neither str nor bytes-like or a `skip` that is no iterable, ValueError for one outside of the servers.
        """
    def owners(self, key: _Key, n: int, skip: _Skip = None) -> list[int]:
        """The first `n` distinct servers in the failover order of `key`; fewer when there are no more.

        Raises ValueError when n is negative, else as `owner`.
        """
    def candidates(self, key: _Key, skip: _Skip = None) -> list[int]:
        """Every server with a share of the keys, in the failover order of `key`: `owner` first.

        Raises as `owner`.
        """
    def route_many(self, keys: Iterable[_Key], skip: _Skip = None) -> array[int]:
        """The owner of each of `keys`, as array.array("i"). Hashes and looks up without the GIL.

        Raises as `owner`.
        """
    def shares(self) -> list[float] | None:
        """The share of each server, from 0 to 1: of the points on the circle, or of the slots.

        None for distributions without points, whose shares are even, or follow the weights.
        """
    def __len__(self) -> int: ...
    def __sizeof__(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[type[Ring], tuple[Any, ...]]: ...
