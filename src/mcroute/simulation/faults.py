"""The faults: one table of what each begins and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Protocol

from ..policy import Plan
from .fleet import Fleet
from .hosts import Host, Side, Tampering
from .loop import SimulationLoop
from .network import Network
from .paths import Latency
from .routers import Router

__all__ = ("FAULTS", "Fault", "Kind")


class World(Protocol):
    """What faults change: servers, routers by name, and the network. `rng` draws which replies suffer."""

    rng: Random
    loop: SimulationLoop
    network: Network
    fleet: Fleet
    routers: dict[str, Router]

    def other_plan(self, number: int) -> Plan:
        """One of the plans for reloads, by any number."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of one server or router, from `at_s` on, for `for_s` seconds.

    `kind` is a name in `FAULTS`, `target` the name of a server, or of a router if the kind is of routers.
    `amount` depends on the kind: seconds of delay, a share of connections, or a number of clients.
    """

    kind: str
    target: str
    at_s: float
    for_s: float
    amount: float = 0.0

    def __str__(self) -> str:
        amount = f" {self.amount:g}" if self.amount else ""
        return f"{self.kind}{amount} of {self.target} at {self.at_s:.3f} s for {self.for_s:.3f} s"


Act = Callable[[World, Fault], None]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault: its text, and functions that begin it and end it.

    `amount` is its default, `least` and `most` are its bounds; a kind with a default of 0 has no amount.
    `loses_items`: afterwards the server has none of its items. `of_routers`: the target is a router.
    """

    text: str
    begin: Act
    end: Act
    amount: float = 0.0
    loses_items: bool = False
    of_routers: bool = False
    least: float = 0.0
    most: float = float("inf")

    @property
    def has_amount(self) -> bool:
        return self.amount != 0


def _host(world: World, fault: Fault) -> Host:
    return world.fleet.hosts[fault.target]


def _on_host(act: Callable[[Host], object]) -> Act:
    def on_host(world: World, fault: Fault) -> None:
        act(_host(world, fault))

    return on_host


def _nothing(world: World, fault: Fault) -> None:
    """Some faults need nothing to end."""


# ---- time ----


def _slow(latency: Callable[[float], Latency]) -> Act:
    def begin(world: World, fault: Fault) -> None:
        _host(world, fault).service = latency(fault.amount)

    return begin


def _quick(world: World, fault: Fault) -> None:
    host = _host(world, fault)
    host.service = host.options.service


def _tail(seconds: float) -> Latency:
    return Latency(0, 0.0001, tail_share=0.01, tail_s=seconds)


# ---- replies ----


def _tamper(make: Callable[[Random, float], Tampering]) -> Act:
    def begin(world: World, fault: Fault) -> None:
        _host(world, fault).tampering = make(world.rng, fault.amount)

    return begin


def _honest(world: World, fault: Fault) -> None:
    host = _host(world, fault)
    host.tampering = None
    # Connections that owe a reply would stay out of step for ever; a restarted relay resets them too.
    host.reset_connections()


def _some(
    tamper: Callable[[Random, bytes], tuple[list[bytes], bool]],
) -> Callable[[Random, float], Tampering]:
    """Tampers with this share of the replies."""

    def make(rng: Random, share: float) -> Tampering:
        def tampering(side: Side, replies: bytes) -> tuple[list[bytes], bool]:
            return tamper(rng, replies) if rng.random() < share else ([replies], False)

        return tampering

    return make


def _reset_within(rng: Random, replies: bytes) -> tuple[list[bytes], bool]:
    return [replies[: rng.randrange(len(replies))]], True


def _garble(rng: Random, replies: bytes) -> tuple[list[bytes], bool]:
    return [rng.randbytes(rng.randrange(1, 64))], False


def _duplicate(rng: Random, replies: bytes) -> tuple[list[bytes], bool]:
    return [replies, replies], False


class _Truncater:
    """Cuts a reply, and sends nothing more on that connection: TCP loses no bytes in between."""

    def __init__(self, rng: Random, share: float) -> None:
        self._rng = rng
        self._share = share
        self._silent: dict[Side, None] = {}

    def __call__(self, side: Side, replies: bytes) -> tuple[list[bytes], bool]:
        if side in self._silent:
            return [], False
        if self._rng.random() >= self._share:
            return [replies], False
        self._silent[side] = None
        return [replies[: self._rng.randrange(len(replies))]], False


