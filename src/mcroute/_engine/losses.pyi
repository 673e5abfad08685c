from typing import NamedTuple

class ServerDesync(NamedTuple):
    """A reply that did not match its request: the first of `times` on the server's links."""

    server: int
    times: int
    command: str
    depth: int
    text: bytes

class Losses(NamedTuple):
    """Counters that only grow."""

    refused_memory: int
    closed_memory: int
    discarded_memory: int
    too_large: int
    refused_binary: int
    refused_tls: int
    refused_resp: int
    refused_ssh: int
    desyncs: int
