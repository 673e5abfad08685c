"""A few counters for the log, and the first bytes of replies that did not match their request."""

from mcroute._engine.counters cimport counter_read
from mcroute._protocol cimport COMMAND_COUNT

from mcroute._protocol import commands

from typing import NamedTuple


class ServerDesync(NamedTuple):
    """A reply that did not match its request: the first of `times` on the server's links."""

    server: int
    times: int
    command: str                # of the oldest request without a reply; empty if there was none
    depth: int                  # such requests
    text: bytes                 # the first bytes


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


cdef void desyncs_take(Engine* engine, Desyncs* out) noexcept nogil:
    cdef int i
    out.count = 0
    for i in range(engine.server_count):
        if engine.servers[i].desync.count > 0 and out.count < DESYNCS_MAX:
            out.items[out.count].server = i
            out.items[out.count].what = engine.servers[i].desync
            engine.servers[i].desync.count = 0
            out.count += 1


cdef list desyncs_as_values(const Desyncs* taken):
    cdef const Desync* what
    cdef int i
    values = []
    for i in range(taken.count):
        what = &taken.items[i].what
        command = commands.COMMAND_NAMES[what.command] if what.command < COMMAND_COUNT else ""
        text = bytes(what.text[:what.size])
        values.append(ServerDesync(taken.items[i].server, what.count, command, what.depth, text))
    return values


cdef object engine_losses(Engine* engine):
    return Losses(
        counter_read(&engine.counts.refused_memory), counter_read(&engine.counts.closed_memory),
        counter_read(&engine.counts.discarded_memory), counter_read(&engine.counts.too_large),
        counter_read(&engine.counts.refused_binary), counter_read(&engine.counts.refused_tls),
        counter_read(&engine.counts.refused_resp), counter_read(&engine.counts.refused_ssh),
        counter_read(&engine.counts.desyncs),
    )
