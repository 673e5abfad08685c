"""Names of servers in the hashes of their points. Most differences between systems are here."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import ConfigError
from .addresses import DEFAULT_PORT, Address

__all__ = ("Naming",)

# From the address and the system's options to the name.
Naming = Callable[[Address, Mapping[str, Any]], str]


def host_port(address: Address, options: Mapping[str, Any]) -> str:
    """`host:port`, or the bare path."""
    return address.host if address.is_socket else f"{address.host}:{address.port}"


def short(address: Address, options: Mapping[str, Any]) -> str:
    """`host:port`, of port 11211 only `host`; a socket is `path:0`."""
    return address.host if address.port == DEFAULT_PORT else f"{address.host}:{address.port}"


def twemproxy(address: Address, options: Mapping[str, Any]) -> str:
    """The given name, else `host:port`, of port 11211 only `host`; a socket is `path:`."""
    return address.name or (f"{address.host}:" if address.is_socket else short(address, options))


def libmc(address: Address, options: Mapping[str, Any]) -> str:
    """The given name, else `host:port`, of port 11211 only `host`; a socket is its bare path."""
    return address.name or (address.host if address.is_socket else short(address, options))


def libmemcached_spy(address: Address, options: Mapping[str, Any]) -> str:
    """`/host:port`, whatever the port."""
    return f"/{address.host}:{address.port}"


def given(address: Address, options: Mapping[str, Any]) -> str:
    """The given name, else `host:port`."""
    return address.name or host_port(address, options)


def bracketed(address: Address, options: Mapping[str, Any]) -> str:
    """The given name, else `host:port` with a v6 host in brackets."""
    return str(address)


def bmemcached(address: Address, options: Mapping[str, Any]) -> str:
    """`host:port_user_password`, with the word None for what is absent."""
    return f"{host_port(address, options)}_{options['username']}_{options['password']}"


def emcache(address: Address, options: Mapping[str, Any]) -> str:
    """Host and port with nothing between them, or the path."""
    return address.host if address.is_socket else f"{address.host}{address.port}"


def proxy_evcache(address: Address, options: Mapping[str, Any]) -> str:
    """`addr/addr:port`."""
    return f"{address.host}/{host_port(address, options)}"


def tag(address: Address, options: Mapping[str, Any]) -> str:
    """mcrouter's tag of a server, which is not part of its address."""
    return address.name


# ---- Java


def _java_ip(text: str) -> str:
    """An IP address as Java's InetSocketAddress prints it: v6 in brackets, with every group."""
    ip = ipaddress.ip_address(text)
    if ip.version == 4:
        return str(ip)
    return "[" + ":".join(f"{int(group, 16):x}" for group in ip.exploded.split(":")) + "]"


def _resolved(address: Address, options: Mapping[str, Any]) -> str:
    """The address of a host name; "" for a name that cannot be resolved."""
    if address.is_numeric:
        return address.host
    if address.host not in options["resolved"]:
        raise ConfigError(
            "resolved",
            f"the system hashes a server's host name and its address: which address does "
            f'{address.host!r} have? ("" for a name that cannot be resolved)',
        )
    return str(options["resolved"][address.host])


def spymemcached(address: Address, options: Mapping[str, Any]) -> str:
    """As Java prints it: `10.0.0.1:11211`, `host/10.0.0.1:11211`, `host/<unresolved>:11211`."""
    ip = _resolved(address, options)
    if address.is_numeric:
        return f"{_java_ip(ip)}:{address.port}"
    return f"{address.host}/{_java_ip(ip) if ip else '<unresolved>'}:{address.port}"


def spymemcached_short(address: Address, options: Mapping[str, Any]) -> str:
    """`host:port`, of port 11211 only `host`; Java resolves IP addresses to host names."""
    host = options["reverse"].get(address.host, address.host)
    return short(Address(host, address.port), options)


def evcache(address: Address, options: Mapping[str, Any]) -> str:
    """`hostname/ip:11211`, whatever the port; IP addresses are resolved to host names."""
    host = options["reverse"].get(address.host, address.host)
    return f"{host}/{_java_ip(_resolved(address, options))}:{DEFAULT_PORT}"
