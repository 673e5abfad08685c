# Written for Cython: see generators.pxd. A user's generator meets the first two.
from mcroute.policy.nodes import Group, Outcome

FAILED: bytes

class RouteRequest:
    """What a route is told of a request: `key` in bytes and `group`, a `policy.nodes.Group`."""

    @property
    def key(self) -> bytes:
        """The key as the client sent it."""
    @property
    def group(self) -> Group:
        """The kind of command."""

class RouteReply:
    """What a child came to: `outcome`, and `data`, the bytes as the server sent them (none if none did)."""

    @property
    def outcome(self) -> Outcome:
        """What the child came to."""
    @property
    def data(self) -> bytes:
        """The bytes as the server sent them, with their line end; empty if none did."""

class RouteRunner:
    """Runs the generators of one engine's routes: events go in, orders come out."""
