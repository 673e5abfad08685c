"""An engine for the runtime: its plans, the states of its servers, missed writes and counters."""

cimport cython
from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.ref cimport Py_INCREF, Py_XDECREF, PyObject
from libc.stdint cimport uint32_t, uint64_t

from mcroute._engine.alarms cimport engine_alarms
from mcroute._engine.bounds cimport Bounds, bounds_of, ValueLimits, engine_set_bounds, server_set_value_limits
from mcroute._engine.clock cimport engine_began, engine_find_shortest
from mcroute._engine.faults cimport description_write
from mcroute._engine.journal_bounds cimport bounds_set_date
from mcroute._engine.journals cimport JournalSaver, ServerJournal, journals_bound
from mcroute._engine.lifetimes cimport engine_free, engine_install, engine_new
from mcroute._engine.links cimport server_is_unlinked
from mcroute._engine.losses cimport Desyncs, desyncs_as_values, desyncs_take, engine_losses
from mcroute._engine.observing cimport engine_evidence, engine_snapshot, engine_slowness
from mcroute._engine.plans cimport AdmittedServer, servers_admit
from mcroute._engine.refill_wishes cimport refill_feed
from mcroute._engine.trips cimport server_fail_over
from mcroute._engine.server_words cimport (
    SERVER_EJECTED, SERVER_UP, ServerWord, mcroute_more, word_is_spared, word_is_stale, word_protect,
    word_restore_unless_stale, word_missed, word_set_state, word_state, word_restore,
)

from mcroute._engine.server_ids import ServerIds


cdef enum:
    WORD_SIZE = 64


