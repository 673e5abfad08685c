"""The exceptions and warnings of mcroute: one root of each, then by whose fault it is."""

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
    """Root of every exception that mcroute raises on its own account."""


class McrouteWarning(UserWarning):
    """Root of every warning that mcroute gives on its own account."""


class PlacementWarning(McrouteWarning):
    """An inherited placement does what people do not expect. It is reproduced all the same."""


class ConfigError(McrouteError, ValueError):
    """What was configured cannot work. `place` says where, as in `pools.main.servers[2]`."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}" if place else message)
        self.place = place
        self.message = message


class ProtocolError(McrouteError):
    """Bytes that are not memcached's protocol."""


class LocalProtocolError(ProtocolError, ValueError):
    """What the caller asked to send cannot be sent: a bad key, a value too large. Nothing was written."""


class RemoteProtocolError(ProtocolError):
    """What the peer sent cannot be understood; the connection it came on is of no more use."""


class ServerFailure(McrouteError):
    """No server gave an answer to count on; `outcome` names how it failed, `server` whom it concerns."""

    def __init__(self, message: str, *, outcome: str, server: str | None = None) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.server = server
