"""Sockets for links: connected without waiting, watched by epoll."""

from libc.errno cimport errno
from libc.stddef cimport size_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy

from mcroute._loop.endpoints cimport (
    endpoint_close, endpoint_flush, endpoint_open, endpoint_receive, endpoint_watch,
)
from mcroute._loop.state cimport ADDRESSES_MAX, END_LINK
from mcroute._loop.system cimport (
    EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, close, mcroute_connect, mcroute_name_of, mcroute_own_name,
    mcroute_socket_error, sockaddr_storage,
)
from mcroute.runtime.links cimport (
    STAGE_CONNECTING, STAGE_GREETING, Connector, Reports, Upstream, LinkSettings, link_ended, link_is_open, link_made,
    link_not_made, link_received, links_abort_silent, links_abort_unsettled, links_connect, links_disconnect,
    links_look, links_report, links_upstream,
)


# ---- operations of the link state machine ----

cdef bint _attach(Connector* link) noexcept nogil:
    cdef Endpoint* end = <Endpoint*>calloc(1, sizeof(Endpoint))
    if end == NULL:
        return False
    end.link = link
    end.loop = <Loop*>link.table.owner
    end.fd = -1
    link.connection = end
    # Set before the connect: the engine marks a connection dirty while it waits.
    link.link.conn.user = end
    return True


cdef int _connect(Connector* link, int index) noexcept nogil:
    cdef Endpoint* end = <Endpoint*>link.connection
    cdef Address* address = <Address*>link.table.upstreams[link.server].addresses + index
    cdef int fd = mcroute_connect(&address.name, address.size, &end.loop.keepalive)
    cdef int error
    if fd < 0:
        return errno
    if endpoint_open(end, end.loop, END_LINK, fd, &link.link.conn, EPOLLOUT):
        return 0
    error = errno
    close(fd)
    end.fd = -1
    return error


cdef void _drain(Connector* link, double now) noexcept nogil:
    endpoint_receive(<Endpoint*>link.connection)


cdef void _close(Connector* link) noexcept nogil:
    cdef Endpoint* end = <Endpoint*>link.connection
    if end.fd >= 0:
        endpoint_close(end)


cdef void _detach(Connector* link) noexcept nogil:
    free(link.connection)


cdef LinkDriver SOCKETS = LinkDriver(_attach, _connect, _drain, _close, _detach)


# ---- events of epoll ----

cdef void _made(Endpoint* end) noexcept nogil:
    cdef Connector* link = end.link
    cdef sockaddr_storage name
    mcroute_own_name(end.fd, &name)
    link.end.port = mcroute_name_of(&name, link.end.host, sizeof(link.end.host))
    link.end.is_known = link.end.port >= 0
    endpoint_watch(end, EPOLLIN)
    link_made(link, end.loop.now)


cdef void link_ready(Endpoint* end, uint32_t events) noexcept nogil:
    cdef Connector* link = end.link
    cdef double now = end.loop.now
    if link.stage == STAGE_CONNECTING:
        end.error = mcroute_socket_error(end.fd)
        if end.error == 0:
            _made(end)
        else:
            link_not_made(link, end.error, now)
        return
    if events & EPOLLOUT and not endpoint_flush(end):
        link_ended(link, end.error, now)
    elif events & EPOLLIN:
        if not endpoint_receive(end):
            link_ended(link, end.error, now)
        elif link.stage == STAGE_GREETING:
            link_received(link, now)
    elif events & (EPOLLERR | EPOLLHUP):
        link_ended(link, mcroute_socket_error(end.fd), now)


cdef void link_flush(Endpoint* end) noexcept nogil:
    # Requests wait in the engine while there is no connection.
    if link_is_open(end.link) and not endpoint_flush(end):
        link_ended(end.link, end.error, end.loop.now)


# ---- jobs ----

cdef bint _set_addresses(Upstream* upstream, const Connect* asked, bint* are_new) noexcept nogil:
    """Copies the addresses. False without memory."""
    cdef size_t size = max(asked.address_count, 0) * sizeof(Address)
    if upstream.addresses == NULL:
        upstream.addresses = calloc(ADDRESSES_MAX, sizeof(Address))
    if upstream.addresses == NULL:
        return False
    are_new[0] = (upstream.address_count != asked.address_count
                  or memcmp(upstream.addresses, asked.addresses, size) != 0)
    memcpy(upstream.addresses, asked.addresses, size)
    return True


cdef void server_connect(Loop* loop, void* connect) noexcept nogil:
    cdef Connect* asked = <Connect*>connect
    cdef Upstream* upstream = links_upstream(&loop.links, asked.server)
    cdef LinkSettings settings = LinkSettings(
        asked.server, asked.count, asked.timeout, asked.backoff, asked.address_count, False, asked.shared,
    )
    loop.keepalive = asked.keepalive
    asked.is_done = (upstream != NULL and _set_addresses(upstream, asked, &settings.are_new)
                     and links_connect(&loop.links, &settings, loop.now))


cdef void addresses_free(Loop* loop) noexcept nogil:
    cdef int i
    for i in range(loop.links.upstream_count):
        if loop.links.upstreams[i] != NULL:
            free(loop.links.upstreams[i].addresses)


cdef void server_abort_unsettled(Loop* loop, void* server) noexcept nogil:
    links_abort_unsettled(&loop.links, (<int*>server)[0], loop.now)


cdef void server_disconnect(Loop* loop, void* server) noexcept nogil:
    links_disconnect(&loop.links, (<int*>server)[0], loop.now)


cdef void server_abort_silent(Loop* loop, void* silence) noexcept nogil:
    cdef Silence* asked = <Silence*>silence
    links_abort_silent(&loop.links, asked.server, asked.since, loop.now)


cdef void servers_look(Loop* loop, void* looks) noexcept nogil:
    cdef Looks* out = <Looks*>looks
    cdef int i
    for i in range(out.count):
        links_look(&loop.links, &out.items[i])


cdef void reports_take(Loop* loop, void* reports) noexcept nogil:
    links_report(&loop.links, <Reports*>reports, loop.now)
