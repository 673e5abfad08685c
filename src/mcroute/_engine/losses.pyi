from typing import NamedTuple

class ServerDesync(NamedTuple):
    server: int
    times: int
    command: str
    depth: int
    text: bytes

class Losses(NamedTuple):
    refused_memory: int
    closed_memory: int
    unkept: int
    too_large: int
    desyncs: int
