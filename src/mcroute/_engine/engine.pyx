"""The engine as a Python object: connections are numbers, bytes go in and come out, `now` is an argument."""

cimport cython
from libc.math cimport INFINITY
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t, uintptr_t
from libc.string cimport memcpy

from mcroute._engine.answers cimport call_forget, conn_mark
from mcroute._engine.bounds cimport Bounds, Said, engine_set_bounds, server_said
from mcroute._engine.calls cimport call_begin, calls_take
from mcroute._engine.connections cimport (
    conn_buffer, conn_received, engine_began, engine_check, engine_resume,
)
from mcroute._engine.custom cimport routes_apply, routes_take
from mcroute._engine.generators cimport RouteRunner
from mcroute._engine.handed cimport handed_answer, handed_lines, handed_take
from mcroute._engine.lifetimes cimport (
    engine_free, engine_install, engine_new, link_closed, link_connected, link_connecting, link_new, link_script,
    link_withdrawn, session_close, session_open,
)
from mcroute._engine.links cimport link_unanswered_writes, server_is_unlinked
from mcroute._engine.losses cimport Desyncs, desyncs_as_values, desyncs_take, engine_losses
from mcroute._engine.observing cimport engine_snapshot, engine_troubles
from mcroute._engine.pieces cimport conn_room, conn_take, conn_take_pieces
from mcroute._engine.plans cimport CompiledPlan, ServerTerms, servers_admit
from mcroute._engine.state cimport (
    CONN_LINK, CONN_SESSION, LINKS_MAX, LINK_CONNECTING, LINK_READY, SCRIPT_MAX, Link, Request,
    RouteEvent, Server, Session, Text,
)
from mcroute._engine.trips cimport engine_alarms, link_silent_since, server_fail_over
from mcroute._engine.words cimport (
    SERVER_EJECTED, SERVER_UP, word_is_spared, word_is_stale, word_keep, word_lift, word_missed, word_put,
    ServerWord, word_state, word_trust,
)

from mcroute._engine.roster import Roster


cdef enum:
    ROUNDS_MAX = 16             # of what routes in Python are told and order, in one call


cdef Text _text(bytes value):
    """Points into the bytes, which the caller keeps."""
    return Text(<uint8_t*><const uint8_t*>value, len(value))


cdef enum:
    WORD_SIZE = 64


