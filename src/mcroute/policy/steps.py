"""The steps of custom routes: the values that a generator yields, and the protocols that it uses.

    class Canary:
        children = (PoolRoute(stable), PoolRoute(canary))

        def steps(self, request):
            reply = yield Ask(1)
            if reply.outcome >= Outcome.REFUSED_BY_SERVER:
                reply = yield Ask(0)
            return reply

Only requests that reach such a route pay for the interpreter; the engine keeps the deadlines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from .nodes import Group, Outcome

__all__ = ("Ask", "AskAll", "Reply", "Request", "Step", "Wait")


@dataclass(frozen=True, slots=True)
class Ask:
    """Run child number `child` with the request; the generator receives its `Reply`."""

    child: int


@dataclass(frozen=True, slots=True)
class AskAll:
    """Run several children at once; the generator receives a tuple of replies, in the children's order.

    It continues when `need` of them are good, or all have ended; None stands for unfinished children.
    """

    children: tuple[int, ...]
    need: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Pause for so long; the generator receives None. The request's deadline still counts."""

    seconds: float


Step = Ask | AskAll | Wait


class Request(Protocol):
    """A request as custom routes see it."""

    @property
    def key(self) -> bytes:
        """The key as the client sent it."""

    @property
    def group(self) -> Group:
        """The kind of command."""


class Reply(Protocol):
    """The reply of a child: the engine's own object, to inspect and to return."""

    @property
    def outcome(self) -> Outcome:
        """The outcome of the child."""

    @property
    def data(self) -> bytes:
        """The server's bytes, with their line end; empty without a reply of a server."""
