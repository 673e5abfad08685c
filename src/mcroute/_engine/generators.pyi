# Written for Cython: see generators.pxd. A user's generator meets the first two.
from mcroute.policy.nodes import Group, Outcome

FAILED: bytes

class RouteRequest:
    """A request as a route receives it: `key` in bytes and `group`, a `policy.nodes.Group`."""

    @property
    def key(self) -> bytes:
        """The key as the client sent it."""
    @property
    def group(self) -> Group:
        """The kind of command."""

class RouteReply:
    """A child's reply: `outcome`, a `policy.nodes.Outcome`, and `data`, the server's bytes (empty without a reply)."""

    @property
    def outcome(self) -> Outcome:
        """What the child came to."""
    @property
    def data(self) -> bytes:
        """The bytes as the server sent them, with their line end; empty if none did."""

class RouteRunner:
    """Runs the generators of one engine's routes: events go in, orders come out."""
