"""The links of one engine for a driver in Python: events go in, orders to connect and to close come out."""

from libc.stdint cimport uint64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from mcroute._engine.engine cimport Engine
from mcroute.runtime.link_values cimport link_event, link_status
from mcroute.runtime.links cimport (
    HOST_SIZE, Backoff, Connector, LinkDriver, LinkTable, Look, Reports, Upstream, LinkSettings, link_ended, link_made,
    link_not_made, link_received, links_abort_silent, links_abort_unsettled, links_check, links_close, links_connect,
    links_disconnect, links_free, links_look, links_report, links_restart, links_upstream,
)
from mcroute.runtime.sharing cimport SharedUpstream, shared_restart

from typing import NamedTuple


class LinkOrder(NamedTuple):
    """An order to a driver: close the link's current connection, then connect to `address`."""

    server: int
    link: int                   # its index among those of the server
    closes: bool                # the connection or the attempt; no effect if it has ended
    address: int                # index of one of the server's addresses; -1: do not connect


cdef enum:
    NO_ORDER = -1

cdef struct Order:              # a link's `connection`
    Connector* link
    bint closes
    int address
    bint is_queued
    Order* next

cdef struct Orders:             # the links' `owner`
    Order* first
    Order** end


cdef void _queue(Order* order) noexcept nogil:
    cdef Orders* orders = <Orders*>order.link.table.owner
    if not order.is_queued:
        order.is_queued = True
        order.next = NULL
        orders.end[0] = order
        orders.end = &order.next


cdef bint _attach(Connector* link) noexcept nogil:
    cdef Order* order = <Order*>calloc(1, sizeof(Order))
    if order == NULL:
        return False
    order.link = link
    order.address = NO_ORDER
    link.connection = order
    return True


cdef int _connect(Connector* link, int address) noexcept nogil:
    cdef Order* order = <Order*>link.connection
    order.address = address
    _queue(order)
    return 0


cdef void _drain(Connector* link, double now) noexcept nogil:
    pass                        # a driver passes all bytes to the engine before it calls `ended`


cdef void _close(Connector* link) noexcept nogil:
    cdef Order* order = <Order*>link.connection
    order.closes = True
    order.address = NO_ORDER
    _queue(order)


cdef void _detach(Connector* link) noexcept nogil:
    free(link.connection)


cdef LinkDriver ORDERS = LinkDriver(_attach, _connect, _drain, _close, _detach)


