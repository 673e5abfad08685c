"""From routes to a plan: a checked table of nodes, one subtree for each group of commands.

A route is compiled once for every command group, and the choice by group is made once, at the root. Equal
nodes are shared, so groups that are treated alike share their nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from ..errors import ConfigError
from . import routes as r
from .merge import merge_table, missed_table
from .nodes import (
    All,
    Ask,
    Backup,
    CappedAsk,
    Constant,
    Detach,
    Failing,
    First,
    Group,
    Gutter,
    Node,
    Plan,
    Python,
    SwitchCommand,
    SwitchPrefix,
    Then,
)  # fmt: skip
from .routes import Route
from .server_options import ServerOptions, folded
from .servers import Pool, Server

__all__ = ("COPIES_MAX", "compile_plan")

COPIES_MAX = 8  # the engine's room for a key's owners

_T = TypeVar("_T")


def compile_plan(
    route: Route, *, retry_share: float = 0.2, retry_floor_per_s: float = 10.0, hedge_share: float = 0.05
) -> Plan:
    """The checked plan of a route.

    Raises ConfigError, with the place in the route, for more copies than servers, two servers or pools of
    one name that differ, routes without children, children that are not routes.
    """
    if retry_share < 0 or retry_floor_per_s < 0:
        raise ConfigError("retry", "the retry budget's share and floor are at least 0")
    if not 0 <= hedge_share <= 1:
        raise ConfigError("retry.hedge_share", f"{hedge_share} is not from 0 to 1")
    compiler = _Compiler()
    roots = tuple(compiler.compile(route, group, "route") for group in Group)
    root = roots[0] if len(set(roots)) == 1 else compiler.add(SwitchCommand(roots))
    return Plan(
        nodes=tuple(compiler.nodes),
        root=root,
        pools=tuple(compiler.pools),
        servers=tuple(compiler.servers.values()),
        merge=merge_table(),
        missed=missed_table(),
        retry_share=retry_share,
        retry_floor_per_s=retry_floor_per_s,
        hedge_share=hedge_share,
        server_ids={name: i for i, name in enumerate(compiler.servers)},
        server_options=_options_of_servers(compiler.named_pools()),
        parts=frozenset(compiler.parts),
    )


class _Compiler:
    """The tables during a compilation."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.pools: list[Pool] = []
        self.parts: set[int] = set()
        self.servers: dict[str, Server] = {}
        self._node_ids: dict[object, int] = {}
        self._pool_ids: dict[str, int] = {}
        self._ttl_max_s = 0  # of what the present route stores; 0: as the client says

    @property
    def _may_refill(self) -> bool:
        """Not on a stand-in: a key that a refill stored there would not be noted, and not deleted."""
        return not self._ttl_max_s

    # ---- tables ----

    def add(self, node: Node) -> int:
        """The node's index; equal nodes share one."""
        # A custom route need not be hashable, and is compared by identity.
        same = (Python, id(node.route), node.children) if isinstance(node, Python) else node
        if same not in self._node_ids:
            self._node_ids[same] = len(self.nodes)
            self.nodes.append(node)
        return self._node_ids[same]

    def _ask(self, pool: int, rank: int = 0, *, tags_cas: bool = False) -> int:
        if self._ttl_max_s:
            return self.add(CappedAsk(pool, rank, tags_cas, self._ttl_max_s))
        return self.add(Ask(pool, rank, tags_cas))

    def pool(self, pool: Pool, place: str) -> int:
        _check_pool(pool, place)
        known = self._pool_ids.get(pool.name)
        if known is None:
            for server in pool.servers:
                self._server(server, place)
            known = self._add_pool(pool)
        elif self.pools[known] != pool:
            raise ConfigError(place, f"another pool is named {pool.name} too")
        return known

    def named_pools(self) -> list[Pool]:
        return [pool for index, pool in enumerate(self.pools) if index not in self.parts]

    def _add_pool(self, pool: Pool) -> int:
        self._pool_ids[pool.name] = len(self.pools)
        self.pools.append(pool)
        return len(self.pools) - 1

    def _server(self, server: Server, place: str) -> None:
        known = self.servers.setdefault(server.name, server)
        if known.address != server.address:
            raise ConfigError(place, f"server {server.name} is {known.where} and {server.where}")
        if known.down != server.down:
            raise ConfigError(place, f"server {server.name} is down in one pool, and not in another one")

    def _each_server(self, pool: Pool, place: str) -> list[int]:
        """One ask for each server of a pool, for any key: through pools of one server."""
        whole = self.pool(pool, place)
        if len(pool.servers) == 1:
            return [self.add(Ask(whole))]
        asks = []
        for server in pool.servers:
            # With a NUL no user's pool can have this name by accident.
            name = f"{pool.name}\0{server.name}"
            part = self._pool_ids.get(name)
            if part is None:
                part = self._add_pool(replace(pool, name=name, servers=(server,)))
                self.parts.add(part)
            asks.append(self.add(Ask(part)))
        return asks

    # ---- routes ----

    def compile(self, route: Route, group: Group, place: str) -> int:
        compile_one = _COMPILERS.get(type(route))
        if compile_one is not None:
            return compile_one(self, route, group, place)
        if not callable(getattr(route, "steps", None)):
            raise ConfigError(place, f"{route!r} is not a route: it has no steps(request)")
        children = tuple(getattr(route, "children", ()))
        return self.add(Python(route, self._children(children, group, place)))

    def _children(self, children: tuple[Route, ...], group: Group, place: str) -> tuple[int, ...]:
        return tuple(self.compile(c, group, f"{place}.children[{i}]") for i, c in enumerate(children))

    def _some(self, route: r._Several, group: Group, place: str) -> tuple[int, ...]:
        if not route.children:
            raise ConfigError(place, f"{type(route).__name__} needs at least one child")
        return self._children(route.children, group, place)

    def _all(self, children: tuple[int, ...], need: int, least: int) -> int:
        # Only a single child needs no node: a child that is listed twice is asked twice.
        return children[0] if len(children) == 1 else self.add(All(children, need, least))

    def _first(self, children: tuple[int, ...], failing: Failing, random_start: bool = False) -> int:
        return children[0] if len(children) == 1 else self.add(First(children, failing, random_start))

    def pool_route(self, route: r.PoolRoute, group: Group, place: str) -> int:
        if group is Group.FLUSH:
            asks = tuple(self._each_server(route.pool, place))
            return self._all(asks, len(asks), len(asks))
        return self._ask(self.pool(route.pool, place))

    def replicate(self, route: r.Replicate, group: Group, place: str) -> int:
        copies = route.copies
        _check_pool(route.pool, place)
        if not 1 <= copies <= min(len(route.pool.servers), COPIES_MAX):
            size = len(route.pool.servers)
            raise ConfigError(f"{place}.copies", f"{copies} copies on {size} servers (at most {COPIES_MAX})")
        if copies > 1 and copies > (reach := route.pool.reach()):
            why = "the placement has no other servers for a key, or gives them no share of the keys"
            raise ConfigError(f"{place}.copies", f"{copies} copies, but a key has at most {reach}: {why}")
        if copies == 1 or group is Group.FLUSH:
            # Every server of the pool holds copies: a flush must reach all of them.
            return self.pool_route(r.PoolRoute(route.pool), group, place)
        pool = self.pool(route.pool, place)
        asks = tuple(self._ask(pool, rank, tags_cas=True) for rank in range(copies))
        if group is Group.READ:
            hedges = route.pool.hedge_after_s > 0
            is_random = route.read == "random"
            return self.add(
                First(asks, Failing.ERROR_OR_MISS, is_random, hedges=hedges, refills=self._may_refill)
            )
        if group is Group.READ_CAS:
            # Each ask is for one copy by its rank: the token names the copy's server.
            return self.add(First(asks, Failing.ERROR_OR_MISS, refills=self._may_refill))
        if group in (Group.READ_TOUCH, Group.STORE_IF, Group.ARITHMETIC):
            return self.add(Then(asks))
        if route.write == "backup" and group is Group.STORE:
            return self.add(Backup(asks))
        return self._all(asks, *_acknowledged(route.write, group, copies))

    def failover(self, route: r.Failover, group: Group, place: str) -> int:
        if route.ttl_max_s and group is not Group.FLUSH:
            return self._gutter(route, group, place)
        children = self._some(route, group, place)
        if group is Group.FLUSH:
            return self._all(children, len(children), len(children))
        return self._first(children, _failing(group))

    def _gutter(self, route: r.Failover, group: Group, place: str) -> int:
        first, *others = route.children
        children = [self.compile(first, group, f"{place}.children[0]")]
        ttl_max_s, before = route.ttl_max_s, self._ttl_max_s
        self._ttl_max_s = min(ttl_max_s, before or ttl_max_s)
        children += (self.compile(c, group, f"{place}.children[{i}]") for i, c in enumerate(others, 1))
        self._ttl_max_s = before
        return self.add(Gutter(tuple(children), _failing(group)))

    def miss_failover(self, route: r.MissFailover, group: Group, place: str) -> int:
        children = self._some(route, group, place)
        if group in (Group.READ, Group.READ_TOUCH):
            return self._first(children, Failing.ERROR_OR_MISS)
        if group in (Group.DELETE, Group.TOUCH, Group.FLUSH):
            return self._all(children, len(children), len(children))
        return self._first(children, _failing(group))

    def warm(self, route: r.Warm, group: Group, place: str) -> int:
        _check_apart(route, place)
        pools = (route.cold, route.warm)
        if group is Group.FLUSH:
            asks = tuple(ask for pool in pools for ask in self._each_server(pool, place))
            return self._all(asks, len(asks), len(asks))
        asks = tuple(self._ask(self.pool(pool, place), 0, tags_cas=True) for pool in pools)
        if group in (Group.READ, Group.READ_CAS):
            return self.add(First(asks, Failing.ERROR_OR_MISS, refills=self._may_refill))
        if group in (Group.DELETE, Group.TOUCH):
            return self._all(asks, 2, 1)
        # Run once: in the first pool, or in the one that has the key. Then the other one loses the key.
        return self.add(Then(asks))

    def all_sync(self, route: r.AllSync, group: Group, place: str) -> int:
        children = self._some(route, group, place)
        return self._all(children, len(children), len(children))

    def all_majority(self, route: r.AllMajority, group: Group, place: str) -> int:
        children = self._some(route, group, place)
        most = len(children) // 2 + 1
        return self._all(children, most, most)

    def all_fastest(self, route: r.AllFastest, group: Group, place: str) -> int:
        return self._all(self._some(route, group, place), 1, 1)

    def all_async(self, route: r.AllAsync, group: Group, place: str) -> int:
        children = self._some(route, group, place)
        return self.add(Detach(self._all(children, len(children), 1)))

    def by_prefix(self, route: r.ByPrefix, group: Group, place: str) -> int:
        default = self.compile(route.default, group, f"{place}.default")
        children = [self.compile(c, group, f"{place}.routes[{p!r}]") for p, c in route.routes]
        if group is Group.FLUSH:
            # flush_all has no key to choose by; it goes to every route.
            every = tuple(dict.fromkeys((*children, default)))
            return self._all(every, len(every), len(every))
        if set(children) <= {default}:
            return default
        return self.add(SwitchPrefix(tuple(p for p, _ in route.routes), (*children, default)))

    def by_command(self, route: r.ByCommand, group: Group, place: str) -> int:
        chosen = dict(route.routes).get(group)
        if chosen is None:
            return self.compile(route.default, group, f"{place}.default")
        return self.compile(chosen, group, f"{place}.routes[{group.name.lower()}]")

    def null(self, route: r.Null, group: Group, place: str) -> int:
        return self.add(Constant())

    def error(self, route: r.Error, group: Group, place: str) -> int:
        return self.add(Constant(route.message))


