# cython: language_level=3
"""The link state machine over a driver that has no memory for its first links."""

from libc.string cimport memset

from mcroute._engine.engine cimport Engine
from mcroute.runtime.links cimport (
    Backoff, Connector, LinkDriver, LinkSettings, LinkTable, links_close, links_connect, links_free,
)
from mcroute.runtime.sharing cimport SharedUpstream

cdef int failures = 0


cdef bint attach(Connector* link) noexcept nogil:
    global failures
    failures -= 1
    return failures < 0


cdef int connect(Connector* link, int address) noexcept nogil:
    return 0


cdef void ignore(Connector* link) noexcept nogil:
    pass


cdef void drain(Connector* link, double now) noexcept nogil:
    pass


cdef LinkDriver DRIVER = LinkDriver(attach, connect, drain, ignore, ignore)


def link_counts(Engine engine not None, int count, int times):
    """Asks for `count` links to server 0 until it has them; `times` attempts find no memory.

    Returns for each call whether it has succeeded, and the numbers of links of the state machine and of the engine.
    """
    global failures
    cdef LinkTable table
    cdef SharedUpstream shared
    cdef LinkSettings settings
    cdef bint is_done = False
    failures = times
    memset(&table, 0, sizeof(table))
    memset(&shared, 0, sizeof(shared))
    table.engine = engine.state
    table.driver = &DRIVER
    table.random = 1
    table.due = float("inf")
    settings = LinkSettings(0, count, 1.0, Backoff(0.1, 1.0, 1.0), 0, False, &shared)
    found = []
    while not is_done:
        is_done = links_connect(&table, &settings, 0.0)
        found.append((is_done, table.upstreams[0].link_count, engine.state.servers[0].link_count))
    links_close(&table, 0.0)
    links_free(&table)
    return found
