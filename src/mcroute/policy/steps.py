"""What a user's own route may do: the values that its generator yields, and the protocols it meets.

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
    """Run child number `child` with the request; the generator is sent its `Reply`."""

    child: int


@dataclass(frozen=True, slots=True)
class AskAll:
    """Run several children at once; the generator is sent a tuple of replies, in the children's order.

    It goes on when `need` of them are good, or all have ended; None stands for those that had not ended.
    """

    children: tuple[int, ...]
    need: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for so long; the generator is sent None. The request's deadline goes on running."""

    seconds: float


Step = Ask | AskAll | Wait


class Request(Protocol):
    """What a route may know of a request."""

    @property
    def key(self) -> bytes:
        """The key as the client sent it."""

    @property
    def group(self) -> Group:
        """The kind of command."""


class Reply(Protocol):
    """What came of a child: the engine's own object, to be looked at and returned."""

    @property
    def outcome(self) -> Outcome:
        """What the child came to."""

    @property
    def data(self) -> bytes:
        """The bytes as the server sent them, with their line end; empty if none did."""
