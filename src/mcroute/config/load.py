"""Reads TOML into the policy objects that a Python user would build by hand."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Any, Literal

from ..errors import ConfigError
from ..placement import Like
from ..policy.health import HealthSettings
from ..policy.limits import Authentication, Limits
from ..policy.nodes import Plan
from ..policy.outlier_settings import OutlierSettings
from ..policy.places import Places, shared, written
from ..policy.plan import compile_plan
from ..policy.routes import PoolRoute, Replicate, Route
from ..policy.servers import Pool, Server, host_and_port, split_address
from ..policy.supervisor_settings import SupervisorSettings
from ..policy.warming_settings import WarmingSettings
from ..policy.webhook_settings import WebhookSettings
from .files import parse_toml, read_text
from .options import Kind, Option
from .schema import (
    COMMAND_KINDS,
    DETECTION,
    HEALTH,
    LIMITS,
    PANIC,
    POOL,
    PROXY,
    RETRY,
    ROUTES,
    SECTIONS,
    SERVER,
    WARMING,
    WEBHOOK,
    placement_options,
)
from .values import array_of, inside, placed, read_options, suggest, table_of

__all__ = ("Config", "ProxySettings", "load_config", "parse_config")


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """Where the proxy listens, and how long (seconds) it drains requests after a signal to stop.

    `path` is the path of a unix socket that replaces host and port. `metrics` is the address of the
    Prometheus endpoint, None for no endpoint. `loop` is "native", "asyncio", or empty for the faster one
    available. `threads` is the number of native threads, 0 for one per core, at most 4. `log_format` is that
    of the log on stderr. `limits` bounds memory and clients' values. `state_file` is a path, "none", or empty
    for the configuration's path plus ".state"; `first_use` is "trust" or "flush". `journal_file` is a path,
    or empty for none; `journal_fsync_s` is the interval of its fsyncs.
    """

    drain_timeout_s: float
    host: str = ""
    port: int = 0
    path: str = ""
    metrics: tuple[str, int] | None = None
    loop: str = ""
    threads: int = 0
    log_format: Literal["text", "json"] = "text"
    limits: Limits = field(default_factory=Limits)
    state_file: str = ""
    first_use: Literal["trust", "flush"] = "trust"
    journal_file: str = ""
    journal_fsync_s: float = 1.0

    @property
    def listen(self) -> str:
        """The address as text."""
        return f"unix:{self.path}" if self.path else host_and_port(self.host, self.port)


@dataclass(frozen=True, slots=True)
class Config:
    """A checked configuration. `pools` has all pools in the order of the file, also those without a route.

    `webhook` is None without that table.
    """

    proxy: ProxySettings
    supervisor: SupervisorSettings
    pools: tuple[Pool, ...]
    route: Route
    retry_share: float
    retry_floor_per_s: float
    hedge_share: float
    webhook: WebhookSettings | None = None
    _plan: Plan = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        plan = compile_plan(
            self.route,
            retry_share=self.retry_share,
            retry_floor_per_s=self.retry_floor_per_s,
            hedge_share=self.hedge_share,
        )
        object.__setattr__(self, "_plan", plan)

    @property
    def plan(self) -> Plan:
        return self._plan

    def check_places(self, places: Places) -> None:
        """Raises ConfigError if two of the plan's servers have one address. `places` are by server name.

        Pools whose `identity` is "any" may have such servers.
        """
        any_process = {name for name, own in self.plan.server_options.items() if own.identity == "any"}
        for first, second, endpoint in shared(places):
            if any_process & {first, second}:
                continue
            where = endpoint if isinstance(endpoint, str) else host_and_port(*endpoint)
            raise ConfigError(
                self.place_of(second),
                f"{second} and {first} ({self.place_of(first)}) are one server, at {where}: leave one of "
                "them out, or give both one name if they are in two pools",
            )

    def place_of(self, name: str) -> str:
        """The place of a server of this name in the file, as in `pools.main.servers[2]`."""
        pools = (pool for pool in self.pools if any(server.name == name for server in pool.servers))
        pool = next(pools)
        index = next(i for i, server in enumerate(pool.servers) if server.name == name)
        return f"{inside('pools', pool.name)}.servers[{index}]"


def load_config(path: str | os.PathLike[str]) -> Config:
    """Reads a TOML file, UTF-8.

    Raises ConfigError, whose place begins with the path, for a file that cannot be read or has a mistake.
    """
    return parse_config(read_text(path), os.fspath(path))


def parse_config(text: str, place: str = "") -> Config:
    """Reads TOML; `place` is the prefix of errors, such as the file's name.

    Raises ConfigError, whose place is the option as in `pools.main.servers[2]`.
    """
    return parse_toml(text, place, _config)


def _config(raw: dict[str, Any]) -> Config:
    for key in raw:
        if key not in SECTIONS:
            raise ConfigError(inside("", key), f"no such section; {suggest(key, SECTIONS)}")
    proxy = read_options(table_of(raw.get("proxy", {}), "proxy"), (*PROXY, *LIMITS), "proxy")
    if proxy["journal_file"] and proxy["state_file"] == "none":
        raise ConfigError("proxy.journal_file", "the journal file needs a state file: remove state_file")
    retry = read_options(table_of(raw.get("retry", {}), "retry"), RETRY, "retry")
    pools, copies = _pools(raw.get("pools", {}))
    config = Config(
        proxy=ProxySettings(
            **_listen(proxy["listen"]),
            drain_timeout_s=proxy["drain_timeout_s"],
            metrics=_metrics(proxy["metrics"]),
            loop=proxy["loop"],
            threads=proxy["threads"],
            log_format=proxy["log_format"],
            limits=Limits(
                **{option.name: proxy[option.name] for option in LIMITS},
                authentication=Authentication[proxy["authentication"].upper().replace("-", "_")],
            ),
            state_file=proxy["state_file"],
            first_use=proxy["first_use"],
            journal_file=proxy["journal_file"],
            journal_fsync_s=proxy["journal_fsync_s"],
        ),
        supervisor=_supervisor(raw),
        pools=tuple(pools.values()),
        route=_RouteReader(pools, copies).whole(raw),
        retry_share=retry["share"],
        retry_floor_per_s=retry["floor_per_s"],
        hedge_share=retry["hedge_share"],
        webhook=_webhook(raw["webhook"]) if "webhook" in raw else None,
    )
    config.check_places({server.name: written(server) for server in config.plan.servers})
    return config


def _listen(text: str) -> dict[str, Any]:
    if text.startswith(("unix:", "/")):
        return {"path": Server.parse(text, place="proxy.listen").path}
    host, port = _address(text, "proxy.listen")
    return {"host": host, "port": port}


def _address(text: str, place: str) -> tuple[str, int]:
    """An address to listen on: host and port are required, and a weight is an error."""
    if text.startswith(("unix:", "/")):
        raise ConfigError(place, f"{text!r} is the path of a unix socket; host:port is needed")
    if text.startswith(":") and not text.startswith("::"):
        raise ConfigError(place, f'{text!r} has no host; "0.0.0.0{text}" is every address of this machine')
    with placed(place, ""):
        host, port, weight = split_address(text)
    if port is None:
        raise ConfigError(place, f"{text!r} has no port; write for instance {host_and_port(host, 11311)}")
    if weight is not None:
        instead = host_and_port(host, port)
        raise ConfigError(place, f"{text!r} has a weight, which only servers have; write {instead}")
    Server.parse(text, place=place)
    return host, port


def _metrics(text: str) -> tuple[str, int] | None:
    if not text:
        return None
    host, port = _address(text, "proxy.metrics")
    if host != "localhost" and not _is_loopback(host):
        instead = f'write "127.0.0.1:{port}", behind a proxy that authenticates'
        raise ConfigError("proxy.metrics", f"{host} can be reached from other machines; {instead}")
    return host, port


def _webhook(raw: object) -> WebhookSettings:
    # Imported late: most configurations have none.
    from urllib.parse import urlsplit  # noqa: PLC0415

    values = read_options(table_of(raw, "webhook"), WEBHOOK, "webhook")
    place, url = "webhook.url", values["url"]
    try:
        parts = urlsplit(url)
        is_right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_right = False
    if not is_right or not url.isascii() or not url.isprintable() or " " in url:
        raise ConfigError(place, f"{url!r} is no URL; write for instance {WEBHOOK[0].example}")
    if parts.username is not None:
        raise ConfigError(place, "leave name and password out: the requests are signed by the secret")
    return WebhookSettings(**values)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _supervisor(raw: dict[str, Any]) -> SupervisorSettings:
    def read(section: str, options: Sequence[Option]) -> dict[str, Any]:
        return read_options(table_of(raw.get(section, {}), section), options, section)

    values = read("health", (*HEALTH, *PANIC))
    health = HealthSettings(**{option.name: values.pop(option.name) for option in HEALTH})
    outliers = OutlierSettings(**read("detection", DETECTION))
    warming = WarmingSettings(**read("warming", WARMING))
    return SupervisorSettings(health, outliers=outliers, warming=warming, **values)


# ---- pools ----


def _pools(raw: object) -> tuple[dict[str, Pool], dict[str, int]]:
    """The pools, and the number of copies of the pools that set it, both by name."""
    if isinstance(raw, list):
        raise ConfigError("pools", "expected a table for each pool; write [pools.main] instead of [[pools]]")
    tables = table_of(raw, "pools")
    if not tables:
        raise ConfigError("pools", 'there is no pool; write [pools.main] and servers = ["127.0.0.1:11211"]')
    pools: dict[str, Pool] = {}
    copies: dict[str, int] = {}
    for name, table in tables.items():
        place = inside("pools", name)
        if not name.isprintable():
            raise ConfigError(place, "the name of a pool is one line of printable text")
        values = read_options(table_of(table, place), POOL, place)
        count = values.pop("copies")
        pools[name] = _pool(name, values, place)
        if "copies" in table:
            copies[name] = count
            with placed(place, "route"):
                compile_plan(Replicate(pools[name], count))
    return pools, copies


def _pool(name: str, values: dict[str, Any], place: str) -> Pool:
    listed = array_of(values.pop("servers"), POOL[0], f"{place}.servers")
    servers = tuple(_server(entry, f"{place}.servers[{i}]") for i, entry in enumerate(listed))
    if values["placement"] is not None:
        values["placement"] = _placement(values["placement"], f"{place}.placement")
    with placed(place, f"pools.{name}"):
        pool = Pool(name, servers, **values)
        # Built here, so that a distribution that does not suit the servers is reported like other mistakes.
        pool.ring()
    return pool


def _placement(raw: object, place: str) -> Like:
    """Splits off the options of every placement; the system itself checks the rest."""
    table = table_of(raw, place)
    options = placement_options()
    own = {option.name: table[option.name] for option in options if option.name in table}
    values = read_options(own, options, place)
    rest = {name: value for name, value in table.items() if name not in values}
    return Like(values.pop("like"), {**values, **rest})


def _server(raw: object, place: str) -> Server:
    if isinstance(raw, str):
        return Server.parse(raw, place=place)
    table = table_of(raw, place)
    values = read_options(table, SERVER, place)
    server = Server.parse(values["address"], name=values["name"], place=place)
    if values["down"]:
        server = replace(server, down=True)
    if "weight" not in table:
        return server
    if server.weight != 1:
        raise ConfigError(place, "the weight is given twice, in the address and by itself")
    with placed(f"{place}.weight", server.name):
        return replace(server, weight=values["weight"])


# ---- routes ----


class _RouteReader:
    """Reads routes that name these pools. `copies` holds the number of copies of the pools that set it."""

    def __init__(self, pools: dict[str, Pool], copies: dict[str, int]) -> None:
        self.pools = pools
        self._copies = copies
        self._nested: dict[Kind, Callable[[Any, Option, str], object]] = {
            Kind.POOL: lambda raw, option, place: self.pool(raw, place),
            Kind.ROUTE: lambda raw, option, place: self.route(raw, place),
            Kind.ROUTES: self.children,
            Kind.ROUTES_BY_PREFIX: lambda raw, option, place: self.table(raw, place),
            Kind.ROUTES_BY_COMMAND: lambda raw, option, place: self.by_command(raw, place),
        }

    def whole(self, raw: dict[str, Any]) -> Route:
        if "route" in raw:
            return self.route(raw["route"], "route")
        if len(self.pools) > 1:
            raise ConfigError("route", f"is missing, and there are {len(self.pools)} pools to choose from")
        return self.routed(*self.pools.values())

    def routed(self, pool: Pool) -> Route:
        """The route that a pool's name stands for."""
        copies = self._copies.get(pool.name, 1)
        return PoolRoute(pool) if copies == 1 else Replicate(pool, copies)

    def pool(self, name: str, place: str) -> Pool:
        if name not in self.pools:
            raise ConfigError(place, f"there is no pool {name!r}; {suggest(name, self.pools)}")
        return self.pools[name]

    def route(self, raw: object, place: str) -> Route:
        """A route from a table, or from the name of a pool."""
        if isinstance(raw, str):
            return self.routed(self.pool(raw, place))
        table = dict(table_of(raw, place))
        kind = table.pop("type", None)
        if kind is None:
            raise ConfigError(place, f"type is missing; it is one of {', '.join(ROUTES)}")
        if not isinstance(kind, str) or kind not in ROUTES:
            raise ConfigError(f"{place}.type", f"{kind!r} is no type of route; {suggest(str(kind), ROUTES)}")
        row = ROUTES[kind]
        values = read_options(table, row.options, place)
        for option in row.options:
            if option.kind in self._nested:
                below = inside(place, option.name)
                values[option.name] = self._nested[option.kind](values[option.name], option, below)
        if kind == "pool":
            return self.routed(values["pool"])
        if kind == "warm":
            self._refuse_copies(values, place)
        if kind == "replicate":
            values["copies"] = self._agreed(values["pool"], table, values["copies"], place)
        with placed(place, getattr(row.build, "__name__", "")):
            route = row.build(**values)
        # Compiled from the innermost route outwards, so that an error names the route with the mistake.
        with placed(place, "route"):
            compile_plan(route)
        return route

    def _refuse_copies(self, pools: dict[str, Pool], place: str) -> None:
        for option, pool in pools.items():
            if self._copies.get(pool.name, 1) > 1:
                what = f"pool {pool.name} has copies; this route takes pools without copies"
                raise ConfigError(f"{place}.{option}", what)

    def _agreed(self, pool: Pool, table: dict[str, Any], copies: int, place: str) -> int:
        """The number of copies, which the pool, the route, or both may set."""
        of_pool = self._copies.get(pool.name)
        if of_pool is None or "copies" not in table:
            return copies if of_pool is None else of_pool
        if of_pool != copies:
            other = inside("pools", pool.name)
            raise ConfigError(
                f"{place}.copies",
                f"{copies} copies, and {other}.copies says {of_pool}; leave one of them out",
            )
        return copies

    def children(self, raw: object, option: Option, place: str) -> list[Route]:
        return [self.route(child, f"{place}[{i}]") for i, child in enumerate(array_of(raw, option, place))]

    def table(self, raw: object, place: str) -> dict[str, Route]:
        return {key: self.route(child, inside(place, key)) for key, child in table_of(raw, place).items()}

    def by_command(self, raw: object, place: str) -> dict[str, Route]:
        for key in table_of(raw, place):
            if key.lower() not in COMMAND_KINDS:
                raise ConfigError(
                    inside(place, key), f"no such kind of command; {suggest(key, COMMAND_KINDS)}"
                )
        return self.table(raw, place)