class _Swapper:
    """Sends the replies of a turn behind those of the connection's next turn."""

    def __init__(self, rng: Random, share: float) -> None:
        self._rng = rng
        self._share = share
        self._kept: dict[Side, bytes] = {}

    def __call__(self, side: Side, replies: bytes) -> tuple[list[bytes], bool]:
        kept = self._kept.pop(side, None)
        if kept is not None:
            return [replies, kept], False
        if self._rng.random() < self._share:
            self._kept[side] = replies
            return [], False
        return [replies], False


# ---- the network ----


def _cut(*directions: str) -> Act:
    def begin(world: World, fault: Fault) -> None:
        for direction in directions:
            getattr(_host(world, fault), direction).cut()

    return begin


def _heal(*directions: str) -> Act:
    def end(world: World, fault: Fault) -> None:
        for direction in directions:
            getattr(_host(world, fault), direction).heal()

    return end


def _lose_segments(world: World, fault: Fault) -> None:
    host = _host(world, fault)
    host.inbound.loss_share = host.outbound.loss_share = fault.amount


def _lose_usual(world: World, fault: Fault) -> None:
    host = _host(world, fault)
    host.inbound.loss_share = host.outbound.loss_share = host.options.loss_share


# ---- the process ----


def _close_at_once(closes: bool) -> Act:
    def act(world: World, fault: Fault) -> None:
        _host(world, fault).closes_at_once = closes

    return act


def _limit(is_told: bool) -> Act:
    def begin(world: World, fault: Fault) -> None:
        host = _host(world, fault)
        host.clients_max, host.is_limit_told = int(fault.amount), is_told
        # Those who come again compete for the few places.
        host.reset_connections()

    return begin


def _no_limit(world: World, fault: Fault) -> None:
    host = _host(world, fault)
    host.clients_max = None
    host.reset_connections()


def _restart(keeps_items: bool) -> Act:
    return lambda world, fault: _host(world, fault).restart(keeps_items=keeps_items)


def _fill_memory(world: World, fault: Fault) -> None:
    _host(world, fault).model.store.is_full = True


def _free_memory(world: World, fault: Fault) -> None:
    _host(world, fault).model.store.is_full = False


def _flap(act: Callable[[Host], object], back: Callable[[Host], object]) -> Act:
    """Down and up again, each for `amount` seconds, until the fault ends."""

    def begin(world: World, fault: Fault) -> None:
        host, loop = _host(world, fault), world.loop
        ends_at = loop.time() + fault.for_s

        def turn(is_down: bool) -> None:
            if loop.time() < ends_at:
                (back if is_down else act)(host)
                loop.call_later(fault.amount, turn, not is_down)

        turn(False)

    return begin


def _leave_flapping(world: World, fault: Fault) -> None:
    host = _host(world, fault)
    if host.is_up:
        host.resume()
    else:
        host.restart()


def _reuse_port(world: World, fault: Fault) -> None:
    host = _host(world, fault)
    host.kill()
    host.is_foreign = True
    host.start()


def _end_reuse(world: World, fault: Fault) -> None:
    host = _host(world, fault)
    host.is_foreign = False
    host.restart()


def _jump(world: World, fault: Fault) -> None:
    host = _host(world, fault)
    # A memcached with -e takes the time of its absence from the date: after a jump it looks like another one.
    if host.is_up:
        host.clock.offset_s += fault.amount


# ---- names ----


def _move(world: World, fault: Fault) -> None:
    world.fleet.move(fault.target)


def _forget_name(world: World, fault: Fault) -> None:
    world.network.names.pop(world.fleet.name_of(fault.target), None)
    _host(world, fault).reset_connections()


def _silence_name(world: World, fault: Fault) -> None:
    world.network.silent_names.add(world.fleet.name_of(fault.target))
    _host(world, fault).reset_connections()


def _know_name(world: World, fault: Fault) -> None:
    name = world.fleet.name_of(fault.target)
    world.network.silent_names.discard(name)
    world.network.names[name] = (_host(world, fault).end[0],)


# ---- routers ----


def _kill(world: World, fault: Fault) -> None:
    world.routers[fault.target].kill()


