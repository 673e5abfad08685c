"""A loop as a Python object, for the supervising thread.

Every method but `run` posts a job to the loop and waits, without the GIL, until the loop has done the job between two
of its turns. A job takes microseconds. The loop never waits for another thread, except for other loops in
`install_plans`. If the loop does not begin the job within `timeout_s`, the method raises RuntimeError, and the job is
not done.
"""

cimport cython
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

from mcroute._engine.bounds cimport Bounds, bounds_of
from mcroute._engine.claims cimport claims_join
from mcroute._engine.custom cimport routes_apply
from mcroute._engine.generators cimport RouteRunner
from mcroute._engine.deferred cimport deferred_lines
from mcroute._engine.losses cimport Desyncs, desyncs_as_values, engine_losses
from mcroute._engine.observing cimport engine_evidence, engine_snapshot, engine_slowness
from mcroute._engine.plans cimport CompiledPlan
from mcroute._engine.state cimport Deferred, RouteEvent
from mcroute._loop.engine_jobs cimport (
    Admission, Answer, Feed, Idleness, Usage, engine_limit, deferred_lines_take, deferred_lines_answer, keys_refill,
    plan_admit, plan_count_refs, plan_install, route_events_take, route_orders_apply,
    server_desyncs, server_see_if_idle, sessions_count, wall_set,
)
from mcroute._loop.jobs cimport Barrier, PostedJob, loop_do, barrier_clear, barrier_init, jobs_do
from mcroute._loop.links cimport (
    Connect, Looks, Silence, reports_take, server_abort_silent, server_abort_unsettled, server_connect,
    server_disconnect, servers_look,
)
from mcroute._loop.listeners cimport Listening, listeners_add, listeners_close
from mcroute._loop.state cimport ADDRESSES_MAX, Address, Loop
from mcroute._loop.system cimport mcroute_keepalive, mcroute_make_address, mcroute_make_path
from mcroute._loop.turns cimport (
    loop_free, loop_acknowledge, loop_detach, loop_new, loop_run, loop_step, loop_stop,
    sessions_abort, sessions_end,
)
from mcroute._loop.shared_state cimport SharedState
from mcroute.runtime.link_values cimport link_event, link_status
from mcroute.runtime.links cimport LOOKING_UP, Backoff, Look, Reports


# Far above a turn's duration on an overloaded machine.
JOB_TIMEOUT_S = 30.0

cdef enum:
    # Rounds of events and orders a call: a route may cause events for itself without end.
    ROUNDS_MAX = 16
    LOOKS_MAX = 32              # servers a job of `links`: a larger one would delay clients


cdef bint _make(address, Address* out) except -1:
    """Parses (numeric host, port), or the path of a unix socket. False if it is neither."""
    if isinstance(address, str):
        return mcroute_make_path(address.encode(), &out.name, &out.size)
    return mcroute_make_address(address[0].encode(), address[1], &out.name, &out.size)