# Cleared by the garbage collector, an engine in a cycle would lose the plan before it is freed itself.
@cython.no_gc_clear
cdef class EngineServers:
    """The plans, servers, bounds and counters of an `Engine`. Servers are given by their ids."""

    def __cinit__(self, *plan, uint64_t seed=1, memory=None):
        if memory is not None:
            PyObject_GetBuffer(memory, &self.memory, PyBUF_WRITABLE)
            # In a cycle, the garbage collector would clear a memoryview before its buffer is released here.
            Py_INCREF(memory)
            self.memory_owner = <PyObject*>memory
        self.known_servers = ServerIds()
        self.older = ()
        self.state = engine_new(seed)
        if self.state == NULL:
            raise MemoryError

    def __dealloc__(self):
        if self.state != NULL:
            engine_free(self.state)
        # No effect without a buffer.
        PyBuffer_Release(&self.memory)
        Py_XDECREF(self.memory_owner)

    def __repr__(self):
        cdef int up = 0
        cdef int i, count
        with cython.critical_section(self):
            count = self.state.server_count
            for i in range(count):
                up += word_state(self.state.servers[i].word) == SERVER_UP
        return f"<{type(self).__name__}: {up} of {count} servers in service>"

    cdef EngineState* own(self) except NULL:
        """The state, for methods that change it. Raises RuntimeError while generators run: they read its events."""
        if self.runs_routes:
            raise RuntimeError("the engine runs routes: neither their steps() nor another thread may call it")
        return self.state

    cdef Server* server(self, int number) except NULL:
        if not 0 <= number < self.state.server_count:
            raise IndexError(f"no server has the id {number}")
        return self.state.servers[number]

    # ---- the plan and its servers ----

    @cython.critical_section
    def _is_free(self, int number):
        return not self._in_use(number) and server_is_unlinked(self.state.servers[number])

    @cython.critical_section
    def free_plans(self):
        """Frees plans that no request uses any more. Returns the number of older plans that remain."""
        self._free_plans()
        return len(self.older)

    cdef _free_plans(self):
        self.older = tuple([older for older in self.older if (<CompiledPlan>older).table.refs > 0])

    def admit(self, plan, renamed=None):
        """Makes the plan's servers known, and returns their ids by name; call `install` afterwards.

        Until then a new server gets no request: this is the time to open its links. A server that stays (the same name
        and address, or `renamed` from a server with other ones) keeps its id, its links and its state. A new server is
        in service. It may reuse an id that no request refers to any more; then it wants as many links as the id's
        previous server had. `renamed` maps pairs of name and address to those of the installed plan.
        """
        self._begin_plan()
        try:
            return self._admit(plan, renamed or {})
        finally:
            self._end_plan()

    @cython.critical_section
    cdef int _begin_plan(self) except -1:
        # Servers get their ids by Python code, during which other threads can enter the section.
        self.own()
        if self.is_planning:
            raise RuntimeError("another thread admits or installs a plan")
        self.is_planning = True
        return 0

    @cython.critical_section
    cdef int _end_plan(self) except -1:
        self.is_planning = False
        return 0

    cdef dict _admit(self, plan, renamed):
        cdef CompiledPlan compiled = CompiledPlan(plan, self.known_servers.admit(plan, self._is_free, renamed))
        with cython.critical_section(self):
            self.own()
            self._lend_words(compiled)
            if not servers_admit(self.state, compiled.servers, compiled.server_count):
                raise MemoryError
            self.admitted = compiled
        return dict(compiled.ids)

    @cython.critical_section
    cdef bint _has_admitted(self, plan) except -1:
        return self.admitted is not None and self.admitted.plan is plan

    cdef _lend_words(self, CompiledPlan compiled):
        cdef AdmittedServer* server
        cdef ServerWord* word
        cdef int i
        for i in range(compiled.server_count):
            server = &compiled.servers[i]
            if (server.id + 1) * <Py_ssize_t>WORD_SIZE <= self.memory.len:
                word = <ServerWord*>(<char*>self.memory.buf + server.id * WORD_SIZE)
                if server.is_new:
                    word.bits = 0
                    mcroute_more(&word.ups)
                server.word = word

    def install(self, plan):
        """Starts new requests on this plan; requests in flight finish on the plan that they started with.

        Admits the plan first if `admit` was not called for it.
        """
        self._begin_plan()
        try:
            if not self._has_admitted(plan):
                self._admit(plan, {})
            self._install()
        finally:
            self._end_plan()

    @cython.critical_section
    cdef int _install(self) except -1:
        self.own()
        if self.compiled is not None:
            self.older = (*self.older, self.compiled)
        self.compiled, self.admitted = self.admitted, None
        engine_install(self.state, self.compiled.table)
        self._free_plans()
        return 0

    @cython.critical_section
    def server_ids(self):
        """The ids of the installed plan's servers, by name."""
        return dict(self.compiled.ids)

    @cython.critical_section
    def server_in_use(self, int server):
        """Whether the installed plan or a request in flight on an older one refers to this server."""
        return self._in_use(server)

    cdef bint _in_use(self, int server) except -1:
        cdef CompiledPlan compiled
        self._free_plans()
        for compiled in (self.compiled, *self.older):
            if compiled is not None and server in compiled.ids.values():
                return True
        return False

    # ---- states ----

    @cython.critical_section
    def server_state(self, int server):
        """0 in service, 1 ejected (by the engine, or by `set_server_state`), 2 returning."""
        return word_state(self.server(server).word)

    @cython.critical_section
    def set_server_state(self, int server, int state, missed=None, bint unless_stale=False):
        """Sets a server's state: 0 in service, 1 ejected, 2 returning.

        With `missed`, restores it if it has missed exactly that number of writes, else ejects it; with `unless_stale`,
        restores it unless it `is_stale`, else ejects it. With state 1, requests that wait on the server fail over.
        """
        cdef Server* target = self.server(server)
        cdef bint is_set = True
        if unless_stale:
            is_set = word_restore_unless_stale(target.word)
        elif missed is not None:
            is_set = word_restore(target.word, missed)
        else:
            word_set_state(target.word, state)
        if not is_set:
            word_set_state(target.word, SERVER_EJECTED)
        if state == SERVER_EJECTED:
            engine_began(self.own(), self.state.now)
            server_fail_over(target)

    @cython.critical_section
    def protect(self, int server, bint is_protected):
        """Sets whether failures in a row do not eject the server; a missed write ejects it in any case."""
        word_protect(self.server(server).word, is_protected)

    @cython.critical_section
    def out(self):
        """The ids of the servers that are out of service, or spared: a set."""
        cdef int i
        return {i for i in range(self.state.server_count)
                if word_state(self.state.servers[i].word) != SERVER_UP or word_is_spared(self.state.servers[i].word)}

    @cython.critical_section
    def stale(self):
        """The ids of the servers that may hold old values, see `is_stale`: a set."""
        cdef int i
        return {i for i in range(self.state.server_count) if word_is_stale(self.state.servers[i].word)}

    @cython.critical_section
    def is_spared(self, int server):
        """Whether protection has prevented the server's ejection since the last `set_server_state` for it."""
        return word_is_spared(self.server(server).word)

    @cython.critical_section
    def is_stale(self, int server):
        """Whether the server may hold old values: a write did not reach it, while another copy may have taken it.

        Only writes since the server was last restored count. A write that timed out is not missed yet.
        """
        return word_is_stale(self.server(server).word)

    def set_limits(self, limits):
        """Sets the bounds of memory and of requests' values, by a `mcroute.policy.Limits`."""
        cdef Bounds bounds = bounds_of(limits)
        journals_bound(&self.state.journals, limits)
        with cython.critical_section(self):
            engine_set_bounds(self.own(), &bounds)

    def set_date(self, double ahead):
        """`ahead`: seconds since 1970, less the time of the engine's clock. Shortens lifetimes that are dates."""
        bounds_set_date(&self.state.journals, ahead)

    @cython.critical_section
    def set_item_size_max(self, int server, uint64_t size, uint32_t flags_size=4):
        """The server has reported that it stores values of up to `size` bytes, and client flags of `flags_size` bytes.

        Larger values from it are skipped. Clients may send flags of 64 bits if all servers store them.
        """
        cdef ValueLimits reported = ValueLimits(server, size, flags_size)
        server_set_value_limits(self.own(), &reported)

    @cython.critical_section
    def set_hedge_after(self, int server, double seconds):
        """Sets how long a read waits for this server before the next copy is asked too; 0: it is not hedged.

        Only reads whose plan hedges, see `nodes.First`.
        """
        self.server(server).hedge_after = seconds
        engine_find_shortest(self.own())

    @cython.critical_section
    def describe(self, int server, str name, str fault=""):
        """Sets the server's description in error lines: its name, and the reason why it cannot be used, if any.

        The name is cut to 127 bytes, the reason to 191. With an empty name, error lines do not mention the server.
        """
        description_write(self.server(server).description, name, fault)

    @cython.critical_section
    def refill(self, list keys not None, int source, int target, bint are_base64=False):
        """Begins to copy keys from the server `source` to the server `target`. Call the driver's `schedule` afterwards.

        Returns how many, from the front, the queue had room for. Each is copied with its flags and its remaining
        lifetime if the source has it, the target does not, and no write of the key is under way.
        """
        cdef bytes key
        cdef int accepted = 0
        self.server(source)
        self.server(target)
        for key in keys:
            if not refill_feed(self.own(), key, len(key), are_base64, source, target):
                break
            accepted += 1
        return accepted

    @cython.critical_section
    def set_wall_offset(self, double seconds):
        """Sets the difference between the time since 1970 and the time that the driver gives, in seconds."""
        self.own().refills.wall_offset = seconds

    @cython.critical_section
    def losses(self):
        """A `Losses`: counts of refusals, closed sessions, skipped values and desyncs."""
        return engine_losses(self.state)

    @cython.critical_section
    def take_desyncs(self):
        """A list of `ServerDesync`: one for each server with desyncs since the last call, at most 16."""
        cdef Desyncs taken
        desyncs_take(self.own(), &taken)
        return desyncs_as_values(&taken)

    @cython.critical_section
    def ejections(self):
        """Number of ejections by the engine itself; only grows."""
        return self.state.counts.ejections

    @cython.critical_section
    def slowness(self):
        """By server id: (replies later than the reply timeout, retries that the budget refused); both only grow."""
        return engine_slowness(self.state)

    @cython.critical_section
    def evidence(self):
        """By server id: (asks lost or timed out, requests lost with their connection, replies, hits, misses).

        Replies are counted by the bucket of their duration, see `histograms.BOUNDS`. All only grow; servers without
        any are missing.
        """
        return engine_evidence(self.state)

    @cython.critical_section
    def alarms(self):
        """Ejections, suppressed ejections and servers found slow; monotonic."""
        return engine_alarms(self.state)

    @cython.critical_section
    def missed_writes(self, int server):
        """Number of writes that the server has missed, see `is_stale`; only grows."""
        return word_missed(self.server(server).word)

    @cython.critical_section
    def journal(self, int server):
        """The `ServerJournal` of the server: the keys of these writes. It stays the same for as long as the engine."""
        cdef Server* target = self.server(server)
        return ServerJournal.of(target.journal, target.word, self)

    @cython.critical_section
    def save_journals(self, JournalSaver saver not None):
        """Saves journals with it from now on. Call it once, before the first request."""
        self.saver = saver
        self.state.journals.sink = saver.sink

    def counters(self):
        """The engine's counters since it was made, by name; a part of `snapshot`."""
        with cython.critical_section(self):
            snapshot = engine_snapshot(self.state, {})
        return snapshot.counters

    @cython.critical_section
    def snapshot(self):
        """All counters of the engine, as a Snapshot with the servers of the installed plan.

        A server's part begins when it gets its id. Requests that the engine answers by itself (version, noop) count
        as HIT.
        """
        return engine_snapshot(self.state, {} if self.compiled is None else self.compiled.ids)
