from typing import NamedTuple

class ServerDesync(NamedTuple):
    """What came on a link and did not fit; the first of several times."""

    server: int
    times: int
    command: str
    depth: int
    text: bytes

class Losses(NamedTuple):
    """Counters that only grow."""

    refused_memory: int
    closed_memory: int
    unkept: int
    too_large: int
    refused_binary: int
    refused_tls: int
    refused_resp: int
    refused_ssh: int
    desyncs: int
