"""The engine as a Python object: connections are numbers, input and output are bytes, `now` is an argument."""

cimport cython
from libc.math cimport INFINITY
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t, uintptr_t

from mcroute._engine.beginnings cimport engine_resume
from mcroute._engine.calls cimport call_begin, calls_take
from mcroute._engine.clock cimport engine_began
from mcroute._engine.connections cimport conn_received
from mcroute._engine.custom cimport routes_apply, routes_take
from mcroute._engine.dirty cimport conn_mark
from mcroute._engine.generators cimport RouteRunner
from mcroute._engine.deferred cimport deferred_answer, deferred_lines, deferred_take
from mcroute._engine.lifetimes cimport (
    engine_free, link_closed, link_connected, link_connecting, link_new, link_script, link_withdrawn,
    session_close, session_open,
)
from mcroute._engine.links cimport link_silent_since, link_unanswered_writes
from mcroute._engine.overdue cimport engine_check
from mcroute._engine.pieces cimport conn_feed, conn_room, conn_take, conn_take_pieces
from mcroute._engine.requests cimport call_discard
from mcroute._engine.servers cimport EngineServers
from mcroute._engine.state cimport (
    CONN_LINK, CONN_SESSION, LINKS_MAX, LINK_CONNECTING, LINK_READY, SCRIPT_MAX, ClientRequest, Link, RouteEvent,
    Server, Session, Text,
)


cdef enum:
    ROUNDS_MAX = 16             # rounds of events and orders of routes in Python, in one call
    HELD_MAX = 256 * 1024       # bytes that are held for a paused session: more than one read


cdef Text _text(bytes value):
    """Points into the bytes, which the caller keeps."""
    return Text(<uint8_t*><const uint8_t*>value, len(value))


