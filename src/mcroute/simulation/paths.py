"""The network between two ends: bytes arrive in order, late, and not at all while the path is cut."""

from __future__ import annotations

import errno
from collections.abc import Callable
from random import Random
from typing import Protocol

__all__ = ("Clock", "Latency", "Lognormal", "Path", "Receiver", "Watcher", "Wire")

# What TCP waits before it sends a lost segment again, in seconds: at least, and at most after a heal.
RETRANSMIT_MIN_S, RETRANSMIT_MAX_S = 0.2, 1.6


class Clock(Protocol):
    """The part of a loop that paths need."""

    def time(self) -> float: ...

    def call_at(self, when: float, callback: Callable[..., object], *args: object) -> object: ...


class Latency:
    """Delays in seconds, uniform between two bounds, and a share of pieces that take longer by `tail_s`."""

    def __init__(self, least_s: float, most_s: float, tail_share: float = 0.0, tail_s: float = 0.0) -> None:
        self.least_s = least_s
        self.most_s = most_s
        self.tail_share = tail_share
        self.tail_s = tail_s

    def draw(self, rng: Random) -> float:
        delay_s = self.least_s + (self.most_s - self.least_s) * rng.random()
        if self.tail_share and rng.random() < self.tail_share:
            delay_s += self.tail_s
        return delay_s


class Lognormal(Latency):
    """Delays whose logarithms are normal, and a share of pieces that take longer by up to `tail_s`."""

    def __init__(self, median_s: float, sigma: float, tail_share: float = 0.0, tail_s: float = 0.0) -> None:
        super().__init__(0.0, 0.0, tail_share, tail_s)
        self.median_s = median_s
        self.sigma = sigma

    def draw(self, rng: Random) -> float:
        delay_s = self.median_s * rng.lognormvariate(0.0, self.sigma)
        if rng.random() < self.tail_share:
            delay_s += rng.uniform(0.0, self.tail_s)
        return delay_s


class Watcher(Protocol):
    """A connection that has a time limit for silence."""

    def path_cut(self) -> None:
        """The path is cut from now on."""


class Path:
    """One direction between a host and all others. While it is cut, it keeps what is sent, as TCP does.

    `loss_share` of the pieces are lost once, and arrive with TCP's retransmission.
    """

    def __init__(self, clock: Clock, rng: Random, latency: Latency) -> None:
        self.clock = clock
        self.latency = latency
        self.loss_share: float = 0.0
        self.cut_at: float | None = None
        self._rng = rng
        self.watchers: dict[Watcher, None] = {}
        self._held: dict[Wire, None] = {}

    @property
    def is_cut(self) -> bool:
        return self.cut_at is not None

    def cut(self) -> None:
        if self.cut_at is None:
            self.cut_at = self.clock.time()
            for watcher in tuple(self.watchers):
                watcher.path_cut()

    def heal(self) -> None:
        """Sends again what was kept, each wire after a retransmission time of its own."""
        if self.cut_at is None:
            return
        longest_s = min(RETRANSMIT_MAX_S, max(RETRANSMIT_MIN_S, self.clock.time() - self.cut_at))
        self.cut_at = None
        held, self._held = self._held, {}
        for wire in held:
            wire.release(self._rng.uniform(0.001, longest_s))

    def hold(self, wire: Wire) -> None:
        self._held[wire] = None

    def delay_s(self) -> float:
        delay_s = self.latency.draw(self._rng)
        if self.loss_share and self._rng.random() < self.loss_share:
            delay_s += RETRANSMIT_MIN_S
        return delay_s


class Receiver(Protocol):
    """The end of a wire."""

    def receive(self, data: bytes) -> None:
        """Bytes have arrived."""

    def ended(self, error: int) -> None:
        """The sender has closed: 0, or an errno for a reset. Nothing arrives after it."""


class Wire:
    """One direction of one connection. Bytes arrive at `receiver` in order, and before its end."""

    def __init__(self, path: Path, receiver: Receiver) -> None:
        self.path = path
        self._receiver: Receiver | None = receiver
        self._arrival = 0.0
        self._held: list[bytes | int] = []
        self._is_finished = False

    @property
    def has_unsent(self) -> bool:
        """Whether the path holds something back."""
        return bool(self._held)

    def send(self, data: bytes) -> None:
        if not self._is_finished:
            self._put(data)

    def finish(self) -> None:
        """Closes this direction in order."""
        if not self._is_finished:
            self._is_finished = True
            self._put(0)

    def reset(self) -> None:
        """Closes the connection at once. On a path that is cut the receiver does not learn of it."""
        self._is_finished = True
        self._held.clear()
        if not self.path.is_cut:
            self._put(errno.ECONNRESET)

    def vanish(self) -> None:
        """The sender's machine is gone, with what it has sent and not yet had acknowledged."""
        self._is_finished = True
        self._receiver = None
        self._held.clear()

    def release(self, delay_s: float) -> None:
        """Sends what was held back."""
        self._arrival = max(self._arrival, self.path.clock.time() + delay_s)
        held, self._held = self._held, []
        for piece in held:
            self._put(piece)

    def _put(self, piece: bytes | int) -> None:
        if self._receiver is None:
            return
        if self.path.is_cut or self._held:
            self._held.append(piece)
            self.path.hold(self)
            return
        clock = self.path.clock
        self._arrival = max(self._arrival, clock.time() + self.path.delay_s())
        clock.call_at(self._arrival, self._arrive, piece)

    def _arrive(self, piece: bytes | int) -> None:
        if self._receiver is None:
            return
        if isinstance(piece, bytes):
            self._receiver.receive(piece)
        else:
            self._receiver.ended(piece)