# Without this the garbage collector would free the plan of a loop in a cycle before the loop.
@cython.no_gc_clear
cdef class LoopThread:
    """A loop with an engine of its own. The loop writes to the eventfd `notify_fd` when it has events.

    `seed` starts the engine's random generator; a job that the loop has not begun after `timeout_s` seconds is not
    done. Raises OSError when the system has no descriptor left.
    """

    cdef Loop* loop
    cdef SharedState words            # the engine's servers point into them
    cdef CompiledPlan compiled
    cdef CompiledPlan admitted  # not installed yet; else None
    cdef tuple older            # plans that requests may still use; the collector does not clear a tuple
    cdef RouteRunner routes
    cdef bint runs_routes       # while `run_routes` runs users' code, which may release the GIL
    cdef object share_with         # a buffer of descriptors that the loop uses

    def __cinit__(self, int notify_fd, uint64_t seed, double timeout_s=JOB_TIMEOUT_S):
        self.older = ()
        self.routes = RouteRunner()
        self.loop = loop_new(notify_fd, seed, timeout_s)
        if self.loop == NULL:
            raise OSError("no descriptors for another loop")

    def __dealloc__(self):
        if self.loop == NULL:
            return
        # Before loop_free: a generator ends before its request.
        self.routes.close()
        routes_apply(self.loop.engine, self.routes.orders(), self.loop.now)
        loop_free(self.loop)

    cdef Loop* own(self) except NULL:
        if self.loop == NULL:
            raise RuntimeError("the loop runs in the process that this one was forked from")
        return self.loop

    cdef int _do(self, void (*job)(Loop*, void*) noexcept nogil, void* argument) except -1:
        cdef Loop* loop = self.own()
        cdef bint is_done
        with nogil:
            is_done = loop_do(loop, job, argument)
        if not is_done:
            raise RuntimeError(f"a thread of the native loop has answered nothing for {loop.job_timeout:g} s")
        return 0

    # ---- life ----

    def run(self):
        """Serves in the calling thread until `stop`. The thread that starts it calls `will_run` before."""
        cdef Loop* loop = self.own()
        with nogil:
            loop_run(loop)

    def will_run(self, bint will=True):
        """Whether jobs wait for the loop's thread from now on; False if the thread could not be started."""
        self.own().is_running = will

    def step(self, double now):
        """Makes one turn of a loop that does not run, without waiting. Returns the number of ready sockets.

        From the first call on, `now` is the loop's time, in seconds; for tests and simulations.
        """
        cdef Loop* loop = self.own()
        cdef int count
        with nogil:
            count = loop_step(loop, now)
        return count

    def stop(self):
        """Ends `run` with the current turn. Join the thread before you call another method."""
        if self.loop != NULL and self.loop.is_running:
            self._do(loop_stop, NULL)

    def detach(self):
        """In a forked child: closes the child's copies of the descriptors; the parent's connections stay open.

        From then on `stop` and `detach` have no effect; other methods raise RuntimeError.
        """
        if self.loop != NULL:
            loop_detach(self.loop)
        self.loop = NULL

    # ---- plans ----

    def wake_fd(self):
        """An eventfd; a write to it wakes the loop for a turn."""
        return self.own().wakeup.fd

    @cython.critical_section
    def share(self, SharedState words not None, int number):
        """Shares the state `words` with other threads, among which this one has `number`, from 1 on.

        Call before the first plan is admitted. Raises MemoryError.
        """
        self.words = words
        if words.claims != NULL and not claims_join(self.own().engine, words.claims, number):
            raise MemoryError
        self.loop.room = &words.room
        self.loop.links.signals = &words.signals
        self.loop.number = number
        self.loop.wake_fds = words.wake_fds
        self.loop.wake_count = words.wake_count

    @cython.critical_section
    def admit(self, plan, list servers):
        """Admits the plan: adds its servers to the engine, so that `connect` accepts them; `install_plans` installs it.

        `servers` is the list that `ServerIds.admit` returned for the plan. Raises MemoryError.
        """
        cdef CompiledPlan compiled = CompiledPlan(plan, servers)
        cdef Admission admission
        cdef int i
        for i in range(compiled.server_count):
            compiled.servers[i].word = self.words.word(compiled.servers[i].id)
            compiled.servers[i].journal = self.words.own_journal(compiled.servers[i].id)
            compiled.servers[i].description = self.words.description(compiled.servers[i].id)
        admission = Admission(compiled.servers, compiled.server_count, compiled.table, False)
        self._do(plan_admit, &admission)
        if not admission.is_done:
            raise MemoryError
        self.admitted = compiled

    @cython.critical_section
    def has_admitted(self):
        """Whether a plan is admitted and not installed."""
        return self.admitted is not None

    cdef void _has_installed(self):
        before = self.compiled
        self.compiled, self.admitted = self.admitted, None
        if before is not None:
            self.older = (*self.older, before)

    def free_plans(self):
        """Frees older plans that no request uses. Returns the number of older plans that remain."""
        cdef CompiledPlan compiled
        cdef tuple older
        cdef list unused
        with cython.critical_section(self):
            older = self.older
        # Outside the section: during the jobs, other threads may add plans and free these.
        unused = [compiled for compiled in older if self._refs(compiled) == 0]
        with cython.critical_section(self):
            self.older = tuple([compiled for compiled in self.older if compiled not in unused])
            return len(self.older)

    cdef uint32_t _refs(self, CompiledPlan compiled) except? 0:
        cdef Usage usage = Usage(compiled.table, 0)
        self._do(plan_count_refs, &usage)
        return usage.refs

    def server_in_use(self, int server):
        """Whether the installed plan, or an older plan that requests use, refers to the server."""
        cdef CompiledPlan compiled
        self.free_plans()
        with cython.critical_section(self):
            for compiled in (self.compiled, *self.older):
                if compiled is not None and server in compiled.ids.values():
                    return True
        return False

    def is_unlinked(self, int server):
        """Whether the server's links are closed, and no request waits for them."""
        cdef Idleness idleness = Idleness(server, True)
        self._do(server_see_if_idle, &idleness)
        return idleness.is_idle

    # ---- requests that need the interpreter ----

    @cython.critical_section
    def run_routes(self, double now):
        """Runs the generators of custom routes: passes them their events, and applies their orders to the engine.

        `now` and the result are in seconds, monotonic. Returns the time of the next call; infinity if the next call is
        due only when `notify_fd` is written. Raises RuntimeError if the loop runs routes already.
        """
        cdef RouteEvent* events = NULL
        cdef int done
        if self.runs_routes:
            raise RuntimeError("the loop runs routes already: in another thread, or in one that calls this")
        self.runs_routes = True
        try:
            for done in range(ROUNDS_MAX):
                self._do(route_events_take, &events)
                if events == NULL and done > 0:
                    break
                self.routes.feed(events)
                self.routes.step(now)
                self._do(route_orders_apply, self.routes.orders())
        finally:
            self.runs_routes = False
        return self.routes.next_due()

    def take_deferred(self):
        """As `Engine.take_deferred`."""
        cdef Deferred* taken = NULL
        self._do(deferred_lines_take, &taken)
        return deferred_lines(taken)

    def answer(self, number, bytes reply not None):
        """As `Engine.answer`; no effect after the client has closed its connection."""
        cdef Answer answer = Answer(number, reply, len(reply))
        self._do(deferred_lines_answer, &answer)

    @cython.critical_section
    def snapshot(self):
        """As `Engine.snapshot`; posts no job."""
        return engine_snapshot(self.own().engine, self.compiled.ids)

    # ---- servers ----

    def slowness(self):
        """As `Engine.slowness`; posts no job."""
        return engine_slowness(self.own().engine)

    def evidence(self):
        """As `Engine.evidence`; posts no job."""
        return engine_evidence(self.own().engine)

    def connect(self, int server, options not None, list addresses, upkeep not None):
        """Keeps `options.links` links to the server, at most 16; links that exist stay.

        `options` are `ServerOptions`, `upkeep` is an `Upkeep`. `addresses` are pairs of a numeric host and a port, or
        paths of unix sockets, tried in order; a host may have a numeric scope. None: the addresses are not known yet,
        and links wait for the next call. Raises ValueError for other addresses, MemoryError.
        """
        cdef Address[ADDRESSES_MAX] known
        cdef Connect asked
        memset(known, 0, sizeof(known))
        asked.server = server
        asked.count = options.links
        asked.timeout = options.connect_timeout_s
        backoff, keepalive = upkeep.backoff, upkeep.keepalive
        asked.backoff = Backoff(backoff.base_s, backoff.cap_s, backoff.cap_out_s)
        asked.keepalive = mcroute_keepalive(
            keepalive.idle_s, keepalive.interval_s, keepalive.probes, round(1000 * keepalive.unacknowledged_s),
        )
        asked.addresses = known
        asked.address_count = LOOKING_UP if addresses is None else 0
        asked.shared = self.words.upstream(server)
        asked.is_done = False
        for address in (addresses or ())[:<int>ADDRESSES_MAX]:
            if not _make(address, &known[asked.address_count]):
                raise ValueError(f"{address!r} is no address")
            asked.address_count += 1
        self._do(server_connect, &asked)
        if not asked.is_done:
            raise MemoryError

    def abort_unsettled(self, int server):
        """Closes connected links with unanswered requests; they are connected again."""
        self._do(server_abort_unsettled, &server)

    def abort_silent(self, int server, double since):
        """Closes connected links that owe replies and last received bytes before `since` (seconds, monotonic)."""
        cdef Silence silence = Silence(server, since)
        self._do(server_abort_silent, &silence)

    def disconnect(self, int server):
        """Closes all links of the server; they stay closed until `connect`."""
        self._do(server_disconnect, &server)

    def set_limits(self, limits):
        """As `Engine.set_limits`: this thread's share."""
        cdef Bounds bounds = bounds_of(limits)
        self._do(engine_limit, &bounds)

    def refill(self, list keys not None, int source, int target, bint are_base64=False):
        """As `Engine.refill`."""
        cdef bytes packed = b"".join([bytes((len(key),)) + key for key in keys])
        cdef Feed feed = Feed(packed, <int>len(keys), source, target, are_base64, 0)
        if min(source, target) < 0:
            raise IndexError(f"no server has the id {min(source, target)}")
        self._do(keys_refill, &feed)
        return feed.accepted

    def set_wall_offset(self, double seconds):
        """As `Engine.set_wall_offset`."""
        self._do(wall_set, &seconds)

    def losses(self):
        """As `Engine.losses`; posts no job."""
        return engine_losses(self.own().engine)

    def take_desyncs(self):
        """As `Engine.take_desyncs`."""
        cdef Desyncs taken
        self._do(server_desyncs, &taken)
        return desyncs_as_values(&taken)

    def links(self, list servers not None):
        """A list for each of these servers, with a `LinkStatus` for each of its links."""
        cdef Looks looks
        cdef int first, i, j
        facts = []
        looks.items = <Look*>malloc(min(max(1, <int>len(servers)), <int>LOOKS_MAX) * sizeof(Look))
        if looks.items == NULL:
            raise MemoryError
        try:
            # LOOKS_MAX servers a job: clients of the loop wait during a job.
            for first in range(0, <int>len(servers), <int>LOOKS_MAX):
                some = servers[first:first + <int>LOOKS_MAX]
                looks.count = <int>len(some)
                for i in range(looks.count):
                    looks.items[i].server = some[i]
                self._do(servers_look, &looks)
                for i in range(looks.count):
                    facts.append([link_status(&looks.items[i].links[j]) for j in range(looks.items[i].count)])
        finally:
            free(looks.items)
        return facts

    def events(self):
        """Takes a `LinkEvent` for each link that has changed. Links that were held for the supervisor connect again.

        Returns at most EVENTS_MAX events; after so many, call again.
        """
        cdef Reports reports
        cdef int i
        self._do(reports_take, &reports)
        return [link_event(&reports.items[i]) for i in range(reports.count)]

    def acknowledge(self):
        """Acknowledges the events so far: the loop writes to `notify_fd` again for later ones."""
        self._do(loop_acknowledge, NULL)

    # ---- clients ----

    def accepted_in(self):
        """The descriptor of a pipe: other loops write accepted sockets to it for this loop."""
        return self.own().accepted_in

    @cython.critical_section
    def listen(self, int fd, share_with=None):
        """Accepts clients from the listening, non-blocking socket `fd`; the loop closes the socket.

        `share_with` is a buffer of C ints: the `accepted_in` of the loops among which clients are divided, -1 for this
        loop. Without it all clients stay on this loop. Raises OSError if the loop cannot listen on one more socket.
        """
        cdef Listening listening
        cdef int[::1] pipes
        listening = Listening(fd, NULL, 0, False)
        if share_with is not None:
            pipes = share_with
            listening.share_with = &pipes[0]
            listening.share_count = <int>pipes.shape[0]
        self._do(listeners_add, &listening)
        if not listening.is_done:
            raise OSError("cannot listen on one more socket")
        # Kept after the job: until then the loop may use the previous buffer.
        self.share_with = share_with

    def stop_listening(self):
        """Closes the listening sockets."""
        self._do(listeners_close, NULL)

    def end_sessions(self):
        """Stops reading from clients: each session ends when its requests are answered."""
        self._do(sessions_end, NULL)

    def abort_sessions(self):
        """Closes all sessions now."""
        self._do(sessions_abort, NULL)

    def clients(self):
        """The number of open sessions."""
        cdef uint32_t count = 0
        self._do(sessions_count, &count)
        return count


def install_plans(list threads not None):
    """Installs the plans that the threads have admitted last, in all threads at one moment.

    If a thread could start requests on the older plan after another thread has started one on the newer plan, it might
    write to a server from which no thread reads the key any more. A thread that does not arrive within a second is not
    waited for by the others. Returns whether all threads have installed their plans; otherwise call again.
    """
    cdef LoopThread thread
    cdef Barrier barrier
    cdef list behind = [thread for thread in threads if thread.has_admitted()]
    cdef int count = <int>len(behind)
    cdef PostedJob* posted = <PostedJob*>calloc(max(1, count), sizeof(PostedJob))
    cdef int i
    if posted == NULL:
        raise MemoryError
    try:
        for i, thread in enumerate(behind):
            posted[i] = PostedJob(thread.own(), plan_install, &barrier, False)
        with nogil:
            barrier_init(&barrier, posted, count)
            jobs_do(posted, count)
            barrier_clear(&barrier)
        for i, thread in enumerate(behind):
            if posted[i].is_done:
                with cython.critical_section(thread):
                    thread._has_installed()
        return all([posted[i].is_done for i in range(count)])
    finally:
        free(posted)