# Cleared by the garbage collector, an engine in a cycle would lose the plan before it is freed itself.
@cython.no_gc_clear
cdef class Engine(EngineServers):
    """Routes requests by a plan. Opens no socket and reads no clock: a driver does.

    `plan` is a `mcroute.policy.nodes.Plan`; `seed` starts the engine's random generator. `now` is in seconds
    of any clock that never goes back. The state words of servers lie in `memory` if it is given, 64 bytes for each id,
    as far as it reaches. One thread should call the engine: a call from another thread waits for the call under way.
    Raises RuntimeError if two threads admit or install plans at once, or a route's steps() calls the engine.

    Connections and servers are numbers. The number of a closed session raises KeyError, an unknown server IndexError.
    """

    def __cinit__(self, plan, *, seed=1, memory=None):
        self.conns = {}
        self.calls = {}
        self.culprits = {}
        self.scripts = {}
        self.held = {}
        self.ended = set()
        self.routes = RouteRunner()
        self.install(plan)

    def __dealloc__(self):
        if self.state == NULL:
            return
        if self.routes is not None:
            self.routes.close()
            routes_apply(self.state, self.routes.orders(), self.state.now)
        # Freed before the base class would do it: requests refer to plans and bytes that Python frees earlier.
        engine_free(self.state)
        self.state = NULL

    # ---- connections ----

    cdef Conn* conn(self, object number) except NULL:
        self.own()
        return <Conn*><uintptr_t>self.conns[number]

    @cython.critical_section
    def open_session(self):
        """Opens a session for a client that has connected. Returns the connection's number."""
        cdef Session* session = session_open(self.own())
        if session == NULL:
            raise MemoryError
        self.conns[session.conn.id] = <uintptr_t>&session.conn
        return session.conn.id

    cdef Link* link(self, int server, int index) except NULL:
        cdef Server* target = self.server(server)
        cdef Link* link
        self.own()
        if not 0 <= index <= min(target.link_count, LINKS_MAX - 1):
            raise IndexError(f"server {server} cannot have a link {index}")
        if index < target.link_count:
            return target.links[index]
        link = link_new(self.state, target)
        if link == NULL:
            raise MemoryError
        self.conns[link.conn.id] = <uintptr_t>&link.conn
        return link

    @cython.critical_section
    def add_link(self, int server, int index=0):
        """Returns the number of the server's link `index`; a new link is closed until `open_link`. Raises as there."""
        return self.link(server, index).conn.id

    @cython.critical_section
    def open_link(self, int server, int index=0, script=()):
        """The driver begins to connect to this server. Returns the connection's number; requests may queue.

        A server may have several links, numbered from 0 without gaps; each key has one of them. `script` is the
        handshake: pairs of bytes, the request and a prefix of its reply; requests wait until each reply has come with
        its prefix. Another reply breaks the link, see `greeting`. Raises IndexError for an unknown server, a gap before
        `index` or more than 16 links a server, ValueError for a script of more than 4 steps, MemoryError with the link
        closed.
        """
        cdef Link* link = self.link(server, index)
        if len(script) > SCRIPT_MAX:
            raise ValueError(f"a handshake of {len(script)} steps: at most {SCRIPT_MAX}")
        if link.state == LINK_CONNECTING:
            # A second call while connecting: waiting requests stay, behind the handshake of the first call.
            return link.conn.id
        link_connecting(link)
        self.scripts[link.conn.id] = script
        for request, prefix in script:
            if not link_script(link, _text(request), _text(prefix)):
                link_withdrawn(link, self.state.now)
                raise MemoryError
        return link.conn.id

    @cython.critical_section
    def greeting(self, number):
        """The server's last reply in the link's handshake; empty before the first reply, or without a handshake."""
        cdef Conn* conn = self.conn(number)
        cdef Link* link = <Link*>conn
        return link.greeting[:link.greeting_size] if conn.kind == CONN_LINK else b""

    @cython.critical_section
    def link_connected(self, number):
        """The connection to the server is established: the handshake is to be sent, and after its replies requests.

        ValueError for the number of a session.
        """
        cdef Conn* conn = self.conn(number)
        if conn.kind != CONN_LINK:
            raise ValueError(f"connection {number} is a client's, not a link")
        link_connected(<Link*>conn)

    @cython.critical_section
    def is_ready(self, number):
        """Whether the link is connected and its handshake answered, so that requests are sent."""
        cdef Conn* conn = self.conn(number)
        return conn.kind == CONN_LINK and (<Link*>conn).state == LINK_READY

    @cython.critical_section
    def close(self, number, double now):
        """The connection is closed, by either side. A link keeps its number for its next connection."""
        cdef Conn* conn = self.conn(number)
        if conn.kind == CONN_LINK:
            link_closed(<Link*>conn, now)
            return
        del self.conns[number]
        self.held.pop(number, None)
        self.ended.discard(number)
        session_close(<Session*>conn)

    @cython.critical_section
    def withdraw(self, number, double now):
        """The driver could not connect the link for want of descriptors or memory: no failure of the server."""
        cdef Conn* conn = self.conn(number)
        if conn.kind == CONN_LINK:
            link_withdrawn(<Link*>conn, now)

    @cython.critical_section
    def receive(self, number, const uint8_t[::1] data not None, double now):
        """Takes bytes that arrived on the connection. Returns `may_read`: whether the driver is to read on.

        Bytes for a paused session are held until the session goes on. Raises BufferError, and takes nothing of `data`,
        if more than 256 KiB would be held: the driver has read on although `may_read` was false.
        """
        cdef Conn* conn = self.conn(number)
        cdef size_t size = data.shape[0]
        cdef size_t taken
        if self.held and number in self.held:
            self.hold(number, data)
            return False
        taken = conn_feed(conn, &data[0], size, now) if size > 0 else 0
        if taken < size and not conn.is_broken:
            self.held[number] = bytearray(data[taken:])
        return self.is_readable(number, conn)

    cdef hold(self, number, const uint8_t[::1] data):
        cdef bytearray held = self.held[number]
        if len(held) + data.shape[0] > HELD_MAX:
            raise BufferError(f"connection {number} is paused: read on from it when may_read says so")
        held += data

    cdef go_on(self, number, Conn* conn):
        """Parses the bytes that were held for a session, as far as it is not paused, then the end of its input."""
        cdef bytearray held = self.held.pop(number, None)
        cdef size_t taken
        if held is not None:
            taken = conn_feed(conn, <const uint8_t*><char*>held, len(held), self.state.now)
            if taken < <size_t>len(held) and not conn.is_broken:
                del held[:taken]
                self.held[number] = held
        if number in self.ended:
            self.end(number, conn)

    cdef end(self, number, Conn* conn):
        if not (<Session*>conn).is_paused and not conn.is_closing and number not in self.held:
            conn.is_closing = True
            conn_mark(conn)

    cdef bint is_readable(self, number, Conn* conn):
        if conn.is_broken or (self.held and number in self.held) or (self.ended and number in self.ended):
            return False
        return conn.kind != CONN_SESSION or not (<Session*>conn).is_paused

    @cython.critical_section
    def may_read(self, number):
        """Whether the driver is to read from the connection now; ask after `receive` and `take_output`.

        False while the session is paused, after `end_input`, and when the connection is to be closed at once.
        """
        return self.is_readable(number, self.conn(number))

    @cython.critical_section
    def get_buffer(self, number):
        """A memoryview to read bytes of the connection into, before any other call; then call `received`.

        None if the driver is not to read now, see `may_read`.
        """
        cdef Conn* conn = self.conn(number)
        return conn_room(conn, self) if self.is_readable(number, conn) else None

    @cython.critical_section
    def received(self, number, size_t size, double now):
        """Takes `size` bytes from the buffer of `get_buffer`. No effect if the connection is to be closed at once.

        Raises BufferError if the last `get_buffer` was not for this connection; ValueError for more bytes than the
        buffer has.
        """
        cdef Conn* conn = self.conn(number)
        if conn.is_broken or size == 0:
            return
        if conn != self.state.reading:
            raise BufferError(f"no room is lent to connection {number}: get_buffer is to be called just before")
        if size > self.state.lent.capacity - self.state.lent_offset:
            raise ValueError(f"{size} bytes do not fit into what was lent")
        conn_received(conn, size, now)

    @cython.critical_section
    def take_output(self, number):
        """Returns all bytes to be sent on the connection now, and counts them as sent."""
        cdef Conn* conn = self.conn(number)
        data = conn_take(conn)
        if self.held or self.ended:
            self.go_on(number, conn)
        return data

    @cython.critical_section
    def take_pieces(self, number, size_t most=<size_t>-1):
        """As `take_output`, for `writelines`: a list of bytes and, for large pieces, memoryviews of engine memory.

        Stops after the piece with which the list has `most` bytes or more.
        """
        cdef Conn* conn = self.conn(number)
        pieces = conn_take_pieces(conn, most, self)
        if self.held or self.ended:
            self.go_on(number, conn)
        return pieces

    cdef _run_routes(self):
        """Steps the users' generators with the events, and applies their orders, until there are no events.

        At most ROUNDS_MAX times: a route may order without end, and goes on with the next call.
        """
        cdef RouteEvent* events
        cdef int done
        for done in range(ROUNDS_MAX):
            events = routes_take(self.state)
            if events == NULL and done > 0:
                return
            self.routes.feed(events)
            self.runs_routes = True
            try:
                self.routes.step(self.state.now)
            finally:
                self.runs_routes = False
            routes_apply(self.state, self.routes.orders(), self.state.now)

    @cython.critical_section
    def take_dirty(self):
        """Returns, each once, the numbers of the connections that have output or are to be closed."""
        cdef unsigned int i
        engine_resume(self.own(), self.state.now)
        if self.state.events != NULL:
            self._run_routes()
        numbers = []
        for i in range(self.state.dirty_count):
            if self.state.dirty[i] != NULL:
                self.state.dirty[i].is_dirty = False
                numbers.append(self.state.dirty[i].id)
        self.state.dirty_count = 0
        return numbers

    @cython.critical_section
    def is_broken(self, number):
        """Whether the connection is to be closed at once, even if some output was not sent."""
        return self.conn(number).is_broken

    @cython.critical_section
    def must_close(self, number):
        """Whether the driver is to close the connection: at once, or because all output has been sent."""
        cdef Conn* conn = self.conn(number)
        if conn.is_broken:
            return True
        if conn.kind == CONN_SESSION and conn.is_closing:
            return conn.out.count == 0 and (<Session*>conn).head == NULL
        return False

    @cython.critical_section
    def submit(self, bytes request not None, double now):
        """Begins a call: a request of this process, without a session. Returns its number for `take_results`.

        `request` is one whole request with its data block, classic or meta. Raises ValueError, with memcached's error
        text if there is one, for other bytes, and for requests that are not routed or have no reply (version, stats,
        noreply, quiet modes); OverflowError if 65536 calls are in flight or the memory for requests is used up;
        MemoryError.
        """
        cdef ClientRequest* begun
        engine_began(self.own(), now)
        begun = call_begin(self.state, request)
        number = begun.call
        self.calls[number] = <uintptr_t>begun
        return number

    @cython.critical_section
    def discard_result(self, number):
        """Discards the result of a call, which runs on. Raises KeyError if the result was taken already."""
        self.own()
        call_discard(<ClientRequest*><uintptr_t>self.calls.pop(number))

    @cython.critical_section
    def take_results(self):
        """Takes the results of calls since the last time: a list of (number, outcome, result).

        `outcome` is a `mcroute.policy.nodes.Outcome`. The result of get, gets, gat and gats is a list of
        (key, flags, cas or None, value), of incr and decr an int. The result of other commands, and of a failure, is
        the reply without its last line end.
        """
        self.culprits.clear()
        results = calls_take(self.own(), self.culprits)
        for number, _, _ in results:
            del self.calls[number]
        return results

    @cython.critical_section
    def culprits_of_results(self):
        """By number of each failed call in the last `take_results`: the server that the call failed at.

        Calls that failed without a server, such as those refused before an ask, are missing.
        """
        return dict(self.culprits)

    @cython.critical_section
    def take_deferred(self):
        """Takes the deferred requests, which the driver is to `answer`: a list of (number, line without its end).

        Only `stats` is deferred: its answer is about the process as much as about the engine.
        """
        return deferred_lines(deferred_take(self.own()))

    @cython.critical_section
    def answer(self, uint64_t number, bytes reply not None):
        """Answers a request from `take_deferred`; `reply` has its line ends. Raises KeyError if it was answered."""
        if not deferred_answer(self.own(), number, reply, len(reply)):
            raise KeyError(number)

    @cython.critical_section
    def end_input(self, number):
        """The client sends no more bytes: the session is to be closed after its last reply."""
        cdef Conn* conn = self.conn(number)
        if conn.kind == CONN_SESSION:
            self.ended.add(number)
            self.end(number, conn)

    @cython.critical_section
    def unanswered(self, number):
        """Number of requests on the link without a reply, also of those that have timed out."""
        cdef Conn* conn = self.conn(number)
        return (<Link*>conn).count if conn.kind == CONN_LINK else 0

    @cython.critical_section
    def silent_since(self, number):
        """The later of two times: the link's last progress, its oldest unanswered request. Infinity without one."""
        cdef Conn* conn = self.conn(number)
        return link_silent_since(<Link*>conn) if conn.kind == CONN_LINK else INFINITY

    @cython.critical_section
    def unanswered_writes(self, number):
        """Number of unanswered requests that change something: the server may execute them after the link's loss."""
        cdef Conn* conn = self.conn(number)
        return link_unanswered_writes(<Link*>conn) if conn.kind == CONN_LINK else 0

    @cython.critical_section
    def next_wakeup(self):
        """The time of the next `check`, in seconds of the driver's clock; infinity if nothing is in flight.

        The time of the last call, so not a future one, while `take_dirty` has something to do.
        """
        if self.state.events != NULL or self.state.dirty_count > 0:
            return self.state.now
        return min(self.state.next_check, self.routes.next_due())

    @cython.critical_section
    def check(self, double now):
        """Ends requests that are overdue, and resumes routes in Python whose wait has ended."""
        engine_check(self.own(), now)
        self._run_routes()