def _options_of_servers(pools: Sequence[Pool]) -> dict[str, ServerOptions]:
    """By the server's name. Servers of the same pools share one value."""
    pools_of: dict[str, list[int]] = {}
    for index, pool in enumerate(pools):
        for server in pool.servers:
            pools_of.setdefault(server.name, []).append(index)
    same: dict[tuple[int, ...], ServerOptions] = {}
    for indices in map(tuple, pools_of.values()):
        if indices not in same:
            same[indices] = folded([pools[index] for index in indices])
    return {name: same[tuple(indices)] for name, indices in pools_of.items()}


def _check_pool(pool: object, place: str, option: str = ".pool") -> None:
    if not isinstance(pool, Pool):
        raise ConfigError(f"{place}{option}", f"{str(pool)[:80]!r} is not a Pool")


def _check_apart(route: r.Warm, place: str) -> None:
    """A server of both pools would lose the keys that it stores."""
    for pool, name in ((route.cold, "cold"), (route.warm, "warm")):
        _check_pool(pool, f"{place}.{name}", "")
    cold = {server.address for server in route.cold.servers}
    for server in route.warm.servers:
        if server.address in cold:
            raise ConfigError(f"{place}.warm", f"server {server.where} is in the pool {route.cold.name} too")


def _failing(group: Group) -> Failing:
    """The outcomes after which a route without copies goes on to its next child."""
    once = (Group.STORE_IF, Group.ARITHMETIC)
    return Failing.ERROR_IN_TIME if group in once else Failing.ERROR


