"""The exceptions and warnings of mcroute, by cause; each kind has one root."""

__all__ = (
    "ConfigError",
    "LocalProtocolError",
    "McrouteError",
    "McrouteWarning",
    "PlacementWarning",
    "ProtocolError",
    "RemoteProtocolError",
    "ServerFailure",
)


class McrouteError(Exception):
    """Root of all exceptions of mcroute."""


class McrouteWarning(UserWarning):
    """Root of all warnings of mcroute."""


class PlacementWarning(McrouteWarning):
    """An inherited placement has surprising behaviour, which mcroute reproduces."""


class ConfigError(McrouteError, ValueError):
    """A configuration that cannot work. `place` says where, as in `pools.main.servers[2]`."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}" if place else message)
        self.place = place
        self.message = message


class ProtocolError(McrouteError):
    """Bytes that are not memcached's protocol."""


class LocalProtocolError(ProtocolError, ValueError):
    """A request that cannot be sent: a bad key, a value too large. Nothing was written."""


class RemoteProtocolError(ProtocolError):
    """A message of the peer that cannot be understood; its connection is closed."""


class ServerFailure(McrouteError):
    """No server gave a usable answer; `outcome` is the kind of failure, `server` the server's name."""

    def __init__(self, message: str, *, outcome: str, server: str | None = None) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.server = server