cdef class LinkRunner:
    """Runs the links of `engine`; belongs to the engine's thread.

    `server` is an id, `index` a link's index among the links of its server, `now` is in seconds of the engine's clock.
    After each call the driver carries out `take_orders`, passes `events` to the supervisor, and calls `check` at
    `next_wakeup`. `seed` starts the random generator of the backoff's jitter.
    """

    cdef Engine engine
    cdef LinkTable table
    cdef Orders orders

    def __cinit__(self, Engine engine not None, uint64_t seed=1):
        self.engine = engine
        self.orders.end = &self.orders.first
        self.table.engine = engine.state
        self.table.driver = &ORDERS
        self.table.owner = &self.orders
        self.table.random = seed | 1
        self.table.due = float("inf")

    def __dealloc__(self):
        cdef int i
        for i in range(self.table.upstream_count):
            if self.table.upstreams[i] != NULL:
                free(self.table.upstreams[i].shared)
        links_free(&self.table)

    cdef Upstream* upstream(self, int server) except NULL:
        if not 0 <= server < self.table.upstream_count or self.table.upstreams[server] == NULL:
            raise IndexError(f"server {server} has no links")
        return self.table.upstreams[server]

    cdef Connector* link(self, int server, int index) except NULL:
        cdef Upstream* upstream = self.upstream(server)
        if not 0 <= index < upstream.link_count:
            raise IndexError(f"server {server} has no link {index}")
        return upstream.links[index]

    # ---- operations of the supervisor ----

    def connect(self, int server, options not None, backoff not None, int address_count, double now,
                bint are_new=False):
        """Keeps `options.links` links to the server, at most 16; links that exist stay.

        `options` are `ServerOptions`, `backoff` is a `Backoff`. `address_count` is the number of the server's
        addresses; -1: they are not known yet, and links wait for the next call. `are_new` says that the addresses
        have changed. Raises IndexError if the engine has no such server, MemoryError.
        """
        cdef Upstream* upstream
        cdef Connector* link
        cdef LinkSettings settings
        cdef bint is_done
        cdef int i
        self.engine.server(server)
        upstream = links_upstream(&self.table, server)
        if upstream == NULL:
            raise MemoryError
        if upstream.shared == NULL:
            upstream.shared = <SharedUpstream*>calloc(1, sizeof(SharedUpstream))
        if upstream.shared == NULL:
            raise MemoryError
        settings = LinkSettings(
            server, options.links, options.connect_timeout_s, Backoff(backoff.base_s, backoff.cap_s, backoff.cap_out_s),
            address_count, are_new, upstream.shared,
        )
        is_done = links_connect(&self.table, &settings, now)
        for i in range(upstream.link_count):
            link = upstream.links[i]
            self.engine.conns[link.link.conn.id] = <uintptr_t>&link.link.conn
        if not is_done:
            raise MemoryError

    def number(self, int server, int index):
        """The number of the link's connections in the engine."""
        return self.link(server, index).link.conn.id

    def abort_unsettled(self, int server, double now):
        """Closes connected links with unanswered requests; they are connected again."""
        self.upstream(server)
        links_abort_unsettled(&self.table, server, now)

    def abort_silent(self, int server, double since, double now):
        """Closes connected links that owe replies and last received bytes before `since`; they are connected again."""
        self.upstream(server)
        links_abort_silent(&self.table, server, since, now)

    def disconnect(self, int server, double now):
        """Closes all links of the server; they stay closed until `connect`."""
        self.upstream(server)
        links_disconnect(&self.table, server, now)

    def retry_now(self, int server, double now):
        """Ends the backoff of the server's links: they try to connect now."""
        shared_restart(self.upstream(server).shared)
        links_restart(&self.table, now)

    def close(self, double now):
        """Closes all links of all servers."""
        links_close(&self.table, now)

    # ---- events of the driver ----

    def made(self, int server, int index, str host not None, int port, double now):
        """Reports that the connection is made. The driver then sends the engine's output for it, the handshake.

        `host` and `port` are our end of the connection. For a unix socket `host` is "unix" and `port` is the id of the
        listening process. An empty host: our end is not known.
        """
        cdef Connector* link = self.link(server, index)
        cdef bytes name = host.encode()[:HOST_SIZE - 1]
        memcpy(link.end.host, <const char*>name, len(name) + 1)
        link.end.port = port
        link.end.is_known = len(name) > 0
        link_made(link, now)

    def not_made(self, int server, int index, int error, double now):
        """Reports that the attempt to connect has failed, with errno `error`."""
        link_not_made(self.link(server, index), error, now)

    def received(self, int server, int index, double now):
        """Reports that the engine has received bytes of the connection, perhaps the reply to the handshake."""
        link_received(self.link(server, index), now)

    def ended(self, int server, int index, int error, double now):
        """Reports that the connection is lost, with errno `error`; 0: the server has closed it."""
        link_ended(self.link(server, index), error, now)

    def check(self, double now):
        """Begins attempts to connect that are due, and ends attempts that have timed out."""
        links_check(&self.table, now)

    def next_wakeup(self):
        """The time at which to call `check`, in seconds of the engine's clock; infinity: not before another call."""
        return self.table.due

    # ---- results ----

    def take_orders(self):
        """Takes the `LinkOrder`s since the last call, one per link, in the order of the links' first orders."""
        cdef Order* order = self.orders.first
        self.orders.first = NULL
        self.orders.end = &self.orders.first
        orders = []
        while order != NULL:
            orders.append(LinkOrder(order.link.server, order.link.index, bool(order.closes), order.address))
            order.closes = order.is_queued = False
            order.address = NO_ORDER
            order = order.next
        return orders

    def events(self, double now):
        """Takes a `LinkEvent` for each link that has changed. Links that were held for the supervisor connect again.

        Returns at most EVENTS_MAX events; after so many, call again.
        """
        cdef Reports reports
        cdef int i
        links_report(&self.table, &reports, now)
        return [link_event(&reports.items[i]) for i in range(reports.count)]

    def links(self, list servers not None):
        """A list for each of these servers, with a `LinkStatus` for each of its links."""
        cdef Look look
        cdef int i
        found = []
        for server in servers:
            look.server = server
            links_look(&self.table, &look)
            found.append([link_status(&look.links[i]) for i in range(look.count)])
        return found