def _acknowledged(write: r.WriteMode, group: Group, copies: int) -> tuple[int, int]:
    """`need` and `least` of a write to all copies."""
    if write == "quorum":
        return copies // 2 + 1, copies // 2 + 1
    if write == "async" or (write == "first" and group is not Group.DELETE):
        return 1, 1
    return copies, 1


def _method(route: type[_T], method: Callable[[_Compiler, _T, Group, str], int]) -> tuple[type, _Compile]:
    """A row of the table below; type checkers verify that class and method match."""

    def compile_one(compiler: _Compiler, value: object, group: Group, place: str) -> int:
        assert isinstance(value, route)
        return method(compiler, value, group, place)

    return route, compile_one


_Compile = Callable[[_Compiler, object, Group, str], int]
_COMPILERS: dict[type, _Compile] = dict(
    (
        _method(r.PoolRoute, _Compiler.pool_route),
        _method(r.Replicate, _Compiler.replicate),
        _method(r.Failover, _Compiler.failover),
        _method(r.MissFailover, _Compiler.miss_failover),
        _method(r.Warm, _Compiler.warm),
        _method(r.AllSync, _Compiler.all_sync),
        _method(r.AllMajority, _Compiler.all_majority),
        _method(r.AllFastest, _Compiler.all_fastest),
        _method(r.AllAsync, _Compiler.all_async),
        _method(r.ByPrefix, _Compiler.by_prefix),
        _method(r.ByCommand, _Compiler.by_command),
        _method(r.Null, _Compiler.null),
        _method(r.Error, _Compiler.error),
    )
)
