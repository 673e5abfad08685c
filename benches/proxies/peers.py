"""The table of peers: how each peer is started, and what it requires.

Commands and files are templates. They use `$port` to listen on, `$spare` (another free port), `$closed` (a
port without a listener), `$server0` to `$server3` (host:port of a memcached), `$port0` to `$port3` (their
ports), `$dir` (a separate directory), `$threads`, `$python`, and the programs of `Tools`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from . import policies
from .building import SWITCHES, compiled_floor, compiler

__all__ = ("GROUPS", "PEERS", "SERVERS", "Peer", "Tools", "peers_named")

SERVERS = 4


@dataclass(frozen=True)
class Tools:
    """Paths or names of the compared programs."""

    nutcracker: str = "nutcracker"
    memcached_proxy: str = "memcached"


@dataclass(frozen=True)
class Peer:
    """One column. Without a command, the load connects to one memcached, which is measured."""

    name: str
    title: str
    command: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    floor: tuple[str, ...] | None = None  # the switches of the command's $floor
    load: tuple[str, ...] = ()  # more options of the load
    version: str = ""  # the command that prints it

    def absent(self, tools: Tools) -> str | None:
        """The reason why it cannot be measured here, or None."""
        if self.floor is not None:
            return None if compiler() else "no C compiler is installed"
        if self.name.startswith("nutcracker"):
            return None if shutil.which(tools.nutcracker) else f"there is no {tools.nutcracker}"
        if self.name == "memcached-proxy":
            return _no_memcached_proxy(tools.memcached_proxy)
        return None

    def programs(self, tools: Tools) -> dict[str, str]:
        """The values of $nutcracker, $memcached_proxy, $python and $floor in its templates."""
        found = {"python": sys.executable, **vars(tools)}
        if self.floor is not None:
            found["floor"] = str(compiled_floor(*self.floor))
        return found


def _no_memcached_proxy(program: str) -> str | None:
    if not shutil.which(program):
        return f"there is no {program}"
    help_text = subprocess.run([program, "-h"], capture_output=True, text=True, check=False).stdout
    if "proxy_config" in help_text:
        return None
    return f"{program} is built without its proxy; name another one with --memcached-proxy"


# ---- the peers ----

_NUTCRACKER = Peer(
    "nutcracker",
    "nutcracker",
    "$nutcracker -c $dir/nutcracker.yml -o $dir/nutcracker.log -s $spare -a 127.0.0.1",
    {
        "nutcracker.yml": """\
pool:
  listen: 127.0.0.1:$port
  hash: fnv1a_64
  distribution: ketama
  preconnect: true
  auto_eject_hosts: false
  servers:
    - $server0:1 cache-0
    - $server1:1 cache-1
    - $server2:1 cache-2
    - $server3:1 cache-3
"""
    },
    version="$nutcracker -V",
)

_MEMCACHED_PROXY = Peer(
    "memcached-proxy",
    "memcached's proxy",
    "$memcached_proxy -u nobody -l 127.0.0.1 -p $port -U 0 -t $threads -c 16384"
    " -o proxy_config=routelib,proxy_arg=$dir/routes.lua",
    {
        "routes.lua": """\
pools{ main = { backends = { "$server0", "$server1", "$server2", "$server3" } } }
routes{ default = route_direct{ child = "main" } }
"""
    },
    version="$memcached_proxy -V",
)


def _nutcracker(name: str, options: str) -> Peer:
    command = f"{_NUTCRACKER.command} {options}"
    return Peer(name, f"nutcracker {options}", command, _NUTCRACKER.files, version=_NUTCRACKER.version)


def _mcroute(name: str, title: str, config: str, *, loop: str = "native", load: tuple[str, ...] = ()) -> Peer:
    command = f"$python -m mcroute proxy $dir/mcroute.toml --loop {loop}"
    if loop == "native":
        command += " --threads $threads"
    version = "$python -m mcroute --version"
    return Peer(name, title, command, {"mcroute.toml": config}, load=load, version=version)


def _floor(name: str, title: str, *switches: str, servers: int = SERVERS) -> Peer:
    repeated = " ".join(f"${{port{i % SERVERS}}}" for i in range(servers))
    return Peer(name, title, f"$floor $port {repeated}", floor=switches)


def _policy_peers() -> list[Peer]:
    peers = [
        _mcroute("mcroute-copies-2", "copies=2", policies.copies(2)),
        _mcroute("mcroute-failover", "failover", policies.failover()),
        _mcroute(
            "mcroute-ejected", "failover plan, 1 of 5 servers ejected", policies.failover(is_one_gone=True)
        ),
    ]
    for count in (1, 10, 100):
        title = f"{count} pool{'s' * (count > 1)} by prefix"
        load = ("--pools", str(count))
        peers.append(_mcroute(f"mcroute-pools-{count}", title, policies.by_prefix(count), load=load))
    for count in (10, 1000):
        peers.append(_mcroute(f"mcroute-servers-{count}", f"{count} servers", policies.plain(count)))
        peers.append(_floor(f"floor-servers-{count}", f"floor, {count} servers", servers=count))
    return peers


_ALL = [
    Peer("direct", "no proxy: memcached itself"),
    _NUTCRACKER,
    _nutcracker("nutcracker-v4", "-v 4"),
    _nutcracker("nutcracker-m512", "-v 4 -m 512"),
    _nutcracker("nutcracker-m64k", "-v 4 -m 65536"),
    _MEMCACHED_PROXY,
    _mcroute("mcroute", "mcroute", policies.plain()),
    _mcroute("mcroute-asyncio", "mcroute, asyncio", policies.plain(), loop="asyncio"),
    _floor("floor", "floor"),
    *(_floor(f"floor-{s.lower().replace('_', '-')}", f"floor, {s.lower()}", s) for s in SWITCHES),
    _floor("floor-careful", "C baseline with checks", *SWITCHES[:4]),
    _floor("floor-ordered", "C baseline with checks, ordered", *SWITCHES),
    *_policy_peers(),
]
PEERS = {peer.name: peer for peer in _ALL}

GROUPS = {
    "readme": [
        "nutcracker",
        "nutcracker-v4",
        "memcached-proxy",
        "mcroute",
        "mcroute-asyncio",
        "floor",
        "floor-careful",
    ],
    "floors": ["nutcracker", *(name for name in PEERS if name.startswith("floor") and "servers" not in name)],
    "policy": ["mcroute", *(peer.name for peer in _policy_peers()), "floor"],
    "nutcrackers": [name for name in PEERS if name.startswith("nutcracker")],
}


def peers_named(text: str, own: Iterable[str] = ()) -> list[Peer]:
    """Peers by names of peers and groups, separated by commas; then one for each "NAME=COMMAND".

    Raises ValueError for an unknown name.
    """
    names: list[str] = []
    for name in text.split(","):
        names += GROUPS.get(name, [name])
    for name in names:
        if name not in PEERS:
            raise ValueError(f"no peer or group {name!r}; there are {', '.join([*GROUPS, *PEERS])}")
    added = (definition.partition("=") for definition in own)
    return [*(PEERS[name] for name in dict.fromkeys(names)), *(Peer(name, name, to) for name, _, to in added)]
