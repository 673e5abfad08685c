"""An engine's servers as a supervisor sees them: their states, what they missed, and what was counted."""

cimport cython
from libc.stdint cimport uint32_t, uint64_t

from mcroute._engine.alarms cimport engine_alarms
from mcroute._engine.bounds cimport Bounds, bounds_of, Said, engine_set_bounds, server_said
from mcroute._engine.clock cimport engine_began
from mcroute._engine.faults cimport description_write
from mcroute._engine.lifetimes cimport engine_free, engine_new
from mcroute._engine.losses cimport Desyncs, desyncs_as_values, desyncs_take, engine_losses
from mcroute._engine.observing cimport engine_snapshot, engine_troubles
from mcroute._engine.trips cimport server_fail_over
from mcroute._engine.server_words cimport (
    SERVER_EJECTED, SERVER_UP, word_is_spared, word_is_stale, word_protect, word_restore_unless_stale,
    word_missed, word_set_state, word_state, word_restore,
)


# Cleared by the garbage collector, an engine in a cycle would lose the plan before it is freed itself.
@cython.no_gc_clear
cdef class EngineServers:
    """What an `Engine` is besides its plans and connections; by itself it has no servers. Servers are ids."""

    def __cinit__(self, *plan, uint64_t seed=1, **options):
        self.state = engine_new(seed)
        if self.state == NULL:
            raise MemoryError

    def __dealloc__(self):
        if self.state != NULL:
            engine_free(self.state)

    def __repr__(self):
        cdef int up = 0
        cdef int i, count
        with cython.critical_section(self):
            count = self.state.server_count
            for i in range(count):
                up += word_state(self.state.servers[i].word) == SERVER_UP
        return f"<{type(self).__name__}: {up} of {count} servers in service>"

    cdef EngineState* own(self) except NULL:
        """For whatever changes the engine: while a generator runs, what its route is told of may not be freed."""
        if self.runs_routes:
            raise RuntimeError("the engine runs routes: neither their steps() nor another thread may call it")
        return self.state

    cdef Server* server(self, int number) except NULL:
        if not 0 <= number < self.state.server_count:
            raise IndexError(f"no server has the id {number}")
        return self.state.servers[number]

    @cython.critical_section
    def server_state(self, int server):
        """0 in service, 1 ejected (by the engine's trip rule or as it was told), 2 returning."""
        return word_state(self.server(server).word)

    @cython.critical_section
    def set_server_state(self, int server, int state, missed=None, bint unless_stale=False):
        """Puts a server into service (0), or out of it (1 ejected, 2 returning).

        With `missed`, it is put into service if it has missed no more writes than that, else ejected; with
        `unless_stale`, if `is_stale` does not hold. What waits on a server that is ejected fails over.
        """
        cdef Server* target = self.server(server)
        cdef bint is_put = True
        if unless_stale:
            is_put = word_restore_unless_stale(target.word)
        elif missed is not None:
            is_put = word_restore(target.word, missed)
        else:
            word_set_state(target.word, state)
        if not is_put:
            word_set_state(target.word, SERVER_EJECTED)
        if state == SERVER_EJECTED:
            engine_began(self.own(), self.state.now)
            server_fail_over(target)

    @cython.critical_section
    def protect(self, int server, bint is_protected):
        """Whether failures in a row leave the server in service; a write that it missed never does."""
        word_protect(self.server(server).word, is_protected)

    @cython.critical_section
    def out(self):
        """The ids of the servers that are out of service, or would be if they were not kept: a set."""
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
        """Whether it would be out of service if it were not kept. Until `set_server_state` is called for it."""
        return word_is_spared(self.server(server).word)

    @cython.critical_section
    def is_stale(self, int server):
        """Whether it may hold old values: a write did not reach it, while another copy may have taken it.

        Since it was last put into service. A write that timed out says nothing yet.
        """
        return word_is_stale(self.server(server).word)

    def set_limits(self, limits):
        """Bounds of its memory and of requests' values from now on, as a `mcroute.policy.Limits`."""
        cdef Bounds bounds = bounds_of(limits)
        with cython.critical_section(self):
            engine_set_bounds(self.own(), &bounds)

    @cython.critical_section
    def set_item_size_max(self, int server, uint64_t size, uint32_t flags_size=4):
        """The server stores values of up to so many bytes, and client flags of `flags_size`.

        Larger values are not read from it. Larger flags are taken from clients if all servers store them.
        """
        cdef Said said = Said(server, size, flags_size)
        server_said(self.own(), &said)

    @cython.critical_section
    def describe(self, int server, str name, str fault=""):
        """What clients are told of a server in errors: its name, and why it cannot be used, if it cannot.

        Both are cut to 127 and 191 bytes. Without a name nothing is told.
        """
        description_write(self.server(server).description, name, fault)

    @cython.critical_section
    def losses(self):
        """A `Losses`: what was refused, closed or read past without any server's failing."""
        return engine_losses(self.state)

    @cython.critical_section
    def take_desyncs(self):
        """A `ServerDesync` for each server of whose links one was out of step since the last time, at most 16."""
        cdef Desyncs taken
        desyncs_take(self.own(), &taken)
        return desyncs_as_values(&taken)

    @cython.critical_section
    def ejections(self):
        """How often the engine itself has taken a server out of service; only grows."""
        return self.state.counts.ejections

    @cython.critical_section
    def troubles(self):
        """By server: (replies later than the reply timeout, retries that the budget refused); they only grow."""
        return engine_troubles(self.state)

    @cython.critical_section
    def alarms(self):
        """Ejections, suppressed ejections and servers found slow; monotonic."""
        return engine_alarms(self.state)

    @cython.critical_section
    def missed_writes(self, int server):
        """Writes that this server did not receive while another copy may have; only grows."""
        return word_missed(self.server(server).word)

    def counters(self):
        """What the engine has counted since it was made; counters only grow. A part of `snapshot`."""
        with cython.critical_section(self):
            snapshot = engine_snapshot(self.state, {})
        return snapshot.counters

    @cython.critical_section
    def snapshot(self):
        """All that the engine has counted, as a Snapshot with the servers of the installed plan.

        A server's part begins when it gets its id. What the engine answers by itself (version, noop) is counted
        as HIT.
        """
        return engine_snapshot(self.state, {} if self.compiled is None else self.compiled.ids)
