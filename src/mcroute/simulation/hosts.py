"""Hosts that run one memcached each, with the faults of the process and of its network."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from .model_server import ModelServer
from .network import Network, refused
from .paths import Latency, Path, Receiver, Wire
from .servers import HostClock, ServerOptions
from .transports import End, SimulatedTransport

__all__ = ("Conversation", "Host", "Side", "Tampering")

TOO_MANY = b"ERROR Too many open connections\r\n"


class Conversation(Protocol):
    """One client of a server."""

    @property
    def is_closed(self) -> bool:
        """Whether the server closes the connection behind its last reply."""

    def receive(self, data: bytes) -> bytes:
        """Executes what is complete, and returns the replies."""

    def close(self) -> None:
        """The client has gone."""


class Side:
    """The server's end of one connection."""

    def __init__(self, host: Host, conversation: Conversation, wire: Wire) -> None:
        self.host = host
        self.conversation = conversation
        self.wire = wire
        self.arrived: deque[bytes | None] = deque()  # and not executed yet; None is the client's end
        self.is_scheduled: bool = False

    def receive(self, data: bytes) -> None:
        self.arrived.append(data)
        self.host.attend(self)

    def ended(self, error: int) -> None:
        self.arrived.append(None)
        self.host.attend(self)


# Changes the replies of one turn: returns the pieces to send, and whether a reset of the connection follows.
Tampering = Callable[[Side, bytes], "tuple[list[bytes], bool]"]


class _Foreign:
    """A conversation of another service than memcached."""

    is_closed = False

    def receive(self, data: bytes) -> bytes:
        return b"-ERR unknown command\r\n" * data.count(b"\n")

    def close(self) -> None:
        """It has no state."""


class _Unanswered:
    """A connection that the process has not accepted: the system takes its bytes, and nothing answers."""

    is_closed = False

    def receive(self, data: bytes) -> bytes:
        return b""

    def close(self) -> None:
        """Nothing to do."""


class Host:
    """One endpoint with one memcached. Faults set the attributes, and call the methods.

    `service` is the time that one turn of a connection takes. `clients_max` is the process's limit of
    connections; above it `is_limit_told` decides between an error and no answer. `tampering` changes replies.
    """

    def __init__(self, network: Network, name: str, end: End, options: ServerOptions, pid: int) -> None:
        self.name = name
        self.end = end
        self.clock: HostClock = HostClock(network.loop)
        self.model: ModelServer = ModelServer(self.clock, options.version, options.limits, pid)
        self.options: ServerOptions = options
        self.inbound: Path = network.path()
        self.outbound: Path = network.path()
        self.inbound.loss_share = self.outbound.loss_share = options.loss_share
        self.service: Latency = options.service
        self.clients_max: int | None = None
        self.is_limit_told: bool = True
        self.closes_at_once: bool = False
        self.is_foreign: bool = False
        self.tampering: Tampering | None = None
        self.turns: int = 0  # of connections, with bytes
        self.accepts: int = 0
        self.replied: list[float] = []  # the times of its replies
        self._network = network
        self._sides: dict[Side, None] = {}
        self._is_stopped = False
        self._is_up = False
        self.start()

    def __repr__(self) -> str:
        state = "stopped" if self._is_stopped else "up" if self._is_up else "down"
        return f"<Host {self.name}: {state}, {len(self._sides)} connections>"

    @property
    def is_up(self) -> bool:
        """Whether there is a process; it may be stopped."""
        return self._is_up

    # ---- the process ----

    def start(self) -> None:
        """Begins to listen."""
        self._is_up = True
        self._network.listen(self.end, self)

    def kill(self) -> None:
        """Ends the process: the system resets its connections, and refuses others."""
        self._end()
        for side in self._sides:
            side.wire.reset()
        self._sides.clear()

    def vanish(self) -> None:
        """The machine loses its power: no word of it reaches the others."""
        self._end()
        for side in self._sides:
            side.wire.vanish()
        self._sides.clear()
        self.inbound.cut()
        self.outbound.cut()

    def _end(self) -> None:
        self.model.kill()
        self._is_up = self._is_stopped = False
        self._network.leave(self.end)

    def restart(self, *, keeps_items: bool = False) -> None:
        """Starts another process, ending the one before; with its items, as memcached does with -e."""
        if self._is_up:
            self.kill()
        self.inbound.heal()
        self.outbound.heal()
        self.model.restart(keeps_items=keeps_items)
        self.start()

    def stop(self) -> None:
        """As SIGSTOP does: the system still accepts connections and bytes."""
        self._is_stopped = self._is_up

    def resume(self) -> None:
        """As SIGCONT: what has arrived meanwhile is executed now."""
        self._is_stopped = False
        for side in self._sides:
            self.attend(side)

    def reset_connections(self) -> None:
        """Resets all connections, in the middle of replies; the process goes on."""
        for side in tuple(self._sides):
            self._drop(side)

    # ---- connections ----

    def accept(self, client: SimulatedTransport, remote: End) -> Receiver | None:
        if not self._is_up:
            raise refused()
        self.accepts += 1
        wire = Wire(self.outbound, client)
        is_full = self.clients_max is not None and self._clients() >= self.clients_max
        if is_full and not self.is_limit_told:
            conversation: Conversation = _Unanswered()
        else:
            conversation = _Foreign() if self.is_foreign else self.model.accept(remote)
        side = Side(self, conversation, wire)
        self._sides[side] = None
        if self.closes_at_once or (is_full and self.is_limit_told):
            if is_full:
                wire.send(TOO_MANY)
            self._close(side)
        return side

    def _clients(self) -> int:
        return sum(not isinstance(side.conversation, _Unanswered) for side in self._sides)

    def attend(self, side: Side) -> None:
        """Schedules the connection's next turn."""
        if side.arrived and not side.is_scheduled and not self._is_stopped:
            side.is_scheduled = True
            loop = self._network.loop
            loop.call_later(self.service.draw(self._network.rng), self._turn, side)

    def _turn(self, side: Side) -> None:
        side.is_scheduled = False
        if self._is_stopped or side not in self._sides:
            return
        data = side.arrived.popleft()
        if data is None:
            self._close(side)
            return
        self.turns += 1
        self._reply(side, side.conversation.receive(data))
        self.attend(side)

    def _reply(self, side: Side, replies: bytes) -> None:
        pieces, is_reset = [replies] if replies else [], False
        if replies:
            self.replied.append(self._network.loop.time())
        if replies and self.tampering is not None:
            pieces, is_reset = self.tampering(side, replies)
        for piece in pieces:
            side.wire.send(piece)
        if is_reset:
            self._drop(side)
        elif side.conversation.is_closed:
            self._close(side)

    def _close(self, side: Side) -> None:
        self._sides.pop(side, None)
        side.conversation.close()
        side.wire.finish()

    def _drop(self, side: Side) -> None:
        self._sides.pop(side, None)
        side.conversation.close()
        side.wire.reset()