def _lose_power(world: World, fault: Fault) -> None:
    world.routers[fault.target].lose_power()


def _start(world: World, fault: Fault) -> None:
    world.routers[fault.target].start()


def _install(world: World, fault: Fault) -> None:
    world.routers[fault.target].reload(world.other_plan(int(fault.amount)))


def _reinstall(world: World, fault: Fault) -> None:
    router = world.routers[fault.target]
    router.reload(router.plan)


def _of_replies(text: str, make: Callable[[Random, float], Tampering]) -> Kind:
    """A kind that changes this share of the replies."""
    return Kind(text, _tamper(make), _honest, 0.05, most=1)


_BOTH = "inbound", "outbound"
_KILL = _on_host(Host.kill), _restart(False)
_POWER = _on_host(Host.vanish), _restart(False)
_STOP = _on_host(Host.stop), _on_host(Host.resume)
_FLAP = _flap(Host.kill, Host.restart), _leave_flapping
_FLAP_STOP = _flap(Host.stop, Host.resume), _leave_flapping

# Each row is a text, what begins the fault, and what ends it; then the default of `amount`.
FAULTS: dict[str, Kind] = {
    # ---- the process ----
    "kill": Kind("the process is killed, and returns empty", *_KILL, loses_items=True),
    "kill-warm": Kind("the process is killed, and returns with its items", _KILL[0], _restart(True)),
    "power": Kind("the machine vanishes without a word, and returns empty", *_POWER, loses_items=True),
    "stop": Kind("the process is stopped (SIGSTOP), and continues", *_STOP),
    "flap": Kind("killed and restarted each `amount` s", *_FLAP, 0.4, loses_items=True, least=0.01),
    "flap-stop": Kind("stopped and continued each `amount` s", *_FLAP_STOP, 0.4, least=0.01),
    "foreign": Kind("another service answers at the address", _reuse_port, _end_reuse, loses_items=True),
    "full": Kind("stores fail for want of memory (-M)", _fill_memory, _free_memory),
    "limit": Kind("at most `amount` clients, others get an error", _limit(True), _no_limit, 2),
    "limit-silent": Kind("at most `amount` clients, others wait", _limit(False), _no_limit, 2),
    "clock": Kind("the date of the server's host jumps by `amount` s", _jump, _nothing, 3600, least=-1e9),
    # ---- time ----
    "slow": Kind("each turn takes longer by `amount` s", _slow(lambda s: Latency(s, s)), _quick, 0.02),
    "jitter": Kind("each turn takes up to `amount` s longer", _slow(lambda s: Latency(0, s)), _quick, 0.1),
    "tail": Kind("one turn of a hundred takes `amount` s", _slow(_tail), _quick, 0.2),
    # ---- the network ----
    "cut-requests": Kind("nothing reaches the server", _cut("inbound"), _heal("inbound")),
    "cut-replies": Kind("nothing from the server arrives", _cut("outbound"), _heal("outbound")),
    "partition": Kind("nothing arrives either way", _cut(*_BOTH), _heal(*_BOTH)),
    "loss": Kind("this share of segments is lost once", _lose_segments, _lose_usual, 0.05, most=1),
    "accept-close": Kind("connections are accepted and closed", _close_at_once(True), _close_at_once(False)),
    # ---- replies ----
    "reset": _of_replies("connections are reset within a reply", _some(_reset_within)),
    "truncate": _of_replies("replies end early, and nothing follows", _Truncater),
    "garbage": _of_replies("replies are random bytes", _some(_garble)),
    "duplicate": _of_replies("replies come twice", _some(_duplicate)),
    "swap": _of_replies("replies come in another order", _Swapper),
    # ---- names ----
    "move": Kind("its name leads to an empty server elsewhere", _move, _nothing, loses_items=True),
    "name-unknown": Kind("its name cannot be resolved", _forget_name, _know_name),
    "name-silent": Kind("no name server answers for its name", _silence_name, _know_name),
    # ---- routers ----
    "restart-router": Kind("the router is killed, and starts again", _kill, _start, of_routers=True),
    "power-router": Kind(
        "the router's machine loses power, and what was not synced", _lose_power, _start, of_routers=True
    ),
    "reload": Kind("another configuration serves for a while", _install, _reinstall, of_routers=True),
}