# Cleared by the garbage collector, an engine in a cycle would lose the plan before it is freed itself.
@cython.no_gc_clear
cdef class Engine:
    """Routes requests by a plan. Opens no socket and reads no clock: a driver does, and tells.

    `plan` is a `mcroute.policy.nodes.Plan`; `seed` starts the engine's random generator. `now` is in seconds
    of any clock that never goes back. Not for use by several threads at once. The servers' states lie in `memory` if
    there is one, 64 bytes for each id, as far as it reaches.
    """

    def __cinit__(self, plan, *, uint64_t seed=1, unsigned char[::1] memory=None):
        self.memory = memory
        self.conns = {}
        self.calls = {}
        self.scripts = {}
        self.roster = Roster()
        self.older = []
        self.state = engine_new(seed)
        if self.state == NULL:
            raise MemoryError
        self.routes = RouteRunner()
        self.install(plan)

    def __dealloc__(self):
        if self.state == NULL:
            return
        self.routes.close()
        routes_apply(self.state, self.routes.orders(), self.state.now)
        engine_free(self.state)

    # ---- the plan and its servers ----

    def _is_free(self, int number):
        return not self.server_in_use(number) and server_is_unlinked(self.state.servers[number])

    def forget_plans(self):
        """Frees plans that no request is on any more. Returns how many older ones there still are."""
        self.older = [older for older in self.older if (<CompiledPlan>older).table.refs > 0]
        return len(self.older)

    def admit(self, plan, renamed=None):
        """Makes the plan's servers known, and returns their ids by name; `install` is to follow.

        Until then nothing is asked of a server that joins: it is the time to open its links. A server that stays
        (the same name and address, or `renamed` from a server with other ones) keeps its id, its links and its state;
        one that is new gets an id that no request refers to any more, is in service, and wants as many links as the
        server had that had the id before. `renamed` maps pairs of name and address to those of the installed plan.
        """
        cdef CompiledPlan compiled = CompiledPlan(plan, self.roster.admit(plan, self._is_free, renamed or {}))
        self._lend_words(compiled)
        if not servers_admit(self.state, compiled.terms, compiled.term_count):
            raise MemoryError
        self.admitted = compiled
        return dict(compiled.ids)

    cdef _lend_words(self, CompiledPlan compiled):
        cdef ServerTerms* terms
        cdef ServerWord* word
        cdef int i
        if self.memory is None:
            return
        for i in range(compiled.term_count):
            terms = &compiled.terms[i]
            if (terms.id + 1) * WORD_SIZE <= self.memory.shape[0]:
                word = <ServerWord*>&self.memory[terms.id * WORD_SIZE]
                if terms.is_new:
                    word.bits = 0
                terms.word = word

    def install(self, plan):
        """Requests from now on start on this plan; those in flight finish on the one that they started with.

        A plan that was not admitted is so first.
        """
        if self.admitted is None or self.admitted.plan is not plan:
            self.admit(plan)
        if self.compiled is not None:
            self.older.append(self.compiled)
        self.compiled, self.admitted = self.admitted, None
        engine_install(self.state, self.compiled.table)
        self.forget_plans()

    def server_ids(self):
        """The ids of the installed plan's servers, by name."""
        return dict(self.compiled.ids)

    def server_in_use(self, int server):
        """Whether the installed plan or a request in flight on an older one refers to this server."""
        cdef CompiledPlan compiled
        self.forget_plans()
        for compiled in (self.compiled, *self.older):
            if compiled is not None and server in compiled.ids.values():
                return True
        return False

    cdef Server* server(self, int number) except NULL:
        if not 0 <= number < self.state.server_count:
            raise IndexError(f"no server has the id {number}")
        return self.state.servers[number]

    # ---- connections ----

    cdef Conn* conn(self, object number) except NULL:
        return <Conn*><uintptr_t>self.conns[number]

    def open_session(self):
        """A client has connected. Returns the number that its connection goes by."""
        cdef Session* session = session_open(self.state)
        if session == NULL:
            raise MemoryError
        self.conns[session.conn.id] = <uintptr_t>&session.conn
        return session.conn.id

    cdef Link* link(self, int server, int index) except NULL:
        cdef Server* target = self.server(server)
        cdef Link* link
        if not 0 <= index <= min(target.link_count, LINKS_MAX - 1):
            raise IndexError(f"server {server} cannot have a link {index}")
        if index < target.link_count:
            return target.links[index]
        link = link_new(self.state, target)
        if link == NULL:
            raise MemoryError
        self.conns[link.conn.id] = <uintptr_t>&link.conn
        return link

    def add_link(self, int server, int index=0):
        """The number of the server's link of this index; a new one is closed until `open_link`. IndexError as there."""
        return self.link(server, index).conn.id

    def open_link(self, int server, int index=0, script=()):
        """The driver connects to this server. Returns the connection's number; requests may queue.

        A server may have several links, numbered from 0 without gaps; each key has one of them. `script` is the
        handshake: (request, what the reply begins with) pairs of bytes; no request is sent before all of them are
        answered so. Another reply breaks the link, see `greeting`. Raises IndexError for a server or an index that
        cannot be (there are at most 16 links a server), ValueError for a script of more than 4 steps, MemoryError
        with the link closed.
        """
        cdef Link* link = self.link(server, index)
        if len(script) > SCRIPT_MAX:
            raise ValueError(f"a handshake of {len(script)} steps: at most {SCRIPT_MAX}")
        if link.state == LINK_CONNECTING:
            # Said again, after a loss already: what waits stays, behind the handshake of then.
            return link.conn.id
        link_connecting(link)
        self.scripts[link.conn.id] = script
        for request, prefix in script:
            if not link_script(link, _text(request), _text(prefix)):
                link_withdrawn(link, self.state.now)
                raise MemoryError
        return link.conn.id

    def greeting(self, number):
        """What the server answered last in the link's handshake; empty before, and without one."""
        cdef Conn* conn = self.conn(number)
        cdef Link* link = <Link*>conn
        return link.greeting[:link.greeting_size] if conn.kind == CONN_LINK else b""

    def link_connected(self, number):
        """The connection to the server stands: the handshake is to be sent, and requests when it is answered."""
        link_connected(<Link*>self.conn(number))

    def is_ready(self, number):
        """Whether the link is connected and its handshake answered, so that requests are sent."""
        cdef Conn* conn = self.conn(number)
        return conn.kind == CONN_LINK and (<Link*>conn).state == LINK_READY

    def close(self, number, double now):
        """The connection is gone, whoever closed it. A link's number stays for its next connection."""
        cdef Conn* conn = self.conn(number)
        if conn.kind == CONN_LINK:
            link_closed(<Link*>conn, now)
            return
        del self.conns[number]
        session_close(<Session*>conn)

    def withdraw(self, number, double now):
        """The link's connection was not made for want of descriptors or memory: no failure of its server."""
        cdef Conn* conn = self.conn(number)
        if conn.kind == CONN_LINK:
            link_withdrawn(<Link*>conn, now)

    def receive(self, number, const uint8_t[::1] data, double now):
        """Takes bytes that arrived on the connection. Returns how many; fewer when the session is paused."""
        cdef Conn* conn = self.conn(number)
        cdef size_t taken = 0
        cdef size_t room = 0
        cdef uint8_t* buffer
        while taken < <size_t>data.shape[0]:
            buffer = conn_buffer(conn, &room)
            if buffer == NULL:
                break
            if room > <size_t>data.shape[0] - taken:
                room = <size_t>data.shape[0] - taken
            memcpy(buffer, &data[taken], room)
            conn_received(conn, room, now)
            taken += room
        return taken

    def get_buffer(self, number):
        """Room for bytes that arrive on the connection: a memoryview, to be filled before any other call.

        None when nothing may be read now: the session is paused, or the connection is to be closed.
        """
        return conn_room(self.conn(number), self)

    def received(self, number, size_t size, double now):
        """So many bytes are in the room that was lent. Without effect if none was, or to another one since.

        Raises ValueError for more bytes than there was room for.
        """
        cdef Conn* conn = self.conn(number)
        if conn != self.state.reading or conn.is_broken:
            return
        if size > self.state.lent.capacity - self.state.lent_offset:
            raise ValueError(f"{size} bytes do not fit into what was lent")
        conn_received(conn, size, now)

    def take_output(self, number):
        """All bytes that are to be sent on the connection now, taken as sent."""
        return conn_take(self.conn(number))

    def take_pieces(self, number, size_t most=<size_t>-1):
        """The same for `writelines`: a list of bytes and, where copying costs, memoryviews of the engine's memory.

        With `most`, no further piece once there are so many bytes.
        """
        return conn_take_pieces(self.conn(number), most, self)

    cdef _run_routes(self):
        """Tells the users' generators what has happened, and does what they order, until nothing more happens.

        Or so often: a route may make work for itself without end, and then goes on when it is next looked.
        """
        cdef RouteEvent* events
        cdef int done
        for done in range(ROUNDS_MAX):
            events = routes_take(self.state)
            if events == NULL and done > 0:
                return
            self.routes.feed(events)
            self.routes.step(self.state.now)
            routes_apply(self.state, self.routes.orders(), self.state.now)

    def take_dirty(self):
        """The numbers of the connections that have something to send or are to be closed, each once."""
        cdef unsigned int i
        engine_resume(self.state, self.state.now)
        if self.state.events != NULL:
            self._run_routes()
        numbers = []
        for i in range(self.state.dirty_count):
            if self.state.dirty[i] != NULL:
                self.state.dirty[i].is_dirty = False
                numbers.append(self.state.dirty[i].id)
        self.state.dirty_count = 0
        return numbers

    def is_broken(self, number):
        """Whether the connection is to be closed at once, whatever has not been sent yet."""
        return self.conn(number).is_broken

    def must_close(self, number):
        """Whether the driver is to close the connection: at once, or because all of it has been sent."""
        cdef Conn* conn = self.conn(number)
        if conn.is_broken:
            return True
        if conn.kind == CONN_SESSION and conn.is_closing:
            return conn.out.count == 0 and (<Session*>conn).head == NULL
        return False

    def submit(self, bytes request not None, double now):
        """Begins a request of this process itself, without a session. Returns its number for `take_results`.

        `request` is one whole request with its data block, classic or meta. Raises ValueError, with
        memcached's words, for anything else, and for what is not routed by a key or wants no reply (version,
        stats, noreply, quiet modes); OverflowError when 65536 are in flight.
        """
        cdef Request* begun
        engine_began(self.state, now)
        begun = call_begin(self.state, request)
        number = begun.call
        self.calls[number] = <uintptr_t>begun
        return number

    def forget(self, number):
        """Nobody waits for this request any more; it runs on, and has no result. KeyError if it had one."""
        call_forget(<Request*><uintptr_t>self.calls.pop(number))

    def take_results(self):
        """What came of submitted requests since the last time: a list of (number, outcome, result).

        `outcome` is a `mcroute.policy.nodes.Outcome`. The result of get, gets, gat and gats is a list of
        (key, flags, cas or None, value), of incr and decr an int, of all others, and of what failed, the
        reply without its last line end.
        """
        results = calls_take(self.state)
        for number, _, _ in results:
            del self.calls[number]
        return results

    def take_handed(self):
        """Requests that the driver is to answer with `answer`: a list of (number, command line without its end).

        That is `stats`, whose answer is about the process as much as about the engine.
        """
        return handed_lines(handed_take(self.state))

    def answer(self, uint64_t number, bytes reply not None):
        """The reply to a request from `take_handed`, with its line ends. KeyError if it was answered."""
        if not handed_answer(self.state, number, reply, len(reply)):
            raise KeyError(number)

    def end_input(self, number):
        """The client sends no more: the session is to be closed when all that came is answered.

        Without effect while the session is paused; to be said again at the next turn.
        """
        cdef Conn* conn = self.conn(number)
        if conn.kind == CONN_SESSION and not (<Session*>conn).is_paused and not conn.is_closing:
            conn.is_closing = True
            conn_mark(conn)

    def unanswered(self, number):
        """How many requests on the link have no reply yet, whether anybody waits for it or not."""
        cdef Conn* conn = self.conn(number)
        return (<Link*>conn).count if conn.kind == CONN_LINK else 0

    def silent_since(self, number):
        """When the link was last heard, or the oldest request sent that it owes a reply; infinity if it owes none."""
        cdef Conn* conn = self.conn(number)
        return link_silent_since(<Link*>conn) if conn.kind == CONN_LINK else INFINITY

    def unanswered_writes(self, number):
        """How many of these change something: the server may execute them yet, also after the link is lost."""
        cdef Conn* conn = self.conn(number)
        return link_unanswered_writes(<Link*>conn) if conn.kind == CONN_LINK else 0

    def next_wakeup(self):
        """When `check` is due next, in the driver's seconds; infinity if nothing is in flight."""
        if self.state.events != NULL:
            return self.state.now
        return min(self.state.next_check, self.routes.next_due())

    def check(self, double now):
        """Ends what is overdue."""
        engine_check(self.state, now)
        self._run_routes()

    def server_state(self, int server):
        """0 in service, 1 ejected (by the engine's trip rule or as it was told), 2 returning."""
        return word_state(self.server(server).word)

    def set_server_state(self, int server, int state, missed=None, bint unless_stale=False):
        """Puts a server into service (0), or out of it (1 ejected, 2 returning).

        With `missed`, it is put into service if it has missed no more writes than that, else ejected; with
        `unless_stale`, if `is_stale` does not hold. What waits on a server that is ejected fails over.
        """
        cdef Server* target = self.server(server)
        cdef bint is_put = True
        if unless_stale:
            is_put = word_lift(target.word)
        elif missed is not None:
            is_put = word_trust(target.word, missed)
        else:
            word_put(target.word, state)
        if not is_put:
            word_put(target.word, SERVER_EJECTED)
        if state == SERVER_EJECTED:
            engine_began(self.state, self.state.now)
            server_fail_over(target)

    def keep(self, int server, bint is_kept):
        """Whether failures in a row leave the server in service; a write that it missed never does."""
        word_keep(self.server(server).word, is_kept)

    def out(self):
        """The ids of the servers that are out of service, or would be if they were not kept: a set."""
        cdef int i
        return {i for i in range(self.state.server_count)
                if word_state(self.state.servers[i].word) != SERVER_UP or word_is_spared(self.state.servers[i].word)}

    def stale(self):
        """The ids of the servers that may hold old values, see `is_stale`: a set."""
        cdef int i
        return {i for i in range(self.state.server_count) if word_is_stale(self.state.servers[i].word)}

    def is_spared(self, int server):
        """Whether it would be out of service if it were not kept. Until `set_server_state` is called for it."""
        return word_is_spared(self.server(server).word)

    def is_stale(self, int server):
        """Whether it may hold old values: a write did not reach it, while another copy may have taken it.

        Since it was last put into service. A write that timed out says nothing yet.
        """
        return word_is_stale(self.server(server).word)

    def set_limits(self, limits):
        """Bounds of its memory and of requests' values from now on, as a `mcroute.policy.Limits`."""
        cdef Bounds bounds = Bounds(limits.value_max, limits.request_memory_max, limits.reply_memory_max,
                                    limits.link_memory_max)
        engine_set_bounds(self.state, &bounds)

    def set_item_size_max(self, int server, uint64_t size):
        """The server stores values of up to so many bytes: larger ones are not read from it."""
        cdef Said said = Said(server, size)
        server_said(self.state, &said)

    def losses(self):
        """A `Losses`: what was refused, closed or read past without any server's failing."""
        return engine_losses(self.state)

    def take_desyncs(self):
        """A `ServerDesync` for each server of whose links one was out of step since the last time, at most 16."""
        cdef Desyncs taken
        desyncs_take(self.state, &taken)
        return desyncs_as_values(&taken)

    def ejections(self):
        """How often the engine itself has taken a server out of service; only grows."""
        return self.state.counts.ejections

    def troubles(self):
        """By server: (replies later than the reply timeout, retries that the budget refused); they only grow."""
        return engine_troubles(self.state)

    def alarms(self):
        """How often it has done that, has spared a server, or has found one slow; only grows."""
        return engine_alarms(self.state)

    def missed_writes(self, int server):
        """Writes that this server did not receive while another copy may have; only grows."""
        return word_missed(self.server(server).word)

    def counters(self):
        """What the engine has counted since it was made; counters only grow. A part of `snapshot`."""
        return engine_snapshot(self.state, {}).counters

    def snapshot(self):
        """All that the engine has counted, as a Snapshot with the servers of the installed plan.

        A server's part begins when it gets its id. What the engine answers by itself (version, noop) is counted
        as HIT.
        """
        return engine_snapshot(self.state, self.compiled.ids)
