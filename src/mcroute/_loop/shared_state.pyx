"""The servers' state words and the claimed keys of one proxy, which all of its engines use."""

cimport cython
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memset

from mcroute._engine.claims cimport CLAIMANTS_MAX, claims_free, claims_new
from mcroute._engine.faults cimport description_write
from mcroute._engine.journal_bounds cimport bounds_set_date
from mcroute._engine.journal cimport journal_clear, journal_free, journal_new
from mcroute._engine.journals cimport JournalSaver, ServerJournal, journals_bound
from mcroute._engine.server_words cimport (
    mcroute_load, mcroute_more, mcroute_swap, SERVER_UP, word_is_spared, word_is_stale, word_protect,
    word_restore_unless_stale, word_missed, word_set_state, word_state, word_restore,
)
from mcroute._engine.taken cimport taken_clear
from mcroute._loop.system cimport close, write
from mcroute.runtime.sharing cimport shared_restart, shared_set_hedge, shared_set_size

import os

from mcroute.policy.limits import Limits

cdef extern from "stdlib.h" nogil:
    int posix_memalign(void** out, size_t alignment, size_t size)

cdef enum:
    CACHE_LINE = 64             # a state word each: writes to one do not delay readers of another


cdef class SharedState:
    """One state word per server, by the server's id; allocated at the first use, and never moved.

    `wake_fds` are eventfds that wake the engines' threads, one each, in the order of the threads' numbers from 1 on.
    They are duplicated: the caller may close its own. Raises ValueError for more than 255, MemoryError.

    The first state words lie in `memory` if it is given, 64 bytes each. A mapped file keeps them if the process is
    killed.
    """

    def __cinit__(self, wake_fds=(), unsigned char[::1] memory=None):
        self.room.size = <uint64_t>-1
        journals_bound(&self.journal_bounds, Limits())
        if memory is not None:
            self.memory = memory
            self.lent = <int>(memory.shape[0] // CACHE_LINE)
        if len(wake_fds) > CLAIMANTS_MAX:
            raise ValueError(f"{len(wake_fds)} threads: at most {CLAIMANTS_MAX} share servers")
        if len(wake_fds) > 1:
            self.claims = claims_new()
            if self.claims == NULL:
                raise MemoryError
        self.wake_fds = <int*>malloc(max(1, len(wake_fds)) * sizeof(int))
        if self.wake_fds == NULL:
            raise MemoryError
        for fd in wake_fds:
            self.wake_fds[self.wake_count] = os.dup(fd)
            self.wake_count += 1

    def __dealloc__(self):
        cdef int i
        for i in range(self.lent, self.count):
            free(self.words[i])
        free(self.words)
        for i in range(self.upstream_count):
            free(self.upstreams[i])
        free(self.upstreams)
        for i in range(self.description_count):
            free(self.descriptions[i])
        free(self.descriptions)
        for i in range(self.journal_count):
            journal_free(self.journals[i])
        free(self.journals)
        for i in range(self.wake_count):
            close(self.wake_fds[i])
        free(self.wake_fds)
        claims_free(self.claims)

    cdef ServerWord* word(self, int server) except NULL:
        cdef ServerWord** more
        cdef void* word = NULL
        with cython.critical_section(self):
            while server >= self.count:
                more = <ServerWord**>realloc(self.words, (self.count + 1) * sizeof(ServerWord*))
                if more == NULL:
                    raise MemoryError
                self.words = more
                if self.count < self.lent:
                    word = &self.memory[self.count * CACHE_LINE]
                elif posix_memalign(&word, CACHE_LINE, CACHE_LINE) != 0:
                    raise MemoryError
                memset(word, 0, CACHE_LINE)
                self.words[self.count] = <ServerWord*>word
                self.count += 1
            return self.words[server]

    cdef SharedUpstream* upstream(self, int server) except NULL:
        cdef SharedUpstream** more
        cdef void* upstream = NULL
        with cython.critical_section(self):
            while server >= self.upstream_count:
                more = <SharedUpstream**>realloc(
                    self.upstreams, (self.upstream_count + 1) * sizeof(SharedUpstream*))
                if more == NULL:
                    raise MemoryError
                self.upstreams = more
                if posix_memalign(&upstream, CACHE_LINE, CACHE_LINE) != 0:
                    raise MemoryError
                memset(upstream, 0, CACHE_LINE)
                self.upstreams[self.upstream_count] = <SharedUpstream*>upstream
                self.upstream_count += 1
            return self.upstreams[server]

    cdef Description* description(self, int server) except NULL:
        cdef Description** more
        cdef Description* description
        with cython.critical_section(self):
            while server >= self.description_count:
                more = <Description**>realloc(
                    self.descriptions, (self.description_count + 1) * sizeof(Description*))
                if more == NULL:
                    raise MemoryError
                self.descriptions = more
                description = <Description*>calloc(1, sizeof(Description))
                if description == NULL:
                    raise MemoryError
                self.descriptions[self.description_count] = description
                self.description_count += 1
            return self.descriptions[server]

    cdef Journal* own_journal(self, int server) except NULL:
        cdef Journal** more
        cdef Journal* journal
        with cython.critical_section(self):
            while server >= self.journal_count:
                more = <Journal**>realloc(self.journals, (self.journal_count + 1) * sizeof(Journal*))
                if more == NULL:
                    raise MemoryError
                self.journals = more
                journal = journal_new(&self.journal_bounds, self.journal_count)
                if journal == NULL:
                    raise MemoryError
                self.journals[self.journal_count] = journal
                self.journal_count += 1
            return self.journals[server]

    cdef int wake(self) except -1:
        """Wakes every loop, which looks at the signals in its next turn. Does not wait for the loops."""
        cdef uint64_t one = 1
        cdef int i
        for i in range(self.wake_count):
            write(self.wake_fds[i], &one, sizeof(one))
        return 0

    def set_clients_max(self, uint64_t size):
        """Bounds the clients that are connected at once to `size`. Connected clients stay, further ones wait."""
        while not mcroute_swap(&self.room.size, mcroute_load(&self.room.size), size):
            pass

    def clients_held(self):
        """The number of times that a listener was paused because as many clients were connected as are allowed."""
        return mcroute_load(&self.room.held)

    def reset(self, int server):
        """Resets the state of a reused id: its new server is in service and has no missed writes."""
        self.word(server).bits = 0
        mcroute_more(&self.word(server).ups)
        journal_clear(self.own_journal(server))
        taken_clear(self.own_journal(server).taken)
        shared_restart(self.upstream(server))
        shared_set_size(self.upstream(server), 0, 0)
        shared_set_hedge(self.upstream(server), 0)
        description_write(self.description(server), "", "")

    def fail_over(self, int server):
        """In every thread, fails over the requests that wait for the server, if it is ejected."""
        mcroute_more(&self.upstream(server).ejections)
        mcroute_more(&self.signals.ejections)
        self.wake()

    def retry_now(self, int server):
        """In every thread, ends the backoff of the server's links: they try to connect now."""
        shared_restart(self.upstream(server))
        mcroute_more(&self.signals.restarts)
        self.wake()

    def describe(self, int server, str name, str fault):
        """As `Engine.describe`, for every thread. Wakes none: a thread reads the description when a request fails."""
        description_write(self.description(server), name, fault)

    def set_item_size_max(self, int server, uint64_t size, unsigned int flags_size=4):
        """As `Engine.set_item_size_max`, for every thread."""
        shared_set_size(self.upstream(server), size, flags_size)
        mcroute_more(&self.signals.sizes)
        self.wake()

    def set_hedge_after(self, int server, double seconds):
        """As `Engine.set_hedge_after`, for every thread."""
        shared_set_hedge(self.upstream(server), seconds)
        mcroute_more(&self.signals.sizes)
        self.wake()

    def state(self, int server):
        """As `Engine.server_state`."""
        return word_state(self.word(server))

    def set_state(self, int server, int state):
        """As `Engine.set_server_state`."""
        word_set_state(self.word(server), state)

    def protect(self, int server, bint is_protected):
        """As `Engine.protect`."""
        word_protect(self.word(server), is_protected)

    def is_spared(self, int server):
        """As `Engine.is_spared`."""
        return word_is_spared(self.word(server))

    def is_stale(self, int server):
        """As `Engine.is_stale`."""
        return word_is_stale(self.word(server))

    def out(self):
        """As `Engine.out`."""
        cdef int i
        return {i for i in range(self.count)
                if word_state(self.words[i]) != SERVER_UP or word_is_spared(self.words[i])}

    def stale(self):
        """As `Engine.stale`."""
        cdef int i
        return {i for i in range(self.count) if word_is_stale(self.words[i])}

    def missed(self, int server):
        """As `Engine.missed_writes`."""
        return word_missed(self.word(server))

    def journal(self, int server):
        """As `Engine.journal`."""
        return ServerJournal.of(self.own_journal(server), self.word(server), self)

    def bound_journals(self, limits):
        """Sets the bounds of all journals together, by a `mcroute.policy.Limits`."""
        journals_bound(&self.journal_bounds, limits)

    def set_date(self, double ahead):
        """As `Engine.set_date`, for every thread."""
        bounds_set_date(&self.journal_bounds, ahead)

    def save_journals(self, JournalSaver saver not None):
        """As `Engine.save_journals`."""
        self.saver = saver
        self.journal_bounds.sink = saver.sink

    def restore(self, int server, unsigned long long missed):
        """Restores the server unless it has missed more than `missed` writes. Returns whether it was restored."""
        return word_restore(self.word(server), missed)

    def restore_unless_stale(self, int server):
        """Restores the server unless it is stale. Returns whether it was restored."""
        return word_restore_unless_stale(self.word(server))
