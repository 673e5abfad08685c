"""Reads fault scripts: TOML with a workload, and the faults that befall the servers of a configuration."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from ..config import load_config
from ..config.files import parse_toml, read_text
from ..config.options import Kind, Option
from ..config.values import inside, read_options, suggest, table_of
from ..errors import ConfigError
from ..policy import Plan
from ..testing.profiles import MIB, NEWEST, Limits, Profile
from .faults import FAULTS, Fault
from .faults import Kind as FaultKind
from .fleet import is_address
from .servers import ServerOptions
from .workload import Workload

__all__ = ("FAULT", "MEMCACHED", "WORKLOAD", "Script", "load_script", "parse_script")

SECTIONS = ("workload", "memcached", "faults")


def _of(name: str, kind: Kind, help: str, **more: Any) -> Option:
    """An option of `Workload`, with its default."""
    default = next(field.default for field in fields(Workload) if field.name == name)
    return Option(name, kind, help, f"{default:g}", default, **more)


WORKLOAD = (
    _of("requests_per_s", Kind.NUMBER, "Requests of the application.", unit="per second", least=0.001),
    _of("duration_s", Kind.NUMBER, "Length of the run.", unit="seconds", least=0.1, most=86_400),
    _of("clients", Kind.INTEGER, "Requests at a time; later ones wait.", least=1, most=10_000),
    _of("keys", Kind.INTEGER, "Number of keys.", least=1, most=1_000_000),
    _of("zipf", Kind.NUMBER, "Zipf's exponent; 0: all keys are equally frequent.", most=5),
    _of("reads", Kind.NUMBER, "Reads; the others are writes.", unit="a share of requests", most=1),
    Option("value_size", Kind.SIZE, "Size of the values.", "100", 100, least=32, most=MIB // 2),
    _of("ttl_s", Kind.INTEGER, "Lifetime of items; 0: for ever.", unit="seconds", most=30 * 86_400),
    _of("filled", Kind.NUMBER, "Keys in the cache at the beginning.", unit="a share of the keys", most=1),
    _of("database_ms", Kind.NUMBER, "Time that the database takes.", unit="milliseconds"),
    _of(
        "database_per_s",
        Kind.NUMBER,
        "Requests that the database can take; others wait in line. 0: any number.",
        unit="per second",
    ),
    _of(
        "database_timeout_ms",
        Kind.NUMBER,
        "Timeout of a request of the database, which executes it nevertheless. 0: none.",
        unit="milliseconds",
    ),
    Option(
        "slow_ms",
        Kind.NUMBER,
        "Requests that take longer count as slow.",
        "100",
        100.0,
        "milliseconds",
    ),
)

MEMCACHED = (
    Option("version", Kind.TEXT, "Release of the servers, from 1.6.18 on.", f'"{NEWEST}"', NEWEST),
    Option("memory", Kind.SIZE, "Memory of each server for items (`-m`).", '"64m"', 64 * MIB, least=MIB),
)

FAULT = (
    Option("kind", Kind.TEXT, "The kind of fault: see the table of [faults](#faults).", '"kill"'),
    Option("server", Kind.TEXT, "Name of the server, or its address if it has no name.", '"cache-1"', ""),
    Option(
        "router",
        Kind.TEXT,
        "Name of the proxy, for the faults of routers: proxy-1, proxy-2 ...",
        '"proxy-1"',
        "",
    ),
    Option("at_s", Kind.NUMBER, "Begin of the fault.", "10", unit="seconds"),
    Option("for_s", Kind.NUMBER, "Length of the fault.", "5", unit="seconds", most=86_400),
    Option(
        "amount",
        Kind.NUMBER,
        "As in that table, with its default.",
        "0.02",
        None,
        least=float("-inf"),
    ),
    Option(
        "config",
        Kind.TEXT,
        "For `reload`: the other configuration, relative to the script.",
        '"two-servers.toml"',
        "",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A checked fault script. `amount` of a reload is the index of its plan in `other_plans`.

    Requests that take longer than `slow_s` count as slow. `value_size` is in bytes.
    """

    workload: Workload
    faults: tuple[Fault, ...]
    other_plans: tuple[Plan, ...]
    server_options: ServerOptions
    value_size: int
    slow_s: float


def load_script(path: str | os.PathLike[str], plan: Plan, routers: Sequence[str] = ("proxy-1",)) -> Script:
    """Reads a file for the servers of a plan, and proxies of these names.

    Raises ConfigError, whose place begins with the path.
    """
    return parse_script(read_text(path), plan, routers, os.fspath(path), os.path.dirname(path))


def parse_script(
    text: str, plan: Plan, routers: Sequence[str] = ("proxy-1",), place: str = "", directory: str | bytes = ""
) -> Script:
    """Reads TOML; `place` is the prefix of errors. Other configurations are in `directory`.

    Raises ConfigError, whose place is the option as in `faults[2].server`.
    """
    return parse_toml(text, place, _Reader(plan, routers, os.fsdecode(directory)).script)


class _Reader:
    """Reads one script."""

    def __init__(self, plan: Plan, routers: Sequence[str], directory: str) -> None:
        self._plan = plan
        self._routers = routers
        self._directory = directory
        self._others: list[Plan] = []

    def script(self, raw: dict[str, Any]) -> Script:
        for key in raw:
            if key not in SECTIONS:
                raise ConfigError(inside("", key), f"no such section; {suggest(key, SECTIONS)}")
        values = read_options(table_of(raw.get("workload", {}), "workload"), WORKLOAD, "workload")
        value_size, slow_ms = values.pop("value_size"), values.pop("slow_ms")
        workload = Workload(**values)
        listed = raw.get("faults", [])
        if not isinstance(listed, list):
            raise ConfigError("faults", "expected an array of tables; write [[faults]] for each fault")
        faults = [self._fault(entry, f"faults[{i}]", workload) for i, entry in enumerate(listed)]
        return Script(
            workload=workload,
            faults=tuple(sorted(faults, key=lambda fault: fault.at_s)),
            other_plans=tuple(self._others),
            server_options=_server_options(table_of(raw.get("memcached", {}), "memcached")),
            value_size=value_size,
            slow_s=slow_ms / 1000,
        )

    def _fault(self, raw: object, place: str, workload: Workload) -> Fault:
        values = read_options(table_of(raw, place), FAULT, place)
        name = values["kind"]
        if name not in FAULTS:
            raise ConfigError(f"{place}.kind", f"{name!r} is no kind of fault; {suggest(name, FAULTS)}")
        kind = FAULTS[name]
        if values["at_s"] >= workload.duration_s:
            raise ConfigError(
                f"{place}.at_s", f"{values['at_s']:g} is not before the end, at {workload.duration_s:g} s"
            )
        target = self._router(values, name, place) if kind.of_routers else self._server(values, name, place)
        if values["config"] and name != "reload":
            raise ConfigError(f"{place}.config", f"only a reload has another configuration, not {name}")
        amount = self._reload(values, place) if name == "reload" else _amount(values, kind, place)
        return Fault(name, target, values["at_s"], values["for_s"], amount)

    def _server(self, values: dict[str, Any], kind: str, place: str) -> str:
        servers = {server.name: server for server in self._plan.servers}
        name: str = values["server"]
        if values["router"]:
            raise ConfigError(f"{place}.router", f"{kind} is a fault of a server; write server = ...")
        if not name:
            raise ConfigError(place, "server is missing; it is one of " + ", ".join(servers))
        if name not in servers:
            raise ConfigError(f"{place}.server", f"no server is named {name!r}; {suggest(name, servers)}")
        if kind in NEED_NAMES and is_address(servers[name].host):
            raise ConfigError(
                f"{place}.server", f"{name} is configured by an address; {kind} needs a host name"
            )
        return name

    def _router(self, values: dict[str, Any], kind: str, place: str) -> str:
        if values["server"]:
            raise ConfigError(f"{place}.server", f"{kind} is a fault of a router; write router = ...")
        name: str = values["router"] or next(iter(self._routers), "")
        if name not in self._routers:
            raise ConfigError(
                f"{place}.router", f"no proxy is named {name!r}; {suggest(name, self._routers)}"
            )
        return name

    def _reload(self, values: dict[str, Any], place: str) -> float:
        if not values["config"]:
            raise ConfigError(place, "config is missing; a reload needs another configuration file")
        if values["amount"] is not None:
            raise ConfigError(f"{place}.amount", "a reload has no amount")
        self._others.append(load_config(os.path.join(self._directory, values["config"])).plan)
        return float(len(self._others) - 1)


# Faults of a server's host name.
NEED_NAMES = frozenset(("move", "name-unknown", "name-silent"))


def _amount(values: dict[str, Any], kind: FaultKind, place: str) -> float:
    amount = values["amount"]
    if amount is None:
        return kind.amount
    place = f"{place}.amount"
    if not kind.has_amount:
        raise ConfigError(place, f"{values['kind']} has no amount")
    if not kind.least <= amount <= kind.most:
        to = f"to {kind.most:g}" if kind.most < float("inf") else "on"
        raise ConfigError(place, f"{amount:g} is out of range: {kind.text}, from {kind.least:g} {to}")
    return float(amount)


def _server_options(raw: dict[str, Any]) -> ServerOptions:
    values = read_options(raw, MEMCACHED, "memcached")
    try:
        Profile.of(values["version"])
    except ValueError as error:
        raise ConfigError("memcached.version", str(error)) from None
    try:
        return ServerOptions(values["version"], Limits(memory=values["memory"]))
    except ValueError as error:
        raise ConfigError("memcached.memory", str(error)) from None
